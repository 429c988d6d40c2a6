//! Whose assets a client deals with, and what it does when the hub won't send its transactions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

use alloy_primitives::{Address, Bytes};
use farthing_protocol::amount::Amount;
use farthing_protocol::chain::{ChainCall, ChainFact};
use farthing_protocol::channel::{Dust, Policy};
use farthing_protocol::types::{Asset, ETH, Side};
use farthing_protocol::wallet::Event;
use farthing_protocol::{Code, Matter, map::Set};
use support::World;

const DUST: Asset = Address::repeat_byte(0xdd);

/// A client that deals with ETH.
fn world() -> World {
    let mut world = World::funded(1);
    world.clients[0]
        .wallet
        .set_policy(Policy { assets: Some([ETH].into_iter().collect::<Set<_>>()), ..Policy::default() });
    world
}

#[test]
fn a_strangers_deposit_in_another_asset_is_neither_counted_nor_closed_nor_in_the_kit() {
    let mut world = world();
    world.deposit(0, Side::A, DUST, 1);
    world.deposit(0, Side::B, DUST, 1);
    world.settle();
    let wallet = &mut world.clients[0].wallet;
    assert!(wallet.balances().iter().all(|balance| balance.asset == ETH));
    assert_eq!(wallet.channel().closable(), [ETH]);
    assert!(!wallet.channel().exit_kit().contains("dddddddd"));
}

/// What was stored before it was known whose it is, is left alone, too.
#[test]
fn an_exit_settles_nothing_that_is_no_affair_of_ours() {
    let mut world = World::funded(1);
    world.deposit(0, Side::A, DUST, 1);
    world.settle();
    let listed = Some([ETH].into_iter().collect::<Set<_>>());
    world.clients[0].wallet.set_policy(Policy { assets: listed, ..Policy::default() });
    assert_eq!(world.clients[0].wallet.channel().closable(), [ETH]);
    assert!(!world.clients[0].wallet.channel().exit_kit().contains("dddddddd"));
    assert_eq!(settled_by_exit(&mut world), [ETH]);
}

#[test]
fn an_exit_settles_no_share_that_is_dust_and_does_not_start_for_dust_alone() {
    let mut world = World::funded(1);
    world.deposit(0, Side::A, DUST, 5);
    world.settle();
    let of = |threshold| Dust { threshold: Amount::new(threshold), cap: Amount::new(threshold) };
    let policy = |eth| Policy { dust: [(DUST, of(6)), (ETH, of(eth))].into_iter().collect(), ..Policy::default() };
    world.clients[0].wallet.set_policy(policy(10_001));
    let now = world.now;
    let refused = world.clients[0].wallet.exit(now).unwrap_err();
    assert_eq!(refused.code(), Code::ChannelClosed);
    assert!(!world.clients[0].wallet.channel().state().leaving);
    world.clients[0].wallet.set_policy(policy(10_000));
    assert_eq!(settled_by_exit(&mut world), [ETH]);
}

fn settled_by_exit(world: &mut World) -> Vec<Asset> {
    let now = world.now;
    world.clients[0].wallet.exit(now).unwrap();
    let ends_at = now + 10;
    world.clients[0].wallet.chain(&ChainFact::ExitStarted { ends_at }, now);
    world.disconnect(0);
    world.pass(20);
    let wallet = &mut world.clients[0].wallet;
    let mut settled = Vec::new();
    while let Some(commit) = wallet.poll_commit(now).unwrap() {
        for effect in wallet.committed(commit.durable()).unwrap() {
            if let farthing_protocol::wallet::WalletEffect::Submit { call: ChainCall::Settle { assets, .. }, .. } =
                effect
            {
                settled.extend(assets);
            }
        }
    }
    settled
}

/// The hub sends what pays out so much; without a number nothing.
fn hub_relays(world: &mut World, least: Option<Amount>) {
    for policy in world.hub_config.assets.values_mut() {
        policy.min_relayed = least;
    }
    world.restart_hub();
    world.connect(0);
    world.settle();
}

#[test]
fn a_withdrawal_that_the_hub_does_not_relay_is_sent_by_the_wallet_and_counts_once() {
    let mut world = world();
    hub_relays(&mut world, Some(Amount::new(100)));
    let (owner, deadline) = (world.clients[0].key.address(), world.now + 600);
    let withdrawal =
        world.clients[0].wallet.withdraw(ETH, Amount::new(10), owner, Bytes::new(), deadline, true).unwrap();
    world.settle();
    let declined = |event: &Event| matches!(event, Event::Declined { what, code, .. } if *what == Matter::Withdraw && *code == Code::LimitExceeded);
    assert!(world.clients[0].events.iter().any(declined));
    assert_eq!(world.available(0), 9_990);
    world.clients[0].wallet.withdraw_ourselves(&withdrawal).unwrap();
    world.settle();
    // `settle` mines what the client sends.
    assert_eq!(world.clients[0].wallet.balance(ETH).withdrawn, Amount::new(10));
    assert_eq!(world.available(0), 9_990);
}

#[test]
fn a_withdrawal_goes_on_by_its_own_terms_and_none_to_another_account_joins_it() {
    let mut world = world();
    let (owner, deadline) = (world.clients[0].key.address(), world.now + 600);
    let other = Address::repeat_byte(7);
    let wallet = &mut world.clients[0].wallet;
    let first = wallet.withdraw(ETH, Amount::new(10), owner, Bytes::new(), deadline, false).unwrap();
    let refused = wallet.next_withdrawal(ETH, Amount::new(5), other, deadline).unwrap_err();
    assert_eq!(refused.code(), Code::Unanswered, "it would be paid both");
    let second = wallet.withdraw(ETH, Amount::new(5), owner, Bytes::new(), deadline, false).unwrap();
    let open = wallet.channel().open_withdrawals(ETH);
    assert_eq!(open, [(first, Amount::new(10)), (second, Amount::new(5))]);
    assert_eq!(wallet.balance(ETH).available, Amount::new(9_985));
    assert!(!wallet.repeat_withdrawal(&first, true).unwrap(), "the hub was not asked to send it at first");
    assert_eq!(wallet.channel().open_withdrawals(ETH), open, "nothing new is signed");
    world.settle();
    assert_eq!(world.clients[0].wallet.balance(ETH).withdrawn, Amount::new(15));
    let wallet = &mut world.clients[0].wallet;
    assert_eq!(wallet.repeat_withdrawal(&first, false).unwrap_err().code(), Code::UnknownPayment, "it is paid");
    assert!(wallet.channel().open_withdrawals(ETH).is_empty());
    wallet.next_withdrawal(ETH, Amount::new(5), other, deadline).unwrap();
}

#[test]
fn a_closing_that_the_hub_does_not_relay_is_sent_by_the_wallet() {
    let mut world = world();
    hub_relays(&mut world, None);
    let deadline = world.now + 600;
    let closing = world.clients[0].wallet.close(&[ETH], deadline, true).unwrap();
    world.settle();
    world.clients[0].wallet.close_ourselves(&closing).unwrap();
    world.settle();
    assert_eq!(world.clients[0].wallet.balance(ETH).status, farthing_protocol::chain::AssetStatus::Closed);
}

#[test]
fn the_hub_is_known_to_count_a_deposit_when_it_has_said_so() {
    let mut world = world();
    assert!(world.clients[0].wallet.channel().peer_counts(ETH));
    let fact = ChainFact::Asset {
        asset: ETH,
        deposits: farthing_protocol::Sides { a: Amount::new(20_000), b: Amount::ZERO },
        withdrawn: Default::default(),
        status: Default::default(),
    };
    let now = world.now;
    world.clients[0].wallet.chain(&fact, now);
    assert!(!world.clients[0].wallet.channel().peer_counts(ETH));
}
