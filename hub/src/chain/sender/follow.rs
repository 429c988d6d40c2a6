//! What became of signed transactions: final receipts, and what reorganisations took back.

use super::super::listener::{Listener, Outcome};
use super::super::rpc::{Estimate, Fees};
use super::sign::Content;
use super::{Look, Open, Sender, backoff};
use crate::store::{NonceEnd, StoredOrder, Transaction};
use alloy_primitives::B256;
use farthing_protocol::Error;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

/// Questions to the node at once.
const CONCURRENCY: usize = 16;
/// A receipt that is not found at so many blocks is not there: one RPC may be many nodes, of which one is behind.
const MISSES: u32 = 3;

impl<L: Listener> Sender<L> {
    /// Ends the nonces that a final block has used. Nothing is asked of the others.
    pub(super) async fn follow(&mut self, look: &Look) -> Result<(), Error> {
        let mut open = self.open().await?;
        if self.revive(look, &mut open).await? {
            open = self.open().await?;
        }
        let used: Vec<u64> = open.nonces.range(..look.account.counted).map(|(nonce, _)| *nonce).collect();
        self.missed.retain(|nonce, _| used.contains(nonce));
        for nonce in used {
            self.end(look, &open, nonce).await?;
        }
        Ok(())
    }

    async fn end(&mut self, look: &Look, open: &Open, nonce: u64) -> Result<(), Error> {
        let uses = open.nonces.get(&nonce).map(Vec::as_slice).unwrap_or_default();
        let forms = uses.iter().flat_map(|used| used.attempts.iter().map(move |attempt| (used.id, attempt.hash)));
        let asked: Vec<_> = forms.map(|(id, hash)| self.receipt(id, hash).boxed()).collect();
        let found: Vec<Option<_>> = stream::iter(asked).buffered(CONCURRENCY).try_collect().await?;
        let found = found.into_iter().flatten().next();
        let winner = match found {
            // A node that is behind or ahead; asked again.
            Some((_, block, _)) if block > look.head.final_number => return Ok(()),
            Some((id, block, succeeded)) => Some((id, block, succeeded)),
            None => {
                let is_new = self.worked.is_none_or(|(last, _)| last.number != look.head.number);
                let misses = self.missed.entry(nonce).or_default();
                *misses = misses.saturating_add(u32::from(is_new));
                if *misses < MISSES {
                    return Ok(());
                }
                tracing::error!(nonce, "another transaction of the account took this nonce");
                None
            }
        };
        let carried = |id: u64| open.orders_of(id).collect::<Vec<&StoredOrder>>();
        let failures = winner.map(|(id, ..)| carried(id).iter().map(|order| order.failures).max().unwrap_or_default());
        let end = NonceEnd {
            nonce,
            winner: winner.map(|(id, ..)| id),
            succeeded: winner.is_some_and(|(_, _, succeeded)| succeeded),
            block: winner.map_or(look.head.final_number, |(_, block, _)| block),
            now: look.now,
            not_before: look.now.saturating_add(backoff(failures.unwrap_or_default())),
        };
        self.store.end_nonce(end).await?;
        self.missed.remove(&nonce);
        for used in uses {
            self.broadcast_at.remove(&used.id);
            self.refused.remove(&used.id);
            let outcome = match winner {
                Some((id, _, true)) if id == used.id => Outcome::Mined,
                Some((id, _, false)) if id == used.id => Outcome::Failed,
                // It waits again.
                Some(_) => continue,
                None => Outcome::Failed,
            };
            tracing::info!(nonce, call = used.label, ?outcome, "transaction ended");
            for order in carried(used.id) {
                self.tell(&order.id, outcome).await?;
            }
        }
        Ok(())
    }

    async fn receipt(&self, id: u64, hash: B256) -> Result<Option<(u64, u64, bool)>, Error> {
        let receipt = self.rpc.receipt(hash).await?;
        Ok(receipt.and_then(|receipt| Some((id, receipt.block_number?, receipt.status()))))
    }

    /// A reorganisation deeper than what counts as final takes transactions back that have ended, and nobody asks for
    /// them again: their ids are known. They are sent once more, as they were, if they would succeed, or if later ones
    /// wait for their nonces. True if there are such.
    async fn revive(&mut self, look: &Look, open: &mut Open) -> Result<bool, Error> {
        let owner = self.config.owner.address();
        // One RPC may be many nodes, of which one is behind: what a final block holds is not gone.
        let from = look.account.mined.max(look.account.counted);
        let gone = self.store.ended_from(from).await?;
        let last = open.nonces.last_key_value().map(|(nonce, _)| *nonce);
        let mut needed = None;
        for transaction in gone.iter().rev() {
            let Transaction { id, nonce, to, data, value, .. } = transaction;
            // Its nonce has another use now.
            if open.nonces.contains_key(nonce) {
                continue;
            }
            let gap = needed.max(last).is_some_and(|later| later > *nonce);
            // What it did is done by a later transaction, or is not wanted any more: it must not be done twice.
            if !self.store.has_orders(*id).await? {
                if gap {
                    self.fill(look, open, transaction).await?;
                    needed = needed.max(Some(*nonce));
                }
                continue;
            }
            if !gap && !matches!(self.rpc.estimate(owner, *to, data.clone().into(), *value).await?, Estimate::Gas(_)) {
                continue;
            }
            tracing::error!(nonce, call = transaction.label, "a transaction that was final is gone; sending it again");
            self.store.revive(*id).await?;
            needed = needed.max(Some(*nonce));
        }
        Ok(needed.is_some())
    }

    /// Uses a nonce that later transactions wait for.
    async fn fill(&mut self, look: &Look, open: &mut Open, before: &Transaction) -> Result<(), Error> {
        let content = Content::cancel(self.config.owner.address());
        let last = before.attempts.last().map(|attempt| (attempt.max_fee, attempt.priority_fee)).unwrap_or_default();
        let limit = self.cancel_limit(open);
        let last = Fees { max_fee: last.0, priority_fee: last.1 };
        let Some(fees) = self.config.gas.raise(last, limit, content.gas, look.market) else { return Ok(()) };
        self.send(look, open, before.nonce, content, fees, &[]).await
    }
}
