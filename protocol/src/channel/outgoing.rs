//! The lane that we pay with, as it is kept. What is signed is out: a refusal takes nothing back, and an early release
//! counts as locked until its acknowledgement is there.

use super::history::History;
use crate::amount::Amount;
use crate::codec::stored;
use crate::condition::ConditionKey;
use crate::lane::{Lane, Op, Undo, Update};
use crate::proof::SignedProof;
use crate::sign::Signature;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// An update that was signed and not answered yet.
#[derive(Clone, Debug)]
pub struct InFlight {
    /// What was signed.
    pub update: Update,
    pub(super) undo: Undo,
}

stored!(struct InFlight { update, undo });

impl InFlight {
    /// Keys of the locks that it would bring back if it were refused.
    pub(crate) fn keys(&self) -> impl Iterator<Item = ConditionKey> + '_ {
        self.undo.locks().map(|pending| pending.lock.key)
    }
}

/// What the payee could end up with by showing one of our proofs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exposure {
    /// Of the proof.
    pub nonce: u64,
    /// `transferred + locked` in it, less locks whose expiry is final.
    pub spent: Amount,
}

stored!(struct Exposure { nonce, spent });

/// A lock that older proofs of ours hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OldLock {
    /// Nonce of the proof that placed it.
    pub placed: u64,
    /// Its slot.
    pub slot: u16,
    /// Of its condition.
    pub key: ConditionKey,
    /// Unix seconds.
    pub expiry: u64,
    /// What it could still cost.
    pub value: Amount,
    /// Units redeemed when it was released.
    pub redeemed: u32,
}

stored!(struct OldLock { placed, slot, key, expiry, value, redeemed });

/// An op that was refused or a lock that was released, and that still counts because an older proof holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Of the update that was refused, or that released the lock.
    pub nonce: u64,
    /// The op's place in that update.
    pub index: u32,
    /// The lock, if the op was about one.
    pub lock: Option<OldLock>,
    /// First nonce whose acknowledgement ends it.
    pub until: u64,
    /// Whether we released it ourselves.
    pub released: bool,
}

stored!(struct Refused { nonce, index, lock, until, released });

/// The lane that we pay with.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    /// Content at the newest signed proof that was not refused.
    pub lane: Lane,
    /// The newest proof that the peer accepted.
    pub accepted: Option<SignedProof>,
    /// Signed after that, in order.
    pub in_flight: VecDeque<InFlight>,
    /// The highest nonce ever signed.
    pub highest: u64,
    /// What the payee could end up with: one entry for each proof that it might show.
    pub exposures: Vec<Exposure>,
    /// The newest proof with the peer's acknowledgement.
    pub acknowledged: Option<(SignedProof, Signature)>,
    /// Refused or released, and still counting.
    pub refused: Vec<Refused>,
    /// Locks of which units were handed over in a refused update: placed by which nonce, at which slot, and the first
    /// nonce whose acknowledgement ends it. The payee can show that update, so their expiry ends nothing.
    pub handed: Vec<(u64, u16, u64)>,
    /// Whether a proof has to be signed and acknowledged to replace refused ones.
    pub rebase: bool,
    /// Every proof that the payee may still show.
    pub history: History,
}

stored!(struct Outgoing {
    lane, accepted, in_flight, highest, exposures, acknowledged, refused, handed, rebase, history
});

impl Outgoing {
    /// Nonce of the newest accepted proof; 0 if none.
    #[must_use]
    pub fn accepted_nonce(&self) -> u64 {
        self.accepted.as_ref().map_or(0, |signed| signed.proof.nonce)
    }

    /// Whether the payee accepted what ends something by its acknowledgement, or more than we may go on remembering, and
    /// we have none: it got lost, or came while we had not seen the chain.
    #[must_use]
    pub(crate) fn is_owed_acknowledgement(&self) -> bool {
        let nonce = self.accepted_nonce();
        let refused = self.refused.iter().map(|refused| refused.until);
        let ends = refused.chain(self.handed.iter().map(|(.., until)| *until)).any(|until| until <= nonce);
        ends || self.history.is_full()
    }

    /// Whether a proof is in flight that is acknowledged when it is accepted.
    pub(crate) fn is_asking(&self) -> bool {
        self.in_flight.iter().any(|flight| flight.update.base.checked_add(1) != Some(flight.update.proof.nonce))
    }

    /// The newest proof that stands.
    #[must_use]
    pub fn tip(&self) -> Option<SignedProof> {
        self.in_flight.back().map(|flight| flight.update.signed_proof()).or(self.accepted)
    }

    /// Whether we know that we signed exactly this proof, as one that stands.
    #[must_use]
    pub(crate) fn has_signed(&self, signed: &SignedProof) -> bool {
        let in_flight = self.in_flight.iter().map(|flight| flight.update.signed_proof());
        in_flight.chain(self.accepted).any(|known| known == *signed)
    }

    /// The most that the payee could end up with, whichever of our proofs it shows.
    #[must_use]
    pub fn worst(&self) -> Amount {
        if crate::rule_off!(4) {
            // The mutant forgets what older or refused proofs could still cost.
            return self.lane.spent().unwrap_or(Amount::MAX);
        }
        let signed = self.exposures.iter().map(|exposure| exposure.spent).max().unwrap_or_default();
        signed.max(self.lane.spent().unwrap_or(Amount::MAX))
    }

    /// Adds a signed update, whose ops have been applied to the lane.
    pub(crate) fn push(&mut self, update: Update, undo: Undo) {
        let nonce = update.proof.nonce;
        let spent = self.lane.spent().unwrap_or(Amount::MAX);
        let released = undo.releases(&update.ops);
        // Without an early release, and on top of the newest proof, the new proof costs at least what that one could.
        let on_tip = self.exposures.last().is_some_and(|last| last.nonce == update.base);
        if on_tip && released.is_empty() {
            self.exposures.pop();
        }
        self.exposures.push(Exposure { nonce, spent });
        self.refused.extend(released.into_iter().map(|(index, slot, before)| Refused {
            nonce,
            index,
            lock: Some(OldLock {
                placed: before.placed,
                slot,
                key: before.lock.key,
                expiry: before.expiry,
                value: before.lock.value().unwrap_or(Amount::MAX),
                redeemed: before.lock.redeemed,
            }),
            until: nonce,
            released: true,
        }));
        self.highest = self.highest.max(nonce);
        self.rebase = false;
        self.in_flight.push_back(InFlight { update, undo });
    }

    pub(crate) fn accept(&mut self, nonce: u64, acknowledgement: Option<Signature>) {
        while self.in_flight.front().is_some_and(|flight| flight.update.proof.nonce <= nonce) {
            if let Some(flight) = self.in_flight.pop_front() {
                self.accepted = Some(flight.update.signed_proof());
                self.history.accepted(flight.update.proof.nonce, flight.undo);
            }
        }
        let (Some(accepted), Some(acknowledgement)) = (self.accepted, acknowledgement) else {
            return;
        };
        if accepted.proof.nonce != nonce {
            return;
        }
        self.acknowledged = Some((accepted, acknowledgement));
        self.history.acknowledged(nonce);
        self.exposures.retain(|exposure| exposure.nonce >= nonce);
        self.refused.retain(|refused| refused.until > nonce);
        self.handed.retain(|(.., until)| *until > nonce);
    }

    pub(crate) fn refuse(&mut self, nonce: u64) {
        let until = self.highest.saturating_add(1);
        while self.in_flight.back().is_some_and(|flight| flight.update.proof.nonce >= nonce) {
            let Some(flight) = self.in_flight.pop_back() else {
                break;
            };
            let redeemed = flight.undo.redemptions(&flight.update.ops);
            self.lane.undo(flight.undo);
            // Releases in a refused update never took place.
            let refused = flight.update.proof.nonce;
            self.refused.retain(|old| !(old.released && old.nonce == refused));
            self.refused.extend(refused_ops(&flight.update, until));
            self.history.refused(flight.update);
            for (slot, before, _) in redeemed {
                // Refused again and again, it still takes one entry.
                self.handed.retain(|(placed, other, _)| (*placed, *other) != (before.placed, slot));
                self.handed.push((before.placed, slot, until));
            }
        }
        self.rebase = true;
    }

    /// A lock that older proofs hold can no longer cost anything.
    pub(crate) fn lapse(&mut self, placed: u64, slot: u16) {
        let is_it = |refused: &Refused| refused.lock.is_some_and(|lock| lock.placed == placed && lock.slot == slot);
        let Some((lock, until)) =
            self.refused.iter().find(|refused| is_it(refused)).and_then(|refused| Some((refused.lock?, refused.until)))
        else {
            return;
        };
        for exposure in &mut self.exposures {
            if exposure.nonce >= placed && exposure.nonce < until {
                exposure.spent = exposure.spent.saturating_minus(lock.value);
            }
        }
        self.refused.retain(|refused| !is_it(refused));
    }
}

pub(super) fn refused_ops(update: &Update, until: u64) -> impl Iterator<Item = Refused> + '_ {
    (0_u32..).zip(&update.ops).filter_map(move |(index, op)| {
        let nonce = update.proof.nonce;
        let lock = match op {
            Op::Lock { slot, condition, expiry, n, unit_price, .. } => Some(OldLock {
                placed: nonce,
                slot: *slot,
                key: condition.key(*expiry),
                expiry: *expiry,
                value: unit_price.times(*n).unwrap_or(Amount::MAX),
                redeemed: 0,
            }),
            Op::Transfer { .. } => None,
            Op::Redeem { .. } | Op::Release { .. } => return None,
        };
        Some(Refused { nonce, index, lock, until, released: false })
    })
}
