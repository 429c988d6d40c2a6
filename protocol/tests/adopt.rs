//! A wallet that takes over what the hub holds: after the loss of everything but the key, and in place of an old store.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod support;

use farthing_protocol::channel::LanePage;
use farthing_protocol::message::Message;
use farthing_protocol::proof::SignedProof;
use farthing_protocol::types::ETH;
use farthing_protocol::wallet::{Direction, Event, Payment, Shown, Status};
use farthing_protocol::{Amount, Code};
use support::{Store, World, key, write};

/// The device is lost, and whatever it had; the hub shows what it holds.
fn recover(world: &mut World, client: usize, store: Store) {
    let shown = world.shown(client);
    world.take_over(client, store, shown);
}

fn payment(world: &World, client: usize, amount: u128) -> Payment {
    let payments = world.clients[client].wallet.payments();
    payments.into_iter().find(|payment| payment.amount == Amount::new(amount)).expect("it is listed")
}

#[test]
fn the_key_alone_brings_everything_back() {
    let mut world = World::funded(3);
    world.pay(0, 1, 700).unwrap();
    world.paid(1, 0, 50);
    let before = world.clients[0].wallet.balance(ETH);
    recover(&mut world, 0, Store::new());
    world.connect(0);
    world.settle();
    assert_eq!(world.clients[0].wallet.balance(ETH), before);
    world.pay(0, 1, 100).unwrap();
    world.paid(1, 0, 10_000);
    assert_eq!((world.available(0), world.available(1)), (10_000 - 750 + 10_000, 10_000 + 750 - 10_000));
    let book = world.book(0).clone();
    assert_eq!(book.out.worst(), book.out.lane.transferred, "what came before is acknowledged");
    // And once more, from what it is now.
    world.restart_client(0);
    world.connect(0);
    world.paid(0, 2, 5);
    assert_eq!(world.available(2), 10_005);
}

#[test]
fn payments_on_their_way_go_on_in_both_directions() {
    let mut world = World::funded(3);
    // To one who is away, and from one whose offer waits for us.
    world.disconnect(2);
    world.paid(0, 2, 300);
    world.disconnect(0);
    world.paid(1, 0, 40);
    // The hub has sent the offer, and the device that got it is lost before it said so.
    world.clients[0].online = true;
    let id = world.id(0);
    world.hub.connected(id, world.now).unwrap();
    world.clients[0].wallet.connected(world.now);
    world.settle();
    recover(&mut world, 0, Store::new());
    assert_eq!(payment(&world, 0, 300).status, Status::Pending);
    assert_eq!(payment(&world, 0, 300).to, None, "nothing that we signed says for whom it is");
    world.connect(0);
    world.settle();
    world.connect(2);
    world.settle();
    assert_eq!((world.available(0), world.available(1), world.available(2)), (9_740, 9_960, 10_300));
    let sent = payment(&world, 0, 300);
    assert_eq!((sent.status, sent.settled, sent.direction), (Status::Completed, true, Direction::Sent));
    assert!(sent.preimage.is_some(), "the payee's secret proves it");
}

/// A payment whose secret the lost device had shown, or not: the hub has not redeemed it.
#[test]
fn a_payment_to_us_that_is_not_redeemed_is_taken_from_its_envelope_again() {
    let mut world = World::funded(3);
    world.pay(1, 0, 40).unwrap();
    // Until the hub has signed the lock and we have accepted it, but not further: our answers are lost.
    world.until_locked_in(0, true);
    let accepted = world.book(0).inc.accepted.unwrap();
    // The hub learns that it was accepted, and nothing else.
    world
        .hub
        .handle(
            world.id(0),
            Message::Accepted { asset: ETH, nonce: accepted.proof.nonce, acknowledgement: None },
            world.now,
        )
        .unwrap();
    world.clients[0].to_hub.clear();
    world.disconnect(0);
    recover(&mut world, 0, Store::new());
    let taken = payment(&world, 0, 40);
    assert_eq!((taken.direction, taken.memo.as_str()), (Direction::Received, "payment 2"));
    assert!(taken.preimage.is_some());
    world.connect(0);
    world.settle();
    assert_eq!((world.available(0), world.available(1)), (10_040, 9_960));
    assert_eq!(payment(&world, 0, 40).status, Status::Completed);
}

#[test]
fn an_old_store_is_brought_up_to_date_from_any_moment() {
    let mut world = World::funded(3);
    let mut stores = vec![world.clients[0].store.clone()];
    for (from, to, amount) in [(0, 1, 700), (1, 0, 50), (0, 2, 30), (2, 0, 9), (0, 1, 1)] {
        world.pay(from, to, amount).unwrap();
        while world.step() {
            if world.clients[0].store != *stores.last().unwrap() {
                stores.push(world.clients[0].store.clone());
            }
        }
    }
    let (balance, newest) = (world.clients[0].wallet.balance(ETH), world.clients[0].store.clone());
    assert!(stores.len() > 10);
    let mut noticed = 0;
    for old in stores {
        let mut again = World::funded(3);
        core::mem::swap(&mut world, &mut again);
        // The same world anew, since a hub that has met one of them has gone on.
        for (from, to, amount) in [(0, 1, 700), (1, 0, 50), (0, 2, 30), (2, 0, 9), (0, 1, 1)] {
            world.paid(from, to, amount);
        }
        assert_eq!(world.clients[0].store, newest, "the same, as all is deterministic");
        world.start(0, old.clone());
        world.connect(0);
        world.settle();
        let outdated = world.clients[0].events.contains(&Event::Outdated);
        if outdated {
            noticed += 1;
            assert_eq!(world.pay(0, 1, 1).unwrap_err().code(), Code::StateOutdated);
            let store = world.clients[0].store.clone();
            recover(&mut world, 0, store);
            world.connect(0);
            world.settle();
        }
        assert_eq!(world.clients[0].wallet.balance(ETH), balance);
        world.pay(0, 1, 5).unwrap();
        world.paid(2, 0, 6);
        assert_eq!(world.available(0), balance.available.units() + 1);
        world = again;
    }
    assert!(noticed > 5);
}

#[test]
fn a_store_that_is_not_old_is_left_as_it_is() {
    let mut world = World::funded(3);
    world.paid(0, 1, 700);
    let store = world.clients[0].store.clone();
    assert_eq!(world.adopt(0, &store, world.shown(0)).unwrap(), None);
    // Nothing at all has happened in this one.
    assert_eq!(world.adopt(2, &world.clients[2].store, world.shown(2)).unwrap(), None);
}

#[test]
fn what_is_sent_and_what_is_received_with_one_nonce_and_slot_are_two_payments() {
    let mut world = World::funded(3);
    world.disconnect(2);
    world.paid(0, 2, 300);
    world.pay(1, 0, 40).unwrap();
    world.until_locked_in(0, true);
    let accepted = world.book(0).inc.accepted.unwrap();
    let heard = Message::Accepted { asset: ETH, nonce: accepted.proof.nonce, acknowledgement: None };
    world.hub.handle(world.id(0), heard, world.now).unwrap();
    world.disconnect(0);
    recover(&mut world, 0, Store::new());
    let locks: Vec<_> = [300, 40].map(|amount| payment(&world, 0, amount).lock.unwrap()).into();
    assert_eq!((locks[0].placed, locks[0].slot), (locks[1].placed, locks[1].slot), "the case that is meant");
}

#[test]
fn a_channel_without_money_has_nothing_to_lose() {
    let mut world = World::new(1);
    world.connect(0);
    world.settle();
    assert_eq!(world.adopt(0, &Store::new(), world.shown(0)).unwrap(), None);
}

#[test]
fn a_payment_whose_end_is_not_known_must_not_be_made_again() {
    let mut world = World::funded(3);
    world.disconnect(2);
    world.paid(0, 2, 300);
    let old = world.clients[0].store.clone();
    world.connect(2);
    world.settle();
    assert_eq!(world.available(2), 10_300);
    recover(&mut world, 0, old);
    let unknown = payment(&world, 0, 300);
    assert_eq!((unknown.status, unknown.code.clone()), (Status::Returning, Some(Code::StateOutdated.into())));
}

#[test]
fn lies_are_refused_and_change_nothing() {
    let mut world = World::funded(3);
    world.disconnect(2);
    world.paid(1, 0, 40);
    let early = world.shown(0);
    world.paid(1, 0, 60);
    // Our newest proof says that we hold the hub's newest one.
    world.pay(0, 2, 300).unwrap();
    world.paid(0, 2, 200);
    // And the hub's next one, that it holds ours.
    world.paid(1, 0, 5);
    let good = world.shown(0);
    let stranger = key(99);
    let refused = |name: &str, code: Code, lie: &dyn Fn(&mut Shown)| {
        let mut shown = good.clone();
        lie(&mut shown);
        let error = world.adopt(0, &Store::new(), shown).expect_err(name);
        assert_eq!(error.code(), code, "{name}: {error}");
    };
    let (ours, theirs) = (0, 1);
    refused("its own older proof", Code::StateOutdated, &|shown| shown[theirs] = early[theirs].clone());
    refused("its own lane not at all", Code::StateOutdated, &|shown| shown[theirs].1 = vec![LanePage::default()]);
    refused("our lane not at all", Code::StateOutdated, &|shown| shown[ours].1 = vec![LanePage::default()]);
    refused("no acknowledgement", Code::Unacknowledged, &|shown| shown[ours].1[0].acknowledgement = None);
    refused("another's acknowledgement", Code::BadSignature, &|shown| {
        let digest =
            good[ours].1[0].signed.unwrap().proof.acknowledgement_digest(&support::domain(), world.id(0), good[ours].0);
        shown[ours].1[0].acknowledgement = Some(stranger.sign(digest));
    });
    refused("a lock left out", Code::ProofMismatch, &|shown| drop(shown[ours].1[0].locks.pop()));
    refused("a lock twice", Code::ProofMismatch, &|shown| {
        let lock = shown[ours].1[0].locks[0].clone();
        shown[ours].1[0].locks.push(lock);
    });
    refused("a later expiry", Code::ProofMismatch, &|shown| shown[ours].1[0].locks[0].expiry += 1);
    refused("another price", Code::ProofMismatch, &|shown| shown[ours].1[0].locks[0].unit_price = Amount::new(1));
    refused("a lock from the future", Code::ProofMismatch, &|shown| shown[ours].1[0].locks[0].placed = 1_000);
    refused("other totals", Code::BadSignature, &|shown| {
        shown[theirs].1[0].signed.as_mut().unwrap().proof.transferred = Amount::new(1);
    });
    refused("signed by somebody else", Code::BadSignature, &|shown| {
        let proof = shown[ours].1[0].signed.unwrap().proof;
        shown[ours].1[0].signed =
            Some(SignedProof::sign(proof, &support::domain(), world.id(0), good[ours].0, &stranger));
    });
    refused("another channel's", Code::BadSignature, &|shown| *shown = world.shown(1));
    refused("a proof that changes between pages", Code::ProofMismatch, &|shown| {
        let mut page = shown[ours].1[0].clone();
        page.signed.as_mut().unwrap().proof.seen = 0;
        page.locks.clear();
        shown[ours].1.push(page);
    });
    // A store knows more than what is shown here.
    let error = world.adopt(0, &world.clients[0].store, early).expect_err("older than the store");
    assert_eq!(error.code(), Code::StateOutdated);
    assert!(world.adopt(0, &Store::new(), good.clone()).unwrap().is_some());
}

#[test]
fn what_a_store_knows_can_not_be_hidden_from_it() {
    let mut world = World::funded(3);
    world.paid(1, 0, 40);
    let (payee, payer) = (world.shown(0), world.shown(1));
    let old = [world.clients[0].store.clone(), world.clients[1].store.clone()];
    world.paid(1, 0, 60);
    let newest = |client: usize| world.clients[client].store.clone();
    let error = world.adopt(1, &newest(1), payer.clone()).unwrap_err();
    assert_eq!(error.code(), Code::StateOutdated);
    // A hub that has not heard that its newest proof was accepted shows an older one: ours stays.
    assert_eq!(world.adopt(0, &newest(0), payee.clone()).unwrap(), None);
    // Nor what it was shown before.
    for (client, shown) in [(0, payee), (1, payer)] {
        world.start(client, old[client].clone());
        world.connect(client);
        world.settle();
        assert!(world.clients[client].events.contains(&Event::Outdated));
        let error = world.adopt(client, &world.clients[client].store, shown).unwrap_err();
        assert_eq!(error.code(), Code::StateOutdated);
    }
}

#[test]
fn nothing_is_signed_before_the_hub_has_said_what_it_holds() {
    let mut world = World::funded(3);
    world.paid(0, 1, 10);
    recover(&mut world, 0, Store::new());
    let highest = |world: &World| world.book(0).out.highest;
    let before = highest(&world);
    world.paid(0, 1, 1);
    assert_eq!(highest(&world), before);
    world.connect(0);
    world.settle();
    assert!(highest(&world) > before);
    assert_eq!(world.available(1), 10_011);
}

#[test]
fn what_a_lost_device_signed_last_is_worth_nothing_after_it() {
    let mut world = World::funded(3);
    world.paid(0, 1, 10);
    // Signed, and never answered: the hub has it, and keeps it back.
    world.disconnect(0);
    world.paid(0, 1, 4_000);
    let out = &world.book(0).out;
    let lost = out.highest;
    assert_eq!(lost, out.accepted_nonce() + 1, "it was signed");
    recover(&mut world, 0, Store::new());
    world.connect(0);
    world.settle();
    let out = &world.book(0).out;
    assert!(out.accepted_nonce() > lost, "a proof above all that it may have signed");
    assert_eq!(out.acknowledged.unwrap().0, out.accepted.unwrap(), "and it replaces all of them");
}

#[test]
fn a_lane_of_ours_that_is_hidden_whole_starts_above_all_that_was_signed() {
    let mut world = World::funded(3);
    world.paid(1, 0, 60);
    world.disconnect(0);
    let mut hidden = world.shown(0);
    assert!(hidden[0].1[0].signed.is_none(), "nothing was paid yet");
    hidden[0].1 = vec![LanePage::default()];
    let writes = world.adopt(0, &Store::new(), hidden).unwrap().unwrap();
    let mut store = Store::new();
    write(&mut store, &writes);
    world.start(0, store);
    world.connect(0);
    world.settle();
    let out = &world.book(0).out;
    assert!(out.accepted_nonce() >= 128);
    assert_eq!(out.acknowledged.unwrap().0, out.accepted.unwrap());
}

#[test]
fn another_device_that_signed_the_same_nonce_is_noticed() {
    let mut world = World::funded(3);
    world.paid(0, 1, 10);
    let both = world.clients[0].store.clone();
    // The first device signs while it is not connected; the second one pays somebody else with the same nonce.
    world.disconnect(0);
    world.clients[0].wallet.connected(world.now);
    let lanes = Vec::new();
    world.clients[0].wallet.handle(Message::Sync { lanes }, world.now).unwrap();
    world.paid(0, 1, 20);
    let first = world.clients[0].store.clone();
    world.start(0, both);
    world.connect(0);
    world.settle();
    world.pay(0, 2, 30).unwrap();
    let before = world.hub.channel(&world.id(0)).unwrap().state().assets.get(&ETH).unwrap().inc.accepted;
    while world.hub.channel(&world.id(0)).unwrap().state().assets.get(&ETH).unwrap().inc.accepted == before {
        assert!(world.step());
    }
    world.start(0, first.clone());
    let nonce = |world: &World| world.book(0).out.highest;
    let hubs = world.hub.channel(&world.id(0)).unwrap().state().assets.get(&ETH).unwrap().inc.accepted_nonce();
    assert_eq!(nonce(&world), hubs, "the same nonce, and not the same proof");
    world.connect(0);
    world.settle();
    assert!(world.clients[0].events.contains(&Event::Outdated));
    let store = world.clients[0].store.clone();
    recover(&mut world, 0, store);
    world.connect(0);
    world.settle();
    world.paid(0, 1, 5);
    assert_eq!((world.available(0), world.available(1), world.available(2)), (10_000 - 45, 10_015, 10_030));
}
