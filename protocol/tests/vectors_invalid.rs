//! What bad input gets, by the golden vectors: a code each, and no change.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod golden;

use alloy_primitives::Address;
use farthing_protocol::amount::Amount;
use farthing_protocol::chain::{AssetStatus, ChainFact, Head};
use farthing_protocol::channel::{Fact, Policy, State};
use farthing_protocol::envelope::{SharedKey, ephemeral_of};
use farthing_protocol::error::Code;
use farthing_protocol::hub::Registration;
use farthing_protocol::journal;
use farthing_protocol::lane::{Lane, Op};
use farthing_protocol::message::Message;
use farthing_protocol::proof::{LaneId, SignedProof};
use farthing_protocol::sign::{PublicKey, SecretKey, Signature};
use farthing_protocol::types::{Side, Sides};
use farthing_protocol::wallet::{Wallet, WalletConfig, WalletEffect};
use golden::*;
use serde_json::Value;

#[test]
fn invalid_values_get_their_codes() {
    let file = file("invalid.json");
    for case in list(&file, "amounts") {
        refused(case, Amount::parse(case["text"].as_str().unwrap()));
    }
    for case in list(&file, "messages") {
        let mut text = case["text"].as_str().unwrap().to_owned();
        if let Some(length) = case["padTo"].as_u64() {
            text.extend(std::iter::repeat_n(' ', length as usize - text.len()));
            let shorter = Message::decode(&text[1..]).err().map(|error| error.code());
            assert_ne!(shorter, Some(Code::MessageTooLarge), "the limit is exact");
        }
        refused(case, Message::decode(&text));
    }
    for case in list(&file, "signatures") {
        let signature = Signature::from_slice(&bytes(case, "signature"));
        refused(case, signature.and_then(|it| it.verify(get(case, "digest"), get(case, "signer"))));
    }
    for case in list(&file, "publicKeys") {
        refused(case, PublicKey::from_slice(&bytes(case, "hex")));
    }
    for case in list(&file, "secretKeys") {
        refused(case, SecretKey::from_bytes(&bytes(case, "hex")));
    }
    for case in list(&file, "channels") {
        refused(case, channel(&case["channel"]).check());
    }
    for case in list(&file, "conditions") {
        refused(case, condition(case).check());
    }
    for case in list(&file, "storage") {
        let hex = bytes(case, "hex");
        match case["type"].as_str().unwrap() {
            "Registration" => refused(case, journal::decode::<Registration>(&hex)),
            "State" => refused(case, journal::decode::<State>(&hex)),
            "Fact" => refused(case, journal::decode::<Fact>(&hex)),
            "Facts" => refused(case, journal::decode::<Vec<Fact>>(&hex)),
            other => panic!("unknown record {other}"),
        }
    }
}

#[test]
fn invalid_ops_leave_no_trace() {
    let file = file("invalid.json");
    let before: Vec<Op> = serde_json::from_value(file["ops"]["before"].clone()).unwrap();
    for case in list(&file["ops"], "cases") {
        let mut lane = Lane::default();
        lane.apply(1, &before).unwrap();
        let statement = lane.statement(1, 0);
        let ops: Vec<Op> = serde_json::from_value(case["ops"].clone()).unwrap();
        refused(case, lane.apply(2, &ops));
        assert_eq!(lane.statement(1, 0), statement, "{}", case["name"]);
    }
}

#[test]
fn envelopes_open_for_their_payee_and_lock_only() {
    let file = file("invalid.json");
    let open = |case: &Value| {
        let secret = [3_u8, 5].map(|byte| SecretKey::from_bytes(&[byte; 32]).unwrap());
        let key = secret.iter().find(|key| key.public_key().as_bytes() == bytes(case, "publicKey").as_slice()).unwrap();
        let envelope = bytes(case, "envelope");
        let shared = SharedKey::of_payee(key, &ephemeral_of(&envelope)?)?;
        shared.open(&envelope, &bytes(case, "hash"))
    };
    let good = &file["envelopes"]["good"];
    let letter = open(good).unwrap();
    assert_eq!(letter.secret.as_slice(), bytes(good, "secret"));
    assert_eq!(letter.memo, good["memo"].as_str().unwrap());
    for case in list(&file["envelopes"], "cases") {
        refused(case, open(case));
    }
}

#[test]
fn a_wallet_refuses_what_a_hub_may_not_send() {
    let file = file("invalid.json");
    let peer = &file["peer"];
    for case in list(peer, "cases") {
        let (mut wallet, now) = wallet_of(peer);
        let before = wallet.balance(Address::ZERO);
        let message = Message::decode(case["text"].as_str().unwrap()).unwrap();
        wallet.handle(message, now).unwrap();
        let codes: Vec<String> = messages_of(&mut wallet, now)
            .into_iter()
            .map(|message| match message {
                Message::Refused { code, .. } | Message::Declined { code, .. } => code.to_string(),
                other => panic!("{}: {other:?}", case["name"]),
            })
            .collect();
        assert_eq!(codes, [case["code"].as_str().unwrap()], "{}", case["name"]);
        assert_eq!(wallet.balance(Address::ZERO), before, "{}", case["name"]);
    }
}

/// A wallet that has accepted the first message.
fn wallet_of(peer: &Value) -> (Wallet, u64) {
    let now: u64 = get(peer, "now");
    let config =
        WalletConfig { domain: domain(&peer["domain"]), def: channel(&peer["channel"]), policy: Policy::default() };
    let mut wallet = Wallet::new(config, SecretKey::from_bytes(&[0x1a; 32]).unwrap()).unwrap();
    let (number, timestamp) = (small(&peer["head"], "number"), get(&peer["head"], "timestamp"));
    wallet.head(Head { number, timestamp, final_number: number, final_timestamp: timestamp }, now);
    let deposits = &peer["deposits"];
    let fact = ChainFact::Asset {
        asset: get(deposits, "asset"),
        deposits: Sides { a: amount(deposits, "a"), b: amount(deposits, "b") },
        withdrawn: Sides::default(),
        status: AssetStatus::Open,
    };
    wallet.chain(&fact, now);
    messages_of(&mut wallet, now);
    wallet.handle(Message::decode(peer["first"].as_str().unwrap()).unwrap(), now).unwrap();
    let answers = messages_of(&mut wallet, now);
    assert!(
        matches!(answers.as_slice(), [Message::Accepted { nonce: 1, .. }, Message::Reveal { slot: 2, .. }]),
        "{answers:?}"
    );
    (wallet, now)
}

fn messages_of(wallet: &mut Wallet, now: u64) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some(commit) = wallet.poll_commit(now).unwrap() {
        for effect in wallet.committed(commit.durable()).unwrap() {
            match effect {
                WalletEffect::Send(message) => messages.push(message),
                WalletEffect::Submit { .. } | WalletEffect::Event(_) => {}
            }
        }
    }
    messages
}

#[test]
fn the_wallets_answer_needs_all_of_the_message() {
    // The fixture would be worth nothing if the same update, signed as it should be, were refused as well.
    let file = file("invalid.json");
    let (mut wallet, now) = wallet_of(&file["peer"]);
    let mut lane = Lane::default();
    let Message::Update { asset, update } = Message::decode(file["peer"]["first"].as_str().unwrap()).unwrap() else {
        panic!("the first message is an update");
    };
    lane.apply(1, &update.ops).unwrap();
    let ops = vec![Op::Transfer { amount: Amount::new(350), memo: String::new() }];
    lane.apply(2, &ops).unwrap();
    let key = SecretKey::from_bytes(&[0x1b; 32]).unwrap();
    let id = wallet.id();
    let lane_id = LaneId { asset, payer: Side::B };
    let proof = lane.statement(2, 0);
    let signed = SignedProof::sign(proof, wallet.channel().domain(), id, lane_id, &key);
    let update = farthing_protocol::lane::Update { base: 1, ops, proof, signature: signed.signature };
    wallet.handle(Message::Update { asset, update }, now).unwrap();
    assert!(matches!(messages_of(&mut wallet, now).as_slice(), [Message::Accepted { nonce: 2, .. }]));
}
