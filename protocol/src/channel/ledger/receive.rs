//! Checking the lane that we are paid with. An update is accepted whole, after every check, or it changes nothing but
//! the highest nonce seen.

use super::Ledger;
use crate::amount::Amount;
use crate::channel::history::ACKNOWLEDGE_AFTER;
use crate::channel::incoming::changes;
use crate::channel::{Event, Fact, OpRef};
use crate::condition::{ALL_UNITS, Condition, Kind};
use crate::error::{Code, Error};
use crate::lane::{LockRef, Op, PendingLock, Undo, Update};
use crate::sign::{SecretKey, Signature};
use crate::types::Asset;
use alloc::vec::Vec;

impl Ledger {
    /// Takes the payer's next update in: what happened by it, and our acknowledgement if one is due.
    pub(crate) fn receive(
        &mut self,
        asset: Asset,
        update: Update,
        key: &SecretKey,
        now: u64,
    ) -> Result<(Vec<Event>, Option<Signature>), Error> {
        self.check_signed(asset, &update)?;
        let nonce = update.proof.nonce;
        let (events, undo) = match self.accept_update(asset, &update, now) {
            Ok(accepted) => accepted,
            Err(error) => {
                // What is signed is out: a later proof has to be above this nonce.
                self.record(Fact::Seen { asset, nonce });
                return Err(error);
            }
        };
        let pending = self.book(asset).map_or(0, |book| book.inc.unacknowledged);
        // The payer has to be able to rebuild every proof since our last acknowledgement.
        let owed = pending.saturating_add(changes(&update)) as usize >= ACKNOWLEDGE_AFTER;
        let gives_back = update.ops.iter().any(|op| matches!(op, Op::Release { .. }));
        let skips = update.base.checked_add(1) != Some(nonce);
        let acknowledgement = (gives_back || skips || owed)
            .then(|| key.sign(update.proof.acknowledgement_digest(&self.domain, self.id, self.their_lane(asset))));
        self.state.forfeit(asset, &undo.releases(&update.ops));
        self.book_mut(asset).inc.accept(&update, acknowledgement);
        self.facts.push(Fact::Received { asset, update, acknowledgement });
        Ok((events, acknowledgement))
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
                    events.push(Event::Released { lock, redeemed: pending.lock.redeemed });
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
        self.check_first_hop(asset, op)?;
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

    /// What a client knows before it signs: the hub's terms, and whom it pays.
    fn check_first_hop(&self, asset: Asset, op: &Op) -> Result<(), Error> {
        let (Some(first_hop), Op::Lock { n, unit_price, to, envelope, .. }) = (&self.policy.first_hop, op) else {
            return Ok(());
        };
        let least = first_hop.least.get(&asset).ok_or_else(|| Error::from(Code::UnknownAsset))?;
        if unit_price.times(*n)? < *least {
            return Err(Error::new(Code::LimitExceeded, "less than the least payment"));
        }
        let to = to.ok_or_else(|| Error::new(Code::UnknownPayee, "the lock names nobody to pay"))?;
        let payer = self.def.participant(self.us.other());
        if to == payer.owner || to == payer.signer {
            return Err(Error::new(Code::InvalidArgument, "payer and payee are the same"));
        }
        if envelope.len() > first_hop.max_envelope {
            return Err(Error::new(Code::LimitExceeded, "the envelope is too long"));
        }
        // An honest payer releases what it is given back with its next proof.
        if self.book(asset).is_some_and(|book| book.inc.given_up.len() >= first_hop.max_given_up) {
            return Err(Error::new(Code::TooManyLocks, "release what was given back first"));
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
        let share = |value: Amount, n: u32, condition: &Condition| {
            let least = self.policy.least(asset, condition, ALL_UNITS);
            match n {
                _ if value < least => value,
                1 => Amount::ZERO,
                _ => least,
            }
        };
        let mut new = Amount::ZERO;
        for op in &update.ops {
            if let Op::Lock { n, unit_price, condition, .. } = op {
                new = new.plus(share(unit_price.times(*n)?, *n, condition))?;
            }
        }
        if new.is_zero() || crate::rule_off!(9) {
            return Ok(());
        }
        let lost = book.inc.forfeited.plus(self.state.lost_by(asset, &undo.releases(&update.ops)))?;
        let pending = book.inc.lane.locks.values();
        let mut shares =
            pending.filter_map(|pending| Some(share(pending.lock.value().ok()?, pending.lock.n, &pending.condition)));
        if shares.try_fold(lost, Amount::plus)? > dust.cap {
            return Err(Error::new(Code::TooManyLocks, "too much dust is pending"));
        }
        Ok(())
    }

    /// A release is agreed to if we gave the lock up, or if its expiry is final and the chain shows no more units.
    fn check_release(&self, lock: &LockRef, pending: &PendingLock) -> Result<(), Error> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Head;
    use crate::channel::{Dust, Policy, State};
    use crate::condition::Condition;
    use crate::eip712::Domain;
    use crate::types::{ChannelDef, ETH, Participant, Side};
    use alloy_primitives::{Address, B256, Bytes};

    #[test]
    fn what_a_stream_may_owe_counts_with_the_price_of_its_length() {
        let side = |byte| Participant { owner: Address::repeat_byte(byte), signer: Address::repeat_byte(byte) };
        let def = ChannelDef { a: side(1), b: side(2), challenge_period: 3_600, salt: 0 };
        // Evidence of 1,000 units costs as much as 2.06 preimages, and all but the last unit of that may be lost.
        for (cap, n, unit_price, fits) in
            [(2_059, 1_000, 3, false), (2_060, 1_000, 3, true), (2_000, 1_000, 2, true), (1_999, 1_000, 2, false)]
        {
            let dust = Dust { threshold: Amount::new(1_000), cap: Amount::new(cap) };
            let policy = Policy { dust: [(ETH, dust)].into_iter().collect(), ..Policy::default() };
            let domain = Domain::new(1, Address::repeat_byte(9));
            let mut ledger = Ledger::new(domain, def, Side::B, policy, State::default()).unwrap();
            ledger.see(Head::default());
            let condition = Condition::hash_chain(B256::ZERO, n);
            let (unit_price, envelope) = (Amount::new(unit_price), Bytes::new());
            let ops = [Op::Lock { slot: 0, condition, expiry: 9, n, unit_price, to: None, envelope }].to_vec();
            let lane = &mut ledger.book_mut(ETH).inc.lane;
            let undo = lane.apply(1, &ops).unwrap();
            let proof = lane.statement(1, 0);
            let signature = SecretKey::from_bytes(&[1; 32]).unwrap().sign(B256::ZERO);
            let update = Update { base: 0, ops, proof, signature };
            assert_eq!(ledger.check_dust(ETH, &update, &undo).is_ok(), fits, "{cap} for {n} at {unit_price}");
        }
    }
}
