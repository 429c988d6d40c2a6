//! Who shows proofs in an exit, and when: at once in another's, and in one's own only if a final block lacks them.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod support;

use farthing_protocol::chain::{ChainCall, ChainFact, Head};
use farthing_protocol::types::{ETH, Sides};
use farthing_protocol::wallet::WalletEffect;
use support::World;

/// A payee with something to show.
fn paid() -> World {
    let mut world = World::funded(2);
    world.paid(1, 0, 100);
    world
}

/// The labels of the calls that the wallet asks for.
fn asked(world: &mut World) -> Vec<&'static str> {
    let mut labels = Vec::new();
    let wallet = &mut world.clients[0].wallet;
    wallet.tick(world.now);
    while let Some(commit) = wallet.poll_commit(world.now).unwrap() {
        for effect in wallet.committed(commit.durable()).unwrap() {
            if let WalletEffect::Submit { call, .. } = effect {
                labels.push(call.label());
                if let ChainCall::StartExit { proofs, .. } = call {
                    assert_eq!(proofs.len(), 1);
                }
            }
        }
    }
    labels
}

fn head(world: &mut World, number: u64, final_number: u64) {
    let head = Head { number, timestamp: world.now, final_number, final_timestamp: world.now };
    world.clients[0].wallet.head(head, world.now);
}

fn started(world: &mut World) -> u64 {
    let ends_at = world.now + u64::from(world.clients[0].config.def.challenge_period);
    world.clients[0].wallet.chain(&ChainFact::ExitStarted { ends_at }, world.now);
    ends_at
}

fn shown(world: &mut World, nonce: u64) {
    let shown = Sides { a: 0, b: nonce };
    world.clients[0].wallet.chain(&ChainFact::Shown { asset: ETH, shown }, world.now);
}

fn newest(world: &World) -> u64 {
    world.book(0).inc.accepted_nonce()
}

#[test]
fn anothers_exit_is_answered_at_once() {
    let mut world = paid();
    head(&mut world, 500, 490);
    started(&mut world);
    assert_eq!(asked(&mut world), ["submitProofs"]);
}

#[test]
fn a_clock_that_is_a_day_ahead_does_not_end_the_answering_of_an_exit() {
    let mut world = paid();
    head(&mut world, 500, 490);
    let ends_at = started(&mut world);
    assert_eq!(asked(&mut world), ["submitProofs"]);
    head(&mut world, 600, 590);
    world.now = ends_at + 86_400;
    assert_eq!(asked(&mut world), ["submitProofs"], "a final block lacks them");
}

#[test]
fn evidence_is_recorded_until_the_chain_says_that_it_is_too_late_whatever_the_clock() {
    let mut world = World::funded(2);
    world.pay(1, 0, 100).unwrap();
    while world.clients[0].wallet.channel().state().evidence.is_empty() {
        assert!(world.step(), "the payee knows its secret");
    }
    world.disconnect(0);
    let expiry = expiry(&world);
    head(&mut world, 500, 490);
    assert!(asked(&mut world).is_empty(), "the hub has time to redeem it");
    world.now = expiry + 86_400;
    assert_eq!(asked(&mut world), ["recordEvidence"]);
}

fn expiry(world: &World) -> u64 {
    let book = world.book(0);
    book.inc.lane.locks.values().next().unwrap().expiry
}

#[test]
fn our_own_exit_shows_them_and_needs_no_answer() {
    let mut world = paid();
    head(&mut world, 499, 498);
    world.clients[0].wallet.exit(world.now).unwrap();
    assert_eq!(asked(&mut world), ["startExit"]);
    started(&mut world);
    assert!(asked(&mut world).is_empty());
    head(&mut world, 500, 499);
    assert!(asked(&mut world).is_empty(), "the final block is the one before it");
    let nonce = newest(&world);
    shown(&mut world, nonce);
    head(&mut world, 600, 590);
    assert!(asked(&mut world).is_empty());
}

#[test]
fn an_exit_that_was_anothers_after_all_is_answered_when_that_is_final() {
    let mut world = paid();
    world.clients[0].wallet.exit(world.now).unwrap();
    assert_eq!(asked(&mut world), ["startExit"]);
    started(&mut world);
    head(&mut world, 500, 490);
    head(&mut world, 509, 499);
    assert!(asked(&mut world).is_empty());
    shown(&mut world, 1);
    head(&mut world, 510, 500);
    assert_eq!(asked(&mut world), ["submitProofs"]);
}

#[test]
fn where_blocks_take_long_to_be_final_it_is_answered_before_the_time_is_over() {
    let mut world = paid();
    world.clients[0].wallet.exit(world.now).unwrap();
    assert_eq!(asked(&mut world), ["startExit"]);
    let ends_at = started(&mut world);
    head(&mut world, 500, 490);
    assert!(asked(&mut world).is_empty());
    world.now = ends_at - u64::from(world.clients[0].config.def.challenge_period) / 2 + 1;
    head(&mut world, 501, 491);
    assert_eq!(asked(&mut world), ["submitProofs"]);
}
