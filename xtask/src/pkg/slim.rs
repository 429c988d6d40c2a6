//! What a page loads carries no comments: they are for readers of the source.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::tools::{node, npm};
use crate::{paths, process};

/// Rewrites the JavaScript below `folder` but for what nothing loads with the rest. `glue` is written by a program and
/// read by none, so its names and lines go as well; ours keep them, for the sake of stack traces.
pub(crate) fn slim(folder: &Path, glue: &str, exclude: &[String]) -> Result<()> {
    let esbuild = npm::esbuild()?;
    for path in paths::walk(folder, &[])? {
        let name = path.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
        let script = [".js", ".mjs", ".cjs"].iter().any(|ending| name.ends_with(ending));
        if !script || exclude.contains(&name) {
            continue;
        }
        let mut command = process::command(node::node()?);
        command.arg(&esbuild).args(["--loader=js", "--charset=utf8", "--legal-comments=none", "--log-level=warning"]);
        if name == glue {
            command.args(["--format=esm", "--minify"]);
        }
        let source = paths::read(&path)?;
        command.stdin(std::fs::File::open(&path).with_context(|| format!("cannot read {}", paths::shown(&path)))?);
        let written = process::capture(&mut command)?;
        if written.is_empty() || written.len() > source.len() {
            bail!("esbuild made {} bytes of the {} of {name}", written.len(), source.len());
        }
        paths::write(&path, written)?;
    }
    Ok(())
}
