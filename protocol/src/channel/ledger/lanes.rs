//! Both lanes of every asset, for whoever asks about their locks, keys and proofs.

use super::Ledger;
use crate::amount::Amount;
use crate::chain::AssetStatus;
use crate::channel::{AssetBook, OldLock, Refused, State};
use crate::condition::{ConditionKey, Kind};
use crate::lane::{LockRef, PendingLock};
use crate::proof::{LaneId, SignedProof};
use crate::sign::Signature;
use crate::types::{Asset, Sides};
use alloc::vec::Vec;

impl Ledger {
    /// A lock in either lane, by its name.
    pub(crate) fn lock(&self, name: &LockRef) -> Option<&PendingLock> {
        let book = self.state.assets.get(&name.lane.asset)?;
        let lane = if name.lane.payer == self.us { &book.out.lane } else { &book.inc.lane };
        lane.locks.get(&name.slot).filter(|pending| pending.placed == name.placed)
    }

    /// Names of all locks in the lane that we are paid with.
    pub(crate) fn incoming_locks(&self) -> impl Iterator<Item = LockRef> + '_ {
        self.state.assets.iter().flat_map(move |(asset, book)| {
            book.inc.lane.locks.iter().map(move |(slot, pending)| LockRef {
                lane: self.their_lane(*asset),
                placed: pending.placed,
                slot: *slot,
            })
        })
    }

    /// Whether a lock of ours that is gone from the newest proof could still be claimed with an older one.
    pub(crate) fn still_counts(&self, lock: &LockRef) -> bool {
        self.book(lock.lane.asset).is_some_and(|book| {
            let is_it = |old: OldLock| old.placed == lock.placed && old.slot == lock.slot;
            book.out.refused.iter().any(|refused| refused.lock.is_some_and(is_it))
        })
    }

    /// Whether we gave the rest of an incoming lock up.
    pub(crate) fn has_given_up(&self, lock: &LockRef) -> bool {
        self.book(lock.lane.asset).is_some_and(|book| book.inc.given_up.contains(&(lock.placed, lock.slot)))
    }

    /// The locks that we pay with and that have this key, and the units that `units` prove of each.
    pub(crate) fn our_locks(&self, key: ConditionKey, units: u32) -> Vec<(LockRef, u32)> {
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

    /// Whether a lock of ours has this key, in the newest proof or in one that still counts.
    pub(crate) fn has_live_key(&self, key: ConditionKey) -> bool {
        self.state.assets.values().any(|book| {
            book.out.lane.slots_of(&key).next().is_some()
                || book.out.refused.iter().any(|refused| refused.lock.is_some_and(|lock| lock.key == key))
        })
    }

    /// Whether evidence for this key can matter to a lock of the peer's, or to one of ours that is gone and still counts.
    pub(crate) fn is_concerned(&self, key: ConditionKey) -> bool {
        self.state.assets.values().any(|book| {
            book.inc.lane.slots_of(&key).next().is_some()
                || book.out.refused.iter().any(|refused| refused.lock.is_some_and(|lock| lock.key == key))
        })
    }

    /// Keys of all locks whose recorded units have to be read after their expiry, with that.
    pub(crate) fn keys_to_decide(&self) -> impl Iterator<Item = (ConditionKey, u64)> + '_ {
        self.state.assets.values().flat_map(|book| {
            // What we gave up may be released whatever the chain says: looking it up would be a stranger's to order.
            let given_up = |slot: u16, placed: u64| book.inc.given_up.contains(&(placed, slot));
            let incoming = book.inc.lane.locks.iter().filter(move |(slot, pending)| !given_up(**slot, pending.placed));
            let pending = book.out.lane.locks.values().chain(incoming.map(|(_, pending)| pending));
            let pending = pending.map(|pending| (pending.lock.key, pending.expiry));
            pending
                .chain(book.out.refused.iter().filter_map(|refused| refused.lock).map(|lock| (lock.key, lock.expiry)))
        })
    }

    /// Keys of all locks that evidence could matter for.
    pub(crate) fn live_keys(&self) -> impl Iterator<Item = ConditionKey> + '_ {
        self.state.assets.values().flat_map(|book| {
            let pending = book.out.lane.locks.values().chain(book.inc.lane.locks.values());
            let refused = book.out.refused.iter().filter_map(|refused| refused.lock).map(|lock| lock.key);
            pending.map(|pending| pending.lock.key).chain(refused)
        })
    }

    /// What is pending in both lanes of all assets.
    pub(crate) fn lock_count(&self) -> usize {
        let locks = |book: &AssetBook| book.out.lane.locks.len().saturating_add(book.inc.lane.locks.len());
        self.state.assets.values().map(locks).sum()
    }

    /// The proofs that protect us: the newest of the peer's lanes, and the newest of ours that the peer acknowledged.
    pub(crate) fn exit_proofs(&self) -> Vec<(LaneId, SignedProof, Option<Signature>)> {
        let mut proofs = Vec::new();
        for (asset, book) in &self.state.assets {
            if book.status != AssetStatus::Open {
                continue;
            }
            // What a bare proof locks can't be claimed without its ops. It is shown if it hands over at least all that
            // the newest one that we have whole could bring.
            let whole = book.inc.lane.spent().unwrap_or(Amount::MAX);
            let bare = book.inc.bare.filter(|bare| bare.proof.nonce > book.inc.accepted_nonce());
            if let Some(signed) = bare.filter(|bare| bare.proof.transferred >= whole) {
                proofs.push((self.their_lane(*asset), signed, None));
            } else if let Some(signed) = book.inc.accepted {
                proofs.push((self.their_lane(*asset), signed, book.inc.acknowledgement));
            }
            if let Some((signed, acknowledgement)) = book.out.acknowledged {
                proofs.push((self.our_lane(*asset), signed, Some(acknowledgement)));
            }
        }
        proofs
    }

    /// What was refused or released and costs nothing any more: its expiry is final, and the chain shows no more units.
    pub(crate) fn lapsed_refusals(&self) -> Vec<(Asset, OldLock, Refused)> {
        let mut ended = Vec::new();
        for (asset, book) in &self.state.assets {
            for refused in &book.out.refused {
                let Some(lock) = refused.lock else { continue };
                if book.out.handed.iter().any(|(placed, slot, _)| (*placed, *slot) == (lock.placed, lock.slot)) {
                    continue;
                }
                let recorded = self.recorded_units(&lock.key);
                if self.is_decided(lock.key, lock.expiry) && recorded <= lock.redeemed {
                    ended.push((*asset, lock, *refused));
                }
            }
        }
        ended
    }

    /// Locks that the peer has not redeemed though their evidence is on chain and their expiry is long past.
    pub(crate) fn unpaid_locks(&self, patience: u64) -> Vec<LockRef> {
        let mut unpaid = Vec::new();
        for (asset, book) in self.state.assets.iter().filter(|(_, book)| book.status == AssetStatus::Open) {
            for (slot, pending) in &book.inc.lane.locks {
                let owed = self.recorded_units(&pending.lock.key).min(pending.lock.n) > pending.lock.redeemed;
                // Whoever pays by a hash lock is there when the secret comes, or back within its expiry; the payer of a stream
                // may sleep.
                let patience = if pending.condition.kind() == Kind::HashLock { 0 } else { patience };
                let grace = pending.expiry.saturating_add(patience.max(self.policy.safety_margin));
                if owed && self.is_finally_past(grace) {
                    unpaid.push(LockRef { lane: self.their_lane(*asset), placed: pending.placed, slot: *slot });
                }
            }
        }
        unpaid
    }

    /// Whether the chain holds nothing of it, neither side has signed anything in it that we know of, and there is no
    /// exit: who forgets such a channel loses nothing.
    pub(crate) fn is_blank(&self) -> bool {
        let State { assets, evidence, exit, outdated, leaving, restored } = &self.state;
        let blank = |book: &AssetBook| {
            let AssetBook { deposits, withdrawn, status, out, inc, withdrawals, closing, shown, claimed } = book;
            let chain = *deposits != Sides::default() || *withdrawn != Sides::default() || *status != AssetStatus::Open;
            let proofs = out.highest > 0 || out.accepted.is_some() || inc.seen > 0 || inc.accepted.is_some();
            let agreed = !withdrawals.is_empty() || closing.is_some();
            !chain && !proofs && inc.bare.is_none() && !agreed && shown.is_none() && claimed.is_empty()
        };
        !outdated && !leaving && !restored && exit.is_none() && evidence.is_empty() && assets.values().all(blank)
    }

    /// Whether no asset has a lock, anything that was signed and may still be mined or shown in another way than it is
    /// known, or anything to sign.
    pub(crate) fn is_quiet(&self) -> bool {
        let quiet = |book: &AssetBook| {
            let AssetBook { out, inc, withdrawals, closing, status, .. } = book;
            let locks = !out.lane.locks.is_empty() || !inc.lane.locks.is_empty();
            let signing = !out.refused.is_empty() || !out.in_flight.is_empty() || out.rebase;
            let lapsing = !withdrawals.is_empty() || (closing.is_some() && *status == AssetStatus::Open);
            !locks && !signing && !lapsing
        };
        self.state.assets.values().all(quiet)
    }
}
