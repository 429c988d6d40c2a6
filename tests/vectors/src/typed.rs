//! EIP-712 digests and signatures of everything that is signed.

use crate::common::{address, bytes, channel, domain_json, domains, keys, text};
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::SolStruct;
use farthing_protocol::abi;
use farthing_protocol::eip712::Domain;
use farthing_protocol::sign::SecretKey;
use serde_json::{Value, json};

/// Something that is signed: its struct hash, and its fields as a third party writes them down.
struct Sample {
    kind: &'static str,
    name: &'static str,
    hash: B256,
    type_text: String,
    message: Value,
}

pub(crate) fn all() -> Value {
    let mut cases = Vec::new();
    for (domain, key) in domains().iter().zip(keys()) {
        for sample in samples(domain) {
            cases.push(case(domain, &key, sample));
        }
    }
    json!({
        "about": "digest = keccak256(0x1901 ‖ separator ‖ structHash); signature = r ‖ s ‖ v, low s, RFC 6979; the keys are no secrets",
        "cases": cases,
    })
}

fn case(domain: &Domain, key: &[u8; 32], sample: Sample) -> Value {
    let secret = SecretKey::from_bytes(key).unwrap();
    let digest = domain.digest_of_hash(sample.hash);
    json!({
        "type": sample.kind,
        "name": sample.name,
        "encodeType": sample.type_text,
        "domain": domain_json(domain),
        "message": sample.message,
        "structHash": bytes(sample.hash),
        "digest": bytes(digest),
        "key": bytes(key),
        "signer": address(secret.address()),
        "signature": bytes(secret.sign(digest).as_bytes()),
    })
}

fn sample<T: SolStruct>(name: &'static str, value: &T, message: Value) -> Sample {
    Sample {
        kind: T::NAME,
        name,
        hash: value.eip712_hash_struct(),
        type_text: T::eip712_encode_type().into_owned(),
        message,
    }
}

fn samples(domain: &Domain) -> Vec<Sample> {
    let channel = channel(0);
    let id = channel.id(domain.chain_id(), domain.contract()).0;
    let token = Address::repeat_byte(0xda);
    let word = keccak256("a word");
    let mut samples = Vec::new();

    let proofs = [
        ("ETH, nothing but zeros", Address::ZERO, 0, 0, 0, 0, B256::ZERO, 0),
        ("a token", token, 1, 7, 1_000_000_000_000_000_000, 5, word, 3),
        (
            "the largest of everything",
            Address::repeat_byte(0xff),
            1,
            u64::MAX,
            u128::MAX,
            u128::MAX,
            B256::repeat_byte(0xff),
            u64::MAX,
        ),
    ];
    for (name, asset, payer, nonce, transferred, locked, root, seen) in proofs {
        let proof =
            abi::BalanceProof { channelId: id, asset, payer, nonce, transferred, locked, locksRoot: root, seen };
        let hash = proof.eip712_hash_struct();
        samples.push(sample(
            name,
            &proof,
            json!({
                "channelId": bytes(id), "asset": address(asset), "payer": payer, "nonce": text(nonce),
                "transferred": text(transferred), "locked": text(locked), "locksRoot": bytes(root), "seen": text(seen),
            }),
        ));
        let acknowledgement = abi::Acknowledgement { channelId: id, asset, payer, nonce, proofHash: hash };
        samples.push(sample(
            name,
            &acknowledgement,
            json!({
                "channelId": bytes(id), "asset": address(asset), "payer": payer, "nonce": text(nonce),
                "proofHash": bytes(hash),
            }),
        ));
    }

    for (name, asset, side, total, recipient, deadline) in [
        ("to the owner", Address::ZERO, 0, 1, channel.a.owner, 1_700_000_000),
        ("the largest total", token, 1, u128::MAX, Address::repeat_byte(0xff), u64::MAX),
    ] {
        let withdrawal = abi::Withdrawal { channelId: id, asset, side, total, recipient, deadline };
        samples.push(sample(
            name,
            &withdrawal,
            json!({
                "channelId": bytes(id), "asset": address(asset), "side": side, "total": text(total),
                "recipient": address(recipient), "deadline": text(deadline),
            }),
        ));
    }

    let asset = |asset: Address, total_a: u128, total_b: u128, deposit_a: u128, deposit_b: u128| abi::ClosingAsset {
        asset,
        totalA: total_a,
        totalB: total_b,
        depositA: deposit_a,
        depositB: deposit_b,
    };
    let assets = [
        asset(Address::ZERO, 7, 8, 10, 5),
        asset(token, 0, u128::MAX, u128::MAX, 0),
        asset(Address::repeat_byte(0xff), 0, 0, 0, 0),
    ];
    for (name, count) in [("of no asset", 0), ("of one asset", 1), ("of three assets", 3)] {
        let closing = abi::Closing { channelId: id, assets: assets[..count].to_vec(), deadline: 1_700_000_000 };
        let list: Vec<Value> = closing
            .assets
            .iter()
            .map(|entry| {
                json!({
                    "asset": address(entry.asset), "totalA": text(entry.totalA), "totalB": text(entry.totalB),
                    "depositA": text(entry.depositA), "depositB": text(entry.depositB),
                })
            })
            .collect();
        let message = json!({ "channelId": bytes(id), "assets": list, "deadline": text(closing.deadline) });
        samples.push(sample(name, &closing, message));
    }

    for (name, deadline) in [("soon", 1_700_000_000), ("never ends", u64::MAX)] {
        let order = abi::ExitOrder { channelId: id, deadline };
        samples.push(sample(name, &order, json!({ "channelId": bytes(id), "deadline": text(deadline) })));
    }

    for (name, side, amount, salt) in [("the user's", 0, 1, B256::ZERO), ("the largest amount", 1, u128::MAX, word)] {
        let (from, deadline) = (channel.a.owner, 1_700_000_000);
        let intent = abi::DepositIntent { channelId: id, side, asset: token, amount, from, salt, deadline };
        samples.push(sample(
            name,
            &intent,
            json!({
                "channelId": bytes(id), "side": side, "asset": address(token), "amount": text(amount),
                "from": address(from), "salt": bytes(salt), "deadline": text(deadline),
            }),
        ));
    }

    for (name, amount, salt) in
        [("a part of a credit", U256::from(1), B256::ZERO), ("the largest credit", U256::MAX, word)]
    {
        let (owner, recipient, deadline) = (channel.a.owner, channel.b.owner, 1_700_000_000);
        let order = abi::CreditOrder { asset: token, owner, recipient, amount, salt, deadline };
        samples.push(sample(
            name,
            &order,
            json!({
                "asset": address(token), "owner": address(owner), "recipient": address(recipient), "amount": text(amount),
                "salt": bytes(salt), "deadline": text(deadline),
            }),
        ));
    }

    for (name, units) in [("one unit", 1), ("all units", u32::MAX)] {
        let voucher = abi::Voucher { key: word, units };
        samples.push(sample(name, &voucher, json!({ "key": bytes(word), "units": units })));
    }

    let binding = abi::Binding { owner: channel.a.owner, signer: channel.a.signer, channelId: id };
    samples.push(sample(
        "a session key",
        &binding,
        json!({ "owner": address(binding.owner), "signer": address(binding.signer), "channelId": bytes(id) }),
    ));
    let session = abi::Session { channelId: id, challenge: word };
    samples.push(sample("a challenge", &session, json!({ "channelId": bytes(id), "challenge": bytes(word) })));
    samples
}
