//! The hub is killed at random moments under load. Nothing is lost, nothing is paid twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

mod support;

use farthing_protocol::wallet::{Direction, Payment, Status};
use farthing_protocol::{Amount, ETH};
use std::path::Path;
use support::client::payee;
use support::{Chain, Client, ClientConfig, Process, eth};

const ROUNDS: u64 = 8;
const PAYMENTS: u64 = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_killed_at_any_moment_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("hub.sqlite");
    let program = Path::new(env!("CARGO_BIN_EXE_farthing-hub"));
    let chain = Chain::start().await;
    let mut hub = Process::start(program, &chain, &database, "").await;
    let alice = ClientConfig::new(&chain, 1, &hub.url, folder.path()).await.start(&hub.url).await;
    let bob = ClientConfig::new(&chain, 2, &hub.url, folder.path()).await.start(&hub.url).await;
    chain.deposit(&alice.config.def, ETH, eth(5_000)).await;
    chain.deposit(&bob.config.def, ETH, eth(5_000)).await;
    support::fund(&chain, &[&alice, &bob]).await;

    for round in 0..ROUNDS {
        let to_bob = payee(&hub.url, bob.config.key.address()).await;
        let to_alice = payee(&hub.url, alice.config.key.address()).await;
        for _ in 0..PAYMENTS {
            alice.pay(&to_bob, ETH, Amount::new(3)).await;
            bob.pay(&to_alice, ETH, Amount::new(1)).await;
        }
        // Somewhere between the first and the last of them; where exactly is up to the scheduler.
        let mut seed = [0_u8; 1];
        getrandom::fill(&mut seed).unwrap();
        let enough = usize::from(seed[0]) % 60;
        eprintln!("round {round}: killed after about {enough} changes");
        let mut changes = 0;
        let mut last = Amount::ZERO;
        bob.when("some are paid", move |wallet| {
            let available = wallet.balance(ETH).available;
            changes += usize::from(available != last);
            last = available;
            let ended = |payment: &Payment| matches!(payment.status, Status::Completed | Status::Failed);
            let done = wallet.payments().iter().all(ended);
            changes >= enough || done
        })
        .await;
        hub.kill().await;
        hub = Process::start(program, &chain, &database, "").await;
        for client in [&alice, &bob] {
            client.connect(&hub.url).await.unwrap();
        }
    }
    for client in [&alice, &bob] {
        let told = std::sync::Arc::clone(&client.told);
        client.when("every payment has ended", move |_| told.lock().unwrap().values().all(Payment::is_final)).await;
    }
    // A payment may have failed, if the payee was away for too long; then nobody was paid.
    let completed = |client: &Client| {
        let told = client.told.lock().unwrap();
        let sent: Vec<_> = told.values().filter(|payment| payment.direction == Direction::Sent).collect();
        assert_eq!(sent.len() as u64, ROUNDS * PAYMENTS);
        for payment in &sent {
            assert!(payment.status == Status::Completed || payment.code.is_some(), "{payment:?}");
        }
        sent.iter().filter(|payment| payment.status == Status::Completed).count() as u64
    };
    let (from_alice, from_bob) = (completed(&alice), completed(&bob));
    eprintln!("{from_alice} and {from_bob} of {} completed", ROUNDS * PAYMENTS);
    assert!(from_alice + from_bob > ROUNDS * PAYMENTS, "most should go through");
    let start = eth(5_000).units();
    let alices = Amount::new(start - u128::from(3 * from_alice) + u128::from(from_bob));
    let bobs = Amount::new(start + u128::from(3 * from_alice) - u128::from(from_bob));
    alice.when("Alice has what is hers", move |wallet| wallet.balance(ETH).available == alices).await;
    bob.when("Bob has what is his", move |wallet| wallet.balance(ETH).available == bobs).await;
    alice.end().await;
    bob.end().await;
    hub.kill().await;
}
