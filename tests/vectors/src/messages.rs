//! One message of each kind, as it is on the wire.

use crate::common::{address, bytes, channel, channel_json, domain, domain_json, key};
use alloy_primitives::{Address, Bytes};
use farthing_protocol::amount::Amount;
use farthing_protocol::condition::{Condition, sha256};
use farthing_protocol::error::Code;
use farthing_protocol::lane::{Lane, Op, Update};
use farthing_protocol::message::{Closing, ClosingAsset, LaneSync, Message, Withdrawal};
use farthing_protocol::proof::{LaneId, SignedProof};
use farthing_protocol::sign::{SecretKey, Signature};
use farthing_protocol::types::{Asset, ChannelDef, ChannelId, ETH, Side, Sides};
use serde_json::{Value, json};

pub(crate) const START: u64 = 1_700_000_000;
pub(crate) const TOKEN: Asset = Address::repeat_byte(0xda);

pub(crate) fn all() -> Value {
    let messages: Vec<Value> = messages()
        .into_iter()
        .map(|(name, message)| {
            let text = message.encode().unwrap();
            assert_eq!(Message::decode(&text).unwrap(), message);
            json!({ "name": name, "text": text })
        })
        .collect();
    json!({
        "about": "the text is the message byte for byte, as this version writes it; a reader takes it with its fields in any order",
        "domain": domain_json(&domain()),
        "channel": channel_json(&channel(0)),
        "id": bytes(id().0),
        "messages": messages,
        "legacy": legacy(),
    })
}

/// Accepted, but not written like that.
fn legacy() -> Vec<Value> {
    let zero = address(ETH);
    let cases = [
        ("spaces", json!({ "type": "accepted", "asset": zero, "nonce": 1 }).to_string().replace(':', " : "), None),
        (
            "no signature where none is due",
            format!(r#"{{"type":"accepted","asset":{zero},"nonce":1,"acknowledgement":null}}"#),
            None,
        ),
        ("escapes", format!(r#"{{"typ\u0065":"accepted","asset":{zero},"nonce":1}}"#), None),
        (
            "upper case hex",
            format!(
                r#"{{"type":"accepted","asset":"{}","nonce":1}}"#,
                TOKEN.to_string().to_uppercase().replace("0X", "0x")
            ),
            Some(TOKEN),
        ),
    ];
    cases
        .into_iter()
        .map(|(name, given, asset)| {
            let message = Message::decode(&given).unwrap();
            let expected = Message::Accepted { asset: asset.unwrap_or(ETH), nonce: 1, acknowledgement: None };
            assert_eq!(message, expected, "{name}");
            json!({ "name": name, "text": given, "same": message.encode().unwrap() })
        })
        .collect()
}

pub(crate) fn id() -> ChannelId {
    def().id(domain().chain_id(), domain().contract())
}

pub(crate) fn def() -> ChannelDef {
    channel(0)
}

pub(crate) fn hub() -> SecretKey {
    key(0x1b)
}

pub(crate) fn user() -> SecretKey {
    key(0x1a)
}

pub(crate) fn lock(slot: u16, byte: u8, n: u32, unit_price: u128, expiry: u64) -> Op {
    Op::Lock {
        slot,
        condition: Condition::hash_lock(sha256(&[byte; 32])),
        expiry,
        n,
        unit_price: Amount::new(unit_price),
        to: None,
        envelope: Bytes::new(),
    }
}

/// The next signed step of a lane; the lane takes it.
pub(crate) fn update(
    lane: &mut Lane,
    payer: Side,
    asset: Asset,
    base: u64,
    nonce: u64,
    seen: u64,
    ops: Vec<Op>,
) -> Update {
    lane.apply(nonce, &ops).unwrap();
    let proof = lane.statement(nonce, seen);
    let signer = if payer == Side::A { user() } else { hub() };
    let signed = SignedProof::sign(proof, &domain(), id(), LaneId { asset, payer }, &signer);
    Update { base, ops, proof, signature: signed.signature }
}

fn messages() -> Vec<(&'static str, Message)> {
    let mut lane = Lane::default();
    let first = update(
        &mut lane,
        Side::A,
        ETH,
        0,
        1,
        0,
        vec![Op::Transfer { amount: Amount::new(5), memo: "for the croissant – “thanks”".into() }],
    );
    let to_somebody = Op::Lock {
        slot: 65_535,
        condition: Condition::voucher(key(5).address(), [8; 32].into()),
        expiry: START + 86_400,
        n: 10,
        unit_price: Amount::new(1_000_000_000_000_000_000),
        to: Some(key(6).address()),
        envelope: vec![1, 2, 3].into(),
    };
    let second = update(&mut lane, Side::A, ETH, 1, 2, 7, vec![lock(0, 7, 1, 100, START + 86_400), to_somebody]);
    let third =
        update(&mut lane, Side::A, ETH, 2, 3, 7, vec![Op::Redeem { slot: 65_535, units: 4 }, Op::Release { slot: 0 }]);
    let mut other = Lane::default();
    let largest = Op::Transfer { amount: Amount::MAX, memo: String::new() };
    let theirs = update(&mut other, Side::B, TOKEN, u64::MAX - 1, u64::MAX, u64::MAX, vec![largest]);
    let acknowledge = |update: &Update, asset: Asset, payer: Side, key: &SecretKey| -> Signature {
        key.sign(update.proof.acknowledgement_digest(&domain(), id(), LaneId { asset, payer }))
    };
    let withdrawal = Withdrawal {
        asset: ETH,
        side: Side::A,
        total: Amount::new(12),
        recipient: key(6).address(),
        deadline: START + 600,
    };
    let digest = domain().digest(&withdrawal.to_abi(id()));
    let closing = Closing {
        assets: vec![
            ClosingAsset { asset: ETH, totals: sides(7, 8), deposits: sides(10, 5) },
            ClosingAsset { asset: TOKEN, totals: sides(u128::MAX, 0), deposits: sides(0, u128::MAX) },
        ],
        deadline: START + 600,
    };
    let closing_digest = domain().digest(&closing.to_abi(id()));
    vec![
        ("update: a transfer", Message::Update { asset: ETH, update: first.clone() }),
        ("update: locks", Message::Update { asset: ETH, update: second }),
        ("update: a redemption and a release", Message::Update { asset: ETH, update: third.clone() }),
        ("update: the largest numbers", Message::Update { asset: TOKEN, update: theirs.clone() }),
        ("accepted", Message::Accepted { asset: ETH, nonce: 1, acknowledgement: None }),
        (
            "accepted, with an acknowledgement",
            Message::Accepted {
                asset: ETH,
                nonce: 3,
                acknowledgement: Some(acknowledge(&third, ETH, Side::A, &hub())),
            },
        ),
        (
            "refused",
            Message::Refused {
                asset: ETH,
                nonce: 2,
                code: Code::InsufficientFunds.as_str().into(),
                message: "more than was deposited".into(),
                last: Some(first.signed_proof()),
            },
        ),
        (
            "refused, with nothing accepted yet",
            Message::Refused {
                asset: ETH,
                nonce: 1,
                code: Code::BadNonce.as_str().into(),
                message: String::new(),
                last: None,
            },
        ),
        ("reveal", Message::Reveal { asset: ETH, slot: 0, placed: 2, evidence: vec![7; 32].into() }),
        ("fail", Message::Fail { asset: ETH, slot: 65_535, placed: 2, code: Code::PayeeDeclined.as_str().into() }),
        ("cancel", Message::Cancel { asset: ETH, slot: 65_535, placed: u64::MAX }),
        ("held", Message::Held { asset: ETH, slot: 0, placed: 2 }),
        ("forwarded", Message::Forwarded { asset: ETH, slot: 0, placed: 2 }),
        ("sync, of nothing", Message::Sync { lanes: Vec::new() }),
        (
            "sync",
            Message::Sync {
                lanes: vec![
                    LaneSync { asset: ETH, signed: Some(third.signed_proof()), accepted: None, acknowledgement: None },
                    LaneSync {
                        asset: TOKEN,
                        signed: None,
                        accepted: Some(theirs.signed_proof()),
                        acknowledgement: Some(acknowledge(&theirs, TOKEN, Side::B, &user())),
                    },
                ],
            },
        ),
        ("funds", Message::Funds { asset: TOKEN, deposits: sides(u128::MAX, 0) }),
        (
            "withdrawProposal",
            Message::WithdrawProposal {
                withdrawal,
                signature: user().sign(digest),
                owner_signature: Bytes::copy_from_slice(key(0x0a).sign(digest).as_bytes()),
                submit: true,
            },
        ),
        ("withdrawSigned", Message::WithdrawSigned { withdrawal, signature: hub().sign(digest) }),
        (
            "closeProposal",
            Message::CloseProposal { closing: closing.clone(), signature: user().sign(closing_digest), submit: false },
        ),
        ("closeSigned", Message::CloseSigned { closing, signature: hub().sign(closing_digest) }),
        (
            "declined",
            Message::Declined {
                what: "withdraw".into(),
                code: Code::InsufficientFunds.as_str().into(),
                message: "later".into(),
            },
        ),
    ]
}

pub(crate) fn sides(a: u128, b: u128) -> Sides<Amount> {
    Sides { a: Amount::new(a), b: Amount::new(b) }
}
