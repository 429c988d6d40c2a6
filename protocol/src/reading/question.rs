//! What is asked of the chain, and when an answer is one.

use crate::abi::IFarthing::EvidenceRecorded;
use crate::condition::ConditionKey;
use crate::error::{Code, Error};
use crate::types::ChannelId;
use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;
use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolEvent;

/// A block, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Unix seconds.
    pub timestamp: u64,
}

/// A log of the contract.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// Who wrote it.
    pub address: Address,
    /// The event, and what of it is indexed.
    pub topics: Vec<B256>,
    /// The rest.
    pub data: Bytes,
    /// The height of its block.
    pub block: u64,
    /// The hash of its block, where the node tells it.
    pub block_hash: Option<B256>,
    /// Its place in the block.
    pub index: Option<u64>,
    /// A reorganisation took it back.
    pub removed: bool,
}

/// The block whose state is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum At {
    /// One that has its confirmations.
    Final(Block),
    /// The newest one, which not every node may know yet.
    Newest(Block),
}

impl At {
    /// The very block.
    #[must_use]
    pub const fn block(&self) -> &Block {
        match self {
            Self::Final(block) | Self::Newest(block) => block,
        }
    }
}

/// Which of the contract's logs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// All of them.
    All,
    /// Those of one channel.
    Channel(ChannelId),
    /// Evidence that was recorded for any of these keys.
    Evidence(Vec<ConditionKey>),
}

impl Wanted {
    /// What a node has to compare with a log's topics: the event if it must be one, and what stands second.
    #[must_use]
    pub fn topics(&self) -> (Option<B256>, Vec<B256>) {
        match self {
            Self::All => (None, Vec::new()),
            Self::Channel(channel) => (None, [channel.0].into()),
            Self::Evidence(keys) => (Some(EvidenceRecorded::SIGNATURE_HASH), keys.iter().map(|key| key.0).collect()),
        }
    }

    /// Whether a log is one of them.
    #[must_use]
    pub fn takes(&self, log: &Log) -> bool {
        let (event, second) = self.topics();
        let is = |place: usize, wanted: &[B256]| {
            wanted.is_empty() || log.topics.get(place).is_some_and(|topic| wanted.contains(topic))
        };
        is(0, event.as_slice()) && is(1, &second)
    }
}

/// A question about the chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Question {
    /// The newest block.
    Newest,
    /// The block at this height, if the chain is that long.
    Block(u64),
    /// The contract's logs in these blocks, both ends included, in their order.
    Logs {
        /// Which of them.
        wanted: Wanted,
        /// The first block.
        from: u64,
        /// The last one.
        to: u64,
        /// The newest final one: of later ones not every node may know.
        final_number: u64,
    },
    /// What the contract answers to these calls at this very block.
    Calls {
        /// Their calldata.
        calls: Vec<Bytes>,
        /// The block.
        at: At,
    },
}

/// What was answered. A question that failed has none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// A block; none where the chain is not that long, or the node does not know it.
    Block(Option<Block>),
    /// Logs.
    Logs(Vec<Log>),
    /// What calls returned, in their order; nothing where there was no contract at that block.
    Calls(Vec<Bytes>),
    /// Whether there was a contract.
    Code(bool),
}

impl Question {
    /// Refuses what is no answer to this question. `contract` is whose logs were asked for.
    pub fn check(&self, answer: &Answer, contract: Address) -> Result<(), Error> {
        match (self, answer) {
            (Self::Newest, Answer::Block(Some(_))) | (Self::Block(_), Answer::Block(None)) => Ok(()),
            (Self::Newest, Answer::Block(None)) => Err(unavailable("the RPC has no newest block")),
            (Self::Block(wanted), Answer::Block(Some(block))) if block.number == *wanted => Ok(()),
            (Self::Logs { wanted, from, to, .. }, Answer::Logs(logs)) => {
                let is_there = |log: &Log| log.address == contract && (*from..=*to).contains(&log.block);
                let fits = |log: &Log| is_there(log) && wanted.takes(log);
                if logs.iter().all(fits) {
                    Ok(())
                } else {
                    Err(unavailable("the RPC gave logs that were not asked for"))
                }
            }
            (Self::Calls { calls, .. }, Answer::Calls(answers)) if calls.len() == answers.len() => Ok(()),
            _ => Err(unavailable("the RPC answered another question")),
        }
    }
}

pub(super) fn unavailable(said: impl Into<Cow<'static, str>>) -> Error {
    Error::new(Code::ChainUnavailable, said)
}

/// The chain that was read is not the one that is there.
pub(super) fn changed() -> Error {
    unavailable("the chain changed while it was read")
}

/// The node does not know, or not yet, what was told before.
pub(super) fn behind() -> Error {
    unavailable("the RPC is behind what it said before; waiting until it has caught up")
}

pub(super) fn unknown(number: u64) -> Error {
    unavailable(format!("the RPC does not know block {number}"))
}
