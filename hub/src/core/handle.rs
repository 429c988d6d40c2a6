//! How the rest of the node talks to the core.

use super::outbox::{Outbox, Outgoing, SocketId};
use crate::chain::Heard;
use alloy_primitives::Address;
use farthing_protocol::chain::{AssetStatus, ChainFact, Head};
use farthing_protocol::channel::{Channel, LanePage};
use farthing_protocol::hub::{PayeeInfo, Registration};
use farthing_protocol::message::Message;
use farthing_protocol::proof::LaneId;
use farthing_protocol::{Amount, Asset, ChannelDef, ChannelId, Code, Error, Sides};
use serde::Serialize;
use std::fmt;
use tokio::sync::{mpsc, oneshot};

/// What became of a transaction that the core asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// In a final block.
    Mined,
    /// It can't be mined any more, or it reverted.
    Failed,
}

/// What anybody may know of a channel: what the chain says of it, as the hub sees it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelStatus {
    /// Its identifier.
    pub channel_id: ChannelId,
    /// Its definition.
    pub channel: ChannelDef,
    /// Whether its client is connected.
    pub online: bool,
    /// When a running exit can't be answered any more, Unix seconds.
    pub exit_ends_at: Option<u64>,
    /// The newest final block that the hub has read.
    pub final_block: Option<u64>,
    /// By asset.
    pub assets: Vec<AssetState>,
}

/// What the chain says of one asset.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssetState {
    /// Which one.
    pub asset: Asset,
    /// Confirmed deposits.
    pub deposits: Sides<Amount>,
    /// Confirmed withdrawals.
    pub withdrawn: Sides<Amount>,
    /// `open`, `closed` or `settled`.
    pub status: &'static str,
}

impl ChannelStatus {
    pub(super) fn of(channel: &Channel, online: bool, newest: Option<&Head>) -> Self {
        let assets = channel.state().assets.iter().map(|(asset, book)| AssetState {
            asset: *asset,
            deposits: book.deposits,
            withdrawn: book.withdrawn,
            status: match book.status {
                AssetStatus::Open => "open",
                AssetStatus::Closed => "closed",
                AssetStatus::Settled => "settled",
            },
        });
        Self {
            channel_id: channel.id(),
            channel: *channel.def(),
            online,
            exit_ends_at: channel.state().exit,
            final_block: newest.map(|head| head.final_number),
            assets: assets.collect(),
        }
    }
}

/// A handle of the core. Sending waits while the core is busy: that is the back-pressure on sockets.
#[derive(Clone, Debug)]
pub struct Core {
    inbox: mpsc::Sender<Input>,
}

impl Core {
    pub(super) const fn new(inbox: mpsc::Sender<Input>) -> Self {
        Self { inbox }
    }

    /// Messages of a client that proved its key.
    pub async fn messages(&self, channel: ChannelId, messages: Vec<Message>) -> Result<(), Error> {
        self.put(Input::Messages { channel, messages }).await
    }

    /// Makes a socket the one that a channel's messages go to. `greeting` is sent first.
    pub async fn attach(&self, channel: ChannelId, outbox: Outbox, greeting: Outgoing) -> Result<(), Error> {
        self.ask(|reply| Input::Attach { channel, outbox, greeting, reply }).await
    }

    /// A socket is gone.
    pub async fn detach(&self, channel: ChannelId, socket: SocketId) {
        let _ = self.put(Input::Detach { channel, socket }).await;
    }

    /// Admits a channel; durable when it returns.
    pub async fn register(&self, registration: Registration) -> Result<ChannelId, Error> {
        self.ask(|reply| Input::Register { registration: Box::new(registration), reply }).await
    }

    /// Channels announced on chain; returns those that are new here.
    pub async fn announced(&self, channels: Vec<ChannelDef>) -> Result<Vec<ChannelId>, Error> {
        if channels.is_empty() {
            return Ok(Vec::new());
        }
        let channels = channels.into_iter().map(|channel| Registration { channel, public_key: None, binding: None });
        self.ask(|reply| Input::Announced { channels: channels.collect(), reply }).await
    }

    /// What a payer has to know of a payee.
    pub async fn lookup(&self, address: Address) -> Result<PayeeInfo, Error> {
        self.ask(|reply| Input::Lookup { address, reply }).await
    }

    /// What anybody may know of a channel.
    pub async fn status(&self, channel: ChannelId) -> Result<ChannelStatus, Error> {
        self.ask(|reply| Input::Status { channel, reply }).await
    }

    /// A page of a lane, for the channel's client alone; what it shows is durable when it returns.
    pub async fn lane(&self, channel: ChannelId, lane: LaneId, from: u16) -> Result<LanePage, Error> {
        self.ask(|reply| Input::Lane { channel, lane, from, reply }).await
    }

    /// Facts read up to a final block, and the head that they lead to; durable when it returns.
    /// Returns the keys whose recorded units have to be read at that block and given to [`Core::recorded`], and the
    /// channels that were forgotten.
    pub async fn chain(&self, facts: Vec<(Option<ChannelId>, ChainFact)>, head: Head) -> Result<Heard, Error> {
        self.ask(|reply| Input::Chain { facts, head, reply }).await
    }

    /// Units recorded at the final block of the last head, zero included; durable when it returns.
    pub async fn recorded(&self, facts: Vec<ChainFact>) -> Result<(), Error> {
        self.ask(|reply| Input::Recorded { facts, reply }).await
    }

    /// What became of a transaction.
    pub async fn outcome(&self, id: String, outcome: Outcome) -> Result<(), Error> {
        self.put(Input::Outcome { id, outcome }).await
    }

    async fn put(&self, input: Input) -> Result<(), Error> {
        self.inbox.send(input).await.map_err(|_| gone())
    }

    async fn ask<T>(&self, input: impl FnOnce(Reply<T>) -> Input) -> Result<T, Error> {
        let (sender, answer) = oneshot::channel();
        self.put(input(Reply(sender))).await?;
        answer.await.map_err(|_| gone())?
    }
}

fn gone() -> Error {
    Error::new(Code::ClientClosed, "the hub is shutting down")
}

/// What the core takes in.
#[derive(Debug)]
pub(super) enum Input {
    Messages { channel: ChannelId, messages: Vec<Message> },
    Attach { channel: ChannelId, outbox: Outbox, greeting: Outgoing, reply: Reply<()> },
    Detach { channel: ChannelId, socket: SocketId },
    Register { registration: Box<Registration>, reply: Reply<ChannelId> },
    Announced { channels: Vec<Registration>, reply: Reply<Vec<ChannelId>> },
    Lookup { address: Address, reply: Reply<PayeeInfo> },
    Status { channel: ChannelId, reply: Reply<ChannelStatus> },
    Lane { channel: ChannelId, lane: LaneId, from: u16, reply: Reply<LanePage> },
    Chain { facts: Vec<(Option<ChannelId>, ChainFact)>, head: Head, reply: Reply<Heard> },
    Recorded { facts: Vec<ChainFact>, reply: Reply<()> },
    Outcome { id: String, outcome: Outcome },
}

impl Input {
    /// Answers that the store failed.
    pub(super) fn refuse(self) {
        match self {
            Self::Attach { reply, .. } => reply.refuse(),
            Self::Register { reply, .. } => reply.refuse(),
            Self::Announced { reply, .. } => reply.refuse(),
            Self::Lookup { reply, .. } => reply.refuse(),
            Self::Status { reply, .. } => reply.refuse(),
            Self::Lane { reply, .. } => reply.refuse(),
            Self::Chain { reply, .. } => reply.refuse(),
            Self::Recorded { reply, .. } => reply.refuse(),
            Self::Messages { .. } | Self::Detach { .. } | Self::Outcome { .. } => {}
        }
    }
}

/// Somebody waits for an answer.
#[derive(Debug)]
pub(super) struct Reply<T>(oneshot::Sender<Result<T, Error>>);

impl<T: Send + 'static> Reply<T> {
    /// The answer, to be given now or after the next commit.
    pub(super) fn with(self, result: Result<T, Error>) -> Asked {
        Asked(Box::new(move |durable| {
            // Whoever asked may have gone away; nobody misses the answer then.
            let _ = self.0.send(if durable { result } else { Err(Code::StorageFailed.into()) });
        }))
    }

    fn refuse(self) {
        let _ = self.0.send(Err(Code::StorageFailed.into()));
    }
}

/// An answer that is ready.
pub(super) struct Asked(Box<dyn FnOnce(bool) + Send>);

impl Asked {
    pub(super) fn answer(self) {
        (self.0)(true);
    }

    pub(super) fn refuse(self) {
        (self.0)(false);
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked")
    }
}
