//! `cargo xtask vectors`: the golden vectors, from the Rust code that is their
//! reference, for Solidity and JavaScript to agree with.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};

use crate::{paths, process, ui};

/// Options of `vectors`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if vectors/ is not what the code gives
    #[arg(long)]
    check: bool,
}

/// Not of the Rust code: `js-tests/vectors/content.mjs` writes it, and a test beside it compares.
const OTHERS: [&str; 1] = ["content.json"];

/// The generator: a program that takes `--out DIR`.
pub(crate) const GENERATOR: &str = "tests/vectors/src/main.rs";

/// Writes or checks `vectors/*.json`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let fresh = generate()?;
    if args.check {
        return compare(&fresh);
    }
    let folder = paths::at("vectors");
    for stale in json(&folder)?.keys().filter(|name| !fresh.contains_key(*name)) {
        paths::remove(&folder.join(stale))?;
    }
    for (name, content) in &fresh {
        paths::write(&folder.join(name), content)?;
    }
    ui::note(&format!("vectors/: {}", fresh.keys().cloned().collect::<Vec<_>>().join(", ")));
    Ok(())
}

/// Fails with the names of the files that differ. Returns nothing else, since
/// a difference of vectors is for `git diff` to show.
pub(crate) fn compare(fresh: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let stored = json(&paths::at("vectors"))?;
    let names = stored.keys().chain(fresh.keys());
    let mut different: Vec<&str> =
        names.filter(|name| stored.get(*name) != fresh.get(*name)).map(String::as_str).collect();
    different.sort_unstable();
    different.dedup();
    if !different.is_empty() {
        bail!("not what the code gives: {}; `cargo xtask vectors` writes them anew", different.join(", "));
    }
    ui::note(&format!("{} files of vectors/ are what the code gives", fresh.len()));
    Ok(())
}

/// Runs the generator into a folder of its own.
pub(crate) fn generate() -> Result<BTreeMap<String, Vec<u8>>> {
    if !paths::at(GENERATOR).is_file() {
        bail!("{GENERATOR} is missing");
    }
    let folder = paths::out("vectors");
    paths::remove(&folder)?;
    std::fs::create_dir_all(&folder)?;
    // As the Rust tests were built, like the hub.
    process::run(&mut process::cargo(&["build", "--quiet", "--workspace", "--bin", "vectors", "--test", "units"]))?;
    let program = paths::cargo_target().join("debug").join(paths::exe("vectors"));
    process::run(process::command(program).arg("--out").arg(&folder))?;
    let fresh = json(&folder)?;
    if fresh.is_empty() {
        bail!("{GENERATOR} wrote nothing into the folder given with --out");
    }
    Ok(fresh)
}

fn json(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for path in paths::list(folder)? {
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if OTHERS.contains(&name.as_str()) {
                continue;
            }
            // Git may have given the stored one the line ends of the platform.
            let content = std::fs::read(&path)?.into_iter().filter(|byte| *byte != b'\r').collect();
            files.insert(name, content);
        }
    }
    Ok(files)
}
