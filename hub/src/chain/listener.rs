//! Whoever the watcher and the sender work for: the hub's core, or a watchtower.

use super::rpc::Block;
use crate::core::{Core, Outcome};
use farthing_protocol::chain::{ChainFact, Head};
use farthing_protocol::condition::ConditionKey;
use farthing_protocol::{ChannelDef, ChannelId, Error};
use std::collections::BTreeSet;

/// What a listener says to what it was told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Heard {
    /// Keys whose recorded units have to be read at the final block.
    pub unread: BTreeSet<ConditionKey>,
    /// Channels that need not be watched any more.
    pub gone: Vec<ChannelId>,
}

/// Hears what is read of the chain and what became of transactions. [`farthing_protocol::Code::ClientClosed`] ends
/// the one who tells it.
pub trait Listener: Send + Sync + 'static {
    /// Channels announced on chain; returns those that are new here.
    fn announced(&self, channels: Vec<ChannelDef>) -> impl Future<Output = Result<Vec<ChannelId>, Error>> + Send;

    /// Facts read up to a final block, and the head that they lead to; durable when it returns.
    fn chain(
        &self,
        facts: Vec<(Option<ChannelId>, ChainFact)>,
        head: Head,
    ) -> impl Future<Output = Result<Heard, Error>> + Send;

    /// Units recorded at the final block of the last head, zero included; durable when it returns.
    fn recorded(&self, facts: Vec<ChainFact>) -> impl Future<Output = Result<(), Error>> + Send;

    /// All there is to know of these channels at this final block has been told; returns those that need not be
    /// watched any more.
    fn caught_up(
        &self,
        channels: &BTreeSet<ChannelId>,
        at: Block,
    ) -> impl Future<Output = Result<Vec<ChannelId>, Error>> + Send;

    /// What became of a transaction.
    fn outcome(&self, id: String, outcome: Outcome) -> impl Future<Output = Result<(), Error>> + Send;
}

impl Listener for Core {
    async fn announced(&self, channels: Vec<ChannelDef>) -> Result<Vec<ChannelId>, Error> {
        Self::announced(self, channels).await
    }

    async fn chain(&self, facts: Vec<(Option<ChannelId>, ChainFact)>, head: Head) -> Result<Heard, Error> {
        Self::chain(self, facts, head).await
    }

    async fn recorded(&self, facts: Vec<ChainFact>) -> Result<(), Error> {
        Self::recorded(self, facts).await
    }

    async fn caught_up(&self, _channels: &BTreeSet<ChannelId>, _at: Block) -> Result<Vec<ChannelId>, Error> {
        Ok(Vec::new())
    }

    async fn outcome(&self, id: String, outcome: Outcome) -> Result<(), Error> {
        Self::outcome(self, id, outcome).await
    }
}
