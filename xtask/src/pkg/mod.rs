//! `cargo xtask pkg`: the npm package, in `pkg/` and packed in `target/npm/`.
//!
//! One wasm module for every runtime; the loaders are written by hand in
//! `pkg-template/`. What the package is made of stands in `wasm-pack.toml`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::manifest::Manifest;
use crate::tools::{node, npm, rust, wasm_bindgen};
use crate::{paths, process, ui, wasm};

mod assemble;
mod bundle;
pub(crate) mod hub;
mod local;
mod machine;
mod page;
mod require;
mod size;
mod slim;

pub(crate) use size::{Budget, Size};

/// The packed package.
#[derive(Debug)]
pub(crate) struct Packed {
    /// What `npm pack` made.
    pub(crate) tgz: PathBuf,
    /// How much of the budget it uses.
    pub(crate) size: Size,
}

/// Builds, checks and packs.
pub(crate) fn build() -> Result<Packed> {
    let started = Instant::now();
    ui::step("npm package");
    let manifest = Manifest::load()?;
    let version = version(manifest.build.package.read())?;
    let tgz = paths::out(&format!("npm/farthing-{version}.tgz"));
    // A package that fails to build must not leave an older one to be tested.
    paths::remove(&tgz)?;
    let folder = paths::at("pkg");
    paths::remove(&folder)?;

    let module = compile(&manifest)?;
    let stage = paths::out("pkg-stage");
    bind(&manifest, &module, &stage)?;
    optimise(&manifest, &stage)?;
    assemble::assemble(&manifest, &stage, &folder, &version)?;
    local::add(&manifest, &folder, &version)?;
    bundle::bundle(&manifest, &folder)?;
    // Bundles are minified already, and nobody loads one beside the engine for the engine's sake.
    let exclude = [manifest.budget.exclude.read().as_slice(), &bundle::entries(&manifest)].concat();
    slim::slim(&folder, &format!("{}_bg.js", manifest.build.name.read()), &exclude)?;
    bundle::demand(&manifest, &folder)?;
    // Of what is as it will be.
    require::write(&manifest, &folder)?;
    assemble::check(&folder)?;
    let exclude = [exclude, require::copies(&manifest)?].concat();
    let size = size::measure(&folder, &exclude)?;
    let budget = Budget::of(&manifest);
    size.demand(&budget)?;
    page::build(&manifest, &folder)?;
    manifest.demand_all_read()?;
    pack(&folder, &tgz)?;
    size.print(&budget);
    ui::note(&format!("{} in {}", paths::shown(&tgz), ui::seconds(started.elapsed())));
    Ok(Packed { tgz, size })
}

fn version(package: &str) -> Result<String> {
    let missing = || format!("no package {package} in Cargo.lock: the root Cargo.toml has no [package] yet");
    paths::locked_version(package)?.with_context(missing)
}

/// The root crate as a wasm module.
fn compile(manifest: &Manifest) -> Result<PathBuf> {
    rust::ensure_wasm()?;
    let (package, profile) = (manifest.build.package.read(), manifest.build.profile.read());
    let mut cargo =
        process::cargo(&["build", "--lib", "--package", package, "--profile", profile, "--target", rust::WASM]);
    // Paths of this machine have no place in panic messages that users see.
    // They go on the command line, because RUSTFLAGS would replace the flags
    // of .cargo/config.toml, and with them half the speed of k256.
    cargo.arg("--config").arg(format!("target.{}.rustflags = {:?}", rust::WASM, remaps()));
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    process::run(&mut cargo)?;
    let module = format!("{}/{profile}/{}.wasm", rust::WASM, package.replace('-', "_"));
    Ok(paths::cargo_target().join(module))
}

fn remaps() -> Vec<String> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let crates = home.map(|home| format!("--remap-path-prefix={}=/crates", home.join("registry/src").display()));
    let ours = format!("--remap-path-prefix={}=/farthing", paths::root().display());
    crates.into_iter().chain([ours]).collect()
}

fn bind(manifest: &Manifest, module: &Path, stage: &Path) -> Result<()> {
    let program = wasm_bindgen::ensure()?;
    paths::remove(stage)?;
    let mut command = process::command(program);
    command.args(["--target", manifest.build.target.read(), "--out-name", manifest.build.name.read(), "--out-dir"]);
    process::run(command.arg(stage).arg(module))
}

fn optimise(manifest: &Manifest, stage: &Path) -> Result<()> {
    let module = stage.join(format!("{}_bg.wasm", manifest.build.name.read()));
    let optimised = stage.join("optimised.wasm");
    let mut command = process::command(node::node()?);
    command.arg(npm::wasm_opt()?).arg(&module).args(manifest.wasm_opt.flags.read()).arg("-o").arg(&optimised);
    process::run(&mut command)?;
    std::fs::rename(&optimised, &module)?;

    let bytes = std::fs::read(&module)?;
    let modules = wasm::imported_modules(&bytes)?;
    let glue = format!("./{}_bg.js", manifest.build.name.read());
    if let Some(foreign) = modules.iter().find(|from| **from != glue) {
        bail!("the module imports from {foreign:?}: some dependency is not made for browsers");
    }
    Ok(())
}

/// `npm pack`, and a look at what it took along.
fn pack(folder: &Path, tgz: &Path) -> Result<()> {
    #[derive(Deserialize)]
    struct Report {
        files: Vec<File>,
    }
    #[derive(Deserialize)]
    struct File {
        path: String,
    }

    let target = tgz.parent().unwrap_or(folder);
    std::fs::create_dir_all(target)?;
    let destination = format!("--pack-destination={}", target.display());
    let mut command = npm::npm(folder, &["pack", "--json", "--ignore-scripts", &destination]);
    let text = process::capture(&mut command)?;
    let reports: Vec<Report> = serde_json::from_str(&text).context("npm pack reported something unexpected")?;
    let packed: Vec<&str> = reports.iter().flat_map(|report| &report.files).map(|file| file.path.as_str()).collect();
    for file in paths::walk(folder, &[])? {
        let name = file.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
        if !packed.contains(&name.as_str()) {
            bail!("npm pack left out {name}: look at \"files\" in the template's package.json");
        }
    }
    if !tgz.is_file() {
        bail!("npm pack did not write {}: is \"name\" in the template's package.json farthing?", paths::shown(tgz));
    }
    Ok(())
}
