//! Forwarding: every incoming lock gets one outgoing lock with the same condition, expiry, units and price,
//! or is given back. The hub can't keep the money and can't lose it.

use super::{ChannelLock, Hub};
use crate::amount::Amount;
use crate::channel::Event;
use crate::error::{Code, Error};
use crate::lane::{Op, PendingLock};
use crate::types::{Asset, ChannelId, Side};
use alloc::vec::Vec;

impl Hub {
    /// Reacts to what happened in a channel.
    pub(crate) fn react(&mut self, id: ChannelId, now: u64) {
        let Some(entry) = self.channels.get_mut(&id) else {
            return;
        };
        for event in entry.channel.take_events() {
            self.react_to(id, event, now);
        }
    }

    fn react_to(&mut self, id: ChannelId, event: Event, now: u64) {
        match event {
            Event::LockReceived { lock } => self.forward((id, lock), now),
            Event::Signed { ticket, lock: Some(lock), .. } => {
                if let Some(incoming) = self.take_ticket(ticket) {
                    // Encoding a pair can't fail; if it did, the pair would be missing after a restart.
                    if self.store_pair(incoming, (id, lock)).is_err() {
                        self.poison();
                    }
                    self.note_asked_early(&incoming, (id, lock));
                }
            }
            Event::Dropped { ticket, error } => {
                if let Some(incoming) = self.take_ticket(ticket) {
                    self.note_ended(&incoming);
                    match error.code() {
                        _ if self.asked_early.remove(&incoming) => self.give_back(incoming, Code::PaymentFailed),
                        Code::InsufficientFunds | Code::ChainStale => self.hold(id, incoming),
                        code => self.give_back(incoming, code),
                    }
                }
            }
            Event::Revealed { lock, evidence, .. } => {
                if let Some((channel, incoming)) = self.paired(&(id, lock)) {
                    self.touch(channel);
                    if let Some(entry) = self.channels.get_mut(&channel) {
                        // The incoming lock may be gone already; then there is nothing to claim upstream.
                        let _ = entry.channel.learn(&incoming, &evidence);
                    }
                    self.note_revealed((channel, incoming), now);
                }
                self.touch(id);
            }
            Event::Failed { .. } => self.touch(id),
            // Released or refused outgoing locks cost nothing only when the payee can't show them any more. [4] [5]
            Event::Released { lock, .. } if lock.lane.payer == Side::B => {
                if crate::rule_off!(5) {
                    self.outgoing_ended((id, lock), Code::PayeeDeclined);
                }
            }
            Event::Refused { lock: Some(lock), .. } => {
                if crate::rule_off!(4) {
                    self.outgoing_ended((id, lock), Code::PayeeDeclined);
                }
            }
            Event::ReleaseFinal { lock } | Event::RefusalFinal { lock: Some(lock), .. } => {
                self.outgoing_ended((id, lock), Code::PayeeDeclined);
            }
            Event::Redeemed { lock, .. } if lock.lane.payer == Side::B => self.note_paid(id, lock.lane.asset, now),
            Event::Redeemed { lock, done, .. } => {
                self.note_revealed((id, lock), now);
                self.note_money(id, lock.lane.asset);
                if done {
                    self.forget_incoming((id, lock));
                } else if let Some(code) = self.ending.get(&(id, lock)).copied() {
                    self.give_back((id, lock), code);
                }
            }
            Event::Released { lock, .. } => self.forget_incoming((id, lock)),
            Event::CancelAsked { lock } => {
                let incoming = (id, lock);
                if self.held_at.contains_key(&incoming) && !self.outgoing_of.contains_key(&incoming) {
                    self.unhold(&incoming);
                    self.give_back(incoming, Code::PaymentFailed);
                }
                if self.queued.contains(&incoming) {
                    self.asked_early.insert(incoming);
                }
                self.pass_cancel(&incoming);
            }
            Event::Chain { asset } => {
                self.put_collateral(id, asset);
                self.forward_held(id, now);
            }
            Event::Accepted { lane, nonce } => {
                self.note_accepted(id, lane, nonce);
                self.forward_held(id, now);
            }
            Event::PeerFunds { .. } => self.forward_held(id, now),
            Event::Received { op, .. } => self.note_money(id, op.lane.asset),
            Event::Signed { .. }
            | Event::Refused { .. }
            | Event::RefusalFinal { .. }
            | Event::Paid { .. }
            | Event::Held { .. }
            | Event::Forwarded { .. }
            | Event::WithdrawalReady { .. }
            | Event::ClosingReady { .. }
            | Event::Declined { .. }
            | Event::ExitStarted { .. }
            | Event::Exit { .. }
            | Event::Overdue { .. }
            | Event::Outdated => {}
        }
    }

    /// The incoming lock that an outgoing one belongs to, by name. [6]
    fn paired(&self, outgoing: &ChannelLock) -> Option<ChannelLock> {
        if crate::rule_off!(6) {
            // The mutant takes the first one with the same key.
            let key = self.incoming(outgoing)?.lock.key;
            let same = |lock: &ChannelLock| self.incoming(lock).is_some_and(|pending| pending.lock.key == key);
            return self.outgoing_of.keys().find(|incoming| same(incoming)).copied();
        }
        self.incoming_of.get(outgoing).copied()
    }

    /// Queues the outgoing lock for an incoming one, holds it, or gives it back.
    fn forward(&mut self, incoming: ChannelLock, now: u64) {
        if self.outgoing_of.contains_key(&incoming) || self.queued.contains(&incoming) {
            return;
        }
        let Some(pending) = self.incoming(&incoming) else {
            return;
        };
        match self.route(&incoming, &pending, now) {
            Err(error) => self.give_back(incoming, error.code()),
            Ok(payee) => self.queue_outgoing(payee, incoming, pending, now),
        }
    }

    /// The payee's channel, if the payment is allowed.
    fn route(&self, (payer, lock): &ChannelLock, pending: &PendingLock, now: u64) -> Result<ChannelId, Error> {
        let to = pending.to.ok_or_else(|| Error::from(Code::UnknownPayee))?;
        let payee = *self.directory.get(&to).ok_or_else(|| Error::from(Code::UnknownPayee))?;
        if payee == *payer {
            return Err(Error::new(Code::InvalidArgument, "payer and payee are the same"));
        }
        let asset = lock.lane.asset;
        let limits = self.config.assets.get(&asset).ok_or_else(|| Error::from(Code::UnknownAsset))?;
        let value = pending.lock.value()?;
        let deposit = self.channels.get(payer).map_or(Amount::ZERO, |entry| entry.channel.deposit(asset, Side::A));
        if value < limits.min_payment || value > limits.max_payment || deposit > limits.channel_capacity {
            return Err(Code::LimitExceeded.into());
        }
        self.channels.get(payer).ok_or_else(|| Error::from(Code::UnknownChannel))?.channel.check_open(asset)?;
        let entry = self.channels.get(&payee).ok_or_else(|| Error::from(Code::UnknownPayee))?;
        entry.channel.check_open(asset)?;
        // Not the channel's own time: it may be asleep.
        let time = self.head.map_or(now, |head| head.timestamp.max(now));
        if pending.expiry < time.saturating_add(self.config.policy.min_lock_time) {
            return Err(Code::PaymentExpired.into());
        }
        Ok(payee)
    }

    fn queue_outgoing(&mut self, payee: ChannelId, incoming: ChannelLock, pending: PendingLock, now: u64) {
        let asset = incoming.1.lane.asset;
        let ticket = self.ticket();
        self.wake(payee);
        let Some(entry) = self.channels.get_mut(&payee) else {
            return;
        };
        if !entry.online {
            return self.hold(payee, incoming);
        }
        if !self.has_room(&incoming, now) {
            // What waits already goes on waiting; whoever pays anew learns at once that it is too much.
            return match self.held_at.contains_key(&incoming) {
                true => {}
                false => self.give_back(incoming, Code::TooManyLocks),
            };
        }
        let Some(entry) = self.channels.get_mut(&payee) else {
            return;
        };
        let Some(slot) = entry.channel.free_slot(asset) else {
            return self.give_back(incoming, Code::TooManyLocks);
        };
        let op = Op::Lock {
            slot,
            condition: pending.condition,
            expiry: pending.expiry,
            n: pending.lock.n,
            unit_price: pending.lock.unit_price,
            to: None,
            envelope: pending.envelope,
        };
        let queued = match entry.channel.queue(asset, op, ticket, now) {
            // Two payers may have been given the same hash; the hub pays each lock for itself.
            Err(error) if error.code() == Code::InsufficientFunds => {
                let value = pending.lock.value().unwrap_or_default();
                match self.raise_collateral(incoming.0, payee, asset, value) {
                    Ok(()) => return self.hold(payee, incoming),
                    Err(error) => Err(error),
                }
            }
            Err(error) if error.code() == Code::ChainStale => return self.hold(payee, incoming),
            other => other,
        };
        match queued {
            Ok(()) => {
                self.tickets.insert(ticket, incoming);
                self.queued.insert(incoming);
                self.note_pending(incoming);
                self.unhold(&incoming);
                self.touch(payee);
            }
            Err(error) => self.give_back(incoming, error.code()),
        }
    }

    fn hold(&mut self, payee: ChannelId, incoming: ChannelLock) {
        if self.held_at.contains_key(&incoming) {
            return;
        }
        if !self.has_room_to_hold(&incoming) {
            return self.give_back(incoming, Code::TooManyLocks);
        }
        self.backlog.held.add(incoming, 1);
        if self.held.entry(payee).or_default().insert(incoming) {
            self.held_at.insert(incoming, payee);
            self.touch(incoming.0);
            if let Some(entry) = self.channels.get_mut(&incoming.0) {
                entry.channel.tell_held(&incoming.1);
            }
        }
    }

    fn unhold(&mut self, incoming: &ChannelLock) {
        let Some(payee) = self.held_at.remove(incoming) else { return };
        self.backlog.held.remove(incoming);
        if let Some(locks) = self.held.get_mut(&payee) {
            locks.remove(incoming);
            if locks.is_empty() {
                self.held.remove(&payee);
            }
        }
    }

    fn take_ticket(&mut self, ticket: u64) -> Option<ChannelLock> {
        let incoming = self.tickets.remove(&ticket)?;
        self.queued.remove(&incoming);
        Some(incoming)
    }

    /// Tries again what waits for a payee: it came back, or there is money for it now.
    pub(crate) fn forward_held(&mut self, payee: ChannelId, now: u64) {
        if !self.is_online(&payee) {
            return;
        }
        let waiting: Vec<ChannelLock> =
            self.held.get(&payee).map(|locks| locks.iter().copied().collect()).unwrap_or_default();
        for incoming in waiting {
            self.forward(incoming, now);
        }
    }

    /// The outgoing lock can't cost anything any more: the incoming one may go back, unless it was redeemed.
    fn outgoing_ended(&mut self, outgoing: ChannelLock, code: Code) {
        if let Some(incoming) = self.incoming_of.get(&outgoing).copied() {
            self.give_back(incoming, code);
        }
    }

    /// Gives the rest of an incoming lock up. While there is evidence to be redeemed for, that comes first.
    fn give_back(&mut self, incoming: ChannelLock, code: Code) {
        let (channel, lock) = incoming;
        self.unhold(&incoming);
        self.touch(channel);
        let Some(entry) = self.channels.get_mut(&channel) else {
            return;
        };
        match entry.channel.give_up(&lock, code) {
            Ok(()) => {
                self.ending.remove(&incoming);
                self.forget_pair(&incoming);
            }
            Err(error) if error.code() == Code::ReleaseRefused => {
                self.ending.insert(incoming, code);
            }
            Err(_) => self.forget_incoming(incoming),
        }
    }

    /// The incoming lock is gone; its pair has to stay only while the outgoing one stands.
    fn forget_incoming(&mut self, incoming: ChannelLock) {
        self.unhold(&incoming);
        self.ending.remove(&incoming);
        self.forget_pair(&incoming);
    }

    /// Gives back held payments that can't be forwarded in time any more.
    pub(crate) fn drop_expired(&mut self, now: u64) {
        let margin = self.config.policy.min_lock_time;
        let late: Vec<ChannelLock> = self
            .held
            .values()
            .flatten()
            .copied()
            .filter(|incoming| {
                let time = self.channels.get(&incoming.0).map_or(now, |entry| entry.channel.latest_time(now));
                self.incoming(incoming).is_none_or(|pending| pending.expiry < time.saturating_add(margin))
            })
            .collect();
        for incoming in late {
            self.give_back(incoming, Code::PaymentExpired);
        }
    }

    /// After a restart: what was in the middle of something goes on.
    pub(crate) fn resume(&mut self, now: u64) {
        self.resume_forwarded();
        let ids: Vec<ChannelId> = self.channels.keys().copied().collect();
        for id in ids {
            let Some(entry) = self.channels.get_mut(&id) else {
                continue;
            };
            entry.channel.resume();
            let assets: Vec<Asset> = entry.channel.assets().collect();
            for asset in assets {
                self.put_collateral(id, asset);
            }
            self.touch(id);
        }
        let mut incoming = Vec::new();
        let mut outgoing = Vec::new();
        for (id, entry) in &self.channels {
            incoming.extend(entry.channel.incoming_locks().map(|lock| (*id, lock)));
        }
        for (from, to) in &self.outgoing_of {
            outgoing.push((*from, *to));
        }
        for (from, to) in outgoing {
            self.note_pending(from);
            let standing = self
                .channels
                .get(&to.0)
                .is_some_and(|entry| entry.channel.lock(&to.1).is_some() || entry.channel.still_counts(&to.1));
            let evidence = self.evidence_of(&to, &from);
            if let Some(entry) = self.channels.get_mut(&from.0)
                && let Some(evidence) = evidence
            {
                let _ = entry.channel.learn(&from.1, &evidence);
            }
            self.note_revealed(from, now);
            if !standing {
                self.give_back(from, Code::PayeeDeclined);
            }
        }
        for lock in incoming {
            let given_up = self.channels.get(&lock.0).is_some_and(|entry| entry.channel.has_given_up(&lock.1));
            if !given_up && !self.outgoing_of.contains_key(&lock) && !self.ending.contains_key(&lock) {
                // Nobody is connected yet, so this holds it for its payee or gives it back.
                self.forward(lock, now);
            }
        }
    }

    pub(crate) fn incoming(&self, (channel, lock): &ChannelLock) -> Option<PendingLock> {
        self.channels.get(channel)?.channel.lock(lock).cloned()
    }

    /// Evidence that the payee showed, for the payer's lock of the same pair.
    fn evidence_of(&self, outgoing: &ChannelLock, incoming: &ChannelLock) -> Option<alloy_primitives::Bytes> {
        let key = self.incoming(incoming)?.lock.key;
        let known = self.channels.get(&outgoing.0)?.channel.known(&key)?;
        (!known.evidence.is_empty()).then(|| known.evidence.clone())
    }
}
