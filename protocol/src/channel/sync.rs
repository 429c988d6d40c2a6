//! What is said on every connect: both sides' newest proofs. Nothing is adopted without a signature.

use super::{Channel, Event, Fact};
use crate::chain::AssetStatus;
use crate::message::{LaneSync, Message};
use crate::proof::SignedProof;
use crate::types::Asset;
use alloc::vec::Vec;

impl Channel {
    /// The connection is there: tell the peer what we hold.
    pub fn connected(&mut self) {
        self.synced = false;
        self.connecting = true;
        self.try_again();
        let lanes = self.state.assets.iter().filter_map(|(asset, book)| {
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
        self.connecting = false;
    }

    pub(super) fn handle_sync(&mut self, lanes: Vec<LaneSync>, now: u64) {
        // One answer for each connection: it repeats everything that is open.
        if self.synced {
            return;
        }
        for entry in lanes {
            let LaneSync { asset, signed, accepted, acknowledgement } = entry;
            self.notice_forgotten(asset, signed);
            let Some(accepted) = accepted else { continue };
            let ours = self.our_lane(asset);
            let signer = self.def.participant(self.us).signer;
            if accepted.verify(&self.domain, self.id, ours, signer).is_err() {
                continue;
            }
            let highest = self.book(asset).map_or(0, |book| book.out.highest);
            if accepted.proof.nonce > highest {
                // We signed this and do not know it: our store is an old one.
                self.become_outdated();
                continue;
            }
            self.handle_accepted(asset, accepted.proof.nonce, acknowledgement, now);
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

    /// The peer names the newest proof of its own that we said we accepted. If we do not know it, our store is an old
    /// one: money that we were paid is missing from it, and all that comes next stands on what we forgot. A peer that
    /// lies about this harms its own channel only.
    fn notice_forgotten(&mut self, asset: Asset, signed: Option<SignedProof>) {
        let Some(signed) = signed else { return };
        let is_open = self.book(asset).is_none_or(|book| book.status == AssetStatus::Open);
        let known = self.book(asset).map_or(0, |book| book.inc.accepted_nonce());
        let lane = self.their_lane(asset);
        if is_open
            && signed.proof.nonce > known
            && signed.verify(&self.domain, self.id, lane, self.peer_signer()).is_ok()
        {
            self.become_outdated();
        }
    }

    fn become_outdated(&mut self) {
        if !self.state.outdated {
            self.record(Fact::Outdated);
            self.emit(Event::Outdated);
        }
    }
}
