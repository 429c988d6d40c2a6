//! What the payee answers to our updates: accepted, refused, given up.

use super::outgoing::{Refused, refused_ops};
use super::{Channel, Event, Fact};
use crate::error::Code;
use crate::lane::{LockRef, Op};
use crate::proof::{LaneId, SignedProof};
use crate::sign::Signature;
use crate::types::Asset;
use alloc::vec::Vec;

/// Refusals in a row after which a wrong base is no longer taken for an overtaken message.
const MAX_OVERTAKEN: u32 = 16;

impl Channel {
    pub(super) fn handle_accepted(&mut self, asset: Asset, nonce: u64, acknowledgement: Option<Signature>, now: u64) {
        // [18] An acknowledgement that may come too late to be shown on chain ends nothing.
        let in_time = self.state.exit.is_none() && self.check_fresh(now).is_ok();
        let acknowledgement = acknowledgement.filter(|_| in_time);
        let Some(book) = self.book(asset) else { return };
        let in_flight = book.out.in_flight.iter().map(|flight| flight.update.signed_proof());
        let Some(signed) = in_flight.chain(book.out.accepted).find(|signed| signed.proof.nonce == nonce) else {
            return;
        };
        let acknowledgement = acknowledgement.filter(|signature| {
            let digest = signed.proof.acknowledgement_digest(&self.domain, self.id, self.our_lane(asset));
            signature.verify(digest, self.peer_signer()).is_ok()
        });
        let known = nonce == book.out.accepted_nonce();
        let acknowledged = book.out.acknowledged.as_ref().is_some_and(|(proof, _)| proof.proof.nonce == nonce);
        if known && (acknowledged || acknowledgement.is_none()) {
            return;
        }
        self.accepted(asset, nonce, acknowledgement);
    }

    /// The peer holds our proof `nonce`.
    pub(super) fn accepted(&mut self, asset: Asset, nonce: u64, acknowledgement: Option<Signature>) {
        let lane = self.our_lane(asset);
        let Some(book) = self.book(asset) else { return };
        let redeemed = redeemed_by(book, lane, nonce);
        let ended: Vec<Refused> = book
            .out
            .refused
            .iter()
            .filter(|refused| acknowledgement.is_some() && refused.until <= nonce)
            .copied()
            .collect();
        self.refusals = 0;
        self.record(Fact::PeerAccepted { asset, nonce, acknowledgement });
        self.emit(Event::Accepted { lane, nonce });
        for event in redeemed {
            self.emit(event);
        }
        for refused in ended {
            self.emit(refused.end_event(lane));
        }
    }

    pub(super) fn handle_refused(&mut self, asset: Asset, nonce: u64, code: &str, last: Option<SignedProof>) {
        let Some(book) = self.book(asset) else { return };
        if !book.out.in_flight.iter().any(|flight| flight.update.proof.nonce == nonce) {
            return;
        }
        // Whatever was accepted before the refused one is told by its own signature, which is ours.
        if let Some(last) = last {
            let ours = book.out.in_flight.iter().any(|flight| flight.update.signed_proof() == last);
            if ours && last.proof.nonce < nonce {
                self.accepted(asset, last.proof.nonce, None);
            }
        }
        let Some(book) = self.book(asset) else { return };
        let until = book.out.highest.saturating_add(1);
        let lane = self.our_lane(asset);
        let first = book.out.in_flight.iter().find(|flight| flight.update.proof.nonce == nonce);
        let releases: Vec<LockRef> = first
            .map(|flight| flight.undo.releases(&flight.update.ops))
            .unwrap_or_default()
            .into_iter()
            .map(|(_, slot, before)| LockRef { lane, placed: before.placed, slot })
            .collect();
        // Whatever comes next must differ from what was refused, or both sides would go round in circles.
        let pays = |op: &Op| matches!(op, Op::Transfer { .. } | Op::Lock { .. });
        // A wrong base is set right by the next proof: after a reconnect, new updates may overtake repeated ones.
        self.refusals = self.refusals.saturating_add(1);
        let wrong_base = [Code::UnknownBase, Code::BadNonce].iter().any(|known| known.as_str() == code);
        let overtaken = wrong_base && self.refusals < MAX_OVERTAKEN;
        let Some(book) = self.book(asset) else { return };
        let first = book.out.in_flight.iter().find(|flight| flight.update.proof.nonce == nonce);
        let stuck =
            !overtaken && releases.is_empty() && first.is_some_and(|flight| !flight.update.ops.iter().any(pays));
        let refused: Vec<Refused> = book
            .out
            .in_flight
            .iter()
            .filter(|flight| flight.update.proof.nonce >= nonce)
            .flat_map(|flight| refused_ops(&flight.update, until))
            .collect();
        self.record(Fact::PeerRefused { asset, nonce });
        self.to_release.extend(releases.iter().copied());
        self.deferred.extend(releases);
        if stuck {
            self.paused.insert(asset);
        }
        for refused in refused {
            let (op, lock) = refused.names(lane);
            self.emit(Event::Refused { op, lock, code: code.into() });
        }
    }

    pub(super) fn handle_fail(&mut self, asset: Asset, slot: u16, placed: u64, code: &str) {
        let lock = LockRef { lane: self.our_lane(asset), placed, slot };
        if self.lock(&lock).is_some() && self.to_release.insert(lock) {
            self.emit(Event::Failed { lock, code: code.into() });
        }
    }
}

/// What the ops in flight up to `nonce` hand over of our locks, now that the peer holds them.
fn redeemed_by(book: &super::AssetBook, lane: LaneId, nonce: u64) -> Vec<Event> {
    book.out
        .in_flight
        .iter()
        .take_while(|flight| flight.update.proof.nonce <= nonce)
        .flat_map(|flight| flight.undo.redemptions(&flight.update.ops))
        .map(|(slot, before, units)| {
            let step = units.saturating_sub(before.lock.redeemed);
            Event::Redeemed {
                lock: LockRef { lane, placed: before.placed, slot },
                units,
                amount: before.lock.unit_price.times(step).unwrap_or_default(),
                done: units == before.lock.n,
            }
        })
        .collect()
}
