//! Our lane at any proof of ours that the payee may still show.

use super::outgoing::Outgoing;
use crate::lane::{Lane, Undo, Update};
use crate::proof::SignedProof;
use alloc::vec::Vec;

impl Outgoing {
    /// Whether this is a proof of ours that was refused.
    pub(crate) fn has_refused(&self, signed: &SignedProof) -> bool {
        self.history.all_refused().iter().any(|update| update.signed_proof() == *signed)
    }

    /// The highest nonce of a proof of ours that is in flight or was refused, and that the payee can show.
    pub(crate) fn newest_signed(&self) -> u64 {
        let flying = self.in_flight.iter().map(|flight| flight.update.proof.nonce);
        flying.chain(self.history.all_refused().iter().map(|update| update.proof.nonce)).max().unwrap_or_default()
    }

    /// The content of our lane at any proof that the payee may still show; `None` for one that it can't.
    #[must_use]
    pub fn lane_at(&self, nonce: u64) -> Option<Lane> {
        let refused = self.refused_path(nonce);
        let mut lane = self.standing_at(refused.first().map_or(nonce, |first| first.base))?;
        for update in refused {
            lane.apply(update.proof.nonce, &update.ops).ok()?;
        }
        Some(lane)
    }

    /// Shows our lane at each proof that the payee may still show: those that stand, the newest first, then the refused.
    pub(crate) fn each_lane(&self, visit: &mut dyn FnMut(&mut Lane)) {
        let mut lane = self.lane.clone();
        visit(&mut lane);
        let flying = self.in_flight.iter().map(|flight| &flight.undo);
        for undo in self.history.steps().map(|(_, undo)| undo).chain(flying).rev() {
            lane.undo(undo.clone());
            visit(&mut lane);
        }
        for update in self.history.all_refused() {
            if let Some(mut lane) = self.lane_at(update.proof.nonce) {
                visit(&mut lane);
            }
        }
    }

    /// The refused updates that lead to a proof, oldest first: each stands on an accepted one, or on another refused
    /// one with a lower nonce.
    pub(crate) fn refused_path(&self, nonce: u64) -> Vec<&Update> {
        let mut path = Vec::new();
        let mut standing = nonce;
        while let Some(update) = self.history.all_refused().iter().find(|update| update.proof.nonce == standing) {
            path.push(update);
            standing = update.base;
        }
        path.reverse();
        path
    }

    fn standing_at(&self, nonce: u64) -> Option<Lane> {
        let flying = self.in_flight.iter().map(|flight| (flight.update.proof.nonce, &flight.undo));
        let steps: Vec<(u64, &Undo)> = self.history.steps().chain(flying).collect();
        let oldest = self.acknowledged.as_ref().map_or(0, |(signed, _)| signed.proof.nonce);
        if nonce != oldest && !steps.iter().any(|(step, _)| *step == nonce) {
            return None;
        }
        let mut lane = self.lane.clone();
        // [21] The payee may show any of them.
        if crate::rule_off!(21) && nonce != self.accepted_nonce() {
            return None;
        }
        for (_, undo) in steps.into_iter().rev().take_while(|(step, _)| *step > nonce) {
            lane.undo(undo.clone());
        }
        Some(lane)
    }
}
