//! Hubs with other limits, and a payer who signs what it likes.

use super::{World, domain, key, write};
use alloy_primitives::Address;
use farthing_protocol::amount::Amount;
use farthing_protocol::condition::{Condition, sha256};
use farthing_protocol::hub::{Hub, HubConfig, HubEffect, Registration};
use farthing_protocol::lane::{Lane, Op, Update};
use farthing_protocol::message::Message;
use farthing_protocol::proof::{LaneId, SignedProof};
use farthing_protocol::types::{ETH, Side};
use farthing_protocol::wallet::{PaymentId, Status};
use farthing_protocol::{Code, Reason};

/// A world whose hub has other limits.
pub fn world(clients: usize, edit: impl FnOnce(&mut HubConfig)) -> World {
    let mut world = World::new(clients);
    edit(&mut world.hub_config);
    world.hub = Hub::new(world.hub_config.clone(), key(200));
    for client in &world.clients {
        let public_key = Some(client.key.public_key());
        let registration = Registration { channel: client.config.def, public_key, binding: None };
        world.hub.register(registration).unwrap();
    }
    world.pass(1);
    world
}

pub fn fund(world: &mut World, client: usize, amount: u128) {
    world.connect(client);
    world.deposit(client, Side::A, ETH, amount);
    world.settle();
}

pub fn code(world: &World, client: usize, id: &PaymentId) -> Option<Code> {
    world.payment(client, id).code.as_ref().and_then(Reason::code)
}

pub fn status(world: &World, client: usize, id: &PaymentId) -> Status {
    world.clients[client].wallet.payment(id).unwrap().status
}

/// A payer without a wallet: it signs what it likes.
pub struct Foe {
    pub client: usize,
    pub lane: Lane,
    pub nonce: u64,
}

impl Foe {
    pub fn new(client: usize) -> Self {
        Self { client, lane: Lane::default(), nonce: 0 }
    }

    pub fn lock(slot: u16, price: u128, to: Option<Address>, expiry: u64, envelope: usize) -> Op {
        Op::Lock {
            slot,
            condition: Condition::hash_lock(sha256(&slot.to_be_bytes())),
            expiry,
            n: 1,
            unit_price: Amount::new(price),
            to,
            envelope: vec![7; envelope].into(),
        }
    }

    /// The answers to an update.
    pub fn update(&mut self, world: &mut World, ops: Vec<Op>) -> Vec<Message> {
        self.nonce += 1;
        let before = self.lane.clone();
        self.lane.apply(self.nonce, &ops).unwrap();
        let proof = self.lane.statement(self.nonce, 0);
        let (id, key) = (world.id(self.client), &world.clients[self.client].key);
        let name = LaneId { asset: ETH, payer: Side::A };
        let signature = SignedProof::sign(proof, &domain(), id, name, key).signature;
        let base = self.base(world);
        let update = Update { base, ops, proof, signature };
        let answers = say(world, self.client, Message::Update { asset: ETH, update });
        if answers.iter().any(|answer| matches!(answer, Message::Refused { .. })) {
            self.lane = before;
        }
        answers
    }

    pub fn base(&self, world: &World) -> u64 {
        let channel = world.hub.channel(&world.id(self.client)).unwrap();
        channel.state().assets.get(&ETH).map_or(0, |book| book.inc.accepted_nonce())
    }
}

/// Commits of the hub, and what it says and asks for.
pub fn hub_effects(world: &mut World) -> Vec<HubEffect> {
    let mut effects = Vec::new();
    while let Some(commit) = world.hub.poll_commit(world.now).unwrap() {
        write(&mut world.hub_store, &commit.writes);
        effects.extend(world.hub.committed(commit.durable()).unwrap());
    }
    effects
}

/// A message of a client, and what it is answered.
pub fn say(world: &mut World, client: usize, message: Message) -> Vec<Message> {
    let id = world.id(client);
    hub_effects(world);
    world.hub.handle(id, message, world.now).unwrap();
    let said = hub_effects(world).into_iter().filter_map(|effect| match effect {
        HubEffect::Send { channel, message } if channel == id => Some(message),
        _ => None,
    });
    said.collect()
}

pub fn refused_with(answers: &[Message]) -> Option<&str> {
    answers.iter().find_map(|answer| match answer {
        Message::Refused { code, .. } => Some(code.as_str()),
        _ => None,
    })
}

pub fn given_back_with(answers: &[Message]) -> Option<&str> {
    answers.iter().find_map(|answer| match answer {
        Message::Fail { code, .. } => Some(code.as_str()),
        _ => None,
    })
}
