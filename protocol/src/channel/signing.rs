//! What waits for our signature, and what a signature takes: redemptions and releases that are due first, then queued
//! ops, as many as fit.

use super::Event;
use super::ledger::{Batch, Ledger};
use super::link::Link;
use super::outbox::Outbox;
use super::outgoing::Outgoing;
use super::queue::{Queue, Queued, cost};
use crate::amount::Amount;
use crate::condition::{ConditionKey, Kind};
use crate::error::Code;
use crate::lane::{LockRef, Op};
use crate::map::{Map, Set};
use crate::reason::Reason;
use crate::types::Asset;
use alloc::vec::Vec;

/// Refusals in a row after which a wrong base is no longer taken for an overtaken message.
const MAX_OVERTAKEN: u32 = 16;

/// How often an acknowledgement is asked for again on one connection: a peer that gives none could make us sign for ever.
const MAX_ASKED: u32 = 16;

/// Seconds after which a lane is tried again whose payee refuses what is due; twice as many each time, up to the most.
const PAUSE: u64 = 12;
const LONGEST_PAUSE: u64 = 3 * 3_600;

/// A lane whose payee refuses what is due. A payee that does not see the chain for hours is no foe, and each refusal is
/// one that we have to remember until it acknowledges something.
#[derive(Clone, Copy, Debug, Default)]
struct Pause {
    /// Refusals since the payee last accepted something.
    refusals: u32,
    /// Whether there was no block since the last one.
    is_new: bool,
    /// Until when nothing is signed of its own accord, Unix seconds.
    until: u64,
}

impl Pause {
    fn again(self, now: u64) -> Self {
        let length = PAUSE.saturating_mul(1_u64.checked_shl(self.refusals).unwrap_or(u64::MAX)).min(LONGEST_PAUSE);
        // The first time, the next block may change the payee's mind.
        let length = if self.refusals == 0 { 0 } else { length };
        Self { refusals: self.refusals.saturating_add(1), is_new: true, until: now.saturating_add(length) }
    }
}

/// What waits for our signature.
#[derive(Debug, Default)]
pub(crate) struct Signing {
    queue: Queue,
    /// Queued ops are not signed for now; what is due is.
    holding: bool,
    /// Locks of ours that the payee gave up, waiting for their release to be signed.
    agreed: Set<LockRef>,
    /// Releases that the peer refused; tried again with the next block.
    deferred: Set<LockRef>,
    /// Assets on which the peer refuses even a proof without ops.
    paused: Map<Asset, Pause>,
    /// Refusals since the peer last accepted something.
    refusals: u32,
    /// Assets of which an acknowledgement was asked for again since the last block, and how often on this connection
    /// without getting one.
    asked: Map<Asset, (bool, u32)>,
}

impl Signing {
    pub(crate) fn push(&mut self, asset: Asset, op: Op, ticket: u64) {
        self.queue.push(asset, Queued { op, ticket });
    }

    /// Takes a queued op back. `false`: it is signed, or not known.
    pub(crate) fn remove(&mut self, ticket: u64) -> bool {
        self.queue.remove(ticket)
    }

    pub(crate) const fn hold(&mut self, holding: bool) {
        self.holding = holding;
    }

    /// What waits will never be signed.
    pub(crate) fn drop_queue(&mut self, outbox: &mut Outbox) {
        let assets: Vec<Asset> = self.queue.assets().collect();
        for asset in assets {
            while let Some(queued) = self.queue.pop(asset) {
                outbox.emit(Event::Dropped { ticket: queued.ticket, error: Code::ChannelExiting.into() });
            }
        }
    }

    pub(crate) const fn queue(&self) -> &Queue {
        &self.queue
    }

    /// What the queued ops may cost.
    pub(crate) fn cost(&self, asset: Asset) -> Amount {
        self.queue.cost(asset)
    }

    pub(crate) fn has_key(&self, key: &ConditionKey) -> bool {
        self.queue.has_key(key)
    }

    /// Whether nothing waits, nor is to be tried again.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.queue.assets().next().is_none()
            && self.agreed.is_empty()
            && self.deferred.is_empty()
            && self.paused.is_empty()
    }

    /// The payee gave a lock of ours up. `false`: it had done so before.
    pub(crate) fn agree(&mut self, lock: LockRef) -> bool {
        self.agreed.insert(lock)
    }

    pub(crate) fn released(&mut self, lock: &LockRef) {
        self.agreed.remove(lock);
    }

    /// The peer accepted something, and acknowledged it or not.
    pub(crate) fn accepted(&mut self, asset: Asset, acknowledged: bool) {
        self.refusals = 0;
        self.paused.remove(&asset);
        if let Some((_, count)) = self.asked.get_mut(&asset).filter(|_| acknowledged) {
            *count = 0;
        }
    }

    /// The peer refused an update with these releases, for this reason; `pays` if it was about more than what is due.
    /// Whatever comes next must differ from what was refused, or both sides would go round in circles.
    pub(crate) fn refused(&mut self, asset: Asset, code: &Reason, releases: Vec<LockRef>, pays: bool, now: u64) {
        // A wrong base is set right by the next proof: after a reconnect, new updates may overtake repeated ones.
        self.refusals = self.refusals.saturating_add(1);
        let wrong_base = [Code::UnknownBase, Code::BadNonce].iter().any(|known| code == known);
        let overtaken = wrong_base && self.refusals < MAX_OVERTAKEN;
        if !overtaken && releases.is_empty() && !pays {
            let pause = self.paused.or_default(asset);
            *pause = pause.again(now);
        }
        self.agreed.extend(releases.iter().copied());
        self.deferred.extend(releases);
    }

    /// What was refused may be accepted now: there is a new block.
    pub(crate) fn try_again(&mut self) {
        self.deferred = Set::new();
        for pause in self.paused.values_mut() {
            pause.is_new = false;
        }
        for (asked, _) in self.asked.values_mut() {
            *asked = false;
        }
    }

    /// The peer is back.
    pub(crate) fn connected(&mut self, ledger: &Ledger) {
        self.try_again();
        // Who comes back again and again to refuse waits all the same.
        let strained = |asset: &Asset| ledger.book(*asset).is_some_and(|book| book.out.history.is_strained());
        self.paused.retain(|asset, _| strained(asset));
        self.asked = Map::new();
    }

    /// Whether a proof is signed only to be acknowledged.
    fn asks_again(&mut self, ledger: &Ledger, asset: Asset) -> bool {
        let owed = |out: &Outgoing| out.is_owed_acknowledgement() && !out.is_asking() && out.history.may_ask();
        if !ledger.book(asset).is_some_and(|book| owed(&book.out)) {
            return false;
        }
        let (asked, count) = self.asked.or_default(asset);
        let again = !*asked && *count < MAX_ASKED;
        if again {
            (*asked, *count) = (true, count.saturating_add(1));
        }
        again
    }

    /// Takes what the next signature of an asset is about, with at most `budget` for what is queued; `None` if there is
    /// nothing to sign. `true` beside it: so that it is acknowledged, whatever it is about.
    pub(crate) fn take_batch(
        &mut self,
        ledger: &Ledger,
        outbox: &mut Outbox,
        asset: Asset,
        mut budget: Amount,
        link: &Link,
        now: u64,
    ) -> Option<(Batch, bool)> {
        let pause = self.paused.get(&asset).copied().unwrap_or_default();
        let pays = !self.holding && !self.queue.is_empty(asset);
        if pause.is_new || (now < pause.until && !pays) || !ledger.may_sign(asset) {
            return None;
        }
        let mut batch: Batch = Vec::new();
        let mut size = 0_usize;
        let limit = ledger.policy().max_update_bytes;
        for op in self.due_ops(ledger, asset, link.has_heard(now)) {
            if size >= limit {
                break;
            }
            size = size.saturating_add(op.wire_size());
            batch.push((op, None));
        }
        let fresh = ledger.check_fresh(now);
        while let Some(queued) = self.queue.front(asset).filter(|_| !self.holding) {
            let bytes = queued.op.wire_size();
            if size.saturating_add(bytes) > limit && !batch.is_empty() {
                break;
            }
            let Some(queued) = self.queue.pop(asset) else { break };
            let affordable = fresh
                .clone()
                .and_then(|()| ledger.check_unproven(&queued.op))
                .and_then(|()| budget.minus(cost(&queued.op)));
            budget = match affordable {
                Ok(rest) => rest,
                Err(error) => {
                    outbox.emit(Event::Dropped { ticket: queued.ticket, error });
                    continue;
                }
            };
            size = size.saturating_add(bytes);
            batch.push((queued.op, Some(queued.ticket)));
        }
        let rebase = ledger.book(asset).is_some_and(|book| book.out.rebase);
        let again = fresh.is_ok() && link.is_synced() && self.asks_again(ledger, asset);
        (!batch.is_empty() || rebase || again).then_some((batch, again))
    }

    /// Redemptions for which evidence is known, releases that the payee agreed to, and releases of expired locks.
    ///
    /// A payer that slept over the expiry of its stream first hears (`has_heard`) what was spent meanwhile. Whoever
    /// forwards does not wait: what it pays it has to be paid for in time.
    fn due_ops(&self, ledger: &Ledger, asset: Asset, has_heard: bool) -> Vec<Op> {
        let Some(book) = ledger.book(asset) else {
            return Vec::new();
        };
        let mut ops = Vec::new();
        for (slot, pending) in &book.out.lane.locks {
            let units = ledger.known_units(&pending.lock.key).min(pending.lock.n);
            if units > pending.lock.redeemed {
                ops.push(Op::Redeem { slot: *slot, units });
                if units == pending.lock.n {
                    continue;
                }
            }
            let name = LockRef { lane: ledger.our_lane(asset), placed: pending.placed, slot: *slot };
            let heard = has_heard || ledger.forwards() || pending.condition.kind() == Kind::HashLock;
            let expired = heard && ledger.is_decided(pending.lock.key, pending.expiry);
            let due = self.agreed.contains(&name) || expired;
            if due && !self.deferred.contains(&name) {
                ops.push(Op::Release { slot: *slot });
            }
        }
        ops
    }
}
