//! Keys, domains and the way values are written. Numbers above 32 bits are decimal strings, since JavaScript reads
//! numbers as floats.

use alloy_primitives::{Address, B256, hex};
use farthing_protocol::eip712::Domain;
use farthing_protocol::proof::{LaneId, SignedProof};
use farthing_protocol::sign::{SecretKey, Signature};
use farthing_protocol::types::{ChannelDef, Participant};
use serde_json::{Value, json};

/// The largest `s` and half of it: signatures have a low `s`.
pub(crate) const ORDER: [u8; 32] = hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");

pub(crate) fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).unwrap()
}

/// The key `n`, or counted from the group's order down.
pub(crate) fn keys() -> Vec<[u8; 32]> {
    let mut one = [0; 32];
    one[31] = 1;
    let mut last = ORDER;
    last[31] -= 1;
    vec![one, [0x22; 32], last]
}

pub(crate) fn domain() -> Domain {
    Domain::new(31_337, contract())
}

pub(crate) fn contract() -> Address {
    Address::repeat_byte(0xfa)
}

pub(crate) fn domains() -> Vec<Domain> {
    vec![domain(), Domain::new(1, Address::with_last_byte(0x11)), Domain::new(u64::MAX, Address::repeat_byte(0xff))]
}

/// Of the user (`A`, key 0x0a…) and the hub (`B`, key 0x0b…), each with a session key.
pub(crate) fn channel(salt: u64) -> ChannelDef {
    ChannelDef {
        a: Participant { owner: key(0x0a).address(), signer: key(0x1a).address() },
        b: Participant { owner: key(0x0b).address(), signer: key(0x1b).address() },
        challenge_period: 86_400,
        salt,
    }
}

pub(crate) fn bytes(bytes: impl AsRef<[u8]>) -> Value {
    hex::encode_prefixed(bytes).into()
}

pub(crate) fn text(value: impl ToString) -> Value {
    value.to_string().into()
}

/// Lower case: the checksum of mixed case is nothing to agree on here.
pub(crate) fn address(address: Address) -> Value {
    bytes(address)
}

pub(crate) fn domain_json(domain: &Domain) -> Value {
    json!({
        "chainId": text(domain.chain_id()),
        "contract": address(domain.contract()),
        "separator": bytes(domain.separator()),
    })
}

pub(crate) fn channel_json(channel: &ChannelDef) -> Value {
    let participant = |of: &Participant| json!({ "owner": address(of.owner), "signer": address(of.signer) });
    json!({
        "a": participant(&channel.a),
        "b": participant(&channel.b),
        "challengePeriod": channel.challenge_period,
        "salt": text(channel.salt),
    })
}

pub(crate) fn proof_json(lane: LaneId, signed: &SignedProof, acknowledgement: Option<Signature>) -> Value {
    json!({
        "asset": address(lane.asset),
        "payer": lane.payer.index(),
        "nonce": text(signed.proof.nonce),
        "transferred": text(signed.proof.transferred),
        "locked": text(signed.proof.locked),
        "locksRoot": bytes(signed.proof.locks_root),
        "seen": text(signed.proof.seen),
        "signature": bytes(signed.signature.as_bytes()),
        "acknowledgement": bytes(acknowledgement.map(|signature| signature.as_bytes().to_vec()).unwrap_or_default()),
    })
}

pub(crate) fn siblings_json(siblings: &[B256]) -> Value {
    siblings.iter().map(bytes).collect()
}
