//! The package's size as a visitor pays for it: gzip, file by file.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::{paths, ui};

/// What each file of wasm or JavaScript weighs.
#[derive(Debug)]
pub(crate) struct Size {
    files: Vec<File>,
}

#[derive(Debug)]
struct File {
    name: String,
    raw: u64,
    gzip: u64,
}

/// Weighs every `.wasm`, `.js`, `.mjs` and `.cjs` below `folder` except those excluded.
pub(crate) fn measure(folder: &Path, exclude: &[String]) -> Result<Size> {
    let mut files = Vec::new();
    let mut excluded: Vec<&str> = exclude.iter().map(String::as_str).collect();
    for path in paths::walk(folder, &[])? {
        let name = path.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
        let loaded = [".wasm", ".js", ".mjs", ".cjs"].iter().any(|ending| name.ends_with(ending));
        if exclude.contains(&name) {
            excluded.retain(|other| *other != name);
        } else if loaded {
            let content = std::fs::read(&path)?;
            let raw = u64::try_from(content.len())?;
            files.push(File { name, raw, gzip: gzip_bytes(&content)? });
        }
    }
    if !excluded.is_empty() {
        bail!("budget.exclude in wasm-pack.toml names {}, not in the package", excluded.join(", "));
    }
    Ok(Size { files })
}

impl Size {
    /// All files together, compressed.
    pub(crate) fn gzip(&self) -> u64 {
        self.files.iter().map(|file| file.gzip).sum()
    }

    /// Fails when the budget is overspent, saying where the bytes are.
    pub(crate) fn demand(&self, budget: u64) -> Result<()> {
        if self.gzip() > budget {
            self.print(budget);
            bail!(
                "the package is {} bytes after gzip, {} over budget",
                ui::thousands(self.gzip()),
                ui::thousands(self.gzip().saturating_sub(budget))
            );
        }
        Ok(())
    }

    /// The table for the screen.
    pub(crate) fn print(&self, budget: u64) {
        for file in &self.files {
            ui::note(&format!(
                "{:<28} {:>9} raw {:>9} gzip",
                file.name,
                ui::thousands(file.raw),
                ui::thousands(file.gzip)
            ));
        }
        ui::note(&format!("{:<28} {:>23} gzip of {}", "together", ui::thousands(self.gzip()), ui::thousands(budget)));
    }
}

fn gzip_bytes(content: &[u8]) -> Result<u64> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    Ok(u64::try_from(encoder.finish()?.len())?)
}
