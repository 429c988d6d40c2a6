//! `cargo xtask test`: every test there is, one step after the other; beside those that wait most of the time run those
//! that only compute.
//!
//! A step that fails does not stop the others. Failures are told at the end,
//! and the very last line is `N passed, N failed`.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::{process, ui};

mod abuse;
mod adversary;
mod counts;
mod crash;
mod kills;
mod model;
mod mutants;
mod second;
mod steps;

/// Options of `test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A short model test and no contract mutants, for a run between two edits
    #[arg(long)]
    quick: bool,
    /// Only the steps whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// What a step found.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// What failed, in lines.
    pub(crate) failures: Vec<String>,
}

impl Tally {
    /// A step that is one check, and holds.
    pub(crate) fn one() -> Self {
        Self { passed: 1, ..Self::default() }
    }

    /// A step that failed as a whole.
    pub(crate) fn failure(why: impl Into<String>) -> Self {
        Self { failed: 1, failures: vec![why.into()], ..Self::default() }
    }

    /// Takes another tally in.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed = self.passed.saturating_add(other.passed);
        self.failed = self.failed.saturating_add(other.failed);
        self.failures.extend(other.failures);
    }
}

/// Runs the steps and sums up.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let started = Instant::now();
    let mut steps = steps::all(args.quick, args.only.is_some());
    if let Some(text) = &args.only {
        steps.retain(|step| step.name.contains(text.as_str()));
        if steps.is_empty() {
            anyhow::bail!("no step's name contains {text:?}");
        }
    }
    let count = steps.len();
    let steps: Vec<_> = steps.into_iter().enumerate().map(|(index, step)| (index.saturating_add(1), step)).collect();
    let mut total = Tally::default();
    let mut rest = steps;
    // What was asked for by name may want what another step leaves.
    let lanes = if args.only.is_none() { steps::BESIDE.as_slice() } else { &[] };
    for (names, until) in lanes {
        let is_one = |step: &steps::Step| names.contains(&step.name);
        let (before, others) = split(rest, is_one);
        let (these, after) = split(others, |step| step.name == *until);
        let (beside, these): (Vec<_>, Vec<_>) = these.into_iter().partition(|(_, step)| is_one(step));
        total.add(follow(before, count));
        thread::scope(|scope| {
            let beside = scope.spawn(|| follow(beside, count));
            total.add(follow(these, count));
            total.add(beside.join().unwrap_or_else(|_| Tally::failure("a step panicked")));
        });
        rest = after;
    }
    total.add(follow(rest, count));
    for failure in &total.failures {
        println!("FAILED {failure}");
    }
    println!("in {}", ui::seconds(started.elapsed()));
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

type Numbered = Vec<(usize, steps::Step)>;

/// The steps before the first one like this, and the others.
fn split(mut steps: Numbered, like: impl Fn(&steps::Step) -> bool) -> (Numbered, Numbered) {
    let at = steps.iter().position(|(_, step)| like(step)).unwrap_or(steps.len());
    let rest = steps.split_off(at);
    (steps, rest)
}

/// Runs steps one after the other.
fn follow(steps: Numbered, count: usize) -> Tally {
    let mut total = Tally::default();
    for (number, step) in steps {
        ui::step(&format!("[{number}/{count}] {}", step.name));
        let began = Instant::now();
        let tally = (step.run)().unwrap_or_else(|error| Tally::failure(format!("{error:#}")));
        println!("{}", summary(step.name, &tally, began.elapsed()));
        let failures = tally.failures.iter().map(|failure| format!("{}: {failure}", step.name)).collect();
        total.add(Tally { failures, ..tally });
    }
    total
}

fn summary(name: &str, tally: &Tally, time: Duration) -> String {
    let verdict = if tally.failed == 0 { "ok" } else { "FAILED" };
    let dots = ".".repeat(34_usize.saturating_sub(name.len()));
    format!("{name} {dots} {verdict:<6} {:>6} passed {:>4} failed {:>9}", tally.passed, tally.failed, ui::seconds(time))
}

/// A number that the newest commit chooses: what is too slow to be done whole is done another part of each time.
fn chance() -> Result<usize> {
    let head = process::capture(process::command("git").args(["rev-parse", "HEAD"]))?;
    Ok(head.get(..8).and_then(|digits| usize::from_str_radix(digits, 16).ok()).unwrap_or_default())
}
