//! `cargo xtask demo`: builds everything, then lets `js-tests/demo/demo.mjs`
//! tell the story; with `--exit`, `js-tests/demo/exit.mjs` another one.

use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result, bail};

use crate::stage::{self, Hub};
use crate::{contracts, paths, pkg, ui};

/// Options of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave chain and hub running, and print their addresses and keys
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
    let packed = build()?;
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

/// All there is to build. The Solidity compiler works on one core, and cargo mostly on all, so both work at once.
fn build() -> Result<pkg::Packed> {
    thread::scope(|scope| {
        let contracts = scope.spawn(contracts::build);
        Hub::Dev.build()?;
        let packed = pkg::build()?;
        stage::install(&packed.tgz)?;
        contracts.join().unwrap_or_else(|_| bail!("compiling the contracts panicked"))?;
        Ok(packed)
    })
}
