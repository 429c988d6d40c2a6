//! How the tests read `vectors/`.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each test uses a part"
)]

use alloy_primitives::{B256, hex};
use farthing_protocol::amount::Amount;
use farthing_protocol::condition::Condition;
use farthing_protocol::eip712::Domain;
use farthing_protocol::error::Error;
use farthing_protocol::types::{ChannelDef, Participant, Side};
use serde_json::Value;
use std::fmt::Debug;
use std::str::FromStr;

pub fn file(name: &str) -> Value {
    let path = format!("{}/../vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let list = value[name].as_array().unwrap_or_else(|| panic!("no list {name}"));
    assert!(!list.is_empty(), "{name} is empty");
    list
}

/// A decimal string, or 0x and hex.
pub fn get<T: FromStr<Err: Debug>>(value: &Value, name: &str) -> T {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}")).parse().unwrap()
}

pub fn small<T: TryFrom<u64, Error: Debug>>(value: &Value, name: &str) -> T {
    value[name].as_u64().unwrap_or_else(|| panic!("{name} in {value}")).try_into().unwrap()
}

pub fn amount(value: &Value, name: &str) -> Amount {
    Amount::parse(value[name].as_str().unwrap()).unwrap()
}

pub fn bytes(value: &Value, name: &str) -> Vec<u8> {
    hex::decode(value[name].as_str().unwrap()).unwrap()
}

pub fn side(value: &Value, name: &str) -> Side {
    Side::from_index(small(value, name)).unwrap()
}

pub fn channel(value: &Value) -> ChannelDef {
    let participant = |value: &Value| Participant { owner: get(value, "owner"), signer: get(value, "signer") };
    ChannelDef {
        a: participant(&value["a"]),
        b: participant(&value["b"]),
        challenge_period: small(value, "challengePeriod"),
        salt: get(value, "salt"),
    }
}

pub fn domain(value: &Value) -> Domain {
    let domain = Domain::new(get(value, "chainId"), get(value, "contract"));
    assert_eq!(domain.separator(), get::<B256>(value, "separator"));
    domain
}

/// Fails unless the result is this case's error.
pub fn refused<T: Debug>(case: &Value, result: Result<T, Error>) {
    match result {
        Err(error) => assert_eq!(error.code().as_str(), case["code"], "{}", case["name"]),
        Ok(value) => panic!("{} was taken: {value:?}", case["name"]),
    }
}

pub fn condition(case: &Value) -> Condition {
    Condition { address: get(case, "condition"), params: bytes(case, "params").into() }
}
