//! The abuse run: what strangers with about 2 ETH can do to a hub with its default configuration, its honest clients
//! and its money. Each attack runs alone, then some run together.
//!
//! `cargo xtask test --only abuse` builds the hub as it is shipped, runs this and judges `target/abuse.json`.
//!
//! | variable | what it holds |
//! | --- | --- |
//! | `FARTHING_HUB_BIN` | the hub's program |
//! | `FARTHING_REPORT` | where the report goes |
//! | `FARTHING_ABUSE_SECONDS` | how long each attack lasts, 8 |
//! | `FARTHING_ABUSE_ONLY` | only attacks whose name contains this |
//! | `FARTHING_ABUSE_SAMPLE` | so many attacks, which the seed chooses, beside the quiet one and the mixed one; else all |
//! | `FARTHING_SEED` | which attacks run together, and what they choose |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::print_stderr,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "a test"
)]

mod attacks;
mod ending;
mod field;
mod hammer;
mod honest;
mod lanes;
mod ledger;
mod meter;
mod proxy;
mod run;
mod stage;
#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes and the hub as it is shipped: cargo xtask test --only abuse"]
async fn the_hub_under_attack() {
    // Attackers need files for their connections; the hub gets as few as a shell gives it.
    rlimit::increase_nofile_limit(8_192).unwrap();
    let program = PathBuf::from(std::env::var_os("FARTHING_HUB_BIN").expect("FARTHING_HUB_BIN names the hub"));
    let report = std::env::var_os("FARTHING_REPORT").map(PathBuf::from);
    let time = Duration::from_secs(number("FARTHING_ABUSE_SECONDS").unwrap_or(8));
    let seed = number("FARTHING_SEED").unwrap_or_else(|| farthing_hub::clock::now() % 1_000_000);
    let only = std::env::var("FARTHING_ABUSE_ONLY").unwrap_or_default();
    let sample = number("FARTHING_ABUSE_SAMPLE").map_or(usize::MAX, |count| count as usize);
    let runs = attacks::sample(seed, sample);
    let runs = runs.into_iter().filter(|run| run.name == attacks::QUIET || run.name.contains(&only));
    let mut rows = Vec::new();
    for run in runs {
        let row = run::alone(&program, &run, seed, time).await;
        eprintln!("{row}");
        rows.push(row);
        // Whatever comes later, what was seen is kept.
        if let Some(report) = &report {
            std::fs::write(report, format!("{:#}\n", serde_json::Value::from(rows.clone()))).unwrap();
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}
