//! The stage on which JavaScript plays: everything that a test, a benchmark or
//! the demo needs is built, and told to it by environment variables.
//!
//! | variable | what it holds |
//! | --- | --- |
//! | `FARTHING_HUB_BIN` | the hub's program |
//! | `FARTHING_ANVIL_BIN` | the EVM node's program |
//! | `FARTHING_ARTIFACTS` | the folder with `Farthing.json`, `TestDai.json`, … |
//! | `FARTHING_PKG_TGZ` | what `npm pack` made |
//! | `FARTHING_PKG_HUB_TGZ`, `FARTHING_PKG_HUB_NATIVE_TGZ` | the hub's program as npm packages (of the quick start alone) |
//! | `FARTHING_PKG_DIR` | the same, as npm installed it |
//! | `CHROMIUM`, `FIREFOX` | the browser's program |

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::tools::{chromium, foundry, node, npm};
use crate::{contracts, paths, process, ui};

/// How the hub is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hub {
    /// Quickly, for tests and the demo: others' cryptography alone is optimised.
    Dev,
    /// As it is shipped, for whoever measures.
    Release,
}

impl Hub {
    /// Compiles it and returns the program.
    pub(crate) fn build(self) -> Result<PathBuf> {
        ui::step(if self == Self::Release { "hub (release)" } else { "hub" });
        process::run(&mut self.cargo())?;
        Ok(self.program())
    }

    /// The command that compiles it.
    pub(crate) fn cargo(self) -> Command {
        match self {
            // With the features that crates have in the tests of the workspace, which a test among the targets asks
            // for: with others half of them would be compiled once for the tests and once for the hub.
            Self::Dev => process::cargo(&["build", "--workspace", "--bin", "farthing-hub", "--test", "rooms"]),
            Self::Release => {
                process::cargo(&["build", "--package", "farthing-hub", "--bin", "farthing-hub", "--release"])
            }
        }
    }

    /// Where cargo puts it.
    pub(crate) fn program(self) -> PathBuf {
        let folder = if self == Self::Release { "release" } else { "debug" };
        paths::cargo_target().join(folder).join(paths::exe("farthing-hub"))
    }
}

/// Gives a Rust or Node program what it has to know about contracts and chain.
pub(crate) fn set_chain(command: &mut Command) -> Result<()> {
    command.env("FARTHING_ANVIL_BIN", foundry::anvil()?).env("FARTHING_ARTIFACTS", paths::out(contracts::ARTIFACTS));
    Ok(())
}

/// A Node in `js-tests/` that knows where everything is.
pub(crate) fn node_command(hub: Hub, tgz: &Path, browser: bool) -> Result<Command> {
    let folder = paths::at("js-tests");
    let mut command = process::command(node::node()?);
    command.current_dir(&folder);
    set_chain(&mut command)?;
    command.env("FARTHING_HUB_BIN", hub.program());
    command.env("FARTHING_PKG_TGZ", tgz).env("FARTHING_PKG_DIR", installed());
    if browser {
        command.env("CHROMIUM", chromium::ensure()?);
    }
    Ok(command)
}

/// Where `import "farthing"` leads in `js-tests/`.
fn installed() -> PathBuf {
    paths::at("js-tests/node_modules/farthing")
}

/// Installs the packed package as a stranger would, in an empty project, and
/// puts the result where the files of `js-tests/` find it. The source tree is
/// out of the game.
pub(crate) fn install(tgz: &Path) -> Result<()> {
    if !tgz.is_file() {
        bail!("there is no packed package: `cargo xtask pkg` makes it");
    }
    npm::ensure(&paths::at("js-tests"))?;
    let project = paths::out("npm/project");
    paths::remove(&project)?;
    paths::write(&project.join("package.json"), "{ \"name\": \"stranger\", \"private\": true }\n")?;
    process::run(npm::npm(&project, &["install", "--no-package-lock", "--offline", "--silent"]).arg(tgz))?;
    let extra: Vec<PathBuf> = paths::list(&project.join("node_modules"))?
        .into_iter()
        .filter(|path| !["farthing", ".bin", ".package-lock.json"].iter().any(|ours| path.ends_with(ours)))
        .collect();
    if !extra.is_empty() {
        bail!("installing the package brought {} others along", extra.len());
    }
    if !project.join("node_modules/.bin/farthing").exists() {
        bail!("`npx farthing` would not find the program: look at \"bin\" in the template's package.json");
    }
    paths::remove(&installed())?;
    paths::copy_tree(&project.join("node_modules/farthing"), &installed(), &[])
}
