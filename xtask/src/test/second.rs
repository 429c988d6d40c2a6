//! A second chance. On a machine that others use, one of three thousand tests may find it too slow once; where nobody is
//! there to look, that must not throw everything away. So in CI a few that fail are run again, alone, and if they pass
//! then, that is told and not hidden: each such line is a bug of the test or of what it tries. Whoever works on a machine
//! of their own has no second chance, nor have the parts that count what was lost.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use super::Tally;
use crate::ui;

/// More than so many are no accident.
const FEW: u64 = 3;

/// Parts in which a failure may be a loss, which is one however rarely it happens.
const NONE: [&str; 2] = ["adversaries", "kills"];

/// Whether there is one.
pub(crate) fn is_given(name: &str) -> bool {
    std::env::var_os("CI").is_some() && !NONE.contains(&name)
}

/// The files whose tests failed, by what Node's runner says of each: `test at js-tests/node/a.test.mjs:12:1`.
pub(crate) fn files(output: &str, tests: &[PathBuf]) -> Vec<PathBuf> {
    let named: Vec<&str> = output
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("test at "))
        .filter_map(|place| place.split(".test.mjs").next())
        .collect();
    let failed = |path: &&PathBuf| {
        let path = path.to_string_lossy();
        let name = path.trim_end_matches(".test.mjs");
        named.iter().any(|named| !named.is_empty() && (name.ends_with(&format!("/{named}")) || name == *named))
    };
    tests.iter().filter(failed).cloned().collect()
}

/// The option of Node's runner for how many files it tries at once.
const AT_ONCE: &str = "--test-concurrency=";

/// The same command with these tests alone, one file after the other.
pub(crate) fn command(first: &Command, tests: &[PathBuf]) -> Command {
    let mut again = Command::new(first.get_program());
    let kept = |arg: &&OsStr| {
        let text = arg.to_string_lossy();
        !text.ends_with(".test.mjs") && !text.starts_with(AT_ONCE)
    };
    again.args(first.get_args().filter(kept)).arg(format!("{AT_ONCE}1")).args(tests);
    for (name, value) in first.get_envs() {
        match value {
            Some(value) => again.env(name, value),
            None => again.env_remove(name),
        };
    }
    if let Some(folder) = first.get_current_dir() {
        again.current_dir(folder);
    }
    again
}

/// What both runs come to; `again` is asked only where it may change something.
pub(crate) fn tally(first: Tally, again: impl FnOnce() -> Option<Tally>) -> Tally {
    if first.failed == 0 || first.failed > FEW {
        return first;
    }
    match again() {
        Some(second) if second.failed == 0 && second.passed > 0 => {
            for line in first.failures.iter().filter(|line| !line.contains('\n')) {
                ui::note(&format!("FAILED ONCE, and passed when it was run again: {line}"));
            }
            Tally { passed: first.passed.saturating_add(first.failed), ..Tally::default() }
        }
        _ => first,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn of(passed: u64, failed: u64) -> Tally {
        let failures = (0..failed).map(|number| format!("✖ {number}")).collect();
        Tally { passed, failed, failures }
    }

    #[test]
    fn few_failures_that_do_not_come_again_are_none_and_all_others_stay() {
        let come = |first: Tally, second: Option<Tally>| {
            let both = tally(first, || second);
            (both.passed, both.failed)
        };
        assert_eq!(come(of(9, 1), Some(of(4, 0))), (10, 0));
        assert_eq!(come(of(9, 1), Some(of(3, 1))), (9, 1));
        assert_eq!(come(of(9, 1), Some(of(0, 0))), (9, 1), "nothing was run");
        assert_eq!(come(of(9, 1), None), (9, 1));
        assert_eq!(come(of(9, 4), Some(of(9, 0))), (9, 4), "too many");
        assert_eq!(come(of(9, 0), Some(of(0, 9))), (9, 0));
    }

    #[test]
    fn the_files_that_failed_are_found_and_run_with_the_same_settings() {
        let path = |name: &str| PathBuf::from(format!("/x/js-tests/node/{name}.test.mjs"));
        let tests: Vec<PathBuf> = ["a", "aa", "b"].into_iter().map(path).collect();
        let output = "✔ fine\ntest at js-tests/node/a.test.mjs:12:1\n✖ bad\ntest at node/b.test.mjs:3:1\n";
        let failed = files(output, &tests);
        assert_eq!(failed, [path("a"), path("b")]);
        assert!(files("test at elsewhere.test.mjs:1:1", &tests).is_empty());
        let mut first = Command::new("node");
        first.args(["--test", "--test-concurrency=4"]).args(&tests).env("A", "1").current_dir("/x");
        let again = command(&first, &failed);
        let args: Vec<&OsStr> = again.get_args().collect();
        assert_eq!(
            args,
            ["--test", "--test-concurrency=1", &*path("a").to_string_lossy(), &*path("b").to_string_lossy()]
        );
        assert_eq!(again.get_envs().count(), 1);
        assert_eq!(again.get_current_dir(), Some(Path::new("/x")));
    }
}
