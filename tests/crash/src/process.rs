//! One participant's process: its machine, its store, and a driver that does what a correct driver does.

use super::chain::Chain;
use super::machine::{Config, Machine, Store, payments, write};
use super::node::Node;
use super::reader::{Place, Reader};
use super::rng::Rng;
use super::world::TOKEN;
use alloy_primitives::Address;
use farthing_protocol::chain::ChainCall;
use farthing_protocol::channel::{CallId, Channel};
use farthing_protocol::error::{Code, Error};
use farthing_protocol::hub::Hub;
use farthing_protocol::journal::Write;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::types::{ChannelId, ETH};
use farthing_protocol::wallet::{Payment, Wallet};
use std::collections::BTreeSet;

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
        let node = Node::new(Rng::new(u64::from(owner.0[0])));
        let reader = Reader::new(&config, Some(vec![ETH, TOKEN]), &machine, node);
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

    /// A machine as a store holds it.
    pub fn load(&self, store: &Store, now: u64) -> Result<Machine, Error> {
        Machine::restore(&self.config, &self.key, store, now)
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

    /// Reads the chain: facts of final blocks, exits of any block, the head, and what was recorded for keys of locks
    /// that have ended. Then the clock.
    pub fn read_chain(&mut self, chain: &Chain) {
        self.reader.read(&mut self.machine, chain);
        self.machine.tick(chain.now);
    }

    /// One atomic transaction: all of the batch, or nothing.
    pub fn write(&mut self, writes: &[Write]) {
        write(&mut self.store, writes);
        self.place = self.reader.place.clone();
    }

    /// The store refused: the machine signs and accepts nothing more, and every call of it says so.
    pub fn poison(&mut self, now: u64) -> Result<(), String> {
        self.failed = true;
        match &mut self.machine {
            Machine::Wallet(wallet) => wallet.poison(),
            Machine::Hub(hub) => hub.poison(),
        }
        match self.machine.poll(now) {
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
            self.machine.submit_failed(channel, &id, &call);
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
        payments(self.wallet(), &self.store)
    }
}
