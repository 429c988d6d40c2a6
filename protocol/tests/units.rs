//! The chain tells units before it tells what proved them, or without it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

use alloy_primitives::Bytes;
use farthing_protocol::chain::ChainFact;
use farthing_protocol::condition::sha256;
use farthing_protocol::types::ETH;
use farthing_protocol::wallet::{Event, Payment, Status};
use support::{Store, World};

/// Alice offers, Bob is away; gives the fact that the chain would tell once Bob was paid.
fn offered() -> (World, ChainFact, [u8; 32]) {
    let mut world = World::funded(2);
    world.disconnect(1);
    let id = world.paid(0, 1, 500);
    let secret = world.clients[0].key.secret("Farthing lock secret", &id.0);
    let key = world.clients[0].wallet.channel().live_keys().into_iter().next().unwrap();
    let fact = ChainFact::Evidence { key, units: u32::MAX, evidence: Bytes::copy_from_slice(&secret) };
    (world, fact, secret)
}

fn units_of(fact: &ChainFact) -> ChainFact {
    let ChainFact::Evidence { key, units, .. } = fact else { panic!() };
    ChainFact::Evidence { key: *key, units: *units, evidence: Bytes::new() }
}

fn told(world: &World) -> Payment {
    let told = world.clients[0].events.iter().rev().find_map(|event| match event {
        Event::Payment(payment) => Some(payment.clone()),
        _ => None,
    });
    told.unwrap()
}

#[test]
fn units_alone_complete_a_payment_and_its_preimage_is_our_own() {
    let (mut world, fact, secret) = offered();
    let now = world.now;
    world.clients[0].wallet.chain(&units_of(&fact), now);
    world.settle();
    let payment = told(&world);
    assert_eq!((payment.status, payment.preimage), (Status::Completed, Some(secret)));
    assert!(world.clients[0].wallet.unproven().is_empty());
    // The lock was redeemed: what it held is the hub's.
    assert_eq!(world.clients[0].wallet.balance(ETH).locked_out, farthing_protocol::Amount::ZERO);
    assert_eq!(world.available(0), 9_500);
}

#[test]
fn a_preimage_that_only_the_logs_have_is_taken_when_it_comes_and_no_other_is() {
    let (mut world, fact, secret) = offered();
    // The same key on an empty device: the hub's lanes tell the lock, not the payment's id.
    let shown = world.shown(0);
    world.disconnect(0);
    let writes = world.adopt(0, &Store::new(), shown).unwrap().unwrap();
    let mut store = Store::new();
    support::write(&mut store, &writes);
    world.start(0, store);
    let now = world.now;
    world.clients[0].wallet.chain(&units_of(&fact), now);
    world.connect(0);
    world.settle();
    assert_eq!((told(&world).status, told(&world).preimage), (Status::Completed, None));
    let [unproven] = world.clients[0].wallet.unproven().try_into().unwrap();
    assert!(unproven.since < now && now <= unproven.until);
    let ChainFact::Evidence { key, units, .. } = fact.clone() else { panic!() };
    let other = ChainFact::Evidence { key, units, evidence: Bytes::copy_from_slice(&[1; 32]) };
    world.clients[0].wallet.chain(&other, now);
    assert_eq!(world.clients[0].wallet.unproven().len(), 1);
    world.clients[0].wallet.chain(&fact, now);
    world.settle();
    assert_eq!(told(&world).preimage, Some(secret));
    assert_eq!(sha256(&secret).len(), 32);
    assert!(world.clients[0].wallet.unproven().is_empty());
}

#[test]
fn what_proves_units_is_stored_when_it_comes_later_and_never_lost_to_units_alone() {
    let (mut world, fact, secret) = offered();
    let now = world.now;
    let ChainFact::Evidence { key, .. } = fact else { panic!() };
    let known = |world: &World| world.clients[0].wallet.channel().state().evidence.get(&key).unwrap().evidence.clone();
    world.disconnect(0);
    world.clients[0].wallet.chain(&units_of(&fact), now);
    assert!(known(&world).is_empty());
    world.clients[0].wallet.chain(&fact, now);
    assert_eq!(known(&world).as_ref(), secret);
    world.clients[0].wallet.chain(&units_of(&fact), now);
    assert_eq!(known(&world).as_ref(), secret);
    world.settle();
    world.restart_client(0);
    assert_eq!(known(&world).as_ref(), secret);
}
