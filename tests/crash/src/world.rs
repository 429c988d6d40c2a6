//! The network, the chain and the four processes; every effect of each is numbered, and a plan says at which of them
//! something goes wrong.

use super::chain::{Action, Chain, FINALITY};
use super::contract::{Contract, Without};
use super::machine::{Config, Machine};
use super::process::Process;
use super::tower::Tower;
use alloy_primitives::Address;
use farthing_protocol::Amount;
use farthing_protocol::chain::ChainCall;
use farthing_protocol::channel::Policy;
use farthing_protocol::eip712::Domain;
use farthing_protocol::hub::{AssetPolicy, Hub, HubConfig, Registration};
use farthing_protocol::message::Message;
use farthing_protocol::proof::LaneId;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::types::{Asset, ChannelDef, ChannelId, ETH, Participant};
use farthing_protocol::wallet::{Wallet, WalletConfig};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub const ALICE: usize = 0;
pub const BOB: usize = 1;
pub const HUB: usize = 2;
pub const TOWER: usize = 3;
pub const NAMES: [&str; 4] = ["Alice", "Bob", "hub", "tower"];

/// The label of a commit.
pub const STORE: &str = "store";
/// Seconds at which it begins.
const START: u64 = 1_000_000;
pub const CHAIN_ID: u64 = 31_337;
pub const TOKEN: Asset = Address::repeat_byte(0x70);
pub const CHALLENGE: u32 = 3_600;
/// Failed writes while a store's quota is used up.
const QUOTA: u32 = 4;

/// When, at an effect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Blow {
    /// Killed before it.
    Before,
    /// Killed after it.
    After,
    /// Killed in the middle of a write, which the store rolls back.
    Torn,
    /// The store refuses this write.
    Refused,
    /// The store refuses this write and the next few, over restarts.
    Quota,
}

/// Who is hit, at which of its effects, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    pub who: usize,
    pub index: u32,
    pub blow: Blow,
}

/// One effect of a participant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effect {
    pub who: usize,
    pub index: u32,
    /// `store`, or what is sent, submitted, received, read or told.
    pub label: String,
    /// The scenario's step.
    pub step: &'static str,
}

/// The connection between a wallet and the hub.
#[derive(Default)]
pub struct Link {
    pub up: bool,
    /// Whether the wallet wants it.
    pub wanted: bool,
    pub to_hub: VecDeque<Message>,
    pub to_wallet: VecDeque<Message>,
    /// What the wallet reveals is lost.
    pub mute: bool,
}

pub struct World {
    pub chain: Chain,
    pub domain: Domain,
    pub processes: [Process; 3],
    pub tower: Tower,
    pub links: [Link; 2],
    /// Nonces of the proofs that each wallet holds a tower's receipt for.
    pub receipts: [BTreeMap<LaneId, u64>; 2],
    /// Whether everything is printed.
    pub trace: bool,
    plan: Option<Plan>,
    quota: u32,
    counters: [u32; 4],
    pub log: Vec<Effect>,
    pub step: &'static str,
    pub struck: bool,
    pub seen: BTreeSet<String>,
    pub broken: Option<String>,
    /// Wishes that were taken in once, by number.
    asked: BTreeSet<u16>,
    /// How many updates each process has sent in each lane that it pays with.
    pub updates: BTreeMap<(usize, ChannelId, Asset), u32>,
}

fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32]).unwrap()
}

impl World {
    pub fn new(plan: Option<Plan>) -> Self {
        let domain = Domain::new(CHAIN_ID, Address::repeat_byte(0xfa));
        let policy = Policy {
            safety_margin: 600,
            min_lock_time: 1_200,
            max_lock_time: 9_000,
            max_chain_age: 1_200,
            max_deadline: 1_800,
            ..Policy::default()
        };
        let (hub_key, hub_owner) = (key(200), key(201).address());
        let limits = AssetPolicy {
            channel_capacity: Amount::new(1_000_000),
            min_payment: Amount::new(1),
            max_payment: Amount::new(100_000),
            collateral: Amount::new(2_000),
            collateral_per_stake: u32::MAX,
            max_collateral: Amount::new(50_000),
            ..AssetPolicy::default()
        };
        let config = HubConfig {
            domain,
            owner: hub_owner,
            policy: policy.clone(),
            assets: [(ETH, limits), (TOKEN, limits)].into(),
            challenge_period: (60, 1_000_000),
            backlog: Default::default(),
            relay: Default::default(),
            strangers: Default::default(),
        };
        let mut hub = Hub::new(config.clone(), hub_key.clone());
        let wallet = |n: u8, hub: &mut Hub| {
            let key = key(n);
            let def = ChannelDef {
                a: Participant { owner: key.address(), signer: key.address() },
                b: Participant { owner: hub_owner, signer: hub_key.address() },
                challenge_period: CHALLENGE,
                salt: u64::from(n),
            };
            hub.register(Registration { channel: def, public_key: Some(key.public_key()), binding: None }).unwrap();
            let config = WalletConfig { domain, def, policy: policy.clone() };
            let machine = Machine::Wallet(Box::new(Wallet::new(config.clone(), key.clone()).unwrap()));
            let owner = key.address();
            Process::new(machine, Config::Wallet(config), key, owner)
        };
        let (alice, bob) = (wallet(10, &mut hub), wallet(11, &mut hub));
        let hub = Process::new(Machine::Hub(Box::new(hub)), Config::Hub(config), hub_key.clone(), hub_owner);
        let contract = Contract::new(domain, Without::Nothing);
        let mut chain = Chain::new(contract, CHAIN_ID, domain.contract(), START);
        // Transactions go into the newest block, which must not be final yet.
        for _ in 0..=FINALITY {
            chain.mine(0);
        }
        Self {
            chain,
            domain,
            processes: [alice, bob, hub],
            tower: Tower { key: key(100), owner: key(101).address(), domain, rows: BTreeMap::new() },
            links: Default::default(),
            receipts: Default::default(),
            trace: false,
            plan,
            quota: 0,
            counters: [0; 4],
            log: Vec::new(),
            step: "",
            struck: false,
            seen: BTreeSet::new(),
            broken: None,
            asked: BTreeSet::new(),
            updates: BTreeMap::new(),
        }
    }

    pub fn now(&self) -> u64 {
        self.chain.now
    }

    pub fn id(&self, wallet: usize) -> ChannelId {
        self.processes[wallet].wallet().id()
    }

    pub fn fail(&mut self, why: impl Into<String>) {
        let why = format!("{}: {}", self.step, why.into());
        self.broken.get_or_insert(why);
    }

    /// What a user sees once something has gone wrong.
    pub fn see(&mut self, what: impl Into<String>) {
        if self.struck {
            self.seen.insert(what.into());
        }
    }

    /// A machine took a wish in; a second time, because the first was lost before it was stored.
    pub fn took(&mut self, wish: u16) {
        if !self.asked.insert(wish) {
            self.see("had to ask again");
        }
    }

    /// Numbers an effect. True if it does not take place.
    pub fn begin(&mut self, who: usize, label: impl Fn() -> String) -> bool {
        self.counters[who] += 1;
        if self.trace {
            println!("t+{} {}: {} #{} {}", self.now() - START, self.step, NAMES[who], self.counters[who], label());
        }
        let index = self.counters[who];
        match self.plan {
            None => {
                self.log.push(Effect { who, index, label: label(), step: self.step });
                false
            }
            Some(plan) if plan.who == who && plan.index == index => {
                self.struck = true;
                match plan.blow {
                    Blow::Before | Blow::Torn => {
                        self.kill(who, false);
                        true
                    }
                    Blow::Refused => {
                        self.quota = 1;
                        false
                    }
                    Blow::Quota => {
                        self.quota = QUOTA;
                        false
                    }
                    Blow::After => false,
                }
            }
            Some(_) => false,
        }
    }

    /// True if the process ends after the effect that was begun last.
    pub fn end(&mut self, who: usize) -> bool {
        let Some(plan) = self.plan else { return false };
        let now = plan.blow == Blow::After && plan.who == who && plan.index == self.counters[who];
        if now {
            // The number is taken once.
            self.plan = Some(Plan { index: u32::MAX, ..plan });
            self.kill(who, true);
        }
        now
    }

    pub fn store_refuses(&mut self, who: usize) -> bool {
        let refuses = self.quota > 0 && self.plan.is_some_and(|plan| plan.who == who);
        if refuses {
            self.quota -= 1;
        }
        refuses
    }

    /// The process ends; its memory is lost, and its connections. It starts again at once, from its store. What it
    /// had sent still arrives, or is lost with the connection.
    pub fn kill(&mut self, who: usize, arrives: bool) {
        let now = self.now();
        for wallet in [ALICE, BOB] {
            let id = self.id(wallet);
            if who != HUB && who != wallet || !self.links[wallet].up {
                continue;
            }
            let link = &mut self.links[wallet];
            let (peer, queue) = match who {
                HUB => (wallet, std::mem::take(&mut link.to_wallet)),
                _ => (HUB, std::mem::take(&mut link.to_hub)),
            };
            let arrives = arrives && !self.processes[peer].failed;
            for message in queue.into_iter().filter(|_| arrives) {
                if let Err(error) = self.processes[peer].machine.handle(id, message, now) {
                    self.fail(format!("handle: {error}"));
                }
            }
            self.cut(wallet);
        }
        if who == TOWER {
            return;
        }
        if who != HUB {
            self.receipts[who].clear();
        }
        self.see(format!("{} restarted", NAMES[who]));
        if let Err(error) = self.processes[who].restart(now) {
            self.fail(format!("{} does not come back: {error}", NAMES[who]));
        }
        // A driver reads the chain before it goes on; where it can't, payments are refused until it has.
        if !arrives && self.processes[who].running {
            self.processes[who].read_chain(&self.chain);
        }
    }

    /// The connection is gone, with what was on its way.
    pub fn cut(&mut self, wallet: usize) {
        let id = self.id(wallet);
        let link = &mut self.links[wallet];
        link.to_hub.clear();
        link.to_wallet.clear();
        if std::mem::take(&mut link.up) {
            self.processes[wallet].machine.disconnected(id);
            self.processes[HUB].machine.disconnected(id);
        }
    }

    fn connect(&mut self) {
        let now = self.now();
        for wallet in [ALICE, BOB] {
            let usable = |process: &Process| process.running && !process.failed;
            let link = &self.links[wallet];
            if !link.wanted || link.up || !usable(&self.processes[wallet]) || !usable(&self.processes[HUB]) {
                continue;
            }
            let id = self.id(wallet);
            self.links[wallet].up = true;
            let (channel, public_key) = {
                let process = &self.processes[wallet];
                (*process.wallet().channel().def(), Some(process.key.public_key()))
            };
            if self.processes[HUB].hub().channel(&id).is_none() {
                let registration = Registration { channel, public_key, binding: None };
                self.processes[HUB].hub_mut().register(registration).unwrap();
                self.processes[HUB].add(id);
            }
            for who in [HUB, wallet] {
                if let Err(error) = self.processes[who].machine.connected(id, now) {
                    self.fail(format!("connect: {error}"));
                }
            }
        }
    }

    /// Whoever ended because of its store is started again, and whoever wants a connection gets one.
    pub fn revive(&mut self) {
        for who in [ALICE, BOB, HUB] {
            if self.processes[who].failed {
                self.kill(who, false);
            }
        }
        self.connect();
    }

    /// A new block, and what everybody does about it.
    pub fn block(&mut self, seconds: u64) {
        self.chain.mine(seconds);
        for who in [ALICE, BOB, HUB] {
            if !self.processes[who].running || self.processes[who].failed || self.begin(who, || "read a block".into()) {
                continue;
            }
            self.processes[who].read_chain(&self.chain);
            let _ = self.end(who);
        }
        for call in self.tower.answers(&self.chain.contract, self.chain.now) {
            if self.begin(TOWER, || format!("submit {}", call.label())) {
                break;
            }
            let _ = self.chain.send(self.tower.owner, Action::Call(call));
            if self.end(TOWER) {
                break;
            }
        }
    }

    pub fn call(&mut self, from: Address, call: ChainCall) {
        if let Err(why) = self.chain.send(from, Action::Call(call)) {
            self.fail(format!("a transaction fails: {why}"));
        }
    }

    pub fn finality(&mut self) {
        for _ in 0..=FINALITY {
            self.block(12);
            self.settle();
        }
    }
}
