//! What goes on chain when there is no agreement: the newest proofs, settlement, and the claims of locks after it.

use super::outgoing::refused_ops;
use super::{Channel, Event, Fact, OpRef};
use crate::amount::Amount;
use crate::chain::{AssetStatus, ChainCall, ChainFact};
use crate::error::{Code, Error};
use crate::lane::{LockRef, Op, PendingLock};
use crate::map::{Map, Set};
use crate::proof::{LaneId, SignedProof};
use crate::sign::Signature;
use crate::types::{Asset, Sides};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Where an exit stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ExitStage {
    /// Nobody leaves.
    #[default]
    None,
    /// We asked for it, and the chain does not show it yet.
    Starting,
    /// Proofs are taken.
    Challenge {
        /// Up to and including this time, Unix seconds.
        ends_at: u64,
    },
    /// The challenge period is over; assets are divided.
    Settling,
    /// Assets are divided; some locks still hold money of ours.
    Claiming {
        /// How many.
        locks: u32,
        /// When the last of them expires, Unix seconds.
        until: u64,
    },
    /// Nothing of ours is left in the contract.
    Done,
}

impl Channel {
    /// The proofs that protect us: the newest of the peer's lanes, and the newest of ours that the peer acknowledged.
    #[must_use]
    pub fn exit_proofs(&self) -> Vec<(LaneId, SignedProof, Option<Signature>)> {
        let mut proofs = Vec::new();
        for (asset, book) in &self.state.assets {
            if book.status != AssetStatus::Open {
                continue;
            }
            // What a bare proof locks can't be claimed without its ops. It is shown if it hands over at least all that
            // the newest one that we have whole could bring.
            let whole = book.inc.lane.spent().unwrap_or(Amount::MAX);
            let bare = book.inc.bare.filter(|bare| bare.proof.nonce > book.inc.accepted_nonce());
            if let Some(signed) = bare.filter(|bare| bare.proof.transferred >= whole) {
                proofs.push((self.their_lane(*asset), signed, None));
            } else if let Some(signed) = book.inc.accepted {
                proofs.push((self.their_lane(*asset), signed, book.inc.acknowledgement));
            }
            if let Some((signed, acknowledgement)) = book.out.acknowledged {
                proofs.push((self.our_lane(*asset), signed, Some(acknowledgement)));
            }
        }
        proofs
    }

    /// The call that starts an exit with our newest proofs.
    #[must_use]
    pub fn start_exit(&self) -> ChainCall {
        ChainCall::StartExit { channel: self.def, proofs: self.exit_proofs() }
    }

    /// Leaves without the peer's help. From here on nothing is signed or accepted; the exit goes on by itself, after
    /// a restart too, until [`ExitStage::Done`].
    pub fn leave(&mut self, now: u64) -> Result<(), Error> {
        let funded = |book: &super::AssetBook| book.deposits != Sides::default();
        let books = || self.state.assets.values().filter(|book| funded(book));
        if books().next().is_none() || books().all(|book| book.status == AssetStatus::Closed) {
            return Err(Error::new(Code::ChannelClosed, "there is nothing in this channel to leave with"));
        }
        if self.state.leaving {
            // Asked again: whatever was refused or got lost on its way is sent once more.
            self.submitted = Set::new();
            self.answered = Map::new();
            self.starting = None;
            self.own_exit = None;
        } else {
            self.record(Fact::Leaving);
            self.drop_queue();
        }
        self.tick(now);
        Ok(())
    }

    /// Idempotency key of the call that starts our exit, while it is under way.
    #[must_use]
    pub fn starting(&self) -> Option<&str> {
        self.starting.as_deref()
    }

    /// Locks of settled lanes: their claims have to be read after a restart.
    #[must_use]
    pub fn settled_locks(&self) -> Vec<(LaneId, u16)> {
        self.settled.iter().flat_map(|(lane, content)| content.locks.keys().map(|slot| (*lane, *slot))).collect()
    }

    pub(super) fn handle_exit(&mut self, ends_at: u64) {
        if self.state.exit == Some(ends_at) {
            return;
        }
        // If it is ours, it shows our proofs. The head that it was read at is told after it.
        self.own_exit = self.starting.take().map(|_| u64::MAX);
        self.record(Fact::Chain(ChainFact::ExitStarted { ends_at }));
        self.emit(Event::ExitStarted { ends_at });
        self.drop_queue();
        self.answer_exit(ends_at);
        self.tell_stage();
    }

    pub(super) fn handle_exit_gone(&mut self) {
        self.answered = Map::new();
        self.own_exit = None;
        if self.state.exit.is_some() && !self.state.assets.values().any(|book| book.status == AssetStatus::Settled) {
            self.record(Fact::Chain(ChainFact::ExitGone));
            self.starting = None;
            self.tell_stage();
        }
    }

    pub(super) fn handle_shown(&mut self, asset: Asset, shown: Sides<u64>) {
        if self.book(asset).is_some_and(|book| book.shown == Some(shown)) {
            return;
        }
        self.record(Fact::Chain(ChainFact::Shown { asset, shown }));
        if self.book(asset).is_some_and(|book| book.status == AssetStatus::Settled) {
            self.rebuild_settled();
            self.end_unshown(asset, *shown.of(self.us));
        }
        self.tell_stage();
    }

    /// What waits for a signature will never get one.
    fn drop_queue(&mut self) {
        let assets: Vec<Asset> = self.queue.assets().collect();
        for asset in assets {
            while let Some(queued) = self.queue.pop(asset) {
                self.emit(Event::Dropped { ticket: queued.ticket, error: Code::ChannelExiting.into() });
            }
        }
    }

    /// Of our lane, what the proof that was shown handed over is paid, what it locks is still locked, and the rest is
    /// ours. It may be a proof that the peer had refused.
    fn end_unshown(&mut self, asset: Asset, shown: u64) {
        let lane = self.our_lane(asset);
        let (Some(settled), Some(book)) = (self.settled.get(&lane), self.book(asset)) else { return };
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
        if flying().any(|update| update.proof.nonce == shown) {
            self.accepted(asset, shown, None);
        }
        for event in ended {
            self.emit(event);
        }
    }

    pub(super) fn handle_claimed(&mut self, lane: LaneId, slot: u16, units: u32, returned: bool) {
        let known = self.book(lane.asset).and_then(|book| book.claimed.get(&(lane.payer, slot))).copied();
        if known.is_some_and(|known| known.units >= units && (known.returned || !returned)) {
            return;
        }
        self.record(Fact::Chain(ChainFact::Claimed { lane, slot, units, returned }));
        if let Some(pending) = self.settled.get(&lane).and_then(|content| content.locks.get(&slot)) {
            let (lock, all) = (LockRef { lane, placed: pending.placed, slot }, pending.lock);
            let total = all.redeemed.saturating_add(units);
            let paid = units.saturating_sub(known.map_or(0, |known| known.units));
            if paid > 0 {
                let amount = all.unit_price.times(paid).unwrap_or_default();
                self.emit(Event::Redeemed { lock, units: total, amount, done: total == all.n });
            }
            if returned {
                self.emit(Event::ReleaseFinal { lock });
            }
        }
        self.tell_stage();
    }

    /// The content of both lanes at the proofs that their asset was settled by. Our own lane may have been settled by
    /// an older proof of ours; of the peer's lane the contract takes none that is newer than ours, and we show that.
    pub(super) fn rebuild_settled(&mut self) {
        let mut settled = Map::new();
        for (asset, book) in &self.state.assets {
            let Some(shown) = book.shown.filter(|_| book.status == AssetStatus::Settled) else { continue };
            if let Some(lane) = book.out.lane_at(*shown.of(self.us)) {
                settled.insert(self.our_lane(*asset), lane);
            }
            if book.inc.accepted_nonce() == *shown.of(self.us.other()) {
                settled.insert(self.their_lane(*asset), book.inc.lane.clone());
            }
        }
        self.settled = settled;
    }

    /// The call that claims a lock of a settled lane.
    fn claim_call(&self, lane: LaneId, slot: u16) -> Option<ChainCall> {
        // A copy: the branch is read from a tree that caches its nodes.
        let mut content = self.settled.get(&lane)?.clone();
        let lock = content.locks.get(&slot)?.clone();
        let siblings = content.siblings(slot);
        Some(ChainCall::ClaimLock { channel: self.def, lane, slot, lock, siblings })
    }

    /// Shows our newest proofs, and again while a final block does not have them: a crash may have lost the call, and
    /// a reorg the transaction. One call for each proof, since the contract refuses all of a call if one is of an
    /// asset that was closed in the meantime.
    fn answer_exit(&mut self, ends_at: u64) {
        let Some(head) = self.head else { return };
        // What we started ourselves is judged by a final block, unless that takes too long.
        let half = u64::from(self.def.challenge_period).div_euclid(2);
        let in_time = head.timestamp.saturating_add(half) <= ends_at;
        if self.own_exit.is_some_and(|at| head.final_number < at) && in_time {
            return;
        }
        for (lane, proof, acknowledgement) in self.exit_proofs() {
            let (payer, nonce) = (lane.payer, proof.proof.nonce);
            let shown = self.book(lane.asset).and_then(|book| book.shown);
            // A proof of ours has its nonce alone; of the peer's, the contract takes only what we agreed to. [13]
            let is_shown = shown.is_some_and(|shown| *shown.of(payer) >= nonce);
            let last = self.answered.get(&lane).filter(|(answered, _)| *answered == nonce).map(|(_, at)| *at);
            if is_shown || last.is_some_and(|at| head.final_number <= at) {
                continue;
            }
            self.answered.insert(lane, (nonce, head.number));
            let id = format!("{}/proofs/{ends_at}/{}/{}/{nonce}/{}", self.id, lane.asset, payer.index(), head.number);
            let proofs = [(lane, proof, acknowledgement)].into();
            self.submit_once(id, ChainCall::SubmitProofs { channel: self.def, proofs });
        }
    }

    fn submit_once(&mut self, id: String, call: ChainCall) {
        if self.submitted.insert(id.clone()) {
            self.submit(id, call);
        }
    }

    /// Deadlines: evidence that has to go on chain, the exit, settlement after the challenge period, claims.
    pub fn tick(&mut self, now: u64) {
        self.record_due_evidence(now);
        self.watch_overdue();
        match self.state.exit {
            None if self.state.leaving => self.start_leaving(),
            None => {}
            Some(ends_at) if self.is_finally_past(ends_at) => {
                self.settle_open();
                self.claim_due();
            }
            Some(ends_at) if self.latest_time(now) <= ends_at => self.answer_exit(ends_at),
            Some(_) => {}
        }
        self.tell_stage();
    }

    /// Starts the exit, unless it is on its way. After a reorg or a failure it is a new transaction.
    fn start_leaving(&mut self) {
        let Some(head) = self.head.filter(|_| self.starting.is_none() && !self.nothing_to_settle()) else { return };
        let id = format!("{}/exit/{}", self.id, head.number);
        self.starting = Some(id.clone());
        self.submit_once(id, self.start_exit());
    }

    pub(super) fn nothing_to_settle(&self) -> bool {
        self.state.assets.values().all(|book| book.status != AssetStatus::Open || book.deposits == Sides::default())
    }

    fn settle_open(&mut self) {
        let open: Vec<Asset> = self
            .state
            .assets
            .iter()
            .filter(|(_, book)| book.status == AssetStatus::Open && book.deposits != Sides::default())
            .map(|(asset, _)| *asset)
            .collect();
        for asset in open {
            let id = format!("{}/settle/{asset}", self.id);
            self.submit_once(id, ChainCall::Settle { channel: self.def, asset });
        }
    }

    /// Claims what is ours: units of incoming locks as soon as their evidence is final, the rest of outgoing ones as
    /// soon as their expiry is.
    fn claim_due(&mut self) {
        let mut due = Vec::new();
        for (lane, content) in &self.settled {
            for (slot, pending) in &content.locks {
                let claim = self.claim_of(*lane, *slot, pending);
                if claim.is_due {
                    due.push((*lane, *slot, claim.units));
                }
            }
        }
        for (lane, slot, units) in due {
            let Some(call) = self.claim_call(lane, slot) else { continue };
            let id = format!("{}/claim/{}/{}/{slot}/{units}", self.id, lane.asset, lane.payer.index());
            self.submit_once(id, call);
        }
    }

    fn claim_of(&self, lane: LaneId, slot: u16, pending: &PendingLock) -> Claim {
        let claimed = self.book(lane.asset).and_then(|book| book.claimed.get(&(lane.payer, slot))).copied();
        let claimed = claimed.unwrap_or_default();
        let known = self.state.evidence.get(&pending.lock.key);
        let left = |units: u32| units.min(pending.lock.n).saturating_sub(pending.lock.redeemed);
        let recorded = left(known.map_or(0, |known| known.on_chain));
        let all = left(pending.lock.n);
        let decided = self.is_decided(pending.lock.key, pending.expiry);
        let dust = self.policy.dust.get(&lane.asset);
        let worth = dust.is_none_or(|dust| pending.lock.value().is_ok_and(|value| value >= dust.threshold));
        if !worth {
            return Claim::default();
        }
        if lane.payer == self.us {
            let rest = all > recorded && !claimed.returned;
            // What was paid to the payee is told by its claim; until the expiry the rest may still go to it.
            return Claim { units: all, is_due: rest && decided, is_open: rest };
        }
        let provable = left(known.map_or(0, |known| known.units));
        let is_due = recorded > claimed.units;
        Claim { units: recorded, is_due, is_open: is_due || (!decided && provable > claimed.units) }
    }

    /// Where an exit stands.
    #[must_use]
    pub fn exit_stage(&self) -> ExitStage {
        let Some(ends_at) = self.state.exit else {
            return match (self.state.leaving, self.nothing_to_settle()) {
                (false, _) => ExitStage::None,
                (true, false) => ExitStage::Starting,
                // A closing that both had signed was mined first.
                (true, true) => ExitStage::Done,
            };
        };
        if !self.nothing_to_settle() {
            return if self.is_finally_past(ends_at) { ExitStage::Settling } else { ExitStage::Challenge { ends_at } };
        }
        // A settled asset's proofs are read in the same breath as its status, or with the next block.
        let unread = |book: &super::AssetBook| book.status == AssetStatus::Settled && book.shown.is_none();
        if self.state.assets.values().any(unread) {
            return ExitStage::Settling;
        }
        let locks = self.settled.iter().flat_map(|(lane, content)| {
            let open = |(slot, pending): &(&u16, &PendingLock)| self.claim_of(*lane, **slot, pending).is_open;
            content.locks.iter().filter(open).map(|(_, pending)| pending.expiry)
        });
        let (count, until) =
            locks.fold((0_u32, 0), |(count, until), expiry| (count.saturating_add(1), expiry.max(until)));
        if count == 0 { ExitStage::Done } else { ExitStage::Claiming { locks: count, until } }
    }

    pub(super) fn tell_stage(&mut self) {
        let stage = self.exit_stage();
        if stage != self.stage {
            self.stage = stage;
            self.emit(Event::Exit { stage });
        }
    }

    /// A payer that does not redeem though the evidence is on chain and the expiry has passed never will: the money
    /// of these locks comes by an exit only. [9]
    fn watch_overdue(&mut self) {
        if self.state.exit.is_some() || self.state.leaving {
            return;
        }
        let mut overdue: Vec<LockRef> = Vec::new();
        for (asset, book) in self.state.assets.iter().filter(|(_, book)| book.status == AssetStatus::Open) {
            for (slot, pending) in &book.inc.lane.locks {
                let recorded = self.state.evidence.get(&pending.lock.key).map_or(0, |known| known.on_chain);
                let unpaid = recorded.min(pending.lock.n) > pending.lock.redeemed;
                let grace = pending.expiry.saturating_add(self.policy.safety_margin);
                let lock = LockRef { lane: self.their_lane(*asset), placed: pending.placed, slot: *slot };
                if unpaid && self.is_finally_past(grace) && !self.overdue.contains(&lock) {
                    overdue.push(lock);
                }
            }
        }
        let leave = self.policy.leave_overdue && !overdue.is_empty();
        for lock in overdue {
            self.overdue.insert(lock);
            self.emit(Event::Overdue { lock });
        }
        if leave {
            self.record(Fact::Leaving);
            self.drop_queue();
        }
    }
}

/// What can be had of a lock after settlement.
#[derive(Clone, Copy, Debug, Default)]
struct Claim {
    /// Units that the claim is about.
    units: u32,
    /// Whether the contract pays it now.
    is_due: bool,
    /// Whether it holds, or may hold, money of ours.
    is_open: bool,
}
