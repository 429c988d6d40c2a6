//! A Firefox for the browser tests.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::apt;
use crate::process;

/// Names under which distributions ship it.
const NAMES: [&str; 2] = ["firefox", "firefox-esr"];

/// Where it is on macOS.
const APPLICATION: &str = "/Applications/Firefox.app/Contents/MacOS/firefox";

/// `$FIREFOX`, one on the PATH, or one from the system's packages.
pub(crate) fn ensure() -> Result<PathBuf> {
    if let Some(chosen) = env::var_os("FIREFOX").filter(|chosen| !chosen.is_empty()) {
        let chosen = PathBuf::from(chosen);
        if !runs(&chosen) {
            bail!("$FIREFOX is {}, which does not run", chosen.display());
        }
        return Ok(chosen);
    }
    if let Some(found) = installed() {
        return Ok(found);
    }
    apt::install("Firefox", "firefox-esr");
    let Some(found) = installed() else {
        bail!("no Firefox: install one (Debian: `apt-get install firefox-esr`), or set FIREFOX to its path")
    };
    Ok(found)
}

fn installed() -> Option<PathBuf> {
    let named = NAMES.iter().filter_map(|name| process::find(name));
    named.chain([PathBuf::from(APPLICATION)]).find(|program| runs(program))
}

/// Ubuntu's `firefox` may be a stub that asks for a snap: it does not run.
fn runs(program: &Path) -> bool {
    process::probe(process::command(program).arg("--version")).is_some_and(|version| version.contains("Firefox"))
}
