//! Leaving without the peer: what the clock and the chain make of it.

use super::{Channel, Event, Fact};
use crate::chain::{AssetStatus, ChainFact};
use crate::error::{Code, Error};
use crate::lane::LockRef;
use crate::proof::LaneId;
use crate::types::{Asset, Sides};

impl Channel {
    /// Leaves without the peer's help. From here on nothing is signed or accepted; the exit goes on by itself, after
    /// a restart too, until [`super::ExitStage::Done`].
    pub fn leave(&mut self, now: u64) -> Result<(), Error> {
        if self.ledger.has_left_all() {
            return Err(Error::new(Code::ChannelClosed, "there is nothing in this channel to leave with"));
        }
        if self.ledger.state().leaving {
            self.outbox.calls_mut().forget_all();
            self.exit.ask_again();
        } else {
            self.ledger.record(Fact::Leaving);
            self.signing.drop_queue(&mut self.outbox);
        }
        self.tick(now);
        Ok(())
    }

    /// Deadlines: evidence that has to go on chain, the exit, settlement after the challenge period, claims.
    pub fn tick(&mut self, now: u64) {
        self.record_due_evidence(now);
        self.watch_overdue();
        let Self { ledger, exit, outbox, .. } = self;
        match ledger.state().exit {
            None if ledger.state().leaving => exit.start(ledger, outbox),
            None => {}
            Some(ends_at) if ledger.is_finally_past(ends_at) => exit.collect(ledger, outbox),
            // Too late is what the chain says, never our clock: it may be ahead.
            Some(ends_at) if ledger.chain_time() <= ends_at => exit.answer(ledger, outbox, ends_at),
            Some(_) => {}
        }
        self.tell_stage();
    }

    pub(super) fn handle_exit(&mut self, ends_at: u64) {
        if self.ledger.state().exit == Some(ends_at) {
            return;
        }
        self.exit.began();
        self.ledger.record(Fact::Chain(ChainFact::ExitStarted { ends_at }));
        self.outbox.emit(Event::ExitStarted { ends_at });
        self.signing.drop_queue(&mut self.outbox);
        self.exit.answer(&self.ledger, &mut self.outbox, ends_at);
        self.tell_stage();
    }

    pub(super) fn handle_exit_gone(&mut self) {
        self.exit.forget_answers();
        if self.ledger.state().exit.is_some() && !self.ledger.has_settled() {
            self.ledger.record(Fact::Chain(ChainFact::ExitGone));
            self.exit.unstarted();
            self.tell_stage();
        }
    }

    pub(super) fn handle_shown(&mut self, asset: Asset, shown: Sides<u64>) {
        if self.ledger.book(asset).is_some_and(|book| book.shown == Some(shown)) {
            return;
        }
        self.ledger.record(Fact::Chain(ChainFact::Shown { asset, shown }));
        if self.ledger.book(asset).is_some_and(|book| book.status == AssetStatus::Settled) {
            self.exit.settle(&self.ledger);
            self.end_unshown(asset, *shown.of(self.us()));
        }
        self.tell_stage();
    }

    /// Our lane ended at the proof that was shown.
    fn end_unshown(&mut self, asset: Asset, shown: u64) {
        let Some(ended) = self.exit.settled().unshown(&self.ledger, asset, shown) else { return };
        let is_it = |flight: &super::InFlight| flight.update.proof.nonce == shown;
        if self.ledger.book(asset).is_some_and(|book| book.out.in_flight.iter().any(is_it)) {
            self.accepted(asset, shown, None);
        }
        for event in ended {
            self.outbox.emit(event);
        }
    }

    pub(super) fn handle_claimed(&mut self, lane: LaneId, slot: u16, units: u32, returned: bool) {
        let known = self.ledger.book(lane.asset).and_then(|book| book.claimed.get(&(lane.payer, slot))).copied();
        if known.is_some_and(|known| known.units >= units && (known.returned || !returned)) {
            return;
        }
        self.ledger.record(Fact::Chain(ChainFact::Claimed { lane, slot, units, returned }));
        if let Some(pending) = self.exit.settled().lock(&lane, slot) {
            let (lock, all) = (LockRef { lane, placed: pending.placed, slot }, pending.lock);
            let total = all.redeemed.saturating_add(units);
            let paid = units.saturating_sub(known.map_or(0, |known| known.units));
            // Of what a refused update had handed over nothing was told, and then the chain settled by it.
            if paid > 0 || (returned && total > 0) {
                let amount = all.unit_price.times(paid).unwrap_or_default();
                self.outbox.emit(Event::Redeemed { lock, units: total, amount, done: total == all.n });
            }
            if returned {
                self.outbox.emit(Event::ReleaseFinal { lock });
            }
        }
        self.tell_stage();
    }

    fn tell_stage(&mut self) {
        self.exit.tell_stage(&self.ledger, &mut self.outbox);
    }

    fn watch_overdue(&mut self) {
        for lock in self.exit.note_overdue(&self.ledger) {
            self.outbox.emit(Event::Overdue { lock });
        }
        let Some(patience) = self.ledger.policy().leave_overdue else { return };
        if !self.ledger.is_exiting() && !self.ledger.unpaid_locks(patience).is_empty() {
            self.ledger.record(Fact::Leaving);
            self.signing.drop_queue(&mut self.outbox);
        }
    }
}
