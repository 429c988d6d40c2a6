//! A long run over real processes with SIGKILL: payer, payee, hub and watchtower are killed and started again, at
//! moments that a seed chooses among what they say, while payments go on both ways. Every payment is accounted for
//! once, and every wei adds up.
//!
//! `js-tests/kills` writes `target/kills.json`: `{"seed": 1, "kills": {"hub": 9}, "payments": 300, "completed": 290,
//! "failed": 10, "streams": 20, "streamed": 18, "wei_lost": "0"}`. `FARTHING_KILLS` is how many processes are killed, `FARTHING_SEED` the seed.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Tally, steps};
use crate::{paths, ui};

#[derive(Debug, Deserialize)]
struct Report {
    seed: u64,
    kills: BTreeMap<String, u64>,
    payments: u64,
    completed: u64,
    /// Streams of which something was paid.
    streamed: u64,
    wei_lost: String,
}

/// Runs it and reads its report.
pub(crate) fn run() -> Result<Tally> {
    let file = paths::out("kills.json");
    paths::remove(&file)?;
    let mut tally = steps::node_test("kills", "kills", false, |node| {
        node.arg("--test-force-exit").env("FARTHING_REPORT", &file);
    })?;
    if tally.failed == 0 {
        let report =
            serde_json::from_str(&paths::read(&file)?).context("target/kills.json is not the report it should be")?;
        tally.add(judge(&report));
    }
    Ok(tally)
}

fn judge(report: &Report) -> Tally {
    let mut tally = Tally::default();
    for who in ["payer", "payee", "hub", "watchtower"] {
        if report.kills.get(who).is_none_or(|kills| *kills == 0) {
            tally.add(Tally::failure(format!("the {who} was never killed: nothing is shown")));
        }
    }
    if report.completed == 0 {
        tally.add(Tally::failure("no payment was completed: nothing is shown"));
    }
    if report.streamed == 0 {
        tally.add(Tally::failure("no stream was paid: nothing shows that they outlive kills"));
    }
    if report.wei_lost != "0" {
        tally.add(Tally::failure(format!("{} wei were lost", report.wei_lost)));
    }
    let kills: u64 = report.kills.values().sum();
    ui::note(&format!("seed {}: {kills} kills, {} payments", report.seed, ui::thousands(report.payments)));
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(hub: u64, completed: u64, streamed: u64, wei_lost: &str) -> u64 {
        let kills = [("payer", 1), ("payee", 1), ("watchtower", 1), ("hub", hub)];
        let kills = kills.into_iter().map(|(who, count)| (who.to_owned(), count)).collect();
        judge(&Report { seed: 1, kills, payments: 9, completed, streamed, wei_lost: wei_lost.into() }).failed
    }

    #[test]
    fn a_loss_and_a_run_that_shows_nothing_each_fail() {
        assert_eq!(failed(1, 9, 3, "0"), 0);
        assert_eq!(failed(0, 9, 3, "0"), 1);
        assert_eq!(failed(1, 0, 3, "0"), 1);
        assert_eq!(failed(1, 9, 0, "0"), 1);
        assert_eq!(failed(1, 9, 3, "1"), 1);
    }
}
