//! Collateral: the hub's side of a channel is filled before a payment needs it.

use super::{Hub, HubEffect};
use crate::amount::Amount;
use crate::chain::{AssetStatus, ChainCall};
use crate::error::{Code, Error};
use crate::types::{Asset, ChannelId, Side};
use alloc::format;

impl Hub {
    /// Puts the configured collateral in, once the client's deposit is confirmed.
    pub(crate) fn put_collateral(&mut self, id: ChannelId, asset: Asset) {
        let Some(policy) = self.config.assets.get(&asset).copied() else {
            return;
        };
        let Some(entry) = self.channels.get_mut(&id) else {
            return;
        };
        let Some(book) = entry.channel.book(asset) else {
            return;
        };
        let (client, ours) = (book.deposits.a, book.deposits.b);
        if entry.wanted.get(&asset).is_some_and(|wanted| ours >= *wanted) {
            entry.wanted.remove(&asset);
        }
        if !client.is_zero() && client <= policy.channel_capacity && ours < policy.collateral {
            self.want_deposit(id, asset, policy.collateral);
        }
    }

    /// Puts in as much more as a payment needs, within the limit of the channel.
    pub(crate) fn raise_collateral(&mut self, id: ChannelId, asset: Asset, value: Amount) -> Result<(), Error> {
        let policy = *self.config.assets.get(&asset).ok_or_else(|| Error::from(Code::UnknownAsset))?;
        let entry = self.channels.get(&id).ok_or_else(|| Error::from(Code::UnknownChannel))?;
        let ours = entry.channel.book(asset).map_or(Amount::ZERO, |book| book.deposits.b);
        // Collateral is for those who have a stake themselves, or free channels could tie up all our money.
        let has_stake = entry.channel.state().assets.values().any(|book| !book.deposits.a.is_zero());
        if !has_stake {
            return Err(Code::NoCapacity.into());
        }
        let missing = value.saturating_minus(entry.channel.available_in_our_view(asset));
        if missing.is_zero() {
            // The payee has not seen our deposit yet; there is nothing to add.
            return Ok(());
        }
        let least = ours.plus(missing)?;
        if least > policy.max_collateral {
            return Err(Code::NoCapacity.into());
        }
        // One more step of collateral than needed, so that the next payment does not wait for the chain.
        let total = least.plus(policy.collateral).unwrap_or(policy.max_collateral).min(policy.max_collateral);
        if entry.wanted.get(&asset).is_none_or(|wanted| *wanted < least) {
            self.want_deposit(id, asset, total);
        }
        Ok(())
    }

    fn want_deposit(&mut self, id: ChannelId, asset: Asset, total: Amount) {
        let Some(entry) = self.channels.get_mut(&id) else {
            return;
        };
        let usable = entry.channel.state().exit.is_none()
            && entry.channel.book(asset).is_none_or(|book| book.status == AssetStatus::Open && book.closing.is_none());
        let ours = entry.channel.book(asset).map_or(Amount::ZERO, |book| book.deposits.b);
        let asked = entry.wanted.get(&asset).copied().unwrap_or_default().max(ours);
        let Ok(amount) = total.minus(asked) else {
            return;
        };
        if !usable || amount.is_zero() {
            return;
        }
        entry.wanted.insert(asset, total);
        let call = ChainCall::Deposit { channel: *entry.channel.def(), side: Side::B, asset, amount };
        self.effects.push(HubEffect::Submit { id: format!("{id}/collateral/{asset}/{total}"), channel: id, call });
    }
}
