//! Facts before effects: what a commit lets out stands on facts that the same commit, or one before it, has stored.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod support;

use farthing_protocol::amount::Amount;
use farthing_protocol::types::{Asset, ETH, Side};
use farthing_protocol::wallet::{Event, Payee, Status};
use support::World;

fn strict() -> World {
    let mut world = World::new(2);
    world.strict = true;
    for client in 0..2 {
        world.connect(client);
        world.deposit(client, Side::A, ETH, 10_000);
    }
    world.settle();
    world
}

#[test]
fn whatever_leaves_a_machine_stands_on_what_is_in_its_store() {
    let mut world = strict();
    let paid = [world.pay(0, 1, 700).unwrap(), world.pay(1, 0, 50).unwrap()];
    let to_hub = world.pay_as(0, Payee::Hub, 12).unwrap();
    world.settle();
    for (client, id) in [(0, paid[0]), (1, paid[1]), (0, to_hub)] {
        assert_eq!(world.payment(client, &id).status, Status::Completed);
    }
    // One that fails, since it is called back, and one that waits while both sides start again.
    world.disconnect(1);
    let failed = world.paid(0, 1, 300);
    world.clients[0].wallet.cancel(&failed).unwrap();
    let waits = world.paid(0, 1, 90);
    assert_eq!(world.payment(0, &failed).status, Status::Failed);
    world.restart_hub();
    world.restart_client(0);
    world.connect(0);
    world.connect(1);
    world.settle();
    assert_eq!(world.payment(0, &waits).status, Status::Completed);
    // What is agreed on, and what is asked of the chain.
    let (owner, deadline) = (world.clients[0].wallet.channel().def().a.owner, world.now + 3_000);
    world.clients[0].wallet.withdraw(ETH, Amount::new(40), owner, Default::default(), deadline, false).unwrap();
    world.settle();
    world.mine();
    world.clients[1].wallet.close(&[ETH], deadline, false).unwrap();
    world.settle();
    let told = |client: usize, what: fn(&Event) -> bool| world.clients[client].events.iter().any(what);
    assert!(told(0, |event| matches!(event, Event::Withdrawal(_))), "{:?}", world.clients[0].events);
    assert!(told(1, |event| matches!(event, Event::Closing(_))), "{:?}", world.clients[1].events);
    world.clients[0].wallet.exit(world.now).unwrap();
    world.settle();
}

/// A snapshot takes the log's place in the commit of the facts that made it due.
#[test]
fn so_it_does_when_the_commit_is_a_snapshot() {
    let mut world = strict();
    for batch in 0..6_u16 {
        for number in 0..100 {
            world.deposit(0, Side::A, Asset::left_padding_from(&(batch * 100 + number).to_be_bytes()), 1);
        }
        world.paid(0, 1, 1);
    }
    assert!(world.clients[0].store.keys().any(|key| key.ends_with("/snapshot")));
    assert!(world.hub_store.keys().any(|key| key.ends_with("/snapshot")));
}
