//! Inputs that must be refused, each with the code of its refusal. Whoever decodes them accepts none.

use crate::common::{ORDER, address, bytes, channel, channel_json, domain, domain_json, key, text};
use crate::conditions::high_s;
use crate::messages::{START, TOKEN, def, hub, id, lock, sides, update, user};
use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use farthing_protocol::amount::Amount;
use farthing_protocol::api::limits::MAX_MESSAGE;
use farthing_protocol::channel::Fact;
use farthing_protocol::condition::{Condition, sha256};
use farthing_protocol::eip712::Domain;
use farthing_protocol::envelope::{Letter, SharedKey};
use farthing_protocol::error::Code;
use farthing_protocol::hub::Registration;
use farthing_protocol::journal::{FORMAT, encode};
use farthing_protocol::lane::{Lane, MAX_CONDITION_BYTES, MAX_ENVELOPE, MAX_MEMO, Op, Update};
use farthing_protocol::message::{Closing, ClosingAsset, Message, Withdrawal};
use farthing_protocol::proof::{LaneId, Proof, SignedProof};
use farthing_protocol::sign::SecretKey;
use farthing_protocol::types::{ETH, Side};
use serde_json::{Value, json};

pub(crate) fn all() -> Value {
    json!({
        "about": "each input, given to its decoder, gets exactly this code; nothing else changes",
        "amounts": amounts(),
        "messages": messages(),
        "signatures": signatures(),
        "publicKeys": public_keys(),
        "secretKeys": secret_keys(),
        "channels": channels(),
        "conditions": conditions(),
        "ops": ops(),
        "envelopes": envelopes(),
        "storage": storage(),
        "peer": peer(),
    })
}

fn amounts() -> Vec<Value> {
    let cases = [
        ("nothing", ""),
        ("negative", "-1"),
        ("signed", "+1"),
        ("a leading zero", "01"),
        ("two zeros", "00"),
        ("a fraction", "1.0"),
        ("an exponent", "1e3"),
        ("hex", "0x1"),
        ("a space before", " 1"),
        ("a space after", "1 "),
        ("a separator", "1_000"),
        ("other digits", "١"),
        ("2^128", "340282366920938463463374607431768211456"),
        ("40 digits", "1000000000000000000000000000000000000000"),
        ("a word", "NaN"),
    ];
    cases.map(|(name, given)| json!({ "name": name, "text": given, "code": Code::InvalidAmount.as_str() })).to_vec()
}

fn messages() -> Vec<Value> {
    let accepted = |fields: &str| format!(r#"{{"type":"accepted","asset":{},{fields}}}"#, address(ETH));
    let transfer = |amount: &str| {
        let op = format!(r#"{{"transfer":{{"amount":{amount},"memo":""}}}}"#);
        let mut lane = Lane::default();
        let ops = vec![Op::Transfer { amount: Amount::new(1), memo: String::new() }];
        let message = Message::Update { asset: ETH, update: update(&mut lane, Side::A, ETH, 0, 1, 0, ops) };
        let text = message.encode().unwrap();
        let changed = text.replacen(r#"{"transfer":{"amount":"1","memo":""}}"#, &op, 1);
        assert!(changed != text);
        changed
    };
    let signature = hex::encode_prefixed(user().sign(B256::ZERO).as_bytes());
    let signed = |signature: &str| accepted(&format!(r#""nonce":1,"acknowledgement":"{signature}""#));
    let high = hex::encode_prefixed(high_s(user().sign(B256::ZERO).as_bytes()));
    let asset = |asset: &str| format!(r#"{{"type":"accepted","asset":{asset},"nonce":1}}"#);
    let side = |side: &str| {
        let zero = address(ETH);
        format!(
            r#"{{"type":"withdrawSigned","withdrawal":{{"asset":{zero},"side":{side},"total":"1","recipient":{zero},"deadline":1}},"signature":"{signature}"}}"#
        )
    };
    let cases = [
        ("nothing", String::new()),
        ("no JSON", "farthing".into()),
        ("cut short", r#"{"type":"accepted""#.into()),
        ("two messages", accepted(r#""nonce":1"#).repeat(2)),
        ("an array", "[]".into()),
        ("null", "null".into()),
        ("no type", asset(&address(ETH).to_string()).replace(r#""type":"accepted","#, "")),
        ("unknown type", accepted(r#""nonce":1"#).replace("accepted", "accept")),
        ("type in another case", accepted(r#""nonce":1"#).replace("accepted", "Accepted")),
        ("a field too few", accepted(r#""acknowledgement":null"#)),
        ("a field too many", accepted(r#""nonce":1,"extra":0"#)),
        ("a field twice", accepted(r#""nonce":1,"nonce":2"#)),
        ("a negative nonce", accepted(r#""nonce":-1"#)),
        ("a nonce of 2^64", accepted(r#""nonce":18446744073709551616"#)),
        ("a fractional nonce", accepted(r#""nonce":1.5"#)),
        ("a nonce in a string", accepted(r#""nonce":"1""#)),
        ("an amount that is a number", transfer("1")),
        ("a negative amount", transfer(r#""-1""#)),
        ("an amount with a leading zero", transfer(r#""01""#)),
        ("an amount of 2^128", transfer(r#""340282366920938463463374607431768211456""#)),
        ("an amount that is null", transfer("null")),
        ("an op with a field too many", transfer(r#""1","more":1"#)),
        ("an address that is cut short", asset(r#""0x00""#)),
        ("an address that is no hex", asset(r#""0xzz00000000000000000000000000000000000000""#)),
        ("an address of 21 bytes", asset(r#""0x000000000000000000000000000000000000000000""#)),
        ("an address of 39 digits", asset(r#""0x000000000000000000000000000000000000000""#)),
        ("an address that is null", asset("null")),
        ("a signature of 64 bytes", signed(&signature[..130])),
        ("a signature of 66 bytes", signed(&format!("{signature}00"))),
        ("a signature with a high s", signed(&high)),
        ("a signature with v 0", signed(&format!("{}00", &signature[..130]))),
        ("a signature that is no hex", signed(&signature.replace("0x", "0xg"))),
        ("a slot of 65,536", format!(r#"{{"type":"held","asset":{},"slot":65536,"placed":1}}"#, address(ETH))),
        ("a side that is no side", side(r#""C""#)),
        ("a side that is a number", side("0")),
        ("a lone surrogate", accepted(r#""nonce":1"#).replace("accepted", r"\ud800")),
        ("a comment", format!("{} // well", accepted(r#""nonce":1"#))),
        ("nested too deep", "[".repeat(20_000)),
    ];
    let mut list: Vec<Value> = cases
        .into_iter()
        .map(|(name, given)| json!({ "name": name, "text": given, "code": Code::BadEncoding.as_str() }))
        .collect();
    list.push(json!({
        "name": "65,537 bytes, the last of them spaces", "text": accepted(r#""nonce":1"#), "padTo": MAX_MESSAGE + 1,
        "code": Code::MessageTooLarge.as_str(),
    }));
    list.push(json!({
        "name": "65,537 bytes that are no JSON", "text": "", "padTo": MAX_MESSAGE + 1,
        "code": Code::MessageTooLarge.as_str(),
    }));
    list
}

/// Signatures that are not the signer's over the digest, or not in the one form.
fn signatures() -> Vec<Value> {
    let digest = keccak256("what is signed");
    let good = *user().sign(digest).as_bytes();
    let mut cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("64 bytes, as ERC-2098 has it", good[..64].to_vec()),
        ("66 bytes", [&good[..], &[0]].concat()),
        ("high s", high_s(&good)),
        ("all zeros", vec![0; 65]),
        ("of another key", hub().sign(digest).as_bytes().to_vec()),
        ("of another digest", user().sign(keccak256("another")).as_bytes().to_vec()),
    ];
    for (name, v) in [
        ("v 0", 0),
        ("v 1", 1),
        ("v 26", 26),
        ("v 29", 29),
        ("v of the other parity", 55 - good[64]),
        ("v with a chain id", good[64] + 10),
        ("v 255", 255),
    ] {
        let mut bytes = good.to_vec();
        bytes[64] = v;
        cases.push((name, bytes));
    }
    let half: U256 = U256::from_be_bytes::<32>(ORDER) >> 1_usize;
    for (name, range, word) in [
        ("r zero", 0..32, [0; 32]),
        ("r the order", 0..32, ORDER),
        ("r above the order", 0..32, [0xff; 32]),
        ("s zero", 32..64, [0; 32]),
        ("s half the order and one", 32..64, (half + U256::from(1)).to_be_bytes::<32>()),
        ("s the order", 32..64, ORDER),
        ("s above the order", 32..64, [0xff; 32]),
    ] {
        let mut bytes = good.to_vec();
        bytes[range].copy_from_slice(&word);
        cases.push((name, bytes));
    }
    let proof = Proof {
        nonce: 1,
        transferred: Amount::new(5),
        locked: Amount::ZERO,
        locks_root: farthing_protocol::tree::empty_root(),
        seen: 0,
    };
    let lane = LaneId { asset: ETH, payer: Side::A };
    let right = proof.digest(&domain(), id(), lane);
    let mut list: Vec<Value> = cases.into_iter().map(|(name, bytes)| signature(name, digest, &bytes)).collect();
    let elsewhere = |name: &str, digest: B256| signature(name, right, user().sign(digest).as_bytes());
    let other_chain = Domain::new(1, domain().contract());
    let other_contract = Domain::new(31_337, Address::with_last_byte(0x11));
    list.push(elsewhere("for another chain", proof.digest(&other_chain, id(), lane)));
    list.push(elsewhere("for another contract", proof.digest(&other_contract, id(), lane)));
    let other_channel = channel(1).id(31_337, domain().contract());
    list.push(elsewhere("for another channel", proof.digest(&domain(), other_channel, lane)));
    list.push(elsewhere("for another asset", proof.digest(&domain(), id(), LaneId { asset: TOKEN, ..lane })));
    list.push(elsewhere("for the opposite lane", proof.digest(&domain(), id(), LaneId { payer: Side::B, ..lane })));
    list.push(elsewhere("for another nonce", Proof { nonce: 2, ..proof }.digest(&domain(), id(), lane)));
    list.push(elsewhere("an acknowledgement instead", proof.acknowledgement_digest(&domain(), id(), lane)));
    list.push(elsewhere("over the struct hash alone", proof.struct_hash(id(), lane)));
    list
}

fn signature(name: &str, digest: B256, signature: &[u8]) -> Value {
    json!({
        "name": name, "digest": bytes(digest), "signer": address(user().address()), "signature": bytes(signature),
        "code": Code::BadSignature.as_str(),
    })
}

fn public_keys() -> Vec<Value> {
    let good = *user().public_key().as_bytes();
    let with = |tag: u8, x: [u8; 32]| [&[tag][..], &x].concat();
    let x: [u8; 32] = good[1..].try_into().unwrap();
    let mut five = [0; 32];
    five[31] = 5;
    let cases = [
        ("nothing", Vec::new()),
        ("32 bytes", good[..32].to_vec()),
        ("34 bytes", [&good[..], &[0]].concat()),
        ("all zeros", vec![0; 33]),
        ("tag 0", with(0, x)),
        ("tag 4", with(4, x)),
        ("tag 5, a compact form", with(5, x)),
        ("tag 6", with(6, x)),
        ("not on the curve", with(2, five)),
        ("beyond the field", with(2, [0xff; 32])),
        ("uncompressed", [&[4][..], &x, &x].concat()),
    ];
    cases.map(|(name, key)| json!({ "name": name, "hex": bytes(key), "code": Code::InvalidArgument.as_str() })).to_vec()
}

fn secret_keys() -> Vec<Value> {
    let cases = [
        ("nothing", Vec::new()),
        ("zero", vec![0; 32]),
        ("the order", ORDER.to_vec()),
        ("above the order", vec![0xff; 32]),
        ("16 bytes", vec![1; 16]),
        ("31 bytes", vec![1; 31]),
        ("33 bytes", vec![1; 33]),
    ];
    cases.map(|(name, key)| json!({ "name": name, "hex": bytes(key), "code": Code::InvalidArgument.as_str() })).to_vec()
}

fn channels() -> Vec<Value> {
    let edit = |name: &str, edit: fn(&mut farthing_protocol::ChannelDef)| {
        let mut channel = channel(0);
        edit(&mut channel);
        json!({ "name": name, "channel": channel_json(&channel), "code": Code::BadTerms.as_str() })
    };
    vec![
        edit("A has no owner", |channel| channel.a.owner = Address::ZERO),
        edit("A has no signer", |channel| channel.a.signer = Address::ZERO),
        edit("B has no owner", |channel| channel.b.owner = Address::ZERO),
        edit("B has no signer", |channel| channel.b.signer = Address::ZERO),
        edit("one signer for both", |channel| channel.b.signer = channel.a.signer),
    ]
}

fn conditions() -> Vec<Value> {
    let chain = |n: u32| Condition::hash_chain(B256::repeat_byte(1), n);
    let lock = Condition::hash_lock([7; 32]);
    let voucher = Condition::voucher(key(5).address(), B256::repeat_byte(8));
    let cut = |condition: &Condition| Condition {
        address: condition.address,
        params: condition.params.slice(..condition.params.len() - 1),
    };
    let longer = |condition: &Condition| Condition {
        address: condition.address,
        params: [&condition.params[..], &[0]].concat().into(),
    };
    let cases = [
        ("hash lock: 31 bytes", cut(&lock)),
        ("hash lock: 33 bytes", longer(&lock)),
        ("hash lock: nothing", Condition { address: lock.address, params: Bytes::new() }),
        ("hash chain: no length", chain(0)),
        ("hash chain: too long", chain(16_385)),
        ("hash chain: the largest length", chain(u32::MAX)),
        ("hash chain: 35 bytes", cut(&chain(1))),
        ("hash chain: 37 bytes", longer(&chain(1))),
        ("voucher: 51 bytes", cut(&voucher)),
        ("voucher: 53 bytes", longer(&voucher)),
        ("the zero address", Condition { address: Address::ZERO, params: Bytes::new() }),
    ];
    cases
        .map(|(name, condition)| {
            json!({
                "name": name, "condition": address(condition.address), "params": bytes(&condition.params),
                "code": Code::UnknownCondition.as_str(),
            })
        })
        .to_vec()
}

/// Ops that no lane takes, on top of a lock of 10 units of 3 in slot 2.
fn ops() -> Value {
    let before = vec![lock(2, 10, 10, 3, START)];
    let transfer = |amount: u128, memo: String| Op::Transfer { amount: Amount::new(amount), memo };
    let external = |params: usize, envelope: usize| Op::Lock {
        slot: 0,
        condition: Condition { address: Address::repeat_byte(0xcc), params: vec![1; params].into() },
        expiry: START,
        n: 1,
        unit_price: Amount::new(1),
        to: None,
        envelope: vec![1; envelope].into(),
    };
    let cases = [
        ("a transfer of nothing", Code::BadOp, vec![transfer(0, String::new())]),
        ("a memo of 257 bytes", Code::BadOp, vec![transfer(1, "x".repeat(MAX_MEMO + 1))]),
        ("a memo of 129 characters in 258 bytes", Code::BadOp, vec![transfer(1, "é".repeat(129))]),
        ("params of 1,025 bytes", Code::BadOp, vec![external(MAX_CONDITION_BYTES + 1, 0)]),
        ("an envelope of 1,025 bytes", Code::BadOp, vec![external(0, MAX_ENVELOPE + 1)]),
        ("a lock of no units", Code::BadOp, vec![lock(0, 1, 0, 1, START)]),
        ("a lock of units for nothing", Code::BadOp, vec![lock(0, 1, 1, 0, START)]),
        ("a lock worth 2^128", Code::AmountOverflow, vec![lock(0, 1, 1 << 31, 1 << 97, START)]),
        ("locks that are worth 2^128 together", Code::AmountOverflow, vec![lock(0, 1, 1, u128::MAX - 29, START)]),
        ("transfers and locks over 2^128", Code::AmountOverflow, vec![transfer(u128::MAX - 29, String::new())]),
        (
            "transfers over 2^128",
            Code::AmountOverflow,
            vec![transfer(u128::MAX - 30, String::new()), transfer(31, String::new())],
        ),
        ("a slot that is taken", Code::SlotTaken, vec![lock(2, 1, 1, 1, START)]),
        ("a slot that was taken just now", Code::SlotTaken, vec![lock(3, 1, 1, 1, START), lock(3, 2, 1, 1, START)]),
        ("a redemption of no lock", Code::BadOp, vec![Op::Redeem { slot: 0, units: 1 }]),
        ("a redemption of nothing", Code::BadOp, vec![Op::Redeem { slot: 2, units: 0 }]),
        ("a redemption of more than there is", Code::BadOp, vec![Op::Redeem { slot: 2, units: 11 }]),
        (
            "a redemption that does not rise",
            Code::BadOp,
            vec![Op::Redeem { slot: 2, units: 4 }, Op::Redeem { slot: 2, units: 4 }],
        ),
        (
            "a redemption that falls",
            Code::BadOp,
            vec![Op::Redeem { slot: 2, units: 4 }, Op::Redeem { slot: 2, units: 3 }],
        ),
        (
            "a redemption after the last",
            Code::BadOp,
            vec![Op::Redeem { slot: 2, units: 10 }, Op::Redeem { slot: 2, units: 10 }],
        ),
        ("a release of no lock", Code::BadOp, vec![Op::Release { slot: 65_535 }]),
        ("a second release", Code::BadOp, vec![Op::Release { slot: 2 }, Op::Release { slot: 2 }]),
    ];
    let cases = cases.map(|(name, code, ops)| json!({ "name": name, "ops": ops, "code": code.as_str() }));
    json!({ "before": before, "cases": cases })
}

fn envelopes() -> Value {
    let payee = key(3);
    let ephemeral = key(4);
    let letter = Letter { secret: [9; 32], memo: "for the croissant".into() };
    let shared = SharedKey::of_payer(&ephemeral, &payee.public_key()).unwrap();
    let hash = keccak256("hash");
    let good = shared.seal(&letter, hash.as_slice(), [1; 24]).unwrap().to_vec();
    let flipped = |at: usize| {
        let mut torn = good.clone();
        torn[at] ^= 1;
        torn
    };
    let case = |name: &str, key: &SecretKey, hash: B256, envelope: &[u8]| {
        json!({
            "name": name, "publicKey": bytes(key.public_key().as_bytes()), "hash": bytes(hash),
            "envelope": bytes(envelope), "code": Code::BadEvidence.as_str(),
        })
    };
    let cases = vec![
        case("nothing", &payee, hash, &[]),
        case("the key alone", &payee, hash, &good[..33]),
        case("the key and half a nonce", &payee, hash, &good[..45]),
        case("nothing sealed", &payee, hash, &good[..57]),
        case("cut short", &payee, hash, &good[..good.len() - 1]),
        case("a byte too many", &payee, hash, &[&good[..], &[0]].concat()),
        case("another nonce", &payee, hash, &flipped(40)),
        case("another secret", &payee, hash, &flipped(60)),
        case("another tag", &payee, hash, &flipped(good.len() - 1)),
        case("another lock", &payee, keccak256("other"), &good),
        case("another payee", &key(5), hash, &good),
    ];
    json!({
        "about": "the payee's key is 0x0303…03, the other's 0x0505…05; the first envelope is good",
        "good": {
            "publicKey": bytes(payee.public_key().as_bytes()), "hash": bytes(hash), "envelope": bytes(&good),
            "secret": bytes(letter.secret), "memo": letter.memo,
        },
        "cases": cases,
    })
}

fn storage() -> Vec<Value> {
    let registration =
        Registration { channel: def(), public_key: Some(user().public_key()), binding: Some(vec![1, 2, 3].into()) };
    let whole = encode(&registration);
    // As format 2 had it, without a checksum: there damage has to be found by what it means.
    let unchecked = |stored: &[u8]| [&[2], &stored[1..stored.len() - 4]].concat();
    let good = unchecked(&whole);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let mut cases = vec![
        ("nothing", "Registration", Code::StorageCorrupt, Vec::new()),
        ("no version", "Registration", Code::StorageCorrupt, with(0, 0)),
        ("an older version", "Registration", Code::StorageVersion, with(0, 1)),
        ("a newer version", "Registration", Code::StorageVersion, with(0, FORMAT + 1)),
        ("the newest version", "Registration", Code::StorageVersion, with(0, 255)),
        ("a newer version of something else", "State", Code::StorageVersion, vec![FORMAT + 1]),
        ("the version alone", "Registration", Code::StorageCorrupt, good[..1].to_vec()),
        ("cut in half", "Registration", Code::StorageCorrupt, good[..good.len() / 2].to_vec()),
        ("a byte too few", "Registration", Code::StorageCorrupt, good[..good.len() - 1].to_vec()),
        ("a byte too many", "Registration", Code::StorageCorrupt, [&good[..], &[0]].concat()),
        ("something else", "State", Code::StorageCorrupt, good.clone()),
        ("a list of 2^64 - 1 entries", "Facts", Code::StorageCorrupt, [&[2][..], &[0xff; 9], &[1]].concat()),
        ("an unknown fact", "Fact", Code::StorageCorrupt, vec![2, 99]),
        ("a number that never ends", "Facts", Code::StorageCorrupt, [&[2][..], &[0xff; 20]].concat()),
    ];
    let mut flipped = whole.clone();
    flipped[40] ^= 1;
    cases.push(("a flipped bit", "Registration", Code::StorageCorrupt, flipped));
    cases.push(("a checksum cut off", "Registration", Code::StorageCorrupt, whole[..whole.len() - 4].to_vec()));
    let public_key = good.windows(33).position(|part| part == user().public_key().as_bytes()).unwrap();
    cases.push(("a public key that is none", "Registration", Code::StorageCorrupt, with(public_key, 9)));
    let signed = Fact::PeerAccepted { asset: ETH, nonce: 1, acknowledgement: Some(user().sign(B256::ZERO)) };
    let mut fact = unchecked(&encode(&signed));
    let last = fact.len() - 1;
    fact[last] = 29;
    cases.push(("a signature with v 29", "Fact", Code::StorageCorrupt, fact));
    cases
        .into_iter()
        .map(|(name, kind, code, hex)| json!({ "name": name, "type": kind, "hex": bytes(hex), "code": code.as_str() }))
        .collect()
}

/// The lane of the hub that the wallet has accepted: 100 handed over, and 10 units of 5 locked in slot 2, whose secret
/// the wallet has shown.
fn accepted() -> (Lane, Update) {
    let mut lane = Lane::default();
    let hash = sha256(&[10; 32]);
    let shared = SharedKey::of_payer(&key(4), &user().public_key()).unwrap();
    let letter = Letter { secret: [10; 32], memo: String::new() };
    let mut locked = lock(2, 10, 10, 5, START + 86_400);
    if let Op::Lock { envelope, .. } = &mut locked {
        *envelope = shared.seal(&letter, &hash, [2; 24]).unwrap();
    }
    let ops = vec![Op::Transfer { amount: Amount::new(100), memo: String::new() }, locked];
    let first = update(&mut lane, Side::B, ETH, 0, 1, 0, ops);
    (lane, first)
}

/// What a hub may send, and what a wallet answers: the code of its refusal.
fn peer() -> Value {
    let (_, first) = accepted();
    let mut cases = updates();
    cases.extend(withdrawals());
    cases.extend(closings());
    json!({
        "about": "a wallet (side A, signer 0x1a…1a) with these deposits and this head takes the first message; then each other one, alone, is refused with its code",
        "domain": domain_json(&domain()),
        "channel": channel_json(&def()),
        "now": text(START),
        "head": { "number": 100, "timestamp": text(START) },
        "deposits": { "asset": address(ETH), "a": "1000", "b": "500" },
        "first": Message::Update { asset: ETH, update: first }.encode().unwrap(),
        "cases": cases,
    })
}

/// A second update, signed whatever it says.
fn second(ops: Vec<Op>, edit: impl FnOnce(&mut Update)) -> Update {
    let (mut lane, _) = accepted();
    // Ops that the lane refuses leave it as it was; the proof is wrong then, too.
    let _ = lane.apply(2, &ops);
    let mut update = Update { base: 1, ops, proof: lane.statement(2, 0), signature: hub().sign(B256::ZERO) };
    edit(&mut update);
    let lane = LaneId { asset: ETH, payer: Side::B };
    update.signature = SignedProof::sign(update.proof, &domain(), id(), lane, &hub()).signature;
    update
}

fn updates() -> Vec<Value> {
    let transfer = |amount| Op::Transfer { amount: Amount::new(amount), memo: String::new() };
    let plain = |ops| second(ops, |_| {});
    let edited = |edit: fn(&mut Update)| second(vec![transfer(1)], edit);
    let resigned = |signature| Update { signature, ..plain(vec![transfer(1)]) };
    let proof = plain(vec![transfer(1)]).proof;
    let lane = LaneId { asset: ETH, payer: Side::B };
    let external = |address: Address, params: Vec<u8>| Op::Lock {
        slot: 7,
        condition: Condition { address, params: params.into() },
        expiry: START + 86_400,
        n: 1,
        unit_price: Amount::new(1),
        to: None,
        envelope: Bytes::new(),
    };
    let hash_lock = Condition::hash_lock([0; 32]).address;
    let cases = [
        ("signed by another key", Code::BadSignature, resigned(user().sign(proof.digest(&domain(), id(), lane)))),
        (
            "signed for another channel",
            Code::BadSignature,
            resigned(hub().sign(proof.digest(&domain(), channel(1).id(31_337, domain().contract()), lane))),
        ),
        (
            "signed for another chain",
            Code::BadSignature,
            resigned(hub().sign(proof.digest(&Domain::new(1, domain().contract()), id(), lane))),
        ),
        (
            "signed for another asset",
            Code::BadSignature,
            resigned(hub().sign(proof.digest(&domain(), id(), LaneId { asset: TOKEN, ..lane }))),
        ),
        ("a nonce too far ahead", Code::BadNonce, edited(|update| update.proof.nonce = (1 << 20) + 2)),
        ("the last nonce there is", Code::BadNonce, edited(|update| update.proof.nonce = u64::MAX)),
        ("on top of nothing", Code::UnknownBase, edited(|update| update.base = 0)),
        ("on top of what was never accepted", Code::UnknownBase, edited(|update| update.base = 2)),
        ("it has seen what we never signed", Code::StateOutdated, edited(|update| update.proof.seen = 1)),
        ("transferred falls", Code::TransferredFell, edited(|update| update.proof.transferred = Amount::new(99))),
        (
            "transferred is not what the ops say",
            Code::ProofMismatch,
            edited(|update| update.proof.transferred = Amount::new(102)),
        ),
        ("locked is not what the ops say", Code::ProofMismatch, edited(|update| update.proof.locked = Amount::new(49))),
        ("another root", Code::ProofMismatch, edited(|update| update.proof.locks_root = B256::ZERO)),
        ("ops are missing", Code::ProofMismatch, edited(|update| update.ops.clear())),
        ("one more than it has", Code::InsufficientFunds, plain(vec![transfer(351)])),
        ("a lock of more than it has", Code::InsufficientFunds, plain(vec![lock(0, 1, 1, 351, START + 86_400)])),
        ("more than there can be", Code::AmountOverflow, plain(vec![transfer(u128::MAX)])),
        ("a transfer of nothing", Code::BadOp, plain(vec![transfer(0)])),
        (
            "a contract that is not known",
            Code::UnknownCondition,
            plain(vec![external(Address::repeat_byte(0xcc), vec![])]),
        ),
        ("params that nothing can meet", Code::UnknownCondition, plain(vec![external(hash_lock, vec![1; 31])])),
        ("an expiry in the past", Code::BadExpiry, plain(vec![lock(0, 1, 1, 1, START - 1)])),
        ("an expiry too near", Code::BadExpiry, plain(vec![lock(0, 1, 1, 1, START + 1_799)])),
        ("an expiry too far", Code::BadExpiry, plain(vec![lock(0, 1, 1, 1, START + 7 * 86_400 + 1)])),
        ("an expiry at the end of time", Code::BadExpiry, plain(vec![lock(0, 1, 1, 1, u64::MAX)])),
        ("a slot that is taken", Code::SlotTaken, plain(vec![lock(2, 1, 1, 1, START + 86_400)])),
        ("a release that we did not agree to", Code::ReleaseRefused, plain(vec![Op::Release { slot: 2 }])),
        ("a redemption of more than there is", Code::BadOp, plain(vec![Op::Redeem { slot: 2, units: 11 }])),
        ("a redemption of less than was shown", Code::RedeemTooLow, plain(vec![Op::Redeem { slot: 2, units: 9 }])),
        ("a redemption of no lock", Code::BadOp, plain(vec![Op::Redeem { slot: 3, units: 1 }])),
    ];
    let mut list: Vec<Value> = cases
        .into_iter()
        .map(|(name, code, update)| case("update", name, code, &Message::Update { asset: ETH, update }))
        .collect();
    let mut lane = Lane::default();
    let token = update(&mut lane, Side::B, TOKEN, 0, 1, 0, vec![transfer(1)]);
    let message = Message::Update { asset: TOKEN, update: token };
    list.push(case("update", "an asset that nobody deposited", Code::InsufficientFunds, &message));
    list
}

fn withdrawals() -> Vec<Value> {
    let good = Withdrawal {
        asset: ETH,
        side: Side::B,
        total: Amount::new(350),
        recipient: def().b.owner,
        deadline: START + 600,
    };
    let signed = |withdrawal: Withdrawal, key: &SecretKey| Message::WithdrawProposal {
        withdrawal,
        signature: key.sign(domain().digest(&withdrawal.to_abi(id()))),
        owner_signature: Bytes::new(),
        submit: false,
    };
    let cases = [
        ("signed by another key", Code::BadSignature, signed(good, &user())),
        ("of what it owes us", Code::InsufficientFunds, signed(Withdrawal { total: Amount::new(351), ..good }, &hub())),
        ("of all there can be", Code::InsufficientFunds, signed(Withdrawal { total: Amount::MAX, ..good }, &hub())),
        ("of nothing", Code::InvalidArgument, signed(Withdrawal { total: Amount::ZERO, ..good }, &hub())),
        ("of our funds", Code::InvalidArgument, signed(Withdrawal { side: Side::A, ..good }, &hub())),
        ("with a deadline in the past", Code::InvalidArgument, signed(Withdrawal { deadline: START, ..good }, &hub())),
        (
            "with a deadline too far",
            Code::InvalidArgument,
            signed(Withdrawal { deadline: START + 3_601, ..good }, &hub()),
        ),
        ("of another asset", Code::InsufficientFunds, signed(Withdrawal { asset: TOKEN, ..good }, &hub())),
    ];
    cases.into_iter().map(|(name, code, message)| case("withdrawal", name, code, &message)).collect()
}

fn closings() -> Vec<Value> {
    let entry = ClosingAsset { asset: ETH, totals: sides(1_100, 400), deposits: sides(1_000, 500) };
    let signed = |closing: Closing| Message::CloseProposal {
        signature: hub().sign(domain().digest(&closing.to_abi(id()))),
        closing,
        submit: false,
    };
    let with = |assets: Vec<ClosingAsset>, deadline: u64| signed(Closing { assets, deadline });
    let cases = [
        ("of nothing", Code::InvalidArgument, with(vec![], START + 600)),
        ("while a lock is pending", Code::LocksPending, with(vec![entry], START + 600)),
        ("with a deadline in the past", Code::InvalidArgument, with(vec![entry], START)),
        (
            "of an asset without a deposit",
            Code::UnknownAsset,
            with(vec![ClosingAsset { asset: TOKEN, ..entry }], START + 600),
        ),
    ];
    cases.into_iter().map(|(name, code, message)| case("closing", name, code, &message)).collect()
}

fn case(kind: &str, name: &str, code: Code, message: &Message) -> Value {
    json!({ "name": format!("{kind}: {name}"), "text": message.encode().unwrap(), "code": code.as_str() })
}
