//! What the hub does for owners of tokens who have no ETH: the part of `[relay]` that is about deposits.

use super::raw::{Listed, Relay};
use crate::chain::GasPolicy;
use alloy_primitives::{Address, U256};
use anyhow::{Result, bail, ensure};
use farthing_protocol::{Amount, Asset, ETH};
use std::collections::BTreeMap;

/// Gas of a deposit through the relay, about; what is spent on one is bounded by what it really takes.
pub const DEPOSIT_GAS: u64 = 300_000;
/// Deposits a day that the default budget pays for.
const DEPOSITS: u128 = 100;
/// Deposits a day of one owner, by default.
const PER_OWNER: u32 = 5;

/// What deposits are sent, and at what cost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deposits {
    /// The contract `DepositRelay`.
    pub contract: Address,
    /// What is taken for one, in each token.
    pub fees: BTreeMap<Asset, Amount>,
    /// Wei for each gas; while it costs more, none is sent.
    pub max_fee: u128,
    /// Wei for all of a day.
    pub day: Amount,
    /// Of one owner in a day.
    pub per_owner: u32,
    /// Questions of one origin in a minute.
    pub per_minute: u32,
    /// Wei that the account keeps for what protects money.
    pub reserve: U256,
}

/// Nothing if the hub sends none.
pub(super) fn check<'a>(
    relay: &Relay,
    assets: impl Iterator<Item = &'a Listed>,
    price: Amount,
    gas: &GasPolicy,
    development: bool,
) -> Result<Option<Deposits>> {
    let listed = assets.filter_map(|asset| Some((asset.address, asset.symbol.as_str(), asset.deposit_fee?)));
    let mut fees = BTreeMap::new();
    for (address, symbol, fee) in listed {
        ensure!(address != ETH, "deposit_fee ({symbol}): who has ETH needs nobody to send a deposit");
        fees.insert(address, fee);
    }
    let Some(contract) = relay.contract else {
        if let Some(asset) = fees.keys().next() {
            bail!("deposit_fee ({asset}): needs [relay] contract, which sends deposits");
        }
        return Ok(None);
    };
    ensure!(!contract.is_zero(), "relay.contract: the zero address is no contract");
    ensure!(!fees.is_empty(), "relay.contract: give at least one token a deposit_fee, or leave it out");
    // Three times what is reckoned with, so that a quiet day's price is not the end of it.
    let usual = if development { gas.max_fee } else { price.units().saturating_mul(3).min(gas.max_fee) };
    let max_fee = relay.max_fee_per_gas.map_or(usual, Amount::units);
    ensure!(max_fee > 0, "relay.max_fee_per_gas: must be above zero");
    ensure!(max_fee <= gas.max_fee, "relay.max_fee_per_gas: must not be above gas.max_fee_per_gas");
    let times = if development { DEPOSITS.saturating_mul(1_000) } else { DEPOSITS };
    let day = u128::from(DEPOSIT_GAS).saturating_mul(max_fee).saturating_mul(times);
    let per_owner = relay.deposits_per_owner.unwrap_or(if development { 1_000 } else { PER_OWNER });
    let per_minute = relay.deposits_per_minute.unwrap_or(if development { 6_000 } else { 10 });
    ensure!(per_owner > 0 && per_minute > 0, "relay: deposits_per_owner and deposits_per_minute must be at least 1");
    let day = relay.deposit_gas_per_day.unwrap_or(Amount::new(day));
    Ok(Some(Deposits { contract, fees, max_fee, day, per_owner, per_minute, reserve: gas.reserve }))
}
