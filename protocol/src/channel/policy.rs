//! What a participant accepts. Each side has its own; the hub tells its clients what it accepts.

use crate::amount::Amount;
use crate::condition::Condition;
use crate::gas;
use crate::map::{Map, Set};
use crate::types::Asset;
use alloc::vec::Vec;
use alloy_primitives::Address;

/// Updates that may be in flight at once, unless somebody says otherwise.
pub(crate) const WINDOW: usize = 8;

/// What an asset's dust is, and how much of it may be pending.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dust {
    /// What recording one preimage costs: less is not worth it, nor so small a share its settlement.
    pub threshold: Amount,
    /// Most that pending dust locks of a lane may be worth together.
    pub cap: Amount,
}

impl Dust {
    /// Below which amount it is not worth recording evidence that proves `units`; with all units, any evidence.
    ///
    /// The threshold is the price of a preimage, which takes [`gas::PREIMAGE`]. The evidence of a hash chain takes
    /// [`gas::CHAIN_UNIT`] more for each unit: `threshold * (50,000 + 53 * units) / 50,000`, rounded up. So 1,000
    /// units of a stream cost as much as 2.06 preimages, and the longest chain, 16,384 units, as much as 18.4.
    #[must_use]
    pub fn least(&self, condition: &Condition, units: u32) -> Amount {
        let (surplus, base) = (u128::from(gas::surplus(condition, units)), u128::from(gas::PREIMAGE));
        // Divided first, so that it does not overflow: the rest is below 2^16, and the surplus below 2^58.
        let (whole, rest) = (self.threshold.units().div_euclid(base), self.threshold.units().rem_euclid(base));
        let more = whole.saturating_mul(surplus).saturating_add(rest.saturating_mul(surplus).div_ceil(base));
        Amount::new(self.threshold.units().saturating_add(more))
    }
}

/// What a hub asks of the locks that it is to forward. What an honest client can know before it signs is refused as
/// an update, which stores nothing: a client that keeps to the hub's terms never meets it. What may change under a
/// client's feet, such as whether the payee is known, is accepted and given back, since a refusal takes all that is
/// in flight with it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FirstHop {
    /// Least that a lock has to be worth, by asset; one of an asset that is not listed is refused.
    pub least: Map<Asset, Amount>,
    /// Longest envelope, in bytes.
    pub max_envelope: usize,
    /// Locks of a lane that we gave up and the payer has not released, before it may add more.
    pub max_given_up: usize,
}

/// What a participant accepts in a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Assets that we deal with beside those that something was signed in; `None`: all that anybody deposits.
    pub assets: Option<Set<Asset>>,
    /// Seconds before an expiry at which evidence goes on chain; later a hub takes none from downstream.
    pub safety_margin: u64,
    /// Seconds before an expiry at which we record evidence, where that is more: a hub with much of it starts earlier.
    pub record_lead: u64,
    /// Least seconds from now to a lock's expiry; at least twice the safety margin.
    pub min_lock_time: u64,
    /// Most seconds from now to a lock's expiry.
    pub max_lock_time: u64,
    /// Most pending locks in a lane.
    pub max_locks: usize,
    /// Per asset; an asset that is not listed has no dust.
    pub dust: Map<Asset, Dust>,
    /// Seconds after which the newest block seen is too old to accept payments.
    pub max_chain_age: u64,
    /// Largest step from one nonce to the next.
    pub max_nonce_step: u64,
    /// Updates that may be in flight at once.
    pub window: usize,
    /// Bytes of ops in one update.
    pub max_update_bytes: usize,
    /// External condition contracts that are accepted.
    pub external_conditions: Vec<Address>,
    /// Least that a withdrawal or closing has to bring the peer for us to send it at our gas, by asset; of an asset that
    /// is not listed we send none.
    pub relay_least: Map<Asset, Amount>,
    /// For locks that we are to forward; none for who forwards nothing.
    pub first_hop: Option<FirstHop>,
    /// Withdrawals of one asset that may be signed and not mined.
    pub max_withdrawals: usize,
    /// Seconds after a stream's expiry after which we leave a channel whose peer does not redeem what the chain shows to be
    /// proven; of a payment at once, there being a safety margin in either case. What is recorded there stays so, and a
    /// payer that sleeps for days is no foe. Without it we never leave by ourselves; the owner is told.
    pub leave_overdue: Option<u64>,
    /// Longest time for which a withdrawal or closing may be held back, in seconds.
    pub max_deadline: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            assets: None,
            safety_margin: 600,
            record_lead: 0,
            min_lock_time: 1_800,
            max_lock_time: 7 * 86_400,
            max_locks: 4_096,
            dust: Map::new(),
            max_chain_age: 3_600,
            max_nonce_step: 1 << 20,
            window: WINDOW,
            max_update_bytes: 48 * 1024,
            external_conditions: Vec::new(),
            relay_least: Map::new(),
            first_hop: None,
            max_withdrawals: 4,
            leave_overdue: None,
            max_deadline: 3_600,
        }
    }
}

impl Policy {
    /// Below which amount evidence that proves `units` is not worth recording, and a claim not worth making, which
    /// takes no evidence and so no units. Everything that asks what dust is asks here. [9]
    #[must_use]
    pub fn least(&self, asset: Asset, condition: &Condition, units: u32) -> Amount {
        self.dust.get(&asset).map_or(Amount::ZERO, |dust| dust.least(condition, units))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::ALL_UNITS;
    use alloy_primitives::B256;

    #[test]
    fn dust_prices_the_length_of_a_chain() {
        let least = |threshold: u128, condition: Condition, units: u32| {
            let dust = Dust { threshold: Amount::new(threshold), cap: Amount::MAX };
            dust.least(&condition, units).units()
        };
        let chain = |n| Condition::hash_chain(B256::ZERO, n);
        let voucher = Condition::voucher(Address::repeat_byte(1), B256::ZERO);
        assert_eq!(least(50_000, Condition::hash_lock([0; 32]), ALL_UNITS), 50_000);
        assert_eq!(least(50_000, voucher, 1_000), 50_000);
        assert_eq!(least(50_000, chain(16_384), 0), 50_000);
        assert_eq!(least(50_000, chain(16_384), 1_000), 103_000);
        assert_eq!(least(50_000, chain(16_384), 16_384), 918_352);
        assert_eq!(least(50_000, chain(1_000), ALL_UNITS), 103_000);
        assert_eq!(least(1, chain(16_384), 1), 2);
        assert_eq!(least(0, chain(16_384), ALL_UNITS), 0);
        assert_eq!(least(100_001, chain(16_384), 16_384), 1_836_723);
        assert_eq!(least(u128::MAX, chain(16_384), ALL_UNITS), u128::MAX);
    }
}
