//! A snapshot of the error codes and of the limits: what a client may rely on.

use farthing_protocol::error::{Blame, Code};
use farthing_protocol::{api, condition, journal, lane, tree};
use serde_json::{Value, json};

pub(crate) fn all() -> Value {
    let codes: Vec<Value> = Code::ALL
        .iter()
        .map(|code| json!({ "code": code.as_str(), "blame": blame(code.blame()), "advice": code.advice() }))
        .collect();
    json!({
        "about": "codes may be added; a code that is here keeps its name and whose fault it is",
        "codes": codes,
        "limits": {
            "messageBytes": api::limits::MAX_MESSAGE,
            "memoBytes": lane::MAX_MEMO,
            "envelopeBytes": lane::MAX_ENVELOPE,
            "conditionBytes": lane::MAX_CONDITION_BYTES,
            "hashChain": condition::MAX_CHAIN,
            "treeDepth": tree::DEPTH,
        },
        "storageFormat": journal::FORMAT,
    })
}

const fn blame(blame: Blame) -> &'static str {
    match blame {
        Blame::Refused => "refused",
        Blame::PeerFault => "peer-fault",
        Blame::Storage => "storage",
        Blame::Chain => "chain",
        Blame::Wallet => "wallet",
        Blame::Bug => "bug",
    }
}
