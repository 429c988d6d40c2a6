//! Streams between payer and payee: a payer learns when its payee's side stands, so that it shows no word to somebody
//! who can't claim it; and a payee learns that a payer wants the rest of a stream back.

use super::{ChannelLock, Hub};
use crate::condition::Kind;
use crate::lane::LockRef;
use crate::proof::LaneId;
use crate::types::ChannelId;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Outgoing locks of streams that their payees have not accepted yet, with the incoming ones, by the payee's channel.
pub(crate) type Unaccepted = BTreeMap<ChannelId, BTreeMap<LockRef, ChannelLock>>;

/// Outgoing locks whose payers asked for the rest, by the payee's channel: until they are gone, since what was said may
/// have been lost.
pub(crate) type AskedBack = BTreeMap<ChannelId, BTreeSet<LockRef>>;

impl Hub {
    /// An outgoing lock was signed.
    pub(crate) fn note_forwarded(&mut self, incoming: ChannelLock, (payee, lock): ChannelLock) {
        if self.is_stream(&incoming) {
            self.unaccepted.entry(payee).or_default().insert(lock, incoming);
        }
    }

    /// A payee has accepted all that we signed in a lane up to a nonce.
    pub(crate) fn note_accepted(&mut self, payee: ChannelId, lane: LaneId, nonce: u64) {
        let Some(waiting) = self.unaccepted.get_mut(&payee) else { return };
        let stands = |lock: &LockRef| lock.lane == lane && lock.placed <= nonce;
        let accepted: Vec<(LockRef, ChannelLock)> =
            waiting.iter().filter(|(lock, _)| stands(lock)).map(|(lock, incoming)| (*lock, *incoming)).collect();
        waiting.retain(|lock, _| !stands(lock));
        if waiting.is_empty() {
            self.unaccepted.remove(&payee);
        }
        for (lock, incoming) in accepted {
            // What was refused meanwhile has a nonce that is accepted all the same, in another proof.
            let is_there = self.channels.get(&payee).is_some_and(|entry| entry.channel.lock(&lock).is_some());
            if is_there && self.outgoing_of.get(&incoming) == Some(&(payee, lock)) {
                self.tell_forwarded(&incoming);
                // Before that the payee did not know what it was asked for.
                if self.asked_back.get(&payee).is_some_and(|asked| asked.contains(&lock)) {
                    self.pass_cancel(&incoming);
                }
            }
        }
    }

    /// After a restart: which of a payee's locks it has accepted is in its lane.
    pub(crate) fn resume_forwarded(&mut self) {
        let pairs: Vec<(ChannelLock, ChannelLock)> = self.outgoing_of.iter().map(|(from, to)| (*from, *to)).collect();
        for (incoming, (payee, lock)) in pairs {
            let accepted = self.channels.get(&payee).map_or(0, |entry| entry.channel.accepted_nonce(lock.lane.asset));
            if lock.placed > accepted {
                self.note_forwarded(incoming, (payee, lock));
            }
        }
    }

    /// A payer is back: it may have missed what was told.
    pub(crate) fn repeat_forwarded(&mut self, payer: ChannelId) {
        let Some(entry) = self.channels.get(&payer) else { return };
        let locks: Vec<ChannelLock> = entry.channel.incoming_locks().map(|lock| (payer, lock)).collect();
        for incoming in locks {
            let Some((payee, lock)) = self.outgoing_of.get(&incoming).copied() else { continue };
            let waits = self.unaccepted.get(&payee).is_some_and(|waiting| waiting.contains_key(&lock));
            let stands = self.channels.get(&payee).is_some_and(|entry| entry.channel.lock(&lock).is_some());
            if stands && !waits && self.is_stream(&incoming) {
                self.tell_forwarded(&incoming);
            }
        }
    }

    /// A payee is back: it may not have heard what was asked of it.
    pub(crate) fn repeat_cancels(&mut self, payee: ChannelId) {
        let Some(entry) = self.channels.get_mut(&payee) else { return };
        if let Some(asked) = self.asked_back.get_mut(&payee) {
            asked.retain(|lock| entry.channel.ask_cancel(lock).is_ok());
        }
    }

    /// A payer asks for the rest of a stream: its payee alone can give it.
    pub(crate) fn pass_cancel(&mut self, incoming: &ChannelLock) {
        if !self.is_stream(incoming) {
            return;
        }
        let Some((payee, lock)) = self.outgoing_of.get(incoming).copied() else { return };
        self.touch(payee);
        let Some(entry) = self.channels.get_mut(&payee) else { return };
        // It may be gone already.
        if entry.channel.ask_cancel(&lock).is_ok() {
            self.asked_back.entry(payee).or_default().insert(lock);
        }
    }

    /// An outgoing lock was signed whose payer has asked for the rest: its payee is asked when it has it.
    pub(crate) fn note_asked_early(&mut self, incoming: &ChannelLock, (payee, lock): ChannelLock) {
        if self.asked_early.remove(incoming) && self.is_stream(incoming) {
            self.asked_back.entry(payee).or_default().insert(lock);
        }
    }

    /// A pair is over.
    pub(crate) fn forget_forwarded(&mut self, (payee, lock): &ChannelLock) {
        if let Some(waiting) = self.unaccepted.get_mut(payee) {
            waiting.remove(lock);
        }
        if let Some(asked) = self.asked_back.get_mut(payee) {
            asked.remove(lock);
        }
    }

    fn tell_forwarded(&mut self, incoming: &ChannelLock) {
        self.touch(incoming.0);
        if let Some(entry) = self.channels.get_mut(&incoming.0) {
            entry.channel.tell_forwarded(&incoming.1);
        }
    }

    fn is_stream(&self, incoming: &ChannelLock) -> bool {
        self.incoming(incoming).is_some_and(|pending| pending.condition.kind() != Kind::HashLock)
    }
}
