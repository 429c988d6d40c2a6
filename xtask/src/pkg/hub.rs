//! `cargo xtask hub-package`: the hub's program as npm packages, as esbuild's is: one for each platform, and one without
//! a program that names them all as optional dependencies, of which npm installs the platform's.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::machine;
use crate::stage::Hub;
use crate::tools::{npm, rust};
use crate::{paths, process, ui};

/// What is installed by name.
const TEMPLATE: &str = "hub/npm";

/// What there are packages for, in Node's words and in rustc's where it is compiled for
/// from another one. Linux is that of glibc.
const PLATFORMS: [(&str, &str); 5] = [
    ("darwin-arm64", "aarch64-apple-darwin"),
    ("darwin-x64", "x86_64-apple-darwin"),
    ("linux-arm64", "aarch64-unknown-linux-gnu"),
    ("linux-x64", "x86_64-unknown-linux-gnu"),
    ("win32-x64", "x86_64-pc-windows-gnu"),
];

/// Options of `hub-package`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A program that was built elsewhere, for `--platform`; without it, one is built as it is shipped
    #[arg(long, requires = "platform")]
    program: Option<PathBuf>,
    /// As Node names it, such as darwin-arm64; by default this machine's. Another one is compiled for by cargo-zigbuild
    /// where that is installed, else by whatever linker cargo is told of
    #[arg(long)]
    platform: Option<String>,
}

/// Builds what is not given, and packs.
pub(crate) fn run(args: &Args) -> Result<()> {
    let here = this_platform();
    let platform = match &args.platform {
        Some(platform) => platform.clone(),
        None => here.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?.clone(),
    };
    let target = target_of(&platform)?;
    let own = here.is_ok_and(|here| here == platform);
    let program = match &args.program {
        Some(program) => program.clone(),
        None if own => Hub::Release.build()?,
        None => cross(target)?,
    };
    demand_for(&program, &platform)?;
    if own {
        demand_version(&program)?;
    }
    for tgz in pack(&program, &platform)? {
        ui::note(&format!("{}, {} bytes", paths::shown(&tgz), ui::thousands(tgz.metadata()?.len())));
    }
    Ok(())
}

/// rustc's name of a platform.
fn target_of(platform: &str) -> Result<&'static str> {
    let known = PLATFORMS.iter().find(|(name, _)| *name == platform);
    let names = PLATFORMS.map(|(name, _)| name).join(", ");
    known.map(|(_, target)| *target).with_context(|| format!("{platform} is none of {names}"))
}

/// The hub for another machine, as it is shipped.
fn cross(target: &str) -> Result<PathBuf> {
    ui::step(&format!("hub (release, {target})"));
    rust::ensure_target(target)?;
    // It brings C compiler and linker of most targets along; the hub has SQLite and its TLS in it, which are C.
    let zig = process::probe(&mut process::cargo(&["zigbuild", "--version"])).is_some();
    let build = if zig { "zigbuild" } else { "build" };
    let mut cargo = process::cargo(&[build, "--package", "farthing-hub", "--bin", "farthing-hub", "--release"]);
    process::run(cargo.args(["--target", target])).with_context(|| {
        format!(
            "cannot compile for {target} here: install cargo-zigbuild and zig, or a C compiler and linker of that \
             target (CC_{0}, CARGO_TARGET_{1}_LINKER); or build it there, and give it by --program",
            target.replace('-', "_"),
            target.replace('-', "_").to_uppercase()
        )
    })?;
    let file = if target.contains("windows") { "farthing-hub.exe" } else { "farthing-hub" };
    Ok(paths::cargo_target().join(target).join("release").join(file))
}

fn demand_for(program: &Path, platform: &str) -> Result<()> {
    let content = std::fs::read(program).with_context(|| format!("cannot read {}", paths::shown(program)))?;
    machine::demand(&content, platform).with_context(|| format!("{} is not packed", paths::shown(program)))
}

/// The packages are of one version, and so is what is in them; of other machines' programs nobody here can ask.
fn demand_version(program: &Path) -> Result<()> {
    let version = super::version("farthing")?;
    let said = process::capture(process::command(program).arg("--version"))?;
    if said.trim() != format!("farthing-hub {version}") {
        bail!("{} says that it is {:?}, and the packages are {version}", paths::shown(program), said.trim());
    }
    Ok(())
}

/// The two packages of this machine's hub: what is installed by name, and what that brings along.
pub(crate) fn pack_here(hub: Hub) -> Result<[PathBuf; 2]> {
    pack(&hub.program(), &this_platform()?)
}

fn this_platform() -> Result<String> {
    let (os, cpu) = (std::env::consts::OS, std::env::consts::ARCH);
    let vendor = match os {
        "macos" => "apple-darwin",
        "linux" => "unknown-linux-gnu",
        "windows" => "pc-windows-gnu",
        other => other,
    };
    let found = PLATFORMS.iter().find(|(_, target)| *target == format!("{cpu}-{vendor}"));
    let missing = || format!("there is no package for {os} on {cpu}: add it to PLATFORMS in xtask/src/pkg/hub.rs");
    found.map(|(name, _)| (*name).to_owned()).with_context(missing)
}

fn pack(program: &Path, platform: &str) -> Result<[PathBuf; 2]> {
    target_of(platform)?;
    demand_for(program, platform)?;
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
        PLATFORMS.iter().map(|(one, _)| (name_of(one), json!(version))).collect(),
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

    #[test]
    fn the_dev_command_and_the_wrapper_name_the_packages_likewise() -> Result<()> {
        // `@farthing/hub-${process.platform}-${process.arch}`, in Node's words.
        for file in ["pkg-template/dev/programs.mjs", "hub/npm/bin/farthing-hub.mjs"] {
            assert!(paths::read(&paths::at(file))?.contains("`@farthing/hub-${"), "{file}");
        }
        for (platform, target) in PLATFORMS {
            let (os, cpu) = platform.split_once('-').unwrap_or_default();
            assert!(["darwin", "linux", "win32"].contains(&os) && ["x64", "arm64"].contains(&cpu), "{platform}");
            assert_eq!(target.starts_with("aarch64-"), cpu == "arm64", "{target}");
            let there = [("darwin", "apple-darwin"), ("linux", "linux-gnu"), ("win32", "windows-gnu")];
            assert!(there.iter().any(|(name, end)| *name == os && target.ends_with(end)), "{target}");
        }
        Ok(())
    }

    #[test]
    fn a_program_of_another_machine_is_not_packed() -> Result<()> {
        let own = std::env::current_exe()?;
        let other = if this_platform()? == "darwin-x64" { "linux-x64" } else { "darwin-x64" };
        let refusal = pack(&own, other).map_err(|error| format!("{error:#}"));
        assert!(refusal.is_err_and(|text| text.contains(&format!("not for {other}"))));
        Ok(())
    }
}
