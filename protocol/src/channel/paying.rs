//! Paying: what can be spent, what waits, and signing it.

use super::queue::cost;
use super::{Channel, Event, Fact};
use crate::amount::Amount;
use crate::condition::ConditionKey;
use crate::error::{Code, Error};
use crate::lane::{Lane, Op};
use crate::message::Message;
use crate::sign::SecretKey;
use crate::types::Asset;
use alloc::vec::Vec;

impl Channel {
    /// What we can still spend of an asset, whatever becomes of everything signed so far.
    #[must_use]
    pub fn available(&self, asset: Asset) -> Amount {
        // What is queued comes on top of the worst that is signed.
        self.unsigned(asset).saturating_minus(self.signing.cost(asset))
    }

    /// The same, whatever the peer says that it has seen.
    #[must_use]
    pub fn available_in_our_view(&self, asset: Asset) -> Amount {
        self.ledger.spendable(asset, None).saturating_minus(self.signing.cost(asset))
    }

    /// The same, whatever is queued.
    fn unsigned(&self, asset: Asset) -> Amount {
        self.ledger.spendable(asset, self.link.counted(asset, self.us()))
    }

    /// Puts an op into the next update. It is checked now, and once more when it is signed.
    pub fn queue(&mut self, asset: Asset, op: Op, ticket: u64, now: u64) -> Result<(), Error> {
        self.ledger.check_open(asset)?;
        self.ledger.check_fresh(now)?;
        if self.ledger.book(asset).is_some_and(|book| book.out.history.is_full()) {
            return Err(Code::Unacknowledged.into());
        }
        if cost(&op) > self.available(asset) {
            return Err(Code::InsufficientFunds.into());
        }
        if let Op::Lock { condition, expiry, .. } = &op {
            condition.check()?;
            let pending = self.ledger.book(asset).map_or(0, |book| book.out.lane.locks.len());
            if pending.saturating_add(self.signing.queue().locks(asset)) >= self.ledger.policy().max_locks {
                return Err(Code::TooManyLocks.into());
            }
            // [11] One live lock per secret.
            if self.has_live_key(condition.key(*expiry)) && !crate::rule_off!(11) {
                return Err(Code::DuplicateSecret.into());
            }
            self.ledger.check_unproven(&op)?;
        }
        self.signing.push(asset, op, ticket);
        Ok(())
    }

    /// Whether queued ops wait, however much room there is: what is not signed can be taken back.
    pub const fn hold(&mut self, holding: bool) {
        self.signing.hold(holding);
    }

    /// Takes a queued op back. `false`: it is signed, or not known.
    pub fn unqueue(&mut self, ticket: u64) -> bool {
        self.signing.remove(ticket)
    }

    /// A slot for the next lock of our lane.
    #[must_use]
    pub fn free_slot(&self, asset: Asset) -> Option<u16> {
        let taken = |slot: u16| self.signing.queue().has_slot(asset, slot);
        let start = self.signing.queue().next_slot(asset);
        match self.ledger.book(asset) {
            Some(book) => book.out.lane.free_slot(start, taken),
            None => Lane::default().free_slot(start, taken),
        }
    }

    fn has_live_key(&self, key: ConditionKey) -> bool {
        self.signing.has_key(&key) || self.ledger.has_live_key(key)
    }

    /// Signs what waits: redemptions and releases that are due first, then queued ops, as many as fit, with one
    /// signature for each asset. Does nothing while too much is in flight.
    pub fn flush(&mut self, key: &SecretKey, now: u64) {
        if !self.link.may_sign() {
            return;
        }
        let mut assets: Vec<Asset> = self.assets().collect();
        let waiting: Vec<Asset> = self.signing.queue().assets().filter(|asset| !assets.contains(asset)).collect();
        assets.extend(waiting);
        for asset in assets {
            while self.flush_asset(asset, key, now) {}
        }
    }

    fn flush_asset(&mut self, asset: Asset, key: &SecretKey, now: u64) -> bool {
        let budget = self.unsigned(asset);
        let batch = self.signing.take_batch(&self.ledger, &mut self.outbox, asset, budget, &self.link, now);
        let Some((batch, again)) = batch else {
            return false;
        };
        let signed = self.ledger.sign(asset, batch, again, key);
        let has_signed = signed.update.is_some();
        if let Some(update) = signed.update {
            self.outbox.send(Message::Update { asset, update });
        }
        for event in signed.events {
            self.outbox.emit(event);
        }
        // Whatever made us redeem, whoever the lock is paired with learns of it in the same commit.
        for (lock, units, evidence) in signed.redeemed {
            self.outbox.tell_revealed(lock, units, evidence);
        }
        for (lock, redeemed) in signed.released {
            self.signing.released(&lock);
            self.outbox.emit(Event::Released { lock, redeemed });
        }
        has_signed
    }

    /// Ends what counts only until an expiry is final.
    pub(super) fn lapse_refused(&mut self) {
        for (asset, lock, refused) in self.ledger.lapsed_refusals() {
            self.ledger.record(Fact::Lapsed { asset, placed: lock.placed, slot: lock.slot });
            self.outbox.emit(refused.end_event(self.ledger.our_lane(asset)));
        }
    }
}
