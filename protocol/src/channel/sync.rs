//! What is said on every connect: both sides' newest proofs. Nothing is adopted without a signature.

use super::{Channel, Event, Fact};
use crate::chain::AssetStatus;
use crate::message::{LaneSync, Message};
use crate::proof::SignedProof;
use crate::tree::empty_root;
use crate::types::Asset;
use alloc::vec::Vec;

/// Nobody comes this far: a lane that claims to could never be told to be newer than another.
pub(crate) const MAX_NONCE: u64 = 1 << 48;

impl Channel {
    /// The connection is there: tell the peer what we hold.
    pub fn connected(&mut self) {
        self.link.connect();
        self.signing.connected(&self.ledger);
        let lanes = self.ledger.state().assets.iter().filter_map(|(asset, book)| {
            // The newest of ours that the peer said it holds. What is in flight follows as it is.
            let signed = book.out.accepted;
            let accepted = book.inc.accepted;
            (signed.is_some() || accepted.is_some()).then_some(LaneSync {
                asset: *asset,
                signed,
                accepted,
                acknowledgement: book.inc.acknowledgement,
            })
        });
        let sync = Message::Sync { lanes: lanes.collect() };
        self.outbox.send(sync);
        let funds: Vec<Message> = self
            .ledger
            .state()
            .assets
            .iter()
            .map(|(asset, book)| Message::Funds { asset: *asset, deposits: book.deposits })
            .collect();
        for message in funds {
            self.outbox.send(message);
        }
    }

    /// The connection is gone.
    pub const fn disconnected(&mut self) {
        self.link.disconnect(self.ledger.state().restored);
    }

    /// Whether the peer shows, by our own signature, a proof of our lane that we do not know: a newer one, or what
    /// another device with the same key signed in place of ours.
    fn is_behind(&self, entry: &LaneSync) -> bool {
        let Some(signed) = entry.accepted else { return false };
        let known = self.ledger.book(entry.asset).is_some_and(|book| {
            signed.proof.nonce < book.out.accepted_nonce()
                || book.out.has_signed(&signed)
                || book.out.has_refused(&signed)
        });
        let signer = self.ledger.def().participant(self.ledger.us()).signer;
        !known
            && signed.verify(self.ledger.domain(), self.ledger.id(), self.ledger.our_lane(entry.asset), signer).is_ok()
    }

    /// Our store is an old one: nothing is signed until this is resolved.
    fn become_outdated(&mut self) {
        if !self.ledger.state().outdated {
            self.ledger.record(Fact::Outdated);
            self.outbox.emit(Event::Outdated);
        }
    }

    /// After a restore from an old backup, the peer's lane may be ahead of ours. What it signed counts at an exit.
    fn take_bare(&mut self, asset: Asset, signed: SignedProof) {
        let Some(book) = self.ledger.book(asset) else { return };
        // The contract refuses one whose locks contradict their root, and all that is shown along with it.
        if signed.proof.locked.is_zero() != (signed.proof.locks_root == empty_root()) {
            return;
        }
        let newest = book.inc.bare.map_or(0, |bare| bare.proof.nonce).max(book.inc.accepted_nonce());
        let lane = self.ledger.their_lane(asset);
        if signed.proof.nonce > newest
            && signed.proof.nonce < MAX_NONCE
            && signed.verify(self.ledger.domain(), self.ledger.id(), lane, self.ledger.peer_signer()).is_ok()
        {
            self.ledger.record(Fact::Bare { asset, signed });
        }
    }

    pub(super) fn handle_sync(&mut self, lanes: Vec<LaneSync>, now: u64) {
        // One answer for each connection: it repeats everything that is open.
        if !self.link.sync(now) {
            return;
        }
        // We signed this and do not know it: our store is an old one.
        if lanes.iter().any(|entry| self.is_behind(entry)) {
            self.become_outdated();
        }
        if self.ledger.state().restored {
            self.ledger.record(Fact::Synced);
        }
        for entry in lanes {
            let LaneSync { asset, signed, accepted, acknowledgement } = entry;
            self.notice_forgotten(asset, signed);
            // What we know that we signed needs no other check.
            let known = |signed: &SignedProof| self.ledger.book(asset).is_some_and(|book| book.out.has_signed(signed));
            if let Some(accepted) = accepted.filter(known) {
                self.handle_accepted(asset, accepted.proof.nonce, acknowledgement, now);
            }
        }
        let updates: Vec<Message> = self
            .ledger
            .state()
            .assets
            .iter()
            .flat_map(|(asset, book)| {
                book.out.in_flight.iter().map(|flight| Message::Update { asset: *asset, update: flight.update.clone() })
            })
            .collect();
        for update in updates {
            self.outbox.send(update);
        }
        self.repeat_evidence();
        for proposal in self.ledger.open_proposals() {
            self.outbox.send(proposal);
        }
    }

    /// The peer names the newest proof of its own that we said we accepted. If we do not know it, our store is an old
    /// one: money that we were paid is missing from it, and all that comes next stands on what we forgot. A peer that
    /// lies about this harms its own channel only.
    fn notice_forgotten(&mut self, asset: Asset, signed: Option<SignedProof>) {
        let Some(signed) = signed else { return };
        let is_open = self.ledger.book(asset).is_none_or(|book| book.status == AssetStatus::Open);
        let known = self.ledger.book(asset).map_or(0, |book| book.inc.accepted_nonce());
        let lane = self.ledger.their_lane(asset);
        if is_open
            && signed.proof.nonce > known
            && signed.verify(self.ledger.domain(), self.ledger.id(), lane, self.ledger.peer_signer()).is_ok()
        {
            self.become_outdated();
            self.take_bare(asset, signed);
        }
    }
}
