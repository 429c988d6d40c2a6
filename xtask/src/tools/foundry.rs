//! forge and anvil, from npm. The programs inside the packages are started
//! directly: the packages' own launchers cost 70 ms each.

use std::env::consts::{ARCH, OS};
use std::path::PathBuf;

use anyhow::{Result, bail};

use super::npm;
use crate::paths;

/// The Solidity build and test program.
pub(crate) fn forge() -> Result<PathBuf> {
    program("forge")
}

/// The local EVM node.
pub(crate) fn anvil() -> Result<PathBuf> {
    program("anvil")
}

fn program(name: &str) -> Result<PathBuf> {
    let contracts = paths::at("contracts");
    npm::ensure(&contracts)?;
    let os = if OS == "macos" {
        "darwin"
    } else if OS == "windows" {
        "win32"
    } else {
        OS
    };
    let arch = match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let package = format!("@foundry-rs/{name}-{os}-{arch}");
    let program = contracts.join("node_modules").join(&package).join("bin").join(paths::exe(name));
    if !program.is_file() {
        bail!("the npm package {package} is missing: either npm could not fetch it or there is none for this platform");
    }
    Ok(program)
}
