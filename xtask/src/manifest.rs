//! `wasm-pack.toml`: what goes into the npm package.
//!
//! The file cannot say anything that is not true: an unknown key fails to
//! parse, and a known key that the build never looked at fails the build.

use std::cell::Cell;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Deserializer};

use crate::paths;

/// A value that knows whether the build has looked at it.
#[derive(Debug)]
pub(crate) struct Key<T> {
    value: T,
    read: Cell<bool>,
}

impl<T> Key<T> {
    /// The value; from now on it counts as consumed.
    pub(crate) fn read(&self) -> &T {
        self.read.set(true);
        &self.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Key<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|value| Self { value, read: Cell::new(false) })
    }
}

/// A table of the file. The macro keeps the list of keys in one place, so that
/// none can be added to the struct and forgotten by the check.
macro_rules! table {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $key:literal $field:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $($(#[$doc])* #[serde(rename = $key)] pub(crate) $field: Key<$type>,)*
        }

        impl $name {
            fn unread(&self) -> Vec<&'static str> {
                [$(($key, self.$field.read.get())),*].into_iter().filter(|(_, read)| !read).map(|(key, _)| key).collect()
            }
        }
    };
}

table! {
    /// How the wasm module is made.
    Build {
        /// The cargo package.
        "crate" package: String,
        /// The cargo profile.
        "profile" profile: String,
        /// wasm-bindgen's `--target`.
        "target" target: String,
        /// The stem of the generated files.
        "name" name: String,
        /// The generated files that are kept.
        "outputs" outputs: Vec<String>,
        /// The file that holds the module as base64.
        "inline" inline: String,
    }
}

table! {
    /// How it is optimised.
    WasmOpt {
        /// wasm-opt's arguments.
        "flags" flags: Vec<String>,
    }
}

table! {
    /// What else the package holds.
    Package {
        /// The folder with the hand-written part.
        "template" template: String,
        /// What is in that folder.
        "entries" entries: Vec<String>,
        /// The modules that `require` gets as well.
        "require" require: Vec<String>,
        /// Folders with pages that go along.
        "pages" pages: Vec<String>,
        /// Contracts whose bytecode goes along, for chains on one's own machine.
        "contracts" contracts: Vec<String>,
        /// The file that holds it.
        "bytecode" bytecode: String,
        /// Files of the root that go along.
        "licences" licences: Vec<String>,
    }
}

table! {
    /// How large it may be.
    Budget {
        /// Bytes of wasm and JavaScript after gzip.
        "gzip-bytes" gzip_bytes: u64,
        /// The same after brotli, which most servers send.
        "brotli-bytes" brotli_bytes: u64,
        /// JavaScript that does not count.
        "exclude" exclude: Vec<String>,
    }
}

table! {
    /// JavaScript that becomes one file.
    Bundle {
        /// A file of the template, in whose place the bundle stands.
        "entry" entry: String,
        /// npm packages of `xtask/tools` that are in it, and no others.
        "with" with: Vec<String>,
        /// Files of the template that nothing needs beside the bundle.
        "inside" inside: Vec<String>,
        /// Bytes after gzip.
        "gzip-bytes" gzip_bytes: u64,
    }
}

table! {
    /// The wallet page, which is built upon the package.
    Page {
        /// The folder with its build.
        "source" source: String,
        /// Its folder in the package.
        "folder" folder: String,
        /// Bytes of its own scripts and styles after gzip.
        "gzip-bytes" gzip_bytes: u64,
    }
}

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) build: Build,
    #[serde(rename = "wasm-opt")]
    pub(crate) wasm_opt: WasmOpt,
    pub(crate) package: Package,
    pub(crate) page: Page,
    pub(crate) bundle: Vec<Bundle>,
    pub(crate) budget: Budget,
}

impl Manifest {
    /// Reads the file of this repository.
    pub(crate) fn load() -> Result<Self> {
        Self::parse(&paths::read(&paths::at("wasm-pack.toml"))?).context("wasm-pack.toml is not as the build needs it")
    }

    fn parse(text: &str) -> Result<Self> {
        Ok(toml::from_str(text)?)
    }

    /// To be called when the build is done: whatever it did not look at is a lie.
    pub(crate) fn demand_all_read(&self) -> Result<()> {
        let tables = [
            ("build", self.build.unread()),
            ("wasm-opt", self.wasm_opt.unread()),
            ("package", self.package.unread()),
            ("page", self.page.unread()),
            ("budget", self.budget.unread()),
        ];
        let tables = tables.into_iter().chain(self.bundle.iter().map(|bundle| ("bundle", bundle.unread())));
        let unread: Vec<String> =
            tables.flat_map(|(table, keys)| keys.into_iter().map(move |key| format!("{table}.{key}"))).collect();
        if !unread.is_empty() {
            bail!("wasm-pack.toml: nothing consumes {}", unread.join(", "));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPLETE: &str = include_str!("../../wasm-pack.toml");

    fn read_all_but_budget(manifest: &Manifest) {
        let Manifest { build, wasm_opt, package, page, bundle, budget: _ } = manifest;
        let _ = (build.package.read(), build.profile.read(), build.target.read(), build.name.read());
        let _ = (build.outputs.read(), build.inline.read(), wasm_opt.flags.read());
        let _ = (package.template.read(), package.entries.read(), package.pages.read(), package.licences.read());
        let _ = package.require.read();
        let _ = (page.source.read(), page.folder.read(), page.gzip_bytes.read());
        let _ = (package.contracts.read(), package.bytecode.read());
        for one in bundle {
            let _ = (one.entry.read(), one.with.read(), one.inside.read(), one.gzip_bytes.read());
        }
    }

    #[test]
    fn a_key_that_nothing_consumes_fails() -> Result<()> {
        let manifest = Manifest::parse(COMPLETE)?;
        read_all_but_budget(&manifest);
        let _ = manifest.budget.exclude.read();

        let refusal = manifest.demand_all_read().map_err(|error| error.to_string());

        assert_eq!(refusal, Err("wasm-pack.toml: nothing consumes budget.gzip-bytes, budget.brotli-bytes".to_owned()));
        Ok(())
    }

    #[test]
    fn a_manifest_that_was_read_whole_passes() -> Result<()> {
        let manifest = Manifest::parse(COMPLETE)?;
        read_all_but_budget(&manifest);
        let _ =
            (manifest.budget.exclude.read(), manifest.budget.gzip_bytes.read(), manifest.budget.brotli_bytes.read());

        manifest.demand_all_read()
    }

    #[test]
    fn an_unknown_key_fails() {
        for (place, key) in [("[build]\n", "out-dir = \"x\"\n"), ("[budget]\n", "zstd-bytes = 1\n")] {
            let text = COMPLETE.replace(place, &format!("{place}{key}"));
            let error = Manifest::parse(&text).map_or_else(|error| format!("{error:#}"), |_| String::new());
            assert!(error.contains("unknown field"), "{error}");
        }
    }

    #[test]
    fn an_unknown_table_fails() {
        assert!(Manifest::parse(&format!("{COMPLETE}\n[profile]\nrelease = true\n")).is_err());
    }

    #[test]
    fn a_missing_key_fails() {
        assert!(Manifest::parse(&COMPLETE.replace("gzip-bytes", "# gzip-bytes")).is_err());
    }
}
