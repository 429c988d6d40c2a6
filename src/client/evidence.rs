//! What the chain holds beside our channel's money, and what nobody has to wait for: units recorded and locks claimed
//! before we looked, and what proved the units. Nothing of it keeps a channel from being opened.

use super::Client;
use crate::failure::Result;
use crate::task::{Either, race, sleep};
use farthing_protocol::condition::ConditionKey;
use farthing_protocol::wallet::Unproven;
use std::rc::Rc;

/// How much earlier than a payment says it began its evidence is looked for, in seconds: as much as a clock that was ahead
/// can have been taken for right.
const EARLIER: u64 = 3_600;

/// The first and the longest pause before the logs are searched again, in milliseconds.
const AGAIN: (u32, u32) = (2_000, 600_000);

impl Client {
    /// Reads on what was left when the channel was opened. A failure is no reason not to look at the rest of the chain.
    pub(super) async fn read_pending(&self, block: u64) {
        let mut pending = self.pending.take();
        let take = |fact| self.wallet.borrow_mut().chain(&fact, self.chain.now());
        let _ = pending.read(&self.chain, self.id, block, &take).await;
        self.pending.replace(pending);
    }

    /// Looks for the preimages of payments that the chain says were made, until the client ends.
    pub(super) async fn keep_proven(self: Rc<Self>) {
        let mut sought: Vec<ConditionKey> = Vec::new();
        while let Either::Second(()) = race(self.closed.wait(), self.unproven.rings()).await {
            let mut pause = AGAIN.0;
            loop {
                let mut wanted = self.wallet.borrow().unproven();
                wanted.retain(|unproven| !sought.contains(&unproven.key));
                if wanted.is_empty() {
                    break;
                }
                match race(self.closed.wait(), self.search(&wanted)).await {
                    Either::First(()) => return,
                    // What is not there now will not be found by asking again.
                    Either::Second(Ok(())) => sought.extend(wanted.iter().map(|unproven| unproven.key)),
                    Either::Second(Err(_)) => {
                        if let Either::First(()) = race(self.closed.wait(), sleep(pause)).await {
                            return;
                        }
                        pause = pause.saturating_mul(2).min(AGAIN.1);
                    }
                }
            }
        }
    }

    /// Searches the logs backwards from the last expiry to the first lock's start.
    async fn search(&self, wanted: &[Unproven]) -> Result<()> {
        let newest = self.chain.head().final_number;
        let since = wanted.iter().map(|unproven| unproven.since).min().unwrap_or_default();
        let until = wanted.iter().map(|unproven| unproven.until).max().unwrap_or_default();
        let from = self.chain.block_at(since.saturating_sub(EARLIER), newest).await?;
        let to = self.chain.block_at(until, newest).await?;
        let keys = wanted.iter().map(|unproven| unproven.key).collect();
        for fact in self.chain.search_evidence(keys, from, to).await? {
            self.wallet.borrow_mut().chain(&fact, self.chain.now());
        }
        self.work.ring();
        Ok(())
    }
}
