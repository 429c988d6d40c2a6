//! Payees with nothing: they are paid without a deposit, and what that costs the hub is bounded by its budgets,
//! whatever the number of channels.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

mod support;

use farthing_protocol::amount::Amount;
use farthing_protocol::hub::{AssetPolicy, HubConfig, StrangerLimits};
use farthing_protocol::types::{ETH, Side};
use farthing_protocol::wallet::{PaymentId, Status};
use farthing_protocol::{Code, Reason};
use support::{World, limited};

const DAY: u64 = 86_400;

/// Client 0 has money; the others have nothing. Twelve strangers a day have gas, three of them for one payer.
fn world(clients: usize, edit: impl FnOnce(&mut HubConfig)) -> World {
    let mut world = limited::world(clients, |config| {
        config.strangers = StrangerLimits { cost: Amount::new(10), day: Amount::new(120) };
        let policy = policy(config);
        policy.stranger_collateral = Amount::new(500);
        policy.stranger_day = Amount::new(100_000);
        edit(config);
    });
    for client in 0..clients {
        world.connect(client);
    }
    stake(&mut world, 0);
    world
}

fn policy(config: &mut HubConfig) -> &mut AssetPolicy {
    config.assets.get_mut(&ETH).unwrap()
}

fn stake(world: &mut World, client: usize) {
    world.deposit(client, Side::A, ETH, 50_000);
    world.settle();
}

fn pay(world: &mut World, from: usize, to: usize, amount: u128) -> PaymentId {
    let id = world.paid(from, to, amount);
    world.pass(1);
    world.settle();
    id
}

fn end(world: &World, from: usize, id: &PaymentId) -> (Status, Option<Reason>) {
    let payment = world.clients[from].wallet.payment(id).unwrap();
    (payment.status, payment.code.clone())
}

fn refused(world: &mut World, from: usize, to: usize, amount: u128) -> bool {
    let id = pay(world, from, to, amount);
    match end(world, from, &id) {
        (Status::Failed, Some(code)) if code == Code::PayeeUnfunded => true,
        (Status::Completed, None) => false,
        other => panic!("{other:?}"),
    }
}

/// What the hub has put into a channel.
fn put(world: &World, client: usize) -> u128 {
    world.deposits.get(&(world.id(client), ETH)).map_or(0, |state| state.0.b.units())
}

fn deposits(world: &World) -> usize {
    (1..world.clients.len()).filter(|client| put(world, *client) > 0).count()
}

#[test]
fn a_payee_with_nothing_is_paid_and_one_deposit_serves_many_payments() {
    let mut world = world(2, |_| {});
    for _ in 0..10 {
        let id = pay(&mut world, 0, 1, 1);
        assert_eq!(end(&world, 0, &id).0, Status::Completed);
    }
    assert_eq!((world.available(1), put(&world, 1)), (10, 500));
    // More than the hub has there at a time is refused at once, with what helps; what is there goes on.
    assert!(refused(&mut world, 0, 1, 501));
    assert!(!refused(&mut world, 0, 1, 490));
    // All is paid away: there is room for as much again.
    assert!(!refused(&mut world, 0, 1, 3));
    assert_eq!(put(&world, 1), 1_000);
    // With a deposit of one unit it is no stranger any more.
    world.deposit(1, Side::A, ETH, 1);
    world.settle();
    assert!(!refused(&mut world, 0, 1, 20_000));
}

#[test]
fn a_hub_without_the_policy_says_so_at_once() {
    for edit in [
        (|config: &mut HubConfig| config.strangers.day = Amount::new(9)) as fn(&mut HubConfig),
        |config| policy(config).stranger_collateral = Amount::ZERO,
        |config| policy(config).stranger_day = Amount::ZERO,
    ] {
        let mut world = world(2, edit);
        assert!(refused(&mut world, 0, 1, 1));
        assert_eq!(put(&world, 1), 0);
    }
}

#[test]
fn an_attacker_who_opens_many_channels_spends_the_budget_and_no_more() {
    const CHANNELS: usize = 60;
    let mut world = world(CHANNELS, |_| {});
    for to in 1..20 {
        assert_eq!(refused(&mut world, 0, to, 1), to > 3, "one payer has a quarter of the day's gas: {to}");
    }
    // With more payers, who each need a deposit of their own, it gets the rest and nothing beyond it.
    for payer in 1..12 {
        stake(&mut world, payer);
        for to in 12..CHANNELS {
            pay(&mut world, payer, to, 1);
        }
    }
    let stakeless = (12..CHANNELS).filter(|client| put(&world, *client) > 0).count();
    assert!(stakeless >= 6 && stakeless + 3 <= 12, "{stakeless}");
    // A day later there is as much again.
    world.pass(DAY);
    world.settle();
    let before = deposits(&world);
    for to in 12..CHANNELS {
        pay(&mut world, 11, to, 1);
    }
    assert!((1..=3).contains(&(deposits(&world) - before)));
}

#[test]
fn the_day_s_money_is_shared_out_and_half_of_the_idle_is_kept_for_clients_with_a_stake() {
    let mut world = world(6, |config| {
        policy(config).stranger_day = Amount::new(700);
        policy(config).collateral = Amount::ZERO;
    });
    assert!(!refused(&mut world, 0, 1, 1));
    assert!(!refused(&mut world, 0, 2, 1));
    assert!(refused(&mut world, 0, 3, 1));
    assert_eq!((put(&world, 1), put(&world, 2)), (500, 200), "the second gets what is left");

    let mut world = self::world(6, |config| {
        policy(config).max_idle_collateral = Amount::new(1_000);
        policy(config).idle_after = 60;
        policy(config).collateral = Amount::ZERO;
    });
    assert!(!refused(&mut world, 0, 1, 1));
    world.disconnect(1);
    world.pass(61);
    world.settle();
    assert_eq!(world.hub.idle_collateral(ETH), Amount::new(499));
    assert!(!refused(&mut world, 0, 2, 1), "a unit is left");
    assert_eq!(put(&world, 2), 1);
    world.disconnect(2);
    assert!(refused(&mut world, 0, 3, 2));
}

#[test]
fn what_a_stranger_does_not_need_comes_back() {
    let mut world = world(2, |config| {
        policy(config).idle_after = 60;
        policy(config).min_reclaim = Amount::new(1_000);
    });
    assert!(!refused(&mut world, 0, 1, 1));
    for _ in 0..3 {
        world.pass(61);
        world.settle();
    }
    let state = world.deposits.get(&(world.id(1), ETH)).unwrap();
    assert_eq!((state.1.b, world.available(1)), (Amount::new(499), 1));
    // And it is paid again.
    assert!(!refused(&mut world, 0, 1, 7));
}

#[test]
fn without_gas_the_hub_says_that_it_is_the_gas() {
    let mut world = world(2, |_| {});
    world.hub.set_solvent(false);
    let id = pay(&mut world, 0, 1, 1);
    assert_eq!(end(&world, 0, &id), (Status::Failed, Some(Code::HubUnfunded.into())));
    world.hub.set_solvent(true);
    assert!(!refused(&mut world, 0, 1, 1));
}
