//! `cargo xtask hub-package`: the hub's program as npm packages, as esbuild's is: one for each platform, and one without
//! a program that names them all as optional dependencies, of which npm installs the platform's.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::stage::Hub;
use crate::tools::npm;
use crate::{paths, process, ui};

/// What is installed by name.
const TEMPLATE: &str = "hub/npm";

/// What there are packages for, in Node's words. Linux is that of glibc.
const PLATFORMS: [&str; 5] = ["darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64", "win32-x64"];

/// Options of `hub-package`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A program that was built elsewhere, for `--platform`; without it, this machine's is built as it is shipped
    #[arg(long, requires = "platform")]
    program: Option<PathBuf>,
    /// As Node names it, such as darwin-arm64
    #[arg(long, requires = "program")]
    platform: Option<String>,
}

/// Builds what is not given, and packs.
pub(crate) fn run(args: &Args) -> Result<()> {
    let program = match &args.program {
        Some(program) => program.clone(),
        None => Hub::Release.build()?,
    };
    let platform = match &args.platform {
        Some(platform) => platform.clone(),
        None => this_platform()?.to_owned(),
    };
    for tgz in pack(&program, &platform)? {
        ui::note(&format!("{}, {} bytes", paths::shown(&tgz), ui::thousands(tgz.metadata()?.len())));
    }
    Ok(())
}

/// The two packages of this machine's hub: what is installed by name, and what that brings along.
pub(crate) fn pack_here(hub: Hub) -> Result<[PathBuf; 2]> {
    pack(&hub.program(), this_platform()?)
}

fn this_platform() -> Result<&'static str> {
    Ok(match (std::env::consts::OS, std::env::consts::ARCH) {
        ("macos", "aarch64") => "darwin-arm64",
        ("macos", "x86_64") => "darwin-x64",
        ("linux", "aarch64") => "linux-arm64",
        ("linux", "x86_64") => "linux-x64",
        ("windows", "x86_64") => "win32-x64",
        (os, arch) => bail!("there is no package for {os} on {arch}: add it to PLATFORMS in xtask/src/pkg/hub.rs"),
    })
}

fn pack(program: &Path, platform: &str) -> Result<[PathBuf; 2]> {
    if !PLATFORMS.contains(&platform) {
        bail!("{platform} is none of {}", PLATFORMS.join(", "));
    }
    let version = super::version("farthing")?;
    let stage = paths::out("npm/hub");
    paths::remove(&stage)?;
    let (wrapper, native) = (stage.join("farthing-hub"), stage.join(platform));

    paths::copy_tree(&paths::at(TEMPLATE), &wrapper, &[])?;
    let mut package: Value = serde_json::from_str(&paths::read(&wrapper.join("package.json"))?)?;
    let fields = package.as_object_mut().with_context(|| format!("{TEMPLATE}/package.json is no object"))?;
    fields.insert("version".to_owned(), json!(version));
    fields.insert(
        "optionalDependencies".to_owned(),
        PLATFORMS.iter().map(|one| (name_of(one), json!(version))).collect(),
    );
    paths::write(&wrapper.join("package.json"), serde_json::to_string_pretty(&package)?)?;

    let file = if platform.starts_with("win32") { "farthing-hub.exe" } else { "farthing-hub" };
    let to = native.join("bin").join(file);
    paths::write(&to, [])?;
    // With its permissions: npm keeps that it can be run.
    std::fs::copy(program, &to).with_context(|| format!("cannot read {}", paths::shown(program)))?;
    paths::write(
        &native.join("package.json"),
        serde_json::to_string_pretty(&native_package(platform, &version, &package))?,
    )?;

    for folder in [&wrapper, &native] {
        for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
            paths::write(&folder.join(licence), paths::read(&paths::at(licence))?)?;
        }
    }
    Ok([
        npm_pack(&wrapper, &format!("farthing-hub-{version}"))?,
        npm_pack(&native, &format!("farthing-hub-{platform}-{version}"))?,
    ])
}

fn name_of(platform: &str) -> String {
    format!("@farthing/hub-{platform}")
}

/// npm installs it where `os` and `cpu` (and `libc`, on Linux) are the machine's.
fn native_package(platform: &str, version: &str, wrapper: &Value) -> Value {
    let (os, cpu) = platform.split_once('-').unwrap_or((platform, ""));
    let mut package = json!({
        "name": name_of(platform),
        "version": version,
        "description": format!("The program of farthing-hub for {platform}"),
        "license": wrapper.get("license"),
        "repository": wrapper.get("repository"),
        "os": [os],
        "cpu": [cpu],
        "preferUnplugged": true,
        "files": ["*"],
    });
    if let (Some(fields), "linux") = (package.as_object_mut(), os) {
        fields.insert("libc".to_owned(), json!(["glibc"]));
    }
    package
}

fn npm_pack(folder: &Path, stem: &str) -> Result<PathBuf> {
    let target = paths::out("npm");
    let tgz = target.join(format!("{stem}.tgz"));
    paths::remove(&tgz)?;
    let destination = format!("--pack-destination={}", target.display());
    process::capture(&mut npm::npm(folder, &["pack", "--json", "--ignore-scripts", &destination]))?;
    if !tgz.is_file() {
        bail!("npm pack did not write {}", paths::shown(&tgz));
    }
    Ok(tgz)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_s_package_is_installed_there_alone() {
        let package = native_package("linux-arm64", "1.2.3", &json!({ "license": "MIT" }));
        for (field, value) in [
            ("name", json!("@farthing/hub-linux-arm64")),
            ("os", json!(["linux"])),
            ("cpu", json!(["arm64"])),
            ("libc", json!(["glibc"])),
        ] {
            assert_eq!(package.get(field), Some(&value));
        }
        assert_eq!(native_package("darwin-x64", "1.2.3", &json!({})).get("libc"), None);
    }

    #[test]
    fn a_platform_that_nobody_knows_is_refused() {
        let refusal = pack(Path::new("no-such-program"), "plan9-mips").map_err(|error| error.to_string());
        assert!(refusal.is_err_and(|text| text.contains("plan9-mips is none of")));
    }
}
