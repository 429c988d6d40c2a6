//! The course of an exit: how it starts, what it is shown, and where it stands. What is left after settlement is in
//! `settled.rs`.

mod settled;
mod stage;

pub use stage::ExitStage;

use super::Event;
use super::call_id::{CallId, Item};
use super::ledger::Ledger;
use super::outbox::Outbox;
use crate::chain::{ChainCall, Purpose};
use crate::gas;
use crate::lane::LockRef;
use crate::map::{Map, Set};
use crate::proof::LaneId;
use crate::types::Asset;
use alloc::vec::Vec;
use settled::Settled;

/// An exit, from the wish to leave to the last claim.
#[derive(Debug)]
pub(crate) struct Exit {
    settled: Settled,
    /// The call that starts our exit, while it is under way.
    starting: Option<CallId>,
    /// The newest block when an exit was seen that we had asked for.
    own: Option<u64>,
    /// Proofs that we answered an exit with.
    answered: Map<LaneId, Answered>,
    /// The stage that was told last.
    told: ExitStage,
    /// Locks that the application was told of as overdue.
    overdue: Set<LockRef>,
}

/// A proof that an exit was answered with.
#[derive(Debug)]
struct Answered {
    nonce: u64,
    /// The newest block at that time.
    at: u64,
    call: CallId,
}

impl Exit {
    /// As the facts have it.
    pub(crate) fn new(ledger: &Ledger) -> Self {
        Self {
            settled: Settled::of(ledger),
            starting: None,
            own: None,
            answered: Map::new(),
            told: ExitStage::None,
            overdue: Set::new(),
        }
    }

    pub(crate) const fn settled(&self) -> &Settled {
        &self.settled
    }

    /// The proofs that an asset was settled by are known, or others than before.
    pub(crate) fn settle(&mut self, ledger: &Ledger) {
        self.settled = Settled::of(ledger);
    }

    /// A block was seen, after the facts of all blocks up to its final one.
    pub(crate) fn see(&mut self, block: u64) {
        self.own = self.own.map(|at| at.min(block));
    }

    /// The call that starts our exit, while it is under way.
    pub(crate) const fn starting(&self) -> Option<&CallId> {
        self.starting.as_ref()
    }

    /// Asked for again: whatever was refused or got lost on its way is sent once more.
    pub(crate) fn ask_again(&mut self) {
        self.answered = Map::new();
        self.starting = None;
        self.own = None;
    }

    /// An exit was seen. If it is ours, it shows our proofs. The head that it was read at is told after it.
    pub(crate) fn began(&mut self) {
        self.own = self.starting.take().map(|_| u64::MAX);
    }

    /// A reorg took what an exit was shown.
    pub(crate) fn forget_answers(&mut self) {
        self.answered = Map::new();
        self.own = None;
    }

    /// A reorg took the exit itself.
    pub(crate) fn unstarted(&mut self) {
        self.starting = None;
    }

    /// A call was not mined and won't be.
    pub(crate) fn call_failed(&mut self, id: &CallId) {
        self.answered.retain(|_, answered| answered.call != *id);
        if self.starting.as_ref() == Some(id) {
            self.starting = None;
        }
        // The exit that runs is another's, then.
        if id.starts_exit() {
            self.own = None;
        }
    }

    /// Starts the exit, unless it is on its way. After a reorg or a failure it is a new transaction.
    pub(crate) fn start(&mut self, ledger: &Ledger, outbox: &mut Outbox) {
        let to_start = self.starting.is_none() && !ledger.nothing_to_settle();
        let Some(head) = ledger.head().filter(|_| to_start) else { return };
        let id = CallId::exit(ledger.id(), head.number);
        self.starting = Some(id.clone());
        let (asset, amount) = ledger.principal(ledger.unsettled().map(|asset| (asset, ledger.deposited(asset))));
        outbox.ask(id, start_call(ledger), Purpose::Collect { asset, amount });
    }

    /// Shows our newest proofs, and again while a final block does not have them: a crash may have lost the call, and
    /// a reorg the transaction.
    pub(crate) fn answer(&mut self, ledger: &Ledger, outbox: &mut Outbox, ends_at: u64) {
        let Some(head) = ledger.head().copied() else { return };
        // What we started ourselves is judged by a final block, unless that takes too long.
        let half = u64::from(ledger.def().challenge_period).div_euclid(2);
        let in_time = head.timestamp.saturating_add(half) <= ends_at;
        if self.own.is_some_and(|at| head.final_number < at) && in_time {
            return;
        }
        let mut due = ledger.exit_proofs();
        due.retain(|(lane, proof, _)| {
            let nonce = proof.proof.nonce;
            let shown = ledger.book(lane.asset).and_then(|book| book.shown);
            // A proof of ours has its nonce alone; of the peer's, the contract takes only what we agreed to. [13]
            let is_shown = shown.is_some_and(|shown| *shown.of(lane.payer) >= nonce);
            let last = self.answered.get(lane).filter(|answered| answered.nonce == nonce);
            !is_shown && last.is_none_or(|answered| head.final_number > answered.at)
        });
        for proofs in due.chunks(gas::MAX_PROOFS) {
            let (asset, amount) =
                ledger.principal(proofs.iter().map(|(lane, ..)| (lane.asset, ledger.deposited(lane.asset))));
            let items = proofs.iter().map(|(lane, proof, _)| Item::Proof {
                ends_at,
                lane: *lane,
                nonce: proof.proof.nonce,
                block: head.number,
            });
            let call = ChainCall::SubmitProofs { channel: *ledger.def(), proofs: proofs.to_vec() };
            let purpose = Purpose::Protect { asset, amount, deadline: ends_at };
            let id = outbox.ask_about(ledger.id(), items.collect(), call, purpose);
            for (lane, proof, _) in proofs {
                let answered = Answered { nonce: proof.proof.nonce, at: head.number, call: id.clone() };
                self.answered.insert(*lane, answered);
            }
        }
    }

    /// After the challenge period: divides what is open, and claims what is ours.
    pub(crate) fn collect(&self, ledger: &Ledger, outbox: &mut Outbox) {
        let item = |asset: &Asset| Item::Settle { asset: *asset };
        let due: Vec<Asset> = ledger.unsettled().filter(|asset| !outbox.calls().hold(&item(asset))).collect();
        for assets in due.chunks(gas::MAX_SETTLED) {
            let (asset, amount) = ledger.principal(assets.iter().map(|asset| (*asset, ledger.deposited(*asset))));
            let call = ChainCall::Settle { channel: *ledger.def(), assets: assets.to_vec() };
            let items = assets.iter().map(item).collect();
            outbox.ask_about(ledger.id(), items, call, Purpose::Collect { asset, amount });
        }
        self.settled.claim(ledger, outbox);
    }

    /// Where it stands.
    pub(crate) fn stage(&self, ledger: &Ledger) -> ExitStage {
        let Some(ends_at) = ledger.state().exit else {
            return match (ledger.state().leaving, ledger.nothing_to_settle()) {
                (false, _) => ExitStage::None,
                (true, false) => ExitStage::Starting,
                // A closing that both had signed was mined first.
                (true, true) => ExitStage::Done,
            };
        };
        if !ledger.nothing_to_settle() {
            return if ledger.is_finally_past(ends_at) {
                ExitStage::Settling
            } else {
                ExitStage::Challenge { ends_at }
            };
        }
        if ledger.is_shown_missing() {
            return ExitStage::Settling;
        }
        match self.settled.open_locks(ledger) {
            (0, _) => ExitStage::Done,
            (locks, until) => ExitStage::Claiming { locks, until },
        }
    }

    /// Tells the stage if it is another than before.
    pub(crate) fn tell_stage(&mut self, ledger: &Ledger, outbox: &mut Outbox) {
        let stage = self.stage(ledger);
        if stage != self.told {
            self.told = stage;
            outbox.emit(Event::Exit { stage });
        }
    }

    /// Whether no exit is under way, as far as was told.
    pub(crate) fn is_at_rest(&self, ledger: &Ledger) -> bool {
        let at_rest = match self.told {
            ExitStage::None => !ledger.is_exiting(),
            ExitStage::Done => ledger.nothing_to_settle(),
            ExitStage::Starting | ExitStage::Challenge { .. } | ExitStage::Settling | ExitStage::Claiming { .. } => {
                false
            }
        };
        at_rest && self.settled.is_empty()
    }

    /// Locks that have become overdue. A payer that does not redeem though the evidence is on chain and the expiry has
    /// passed never will: their money comes by an exit only. [9]
    pub(crate) fn note_overdue(&mut self, ledger: &Ledger) -> Vec<LockRef> {
        if ledger.is_exiting() {
            return Vec::new();
        }
        let mut overdue = ledger.unpaid_locks(0);
        overdue.retain(|lock| self.overdue.insert(*lock));
        overdue
    }
}

/// The call that starts an exit with our newest proofs.
pub(crate) fn start_call(ledger: &Ledger) -> ChainCall {
    let mut proofs = ledger.exit_proofs();
    // The rest is shown when the exit runs.
    proofs.truncate(gas::MAX_PROOFS);
    ChainCall::StartExit { channel: *ledger.def(), proofs }
}
