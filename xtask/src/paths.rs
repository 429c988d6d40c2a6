//! Where things are. Every path is absolute, so no command depends on the
//! folder that it was started from.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

/// The repository's root: xtask is compiled in place, one folder below it.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// A path given relative to the root.
pub(crate) fn at(relative: &str) -> PathBuf {
    root().join(relative)
}

/// Where our own results go: `target/` of this repository, also when cargo
/// builds elsewhere.
pub(crate) fn out(relative: &str) -> PathBuf {
    at("target").join(relative)
}

/// Where cargo puts what it builds.
pub(crate) fn cargo_target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| at("target"), |dir| root().join(dir))
}

/// A path as a reader wants to see it: relative to the root where it is inside.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// An executable's file name on this platform.
pub(crate) fn exe(name: &str) -> String {
    format!("{name}{}", env::consts::EXE_SUFFIX)
}

/// The version of a package in `Cargo.lock`, or `None` when nothing depends on it.
pub(crate) fn locked_version(package: &str) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        version: String,
    }

    let text = read(&at("Cargo.lock"))?;
    let lock: Lock = toml::from_str(&text).context("Cargo.lock is not a lockfile")?;
    let found = lock.package.into_iter().find(|candidate| candidate.name == package);
    Ok(found.map(|found| found.version))
}

/// A text file, with its name in the error.
pub(crate) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", shown(path)))
}

/// Writes a file and the folders above it.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", shown(folder)))?;
    }
    std::fs::write(path, content).with_context(|| format!("cannot write {}", shown(path)))
}

/// Removes a file or a folder that may not exist.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let gone =
        if path.is_dir() && !path.is_symlink() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match gone {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", shown(path)))
        }
        _ => Ok(()),
    }
}

/// The entries of a folder in name order; an absent folder has none.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", shown(folder)))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// All files below a folder, in name order, leaving out the folders named in `skip`.
pub(crate) fn walk(folder: &Path, skip: &[&str]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in list(folder)? {
        let name = path.file_name().unwrap_or_default();
        if !path.is_dir() {
            files.push(path);
        } else if !skip.iter().any(|skipped| name == *skipped) {
            files.extend(walk(&path, skip)?);
        }
    }
    Ok(files)
}

/// Copies a folder, leaving out the folders named in `skip`.
pub(crate) fn copy_tree(from: &Path, to: &Path, skip: &[&str]) -> Result<()> {
    for file in walk(from, skip)? {
        let target = to.join(file.strip_prefix(from)?);
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::copy(&file, &target).with_context(|| format!("cannot copy {}", shown(&file)))?;
    }
    Ok(())
}
