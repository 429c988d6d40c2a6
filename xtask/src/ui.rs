//! What the user sees. Progress goes to stderr, results go to stdout.

use std::io::IsTerminal;
use std::time::Duration;

/// A step that begins.
pub(crate) fn step(text: &str) {
    eprintln!("{} {text}", paint("==>", "36;1"));
}

/// A detail below the current step.
pub(crate) fn note(text: &str) {
    eprintln!("    {text}");
}

/// An error with its causes, one a line.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("{} {error}", paint("error:", "31;1"));
    for cause in error.chain().skip(1) {
        eprintln!("  because {cause}");
    }
}

/// Colours a word, where a person is looking.
pub(crate) fn paint(text: &str, colour: &str) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some() || !std::io::stderr().is_terminal();
    if plain { text.to_owned() } else { format!("\u{1b}[{colour}m{text}\u{1b}[0m") }
}

/// Seconds with one decimal.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Groups of three digits: 150,000.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn thousands_are_grouped_from_the_right() {
        assert_eq!(thousands(7), "7");
        assert_eq!(thousands(150_000), "150,000");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }
}
