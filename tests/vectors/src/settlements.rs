//! Whole exits, step by step: what is shown, what is proven, and what each side is owed and paid after each step.

use crate::common::{address, bytes, channel, channel_json, domain, domain_json, key, proof_json, siblings_json, text};
use alloy_primitives::{Address, B256, Bytes, keccak256};
use farthing_protocol::abi;
use farthing_protocol::amount::Amount;
use farthing_protocol::condition::{Condition, chain_evidence, sha256, voucher_evidence};
use farthing_protocol::lane::{Lane, Op, PendingLock};
use farthing_protocol::proof::{LaneId, Proof, SignedProof};
use farthing_protocol::settle::{Balance, Claimed, LaneTotals, Shown, claim, settle};
use farthing_protocol::types::{Asset, ChannelDef, ETH, Side, Sides};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const START: u64 = 1_700_000_000;
const EXIT: u64 = START + 100;
const SETTLE: u64 = EXIT + 86_400 + 1;
const EXPIRY: u64 = SETTLE + 10_000;
const TOKEN: Address = Address::repeat_byte(0xda);

/// One channel's asset on the chain, and what is written of it.
struct World {
    channel: ChannelDef,
    asset: Asset,
    time: u64,
    shown: Shown,
    /// Of the best proofs: nonce, and whether it is acknowledged.
    best: Sides<(u64, bool)>,
    balance: Option<Balance>,
    units: BTreeMap<B256, u32>,
    claims: BTreeMap<(Side, u16), Claimed>,
    steps: Vec<Value>,
}

pub(crate) fn all() -> Value {
    let cases = [
        ("nobody shows a proof: deposits go back", ETH, nothing_shown as fn(&mut World)),
        ("proofs of both lanes, after withdrawals", ETH, both_lanes),
        ("the same in a token", TOKEN, both_lanes),
        ("the newest proof wins, and at equal nonces the acknowledged one", ETH, newest_wins),
        ("a hash lock claimed before its expiry", ETH, hash_lock),
        ("a hash lock that nobody opened", TOKEN, unopened),
        ("a hash chain claimed in steps, partly redeemed before", ETH, hash_chain),
        ("a voucher for more than the lock has", ETH, voucher),
        ("locks of both lanes", ETH, both_locked),
        ("a negative net is worked off by a lock", ETH, debt),
        ("a debt larger than the lock", TOKEN, large_debt),
        ("a proof that locks less than its tree holds", ETH, understated),
        ("a lock with more redeemed than it has", ETH, over_redeemed),
        ("the largest amounts, in the last slot", TOKEN, extremes),
    ];
    let cases: Vec<Value> = cases
        .into_iter()
        .enumerate()
        .map(|(salt, (name, asset, run))| {
            let mut world = World::new(salt as u64, asset);
            run(&mut world);
            json!({
                "name": name,
                "channel": channel_json(&world.channel),
                "id": bytes(world.id()),
                "asset": address(asset),
                "steps": world.steps,
            })
        })
        .collect();
    json!({
        "about": "net(X) = deposit(X) - withdrawn(X) - transferred(X) + transferred(Y) - locked(X), signed; paid and net are of A and B, after the step, withdrawals included in what is paid",
        "domain": domain_json(&domain()),
        "cases": cases,
    })
}

fn nothing_shown(world: &mut World) {
    world.deposits(10, 5);
    world.exit(&[]);
    world.settle();
}

fn both_lanes(world: &mut World) {
    world.deposits(10_000, 5_000);
    world.withdraw(Side::A, 1_000);
    world.withdraw(Side::A, 1_500);
    world.withdraw(Side::B, 1);
    let a = world.proof(Side::A, 4, 3_000, &mut Lane::default());
    let b = world.proof(Side::B, 6, 2_000, &mut Lane::default());
    world.exit(&[(Side::A, a, true), (Side::B, b, false)]);
    world.settle();
}

fn newest_wins(world: &mut World) {
    world.deposits(1_000, 1_000);
    let old = world.proof(Side::A, 1, 10, &mut Lane::default());
    let new = world.proof(Side::A, 5, 20, &mut Lane::default());
    let equal = world.proof(Side::A, 5, 30, &mut Lane::default());
    world.exit(&[]);
    world.prove(Side::B, Side::A, old, false);
    world.prove(Side::B, Side::A, new, false);
    world.prove(Side::B, Side::A, old, true);
    world.prove(Side::A, Side::A, equal, true);
    world.prove(Side::B, Side::A, new, true);
    world.settle();
}

fn hash_lock(world: &mut World) {
    let condition = Condition::hash_lock(sha256(&[7; 32]));
    world.deposits(100, 0);
    let mut lane = lane(&[(3, &condition, 1, 40)]);
    let proof = world.proof(Side::A, 2, 25, &mut lane);
    world.exit(&[(Side::A, proof, true)]);
    world.evidence(&condition, &[7; 32]);
    world.settle();
    world.claim(Side::A, &mut lane, 3);
    world.claim(Side::A, &mut lane, 3);
    world.time = EXPIRY + 1;
    world.claim(Side::A, &mut lane, 3);
}

fn unopened(world: &mut World) {
    let condition = Condition::hash_lock(sha256(&[7; 32]));
    world.deposits(100, 100);
    let mut lane = lane(&[(0, &condition, 2, 20)]);
    let proof = world.proof(Side::B, 1, 0, &mut lane);
    world.exit(&[(Side::B, proof, false)]);
    world.settle();
    world.claim(Side::B, &mut lane, 0);
    world.time = EXPIRY;
    world.claim(Side::B, &mut lane, 0);
    world.time = EXPIRY + 1;
    world.claim(Side::B, &mut lane, 0);
    world.claim(Side::B, &mut lane, 0);
}

fn hash_chain(world: &mut World) {
    let mut words = vec![keccak256("seed")];
    for i in 0..10 {
        words.push(keccak256(words[i]));
    }
    let word = |k: u32| words[10 - k as usize];
    let condition = Condition::hash_chain(words[10], 10);
    world.deposits(1_000, 0);
    let mut lane = lane(&[(9, &condition, 10, 3)]);
    lane.apply(2, &[Op::Redeem { slot: 9, units: 2 }]).unwrap();
    let transferred = lane.transferred.units();
    let proof = world.proof(Side::A, 2, transferred, &mut lane);
    world.exit(&[(Side::A, proof, true)]);
    // No more than was redeemed: nothing to claim.
    world.evidence(&condition, &chain_evidence(2, word(2)));
    world.settle();
    world.claim(Side::A, &mut lane, 9);
    world.evidence(&condition, &chain_evidence(4, word(4)));
    world.claim(Side::A, &mut lane, 9);
    world.evidence(&condition, &chain_evidence(7, word(7)));
    world.claim(Side::A, &mut lane, 9);
    world.time = EXPIRY + 1;
    world.claim(Side::A, &mut lane, 9);
}

fn voucher(world: &mut World) {
    let condition = Condition::voucher(key(5).address(), B256::repeat_byte(8));
    world.deposits(500, 0);
    let mut lane = lane(&[(1, &condition, 5, 10)]);
    let proof = world.proof(Side::A, 1, 0, &mut lane);
    world.exit(&[(Side::A, proof, true)]);
    let evidence = |units| voucher_evidence(&domain(), condition.key(EXPIRY), units, &key(5));
    world.evidence(&condition, &evidence(3));
    world.evidence(&condition, &evidence(1_000));
    world.settle();
    world.claim(Side::A, &mut lane, 1);
}

fn both_locked(world: &mut World) {
    // One payment through both lanes, and so one key.
    let condition = Condition::hash_lock(sha256(&[7; 32]));
    let other = Condition::hash_lock(sha256(&[8; 32]));
    world.deposits(300, 200);
    let mut of_a = lane(&[(0, &condition, 1, 100), (1, &other, 1, 50)]);
    let mut of_b = lane(&[(0, &condition, 1, 90)]);
    let a = world.proof(Side::A, 2, 11, &mut of_a);
    let b = world.proof(Side::B, 1, 7, &mut of_b);
    world.exit(&[(Side::A, a, true), (Side::B, b, true)]);
    world.evidence(&condition, &[7; 32]);
    world.settle();
    world.claim(Side::B, &mut of_b, 0);
    world.claim(Side::A, &mut of_a, 0);
    world.time = EXPIRY + 1;
    world.claim(Side::A, &mut of_a, 1);
}

fn debt(world: &mut World) {
    // A paid 15 of its 10 out of what B had paid; B's newest proof locks 8 and nobody shows the rest.
    let condition = Condition::hash_lock(sha256(&[7; 32]));
    world.deposits(10, 10);
    let mut of_b = lane(&[(4, &condition, 8, 1)]);
    let a = world.proof(Side::A, 1, 15, &mut Lane::default());
    let b = world.proof(Side::B, 1, 0, &mut of_b);
    world.exit(&[(Side::A, a, true), (Side::B, b, true)]);
    world.evidence(&condition, &[7; 32]);
    world.settle();
    world.claim(Side::B, &mut of_b, 4);
}

fn large_debt(world: &mut World) {
    let condition = Condition::hash_lock(sha256(&[7; 32]));
    world.deposits(10, 30);
    let mut of_b = lane(&[(4, &condition, 5, 1)]);
    let a = world.proof(Side::A, 1, 35, &mut Lane::default());
    let b = world.proof(Side::B, 1, 0, &mut of_b);
    world.exit(&[(Side::A, a, true), (Side::B, b, true)]);
    world.settle();
    world.time = EXPIRY + 1;
    world.claim(Side::B, &mut of_b, 4);
}

fn understated(world: &mut World) {
    let condition = Condition::hash_lock(sha256(&[7; 32]));
    world.deposits(100, 0);
    let mut lane = lane(&[(0, &condition, 10, 9)]);
    let mut proof = world.proof(Side::A, 1, 0, &mut lane).proof;
    proof.locked = Amount::new(1);
    let proof = world.signed(Side::A, proof);
    world.exit(&[(Side::A, proof, true)]);
    world.evidence(&condition, &[7; 32]);
    world.settle();
    world.claim(Side::A, &mut lane, 0);
}

fn over_redeemed(world: &mut World) {
    let condition = Condition::hash_lock(sha256(&[7; 32]));
    world.deposits(100, 0);
    let mut honest = lane(&[(0, &condition, 3, 1)]);
    let mut locks = core::mem::take(&mut honest.locks);
    locks.get_mut(&0).unwrap().lock.redeemed = 4;
    let mut lane = Lane::from_parts(Amount::ZERO, Amount::new(3), locks);
    let proof = world.proof(Side::A, 1, 0, &mut lane);
    world.exit(&[(Side::A, proof, true)]);
    world.evidence(&condition, &[7; 32]);
    world.settle();
    world.time = EXPIRY + 1;
    world.claim(Side::A, &mut lane, 0);
}

fn extremes(world: &mut World) {
    let condition = Condition::hash_lock(sha256(&[7; 32]));
    world.deposits((1 << 120) - 1, 1);
    let mut of_b = lane(&[(65_535, &condition, 1, u128::MAX)]);
    let a = world.proof(Side::A, u64::MAX, u128::MAX, &mut Lane::default());
    let b = world.proof(Side::B, u64::MAX, 0, &mut of_b);
    world.exit(&[(Side::A, a, true), (Side::B, b, true)]);
    world.evidence(&condition, &[7; 32]);
    world.settle();
    world.claim(Side::B, &mut of_b, 65_535);
}

/// A lane with these locks: slot, condition, units, price.
fn lane(locks: &[(u16, &Condition, u32, u128)]) -> Lane {
    let mut lane = Lane::default();
    for (slot, condition, n, unit_price) in locks {
        let op = Op::Lock {
            slot: *slot,
            condition: (*condition).clone(),
            expiry: EXPIRY,
            n: *n,
            unit_price: Amount::new(*unit_price),
            to: None,
            envelope: Bytes::new(),
        };
        lane.apply(1, &[op]).unwrap();
    }
    lane
}

impl World {
    fn new(salt: u64, asset: Asset) -> Self {
        Self {
            channel: channel(1_000 + salt),
            asset,
            time: START,
            shown: Shown::default(),
            best: Sides::default(),
            balance: None,
            units: BTreeMap::new(),
            claims: BTreeMap::new(),
            steps: Vec::new(),
        }
    }

    fn id(&self) -> B256 {
        self.channel.id(domain().chain_id(), domain().contract()).0
    }

    fn lane_id(&self, payer: Side) -> LaneId {
        LaneId { asset: self.asset, payer }
    }

    fn signer(side: Side) -> farthing_protocol::sign::SecretKey {
        key(match side {
            Side::A => 0x1a,
            Side::B => 0x1b,
        })
    }

    fn signed(&self, payer: Side, proof: Proof) -> SignedProof {
        let id = self.channel.id(domain().chain_id(), domain().contract());
        SignedProof::sign(proof, &domain(), id, self.lane_id(payer), &Self::signer(payer))
    }

    /// A proof of this lane's locks.
    fn proof(&self, payer: Side, nonce: u64, transferred: u128, lane: &mut Lane) -> SignedProof {
        let proof = Proof { transferred: Amount::new(transferred), ..lane.statement(nonce, 0) };
        self.signed(payer, proof)
    }

    fn deposits(&mut self, a: u128, b: u128) {
        for (side, amount) in [(Side::A, a), (Side::B, b)] {
            if amount > 0 {
                *self.shown.deposits.of_mut(side) = Amount::new(amount);
                self.step(json!({ "do": "deposit", "side": side.index(), "amount": text(amount) }), Sides::default());
            }
        }
    }

    fn withdraw(&mut self, side: Side, total: u128) {
        let recipient = self.channel.participant(side).owner;
        let deadline = START + 3_600;
        let withdrawal =
            abi::Withdrawal { channelId: self.id(), asset: self.asset, side: side.index(), total, recipient, deadline };
        let digest = domain().digest(&withdrawal);
        let before = core::mem::replace(self.shown.withdrawn.of_mut(side), Amount::new(total));
        let mut paid = Sides::default();
        *paid.of_mut(side) = Amount::new(total).minus(before).unwrap();
        let step = json!({
            "do": "withdraw", "side": side.index(), "total": text(total), "recipient": address(recipient),
            "deadline": text(deadline),
            "signatureA": bytes(Self::signer(Side::A).sign(digest).as_bytes()),
            "signatureB": bytes(Self::signer(Side::B).sign(digest).as_bytes()),
        });
        self.step(step, paid);
    }

    /// A starts an exit, and each payee shows what it was paid with.
    fn exit(&mut self, proofs: &[(Side, SignedProof, bool)]) {
        self.time = EXIT;
        self.step(json!({ "do": "exit", "by": 0 }), Sides::default());
        for (payer, proof, acknowledged) in proofs {
            let by = if *acknowledged { *payer } else { payer.other() };
            self.prove(by, *payer, *proof, *acknowledged);
        }
    }

    fn prove(&mut self, by: Side, payer: Side, signed: SignedProof, acknowledged: bool) {
        let lane = self.lane_id(payer);
        let id = self.channel.id(domain().chain_id(), domain().contract());
        let digest = signed.proof.acknowledgement_digest(&domain(), id, lane);
        let acknowledgement = acknowledged.then(|| Self::signer(payer.other()).sign(digest));
        let best = self.best.of_mut(payer);
        if (signed.proof.nonce, acknowledged) > *best {
            *best = (signed.proof.nonce, acknowledged);
            *self.shown.lanes.of_mut(payer) =
                LaneTotals { transferred: signed.proof.transferred, locked: signed.proof.locked };
        }
        let step = json!({ "do": "prove", "by": by.index(), "proof": proof_json(lane, &signed, acknowledgement) });
        self.step(step, Sides::default());
    }

    fn evidence(&mut self, condition: &Condition, evidence: &[u8]) {
        let key = condition.key(EXPIRY).0;
        let units = condition.evaluate(&domain(), EXPIRY, evidence).unwrap();
        let recorded = self.units.entry(key).or_default();
        *recorded = units.max(*recorded);
        let step = json!({
            "do": "evidence", "condition": address(condition.address), "params": bytes(&condition.params),
            "expiry": text(EXPIRY), "evidence": bytes(evidence), "key": bytes(key), "units": *recorded,
        });
        self.step(step, Sides::default());
    }

    fn settle(&mut self) {
        self.time = SETTLE;
        let (balance, paid) = settle(&self.shown).unwrap();
        self.balance = Some(balance);
        self.step(json!({ "do": "settle" }), paid);
    }

    fn claim(&mut self, payer: Side, lane: &mut Lane, slot: u16) {
        let PendingLock { lock, condition, expiry, .. } = lane.locks.get(&slot).unwrap().clone();
        let proven = self.units.get(&lock.key.0).copied().unwrap_or_default();
        let claimed = self.claims.entry((payer, slot)).or_default();
        let is_expired = self.time > expiry;
        let paid = claim(self.balance.as_mut().unwrap(), claimed, payer, &lock, proven, is_expired).unwrap();
        let step = json!({
            "do": "claim", "payer": payer.index(), "slot": slot,
            "lock": {
                "key": bytes(lock.key.0), "n": lock.n, "unitPrice": text(lock.unit_price), "redeemed": lock.redeemed,
            },
            "condition": address(condition.address), "paramsHash": bytes(keccak256(&condition.params)),
            "expiry": text(expiry), "siblings": siblings_json(&lane.siblings(slot)),
            "nothing": paid.is_none(), "units": claimed.units, "returned": claimed.returned,
        });
        self.step(step, paid.unwrap_or_default());
    }

    /// Adds what everybody must agree on after the step.
    fn step(&mut self, mut step: Value, paid: Sides<Amount>) {
        let balance = self.balance.unwrap_or_else(|| self.shown.balance().unwrap());
        step["at"] = text(self.time);
        step["net"] = json!([text(balance.net.a), text(balance.net.b)]);
        step["left"] = text(balance.left);
        step["paid"] = json!([text(paid.a), text(paid.b)]);
        self.steps.push(step);
    }
}
