//! npm packages, exactly as the lockfiles name them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{paths, process, ui};

/// The program; npm is a batch file on Windows.
const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

/// An npm command in a folder. What it is told here belongs in no lockfile and
/// on no screen: addresses of a registry, advice, advertisements.
pub(crate) fn npm(folder: &Path, args: &[&str]) -> Command {
    let mut command = process::command(NPM);
    command.current_dir(folder).args(args).args([
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--loglevel=error",
    ]);
    command.env("npm_config_omit_lockfile_registry_resolved", "true");
    command
}

static ONE: Mutex<()> = Mutex::new(());

/// Installs what the folder's lockfile names, unless it is there already.
pub(crate) fn ensure(folder: &Path) -> Result<()> {
    // Two of our threads may want the same folder; what npm does in it is not made for that.
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let name = paths::shown(folder);
    let lock = folder.join("package-lock.json");
    if !lock.is_file() {
        bail!("{name}/package-lock.json is missing: run `npm install` in {name} and commit it");
    }
    if installed(folder, &lock)? {
        return Ok(());
    }
    if !process::exists(NPM) {
        bail!("npm is missing: install Node.js, which brings it (any version; the tests fetch their own)");
    }
    ui::step(&format!("{name}: npm ci"));
    process::run(&mut npm(folder, &["ci", "--ignore-scripts"])).with_context(|| {
        format!("cannot install the npm packages of {name}; is there a network, and does package.json match its lock?")
    })
}

/// wasm-opt, a JavaScript file to be run by [`super::node::node`].
pub(crate) fn wasm_opt() -> Result<PathBuf> {
    tool("binaryen/bin/wasm-opt")
}

/// esbuild, started by a JavaScript file as well.
pub(crate) fn esbuild() -> Result<PathBuf> {
    tool("esbuild/bin/esbuild")
}

/// What makes bundles small, started likewise.
pub(crate) fn terser() -> Result<PathBuf> {
    tool("terser/bin/terser")
}

/// Where the packages that go into bundles are.
pub(crate) fn modules() -> Result<PathBuf> {
    let tools = paths::at("xtask/tools");
    ensure(&tools)?;
    Ok(tools.join("node_modules"))
}

fn tool(path: &str) -> Result<PathBuf> {
    let tools = paths::at("xtask/tools");
    ensure(&tools)?;
    let program = tools.join("node_modules").join(path);
    if !program.is_file() {
        bail!("{} is missing: remove xtask/tools/node_modules and try again", paths::shown(&program));
    }
    Ok(program)
}

#[derive(Debug, Deserialize)]
struct Lock {
    #[serde(default)]
    packages: BTreeMap<String, Locked>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Locked {
    version: Option<String>,
    optional: bool,
    #[serde(rename = "devOptional")]
    dev_optional: bool,
    peer: bool,
    resolved: Option<String>,
}

/// Whether npm's own record of `node_modules` agrees with the lockfile. Packages
/// for other platforms are optional, and absent here.
fn installed(folder: &Path, lock: &Path) -> Result<bool> {
    let record = folder.join("node_modules/.package-lock.json");
    if !record.is_file() {
        return Ok(false);
    }
    let (wanted, found) = (parse(lock)?, parse(&record)?);
    Ok(wanted.packages.iter().filter(|(path, _)| !path.is_empty()).all(|(path, package)| {
        match found.packages.get(path) {
            Some(present) => present.version == package.version && folder.join(path).is_dir(),
            None => package.optional || package.dev_optional || package.peer,
        }
    }))
}

/// Lockfiles that carry addresses work only where those can be reached. Returns
/// the packages of a lockfile that have one.
pub(crate) fn addresses(lock: &Path) -> Result<Vec<String>> {
    let packages = parse(lock)?.packages.into_iter();
    let remote = |url: &String| !url.starts_with("file:");
    Ok(packages.filter(|(_, package)| package.resolved.as_ref().is_some_and(remote)).map(|(path, _)| path).collect())
}

fn parse(lock: &Path) -> Result<Lock> {
    serde_json::from_str(&paths::read(lock)?).with_context(|| format!("{} is not a lockfile", paths::shown(lock)))
}
