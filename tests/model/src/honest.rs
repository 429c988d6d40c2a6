//! The honest participant: the real machine, its store, and a driver that does what a correct driver does.

use super::chain::{Action, Chain};
use super::machine::{Act, Config, Machine, Store, payments, write};
use super::node::Node;
use super::reader::{Place, Reader};
use alloy_primitives::Address;
use farthing_protocol::Amount;
use farthing_protocol::chain::ChainCall;
use farthing_protocol::channel::{CallId, Channel, Dust, Policy};
use farthing_protocol::eip712::Domain;
use farthing_protocol::error::Error;
use farthing_protocol::hub::{
    AssetPolicy, BacklogLimits, EVIDENCE_GAS, Hub, HubConfig, Registration, RelayLimits, StrangerLimits,
};
use farthing_protocol::journal::encode;
use farthing_protocol::message::Message;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::types::{Asset, ChannelDef, ChannelId};
use farthing_protocol::wallet::{Payment, Wallet, WalletConfig};
use std::collections::BTreeSet;

pub const SAFETY_MARGIN: u64 = 600;
pub const MIN_LOCK: u64 = 1_200;
pub const MAX_LOCK: u64 = 6_000;
pub const CHALLENGE: u32 = 3_600;
pub const DUST: u128 = 20;
pub const DUST_CAP: u128 = 50;

pub fn policy(assets: &[Asset], external: Address, dust: bool) -> Policy {
    let dusty = if dust { assets } else { &[] };
    Policy {
        safety_margin: SAFETY_MARGIN,
        min_lock_time: MIN_LOCK,
        max_lock_time: MAX_LOCK,
        max_locks: 12,
        dust: dusty
            .iter()
            .map(|asset| (*asset, Dust { threshold: Amount::new(DUST), cap: Amount::new(DUST_CAP) }))
            .collect(),
        max_chain_age: 1_200,
        max_nonce_step: 16,
        window: 3,
        max_update_bytes: 8 * 1024,
        external_conditions: vec![external],
        max_deadline: 1_800,
        ..Policy::default()
    }
}

pub fn hub_config(domain: Domain, owner: Address, assets: &[Asset], policy: Policy, rich: bool) -> HubConfig {
    let limits = AssetPolicy {
        channel_capacity: Amount::new(100_000),
        min_payment: Amount::new(1),
        max_payment: Amount::new(5_000),
        collateral: Amount::new(if rich { 2_000 } else { 300 }),
        max_collateral: Amount::new(8_000),
        collateral_per_stake: 1,
        max_idle_collateral: Amount::new(20_000),
        idle_after: 600,
        min_reclaim: Amount::new(100),
        exit_after: 5_000,
        min_exit: Amount::new(500),
        min_relayed: Some(Amount::new(2)),
        stranger_collateral: Amount::new(400),
        stranger_day: Amount::new(2_000),
    };
    HubConfig {
        domain,
        owner,
        policy,
        assets: assets.iter().map(|asset| (*asset, limits)).collect(),
        challenge_period: (60, 1_000_000),
        backlog: BacklogLimits {
            gas: 40 * EVIDENCE_GAS,
            block_gas: 2 * EVIDENCE_GAS,
            block_time: 12,
            held: 30,
            patience: 120,
        },
        relay: RelayLimits { cost: Amount::new(1), channel_day: Amount::new(6), day: Amount::new(20) },
        strangers: StrangerLimits { cost: Amount::new(1), day: Amount::new(12) },
    }
}

/// How a process dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Crash {
    /// Before the commit: what was not durable is gone.
    Uncommitted,
    /// After the commit, before its effects.
    EffectsLost,
}

pub struct Honest {
    pub machine: Machine,
    pub defs: Vec<ChannelDef>,
    pub owner: Address,
    key: SecretKey,
    config: Config,
    store: Store,
    /// Transactions sent, by their idempotency key.
    sent: BTreeSet<CallId>,
    pub reader: Reader,
    /// How far the chain was read at the last commit.
    durable: Place,
    /// The channels' states at the last commit.
    images: Vec<Vec<u8>>,
    /// While the chain can't be seen.
    pub blind: bool,
}

impl Honest {
    pub fn hub(config: HubConfig, key: SecretKey, defs: Vec<ChannelDef>, node: Node) -> Self {
        let mut hub = Hub::new(config.clone(), key.clone());
        for def in &defs {
            hub.register(Registration { channel: *def, public_key: None, binding: None }).unwrap();
        }
        Self::new(Machine::Hub(Box::new(hub)), defs, config.owner, key, Config::Hub(config), node)
    }

    pub fn wallet(config: WalletConfig, key: SecretKey, node: Node) -> Self {
        let wallet = Wallet::new(config.clone(), key.clone()).unwrap();
        let (def, owner) = (config.def, config.def.a.owner);
        Self::new(Machine::Wallet(Box::new(wallet)), vec![def], owner, key, Config::Wallet(config), node)
    }

    fn new(
        machine: Machine,
        defs: Vec<ChannelDef>,
        owner: Address,
        key: SecretKey,
        config: Config,
        node: Node,
    ) -> Self {
        let reader = Reader::new(&config, None, &machine, node);
        Self {
            durable: reader.place.clone(),
            reader,
            machine,
            defs,
            owner,
            key,
            config,
            store: Store::new(),
            sent: BTreeSet::new(),
            images: Vec::new(),
            blind: false,
        }
    }

    pub fn channel(&self, id: &ChannelId) -> &Channel {
        match &self.machine {
            Machine::Hub(hub) => hub.channel(id).unwrap(),
            Machine::Wallet(wallet) => wallet.channel(),
        }
    }

    pub fn wallet_mut(&mut self) -> Option<&mut Wallet> {
        match &mut self.machine {
            Machine::Hub(_) => None,
            Machine::Wallet(wallet) => Some(wallet),
        }
    }

    /// Somebody is there who shows the words of streams.
    pub fn take_streams(&mut self, now: u64) {
        if let Some(wallet) = self.wallet_mut() {
            wallet.take_streams(now);
        }
    }

    pub fn connect(&mut self, id: ChannelId, now: u64) {
        self.machine.connected(id, now).unwrap();
    }

    /// Reads the chain through a node as nodes are; whoever is refused asks again before much time has passed.
    pub fn read_chain(&mut self, chain: &Chain) {
        if self.blind {
            return;
        }
        self.reader.read(&mut self.machine, chain);
    }

    /// What must come back after a crash. A hub goes on with what was in the middle while it is restored, so of
    /// its channels only the lanes and the money are compared.
    fn state_images(&self) -> Vec<Vec<u8>> {
        if let Machine::Wallet(wallet) = &self.machine {
            return vec![encode(wallet.channel().state())];
        }
        let books = self.defs.iter().enumerate().flat_map(|(index, _)| self.nth(index).state().assets.values());
        books
            .map(|book| {
                let lanes = (&book.out, &book.inc.lane, &book.inc.accepted, &book.inc.acknowledgement, book.inc.seen);
                encode(&(lanes, book.deposits, book.withdrawn, &book.withdrawals, &book.closing))
            })
            .collect()
    }

    pub fn nth(&self, index: usize) -> &Channel {
        match &self.machine {
            Machine::Hub(hub) => hub.channels().find(|channel| channel.def() == &self.defs[index]).unwrap(),
            Machine::Wallet(wallet) => wallet.channel(),
        }
    }

    /// Commits all there is and carries it out: what to send, and which transactions were sent.
    pub fn poll(&mut self, chain: &mut Chain, crash: Option<Crash>) -> Result<Vec<(ChannelId, Message)>, Error> {
        let mut messages = Vec::new();
        loop {
            if crash == Some(Crash::Uncommitted) {
                // The commit may have been made, and not written.
                drop(self.machine.poll(chain.now)?);
                return Ok(messages);
            }
            let mut submits = Vec::new();
            let Some(commit) = self.machine.poll(chain.now)? else { break };
            write(&mut self.store, &commit.writes);
            for act in self.machine.committed(commit)? {
                match act {
                    Act::Send(channel, message) => messages.push((channel, message)),
                    Act::Submit(id, channel, call) => submits.push((id, channel, call)),
                    Act::Tell(_) => {}
                }
            }
            self.durable = self.reader.place.clone();
            self.images = self.state_images();
            if crash == Some(Crash::EffectsLost) {
                return Ok(Vec::new());
            }
            for (id, channel, call) in submits {
                self.submit(chain, id, channel, call);
            }
        }
        Ok(messages)
    }

    fn submit(&mut self, chain: &mut Chain, id: CallId, channel: ChannelId, call: ChainCall) {
        if !self.sent.insert(id.clone()) {
            return;
        }
        let asked_for = matches!(call, ChainCall::Withdraw { .. } | ChainCall::Close { .. });
        if chain.send(self.owner, Action::Call(call.clone())).is_err() && !asked_for {
            self.sent.remove(&id);
            self.machine.submit_failed(channel, &id, &call);
        }
    }

    /// Leaves a channel alone.
    pub fn leave(&mut self, id: ChannelId, now: u64) -> Result<(), Error> {
        match &mut self.machine {
            Machine::Hub(hub) => hub.leave(id, now),
            Machine::Wallet(wallet) => wallet.exit(now),
        }
    }

    /// The process dies and comes back from its store. False if it is not what it was at its last commit.
    pub fn restore(&mut self, chain: &Chain) -> Result<bool, Error> {
        self.machine = Machine::restore(&self.config, &self.key, &self.store, chain.now)?;
        if let Machine::Hub(hub) = &mut self.machine {
            for def in &self.defs {
                hub.register(Registration { channel: *def, public_key: None, binding: None })?;
            }
        }
        self.reader.restart(&self.machine, self.durable.clone());
        Ok(self.images.is_empty() || self.images == self.state_images())
    }

    /// All payments that the wallet's owner sees, ended ones from the history too.
    pub fn payments(&self) -> Vec<Payment> {
        let Machine::Wallet(wallet) = &self.machine else { return Vec::new() };
        payments(wallet, &self.store)
    }
}
