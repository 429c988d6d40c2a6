//! The package's size as a visitor pays for it: gzip and brotli, file by file.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::manifest::Manifest;
use crate::tools::node;
use crate::{paths, process, ui};

/// Node brings brotli along.
const BROTLI: &str = "const { brotliCompressSync } = require('node:zlib');
process.stdout.write(String(brotliCompressSync(require('node:fs').readFileSync(process.argv[1])).length))";

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
    brotli: u64,
}

/// What the package may weigh.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    gzip: u64,
    brotli: u64,
}

impl Budget {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        Self { gzip: *manifest.budget.gzip_bytes.read(), brotli: *manifest.budget.brotli_bytes.read() }
    }
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
            files.push(File { name, raw, gzip: gzip_bytes(&content)?, brotli: brotli_bytes(&path)? });
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

    /// All files together, compressed by brotli.
    pub(crate) fn brotli(&self) -> u64 {
        self.files.iter().map(|file| file.brotli).sum()
    }

    /// Fails when the budget is overspent, saying where the bytes are.
    pub(crate) fn demand(&self, budget: &Budget) -> Result<()> {
        for (how, size, most) in [("gzip", self.gzip(), budget.gzip), ("brotli", self.brotli(), budget.brotli)] {
            if size > most {
                self.print(budget);
                let over = size.saturating_sub(most);
                bail!("the package is {} bytes after {how}, {} over budget", ui::thousands(size), ui::thousands(over));
            }
        }
        Ok(())
    }

    /// The table for the screen.
    pub(crate) fn print(&self, budget: &Budget) {
        let row = |name: &str, raw: &str, gzip: u64, brotli: u64| {
            let (gzip, brotli) = (ui::thousands(gzip), ui::thousands(brotli));
            ui::note(&format!("{name:<22} {raw:>9} raw {gzip:>9} gzip {brotli:>9} brotli"));
        };
        for file in &self.files {
            row(&file.name, &ui::thousands(file.raw), file.gzip, file.brotli);
        }
        row("together", "", self.gzip(), self.brotli());
        row("of", "", budget.gzip, budget.brotli);
    }
}

pub(crate) fn gzip_bytes(content: &[u8]) -> Result<u64> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    Ok(u64::try_from(encoder.finish()?.len())?)
}

fn brotli_bytes(path: &Path) -> Result<u64> {
    let said = process::capture(process::command(node::node()?).args(["-e", BROTLI]).arg(path))?;
    said.trim().parse().with_context(|| format!("Node says {said:?} of the size of {}", paths::shown(path)))
}
