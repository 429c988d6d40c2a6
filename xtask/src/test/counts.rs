//! Reading the counts out of what the runners print.
//!
//! A runner that says it failed but counted no failure (it did not compile, it
//! crashed, it was killed) counts as one failure.

use super::Tally;
use crate::process::Watched;

/// Whose output it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Runner {
    Cargo,
    Nextest,
    Forge,
    Node,
}

/// How many lines of a failed run go into the report.
const TAIL: usize = 40;

impl Runner {
    /// The counts and the names of what failed.
    pub(crate) fn tally(self, run: &Watched) -> Tally {
        let text = strip_colours(&run.output);
        let mut tally = match self {
            Self::Cargo => cargo(&text),
            Self::Nextest => nextest(&text),
            Self::Forge => forge(&text),
            Self::Node => node(&text),
        };
        if !run.ok {
            if tally.failed == 0 {
                tally.failed = 1;
                tally.failures.push(format!("ended badly\n{}", run.tail(TAIL)));
            } else {
                let log = format!("its last lines:\n{}", run.tail(TAIL));
                tally.failures.push(log);
            }
        }
        tally
    }
}

/// `test result: ok. 5 passed; 0 failed; 1 ignored; …`, once a binary.
fn cargo(text: &str) -> Tally {
    let mut tally = Tally::default();
    for line in text.lines() {
        if let Some(counts) = line.trim_start().strip_prefix("test result: ") {
            tally.add(Tally { passed: before(counts, "passed"), failed: before(counts, "failed"), ..Tally::default() });
        } else if line.starts_with("test ") && line.ends_with("FAILED") {
            tally.failures.push(line.to_owned());
        }
    }
    tally
}

/// `Summary [ 0.012s] 12 tests run: 10 passed (1 slow), 1 failed, 1 timed out, 0 skipped`.
fn nextest(text: &str) -> Tally {
    let mut tally = Tally::default();
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("Summary [") {
            let failed = ["failed", "timed out", "exec failed"].iter().map(|what| before(line, what)).max();
            let ran = before(line, "tests run").max(before(line, "test run"));
            let passed = before(line, "passed");
            tally.passed = passed;
            tally.failed = ran.saturating_sub(passed).max(failed.unwrap_or_default());
        } else if ["FAIL [", "TIMEOUT [", "SIGABRT [", "SIGSEGV ["].iter().any(|start| line.starts_with(start))
            && !tally.failures.iter().any(|known| known == line)
        {
            tally.failures.push(line.to_owned());
        }
    }
    tally
}

/// `Ran 2 test suites in 1.2s (2.0s CPU time): 5 tests passed, 0 failed, 0 skipped (5 total tests)`.
fn forge(text: &str) -> Tally {
    let mut tally = Tally::default();
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("Ran ") && line.contains(" tests passed, ") {
            tally.passed = before(line, "tests passed");
            tally.failed = before(line, "failed");
        } else if line.starts_with("[FAIL") && !tally.failures.iter().any(|known| known == line) {
            tally.failures.push(line.to_owned());
        }
    }
    tally
}

/// `ℹ pass 5` or `# pass 5`, and the same with `fail` and `cancelled`.
fn node(text: &str) -> Tally {
    let mut tally = Tally::default();
    for line in text.lines() {
        let fact = line.strip_prefix("ℹ ").or_else(|| line.strip_prefix("# "));
        if let Some((what, number)) = fact.and_then(|fact| fact.split_once(' ')) {
            let number = number.trim().parse().unwrap_or_default();
            match what {
                "pass" => tally.passed = tally.passed.saturating_add(number),
                "fail" | "cancelled" => tally.failed = tally.failed.saturating_add(number),
                _ => {}
            }
        }
        let name = line.trim_start();
        if name.starts_with("✖ ") && name != "✖ failing tests:" && !tally.failures.iter().any(|known| known == name)
        {
            tally.failures.push(name.to_owned());
        }
    }
    tally
}

/// The number in front of the words: 3 in `3 failed`. Zero if there is none.
fn before(line: &str, words: &str) -> u64 {
    let mut rest = line;
    while let Some((head, tail)) = rest.split_once(words) {
        let number = head.trim_end().rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        if head.ends_with(' ') && !number.is_empty() {
            return number.parse().unwrap_or_default();
        }
        rest = tail;
    }
    0
}

fn strip_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(runner: Runner, ok: bool, output: &str) -> (u64, u64) {
        let tally = runner.tally(&Watched { ok, output: output.to_owned() });
        assert_eq!(tally.failed == 0, tally.failures.is_empty());
        (tally.passed, tally.failed)
    }

    #[test]
    fn cargo_counts_are_summed_over_binaries() {
        let output = "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured\n\
                      test a ... FAILED\n\
                      test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured\n";
        assert_eq!(counted(Runner::Cargo, false, output), (7, 1));
    }

    #[test]
    fn nextest_counts_everything_that_did_not_pass() {
        let good = "     Summary [   0.012s] 12 tests run: 12 passed (1 slow), 3 skipped\n";
        assert_eq!(counted(Runner::Nextest, true, good), (12, 0));
        let bad = "        FAIL [   0.1s] (1/3) farthing a\n     TIMEOUT [ 60.0s] (2/3) farthing b\n\
                        Summary [   1.2s] 3 tests run: 1 passed, 1 failed, 1 timed out, 0 skipped\n";
        assert_eq!(counted(Runner::Nextest, false, bad), (1, 2));
    }

    #[test]
    fn forge_counts_come_from_its_last_line() {
        let output = "Suite result: FAILED. 2 passed; 1 failed; 0 skipped; finished in 1.00s\n\
                      Ran 1 test suite in 1.02s (1.00s CPU time): 2 tests passed, 1 failed, 0 skipped (3 total tests)\n\
                      [FAIL: wrong root] test_settle_refuses() (gas: 100)\n";
        assert_eq!(counted(Runner::Forge, false, output), (2, 1));
    }

    #[test]
    fn node_counts_are_found_in_both_of_its_dialects() {
        assert_eq!(counted(Runner::Node, true, "ℹ tests 5\nℹ pass 5\nℹ fail 0\nℹ cancelled 0\n"), (5, 0));
        assert_eq!(counted(Runner::Node, false, "✖ pays (3ms)\n# pass 5\n# fail 1\n"), (5, 1));
    }

    #[test]
    fn a_runner_that_counts_nothing_and_fails_is_one_failure() {
        assert_eq!(counted(Runner::Cargo, false, "error: could not compile"), (0, 1));
        assert_eq!(counted(Runner::Node, false, ""), (0, 1));
    }

    #[test]
    fn colours_do_not_hide_counts() {
        assert_eq!(counted(Runner::Node, true, "\u{1b}[34mℹ pass 2\u{1b}[39m\n"), (2, 0));
    }
}
