//! Lanes at the proofs that their asset was settled by, as far as we can rebuild them: what is claimed of their locks,
//! and what has become of everything else that was signed.

use crate::amount::Amount;
use crate::chain::{AssetStatus, ChainCall, LockClaim, Purpose};
use crate::channel::call_id::Item;
use crate::channel::evidence::sum;
use crate::channel::ledger::Ledger;
use crate::channel::outbox::Outbox;
use crate::channel::outgoing::refused_ops;
use crate::channel::{Event, OpRef};
use crate::condition::ConditionKey;
use crate::gas;
use crate::lane::{Lane, LockRef, Op, PendingLock};
use crate::map::Map;
use crate::proof::LaneId;
use crate::types::Asset;
use alloc::vec::Vec;
use core::cmp::Reverse;

/// The content of settled lanes.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    lanes: Map<LaneId, Lane>,
}

impl Settled {
    /// The content of both lanes at the proofs that their asset was settled by. Our own lane may have been settled by
    /// an older proof of ours; of the peer's lane the contract takes none that is newer than ours, and we show that.
    pub(crate) fn of(ledger: &Ledger) -> Self {
        let mut lanes = Map::new();
        for (asset, book) in &ledger.state().assets {
            let Some(shown) = book.shown.filter(|_| book.status == AssetStatus::Settled) else { continue };
            if let Some(lane) = book.out.lane_at(*shown.of(ledger.us())) {
                lanes.insert(ledger.our_lane(*asset), lane);
            }
            if book.inc.accepted_nonce() == *shown.of(ledger.us().other()) {
                lanes.insert(ledger.their_lane(*asset), book.inc.lane.clone());
            }
        }
        Self { lanes }
    }

    /// Whether no lock is left in them.
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.values().all(|lane| lane.locks.is_empty())
    }

    pub(crate) fn locks(&self) -> impl Iterator<Item = (LaneId, u16)> + '_ {
        self.lanes.iter().flat_map(|(lane, content)| content.locks.keys().map(|slot| (*lane, *slot)))
    }

    pub(crate) fn lock(&self, lane: &LaneId, slot: u16) -> Option<&PendingLock> {
        self.lanes.get(lane)?.locks.get(&slot)
    }

    /// Keys of the locks in them, with their expiries.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (ConditionKey, u64)> + '_ {
        let pending = self.lanes.values().flat_map(|lane| lane.locks.values());
        pending.map(|pending| (pending.lock.key, pending.expiry))
    }

    pub(crate) fn has_key(&self, key: &ConditionKey) -> bool {
        self.lanes.values().any(|lane| lane.slots_of(key).next().is_some())
    }

    /// Of our lane, what the proof that was shown handed over is paid, what it locks is still locked, and the rest is
    /// ours. It may be a proof that the peer had refused. `None`: we can't rebuild it.
    pub(crate) fn unshown(&self, ledger: &Ledger, asset: Asset, shown: u64) -> Option<Vec<Event>> {
        let lane = ledger.our_lane(asset);
        let (settled, book) = (self.lanes.get(&lane)?, ledger.book(asset)?);
        let path = book.out.refused_path(shown);
        let name = |placed: u64, slot: u16| LockRef { lane, placed, slot };
        let holds = |lock: &LockRef| settled.locks.get(&lock.slot).is_some_and(|pending| pending.placed == lock.placed);
        let redeemed = |lock: &LockRef| {
            let mut taken =
                path.iter().filter(|update| update.proof.nonce >= lock.placed).flat_map(|update| &update.ops);
            taken.any(|op| matches!(op, Op::Redeem { slot, .. } if *slot == lock.slot))
        };
        let end = |lock: LockRef, otherwise: Event| match lock {
            lock if holds(&lock) => None,
            lock if redeemed(&lock) => {
                Some(Event::Redeemed { lock, units: u32::MAX, amount: Amount::ZERO, done: true })
            }
            _ => Some(otherwise),
        };
        let mut ended = Vec::new();
        for (slot, pending) in &book.out.lane.locks {
            let lock = name(pending.placed, *slot);
            ended.extend(end(lock, Event::ReleaseFinal { lock }));
        }
        for refused in &book.out.refused {
            let otherwise = refused.end_event(lane);
            match refused.lock {
                Some(old) => ended.extend(end(name(old.placed, old.slot), otherwise)),
                None if path.iter().any(|update| update.proof.nonce == refused.nonce) => {
                    let op = OpRef { lane, nonce: refused.nonce, index: refused.index };
                    ended.push(Event::Paid { op });
                }
                None => ended.push(otherwise),
            }
        }
        let flying = || book.out.in_flight.iter().map(|flight| &flight.update);
        let unshown = flying().filter(|update| update.proof.nonce > shown);
        ended.extend(unshown.flat_map(|update| refused_ops(update, shown)).map(|op| op.end_event(lane)));
        Some(ended)
    }

    /// Claims what is ours: units of incoming locks as soon as their evidence is final, the rest of outgoing ones as
    /// soon as their expiry is. What brings most first.
    pub(crate) fn claim(&self, ledger: &Ledger, outbox: &mut Outbox) {
        for (lane, content) in &self.lanes {
            let lane = *lane;
            let item = |slot: u16, units: u32| Item::Claim { lane, slot, units };
            let claims = content.locks.iter().map(|(slot, pending)| (*slot, claim_of(ledger, lane, *slot, pending)));
            let due = claims.filter(|(slot, claim)| claim.is_due && !outbox.calls().hold(&item(*slot, claim.units)));
            let mut due: Vec<(u16, Claim)> = due.collect();
            if due.is_empty() {
                continue;
            }
            due.sort_by_key(|(_, claim)| Reverse(claim.brings));
            // A copy: branches are read from a tree that caches its nodes.
            let mut content = content.clone();
            for batch in due.chunks(gas::MAX_CLAIMS) {
                let items = batch.iter().map(|(slot, claim)| item(*slot, claim.units)).collect();
                let amount = sum(batch.iter().map(|(_, claim)| claim.brings));
                let mut claims = Vec::with_capacity(batch.len());
                for (slot, _) in batch {
                    let Some(lock) = content.locks.get(slot).cloned() else { continue };
                    claims.push(LockClaim { slot: *slot, lock, siblings: content.siblings(*slot) });
                }
                let call = ChainCall::ClaimLocks { channel: *ledger.def(), lane, claims };
                outbox.ask_about(ledger.id(), items, call, Purpose::Collect { asset: lane.asset, amount });
            }
        }
    }

    /// How many locks still hold, or may hold, money of ours, and when the last of them expires.
    pub(crate) fn open_locks(&self, ledger: &Ledger) -> (u32, u64) {
        let locks = self.lanes.iter().flat_map(|(lane, content)| {
            let open = |(slot, pending): &(&u16, &PendingLock)| claim_of(ledger, *lane, **slot, pending).is_open;
            content.locks.iter().filter(open).map(|(_, pending)| pending.expiry)
        });
        locks.fold((0, 0), |(count, until), expiry| (count.saturating_add(1), expiry.max(until)))
    }
}

fn claim_of(ledger: &Ledger, lane: LaneId, slot: u16, pending: &PendingLock) -> Claim {
    let claimed = ledger.book(lane.asset).and_then(|book| book.claimed.get(&(lane.payer, slot))).copied();
    let claimed = claimed.unwrap_or_default();
    let known = ledger.known(&pending.lock.key);
    let left = |units: u32| units.min(pending.lock.n).saturating_sub(pending.lock.redeemed);
    let recorded = left(known.map_or(0, |known| known.on_chain));
    let all = left(pending.lock.n);
    let decided = ledger.is_decided(pending.lock.key, pending.expiry);
    let least = |units: u32| ledger.policy().least(lane.asset, &pending.condition, units);
    if lane.payer == ledger.us() {
        let rest = all > recorded && !claimed.returned && pending.lock.provable(pending.lock.n) >= least(0);
        let brings = pending.lock.unit_price.times(all.saturating_sub(recorded)).unwrap_or(Amount::MAX);
        // What was paid to the payee is told by its claim; until the expiry the rest may still go to it.
        return Claim { units: all, brings, is_due: rest && decided, is_open: rest };
    }
    let unclaimed = recorded.saturating_sub(claimed.units);
    let brings = pending.lock.unit_price.times(unclaimed).unwrap_or(Amount::MAX);
    let is_due = unclaimed > 0 && brings >= least(0);
    // As long as evidence may still be recorded, by us if it is worth it.
    let units = known.map_or(0, |known| known.units);
    let provable = pending.lock.provable(units);
    let is_open = !decided && left(units) > claimed.units && provable >= least(units);
    Claim { units: recorded, brings, is_due, is_open: is_due || is_open }
}

/// What can be had of a lock after settlement.
#[derive(Clone, Copy, Debug, Default)]
struct Claim {
    /// Units that the claim is about.
    units: u32,
    /// What it brings.
    brings: Amount,
    /// Whether the contract pays it now.
    is_due: bool,
    /// Whether it holds, or may hold, money of ours.
    is_open: bool,
}
