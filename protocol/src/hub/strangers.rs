//! Payees with nothing: a client without a deposit can be paid, as far as the day's budgets go. The collateral is put in
//! when the first payment comes for it, and comes back when it lies idle; the operator carries the gas of both.
//!
//! A channel costs its maker nothing, and payer and payee may be one. So what strangers can make the hub do is bounded
//! whatever their number: by day its gas and its money, by channel what lies there at a time, for one payer a part of
//! the day's gas, and in all half of what may lie idle, so that clients with a stake keep the other half.

use super::relay::Bucket;
use super::{AssetPolicy, Hub, RELAY_GAS};
use crate::amount::Amount;
use crate::error::{Code, Error};
use crate::types::{Asset, ChannelId};
use alloc::collections::BTreeMap;

/// Gas of putting collateral in and of taking it back, about.
pub const STRANGER_GAS: u64 = 2 * RELAY_GAS;

/// One payer has one part in so many of the day's gas.
const PAYERS: u128 = 4;

/// What is left of a stranger's collateral is asked back when it is one part in so many, or more.
const LEAST_LEFT: u128 = 2;

/// What the hub spends on gas for clients without a deposit, in wei.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StrangerLimits {
    /// What one deposit costs, along with its way back.
    pub cost: Amount,
    /// Most in a day, for all.
    pub day: Amount,
}

impl StrangerLimits {
    /// A payer can always have one deposit, if all can.
    fn payer_day(&self) -> Amount {
        Amount::new(self.day.units().div_euclid(PAYERS)).max(self.cost)
    }
}

/// What was put in lately.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    gas: Bucket,
    /// Only of payers with something spent: as many as fit into a day's budget.
    by_payer: BTreeMap<ChannelId, Bucket>,
    money: BTreeMap<Asset, Bucket>,
}

impl AssetPolicy {
    pub(super) const fn stranger_least(&self) -> Amount {
        Amount::new(self.stranger_collateral.units().div_euclid(LEAST_LEFT))
    }
}

impl Hub {
    /// Up to which total a stranger's channel is filled: `least` is needed, and as much of the rest as the budgets hold
    /// saves the next payments their wait and their gas.
    pub(crate) fn stranger_total(
        &self,
        payer: ChannelId,
        asset: Asset,
        asked: Amount,
        least: Amount,
        most: Amount,
    ) -> Result<Amount, Error> {
        let policy = *self.config.assets.get(&asset).ok_or_else(|| Error::from(Code::UnknownAsset))?;
        let (limits, now) = (self.config.strangers, self.clock);
        let own = self.strangers.by_payer.get(&payer).copied().unwrap_or_default();
        let gas = self.strangers.gas.has(limits.cost, limits.day, now) && own.has(limits.cost, limits.payer_day(), now);
        let money = self.strangers.money.get(&asset).copied().unwrap_or_default();
        let left = policy.stranger_day.saturating_minus(money.spent(policy.stranger_day, now));
        let kept = Amount::new(policy.max_idle_collateral.units().div_euclid(2));
        let room = left.min(self.idle_room(asset).saturating_minus(kept));
        let total = most.min(asked.plus(room).unwrap_or(Amount::MAX));
        if gas && least <= total && limits.day >= limits.cost { Ok(total) } else { Err(Code::PayeeUnfunded.into()) }
    }

    pub(crate) fn charge_stranger(&mut self, payer: ChannelId, asset: Asset, amount: Amount) {
        let (limits, now) = (self.config.strangers, self.clock);
        let day = self.config.assets.get(&asset).map_or(Amount::ZERO, |policy| policy.stranger_day);
        self.strangers.money.entry(asset).or_default().spend(amount, day, now);
        self.strangers.gas.spend(limits.cost, limits.day, now);
        let payer_day = limits.payer_day();
        self.strangers.by_payer.retain(|_, bucket| !bucket.spent(payer_day, now).is_zero());
        self.strangers.by_payer.entry(payer).or_default().spend(limits.cost, payer_day, now);
    }
}
