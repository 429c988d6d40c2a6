//! The abuse run: what strangers with little money can do to the hub as it is shipped, with its default configuration,
//! while an honest pair pays once a second.
//!
//! `hub/tests/abuse` writes `target/abuse.json`, a row for each attack beside one without any. Nothing may be lost
//! beyond gas, no honest payment may fail, nobody new may be kept out, and the hub's memory stays bounded. Times are
//! reported; they fail only where something stands still, since other programs run on the machine as well.
//! `FARTHING_ABUSE_SECONDS` is how long each attack lasts, `FARTHING_ABUSE_ONLY` names some, `FARTHING_SEED` is the
//! seed of those that run together.
//!
//! The whole test plays a sample, another one for each commit, against the hub as it is tested everywhere else, which
//! spares a build; `cargo xtask test --only abuse` plays all against the hub as it is shipped.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::counts::Runner;
use super::{Tally, steps};
use crate::stage::{self, Hub};
use crate::{paths, process, ui};

/// The row that the others are compared with.
const QUIET: &str = "quiet";
/// Most memory that the hub may have, in MiB.
const MEMORY: u64 = 256;
/// A payment may take so many times as long as without an attack before it counts as standing still.
const SLOWER: f64 = 100.0;
/// What is asked for; what is beyond it is only told.
const AIM: f64 = 10.0;
/// Least milliseconds that a payment without an attack is taken to need.
const FLOOR: f64 = 50.0;

/// One attack.
#[derive(Debug, Clone, Deserialize)]
struct Row {
    attack: String,
    seed: u64,
    attempts: u64,
    honest_payments: u64,
    honest_p50_ms: f64,
    honest_p99_ms: f64,
    honest_failed: u64,
    honest_lost_wei: String,
    newcomers_failed: u64,
    hub_lost_wei: String,
    hub_gas_wei: String,
    hub_died: bool,
    rss_mib: u64,
    note: String,
}

/// Attacks of a sample, beside the mixed one, and the seconds that each lasts.
const SAMPLE: u32 = 4;
const SECONDS: u32 = 4;

/// All of it.
pub(crate) fn run() -> Result<Tally> {
    let args = ["test", "--release", "--package", "farthing-hub", "--test", "abuse", "--", "--ignored", "--nocapture"];
    attack(Hub::Release, process::cargo(&args))
}

/// A sample.
pub(crate) fn run_some() -> Result<Tally> {
    // As the Rust tests were built.
    let args = ["test", "--workspace", "--test", "abuse", "--", "--ignored", "--nocapture"];
    let mut cargo = process::cargo(&args);
    cargo.env("FARTHING_ABUSE_SAMPLE", SAMPLE.to_string()).env("FARTHING_ABUSE_SECONDS", SECONDS.to_string());
    cargo.env("FARTHING_SEED", super::chance()?.to_string());
    attack(Hub::Dev, cargo)
}

/// Runs it and reads its report.
fn attack(built: Hub, mut cargo: Command) -> Result<Tally> {
    let file = paths::out("abuse.json");
    paths::remove(&file)?;
    let hub = steps::watch("abuse hub build", &mut built.cargo())?;
    if !hub.ok {
        bail!("the hub does not compile\n{}", hub.tail(20));
    }
    stage::set_chain(&mut cargo)?;
    cargo.env("FARTHING_HUB_BIN", built.program()).env("FARTHING_REPORT", &file);
    let run = steps::watch("abuse", &mut cargo)?;
    let mut tally = Runner::Cargo.tally(&run);
    if !file.is_file() {
        tally.add(Tally::failure("target/abuse.json was not written: nothing is shown"));
        return Ok(tally);
    }
    let rows: Vec<Row> =
        serde_json::from_str(&paths::read(&file)?).context("target/abuse.json is not the report it should be")?;
    print(&rows);
    tally.add(judge(&rows));
    Ok(tally)
}

fn judge(rows: &[Row]) -> Tally {
    let mut tally = Tally::default();
    let Some(quiet) = rows.iter().find(|row| row.attack == QUIET) else {
        return Tally::failure("there is no row without an attack: nothing is compared");
    };
    if rows.len() < 2 {
        tally.add(Tally::failure("nobody attacked: nothing is shown"));
    }
    for row in rows {
        let failures = failures(row, quiet);
        if failures.is_empty() {
            tally.add(Tally::one());
        }
        for failure in failures {
            tally.add(Tally::failure(format!("{} (seed {}): {failure}", row.attack, row.seed)));
        }
    }
    tally
}

/// What is wrong with a row.
fn failures(row: &Row, quiet: &Row) -> Vec<String> {
    let mut failures = Vec::new();
    let mut check = |wrong: bool, what: String| {
        if wrong {
            failures.push(what);
        }
    };
    check(row.attempts == 0 && row.attack != QUIET, format!("nothing was tried ({})", row.note));
    check(row.honest_payments == 0, "no honest payment was made".to_owned());
    check(row.honest_failed > 0, format!("{} honest payments failed ({})", row.honest_failed, row.note));
    check(row.newcomers_failed > 0, format!("{} newcomers did not get in", row.newcomers_failed));
    for (who, lost) in [("hub", &row.hub_lost_wei), ("honest pair", &row.honest_lost_wei)] {
        let is_loss = lost.parse::<i128>().map_or(true, |wei| wei > 0);
        check(is_loss, format!("the {who} lost {lost} wei beyond gas"));
    }
    check(row.hub_died, "the hub ended".to_owned());
    check(row.rss_mib >= MEMORY, format!("the hub took {} MiB of memory", row.rss_mib));
    let slower = ratio(row, quiet);
    check(slower > SLOWER, format!("honest payments took {slower:.0} times as long as without it"));
    failures
}

/// How many times as long the slowest payments took.
fn ratio(row: &Row, quiet: &Row) -> f64 {
    row.honest_p99_ms / quiet.honest_p99_ms.max(FLOOR)
}

fn print(rows: &[Row]) {
    let quiet = rows.iter().find(|row| row.attack == QUIET);
    println!(
        "{:<22} {:>10} {:>9} {:>9} {:>7} {:>6} {:>22} {:>16} {:>5}",
        "attack", "attempts", "p50 ms", "p99 ms", "ratio", "failed", "hub lost, wei", "hub gas, wei", "MiB"
    );
    for row in rows {
        let slower = quiet.map_or(0.0, |quiet| ratio(row, quiet));
        println!(
            "{:<22} {:>10} {:>9.1} {:>9.1} {slower:>6.1}{} {:>6} {:>22} {:>16} {:>5}",
            row.attack,
            row.attempts,
            row.honest_p50_ms,
            row.honest_p99_ms,
            if slower > AIM { "!" } else { " " },
            row.honest_failed,
            row.hub_lost_wei,
            row.hub_gas_wei,
            row.rss_mib
        );
        if !row.note.is_empty() {
            ui::note(&row.note);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(attack: &str) -> Row {
        Row {
            attack: attack.into(),
            seed: 7,
            attempts: 5,
            honest_payments: 8,
            honest_p50_ms: 3.0,
            honest_p99_ms: 9.0,
            honest_failed: 0,
            honest_lost_wei: "0".into(),
            newcomers_failed: 0,
            hub_lost_wei: "-1000".into(),
            hub_gas_wei: "12".into(),
            hub_died: false,
            rss_mib: 90,
            note: String::new(),
        }
    }

    fn failed(change: impl FnOnce(&mut Row)) -> u64 {
        let mut changed = row("flood");
        change(&mut changed);
        judge(&[row(QUIET), changed]).failed
    }

    #[test]
    fn each_aim_that_is_missed_fails() {
        assert_eq!(failed(|_| {}), 0);
        assert_eq!(failed(|row| row.attempts = 0), 1);
        assert_eq!(failed(|row| row.honest_payments = 0), 1);
        assert_eq!(failed(|row| row.honest_failed = 1), 1);
        assert_eq!(failed(|row| row.newcomers_failed = 1), 1);
        assert_eq!(failed(|row| row.honest_lost_wei = "1".into()), 1);
        assert_eq!(failed(|row| row.hub_lost_wei = "1".into()), 1);
        assert_eq!(failed(|row| row.hub_lost_wei = "many".into()), 1);
        assert_eq!(failed(|row| row.hub_died = true), 1);
        assert_eq!(failed(|row| row.rss_mib = 256), 1);
    }

    #[test]
    fn times_fail_only_where_something_stands_still() {
        assert_eq!(failed(|row| row.honest_p99_ms = 4_999.0), 0);
        assert_eq!(failed(|row| row.honest_p99_ms = 5_001.0), 1);
    }

    #[test]
    fn a_run_that_shows_nothing_fails() {
        assert_eq!(judge(&[]).failed, 1);
        assert_eq!(judge(&[row("flood")]).failed, 1);
        assert_eq!(judge(&[row(QUIET)]).failed, 1);
    }
}
