//! A world in one process: a hub and wallets, a network that delivers when told, stores that survive crashes,
//! and a chain that is a few numbers.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

pub mod held;
pub mod limited;
pub mod streaming;

use alloy_primitives::{Address, B256, keccak256};
use farthing_protocol::amount::Amount;
use farthing_protocol::chain::{AssetStatus, ChainCall, ChainFact, EvidenceItem, Head};
use farthing_protocol::channel::{AssetBook, LanePage, Policy};
use farthing_protocol::eip712::Domain;
use farthing_protocol::hub::{AssetPolicy, Hub, HubConfig, HubEffect, Registration};
use farthing_protocol::journal::Write;
use farthing_protocol::message::Message;
use farthing_protocol::proof::LaneId;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::types::{Asset, ChannelDef, ChannelId, ETH, Participant, Side, Sides};
use farthing_protocol::wallet::{
    Event, PayRequest, Payee, Payment, PaymentId, Shown, Wallet, WalletConfig, WalletEffect,
};
use std::collections::{BTreeMap, VecDeque};

pub type Store = BTreeMap<String, Vec<u8>>;

pub fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32]).unwrap()
}

pub fn write(store: &mut Store, writes: &[Write]) {
    for write in writes {
        match write.clone() {
            Write::Put { key, value } => store.insert(key, value),
            Write::Delete { key } => store.remove(&key),
        };
    }
}

pub fn entries(store: &Store) -> Vec<(String, Vec<u8>)> {
    store.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

pub struct Client {
    pub wallet: Wallet,
    pub config: WalletConfig,
    pub key: SecretKey,
    pub store: Store,
    pub events: Vec<Event>,
    pub online: bool,
    pub inbox: VecDeque<Message>,
    pub to_hub: VecDeque<Message>,
    pub calls: Vec<ChainCall>,
}

pub struct World {
    pub now: u64,
    pub block: u64,
    pub hub: Hub,
    pub hub_config: HubConfig,
    pub hub_store: Store,
    pub hub_calls: Vec<(ChannelId, ChainCall)>,
    pub clients: Vec<Client>,
    pub deposits: BTreeMap<(ChannelId, Asset), (Sides<Amount>, Sides<Amount>, AssetStatus)>,
    pub random: u64,
    /// Look after each commit whether the store holds all that its effects stand on.
    pub strict: bool,
    pub recorded: BTreeMap<farthing_protocol::condition::ConditionKey, ChainFact>,
}

pub fn domain() -> Domain {
    Domain::new(31337, Address::repeat_byte(0xfa))
}

impl World {
    pub fn new(clients: usize) -> Self {
        let hub_key = key(200);
        let owner = key(201).address();
        let limits = AssetPolicy {
            channel_capacity: Amount::new(1_000_000),
            min_payment: Amount::new(1),
            max_payment: Amount::new(100_000),
            collateral: Amount::new(1_000),
            max_collateral: Amount::new(500_000),
            ..AssetPolicy::default()
        };
        let policy = Policy::default();
        let hub_config = HubConfig {
            domain: domain(),
            owner,
            policy: policy.clone(),
            assets: [(ETH, limits)].into(),
            challenge_period: (3_600, 1_000_000),
            backlog: Default::default(),
            relay: Default::default(),
            strangers: Default::default(),
        };
        let mut world = Self {
            now: 1_000_000,
            block: 100,
            hub: Hub::new(hub_config.clone(), hub_key.clone()),
            hub_config,
            hub_store: Store::new(),
            hub_calls: Vec::new(),
            clients: Vec::new(),
            deposits: BTreeMap::new(),
            random: 1,
            strict: false,
            recorded: BTreeMap::new(),
        };
        for index in 0..clients {
            let key = key(10 + index as u8);
            let def = ChannelDef {
                a: Participant { owner: key.address(), signer: key.address() },
                b: Participant { owner, signer: hub_key.address() },
                challenge_period: 86_400,
                salt: index as u64,
            };
            let config = WalletConfig { domain: domain(), def, policy: policy.clone() };
            let wallet = Wallet::new(config.clone(), key.clone()).unwrap();
            world
                .hub
                .register(Registration { channel: def, public_key: Some(key.public_key()), binding: None })
                .unwrap();
            world.clients.push(Client {
                wallet,
                config,
                key,
                store: Store::new(),
                events: Vec::new(),
                online: false,
                inbox: VecDeque::new(),
                to_hub: VecDeque::new(),
                calls: Vec::new(),
            });
        }
        world.mine();
        world
    }

    /// Clients that are connected, each with 10,000 in its channel.
    pub fn funded(clients: usize) -> Self {
        let mut world = Self::new(clients);
        for client in 0..clients {
            world.connect(client);
            world.deposit(client, Side::A, ETH, 10_000);
        }
        world.settle();
        world
    }

    pub fn id(&self, client: usize) -> ChannelId {
        self.clients[client].wallet.id()
    }

    pub fn connect(&mut self, client: usize) {
        let id = self.id(client);
        self.clients[client].online = true;
        self.clients[client].inbox.clear();
        self.clients[client].to_hub.clear();
        self.hub.connected(id, self.now).unwrap();
        self.clients[client].wallet.connected(self.now);
    }

    pub fn disconnect(&mut self, client: usize) {
        let id = self.id(client);
        self.clients[client].online = false;
        self.clients[client].inbox.clear();
        self.clients[client].to_hub.clear();
        self.hub.disconnected(id);
        self.clients[client].wallet.disconnected();
    }

    /// A new block; everything up to it is final.
    pub fn mine(&mut self) {
        self.block += 1;
        let head =
            Head { number: self.block, timestamp: self.now, final_number: self.block, final_timestamp: self.now };
        self.hub.head(head, self.now);
        for key in self.hub.unread_keys() {
            let fact = self.recorded.get(&key).cloned().unwrap_or(ChainFact::Evidence {
                key,
                units: 0,
                evidence: Default::default(),
            });
            self.hub.chain(None, &fact, self.now);
        }
        for client in &mut self.clients {
            client.wallet.head(head, self.now);
            for key in client.wallet.unread_keys() {
                let fact = self.recorded.get(&key).cloned().unwrap_or(ChainFact::Evidence {
                    key,
                    units: 0,
                    evidence: Default::default(),
                });
                client.wallet.chain(&fact, self.now);
            }
        }
    }

    pub fn pass(&mut self, seconds: u64) {
        self.now += seconds;
        self.mine();
        self.hub.tick(self.now);
        for client in &mut self.clients {
            client.wallet.tick(self.now);
        }
    }

    pub fn deposit(&mut self, client: usize, side: Side, asset: Asset, amount: u128) {
        let id = self.id(client);
        let entry = self.deposits.entry((id, asset)).or_default();
        let total = entry.0.of_mut(side);
        *total = total.plus(Amount::new(amount)).unwrap();
        self.tell(client, asset);
    }

    /// What the chain says of a client's channel.
    pub fn fact(&self, client: usize, asset: Asset) -> ChainFact {
        let (deposits, withdrawn, status) = self.deposits.get(&(self.id(client), asset)).copied().unwrap_or_default();
        ChainFact::Asset { asset, deposits, withdrawn, status }
    }

    /// Both ETH lanes of a client, as the hub shows them, page by page and as they come through a socket.
    pub fn shown(&self, client: usize) -> Shown {
        let id = self.id(client);
        let pages = |lane| {
            let mut pages: Vec<LanePage> = vec![self.hub.show_lane(&id, lane, 0).unwrap()];
            while let Some(next) = pages.last().unwrap().next {
                pages.push(self.hub.show_lane(&id, lane, next).unwrap());
            }
            pages.iter().map(|page| serde_json::from_str(&serde_json::to_string(page).unwrap()).unwrap()).collect()
        };
        [Side::A, Side::B].map(|payer| LaneId { asset: ETH, payer }).map(|lane| (lane, pages(lane))).into()
    }

    /// Both sides' ETH, as the client has it.
    pub fn book(&self, client: usize) -> &AssetBook {
        self.clients[client].wallet.channel().state().assets.get(&ETH).unwrap()
    }

    /// A payment that the client knows.
    pub fn payment(&self, client: usize, id: &PaymentId) -> &Payment {
        self.clients[client].wallet.payment(id).expect("it is known")
    }

    /// Goes on until a lock for the client was signed; with `unheard`, nothing that it says arrives meanwhile.
    pub fn until_locked_in(&mut self, client: usize, unheard: bool) {
        while self.clients[client].wallet.balance(ETH).locked_in.is_zero() {
            if unheard {
                self.clients[client].to_hub.clear();
            }
            assert!(self.step(), "it comes to rest without a lock");
        }
    }

    /// The client takes over what is shown, in place of this store, and starts again from that.
    pub fn take_over(&mut self, client: usize, mut store: Store, shown: Shown) {
        let writes = self.adopt(client, &store, shown).unwrap().expect("it is taken over");
        write(&mut store, &writes);
        self.start(client, store);
    }

    /// What a client with this store makes of it.
    pub fn adopt(
        &self,
        client: usize,
        store: &Store,
        shown: Shown,
    ) -> Result<Option<Vec<Write>>, farthing_protocol::Error> {
        let Client { config, key, .. } = &self.clients[client];
        let mut wallet = Wallet::restore(config.clone(), Some(key.clone()), &entries(store)).unwrap();
        wallet.chain(&self.fact(client, ETH), self.now);
        wallet.head(*self.hub.newest().expect("a block was mined"), self.now);
        wallet.adopt(shown, store.is_empty(), 7, self.now)
    }

    /// The device starts again from this store, and is told what the chain says.
    pub fn start(&mut self, client: usize, store: Store) {
        self.disconnect(client);
        let lost = &mut self.clients[client];
        lost.events.clear();
        lost.store = store;
        lost.wallet = Wallet::restore(lost.config.clone(), Some(lost.key.clone()), &entries(&lost.store)).unwrap();
        self.tell(client, ETH);
        self.mine();
    }

    pub fn tell(&mut self, client: usize, asset: Asset) {
        let (id, fact) = (self.id(client), self.fact(client, asset));
        self.hub.chain(Some(id), &fact, self.now);
        self.clients[client].wallet.chain(&fact, self.now);
    }

    pub fn pay(&mut self, from: usize, to: usize, amount: u128) -> Result<PaymentId, farthing_protocol::Error> {
        let address = self.clients[to].key.address();
        let info = self.hub.lookup(address)?;
        self.pay_as(from, Payee::Channel { to: address, info }, amount)
    }

    /// Pays, and goes on until nothing moves.
    pub fn paid(&mut self, from: usize, to: usize, amount: u128) -> PaymentId {
        let id = self.pay(from, to, amount).unwrap();
        self.settle();
        id
    }

    pub fn pay_as(&mut self, from: usize, to: Payee, amount: u128) -> Result<PaymentId, farthing_protocol::Error> {
        self.random += 1;
        let entropy: B256 = keccak256(self.random.to_be_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&entropy[..16]);
        let request = PayRequest {
            asset: ETH,
            amount: Amount::new(amount),
            memo: format!("payment {}", self.random),
            to,
            expiry: self.now + 86_400,
            id,
            entropy: keccak256(entropy).0,
        };
        self.clients[from].wallet.pay(request, self.now)
    }

    /// Commits and carries out everything until nothing moves. Hub transactions are mined at once.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    pub fn step(&mut self) -> bool {
        let mut moved = false;
        while let Some(commit) = self.hub.poll_commit(self.now).unwrap() {
            write(&mut self.hub_store, &commit.writes);
            let effects = self.hub.committed(commit.durable()).unwrap();
            if self.strict {
                held::check_hub(self, &effects);
            }
            for effect in effects {
                moved = true;
                match effect {
                    HubEffect::Send { channel, message } => {
                        let message = Message::decode(&message.encode().unwrap()).unwrap();
                        if let Some(client) = self.clients.iter_mut().find(|client| client.wallet.id() == channel) {
                            if client.online {
                                client.inbox.push_back(message);
                            }
                        }
                    }
                    HubEffect::Submit { channel, call, .. } => self.hub_calls.push((channel, call)),
                }
            }
        }
        for (channel, call) in core::mem::take(&mut self.hub_calls) {
            moved = true;
            self.execute(channel, call);
        }
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            while let Some(commit) = client.wallet.poll_commit(self.now).unwrap() {
                write(&mut client.store, &commit.writes);
                let effects = client.wallet.committed(commit.durable()).unwrap();
                if self.strict {
                    held::check_wallet(client, &effects);
                }
                for effect in effects {
                    moved = true;
                    match effect {
                        WalletEffect::Send(message) if client.online => {
                            client.to_hub.push_back(Message::decode(&message.encode().unwrap()).unwrap());
                        }
                        WalletEffect::Send(_) => {}
                        WalletEffect::Submit { call, .. } => client.calls.push(call),
                        WalletEffect::Event(event) => client.events.push(event),
                    }
                }
            }
            let id = client.wallet.id();
            let calls = core::mem::take(&mut client.calls);
            for call in calls {
                moved = true;
                self.execute(id, call);
            }
            while let Some(message) = self.clients[index].to_hub.pop_front() {
                moved = true;
                self.hub.handle(id, message, self.now).unwrap();
            }
            while let Some(message) = self.clients[index].inbox.pop_front() {
                moved = true;
                let now = self.now;
                self.clients[index].wallet.handle(message, now).unwrap();
            }
        }
        moved
    }

    fn execute(&mut self, channel: ChannelId, call: ChainCall) {
        let Some(client) = self.clients.iter().position(|client| client.wallet.id() == channel) else {
            return;
        };
        match call {
            ChainCall::Deposit { side, asset, amount, .. } => self.deposit(client, side, asset, amount.units()),
            ChainCall::Withdraw { withdrawal, .. } => {
                let entry = self.deposits.entry((channel, withdrawal.asset)).or_default();
                *entry.1.of_mut(withdrawal.side) = withdrawal.total;
                self.tell(client, withdrawal.asset);
                self.mine();
            }
            ChainCall::Close { closing, .. } => {
                for asset in closing.assets {
                    self.deposits.entry((channel, asset.asset)).or_default().2 = AssetStatus::Closed;
                    self.tell(client, asset.asset);
                }
            }
            ChainCall::RecordEvidence { items } => {
                for EvidenceItem { condition, expiry, evidence } in items {
                    let units = condition.evaluate(&domain(), expiry, &evidence).unwrap();
                    let fact = ChainFact::Evidence { key: condition.key(expiry), units, evidence };
                    self.recorded.insert(condition.key(expiry), fact.clone());
                    self.hub.chain(None, &fact, self.now);
                    for client in &mut self.clients {
                        client.wallet.chain(&fact, self.now);
                    }
                }
            }
            // Exits are told as facts, by the tests that have one.
            ChainCall::StartExit { .. }
            | ChainCall::SubmitProofs { .. }
            | ChainCall::Settle { .. }
            | ChainCall::ClaimLocks { .. } => {}
        }
    }

    /// The hub's process dies and comes back from its store.
    pub fn restart_hub(&mut self) {
        self.restart_hub_blind();
        self.mine();
    }

    /// It has not seen the chain yet.
    pub fn restart_hub_blind(&mut self) {
        for index in 0..self.clients.len() {
            self.clients[index].online = false;
            self.clients[index].inbox.clear();
            self.clients[index].to_hub.clear();
            self.clients[index].wallet.disconnected();
        }
        self.hub = Hub::restore(self.hub_config.clone(), key(200), &entries(&self.hub_store), self.now).unwrap();
    }

    pub fn restart_client(&mut self, index: usize) {
        self.disconnect(index);
        let client = &mut self.clients[index];
        client.wallet =
            Wallet::restore(client.config.clone(), Some(client.key.clone()), &entries(&client.store)).unwrap();
        self.mine();
    }

    pub fn available(&self, client: usize) -> u128 {
        self.clients[client].wallet.balance(ETH).available.units()
    }
}
