//! Stored records of format version 4. A build of a later format must still read them: when it comes, this file's
//! output is kept as it is, and `storage-v5.json` begins. `storage-v3.json` and `storage-v2.json` were made by the builds
//! before, and `protocol/tests/golden/storage-v2-first.json` by the first of format 2.

use crate::common::{bytes, domain, key};
use crate::messages::{START, TOKEN, def, hub, id, lock, sides, update, user};
use alloy_primitives::{B256, keccak256};
use farthing_protocol::amount::Amount;
use farthing_protocol::chain::{AssetStatus, ChainFact};
use farthing_protocol::channel::{Fact, OpRef, SignedClosing, SignedWithdrawal, State};
use farthing_protocol::codec::Encode;
use farthing_protocol::condition::{ALL_UNITS, Condition, sha256};
use farthing_protocol::hub::Registration;
use farthing_protocol::journal::{FORMAT, encode};
use farthing_protocol::lane::{Lane, LockRef, Op};
use farthing_protocol::message::{Closing, ClosingAsset, Withdrawal};
use farthing_protocol::proof::LaneId;
use farthing_protocol::types::{ETH, Side, Sides};
use farthing_protocol::wallet::{Direction, Payment, PaymentId, Status, Stream};
use serde_json::{Value, json};
use std::fmt::Debug;

pub(crate) fn all() -> Value {
    assert_eq!(FORMAT, 4, "keep storage-v4.json as it is, and write storage-v5.json from here on");
    json!({
        "about": "hex is the stored record: its format version, the value as protocol/src/codec.rs writes it, and the CRC-32 of both, little endian; text is the same value, for people and for comparison",
        "format": FORMAT,
        "records": records(),
    })
}

fn records() -> Vec<Value> {
    let mut records = Vec::new();
    let public_key = user().public_key();
    let full = Registration { channel: def(), public_key: Some(public_key), binding: Some(vec![0xbb; 65].into()) };
    let bare = Registration { channel: def(), public_key: None, binding: None };
    records.push(record("Registration", "a client that has registered", &full));
    records.push(record("Registration", "a channel that is known from the chain alone", &bare));
    let facts = facts();
    for (name, fact) in &facts {
        records.push(record("Fact", name, fact));
    }
    let list: Vec<&Fact> = facts.iter().map(|(_, fact)| fact).take(3).collect();
    records.push(record("Facts", "a batch", &list));
    records.push(record("Facts", "an empty batch", &Vec::<Fact>::new()));
    records.push(record("State", "of a channel without history", &State::default()));
    let mut state = State::default();
    for (_, fact) in facts.iter().filter(|(name, _)| !name.starts_with("outdated")) {
        state.replay(fact).unwrap();
    }
    records.push(record("State", "after all of these facts but the last", &state));
    for (name, payment) in payments() {
        records.push(record("Payment", name, &payment));
    }
    records
}

fn record<T: Encode + Debug>(kind: &str, name: &str, value: &T) -> Value {
    let mut record = json!({ "type": kind, "name": name, "hex": bytes(encode(value)) });
    // A state also shows what follows from its content, and that is not stored.
    if kind != "State" {
        record["text"] = format!("{value:?}").into();
    }
    record
}

fn facts() -> Vec<(&'static str, Fact)> {
    let expiry = START + 86_400;
    let mut ours = Lane::default();
    let transfer = |amount, memo: &str| Op::Transfer { amount: Amount::new(amount), memo: memo.into() };
    let first = update(&mut ours, Side::A, ETH, 0, 1, 0, vec![transfer(5, "hello"), lock(0, 7, 10, 3, expiry)]);
    let second =
        update(&mut ours, Side::A, ETH, 1, 2, 0, vec![Op::Redeem { slot: 0, units: 4 }, lock(1, 8, 1, 9, expiry)]);
    let third = update(&mut ours, Side::A, ETH, 2, 3, 1, vec![Op::Release { slot: 1 }]);
    let fourth = update(&mut ours, Side::A, ETH, 3, 4, 1, vec![transfer(1, ""), lock(300, 9, 2, 2, expiry)]);
    let mut theirs = Lane::default();
    let received =
        update(&mut theirs, Side::B, ETH, 0, 7, 2, vec![transfer(100, "salary"), lock(2, 10, 1, 50, expiry)]);
    let acknowledgement = |update: &farthing_protocol::lane::Update, payer: Side| {
        let signer = if payer == Side::A { hub() } else { user() };
        signer.sign(update.proof.acknowledgement_digest(&domain(), id(), LaneId { asset: ETH, payer }))
    };
    let withdrawal = Withdrawal {
        asset: ETH,
        side: Side::A,
        total: Amount::new(12),
        recipient: key(6).address(),
        deadline: START + 600,
    };
    let digest = domain().digest(&withdrawal.to_abi(id()));
    let half = SignedWithdrawal {
        withdrawal,
        signatures: Sides { a: Some(user().sign(digest)), b: None },
        owner_signature: vec![1, 2, 3].into(),
        submit: true,
    };
    let other = Withdrawal { total: Amount::new(13), ..withdrawal };
    let closing = Closing {
        assets: vec![ClosingAsset { asset: TOKEN, totals: sides(u128::MAX, 0), deposits: sides(0, u128::MAX) }],
        deadline: START + 600,
    };
    let closing_digest = domain().digest(&closing.to_abi(id()));
    let signed_closing = SignedClosing {
        closing: closing.clone(),
        signatures: Sides { a: Some(user().sign(closing_digest)), b: Some(hub().sign(closing_digest)) },
        proposer: Side::B,
        submit: false,
    };
    let other_closing = Closing { deadline: START, ..closing };
    let lock_key = Condition::hash_lock(sha256(&[7; 32])).key(expiry);
    vec![
        (
            "chain: an asset",
            Fact::Chain(ChainFact::Asset {
                asset: ETH,
                deposits: sides(1_000, 2_000),
                withdrawn: sides(3, 0),
                status: AssetStatus::Open,
            }),
        ),
        ("signed: a transfer and a lock", Fact::Signed { asset: ETH, update: first.clone() }),
        ("signed: a redemption and a lock", Fact::Signed { asset: ETH, update: second.clone() }),
        ("peer accepted", Fact::PeerAccepted { asset: ETH, nonce: 1, acknowledgement: None }),
        (
            "peer accepted, with an acknowledgement",
            Fact::PeerAccepted { asset: ETH, nonce: 2, acknowledgement: Some(acknowledgement(&second, Side::A)) },
        ),
        (
            "received",
            Fact::Received { asset: ETH, acknowledgement: Some(acknowledgement(&received, Side::B)), update: received },
        ),
        ("signed: a release", Fact::Signed { asset: ETH, update: third }),
        ("signed: in a high slot", Fact::Signed { asset: ETH, update: fourth }),
        ("peer refused", Fact::PeerRefused { asset: ETH, nonce: 4 }),
        ("lapsed", Fact::Lapsed { asset: ETH, placed: 4, slot: 300 }),
        ("seen", Fact::Seen { asset: ETH, nonce: u64::MAX }),
        ("gave up", Fact::GaveUp { asset: ETH, placed: 7, slot: 2 }),
        ("evidence", Fact::Evidence { key: lock_key, units: ALL_UNITS, evidence: vec![7; 32].into(), on_chain: false }),
        (
            "evidence on chain",
            Fact::Evidence { key: lock_key, units: 1, evidence: alloy_primitives::Bytes::new(), on_chain: true },
        ),
        ("withdrawal, signed by one side", Fact::Withdrawal(half)),
        ("withdrawal lapsed", Fact::WithdrawalLapsed(other)),
        ("closing, signed by both", Fact::Closing(signed_closing)),
        ("closing lapsed", Fact::ClosingLapsed(other_closing)),
        (
            "chain: evidence",
            Fact::Chain(ChainFact::Evidence { key: lock_key, units: 3, evidence: keccak256("x").into() }),
        ),
        (
            "chain: a closed asset",
            Fact::Chain(ChainFact::Asset {
                asset: TOKEN,
                deposits: sides(0, u128::MAX),
                withdrawn: sides(0, 0),
                status: AssetStatus::Closed,
            }),
        ),
        (
            "chain: a settled asset",
            Fact::Chain(ChainFact::Asset {
                asset: key(9).address(),
                deposits: sides(0, 0),
                withdrawn: sides(0, 0),
                status: AssetStatus::Settled,
            }),
        ),
        ("chain: an exit", Fact::Chain(ChainFact::ExitStarted { ends_at: START + 86_400 })),
        ("outdated", Fact::Outdated),
    ]
}

fn payments() -> Vec<(&'static str, Payment)> {
    let lane = LaneId { asset: ETH, payer: Side::A };
    let sent = Payment {
        id: PaymentId([1; 16]),
        direction: Direction::Sent,
        asset: ETH,
        amount: Amount::MAX,
        to: Some(key(6).address()),
        memo: "for the croissant".into(),
        status: Status::Completed,
        code: None,
        created: START,
        updated: START + 1,
        expiry: Some(START + 86_400),
        preimage: Some([7; 32]),
        settled: true,
        lock: Some(LockRef { lane, placed: 3, slot: 65_535 }),
        op: Some(OpRef { lane, nonce: 3, index: 2 }),
        stream: None,
    };
    let received = Payment {
        id: PaymentId([2; 16]),
        direction: Direction::Received,
        asset: TOKEN,
        amount: Amount::new(1),
        to: None,
        memo: String::new(),
        status: Status::Pending,
        code: None,
        created: 0,
        updated: 0,
        expiry: None,
        preimage: None,
        settled: false,
        lock: None,
        op: None,
        stream: None,
    };
    let stream = Stream {
        condition: Condition::hash_chain(B256::repeat_byte(4), 1_000),
        unit_price: Amount::new(5),
        units: 1_000,
        shown: 20,
        paid: 12,
        granted: true,
        accepted: true,
        ending: false,
    };
    let with = |status, code: Option<&str>| Payment { status, code: code.map(Into::into), ..sent.clone() };
    vec![
        ("sent and completed", sent.clone()),
        ("received and pending", received),
        ("a stream", Payment { stream: Some(stream), preimage: None, ..with(Status::Pending, None) }),
        ("held", with(Status::Held, None)),
        ("returning", with(Status::Returning, Some("payment-expired"))),
        ("failed", with(Status::Failed, Some("payee-declined"))),
    ]
}
