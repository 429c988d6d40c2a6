//! Whoever the follower and the sender work for: the hub's core, or a watchtower.

use farthing_protocol::chain::{ChainFact, Head};
use farthing_protocol::reading::{Block, Heard};
use farthing_protocol::{ChannelDef, ChannelId, Error};
use std::collections::BTreeSet;

/// What became of a transaction that was ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// In a final block.
    Mined,
    /// It can't be mined any more, or it reverted.
    Failed,
}

/// Hears what is read of the chain and what became of transactions. [`farthing_protocol::Code::ClientClosed`] ends
/// the one who tells it.
pub trait Listener: Send + Sync + 'static {
    /// Channels announced on chain; returns those that are new here.
    fn announced(&self, channels: Vec<ChannelDef>) -> impl Future<Output = Result<Vec<ChannelId>, Error>> + Send;

    /// A part of what was read, while there is more to come before the next head; durable when it returns. It was read
    /// when `newest` was the newest block. Returns channels that need not be followed any more.
    fn facts(
        &self,
        facts: Vec<(Option<ChannelId>, ChainFact)>,
        newest: u64,
    ) -> impl Future<Output = Result<Vec<ChannelId>, Error>> + Send;

    /// The last facts read up to a final block, and the head that they lead to; durable when it returns.
    fn chain(
        &self,
        facts: Vec<(Option<ChannelId>, ChainFact)>,
        head: Head,
    ) -> impl Future<Output = Result<Heard, Error>> + Send;

    /// Units recorded at the final block of the last head, zero included; durable when it returns.
    fn recorded(&self, facts: Vec<ChainFact>) -> impl Future<Output = Result<(), Error>> + Send;

    /// All there is to know of these channels at this final block has been told: they need not be read as a whole
    /// again, also after a restart. Returns those that need not be followed any more.
    fn caught_up(
        &self,
        channels: &BTreeSet<ChannelId>,
        at: Block,
    ) -> impl Future<Output = Result<Vec<ChannelId>, Error>> + Send;

    /// What became of a transaction.
    fn outcome(&self, id: String, outcome: Outcome) -> impl Future<Output = Result<(), Error>> + Send;
}
