//! The wallet page in the package: built from `www-demo/wallet` by its own build, upon the package's own modules, so that
//! there is one copy of the engine.

use std::path::Path;

use anyhow::{Result, bail};

use super::size;
use crate::manifest::Manifest;
use crate::tools::{node, npm};
use crate::{paths, process, ui};

/// The build, which the demo uses as well.
const BUILD: &str = "build.mjs";

/// Builds it into the finished package, since its name for the engine follows from what is in there.
pub(crate) fn build(manifest: &Manifest, folder: &Path) -> Result<()> {
    let source = paths::at(manifest.page.source.read());
    npm::ensure(&source)?;
    let to = folder.join(manifest.page.folder.read());
    let mut command = process::command(node::node()?);
    command.current_dir(&source).arg(BUILD).arg("--wallet").arg(&to).arg("--package").arg(folder);
    process::run(&mut command)?;
    demand(&to, *manifest.page.gzip_bytes.read())
}

/// Fails when its scripts and styles are larger than they may be, or bring a module of their own.
fn demand(page: &Path, most: u64) -> Result<()> {
    let mut gzip = 0_u64;
    for path in paths::walk(page, &[])? {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("js" | "css") => gzip = gzip.saturating_add(size::gzip_bytes(&std::fs::read(&path)?)?),
            Some("wasm") => bail!("{} is a second copy of the module", paths::shown(&path)),
            _ => {}
        }
    }
    ui::note(&format!("{:<32} {:>9} gzip of {}", paths::shown(page), ui::thousands(gzip), ui::thousands(most)));
    if gzip == 0 || gzip > most {
        bail!(
            "the wallet page is {} bytes after gzip of {} in wasm-pack.toml",
            ui::thousands(gzip),
            ui::thousands(most)
        );
    }
    Ok(())
}
