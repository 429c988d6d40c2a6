//! One participant's process: its machine, its store, and a driver that does what a correct driver does.

use super::chain::Chain;
use alloy_primitives::Address;
use farthing_protocol::chain::{ChainCall, ChainFact};
use farthing_protocol::channel::Channel;
use farthing_protocol::error::{Code, Error};
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

/// What a commit allows, of either machine.
#[allow(clippy::large_enum_variant, reason = "a test's effects")]
pub enum Act {
    Send(ChannelId, Message),
    Submit(String, ChannelId, ChainCall),
    Tell(Event),
}

/// A batch of writes, and what it allows.
pub type Polled = (Vec<Write>, Vec<Act>);

/// What the driver remembers between commits.
#[derive(Clone, Default)]
struct Read {
    /// How far the chain's log was read.
    cursor: usize,
    exits: BTreeSet<ChannelId>,
}

/// A store of an earlier moment.
#[derive(Clone)]
pub struct Backup {
    pub store: Store,
    read: Read,
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
    read: Read,
    durable: Read,
    /// Transactions that were sent, by their idempotency key. A hub's queue of them is durable, a wallet's is not.
    sent: BTreeSet<String>,
}

impl Process {
    pub fn new(machine: Machine, config: Config, key: SecretKey, owner: Address) -> Self {
        Self {
            machine,
            config,
            key,
            owner,
            store: Store::new(),
            running: true,
            failed: false,
            read: Read::default(),
            durable: Read::default(),
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
                Machine::Wallet(Box::new(Wallet::restore(config.clone(), self.key.clone(), &entries)?))
            }
            Config::Hub(config) => {
                Machine::Hub(Box::new(Hub::restore(config.clone(), self.key.clone(), &entries, now)?))
            }
        })
    }

    /// The process has ended and starts again from its store.
    pub fn restart(&mut self, now: u64) -> Result<(), Error> {
        self.machine = self.load(&self.store, now)?;
        self.read = self.durable.clone();
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

    fn tell(&mut self, channel: Option<ChannelId>, fact: &ChainFact, now: u64) {
        match &mut self.machine {
            Machine::Hub(hub) => hub.chain(channel, fact, now),
            Machine::Wallet(wallet) => {
                if channel.is_none_or(|id| id == wallet.id()) {
                    wallet.chain(fact, now);
                }
            }
        }
    }

    /// Reads the chain: facts of final blocks, exits of any block, the head, and what was recorded for keys of locks
    /// that have ended. Then the clock.
    pub fn read_chain(&mut self, chain: &Chain) {
        let until = chain.final_number();
        while let Some(logged) = chain.log.get(self.read.cursor).filter(|logged| logged.block <= until) {
            self.read.cursor += 1;
            if !matches!(logged.fact, ChainFact::ExitStarted { .. }) {
                self.tell(logged.channel, &logged.fact, chain.now);
            }
        }
        for logged in &chain.log {
            if let (ChainFact::ExitStarted { .. }, Some(id)) = (&logged.fact, logged.channel)
                && self.read.exits.insert(id)
            {
                self.tell(Some(id), &logged.fact, chain.now);
            }
        }
        let unread = match &mut self.machine {
            Machine::Hub(hub) => {
                hub.head(chain.head(), chain.now);
                hub.unread_keys().into_iter().collect()
            }
            Machine::Wallet(wallet) => {
                wallet.head(chain.head(), chain.now);
                wallet.unread_keys()
            }
        };
        for key in unread {
            let mut read = ChainFact::Evidence { key, units: 0, evidence: Default::default() };
            for logged in chain.log.iter().filter(|logged| logged.block <= until) {
                if matches!(&logged.fact, ChainFact::Evidence { key: recorded, .. } if *recorded == key) {
                    read = logged.fact.clone();
                }
            }
            self.tell(None, &read, chain.now);
        }
        match &mut self.machine {
            Machine::Hub(hub) => hub.tick(chain.now),
            Machine::Wallet(wallet) => wallet.tick(chain.now),
        }
    }

    /// The next batch of writes, and what it allows once it is durable. The effects stay with the caller, who must
    /// not look at them before [`Process::written`].
    pub fn poll(&mut self, now: u64) -> Result<Option<Polled>, Error> {
        Ok(match &mut self.machine {
            Machine::Wallet(wallet) => {
                let id = wallet.id();
                let Some((commit, sealed)) = wallet.poll_commit(now)? else { return Ok(None) };
                let acts = sealed.open(&commit.durable())?.into_iter().map(|effect| match effect {
                    WalletEffect::Send(message) => Act::Send(id, message),
                    WalletEffect::Submit { id: name, call } => Act::Submit(name, id, call),
                    WalletEffect::Event(event) => Act::Tell(event),
                });
                let acts = acts.collect();
                Some((commit.writes, acts))
            }
            Machine::Hub(hub) => {
                let Some((commit, sealed)) = hub.poll_commit(now)? else { return Ok(None) };
                let acts = sealed.open(&commit.durable())?.into_iter().map(|effect| match effect {
                    HubEffect::Send { channel, message } => Act::Send(channel, message),
                    HubEffect::Submit { id, channel, call } => Act::Submit(id, channel, call),
                });
                let acts = acts.collect();
                Some((commit.writes, acts))
            }
        })
    }

    /// One atomic transaction: all of the batch, or nothing.
    pub fn write(&mut self, writes: &[Write]) {
        for write in writes {
            match write.clone() {
                Write::Put { key, value } => self.store.insert(key, value),
                Write::Delete { key } => self.store.remove(&key),
            };
        }
        self.durable = self.read.clone();
    }

    pub fn committed(&mut self) {
        match &mut self.machine {
            Machine::Wallet(wallet) => wallet.committed(),
            Machine::Hub(hub) => hub.committed(),
        }
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
    pub fn submit(&mut self, chain: &mut Chain, id: String, channel: ChannelId, call: ChainCall) {
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
        Backup { store: self.store.clone(), read: self.durable.clone() }
    }

    pub fn put_back(&mut self, backup: &Backup) {
        self.store = backup.store.clone();
        self.durable = backup.read.clone();
    }

    /// A channel is new to it: the chain is read from the beginning.
    pub fn read_again(&mut self) {
        self.read = Read::default();
    }

    /// The machine's channels.
    pub fn channels(&self) -> Vec<&Channel> {
        match &self.machine {
            Machine::Wallet(wallet) => vec![wallet.channel()],
            Machine::Hub(hub) => hub.channels().collect(),
        }
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
