//! Follows the chain: at each new head, what it says of our channel goes to the wallet.

use super::{Client, Notice};
use crate::chain::reader::News;
use crate::chain::{Skew, span};
use crate::entrance::load::listed;
use crate::failure::{Failure, Result};
use crate::global::global;
use crate::js::running;
use crate::task::{Either, race, sleep};
use farthing_protocol::Code;
use farthing_protocol::chain::ChainFact;
use farthing_protocol::reading::{Heard, Reading};
use std::rc::Rc;
use web_sys::VisibilityState;

/// With pushed heads, the chain is asked all the same when none has come for so long, in milliseconds.
const SILENCE: u32 = 30_000;

/// How long a new block is waited for when the last one is too old, in milliseconds.
const FRESHENING: u32 = 5_000;

/// And how long blocks are that say whether the device's clock is ahead or the chain is old.
const DECIDING: u32 = 60_000;

/// Pause before the chain is looked at once more for that, in milliseconds.
const AGAIN: u32 = 500;

/// Pause between looks while the page is hidden, in milliseconds.
const UNSEEN: u32 = 30_000;

/// The longest pause after failures in a row, in milliseconds; it grows from the usual one.
const BACKOFF: u32 = 30_000;

/// Failures in a row after which the application is told.
const PATIENCE: u32 = 10;

impl Client {
    /// Runs until the client ends. `reading` has told the wallet all up to now.
    pub(super) async fn follow_chain(self: Rc<Self>, mut reading: Reading) {
        let bell = Rc::clone(&self.look);
        let pushes = self.chain.rpc.subscribe(move || bell.ring()).await;
        let mut failures = 0_u32;
        loop {
            let pause = if pushes { SILENCE } else { self.pause() };
            let backoff = pause.saturating_mul(1 << failures.saturating_sub(1).min(10));
            let pause = if failures > 1 { backoff.min(BACKOFF).max(pause) } else { pause };
            let new = race(self.look.rings(), sleep(pause));
            if let Either::First(()) = race(self.closed.wait(), new).await {
                return;
            }
            let looked = self.look(&mut reading).await;
            self.chain.looked(&looked);
            match looked {
                Ok(()) => failures = 0,
                Err(failure) => {
                    self.tell(Notice::Trouble { with: "chain", failure: failure.clone() });
                    failures = failures.saturating_add(1);
                    if failures == PATIENCE {
                        self.tell(Notice::Error(failure));
                    }
                }
            }
        }
    }

    /// About one look a block; as often as was asked for while somebody waits for a block, and seldom while nobody looks.
    fn pause(&self) -> u32 {
        match global().document().map(|document| document.visibility_state()) {
            _ if self.chain.is_awaited() => self.poll_interval,
            Some(VisibilityState::Hidden) => self.poll_interval.max(UNSEEN),
            _ => self.poll_interval.max(self.chain.interval()),
        }
    }

    /// After a sleep, what was seen of the chain may be too old to pay or to accept payments by. It is looked at again
    /// before anything is refused for that.
    pub(super) async fn freshen(&self) {
        let seen = async {
            while !self.is_fresh() && !self.closed.is_sent() {
                self.look.ring();
                race(self.chain.heads.next(), sleep(AGAIN)).await;
            }
        };
        let patience = if matches!(self.chain.skew(), Skew::Undecided(_)) { DECIDING } else { FRESHENING };
        race(seen, sleep(patience)).await;
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.wallet.borrow().channel().is_fresh(self.chain.now())
    }

    /// What the device's clock has to do with a refusal that is about time, added to it.
    pub(super) fn explained(&self, failure: Failure) -> Failure {
        let about = matches!(failure.code(), Code::ChainStale | Code::BadExpiry | Code::InvalidArgument);
        let meaning = match self.chain.skew() {
            Skew::None => return failure,
            _ if !about => return failure,
            Skew::Behind(by) => format!("This device's clock is {} behind the chain.", span(by)),
            Skew::Ahead(by) => format!("This device's clock is {} ahead of the chain.", span(by)),
            Skew::Undecided(by) => format!(
                "The newest block is {0} old by this device's clock: either the clock is wrong, {0} ahead, or the RPC does \
                 not show the newest blocks.",
                span(by)
            ),
        };
        failure.because(&meaning)
    }

    fn hear(&self, facts: &[ChainFact]) {
        if facts.iter().any(|fact| matches!(fact, ChainFact::Asset { .. } | ChainFact::Claimed { .. })) {
            self.uncollected.ring();
        }
        let mut wallet = self.wallet.borrow_mut();
        for fact in facts {
            wallet.chain(fact, self.chain.now());
        }
    }

    /// Reads up to the newest block, and tells the wallet.
    async fn look(&self, reading: &mut Reading) -> Result<()> {
        reading.list(listed(&self.terms(), &self.wallet.borrow()));
        reading.seek(self.wallet.borrow().channel().live_keys().into_iter().collect());
        reading.confirm(self.chain.confirmations());
        reading.look(running());
        let mut reached = None;
        loop {
            match self.chain.news(reading, false).await? {
                News::Facts(facts) => self.hear(&facts),
                News::Head(facts, head) => {
                    // What a contract holds is asked of the newest final block: of older ones nodes forget it.
                    self.read_pending(head.final_number).await;
                    self.hear(&facts);
                    self.wallet.borrow_mut().head(head, self.chain.now());
                    // Locks whose expiry is final now: what was recorded for them, perhaps before we knew them, decides.
                    let unread = self.wallet.borrow().unread_keys().into_iter().collect();
                    reading.heard(Heard { unread, gone: Vec::new() })?;
                    reached = Some(head.final_number);
                }
                News::Done => break,
            }
        }
        if let Some(reached) = reached {
            if !self.wallet.borrow().unproven().is_empty() {
                self.unproven.ring();
            }
            self.work.ring();
            self.chain.tell_final(reached);
        }
        Ok(())
    }
}
