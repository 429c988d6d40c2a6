//! What the chain pays after an exit: the arithmetic of section 7 of `docs/protocol.md`, as the contract does it.
//!
//! Invariant: a net is signed and is kept. Clamping a negative one to zero would let a party that showed an old
//! proof collect a lock free of its debt. [17]

use crate::amount::Amount;
use crate::error::{Code, Error};
use crate::lane::Lock;
use crate::types::{Side, Sides};
use alloy_primitives::{I256, U256};

/// What a lane's best proof says; all zero if nobody showed one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LaneTotals {
    /// All that the payer handed over.
    pub transferred: Amount,
    /// What the pending locks are worth.
    pub locked: Amount,
}

/// What the chain knows of a channel's asset when it settles it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shown {
    /// Deposits in all.
    pub deposits: Sides<Amount>,
    /// Withdrawals in all.
    pub withdrawn: Sides<Amount>,
    /// The lanes' best proofs, by payer.
    pub lanes: Sides<LaneTotals>,
}

/// What is owed in an asset, and what there is to pay it with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Balance {
    /// What each side is owed; negative: what it owes.
    pub net: Sides<I256>,
    /// What is left of the channel's asset.
    pub left: Amount,
}

/// What claims did at one slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Claimed {
    /// Units that the payee was credited with, beyond those that the proof's lock has redeemed.
    pub units: u32,
    /// Whether the rest went back to the payer.
    pub returned: bool,
}

impl Shown {
    /// `net(X) = deposit(X) - withdrawn(X) - transferred(X) + transferred(Y) - locked(X)`, and what is held;
    /// before anything is paid out.
    pub fn balance(&self) -> Result<Balance, Error> {
        let deposits = self.deposits.a.plus(self.deposits.b)?;
        let left = deposits.minus(self.withdrawn.a)?.minus(self.withdrawn.b)?;
        Ok(Balance { net: Sides { a: self.net(Side::A)?, b: self.net(Side::B)? }, left })
    }

    fn net(&self, side: Side) -> Result<I256, Error> {
        let (ours, theirs) = (self.lanes.of(side), self.lanes.of(side.other()));
        let plus = [*self.deposits.of(side), theirs.transferred];
        let minus = [*self.withdrawn.of(side), ours.transferred, ours.locked];
        let sum = plus.into_iter().try_fold(I256::ZERO, |sum, amount| sum.checked_add(signed(amount)));
        minus
            .into_iter()
            .try_fold(sum.ok_or(Code::AmountOverflow)?, |sum, amount| sum.checked_sub(signed(amount)))
            .ok_or_else(|| Code::AmountOverflow.into())
    }
}

impl Balance {
    /// Pays both sides what they are owed, as far as there is money: `first` before the other. Returns the payouts.
    pub fn pay(&mut self, first: Side) -> Result<Sides<Amount>, Error> {
        let mut paid = Sides::default();
        for side in [first, first.other()] {
            *paid.of_mut(side) = self.take(side)?;
        }
        Ok(paid)
    }

    /// Pays a side the positive part of its net, capped by what is left; the rest stays owed.
    fn take(&mut self, side: Side) -> Result<Amount, Error> {
        let net = *self.net.of(side);
        if net.is_negative() {
            return Ok(Amount::ZERO);
        }
        let due = u128::try_from(net.into_raw()).map_or(Amount::MAX, Amount::new);
        let paid = due.min(self.left);
        *self.net.of_mut(side) = net.checked_sub(signed(paid)).ok_or(Code::AmountOverflow)?;
        self.left = self.left.minus(paid)?;
        Ok(paid)
    }
}

/// Settles an asset by the proofs shown: the balance that claims add to, and what is paid now.
pub fn settle(shown: &Shown) -> Result<(Balance, Sides<Amount>), Error> {
    let mut balance = shown.balance()?;
    let paid = balance.pay(Side::A)?;
    Ok((balance, paid))
}

/// Claims a lock of `payer`'s settled proof: the units proven and not yet paid for its payee and, once it has
/// expired, the rest for its payer. Returns what is paid now; `None`, and changes nothing, if there is nothing to claim.
pub fn claim(
    balance: &mut Balance,
    claimed: &mut Claimed,
    payer: Side,
    lock: &Lock,
    proven: u32,
    is_expired: bool,
) -> Result<Option<Sides<Amount>>, Error> {
    let redeemable = proven.min(lock.n).saturating_sub(lock.redeemed);
    // What was paid is an earlier `redeemable` of the same lock, and proven units never fall.
    let fresh = redeemable.checked_sub(claimed.units).ok_or(Code::Internal)?;
    // A tree may hold a lock with more redeemed than there is. It is worth nothing.
    let unproven = lock.n.saturating_sub(lock.redeemed).saturating_sub(redeemable);
    let rest = if is_expired && !claimed.returned { unproven } else { 0 };
    if fresh == 0 && rest == 0 {
        return Ok(None);
    }
    let mut after = *balance;
    let gains = [(payer.other(), fresh), (payer, rest)];
    for (side, units) in gains {
        let net = after.net.of_mut(side);
        *net = net.checked_add(signed(lock.unit_price.times(units)?)).ok_or(Code::AmountOverflow)?;
    }
    // The payee first: if a proof locked less than its tree holds, its payer signed that.
    let paid = after.pay(payer.other())?;
    *balance = after;
    *claimed = Claimed { units: redeemable, returned: claimed.returned || rest != 0 };
    Ok(Some(paid))
}

fn signed(amount: Amount) -> I256 {
    // 128 bits never reach the sign of 256.
    I256::from_raw(U256::from(amount.units()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::ConditionKey;
    use alloy_primitives::B256;
    use proptest::prelude::*;

    fn sides(a: u128, b: u128) -> Sides<Amount> {
        Sides { a: Amount::new(a), b: Amount::new(b) }
    }

    fn lock(n: u32, unit_price: u128, redeemed: u32) -> Lock {
        Lock { key: ConditionKey(B256::ZERO), n, unit_price: Amount::new(unit_price), redeemed }
    }

    fn totals(transferred: u128, locked: u128) -> LaneTotals {
        LaneTotals { transferred: Amount::new(transferred), locked: Amount::new(locked) }
    }

    #[test]
    fn a_debt_is_worked_off_before_a_lock_pays() {
        // A spent 15 of its 10, on the strength of a proof of B that nobody shows; B locked 8 for A.
        let lanes = Sides { a: totals(15, 0), b: totals(0, 8) };
        let shown = Shown { deposits: sides(10, 10), withdrawn: sides(0, 0), lanes };
        let (mut balance, paid) = settle(&shown).unwrap();
        assert_eq!(paid, sides(0, 17));
        assert_eq!(balance.net, Sides { a: I256::try_from(-5).unwrap(), b: I256::ZERO });
        let mut claimed = Claimed::default();
        let paid = claim(&mut balance, &mut claimed, Side::B, &lock(8, 1, 0), 8, false).unwrap();
        assert_eq!(paid, Some(sides(3, 0)), "rule 17");
        assert_eq!(claim(&mut balance, &mut claimed, Side::B, &lock(8, 1, 0), 8, true).unwrap(), None);
    }

    proptest! {
        #[test]
        fn an_honest_tree_is_paid_out_whole(
            deposits in (0_u128..1000, 0_u128..1000),
            locks in proptest::collection::vec((1_u32..5, 1_u128..9, 0_u32..6, any::<bool>()), 0..6),
        ) {
            let worth = |n: u32, price: u128| u128::from(n) * price;
            let locked: u128 = locks.iter().map(|(n, price, _, _)| worth(*n, *price)).sum();
            prop_assume!(locked <= deposits.0);
            let shown = Shown {
                deposits: sides(deposits.0, deposits.1),
                withdrawn: sides(0, 0),
                lanes: Sides { a: totals(0, locked), b: totals(0, 0) },
            };
            let (mut balance, mut paid) = settle(&shown).unwrap();
            let mut due_b = deposits.1;
            for (n, price, proven, early) in locks {
                due_b += worth(proven.min(n), price);
                let mut claimed = Claimed::default();
                for is_expired in if early { vec![false, true] } else { vec![true] } {
                    if let Some(more) = claim(&mut balance, &mut claimed, Side::A, &lock(n, price, 0), proven, is_expired).unwrap() {
                        paid = sides(paid.a.units() + more.a.units(), paid.b.units() + more.b.units());
                    }
                }
            }
            prop_assert_eq!(paid, sides(deposits.0 + deposits.1 - due_b, due_b));
            prop_assert_eq!(balance, Balance { net: Sides { a: I256::ZERO, b: I256::ZERO }, left: Amount::ZERO });
        }
    }
}
