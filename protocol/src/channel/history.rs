//! What lets us rebuild any proof of ours that the payee may still show: without its tree, what is left of a lock in
//! an older proof could never be claimed back.

use crate::codec::stored;
use crate::lane::{Undo, Update};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Changes of a lane after which its payee acknowledges, so that the payer may forget.
pub(crate) const ACKNOWLEDGE_AFTER: usize = 64;

/// Changes after which a payer signs nothing new for a payee that does not acknowledge.
pub(crate) const MAX_CHANGES: usize = 1_024;

/// Refused updates after which a payer signs nothing at all before an acknowledgement; after half of them, only what is
/// due: a lane that strangers' payments could use up would never be acknowledged again.
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
        self.changes() > MAX_CHANGES || self.is_strained()
    }

    /// Whether everything has to wait for one.
    pub(crate) const fn is_blocked(&self) -> bool {
        self.refused.len() >= MAX_REFUSED
    }

    /// Whether a proof may be signed for nothing but its acknowledgement: a payee that gives none, and connects again and
    /// again, would make us remember one after the other.
    pub(crate) fn may_ask(&self) -> bool {
        let light = self.steps.iter().filter(|(_, undo)| undo.touched() == 0).count();
        light < MAX_CHANGES.saturating_mul(2) && !self.is_strained()
    }

    /// Whether so much was refused that the rest is for what has to be signed.
    pub(crate) const fn is_strained(&self) -> bool {
        self.refused.len() >= MAX_REFUSED / 2
    }

    /// How each proof that stands is taken back, oldest first.
    pub(crate) fn steps(&self) -> impl DoubleEndedIterator<Item = (u64, &Undo)> {
        self.steps.iter().map(|(nonce, undo)| (*nonce, undo))
    }

    /// What was refused and can be shown all the same.
    pub(crate) fn all_refused(&self) -> &[Update] {
        &self.refused
    }
}
