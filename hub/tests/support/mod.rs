//! What the tests and the benchmark stand on: a chain, a hub, and clients made of the protocol's own wallet.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    missing_debug_implementations,
    unused_imports,
    reason = "each test uses a part"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

pub mod chain;
pub mod client;
pub mod faulty;
pub mod hub;
pub mod proxy;
pub mod sending;
pub mod tower;

pub use chain::Chain;
pub use client::{Client, ClientConfig};
pub use hub::{Process, config, start};

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Everything ends before this, or the test fails.
pub const DEADLINE: Duration = Duration::from_secs(40);

/// What all requests are made with: making it reads certificates, which takes longer than a request. A connection belongs
/// to the runtime that made it, so none is kept for a later request.
pub fn http() -> &'static reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    CLIENT.get_or_init(|| reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap())
}

/// Asks again and again until the answer is there.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let start = Instant::now();
    let mut interval = tokio::time::interval(Duration::from_millis(10));
    loop {
        interval.tick().await;
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < DEADLINE, "waited too long until {what}");
    }
}

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(result) => result,
        Err(_) => panic!("waited too long until {what}"),
    }
}

pub fn eth(milli: u64) -> farthing_protocol::Amount {
    farthing_protocol::Amount::new(u128::from(milli) * 1_000_000_000_000_000)
}

/// Mines until the clients see the hub's collateral in ETH.
pub async fn fund(chain: &Chain, clients: &[&Client]) {
    for client in clients {
        until("the hub's collateral is final", || async {
            chain.mine(1).await;
            let receivable = client.run(|wallet| wallet.balance(farthing_protocol::ETH).receivable).await;
            (receivable >= eth(1_000)).then_some(())
        })
        .await;
    }
}
