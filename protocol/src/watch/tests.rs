use super::*;
use crate::condition::{ConditionKey, sha256};
use crate::proof::Proof;
use crate::tree::LockTree;
use crate::types::{ETH, Participant};

const LANE: LaneId = LaneId { asset: ETH, payer: Side::B };

struct Setting {
    a: SecretKey,
    b: SecretKey,
    tower: SecretKey,
    channel: ChannelDef,
    domain: Domain,
}

impl Setting {
    fn new() -> Self {
        let [a, b, tower] = [1, 2, 3].map(|byte| SecretKey::from_bytes(&[byte; 32]).unwrap());
        let participant = |key: &SecretKey| Participant { owner: key.address(), signer: key.address() };
        let channel = ChannelDef { a: participant(&a), b: participant(&b), challenge_period: 60, salt: 0 };
        Self { channel, a, b, tower, domain: Domain::new(1, Address::repeat_byte(0xcc)) }
    }

    fn id(&self) -> ChannelId {
        self.channel.id(1, self.domain.contract())
    }

    fn given(&self, nonce: u64, transferred: u128) -> WatchedLane {
        let (locked, locks_root) = (Amount::ZERO, empty_root());
        self.sign(Proof { nonce, transferred: Amount::new(transferred), locked, locks_root, seen: 0 })
    }

    fn sign(&self, proof: Proof) -> WatchedLane {
        let signed = SignedProof::sign(proof, &self.domain, self.id(), LANE, &self.b);
        let acknowledgement = Some(self.a.sign(proof.acknowledgement_digest(&self.domain, self.id(), LANE)));
        WatchedLane { asset: ETH, payer: Side::B, signed, acknowledgement, evidence: Vec::new() }
    }

    fn check(&self, given: &WatchedLane) -> Result<AgreedProof, Error> {
        AgreedProof::check(given, &self.channel, &self.domain)
    }
}

#[test]
fn an_order_is_a_signers_for_one_tower_until_its_deadline() {
    let s = Setting::new();
    let tower = s.tower.address();
    for (key, side) in [(&s.a, Side::A), (&s.b, Side::B)] {
        let order = WatchOrder::sign(s.channel, 100, tower, &s.domain, key);
        assert_eq!(order.verify(tower, &s.domain, 100), Ok(side));
        assert_eq!(order.verify(tower, &s.domain, 101).unwrap_err().code(), Code::BadExpiry);
        assert_eq!(order.verify(key.address(), &s.domain, 100).unwrap_err().code(), Code::BadSignature);
        let other = WatchOrder { deadline: 101, ..order };
        assert_eq!(other.verify(tower, &s.domain, 100).unwrap_err().code(), Code::BadSignature);
    }
    let foreign = WatchOrder::sign(s.channel, 100, tower, &s.domain, &s.tower);
    assert_eq!(foreign.verify(tower, &s.domain, 1).unwrap_err().code(), Code::BadSignature);
    let twice = ChannelDef { b: s.channel.a, ..s.channel };
    let order = WatchOrder::sign(twice, 100, tower, &s.domain, &s.a);
    assert_eq!(order.verify(tower, &s.domain, 1).unwrap_err().code(), Code::BadTerms);
}

#[test]
fn a_proof_counts_only_if_both_sides_signed_exactly_it() {
    let s = Setting::new();
    let good = s.given(5, 10);
    s.check(&good).unwrap();
    let code = |change: &dyn Fn(&mut WatchedLane)| {
        let mut given = good.clone();
        change(&mut given);
        s.check(&given).unwrap_err().code()
    };
    let other = s.given(6, 10);
    assert_eq!(code(&|given| given.acknowledgement = None), Code::InvalidArgument);
    assert_eq!(code(&|given| given.acknowledgement = other.acknowledgement), Code::BadSignature);
    assert_eq!(code(&|given| given.acknowledgement = Some(good.signed.signature)), Code::BadSignature);
    assert_eq!(code(&|given| given.signed.signature = other.signed.signature), Code::BadSignature);
    assert_eq!(code(&|given| given.signed.proof.transferred = Amount::new(11)), Code::BadSignature);
    assert_eq!(code(&|given| given.payer = Side::A), Code::BadSignature);
    assert_eq!(code(&|given| given.asset = Address::repeat_byte(1)), Code::BadSignature);
}

#[test]
fn a_proof_that_the_contract_would_choke_on_is_refused() {
    let s = Setting::new();
    let proof = s.given(1, 1).signed.proof;
    for bad in [
        Proof { nonce: 0, ..proof },
        Proof { locked: Amount::new(1), ..proof },
        Proof { locks_root: B256::repeat_byte(1), ..proof },
    ] {
        assert_eq!(s.check(&s.sign(bad)).unwrap_err().code(), Code::InvalidArgument);
    }
}

#[test]
fn only_a_higher_nonce_replaces() {
    let s = Setting::new();
    let stored = s.check(&s.given(5, 10)).unwrap();
    let other = |nonce, transferred| s.check(&s.given(nonce, transferred)).unwrap();
    assert_eq!(other(6, 9).replaces(&stored), Ok(true));
    assert_eq!(other(5, 10).replaces(&stored), Ok(false));
    assert_eq!(other(5, 11).replaces(&stored).unwrap_err().code(), Code::BadNonce);
    assert_eq!(other(4, 99).replaces(&stored).unwrap_err().code(), Code::BadNonce);
}

#[test]
fn only_what_changes_the_chain_improves_on_it() {
    let s = Setting::new();
    let ours = s.check(&s.given(5, 10)).unwrap();
    let shown = LaneState { nonce: 5, acknowledged: false, transferred: 10, locked: 0, locksRoot: B256::ZERO };
    assert!(!ours.improves(&shown), "the same");
    assert!(ours.improves(&LaneState { nonce: 0, ..shown.clone() }));
    assert!(ours.improves(&LaneState { nonce: 4, acknowledged: true, ..shown.clone() }));
    assert!(!ours.improves(&LaneState { nonce: 6, ..shown.clone() }));
    assert!(ours.improves(&LaneState { transferred: 9, ..shown.clone() }), "[13]");
    assert!(ours.improves(&LaneState { locked: 1, ..shown.clone() }), "[13]");
    assert!(!ours.improves(&LaneState { transferred: 9, acknowledged: true, ..shown }));
}

#[test]
fn a_receipt_is_for_one_proof_and_of_one_tower() {
    let s = Setting::new();
    let (ours, other) = (s.check(&s.given(5, 10)).unwrap(), s.check(&s.given(5, 11)).unwrap());
    let receipt = ours.receipt(s.id(), 77).sign(&s.domain, &s.tower);
    let verify = |receipt: &SignedReceipt, tower: &SecretKey, proof: &AgreedProof| {
        receipt.verify(&s.domain, tower.address(), s.id(), proof.lane(), proof.signed()).map_err(|error| error.code())
    };
    assert_eq!(verify(&receipt, &s.tower, &ours), Ok(()));
    assert_eq!(verify(&receipt, &s.a, &ours), Err(Code::BadSignature));
    assert_eq!(verify(&receipt, &s.tower, &other), Err(Code::BadTerms));
    let later = SignedReceipt { receipt: WatchReceipt { time: 78, ..receipt.receipt }, ..receipt };
    assert_eq!(verify(&later, &s.tower, &ours), Err(Code::BadSignature));
}

#[test]
fn evidence_is_for_a_lock_of_the_proof_and_for_more_than_was_redeemed() {
    let s = Setting::new();
    let (secret, expiry, slot) = ([9; 32], 1_000, 3);
    let condition = Condition::hash_lock(sha256(&secret));
    let lock = Lock { key: condition.key(expiry), n: 2, unit_price: Amount::new(5), redeemed: 1 };
    let mut tree = LockTree::default();
    tree.set(slot, lock.leaf());
    let locks_root = tree.root();
    let locked = lock.value().unwrap();
    let proof = s.check(&s.sign(Proof { nonce: 1, transferred: Amount::ZERO, locked, locks_root, seen: 0 })).unwrap();
    let good = WatchedEvidence {
        slot,
        n: 2,
        unit_price: lock.unit_price,
        redeemed: 1,
        condition,
        expiry,
        siblings: tree.siblings(slot),
        evidence: Bytes::copy_from_slice(&secret),
    };
    assert_eq!(good.check(&proof, &s.domain), Ok(u32::MAX));
    let code = |change: &dyn Fn(&mut WatchedEvidence)| {
        let mut evidence = good.clone();
        change(&mut evidence);
        evidence.check(&proof, &s.domain).unwrap_err().code()
    };
    assert_eq!(code(&|evidence| evidence.evidence = Bytes::from_static(&[8; 32])), Code::BadEvidence);
    assert_eq!(code(&|evidence| evidence.slot = 4), Code::BadEvidence);
    assert_eq!(code(&|evidence| evidence.expiry = 1_001), Code::BadEvidence);
    assert_eq!(code(&|evidence| evidence.n = 3), Code::BadEvidence);
    assert_eq!(code(&|evidence| evidence.condition.address = Address::repeat_byte(7)), Code::UnknownCondition);

    let spent = Lock { redeemed: 2, key: ConditionKey(lock.key.0), ..lock };
    tree.set(slot, spent.leaf());
    let root = tree.root();
    let proof = Proof { nonce: 2, transferred: Amount::ZERO, locked: Amount::new(1), locks_root: root, seen: 0 };
    let proof = s.check(&s.sign(proof)).unwrap();
    let nothing = WatchedEvidence { redeemed: 2, ..good };
    assert_eq!(nothing.check(&proof, &s.domain).unwrap_err().code(), Code::BadEvidence);
}
