//! Contract mutants: each breaks one rule of the Solidity on purpose, and the
//! test that it names must fail. A rule that nobody defends is found this way.
//!
//! Compiling the contract for each of them takes longer than everything else. So the whole test tries a sample, another
//! one for each commit, and `cargo xtask test --only mutants` all of them, unless `contracts/mutants/caught.lock` says
//! that they were caught with the very files that there are; it writes that file.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::{Tally, steps};
use crate::{contracts, paths, process, ui};

/// Each has a copy of `contracts/` and a compiler of 300 MB.
const MOST_WORKERS: usize = 4;

/// How many are tried in the whole test, and where nothing has changed.
const SAMPLE: usize = 4;

/// The files with which all were caught, by their git hash.
const LOCK: &str = "contracts/mutants/caught.lock";

/// One file of `contracts/mutants/`, or one element of a list in such a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    /// The rule of docs/protocol.md that it breaks.
    rule: String,
    /// The source, relative to `contracts/`.
    file: String,
    /// What stands there, once.
    find: String,
    /// What it becomes.
    replace: String,
    /// The test that must fail.
    caught_by: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Mutants {
    Many(Vec<Mutant>),
    One(Mutant),
}

/// Tries all, or some if all were caught before.
pub(crate) fn run() -> Result<Tally> {
    try_them(true)
}

/// Tries some.
pub(crate) fn run_some() -> Result<Tally> {
    try_them(false)
}

/// Applies each to a copy of `contracts/`.
fn try_them(wanted: bool) -> Result<Tally> {
    let mut mutants = load()?;
    if mutants.is_empty() {
        bail!("MISSING: contracts/mutants/*.json");
    }
    let files = hashes()?;
    let lock = paths::at(LOCK);
    let known = lock.is_file().then(|| paths::read(&lock)).transpose()?;
    let caught = known.as_deref() == Some(files.as_str());
    let all = wanted && !caught;
    if !all {
        let count = mutants.len();
        sample(&mut mutants)?;
        let why = if caught { "all were caught with these very files" } else { "not all were tried with these files" };
        ui::note(&format!("{why} ({LOCK}); trying {} of {count}", mutants.len()));
    }
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_WORKERS);
    let next = AtomicUsize::new(0);
    let next = &next;
    let mutants = mutants.as_slice();
    let found = thread::scope(|scope| {
        let started: Vec<_> = (0..workers).map(|worker| scope.spawn(move || work(worker, mutants, next))).collect();
        started.into_iter().map(join).collect::<Result<Vec<Tally>>>()
    })?;
    let mut tally = Tally::default();
    found.into_iter().for_each(|part| tally.add(part));
    if all && tally.failed == 0 {
        paths::write(&lock, files)?;
        ui::note(&format!("{LOCK} is written: commit it"));
    }
    Ok(tally)
}

/// What decides whether a mutant is caught, each file with its hash.
fn hashes() -> Result<String> {
    let root = paths::at("contracts");
    let mut files = Vec::new();
    for part in ["src", "test", "mutants"] {
        files.extend(paths::walk(&root.join(part), &[])?);
    }
    files.extend(paths::walk(&paths::at("vectors"), &[])?);
    files.extend([root.join("foundry.toml"), root.join("package-lock.json")]);
    files.retain(|file| file.extension().is_some_and(|extension| extension != "lock"));
    let output = process::capture(process::command("git").args(["hash-object", "--no-filters"]).args(&files))?;
    let named: BTreeMap<String, &str> = files.iter().map(|file| paths::shown(file)).zip(output.lines()).collect();
    Ok(named.into_iter().map(|(file, hash)| format!("{hash} {file}\n")).collect())
}

/// Keeps some, which the newest commit chooses.
fn sample(mutants: &mut Vec<Mutant>) -> Result<()> {
    let start = super::chance()?.checked_rem(mutants.len()).unwrap_or_default();
    mutants.rotate_left(start);
    mutants.truncate(SAMPLE);
    Ok(())
}

/// Takes the next mutant as long as there is one, in a copy of its own.
fn work(worker: usize, mutants: &[Mutant], next: &AtomicUsize) -> Result<Tally> {
    let copy = paths::out(&format!("mutants/{worker}/contracts"));
    prepare(&copy)?;
    let mut tally = Tally::default();
    while let Some(mutant) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
        let outcome = try_one(mutant, &copy, worker).unwrap_or_else(|error| Tally::failure(format!("{error:#}")));
        let verdict = if outcome.failed == 0 { "caught" } else { "NOT CAUGHT" };
        ui::note(&format!("{} {}: {verdict} by {}", mutant.rule, mutant.file, mutant.caught_by));
        let failures =
            outcome.failures.iter().map(|why| format!("{} in {}: {why}", mutant.rule, mutant.file)).collect();
        tally.add(Tally { failures, ..outcome });
    }
    Ok(tally)
}

fn join(worker: ScopedJoinHandle<'_, Result<Tally>>) -> Result<Tally> {
    worker.join().unwrap_or_else(|_| bail!("a worker panicked"))
}

fn load() -> Result<Vec<Mutant>> {
    let mut mutants = Vec::new();
    for path in paths::list(&paths::at("contracts/mutants"))? {
        if path.extension().is_some_and(|extension| extension == "json") {
            let parsed = serde_json::from_str(&paths::read(&path)?);
            match parsed.with_context(|| format!("{} is not a mutant", paths::shown(&path)))? {
                Mutants::Many(many) => mutants.extend(many),
                Mutants::One(one) => mutants.push(one),
            }
        }
    }
    Ok(mutants)
}

/// A copy without what was compiled: mutants are compiled with other settings.
fn prepare(copy: &Path) -> Result<()> {
    paths::remove(copy)?;
    paths::copy_tree(&paths::at("contracts"), copy, &["node_modules", "mutants", "out", "cache"])?;
    link(&paths::at("contracts/node_modules"), &copy.join("node_modules"))?;
    // Tests read ../vectors.
    let vectors = copy.with_file_name("vectors");
    paths::remove(&vectors)?;
    paths::copy_tree(&paths::at("vectors"), &vectors, &[])
}

fn try_one(mutant: &Mutant, copy: &Path, worker: usize) -> Result<Tally> {
    let path = copy.join(&mutant.file);
    let original = paths::read(&path)?;
    let places = original.matches(&mutant.find).count();
    if places != 1 {
        bail!("the text to be replaced stands there {places} times, not once");
    }
    let test = find_test(&mutant.caught_by, copy)?;
    paths::write(&path, original.replace(&mutant.find, &mutant.replace))?;
    let verdict = judge(mutant, &test, copy, worker);
    paths::write(&path, original)?;
    verdict
}

fn judge(mutant: &Mutant, test: &Path, copy: &Path, worker: usize) -> Result<Tally> {
    let name = format!("^{}\\(", mutant.caught_by);
    let mut forge = contracts::forge(&["test", "--match-test", &name, "--match-path"])?;
    forge.arg(test.strip_prefix(copy)?).current_dir(copy);
    // Tests deploy the contract instead of containing it: half the compiling.
    forge.env("FOUNDRY_DYNAMIC_TEST_LINKING", "true");
    // No compiler advice on what is broken on purpose.
    forge.env("FOUNDRY_LINT_LINT_ON_BUILD", "false").env("FORGE_SNAPSHOT_CHECK", "false");
    let run = steps::watch(&format!("contracts mutants {worker}"), &mut forge)?;
    if run.ok {
        return Ok(Tally::failure(format!("{} still passes", mutant.caught_by)));
    }
    if !run.output.lines().any(|line| line.trim_start().starts_with("[FAIL")) {
        return Ok(Tally::failure(format!("it does not compile, or the test did not run\n{}", run.tail(20))));
    }
    Ok(Tally::one())
}

/// Compiling only the test's own file is what makes a mutant cheap.
fn find_test(name: &str, copy: &Path) -> Result<PathBuf> {
    let declaration = format!("function {name}(");
    for path in paths::walk(&copy.join("test"), &[])? {
        if path.extension().is_some_and(|extension| extension == "sol") && paths::read(&path)?.contains(&declaration) {
            return Ok(path);
        }
    }
    bail!("there is no test {name}")
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) -> Result<()> {
    Ok(std::os::unix::fs::symlink(from, to)?)
}

#[cfg(not(unix))]
fn link(from: &Path, to: &Path) -> Result<()> {
    paths::copy_tree(from, to, &[])
}
