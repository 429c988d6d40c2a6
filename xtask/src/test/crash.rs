//! The crash matrix: every participant of a scenario is killed before and after all that it does, stores fail and
//! come back damaged or old. Nothing may be lost, and `docs/crash-matrix.md` has to be what comes of it.
//!
//! The program writes `target/crash.json`: `{"runs": 1800, "wei_lost": "0", "failures": 0, "flipped_bits": 10000,
//! "flipped_bits_unnoticed": 0}`.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::{Tally, model, steps};
use crate::{paths, process, ui};

const CRASH: &str = "tests/crash/src/main.rs";

#[derive(Debug, Deserialize)]
struct Report {
    runs: u64,
    wei_lost: String,
    failures: u64,
    flipped_bits: u64,
    flipped_bits_unnoticed: u64,
}

/// Runs it and reads its report.
pub(crate) fn run() -> Result<Tally> {
    if !paths::at(CRASH).is_file() {
        bail!("MISSING: {CRASH}");
    }
    let file = paths::out("crash.json");
    paths::remove(&file)?;
    let mut crash = process::gently(&model::build("crash")?);
    let run = steps::watch("crash matrix", crash.args(["--check", "--out"]).arg(&file))?;
    if !run.ok {
        return Ok(Tally::failure(format!("\n{}", run.tail(40))));
    }
    let text = paths::read(&file)?;
    let report: Report = serde_json::from_str(&text).context("target/crash.json is not the report it should be")?;
    Ok(judge(&report))
}

fn judge(report: &Report) -> Tally {
    let mut tally = Tally::default();
    if report.runs == 0 || report.flipped_bits == 0 {
        tally.add(Tally::failure("nobody was killed, or no store was damaged: nothing is shown"));
    }
    if report.wei_lost != "0" || report.failures > 0 || report.flipped_bits_unnoticed > 0 {
        tally.add(Tally::failure(format!("{} wei were lost, {} failures", report.wei_lost, report.failures)));
    } else {
        tally.passed = report.runs;
    }
    ui::note(&format!("{} crashes, {} flipped bits", ui::thousands(report.runs), ui::thousands(report.flipped_bits)));
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(runs: u64, wei_lost: &str, failures: u64, unnoticed: u64) -> (u64, u64) {
        let wei_lost = wei_lost.to_owned();
        let tally = judge(&Report { runs, wei_lost, failures, flipped_bits: 9, flipped_bits_unnoticed: unnoticed });
        (tally.passed, tally.failed)
    }

    #[test]
    fn a_loss_a_failure_and_damage_that_nobody_notices_each_fail() {
        assert_eq!(counted(5, "0", 0, 0), (5, 0));
        assert_eq!(counted(5, "1", 0, 0), (0, 1));
        assert_eq!(counted(5, "0", 1, 0), (0, 1));
        assert_eq!(counted(5, "0", 0, 1), (0, 1));
        assert_eq!(counted(0, "0", 0, 0), (0, 1));
    }
}
