//! The wasm-bindgen program. It must be of the very version that the crate was
//! compiled against, or its output is not of the crate.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{paths, process, ui};

/// A wasm-bindgen of the version in `Cargo.lock`: ours, the user's, or a new one.
pub(crate) fn ensure() -> Result<PathBuf> {
    let version = paths::locked_version("wasm-bindgen")?
        .context("Cargo.lock has no wasm-bindgen: the root crate does not depend on it")?;
    let ours = paths::at(".tools/bin").join(paths::exe("wasm-bindgen"));
    if is(&ours, &version) {
        return Ok(ours);
    }
    let on_path = PathBuf::from("wasm-bindgen");
    if is(&on_path, &version) {
        return Ok(on_path);
    }
    install(&version)?;
    if !is(&ours, &version) {
        bail!("wasm-bindgen {version} was installed but does not run");
    }
    Ok(ours)
}

/// A debug build without debug information: a minute instead of three, and
/// fast enough for one module of a few hundred kilobytes.
fn install(version: &str) -> Result<()> {
    ui::step(&format!("wasm-bindgen {version} is missing: cargo install into .tools (about a minute)"));
    let build = paths::at(".tools/build");
    let package = format!("wasm-bindgen-cli@{version}");
    let mut command = process::cargo(&["install", "--locked", "--debug", "--force", &package, "--root"]);
    command.arg(paths::at(".tools")).arg("--target-dir").arg(&build);
    command.env("CARGO_PROFILE_DEV_DEBUG", "0").env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    process::run(&mut command).with_context(|| {
        format!("cannot install {package}; without network, put a wasm-bindgen {version} on the PATH")
    })?;
    paths::remove(&build)
}

fn is(program: &Path, version: &str) -> bool {
    process::probe(process::command(program).arg("--version"))
        .is_some_and(|found| found == format!("wasm-bindgen {version}"))
}
