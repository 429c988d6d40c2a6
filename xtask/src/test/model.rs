//! The model test: random schedules of payments, crashes and cheating against
//! the protocol code, then the same with one rule switched off at a time.
//! Not one wei may be lost, and every mutant must be found.
//!
//! The program writes `target/model.json`:
//! `{"schedules": 100000, "wei_lost": "0", "mutants": [{"rule": 3, "name": "…", "found_after": 17}]}`,
//! where `found_after` is how many schedules it took to find the mutant, or null.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use super::{Tally, steps};
use crate::{paths, process, ui};

const MODEL: &str = "tests/model/src/main.rs";

#[derive(Debug, Deserialize)]
struct Report {
    schedules: u64,
    wei_lost: Value,
    mutants: Vec<Mutant>,
}

#[derive(Debug, Deserialize)]
struct Mutant {
    rule: u64,
    name: String,
    found_after: Option<u64>,
}

/// Runs it and reads its report.
pub(crate) fn run(schedules: u64) -> Result<Tally> {
    if !paths::at(MODEL).is_file() {
        bail!("MISSING: {MODEL}");
    }
    let file = paths::out("model.json");
    paths::remove(&file)?;
    let count = schedules.to_string();
    let mut model = process::gently(&build("model")?);
    // A fiftieth of the schedules is replayed against the contract's own bytecode.
    let evm = (schedules / 50).to_string();
    model
        .args(["--schedules", &count, "--evm", &evm, "--mutants", "60000", "--out"])
        .arg(&file)
        .arg("--adversary")
        .arg(paths::out("adversary.json"));
    let run = steps::watch("model", &mut model)?;
    if !run.ok {
        return Ok(Tally::failure(format!("\n{}", run.tail(40))));
    }
    let text = paths::read(&file)?;
    let report: Report = serde_json::from_str(&text).context("target/model.json is not the report it should be")?;
    Ok(judge(&report, schedules))
}

/// Compiles the model and the crash matrix, both at once: alone the matrix would have the protocol compiled again, with
/// other features of what that stands on. Returns the program of this name.
pub(super) fn build(program: &str) -> Result<PathBuf> {
    let packages = ["--package", "farthing-model", "--package", "farthing-crash"];
    let mut cargo = process::cargo(&["build", "--release", "--bins", "--features", "farthing-model/mutants"]);
    let built = steps::watch("model build", cargo.args(packages))?;
    if !built.ok {
        bail!("the model does not compile\n{}", built.tail(20));
    }
    Ok(paths::cargo_target().join("release").join(paths::exe(program)))
}

fn judge(report: &Report, wanted: u64) -> Tally {
    let mut tally = Tally::default();
    let lossless = report.wei_lost == 0 || report.wei_lost == "0";
    tally.add(if lossless { Tally::one() } else { Tally::failure(format!("{} wei were lost", report.wei_lost)) });
    if report.schedules < wanted {
        tally.add(Tally::failure(format!("{} schedules were run, {wanted} asked for", report.schedules)));
    }
    if report.mutants.is_empty() {
        tally.add(Tally::failure("no mutant was run: nothing shows that the model would notice"));
    }
    for mutant in &report.mutants {
        tally.add(match mutant.found_after {
            Some(_) => Tally::one(),
            None => Tally::failure(format!("nobody notices rule {} switched off: {}", mutant.rule, mutant.name)),
        });
    }
    ui::note(&format!("{} schedules, {} mutants", ui::thousands(report.schedules), report.mutants.len()));
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(json: &str) -> Result<(u64, u64)> {
        let tally = judge(&serde_json::from_str(json)?, 100);
        Ok((tally.passed, tally.failed))
    }

    #[test]
    fn a_loss_a_shortfall_and_an_uncaught_mutant_each_fail() -> Result<()> {
        let caught = r#""mutants": [{"rule": 1, "name": "unsigned", "found_after": 3}]"#;
        assert_eq!(counted(&format!(r#"{{"schedules": 100, "wei_lost": "0", {caught}}}"#))?, (2, 0));
        assert_eq!(counted(&format!(r#"{{"schedules": 100, "wei_lost": "1", {caught}}}"#))?, (1, 1));
        assert_eq!(counted(&format!(r#"{{"schedules": 99, "wei_lost": 0, {caught}}}"#))?, (2, 1));
        assert_eq!(counted(r#"{"schedules": 100, "wei_lost": 0, "mutants": []}"#)?, (1, 1));
        assert_eq!(
            counted(
                r#"{"schedules": 100, "wei_lost": 0, "mutants": [{"rule": 1, "name": "unsigned", "found_after": null}]}"#
            )?,
            (1, 1)
        );
        Ok(())
    }
}
