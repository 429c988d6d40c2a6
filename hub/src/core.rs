//! The one task that owns the protocol's machine.
//!
//! It takes in all that is waiting, then writes one commit for it, so that many clients share a write to the disk;
//! while that is under way it goes on taking in. Nothing leaves before the commit that it depends on is durable.
//! If the store fails, the machine is poisoned and the node ends: it must not sign what it may forget.

mod forget;
mod handle;
mod outbox;

pub use forget::Unfunded;
pub use handle::{ChannelStatus, Core, Outcome};
pub use outbox::{Closed, Outbox, Outgoing, SocketId, notifications};

use crate::chain::{Heard, Order};
use crate::clock;
use crate::health::Health;
use crate::store::Store;
use farthing_protocol::chain::ChainCall;
use farthing_protocol::hub::{Hub, HubEffect};
use farthing_protocol::journal::{Commit, Sealed};
use farthing_protocol::message::Message;
use farthing_protocol::{ChannelId, Code, Error};
use forget::Forgotten;
use futures_util::future::BoxFuture;
use handle::{Asked, Input};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Inputs that wait; when it is full, sockets stop reading.
const INBOX: usize = 4_096;
/// Inputs taken in before the next commit is looked for.
const BATCH: usize = 512;
/// How long a node that can't store any more goes on refusing, so that clients hear why.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// What the core needs beside the machine.
#[derive(Debug)]
pub struct Parts {
    /// Where commits go.
    pub store: Arc<dyn Store>,
    /// Told when the store fails.
    pub health: Arc<Health>,
    /// Transactions to send.
    pub orders: mpsc::UnboundedSender<Order>,
    /// Channels that the watcher has to read.
    pub registered: mpsc::UnboundedSender<ChannelId>,
    /// Most channels.
    pub max_channels: usize,
    /// How many of them without a deposit, and for how long.
    pub unfunded: Unfunded,
}

/// The machine and what surrounds it.
#[derive(Debug)]
struct Driver {
    hub: Hub,
    parts: Parts,
    sockets: HashMap<ChannelId, Outbox>,
    /// Transactions asked for by this process, so that the machine can be told which one failed.
    ordered: HashMap<String, (ChannelId, ChainCall)>,
    /// Answers that wait for the next commit.
    waiting: Vec<Asked>,
    channels: usize,
    forgotten: Forgotten,
    /// Channels of which the chain was read since the start or their registration.
    read: HashSet<ChannelId>,
}

/// A commit on its way to the disk.
struct InFlight {
    written: BoxFuture<'static, (Commit, Result<(), Error>)>,
    sealed: Sealed<HubEffect>,
    waiting: Vec<Asked>,
}

/// Starts the core. The future ends when the last handle is dropped, or with the store's error.
pub fn start(hub: Hub, parts: Parts) -> (Core, impl Future<Output = Result<(), Error>> + Send) {
    let (sender, inbox) = mpsc::channel(INBOX);
    let channels = hub.channels().count();
    let driver = Driver {
        hub,
        parts,
        sockets: HashMap::new(),
        ordered: HashMap::new(),
        waiting: Vec::new(),
        channels,
        forgotten: Forgotten::default(),
        read: HashSet::new(),
    };
    (Core::new(sender), driver.run(inbox))
}

impl Driver {
    async fn run(mut self, mut inbox: mpsc::Receiver<Input>) -> Result<(), Error> {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        let mut in_flight: Option<InFlight> = None;
        let mut open = true;
        loop {
            if in_flight.is_none() {
                in_flight = match self.next_commit() {
                    Ok(next) => next,
                    Err(error) => return self.fail(error, inbox).await,
                };
                if in_flight.is_none() {
                    self.waiting.drain(..).for_each(Asked::answer);
                    if !open {
                        return Ok(());
                    }
                }
            }
            tokio::select! {
                (commit, result) = written(&mut in_flight) => {
                    let Some(done) = in_flight.take() else { continue };
                    if let Err(error) = result.and_then(|()| self.open(&commit, done.sealed)) {
                        self.waiting.extend(done.waiting);
                        return self.fail(error, inbox).await;
                    }
                    done.waiting.into_iter().for_each(Asked::answer);
                }
                count = inbox.recv_many(&mut batch, BATCH), if open => {
                    open = count > 0;
                    let now = clock::now();
                    for input in batch.drain(..) {
                        self.take(input, now);
                    }
                }
                _ = ticks.tick(), if open => {
                    let now = clock::now();
                    self.hub.tick(now);
                    self.forget(now, self.parts.unfunded.most);
                }
            }
        }
    }

    fn next_commit(&mut self) -> Result<Option<InFlight>, Error> {
        let Some((mut commit, sealed)) = self.hub.poll_commit(clock::now())? else { return Ok(None) };
        let waiting = std::mem::take(&mut self.waiting);
        let mut writes = std::mem::take(&mut commit.writes);
        writes.extend(self.forgotten.backups());
        let store = Arc::clone(&self.parts.store);
        let written = Box::pin(async move {
            // A commit without writes carries effects that depend on nothing new.
            let result = if writes.is_empty() { Ok(()) } else { store.commit(&writes).await };
            (commit, result)
        });
        Ok(Some(InFlight { written, sealed, waiting }))
    }

    /// Carries out what a durable commit allows.
    fn open(&mut self, commit: &Commit, sealed: Sealed<HubEffect>) -> Result<(), Error> {
        let effects = sealed.open(&commit.durable())?;
        self.hub.committed();
        let mut messages: BTreeMap<ChannelId, Vec<Message>> = BTreeMap::new();
        for effect in effects {
            match effect {
                HubEffect::Send { channel, message } => {
                    if self.sockets.contains_key(&channel) {
                        messages.entry(channel).or_default().push(message);
                    }
                }
                HubEffect::Submit { id, channel, call } => self.order(id, channel, call),
            }
        }
        for (channel, messages) in messages {
            let Some(socket) = self.sockets.get(&channel) else { continue };
            if socket.push(channel, &messages).is_err() {
                self.drop_socket(channel);
            }
        }
        Ok(())
    }

    fn order(&mut self, id: String, channel: ChannelId, call: ChainCall) {
        let domain = self.hub.config().domain;
        let data = call.calldata(|def| def.id(domain.chain_id(), domain.contract()));
        let order =
            Order { id: id.clone(), label: call.label(), data, value: call.value(), allowance: call.allowance() };
        self.ordered.insert(id, (channel, call));
        // The sender ends only with the node.
        let _ = self.parts.orders.send(order);
    }

    fn take(&mut self, input: Input, now: u64) {
        match input {
            Input::Messages { channel, messages } => {
                for message in messages {
                    // Only an unknown channel fails, and no socket is attached to one.
                    if let Err(error) = self.hub.handle(channel, message, now) {
                        tracing::warn!(%channel, %error, "a message was not taken in");
                    }
                }
            }
            Input::Attach { channel, outbox, greeting, reply } => {
                let result = self.attach(channel, outbox, greeting, now);
                self.waiting.push(reply.with(result));
            }
            Input::Detach { channel, socket } => {
                if self.sockets.get(&channel).is_some_and(|outbox| outbox.id() == socket) {
                    self.sockets.remove(&channel);
                    self.hub.disconnected(channel);
                }
            }
            Input::Register { registration, reply } => {
                let known = self.id_of(&registration.channel);
                let known = self.hub.channel(&known).is_some();
                let room = known || self.make_room(now) && self.channels < self.parts.max_channels;
                let result = if room {
                    self.register(*registration)
                } else {
                    Err(Error::new(Code::LimitExceeded, "the hub takes no more channels"))
                };
                self.waiting.push(reply.with(result));
            }
            Input::Announced { channels, reply } => {
                let (mut added, us) = (Vec::new(), self.hub.participant());
                for registration in channels.into_iter().filter(|registration| registration.channel.b == us) {
                    let known = self.hub.channel(&self.id_of(&registration.channel)).is_some();
                    match self.register(registration) {
                        Ok(id) if !known => added.push(id),
                        Ok(_) => {}
                        Err(error) => tracing::warn!(%error, "a channel announced on chain was not admitted"),
                    }
                }
                self.waiting.push(reply.with(Ok(added)));
            }
            Input::Lookup { address, reply } => reply.with(self.hub.lookup(address)).answer(),
            Input::Status { channel, reply } => {
                let result = self.hub.channel(&channel).ok_or_else(|| Error::from(Code::UnknownChannel));
                let newest = self.hub.newest().filter(|_| self.read.contains(&channel));
                let result = result.map(|found| ChannelStatus::of(found, self.hub.is_online(&channel), newest));
                reply.with(result).answer();
            }
            Input::Lane { channel, lane, from, reply } => {
                self.waiting.push(reply.with(self.hub.show_lane(&channel, lane, from)));
            }
            Input::Chain { facts, head, reply } => {
                self.recall(&facts);
                self.read.extend(facts.iter().filter_map(|(channel, _)| *channel));
                for (channel, fact) in facts {
                    self.hub.chain(channel, &fact, now);
                }
                self.hub.head(head, now);
                let heard = Heard { unread: self.hub.unread_keys(), gone: self.gone() };
                self.waiting.push(reply.with(Ok(heard)));
            }
            Input::Recorded { facts, reply } => {
                for fact in facts {
                    self.hub.chain(None, &fact, now);
                }
                self.waiting.push(reply.with(Ok(())));
            }
            Input::Outcome { id, outcome } => {
                let ordered = self.ordered.remove(&id);
                if let (Outcome::Failed, Some((channel, call))) = (outcome, ordered) {
                    tracing::warn!(%channel, id, call = call.label(), "a transaction failed");
                    self.hub.submit_failed(channel, &id, &call);
                }
            }
        }
    }

    fn id_of(&self, channel: &farthing_protocol::ChannelDef) -> ChannelId {
        let domain = self.hub.config().domain;
        channel.id(domain.chain_id(), domain.contract())
    }

    fn register(&mut self, registration: farthing_protocol::hub::Registration) -> Result<ChannelId, Error> {
        let known = self.hub.channel(&self.id_of(&registration.channel)).is_some();
        let id = self.hub.register(registration)?;
        if !known {
            self.channels = self.channels.saturating_add(1);
            tracing::info!(channel = %id, "channel registered");
            let _ = self.parts.registered.send(id);
        }
        Ok(id)
    }

    /// The newest connection of a channel wins; the old one is told why it is closed.
    fn attach(&mut self, channel: ChannelId, outbox: Outbox, greeting: Outgoing, now: u64) -> Result<(), Error> {
        self.hub.connected(channel, now)?;
        if let Some(old) = self.sockets.insert(channel, outbox.clone())
            && old.id() != outbox.id()
        {
            old.close(Closed::Replaced);
        }
        // Queued here, so that the answer comes before the first message.
        if outbox.send(greeting).is_err() {
            self.drop_socket(channel);
        }
        Ok(())
    }

    /// A client that does not read is closed rather than waited for: its next sync makes up for what it missed.
    fn drop_socket(&mut self, channel: ChannelId) {
        if let Some(socket) = self.sockets.remove(&channel) {
            socket.close(Closed::TooSlow);
            self.hub.disconnected(channel);
        }
    }

    /// Poisons the machine, refuses what is waiting, and ends the node.
    async fn fail(&mut self, error: Error, mut inbox: mpsc::Receiver<Input>) -> Result<(), Error> {
        tracing::error!(%error, "the store failed; nothing is signed any more, the node ends");
        self.hub.poison();
        self.parts.health.store_failed();
        self.waiting.drain(..).for_each(Asked::refuse);
        let refusing = async {
            while let Some(input) = inbox.recv().await {
                input.refuse();
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, refusing).await;
        for socket in self.sockets.values() {
            socket.close(Closed::StorageFailed);
        }
        Err(error)
    }
}

async fn written(in_flight: &mut Option<InFlight>) -> (Commit, Result<(), Error>) {
    match in_flight {
        Some(in_flight) => (&mut in_flight.written).await,
        None => std::future::pending().await,
    }
}
