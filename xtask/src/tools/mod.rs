//! What the chores need beyond cargo and npm, found or installed.
//!
//! Every `ensure` is idempotent and quick when nothing is missing. It says what
//! it installs; when it cannot, its error says what is missing and how to get it.

use anyhow::Result;

use crate::{paths, ui};

pub(crate) mod apt;
pub(crate) mod chromium;
pub(crate) mod firefox;
pub(crate) mod foundry;
pub(crate) mod node;
pub(crate) mod npm;
pub(crate) mod rust;
pub(crate) mod wasm_bindgen;

/// Everything, for a machine that will be offline later.
pub(crate) fn ensure_all() -> Result<()> {
    ui::step("tools");
    rust::ensure_components()?;
    rust::ensure_wasm()?;
    if paths::locked_version("wasm-bindgen")?.is_some() {
        ui::note(&format!("wasm-bindgen {}", wasm_bindgen::ensure()?.display()));
    }
    ui::note(&format!("node         {}", node::node()?.display()));
    ui::note(&format!("wasm-opt     {}", npm::wasm_opt()?.display()));
    ui::note(&format!("forge        {}", foundry::forge()?.display()));
    ui::note(&format!("anvil        {}", foundry::anvil()?.display()));
    npm::ensure(&paths::at("js-tests"))?;
    ui::note(&format!("chromium     {}", chromium::ensure()?.display()));
    ui::note(&format!("firefox      {}", firefox::ensure()?.display()));
    Ok(())
}
