//! A world with one stream, and what is asked of it.

use super::{Store, World};
use alloy_primitives::{Bytes, keccak256};
use farthing_protocol::condition::{chain_evidence, voucher_evidence};
use farthing_protocol::types::ETH;
use farthing_protocol::wallet::{
    Direction, Payment, PaymentId, Status, Stream, StreamRequest, Words, chain_word, voucher_key,
};
use farthing_protocol::{Amount, Error};

pub const UNITS: u32 = 100;
pub const PRICE: u128 = 7;
pub const WEEK: u64 = 6 * 86_400;

/// A payer, a payee that takes streams, and a hub with collateral for both.
pub fn world() -> World {
    let mut world = World::funded(2);
    let now = world.now;
    world.clients[1].wallet.take_streams(now);
    world.settle();
    world
}

pub fn stream(world: &mut World, words: Words) -> Result<PaymentId, Error> {
    let to = world.clients[1].key.address();
    let info = world.hub.lookup(to)?;
    world.random += 1;
    let entropy = keccak256(world.random.to_be_bytes()).0;
    let mut id = [0; 16];
    id.copy_from_slice(&entropy[..16]);
    let (asset, unit_price, expiry) = (ETH, Amount::new(PRICE), world.now + WEEK);
    let memo = "an article".into();
    let request = StreamRequest { asset, unit_price, units: UNITS, words, memo, to, info, expiry, id, entropy };
    let now = world.now;
    world.clients[0].wallet.stream(request, now)
}

pub fn placed(words: Words) -> (World, PaymentId) {
    let mut world = world();
    let id = stream(&mut world, words).unwrap();
    world.settle();
    assert_eq!(world.payment(0, &id).status, Status::Pending);
    (world, id)
}

pub fn part(payment: &Payment) -> &Stream {
    payment.stream.as_ref().unwrap()
}

/// The stream as its payee has it.
pub fn taken(world: &World) -> Payment {
    let mut payments = world.clients[1].wallet.payments();
    payments.retain(|payment| payment.direction == Direction::Received);
    assert_eq!(payments.len(), 1);
    payments.remove(0)
}

/// What proves so many units.
pub fn evidence(world: &World, id: &PaymentId, units: u32) -> Bytes {
    let secret = world.clients[0].wallet.words_secret(id).unwrap();
    let payment = world.payment(0, id);
    match part(payment).condition.chain_length() {
        Some(length) => chain_evidence(units, chain_word(&secret, length, units)),
        None => {
            let key = voucher_key(&secret).unwrap();
            voucher_evidence(&super::domain(), payment.stream_key().unwrap(), units, &key)
        }
    }
}

pub fn reveal(world: &mut World, evidence: &Bytes) -> Result<u32, Error> {
    let (id, now) = (taken(world).id, world.now);
    world.clients[1].wallet.reveal(&id, evidence, now)
}

pub fn give_up(world: &mut World) {
    let (id, now) = (taken(world).id, world.now);
    world.clients[1].wallet.end_stream(&id, now).unwrap();
}

/// What both have, and what is neither's for now.
pub fn money(world: &World) -> (u128, u128, u128) {
    let balance = |client: usize| world.clients[client].wallet.balance(ETH);
    (balance(0).available.units(), balance(1).available.units(), balance(0).locked_out.units())
}

/// What is stored is what is left after a crash.
pub fn asleep(world: &mut World) -> Store {
    let store = world.clients[0].store.clone();
    world.disconnect(0);
    store
}

pub fn wake(world: &mut World, store: Store) {
    world.start(0, store);
    world.connect(0);
    world.settle();
}
