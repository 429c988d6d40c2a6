//! The steps, in their order: what is quick and likely to fail comes first,
//! what needs the results of others comes after them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::counts::Runner;
use super::{Tally, abuse, adversary, crash, kills, model, mutants, second};
use crate::process::{self, Watched};
use crate::stage::{self, Hub};
use crate::tools::{firefox, node, npm, rust};
use crate::{contracts, docs, paths, pkg, vectors};

/// A part of the whole test.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) run: fn() -> Result<Tally>,
}

/// Schedules of the model test.
const SCHEDULES: u64 = 100_000;
const QUICK_SCHEDULES: u64 = 2_000;

/// The contract tests that pin gas and size, and what they pin.
const GAS_TESTS: &str = "test/Gas*";
const GAS_SNAPSHOTS: &str = "contracts/snapshots";

/// Tests of the package in Node that ask no EVM node, so that another one changes nothing.
const NODELESS: [&str; 11] = [
    "arguments.test.mjs",
    "codes.test.mjs",
    "codes-loading.test.mjs",
    "fetch.test.mjs",
    "fetch-budget.test.mjs",
    "fetch-lost.test.mjs",
    "fetch-metered.test.mjs",
    "paying.test.mjs",
    "stores.test.mjs",
    "types.test.mjs",
    "units.test.mjs",
];

/// Those that are run on Hardhat's node each time: they send every kind of transaction, and read logs and receipts.
const HARDHAT: [&str; 8] = [
    "credit.test.mjs",
    "dust.test.mjs",
    "exit.test.mjs",
    "later.test.mjs",
    "payments.test.mjs",
    "restore.test.mjs",
    "rounds.test.mjs",
    "watch.test.mjs",
];

/// How many files of a folder are tried at once. Node's runner takes one less than there are cores, so one where there are
/// two; but most tests wait for blocks, timers and each other most of the time. Each file has a chain, a hub and ports of
/// its own. Browsers work more. What counts time, kills, has no
/// second chance, or takes ports that it is known by is not named here.
const AT_ONCE: [(&str, &str); 5] = [
    ("package in Node", "3"),
    ("package on Hardhat", "3"),
    ("package in Chromium", "2"),
    ("pages in Chromium", "2"),
    ("RPC faults", "2"),
];

/// Steps that run one after the other, but beside those that follow them, up to the one that is named: Solidity's compiler
/// has one thread; what only computes leaves room beside steps that wait for blocks, timers and other processes. From
/// browsers on nothing runs beside another: they take what there is, and the last steps count time.
pub(crate) const BESIDE: [(&[&str], &str); 2] = [
    (&["contracts build", "contracts test", "contracts gas"], "rust test"),
    (&["contracts mutants", "model", "crash matrix"], "package in Chromium"),
];

/// All steps of a full or a quick run. Of what takes longest a run that was asked for by name does more.
pub(crate) fn all(quick: bool, named: bool) -> Vec<Step> {
    let mut steps = vec![
        Step { name: "format", run: format },
        Step { name: "lockfiles", run: lockfiles },
        Step { name: "contracts build", run: contracts_build },
        Step { name: "contracts test", run: contracts_test },
        Step { name: "contracts gas", run: contracts_gas },
        Step { name: "clippy", run: clippy },
        Step { name: "clippy for wasm", run: clippy_wasm },
        Step { name: "rust test", run: rust_test },
        Step { name: "rust documentation test", run: rust_doc_test },
        Step { name: "vectors", run: vectors_check },
    ];
    if !quick {
        let run = if named { mutants::run } else { mutants::run_some };
        steps.push(Step { name: "contracts mutants", run });
    }
    let model: fn() -> Result<Tally> = if quick { || model::run(QUICK_SCHEDULES) } else { || model::run(SCHEDULES) };
    steps.extend([
        Step { name: "model", run: model },
        Step { name: "crash matrix", run: crash::run },
        Step { name: "package build", run: package_build },
        Step { name: "package in Node", run: package_node },
        Step { name: "quick start", run: quick_start },
        Step { name: "documentation", run: documentation },
        Step { name: "paywall", run: paywall },
        Step { name: "package in Chromium", run: package_chromium },
        Step { name: "packaging", run: if named && !quick { packaging } else { packaging_quick } },
        Step { name: "vectors in JavaScript", run: vectors_javascript },
        Step { name: "pages", run: pages },
        Step { name: "pages in Chromium", run: pages_chromium },
    ]);
    if !quick {
        let run: fn() -> Result<Tally> =
            if named { || package_hardhat(|_| true) } else { || package_hardhat(|test| is_one_of(test, &HARDHAT)) };
        steps.push(Step { name: "package on Hardhat", run });
        steps.push(Step { name: "package in Firefox", run: package_firefox });
        steps.push(Step { name: "RPC faults", run: rpc_faults });
        steps.push(Step { name: "adversaries", run: adversary::run });
        steps.push(Step { name: "abuse", run: if named { abuse::run } else { abuse::run_some } });
        steps.push(Step { name: "kills", run: kills::run });
    }
    steps
}

/// Runs a command of a step with its output in `target/xtask/<name>.log`.
pub(crate) fn watch(name: &str, command: &mut Command) -> Result<Watched> {
    process::watch(command, &paths::out(&format!("xtask/{}.log", name.replace(' ', "-"))))
}

/// A command that is one check.
fn check(name: &str, command: &mut Command) -> Result<Tally> {
    let run = watch(name, command)?;
    Ok(if run.ok { Tally::one() } else { Tally::failure(format!("\n{}", run.tail(60))) })
}

/// The loud line for a part that does not exist.
fn missing(what: &str) -> Tally {
    Tally::failure(format!("MISSING: {what}"))
}

fn format() -> Result<Tally> {
    rust::ensure_components()?;
    check("format", &mut process::cargo(&["fmt", "--all", "--", "--check", "--color=never"]))
}

/// An address in a lockfile works only where that address does.
fn lockfiles() -> Result<Tally> {
    let mut tally = Tally::default();
    for lock in [
        "contracts/package-lock.json",
        "docs/site/package-lock.json",
        "js-tests/package-lock.json",
        "js-tests/packaging/package-lock.json",
        "js-tests/packaging/walletconnect/package-lock.json",
        "js-tests/bench/peers/package-lock.json",
        "www-demo/package-lock.json",
        "xtask/tools/package-lock.json",
    ] {
        let path = paths::at(lock);
        tally.add(if !path.is_file() {
            missing(lock)
        } else if npm::addresses(&path)?.is_empty() {
            Tally::one()
        } else {
            Tally::failure(format!(
                "{lock} has `resolved` addresses: add omit-lockfile-registry-resolved=true to .npmrc there"
            ))
        });
    }
    Ok(tally)
}

fn clippy() -> Result<Tally> {
    let args = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    check("clippy", &mut process::cargo(&args))
}

fn clippy_wasm() -> Result<Tally> {
    if paths::locked_version("farthing")?.is_none() {
        return Ok(missing("the root package `farthing`"));
    }
    rust::ensure_wasm()?;
    let mut cargo =
        process::cargo(&["clippy", "--package", "farthing", "--target", rust::WASM, "--", "-D", "warnings"]);
    // RUSTFLAGS would replace what .cargo/config.toml sets for wasm.
    check("clippy for wasm", cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS"))
}

/// Also writes the artifacts that later steps read.
fn contracts_build() -> Result<Tally> {
    let mut tally = check("contracts build", &mut contracts::forge(&["build"])?)?;
    if tally.failed == 0 {
        contracts::write_artifacts()?;
    }
    tally.add(check("contracts format", &mut contracts::forge(&["fmt", "--check"])?)?);
    Ok(tally)
}

fn contracts_test() -> Result<Tally> {
    let run = watch("contracts test", &mut contracts::forge(&["test", "--no-match-path", GAS_TESTS])?)?;
    Ok(some(Runner::Forge.tally(&run), "a test in contracts/test"))
}

/// forge compares with the snapshots, but takes one that is missing for new:
/// so nothing in their folder may change.
fn contracts_gas() -> Result<Tally> {
    let folder = paths::at(GAS_SNAPSHOTS);
    let before = contents(&folder)?;
    if before.is_empty() {
        return Ok(missing(&format!("{GAS_SNAPSHOTS}/*.json, written by contracts/{GAS_TESTS}")));
    }
    let mut forge = contracts::forge(&["test", "--match-path", GAS_TESTS])?;
    let run = watch("contracts gas", forge.env("FORGE_SNAPSHOT_CHECK", "true"))?;
    let mut tally = some(Runner::Forge.tally(&run), GAS_TESTS);
    if contents(&folder)? != before {
        tally.add(Tally::failure(format!("{GAS_SNAPSHOTS} changed: look at `git diff` and commit it if it is meant")));
    }
    Ok(tally)
}

fn contents(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    paths::list(folder)?.into_iter().map(|path| Ok((path.clone(), std::fs::read(&path)?))).collect()
}

fn rust_test() -> Result<Tally> {
    let nextest = process::probe(&mut process::cargo(&["nextest", "--version"])).is_some();
    let (runner, args): (_, &[&str]) = if nextest {
        (Runner::Nextest, &["nextest", "run", "--workspace", "--no-fail-fast", "--no-tests=pass"])
    } else {
        (Runner::Cargo, &["test", "--workspace", "--no-fail-fast", "--all-targets"])
    };
    let mut cargo = process::cargo(args);
    if nextest && second::is_given("rust test") {
        // As `second` does it; nextest calls a test that passed then "flaky".
        cargo.args(["--retries", "1"]);
    }
    stage::set_chain(&mut cargo)?;
    let run = watch("rust test", &mut cargo)?;
    Ok(some(runner.tally(&run), "a Rust test"))
}

fn rust_doc_test() -> Result<Tally> {
    let run =
        watch("rust documentation test", &mut process::cargo(&["test", "--workspace", "--doc", "--no-fail-fast"]))?;
    Ok(Runner::Cargo.tally(&run))
}

fn vectors_check() -> Result<Tally> {
    if !paths::at(vectors::GENERATOR).is_file() {
        return Ok(missing(vectors::GENERATOR));
    }
    vectors::compare(&vectors::generate()?)?;
    Ok(Tally::one())
}

fn package_build() -> Result<Tally> {
    pkg::build()?;
    Ok(Tally::one())
}

fn package_node() -> Result<Tally> {
    node_test("package in Node", "node", false, |_| {})
}

/// What README and quick start say, done as they say it, from an empty folder and with packages alone.
fn quick_start() -> Result<Tally> {
    npm::ensure(&paths::at("contracts"))?;
    let hub = watch("hub build", &mut Hub::Dev.cargo())?;
    if !hub.ok {
        bail!("the hub does not compile\n{}", hub.tail(20));
    }
    let [wrapper, native] = pkg::hub::pack_here(Hub::Dev)?;
    node_test("quick start", "quick", true, |node| {
        node.env("FARTHING_PKG_HUB_TGZ", wrapper).env("FARTHING_PKG_HUB_NATIVE_TGZ", native);
    })
}

/// The pages, their code, their links, and how they look.
fn documentation() -> Result<Tally> {
    docs::ensure()?;
    node_test("documentation", "docs", true, |node| {
        // Each file starts programs that take both cores.
        node.arg("--test-concurrency=1");
    })
}

/// A site's side of paying for content, in server processes that are killed, over SQLite and PostgreSQL.
fn paywall() -> Result<Tally> {
    node_test("paywall", "paywall", false, |_| {})
}

/// The same on another EVM node.
fn package_hardhat(wanted: fn(&Path) -> bool) -> Result<Tally> {
    let wanted = |test: &Path| wanted(test) && !is_one_of(test, &NODELESS);
    node_tests("package on Hardhat", "node", false, wanted, |node| {
        node.env("FARTHING_NODE", "hardhat");
    })
}

fn is_one_of(test: &Path, names: &[&str]) -> bool {
    names.iter().any(|name| test.ends_with(name))
}

fn package_chromium() -> Result<Tally> {
    node_test("package in Chromium", "browser", true, |_| {})
}

/// The packed package in the tools that strangers have: bundlers, test runners, other runtimes, compilers.
fn packaging() -> Result<Tally> {
    npm::ensure(&paths::at("js-tests/packaging/walletconnect"))?;
    packaging_with("whole")
}

/// Without the bundlers that take longest.
fn packaging_quick() -> Result<Tally> {
    packaging_with("quick")
}

fn packaging_with(extent: &str) -> Result<Tally> {
    npm::ensure(&paths::at("js-tests/packaging"))?;
    node_test("packaging", "packaging", true, |node| {
        node.current_dir(paths::at("js-tests/packaging")).env("FARTHING_PACKAGING", extent);
        // Each file starts programs that take both cores.
        node.arg("--test-concurrency=1");
    })
}

/// Without a Firefox this fails: tabs and stores are promised there too.
fn package_firefox() -> Result<Tally> {
    let firefox = firefox::ensure()?;
    node_test("package in Firefox", "firefox", false, |node| {
        node.env("FIREFOX", firefox);
    })
}

/// Connect, deposit, pay, withdraw, close and exit through an RPC that fails in every way that we know of.
fn rpc_faults() -> Result<Tally> {
    node_test("RPC faults", "faults", false, |node| {
        node.env("FARTHING_REPORT", paths::out("faults.json"));
    })
}

fn vectors_javascript() -> Result<Tally> {
    node_test("vectors in JavaScript", "vectors", false, |_| {})
}

/// The types of wallet page and magazines, and what decides in them, without a browser.
fn pages() -> Result<Tally> {
    let folder = paths::at("www-demo");
    npm::ensure(&folder)?;
    let mut types = process::command(node::node()?);
    types.current_dir(&folder).args(["node_modules/typescript/bin/tsc", "--noEmit"]);
    let mut tally = check("pages types", &mut types)?;
    let tests: Vec<PathBuf> = ["wallet/test", "magazine/test"]
        .iter()
        .map(|tests| paths::list(&folder.join(tests)))
        .collect::<Result<Vec<_>>>()?
        .concat()
        .into_iter()
        .filter(|path| path.to_string_lossy().ends_with(".test.mjs"))
        .collect();
    let mut node = process::command(node::node()?);
    // Node 22 reads TypeScript only when it is told to; later ones do so by themselves.
    node.current_dir(&folder).args(["--experimental-strip-types", "--test", "--test-reporter=spec"]).args(&tests);
    let run = watch("pages", &mut node)?;
    tally.add(some(Runner::Node.tally(&run), "www-demo/*/test/*.test.mjs"));
    Ok(tally)
}

/// The wallet page and the magazines, as readers and adversaries use them.
fn pages_chromium() -> Result<Tally> {
    npm::ensure(&paths::at("www-demo"))?;
    node_test("pages in Chromium", "demo", true, |_| {})
}

/// The tests in a folder of `js-tests/`, against the packed package; `set` adds options and environment.
pub(crate) fn node_test(name: &str, folder: &str, browser: bool, set: impl FnOnce(&mut Command)) -> Result<Tally> {
    node_tests(name, folder, browser, |_| true, set)
}

/// Those that are `wanted`.
fn node_tests(
    name: &str,
    folder: &str,
    browser: bool,
    wanted: impl Fn(&Path) -> bool,
    set: impl FnOnce(&mut Command),
) -> Result<Tally> {
    let tests: Vec<PathBuf> = paths::list(&paths::at("js-tests").join(folder))?
        .into_iter()
        .filter(|path| path.to_string_lossy().ends_with(".test.mjs") && wanted(path))
        .collect();
    if tests.is_empty() {
        return Ok(missing(&format!("js-tests/{folder}/*.test.mjs")));
    }
    let tgz = packed()?;
    stage::install(&tgz)?;
    let hub = watch("hub build", &mut Hub::Dev.cargo())?;
    if !hub.ok {
        bail!("the hub does not compile\n{}", hub.tail(20));
    }
    let mut node = stage::node_command(Hub::Dev, &tgz, browser)?;
    // None takes a tenth of it; without it a test that hangs would hang the whole.
    node.args(["--test", "--test-reporter=spec", "--test-timeout=600000"]);
    if let Some((_, files)) = AT_ONCE.iter().find(|(step, _)| *step == name) {
        node.arg(format!("--test-concurrency={files}"));
    }
    set(&mut node);
    node.args(&tests);
    let run = watch(name, &mut node)?;
    let first = some(Runner::Node.tally(&run), name);
    if !second::is_given(name) {
        return Ok(first);
    }
    let failed = second::files(&run.output, &tests);
    Ok(second::tally(first, || {
        let mut again = (!failed.is_empty()).then(|| second::command(&node, &failed))?;
        watch(&format!("{name} again"), &mut again).ok().map(|run| Runner::Node.tally(&run))
    }))
}

/// The package that the build step made. When that failed there is none.
fn packed() -> Result<PathBuf> {
    let version = paths::locked_version("farthing")?.context("there is no package `farthing`")?;
    let tgz = paths::out(&format!("npm/farthing-{version}.tgz"));
    if !tgz.is_file() {
        bail!("there is no packed package: its build failed or was left out");
    }
    Ok(tgz)
}

/// A runner that finds nothing to run has not passed.
fn some(tally: Tally, what: &str) -> Tally {
    if tally.passed == 0 && tally.failed == 0 { missing(what) } else { tally }
}
