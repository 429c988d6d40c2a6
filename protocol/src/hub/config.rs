//! What a hub is: its terms and its limits.

use super::{BacklogLimits, RelayLimits, StrangerLimits};
use crate::amount::Amount;
use crate::channel::{FirstHop, Policy};
use crate::eip712::Domain;
use crate::types::Asset;
use alloc::collections::BTreeMap;
use alloy_primitives::Address;

/// Longest envelope that is forwarded, in bytes: a letter with the longest memo has 361.
const MAX_ENVELOPE: usize = 512;

/// Locks of a lane that the hub gave back and the payer has not released.
const MAX_GIVEN_UP: usize = 256;

/// What the hub allows and puts in, for one asset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AssetPolicy {
    /// Most that a client may deposit into one channel.
    pub channel_capacity: Amount,
    /// Least that a payment may be.
    pub min_payment: Amount,
    /// Most that a payment may be.
    pub max_payment: Amount,
    /// What the hub puts in once a client's deposit is confirmed.
    pub collateral: Amount,
    /// The same, at most so many times what the client itself has in the channel.
    pub collateral_per_stake: u32,
    /// Most that the hub has in one channel at a time; only what clients paid it may be more.
    pub max_collateral: Amount,
    /// Most that the hub's deposits in all channels whose client is not being paid may be together.
    pub max_idle_collateral: Amount,
    /// Seconds without a payment to the client after which what the hub has there is idle.
    pub idle_after: u64,
    /// Least that is asked back, of what is above the collateral for the client's stake.
    pub min_reclaim: Amount,
    /// Seconds of a client's absence after which it is fetched by an exit.
    pub exit_after: u64,
    /// Least that is worth an exit.
    pub min_exit: Amount,
    /// Least that a withdrawal or closing has to pay out for the hub to send it at its gas; none: it sends none.
    pub min_relayed: Option<Amount>,
    /// Most that the hub has at a time in the channel of a client without a deposit; zero: it puts in nothing there.
    pub stranger_collateral: Amount,
    /// Most that it puts in for all of them in a day.
    pub stranger_day: Amount,
}

impl Default for AssetPolicy {
    /// Nothing is allowed and nothing is put in, for nobody; nothing is asked back, and what clients want sent is sent.
    fn default() -> Self {
        Self {
            channel_capacity: Amount::ZERO,
            min_payment: Amount::ZERO,
            max_payment: Amount::ZERO,
            collateral: Amount::ZERO,
            collateral_per_stake: 1,
            max_collateral: Amount::ZERO,
            max_idle_collateral: Amount::MAX,
            idle_after: u64::MAX,
            min_reclaim: Amount::ZERO,
            exit_after: u64::MAX,
            min_exit: Amount::MAX,
            min_relayed: Some(Amount::ZERO),
            stranger_collateral: Amount::ZERO,
            stranger_day: Amount::ZERO,
        }
    }
}

/// What a hub is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HubConfig {
    /// Chain and contract.
    pub domain: Domain,
    /// The account that funds the hub's sides.
    pub owner: Address,
    /// What it accepts in each channel. What follows from the assets is filled in.
    pub policy: Policy,
    /// What it allows, by asset.
    pub assets: BTreeMap<Asset, AssetPolicy>,
    /// Least and most seconds of a challenge period.
    pub challenge_period: (u32, u32),
    /// What it may have in flight.
    pub backlog: BacklogLimits,
    /// What it sends for its clients.
    pub relay: RelayLimits,
    /// What it spends on gas for clients without a deposit.
    pub strangers: StrangerLimits,
}

impl HubConfig {
    /// What the hub accepts in a channel.
    pub(crate) fn channel_policy(&self) -> Policy {
        let relayed = self.assets.iter().filter_map(|(asset, policy)| Some((*asset, policy.min_relayed?)));
        let first_hop = FirstHop {
            least: self.assets.iter().map(|(asset, policy)| (*asset, policy.min_payment)).collect(),
            max_envelope: MAX_ENVELOPE,
            max_given_up: MAX_GIVEN_UP,
        };
        Policy { relay_least: relayed.collect(), first_hop: Some(first_hop), ..self.policy.clone() }
    }
}
