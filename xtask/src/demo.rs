//! `cargo xtask demo`: builds everything, then lets `js-tests/demo/demo.mjs`
//! tell the story; with `--exit`, `js-tests/demo/exit.mjs` another one.

use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result, bail};

use crate::stage::{self, Hub};
use crate::tools::{chromium, node, npm, wasm_bindgen};
use crate::{contracts, paths, pkg, ui};

/// Options of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave chain, hub, wallet page and magazines running, and print what to open
    #[arg(long)]
    keep: bool,
    /// Leave without the hub: its process ends, its database is deleted, and the money comes home
    #[arg(long, conflicts_with = "keep")]
    exit: bool,
}

/// Relative to `js-tests/`.
const PAYMENTS: &str = "demo/demo.mjs";
const EXIT: &str = "demo/exit.mjs";

/// Builds and runs; the exit code is the script's.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let name = if args.exit { EXIT } else { PAYMENTS };
    let script = paths::at("js-tests").join(name);
    if !script.is_file() {
        bail!("{} is missing", paths::shown(&script));
    }
    let packed = build(!args.exit)?;
    let mut node = stage::node_command(Hub::Dev, &packed.tgz, !args.exit)?;
    node.arg(name);
    if args.keep {
        node.arg("--keep");
    }
    ui::step("demo");
    let status = node.status().context("cannot start Node")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// All there is to build. The Solidity compiler works on one core, cargo mostly on all, and what comes over the network
/// on none, so all of it goes on at once.
fn build(browser: bool) -> Result<pkg::Packed> {
    thread::scope(|scope| {
        let contracts = scope.spawn(contracts::build);
        let tools = scope.spawn(|| fetch(browser));
        Hub::Dev.build()?;
        // Before the package, which may install a Rust target: nothing compiles meanwhile.
        tools.join().unwrap_or_else(|_| bail!("fetching the tools panicked"))?;
        // Before the package too, which takes bytecode along.
        contracts.join().unwrap_or_else(|_| bail!("compiling the contracts panicked"))?;
        let packed = pkg::build()?;
        stage::install(&packed.tgz)?;
        Ok(packed)
    })
}

/// What package and story need that is not ours.
fn fetch(browser: bool) -> Result<()> {
    node::node()?;
    npm::ensure(&paths::at("js-tests"))?;
    if browser {
        npm::ensure(&paths::at("www-demo"))?;
        chromium::ensure()?;
    }
    wasm_bindgen::ensure().map(drop)
}
