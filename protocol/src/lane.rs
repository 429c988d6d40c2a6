//! The content of one lane, and the four ops that change it. Both sides keep a copy
//! and must arrive at the same signed proof.

use crate::abi;
use crate::amount::Amount;
use crate::codec::{Decode, Encode, Reader, stored};
use crate::condition::{Condition, ConditionKey};
use crate::error::{Code, Error};
use crate::json::bridge::as_serde;
use crate::json::wire;
use crate::map::{Map, Set};
use crate::proof::{LaneId, Proof, SignedProof};
use crate::sign::Signature;
use crate::tree::{DEPTH, LockTree};
use alloc::string::String;
use alloc::vec::Vec;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use alloy_sol_types::SolValue;

/// The longest memo, in bytes.
pub const MAX_MEMO: usize = 256;
/// The longest envelope, in bytes.
pub const MAX_ENVELOPE: usize = 1024;
/// The longest parameters or evidence, in bytes.
pub const MAX_CONDITION_BYTES: usize = 1024;

/// What a leaf of the lock tree commits to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lock {
    /// Of the condition, its parameters and the expiry.
    pub key: ConditionKey,
    /// Units locked at first.
    pub n: u32,
    /// Price of one unit.
    pub unit_price: Amount,
    /// Units handed over so far.
    pub redeemed: u32,
}

wire!(struct Lock { key, n, unit_price = "unitPrice", redeemed });
stored!(struct Lock { key, n, unit_price, redeemed });

impl Lock {
    /// What is still locked: `(n - redeemed) * unitPrice`.
    pub fn value(&self) -> Result<Amount, Error> {
        let units = self.n.checked_sub(self.redeemed).ok_or_else(|| Error::from(Code::BadOp))?;
        self.unit_price.times(units)
    }

    /// What evidence that proves `units` brings beyond what was redeemed.
    #[must_use]
    pub fn provable(&self, units: u32) -> Amount {
        self.provable_above(0, units)
    }

    /// The same, where so many units are `proved` by other means.
    #[must_use]
    pub fn provable_above(&self, proved: u32, units: u32) -> Amount {
        // A lock whose worth does not fit an amount is refused before it gets here.
        self.unit_price.times(units.min(self.n).saturating_sub(self.redeemed.max(proved))).unwrap_or(Amount::MAX)
    }

    /// `keccak256(abi.encode(key, n, unitPrice, redeemed))`.
    #[must_use]
    pub fn leaf(&self) -> B256 {
        keccak256((self.key.0, self.n, self.unit_price.units(), self.redeemed).abi_encode())
    }

    /// As the contract takes it.
    #[must_use]
    pub fn to_abi(&self) -> abi::Lock {
        abi::Lock { key: self.key.0, n: self.n, unitPrice: self.unit_price.units(), redeemed: self.redeemed }
    }
}

/// A lock and what explains it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PendingLock {
    /// The leaf.
    pub lock: Lock,
    /// What its key stands for.
    pub condition: Condition,
    /// Unix seconds; evidence counts while `block.timestamp <= expiry`.
    pub expiry: u64,
    /// Whom the hub shall pay, on the first hop.
    pub to: Option<Address>,
    /// For the payee's eyes only.
    pub envelope: Bytes,
    /// Nonce of the proof that placed it: with the slot it names the lock for ever.
    pub placed: u64,
}

stored!(struct PendingLock { lock, condition, expiry, to, envelope, placed });

/// One step from one proof to the next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    /// Hands over `amount` for good.
    Transfer {
        /// More than zero.
        amount: Amount,
        /// Free text for the payee.
        memo: String,
    },
    /// Locks `n * unitPrice` until the condition is met or the expiry has passed.
    Lock {
        /// An empty slot of the tree.
        slot: u16,
        /// What must be met.
        condition: Condition,
        /// Unix seconds.
        expiry: u64,
        /// Units, more than zero.
        n: u32,
        /// Price of a unit, more than zero.
        unit_price: Amount,
        /// Whom the hub shall pay, on the first hop.
        to: Option<Address>,
        /// For the payee's eyes only.
        envelope: Bytes,
    },
    /// Hands over units of a lock, up to `units` in all.
    Redeem {
        /// Of the lock.
        slot: u16,
        /// Only rises.
        units: u32,
    },
    /// Removes a lock; what is left returns to the payer.
    Release {
        /// Of the lock.
        slot: u16,
    },
}

wire!(enum Op by key else Self::Release { slot: 0 }, {
    "transfer" => Transfer { amount, memo },
    "lock" => Lock { slot, condition, expiry, n, unit_price = "unitPrice", to, envelope: optional },
    "redeem" => Redeem { slot, units },
    "release" => Release { slot },
});
stored!(enum Op {
    0 => Transfer { amount, memo },
    1 => Lock { slot, condition, expiry, n, unit_price, to, envelope },
    2 => Redeem { slot, units },
    3 => Release { slot },
});

impl Op {
    /// About how many bytes it takes in JSON; never too few.
    #[must_use]
    pub fn wire_size(&self) -> usize {
        let bytes = match self {
            Self::Transfer { memo, .. } => memo.len().saturating_mul(6),
            Self::Lock { condition, envelope, .. } => {
                condition.params.len().saturating_add(envelope.len()).saturating_mul(2).saturating_add(200)
            }
            Self::Redeem { .. } | Self::Release { .. } => 0,
        };
        bytes.saturating_add(120)
    }
}

/// A signed change of a lane: ops that lead from the accepted proof `base` to `proof`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Update {
    /// Nonce of the proof that the ops start from; 0 is the empty lane.
    pub base: u64,
    /// Explains how `proof` follows.
    pub ops: Vec<Op>,
    /// The new statement.
    pub proof: Proof,
    /// By the payer's signer.
    pub signature: Signature,
}

wire!(struct Update { base, ops, proof, signature });
stored!(struct Update { base, ops, proof, signature });

impl Update {
    /// Its signed proof.
    #[must_use]
    pub const fn signed_proof(&self) -> SignedProof {
        SignedProof { proof: self.proof, signature: self.signature }
    }
}

/// A lane's content at one proof.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    /// All that was ever handed over.
    pub transferred: Amount,
    /// What the pending locks are worth.
    pub locked: Amount,
    /// By slot.
    pub locks: Map<u16, PendingLock>,
    by_key: Map<ConditionKey, Set<u16>>,
    tree: LockTree,
}

/// The tree follows from the locks.
impl Encode for Lane {
    fn put(&self, out: &mut Vec<u8>) {
        self.transferred.put(out);
        self.locked.put(out);
        self.locks.put(out);
    }
}

impl Decode for Lane {
    fn get(input: &mut Reader<'_>) -> Self {
        let (transferred, locked) = Decode::get(input);
        Self::from_parts(transferred, locked, Decode::get(input))
    }
}

impl Undo {
    /// Adds a later step, so that both are taken back together.
    pub(crate) fn append(&mut self, later: Self) {
        self.slots.extend(later.slots);
    }

    /// How many slots it touches.
    pub(crate) const fn touched(&self) -> usize {
        self.slots.len()
    }

    /// The locks as they were before.
    pub(crate) fn locks(&self) -> impl Iterator<Item = &PendingLock> {
        self.slots.iter().filter_map(|(_, before)| before.as_ref())
    }

    /// For each redemption among the ops: the slot, the lock before it, and the units after it.
    pub(crate) fn redemptions(&self, ops: &[Op]) -> Vec<(u16, PendingLock, u32)> {
        self.of_slots(ops)
            .filter_map(|(_, slot, before, op)| match op {
                Op::Redeem { units, .. } => Some((slot, before, *units)),
                Op::Transfer { .. } | Op::Lock { .. } | Op::Release { .. } => None,
            })
            .collect()
    }

    /// For each release among the ops: its place, the slot, and the lock before it.
    pub(crate) fn releases(&self, ops: &[Op]) -> Vec<(u32, u16, PendingLock)> {
        self.of_slots(ops)
            .filter_map(|(index, slot, before, op)| match op {
                Op::Release { .. } => Some((index, slot, before)),
                Op::Transfer { .. } | Op::Lock { .. } | Op::Redeem { .. } => None,
            })
            .collect()
    }

    /// Every op but a transfer touches one slot, in order.
    fn of_slots<'a>(&'a self, ops: &'a [Op]) -> impl Iterator<Item = (u32, u16, PendingLock, &'a Op)> {
        let touching = (0_u32..).zip(ops).filter(|(_, op)| !matches!(op, Op::Transfer { .. }));
        self.slots
            .iter()
            .zip(touching)
            .filter_map(|((slot, before), (index, op))| Some((index, *slot, before.clone()?, op)))
    }
}

/// How to take an applied update back: the totals before it and each slot's content before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Undo {
    transferred: Amount,
    locked: Amount,
    slots: Vec<(u16, Option<PendingLock>)>,
}

stored!(struct Undo { transferred, locked, slots });

impl Lane {
    /// A lane with this content, as it was stored.
    #[must_use]
    pub fn from_parts(transferred: Amount, locked: Amount, locks: Map<u16, PendingLock>) -> Self {
        let mut lane = Self { transferred, locked, ..Self::default() };
        for (slot, pending) in locks {
            lane.place(slot, Some(pending));
        }
        lane
    }

    /// The slots of the locks with a key.
    pub fn slots_of(&self, key: &ConditionKey) -> impl Iterator<Item = u16> + '_ {
        self.by_key.get(key).into_iter().flatten().copied()
    }

    /// Root of the lock tree.
    pub fn root(&mut self) -> B256 {
        self.tree.root()
    }

    /// The branch of a slot, as `claimLock` takes it.
    pub fn siblings(&mut self, slot: u16) -> [B256; DEPTH] {
        self.tree.siblings(slot)
    }

    /// All that the payee could end up with: `transferred + locked`.
    pub fn spent(&self) -> Result<Amount, Error> {
        self.transferred.plus(self.locked)
    }

    /// The statement of this content.
    pub fn statement(&mut self, nonce: u64, seen: u64) -> Proof {
        Proof { nonce, transferred: self.transferred, locked: self.locked, locks_root: self.root(), seen }
    }

    /// The first slot from `start` on, going round, that is neither taken nor `reserved`.
    pub fn free_slot(&self, start: u16, reserved: impl Fn(u16) -> bool) -> Option<u16> {
        let free = |slot: &u16| !self.locks.contains_key(slot) && !reserved(*slot);
        (0..=u16::MAX).map(|step| start.wrapping_add(step)).find(free)
    }

    /// Applies the ops of the proof `nonce`, or changes nothing.
    pub fn apply(&mut self, nonce: u64, ops: &[Op]) -> Result<Undo, Error> {
        let mut undo = Undo { transferred: self.transferred, locked: self.locked, slots: Vec::new() };
        for op in ops {
            if let Err(error) = self.apply_op(nonce, op, &mut undo) {
                self.undo(undo);
                return Err(error);
            }
        }
        Ok(undo)
    }

    /// The undo of an update without ops.
    #[must_use]
    pub(crate) fn nothing_to_undo(&self) -> Undo {
        Undo { transferred: self.transferred, locked: self.locked, slots: Vec::new() }
    }

    /// Takes an update back. Updates are taken back in the reverse of the order they were applied in.
    pub fn undo(&mut self, undo: Undo) {
        self.transferred = undo.transferred;
        self.locked = undo.locked;
        for (slot, before) in undo.slots.into_iter().rev() {
            self.place(slot, before);
        }
    }

    fn apply_op(&mut self, nonce: u64, op: &Op, undo: &mut Undo) -> Result<(), Error> {
        let bad = |what: &'static str| Error::new(Code::BadOp, what);
        match op {
            Op::Transfer { amount, memo } => {
                if amount.is_zero() || memo.len() > MAX_MEMO {
                    return Err(bad("a transfer is of more than zero, with a memo of at most 256 bytes"));
                }
                let transferred = self.transferred.plus(*amount)?;
                transferred.plus(self.locked)?;
                self.transferred = transferred;
            }
            Op::Lock { slot, condition, expiry, n, unit_price, to, envelope } => {
                if self.locks.contains_key(slot) {
                    return Err(Code::SlotTaken.into());
                }
                if *n == 0 || unit_price.is_zero() {
                    return Err(bad("a lock is of more than zero units of more than zero"));
                }
                if envelope.len() > MAX_ENVELOPE || condition.params.len() > MAX_CONDITION_BYTES {
                    return Err(bad("params and envelope have at most 1024 bytes each"));
                }
                let lock = Lock { key: condition.key(*expiry), n: *n, unit_price: *unit_price, redeemed: 0 };
                let locked = self.locked.plus(lock.value()?)?;
                self.transferred.plus(locked)?;
                self.locked = locked;
                undo.slots.push((*slot, None));
                let pending = PendingLock {
                    lock,
                    condition: condition.clone(),
                    expiry: *expiry,
                    to: *to,
                    envelope: envelope.clone(),
                    placed: nonce,
                };
                self.place(*slot, Some(pending));
            }
            Op::Redeem { slot, units } => {
                let before = self.locks.get(slot).ok_or_else(|| bad("the slot is empty"))?;
                let step = units
                    .checked_sub(before.lock.redeemed)
                    .filter(|step| *step > 0 && *units <= before.lock.n)
                    .ok_or_else(|| bad("redeemed units rise, to at most n"))?;
                let value = before.lock.unit_price.times(step)?;
                let locked = self.locked.minus(value)?;
                let transferred = self.transferred.plus(value)?;
                let mut after = before.clone();
                undo.slots.push((*slot, Some(before.clone())));
                after.lock.redeemed = *units;
                self.locked = locked;
                self.transferred = transferred;
                self.place(*slot, (after.lock.redeemed < after.lock.n).then_some(after));
            }
            Op::Release { slot } => {
                let before = self.locks.get(slot).ok_or_else(|| bad("the slot is empty"))?;
                let locked = self.locked.minus(before.lock.value()?)?;
                undo.slots.push((*slot, Some(before.clone())));
                self.locked = locked;
                self.place(*slot, None);
            }
        }
        Ok(())
    }

    fn place(&mut self, slot: u16, pending: Option<PendingLock>) {
        if let Some(before) = self.locks.remove(&slot)
            && let Some(slots) = self.by_key.get_mut(&before.lock.key)
        {
            slots.remove(&slot);
            if slots.is_empty() {
                self.by_key.remove(&before.lock.key);
            }
        }
        self.tree.set(slot, pending.as_ref().map_or(B256::ZERO, |pending| pending.lock.leaf()));
        if let Some(pending) = pending {
            self.by_key.or_default(pending.lock.key).insert(slot);
            self.locks.insert(slot, pending);
        }
    }
}

/// Names a lock for ever: never looked up by its key, since one key may stand in many lanes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LockRef {
    /// The lane it stands in.
    pub lane: LaneId,
    /// Nonce of the proof that placed it.
    pub placed: u64,
    /// Its slot.
    pub slot: u16,
}

wire!(struct LockRef { lane, placed, slot });
stored!(struct LockRef { lane, placed, slot });

as_serde!(Lock, Op, Update, LockRef);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::sha256;
    use proptest::prelude::*;

    fn arbitrary_op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0_u128..50).prop_map(|amount| Op::Transfer { amount: Amount::new(amount), memo: String::new() }),
            (0_u16..6, 0_u32..4, 0_u128..9).prop_map(|(slot, n, price)| Op::Lock {
                slot,
                condition: Condition::hash_lock(sha256(&[slot as u8])),
                expiry: 10,
                n,
                unit_price: Amount::new(price),
                to: None,
                envelope: Bytes::new(),
            }),
            (0_u16..6, 0_u32..5).prop_map(|(slot, units)| Op::Redeem { slot, units }),
            (0_u16..6).prop_map(|slot| Op::Release { slot }),
        ]
    }

    proptest! {
        #[test]
        fn a_refused_or_undone_update_leaves_no_trace(updates in proptest::collection::vec(proptest::collection::vec(arbitrary_op(), 1..5), 1..12)) {
            let mut lane = Lane::default();
            for (nonce, ops) in (1_u64..).zip(updates) {
                let before = (lane.transferred, lane.locked, lane.locks.clone(), lane.root());
                let undo = lane.apply(nonce, &ops);
                if let Ok(undo) = &undo {
                    let sum: u128 = lane.locks.values().map(|pending| pending.lock.value().unwrap().units()).sum();
                    prop_assert_eq!(lane.locked.units(), sum);
                    prop_assert!(lane.transferred >= before.0);
                    let mut again = Lane::from_parts(lane.transferred, lane.locked, lane.locks.clone());
                    prop_assert_eq!(again.root(), lane.root());
                    let mut copy = lane.clone();
                    copy.undo(undo.clone());
                    prop_assert_eq!((copy.transferred, copy.locked, copy.locks.clone(), copy.root()), before);
                } else {
                    prop_assert_eq!((lane.transferred, lane.locked, lane.locks.clone(), lane.root()), before);
                }
            }
        }
    }
}
