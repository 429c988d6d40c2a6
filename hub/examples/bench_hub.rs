//! Payments through a hub on loopback: a hub in a process of its own, two wallets in this one, SQLite on all sides.
//!
//! Prints a JSON object a line on stdout, as `cargo xtask bench` reads them; the rest goes to stderr.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a benchmark"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use clap::Parser;
use farthing_hub::store::{Sqlite, Store};
use farthing_hub::{cli, clock};
use farthing_protocol::journal::Write;
use farthing_protocol::wallet::{Payee, Status};
use farthing_protocol::{Amount, ETH};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use support::client::{payee, request};
use support::{Chain, Client, ClientConfig, Process, eth};

const SEQUENTIAL: usize = 300;
const PIPELINED: u128 = 3_000;
const DIRECT: u128 = 20_000;

#[tokio::main]
async fn main() {
    // This program is also the hub that it measures.
    if std::env::args().nth(1).as_deref() == Some("run") {
        if let Err(error) = cli::run(cli::Cli::parse()).await {
            eprintln!("{error:#}");
            std::process::exit(1);
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    row("hub_store_commit_p50", commit_time(folder.path()).await.as_secs_f64() * 1e6, "µs");
    let chain = Chain::start().await;
    let limits = "[limits]\nrequests_per_second = 1000000\nburst = 1000000";
    let hub =
        Process::start(&std::env::current_exe().unwrap(), &chain, &folder.path().join("hub.sqlite"), limits).await;
    let alice = ClientConfig::new(&chain, 1, &hub.url, folder.path()).await.start(&hub.url).await;
    let bob = ClientConfig::new(&chain, 2, &hub.url, folder.path()).await.start(&hub.url).await;
    chain.deposit(&alice.config.def, ETH, eth(900_000)).await;
    chain.deposit(&bob.config.def, ETH, eth(900_000)).await;
    support::fund(&chain, &[&alice, &bob]).await;
    let to_bob = payee(&hub.url, bob.config.key.address()).await;
    let pid = hub.child.id().unwrap();

    let times = sequential(&alice, &to_bob).await;
    row("payment_sequential_p50", times[times.len() / 2].as_secs_f64() * 1e3, "ms");
    row("payment_sequential_p99", times[times.len() * 99 / 100].as_secs_f64() * 1e3, "ms");

    let before = cpu_time(pid);
    let took = pipelined(&alice, &bob, &to_bob).await;
    row("payment_pipelined", PIPELINED as f64 / took.as_secs_f64(), "payments/s");
    if let (Some(before), Some(after)) = (before, cpu_time(pid)) {
        row("hub_cpu_per_payment", (after - before) * 1e6 / PIPELINED as f64, "µs");
    }
    let took = direct(&alice).await;
    row("transfer_direct", DIRECT as f64 / took.as_secs_f64(), "transfers/s");
}

fn row(name: &str, value: f64, unit: &str) {
    println!("{}", json!({ "name": name, "value": (value * 1000.0).round() / 1000.0, "unit": unit }));
}

/// Ten writes of 300 bytes in one durable commit.
async fn commit_time(folder: &Path) -> Duration {
    let store = Sqlite::open(&folder.join("commits.sqlite")).await.unwrap();
    let mut times = Vec::new();
    for round in 0..2_000_u32 {
        let key = |row: u32| format!("c/{row}/log/{round:016}");
        let writes: Vec<_> = (0..10).map(|row| Write::Put { key: key(row), value: vec![7; 300] }).collect();
        let start = Instant::now();
        store.commit(&writes).await.unwrap();
        times.push(start.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

/// One after the other, each until the payer holds the proof of payment.
async fn sequential(alice: &Client, to: &Payee) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..SEQUENTIAL {
        let start = Instant::now();
        let id = alice.pay(to, ETH, Amount::new(1)).await;
        alice
            .when("paid", move |wallet| wallet.payment(&id).is_none_or(|payment| payment.status == Status::Completed))
            .await;
        times.push(start.elapsed());
    }
    times.sort();
    times
}

/// All at once, until the payee can spend the last of them.
async fn pipelined(alice: &Client, bob: &Client, to: &Payee) -> Duration {
    let target = bob.run(|wallet| wallet.balance(ETH).available.units()).await + PIPELINED;
    let start = Instant::now();
    for _ in 0..PIPELINED / 100 {
        let to = to.clone();
        alice
            .run(move |wallet| {
                for _ in 0..100 {
                    wallet.pay(request(to.clone(), ETH, Amount::new(1)), clock::now()).unwrap();
                }
            })
            .await;
    }
    bob.when("all are paid", move |wallet| wallet.balance(ETH).available.units() >= target).await;
    start.elapsed()
}

/// Unconditional transfers to the hub itself, until it has accepted the last.
async fn direct(alice: &Client) -> Duration {
    let start = Instant::now();
    for _ in 0..DIRECT / 500 {
        alice
            .run(move |wallet| {
                for _ in 0..500 {
                    wallet.pay(request(Payee::Hub, ETH, Amount::new(1)), clock::now()).unwrap();
                }
            })
            .await;
    }
    alice
        .when("the hub has all", |wallet| wallet.payments().iter().all(|payment| payment.status == Status::Completed))
        .await;
    start.elapsed()
}

/// Seconds of CPU that a process has used, where the system tells.
fn cpu_time(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    // Linux counts in hundredths of a second everywhere that this runs.
    Some(ticks / 100.0)
}
