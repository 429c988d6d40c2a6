//! The hub is killed at random moments under load. Nothing is lost, nothing is paid twice.

mod support;

use farthing_protocol::wallet::Status;
use farthing_protocol::{Amount, ETH};
use std::path::Path;
use support::client::payee;
use support::{Chain, ClientConfig, Process, eth};

const ROUNDS: u64 = 8;
const PAYMENTS: u128 = 40;

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
            let done = wallet.payments().iter().all(|payment| payment.status == Status::Completed);
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
        client.when("every payment has ended", |wallet| wallet.payments().iter().all(|payment| payment.status == Status::Completed)).await;
    }
    let moved = u128::from(ROUNDS) * PAYMENTS * 2;
    let (less, more) = (Amount::new(eth(5_000).units() - moved), Amount::new(eth(5_000).units() + moved));
    alice.when("Alice has what is hers", move |wallet| wallet.balance(ETH).available == less).await;
    bob.when("Bob has what is his", move |wallet| wallet.balance(ETH).available == more).await;
    alice.end().await;
    bob.end().await;
    hub.kill().await;
}
