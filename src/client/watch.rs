//! Watches the chain: at each new head, what it says of our channel goes to the wallet.

use super::{Client, Notice};
use crate::failure::Result;
use crate::js::now;
use crate::task::{Either, Work, race, sleep};
use farthing_protocol::chain::{ChainFact, Head};
use farthing_protocol::condition::ConditionKey;
use std::rc::Rc;

/// With pushed heads, the chain is asked all the same when none has come for so long, in milliseconds.
const SILENCE: u32 = 30_000;

/// How long a new block is waited for when the last one is too old, in milliseconds.
const FRESHENING: u32 = 5_000;

/// Pause before the chain is looked at once more for that, in milliseconds.
const AGAIN: u32 = 500;

/// Blocks that one request for logs may span.
const LOG_RANGE: u64 = 2_000;

/// Failures in a row after which the application is told.
const PATIENCE: u32 = 10;

impl Client {
    /// Runs until the client ends. `next` is the first block whose logs have not been read as final.
    pub(super) async fn watch_chain(self: Rc<Self>, mut next: u64) {
        let bell = Rc::clone(&self.look);
        let pushes = self.chain.rpc.subscribe(move || bell.ring()).await;
        let mut failures = 0_u32;
        loop {
            let pause = if pushes { SILENCE } else { self.poll_interval };
            let new = race(self.look.rings(), sleep(pause));
            if let Either::First(()) = race(self.closed.wait(), new).await {
                return;
            }
            match self.look(next).await {
                Ok(done) => {
                    next = done;
                    failures = 0;
                }
                Err(failure) => {
                    failures = failures.saturating_add(1);
                    if failures == PATIENCE {
                        self.tell(Notice::Error(failure));
                    }
                }
            }
        }
    }

    /// After a sleep, what was seen of the chain may be too old to pay or to accept payments by. It is looked at again
    /// before anything is refused for that.
    pub(super) fn freshen(&self) -> Work<'_, ()> {
        Box::pin(async {
            let fresh = || self.wallet.borrow().channel().is_fresh(now());
            let seen = async {
                while !fresh() && !self.closed.is_sent() {
                    self.look.ring();
                    race(self.chain.heads.next(), sleep(AGAIN)).await;
                }
            };
            race(seen, sleep(FRESHENING)).await;
            Ok(())
        })
    }

    /// What a block says of an exit.
    async fn exit_at(&self, block: u64) -> Result<ChainFact> {
        let exit = self.chain.exit_ends_at(self.id, block).await?;
        Ok(exit.map_or(ChainFact::ExitGone, |ends_at| ChainFact::ExitStarted { ends_at }))
    }

    /// Reads one head and the logs up to it; gives the first block that has still to be read.
    async fn look(&self, next: u64) -> Result<u64> {
        let head = self.chain.read_head().await?;
        // What the wallet was not told, since an earlier look failed or stopped half way, is read again.
        if self.wallet.borrow().channel().head() == Some(&head) {
            return Ok(next);
        }
        let mut facts: Vec<ChainFact> = Vec::new();
        // Long ranges, as after a sleep, are read in steps that every node answers.
        let upto = head.number.min(next.saturating_add(LOG_RANGE));
        let reached = Head { number: upto, final_number: head.final_number.min(upto), ..head };
        let news = self.chain.news(self.id, next, reached).await?;
        for asset in &news.assets {
            facts.push(self.chain.asset(self.id, *asset, reached.final_number).await?);
        }
        for asset in &news.shown {
            facts.push(self.chain.shown(self.id, *asset, reached.final_number).await?);
        }
        facts.extend(news.claimed);
        // Logs of blocks that are not final are read at every look: an exit that is gone was taken back by a reorg.
        let exiting = self.wallet.borrow().channel().state().exit;
        facts.extend(match (news.exit, exiting) {
            (Some(ends_at), _) => Some(ChainFact::ExitStarted { ends_at }),
            (None, Some(_)) => Some(self.exit_at(head.number).await?),
            (None, None) => None,
        });
        let keys: Vec<ConditionKey> = self.wallet.borrow().channel().live_keys().into_iter().collect();
        if !keys.is_empty() && reached.final_number >= next {
            facts.extend(self.chain.evidence(&keys, next, reached.final_number).await?);
        }
        {
            let mut wallet = self.wallet.borrow_mut();
            for fact in &facts {
                wallet.chain(fact, now());
            }
            // The wallet is told of a head only when it knows all facts up to it.
            if reached.final_number == head.final_number {
                wallet.head(head, now());
            }
        }
        // Locks whose expiry is final now: what was recorded for them, perhaps before we knew them, decides.
        let unread = self.wallet.borrow().unread_keys();
        if !unread.is_empty() {
            let facts = self.chain.recorded_units(unread, reached.final_number).await?;
            let mut wallet = self.wallet.borrow_mut();
            for fact in &facts {
                wallet.chain(fact, now());
            }
        }
        self.work.ring();
        self.chain.heads.notify();
        Ok(next.max(reached.final_number.saturating_add(1)))
    }
}
