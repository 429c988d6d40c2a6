//! Evidence: how it becomes known, how the payer learns of it, and when it goes on chain.

use super::call_id::Item;
use super::{Channel, Fact};
use crate::amount::Amount;
use crate::chain::{ChainCall, EvidenceItem, Purpose};
use crate::condition::{ConditionKey, Kind};
use crate::error::{Code, Error};
use crate::gas;
use crate::lane::LockRef;
use crate::map::Map;
use crate::message::Message;
use crate::reason::Matter;
use crate::types::Asset;
use alloc::vec::Vec;
use alloy_primitives::Bytes;

impl Channel {
    /// Takes in evidence for a lock that we are paid with, and asks the payer to redeem.
    /// The evidence is durable before it is shown.
    pub fn learn(&mut self, lock: &LockRef, evidence: &Bytes) -> Result<(), Error> {
        let pending = self.ledger.lock(lock).ok_or_else(|| Error::from(Code::UnknownPayment))?;
        let units = pending.condition.evaluate(self.ledger.domain(), pending.expiry, evidence)?;
        let key = pending.lock.key;
        if self.ledger.adds(key, units, evidence) {
            self.ledger.record(Fact::Evidence { key, units, evidence: evidence.clone(), on_chain: false });
            // A lock of ours with the same key will be redeemed too, so whoever it is paired with has to know.
            for (lock, units) in self.ledger.our_locks(key, units) {
                self.outbox.tell_revealed(lock, units, evidence.clone());
            }
        }
        self.reveal(lock);
        Ok(())
    }

    /// Gives the rest of a lock up, so that the payer may release it before its expiry.
    /// Refused while we hold evidence for more than was redeemed. [5]
    pub fn give_up(&mut self, lock: &LockRef, code: Code) -> Result<(), Error> {
        let pending = self.ledger.lock(lock).ok_or_else(|| Error::from(Code::UnknownPayment))?;
        let known = self.ledger.known_units(&pending.lock.key);
        if known.min(pending.lock.n) > pending.lock.redeemed && !crate::rule_off!(5) {
            return Err(Error::new(Code::ReleaseRefused, "we hold evidence for more than was redeemed"));
        }
        let LockRef { lane, placed, slot } = *lock;
        if !self.ledger.has_given_up(lock) {
            self.ledger.record(Fact::GaveUp { asset: lane.asset, placed, slot });
        }
        self.outbox.send(Message::Fail { asset: lane.asset, slot, placed, code: code.into() });
        Ok(())
    }

    /// Asks the payee to give a lock of ours up.
    pub fn ask_cancel(&mut self, lock: &LockRef) -> Result<(), Error> {
        if self.ledger.lock(lock).is_none() || lock.lane.payer != self.ledger.us() {
            return Err(Code::UnknownPayment.into());
        }
        self.outbox.send(Message::Cancel { asset: lock.lane.asset, slot: lock.slot, placed: lock.placed });
        Ok(())
    }

    /// Tells the payer that its offer is held for a payee who is away.
    pub fn tell_held(&mut self, lock: &LockRef) {
        self.outbox.send(Message::Held { asset: lock.lane.asset, slot: lock.slot, placed: lock.placed });
    }

    /// Tells the payer that the payee has accepted the onward lock.
    pub fn tell_forwarded(&mut self, lock: &LockRef) {
        self.outbox.send(Message::Forwarded { asset: lock.lane.asset, slot: lock.slot, placed: lock.placed });
    }

    /// Shows the payer the best evidence that we hold for its lock.
    fn reveal(&mut self, lock: &LockRef) {
        let Some(pending) = self.ledger.lock(lock) else {
            return;
        };
        let Some(known) = self.ledger.known(&pending.lock.key) else {
            return;
        };
        if known.evidence.is_empty() || known.units.min(pending.lock.n) <= pending.lock.redeemed {
            return;
        }
        let evidence = known.evidence.clone();
        self.outbox.send(Message::Reveal { asset: lock.lane.asset, slot: lock.slot, placed: lock.placed, evidence });
    }

    /// After a reconnect: shows again what was shown before and may have been lost.
    pub(super) fn repeat_evidence(&mut self) {
        let locks: Vec<LockRef> = self.ledger.incoming_locks().collect();
        for lock in locks {
            self.reveal(&lock);
            let LockRef { lane, placed, slot } = lock;
            if self.ledger.has_given_up(&lock) {
                let code = Code::PaymentFailed.into();
                self.outbox.send(Message::Fail { asset: lane.asset, slot, placed, code });
            }
        }
    }

    pub(super) fn handle_reveal(&mut self, asset: Asset, slot: u16, placed: u64, evidence: &Bytes, now: u64) {
        let lock = LockRef { lane: self.ledger.our_lane(asset), placed, slot };
        let Some(pending) = self.ledger.lock(&lock) else {
            return;
        };
        let (key, n, expiry) = (pending.lock.key, pending.lock.n, pending.expiry);
        // [23] Whoever forwards can't pass it on any more; whoever does not loses nothing by paying late what it has shown
        // words for, while the lock stands.
        let late_is_fine =
            (!self.ledger.forwards() || crate::rule_off!(23)) && pending.condition.kind() != Kind::HashLock;
        let on_time =
            late_is_fine || self.ledger.latest_time(now).saturating_add(self.ledger.policy().safety_margin) <= expiry;
        let units = match pending.condition.evaluate(self.ledger.domain(), expiry, evidence) {
            Ok(units) if on_time => units,
            Ok(_) => {
                let error = Error::new(Code::BadExpiry, "too close to the expiry; record the evidence on chain");
                return self.outbox.decline(Matter::Reveal, &error);
            }
            Err(error) => return self.outbox.decline(Matter::Reveal, &error),
        };
        if self.ledger.adds(key, units, evidence) {
            self.ledger.record(Fact::Evidence { key, units, evidence: evidence.clone(), on_chain: false });
        }
        self.outbox.tell_revealed(lock, units.min(n), evidence.clone());
    }

    /// Evidence at a final block counts for every lock with the key, ours and the peer's. The chain tells units by a
    /// view; without the evidence itself they count all the same, and it may follow.
    pub(super) fn learn_from_chain(&mut self, key: ConditionKey, units: u32, evidence: &Bytes) {
        if self.unread_keys().contains(&key) {
            self.ledger.note_read(key);
        }
        let ours = self.ledger.our_locks(key, units);
        let concerned = self.ledger.is_concerned(key) || self.exit.settled().has_key(&key);
        let known = self.ledger.recorded_units(&key);
        if (known < units || self.ledger.adds(key, units, evidence)) && units > 0 && (concerned || !ours.is_empty()) {
            self.ledger.record(Fact::Evidence { key, units, evidence: evidence.clone(), on_chain: true });
            let known = self.ledger.known(&key).filter(|known| known.units == units);
            let proof = known.map_or_else(Bytes::new, |known| known.evidence.clone());
            for (lock, units) in ours {
                self.outbox.tell_revealed(lock, units, proof.clone());
            }
        }
        self.lapse_refused();
    }

    /// Records evidence on chain for locks that the payer does not redeem in time, if they are worth the gas: what
    /// brings most first, in as few calls as take it.
    pub(super) fn record_due_evidence(&mut self, now: u64) {
        let assets: Vec<Asset> = self.assets().collect();
        for asset in assets {
            let mut due: Vec<Due> = self.due_evidence(asset, now).into_values().collect();
            due.sort_by_key(|due| core::cmp::Reverse(due.amount));
            for batch in gas::evidence_calls(due, |due| (&due.item, due.units)) {
                let amount = sum(batch.iter().map(|due| due.amount));
                let deadline = batch.iter().map(|due| due.item.expiry).min().unwrap_or_default();
                let names = batch.iter().map(|due| due.name).collect();
                let items = batch.into_iter().map(|due| due.item).collect();
                let purpose = Purpose::Protect { asset, amount, deadline };
                self.outbox.ask_about(self.ledger.id(), names, ChainCall::RecordEvidence { items }, purpose);
            }
        }
    }

    /// Evidence that has to be recorded and that no call records yet, by key: one piece may be for several locks.
    fn due_evidence(&self, asset: Asset, now: u64) -> Map<ConditionKey, Due> {
        let time = self.ledger.latest_time(now);
        let mut found: Map<ConditionKey, Due> = Map::new();
        let locks = self.ledger.book(asset).into_iter().flat_map(|book| book.inc.lane.locks.values());
        for pending in locks {
            let key = pending.lock.key;
            let Some(known) = self.ledger.known(&key).filter(|known| known.on_chain < known.units) else {
                continue;
            };
            let native = !matches!(pending.condition.kind(), Kind::External(_));
            let margin =
                pending.expiry.saturating_sub(self.ledger.policy().safety_margin.max(self.ledger.policy().record_lead));
            // At an exit the margin does not matter: the lock is claimed on chain.
            let due = time >= margin || self.ledger.state().exit.is_some();
            // A record has to pay for itself by what it adds: else a peer that shows unit after unit makes us pay the gas
            // of each.
            let recorded = known.on_chain.max(self.outbox.calls().units(key));
            let brings = pending.lock.provable_above(recorded, known.units);
            // Too late is what the chain says, never our clock: it may be ahead.
            if !native || !due || self.ledger.chain_time() > pending.expiry || brings.is_zero() {
                continue;
            }
            let entry = found.get(&key).map_or(Amount::ZERO, |due| due.amount);
            let name = Item::Evidence { key, units: known.units };
            let (condition, expiry, evidence) = (pending.condition.clone(), pending.expiry, known.evidence.clone());
            let item = EvidenceItem { condition, expiry, evidence };
            let amount = sum([entry, brings].into_iter());
            found.insert(key, Due { name, item, units: known.units, amount });
        }
        found.retain(|_, due| {
            due.amount >= self.ledger.policy().least(asset, &due.item.condition, due.units)
                && !self.outbox.calls().hold(&due.name)
        });
        found
    }
}

/// Evidence that has to be recorded.
struct Due {
    /// Of the key and the units.
    name: Item,
    item: EvidenceItem,
    units: u32,
    /// What it brings.
    amount: Amount,
}

/// Of amounts in one asset; more than there can be is as much as there can be.
pub(super) fn sum(amounts: impl Iterator<Item = Amount>) -> Amount {
    amounts.fold(Amount::ZERO, |sum, next| sum.plus(next).unwrap_or(Amount::MAX))
}
