//! Collateral that lies idle comes back: the hub proposes a withdrawal of what it does not need to the client, whose
//! wallet signs it by itself, since it takes nothing that is the client's. A client that stays away for long, and much
//! that lies in its channel, is left by an exit.
//!
//! Time is looked at once for each channel and asset in `idle_after` seconds, by a list of what is due.

use super::{AssetPolicy, Hub};
use crate::amount::Amount;
use crate::journal::{Write, encode};
use crate::types::{Asset, ChannelId, Side};
use alloc::format;
use alloy_primitives::Bytes;

/// Seconds for which a proposal can be mined.
const DEADLINE: u64 = 1_800;

/// A client that comes back is asked so many seconds later: first it is told what it missed.
const BACK: u64 = 10;

/// Looks at one tick, at most.
const LOOKS: usize = 64;

/// How often it is stored when a client was last there, in seconds.
const STORED_EVERY: u64 = 86_400;

/// What the hub knows of its money of one asset in one channel.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Purse {
    /// What of it counts as idle.
    idle: Amount,
    /// When the client was last paid.
    paid_at: Option<u64>,
    /// When it is looked at next.
    due: Option<u64>,
}

impl Purse {
    fn is_in_use(&self, policy: &AssetPolicy, now: u64) -> bool {
        self.paid_at.is_some_and(|paid_at| paid_at.saturating_add(policy.idle_after) > now)
    }
}

impl Hub {
    /// Deposits of ours in channels whose client is not being paid.
    #[must_use]
    pub fn idle_collateral(&self, asset: Asset) -> Amount {
        self.idle.get(&asset).copied().unwrap_or_default()
    }

    /// How much more may lie idle.
    pub(crate) fn idle_room(&self, asset: Asset) -> Amount {
        let most = self.config.assets.get(&asset).map_or(Amount::ZERO, |policy| policy.max_idle_collateral);
        most.saturating_minus(self.idle_collateral(asset))
    }

    /// The client of a channel was paid: what lies there is in use.
    pub(crate) fn note_paid(&mut self, id: ChannelId, asset: Asset, now: u64) {
        let Some(entry) = self.channels.get_mut(&id) else { return };
        entry.purses.entry(asset).or_default().paid_at = Some(now);
        self.note_money(id, asset);
    }

    /// Counts what lies idle in a channel, and sees to it that it is looked at again.
    pub(crate) fn note_money(&mut self, id: ChannelId, asset: Asset) {
        let now = self.clock;
        let (Some(policy), Some(entry)) = (self.config.assets.get(&asset), self.channels.get_mut(&id)) else { return };
        let (ours, held) = (entry.channel.deposit(asset, Side::B), entry.channel.holding(asset));
        let wanted = entry.wanted.get(&asset).copied().unwrap_or_default();
        let coming = wanted.saturating_minus(ours);
        // What clients paid us is no collateral, and deposits that were paid away are gone.
        let taken = entry.channel.withdrawn_counted(asset, Side::B);
        let left = held.min(ours.saturating_minus(taken)).plus(coming).unwrap_or(Amount::MAX);
        let purse = entry.purses.entry(asset).or_default();
        let idle = if purse.is_in_use(policy, now) { Amount::ZERO } else { left };
        let all = self.idle.entry(asset).or_default();
        *all = all.saturating_minus(purse.idle).plus(idle).unwrap_or(Amount::MAX);
        purse.idle = idle;
        if purse.due.is_none() && !(held.is_zero() && left.is_zero()) {
            let due = now.saturating_add(policy.idle_after.max(1));
            purse.due = Some(due);
            self.due.insert((due, id, asset));
        }
    }

    /// Looks at what is due.
    pub(crate) fn reclaim(&mut self, now: u64) {
        for _ in 0..LOOKS {
            let Some((due, id, asset)) = self.due.first().copied().filter(|(due, ..)| *due <= now) else { return };
            self.due.remove(&(due, id, asset));
            if let Some(purse) = self.channels.get_mut(&id).and_then(|entry| entry.purses.get_mut(&asset)) {
                purse.due = None;
            }
            self.take_back(id, asset, now);
            self.note_money(id, asset);
        }
    }

    /// A client is back: what could not be asked of it is asked soon.
    pub(crate) fn note_back(&mut self, id: ChannelId) {
        let now = self.clock;
        let Some(entry) = self.channels.get_mut(&id) else { return };
        entry.seen = now;
        if !core::mem::take(&mut entry.missed) {
            return;
        }
        for (asset, purse) in &mut entry.purses {
            let Some(due) = purse.due else { continue };
            self.due.remove(&(due, id, *asset));
            let soon = due.min(now.saturating_add(BACK));
            purse.due = Some(soon);
            self.due.insert((soon, id, *asset));
        }
    }

    /// A client is gone: it is stored when that was, about.
    pub(crate) fn note_away(&mut self, id: ChannelId) {
        let now = self.clock;
        let Some(entry) = self.channels.get_mut(&id) else { return };
        entry.seen = now;
        if !entry.channel.is_blank() && now >= entry.seen_stored.saturating_add(STORED_EVERY) {
            entry.seen_stored = now;
            self.gate.write([Write::Put { key: format!("c/{id}/seen"), value: encode(&now) }]);
        }
    }

    /// A channel is forgotten, and what was noted of it.
    pub(crate) fn forget_purses(&mut self, id: ChannelId) {
        let Some(entry) = self.channels.get(&id) else { return };
        for (asset, purse) in &entry.purses {
            if let Some(due) = purse.due {
                self.due.remove(&(due, id, *asset));
            }
            if let Some(all) = self.idle.get_mut(asset) {
                *all = all.saturating_minus(purse.idle);
            }
        }
    }

    /// Asks for what a channel does not need. What can't be asked for, because the client is away for very long, is
    /// fetched by an exit, if it is worth that.
    fn take_back(&mut self, id: ChannelId, asset: Asset, now: u64) {
        let owner = self.config.owner;
        let solvent = self.is_solvent();
        let time = self.head.map_or(now, |head| head.timestamp.max(now));
        let (Some(policy), Some(entry)) = (self.config.assets.get(&asset), self.channels.get_mut(&id)) else { return };
        if !entry.channel.knows(asset) || entry.channel.check_open(asset).is_err() {
            return;
        }
        let in_use = entry.purses.get(&asset).is_some_and(|purse| purse.is_in_use(policy, now));
        // One at a time; and a deposit that is on its way has a payment that waits for it.
        let pending = entry.channel.is_withdrawing(asset, Side::B);
        if in_use || pending || !solvent || entry.wanted.contains_key(&asset) {
            return;
        }
        let target = policy.target(entry.channel.stake(asset, Side::A));
        // What a stranger does not need never grows to more than was put in for it.
        let most = if entry.channel.has_deposit(Side::A) { Amount::MAX } else { policy.stranger_least() };
        let (least, exit_least) = (policy.min_reclaim.min(most).max(Amount::new(1)), policy.min_exit);
        if entry.online && entry.channel.is_synced() {
            let surplus = entry.channel.available(asset).saturating_minus(target);
            if surplus < least {
                return;
            }
            let deadline = time.saturating_add(DEADLINE);
            let nothing = Bytes::new();
            let asked = entry.channel.propose_withdrawal(asset, surplus, owner, nothing, deadline, false, &self.key);
            // It fails only if the channel changed since `available` was asked.
            drop(asked);
            self.touch(id);
            return;
        }
        entry.missed = true;
        let surplus = entry.channel.available_in_our_view(asset).saturating_minus(target);
        let busy = entry.channel.is_busy();
        let away = entry.seen.saturating_add(policy.exit_after) <= now;
        if away && !busy && !surplus.is_zero() && surplus >= exit_least && self.leave(id, now).is_ok() {
            self.touch(id);
        }
    }
}
