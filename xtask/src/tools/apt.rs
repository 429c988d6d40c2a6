//! Programs from the system's packages, where that is Debian's or one of its kind, and where we may.

use std::process::Command;

use crate::{paths, process, ui};

/// Tries to install a package; whoever called looks whether it is there now.
pub(crate) fn install(what: &str, package: &str) {
    let root = process::probe(process::command("id").arg("-u")).is_some_and(|id| id == "0");
    if !root || !process::exists("apt-get") {
        return;
    }
    ui::step(&format!("{what} is missing: apt-get install {package}"));
    let log = paths::out("xtask/apt.log");
    let updated = process::watch(&mut apt(&["update"]), &log).is_ok_and(|run| run.ok);
    let installed = process::watch(&mut apt(&["install", "--yes", "--no-install-recommends", package]), &log);
    if !installed.is_ok_and(|run| run.ok) {
        let lists = if updated { "" } else { " (nor refresh its lists)" };
        ui::note(&format!("apt-get could not install it{lists}; see {}", paths::shown(&log)));
    }
}

fn apt(args: &[&str]) -> Command {
    let mut command = process::command("apt-get");
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    command
}
