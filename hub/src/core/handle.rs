//! How the rest of the node talks to the core.

use super::outbox::{Outbox, Outgoing, SocketId};
use crate::chain::{Heard, Outcome};
use crate::origin::Origin;
use alloy_primitives::Address;
use farthing_protocol::api::{AssetState, ChannelStatus, PayeeInfo};
use farthing_protocol::chain::{ChainFact, Head};
use farthing_protocol::channel::{Channel, LanePage, OnChain};
use farthing_protocol::hub::Registration;
use farthing_protocol::message::Message;
use farthing_protocol::proof::LaneId;
use farthing_protocol::{ChannelDef, ChannelId, Code, Error};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Most bytes of frames that wait for the core; beyond, sockets stop reading.
const WAITING: usize = 8_388_608;

/// What anybody may know of a channel, and its client whether that is connected.
pub(super) fn status_of(channel: &Channel, online: Option<bool>, newest: Option<&Head>) -> ChannelStatus {
    let assets = channel.assets().map(|asset| {
        let OnChain { deposits, withdrawn, status } = channel.on_chain(asset);
        AssetState { asset, deposits, withdrawn, status }
    });
    ChannelStatus {
        channel_id: channel.id(),
        channel: *channel.def(),
        online,
        exit_ends_at: channel.exit_ends_at(),
        final_block: newest.map(|head| head.final_number),
        assets: assets.collect(),
    }
}

/// A handle of the core. Sending waits while the core is busy: that is the back-pressure on sockets.
#[derive(Clone, Debug)]
pub struct Core {
    inbox: mpsc::Sender<Input>,
    /// Bytes of frames.
    room: Arc<Semaphore>,
}

impl Core {
    pub(super) fn new(inbox: mpsc::Sender<Input>) -> Self {
        Self { inbox, room: Arc::new(Semaphore::new(WAITING)) }
    }

    /// Messages of a client that proved its key, and how many bytes they were.
    pub async fn messages(&self, channel: ChannelId, messages: Vec<Message>, bytes: usize) -> Result<(), Error> {
        let bytes = u32::try_from(bytes.min(WAITING)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await.map_err(|_| gone())?;
        self.put(Input::Messages { channel, messages, room }).await
    }

    /// Keeps a client's backup, in place of an earlier one; durable when it returns.
    pub async fn backup(&self, channel: ChannelId, backup: Vec<u8>) -> Result<(), Error> {
        self.ask(|reply| Input::Backup { channel, backup, reply }).await
    }

    /// Makes a socket the one that a channel's messages go to. `greeting` is sent first.
    pub async fn attach(&self, channel: ChannelId, outbox: Outbox, greeting: Outgoing) -> Result<(), Error> {
        self.ask(|reply| Input::Attach { channel, outbox, greeting, reply }).await
    }

    /// A socket is gone.
    pub async fn detach(&self, channel: ChannelId, socket: SocketId) {
        let _ = self.put(Input::Detach { channel, socket }).await;
    }

    /// Admits a channel; durable when it returns. `seen` if the chain has said that the binding is the owner's.
    pub async fn register(&self, registration: Registration, seen: bool, origin: Origin) -> Result<ChannelId, Error> {
        self.ask(|reply| Input::Register { registration: Box::new(registration), seen, origin, reply }).await
    }

    /// Channels announced on chain; returns those that are new here.
    pub async fn announced(&self, channels: Vec<ChannelDef>) -> Result<Vec<ChannelId>, Error> {
        if channels.is_empty() {
            return Ok(Vec::new());
        }
        let channels = channels.into_iter().map(|channel| Registration { channel, public_key: None, binding: None });
        self.ask(|reply| Input::Announced { channels: channels.collect(), reply }).await
    }

    /// What a payer has to know of a payee. Whether that is connected is told only if one of the payer's channels has
    /// money in it.
    pub async fn lookup(&self, address: Address, payer: Vec<ChannelId>) -> Result<PayeeInfo, Error> {
        self.ask(|reply| Input::Lookup { address, payer, reply }).await
    }

    /// What anybody may know of a channel; its own client is told also whether it is connected.
    pub async fn status(&self, channel: ChannelId, own: bool) -> Result<ChannelStatus, Error> {
        self.ask(|reply| Input::Status { channel, own, reply }).await
    }

    /// A page of a lane, for the channel's client alone; what it shows is durable when it returns.
    pub async fn lane(&self, channel: ChannelId, lane: LaneId, from: u16) -> Result<LanePage, Error> {
        self.ask(|reply| Input::Lane { channel, lane, from, reply }).await
    }

    /// Facts read up to a final block, while there are more to come before the next head; durable when it returns.
    pub async fn facts(&self, facts: Vec<(Option<ChannelId>, ChainFact)>) -> Result<(), Error> {
        self.ask(|reply| Input::Facts { facts, reply }).await
    }

    /// All that the chain holds of these channels was told; durable when it returns.
    pub async fn caught_up(&self, channels: BTreeSet<ChannelId>) -> Result<(), Error> {
        self.ask(|reply| Input::CaughtUp { channels, reply }).await
    }

    /// The last facts read up to a final block, and the head that they lead to; durable when it returns.
    /// Returns the keys whose recorded units have to be read at that block and given to [`Core::recorded`], and the
    /// channels that were forgotten.
    pub async fn chain(&self, facts: Vec<(Option<ChannelId>, ChainFact)>, head: Head) -> Result<Heard, Error> {
        self.ask(|reply| Input::Chain { facts, head, reply }).await
    }

    /// Units recorded at the final block of the last head, zero included; durable when it returns.
    pub async fn recorded(&self, facts: Vec<ChainFact>) -> Result<(), Error> {
        self.facts(facts.into_iter().map(|fact| (None, fact)).collect()).await
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
    Messages { channel: ChannelId, messages: Vec<Message>, room: OwnedSemaphorePermit },
    Backup { channel: ChannelId, backup: Vec<u8>, reply: Reply<()> },
    Attach { channel: ChannelId, outbox: Outbox, greeting: Outgoing, reply: Reply<()> },
    Detach { channel: ChannelId, socket: SocketId },
    Register { registration: Box<Registration>, seen: bool, origin: Origin, reply: Reply<ChannelId> },
    Announced { channels: Vec<Registration>, reply: Reply<Vec<ChannelId>> },
    Lookup { address: Address, payer: Vec<ChannelId>, reply: Reply<PayeeInfo> },
    Status { channel: ChannelId, own: bool, reply: Reply<ChannelStatus> },
    Lane { channel: ChannelId, lane: LaneId, from: u16, reply: Reply<LanePage> },
    Chain { facts: Vec<(Option<ChannelId>, ChainFact)>, head: Head, reply: Reply<Heard> },
    Facts { facts: Vec<(Option<ChannelId>, ChainFact)>, reply: Reply<()> },
    CaughtUp { channels: BTreeSet<ChannelId>, reply: Reply<()> },
    Outcome { id: String, outcome: Outcome },
}

impl Input {
    /// Answers that the store failed.
    pub(super) fn refuse(self) {
        match self {
            Self::Attach { reply, .. } | Self::Backup { reply, .. } => reply.refuse(),
            Self::Register { reply, .. } => reply.refuse(),
            Self::Announced { reply, .. } => reply.refuse(),
            Self::Lookup { reply, .. } => reply.refuse(),
            Self::Status { reply, .. } => reply.refuse(),
            Self::Lane { reply, .. } => reply.refuse(),
            Self::Chain { reply, .. } => reply.refuse(),
            Self::Facts { reply, .. } => reply.refuse(),
            Self::CaughtUp { reply, .. } => reply.refuse(),
            Self::Messages { .. } | Self::Detach { .. } | Self::Outcome { .. } => {}
        }
    }
}

/// Somebody waits for an answer.
#[derive(Debug)]
pub(super) struct Reply<T>(oneshot::Sender<Result<T, Error>>);

impl<T: Send + 'static> Reply<T> {
    #[cfg(test)]
    pub(super) const fn new(sender: oneshot::Sender<Result<T, Error>>) -> Self {
        Self(sender)
    }

    /// The answer, to be given now or after the next commit.
    pub(super) fn with(self, result: Result<T, Error>) -> Asked {
        Asked(Box::new(move |durable| {
            // Whoever asked may have gone away; nobody misses the answer then.
            let _ = self.0.send(if durable { result } else { Err(Code::StorageFailed.into()) });
        }))
    }

    pub(super) fn refuse(self) {
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
