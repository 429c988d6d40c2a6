//! Acknowledgements and requests that got lost, or came while the chain was not seen: asked for again, and not for ever.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

use alloy_primitives::keccak256;
use farthing_protocol::Amount;
use farthing_protocol::chain::Head;
use farthing_protocol::condition::chain_evidence;
use farthing_protocol::error::Code;
use farthing_protocol::message::Message;
use farthing_protocol::reason::Reason;
use farthing_protocol::types::ETH;
use farthing_protocol::wallet::{
    Direction, Event, Payment, PaymentId, Status, StreamRequest, WalletEffect, Words, chain_word,
};
use support::World;

/// Longer than a view of the chain may be old.
const LONG: u64 = 4_000;

fn world() -> World {
    let mut world = World::funded(2);
    let now = world.now;
    world.clients[1].wallet.take_streams(now);
    world.settle();
    world
}

fn stream(world: &mut World, units: u32) -> PaymentId {
    let to = world.clients[1].key.address();
    let info = world.hub.lookup(to).unwrap();
    world.random += 1;
    let entropy = keccak256(world.random.to_be_bytes()).0;
    let mut id = [0; 16];
    id.copy_from_slice(&entropy[..16]);
    let (asset, unit_price, expiry) = (ETH, Amount::new(1), world.now + 6 * 86_400);
    let (words, memo) = (Words::Chain, "an article".into());
    let request = StreamRequest { asset, unit_price, units, words, memo, to, info, expiry, id, entropy };
    let now = world.now;
    world.clients[0].wallet.stream(request, now).unwrap()
}

/// The stream that its payee has and that has not ended.
fn taken(world: &World) -> Payment {
    let mut payments = world.clients[1].wallet.payments();
    payments.retain(|payment| payment.direction == Direction::Received && payment.status == Status::Pending);
    assert_eq!(payments.len(), 1);
    payments.remove(0)
}

fn give_up(world: &mut World) {
    let (id, now) = (taken(world).id, world.now);
    world.clients[1].wallet.end_stream(&id, now).unwrap();
}

fn next_head(world: &mut World) -> Head {
    world.block += 1;
    let (number, timestamp) = (world.block, world.now);
    Head { number, timestamp, final_number: number, final_timestamp: timestamp }
}

/// A block that the hub alone sees.
fn hub_sees(world: &mut World) {
    let head = next_head(world);
    world.hub.head(head, world.now);
}

/// A block that one client alone sees.
fn client_sees(world: &mut World, client: usize) {
    let head = next_head(world);
    let now = world.now;
    world.clients[client].wallet.head(head, now);
}

fn highest(world: &World, client: usize) -> u64 {
    world.hub.channel(&world.id(client)).unwrap().state().assets.get(&ETH).unwrap().out.highest
}

/// What the wallet says goes on its way; nothing is delivered.
fn say(world: &mut World, client: usize) {
    let now = world.now;
    let client = &mut world.clients[client];
    while let Some(commit) = client.wallet.poll_commit(now).unwrap() {
        support::write(&mut client.store, &commit.writes);
        for effect in client.wallet.committed(commit.durable()).unwrap() {
            if let WalletEffect::Send(message) = effect {
                client.to_hub.push_back(message);
            }
        }
    }
}

/// The peer's acknowledgements are left out of what it says.
fn bare(message: Message) -> Message {
    match message {
        Message::Accepted { asset, nonce, .. } => Message::Accepted { asset, nonce, acknowledgement: None },
        Message::Sync { mut lanes } => {
            for lane in &mut lanes {
                lane.acknowledgement = None;
            }
            Message::Sync { lanes }
        }
        other => other,
    }
}

/// A payee whose node is away refuses what asks for its acknowledgement. That must not use the lane up: it is asked
/// when it has seen the chain, however many blocks later.
#[test]
fn a_payee_that_does_not_see_the_chain_for_long_blocks_no_lane() {
    for pays in [false, true] {
        let mut world = world();
        let id = stream(&mut world, 100);
        world.settle();
        let stale = world.now + LONG;
        give_up(&mut world);
        while taken_count(&world) > 0 {
            world.clients[1].to_hub.clear();
            assert!(world.step(), "the payee's side ends");
        }
        // The hub has not seen the chain when it hears of the release, and has soon after; the payee has not, for long.
        world.restart_hub_blind();
        world.now = stale;
        for client in [0, 1] {
            world.connect(client);
        }
        world.settle();
        for _ in 0..200 {
            world.now += 12;
            hub_sees(&mut world);
            client_sees(&mut world, 0);
            world.settle();
        }
        if pays {
            // It is taken at once, and brings what was owed.
            world.pass(12);
            let paid = world.paid(0, 1, 5);
            assert_eq!(world.payment(0, &paid).status, Status::Completed);
        } else {
            world.pass(3_600);
        }
        world.settle();
        assert_eq!(world.payment(0, &id).status, Status::Failed);
    }
}

fn taken_count(world: &World) -> usize {
    let pending = |payment: &&Payment| payment.direction == Direction::Received && payment.status == Status::Pending;
    world.clients[1].wallet.payments().iter().filter(pending).count()
}

/// A payee that never acknowledges, and connects again and again, makes its hub sign so often and no more.
#[test]
fn who_never_acknowledges_does_not_make_a_hub_remember_without_end() {
    let mut world = world();
    stream(&mut world, 100);
    world.settle();
    give_up(&mut world);
    let rounds = |world: &mut World, count: usize| {
        for _ in 0..count {
            world.disconnect(1);
            world.connect(1);
            for _ in 0..4 {
                while let Some(commit) = world.hub.poll_commit(world.now).unwrap() {
                    support::write(&mut world.hub_store, &commit.writes);
                    for effect in world.hub.committed(commit.durable()).unwrap() {
                        if let farthing_protocol::hub::HubEffect::Send { channel, message } = effect
                            && channel == world.id(1)
                        {
                            let now = world.now;
                            world.clients[1].wallet.handle(message, now).unwrap();
                        }
                    }
                }
                say(world, 1);
                while let Some(message) = world.clients[1].to_hub.pop_front() {
                    let (id, now) = (world.id(1), world.now);
                    world.hub.handle(id, bare(message), now).unwrap();
                }
            }
        }
    };
    rounds(&mut world, 2_100);
    let signed = highest(&world, 1);
    rounds(&mut world, 100);
    assert_eq!(highest(&world, 1), signed, "what it signs and keeps has a bound");
}

/// A connection lasts for days, and the hub's node is away now and then: whatever is owed is asked for each time.
#[test]
fn what_was_given_counts_no_more() {
    let mut world = world();
    for round in 0..20 {
        let id = stream(&mut world, 10);
        world.settle();
        world.now += LONG;
        client_sees(&mut world, 1);
        give_up(&mut world);
        world.settle();
        assert!(!world.payment(0, &id).is_final(), "the hub does not see the chain");
        for _ in 0..3 {
            world.pass(12);
            world.settle();
        }
        assert_eq!(world.payment(0, &id).status, Status::Failed, "round {round}");
    }
}

/// A payer that does not see the chain for long goes on redeeming, and no acknowledgement counts meanwhile. When it sees
/// the chain again, it may pay.
#[test]
fn a_payer_that_has_too_much_to_remember_asks_for_an_acknowledgement() {
    let mut world = world();
    let id = stream(&mut world, 3_000);
    world.settle();
    world.now += LONG;
    hub_sees(&mut world);
    client_sees(&mut world, 1);
    world.settle();
    let secret = world.clients[0].wallet.words_secret(&id).unwrap();
    for units in 1..1_100 {
        let (there, now) = (taken(&world).id, world.now);
        let evidence = chain_evidence(units, chain_word(&secret, 3_000, units));
        world.clients[1].wallet.reveal(&there, &evidence, now).unwrap();
        world.settle();
    }
    assert_eq!(world.payment(0, &id).stream.as_ref().unwrap().paid, 1_099);
    world.pass(12);
    world.settle();
    assert_eq!(world.pay(0, 1, 5).map_err(|error| error.code()).err(), None);
}

/// Payments of strangers to a payee that does not see the chain come back, and use up nothing that it needs later.
#[test]
fn payments_to_a_payee_that_does_not_see_the_chain_block_no_lane() {
    let mut world = world();
    world.now += LONG;
    hub_sees(&mut world);
    client_sees(&mut world, 0);
    world.settle();
    for _ in 0..100 {
        world.now += 12;
        hub_sees(&mut world);
        client_sees(&mut world, 0);
        let _ = world.pay(0, 1, 5);
        world.settle();
    }
    world.pass(12);
    world.settle();
    world.pass(3 * 3_600);
    world.settle();
    let paid = world.paid(0, 1, 5);
    assert_eq!(world.payment(0, &paid).status, Status::Completed);
}

/// A payer asks for a stream back; it and the hub start again before the payee is there.
#[test]
#[ignore = "what was asked back is not stored"]
fn what_was_asked_back_is_asked_after_everybody_has_started_again() {
    let mut world = world();
    let id = stream(&mut world, 100);
    world.settle();
    world.disconnect(1);
    world.clients[0].wallet.cancel(&id).unwrap();
    world.settle();
    world.restart_hub();
    world.restart_client(0);
    for client in [0, 1] {
        world.connect(client);
    }
    world.settle();
    assert!(world.clients[1].events.iter().any(|event| matches!(event, Event::EndAsked { .. })));
}

/// A payee that is there and silent, as one that reads the chain first, is asked once and not with every block.
#[test]
fn who_is_silent_is_asked_once() {
    let mut world = world();
    let id = stream(&mut world, 10);
    world.settle();
    world.now += LONG;
    client_sees(&mut world, 1);
    give_up(&mut world);
    world.settle();
    assert!(!world.payment(0, &id).is_final());
    let before = highest(&world, 1);
    for _ in 0..20 {
        world.now += 12;
        hub_sees(&mut world);
        while let Some(commit) = world.hub.poll_commit(world.now).unwrap() {
            support::write(&mut world.hub_store, &commit.writes);
            world.hub.committed(commit.durable()).unwrap();
        }
    }
    assert_eq!(highest(&world, 1), before + 2);
}

/// A payer asks for a stream back before the hub has signed it on.
#[test]
fn what_is_asked_back_before_it_is_forwarded_is_asked_of_the_payee() {
    let mut world = world();
    let id = stream(&mut world, 100);
    say(&mut world, 0);
    world.clients[0].wallet.cancel(&id).unwrap();
    // The hub hears both before its next commit.
    world.settle();
    let asked = world.clients[1].events.iter().any(|event| matches!(event, Event::EndAsked { .. }));
    assert!(asked || world.payment(0, &id).is_final(), "nobody else can give it back");
}

/// What is not known of after a restore has a nonce below the leap.
#[test]
fn no_proof_that_is_signed_and_unknown_has_a_nonce_above_the_leap() {
    let mut world = World::funded(2);
    let id = stream(&mut world, 100);
    world.settle();
    // The payee declines; the hub says so, and acknowledges nothing.
    world.clients[1].wallet.decline_streams();
    for _ in 0..50 {
        hub_talks(&mut world, None);
    }
    assert!(!world.payment(0, &id).is_final());
    let out = |world: &World| world.book(0).out.clone();
    let accepted = out(&world).accepted_nonce();
    // It refuses whatever it is asked; in the end it says nothing.
    for round in 0..100 {
        world.disconnect(0);
        world.connect(0);
        for _ in 0..3 {
            hub_talks(&mut world, Some(round < 63));
        }
    }
    assert_eq!(out(&world).accepted_nonce(), accepted);
    let above = out(&world).highest - accepted;
    // See LEAP in channel/ledger/adopt.rs.
    assert!((64..256).contains(&above), "{above}");
}

/// One exchange, in which the hub leaves its acknowledgements out; with `refuses`, it takes no update of client 0: it
/// refuses each, or does not answer.
fn hub_talks(world: &mut World, refuses: Option<bool>) {
    while let Some(commit) = world.hub.poll_commit(world.now).unwrap() {
        support::write(&mut world.hub_store, &commit.writes);
        for effect in world.hub.committed(commit.durable()).unwrap() {
            if let farthing_protocol::hub::HubEffect::Send { channel, message } = effect {
                let (index, now) = (usize::from(channel != world.id(0)), world.now);
                world.clients[index].wallet.handle(bare(message), now).unwrap();
            }
        }
    }
    for client in [0, 1] {
        say(world, client);
        while let Some(message) = world.clients[client].to_hub.pop_front() {
            let (id, now) = (world.id(client), world.now);
            match (&message, refuses) {
                (Message::Update { asset, update }, Some(answers)) if client == 0 => {
                    let (asset, nonce, code) = (*asset, update.proof.nonce, Reason::from(Code::ChainStale));
                    if answers {
                        let refused = Message::Refused { asset, nonce, code, message: String::new(), last: None };
                        world.clients[0].wallet.handle(refused, now).unwrap();
                    }
                }
                _ => world.hub.handle(id, message, now).unwrap(),
            }
        }
    }
}
