//! What lets us rebuild any proof of ours that the payee may still show: without its tree, what is left of a lock in
//! an older proof could never be claimed back.

use super::outgoing::Outgoing;
use crate::codec::stored;
use crate::lane::{Lane, Undo, Update};
use crate::proof::SignedProof;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Changes of a lane after which its payee acknowledges, so that the payer may forget.
pub(crate) const ACKNOWLEDGE_AFTER: usize = 64;

/// Changes after which a payer signs nothing new for a payee that does not acknowledge.
pub(crate) const MAX_CHANGES: usize = 1_024;

/// Refused updates after which a payer signs nothing at all before an acknowledgement.
pub(crate) const MAX_REFUSED: usize = 64;

/// Every proof of our lane since the last acknowledged one.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Accepted, oldest first: its nonce, and how it is taken back.
    steps: VecDeque<(u64, Undo)>,
    /// Refused: signed all the same, so the payee can show them.
    refused: Vec<Update>,
}

stored!(struct History { steps, refused });

impl History {
    pub(crate) fn accepted(&mut self, nonce: u64, undo: Undo) {
        self.steps.push_back((nonce, undo));
    }

    pub(crate) fn refused(&mut self, update: Update) {
        self.refused.push(update);
    }

    /// The payee can no longer show what is older than this.
    pub(crate) fn acknowledged(&mut self, nonce: u64) {
        self.steps.retain(|(step, _)| *step > nonce);
        self.refused.retain(|update| update.proof.nonce > nonce);
    }

    /// How much there is to remember.
    pub(crate) fn changes(&self) -> usize {
        let weight = |undo: &Undo| undo.touched().max(1);
        self.steps.iter().map(|(_, undo)| weight(undo)).fold(0, usize::saturating_add)
    }

    /// Whether new payments have to wait for an acknowledgement.
    pub(crate) fn is_full(&self) -> bool {
        self.changes() > MAX_CHANGES || self.is_blocked()
    }

    /// Whether everything has to wait for one.
    pub(crate) const fn is_blocked(&self) -> bool {
        self.refused.len() >= MAX_REFUSED
    }
}

impl Outgoing {
    /// Whether this is a proof of ours that was refused.
    pub(crate) fn has_refused(&self, signed: &SignedProof) -> bool {
        self.history.refused.iter().any(|update| update.signed_proof() == *signed)
    }

    /// The highest nonce of a proof of ours that is in flight or was refused, and that the payee can show.
    pub(crate) fn newest_signed(&self) -> u64 {
        let flying = self.in_flight.iter().map(|flight| flight.update.proof.nonce);
        flying.chain(self.history.refused.iter().map(|update| update.proof.nonce)).max().unwrap_or_default()
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
        for undo in self.history.steps.iter().map(|(_, undo)| undo).chain(flying).rev() {
            lane.undo(undo.clone());
            visit(&mut lane);
        }
        for update in &self.history.refused {
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
        while let Some(update) = self.history.refused.iter().find(|update| update.proof.nonce == standing) {
            path.push(update);
            standing = update.base;
        }
        path.reverse();
        path
    }

    fn standing_at(&self, nonce: u64) -> Option<Lane> {
        let flying = self.in_flight.iter().map(|flight| (flight.update.proof.nonce, &flight.undo));
        let steps: Vec<(u64, &Undo)> =
            self.history.steps.iter().map(|(step, undo)| (*step, undo)).chain(flying).collect();
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
