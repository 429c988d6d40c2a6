//! The exit kit says all that an exit needs, and nothing that it must not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

use alloy_primitives::{B256, hex};
use farthing_protocol::channel::Channel;
use farthing_protocol::types::{ETH, Side};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use support::World;

fn kit(channel: &Channel) -> Value {
    serde_json::from_str(&channel.exit_kit()).unwrap()
}

/// Roots of all trees of a lane, each with the slots of its locks.
fn trees(kit: &Value, payer: u64) -> BTreeMap<String, BTreeSet<u64>> {
    let lanes = kit["assets"][0]["lanes"].as_array().unwrap();
    let lane = lanes.iter().find(|lane| lane["payer"] == payer).unwrap();
    let mut slots = BTreeSet::new();
    let mut found = BTreeMap::new();
    for tree in lane["trees"].as_array().unwrap() {
        for slot in tree["remove"].as_array().unwrap() {
            assert!(slots.remove(&slot.as_u64().unwrap()));
        }
        slots.extend(tree["put"].as_array().unwrap().iter().map(|lock| lock["slot"].as_u64().unwrap()));
        found.insert(tree["root"].as_str().unwrap().to_owned(), slots.clone());
    }
    found
}

fn calls(kit: &Value) -> Vec<&str> {
    kit["transactions"].as_array().unwrap().iter().map(|entry| entry["call"].as_str().unwrap()).collect()
}

/// Alice and Bob, funded; Bob is away.
fn world() -> World {
    let mut world = World::new(3);
    for client in 0..3 {
        world.connect(client);
        world.deposit(client, Side::A, ETH, 100_000);
    }
    world.mine();
    world.settle();
    world
}

#[test]
fn a_channel_without_money_has_nothing_to_leave_with() {
    let world = World::new(1);
    let kit = kit(world.clients[0].wallet.channel());
    assert_eq!(kit["format"], "farthing-exit-kit");
    assert_eq!(kit["assets"].as_array().unwrap().len(), 0);
    assert_eq!(calls(&kit), ["startExit", "submitProofs"]);
}

#[test]
fn every_proof_that_the_payee_may_show_has_its_locks() {
    let mut world = world();
    world.disconnect(1);
    for amount in [10, 20, 30] {
        world.paid(0, 1, amount);
    }
    // Answers get lost: these are signed and not accepted, as far as Alice knows.
    world.disconnect(0);
    world.paid(0, 2, 40);
    world.connect(0);
    world.settle();
    world.connect(1);
    world.settle();
    world.disconnect(1);
    world.paid(0, 1, 50);

    let channel = world.clients[0].wallet.channel();
    let out = &channel.state().assets.get(&ETH).unwrap().out;
    let known = trees(&kit(channel), 0);
    let mut shown = 0;
    for nonce in 0..=out.highest {
        let Some(mut lane) = out.lane_at(nonce) else { continue };
        if !lane.locks.is_empty() {
            let slots: BTreeSet<u64> = lane.locks.keys().map(|slot| u64::from(*slot)).collect();
            assert_eq!(known.get(&lane.root().to_string()), Some(&slots), "proof {nonce}");
            shown += 1;
        }
    }
    assert!(shown > 5, "{shown} proofs with locks");
}

#[test]
fn calldata_is_that_of_the_channel_and_evidence_comes_along() {
    let mut world = world();
    world.pay(1, 0, 70).unwrap();
    // Up to Alice's evidence: the hub does not hear of it any more.
    for _ in 0..10_000 {
        if !world.clients[0].wallet.channel().state().evidence.is_empty() {
            world.disconnect(0);
            break;
        }
        world.step();
    }
    let channel = world.clients[0].wallet.channel();
    let kit = kit(channel);
    assert_eq!(calls(&kit), ["startExit", "recordEvidence", "submitProofs", "settle"]);
    let data = channel.start_exit().calldata(|_| channel.id());
    assert_eq!(kit["transactions"][0]["data"], hex::encode_prefixed(data));
    assert_eq!(trees(&kit, 1).len(), 1);
    assert_eq!(kit["us"], 0);
    assert_eq!(kit["owner"], hex::encode_prefixed(channel.def().a.owner));
    let evidence = kit["transactions"][1]["items"][0]["evidence"].as_str().unwrap();
    assert_eq!(hex::decode(evidence).unwrap().len(), 32);
}

#[test]
fn no_key_and_no_envelope_is_in_it() {
    let mut world = world();
    world.disconnect(1);
    world.paid(0, 1, 10);
    let channel = world.clients[0].wallet.channel();
    let text = channel.exit_kit();
    assert!(!text.contains(&hex::encode([10; 32])), "the signer's key");
    let pending = channel.state().assets.get(&ETH).unwrap().out.lane.locks.values().next().unwrap();
    assert!(!pending.envelope.is_empty() && !text.contains(&hex::encode(&pending.envelope)));
    assert!(text.contains(&hex::encode(&pending.condition.params)));
    assert_ne!(pending.lock.key.0, B256::ZERO);
}
