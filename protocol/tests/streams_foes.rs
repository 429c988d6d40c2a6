//! Streams among people who mean no good: gas that a stranger makes somebody pay, room that is never given back, and
//! words that count no more.
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
use farthing_protocol::chain::{ChainCall, ChainFact};
use farthing_protocol::channel::{CallId, Dust};
use farthing_protocol::condition::{Condition, chain_evidence};
use farthing_protocol::envelope::{Letter, SharedKey};
use farthing_protocol::hub::{BacklogLimits, HubEffect};
use farthing_protocol::lane::Op;
use farthing_protocol::types::{ChannelId, ETH};
use farthing_protocol::wallet::{Event, PaymentId, StreamRequest, Wallet, Words, chain_word};
use farthing_protocol::{Amount, Code, Error};
use support::limited::Foe;
use support::{Store, World, entries};

const UNITS: u32 = 100;
const PRICE: u128 = 7;
const WEEK: u64 = 6 * 86_400;

/// A payer, a payee that takes streams, and a hub for which recording a preimage costs so much.
fn world(threshold: u128) -> World {
    let mut world = World::funded(2);
    let dust = Dust { threshold: Amount::new(threshold), cap: Amount::new(50_000) };
    world.hub_config.policy.dust.insert(ETH, dust);
    world.hub_config.backlog = BacklogLimits { block_gas: 30_000, ..BacklogLimits::default() };
    world.restart_hub();
    let now = world.now;
    for client in [0, 1] {
        world.tell(client, ETH);
        world.connect(client);
    }
    world.clients[1].wallet.take_streams(now);
    world.settle();
    world
}

fn stream(world: &mut World, words: Words, expiry: u64) -> Result<PaymentId, Error> {
    let to = world.clients[1].key.address();
    let info = world.hub.lookup(to)?;
    world.random += 1;
    let entropy = keccak256(world.random.to_be_bytes()).0;
    let mut id = [0; 16];
    id.copy_from_slice(&entropy[..16]);
    let (asset, unit_price, memo) = (ETH, Amount::new(PRICE), String::new());
    let request = StreamRequest { asset, unit_price, units: UNITS, words, memo, to, info, expiry, id, entropy };
    let now = world.now;
    let id = world.clients[0].wallet.stream(request, now)?;
    world.settle();
    Ok(id)
}

/// Places one under an id that the application chose.
fn named(world: &mut World, id: [u8; 16], words: Words, expiry: u64) -> Result<PaymentId, Code> {
    let to = world.clients[1].key.address();
    let info = world.hub.lookup(to).unwrap();
    let (asset, unit_price, memo, entropy) = (ETH, Amount::new(PRICE), String::new(), [4; 32]);
    let request = StreamRequest { asset, unit_price, units: UNITS, words, memo, to, info, expiry, id, entropy };
    let now = world.now;
    let placed = world.clients[0].wallet.stream(request, now).map_err(|error| error.code());
    world.settle();
    placed
}

fn placed(world: &mut World) -> PaymentId {
    let expiry = world.now + WEEK;
    stream(world, Words::Chain, expiry).unwrap()
}

/// The payee takes the words for so many units of its newest stream.
fn reveal(world: &mut World, id: &PaymentId, units: u32) -> Result<u32, Error> {
    let root = world.clients[0].wallet.words_secret(id).unwrap();
    let lock = world.clients[0].wallet.payment(id).unwrap().stream_key();
    let theirs = world.clients[1].wallet.payments().into_iter().find(|payment| payment.stream_key() == lock).unwrap();
    let now = world.now;
    world.clients[1].wallet.reveal(&theirs.id, &chain_evidence(units, chain_word(&root, UNITS, units)), now)
}

/// What the hub asks to be recorded, which nobody mines; all else goes on.
fn asked(world: &mut World) -> Vec<(ChannelId, CallId)> {
    let mut found = Vec::new();
    let now = world.now;
    for _ in 0..10 {
        while let Some(commit) = world.hub.poll_commit(now).unwrap() {
            support::write(&mut world.hub_store, &commit.writes);
            for effect in world.hub.committed(commit.durable()).unwrap() {
                match effect {
                    HubEffect::Send { channel, message } => {
                        let to = world.clients.iter_mut().find(|client| client.wallet.id() == channel).unwrap();
                        if to.online {
                            to.inbox.push_back(message);
                        }
                    }
                    HubEffect::Submit { id, channel, call: ChainCall::RecordEvidence { .. }, .. } => {
                        found.push((channel, id));
                    }
                    HubEffect::Submit { .. } => {}
                }
            }
        }
        world.step();
    }
    found
}

fn exits(world: &mut World, client: usize) {
    let (id, fact) = (world.id(client), ChainFact::ExitStarted { ends_at: world.now + 30 * 86_400 });
    world.hub.chain(Some(id), &fact, world.now);
}

#[test]
fn a_payee_cant_make_the_hub_record_every_unit_once_its_payer_has_left() {
    // The payer leaves, the payee shows one unit after the other: each record costs as much as 15 units.
    let mut world = world(100);
    let id = placed(&mut world);
    exits(&mut world, 0);
    let mut calls = Vec::new();
    for units in 1..=60 {
        reveal(&mut world, &id, units).unwrap();
        calls.extend(asked(&mut world));
        world.pass(1);
    }
    assert!(calls.len() <= 4, "{} records for 60 units, of which each has to bring 15", calls.len());
    assert!(!calls.is_empty(), "what is worth its gas is recorded");
    // What failed is asked for again, with all that is known by now.
    for (channel, call) in calls {
        world.hub.submit_failed(channel, &call, &ChainCall::RecordEvidence { items: Vec::new() });
    }
    world.pass(1);
    world.settle();
    let recorded = world.recorded.values().next().unwrap();
    assert!(matches!(recorded, ChainFact::Evidence { units: 60, .. }), "{recorded:?}");
}

#[test]
fn what_was_recorded_counts_when_more_is_to_be_recorded() {
    let mut world = world(100);
    let id = placed(&mut world);
    exits(&mut world, 0);
    let mut records = 0;
    for units in 1..=60 {
        reveal(&mut world, &id, units).unwrap();
        let before = world.recorded.clone();
        world.settle();
        world.pass(1);
        world.settle();
        records += usize::from(world.recorded != before);
    }
    assert!((1..=4).contains(&records), "{records}");
}

#[test]
fn what_can_be_recorded_no_more_takes_no_room() {
    // The payer goes for ever; what it owes is not worth its gas, and so its channel is never left.
    let mut world = world(600);
    let margin = world.hub_config.policy.safety_margin;
    let id = placed(&mut world);
    world.disconnect(0);
    reveal(&mut world, &id, 3).unwrap();
    world.settle();
    assert!(world.hub.pending_gas() > 0);
    assert!(world.hub.record_lead() > margin, "the hub records earlier, the more there is");
    world.pass(WEEK);
    world.settle();
    assert!(world.hub.pending_gas() > 0, "the last block in which it can be recorded");
    world.pass(1);
    world.settle();
    assert!(world.recorded.is_empty());
    assert_eq!((world.hub.pending_gas(), world.hub.record_lead()), (0, margin));
    world.restart_hub();
    world.pass(1);
    world.settle();
    assert_eq!((world.hub.pending_gas(), world.hub.record_lead()), (0, margin));
    // It comes back and pays, and nothing is counted twice.
    let store = world.clients[0].store.clone();
    world.start(0, store);
    world.connect(0);
    world.connect(1);
    world.settle();
    world.pass(1);
    world.settle();
    assert_eq!((world.hub.pending_gas(), world.hub.record_lead()), (0, margin));
    placed(&mut world);
    assert!(world.hub.pending_gas() > 0);
}

#[test]
fn a_word_is_not_taken_when_the_chain_can_record_it_no_more() {
    let mut world = world(0);
    let id = placed(&mut world);
    reveal(&mut world, &id, 3).unwrap();
    world.settle();
    // The hub is out of reach, and the time passes.
    world.disconnect(1);
    world.pass(WEEK);
    assert_eq!(reveal(&mut world, &id, 4), Ok(4), "in the last block");
    world.pass(1);
    let before = world.clients[1].wallet.payments();
    assert_eq!(reveal(&mut world, &id, 5).unwrap_err().code(), Code::PaymentExpired);
    assert_eq!(world.clients[1].wallet.payments(), before);
}

#[test]
fn a_tip_that_a_backup_or_the_hub_shows_is_not_granted_again() {
    let tip = chain_word(&[9; 32], UNITS, 0);
    let mut world = world(0);
    let expiry = world.now + WEEK;
    stream(&mut world, Words::Granted(tip), expiry).unwrap();
    // From a backup.
    let (snapshot, _) = world.clients[0].wallet.backup();
    let mut store = Store::new();
    support::write(&mut store, &[Wallet::from_backup(&world.clients[0].config, snapshot)]);
    let shown = world.shown(0);
    world.start(0, store);
    world.connect(0);
    world.settle();
    let again = stream(&mut world, Words::Granted(tip), expiry + 1).map_err(|error| error.code());
    assert_eq!(again, Err(Code::DuplicateSecret), "rule 11");
    // On an empty device.
    world.disconnect(0);
    world.take_over(0, Store::new(), shown);
    world.connect(0);
    world.settle();
    let again = stream(&mut world, Words::Granted(tip), expiry + 2).map_err(|error| error.code());
    assert_eq!(again, Err(Code::DuplicateSecret), "rule 11");
    assert!(!entries(&world.clients[0].store).is_empty());
}

#[test]
fn a_payee_that_was_away_hears_that_the_rest_was_asked_for() {
    let mut world = world(0);
    let id = placed(&mut world);
    world.disconnect(1);
    world.clients[0].wallet.cancel(&id).unwrap();
    world.settle();
    world.connect(1);
    world.settle();
    let there = world.clients[1].wallet.payments().remove(0).id;
    let asked =
        |world: &World| world.clients[1].events.iter().filter(|event| **event == Event::EndAsked { id: there }).count();
    assert_eq!(asked(&world), 1);
    // Once.
    world.disconnect(1);
    world.connect(1);
    world.settle();
    assert_eq!(asked(&world), 1);
}

#[test]
fn each_unit_is_told_on_in_whatever_order_it_is_shown() {
    let mut world = world(0);
    let id = placed(&mut world);
    for (units, paid) in [(2, 2), (5, 5), (3, 5), (5, 5), (UNITS, UNITS)] {
        reveal(&mut world, &id, units).unwrap();
        world.settle();
        let (ours, theirs) = (world.payment(0, &id), world.clients[1].wallet.payments().remove(0));
        for payment in [ours, &theirs] {
            assert_eq!(payment.stream.as_ref().unwrap().paid, paid);
        }
        if units < UNITS && units == paid {
            world.restart_hub();
            world.connect(0);
            world.connect(1);
            world.settle();
        }
    }
}

#[test]
fn an_id_whose_stream_the_hub_shows_makes_no_second_one_of_the_same_words() {
    for words in [Words::Chain, Words::Vouchers] {
        let mut world = world(0);
        let expiry = world.now + WEEK;
        named(&mut world, [5; 16], words, expiry).unwrap();
        // The application has the id, and the device nothing else.
        let shown = world.shown(0);
        world.disconnect(0);
        world.take_over(0, Store::new(), shown);
        world.connect(0);
        world.settle();
        assert_eq!(named(&mut world, [5; 16], words, expiry + 1), Err(Code::DuplicateSecret));
        assert!(named(&mut world, [6; 16], words, expiry + 1).is_ok());
    }
}

#[test]
fn a_chain_of_another_length_than_its_lock_is_given_back() {
    for (length, taken) in [(UNITS - 1, false), (UNITS + 1, false), (UNITS, true)] {
        let mut world = world(0);
        let to = world.clients[1].key.address();
        let info = world.hub.lookup(to).unwrap();
        // As a payer's own program may sign it.
        let condition = Condition::hash_chain(chain_word(&[9; 32], UNITS, 0), length);
        let key = SharedKey::of_payer(&support::key(77), &info.public_key).unwrap();
        let envelope = key.seal(&Letter { secret: [0; 32], memo: String::new() }, &condition.params, [1; 24]).unwrap();
        let (expiry, unit_price) = (world.now + WEEK, Amount::new(PRICE));
        let op = Op::Lock { slot: 0, condition, expiry, n: UNITS, unit_price, to: Some(to), envelope };
        Foe::new(0).update(&mut world, vec![op]);
        world.disconnect(0);
        // What the hub said of it was not heard.
        world.disconnect(1);
        world.connect(1);
        world.settle();
        let payee = &world.clients[1].wallet;
        assert_eq!(payee.payments().len(), usize::from(taken), "{length}");
        assert_eq!(payee.balance(ETH).locked_in.is_zero(), !taken, "{length}");
    }
}
