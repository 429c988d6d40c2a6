//! One participant's process: its machine, its store, and a driver that does what a correct driver does.

use super::chain::Chain;
use super::reader::{Place, Reader};
use alloy_primitives::Address;
use farthing_protocol::chain::{ChainCall, ChainFact};
use farthing_protocol::channel::{CallId, Channel};
use farthing_protocol::error::{Code, Error};
use farthing_protocol::gate::Commit;
use farthing_protocol::hub::{Hub, HubConfig, HubEffect};
use farthing_protocol::journal::Write;
use farthing_protocol::message::Message;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::types::ChannelId;
use farthing_protocol::wallet::{Event, Payment, Wallet, WalletConfig, WalletEffect};
use std::collections::{BTreeMap, BTreeSet};

pub type Store = BTreeMap<String, Vec<u8>>;

#[derive(Clone)]
pub enum Config {
    Wallet(WalletConfig),
    Hub(HubConfig),
}

pub enum Machine {
    Wallet(Box<Wallet>),
    Hub(Box<Hub>),
}

impl Machine {
    /// Its channels.
    pub fn channels(&self) -> Vec<&Channel> {
        match self {
            Self::Wallet(wallet) => vec![wallet.channel()],
            Self::Hub(hub) => hub.channels().collect(),
        }
    }

    pub fn tell(&mut self, channel: Option<ChannelId>, fact: &ChainFact, now: u64) {
        match self {
            Self::Hub(hub) => hub.chain(channel, fact, now),
            Self::Wallet(wallet) => {
                if channel.is_none_or(|id| id == wallet.id()) {
                    wallet.chain(fact, now);
                }
            }
        }
    }
}

/// What a commit allows, of either machine.
#[allow(clippy::large_enum_variant, reason = "a test's effects")]
pub enum Act {
    Send(ChannelId, Message),
    Submit(CallId, ChannelId, ChainCall),
    Tell(Event),
}

/// A store of an earlier moment.
#[derive(Clone)]
pub struct Backup {
    pub store: Store,
    place: Place,
}

pub struct Process {
    pub machine: Machine,
    pub config: Config,
    pub key: SecretKey,
    pub owner: Address,
    pub store: Store,
    /// Whether the process runs and sees the chain.
    pub running: bool,
    /// Whether its store failed: it ends, and is started again.
    pub failed: bool,
    reader: Reader,
    /// How far the chain was read, as it is stored.
    place: Place,
    /// Transactions that were sent, by their idempotency key. A hub's queue of them is durable, a wallet's is not.
    sent: BTreeSet<CallId>,
}

impl Process {
    pub fn new(machine: Machine, config: Config, key: SecretKey, owner: Address) -> Self {
        let seed = u64::from(owner.0[0]);
        let reader = Reader::new(&config, &machine, seed);
        let place = reader.place.clone();
        Self {
            machine,
            config,
            key,
            owner,
            store: Store::new(),
            running: true,
            failed: false,
            reader,
            place,
            sent: BTreeSet::new(),
        }
    }

    pub fn wallet(&self) -> &Wallet {
        match &self.machine {
            Machine::Wallet(wallet) => wallet,
            Machine::Hub(_) => panic!("not a wallet"),
        }
    }

    pub fn wallet_mut(&mut self) -> &mut Wallet {
        match &mut self.machine {
            Machine::Wallet(wallet) => wallet,
            Machine::Hub(_) => panic!("not a wallet"),
        }
    }

    pub fn hub(&self) -> &Hub {
        match &self.machine {
            Machine::Hub(hub) => hub,
            Machine::Wallet(_) => panic!("not the hub"),
        }
    }

    pub fn hub_mut(&mut self) -> &mut Hub {
        match &mut self.machine {
            Machine::Hub(hub) => hub,
            Machine::Wallet(_) => panic!("not the hub"),
        }
    }

    pub fn entries(store: &Store) -> Vec<(String, Vec<u8>)> {
        store.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// A machine as a store holds it.
    pub fn load(&self, store: &Store, now: u64) -> Result<Machine, Error> {
        let entries = Self::entries(store);
        Ok(match &self.config {
            Config::Wallet(config) => {
                Machine::Wallet(Box::new(Wallet::restore(config.clone(), Some(self.key.clone()), &entries)?))
            }
            Config::Hub(config) => {
                Machine::Hub(Box::new(Hub::restore(config.clone(), self.key.clone(), &entries, now)?))
            }
        })
    }

    /// The process has ended and starts again from its store.
    pub fn restart(&mut self, now: u64) -> Result<(), Error> {
        self.machine = self.load(&self.store, now)?;
        self.reader.restart(&self.machine, self.place.clone());
        self.failed = false;
        if matches!(self.machine, Machine::Wallet(_)) {
            self.sent.clear();
        }
        Ok(())
    }

    pub fn handle(&mut self, channel: ChannelId, message: Message, now: u64) -> Result<(), Error> {
        match &mut self.machine {
            Machine::Wallet(wallet) => wallet.handle(message, now),
            Machine::Hub(hub) => hub.handle(channel, message, now),
        }
    }

    pub fn connected(&mut self, channel: ChannelId, now: u64) -> Result<(), Error> {
        match &mut self.machine {
            Machine::Wallet(wallet) => wallet.connected(now),
            Machine::Hub(hub) => hub.connected(channel, now)?,
        }
        Ok(())
    }

    pub fn disconnected(&mut self, channel: ChannelId) {
        match &mut self.machine {
            Machine::Wallet(wallet) => wallet.disconnected(),
            Machine::Hub(hub) => hub.disconnected(channel),
        }
    }

    /// Reads the chain: facts of final blocks, exits of any block, the head, and what was recorded for keys of locks
    /// that have ended. Then the clock.
    pub fn read_chain(&mut self, chain: &Chain) {
        self.reader.read(&mut self.machine, chain);
        match &mut self.machine {
            Machine::Hub(hub) => hub.tick(chain.now),
            Machine::Wallet(wallet) => wallet.tick(chain.now),
        }
    }

    /// The next batch of writes; what it allows is told by [`Process::committed`].
    pub fn poll(&mut self, now: u64) -> Result<Option<Commit>, Error> {
        match &mut self.machine {
            Machine::Wallet(wallet) => wallet.poll_commit(now),
            Machine::Hub(hub) => hub.poll_commit(now),
        }
    }

    /// One atomic transaction: all of the batch, or nothing.
    pub fn write(&mut self, writes: &[Write]) {
        for write in writes {
            match write.clone() {
                Write::Put { key, value } => self.store.insert(key, value),
                Write::Delete { key } => self.store.remove(&key),
            };
        }
        self.place = self.reader.place.clone();
    }

    /// What a commit allows, now that it is durable.
    pub fn committed(&mut self, commit: Commit) -> Result<Vec<Act>, Error> {
        Ok(match &mut self.machine {
            Machine::Wallet(wallet) => {
                let id = wallet.id();
                let acts = wallet.committed(commit.durable())?.into_iter().map(|effect| match effect {
                    WalletEffect::Send(message) => Act::Send(id, message),
                    WalletEffect::Submit { id: name, call, .. } => Act::Submit(name, id, call),
                    WalletEffect::Event(event) => Act::Tell(event),
                });
                acts.collect()
            }
            Machine::Hub(hub) => {
                let acts = hub.committed(commit.durable())?.into_iter().map(|effect| match effect {
                    HubEffect::Send { channel, message } => Act::Send(channel, message),
                    HubEffect::Submit { id, channel, call, .. } => Act::Submit(id, channel, call),
                });
                acts.collect()
            }
        })
    }

    /// The store refused: the machine signs and accepts nothing more, and every call of it says so.
    pub fn poison(&mut self, now: u64) -> Result<(), String> {
        self.failed = true;
        match &mut self.machine {
            Machine::Wallet(wallet) => wallet.poison(),
            Machine::Hub(hub) => hub.poison(),
        }
        match self.poll(now) {
            Err(error) if error.code() == Code::StorageFailed => Ok(()),
            Err(error) => Err(format!("after a failed write it says {error}")),
            Ok(_) => Err("it goes on after a failed write".into()),
        }
    }

    /// Sends a transaction, once for each id.
    pub fn submit(&mut self, chain: &mut Chain, id: CallId, channel: ChannelId, call: ChainCall) {
        if !self.sent.insert(id.clone()) {
            return;
        }
        let asked_for = matches!(call, ChainCall::Withdraw { .. } | ChainCall::Close { .. });
        let outcome = chain.send(self.owner, super::chain::Action::Call(call.clone()));
        if outcome.is_err() && !asked_for {
            self.sent.remove(&id);
            match &mut self.machine {
                Machine::Hub(hub) => hub.submit_failed(channel, &id, &call),
                Machine::Wallet(wallet) => wallet.submit_failed(&id),
            }
        }
    }

    /// The store as it is, to be put back later.
    pub fn backup(&self) -> Backup {
        Backup { store: self.store.clone(), place: self.place.clone() }
    }

    pub fn put_back(&mut self, backup: &Backup) {
        self.store = backup.store.clone();
        self.place = backup.place.clone();
    }

    /// A channel is new to it.
    pub fn add(&mut self, channel: ChannelId) {
        self.reader.add(channel);
    }

    /// The machine's channels.
    pub fn channels(&self) -> Vec<&Channel> {
        self.machine.channels()
    }

    /// All payments that the wallet's owner sees, ended ones from the history too.
    pub fn payments(&self) -> Vec<Payment> {
        let mut payments = self.wallet().payments();
        for (_, value) in self.store.iter().filter(|(key, _)| key.contains("/history/")) {
            payments.extend(Wallet::decode_history(value).unwrap());
        }
        payments
    }
}
