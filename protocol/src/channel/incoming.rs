//! The lane that we are paid with, as it is kept.

use crate::amount::Amount;
use crate::codec::stored;
use crate::lane::{Lane, Op, Update};
use crate::map::Set;
use crate::proof::SignedProof;
use crate::sign::Signature;

/// The lane that we are paid with.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    /// Content at the accepted proof.
    pub lane: Lane,
    /// The newest proof that we accepted.
    pub accepted: Option<SignedProof>,
    /// A newer one that the payer showed in a sync, after we had lost its ops: worth showing at an exit.
    pub bare: Option<SignedProof>,
    /// Our acknowledgement of exactly that proof, if one was due.
    pub acknowledgement: Option<Signature>,
    /// The highest nonce that the payer signed, accepted or not.
    pub seen: u64,
    /// Changes that we accepted since our last acknowledgement.
    pub unacknowledged: u32,
    /// What expired unpaid though we held evidence for it. It stays in the count of dust for ever, or a payer could
    /// take the dust cap again after every expiry. [9]
    pub forfeited: Amount,
    /// Locks whose rest we gave up, by the nonce that placed them and their slot.
    pub given_up: Set<(u64, u16)>,
}

stored!(struct Incoming {
    lane, accepted, bare since 2, acknowledgement, seen, unacknowledged, forfeited, given_up
});

impl Incoming {
    /// Nonce of the newest accepted proof; 0 if none.
    #[must_use]
    pub fn accepted_nonce(&self) -> u64 {
        self.accepted.as_ref().map_or(0, |signed| signed.proof.nonce)
    }

    pub(crate) fn accept(&mut self, update: &Update, acknowledgement: Option<Signature>) {
        self.accepted = Some(update.signed_proof());
        self.unacknowledged = match acknowledgement {
            Some(_) => 0,
            None => self.unacknowledged.saturating_add(changes(update)),
        };
        self.acknowledgement = acknowledgement;
        self.seen = self.seen.max(update.proof.nonce);
        let locks = &self.lane.locks;
        self.given_up.retain(|(placed, slot)| locks.get(slot).is_some_and(|pending| pending.placed == *placed));
    }
}

/// What an update adds to the payer's history.
pub(crate) fn changes(update: &Update) -> u32 {
    let touching = update.ops.iter().filter(|op| !matches!(op, Op::Transfer { .. })).count();
    u32::try_from(touching.max(1)).unwrap_or(u32::MAX)
}
