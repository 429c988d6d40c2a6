//! The hub's whole logic: its channels, what it forwards and holds, and the collateral it puts in.
//!
//! Invariant: an incoming lock and the outgoing one that belongs to it are paired one to one by their names,
//! never by key, and the pair is durable before the outgoing lock is sent. [6]

mod awake;
mod backlog;
mod collateral;
mod config;
mod directory;
mod forward;
mod forwarded;
mod reclaim;
mod relay;
mod strangers;
mod unfunded;

pub use backlog::{BacklogLimits, EVIDENCE_GAS, evidence_gas};
pub use config::{AssetPolicy, HubConfig};
pub use directory::Registration;
pub use relay::{RELAY_GAS, RelayLimits};
pub use strangers::{STRANGER_GAS, StrangerLimits};

use crate::amount::Amount;
use crate::chain::{ChainCall, Head, Purpose};
use crate::channel::{CallId, Channel, Effect, Fact, LanePage, State};
use crate::error::{Code, Error};
use crate::gate::{Commit, Gate, Receipt};
use crate::journal::{Journal, Write, decode, encode};
use crate::lane::LockRef;
use crate::message::Message;
use crate::proof::LaneId;
use crate::sign::SecretKey;
use crate::types::{Asset, ChannelId, Participant, Side};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use alloy_primitives::Address;
use backlog::Backlog;
use reclaim::Purse;
use relay::Relayed;
use strangers::Strangers;

/// What the hub asks its driver to do, once the facts are durable.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant, reason = "effects are short-lived")]
pub enum HubEffect {
    /// Send to a client, if it is connected; if not, the next sync makes up for it.
    Send {
        /// Of which channel.
        channel: ChannelId,
        /// What.
        message: Message,
    },
    /// Send a transaction, once for each id.
    Submit {
        /// Idempotency key.
        id: CallId,
        /// For which channel.
        channel: ChannelId,
        /// What to call.
        call: ChainCall,
        /// Why.
        purpose: Purpose,
    },
}

/// A lock of a channel.
pub type ChannelLock = (ChannelId, LockRef);

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) channel: Channel,
    journal: Journal,
    pub(crate) registration: Registration,
    /// Whether the signer has proved its key on a connection. Before that nobody can be paid under its address:
    /// anyone can register a channel that names somebody else.
    pub(crate) proven: bool,
    /// Whether the chain was read for it, at least once since it was registered.
    pub(crate) read: bool,
    pub(crate) online: bool,
    /// Deposit totals of ours that have been asked for and not been seen.
    pub(crate) wanted: BTreeMap<Asset, Amount>,
    /// Its place among the unfunded channels, if it is one.
    pub(crate) unfunded: Option<u64>,
    /// Our money in it, by asset.
    pub(crate) purses: BTreeMap<Asset, Purse>,
    /// When its client was last there, and the same as it is stored.
    pub(crate) seen: u64,
    pub(crate) seen_stored: u64,
    /// Whether there was something to ask of its client while it was away.
    pub(crate) missed: bool,
}

/// The hub's logic.
#[derive(Debug)]
pub struct Hub {
    pub(crate) config: HubConfig,
    pub(crate) key: SecretKey,
    pub(crate) channels: BTreeMap<ChannelId, Entry>,
    /// Owners' and signers' addresses.
    pub(crate) directory: BTreeMap<Address, ChannelId>,
    /// Outgoing lock by incoming lock.
    pub(crate) outgoing_of: BTreeMap<ChannelLock, ChannelLock>,
    /// Incoming lock by outgoing lock.
    pub(crate) incoming_of: BTreeMap<ChannelLock, ChannelLock>,
    /// Incoming locks that wait for their payee, by the payee's channel.
    pub(crate) held: BTreeMap<ChannelId, BTreeSet<ChannelLock>>,
    /// Incoming locks whose outgoing lock is queued, by ticket.
    pub(crate) tickets: BTreeMap<u64, ChannelLock>,
    /// The same locks.
    pub(crate) queued: BTreeSet<ChannelLock>,
    /// Where each held lock waits.
    pub(crate) held_at: BTreeMap<ChannelLock, ChannelId>,
    /// Incoming locks whose outgoing lock has ended, but that still have evidence to be redeemed for.
    pub(crate) ending: BTreeMap<ChannelLock, Code>,
    /// Streams whose payees have not accepted them yet.
    pub(crate) unaccepted: forwarded::Unaccepted,
    /// Streams whose payees were asked for the rest.
    pub(crate) asked_back: forwarded::AskedBack,
    /// The same, of incoming locks whose outgoing lock is queued.
    pub(crate) asked_early: BTreeSet<ChannelLock>,
    /// What is in flight, and what of it could have to go on chain.
    pub(crate) backlog: Backlog,
    /// What was sent for clients lately.
    pub(crate) relayed: Relayed,
    /// What was put in lately for clients without a deposit.
    pub(crate) strangers: Strangers,
    /// Whether there is no gas for anything but protecting what there is.
    pub(crate) insolvent: bool,
    /// Deposits of ours that lie idle.
    pub(crate) idle: BTreeMap<Asset, Amount>,
    /// When which money of ours is looked at next.
    pub(crate) due: BTreeSet<(u64, ChannelId, Asset)>,
    next_ticket: u64,
    /// The chain, as last seen.
    pub(crate) head: Option<Head>,
    /// Channels that time and the chain can matter to.
    pub(crate) awake: BTreeSet<ChannelId>,
    /// Channels that nobody has put money into, by the time at which they were last known to be of use.
    pub(crate) unfunded: BTreeSet<(u64, ChannelId)>,
    /// The latest time that was told.
    pub(crate) clock: u64,
    /// Channels that may have something to sign, store or say; all of them are awake.
    pub(crate) dirty: BTreeSet<ChannelId>,
    pub(crate) gate: Gate<HubEffect>,
}

impl Hub {
    /// A hub without channels.
    #[must_use]
    pub fn new(config: HubConfig, key: SecretKey) -> Self {
        Self {
            config,
            key,
            channels: BTreeMap::new(),
            directory: BTreeMap::new(),
            outgoing_of: BTreeMap::new(),
            incoming_of: BTreeMap::new(),
            held: BTreeMap::new(),
            tickets: BTreeMap::new(),
            queued: BTreeSet::new(),
            held_at: BTreeMap::new(),
            ending: BTreeMap::new(),
            unaccepted: BTreeMap::new(),
            asked_back: BTreeMap::new(),
            asked_early: BTreeSet::new(),
            backlog: Backlog::default(),
            relayed: Relayed::default(),
            strangers: Strangers::default(),
            insolvent: false,
            idle: BTreeMap::new(),
            due: BTreeSet::new(),
            next_ticket: 0,
            head: None,
            awake: BTreeSet::new(),
            unfunded: BTreeSet::new(),
            clock: 0,
            dirty: BTreeSet::new(),
            gate: Gate::default(),
        }
    }

    /// A hub as its store holds it: all entries under `c/` and `pair/`.
    pub fn restore(config: HubConfig, key: SecretKey, entries: &[(String, Vec<u8>)], now: u64) -> Result<Self, Error> {
        let mut hub = Self::new(config, key);
        hub.clock = now;
        let mut by_channel: BTreeMap<&str, Vec<(String, Vec<u8>)>> = BTreeMap::new();
        for (name, value) in entries {
            if let Some(id) = name.strip_prefix("c/").and_then(|rest| rest.split('/').next()) {
                by_channel.entry(id).or_default().push((name.clone(), value.clone()));
            }
        }
        for (id, entries) in by_channel {
            let prefix = format!("c/{id}");
            let def_key = format!("{prefix}/def");
            let (_, value) = entries
                .iter()
                .find(|(name, _)| *name == def_key)
                .ok_or_else(|| Error::new(Code::StorageCorrupt, "a channel's definition is missing"))?;
            let (registration, marks): (Registration, u8) = decode(value)?;
            if marks > directory::PROVEN | directory::READ {
                return Err(Error::new(Code::StorageCorrupt, "a channel has unknown marks"));
            }
            let seen_key = format!("{prefix}/seen");
            let (journal, snapshot, batches) = Journal::load::<State, Fact>(prefix, &entries)?;
            let mut state = snapshot.unwrap_or_default();
            for fact in batches.iter().flatten() {
                state.replay(fact)?;
            }
            let seen = entries.iter().find(|(name, _)| *name == seen_key).map(|(_, value)| decode::<u64>(value));
            let Self { config, .. } = &hub;
            let policy = config.channel_policy();
            let channel = Channel::with_state(config.domain, registration.channel, Side::B, policy, state)?;
            let channel_id = channel.id();
            hub.insert(channel, journal, registration, marks);
            if let (Some(seen), Some(entry)) = (seen.transpose()?, hub.channels.get_mut(&channel_id)) {
                entry.seen = seen;
                entry.seen_stored = seen;
            }
        }
        for (name, value) in entries.iter().filter(|(name, _)| name.starts_with("pair/")) {
            let (incoming, outgoing): (ChannelLock, ChannelLock) = decode(value)?;
            if *name != pair_key(&incoming) {
                return Err(Error::new(Code::StorageCorrupt, "a pair is stored under another's name"));
            }
            hub.outgoing_of.insert(incoming, outgoing);
            hub.incoming_of.insert(outgoing, incoming);
        }
        hub.resume(now);
        Ok(hub)
    }

    /// This hub as a participant.
    #[must_use]
    pub fn participant(&self) -> Participant {
        Participant { owner: self.config.owner, signer: self.key.address() }
    }

    /// What it is.
    #[must_use]
    pub const fn config(&self) -> &HubConfig {
        &self.config
    }

    /// One of its channels.
    #[must_use]
    pub fn channel(&self, id: &ChannelId) -> Option<&Channel> {
        self.channels.get(id).map(|entry| &entry.channel)
    }

    /// A page of a lane, for the channel's client alone and after the next commit; see [`Channel::show_lane`].
    pub fn show_lane(&self, id: &ChannelId, lane: LaneId, from: u16) -> Result<LanePage, Error> {
        self.check_sound()?;
        let entry = self.channels.get(id).ok_or_else(|| Error::from(Code::UnknownChannel))?;
        Ok(entry.channel.show_lane(lane, from, &self.key))
    }

    /// All its channels.
    pub fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.channels.values().map(|entry| &entry.channel)
    }

    /// Whether a channel's client is connected.
    #[must_use]
    pub fn is_online(&self, id: &ChannelId) -> bool {
        self.channels.get(id).is_some_and(|entry| entry.online)
    }

    /// How many incoming locks wait for a payee.
    #[must_use]
    pub fn held_count(&self) -> usize {
        self.held.values().map(BTreeSet::len).sum()
    }

    /// A client proved its signer key on a connection.
    pub fn connected(&mut self, id: ChannelId, now: u64) -> Result<(), Error> {
        self.check_sound()?;
        self.prove(id)?;
        self.touch(id);
        let entry = self.channels.get_mut(&id).ok_or_else(|| Error::from(Code::UnknownChannel))?;
        entry.online = true;
        entry.channel.connected();
        self.note_back(id);
        let entry = self.channels.get_mut(&id).ok_or_else(|| Error::from(Code::UnknownChannel))?;
        // Its own payments that wait: it may have missed that, and can't know otherwise.
        let waiting = self.held_at.keys().filter(|(payer, _)| *payer == id);
        for (_, lock) in waiting {
            entry.channel.tell_held(lock);
        }
        self.repeat_forwarded(id);
        self.repeat_cancels(id);
        self.forward_held(id, now);
        Ok(())
    }

    /// A client's connection is gone.
    pub fn disconnected(&mut self, id: ChannelId) {
        if let Some(entry) = self.channels.get_mut(&id) {
            entry.online = false;
            entry.channel.disconnected();
        }
        self.note_away(id);
    }

    /// Takes in a message of a client that proved its signer key. Refusals are answered by effects.
    pub fn handle(&mut self, id: ChannelId, message: Message, now: u64) -> Result<(), Error> {
        self.check_sound()?;
        if !self.channels.contains_key(&id) {
            return Err(Code::UnknownChannel.into());
        }
        self.touch(id);
        self.handle_paid(id, message, now);
        self.react(id, now);
        Ok(())
    }

    /// Leaves a channel without its client's help; see [`Channel::leave`].
    pub fn leave(&mut self, id: ChannelId, now: u64) -> Result<(), Error> {
        self.touch(id);
        let entry = self.channels.get_mut(&id).ok_or_else(|| Error::from(Code::UnknownChannel))?;
        let left = entry.channel.leave(now);
        self.react(id, now);
        left
    }

    /// A transaction that was asked for was not mined and won't be: it is asked for again while it is due.
    pub fn submit_failed(&mut self, id: ChannelId, submission: &CallId, call: &ChainCall) {
        self.wake(id);
        let Some(entry) = self.channels.get_mut(&id) else { return };
        entry.channel.submit_failed(submission);
        if let ChainCall::Deposit { asset, .. } = call {
            entry.wanted.remove(asset);
            self.note_money(id, *asset);
        }
    }

    /// The next commit; `None` if there is nothing to do, or while one is on its way to the store.
    pub fn poll_commit(&mut self, now: u64) -> Result<Option<Commit>, Error> {
        self.check_sound()?;
        if self.gate.is_waiting() {
            return Ok(None);
        }
        // Signing makes events, and events make more to sign; both end, since each op is queued once.
        let mut touched = BTreeSet::new();
        while let Some(id) = self.dirty.pop_first() {
            touched.insert(id);
            if let Some(entry) = self.channels.get_mut(&id) {
                entry.channel.flush(&self.key, now);
            }
            self.react(id, now);
        }
        for id in touched {
            self.note_unfunded(id);
            let Some(entry) = self.channels.get_mut(&id) else {
                continue;
            };
            if !entry.channel.has_output() {
                self.lull(id);
                continue;
            }
            let output = entry.channel.drain();
            // Before what depends on them, and with nothing between that could fail.
            if !output.facts.is_empty() {
                let size = entry.channel.lock_count();
                if entry.journal.is_snapshot_due(output.facts.len(), size) {
                    entry.channel.forget_spent_evidence();
                }
                let channel = &entry.channel;
                let writes = entry.journal.append(&output.facts, size, || channel.state().clone());
                self.gate.write(writes);
            }
            self.gate.decide(output.effects.into_iter().map(|effect| match effect {
                Effect::Send(message) => HubEffect::Send { channel: id, message },
                Effect::Submit { id: key, call, purpose } => HubEffect::Submit { id: key, channel: id, call, purpose },
            }));
            self.lull(id);
        }
        Ok(self.gate.commit())
    }

    /// The commit is durable: what depends on it.
    pub fn committed(&mut self, receipt: Receipt) -> Result<Vec<HubEffect>, Error> {
        self.gate.committed(receipt)
    }

    /// The store failed: nothing is signed or accepted until the hub is restored from it.
    pub const fn poison(&mut self) {
        self.gate.poison();
    }

    pub(crate) fn check_sound(&self) -> Result<(), Error> {
        self.gate.check_sound()
    }

    pub(crate) const fn ticket(&mut self) -> u64 {
        self.next_ticket = self.next_ticket.wrapping_add(1);
        self.next_ticket
    }

    pub(crate) fn insert(&mut self, channel: Channel, journal: Journal, registration: Registration, marks: u8) {
        let id = channel.id();
        let (proven, read) = (marks & directory::PROVEN != 0, marks & directory::READ != 0);
        let wanted = BTreeMap::new();
        let entry = Entry {
            channel,
            journal,
            registration,
            proven,
            read,
            online: false,
            wanted,
            unfunded: None,
            purses: BTreeMap::new(),
            seen: self.clock,
            seen_stored: 0,
            missed: false,
        };
        self.channels.insert(id, entry);
        self.note_unfunded(id);
        // It has to see a head of its own, after its facts, before it may miss any.
        self.awake.insert(id);
        self.list(id);
    }

    pub(crate) fn store_pair(&mut self, incoming: ChannelLock, outgoing: ChannelLock) -> Result<(), Error> {
        self.outgoing_of.insert(incoming, outgoing);
        self.incoming_of.insert(outgoing, incoming);
        self.note_forwarded(incoming, outgoing);
        self.gate.write([Write::Put { key: pair_key(&incoming), value: encode(&(incoming, outgoing)) }]);
        Ok(())
    }

    pub(crate) fn forget_pair(&mut self, incoming: &ChannelLock) {
        self.note_ended(incoming);
        if let Some(outgoing) = self.outgoing_of.remove(incoming) {
            self.incoming_of.remove(&outgoing);
            self.forget_forwarded(&outgoing);
            self.gate.write([Write::Delete { key: pair_key(incoming) }]);
        }
    }
}

fn pair_key((channel, lock): &ChannelLock) -> String {
    format!("pair/{}/{}/{}/{:016}/{:05}", channel.0, lock.lane.asset, lock.lane.payer.index(), lock.placed, lock.slot)
}
