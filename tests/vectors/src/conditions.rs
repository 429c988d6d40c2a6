//! Condition keys, and what evidence proves: units, or an error in Rust and one in the contract.

use crate::common::{address, bytes, domain, domain_json, key, text};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use farthing_protocol::abi;
use farthing_protocol::condition::{ALL_UNITS, Condition, MAX_CHAIN, chain_evidence, sha256, voucher_evidence};
use farthing_protocol::eip712::Domain;
use serde_json::{Value, json};

const EXPIRY: u64 = 1_700_003_600;

/// What the contract says to it: units, or the name of its error.
enum Says {
    Units(u32),
    Reverts(&'static str),
}

pub(crate) fn all() -> Value {
    let mut cases = Vec::new();
    hash_locks(&mut cases);
    hash_chains(&mut cases);
    vouchers(&mut cases);
    json!({
        "about": "key = keccak256(abi.encode(condition, keccak256(params), expiry)); evaluate(params, evidence) gives units, or the error",
        "domain": domain_json(&domain()),
        "keys": keys(),
        "cases": cases,
    })
}

fn keys() -> Vec<Value> {
    [
        ("hash lock", Condition::hash_lock([7; 32]), EXPIRY),
        ("the same, a second later", Condition::hash_lock([7; 32]), EXPIRY + 1),
        ("hash chain", Condition::hash_chain(B256::repeat_byte(9), MAX_CHAIN), EXPIRY),
        ("voucher", Condition::voucher(key(5).address(), B256::repeat_byte(8)), 0),
        (
            "a contract without params",
            Condition { address: Address::repeat_byte(0xcc), params: Bytes::new() },
            u64::MAX,
        ),
        (
            "a contract with long params",
            Condition { address: Address::repeat_byte(0xcc), params: vec![1; 1024].into() },
            1,
        ),
    ]
    .into_iter()
    .map(|(name, condition, expiry)| {
        json!({
            "name": name, "condition": address(condition.address), "params": bytes(&condition.params),
            "expiry": text(expiry), "key": bytes(condition.key(expiry).0),
        })
    })
    .collect()
}

fn hash_locks(cases: &mut Vec<Value>) {
    let secret = [7_u8; 32];
    let lock = Condition::hash_lock(sha256(&secret));
    let with = |params: &[u8]| Condition { address: lock.address, params: Bytes::copy_from_slice(params) };
    let good = lock.params.to_vec();
    let long = [secret.as_slice(), &[0]].concat();
    let malformed = || Says::Reverts("MalformedEvidence");
    add(cases, "hash lock: the preimage", &lock, &secret, Says::Units(ALL_UNITS));
    add(cases, "hash lock: another preimage", &lock, &[8; 32], Says::Reverts("NothingProven"));
    add(cases, "hash lock: no preimage", &lock, &[], malformed());
    add(cases, "hash lock: 31 bytes", &with(&sha256(&secret[..31])), &secret[..31], malformed());
    add(cases, "hash lock: 33 bytes", &with(&sha256(&long)), &long, malformed());
    let bad_params = || Says::Reverts("MalformedParams");
    add(cases, "hash lock: no params", &with(&[]), &secret, bad_params());
    add(cases, "hash lock: params of 33 bytes", &with(&[good.as_slice(), &[0]].concat()), &secret, bad_params());
}

fn hash_chains(cases: &mut Vec<Value>) {
    let mut words = vec![keccak256("seed")];
    for i in 0..100 {
        words.push(keccak256(words[i]));
    }
    let word = |k: u32| words[100 - k as usize];
    let tip = words[100];
    let chain = Condition::hash_chain(tip, 100);
    let says = Says::Units;
    let malformed = || Says::Reverts("MalformedEvidence");
    add(cases, "hash chain: one step", &chain, &chain_evidence(1, word(1)), says(1));
    add(cases, "hash chain: some steps", &chain, &chain_evidence(37, word(37)), says(37));
    add(cases, "hash chain: all steps", &chain, &chain_evidence(100, word(100)), says(100));
    add(cases, "hash chain: the tip itself", &chain, &chain_evidence(0, tip), malformed());
    add(cases, "hash chain: one step too few", &chain, &chain_evidence(36, word(37)), Says::Reverts("NothingProven"));
    add(
        cases,
        "hash chain: longer than it is",
        &Condition::hash_chain(tip, 99),
        &chain_evidence(100, word(100)),
        malformed(),
    );
    add(cases, "hash chain: 35 bytes of evidence", &chain, &chain_evidence(1, word(1))[..35], malformed());
    add(
        cases,
        "hash chain: 37 bytes of evidence",
        &chain,
        &[&chain_evidence(1, word(1))[..], &[0]].concat(),
        malformed(),
    );
    add(cases, "hash chain: no evidence", &chain, &[], malformed());
    let bad_params = || Says::Reverts("MalformedParams");
    let one = chain_evidence(1, word(1));
    add(cases, "hash chain: of no length", &Condition::hash_chain(tip, 0), &one, bad_params());
    add(cases, "hash chain: too long", &Condition::hash_chain(tip, MAX_CHAIN + 1), &one, bad_params());
    let short = Condition { address: chain.address, params: chain.params.slice(..35) };
    add(cases, "hash chain: params of 35 bytes", &short, &one, bad_params());
    let mut far = keccak256("far");
    for _ in 0..MAX_CHAIN {
        far = keccak256(far);
    }
    let longest = Condition::hash_chain(far, MAX_CHAIN);
    add(cases, "hash chain: the longest", &longest, &chain_evidence(MAX_CHAIN, keccak256("far")), says(MAX_CHAIN));
}

fn vouchers(cases: &mut Vec<Value>) {
    let signer = key(5);
    let condition = Condition::voucher(signer.address(), B256::repeat_byte(8));
    let good = |units: u32| voucher_evidence(&domain(), condition.key(EXPIRY), units, &signer);
    let unproven = || Says::Reverts("NothingProven");
    let malformed = || Says::Reverts("MalformedEvidence");
    add(cases, "voucher: one unit", &condition, &good(1), Says::Units(1));
    add(cases, "voucher: all units", &condition, &good(u32::MAX), Says::Units(u32::MAX));
    add(cases, "voucher: no units", &condition, &good(0), unproven());
    let later = voucher_evidence(&domain(), condition.key(EXPIRY + 1), 5, &signer);
    add(cases, "voucher: for another expiry", &condition, &later, unproven());
    let forged = voucher_evidence(&domain(), condition.key(EXPIRY), 5, &key(6));
    add(cases, "voucher: by another key", &condition, &forged, unproven());
    let elsewhere = Domain::new(1, domain().contract());
    let other = voucher_evidence(&elsewhere, condition.key(EXPIRY), 5, &signer);
    add(cases, "voucher: for another chain", &condition, &other, unproven());
    let mut raised = good(5).to_vec();
    raised[3] = 6;
    add(cases, "voucher: raised by one", &condition, &raised, unproven());
    add(cases, "voucher: high s", &condition, &high_s(&good(5)), unproven());
    let mut bad_v = good(5).to_vec();
    bad_v[68] -= 27;
    add(cases, "voucher: v of 0 or 1", &condition, &bad_v, unproven());
    add(cases, "voucher: 68 bytes", &condition, &good(5)[..68], malformed());
    add(cases, "voucher: 70 bytes", &condition, &[&good(5)[..], &[0]].concat(), malformed());
    add(cases, "voucher: no evidence", &condition, &[], malformed());
    let nobody = Condition::voucher(Address::ZERO, B256::repeat_byte(8));
    add(cases, "voucher: of nobody", &nobody, &[&[0, 0, 0, 5][..], &[0; 65]].concat(), unproven());
    let short = Condition { address: condition.address, params: condition.params.slice(..51) };
    add(cases, "voucher: params of 51 bytes", &short, &good(5), Says::Reverts("MalformedParams"));
    // Signed over the id, not over the key: such a voucher would count for every expiry. [7]
    let digest = domain().digest(&abi::Voucher { key: B256::repeat_byte(8), units: 5 });
    let unbound = [&5_u32.to_be_bytes()[..], signer.sign(digest).as_bytes()].concat();
    add(cases, "voucher: bound to its id only", &condition, &unbound, unproven());
}

/// The other signature that the same key could have made.
pub(crate) fn high_s(voucher: &[u8]) -> Vec<u8> {
    let mut bytes = voucher.to_vec();
    let start = bytes.len() - 65;
    let s = U256::from_be_slice(&bytes[start + 32..start + 64]);
    let high = U256::from_be_bytes(crate::common::ORDER) - s;
    bytes[start + 32..start + 64].copy_from_slice(&high.to_be_bytes::<32>());
    bytes[start + 64] = 55 - bytes[start + 64];
    bytes
}

fn add(cases: &mut Vec<Value>, name: &str, condition: &Condition, evidence: &[u8], says: Says) {
    let result = condition.evaluate(&domain(), EXPIRY, evidence);
    let mut case = json!({
        "name": name,
        "condition": address(condition.address),
        "params": bytes(&condition.params),
        "expiry": text(EXPIRY),
        "evidence": bytes(evidence),
        "key": bytes(condition.key(EXPIRY).0),
    });
    match (result, says) {
        (Ok(units), Says::Units(expected)) if units == expected => case["units"] = units.into(),
        (Err(error), Says::Reverts(name)) => {
            case["code"] = error.code().as_str().into();
            case["contract"] = name.into();
        }
        (result, _) => panic!("{name}: {result:?}"),
    }
    cases.push(case);
}
