//! Evidence: how it becomes known, how the payer learns of it, and when it goes on chain.

use super::{Channel, Event, Fact};
use crate::chain::ChainCall;
use crate::condition::{ConditionKey, Kind};
use crate::error::{Code, Error};
use crate::lane::LockRef;
use crate::message::Message;
use crate::types::Asset;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloy_primitives::Bytes;

impl Channel {
    /// Takes in evidence for a lock that we are paid with, and asks the payer to redeem.
    /// The evidence is durable before it is shown.
    pub fn learn(&mut self, lock: &LockRef, evidence: &Bytes) -> Result<(), Error> {
        let pending = self.lock(lock).ok_or_else(|| Error::from(Code::UnknownPayment))?;
        let units = pending.condition.evaluate(&self.domain, pending.expiry, evidence)?;
        let key = pending.lock.key;
        if self.state.evidence.get(&key).is_none_or(|known| known.units < units) {
            self.record(Fact::Evidence { key, units, evidence: evidence.clone(), on_chain: false });
            // A lock of ours with the same key will be redeemed too, so whoever it is paired with has to know.
            for (lock, units) in self.our_locks(key, units) {
                self.tell_revealed(lock, units, evidence.clone());
            }
        }
        self.reveal(lock);
        Ok(())
    }

    /// The locks that we pay with and that have this key, and the units that `units` prove of each.
    fn our_locks(&self, key: ConditionKey, units: u32) -> Vec<(LockRef, u32)> {
        let mut ours = Vec::new();
        for (asset, book) in &self.state.assets {
            let lane = self.our_lane(*asset);
            ours.extend(book.out.lane.slots_of(&key).filter_map(|slot| {
                let pending = book.out.lane.locks.get(&slot)?;
                Some((LockRef { lane, placed: pending.placed, slot }, units.min(pending.lock.n)))
            }));
        }
        ours
    }

    /// Gives the rest of a lock up, so that the payer may release it before its expiry.
    /// Refused while we hold evidence for more than was redeemed. [5]
    pub fn give_up(&mut self, lock: &LockRef, code: Code) -> Result<(), Error> {
        let pending = self.lock(lock).ok_or_else(|| Error::from(Code::UnknownPayment))?;
        let known = self.state.evidence.get(&pending.lock.key).map_or(0, |known| known.units);
        if known.min(pending.lock.n) > pending.lock.redeemed && !crate::rule_off!(5) {
            return Err(Error::new(Code::ReleaseRefused, "we hold evidence for more than was redeemed"));
        }
        let LockRef { lane, placed, slot } = *lock;
        let given_up = self.book(lane.asset).is_some_and(|book| book.inc.given_up.contains(&(placed, slot)));
        if !given_up {
            self.record(Fact::GaveUp { asset: lane.asset, placed, slot });
        }
        self.send(Message::Fail { asset: lane.asset, slot, placed, code: code.as_str().into() });
        Ok(())
    }

    /// Asks the payee to give a lock of ours up.
    pub fn ask_cancel(&mut self, lock: &LockRef) -> Result<(), Error> {
        if self.lock(lock).is_none() || lock.lane.payer != self.us {
            return Err(Code::UnknownPayment.into());
        }
        self.send(Message::Cancel { asset: lock.lane.asset, slot: lock.slot, placed: lock.placed });
        Ok(())
    }

    /// Tells the payer that its offer is held for a payee who is away.
    pub fn tell_held(&mut self, lock: &LockRef) {
        self.send(Message::Held { asset: lock.lane.asset, slot: lock.slot, placed: lock.placed });
    }

    /// Shows the payer the best evidence that we hold for its lock.
    fn reveal(&mut self, lock: &LockRef) {
        let Some(pending) = self.lock(lock) else {
            return;
        };
        let Some(known) = self.state.evidence.get(&pending.lock.key) else {
            return;
        };
        if known.evidence.is_empty() || known.units.min(pending.lock.n) <= pending.lock.redeemed {
            return;
        }
        let evidence = known.evidence.clone();
        self.send(Message::Reveal { asset: lock.lane.asset, slot: lock.slot, placed: lock.placed, evidence });
    }

    /// After a reconnect: shows again what was shown before and may have been lost.
    pub(super) fn repeat_evidence(&mut self) {
        let locks: Vec<LockRef> = self.incoming_locks().collect();
        for lock in locks {
            self.reveal(&lock);
            let LockRef { lane, placed, slot } = lock;
            if self.book(lane.asset).is_some_and(|book| book.inc.given_up.contains(&(placed, slot))) {
                let code = Code::PaymentFailed.as_str().into();
                self.send(Message::Fail { asset: lane.asset, slot, placed, code });
            }
        }
    }

    pub(super) fn handle_reveal(&mut self, asset: Asset, slot: u16, placed: u64, evidence: &Bytes, now: u64) {
        let lock = LockRef { lane: self.our_lane(asset), placed, slot };
        let Some(pending) = self.lock(&lock) else {
            return;
        };
        let (key, n, expiry) = (pending.lock.key, pending.lock.n, pending.expiry);
        let on_time = self.latest_time(now).saturating_add(self.policy.safety_margin) <= expiry;
        let units = match pending.condition.evaluate(&self.domain, expiry, evidence) {
            Ok(units) if on_time => units,
            Ok(_) => {
                let error = Error::new(Code::BadExpiry, "too close to the expiry; record the evidence on chain");
                return self.decline("reveal", &error);
            }
            Err(error) => return self.decline("reveal", &error),
        };
        if self.state.evidence.get(&key).is_none_or(|known| known.units < units) {
            self.record(Fact::Evidence { key, units, evidence: evidence.clone(), on_chain: false });
        }
        self.tell_revealed(lock, units.min(n), evidence.clone());
    }

    /// Tells that a lock of ours is going to be redeemed, once for each number of units.
    pub(super) fn tell_revealed(&mut self, lock: LockRef, units: u32, evidence: Bytes) {
        if self.told.insert((lock, units)) {
            self.emit(Event::Revealed { lock, units, evidence });
        }
    }

    /// Evidence at a final block counts for every lock with the key, ours and the peer's.
    pub(super) fn learn_from_chain(&mut self, key: ConditionKey, units: u32, evidence: &Bytes, _now: u64) {
        if self.unread_keys().contains(&key) {
            self.read.insert(key);
        }
        let ours = self.our_locks(key, units);
        let concerned = self.state.assets.values().any(|book| {
            book.inc.lane.slots_of(&key).next().is_some()
                || book.out.refused.iter().any(|refused| refused.lock.is_some_and(|lock| lock.key == key))
        });
        let claimable = self.settled.values().any(|lane| lane.slots_of(&key).next().is_some());
        let concerned = concerned || claimable;
        let known = self.state.evidence.get(&key).map_or(0, |known| known.on_chain);
        if known < units && (concerned || !ours.is_empty()) {
            self.record(Fact::Evidence { key, units, evidence: evidence.clone(), on_chain: true });
            for (lock, units) in ours {
                self.tell_revealed(lock, units, evidence.clone());
            }
        }
        self.lapse_refused();
    }

    /// Records evidence on chain for locks that the payer does not redeem in time, if they are worth the gas.
    pub(super) fn record_due_evidence(&mut self, now: u64) {
        let time = self.latest_time(now);
        let due: Vec<(String, ChainCall)> = self
            .state
            .assets
            .iter()
            .flat_map(|(asset, book)| book.inc.lane.locks.values().map(move |pending| (asset, pending)))
            .filter(|(asset, pending)| {
                let known = self.state.evidence.get(&pending.lock.key);
                let worth = self
                    .policy
                    .dust
                    .get(*asset)
                    .is_none_or(|dust| pending.lock.value().is_ok_and(|value| value >= dust.threshold));
                let margin = pending.expiry.saturating_sub(self.policy.safety_margin);
                let unpaid = known.is_some_and(|known| {
                    known.units.min(pending.lock.n) > pending.lock.redeemed && known.on_chain < known.units
                });
                let native = !matches!(pending.condition.kind(), Kind::External(_));
                // At an exit the margin does not matter: the lock is claimed on chain.
                let due = time >= margin || self.state.exit.is_some();
                unpaid && worth && native && due && time <= pending.expiry
            })
            .filter_map(|(_, pending)| {
                let known = self.state.evidence.get(&pending.lock.key)?;
                let id = format!("{}/evidence/{}/{}", self.id, pending.lock.key.0, known.units);
                let call = ChainCall::RecordEvidence {
                    condition: pending.condition.clone(),
                    expiry: pending.expiry,
                    evidence: known.evidence.clone(),
                };
                Some((id, call))
            })
            .collect();
        for (id, call) in due {
            if self.submitted.insert(id.clone()) {
                self.submit(id, call);
            }
        }
    }

    pub(super) fn decline(&mut self, what: &str, error: &Error) {
        let code = error.code().as_str().into();
        self.send(Message::Declined { what: what.into(), code, message: error.to_string() });
    }
}

impl Channel {
    /// Whether we gave the rest of an incoming lock up.
    #[must_use]
    pub fn has_given_up(&self, lock: &LockRef) -> bool {
        self.book(lock.lane.asset).is_some_and(|book| book.inc.given_up.contains(&(lock.placed, lock.slot)))
    }
}
