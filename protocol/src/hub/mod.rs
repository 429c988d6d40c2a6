//! The hub's whole logic: its channels, what it forwards and holds, and the collateral it puts in.
//!
//! Invariant: an incoming lock and the outgoing one that belongs to it are paired one to one by their names,
//! never by key, and the pair is durable before the outgoing lock is sent. [6]

mod awake;
mod collateral;
mod directory;
mod forward;
mod unfunded;

pub use directory::{PayeeInfo, Registration};

use crate::amount::Amount;
use crate::chain::{ChainCall, Head};
use crate::channel::{Channel, Effect, Fact, LanePage, Policy, State};
use crate::eip712::Domain;
use crate::error::{Code, Error};
use crate::journal::{Commit, Journal, Sealed, Write, decode, encode};
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

/// What the hub allows and puts in, for one asset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AssetPolicy {
    /// Most that a client may deposit into one channel.
    pub channel_capacity: Amount,
    /// Least that a payment may be.
    pub min_payment: Amount,
    /// Most that a payment may be.
    pub max_payment: Amount,
    /// What the hub puts in once a client's deposit is confirmed.
    pub collateral: Amount,
    /// Most that the hub puts into one channel.
    pub max_collateral: Amount,
}

/// What a hub is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HubConfig {
    /// Chain and contract.
    pub domain: Domain,
    /// The account that funds the hub's sides.
    pub owner: Address,
    /// What it accepts in each channel.
    pub policy: Policy,
    /// What it allows, by asset.
    pub assets: BTreeMap<Asset, AssetPolicy>,
    /// Least and most seconds of a challenge period.
    pub challenge_period: (u32, u32),
}

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
        id: String,
        /// For which channel.
        channel: ChannelId,
        /// What to call.
        call: ChainCall,
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
    pub(crate) online: bool,
    /// Deposit totals of ours that have been asked for and not been seen.
    pub(crate) wanted: BTreeMap<Asset, Amount>,
    /// Its place among the unfunded channels, if it is one.
    pub(crate) unfunded: Option<u64>,
}

/// The hub's logic.
#[derive(Debug)]
pub struct Hub {
    pub(crate) config: HubConfig,
    key: SecretKey,
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
    pub(crate) writes: Vec<Write>,
    pub(crate) effects: Vec<HubEffect>,
    commits: u64,
    outstanding: bool,
    poisoned: bool,
}

impl Hub {
    /// A hub without channels.
    #[must_use]
    pub const fn new(config: HubConfig, key: SecretKey) -> Self {
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
            next_ticket: 0,
            head: None,
            awake: BTreeSet::new(),
            unfunded: BTreeSet::new(),
            clock: 0,
            dirty: BTreeSet::new(),
            writes: Vec::new(),
            effects: Vec::new(),
            commits: 0,
            outstanding: false,
            poisoned: false,
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
            let (registration, proven): (Registration, bool) = decode(value)?;
            let (journal, snapshot, batches) = Journal::load::<State, Fact>(prefix, &entries)?;
            let mut state = snapshot.unwrap_or_default();
            for fact in batches.iter().flatten() {
                state.replay(fact)?;
            }
            let Self { config, .. } = &hub;
            let channel =
                Channel::with_state(config.domain, registration.channel, Side::B, config.policy.clone(), state)?;
            hub.insert(channel, journal, registration, proven);
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
        // Its own payments that wait: it may have missed that, and can't know otherwise.
        let waiting = self.held_at.keys().filter(|(payer, _)| *payer == id);
        for (_, lock) in waiting {
            entry.channel.tell_held(lock);
        }
        self.forward_held(id, now);
        Ok(())
    }

    /// A client's connection is gone.
    pub fn disconnected(&mut self, id: ChannelId) {
        if let Some(entry) = self.channels.get_mut(&id) {
            entry.online = false;
            entry.channel.disconnected();
        }
    }

    /// Takes in a message of a client that proved its signer key. Refusals are answered by effects.
    pub fn handle(&mut self, id: ChannelId, message: Message, now: u64) -> Result<(), Error> {
        self.check_sound()?;
        self.touch(id);
        let entry = self.channels.get_mut(&id).ok_or_else(|| Error::from(Code::UnknownChannel))?;
        entry.channel.handle(message, &self.key, now);
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
    pub fn submit_failed(&mut self, id: ChannelId, submission: &str, call: &ChainCall) {
        self.wake(id);
        let Some(entry) = self.channels.get_mut(&id) else { return };
        entry.channel.submit_failed(submission);
        if let ChainCall::Deposit { asset, .. } = call {
            entry.wanted.remove(asset);
        }
    }

    /// The next commit and the effects that depend on it; `None` if there is nothing to do, or while one is outstanding.
    pub fn poll_commit(&mut self, now: u64) -> Result<Option<(Commit, Sealed<HubEffect>)>, Error> {
        self.check_sound()?;
        if self.outstanding {
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
            if !output.facts.is_empty() {
                let locks = |channel: &Channel| {
                    channel
                        .state
                        .assets
                        .values()
                        .map(|book| book.out.lane.locks.len().saturating_add(book.inc.lane.locks.len()))
                        .sum()
                };
                let size: usize = locks(&entry.channel);
                if entry.journal.is_snapshot_due(output.facts.len(), size) {
                    entry.channel.state.forget_spent_evidence();
                }
                let channel = &entry.channel;
                let writes = entry.journal.append(&output.facts, size, || channel.state.clone())?;
                self.writes.extend(writes);
            }
            self.effects.extend(output.effects.into_iter().map(|effect| match effect {
                Effect::Send(message) => HubEffect::Send { channel: id, message },
                Effect::Submit { id: key, call } => HubEffect::Submit { id: key, channel: id, call },
            }));
            self.lull(id);
        }
        if self.writes.is_empty() && self.effects.is_empty() {
            return Ok(None);
        }
        self.commits = self.commits.saturating_add(1);
        self.outstanding = true;
        let commit = Commit::new(self.commits, core::mem::take(&mut self.writes));
        Ok(Some((commit, Sealed::new(self.commits, core::mem::take(&mut self.effects)))))
    }

    /// The outstanding commit has been opened; the next one may be polled.
    pub const fn committed(&mut self) {
        self.outstanding = false;
    }

    /// The store failed: nothing is signed or accepted until the hub is restored from it.
    pub const fn poison(&mut self) {
        self.poisoned = true;
    }

    pub(crate) fn check_sound(&self) -> Result<(), Error> {
        if self.poisoned { Err(Code::StorageFailed.into()) } else { Ok(()) }
    }

    pub(crate) const fn ticket(&mut self) -> u64 {
        self.next_ticket = self.next_ticket.wrapping_add(1);
        self.next_ticket
    }

    pub(crate) fn insert(&mut self, channel: Channel, journal: Journal, registration: Registration, proven: bool) {
        let id = channel.id();
        let wanted = BTreeMap::new();
        let entry = Entry { channel, journal, registration, proven, online: false, wanted, unfunded: None };
        self.channels.insert(id, entry);
        self.note_unfunded(id);
        // It has to see a head of its own, after its facts, before it may miss any.
        self.awake.insert(id);
        self.list(id);
    }

    pub(crate) fn store_pair(&mut self, incoming: ChannelLock, outgoing: ChannelLock) -> Result<(), Error> {
        self.outgoing_of.insert(incoming, outgoing);
        self.incoming_of.insert(outgoing, incoming);
        self.writes.push(Write::Put { key: pair_key(&incoming), value: encode(&(incoming, outgoing)) });
        Ok(())
    }

    pub(crate) fn forget_pair(&mut self, incoming: &ChannelLock) {
        if let Some(outgoing) = self.outgoing_of.remove(incoming) {
            self.incoming_of.remove(&outgoing);
            self.writes.push(Write::Delete { key: pair_key(incoming) });
        }
    }
}

fn pair_key((channel, lock): &ChannelLock) -> String {
    format!("pair/{}/{}/{}/{:016}/{:05}", channel.0, lock.lane.asset, lock.lane.payer.index(), lock.placed, lock.slot)
}
