//! A wallet that comes back from a backup: the newest one goes on, an old one is noticed and signs nothing.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod support;

use alloy_primitives::Bytes;
use farthing_protocol::api::limits::MAX_BACKUP;
use farthing_protocol::chain::{AssetStatus, ChainCall, ChainFact};
use farthing_protocol::channel::ExitStage;
use farthing_protocol::message::Message;
use farthing_protocol::types::{ETH, Side};
use farthing_protocol::wallet::{Event, Wallet, WalletEffect};
use farthing_protocol::{Amount, Code};
use support::{World, entries, write};

/// The device is lost; a new one starts from this snapshot.
fn restore(world: &mut World, client: usize, snapshot: Vec<u8>) {
    world.disconnect(client);
    let lost = &mut world.clients[client];
    lost.store.clear();
    lost.events.clear();
    write(&mut lost.store, &[Wallet::from_backup(&lost.config, snapshot)]);
    lost.wallet = Wallet::restore(lost.config.clone(), Some(lost.key.clone()), &entries(&lost.store)).unwrap();
    world.mine();
}

#[test]
fn the_newest_backup_goes_on_as_if_nothing_had_happened() {
    let mut world = World::funded(2);
    world.pay(0, 1, 700).unwrap();
    world.paid(1, 0, 50);
    let (snapshot, progress) = world.clients[0].wallet.backup();
    assert!(progress > 0);
    restore(&mut world, 0, snapshot);
    // Nothing is signed before the hub has shown what it holds.
    world.paid(0, 1, 1);
    assert_eq!(world.clients[0].wallet.backup().1, progress);
    world.connect(0);
    world.settle();
    assert_eq!((world.available(0), world.available(1)), (9_349, 10_651));
    world.paid(1, 0, 10_000);
    assert_eq!(world.available(0), 19_349);
    assert!(!world.clients[0].events.contains(&Event::Outdated));
}

#[test]
fn a_backup_does_not_grow_with_the_payments_that_have_ended() {
    let mut world = World::funded(2);
    for round in 0..40 {
        for _ in 0..20 {
            world.pay(0, 1, 1).unwrap();
            world.pay(1, 0, 1).unwrap();
        }
        world.settle();
        let (snapshot, _) = world.clients[0].wallet.backup();
        // What seals it, and says of which channel it is, takes less than a kilobyte.
        assert!(snapshot.len() + 1_000 < MAX_BACKUP, "{} bytes after {} payments", snapshot.len(), 40 * (round + 1));
    }
    let (snapshot, _) = world.clients[0].wallet.backup();
    restore(&mut world, 0, snapshot);
    assert_eq!(world.clients[0].wallet.payments().len(), 16);
    world.connect(0);
    world.paid(0, 1, 700);
    assert_eq!((world.available(0), world.available(1)), (9_300, 10_700));
}

#[test]
fn a_backup_from_before_payments_of_ours_is_named_and_signs_nothing() {
    let mut world = World::funded(2);
    world.paid(0, 1, 700);
    let (old, before) = world.clients[0].wallet.backup();
    world.paid(0, 1, 300);
    assert!(world.clients[0].wallet.backup().1 > before);
    restore(&mut world, 0, old);
    world.connect(0);
    world.settle();
    assert!(world.clients[0].events.contains(&Event::Outdated));
    assert_eq!(world.pay(0, 1, 1).unwrap_err().code(), Code::StateOutdated);
}

#[test]
fn after_an_old_backup_an_exit_shows_the_newest_proof_that_the_hub_signed() {
    let mut world = World::funded(2);
    world.paid(1, 0, 100);
    let (old, _) = world.clients[0].wallet.backup();
    world.paid(1, 0, 900);
    let newest = world.book(0).inc.accepted.unwrap();
    restore(&mut world, 0, old);
    world.connect(0);
    world.settle();
    assert!(world.clients[0].events.contains(&Event::Outdated));
    world.clients[0].wallet.exit(world.now).unwrap();
    let mut shown = Vec::new();
    while let Some(commit) = world.clients[0].wallet.poll_commit(world.now).unwrap() {
        for effect in world.clients[0].wallet.committed(commit.durable()).unwrap() {
            if let WalletEffect::Submit { call: ChainCall::StartExit { proofs, .. }, .. } = effect {
                shown.extend(proofs);
            }
        }
    }
    assert!(shown.iter().any(|(lane, signed, _)| lane.payer == Side::B && *signed == newest));
}

#[test]
fn who_leaves_signs_nothing_more_also_after_a_restart() {
    let mut world = World::funded(2);
    world.pay(0, 1, 10).unwrap();
    world.clients[0].wallet.exit(world.now).unwrap();
    assert_eq!(world.clients[0].wallet.channel().exit_stage(), ExitStage::Starting);
    world.settle();
    assert_eq!(world.available(1), 10_000);
    world.restart_client(0);
    assert_eq!(world.clients[0].wallet.channel().exit_stage(), ExitStage::Starting);
    assert_eq!(world.pay(0, 1, 1).unwrap_err().code(), Code::ChannelExiting);
    world.clients[0].wallet.chain(&ChainFact::ExitStarted { ends_at: world.now + 60 }, world.now);
    assert!(matches!(world.clients[0].wallet.channel().exit_stage(), ExitStage::Challenge { .. }));
    // A closing that was signed before may be mined instead: then there is nothing left to wait for.
    let closed = ChainFact::Asset {
        asset: ETH,
        deposits: world.book(0).deposits,
        withdrawn: Default::default(),
        status: AssetStatus::Closed,
    };
    let mut other = World::funded(2);
    other.clients[0].wallet.exit(other.now).unwrap();
    other.clients[0].wallet.chain(&closed, other.now);
    assert_eq!(other.clients[0].wallet.channel().exit_stage(), ExitStage::Done);
    // A reorg takes it back: it is started again.
    world.clients[0].wallet.chain(&ChainFact::ExitGone, world.now);
    assert_eq!(world.clients[0].wallet.channel().exit_stage(), ExitStage::Starting);
}

#[test]
fn without_the_signers_key_a_wallet_is_read_and_left_and_goes_on_when_the_key_is_back() {
    let mut world = World::funded(2);
    world.paid(1, 0, 700);
    let before = world.clients[0].store.clone();
    world.disconnect(0);
    let client = &mut world.clients[0];
    client.wallet = Wallet::restore(client.config.clone(), None, &entries(&client.store)).unwrap();
    world.tell(0, ETH);
    world.mine();
    world.clients[0].wallet.connected(world.now);
    assert_eq!(world.available(0), 10_700);
    assert_eq!(world.clients[0].wallet.payments().len(), 1);
    let now = world.now;
    assert_eq!(world.pay(0, 1, 1).unwrap_err().code(), Code::Unsupported);
    let wallet = &mut world.clients[0].wallet;
    let owner = wallet.channel().def().a.owner;
    let (one, deadline) = (Amount::new(1), now + 600);
    let refused = [
        wallet.withdraw(ETH, one, owner, Bytes::new(), deadline, false).unwrap_err(),
        wallet.close(&[ETH], deadline, false).unwrap_err(),
        wallet.handle(Message::Sync { lanes: Vec::new() }, now).unwrap_err(),
    ];
    assert!(refused.iter().all(|error| error.code() == Code::Unsupported), "{refused:?}");
    // What the peer signed is shown without our acknowledgement, to no tower.
    assert!(wallet.watched_lanes().iter().all(|lane| lane.payer == Side::A));
    world.settle();
    assert_eq!(world.clients[0].store, before);

    world.restart_client(0);
    world.connect(0);
    world.paid(0, 1, 700);
    assert_eq!((world.available(0), world.available(1)), (10_000, 10_000));

    world.disconnect(0);
    let client = &mut world.clients[0];
    client.wallet = Wallet::restore(client.config.clone(), None, &entries(&client.store)).unwrap();
    world.tell(0, ETH);
    world.mine();
    world.clients[0].wallet.exit(world.now).unwrap();
    let mut started = false;
    while let Some(commit) = world.clients[0].wallet.poll_commit(world.now).unwrap() {
        for effect in world.clients[0].wallet.committed(commit.durable()).unwrap() {
            started |= matches!(effect, WalletEffect::Submit { call: ChainCall::StartExit { .. }, .. });
            assert!(!matches!(effect, WalletEffect::Send(_)), "{effect:?}");
        }
    }
    assert!(started);
}
