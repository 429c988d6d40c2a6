//! What a watchtower costs: memory and disk for 1,000 channels, time of a put, time to an answer. The tower is a
//! process of its own, the chain is Anvil.
//!
//! Prints a JSON object a line on stdout, as `cargo xtask bench` reads them; the rest goes to stderr.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    reason = "a benchmark"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use clap::Parser;
use farthing_hub::cli;
use farthing_protocol::{ETH, Side};
use futures_util::StreamExt;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use support::Chain;
use support::client::call;
use support::tower::{Pair, spawn};

const THOUSANDS: u64 = 3;
const UPDATES: u64 = 2_000;
const EXITS: u64 = 20;

#[tokio::main]
async fn main() {
    // This program is also the tower that it measures.
    if std::env::args().nth(1).as_deref() == Some("watch") {
        if let Err(error) = cli::run(cli::Cli::parse()).await {
            eprintln!("{error:#}");
            std::process::exit(1);
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("watch.sqlite");
    let chain = Chain::start().await;
    let limits = "[limits]\nrequests_per_second = 1000000\nburst = 1000000";
    let tower = spawn(&std::env::current_exe().unwrap(), &chain, &database, limits).await;
    let pid = tower.child.id().unwrap();

    let (mut memory, mut disk) = (Vec::new(), Vec::new());
    for thousand in 0..THOUSANDS {
        let salts = thousand * 1_000..(thousand + 1) * 1_000;
        let mut pairs = Vec::new();
        for salt in salts {
            let pair = eth_pair(&chain, salt);
            chain.deposit(&pair.def, ETH, farthing_protocol::Amount::new(1_000)).await;
            pairs.push(pair);
        }
        let puts = pairs.iter().map(|pair| put(&tower.url, pair, 1));
        futures_util::stream::iter(puts).buffer_unordered(16).collect::<()>().await;
        memory.push(resident(pid));
        disk.push(size(&database));
        eprintln!(
            "{} channels: {:?} MiB, {} KiB",
            (thousand + 1) * 1_000,
            memory[memory.len() - 1],
            disk[disk.len() - 1] / 1024
        );
    }
    // The first thousand also pays for caches and the file's tables.
    let per = (THOUSANDS - 1) as f64;
    if let (Some(first), Some(last)) = (memory[0], memory[memory.len() - 1]) {
        row("watch_memory_per_1000_channels", (last - first) / per, "MiB");
        row("watch_memory_total", last, "MiB");
    }
    row("watch_disk_per_1000_channels", (disk[disk.len() - 1] - disk[0]) as f64 / per / 1024.0, "KiB");

    let pair = eth_pair(&chain, 0);
    let mut times = Vec::new();
    for nonce in 2..2 + UPDATES {
        let (order, lanes) = (pair.order(Side::B), both(&pair, nonce));
        let start = Instant::now();
        call(&tower.url, "watch_put", json!({ "order": order, "lanes": lanes })).await.unwrap();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    row("watch_put_p50", times[times.len() / 2].as_secs_f64() * 1e3, "ms");
    row("watch_put_p99", times[times.len() * 99 / 100].as_secs_f64() * 1e3, "ms");

    let mut answered = Vec::new();
    for salt in 1..=EXITS {
        let pair = eth_pair(&chain, salt);
        pair.exit(&chain, &[]).await;
        let start = Instant::now();
        pair.until_shown(&chain, Side::A, 1).await;
        answered.push(start.elapsed());
    }
    answered.sort_unstable();
    row("watch_answer_p50", answered[answered.len() / 2].as_secs_f64() * 1e3, "ms");
    tower.kill().await;
}

fn eth_pair(chain: &Chain, salt: u64) -> Pair {
    Pair { asset: ETH, ..Pair::new(chain, salt) }
}

fn both(pair: &Pair, nonce: u64) -> [farthing_protocol::watch::WatchedLane; 2] {
    [pair.lane(Side::A, nonce, 10), pair.lane(Side::B, nonce, 5)]
}

async fn put(url: &str, pair: &Pair, nonce: u64) {
    let params = json!({ "order": pair.order(Side::B), "lanes": both(pair, nonce) });
    call(url, "watch_put", params).await.unwrap();
}

fn row(name: &str, value: f64, unit: &str) {
    println!("{}", json!({ "name": name, "value": (value * 1000.0).round() / 1000.0, "unit": unit }));
}

/// Resident memory in MiB, where the system tells.
fn resident(pid: u32) -> Option<f64> {
    // What was freed may take a moment to be given back.
    std::thread::sleep(Duration::from_millis(500));
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

/// Bytes of the database's file. The log beside it is bounded by SQLite's checkpoints.
fn size(database: &Path) -> u64 {
    std::fs::metadata(database).unwrap().len()
}
