//! The lane that we are paid with. An update is accepted whole, after every check, or it changes nothing
//! but the highest nonce seen.

use super::history::ACKNOWLEDGE_AFTER;
use super::{Channel, Event, Fact, OpRef};
use crate::amount::Amount;
use crate::codec::stored;
use crate::condition::Kind;
use crate::error::{Code, Error};
use crate::lane::{Lane, LockRef, Op, Undo, Update};
use crate::map::Set;
use crate::message::Message;
use crate::proof::SignedProof;
use crate::sign::{SecretKey, Signature};
use crate::types::Asset;
use alloc::string::ToString;
use alloc::vec::Vec;

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

stored!(struct Incoming { lane, accepted, bare, acknowledgement, seen, unacknowledged, forfeited, given_up });

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
fn changes(update: &Update) -> u32 {
    let touching = update.ops.iter().filter(|op| !matches!(op, Op::Transfer { .. })).count();
    u32::try_from(touching.max(1)).unwrap_or(u32::MAX)
}

impl Channel {
    pub(super) fn handle_update(&mut self, asset: Asset, update: Update, key: &SecretKey, now: u64) {
        let nonce = update.proof.nonce;
        // A lane without any deposit can pay nothing; remembering it would let a stranger fill our memory.
        if !self.has_deposits(asset) {
            return self.refuse(asset, nonce, &Code::InsufficientFunds.into());
        }
        let (accepted, acknowledgement) =
            self.book(asset).map_or((None, None), |book| (book.inc.accepted, book.inc.acknowledgement));
        if accepted.is_some_and(|signed| nonce <= signed.proof.nonce) {
            // A repeated message: say again what is accepted.
            let nonce = accepted.map_or(0, |signed| signed.proof.nonce);
            self.send(Message::Accepted { asset, nonce, acknowledgement });
            return;
        }
        if let Err(error) = self.check_signed(asset, &update) {
            self.refuse(asset, nonce, &error);
            return;
        }
        match self.accept_update(asset, &update, now) {
            Ok((events, undo)) => {
                let pending = self.book(asset).map_or(0, |book| book.inc.unacknowledged);
                // The payer has to be able to rebuild every proof since our last acknowledgement.
                let owed = pending.saturating_add(changes(&update)) as usize >= ACKNOWLEDGE_AFTER;
                let gives_back = update.ops.iter().any(|op| matches!(op, Op::Release { .. }));
                let skips = update.base.checked_add(1) != Some(nonce);
                let acknowledgement = (gives_back || skips || owed).then(|| {
                    key.sign(update.proof.acknowledgement_digest(&self.domain, self.id, self.their_lane(asset)))
                });
                self.state.forfeit(asset, &undo.releases(&update.ops));
                self.book_mut(asset).inc.accept(&update, acknowledgement);
                self.record_applied(Fact::Received { asset, update, acknowledgement });
                self.send(Message::Accepted { asset, nonce, acknowledgement });
                for event in events {
                    self.emit(event);
                }
            }
            Err(error) => {
                // What is signed is out: a later proof has to be above this nonce.
                self.record(Fact::Seen { asset, nonce });
                self.refuse(asset, nonce, &error);
            }
        }
    }

    fn refuse(&mut self, asset: Asset, nonce: u64, error: &Error) {
        let last = self.book(asset).and_then(|book| book.inc.accepted);
        let code = error.code().as_str().into();
        self.send(Message::Refused { asset, nonce, code, message: error.to_string(), last });
    }

    /// Refuses unless the payer signed this update as the next step of its lane.
    fn check_signed(&self, asset: Asset, update: &Update) -> Result<(), Error> {
        let seen = self.book(asset).map_or(0, |book| book.inc.seen);
        let step = update.proof.nonce.saturating_sub(seen);
        if step == 0 || step > self.policy.max_nonce_step {
            return Err(Code::BadNonce.into());
        }
        // [1] The signature is checked before the proof is stored.
        if crate::rule_off!(1) {
            return Ok(());
        }
        update.signed_proof().verify(&self.domain, self.id, self.their_lane(asset), self.peer_signer())
    }

    /// Applies the update to our copy of the lane if every rule allows it; else leaves no trace.
    fn accept_update(&mut self, asset: Asset, update: &Update, now: u64) -> Result<(Vec<Event>, Undo), Error> {
        self.check_open(asset)?;
        self.check_fresh(now)?;
        let book = self.book(asset);
        if update.base != book.map_or(0, |book| book.inc.accepted_nonce()) {
            return Err(Code::UnknownBase.into());
        }
        // `seen` hints that we lost proofs of our own that the peer holds. It is a bare claim: only our own signature,
        // in a sync, makes us stop signing.
        if update.proof.seen > book.map_or(0, |book| book.out.highest) {
            return Err(Code::StateOutdated.into());
        }
        let before = book.map_or(Amount::ZERO, |book| book.inc.lane.transferred);
        if update.proof.transferred < before {
            return Err(Code::TransferredFell.into());
        }
        let mut undo = self.book_mut(asset).inc.lane.nothing_to_undo();
        let mut events = Vec::new();
        let result = (0_u32..)
            .zip(&update.ops)
            .try_for_each(|(index, op)| {
                self.accept_op(asset, update.proof.nonce, index, op, now, &mut undo, &mut events)
            })
            .and_then(|()| self.check_dust(asset, update, &undo))
            .and_then(|()| self.check_result(asset, update));
        match result {
            Ok(()) => Ok((events, undo)),
            Err(error) => {
                self.book_mut(asset).inc.lane.undo(undo);
                Err(error)
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the op, its place and what it leaves behind")]
    fn accept_op(
        &mut self,
        asset: Asset,
        nonce: u64,
        index: u32,
        op: &Op,
        now: u64,
        undo: &mut Undo,
        events: &mut Vec<Event>,
    ) -> Result<(), Error> {
        let lane = self.their_lane(asset);
        match op {
            Op::Transfer { amount, memo } => {
                let op = OpRef { lane, nonce, index };
                events.push(Event::Received { op, amount: *amount, memo: memo.clone() });
            }
            Op::Lock { slot, .. } => {
                self.check_lock(asset, op, now)?;
                events.push(Event::LockReceived { lock: LockRef { lane, placed: nonce, slot: *slot } });
            }
            Op::Redeem { slot, units } => {
                if let Some(pending) = self.book(asset).and_then(|book| book.inc.lane.locks.get(slot)) {
                    let known = self.state.evidence.get(&pending.lock.key).map_or(0, |known| known.units);
                    if *units < known.min(pending.lock.n) {
                        return Err(Code::RedeemTooLow.into());
                    }
                    let step = units.saturating_sub(pending.lock.redeemed);
                    events.push(Event::Redeemed {
                        lock: LockRef { lane, placed: pending.placed, slot: *slot },
                        units: *units,
                        amount: pending.lock.unit_price.times(step)?,
                        done: *units == pending.lock.n,
                    });
                }
            }
            Op::Release { slot } => {
                if let Some(pending) = self.book(asset).and_then(|book| book.inc.lane.locks.get(slot)) {
                    let lock = LockRef { lane, placed: pending.placed, slot: *slot };
                    self.check_release(&lock, pending)?;
                    events.push(Event::Released { lock });
                }
            }
        }
        let step = self.book_mut(asset).inc.lane.apply(nonce, core::slice::from_ref(op))?;
        undo.append(step);
        Ok(())
    }

    fn check_lock(&self, asset: Asset, op: &Op, now: u64) -> Result<(), Error> {
        let Op::Lock { condition, expiry, .. } = op else {
            return Ok(());
        };
        condition.check()?;
        if let Kind::External(address) = condition.kind()
            && !self.policy.external_conditions.contains(&address)
        {
            return Err(Code::UnknownCondition.into());
        }
        let earliest = self.latest_time(now).saturating_add(self.policy.min_lock_time);
        let latest = self.latest_time(now).saturating_add(self.policy.max_lock_time);
        if *expiry < earliest || *expiry > latest {
            return Err(Code::BadExpiry.into());
        }
        let Some(book) = self.book(asset) else {
            return Ok(());
        };
        if book.inc.lane.locks.len() >= self.policy.max_locks {
            return Err(Code::TooManyLocks.into());
        }
        Ok(())
    }

    /// [9] Locks that are not worth the gas of their evidence are a loan; it is capped. What this update's releases
    /// lose counts too, or one update could let a loan expire and take it again.
    fn check_dust(&self, asset: Asset, update: &Update, undo: &Undo) -> Result<(), Error> {
        let (Some(dust), Some(book)) = (self.policy.dust.get(&asset), self.book(asset)) else {
            return Ok(());
        };
        // A lock of many units may be redeemed down to a rest that is dust.
        let share = |value: Amount, n: u32| match n {
            _ if value < dust.threshold => value,
            1 => Amount::ZERO,
            _ => dust.threshold,
        };
        let mut new = Amount::ZERO;
        for op in &update.ops {
            if let Op::Lock { n, unit_price, .. } = op {
                new = new.plus(share(unit_price.times(*n)?, *n))?;
            }
        }
        if new.is_zero() || crate::rule_off!(9) {
            return Ok(());
        }
        let lost = book.inc.forfeited.plus(self.state.lost_by(asset, &undo.releases(&update.ops)))?;
        let pending = book.inc.lane.locks.values();
        let mut shares = pending.filter_map(|pending| Some(share(pending.lock.value().ok()?, pending.lock.n)));
        if shares.try_fold(lost, Amount::plus)? > dust.cap {
            return Err(Error::new(Code::TooManyLocks, "too much dust is pending"));
        }
        Ok(())
    }

    /// A release is agreed to if we gave the lock up, or if its expiry is final and the chain shows no more units.
    fn check_release(&self, lock: &LockRef, pending: &crate::lane::PendingLock) -> Result<(), Error> {
        let given_up =
            self.book(lock.lane.asset).is_some_and(|book| book.inc.given_up.contains(&(lock.placed, lock.slot)));
        let known = self.state.evidence.get(&pending.lock.key);
        let recorded = known.map_or(0, |known| known.on_chain).min(pending.lock.n);
        let expired = self.is_decided(pending.lock.key, pending.expiry) && recorded <= pending.lock.redeemed;
        if given_up || expired { Ok(()) } else { Err(Code::ReleaseRefused.into()) }
    }

    /// The ops must have led to exactly the signed proof, and the payer must be able to pay for it.
    fn check_result(&mut self, asset: Asset, update: &Update) -> Result<(), Error> {
        let peer = self.us.other();
        let book = self.book_mut(asset);
        let proof = book.inc.lane.statement(update.proof.nonce, update.proof.seen);
        if proof != update.proof {
            return Err(Code::ProofMismatch.into());
        }
        let spent = book.inc.lane.spent()?;
        // [3] Only what the payer said it accepted can be spent: it holds no proof of the rest.
        let received = if crate::rule_off!(3) {
            book.out.lane.transferred
        } else {
            book.out.accepted.map_or(Amount::ZERO, |signed| signed.proof.transferred)
        };
        if self.funds(asset, peer, received)? < spent {
            return Err(Code::InsufficientFunds.into());
        }
        Ok(())
    }
}
