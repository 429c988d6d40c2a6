//! What a node's failure means: whether the question is worth another try, and when. A failure is never an answer.

use std::fmt;
use std::time::Duration;

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// It limits our questions, for as long as it says.
    Limited(Option<Duration>),
    /// It can't be reached, or hung up.
    Unreachable,
    /// It took longer than anybody waits.
    Late,
    /// Something is broken there, or in between.
    Broken(u16),
    /// It does not serve us, or something in between said so for a moment.
    Denied(u16),
    /// A page, half an answer, or nothing where there must be something.
    Garbled,
    /// It is of another chain.
    OtherChain(u64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limited(Some(after)) => write!(f, "limits our questions, for {} s", after.as_secs()),
            Self::Limited(None) => f.write_str("limits our questions"),
            Self::Unreachable => f.write_str("can't be reached"),
            Self::Late => f.write_str("does not answer in time"),
            Self::Broken(status) => write!(f, "fails with HTTP {status}"),
            Self::Denied(status) => write!(f, "refuses us with HTTP {status}; check the URL and the key in it"),
            Self::Garbled => f.write_str("answers with something that is no JSON-RPC answer"),
            Self::OtherChain(id) => write!(f, "is of another chain, {id}"),
        }
    }
}

/// What an HTTP status says by itself; `None` where the body decides.
pub(super) const fn of_status(status: u16, retry_after: Option<Duration>) -> Option<Fault> {
    match status {
        429 => Some(Fault::Limited(retry_after)),
        // Whoever says when to come back is there.
        503 if retry_after.is_some() => Some(Fault::Limited(retry_after)),
        408 | 502..=504 | 520..=530 => Some(Fault::Broken(status)),
        _ => None,
    }
}

/// What a status means whose body is no JSON-RPC answer.
pub(super) const fn without_body(status: u16) -> Fault {
    match status {
        200..=299 => Fault::Garbled,
        401..=404 => Fault::Denied(status),
        _ => Fault::Broken(status),
    }
}

/// The longest `Retry-After` that is obeyed. Whoever asks for more may limit us for good, and what has to be on chain
/// before a deadline can't wait for that.
const LONGEST_REST: Duration = Duration::from_secs(120);

/// Seconds of a `Retry-After`; its other form, a date, is read as a limit without an end.
pub(super) fn retry_after(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(|seconds| Duration::from_secs(seconds).min(LONGEST_REST))
}

/// What a JSON-RPC error says of the node itself; `None` if it says something of the question. Nodes share no codes
/// for this: -32005 is a limit of the rate at one and of the range of logs at another.
pub(super) fn of_error(method: &str, code: i64, message: &str) -> Option<Fault> {
    let said = message.to_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| said.contains(word));
    // What the EVM said, whatever words a contract chose.
    if code == 3 || said.contains("revert") {
        return None;
    }
    if method == "eth_getLogs" && any(&["range", "results", "logs", "blocks", "response size", "10000", "10,000"]) {
        return None;
    }
    let limited = any(&[
        "rate limit",
        "rate-limit",
        "ratelimit",
        "too many requests",
        "requests per second",
        "request limit",
        "requests limit",
        "request count",
        "compute units",
        "throughput",
        "quota",
        "throttle",
        "slow down",
        "limit exceeded",
        "over capacity",
        "capacity exceeded",
        "exceeded its capacity",
    ]);
    // Of a transaction some nodes say by these numbers that it is invalid: -32005 is Besu's for more gas than a block has.
    let by_number = matches!(code, -32_005 | -32_007 | -32_029 | -32_090 | -32_097) && !sends(method);
    if code == 429 || by_number || limited {
        return Some(Fault::Limited(None));
    }
    let broken = any(&[
        "timeout",
        "timed out",
        "try again",
        "temporarily",
        "unavailable",
        "overloaded",
        "bad gateway",
        "gateway",
        "no available",
        "upstream",
        "connection",
        "internal server error",
        "not synced",
        "syncing",
    ]);
    broken.then_some(Fault::Broken(200))
}

fn sends(method: &str) -> bool {
    matches!(method, "eth_sendRawTransaction" | "eth_estimateGas")
}

/// Whether an error says that the node does not have a block that another one has: several answer behind one URL.
pub(super) fn is_behind(message: &str) -> bool {
    let said = message.to_lowercase();
    let words = ["header not found", "unknown block", "block not found", "could not find block", "missing trie node"];
    // A contract chooses the words of its revert.
    !said.contains("revert") && words.iter().any(|word| said.contains(word))
}

/// Whether `null` is an answer: that there is no such thing, or not yet.
pub(super) fn may_be_null(method: &str) -> bool {
    matches!(
        method,
        "eth_getTransactionReceipt" | "eth_getTransactionByHash" | "eth_getBlockByNumber" | "eth_getBlockByHash"
    )
}

/// How long a node is left alone after so many failures in a row: twice as long each time, and somewhere in between,
/// so that those who were refused together do not come back together. `chance` is drawn by the caller.
pub(super) fn pause(fault: Fault, failures: u32, chance: u8) -> Duration {
    const FIRST: u64 = 100;
    const LONGEST: u64 = 15_000;
    // Each try takes so long by itself.
    const OF_LATE: u64 = 4_000;
    // A guard in front of a node may say so once; of one that goes on saying it, more tries soon do not help.
    const OF_DENIED: u64 = 1_000;
    let first = match fault {
        Fault::Late => OF_LATE,
        Fault::Denied(_) => OF_DENIED,
        _ => FIRST,
    };
    let whole = first.saturating_mul(1 << failures.min(9)).min(LONGEST);
    let half = whole.div_euclid(2);
    let pause = Duration::from_millis(half.saturating_add(half.saturating_mul(u64::from(chance)).div_euclid(255)));
    match fault {
        Fault::Limited(Some(after)) => after.max(pause),
        Fault::OtherChain(_) => Duration::from_millis(LONGEST),
        _ => pause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_and_a_retry_after_are_understood() {
        let after = retry_after(" 30 ");
        assert_eq!(after, Some(Duration::from_secs(30)));
        assert_eq!(retry_after("86400"), Some(LONGEST_REST));
        assert_eq!(retry_after("Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert_eq!(of_status(429, after), Some(Fault::Limited(after)));
        assert_eq!(of_status(429, None), Some(Fault::Limited(None)));
        assert_eq!(of_status(503, after), Some(Fault::Limited(after)));
        for status in [408, 502, 503, 504, 522] {
            assert_eq!(of_status(status, None), Some(Fault::Broken(status)));
        }
        // Some nodes put a JSON-RPC error under these.
        for status in [200, 400, 500] {
            assert_eq!(of_status(status, None), None);
        }
        assert_eq!(
            [200, 401, 404, 500].map(without_body)[..3],
            [Fault::Garbled, Fault::Denied(401), Fault::Denied(404)]
        );
        // It may be that it takes no batches, or none so large.
        assert_eq!([400, 413, 500].map(without_body), [400, 413, 500].map(Fault::Broken));
    }

    #[test]
    fn an_error_of_the_node_is_no_error_of_the_question() {
        for (code, said) in [
            (-32_005, "limit exceeded"),
            (-32_005, ""),
            (429, "Your app has exceeded its compute units per second capacity"),
            (-32_007, "50/second request limit reached"),
            (-32_000, "Too Many Requests"),
            (-32_016, "over rate limit"),
        ] {
            assert_eq!(of_error("eth_call", code, said), Some(Fault::Limited(None)), "{said}");
        }
        for said in
            ["request timed out", "Service temporarily unavailable", "no available upstreams", "try again later"]
        {
            assert_eq!(of_error("eth_call", -32_603, said), Some(Fault::Broken(200)), "{said}");
        }
        for (code, said) in [
            (3, "execution reverted: connection is broken"),
            (3, "rate limit exceeded"),
            (-32_000, "execution reverted: transfer limit exceeded"),
            (-32_000, "nonce too low"),
            (-32_602, "invalid params"),
            (-32_000, "header not found"),
        ] {
            assert_eq!(of_error("eth_call", code, said), None, "{said}");
        }
        let besu = "Transaction gas limit exceeds block gas limit";
        assert_eq!(of_error("eth_sendRawTransaction", -32_005, besu), None);
        let infura = "daily request count exceeded, request rate limited";
        assert_eq!(of_error("eth_sendRawTransaction", -32_005, infura), Some(Fault::Limited(None)));
        // A smaller range helps here, and waiting does not.
        for said in
            ["query returned more than 10000 results", "block range is too wide", "exceed maximum block range: 10"]
        {
            assert_eq!(of_error("eth_getLogs", -32_005, said), None, "{said}");
        }
        assert_eq!(of_error("eth_getLogs", -32_005, "daily request count exceeded"), Some(Fault::Limited(None)));
        assert!(is_behind("header not found") && is_behind("Unknown block 0x1") && !is_behind("execution reverted"));
        assert!(!is_behind("execution reverted: header not found"));
        assert!(may_be_null("eth_getTransactionReceipt") && !may_be_null("eth_call"));
    }

    #[test]
    fn pauses_grow_to_an_end_and_what_the_node_says_counts() {
        let (lost, asked) = (Fault::Unreachable, Fault::Limited(Some(Duration::from_secs(7))));
        assert_eq!((pause(lost, 0, 0), pause(lost, 0, 255)), (Duration::from_millis(50), Duration::from_millis(100)));
        assert!(pause(lost, 3, 0) > pause(lost, 1, 255));
        assert_eq!(pause(lost, u32::MAX, 255), Duration::from_secs(15));
        assert!(pause(Fault::Late, 0, 0) >= Duration::from_secs(2));
        assert_eq!(pause(asked, 0, 0), Duration::from_secs(7));
        assert_eq!(pause(Fault::OtherChain(1), 0, 0), Duration::from_secs(15));
    }

    #[test]
    fn who_denies_us_once_is_asked_again_soon_and_who_goes_on_is_left_alone() {
        let denied = Fault::Denied(403);
        assert_eq!((pause(denied, 0, 0), pause(denied, 0, 255)), (Duration::from_millis(500), Duration::from_secs(1)));
        assert!(pause(denied, 2, 255) <= Duration::from_secs(4));
        assert!(pause(denied, 4, 0) >= Duration::from_secs(7));
        assert_eq!(pause(denied, u32::MAX, 255), Duration::from_secs(15));
    }
}
