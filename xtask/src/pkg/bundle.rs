//! JavaScript that is one file with all that it imports: what a page loads beside the engine or without it, and what has
//! code of others in it. `[[bundle]]` in `wasm-pack.toml` says which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::size;
use crate::manifest::{Bundle, Manifest};
use crate::tools::{node, npm};
use crate::{paths, process, ui};

/// Where the licences of what is in bundles go.
const LICENCES: &str = "licences";

/// Puts each bundle into the place of its entry, and takes away the files that are only inside of bundles.
pub(crate) fn bundle(manifest: &Manifest, folder: &Path) -> Result<()> {
    let template = paths::at(manifest.package.template.read());
    for bundle in &manifest.bundle {
        write(bundle, &template, folder)?;
    }
    // At the end, since one file may be inside of several.
    let inside: BTreeSet<&String> = manifest.bundle.iter().flat_map(|bundle| bundle.inside.read()).collect();
    for file in inside {
        let path = folder.join(file);
        if !path.is_file() {
            bail!("bundle.inside in wasm-pack.toml names {file}, which is not in the template");
        }
        paths::remove(&path)?;
    }
    Ok(())
}

/// The entries: they are as they are to be, and each has a budget of its own.
pub(crate) fn entries(manifest: &Manifest) -> Vec<String> {
    manifest.bundle.iter().map(|bundle| bundle.entry.read().clone()).collect()
}

/// Fails when a bundle is larger than it may be.
pub(crate) fn demand(manifest: &Manifest, folder: &Path) -> Result<()> {
    for bundle in &manifest.bundle {
        let (entry, most) = (bundle.entry.read(), *bundle.gzip_bytes.read());
        let gzip = size::gzip_bytes(&std::fs::read(folder.join(entry))?)?;
        ui::note(&format!("{entry:<32} {:>9} gzip of {}", ui::thousands(gzip), ui::thousands(most)));
        if gzip > most {
            let over = ui::thousands(gzip.saturating_sub(most));
            bail!("{entry} is {} bytes after gzip, {over} over its budget in wasm-pack.toml", ui::thousands(gzip));
        }
    }
    Ok(())
}

fn write(bundle: &Bundle, template: &Path, folder: &Path) -> Result<()> {
    let modules = npm::modules()?;
    let with = bundle.with.read();
    let (whole, meta) = (paths::out("pkg-stage/bundle.mjs"), paths::out("pkg-stage/bundle.json"));
    paths::remove(&meta)?;
    let mut command = process::command(node::node()?);
    command.arg(npm::esbuild()?).arg(template.join(bundle.entry.read())).args([
        "--bundle",
        // What terser does not see any more after this is a hundredth.
        "--minify-syntax",
        "--format=esm",
        "--platform=neutral",
        "--target=es2022",
        "--charset=utf8",
        "--log-level=warning",
        // What a runtime brings along stays outside.
        "--external:node:*",
        // Two of it would be two modules.
        "--external:*/node.mjs",
    ]);
    if !with.is_empty() {
        command.arg(format!("--banner:js=/*! {}: {LICENCES}/ */", notices(&modules, with, folder)?.join("; ")));
    }
    command.arg(format!("--outfile={}", whole.display())).arg(format!("--metafile={}", meta.display()));
    process::run(command.env("NODE_PATH", &modules))?;
    // esbuild minifies as well, and leaves a twentieth more.
    let mut command = process::command(node::node()?);
    command.arg(npm::terser()?).arg(&whole).args(["--module", "--ecma", "2022", "--comments", "/^!/", "--mangle"]);
    // The hashes' own checks of numbers give nothing where they are called by name: what our code gives them is not from outside.
    command.args(["--compress", "passes=5,unsafe_arrows,inline=1,pure_funcs=[anumber]"]);
    process::run(command.arg("--output").arg(folder.join(bundle.entry.read())))?;

    let found = packages(&paths::read(&meta)?)?;
    let named: BTreeSet<String> = with.iter().cloned().collect();
    if found != named {
        bail!("{} has {found:?} in it, and bundle.with in wasm-pack.toml names {named:?}", bundle.entry.read());
    }
    Ok(())
}

/// Copies each package's licence, and returns what names it: the package, and whose it is.
fn notices(modules: &Path, with: &[String], folder: &Path) -> Result<Vec<String>> {
    with.iter()
        .map(|package| {
            let text = paths::read(&modules.join(package).join("LICENSE"))?;
            let owner = text.lines().find(|line| line.starts_with("Copyright"));
            let owner = owner.with_context(|| format!("the licence of {package} does not say whose it is"))?;
            let name = package.trim_start_matches('@').replace('/', "-");
            paths::write(&folder.join(LICENCES).join(format!("{name}.txt")), &text)?;
            Ok(format!("{package}, {owner}"))
        })
        .collect()
}

/// The npm packages whose files went into a bundle, by esbuild's own account.
fn packages(meta: &str) -> Result<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Meta {
        inputs: BTreeMap<String, serde_json::Value>,
    }
    let meta: Meta = serde_json::from_str(meta).context("esbuild's account of a bundle is not JSON")?;
    let package = |input: &String| {
        let (_, path) = input.rsplit_once("node_modules/")?;
        let parts = if path.starts_with('@') { 2 } else { 1 };
        Some(path.split('/').take(parts).collect::<Vec<_>>().join("/"))
    };
    Ok(meta.inputs.keys().filter_map(package).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_found_by_their_folders() -> Result<()> {
        let meta = r#"{ "inputs": { "pkg-template/pay/index.mjs": {}, "xtask/tools/node_modules/@noble/hashes/sha3.js": {},
            "a/node_modules/@noble/hashes/utils.js": {}, "node_modules/a/node_modules/left/index.js": {} }, "outputs": {} }"#;
        let found: Vec<String> = packages(meta)?.into_iter().collect();
        assert_eq!(found, ["@noble/hashes", "left"]);
        Ok(())
    }
}
