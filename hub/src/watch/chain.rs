//! What the tower makes of the chain's facts. It hears of an exit at once, and forgets only what is final.

use super::store::Running;
use super::tower::Tower;
use crate::chain::{Block, Heard, Listener, Outcome};
use farthing_protocol::chain::{AssetStatus, ChainFact, Head};
use farthing_protocol::{Blame, ChannelDef, ChannelId, Error};
use std::collections::BTreeSet;

impl Listener for Tower {
    async fn announced(&self, _channels: Vec<ChannelDef>) -> Result<Vec<ChannelId>, Error> {
        Ok(Vec::new())
    }

    async fn facts(&self, facts: Vec<(Option<ChannelId>, ChainFact)>, newest: u64) -> Result<Vec<ChannelId>, Error> {
        let result = self.learn(facts, newest).await;
        self.failed_with(result)
    }

    async fn chain(&self, facts: Vec<(Option<ChannelId>, ChainFact)>, head: Head) -> Result<Heard, Error> {
        let result = self.hear(facts, head).await;
        self.failed_with(result)
    }

    async fn recorded(&self, _facts: Vec<ChainFact>) -> Result<(), Error> {
        Ok(())
    }

    async fn caught_up(&self, channels: &BTreeSet<ChannelId>, at: Block) -> Result<Vec<ChannelId>, Error> {
        let result = self.read_anew(channels, at).await;
        self.failed_with(result)
    }

    /// What failed is seen at the next look, by what the chain shows.
    async fn outcome(&self, _id: String, _outcome: Outcome) -> Result<(), Error> {
        Ok(())
    }
}

impl Tower {
    /// Takes in what was read when `newest` was the newest block; returns the channels that are over.
    async fn learn(&self, facts: Vec<(Option<ChannelId>, ChainFact)>, newest: u64) -> Result<Vec<ChannelId>, Error> {
        let store = &self.inner.store;
        let mut gone = Vec::new();
        for (channel, fact) in facts {
            let Some(channel) = channel else { continue };
            match fact {
                ChainFact::ExitStarted { ends_at } => {
                    tracing::info!(%channel, ends_at, "an exit has started");
                    store.set_exit(channel, Some(Running { ends_at, seen: newest })).await?;
                }
                ChainFact::Asset { asset, status, .. } if status != AssetStatus::Open => {
                    if store.forget_proofs(channel, Some(asset)).await? {
                        gone.push(channel);
                    }
                }
                // Exits and what they show are read anew at each block.
                ChainFact::Asset { .. }
                | ChainFact::Evidence { .. }
                | ChainFact::ExitGone
                | ChainFact::Shown { .. }
                | ChainFact::Claimed { .. } => {}
            }
        }
        Ok(gone)
    }

    async fn hear(&self, facts: Vec<(Option<ChannelId>, ChainFact)>, head: Head) -> Result<Heard, Error> {
        let store = &self.inner.store;
        let mut gone = self.learn(facts, head.number).await?;
        gone.extend(self.answer_exits(head).await?);
        self.record_evidence(head).await?;
        gone.extend(store.forget_expired(head.final_timestamp).await?);
        for channel in &gone {
            tracing::info!(%channel, "a channel is over; not watched any more");
        }
        match self.inner.rpc.balance(self.inner.config.gas_key.address()).await {
            Ok(balance) => self.set_balance(balance),
            Err(error) => tracing::warn!(%error, "the gas account's balance could not be read"),
        }
        Ok(Heard { unread: Vec::new(), gone })
    }

    /// An asset may have been closed before anybody asked to have it watched.
    async fn read_anew(&self, channels: &BTreeSet<ChannelId>, at: Block) -> Result<Vec<ChannelId>, Error> {
        let mut gone = Vec::new();
        if channels.is_empty() {
            return Ok(gone);
        }
        let store = &self.inner.store;
        for id in channels {
            let Some(watched) = store.channel(*id).await? else { continue };
            let assets: BTreeSet<_> = watched.lanes.iter().map(|(proof, _)| proof.lane().asset).collect();
            for asset in assets {
                let open = self.inner.stake(*id, asset, Some(at)).await?.open;
                if !open && store.forget_proofs(*id, Some(asset)).await? {
                    gone.push(*id);
                }
            }
        }
        store.checked(channels).await?;
        Ok(gone)
    }

    /// A store that fails ends the tower; a chain that fails is tried again.
    fn failed_with<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result
            && error.blame() == Blame::Storage
        {
            self.fail(error);
        }
        result
    }
}
