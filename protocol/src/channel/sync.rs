//! What is said on every connect: both sides' newest proofs. Nothing is adopted without a signature.

use super::{Channel, Event, Fact};
use crate::message::{LaneSync, Message};
use crate::proof::{LaneId, SignedProof};
use crate::types::Asset;
use alloc::vec::Vec;

impl Channel {
    /// The connection is there: tell the peer what we hold.
    pub fn connected(&mut self) {
        self.synced = false;
        self.connecting = true;
        self.try_again();
        let lanes = self.state.assets.iter().filter_map(|(asset, book)| {
            let signed = book.out.tip();
            let accepted = book.inc.accepted;
            (signed.is_some() || accepted.is_some()).then_some(LaneSync {
                asset: *asset,
                signed,
                accepted,
                acknowledgement: book.inc.acknowledgement,
            })
        });
        let sync = Message::Sync { lanes: lanes.collect() };
        self.send(sync);
        let funds: Vec<Message> = self
            .state
            .assets
            .iter()
            .map(|(asset, book)| Message::Funds { asset: *asset, deposits: book.deposits })
            .collect();
        for message in funds {
            self.send(message);
        }
    }

    /// The connection is gone.
    pub const fn disconnected(&mut self) {
        self.synced = false;
        self.connecting = self.state.restored;
    }

    /// Whether the peer shows, by our own signature, more of our lane than we know; or, right after a restore, by its
    /// own, more of its lane than we have. What it sends anew comes after the sync, so there it is no sign.
    fn is_behind(&self, entry: &LaneSync) -> bool {
        let book = self.book(entry.asset);
        let verified = |signed: &SignedProof, lane: LaneId| {
            let signer = self.def.participant(lane.payer).signer;
            signed.verify(&self.domain, self.id, lane, signer).is_ok()
        };
        let highest = book.map_or(0, |book| book.out.highest);
        let ours = entry.accepted.filter(|signed| signed.proof.nonce > highest);
        let accepted = book.map_or(0, |book| book.inc.accepted_nonce());
        let theirs = entry.signed.filter(|signed| self.state.restored && signed.proof.nonce > accepted);
        ours.is_some_and(|signed| verified(&signed, self.our_lane(entry.asset)))
            || theirs.is_some_and(|signed| verified(&signed, self.their_lane(entry.asset)))
    }

    /// After a restore from an old backup, the peer's lane may be ahead of ours. What it signed counts at an exit.
    fn take_bare(&mut self, asset: Asset, signed: SignedProof) {
        let Some(book) = self.book(asset) else { return };
        let newest = book.inc.bare.map_or(0, |bare| bare.proof.nonce).max(book.inc.accepted_nonce());
        let lane = self.their_lane(asset);
        if signed.proof.nonce > newest && signed.verify(&self.domain, self.id, lane, self.peer_signer()).is_ok() {
            self.record(Fact::Bare { asset, signed });
        }
    }

    pub(super) fn handle_sync(&mut self, lanes: Vec<LaneSync>, now: u64) {
        // One answer for each connection: it repeats everything that is open.
        if self.synced {
            return;
        }
        let behind = lanes.iter().any(|entry| self.is_behind(entry));
        // We signed or accepted this and do not know it: our store is an old one.
        if behind && !self.state.outdated {
            self.record(Fact::Outdated);
            self.emit(Event::Outdated);
        }
        if self.state.restored {
            self.record(Fact::Synced);
        }
        for entry in lanes {
            let LaneSync { asset, signed, accepted, acknowledgement } = entry;
            if let Some(signed) = signed.filter(|_| self.state.outdated) {
                self.take_bare(asset, signed);
            }
            let ours = self.our_lane(asset);
            let signer = self.def.participant(self.us).signer;
            let verified = |signed: &SignedProof| signed.verify(&self.domain, self.id, ours, signer).is_ok();
            if let Some(accepted) = accepted.filter(verified) {
                self.handle_accepted(asset, accepted.proof.nonce, acknowledgement, now);
            }
        }
        self.synced = true;
        self.connecting = false;
        let updates: Vec<Message> = self
            .state
            .assets
            .iter()
            .flat_map(|(asset, book)| {
                book.out.in_flight.iter().map(|flight| Message::Update { asset: *asset, update: flight.update.clone() })
            })
            .collect();
        for update in updates {
            self.send(update);
        }
        self.repeat_evidence();
        self.repeat_proposals();
    }
}
