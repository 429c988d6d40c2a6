//! The table `[gas]`: what may be spent on transactions.

use super::raw::Listed;
use crate::chain::{GasPolicy, MaxCost, Price, RESERVE_GAS};
use alloy_primitives::U256;
use anyhow::{Result, ensure};
use farthing_protocol::ETH;
use farthing_protocol::amount::Amount;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What may be spent on transactions, in wei.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the table in README.md describes the options")]
pub struct Spending {
    #[serde(deserialize_with = "wei")]
    pub price: Option<Amount>,
    #[serde(deserialize_with = "wei")]
    pub reserve: Option<Amount>,
    #[serde(deserialize_with = "wei")]
    pub max_fee_per_gas: Option<Amount>,
    #[serde(deserialize_with = "wei")]
    pub max_priority_fee_per_gas: Option<Amount>,
    #[serde(deserialize_with = "wei")]
    pub floor: Option<Amount>,
    #[serde(deserialize_with = "wei")]
    pub max_cost_protect: Option<Amount>,
    #[serde(deserialize_with = "wei")]
    pub max_cost_collect: Option<Amount>,
    #[serde(deserialize_with = "wei")]
    pub max_cost_fund: Option<Amount>,
    #[serde(deserialize_with = "wei")]
    pub max_cost_serve: Option<Amount>,
}

/// A number of the environment is one of TOML, as long as it is below 2^63.
fn wei<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Amount>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Wei {
        Number(u64),
        Text(String),
    }
    match Wei::deserialize(deserializer)? {
        Wei::Number(number) => Ok(Some(Amount::new(number.into()))),
        Wei::Text(text) => Amount::parse(&text).map(Some).map_err(serde::de::Error::custom),
    }
}

impl Spending {
    /// What a sender has to know, with the prices of these assets.
    pub(crate) fn check<'a>(
        &self,
        is_development: bool,
        assets: impl Iterator<Item = &'a Listed>,
    ) -> Result<GasPolicy> {
        let mut prices = BTreeMap::new();
        for Listed { address, symbol, decimals, price, .. } in assets {
            let Some(price) = price else { continue };
            ensure!(*address != ETH, "price ({symbol}): ETH needs none");
            ensure!(!price.is_zero(), "price ({symbol}): must be above zero; leave it out if it is not known");
            prices.insert(*address, Price { wei: price.units(), decimals: *decimals });
        }
        let defaults = GasPolicy::default();
        let or = |given: Option<Amount>, default: u128| given.map_or(default, Amount::units);
        let max_fee = or(self.max_fee_per_gas, defaults.max_fee);
        let max_priority_fee = or(self.max_priority_fee_per_gas, defaults.max_priority_fee.min(max_fee));
        ensure!(max_fee > 0, "gas.max_fee_per_gas: must be above zero");
        ensure!(max_priority_fee <= max_fee, "gas.max_priority_fee_per_gas: must not be above gas.max_fee_per_gas");
        let costs = MaxCost::default();
        let max_cost = MaxCost {
            protect: or(self.max_cost_protect, costs.protect),
            collect: or(self.max_cost_collect, costs.collect),
            fund: or(self.max_cost_fund, costs.fund),
            serve: or(self.max_cost_serve, costs.serve),
        };
        ensure!(max_cost.protect > 0, "gas.max_cost_protect: must be above zero, or nothing is protected");
        // Numbers of 128 bits; the product fits 256.
        let reserve = U256::from(RESERVE_GAS).saturating_mul(U256::from(max_fee));
        Ok(GasPolicy {
            reserve: self.reserve.map_or(reserve, |reserve| U256::from(reserve.units())),
            max_fee,
            max_priority_fee,
            max_cost,
            // Development chains deal in sums that are not worth any gas.
            floor: or(self.floor, if is_development { 10_000_000_000_000_000 } else { defaults.floor }),
            prices,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<GasPolicy> {
        toml::from_str::<Spending>(text)?.check(false, std::iter::empty())
    }

    #[test]
    fn the_reserve_follows_from_the_highest_fee_unless_it_is_given() {
        let gwei = 1_000_000_000_u128;
        assert_eq!(read("").unwrap().reserve, U256::from(5_000_000 * 100 * gwei));
        assert_eq!(read("max_fee_per_gas = 2000000000").unwrap().reserve, U256::from(5_000_000 * 2 * gwei));
        assert_eq!(read("reserve = \"7\"").unwrap().reserve, U256::from(7), "as text");
        assert_eq!(read("reserve = 7").unwrap().reserve, U256::from(7), "as the environment gives it");
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let refusal = |text: &str| format!("{:#}", read(text).unwrap_err());
        assert!(refusal("max_fee_per_gas = 0").contains("gas.max_fee_per_gas: must be above zero"));
        let above = "max_fee_per_gas = 1\nmax_priority_fee_per_gas = 2";
        assert!(refusal(above).contains("gas.max_priority_fee_per_gas: must not be above"));
        assert!(refusal("max_cost_protect = 0").contains("gas.max_cost_protect"));
        assert!(refusal("reserve = \"a lot\"").contains("reserve"));
    }
}
