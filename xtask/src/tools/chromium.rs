//! A Chromium for the browser tests and the demo.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{apt, node, npm};
use crate::{paths, process, ui};

/// Names under which distributions ship it.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Where it is on macOS.
const APPLICATIONS: [&str; 2] = [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/// `$CHROMIUM`, one on the PATH, one from the system's packages, or one that
/// Playwright fetches.
pub(crate) fn ensure() -> Result<PathBuf> {
    if let Some(chosen) = env::var_os("CHROMIUM").filter(|chosen| !chosen.is_empty()) {
        let chosen = PathBuf::from(chosen);
        if !runs(&chosen) {
            bail!("$CHROMIUM is {}, which does not run", chosen.display());
        }
        return Ok(chosen);
    }
    if let Some(found) = installed() {
        return Ok(found);
    }
    apt::install("Chromium", "chromium");
    if let Some(found) = installed() {
        return Ok(found);
    }
    if let Some(fetched) = fetch_with_playwright() {
        return Ok(fetched);
    }
    bail!("no Chromium: install one (Debian: `apt-get install chromium`), or set CHROMIUM to its path")
}

fn installed() -> Option<PathBuf> {
    let named = NAMES.iter().filter_map(|name| process::find(name));
    named.chain(APPLICATIONS.iter().map(PathBuf::from)).find(|program| runs(program))
}

/// Ubuntu's `chromium` may be a stub that asks for a snap: it does not run.
fn runs(program: &Path) -> bool {
    process::probe(process::command(program).arg("--version")).is_some_and(|version| version.contains("Chrom"))
}

/// Playwright keeps its browsers in a cache of its own and knows where.
fn fetch_with_playwright() -> Option<PathBuf> {
    let folder = paths::at("js-tests");
    npm::ensure(&folder).ok()?;
    let node = node::node().ok()?;
    let ask = "process.stdout.write(require('playwright-core').chromium.executablePath())";
    let place = || process::probe(process::command(&node).current_dir(&folder).args(["-e", ask])).map(PathBuf::from);
    if let Some(found) = place().filter(|found| runs(found)) {
        return Some(found);
    }
    ui::step("Chromium is missing: fetching the one that Playwright uses");
    let mut fetch = process::command(&node);
    fetch.current_dir(&folder).args(["node_modules/playwright-core/cli.js", "install", "chromium"]);
    fetch.env("PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT", "20000");
    let fetched = process::watch(&mut fetch, &paths::out("xtask/playwright.log"));
    if !fetched.is_ok_and(|run| run.ok) {
        ui::note("it could not be fetched; see target/xtask/playwright.log");
    }
    place().filter(|found| runs(found))
}
