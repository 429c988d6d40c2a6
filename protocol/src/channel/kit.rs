//! The exit kit: everything that one needs to leave through any RPC, as JSON. `docs/exit.md` describes it.
//!
//! Invariant: it holds no key, and every lock of every proof that an exit can be settled by, as far as we know them.

use super::{AssetBook, Channel};
use crate::amount::Amount;
use crate::chain::{AssetStatus, ChainCall, EvidenceItem};
use crate::condition::{ConditionKey, Kind};
use crate::gas;
use crate::lane::{Lane, PendingLock};
use crate::map::Map;
use crate::proof::{LaneId, SignedProof};
use crate::sign::Signature;
use crate::types::{Asset, Side, Sides};
use alloc::string::String;
use alloc::vec::Vec;
use alloy_primitives::hex;
use core::cmp::Reverse;
use core::fmt::{Display, Write};

/// For whoever opens the file and has no tool. Without quotes and backslashes, so that it needs no escapes.
const HELP: &str = "This file takes your money out of its payment channel without the hub. It holds no key: whoever \
finds it can't take money with it, since the contract pays your account alone. With Node: npx farthing exit \
--kit FILE --rpc URL. With a browser wallet: open exit/index.html of the farthing package from your disk. By hand, in \
any wallet that sends calldata: from the account `owner`, on the chain `chainId`, send each entry of `transactions` to \
the address `contract` with its `data` and no value. First startExit (if somebody has started the exit already: \
submitProofs, before the challenge period ends), at once each recordEvidence or recordEvidenceBatch, before its items \
expire; then wait for `channel.challengePeriod` seconds and send each settle or settleBatch. Locks that are still open then are claimed by either tool.";

impl Channel {
    /// What it takes to leave without the peer, the store or this program.
    #[must_use]
    pub fn exit_kit(&self) -> String {
        let mut json = Json(String::from("{"));
        json.text("format", &"farthing-exit-kit");
        json.plain("version", 2);
        json.text("help", &HELP);
        json.plain("chainId", self.ledger.domain().chain_id());
        json.bytes("contract", self.ledger.domain().contract().as_slice());
        json.bytes("channelId", self.ledger.id().0.as_slice());
        json.open("channel", '{');
        for (name, side) in [("a", Side::A), ("b", Side::B)] {
            let participant = self.ledger.def().participant(side);
            json.open(name, '{');
            json.bytes("owner", participant.owner.as_slice());
            json.bytes("signer", participant.signer.as_slice());
            json.close('}');
        }
        json.plain("challengePeriod", self.ledger.def().challenge_period.into());
        json.text("salt", &self.ledger.def().salt);
        json.close('}');
        json.plain("us", self.ledger.us().index().into());
        json.bytes("owner", self.ledger.def().participant(self.ledger.us()).owner.as_slice());
        self.write_transactions(&mut json);
        json.open("assets", '[');
        for (asset, book) in self.kit_books() {
            self.write_asset(&mut json, *asset, book);
        }
        json.close(']');
        json.close('}');
        json.0.push('\n');
        json.0
    }

    fn kit_books(&self) -> impl Iterator<Item = (&Asset, &AssetBook)> {
        let held = |book: &AssetBook| book.status != AssetStatus::Closed && book.deposits != Sides::default();
        self.ledger.state().assets.iter().filter(move |(asset, book)| held(book) && self.ledger.concerns(asset, book))
    }

    fn write_transactions(&self, json: &mut Json) {
        json.open("transactions", '[');
        self.write_call(json, &self.start_exit(), &|_| ());
        for batch in gas::evidence_calls(self.kit_evidence(), |(item, units)| (item, *units)) {
            let (items, units): (Vec<EvidenceItem>, Vec<u32>) = batch.into_iter().unzip();
            let call = ChainCall::RecordEvidence { items: items.clone() };
            self.write_call(json, &call, &|json| {
                json.open("items", '[');
                for (item, units) in items.iter().zip(&units) {
                    json.open("", '{');
                    json.bytes("condition", item.condition.address.as_slice());
                    json.bytes("params", &item.condition.params);
                    json.plain("expiry", item.expiry);
                    json.bytes("evidence", &item.evidence);
                    json.plain("units", (*units).into());
                    json.close('}');
                }
                json.close(']');
            });
        }
        let proofs = self.exit_proofs();
        let chunks = proofs.chunks(gas::MAX_PROOFS).map(<[_]>::to_vec);
        // Without any proof, one that shows nothing: who sends by hand finds the call where the paragraph says.
        let chunks = if proofs.is_empty() { Vec::from([Vec::new()]) } else { chunks.collect() };
        for proofs in chunks {
            self.write_call(json, &ChainCall::SubmitProofs { channel: *self.ledger.def(), proofs }, &|_| ());
        }
        let assets: Vec<Asset> = self.kit_books().map(|(asset, _)| *asset).collect();
        for assets in assets.chunks(gas::MAX_SETTLED) {
            let call = ChainCall::Settle { channel: *self.ledger.def(), assets: assets.to_vec() };
            self.write_call(json, &call, &|json| {
                json.open("assets", '[');
                for asset in assets {
                    json.bytes("", asset.as_slice());
                }
                json.close(']');
            });
        }
        json.close(']');
    }

    /// What we can prove for locks that were not paid, with the units, and the most valuable first.
    fn kit_evidence(&self) -> Vec<(EvidenceItem, u32)> {
        let mut found: Map<ConditionKey, (Amount, EvidenceItem, u32)> = Map::new();
        for pending in self.kit_books().flat_map(|(_, book)| book.inc.lane.locks.values()) {
            let key = pending.lock.key;
            let Some(known) = self.ledger.known(&key) else { continue };
            let brings = pending.lock.provable(known.units);
            let native = !matches!(pending.condition.kind(), Kind::External(_));
            if brings.is_zero() || known.evidence.is_empty() || !native || found.contains_key(&key) {
                continue;
            }
            let (condition, expiry, evidence) = (pending.condition.clone(), pending.expiry, known.evidence.clone());
            found.insert(key, (brings, EvidenceItem { condition, expiry, evidence }, known.units));
        }
        let mut found: Vec<_> = found.into_values().collect();
        found.sort_by_key(|(brings, ..)| Reverse(*brings));
        found.into_iter().map(|(_, item, units)| (item, units)).collect()
    }

    fn write_call(&self, json: &mut Json, call: &ChainCall, more: &dyn Fn(&mut Json)) {
        json.open("", '{');
        json.text("call", &call.label());
        more(json);
        json.bytes("data", &call.calldata(|_| self.ledger.id()));
        json.close('}');
    }

    fn write_asset(&self, json: &mut Json, asset: Asset, book: &AssetBook) {
        let (ours, theirs) = (self.ledger.our_lane(asset), self.ledger.their_lane(asset));
        json.open("", '{');
        json.bytes("asset", asset.as_slice());
        json.open("proofs", '[');
        for (lane, signed, acknowledgement) in self.exit_proofs().iter().filter(|(lane, ..)| lane.asset == asset) {
            write_proof(json, *lane, signed, acknowledgement.as_ref());
        }
        json.close(']');
        json.open("lanes", '[');
        let mut trees = Trees::open(json, theirs, book.inc.accepted_nonce());
        trees.add(&mut book.inc.lane.clone());
        trees.close();
        let mut trees = Trees::open(json, ours, book.out.highest);
        book.out.each_lane(&mut |lane| trees.add(lane));
        trees.close();
        json.close(']');
        json.close('}');
    }
}

fn write_proof(json: &mut Json, lane: LaneId, signed: &SignedProof, acknowledgement: Option<&Signature>) {
    let proof = &signed.proof;
    json.open("", '{');
    json.plain("payer", lane.payer.index().into());
    json.plain("nonce", proof.nonce);
    json.text("transferred", &proof.transferred);
    json.text("locked", &proof.locked);
    json.bytes("locksRoot", proof.locks_root.as_slice());
    json.plain("seen", proof.seen);
    json.bytes("signature", signed.signature.as_bytes());
    json.bytes("acknowledgement", acknowledgement.map_or(&[][..], |signature| signature.as_bytes()));
    json.close('}');
}

/// The locks of one lane at several proofs. Each tree is told by what differs from the one before it, so that a long
/// history takes no more room than its changes.
struct Trees<'a> {
    json: &'a mut Json,
    last: Lane,
}

impl<'a> Trees<'a> {
    /// `newest` is the highest nonce that we know of.
    fn open(json: &'a mut Json, lane: LaneId, newest: u64) -> Self {
        json.open("", '{');
        json.plain("payer", lane.payer.index().into());
        json.plain("newest", newest);
        json.open("trees", '[');
        Self { json, last: Lane::default() }
    }

    fn add(&mut self, lane: &mut Lane) {
        if lane.root() == self.last.root() || lane.locks.is_empty() {
            return;
        }
        let same = |one: &PendingLock, other: &PendingLock| one.lock == other.lock;
        self.json.open("", '{');
        self.json.bytes("root", lane.root().as_slice());
        self.json.open("remove", '[');
        for slot in self.last.locks.keys().filter(|slot| !lane.locks.contains_key(slot)) {
            self.json.plain("", (*slot).into());
        }
        self.json.close(']');
        self.json.open("put", '[');
        for (slot, pending) in &lane.locks {
            if !self.last.locks.get(slot).is_some_and(|last| same(last, pending)) {
                write_lock(self.json, *slot, pending);
            }
        }
        self.json.close(']');
        self.json.close('}');
        self.last = lane.clone();
    }

    fn close(self) {
        self.json.close(']');
        self.json.close('}');
    }
}

fn write_lock(json: &mut Json, slot: u16, pending: &PendingLock) {
    json.open("", '{');
    json.plain("slot", slot.into());
    json.plain("n", pending.lock.n.into());
    json.text("unitPrice", &pending.lock.unit_price);
    json.plain("redeemed", pending.lock.redeemed.into());
    json.bytes("condition", pending.condition.address.as_slice());
    json.bytes("params", &pending.condition.params);
    json.plain("expiry", pending.expiry);
    json.close('}');
}

/// A writer of JSON without anything that needs an escape. An empty name is an item of an array.
struct Json(String);

impl Json {
    fn name(&mut self, name: &str) {
        if !self.0.ends_with(['{', '[']) {
            self.0.push(',');
        }
        // One field of the whole a line, and one item of a list of its: enough for whoever reads it.
        if name.is_empty() {
            self.0.push('\n');
        } else {
            self.text_of(&name);
            self.0.push(':');
        }
    }

    fn text_of(&mut self, value: &dyn Display) {
        // Writing to a string can't fail.
        let _ = write!(self.0, "\"{value}\"");
    }

    fn text(&mut self, name: &str, value: &dyn Display) {
        self.name(name);
        self.text_of(value);
    }

    fn plain(&mut self, name: &str, value: u64) {
        self.name(name);
        let _ = write!(self.0, "{value}");
    }

    fn bytes(&mut self, name: &str, value: &[u8]) {
        self.text(name, &hex::encode_prefixed(value));
    }

    fn open(&mut self, name: &str, bracket: char) {
        self.name(name);
        self.0.push(bracket);
    }

    fn close(&mut self, bracket: char) {
        self.0.push(bracket);
    }
}
