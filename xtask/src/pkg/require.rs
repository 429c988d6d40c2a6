//! What `require` gets. Node loads an ES module by it, so both ways of importing share one instance; what can't (Jest, an
//! older Node) gets a copy that is CommonJS all through. Bundlers see the first alone.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::manifest::Manifest;
use crate::tools::{node, npm};
use crate::{paths, process};

/// Ahead of a copy: where it lies, in place of `import.meta.url`, and what jsdom lacks.
const HERE: &str = "const here = require(\"node:url\").pathToFileURL(__filename).href; var { TextDecoder, TextEncoder } = globalThis.TextDecoder ? globalThis : require(\"node:util\");";

/// Writes `X.cjs` for each `X.mjs` that wasm-pack.toml names, its copy, and declarations beside all declarations.
pub(crate) fn write(manifest: &Manifest, folder: &Path) -> Result<()> {
    for entry in manifest.package.require.read() {
        let stem = stem(entry)?;
        let name = Path::new(stem).file_name().unwrap_or_default().to_string_lossy();
        paths::write(&folder.join(format!("{stem}.cjs")), loader(&name))?;
        copy(manifest, folder, entry, stem)?;
    }
    paths::write(&folder.join(format!("{}_bg.wasm.cjs", manifest.build.name.read())), base64(manifest))?;
    for path in paths::walk(folder, &[])? {
        let file = path.to_string_lossy();
        if let Some(stem) = file.strip_suffix(".d.ts").filter(|stem| !stem.ends_with("internal")) {
            paths::write(Path::new(&format!("{stem}.d.cts")), declaration(&paths::read(&path)?))?;
        }
    }
    Ok(())
}

/// The copies: nobody loads one beside the rest, so they have no part in the budget.
pub(crate) fn copies(manifest: &Manifest) -> Result<Vec<String>> {
    let base64 = Ok(format!("{}_bg.wasm.cjs", manifest.build.name.read()));
    let copies = manifest.package.require.read().iter().map(|entry| Ok(format!("{}.copy.cjs", stem(entry)?)));
    copies.chain([base64]).collect()
}

fn stem(entry: &str) -> Result<&str> {
    entry.strip_suffix(".mjs").with_context(|| format!("{entry:?} in package.require is no .mjs"))
}

/// `module` goes by another name, so that bundlers do not follow to the copy.
fn loader(name: &str) -> String {
    format!(
        r#"try {{
  module.exports = require("./{name}.mjs");
}} catch (error) {{
  if (error.code !== "ERR_REQUIRE_ESM" && !/load ES Module/.test(error.message)) throw error;
  const own = module;
  module.exports = own.require("./{name}.copy.cjs");
}}
"#
    )
}

fn copy(manifest: &Manifest, folder: &Path, entry: &str, stem: &str) -> Result<()> {
    let to = folder.join(format!("{stem}.copy.cjs"));
    let mut command = process::command(node::node()?);
    command.arg(npm::esbuild()?).arg(folder.join(entry)).args([
        "--bundle",
        "--format=cjs",
        "--platform=neutral",
        "--target=es2022",
        "--charset=utf8",
        "--legal-comments=inline",
        "--minify-whitespace",
        "--log-level=warning",
        "--external:node:*",
        "--define:import.meta.url=here",
    ]);
    let entrance = stem.contains('/');
    if entrance {
        // There is one module, whoever asks for it; where an ES module can't be required, `import` gives none either.
        command.args(["--external:*/node.mjs", "--supported:dynamic-import=false"]);
    }
    // The module's file is there to be read.
    command.arg(format!("--external:*/{}", inline(manifest)));
    command.arg(format!("--banner:js={HERE}")).arg(format!("--outfile={}", to.display()));
    process::run(&mut command)?;
    let text = paths::read(&to)?.replace(&inline(manifest), &format!("{}_bg.wasm.cjs", manifest.build.name.read()));
    let text = if entrance { text.replace("../node.mjs", "../node.cjs") } else { text };
    if text.contains("import.meta") {
        bail!("{} still asks for import.meta, which CommonJS has not", paths::shown(&to));
    }
    paths::write(&to, text)
}

fn inline(manifest: &Manifest) -> String {
    manifest.build.inline.read().clone()
}

/// The module as base64, from its file.
fn base64(manifest: &Manifest) -> String {
    let module = format!("{}_bg.wasm", manifest.build.name.read());
    format!("module.exports = require(\"node:fs\").readFileSync(`${{__dirname}}/{module}`, \"base64\");\n")
}

/// The same for CommonJS: what it refers to beside it is of that kind too.
fn declaration(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, part) in text.split('"').enumerate() {
        if index > 0 {
            out.push('"');
        }
        match part.strip_suffix(".js") {
            Some(path) if part.starts_with("./") || part.starts_with("../") => {
                out.push_str(path);
                out.push_str(".cjs");
            }
            _ => out.push_str(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_refer_to_their_own_kind() {
        let text = "import type { A } from \"./fetch.js\";\nexport * from \"../pay/index.js\";\n/** \"page.js\" */";
        let told = "import type { A } from \"./fetch.cjs\";\nexport * from \"../pay/index.cjs\";\n/** \"page.js\" */";
        assert_eq!(declaration(text), told);
    }

    #[test]
    fn only_modules_are_required() {
        assert!(stem("node.js").is_err());
        assert_eq!(stem("pay/index.mjs").ok(), Some("pay/index"));
    }
}
