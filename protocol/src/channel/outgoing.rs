//! The lane that we pay with. What is signed is out: a refusal takes nothing back, and an early release counts as
//! locked until its acknowledgement is there.

use super::history::History;
use super::queue::{Queued, cost};
use super::{Channel, Event, Fact, OpRef};
use crate::amount::Amount;
use crate::codec::stored;
use crate::condition::ConditionKey;
use crate::error::{Code, Error};
use crate::lane::{Lane, LockRef, Op, Undo, Update};
use crate::message::Message;
use crate::proof::{LaneId, SignedProof};
use crate::sign::{SecretKey, Signature};
use crate::types::{Asset, Side, Sides};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// An update that was signed and not answered yet.
#[derive(Clone, Debug)]
pub struct InFlight {
    /// What was signed.
    pub update: Update,
    pub(super) undo: Undo,
}

stored!(struct InFlight { update, undo });

impl InFlight {
    /// Keys of the locks that it would bring back if it were refused.
    pub(crate) fn keys(&self) -> impl Iterator<Item = ConditionKey> + '_ {
        self.undo.locks().map(|pending| pending.lock.key)
    }
}

/// What the payee could end up with by showing one of our proofs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exposure {
    /// Of the proof.
    pub nonce: u64,
    /// `transferred + locked` in it, less locks whose expiry is final.
    pub spent: Amount,
}

stored!(struct Exposure { nonce, spent });

/// A lock that older proofs of ours hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OldLock {
    /// Nonce of the proof that placed it.
    pub placed: u64,
    /// Its slot.
    pub slot: u16,
    /// Of its condition.
    pub key: ConditionKey,
    /// Unix seconds.
    pub expiry: u64,
    /// What it could still cost.
    pub value: Amount,
    /// Units redeemed when it was released.
    pub redeemed: u32,
}

stored!(struct OldLock { placed, slot, key, expiry, value, redeemed });

/// An op that was refused or a lock that was released, and that still counts because an older proof holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Of the update that was refused, or that released the lock.
    pub nonce: u64,
    /// The op's place in that update.
    pub index: u32,
    /// The lock, if the op was about one.
    pub lock: Option<OldLock>,
    /// First nonce whose acknowledgement ends it.
    pub until: u64,
    /// Whether we released it ourselves.
    pub released: bool,
}

stored!(struct Refused { nonce, index, lock, until, released });

/// The lane that we pay with.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    /// Content at the newest signed proof that was not refused.
    pub lane: Lane,
    /// The newest proof that the peer accepted.
    pub accepted: Option<SignedProof>,
    /// Signed after that, in order.
    pub in_flight: VecDeque<InFlight>,
    /// The highest nonce ever signed.
    pub highest: u64,
    /// What the payee could end up with: one entry for each proof that it might show.
    pub exposures: Vec<Exposure>,
    /// The newest proof with the peer's acknowledgement.
    pub acknowledged: Option<(SignedProof, Signature)>,
    /// Refused or released, and still counting.
    pub refused: Vec<Refused>,
    /// Locks of which units were handed over in a refused update: placed by which nonce, at which slot, and the first
    /// nonce whose acknowledgement ends it. The payee can show that update, so their expiry ends nothing.
    pub handed: Vec<(u64, u16, u64)>,
    /// Whether a proof has to be signed and acknowledged to replace refused ones.
    pub rebase: bool,
    /// Every proof that the payee may still show.
    pub history: History,
}

stored!(struct Outgoing {
    lane, accepted, in_flight, highest, exposures, acknowledged, refused, handed, rebase, history
});

impl Outgoing {
    /// Nonce of the newest accepted proof; 0 if none.
    #[must_use]
    pub fn accepted_nonce(&self) -> u64 {
        self.accepted.as_ref().map_or(0, |signed| signed.proof.nonce)
    }

    /// The newest proof that stands.
    #[must_use]
    pub fn tip(&self) -> Option<SignedProof> {
        self.in_flight.back().map(|flight| flight.update.signed_proof()).or(self.accepted)
    }

    /// Whether we know that we signed exactly this proof, as one that stands.
    #[must_use]
    pub(crate) fn has_signed(&self, signed: &SignedProof) -> bool {
        let in_flight = self.in_flight.iter().map(|flight| flight.update.signed_proof());
        in_flight.chain(self.accepted).any(|known| known == *signed)
    }

    /// The most that the payee could end up with, whichever of our proofs it shows.
    #[must_use]
    pub fn worst(&self) -> Amount {
        if crate::rule_off!(4) {
            // The mutant forgets what older or refused proofs could still cost.
            return self.lane.spent().unwrap_or(Amount::MAX);
        }
        let signed = self.exposures.iter().map(|exposure| exposure.spent).max().unwrap_or_default();
        signed.max(self.lane.spent().unwrap_or(Amount::MAX))
    }

    /// Adds a signed update, whose ops have been applied to the lane.
    pub(crate) fn push(&mut self, update: Update, undo: Undo) {
        let nonce = update.proof.nonce;
        let spent = self.lane.spent().unwrap_or(Amount::MAX);
        let released = undo.releases(&update.ops);
        // Without an early release, and on top of the newest proof, the new proof costs at least what that one could.
        let on_tip = self.exposures.last().is_some_and(|last| last.nonce == update.base);
        if on_tip && released.is_empty() {
            self.exposures.pop();
        }
        self.exposures.push(Exposure { nonce, spent });
        self.refused.extend(released.into_iter().map(|(index, slot, before)| Refused {
            nonce,
            index,
            lock: Some(OldLock {
                placed: before.placed,
                slot,
                key: before.lock.key,
                expiry: before.expiry,
                value: before.lock.value().unwrap_or(Amount::MAX),
                redeemed: before.lock.redeemed,
            }),
            until: nonce,
            released: true,
        }));
        self.highest = self.highest.max(nonce);
        self.rebase = false;
        self.in_flight.push_back(InFlight { update, undo });
    }

    pub(crate) fn accept(&mut self, nonce: u64, acknowledgement: Option<Signature>) {
        while self.in_flight.front().is_some_and(|flight| flight.update.proof.nonce <= nonce) {
            if let Some(flight) = self.in_flight.pop_front() {
                self.accepted = Some(flight.update.signed_proof());
                self.history.accepted(flight.update.proof.nonce, flight.undo);
            }
        }
        let (Some(accepted), Some(acknowledgement)) = (self.accepted, acknowledgement) else {
            return;
        };
        if accepted.proof.nonce != nonce {
            return;
        }
        self.acknowledged = Some((accepted, acknowledgement));
        self.history.acknowledged(nonce);
        self.exposures.retain(|exposure| exposure.nonce >= nonce);
        self.refused.retain(|refused| refused.until > nonce);
        self.handed.retain(|(.., until)| *until > nonce);
    }

    pub(crate) fn refuse(&mut self, nonce: u64) {
        let until = self.highest.saturating_add(1);
        while self.in_flight.back().is_some_and(|flight| flight.update.proof.nonce >= nonce) {
            let Some(flight) = self.in_flight.pop_back() else {
                break;
            };
            let redeemed = flight.undo.redemptions(&flight.update.ops);
            self.lane.undo(flight.undo);
            // Releases in a refused update never took place.
            let refused = flight.update.proof.nonce;
            self.refused.retain(|old| !(old.released && old.nonce == refused));
            self.refused.extend(refused_ops(&flight.update, until));
            self.history.refused(flight.update);
            for (slot, before, _) in redeemed {
                // Refused again and again, it still takes one entry.
                self.handed.retain(|(placed, other, _)| (*placed, *other) != (before.placed, slot));
                self.handed.push((before.placed, slot, until));
            }
        }
        self.rebase = true;
    }

    /// A lock that older proofs hold can no longer cost anything.
    pub(crate) fn lapse(&mut self, placed: u64, slot: u16) {
        let is_it = |refused: &Refused| refused.lock.is_some_and(|lock| lock.placed == placed && lock.slot == slot);
        let Some((lock, until)) =
            self.refused.iter().find(|refused| is_it(refused)).and_then(|refused| Some((refused.lock?, refused.until)))
        else {
            return;
        };
        for exposure in &mut self.exposures {
            if exposure.nonce >= placed && exposure.nonce < until {
                exposure.spent = exposure.spent.saturating_minus(lock.value);
            }
        }
        self.refused.retain(|refused| !is_it(refused));
    }
}

pub(super) fn refused_ops(update: &Update, until: u64) -> impl Iterator<Item = Refused> + '_ {
    (0_u32..).zip(&update.ops).filter_map(move |(index, op)| {
        let nonce = update.proof.nonce;
        let lock = match op {
            Op::Lock { slot, condition, expiry, n, unit_price, .. } => Some(OldLock {
                placed: nonce,
                slot: *slot,
                key: condition.key(*expiry),
                expiry: *expiry,
                value: unit_price.times(*n).unwrap_or(Amount::MAX),
                redeemed: 0,
            }),
            Op::Transfer { .. } => None,
            Op::Redeem { .. } | Op::Release { .. } => return None,
        };
        Some(Refused { nonce, index, lock, until, released: false })
    })
}

impl Channel {
    /// What we can still spend of an asset, whatever becomes of everything signed so far.
    #[must_use]
    pub fn available(&self, asset: Asset) -> Amount {
        self.available_with(asset, self.queue.cost(asset))
    }

    /// The same, whatever the peer says that it has seen.
    #[must_use]
    pub fn available_in_our_view(&self, asset: Asset) -> Amount {
        self.spendable(asset, self.queue.cost(asset), false)
    }

    fn available_with(&self, asset: Asset, queued: Amount) -> Amount {
        self.spendable(asset, queued, true)
    }

    fn spendable(&self, asset: Asset, queued: Amount, peer_view: bool) -> Amount {
        let Some(book) = self.book(asset) else {
            return Amount::ZERO;
        };
        let received = book.inc.lane.transferred;
        let Ok(mut funds) = self.funds(asset, self.us, received) else {
            return Amount::ZERO;
        };
        // Who opened the channel says on every connect what it has seen; of what it does not name it has seen nothing.
        let silent = (self.us == Side::B).then(Sides::default);
        if let Some(theirs) = self.peer_deposits.get(&asset).copied().or(silent).filter(|_| peer_view) {
            // The peer refuses what it has not seen confirmed: spend by the lower of both views.
            let unseen = book.deposits.of(self.us).saturating_minus(*theirs.of(self.us));
            funds = funds.saturating_minus(unseen);
        }
        // What is queued comes on top of the worst that is signed.
        funds.saturating_minus(book.out.worst()).saturating_minus(queued)
    }

    /// Puts an op into the next update. It is checked now, and once more when it is signed.
    pub fn queue(&mut self, asset: Asset, op: Op, ticket: u64, now: u64) -> Result<(), Error> {
        self.check_open(asset)?;
        self.check_fresh(now)?;
        if self.book(asset).is_some_and(|book| book.out.history.is_full()) {
            return Err(Code::Unacknowledged.into());
        }
        if cost(&op) > self.available(asset) {
            return Err(Code::InsufficientFunds.into());
        }
        if let Op::Lock { condition, expiry, .. } = &op {
            condition.check()?;
            let pending = self.book(asset).map_or(0, |book| book.out.lane.locks.len());
            if pending.saturating_add(self.queue.locks(asset)) >= self.policy.max_locks {
                return Err(Code::TooManyLocks.into());
            }
            // [11] One live lock per secret.
            if self.has_live_key(condition.key(*expiry)) && !crate::rule_off!(11) {
                return Err(Code::DuplicateSecret.into());
            }
            self.check_unproven(&op)?;
        }
        self.queue.push(asset, Queued { op, ticket });
        Ok(())
    }

    /// A slot for the next lock of our lane.
    #[must_use]
    pub fn free_slot(&self, asset: Asset) -> Option<u16> {
        let taken = |slot: u16| self.queue.has_slot(asset, slot);
        let start = self.queue.next_slot(asset);
        match self.book(asset) {
            Some(book) => book.out.lane.free_slot(start, taken),
            None => Lane::default().free_slot(start, taken),
        }
    }

    /// Refuses a lock whose evidence is known already: it would be redeemed at once, and nobody would be told. [11]
    fn check_unproven(&self, op: &Op) -> Result<(), Error> {
        let Op::Lock { condition, expiry, .. } = op else { return Ok(()) };
        let known = self.state.evidence.contains_key(&condition.key(*expiry));
        if known && !crate::rule_off!(11) { Err(Code::DuplicateSecret.into()) } else { Ok(()) }
    }

    fn has_live_key(&self, key: ConditionKey) -> bool {
        self.queue.has_key(&key)
            || self.state.assets.values().any(|book| {
                book.out.lane.slots_of(&key).next().is_some()
                    || book.out.refused.iter().any(|refused| refused.lock.is_some_and(|lock| lock.key == key))
            })
    }

    /// Signs what waits: redemptions and releases that are due first, then queued ops, as many as fit, with one
    /// signature for each asset. Does nothing while too much is in flight.
    pub fn flush(&mut self, key: &SecretKey, now: u64) {
        if self.connecting {
            return;
        }
        let mut assets: Vec<Asset> = self.state.assets.keys().copied().collect();
        let waiting: Vec<Asset> = self.queue.assets().filter(|asset| !assets.contains(asset)).collect();
        assets.extend(waiting);
        for asset in assets {
            while self.flush_asset(asset, key, now) {}
        }
    }

    fn flush_asset(&mut self, asset: Asset, key: &SecretKey, now: u64) -> bool {
        let in_flight = self.book(asset).map_or(0, |book| book.out.in_flight.len());
        let blocked = self.book(asset).is_some_and(|book| book.out.history.is_blocked());
        if in_flight >= self.policy.window || blocked || self.paused.contains(&asset) || self.check_open(asset).is_err()
        {
            return false;
        }
        let mut batch: Vec<(Op, Option<u64>)> = Vec::new();
        let mut size = 0_usize;
        let limit = self.policy.max_update_bytes;
        for op in self.due_ops(asset) {
            if size >= limit {
                break;
            }
            size = size.saturating_add(op.wire_size());
            batch.push((op, None));
        }
        let fresh = self.check_fresh(now);
        let mut budget = self.available_with(asset, Amount::ZERO);
        while let Some(queued) = self.queue.front(asset) {
            let bytes = queued.op.wire_size();
            if size.saturating_add(bytes) > limit && !batch.is_empty() {
                break;
            }
            let Some(queued) = self.queue.pop(asset) else { break };
            let affordable = fresh
                .clone()
                .and_then(|()| self.check_unproven(&queued.op))
                .and_then(|()| budget.minus(cost(&queued.op)));
            budget = match affordable {
                Ok(rest) => rest,
                Err(error) => {
                    self.emit(Event::Dropped { ticket: queued.ticket, error });
                    continue;
                }
            };
            size = size.saturating_add(bytes);
            batch.push((queued.op, Some(queued.ticket)));
        }
        let rebase = self.book(asset).is_some_and(|book| book.out.rebase);
        if batch.is_empty() && !rebase {
            return false;
        }
        self.sign(asset, batch, key)
    }

    /// Redemptions for which evidence is known, releases that the payee agreed to, and releases of expired locks.
    fn due_ops(&self, asset: Asset) -> Vec<Op> {
        let Some(book) = self.book(asset) else {
            return Vec::new();
        };
        let mut ops = Vec::new();
        for (slot, pending) in &book.out.lane.locks {
            let known = self.state.evidence.get(&pending.lock.key);
            let units = known.map_or(0, |known| known.units).min(pending.lock.n);
            if units > pending.lock.redeemed {
                ops.push(Op::Redeem { slot: *slot, units });
                if units == pending.lock.n {
                    continue;
                }
            }
            let name = LockRef { lane: self.our_lane(asset), placed: pending.placed, slot: *slot };
            let due = self.to_release.contains(&name) || self.is_decided(pending.lock.key, pending.expiry);
            if due && !self.deferred.contains(&name) {
                ops.push(Op::Release { slot: *slot });
            }
        }
        ops
    }

    /// Signs one update with a batch of ops; ops that can't be applied are dropped, not signed.
    fn sign(&mut self, asset: Asset, batch: Vec<(Op, Option<u64>)>, key: &SecretKey) -> bool {
        let lane = self.our_lane(asset);
        let (domain, id) = (self.domain, self.id);
        let out = &mut self.book_mut(asset).out;
        let nonce = out.highest.saturating_add(1);
        let mut undo = out.lane.nothing_to_undo();
        let mut ops = Vec::new();
        let mut events = Vec::new();
        for (op, ticket) in batch {
            match out.lane.apply(nonce, core::slice::from_ref(&op)) {
                Ok(step) => undo.append(step),
                Err(error) => {
                    events.extend(ticket.map(|ticket| Event::Dropped { ticket, error }));
                    continue;
                }
            }
            let op_ref = OpRef { lane, nonce, index: u32::try_from(ops.len()).unwrap_or(u32::MAX) };
            let lock = match &op {
                Op::Lock { slot, .. } => Some(LockRef { lane, placed: nonce, slot: *slot }),
                Op::Transfer { .. } | Op::Redeem { .. } | Op::Release { .. } => None,
            };
            events.extend(ticket.map(|ticket| Event::Signed { ticket, op: op_ref, lock }));
            ops.push(op);
        }
        let released = undo.releases(&ops);
        let redeemed = undo.redemptions(&ops);
        let signed = !ops.is_empty() || out.rebase;
        if signed {
            let base = out.tip().map_or(0, |signed| signed.proof.nonce);
            let seen = self.book(asset).map_or(0, |book| book.inc.accepted_nonce());
            let out = &mut self.book_mut(asset).out;
            let proof = out.lane.statement(nonce, seen);
            let signature = SignedProof::sign(proof, &domain, id, lane, key).signature;
            let update = Update { base, ops, proof, signature };
            out.push(update.clone(), undo);
            self.record_applied(Fact::Signed { asset, update: update.clone() });
            self.send(Message::Update { asset, update });
        }
        for event in events {
            self.emit(event);
        }
        // Whatever made us redeem, whoever the lock is paired with learns of it in the same commit.
        for (slot, before, units) in redeemed {
            let known = self.state.evidence.get(&before.lock.key);
            if let Some(evidence) = known.map(|known| known.evidence.clone()).filter(|evidence| !evidence.is_empty()) {
                self.tell_revealed(LockRef { lane, placed: before.placed, slot }, units, evidence);
            }
        }
        for (_, slot, before) in released {
            let lock = LockRef { lane, placed: before.placed, slot };
            self.to_release.remove(&lock);
            self.emit(Event::Released { lock });
        }
        signed
    }

    /// Ends what counts only until an expiry is final.
    pub(super) fn lapse_refused(&mut self) {
        let mut ended = Vec::new();
        for (asset, book) in &self.state.assets {
            for refused in &book.out.refused {
                let Some(lock) = refused.lock else { continue };
                if book.out.handed.iter().any(|(placed, slot, _)| (*placed, *slot) == (lock.placed, lock.slot)) {
                    continue;
                }
                let recorded = self.state.evidence.get(&lock.key).map_or(0, |known| known.on_chain);
                if self.is_decided(lock.key, lock.expiry) && recorded <= lock.redeemed {
                    ended.push((*asset, lock, *refused));
                }
            }
        }
        for (asset, lock, refused) in ended {
            self.record(Fact::Lapsed { asset, placed: lock.placed, slot: lock.slot });
            self.emit(refused.end_event(self.our_lane(asset)));
        }
    }
}

impl Refused {
    pub(super) fn names(&self, lane: LaneId) -> (OpRef, Option<LockRef>) {
        let lock = self.lock.map(|lock| LockRef { lane, placed: lock.placed, slot: lock.slot });
        (OpRef { lane, nonce: self.nonce, index: self.index }, lock)
    }

    pub(super) fn end_event(&self, lane: LaneId) -> Event {
        match self.names(lane) {
            (_, Some(lock)) if self.released => Event::ReleaseFinal { lock },
            (op, lock) => Event::RefusalFinal { op, lock },
        }
    }
}

impl Channel {
    /// Whether a lock of ours that is gone from the newest proof could still be claimed with an older one.
    #[must_use]
    pub fn still_counts(&self, lock: &LockRef) -> bool {
        self.book(lock.lane.asset).is_some_and(|book| {
            let is_it = |old: OldLock| old.placed == lock.placed && old.slot == lock.slot;
            book.out.refused.iter().any(|refused| refused.lock.is_some_and(is_it))
        })
    }
}
