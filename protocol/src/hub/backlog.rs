//! How much the hub has in flight. Every lock that it forwards is a debt: the payee may show its evidence at the last
//! moment, and then the hub has the safety margin to record it on chain, if the payer does not redeem. What does not
//! fit into the blocks of that time is lost. So there is a bound, in gas, on all locks that are forwarded and not
//! redeemed.
//!
//! Fair by a dynamic threshold: nobody may hold more than a fixed part of what is still free, so that whoever sits on
//! many locks leaves room for the next one. The last quarter is for payers with few locks alone, so that it takes
//! hundreds of funded channels to fill it. `docs/hub-limits.md` has the arithmetic.

use super::{ChannelLock, Hub};
use crate::amount::Amount;
use crate::condition::{Condition, Kind};
use crate::lane::LockRef;
use crate::types::ChannelId;
use alloc::collections::{BTreeMap, BTreeSet};

/// Gas of one hash lock's evidence, recorded with others.
pub const EVIDENCE_GAS: u64 = 30_000;

/// Gas of checking a signed voucher, on top.
const VOUCHER_GAS: u64 = 10_000;

/// Gas of one step of a hash chain, on top.
const STEP_GAS: u64 = 60;

/// A payer may hold one part in so many of what is free.
const SHARE: u64 = 8;

/// One part in so many is for payers with few locks.
const KEPT: u64 = 4;

/// While there is room at all, a payer may have so many locks in flight.
const LEAST_LOCKS: u64 = 8;

/// Locks that a payer may leave unredeemed for longer than the hub is patient.
const OVERDUE_LOCKS: usize = 8;

/// What the hub may have in flight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BacklogLimits {
    /// Gas of the evidence of all locks that are forwarded and not redeemed: what gets into the blocks of the safety
    /// margin, and can be paid for.
    pub gas: u64,
    /// Gas of a block that the hub counts on.
    pub block_gas: u64,
    /// Seconds from one block to the next.
    pub block_time: u64,
    /// Locks that wait for payees who are away.
    pub held: u64,
    /// Seconds in which a payer redeems what it was shown evidence for; who takes longer is forwarded nothing more.
    pub patience: u64,
}

impl Default for BacklogLimits {
    fn default() -> Self {
        Self { gas: u64::MAX, block_gas: u64::MAX, block_time: 12, held: u64::MAX, patience: u64::MAX }
    }
}

/// Gas of recording a lock's evidence along with others, at most.
#[must_use]
pub fn evidence_gas(condition: &Condition) -> u64 {
    match condition.kind() {
        Kind::HashLock => EVIDENCE_GAS,
        Kind::HashChain => EVIDENCE_GAS
            .saturating_add(u64::from(condition.chain_length().unwrap_or_default()).saturating_mul(STEP_GAS)),
        Kind::Voucher => EVIDENCE_GAS.saturating_add(VOUCHER_GAS),
        // The hub takes final evidence from the chain only, and records none itself. [8]
        Kind::External(_) => 0,
    }
}

/// One thing of which there is only so much, and what each payer has of it.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    of: BTreeMap<ChannelLock, u64>,
    total: u64,
    by_payer: BTreeMap<ChannelId, u64>,
}

impl Shares {
    /// Whether a payer may have `more`: `least` while there is room at all, beyond that a part of what is free and not
    /// kept for others.
    fn admits(&self, payer: &ChannelId, more: u64, limit: u64, least: u64) -> bool {
        let free = limit.saturating_sub(self.total);
        let share = free.saturating_sub(limit.div_euclid(KEPT)).div_euclid(SHARE);
        let held = self.by_payer.get(payer).copied().unwrap_or_default();
        more <= free && held.saturating_add(more) <= share.max(least)
    }

    pub(crate) fn add(&mut self, lock: ChannelLock, amount: u64) {
        self.remove(&lock);
        self.of.insert(lock, amount);
        self.total = self.total.saturating_add(amount);
        let held = self.by_payer.entry(lock.0).or_default();
        *held = held.saturating_add(amount);
    }

    pub(crate) fn remove(&mut self, lock: &ChannelLock) {
        let Some(amount) = self.of.remove(lock) else { return };
        self.total = self.total.saturating_sub(amount);
        if let Some(held) = self.by_payer.get_mut(&lock.0) {
            *held = held.saturating_sub(amount);
            if *held == 0 {
                self.by_payer.remove(&lock.0);
            }
        }
    }
}

/// What the hub has in flight.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// Gas of the evidence of forwarded locks, by incoming lock.
    pending: Shares,
    /// The same locks by expiry, and the expiry of each, until it is final.
    ends: BTreeSet<(u64, ChannelLock)>,
    end_of: BTreeMap<ChannelLock, u64>,
    /// Incoming locks that wait for their payee.
    pub(crate) held: Shares,
    /// Incoming locks that the payer was shown evidence for and has not redeemed: since when, and the gas.
    revealed: BTreeMap<ChannelLock, (u64, u64)>,
    /// The same by payer, the longest unredeemed first.
    unredeemed: BTreeMap<ChannelId, BTreeSet<(u64, LockRef)>>,
    revealed_gas: u64,
}

impl Backlog {
    /// A lock's evidence is known, and the payer was asked to redeem.
    fn reveal(&mut self, lock: ChannelLock, gas: u64, now: u64) {
        if self.revealed.contains_key(&lock) {
            return;
        }
        self.revealed.insert(lock, (now, gas));
        self.unredeemed.entry(lock.0).or_default().insert((now, lock.1));
        self.revealed_gas = self.revealed_gas.saturating_add(gas);
    }

    /// After a lock's expiry nothing is recorded any more, so it takes no gas. Whether its payer is overdue stays as it is.
    fn lapse(&mut self, lock: &ChannelLock) {
        self.forget_end(lock);
        self.pending.remove(lock);
        if let Some((_, gas)) = self.revealed.get_mut(lock) {
            self.revealed_gas = self.revealed_gas.saturating_sub(core::mem::take(gas));
        }
    }

    fn forget_end(&mut self, lock: &ChannelLock) {
        if let Some(expiry) = self.end_of.remove(lock) {
            self.ends.remove(&(expiry, *lock));
        }
    }

    fn redeem(&mut self, lock: &ChannelLock) {
        let Some((since, gas)) = self.revealed.remove(lock) else { return };
        self.revealed_gas = self.revealed_gas.saturating_sub(gas);
        if let Some(locks) = self.unredeemed.get_mut(&lock.0) {
            locks.remove(&(since, lock.1));
            if locks.is_empty() {
                self.unredeemed.remove(&lock.0);
            }
        }
    }
}

impl Hub {
    /// Seconds before its expiry at which a lock's evidence goes on chain: the safety margin, and the blocks that what
    /// is revealed already takes.
    #[must_use]
    pub fn record_lead(&self) -> u64 {
        let limits = &self.config.backlog;
        let blocks = self.backlog.revealed_gas.checked_div(limits.block_gas).unwrap_or(u64::MAX);
        self.config.policy.safety_margin.saturating_add(blocks.saturating_mul(limits.block_time))
    }

    /// Gas of the evidence that all forwarded locks could need.
    #[must_use]
    pub const fn pending_gas(&self) -> u64 {
        self.backlog.pending.total
    }

    /// Whether one more lock of this payer may be forwarded.
    pub(crate) fn has_room(&self, incoming: &ChannelLock, now: u64) -> bool {
        let Some(gas) = self.gas_of(incoming) else { return true };
        let least = LEAST_LOCKS.saturating_mul(EVIDENCE_GAS);
        self.backlog.pending.admits(&incoming.0, gas, self.config.backlog.gas, least)
            && !self.is_overdue(&incoming.0, now)
    }

    /// Whether one more lock of this payer may wait for its payee.
    pub(crate) fn has_room_to_hold(&self, incoming: &ChannelLock) -> bool {
        self.backlog.held.admits(&incoming.0, 1, self.config.backlog.held, LEAST_LOCKS)
    }

    /// A lock is being forwarded.
    pub(crate) fn note_pending(&mut self, incoming: ChannelLock) {
        if let Some(gas) = self.gas_of(&incoming).filter(|gas| *gas > 0) {
            self.backlog.pending.add(incoming, gas);
            if let Some(pending) = self.incoming(&incoming) {
                self.backlog.end_of.insert(incoming, pending.expiry);
                self.backlog.ends.insert((pending.expiry, incoming));
            }
        }
    }

    /// Of locks whose expiry is final nothing can have to be recorded any more, however long their payers sleep.
    pub(crate) fn lapse_expired(&mut self) {
        let Some(time) = self.head.map(|head| head.final_timestamp) else { return };
        while let Some((expiry, lock)) = self.backlog.ends.first().copied()
            && expiry < time
        {
            self.backlog.lapse(&lock);
        }
    }

    /// A lock's payer was asked to redeem it, or has redeemed some of it.
    pub(crate) fn note_revealed(&mut self, incoming: ChannelLock, now: u64) {
        let unpaid = self.incoming(&incoming).is_some_and(|pending| {
            let channel = self.channels.get(&incoming.0).map(|entry| &entry.channel);
            let known = channel.and_then(|channel| channel.known(&pending.lock.key));
            let units = known.map_or(0, |known| known.units);
            units.min(pending.lock.n) > pending.lock.redeemed
        });
        match self.gas_of(&incoming).filter(|_| unpaid) {
            Some(gas) => self.backlog.reveal(incoming, gas, now),
            None => self.backlog.redeem(&incoming),
        }
    }

    /// Nothing of a lock can have to be recorded any more.
    pub(crate) fn note_ended(&mut self, incoming: &ChannelLock) {
        self.backlog.forget_end(incoming);
        self.backlog.pending.remove(incoming);
        self.backlog.redeem(incoming);
    }

    /// Whether a payer has left much unredeemed, in number or value, for longer than the hub is patient.
    fn is_overdue(&self, payer: &ChannelId, now: u64) -> bool {
        let Some(locks) = self.backlog.unredeemed.get(payer) else { return false };
        let late = |(since, _): &&(u64, LockRef)| since.saturating_add(self.config.backlog.patience) < now;
        let mut values: BTreeMap<_, Amount> = BTreeMap::new();
        for (count, (_, lock)) in locks.iter().take_while(late).enumerate() {
            let asset = lock.lane.asset;
            let value = self.incoming(&(*payer, *lock)).and_then(|pending| pending.lock.value().ok());
            let sum = values.entry(asset).or_default();
            *sum = sum.plus(value.unwrap_or_default()).unwrap_or(Amount::MAX);
            let most = self.config.assets.get(&asset).map_or(Amount::ZERO, |limits| limits.max_payment);
            if count >= OVERDUE_LOCKS || *sum > most {
                return true;
            }
        }
        false
    }

    /// What recording the evidence of a lock takes; nothing is recorded for dust, and none is taken after the expiry.
    fn gas_of(&self, incoming: &ChannelLock) -> Option<u64> {
        let pending = self.incoming(incoming)?;
        let dust = self.config.policy.dust.get(&incoming.1.lane.asset);
        let worth = dust.is_none_or(|dust| pending.lock.value().is_ok_and(|value| value >= dust.threshold));
        let lapsed = self.head.is_some_and(|head| pending.expiry < head.final_timestamp);
        worth.then(|| if lapsed { 0 } else { evidence_gas(&pending.condition) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::LaneId;
    use crate::types::{ETH, Side};
    use alloy_primitives::B256;

    fn lock(payer: u8, placed: u64) -> ChannelLock {
        let lane = LaneId { asset: ETH, payer: Side::A };
        (ChannelId(B256::repeat_byte(payer)), LockRef { lane, placed, slot: 0 })
    }

    #[test]
    fn one_payer_gets_a_twelfth_and_the_next_one_finds_room() {
        let mut shares = Shares::default();
        let mut fill = |payer: u8| {
            let mut count = 0;
            while shares.admits(&lock(payer, 0).0, 1, 9_000, 8) {
                count += 1;
                shares.add(lock(payer, count), 1);
            }
            count
        };
        assert_eq!((fill(1), fill(2)), (750, 666));
        for payer in 3..=200 {
            assert!(fill(payer) >= 8, "{payer}");
        }
        assert!(fill(201) >= 8);
        for placed in 1..=750 {
            shares.remove(&lock(1, placed));
        }
        assert!(shares.admits(&lock(202, 0).0, 8, 9_000, 8));
        assert_eq!(shares.by_payer.get(&lock(1, 0).0), None);
    }

    #[test]
    fn what_is_added_twice_counts_once_and_the_end_is_the_end() {
        let mut shares = Shares::default();
        shares.add(lock(1, 1), 5);
        shares.add(lock(1, 1), 5);
        shares.add(lock(2, 1), 7);
        shares.remove(&lock(1, 1));
        shares.remove(&lock(1, 1));
        assert_eq!(shares.total, 7);
        assert!(!shares.admits(&lock(3, 0).0, 4, 10, 8), "there are three left");
        assert!(shares.admits(&lock(3, 0).0, 3, 10, 8));
    }

    #[test]
    fn long_chains_weigh_what_they_cost() {
        assert_eq!(evidence_gas(&Condition::hash_lock([1; 32])), 30_000);
        assert!(evidence_gas(&Condition::hash_chain(B256::ZERO, 1 << 14)) > 858_526);
        assert_eq!(evidence_gas(&Condition { address: ETH, params: [].into() }), 0);
    }
}
