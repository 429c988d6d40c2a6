//! Collateral: the hub's side of a channel is filled before a payment needs it.
//!
//! Bounded three times, and in another way where the client has no stake (`strangers.rs`): by what the client has in
//! the channel itself, for what is put in without a payment; by `max_collateral`, for what lies in one channel at a
//! time, whatever was paid and taken out of it before; and by `max_idle_collateral`, for all channels whose client is
//! not being paid. `reclaim.rs` takes back what lies idle.

use super::{AssetPolicy, Hub, HubEffect};
use crate::amount::Amount;
use crate::chain::{AssetStatus, ChainCall, Purpose};
use crate::channel::CallId;
use crate::error::{Code, Error};
use crate::types::{Asset, ChannelId, Side};

/// A deposit without a payment is at least one part in so many of the collateral: less is not worth its gas.
const LEAST_STEP: u128 = 16;

/// The contract's deposits of a side stay below this, for the channel's life.
const MAX_DEPOSITS: u128 = 1 << 120;

impl AssetPolicy {
    /// What the hub puts in for a client with so much in the channel, payment or not.
    #[must_use]
    pub fn target(&self, stake: Amount) -> Amount {
        match self.collateral_per_stake {
            u32::MAX if !stake.is_zero() => self.collateral,
            times => stake.times(times).unwrap_or(Amount::MAX).min(self.collateral),
        }
    }

    fn least_step(&self) -> Amount {
        Amount::new(self.collateral.units().div_euclid(LEAST_STEP))
    }
}

impl Hub {
    /// Puts the configured collateral in, once the client's deposit is confirmed.
    pub(crate) fn put_collateral(&mut self, id: ChannelId, asset: Asset) {
        let Some(policy) = self.config.assets.get(&asset).copied() else {
            return;
        };
        let Some(entry) = self.channels.get_mut(&id).filter(|entry| entry.channel.knows(asset)) else {
            return;
        };
        let (client, ours) = (entry.channel.deposit(asset, Side::A), entry.channel.deposit(asset, Side::B));
        let target = policy.target(entry.channel.stake(asset, Side::A));
        if entry.wanted.get(&asset).is_some_and(|wanted| ours >= *wanted) {
            entry.wanted.remove(&asset);
        }
        self.note_money(id, asset);
        let more = target.saturating_minus(ours);
        let room = more <= self.idle_room(asset);
        if client <= policy.channel_capacity && !more.is_zero() && more >= policy.least_step() && room {
            self.want_deposit(id, asset, target);
        }
    }

    /// Puts in as much more as a payer's payment needs, within the limits.
    pub(crate) fn raise_collateral(
        &mut self,
        payer: ChannelId,
        id: ChannelId,
        asset: Asset,
        value: Amount,
    ) -> Result<(), Error> {
        let policy = *self.config.assets.get(&asset).ok_or_else(|| Error::from(Code::UnknownAsset))?;
        let entry = self.channels.get(&id).ok_or_else(|| Error::from(Code::UnknownChannel))?;
        // Who has no stake gets what the day's budget for strangers holds, or free channels could tie up all our money.
        let is_stranger = !entry.channel.has_deposit(Side::A);
        let missing = value.saturating_minus(entry.channel.available_in_our_view(asset));
        if missing.is_zero() {
            // The payee has not seen our deposit yet; there is nothing to add.
            return Ok(());
        }
        let (ours, stake) = (entry.channel.deposit(asset, Side::B), entry.channel.stake(asset, Side::A));
        let asked = entry.wanted.get(&asset).copied().unwrap_or_default().max(ours);
        let least = ours.plus(missing)?;
        let most = if is_stranger { policy.stranger_collateral } else { policy.max_collateral };
        let allowed = most.saturating_minus(entry.channel.holding(asset));
        if missing > allowed || least.units() >= MAX_DEPOSITS {
            return Err(if is_stranger { Code::PayeeUnfunded } else { Code::NoCapacity }.into());
        }
        // What was asked for before may never be mined: a payment would wait for it until it is too late.
        if !self.is_solvent() {
            return Err(Code::HubUnfunded.into());
        }
        if asked >= least {
            return Ok(());
        }
        let room = asked.plus(self.idle_room(asset)).unwrap_or(Amount::MAX);
        if is_stranger {
            let most = ours.plus(allowed).unwrap_or(Amount::MAX).min(Amount::new(MAX_DEPOSITS.saturating_sub(1)));
            let total = self.stranger_total(payer, asset, asked, least, most)?;
            if self.want_deposit(id, asset, total) {
                self.charge_stranger(payer, asset, total.saturating_minus(asked));
            }
            return Ok(());
        }
        if least > room {
            return Err(Error::new(Code::NoCapacity, "too much of the hub's money waits for payments"));
        }
        // A step of collateral more than needed, so that the next payment does not wait for the chain, nor cost its gas.
        let step = policy.target(stake).max(policy.least_step());
        let most = ours.plus(allowed).unwrap_or(Amount::MAX).min(room).min(Amount::new(MAX_DEPOSITS.saturating_sub(1)));
        self.want_deposit(id, asset, least.plus(step).unwrap_or(most).min(most));
        Ok(())
    }

    /// Whether the deposit is on its way now.
    fn want_deposit(&mut self, id: ChannelId, asset: Asset, total: Amount) -> bool {
        if !self.is_solvent() {
            return false;
        }
        let Some(entry) = self.channels.get_mut(&id) else {
            return false;
        };
        let is_open = entry.channel.on_chain(asset).status == AssetStatus::Open && !entry.channel.is_closing(asset);
        let usable = entry.channel.exit_ends_at().is_none() && is_open;
        let ours = entry.channel.deposit(asset, Side::B);
        let asked = entry.wanted.get(&asset).copied().unwrap_or_default().max(ours);
        let Ok(amount) = total.minus(asked) else {
            return false;
        };
        if !usable || amount.is_zero() {
            return false;
        }
        entry.wanted.insert(asset, total);
        let call = ChainCall::Deposit { channel: *entry.channel.def(), side: Side::B, asset, amount };
        let name = CallId::collateral(id, asset, total);
        let purpose = Purpose::Fund { asset, amount };
        self.gate.decide([HubEffect::Submit { id: name, channel: id, call, purpose }]);
        self.note_money(id, asset);
        true
    }
}
