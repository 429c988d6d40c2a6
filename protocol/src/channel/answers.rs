//! What the payee answers to our updates: accepted, refused, given up.

use super::outgoing::{Refused, refused_ops};
use super::{Channel, Event, Fact};
use crate::lane::{LockRef, Op};
use crate::proof::{LaneId, SignedProof};
use crate::reason::Reason;
use crate::sign::Signature;
use crate::types::Asset;
use alloc::vec::Vec;

impl Channel {
    pub(super) fn handle_accepted(&mut self, asset: Asset, nonce: u64, acknowledgement: Option<Signature>, now: u64) {
        // [18] An acknowledgement that may come too late to be shown on chain ends nothing; another one is asked for when
        // the chain has been seen.
        let in_time = self.ledger.state().exit.is_none() && self.ledger.check_fresh(now).is_ok();
        let acknowledgement = acknowledgement.filter(|_| in_time);
        let Some(book) = self.ledger.book(asset) else { return };
        let in_flight = book.out.in_flight.iter().map(|flight| flight.update.signed_proof());
        let Some(signed) = in_flight.chain(book.out.accepted).find(|signed| signed.proof.nonce == nonce) else {
            return;
        };
        let acknowledgement = acknowledgement.filter(|signature| {
            let digest = signed.proof.acknowledgement_digest(
                self.ledger.domain(),
                self.ledger.id(),
                self.ledger.our_lane(asset),
            );
            signature.verify(digest, self.ledger.peer_signer()).is_ok()
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
        let lane = self.ledger.our_lane(asset);
        let Some(book) = self.ledger.book(asset) else { return };
        let redeemed = redeemed_by(book, lane, nonce);
        let ended: Vec<Refused> = book
            .out
            .refused
            .iter()
            .filter(|refused| acknowledgement.is_some() && refused.until <= nonce)
            .copied()
            .collect();
        self.signing.accepted(asset, acknowledgement.is_some());
        self.ledger.record(Fact::PeerAccepted { asset, nonce, acknowledgement });
        self.outbox.emit(Event::Accepted { lane, nonce });
        for event in redeemed {
            self.outbox.emit(event);
        }
        for refused in ended {
            self.outbox.emit(refused.end_event(lane));
        }
    }

    pub(super) fn handle_refused(
        &mut self,
        asset: Asset,
        nonce: u64,
        code: &Reason,
        last: Option<SignedProof>,
        now: u64,
    ) {
        let Some(book) = self.ledger.book(asset) else { return };
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
        let Some(book) = self.ledger.book(asset) else { return };
        let until = book.out.highest.saturating_add(1);
        let lane = self.ledger.our_lane(asset);
        let first = book.out.in_flight.iter().find(|flight| flight.update.proof.nonce == nonce);
        let releases: Vec<LockRef> = first
            .map(|flight| flight.undo.releases(&flight.update.ops))
            .unwrap_or_default()
            .into_iter()
            .map(|(_, slot, before)| LockRef { lane, placed: before.placed, slot })
            .collect();
        let pays = |op: &Op| matches!(op, Op::Transfer { .. } | Op::Lock { .. });
        let pays = first.is_none_or(|flight| flight.update.ops.iter().any(pays));
        let refused: Vec<Refused> = book
            .out
            .in_flight
            .iter()
            .filter(|flight| flight.update.proof.nonce >= nonce)
            .flat_map(|flight| refused_ops(&flight.update, until))
            .collect();
        self.ledger.record(Fact::PeerRefused { asset, nonce });
        self.signing.refused(asset, code, releases, pays, now);
        for refused in refused {
            let (op, lock) = refused.names(lane);
            self.outbox.emit(Event::Refused { op, lock, code: code.clone() });
        }
    }

    pub(super) fn handle_fail(&mut self, asset: Asset, slot: u16, placed: u64, code: Reason) {
        let lock = LockRef { lane: self.ledger.our_lane(asset), placed, slot };
        if self.ledger.lock(&lock).is_some() && self.signing.agree(lock) {
            self.outbox.emit(Event::Failed { lock, code: code.clone() });
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
