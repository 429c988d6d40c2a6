//! What a failure of an RPC means: whether another try is worth it, or whether it says something.

use crate::url::any;

/// What to do about a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Ask again: too much was asked of the node.
    Slower,
    /// Ask again, and for less if it goes on: it may mean the number of questions or the range of logs.
    Less,
    /// Ask again: the node, or the way to it, is not well, or it lags behind.
    Again,
    /// It does not serve us: by a word of what stands before it that may pass in a moment, or for good.
    Denied,
    /// The EVM has said something, or the transaction can't be: an answer, not a failure of the node.
    Says,
    /// This node does not serve that method, or not so much at once.
    NotServed,
}

/// Words of too many questions, whatever the method.
const SLOWER: &[&str] = &[
    "rate limit",
    "rate-limit",
    "ratelimit",
    "rate exceeded",
    "too many request",
    "per second",
    "per minute",
    "request limit",
    "requests limit",
    "request count",
    "quota",
    "compute unit",
    "slow down",
];

/// Words of a limit that nodes use for too many questions and for too much in one answer alike.
const LIMIT: &[&str] = &["throttl", "capacity"];

/// Words of a range of logs that is too long, or of too much in it.
const TOO_MUCH: &[&str] = &[
    "range",
    "results",
    "more than",
    "matched by query",
    "too large",
    "too big",
    "response size",
    "size exceeded",
    "limited to",
    "too many logs",
    "too many blocks",
    "max block",
    "maximum block",
    "timeout",
    "timed out",
    "pruned",
];

/// Words of a node that has not seen, or has no more, what was asked for: another one may have it, or this one later.
const LAGS: &[&str] = &[
    "header not found",
    "block not found",
    "unknown block",
    "is not found",
    "cannot be found",
    "could not be found",
    "could not find block",
    "beyond current head",
    "beyond the head",
    "beyond the latest",
    "greater than latest",
    "greater than the latest",
];

/// Words of what may be over in a moment.
const AGAIN: &[&str] = &[
    "missing trie node",
    "state not available",
    "state is not available",
    "historical state",
    "not available",
    "unavailable",
    "timeout",
    "timed out",
    "temporar",
    "try again",
    "internal",
    "gateway",
    "overload",
    "busy",
    "upstream",
    "syncing",
    "connection",
    "network error",
    "failed to fetch",
];

/// Words of the EVM, and of a transaction that no node takes.
const SAYS: &[&str] = &[
    "revert",
    "insufficient funds",
    "insufficient balance",
    "exceeds balance",
    "out of gas",
    "invalid opcode",
    "gas required exceeds",
    "stack underflow",
    // What a contract ends with that does not revert, as geth, reth and Anvil, and Nethermind say it.
    "stack limit",
    "invalid jump",
    "write protection",
    "return data out of bounds",
    "gas uint64 overflow",
    "outofgas",
    "outofoffset",
    "invalidfeopcode",
    "opcodenotfound",
    "invalidjump",
    "stackunderflow",
    "stackoverflow",
    "statechangeduringstaticcall",
    "vm execution error",
];

/// Of an error of JSON-RPC or of a wallet: its number, if it has one, and all that it says, in small letters.
#[must_use]
pub fn of_error(method: &str, code: Option<i64>, text: &str) -> Verdict {
    if code == Some(3) || any(text, SAYS) {
        return Verdict::Says;
    }
    let (is_logs, is_limit) = (method == "eth_getLogs", any(text, LIMIT));
    if code == Some(429) || any(text, SLOWER) || (is_limit && !is_logs) {
        return Verdict::Slower;
    }
    if code != Some(-32_601) && any(text, LAGS) {
        return Verdict::Again;
    }
    if is_logs && any(text, TOO_MUCH) {
        return Verdict::NotServed;
    }
    if is_logs && (is_limit || code == Some(-32_005) || any(text, &["limit exceeded"])) {
        return Verdict::Less;
    }
    match code {
        // Limit exceeded, and what providers have beside it.
        Some(-32_005 | -32_016 | -32_029 | -32_097 | -32_098 | -32_046) => Verdict::Slower,
        Some(-32_601 | -32_602 | -32_600 | -32_004 | 4_200) => Verdict::NotServed,
        Some(-32_603 | -32_002 | -32_001 | 408 | 425 | 500..=599 | 4_900 | 4_901) | None => Verdict::Again,
        Some(_) if any(text, AGAIN) => Verdict::Again,
        Some(status @ 400..=499) => u16::try_from(status).map_or(Verdict::NotServed, of_status),
        Some(_) => Verdict::NotServed,
    }
}

/// Of an HTTP status that is no success.
#[must_use]
pub const fn of_status(status: u16) -> Verdict {
    match status {
        429 => Verdict::Slower,
        // The node may have it all the same.
        408 | 409 | 421 | 423 | 425 | 499 | 500..=599 => Verdict::Again,
        // Of the question, which will be no other by waiting.
        400 | 413 | 414 | 422 | 431 => Verdict::NotServed,
        400..=499 => Verdict::Denied,
        _ => Verdict::NotServed,
    }
}

/// Milliseconds that a `Retry-After` wants: seconds, or a date, of which the difference to now is given.
#[must_use]
pub fn retry_after(seconds: Option<u64>, until_date: Option<u64>) -> Option<u32> {
    let wanted = seconds.map(|seconds| seconds.saturating_mul(1_000)).or(until_date)?;
    Some(u32::try_from(wanted).unwrap_or(u32::MAX).min(LONGEST_REST))
}

/// However long a node wants to be left alone, it is asked again after this, in milliseconds.
pub const LONGEST_REST: u32 = 300_000;

#[cfg(test)]
mod tests {
    use super::Verdict::{Again, Denied, Less, NotServed, Says, Slower};
    use super::*;

    #[test]
    fn errors_of_nodes_mean_what_they_mean() {
        let table: &[(&str, Option<i64>, &str, Verdict)] = &[
            ("eth_call", Some(3), "execution reverted", Says),
            ("eth_call", Some(-32_000), "execution reverted: WrongSignature", Says),
            ("eth_call", Some(-32_603), "vm exception while processing transaction: revert", Says),
            ("eth_call", Some(-32_603), "evm error invalidfeopcode", Says),
            ("eth_call", Some(-32_603), "evm error outofgas(basic)", Says),
            ("eth_call", Some(-32_000), "invalid jump destination", Says),
            ("eth_call", Some(-32_015), "vm execution error.", Says),
            ("eth_call", Some(-32_000), "evm error: database error: header not found", Again),
            ("eth_estimateGas", Some(-32_000), "insufficient funds for gas * price + value", Says),
            ("eth_estimateGas", Some(-32_000), "gas required exceeds allowance (0)", Says),
            ("eth_call", Some(-32_005), "limit exceeded", Slower),
            ("eth_call", Some(-32_005), "daily request count exceeded, request rate limited", Slower),
            ("eth_call", Some(-32_016), "over rate limit", Slower),
            ("eth_call", Some(-32_029), "too many connections", Slower),
            ("eth_call", Some(-32_097), "slow", Slower),
            ("eth_call", Some(429), "your app has exceeded its compute units per second capacity", Slower),
            ("eth_call", Some(-32_000), "rate limit exceeded", Slower),
            ("eth_call", Some(-32_090), "too many requests, retry in 10s", Slower),
            ("eth_getLogs", Some(-32_005), "rate limit exceeded", Slower),
            ("eth_getLogs", Some(429), "too many requests", Slower),
            ("eth_getLogs", Some(429), "limit exceeded", Slower),
            ("eth_getLogs", Some(-32_005), "limit exceeded", Less),
            ("eth_getLogs", Some(-32_005), "", Less),
            ("eth_getLogs", Some(-32_000), "request throttled", Less),
            ("eth_getLogs", Some(-32_000), "node is at capacity", Less),
            ("eth_getLogs", Some(-32_005), "logs matched by query exceeds limit of 10000", NotServed),
            ("eth_call", Some(-32_000), "node is at capacity", Slower),
            ("eth_getLogs", Some(-32_000), "log limit exceeded", Less),
            ("eth_call", Some(-32_603), "internal error", Again),
            ("eth_call", Some(-32_000), "header not found", Again),
            ("eth_call", Some(-32_000), "missing trie node 12ab (path )", Again),
            ("eth_call", Some(-32_000), "request timeout", Again),
            ("eth_call", Some(-32_002), "resource unavailable", Again),
            ("eth_call", Some(-32_000), "unknown block", Again),
            ("eth_call", Some(503), "service unavailable", Again),
            ("eth_call", Some(4_900), "disconnected", Again),
            ("eth_call", None, "failed to fetch", Again),
            ("eth_call", None, "", Again),
            ("eth_call", Some(-32_602), "block with number 123 is not found", Again),
            ("eth_getLogs", Some(-32_602), "block range extends beyond current head block", Again),
            (
                "eth_getLogs",
                Some(-32_000),
                "one of the blocks specified in filter (fromblock, toblock or blockhash) cannot be found.",
                Again,
            ),
            ("eth_call", Some(403), "", Denied),
            ("eth_getLogs", Some(413), "", NotServed),
            ("eth_foo", Some(-32_601), "method is not found", NotServed),
            ("eth_foo", Some(-32_601), "the method eth_foo does not exist", NotServed),
            ("eth_getLogs", Some(-32_602), "query exceeds max block range 10", NotServed),
            ("eth_getLogs", Some(-32_005), "query returned more than 10000 results", NotServed),
            ("eth_getLogs", Some(-32_000), "query timeout exceeded", NotServed),
            ("eth_getLogs", Some(-32_600), "eth_getlogs is limited to a 10,000 range", NotServed),
            ("eth_getLogs", Some(-32_614), "eth_getlogs is limited to 1024 blocks", NotServed),
            ("eth_getLogs", Some(-32_701), "history has been pruned for this block", NotServed),
            ("eth_getLogs", Some(-32_000), "log response size exceeded", NotServed),
        ];
        for (method, code, text, verdict) in table {
            assert_eq!(of_error(method, *code, text), *verdict, "{method} {code:?} {text}");
        }
    }

    #[test]
    fn http_statuses_mean_what_they_mean() {
        for status in [408, 409, 421, 423, 425, 499, 500, 502, 503, 504, 520, 524] {
            assert_eq!(of_status(status), Again, "{status}");
        }
        assert_eq!(of_status(429), Slower);
        for status in [401, 402, 403, 404, 405, 407, 410, 415, 426, 451] {
            assert_eq!(of_status(status), Denied, "{status}");
        }
        for status in [304, 400, 413, 414, 422, 431] {
            assert_eq!(of_status(status), NotServed, "{status}");
        }
    }

    #[test]
    fn a_node_is_left_alone_as_long_as_it_wants_within_reason() {
        assert_eq!(retry_after(Some(30), None), Some(30_000));
        assert_eq!(retry_after(None, Some(1_500)), Some(1_500));
        assert_eq!(retry_after(Some(86_400), None), Some(LONGEST_REST));
        assert_eq!(retry_after(Some(u64::MAX), None), Some(LONGEST_REST));
        assert_eq!(retry_after(None, None), None);
    }
}
