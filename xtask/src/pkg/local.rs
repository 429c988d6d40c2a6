//! What `farthing dev` needs of the package: the bytecode that it deploys, and the packages that it starts, which are
//! optional.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::manifest::Manifest;
use crate::{contracts, paths};

/// The hub's package in the template's package.json: of the same version, to be filled in here.
const HUB: &str = "\"farthing-hub\": \"0.0.0\"";

/// Adds to what was assembled.
pub(crate) fn add(manifest: &Manifest, folder: &Path, version: &str) -> Result<()> {
    contracts::ensure()?;
    let mut bytecode = BTreeMap::new();
    for name in manifest.package.contracts.read() {
        bytecode.insert(name.as_str(), contracts::bytecode(name)?);
    }
    let file = folder.join(manifest.package.bytecode.read());
    paths::write(&file, format!("{}\n", serde_json::to_string(&bytecode)?))?;

    let package = folder.join("package.json");
    let text = paths::read(&package)?;
    demand_optional(&serde_json::from_str(&text)?)?;
    if text.matches(HUB).count() != 1 {
        bail!("pkg-template/package.json must have {HUB} once: the build fills in the version");
    }
    paths::write(&package, text.replace(HUB, &format!("\"farthing-hub\": \"{version}\"")))
}

/// A wallet's package brings nothing along: whoever wants a peer installs it.
fn demand_optional(package: &Value) -> Result<()> {
    let peers = package.get("peerDependencies").and_then(Value::as_object).context("there are no peerDependencies")?;
    for name in peers.keys() {
        let optional = package.pointer(&format!("/peerDependenciesMeta/{}/optional", name.replace('/', "~1")));
        if optional != Some(&Value::Bool(true)) {
            bail!("pkg-template/package.json: the peer {name} is not optional");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_npm_would_install_is_refused() -> Result<()> {
        let package = |meta: &str| {
            let text = format!(
                r#"{{ "peerDependencies": {{ "@a/b": "1", "c": "1" }}, "peerDependenciesMeta": {{ {meta} }} }}"#
            );
            demand_optional(&serde_json::from_str(&text)?)
        };
        package(r#""@a/b": { "optional": true }, "c": { "optional": true }"#)?;
        assert!(package(r#""c": { "optional": true }"#).is_err());
        assert!(package(r#""@a/b": { "optional": false }, "c": { "optional": true }"#).is_err());
        Ok(())
    }
}
