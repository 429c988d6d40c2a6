//! Preimages of payments that the chain says were made: units are told by a view, at once; what proved them is in the
//! logs, which not every node gives out.

use super::{Direction, PaymentId, Status, Wallet};
use crate::chain::ChainFact;
use crate::condition::{ConditionKey, Kind, sha256};
use crate::lane::LockRef;
use alloc::vec::Vec;

/// A payment of ours that was made and whose preimage is to be found in the logs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unproven {
    /// Of its condition.
    pub key: ConditionKey,
    /// It was not recorded before this time, Unix seconds.
    pub since: u64,
    /// Nor after this one.
    pub until: u64,
    /// The hash that it is the preimage of.
    hash: [u8; 32],
}

impl Wallet {
    /// Evidence that is worth looking for in the logs; give it as [`ChainFact::Evidence`].
    #[must_use]
    pub fn unproven(&self) -> Vec<Unproven> {
        self.unproven.values().map(|(_, unproven)| *unproven).collect()
    }

    /// The secret of a payment that we made ourselves, by its lock. [10]
    pub(super) fn own_secret(&self, lock: &LockRef) -> Option<[u8; 32]> {
        let PaymentId(id) = self.by_lock.get(lock)?;
        let secret = self.key.as_ref()?.secret("Farthing lock secret", id);
        let condition = &self.channel.lock(lock)?.condition;
        (sha256(&secret) == condition.params.as_ref()).then_some(secret)
    }

    /// Notes that the preimage of a payment is missing, if it is.
    pub(super) fn await_preimage(&mut self, lock: &LockRef) {
        let Some(payment) = self.by_lock.get(lock).and_then(|id| self.payments.get(id)) else { return };
        let Some(pending) = self.channel.lock(lock) else { return };
        let made = payment.direction == Direction::Sent && payment.status == Status::Completed;
        let Ok(hash) = <[u8; 32]>::try_from(pending.condition.params.as_ref()) else { return };
        if made && payment.preimage.is_none() && pending.condition.kind() == Kind::HashLock {
            // What was taken over from the hub is older than the note of it.
            let since = pending.expiry.saturating_sub(self.channel.policy().max_lock_time);
            let unproven = Unproven { key: pending.lock.key, since, until: pending.expiry, hash };
            self.unproven.insert(unproven.key, (payment.id, unproven));
        }
    }

    /// Takes a preimage from the logs. The lock may be gone by then.
    pub(super) fn take_preimage(&mut self, fact: &ChainFact, now: u64) {
        let ChainFact::Evidence { key, evidence, .. } = fact else { return };
        let Some((id, unproven)) = self.unproven.get(key).copied() else { return };
        let Some(preimage) = <[u8; 32]>::try_from(evidence.as_ref()).ok() else { return };
        if sha256(&preimage) == unproven.hash {
            self.unproven.remove(key);
            self.change(id, now, |payment| payment.preimage = Some(preimage));
        }
    }
}
