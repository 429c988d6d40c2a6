//! Payments through the real machines of two wallets and a hub.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod support;

use farthing_protocol::message::Message;
use farthing_protocol::types::{ETH, Side};
use farthing_protocol::wallet::{Event, Payee, Status};
use farthing_protocol::{Amount, Code};
use support::World;

#[test]
fn a_payment_reaches_the_payee_and_can_be_spent_again() {
    let mut world = World::funded(2);
    let id = world.paid(0, 1, 700);
    let payment = world.clients[0].wallet.payment(&id).unwrap().clone();
    assert_eq!(payment.status, Status::Completed);
    assert!(payment.settled);
    assert!(payment.preimage.is_some());
    assert_eq!((world.available(0), world.available(1)), (9_300, 10_700));
    let received = world.clients[1].wallet.payments();
    assert_eq!(
        (received[0].amount.units(), received[0].status, received[0].memo.as_str()),
        (700, Status::Completed, "payment 2")
    );
    world.paid(1, 0, 10_700);
    assert_eq!((world.available(0), world.available(1)), (20_000, 0));
    assert_eq!(world.pay(1, 0, 1).unwrap_err().code(), Code::InsufficientFunds);
}

#[test]
fn a_thousand_payments_share_signatures_and_arrive() {
    let mut world = World::funded(2);
    for _ in 0..1000 {
        world.pay(0, 1, 3).unwrap();
    }
    world.settle();
    assert_eq!((world.available(0), world.available(1)), (7_000, 13_000));
    let nonce = world.book(0).out.highest;
    assert!(nonce < 60, "{nonce} signatures for 1000 payments");
    assert!(world.book(0).out.lane.locks.is_empty());
}

#[test]
fn a_payment_to_somebody_away_is_held_and_arrives_later() {
    let mut world = World::funded(2);
    world.disconnect(1);
    let id = world.paid(0, 1, 50);
    assert_eq!(world.clients[0].wallet.payment(&id).unwrap().status, Status::Held);
    assert_eq!(world.available(0), 9_950);
    world.restart_hub();
    world.connect(0);
    world.connect(1);
    world.settle();
    assert_eq!(world.clients[0].wallet.payment(&id).unwrap().status, Status::Completed);
    assert_eq!((world.available(0), world.available(1)), (9_950, 10_050));
}

#[test]
fn a_held_payment_comes_back_when_nobody_takes_it() {
    let mut world = World::funded(2);
    world.disconnect(1);
    let id = world.paid(0, 1, 50);
    world.pass(86_400);
    world.settle();
    let payment = world.clients[0].wallet.payment(&id).unwrap();
    assert_eq!((payment.status, payment.code.clone()), (Status::Failed, Some(Code::PaymentExpired.into())));
    assert_eq!(world.available(0), 10_000);
}

#[test]
fn a_held_payment_can_be_cancelled() {
    let mut world = World::funded(2);
    world.disconnect(1);
    let id = world.paid(0, 1, 50);
    world.clients[0].wallet.cancel(&id).unwrap();
    world.settle();
    assert_eq!(world.clients[0].wallet.payment(&id).unwrap().status, Status::Failed);
    assert_eq!(world.available(0), 10_000);
    assert_eq!(world.hub.held_count(), 0);
}

#[test]
fn a_transfer_to_the_hub_needs_no_lock() {
    let mut world = World::funded(2);
    let id = world.pay_as(0, Payee::Hub, 123).unwrap();
    world.settle();
    assert_eq!(world.clients[0].wallet.payment(&id).unwrap().status, Status::Completed);
    assert_eq!(world.available(0), 9_877);
}

#[test]
fn the_hub_puts_more_collateral_in_when_a_payment_needs_it() {
    let mut world = World::new(2);
    world.connect(0);
    world.connect(1);
    world.deposit(0, Side::A, ETH, 50_000);
    world.settle();
    let refused = world.paid(0, 1, 40_000);
    let payment = world.clients[0].wallet.payment(&refused).unwrap();
    assert_eq!(
        (payment.status, payment.code.clone()),
        (Status::Failed, Some(Code::PayeeUnfunded.into())),
        "a payee without a stake"
    );
    world.deposit(1, Side::A, ETH, 1);
    world.settle();
    let id = world.paid(0, 1, 40_000);
    world.pass(1);
    world.settle();
    assert_eq!(world.clients[0].wallet.payment(&id).unwrap().status, Status::Completed);
    assert_eq!(world.available(1), 40_001);
}

#[test]
fn everything_survives_restarts_of_everybody() {
    let mut world = World::funded(2);
    for round in 0..30 {
        for _ in 0..20 {
            world.pay(0, 1, 1).unwrap();
            world.pay(1, 0, 2).unwrap();
        }
        for _ in 0..round % 7 {
            world.step();
        }
        match round % 3 {
            0 => world.restart_hub(),
            1 => world.restart_client(0),
            _ => world.restart_client(1),
        }
        for client in 0..2 {
            world.connect(client);
        }
        world.settle();
        let total = world.available(0) + world.available(1);
        assert_eq!(total, 20_000, "round {round}");
    }
    assert!(world.available(0) > 10_000);
}

#[test]
fn withdrawals_and_closings_take_the_money_home() {
    let mut world = World::funded(2);
    world.paid(0, 1, 700);
    let owner = world.clients[1].key.address();
    let deadline = world.now + 600;
    world.clients[1]
        .wallet
        .withdraw(ETH, farthing_protocol::Amount::new(10_600), owner, Default::default(), deadline, true)
        .unwrap();
    world.settle();
    assert_eq!(world.available(1), 100);
    assert_eq!(world.clients[1].wallet.balance(ETH).withdrawn.units(), 10_600);
    world.clients[0].wallet.close(&[ETH], deadline, true).unwrap();
    assert_eq!(world.pay(0, 1, 1).unwrap_err().code(), Code::ChannelClosing);
    world.settle();
    assert!(
        world.clients[0]
            .events
            .iter()
            .any(|event| matches!(event, Event::Closing(signed) if signed.closing.assets[0].totals.a.units() == 9_300))
    );
    assert_eq!(world.pay(0, 1, 1).unwrap_err().code(), Code::ChannelClosed);
}

/// The contract reads the chain's clock.
#[test]
fn a_deadline_is_judged_by_the_chains_clock_where_ours_is_behind() {
    let mut world = World::funded(2);
    let (owner, deadline) = (world.clients[1].key.address(), world.now + 600);
    world.now -= 90_000;
    let amount = farthing_protocol::Amount::new(600);
    world.clients[1].wallet.withdraw(ETH, amount, owner, Default::default(), deadline, true).unwrap();
    world.settle();
    assert_eq!(world.clients[1].wallet.balance(ETH).withdrawn, amount);
}

/// Rule 4: what is signed is out. A refusal takes nothing back, and nothing is failed before the payee has said that a
/// later proof replaces the refused one.
#[test]
fn a_refused_payment_counts_until_another_proof_is_acknowledged() {
    let mut world = World::funded(2);
    let id = world.pay_as(0, Payee::Hub, 700).unwrap();
    // The update is signed and stored, and gets lost on its way.
    let now = world.now;
    let client = &mut world.clients[0];
    let commit = client.wallet.poll_commit(now).unwrap().unwrap();
    support::write(&mut client.store, &commit.writes);
    assert!(!client.wallet.committed(commit.durable()).unwrap().is_empty());
    let refused =
        Message::Refused { asset: ETH, nonce: 1, code: "chain-stale".into(), message: String::new(), last: None };
    client.wallet.handle(refused, now).unwrap();
    assert_eq!(client.wallet.payment(&id).unwrap().status, Status::Returning);
    assert_eq!(client.wallet.balance(ETH).available.units(), 9_300, "the hub could still show the refused proof");
    world.settle();
    assert_eq!(world.clients[0].wallet.payment(&id).unwrap().status, Status::Failed);
    assert_eq!(world.available(0), 10_000, "the hub acknowledged a later one");
}

/// A direct payment that was refused and has failed stays failed, whatever else is accepted later.
#[test]
fn a_failed_payment_does_not_complete_with_the_next_one() {
    let mut world = World::funded(2);
    // The hub comes back, and is connected before it has seen the chain.
    let refused = world.pay_as(0, Payee::Hub, 700).unwrap();
    let now = world.now;
    let client = &mut world.clients[0];
    let commit = client.wallet.poll_commit(now).unwrap().unwrap();
    support::write(&mut client.store, &commit.writes);
    let _ = client.wallet.committed(commit.durable()).unwrap();
    let message =
        Message::Refused { asset: ETH, nonce: 1, code: "chain-stale".into(), message: String::new(), last: None };
    client.wallet.handle(message, now).unwrap();
    world.settle();
    assert_eq!(world.clients[0].wallet.payment(&refused).unwrap().status, Status::Failed);
    world.pay_as(0, Payee::Hub, 50).unwrap();
    world.settle();
    assert_eq!(world.clients[0].wallet.payment(&refused).unwrap().status, Status::Failed);
    assert_eq!(world.available(0), 9_950);
}

/// A payee whose store is from before a payment is told so, though it signed nothing since.
#[test]
fn a_store_from_before_a_payment_is_noticed_by_its_payee() {
    let mut world = World::funded(2);
    let old = world.clients[1].store.clone();
    let id = world.pay_as(0, Payee::Hub, 5).unwrap();
    world.paid(0, 1, 300);
    assert_eq!(world.clients[0].wallet.payment(&id).unwrap().status, Status::Completed);
    world.clients[1].store = old;
    world.restart_client(1);
    world.connect(1);
    world.settle();
    assert!(world.clients[1].events.contains(&Event::Outdated));
    assert_eq!(world.pay(1, 0, 1).unwrap_err().code(), Code::StateOutdated);
}

/// A payer who missed that its payment waits is told when it connects again.
#[test]
fn a_payer_who_comes_back_is_told_what_waits() {
    let mut world = World::funded(2);
    world.disconnect(1);
    let id = world.pay(0, 1, 50).unwrap();
    // Signed and taken; the answers are lost with the connection.
    for _ in 0..2 {
        world.step();
        world.clients[0].inbox.clear();
    }
    world.disconnect(0);
    world.connect(0);
    world.settle();
    assert_eq!(world.clients[0].wallet.payment(&id).unwrap().status, Status::Held);
}

#[test]
fn a_closing_that_one_side_can_t_check_yet_says_who_is_behind() {
    for hub_is_behind in [true, false] {
        let mut world = World::funded(1);
        let id = world.id(0);
        let entry = world.deposits.get_mut(&(id, ETH)).unwrap();
        entry.0.a = entry.0.a.plus(Amount::new(7)).unwrap();
        let (fact, now) = (world.fact(0, ETH), world.now);
        if hub_is_behind {
            world.clients[0].wallet.chain(&fact, now);
        } else {
            world.hub.chain(Some(id), &fact, now);
        }
        let deadline = world.now + 1_000;
        world.clients[0].wallet.close(&[ETH], deadline, true).unwrap();
        world.settle();
        let told = world.clients[0].events.iter().find_map(|event| match event {
            Event::Declined { code, message, .. } => Some((code.clone(), message.clone())),
            _ => None,
        });
        let (code, message) = told.expect("it is declined");
        assert_eq!(code, Code::ChainStale);
        assert_eq!(message.contains("the hub has not seen"), hub_is_behind, "{message}");
    }
}

#[test]
fn while_queued_payments_are_held_none_is_signed_and_one_that_is_taken_back_never_is() {
    let mut world = World::funded(2);
    world.clients[0].wallet.hold(true);
    let [kept, taken] = [20, 30].map(|amount| world.pay(0, 1, amount).unwrap());
    world.settle();
    for id in [kept, taken] {
        assert!(world.clients[0].wallet.payment(&id).is_none(), "nothing is signed");
    }
    assert_eq!(world.available(0), 9_950);
    assert!(world.clients[0].wallet.take_back(&taken, Code::NotConnected));
    assert!(!world.clients[0].wallet.take_back(&taken, Code::NotConnected));
    world.settle();
    let told = |event: &Event| matches!(event, Event::Payment(payment) if payment.id == taken);
    let Some(Event::Payment(payment)) = world.clients[0].events.iter().rfind(|event| told(event)) else { panic!() };
    assert_eq!((payment.status, payment.code.clone()), (Status::Failed, Some(Code::NotConnected.into())));
    assert_eq!(world.available(0), 9_980);

    world.clients[0].wallet.hold(false);
    world.settle();
    assert_eq!(world.clients[0].wallet.payment(&kept).unwrap().status, Status::Completed);
    assert!(world.clients[0].wallet.payment(&taken).is_none());
    assert!(!world.clients[0].wallet.take_back(&kept, Code::NotConnected), "what is signed stays");
    assert_eq!((world.available(0), world.available(1)), (9_980, 10_020));
}
