//! A payer of a stream that sleeps over its expiry.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

use farthing_protocol::Amount;
use farthing_protocol::channel::Dust;
use farthing_protocol::message::Message;
use farthing_protocol::types::ETH;
use farthing_protocol::wallet::{PaymentId, Status, Words};
use support::streaming::{PRICE, asleep, evidence, money, part, reveal, stream, wake};
use support::{Store, World};

/// The payer closes its tab; the payee shows words; all expires; the payer comes back days later.
fn slept(dust: u128, units: u32) -> (World, PaymentId, Store) {
    let mut world = World::funded(2);
    let threshold = Amount::new(dust);
    world.hub_config.policy.dust.insert(ETH, Dust { threshold, cap: Amount::new(5_000) });
    world.hub_config.policy.leave_overdue = Some(30 * 86_400);
    world.restart_hub();
    let now = world.now;
    for client in [0, 1] {
        world.tell(client, ETH);
        world.connect(client);
    }
    world.clients[1].wallet.take_streams(now);
    world.settle();
    let id = stream(&mut world, Words::Chain).unwrap();
    world.settle();
    let store = asleep(&mut world);
    let proof = evidence(&world, &id, units);
    reveal(&mut world, &proof).unwrap();
    world.settle();
    assert_eq!(money(&world).1, 10_000 + u128::from(units) * PRICE, "the payee has it");
    for _ in 0..10 {
        world.pass(86_400);
        world.settle();
    }
    let hub = world.hub.channel(&world.id(0)).unwrap();
    assert!(!hub.state().leaving, "the channel lives");
    (world, id, store)
}

#[test]
fn a_payer_that_sleeps_over_the_expiry_owes_what_is_recorded_and_its_channel_lives() {
    let (mut world, id, store) = slept(1, 40);
    assert_eq!(world.recorded.len(), 1);
    wake(&mut world, store);
    assert_eq!(part(world.payment(0, &id)).paid, 40);
    world.pass(60);
    world.settle();
    assert_eq!((world.payment(0, &id).status, world.payment(0, &id).amount), (Status::Completed, Amount::new(280)));
    assert_eq!(money(&world), (9_720, 10_280, 0));
    let put_in = world.deposits[&(world.id(0), ETH)].0.b;
    let has = world.hub.channel(&world.id(0)).unwrap().available(ETH);
    assert_eq!(has, put_in.plus(Amount::new(280)).unwrap(), "both agree to the wei");
}

#[test]
fn a_payer_that_sleeps_pays_its_credit_before_it_signs_anything_else() {
    // Not worth its gas: nothing is recorded, and the hub has paid it.
    let (mut world, id, store) = slept(1_000, 40);
    assert!(world.recorded.is_empty());
    wake(&mut world, store);
    assert_eq!(part(world.payment(0, &id)).paid, 40, "it redeems what it is shown, late as it is");
    world.pass(60);
    world.settle();
    assert_eq!(world.payment(0, &id).amount, Amount::new(280));
    assert_eq!(money(&world), (9_720, 10_280, 0));
}

#[test]
fn a_payer_that_hears_nothing_takes_its_lock_back_in_the_end() {
    let (mut world, id, store) = slept(1_000, 40);
    world.start(0, store);
    // A hub that says that it is there, and then nothing.
    let now = world.now;
    world.clients[0].wallet.connected(now);
    world.clients[0].wallet.handle(Message::Sync { lanes: Vec::new() }, now).unwrap();
    world.settle();
    assert_eq!(world.payment(0, &id).status, Status::Pending);
    world.pass(29);
    world.settle();
    assert_eq!(world.payment(0, &id).status, Status::Pending);
    world.pass(1);
    world.settle();
    world.pass(1);
    world.settle();
    assert_eq!(world.payment(0, &id).status, Status::Failed);
    assert_eq!(money(&world).0, 10_000, "what the hub loses is at most its dust cap");
}

#[test]
fn a_hub_leaves_a_payer_that_never_comes_back() {
    let (mut world, _, _) = slept(1, 40);
    for _ in 0..27 {
        world.pass(86_400);
        world.settle();
    }
    assert!(world.hub.channel(&world.id(0)).unwrap().state().leaving);
}

#[test]
fn a_hub_leaves_a_payer_that_keeps_a_payment_at_once() {
    let mut world = World::funded(2);
    world.hub_config.policy.leave_overdue = Some(30 * 86_400);
    world.restart_hub();
    for client in [0, 1] {
        world.tell(client, ETH);
        world.connect(client);
    }
    world.settle();
    world.pay(0, 1, 500).unwrap();
    world.until_locked_in(1, false);
    // The payer hears of no secret.
    asleep(&mut world);
    world.settle();
    for _ in 0..4 {
        world.pass(43_200);
        world.settle();
    }
    assert_eq!(world.recorded.len(), 1);
    assert!(world.hub.channel(&world.id(0)).unwrap().state().leaving, "nobody sleeps over a payment");
}
