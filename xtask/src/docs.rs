//! The documentation as a static site: `docs/site/` makes it of the Markdown
//! and of the types that the package ships.

use std::path::PathBuf;

use anyhow::Result;

use crate::tools::{node, npm};
use crate::{paths, process, ui};

/// What makes the site.
const SITE: &str = "docs/site";

/// Makes what the site's program needs be there.
pub(crate) fn ensure() -> Result<PathBuf> {
    let folder = paths::at(SITE);
    npm::ensure(&folder)?;
    Ok(folder)
}

/// Builds the site into `target/docs/`; a link that leads nowhere is an error.
pub(crate) fn run() -> Result<()> {
    let program = ensure()?.join("build.mjs");
    let site = paths::out("docs");
    ui::step("documentation");
    process::run(process::command(node::node()?).arg(program).arg(&site))?;
    println!("{}", site.join("index.html").display());
    Ok(())
}
