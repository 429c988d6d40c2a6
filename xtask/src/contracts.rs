//! `cargo xtask contracts`: compiles the Solidity and writes, for each
//! contract, the little that others need of it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::tools::foundry;
use crate::{paths, process, ui};

/// Where the artifacts go, below `target/`.
pub(crate) const ARTIFACTS: &str = "contracts";

/// Tokens for tests and the demo.
const TOKENS: &str = "contracts/test/tokens";

/// Builds and writes `target/contracts/*.json`.
pub(crate) fn build() -> Result<()> {
    ui::step("contracts");
    // Without the tests: each of them compiles the contract into itself again.
    let mut command = forge(&["build", "src"])?;
    if paths::at(TOKENS).is_dir() {
        command.arg("test/tokens");
    }
    process::run(&mut command)?;
    let written = write_artifacts()?;
    ui::note(&format!("target/{ARTIFACTS}/: {}", written.join(", ")));
    Ok(())
}

/// Builds if there is nothing that was built from the sources as they are.
pub(crate) fn ensure() -> Result<()> {
    let artifacts = paths::list(&paths::out(ARTIFACTS)).unwrap_or_default();
    let built = artifacts.iter().map(|file| Ok(file.metadata()?.modified()?)).collect::<Result<Vec<_>>>()?;
    let oldest = built.into_iter().min();
    for folder in ["contracts/src", TOKENS] {
        for source in paths::walk(&paths::at(folder), &[])? {
            if oldest
                .is_none_or(|oldest| source.metadata().and_then(|data| data.modified()).is_ok_and(|at| at > oldest))
            {
                return build();
            }
        }
    }
    Ok(())
}

/// What deploys a contract, `0x` and hex.
pub(crate) fn bytecode(name: &str) -> Result<String> {
    let file = paths::out(ARTIFACTS).join(format!("{name}.json"));
    let artifact: Value = serde_json::from_str(&paths::read(&file)?)?;
    let code = artifact
        .get("bytecode")
        .and_then(Value::as_str)
        .with_context(|| format!("{} has no bytecode", paths::shown(&file)))?;
    Ok(code.to_owned())
}

/// A forge command in `contracts/`.
pub(crate) fn forge(args: &[&str]) -> Result<Command> {
    let folder = paths::at("contracts");
    if !folder.join("foundry.toml").is_file() {
        bail!("contracts/foundry.toml is missing");
    }
    let mut command = process::command(foundry::forge()?);
    command.current_dir(folder).args(args).env("FOUNDRY_DISABLE_NIGHTLY_WARNING", "1");
    Ok(command)
}

/// What forge writes, as far as we read it.
#[derive(Debug, Deserialize)]
struct Compiled {
    abi: Value,
    bytecode: Code,
    metadata: Option<Metadata>,
}

#[derive(Debug, Deserialize)]
struct Code {
    object: String,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    settings: Settings,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settings {
    compilation_target: std::collections::BTreeMap<String, String>,
}

/// What we write.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Artifact<'a> {
    contract_name: &'a str,
    source_name: &'a str,
    abi: &'a Value,
    bytecode: &'a str,
}

/// One file for each contract of `src/`, and for each of `test/` that is not a
/// test itself: tokens and other doubles. Returns their names.
pub(crate) fn write_artifacts() -> Result<Vec<String>> {
    let target = paths::out(ARTIFACTS);
    paths::remove(&target)?;
    let mut written = Vec::new();
    for file in paths::walk(&paths::at("contracts/out"), &["build-info"])? {
        let Some((source, name, compiled)) = read(&file)? else {
            continue;
        };
        let code = compiled.bytecode.object.as_str();
        if code.len() <= "0x".len() || !is_ours(&source) {
            continue;
        }
        if code.contains("__$") {
            bail!("{name} needs a linked library; deploying would need the linker too");
        }
        if written.contains(&name) {
            bail!("two contracts are called {name}: one would overwrite the other's artifact");
        }
        let artifact = Artifact { contract_name: &name, source_name: &source, abi: &compiled.abi, bytecode: code };
        paths::write(&target.join(format!("{name}.json")), serde_json::to_vec(&artifact)?)?;
        written.push(name);
    }
    if written.is_empty() {
        bail!("forge built no contract of contracts/src");
    }
    Ok(written)
}

fn read(file: &Path) -> Result<Option<(String, String, Compiled)>> {
    let text = paths::read(file)?;
    let mut compiled: Compiled =
        serde_json::from_str(&text).with_context(|| format!("{} is not an artifact", paths::shown(file)))?;
    let target = compiled.metadata.take().and_then(|metadata| metadata.settings.compilation_target.into_iter().next());
    // A source that was renamed or removed leaves its artifact in out/.
    Ok(target
        .filter(|(source, _)| paths::at("contracts").join(source).is_file())
        .map(|(source, name)| (source, name, compiled)))
}

fn is_ours(source: &str) -> bool {
    let test = source.ends_with(".t.sol") || source.ends_with(".s.sol");
    (source.starts_with("src/") || source.starts_with("test/")) && !test
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn doubles_are_written_and_tests_are_not() {
        assert!(is_ours("src/Farthing.sol"));
        assert!(is_ours("test/TestDai.sol"));
        assert!(!is_ours("test/Farthing.t.sol"));
        assert!(!is_ours("node_modules/@openzeppelin/contracts/token/ERC20/ERC20.sol"));
    }
}
