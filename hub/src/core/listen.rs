//! What the chain's side of the node tells the core.

use super::Core;
use crate::chain::{Block, Heard, Listener, Outcome};
use farthing_protocol::chain::{ChainFact, Head};
use farthing_protocol::{ChannelDef, ChannelId, Error};
use std::collections::BTreeSet;

impl Listener for Core {
    async fn announced(&self, channels: Vec<ChannelDef>) -> Result<Vec<ChannelId>, Error> {
        Self::announced(self, channels).await
    }

    async fn facts(&self, facts: Vec<(Option<ChannelId>, ChainFact)>, _newest: u64) -> Result<Vec<ChannelId>, Error> {
        Self::facts(self, facts).await?;
        Ok(Vec::new())
    }

    async fn chain(&self, facts: Vec<(Option<ChannelId>, ChainFact)>, head: Head) -> Result<Heard, Error> {
        Self::chain(self, facts, head).await
    }

    async fn recorded(&self, facts: Vec<ChainFact>) -> Result<(), Error> {
        Self::recorded(self, facts).await
    }

    async fn caught_up(&self, channels: &BTreeSet<ChannelId>, _at: Block) -> Result<Vec<ChannelId>, Error> {
        Self::caught_up(self, channels.clone()).await?;
        Ok(Vec::new())
    }

    async fn outcome(&self, id: String, outcome: Outcome) -> Result<(), Error> {
        Self::outcome(self, id, outcome).await
    }
}
