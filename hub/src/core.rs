//! The one task that owns the protocol's machine.
//!
//! It takes in all that is waiting, then writes one commit for it, so that many clients share a write to the disk;
//! while that is under way it goes on taking in. Nothing leaves before the commit that it depends on is durable.
//! If the store fails, the machine is poisoned and the node ends: it must not sign what it may forget.

mod backups;
mod budget;
mod forget;
mod handle;
mod listen;
mod outbox;
mod places;

pub use budget::{Budget, Charge};
pub use forget::Unfunded;
pub use handle::Core;
pub use outbox::{Closed, Outbox, Outgoing, Queued, Room, SocketId};

use crate::chain::{Heard, Order, Orders, Outcome, Placed};
use crate::clock;
use crate::health::Health;
use crate::store::Store;
use backups::Backups;
use farthing_protocol::api::PayeeInfo;
use farthing_protocol::chain::{ChainCall, ChainFact, Purpose};
use farthing_protocol::channel::CallId;
use farthing_protocol::gate::{Commit, Receipt};
use farthing_protocol::hub::{Hub, HubEffect};
use farthing_protocol::message::Message;
use farthing_protocol::{ChannelId, Code, Error};
use forget::Forgotten;
use futures_util::future::BoxFuture;
use handle::{Asked, Input, status_of};
use places::Places;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Inputs that wait; when it is full, sockets stop reading.
const INBOX: usize = 4_096;
/// Inputs taken in before the next commit is looked for.
const BATCH: usize = 512;
/// Refused transactions that the machine is told of; of more it hears at the next start.
const REFUSED: usize = 1_024;
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
    pub orders: Orders,
    /// Channels that the follower has to read.
    pub registered: mpsc::UnboundedSender<ChannelId>,
    /// Most channels.
    pub max_channels: usize,
    /// How many of them without a deposit, and for how long.
    pub unfunded: Unfunded,
    /// How often a connection may break the protocol before it is closed.
    pub faults: u32,
}

/// The machine and what surrounds it.
#[derive(Debug)]
struct Driver {
    hub: Hub,
    parts: Parts,
    sockets: HashMap<ChannelId, Outbox>,
    /// Transactions asked for by this process, so that the machine can be told which one failed.
    ordered: HashMap<String, (CallId, ChannelId, ChainCall)>,
    /// Transactions that the sender has no room for. The machine hears of them at the next tick, not at once, or the
    /// two would go in circles.
    refused: Vec<(CallId, ChannelId, ChainCall)>,
    /// Answers that wait for the next commit.
    waiting: Vec<Asked>,
    channels: usize,
    forgotten: Forgotten,
    places: Places,
    backups: Backups,
}

/// A commit on its way to the disk.
struct InFlight {
    /// No receipt where it is about backups alone.
    written: BoxFuture<'static, Result<Option<Receipt>, Error>>,
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
        refused: Vec::new(),
        waiting: Vec::new(),
        channels,
        forgotten: Forgotten::default(),
        places: Places::default(),
        backups: Backups::default(),
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
                result = written(&mut in_flight) => {
                    let Some(done) = in_flight.take() else { continue };
                    let opened = result.and_then(|receipt| receipt.map_or(Ok(()), |receipt| self.committed(receipt)));
                    if let Err(error) = opened {
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
                    for (id, channel, call) in std::mem::take(&mut self.refused) {
                        self.hub.submit_failed(channel, &id, &call);
                    }
                    let low = self.parts.health.gas().is_some_and(|gas| gas.low);
                    self.hub.set_solvent(!low);
                    self.hub.tick(now);
                    self.forget(now, self.parts.unfunded.most);
                    self.oust_old(now);
                }
            }
        }
    }

    fn next_commit(&mut self) -> Result<Option<InFlight>, Error> {
        let mut commit = self.hub.poll_commit(clock::now())?;
        let mut writes = commit.as_mut().map(|commit| std::mem::take(&mut commit.writes)).unwrap_or_default();
        let mut asked = Vec::new();
        self.backups.take(&mut writes, &mut asked);
        // After the backups: of what was forgotten meanwhile none is kept.
        writes.extend(self.forgotten.backups());
        if commit.is_none() && writes.is_empty() {
            return Ok(None);
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.append(&mut asked);
        let store = Arc::clone(&self.parts.store);
        let written = Box::pin(async move {
            // A commit without writes carries effects that depend on nothing new.
            if !writes.is_empty() {
                store.commit(&writes).await?;
            }
            Ok(commit.map(Commit::durable))
        });
        Ok(Some(InFlight { written, waiting }))
    }

    /// Carries out what a durable commit allows.
    fn committed(&mut self, receipt: Receipt) -> Result<(), Error> {
        let effects = self.hub.committed(receipt)?;
        let mut messages: BTreeMap<ChannelId, Vec<Message>> = BTreeMap::new();
        for effect in effects {
            match effect {
                HubEffect::Send { channel, message } => {
                    if self.sockets.contains_key(&channel) {
                        messages.entry(channel).or_default().push(message);
                    }
                }
                HubEffect::Submit { id, channel, call, purpose } => self.order(id, channel, call, purpose),
            }
        }
        for (channel, messages) in messages {
            let Some(socket) = self.sockets.get(&channel) else { continue };
            // Those that the connection's own look did not find.
            if messages.iter().filter(|message| is_of_fault(message)).any(|_| socket.fault() > self.parts.faults) {
                socket.close(Closed::Faulty);
            }
            if socket.push(channel, &messages).is_err() {
                self.drop_socket(channel);
            }
        }
        Ok(())
    }

    fn order(&mut self, id: CallId, channel: ChannelId, call: ChainCall, purpose: Purpose) {
        let domain = self.hub.config().domain;
        let data = call.calldata(|def| def.id(domain.chain_id(), domain.contract()));
        let text = id.to_string();
        let order = Order {
            id: text.clone(),
            channel,
            label: call.label(),
            to: None,
            data,
            value: call.value(),
            allowance: call.allowance(),
            purpose,
        };
        match self.parts.orders.place(order) {
            // Also of what an earlier process asked for the machine wants to hear how it ends.
            Placed::Queued | Placed::Known => {
                self.ordered.insert(text, (id, channel, call));
            }
            Placed::Refused => {
                tracing::warn!(%channel, call = call.label(), "a channel asks for too many transactions at once");
                if self.refused.len() < REFUSED {
                    self.refused.push((id, channel, call));
                }
            }
        }
    }

    fn take(&mut self, input: Input, now: u64) {
        match input {
            Input::Messages { channel, messages, room } => {
                let _room = room;
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
            Input::Backup { channel, backup, reply } => {
                if self.hub.channel(&channel).is_some() {
                    self.backups.put(channel, backup, reply);
                } else {
                    // Of a channel that was forgotten nothing is kept.
                    reply.with(Err(Code::UnknownChannel.into())).answer();
                }
            }
            Input::Register { registration, seen, origin, reply } => {
                let id = self.id_of(&registration.channel);
                let known = self.hub.channel(&id).is_some();
                let room = known || self.make_room(origin, now) && self.channels < self.parts.max_channels;
                let result = if room {
                    let result = self.register(*registration, seen);
                    if !known && result.is_ok() {
                        self.places.hold(id, origin, now);
                    }
                    result
                } else {
                    Err(Error::new(Code::LimitExceeded, "the hub takes no more channels"))
                };
                self.waiting.push(reply.with(result));
            }
            Input::Announced { channels, reply } => {
                let (mut added, us) = (Vec::new(), self.hub.participant());
                for registration in channels.into_iter().filter(|registration| registration.channel.b == us) {
                    let known = self.hub.channel(&self.id_of(&registration.channel)).is_some();
                    match self.register(registration, false) {
                        Ok(id) if !known => added.push(id),
                        Ok(_) => {}
                        Err(error) => tracing::warn!(%error, "a channel announced on chain was not admitted"),
                    }
                }
                self.waiting.push(reply.with(Ok(added)));
            }
            Input::Lookup { address, payer, reply } => {
                let has_money = |id: &ChannelId| self.hub.channel(id).is_some() && !self.hub.is_unfunded(id);
                let pays = payer.iter().any(has_money);
                let result = self.hub.lookup(address);
                reply.with(result.map(|info| PayeeInfo { online: info.online && pays, ..info })).answer();
            }
            Input::Status { channel, own, reply } => {
                let result = self.hub.channel(&channel).ok_or_else(|| Error::from(Code::UnknownChannel));
                let newest = self.hub.newest().filter(|_| self.hub.was_read(&channel));
                let online = own.then(|| self.hub.is_online(&channel));
                let result = result.map(|found| status_of(found, online, newest));
                reply.with(result).answer();
            }
            Input::Lane { channel, lane, from, reply } => {
                self.waiting.push(reply.with(self.hub.show_lane(&channel, lane, from)));
            }
            Input::Chain { facts, head, reply } => {
                // A channel that was not read as a whole has been by now, if there is anything to tell of it.
                let read: Vec<ChannelId> = facts.iter().filter_map(|(channel, _)| *channel).collect();
                self.learn(facts, now);
                self.hub.mark_read(read);
                self.hub.head(head, now);
                let heard = Heard { unread: self.hub.unread_keys().into_iter().collect(), gone: self.gone() };
                self.waiting.push(reply.with(Ok(heard)));
            }
            Input::Facts { facts, reply } => {
                self.learn(facts, now);
                self.waiting.push(reply.with(Ok(())));
            }
            Input::CaughtUp { channels, reply } => {
                self.hub.mark_read(channels);
                self.waiting.push(reply.with(Ok(())));
            }
            Input::Outcome { id, outcome } => {
                let ordered = self.ordered.remove(&id);
                if let (Outcome::Failed, Some((id, channel, call))) = (outcome, ordered) {
                    tracing::warn!(%channel, %id, call = call.label(), "a transaction failed");
                    self.hub.submit_failed(channel, &id, &call);
                }
            }
        }
    }

    fn learn(&mut self, facts: Vec<(Option<ChannelId>, ChainFact)>, now: u64) {
        self.recall(&facts);
        for (channel, fact) in facts {
            self.hub.chain(channel, &fact, now);
        }
    }

    fn id_of(&self, channel: &farthing_protocol::ChannelDef) -> ChannelId {
        let domain = self.hub.config().domain;
        channel.id(domain.chain_id(), domain.contract())
    }

    fn register(&mut self, registration: farthing_protocol::hub::Registration, seen: bool) -> Result<ChannelId, Error> {
        let known = self.hub.channel(&self.id_of(&registration.channel)).is_some();
        let id = self.hub.register_seen(registration, seen)?;
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
        if self.hub.is_unfunded(&channel) {
            self.places.hold(channel, outbox.origin(), now);
        }
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
        self.backups.refuse();
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

/// Whether an answer says that somebody else than the client signed what came.
fn is_of_fault(message: &Message) -> bool {
    let (Message::Refused { code, .. } | Message::Declined { code, .. }) = message else { return false };
    *code == Code::BadSignature
}

async fn written(in_flight: &mut Option<InFlight>) -> Result<Option<Receipt>, Error> {
    match in_flight {
        Some(in_flight) => (&mut in_flight.written).await,
        None => std::future::pending().await,
    }
}
