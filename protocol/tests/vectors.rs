//! Reads the golden vectors as somebody else's, and compares. Whatever fails here has changed the protocol.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod golden;

use alloy_primitives::{Address, B256, I256, keccak256};
use alloy_sol_types::SolStruct;
use farthing_protocol::abi;
use farthing_protocol::channel::{Fact, State};
use farthing_protocol::codec::{Decode, Encode};
use farthing_protocol::condition::ConditionKey;
use farthing_protocol::eip712::Domain;
use farthing_protocol::error::{Blame, Code};
use farthing_protocol::hub::Registration;
use farthing_protocol::journal;
use farthing_protocol::lane::Lock;
use farthing_protocol::message::Message;
use farthing_protocol::proof::{LaneId, Proof, SignedProof};
use farthing_protocol::settle::{Balance, Claimed, LaneTotals, Shown, claim, settle};
use farthing_protocol::sign::{SecretKey, Signature};
use farthing_protocol::tree::{LockTree, empty_root, root_of_branch};
use farthing_protocol::types::{ChannelDef, ChannelId, Side, Sides};
use farthing_protocol::wallet::Payment;
use golden::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

#[test]
fn channel_ids() {
    for case in list(&file("ids.json"), "cases") {
        let id = channel(&case["channel"]).id(get(case, "chainId"), get(case, "contract"));
        assert_eq!(id.0, get::<B256>(case, "id"), "{}", case["name"]);
    }
}

#[test]
fn typed_data() {
    let mut seen = BTreeSet::new();
    for case in list(&file("typed.json"), "cases") {
        let name = format!("{} {}", case["type"], case["name"]);
        let domain = domain(&case["domain"]);
        let kind = case["type"].as_str().unwrap();
        seen.insert(kind.to_owned());
        let (hash, text) = struct_hash(kind, &case["message"]);
        assert_eq!(text, case["encodeType"], "{name}");
        assert_eq!(hash, get::<B256>(case, "structHash"), "{name}");
        let digest = domain.digest_of_hash(hash);
        assert_eq!(digest, get::<B256>(case, "digest"), "{name}");
        let key = SecretKey::from_bytes(&bytes(case, "key")).unwrap();
        let signature = Signature::from_slice(&bytes(case, "signature")).unwrap();
        assert_eq!(key.sign(digest), signature, "{name}");
        assert_eq!(signature.recover(digest).unwrap(), get::<Address>(case, "signer"), "{name}");
        signature.verify(keccak256(digest), key.address()).unwrap_err();
    }
    let all = [
        "BalanceProof",
        "Acknowledgement",
        "Withdrawal",
        "Closing",
        "ExitOrder",
        "DepositIntent",
        "CreditOrder",
        "Voucher",
        "Binding",
        "Session",
    ];
    assert_eq!(seen, all.map(String::from).into());
}

fn struct_hash(kind: &str, of: &Value) -> (B256, String) {
    fn hash<T: SolStruct>(value: &T) -> (B256, String) {
        (value.eip712_hash_struct(), T::eip712_encode_type().into_owned())
    }
    let id = || get(of, "channelId");
    let asset = || get(of, "asset");
    match kind {
        "BalanceProof" => {
            let lane = LaneId { asset: asset(), payer: side(of, "payer") };
            let proof = Proof {
                nonce: get(of, "nonce"),
                transferred: amount(of, "transferred"),
                locked: amount(of, "locked"),
                locks_root: get(of, "locksRoot"),
                seen: get(of, "seen"),
            };
            let (_, text) = hash(&abi::BalanceProof {
                channelId: B256::ZERO,
                asset: Address::ZERO,
                payer: 0,
                nonce: 0,
                transferred: 0,
                locked: 0,
                locksRoot: B256::ZERO,
                seen: 0,
            });
            (proof.struct_hash(ChannelId(id()), lane), text)
        }
        "Acknowledgement" => hash(&abi::Acknowledgement {
            channelId: id(),
            asset: asset(),
            payer: small(of, "payer"),
            nonce: get(of, "nonce"),
            proofHash: get(of, "proofHash"),
        }),
        "Withdrawal" => hash(&abi::Withdrawal {
            channelId: id(),
            asset: asset(),
            side: small(of, "side"),
            total: get(of, "total"),
            recipient: get(of, "recipient"),
            deadline: get(of, "deadline"),
        }),
        "Closing" => hash(&abi::Closing {
            channelId: id(),
            assets: of["assets"]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| abi::ClosingAsset {
                    asset: get(entry, "asset"),
                    totalA: get(entry, "totalA"),
                    totalB: get(entry, "totalB"),
                    depositA: get(entry, "depositA"),
                    depositB: get(entry, "depositB"),
                })
                .collect(),
            deadline: get(of, "deadline"),
        }),
        "ExitOrder" => hash(&abi::ExitOrder { channelId: id(), deadline: get(of, "deadline") }),
        "DepositIntent" => hash(&abi::DepositIntent {
            channelId: id(),
            side: small(of, "side"),
            asset: asset(),
            amount: get(of, "amount"),
            from: get(of, "from"),
            salt: get(of, "salt"),
            deadline: get(of, "deadline"),
        }),
        "CreditOrder" => hash(&abi::CreditOrder {
            asset: asset(),
            owner: get(of, "owner"),
            recipient: get(of, "recipient"),
            amount: of["amount"].as_str().unwrap().parse().unwrap(),
            salt: get(of, "salt"),
            deadline: get(of, "deadline"),
        }),
        "Voucher" => hash(&abi::Voucher { key: get(of, "key"), units: small(of, "units") }),
        "Binding" => hash(&abi::Binding { owner: get(of, "owner"), signer: get(of, "signer"), channelId: id() }),
        "Session" => hash(&abi::Session { channelId: id(), challenge: get(of, "challenge") }),
        other => panic!("unknown type {other}"),
    }
}

#[test]
fn leaves_roots_and_branches() {
    let file = file("locks.json");
    assert_eq!(empty_root(), get::<B256>(&file, "emptyRoot"));
    for case in list(&file, "leaves") {
        assert_eq!(lock(case).leaf(), get::<B256>(case, "leaf"), "{}", case["name"]);
    }
    for case in list(&file, "trees") {
        let mut tree = LockTree::default();
        for step in case["steps"].as_array().unwrap() {
            tree.set(small(step, "slot"), get(step, "leaf"));
        }
        assert_eq!(tree.root(), get::<B256>(case, "root"), "{}", case["name"]);
        for branch in list(case, "branches") {
            let slot = small(branch, "slot");
            let siblings = siblings(branch);
            assert_eq!(tree.siblings(slot), siblings, "{}", case["name"]);
            assert_eq!(root_of_branch(slot, get(branch, "leaf"), &siblings), tree.root(), "{}", case["name"]);
            assert_ne!(root_of_branch(slot, keccak256("other"), &siblings), tree.root(), "{}", case["name"]);
        }
    }
}

fn lock(value: &Value) -> Lock {
    Lock {
        key: ConditionKey(get(value, "key")),
        n: small(value, "n"),
        unit_price: amount(value, "unitPrice"),
        redeemed: small(value, "redeemed"),
    }
}

fn siblings(value: &Value) -> [B256; 16] {
    let list: Vec<B256> = list(value, "siblings").iter().map(|word| word.as_str().unwrap().parse().unwrap()).collect();
    list.try_into().unwrap()
}

#[test]
fn condition_keys_and_evidence() {
    let file = file("conditions.json");
    let domain = domain(&file["domain"]);
    for case in list(&file, "keys").iter().chain(list(&file, "cases")) {
        assert_eq!(condition(case).key(get(case, "expiry")).0, get::<B256>(case, "key"), "{}", case["name"]);
    }
    for case in list(&file, "cases") {
        let result = condition(case).evaluate(&domain, get(case, "expiry"), &bytes(case, "evidence"));
        match case["units"].as_u64() {
            Some(units) => assert_eq!(result.map(u64::from), Ok(units), "{}", case["name"]),
            None => refused(case, result),
        }
    }
}

#[test]
fn settlements() {
    let file = file("settlements.json");
    let domain = domain(&file["domain"]);
    for case in list(&file, "cases") {
        settlement(&domain, case);
    }
}

fn settlement(domain: &Domain, case: &Value) {
    let channel = channel(&case["channel"]);
    let id = channel.id(domain.chain_id(), domain.contract());
    assert_eq!(id.0, get::<B256>(case, "id"));
    let asset = get(case, "asset");
    let mut shown = Shown::default();
    let mut best: Sides<(u64, bool, B256)> = Sides::default();
    let mut balance: Option<Balance> = None;
    let mut units: BTreeMap<B256, u32> = BTreeMap::new();
    let mut claims: BTreeMap<(Side, u16), Claimed> = BTreeMap::new();
    for (index, step) in list(case, "steps").iter().enumerate() {
        let name = format!("{} step {index}", case["name"]);
        let mut paid = Sides::default();
        match step["do"].as_str().unwrap() {
            "deposit" => {
                let total = shown.deposits.of_mut(side(step, "side"));
                *total = total.plus(amount(step, "amount")).unwrap();
            }
            "withdraw" => {
                let side = side(step, "side");
                let withdrawal = abi::Withdrawal {
                    channelId: id.0,
                    asset,
                    side: side.index(),
                    total: get(step, "total"),
                    recipient: get(step, "recipient"),
                    deadline: get(step, "deadline"),
                };
                let digest = domain.digest(&withdrawal);
                for (field, signer) in [("signatureA", channel.a.signer), ("signatureB", channel.b.signer)] {
                    Signature::from_slice(&bytes(step, field)).unwrap().verify(digest, signer).unwrap();
                }
                let before = std::mem::replace(shown.withdrawn.of_mut(side), amount(step, "total"));
                *paid.of_mut(side) = amount(step, "total").minus(before).unwrap();
            }
            "exit" => {}
            "prove" => {
                let given = &step["proof"];
                let lane = LaneId { asset: get(given, "asset"), payer: side(given, "payer") };
                assert_eq!(lane.asset, asset);
                let proof = Proof {
                    nonce: get(given, "nonce"),
                    transferred: amount(given, "transferred"),
                    locked: amount(given, "locked"),
                    locks_root: get(given, "locksRoot"),
                    seen: get(given, "seen"),
                };
                let signature = Signature::from_slice(&bytes(given, "signature")).unwrap();
                let payer = channel.participant(lane.payer).signer;
                SignedProof { proof, signature }.verify(domain, id, lane, payer).unwrap();
                let acknowledgement = bytes(given, "acknowledgement");
                let acknowledged = !acknowledgement.is_empty();
                if acknowledged {
                    let digest = proof.acknowledgement_digest(domain, id, lane);
                    let payee = channel.participant(lane.payer.other()).signer;
                    Signature::from_slice(&acknowledgement).unwrap().verify(digest, payee).unwrap();
                } else {
                    assert_eq!(side(step, "by"), lane.payer.other(), "{name}");
                }
                let (nonce, was, _) = *best.of(lane.payer);
                if proof.nonce > nonce || (proof.nonce == nonce && acknowledged && !was) {
                    *best.of_mut(lane.payer) = (proof.nonce, acknowledged, proof.locks_root);
                    *shown.lanes.of_mut(lane.payer) =
                        LaneTotals { transferred: proof.transferred, locked: proof.locked };
                }
            }
            "evidence" => {
                let condition = condition(step);
                let expiry = get(step, "expiry");
                let proven = condition.evaluate(domain, expiry, &bytes(step, "evidence")).unwrap();
                let known = units.entry(condition.key(expiry).0).or_default();
                *known = proven.max(*known);
                assert_eq!(*known, small::<u32>(step, "units"), "{name}");
            }
            "settle" => {
                let (settled, now) = settle(&shown).unwrap();
                (balance, paid) = (Some(settled), now);
            }
            "claim" => {
                let (payer, slot) = (side(step, "payer"), small(step, "slot"));
                let lock = lock(&step["lock"]);
                let root = root_of_branch(slot, lock.leaf(), &siblings(step));
                assert_eq!(root, best.of(payer).2, "{name}");
                let known = units.get(&lock.key.0).copied().unwrap_or_default();
                let claimed = claims.entry((payer, slot)).or_default();
                let expired = get::<u64>(step, "at") > get(step, "expiry");
                let result = claim(balance.as_mut().unwrap(), claimed, payer, &lock, known, expired).unwrap();
                assert_eq!(result.is_none(), step["nothing"].as_bool().unwrap(), "{name}");
                assert_eq!(claimed.units, small::<u32>(step, "units"), "{name}");
                assert_eq!(claimed.returned, step["returned"].as_bool().unwrap(), "{name}");
                paid = result.unwrap_or_default();
            }
            other => panic!("unknown step {other}"),
        }
        let now = balance.unwrap_or_else(|| shown.balance().unwrap());
        let text = |index: usize, field: &str| step[field][index].as_str().unwrap().to_owned();
        assert_eq!(now.net.a, I256::from_dec_str(&text(0, "net")).unwrap(), "{name}");
        assert_eq!(now.net.b, I256::from_dec_str(&text(1, "net")).unwrap(), "{name}");
        assert_eq!(now.left, amount(step, "left"), "{name}");
        assert_eq!([paid.a.to_string(), paid.b.to_string()], [text(0, "paid"), text(1, "paid")], "{name}");
    }
}

#[test]
fn messages_are_read_and_written_byte_for_byte() {
    let file = file("messages.json");
    let (domain, channel) = (domain(&file["domain"]), channel(&file["channel"]));
    let id = channel.id(domain.chain_id(), domain.contract());
    assert_eq!(id.0, get::<B256>(&file, "id"));
    let mut kinds = BTreeSet::new();
    for case in list(&file, "messages") {
        let given = case["text"].as_str().unwrap();
        let message = Message::decode(given).unwrap();
        assert_eq!(message.encode().unwrap(), given, "{}", case["name"]);
        signatures_in(&message, &domain, id, &channel);
        // A name for each variant: a new one has no vector until it is written here.
        kinds.insert(match message {
            Message::Update { .. } => "update",
            Message::Accepted { .. } => "accepted",
            Message::Refused { .. } => "refused",
            Message::Reveal { .. } => "reveal",
            Message::Fail { .. } => "fail",
            Message::Cancel { .. } => "cancel",
            Message::Held { .. } => "held",
            Message::Forwarded { .. } => "forwarded",
            Message::Sync { .. } => "sync",
            Message::Funds { .. } => "funds",
            Message::WithdrawProposal { .. } => "withdrawProposal",
            Message::WithdrawSigned { .. } => "withdrawSigned",
            Message::CloseProposal { .. } => "closeProposal",
            Message::CloseSigned { .. } => "closeSigned",
            Message::Declined { .. } => "declined",
        });
        let kind = serde_json::from_str::<Value>(given).unwrap()["type"].clone();
        assert!(kinds.contains(kind.as_str().unwrap()));
    }
    assert_eq!(kinds.len(), 15, "every kind of message has a vector");
    for case in list(&file, "legacy") {
        let message = Message::decode(case["text"].as_str().unwrap()).unwrap();
        assert_eq!(message.encode().unwrap(), case["same"].as_str().unwrap(), "{}", case["name"]);
    }
}

/// Whoever writes such a message signs what is in it. In these, `A` pays in ETH and `B` in the token.
fn signatures_in(message: &Message, domain: &Domain, id: ChannelId, channel: &ChannelDef) {
    let [user, hub] = [channel.a.signer, channel.b.signer];
    let lane = |asset: Address| LaneId { asset, payer: if asset.is_zero() { Side::A } else { Side::B } };
    let verify = |asset: Address, proof: &SignedProof| {
        proof.verify(domain, id, lane(asset), channel.participant(lane(asset).payer).signer).unwrap();
    };
    match message {
        Message::Update { asset, update } => verify(*asset, &update.signed_proof()),
        Message::Refused { asset, last: Some(last), .. } => verify(*asset, last),
        Message::Sync { lanes } => {
            for entry in lanes {
                entry.signed.iter().chain(&entry.accepted).for_each(|proof| verify(entry.asset, proof));
                if let (Some(accepted), Some(acknowledgement)) = (entry.accepted, entry.acknowledgement) {
                    let digest = accepted.proof.acknowledgement_digest(domain, id, lane(entry.asset));
                    acknowledgement.verify(digest, user).unwrap();
                }
            }
        }
        Message::WithdrawProposal { withdrawal, signature, owner_signature, .. } => {
            let digest = domain.digest(&withdrawal.to_abi(id));
            signature.verify(digest, user).unwrap();
            Signature::from_slice(owner_signature).unwrap().verify(digest, channel.a.owner).unwrap();
        }
        Message::WithdrawSigned { withdrawal, signature } => {
            signature.verify(domain.digest(&withdrawal.to_abi(id)), hub).unwrap();
        }
        Message::CloseProposal { closing, signature, .. } => {
            signature.verify(domain.digest(&closing.to_abi(id)), user).unwrap();
        }
        Message::CloseSigned { closing, signature } => {
            signature.verify(domain.digest(&closing.to_abi(id)), hub).unwrap();
        }
        Message::Accepted { .. }
        | Message::Refused { .. }
        | Message::Reveal { .. }
        | Message::Fail { .. }
        | Message::Cancel { .. }
        | Message::Held { .. }
        | Message::Forwarded { .. }
        | Message::Funds { .. }
        | Message::Declined { .. } => {}
    }
}

/// Each in the layout that it was written in, and all to the same values: written again, they are what the newest
/// format has.
#[test]
fn stored_records_of_every_format_are_still_read() {
    // The first builds of format 2 had fewer fields, and the same name for it.
    let mut files = vec![serde_json::from_str(include_str!("golden/storage-v2-first.json")).unwrap()];
    files.extend((2..=journal::FORMAT).map(|format| file(&format!("storage-v{format}.json"))));
    let newest = files.last().unwrap().clone();
    for file in files {
        for case in list(&file, "records") {
            let again = list(&newest, "records").iter().find(|again| again["name"] == case["name"]);
            let again = again.unwrap_or_else(|| panic!("no record {} in the newest format", case["name"]));
            match case["type"].as_str().unwrap() {
                "Registration" => record::<Registration>(case, again),
                "Fact" => record::<Fact>(case, again),
                "Facts" => record::<Vec<Fact>>(case, again),
                "State" => record::<State>(case, again),
                "Payment" => record::<Payment>(case, again),
                other => panic!("unknown record {other}"),
            }
        }
    }
}

fn record<T: Encode + Decode + Debug>(case: &Value, again: &Value) {
    let hex = bytes(case, "hex");
    let value: T = journal::decode(&hex).unwrap_or_else(|error| panic!("{}: {error}", case["name"]));
    // Of the newest, since what is added later is not in older texts.
    if let Some(text) = again["text"].as_str() {
        assert_eq!(format!("{value:?}"), text, "{}", case["name"]);
    }
    let written = bytes(again, "hex");
    assert_eq!(journal::encode(&value), written, "{}", case["name"]);
    for cut in 0..hex.len() {
        // Without a checksum an empty state is what its first build wrote, if its last byte is cut off: empty.
        if let Ok(cut) = journal::decode::<T>(&hex[..cut]) {
            assert_eq!((hex[0], journal::encode(&cut)), (2, written.clone()), "{} cut", case["name"]);
        }
    }
}

#[test]
fn codes_and_limits() {
    let file = file("codes.json");
    let stored: Vec<(String, String, String)> = list(&file, "codes")
        .iter()
        .map(|case| ["code", "blame", "advice"].map(|field| case[field].as_str().unwrap().to_owned()).into())
        .collect();
    let now: Vec<(String, String, String)> = Code::ALL
        .iter()
        .map(|code| {
            let blame = match code.blame() {
                Blame::Refused => "refused",
                Blame::PeerFault => "peer-fault",
                Blame::Storage => "storage",
                Blame::Chain => "chain",
                Blame::Wallet => "wallet",
                Blame::Bug => "bug",
            };
            (code.as_str().to_owned(), blame.to_owned(), code.advice().to_owned())
        })
        .collect();
    assert_eq!(stored, now);
    assert_eq!(file["limits"]["messageBytes"], 65_536);
    assert_eq!(file["limits"]["memoBytes"], 256);
    assert_eq!(file["limits"]["envelopeBytes"], 1_024);
    assert_eq!(file["limits"]["conditionBytes"], 1_024);
    assert_eq!(file["limits"]["hashChain"], 16_384);
    assert_eq!(file["limits"]["treeDepth"], 16);
    assert_eq!(file["storageFormat"], journal::FORMAT);
}
