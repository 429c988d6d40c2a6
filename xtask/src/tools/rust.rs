//! The toolchain of `rust-toolchain.toml`, with its components and wasm target.

use std::path::Path;

use anyhow::{Result, bail};

use crate::{process, ui};

/// The target that browsers and Node run.
pub(crate) const WASM: &str = "wasm32-unknown-unknown";

/// The standard library for wasm.
pub(crate) fn ensure_wasm() -> Result<()> {
    if wasm_present() {
        return Ok(());
    }
    install("the Rust target wasm32-unknown-unknown is missing");
    if !wasm_present() {
        bail!("no Rust standard library for {WASM}: run `rustup target add {WASM}` in this folder");
    }
    Ok(())
}

/// The standard library for another machine, of which `rust-toolchain.toml` knows nothing.
pub(crate) fn ensure_target(target: &str) -> Result<()> {
    if present(target) {
        return Ok(());
    }
    ui::step(&format!("the Rust target {target} is missing: rustup target add"));
    if let Err(error) = process::run(process::command("rustup").args(["target", "add", target])) {
        ui::note(&format!("{error:#}"));
    }
    if !present(target) {
        bail!("no Rust standard library for {target}: run `rustup target add {target}` in this folder");
    }
    Ok(())
}

/// rustfmt and clippy.
pub(crate) fn ensure_components() -> Result<()> {
    if components_present() {
        return Ok(());
    }
    install("rustfmt or clippy is missing");
    if !components_present() {
        bail!("rustfmt or clippy is missing: run `rustup component add rustfmt clippy` in this folder");
    }
    Ok(())
}

/// Brings the pinned toolchain up to what `rust-toolchain.toml` lists. It works
/// with RUSTUP_AUTO_INSTALL=0 too, and never touches rustup itself.
fn install(why: &str) {
    ui::step(&format!("{why}: rustup toolchain install"));
    let mut command = process::command("rustup");
    command.args(["toolchain", "install", "--no-self-update"]);
    // Set by the cargo that runs us; it would hide the file's list of targets.
    command.env_remove("RUSTUP_TOOLCHAIN");
    if let Err(error) = process::run(&mut command) {
        ui::note(&format!("{error:#}"));
    }
}

fn wasm_present() -> bool {
    present(WASM)
}

fn present(target: &str) -> bool {
    let mut rustc = process::command("rustc");
    let libdir = process::probe(rustc.args(["--print", "target-libdir", "--target", target]));
    libdir.is_some_and(|libdir| Path::new(&libdir).is_dir())
}

fn components_present() -> bool {
    ["fmt", "clippy"].iter().all(|name| process::probe(&mut process::cargo(&[name, "--version"])).is_some())
}
