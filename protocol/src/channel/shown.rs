//! A lane as its other side shows it to a participant that has lost its store: the newest accepted proof, with all
//! that it locks. What is shown proves itself: a signature binds the totals and the root, the root binds the locks.

use super::Channel;
use crate::amount::Amount;
use crate::condition::Condition;
use crate::error::{Code, Error};
use crate::json::bridge::as_serde;
use crate::json::wire;
use crate::lane::{Lane, Lock, PendingLock};
use crate::map::Map;
use crate::proof::{LaneId, Proof, SignedProof};
use crate::sign::{SecretKey, Signature};
use alloc::vec::Vec;
use alloy_primitives::{Address, Bytes};

/// Bytes of locks on one page, about.
const MAX_PAGE: usize = 40_000;

/// A pending lock, with all that its holder needs to go on with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShownLock {
    /// Its place in the tree.
    pub slot: u16,
    /// What must be met.
    pub condition: Condition,
    /// Unix seconds.
    pub expiry: u64,
    /// Units locked at first.
    pub n: u32,
    /// Price of a unit.
    pub unit_price: Amount,
    /// Units handed over so far.
    pub redeemed: u32,
    /// Whom the hub shall pay, on the first hop.
    pub to: Option<Address>,
    /// For the payee's eyes only.
    pub envelope: Bytes,
    /// Nonce of the proof that placed it.
    pub placed: u64,
}

wire!(struct ShownLock { slot, condition, expiry, n, unit_price = "unitPrice", redeemed, to, envelope, placed });

/// A part of a lane at its newest accepted proof.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LanePage {
    /// The proof; none while the lane has none.
    pub signed: Option<SignedProof>,
    /// Of the payee, for exactly this proof, where the payee shows it.
    pub acknowledgement: Option<Signature>,
    /// In the order of their slots.
    pub locks: Vec<ShownLock>,
    /// Where the next page starts; absent on the last one.
    pub next: Option<u16>,
}

wire!(struct LanePage { signed: optional, acknowledgement: optional, locks, next: optional });

/// A whole lane, checked: its payer signed exactly this content.
#[derive(Clone, Debug)]
pub struct ShownLane {
    pub(crate) id: LaneId,
    pub(crate) signed: SignedProof,
    pub(crate) acknowledgement: Option<Signature>,
    pub(crate) lane: Lane,
}

impl Channel {
    /// A page of a lane, as we hold it. In the lane that we are paid with, it comes with our acknowledgement: from a
    /// payer that has lost its store nothing older may be held against it.
    ///
    /// Only for the other participant, and only what is durable: the answer depends on the next commit.
    #[must_use]
    pub fn show_lane(&self, id: LaneId, from: u16, key: &SecretKey) -> LanePage {
        let Some(book) = self.ledger.book(id.asset) else { return LanePage::default() };
        let ours = id.payer == self.ledger.us();
        let signed = if ours { book.out.accepted } else { book.inc.accepted };
        let Some(signed) = signed else { return LanePage::default() };
        // What is in flight follows by itself, when the other side is back.
        let at_proof = if ours { book.out.lane_at(signed.proof.nonce) } else { None };
        let lane = at_proof.as_ref().unwrap_or(&book.inc.lane);
        let digest = || signed.proof.acknowledgement_digest(self.ledger.domain(), self.ledger.id(), id);
        let mut page = LanePage {
            signed: Some(signed),
            acknowledgement: (!ours).then(|| key.sign(digest())),
            ..LanePage::default()
        };
        let mut size = 0_usize;
        for (slot, pending) in lane.locks.iter().filter(|(slot, _)| **slot >= from) {
            let bytes = pending.condition.params.len().saturating_add(pending.envelope.len());
            size = size.saturating_add(bytes.saturating_mul(2)).saturating_add(400);
            if size > MAX_PAGE && !page.locks.is_empty() {
                page.next = Some(*slot);
                break;
            }
            page.locks.push(ShownLock::of(*slot, pending));
        }
        page
    }

    /// Puts pages together and checks them: the payer's signature, the root, the sums. `None` for a lane without a
    /// proof.
    pub fn read_shown(&self, id: LaneId, pages: Vec<LanePage>) -> Result<Option<ShownLane>, Error> {
        let bad = || Error::new(Code::ProofMismatch, "the locks that are shown are not the ones that were signed");
        let mut locks = Map::new();
        let mut first: Option<LanePage> = None;
        for page in pages {
            let known = first.get_or_insert_with(|| page.clone());
            if known.signed != page.signed {
                return Err(Error::new(Code::ProofMismatch, "the proof changed from one page to the next"));
            }
            for shown in page.locks {
                if locks.insert(shown.slot, shown.pending()).is_some() {
                    return Err(bad());
                }
            }
        }
        let Some(LanePage { signed: Some(signed), acknowledgement, .. }) = first else {
            return if locks.is_empty() { Ok(None) } else { Err(bad()) };
        };
        signed.verify(self.ledger.domain(), self.ledger.id(), id, self.ledger.def().participant(id.payer).signer)?;
        let sound = |pending: &PendingLock| {
            let Lock { n, unit_price, redeemed, .. } = pending.lock;
            redeemed < n && !unit_price.is_zero() && pending.placed <= signed.proof.nonce
        };
        if !locks.values().all(sound) {
            return Err(bad());
        }
        let mut locked = Amount::ZERO;
        for pending in locks.values() {
            locked = locked.plus(pending.lock.value()?)?;
        }
        let Proof { nonce, transferred, seen, .. } = signed.proof;
        let mut lane = Lane::from_parts(transferred, locked, locks);
        if lane.statement(nonce, seen) != signed.proof {
            return Err(bad());
        }
        Ok(Some(ShownLane { id, signed, acknowledgement, lane }))
    }
}

impl ShownLock {
    fn of(slot: u16, pending: &PendingLock) -> Self {
        let PendingLock { lock, condition, expiry, to, envelope, placed } = pending.clone();
        let Lock { n, unit_price, redeemed, .. } = lock;
        Self { slot, condition, expiry, n, unit_price, redeemed, to, envelope, placed }
    }

    fn pending(self) -> PendingLock {
        let Self { condition, expiry, n, unit_price, redeemed, to, envelope, placed, .. } = self;
        let lock = Lock { key: condition.key(expiry), n, unit_price, redeemed };
        PendingLock { lock, condition, expiry, to, envelope, placed }
    }
}

as_serde!(LanePage);
