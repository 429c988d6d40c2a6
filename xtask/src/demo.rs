//! `cargo xtask demo`: builds everything, then lets `js-tests/demo/demo.mjs`
//! tell the story.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::stage::{self, Hub};
use crate::{contracts, paths, pkg, ui};

/// Options of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave chain and hub running, and print their addresses and keys
    #[arg(long)]
    keep: bool,
}

/// Relative to `js-tests/`.
const SCRIPT: &str = "demo/demo.mjs";

/// Builds and runs; the exit code is the script's.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let script = paths::at("js-tests").join(SCRIPT);
    if !script.is_file() {
        bail!("{} is missing", paths::shown(&script));
    }
    contracts::build()?;
    let packed = pkg::build()?;
    stage::install(&packed.tgz)?;
    Hub::Release.build()?;

    let mut node = stage::node_command(Hub::Release, &packed.tgz, true)?;
    node.arg(SCRIPT);
    if args.keep {
        node.arg("--keep");
    }
    ui::step("demo");
    let status = node.status().context("cannot start Node")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
