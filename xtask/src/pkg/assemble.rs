//! Puts generated and hand-written files together, and lets no other file in.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::manifest::Manifest;
use crate::paths;

/// The version in the template's package.json, to be filled in here.
const PLACEHOLDER: &str = "\"version\": \"0.0.0\"";

/// Ahead of the glue, which takes these for given where it is loaded.
const TEXT: &str = "import { TextDecoder, TextEncoder } from \"./text.mjs\";\n";

/// Fills `folder` from what wasm-bindgen wrote, the template and the licences.
pub(crate) fn assemble(manifest: &Manifest, stage: &Path, folder: &Path, version: &str) -> Result<()> {
    copy_generated(manifest, stage, folder)?;
    copy_template(manifest, folder)?;
    for page in manifest.package.pages.read() {
        let from = paths::at(page);
        let name = from.file_name().with_context(|| format!("{page:?} in package.pages has no name"))?;
        paths::copy_tree(&from, &folder.join(name), &[])?;
    }
    for licence in manifest.package.licences.read() {
        copy(&paths::at(licence), &folder.join(licence))?;
    }
    let package = folder.join("package.json");
    let text = with_version(&paths::read(&package)?, version)?;
    paths::write(&package, text)
}

/// Looks at the finished package's own description.
pub(crate) fn check(folder: &Path) -> Result<()> {
    let text = paths::read(&folder.join("package.json"))?;
    check_description(&serde_json::from_str(&text).context("pkg-template/package.json is not JSON")?, folder)
}

fn copy_generated(manifest: &Manifest, stage: &Path, folder: &Path) -> Result<()> {
    let (name, outputs) = (manifest.build.name.read(), manifest.build.outputs.read());
    for output in outputs {
        copy(&stage.join(output), &folder.join(output))?;
    }
    let glue = folder.join(format!("{name}_bg.js"));
    paths::write(&glue, format!("{TEXT}{}", paths::read(&glue)?))?;
    let module = std::fs::read(stage.join(format!("{name}_bg.wasm")))?;
    let inline = format!("export default \"{}\";\n", base64(&module));
    paths::write(&folder.join(manifest.build.inline.read()), inline)?;

    let dropped = [".js", ".d.ts", "_bg.wasm.d.ts"].map(|ending| format!("{name}{ending}"));
    for path in paths::walk(stage, &[])? {
        let file = path.strip_prefix(stage)?.to_string_lossy().into_owned();
        if !outputs.contains(&file) && !dropped.contains(&file) {
            bail!("wasm-bindgen wrote {file}, which wasm-pack.toml does not list in build.outputs");
        }
    }
    Ok(())
}

fn copy_template(manifest: &Manifest, folder: &Path) -> Result<()> {
    let template = paths::at(manifest.package.template.read());
    let listed: BTreeSet<&str> = manifest.package.entries.read().iter().map(String::as_str).collect();
    let mut found = BTreeSet::new();
    for path in paths::list(&template)? {
        found.insert(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
    }
    let missing: Vec<&str> = listed.iter().copied().filter(|entry| !found.contains(*entry)).collect();
    let unlisted: Vec<&str> = found.iter().map(String::as_str).filter(|entry| !listed.contains(entry)).collect();
    if !missing.is_empty() || !unlisted.is_empty() {
        bail!(
            "{} and package.entries in wasm-pack.toml differ: missing there [{}], not listed [{}]",
            paths::shown(&template),
            missing.join(", "),
            unlisted.join(", ")
        );
    }
    for entry in listed {
        let from = template.join(entry);
        if from.is_dir() {
            paths::copy_tree(&from, &folder.join(entry), &[])?;
        } else {
            copy(&from, &folder.join(entry))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let content = std::fs::read(from).with_context(|| format!("cannot read {}", paths::shown(from)))?;
    paths::write(to, content)
}

/// Three bytes become four letters.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut bits = 0_u32;
        for place in 0..3 {
            bits = bits << 8 | u32::from(group.get(place).copied().unwrap_or_default());
        }
        for place in 0..4_usize {
            let index = bits >> (18_usize.saturating_sub(place.saturating_mul(6))) & 63;
            let letter = LETTERS.get(index as usize).copied().unwrap_or_default();
            text.push(if place > group.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

/// The text stays as it is but for the version: the order of export
/// conditions has a meaning.
fn with_version(text: &str, version: &str) -> Result<String> {
    if text.matches(PLACEHOLDER).count() != 1 {
        bail!("pkg-template/package.json must have {PLACEHOLDER} once: the build fills in the real one");
    }
    Ok(text.replace(PLACEHOLDER, &format!("\"version\": \"{version}\"")))
}

/// No dependencies, no scripts, and no export that leads nowhere.
fn check_description(package: &Value, folder: &Path) -> Result<()> {
    for field in ["dependencies", "optionalDependencies", "scripts"] {
        if package.get(field).is_some() {
            bail!("pkg-template/package.json has {field}: a wallet's package brings nothing along and runs nothing");
        }
    }
    let mut targets = Vec::new();
    collect(package.get("exports").context("pkg-template/package.json has no exports")?, &mut targets);
    for field in ["main", "module", "types"] {
        targets.extend(package.get(field).and_then(Value::as_str));
    }
    for target in targets {
        if !target.contains('*') && !folder.join(target).is_file() {
            bail!("pkg-template/package.json leads to {target}, which is not in the package");
        }
    }
    Ok(())
}

fn collect<'a>(exports: &'a Value, targets: &mut Vec<&'a str>) {
    match exports {
        Value::String(target) => targets.push(target),
        Value::Object(conditions) => conditions.values().for_each(|value| collect(value, targets)),
        Value::Array(alternatives) => alternatives.iter().for_each(|value| collect(value, targets)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_filled_in_and_nothing_else_changes() -> Result<()> {
        let text = "{ \"name\": \"farthing\", \"version\": \"0.0.0\", \"b\": 1, \"a\": 2 }";
        assert_eq!(with_version(text, "1.2.3")?, text.replace("0.0.0", "1.2.3"));
        assert!(with_version("{ \"version\": \"0.1.0\" }", "1.2.3").is_err());
        Ok(())
    }

    #[test]
    fn base64_is_padded() {
        let known = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (bytes, text) in known {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn an_export_that_leads_nowhere_is_refused() -> Result<()> {
        let package = serde_json::from_str(r#"{ "exports": { ".": { "node": "./no-such-file.mjs" } } }"#)?;
        assert!(check_description(&package, &paths::at("xtask")).is_err());
        let package = serde_json::from_str(r#"{ "exports": { ".": { "node": "./Cargo.toml" } } }"#)?;
        check_description(&package, &paths::at("xtask"))
    }

    #[test]
    fn dependencies_are_refused() -> Result<()> {
        let package = serde_json::from_str(r#"{ "exports": {}, "dependencies": { "left-pad": "1" } }"#)?;
        assert!(check_description(&package, &paths::at("xtask")).is_err());
        Ok(())
    }
}
