//! Whether a person said no. Wallets and the libraries in front of them say it in many shapes: a number, a word or a
//! sentence, on the error itself or deep inside of it, thrown or even returned. It is taken for a no only where that is
//! certain, since a no says that nothing was sent.

use crate::js::{get, message};
use js_sys::{Array, Reflect};
use wasm_bindgen::prelude::*;

/// How deep a wrapped error is looked into, and at how many values in all: whoever wraps may wrap itself.
const DEPTH: u32 = 6;
const VALUES: u32 = 200;

/// EIP-1193's "user rejected", and WalletConnect's for requests, chains and methods.
const NUMBERS: [i64; 4] = [4001, 5000, 5001, 5002];

/// As codes of ethers, viem, web3 and Trezor.
const NAMES: [&str; 5] =
    ["action_rejected", "userrejectedrequesterror", "failure_actioncancelled", "method_cancel", "userrefusedondevice"];

/// A Ledger's status word for a refusal on its buttons.
const LEDGER: f64 = 27_013.0;

const PERSONS: [&str; 4] = ["user", "customer", "signer", "owner"];

const NOES: [&str; 8] =
    ["rejected", "denied", "declined", "cancelled", "canceled", "refused", "disapproved", "dismissed"];

/// Alone they say what a person did with the question.
const ALONE: [&str; 8] =
    ["rejected", "denied", "declined", "cancelled", "canceled", "cancel", "user rejected", "user denied"];

/// Whether what was thrown, or given in place of an answer, says that the person refused.
#[must_use]
pub(super) fn is_refusal(thrown: &JsValue) -> bool {
    let mut left = VALUES;
    search(thrown, DEPTH, &mut left)
}

fn search(value: &JsValue, depth: u32, left: &mut u32) -> bool {
    let Some(fewer) = left.checked_sub(1) else { return false };
    *left = fewer;
    if let Some(text) = value.as_string() {
        return says_no(&text);
    }
    if !value.is_object() {
        return false;
    }
    if is_no(&get(value, "code")) || get(value, "statusCode").as_f64() == Some(LEDGER) || says_no(&message(value)) {
        return true;
    }
    let Some(deeper) = depth.checked_sub(1) else { return false };
    // `cause` of an error is not enumerable, so all own names are looked at; a getter that throws is no answer.
    let names = Reflect::own_keys(value).unwrap_or_else(|_| Array::new());
    names.iter().any(|name| {
        let inner = Reflect::get(value, &name).unwrap_or(JsValue::UNDEFINED);
        // A stack repeats the message and names functions; what was asked is no answer.
        let asked = ["stack", "request", "params", "method", "payload", "transaction", "args"];
        let other = name.as_string().is_some_and(|name| asked.contains(&name.as_str()));
        !other && (inner.is_object() || inner.is_string()) && search(&inner, deeper, left)
    })
}

#[allow(clippy::cast_possible_truncation, reason = "error numbers are small integers")]
fn is_no(code: &JsValue) -> bool {
    if let Some(number) = code.as_f64() {
        return NUMBERS.contains(&(number as i64));
    }
    code.as_string().is_some_and(|code| {
        let code = code.trim().to_ascii_lowercase();
        NAMES.contains(&code.as_str()) || code.parse().is_ok_and(|number| NUMBERS.contains(&number))
    })
}

/// Whether a sentence tells of a refusal by a person. What ends by itself, and what a node or a contract refuses, is
/// none, in whatever words.
fn says_no(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    // `str::contains` would bring its search for long needles along.
    let has = |word: &str| text.as_bytes().windows(word.len()).any(|part| part == word.as_bytes());
    let not = ["revert", "insufficient", "nonce", "underpriced", "timeout", "timed out", "time out", "expired"];
    if not.into_iter().any(has) {
        return false;
    }
    let words: Vec<&str> =
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
    if NAMES.iter().any(|name| words.contains(name)) || ALONE.contains(&words.join(" ").as_str()) {
        return true;
    }
    // An error as JSON inside of a sentence.
    let number = |pair: &[&str]| matches!(pair, ["code", "4001" | "5000"]);
    let person = |word: Option<&&str>| word.is_some_and(|word| PERSONS.contains(word));
    words.windows(2).any(number)
        || words.iter().enumerate().any(|(at, word)| {
            if !NOES.contains(word) {
                return false;
            }
            let before = |steps: usize| at.checked_sub(steps).and_then(|at| words.get(at));
            let after = |steps: usize| at.checked_add(steps).and_then(|at| words.get(at));
            // "user rejected", "user has denied"; "rejected by user", "denied by the user".
            let active = person(before(1)) || (matches!(before(1), Some(&("has" | "have"))) && person(before(2)));
            let by = after(1) == Some(&"by");
            active || by && (person(after(2)) || (after(2) == Some(&"the") && person(after(3))))
        })
}

#[cfg(test)]
mod tests {
    use super::says_no;

    #[test]
    fn a_person_who_says_no_is_heard_in_whatever_words() {
        for text in [
            "User rejected the request.",
            "MetaMask Tx Signature: User denied transaction signature.",
            "MetaMask Message Signature: User denied message signature.",
            "Action cancelled by user",
            "canceled by user",
            "User cancelled",
            "user declined",
            "The user has rejected the transaction",
            "User disapproved requested methods",
            "user rejected transaction (action=\"sendTransaction\", code=ACTION_REJECTED, version=6.13)",
            "ACTION_REJECTED",
            "UserRejectedRequestError",
            "Declined.",
            "cancelled",
            "Ledger device: Condition of use not satisfied (denied by the user?) (0x6985)",
            "Internal JSON-RPC error. {\"code\": 4001, \"message\": \"no\"}",
        ] {
            assert!(says_no(text), "{text}");
        }
    }

    #[test]
    fn what_ends_by_itself_or_is_refused_by_a_node_is_no_refusal_by_a_person() {
        for text in [
            "insufficient funds for gas * price + value: transaction rejected",
            "execution reverted: transfer rejected by owner",
            "nonce too low: transaction rejected",
            "replacement transaction underpriced, request refused",
            "request aborted",
            "transaction was closed",
            "transaction was cancelled by timeout",
            "user cancelled by timeout: request expired",
            "The request was rejected",
            "user operation rejected by the bundler",
            "the connection of the user was closed",
            "Internal JSON-RPC error.",
            "The method is not supported",
            "",
        ] {
            assert!(!says_no(text), "{text}");
        }
    }
}
