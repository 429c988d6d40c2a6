//! What a transaction may cost: no more than what it is for, and no more than what is configured.

use super::super::rpc::Fees;
use super::order::Class;
use alloy_primitives::{Address, U256};
use farthing_protocol::amount::Amount;
use farthing_protocol::chain::Purpose;
use farthing_protocol::{Asset, ETH};
use std::collections::BTreeMap;

/// Gas that must be paid for when money has to be protected: ten answers to exits of 250,000 gas each, and evidence of
/// sixty locks of 42,000 gas each, which is about 5,000,000.
pub const RESERVE_GAS: u128 = 5_000_000;

/// What is spent on transactions, in wei.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GasPolicy {
    /// Left in the account by all that does not protect money or bring it home.
    pub reserve: U256,
    /// For each gas, at most. What protects money of a known price may pay more.
    pub max_fee: u128,
    /// Of it for the proposer, at most, but where a protective transaction stays unmined.
    pub max_priority_fee: u128,
    /// For one order, at most.
    pub max_cost: MaxCost,
    /// Spent on an order whatever it is worth.
    pub floor: u128,
    /// Of tokens; without one, the worth of a token is unknown.
    pub prices: BTreeMap<Address, Price>,
}

/// Most wei for the gas of one order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "named like the purposes")]
pub struct MaxCost {
    pub protect: u128,
    pub collect: u128,
    pub fund: u128,
    pub serve: u128,
}

impl Default for MaxCost {
    fn default() -> Self {
        const MILLI: u128 = 1_000_000_000_000_000;
        Self { protect: 1_000 * MILLI, collect: 100 * MILLI, fund: 50 * MILLI, serve: 20 * MILLI }
    }
}

impl Default for GasPolicy {
    fn default() -> Self {
        const GWEI: u128 = 1_000_000_000;
        Self {
            reserve: U256::ZERO,
            max_fee: 100 * GWEI,
            max_priority_fee: 5 * GWEI,
            max_cost: MaxCost::default(),
            floor: 0,
            prices: BTreeMap::new(),
        }
    }
}

/// Of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Price {
    /// Wei for one whole token.
    pub wei: u128,
    /// Of the token.
    pub decimals: u8,
}

/// What a transaction may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Limit {
    /// Wei for its gas.
    pub(super) budget: U256,
    /// Whether the configured fees bound it as well.
    pub(super) is_capped: bool,
}

/// What gas costs now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Market {
    /// Of the next block, about.
    pub(super) base_fee: u128,
    /// What the node says that proposers want.
    pub(super) priority_fee: u128,
}

impl GasPolicy {
    /// What an amount is worth in wei. The largest amount means: whatever it takes.
    pub(super) fn worth(&self, asset: Asset, amount: Amount) -> Option<U256> {
        if amount == Amount::MAX {
            return Some(U256::MAX);
        }
        let units = U256::from(amount.units());
        if asset == ETH {
            return Some(units);
        }
        let price = self.prices.get(&asset)?;
        // Two numbers of 128 bits; ten to the 78th is beyond 256 bits.
        let whole = U256::from(10).checked_pow(U256::from(price.decimals))?;
        units.checked_mul(U256::from(price.wei))?.checked_div(whole)
    }

    pub(super) fn limit(&self, purpose: &Purpose) -> Limit {
        let (asset, amount) = match *purpose {
            Purpose::Protect { asset, amount, .. }
            | Purpose::Collect { asset, amount }
            | Purpose::Fund { asset, amount }
            | Purpose::Serve { asset, amount } => (asset, amount),
        };
        let most = match Class::of(purpose) {
            Class::Protect => self.max_cost.protect,
            Class::Collect => self.max_cost.collect,
            Class::Fund => self.max_cost.fund,
            Class::Serve => self.max_cost.serve,
        };
        let worth = self.worth(asset, amount);
        let budget = U256::from(most).min(worth.unwrap_or(U256::MAX)).max(U256::from(self.floor));
        Limit { budget, is_capped: Class::of(purpose) != Class::Protect || worth.is_none() }
    }

    /// The highest fees that a limit allows for so much gas.
    pub(super) fn most(&self, limit: Limit, gas: u64) -> Fees {
        let by_budget = limit.budget.checked_div(U256::from(gas)).unwrap_or_default();
        let by_budget = u128::try_from(by_budget).unwrap_or(u128::MAX);
        if limit.is_capped {
            let max_fee = by_budget.min(self.max_fee);
            Fees { max_fee, priority_fee: self.max_priority_fee.min(max_fee) }
        } else {
            Fees { max_fee: by_budget, priority_fee: by_budget }
        }
    }

    /// Fees of a new transaction; nothing if it would not be mined for what it may cost.
    pub(super) fn first(&self, limit: Limit, gas: u64, market: Market) -> Option<Fees> {
        let most = self.most(limit, gas);
        // The next block's fee may be an eighth higher.
        if most.max_fee < market.base_fee.saturating_add(market.base_fee / 8).saturating_add(1) {
            return None;
        }
        let wanted = self.wanted(market);
        let max_fee = wanted.max_fee.min(most.max_fee);
        Some(Fees { max_fee, priority_fee: wanted.priority_fee.min(most.priority_fee).min(max_fee) })
    }

    /// Fees with which a node takes another form in place of the last; nothing if they may not be paid.
    pub(super) fn raise(&self, last: Fees, limit: Limit, gas: u64, market: Market) -> Option<Fees> {
        let most = self.most(limit, gas);
        // Nodes want a tenth more of both; an eighth is safely more.
        let more = |fee: u128| fee.saturating_add(fee / 8).saturating_add(1);
        let wanted = self.wanted(market);
        let priority_fee = more(last.priority_fee).max(wanted.priority_fee.min(most.priority_fee));
        let max_fee = more(last.max_fee).max(wanted.max_fee.min(most.max_fee)).max(priority_fee);
        (priority_fee <= most.priority_fee && max_fee <= most.max_fee).then_some(Fees { max_fee, priority_fee })
    }

    /// What the node suggests, but for a tip beyond what is configured: one node's word makes nobody rich.
    fn wanted(&self, market: Market) -> Fees {
        let priority_fee = market.priority_fee.min(self.max_priority_fee);
        Fees { max_fee: market.base_fee.saturating_mul(2).saturating_add(priority_fee), priority_fee }
    }
}

/// Wei for this much gas at these fees, at most.
pub(super) fn cost(gas: u64, max_fee: u128) -> U256 {
    // Numbers of 64 and 128 bits.
    U256::from(gas).saturating_mul(U256::from(max_fee))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GWEI: u128 = 1_000_000_000;
    const TOKEN: Asset = Address::repeat_byte(0xdd);

    fn protect(asset: Asset, amount: u128) -> Purpose {
        Purpose::Protect { asset, amount: Amount::new(amount), deadline: 1 }
    }

    fn fund(amount: u128) -> Purpose {
        Purpose::Fund { asset: ETH, amount: Amount::new(amount) }
    }

    const fn market(base: u128) -> Market {
        Market { base_fee: base * GWEI, priority_fee: GWEI }
    }

    #[test]
    fn what_funds_waits_above_the_cap_and_what_protects_pays_what_it_protects() {
        let policy = GasPolicy::default();
        let ether = 10_u128.pow(18);
        let (fund, save) = (policy.limit(&fund(ether)), policy.limit(&protect(ETH, ether)));
        assert_eq!(policy.first(fund, 100_000, market(10)).unwrap().max_fee, 21 * GWEI);
        assert_eq!(policy.first(fund, 100_000, market(60)).unwrap().max_fee, 100 * GWEI, "up to the cap");
        assert!(policy.first(fund, 100_000, market(99)).is_none(), "it would not be mined");
        assert_eq!(policy.first(save, 100_000, market(500)).unwrap().max_fee, 1_001 * GWEI);
        assert!(policy.first(save, 100_000, market(10_000)).is_none(), "more than it protects");
        let little = policy.limit(&protect(ETH, 1_000));
        assert!(policy.first(little, 100_000, market(1)).is_none());
        let floor = GasPolicy { floor: ether / 100, ..policy };
        assert!(floor.first(floor.limit(&protect(ETH, 1_000)), 100_000, market(1)).is_some());
    }

    #[test]
    fn a_token_is_worth_its_price_and_without_one_the_caps_hold() {
        let mut policy = GasPolicy::default();
        let unknown = policy.limit(&protect(TOKEN, 5_000_000));
        assert!(unknown.is_capped && policy.first(unknown, 100_000, market(200)).is_none());
        policy.prices.insert(TOKEN, Price { wei: 4 * 10_u128.pow(14), decimals: 6 });
        assert_eq!(policy.worth(TOKEN, Amount::new(5_000_000)), Some(U256::from(2 * 10_u128.pow(15))));
        assert!(policy.first(policy.limit(&protect(TOKEN, 5_000_000_000)), 100_000, market(200)).is_some());
        assert_eq!(policy.worth(TOKEN, Amount::MAX), Some(U256::MAX));
    }

    #[test]
    fn a_raise_is_enough_for_a_replacement_and_ends_at_the_limit() {
        let policy = GasPolicy::default();
        let limit = policy.limit(&fund(10_u128.pow(18)));
        let last = Fees { max_fee: 100, priority_fee: 0 };
        let quiet = Market { base_fee: 10, priority_fee: 0 };
        assert_eq!(policy.raise(last, limit, 100_000, quiet), Some(Fees { max_fee: 113, priority_fee: 1 }));
        let mut last = Fees { max_fee: 2 * GWEI, priority_fee: GWEI };
        let mut rounds = 0;
        while let Some(raised) = policy.raise(last, limit, 100_000, market(1)) {
            last = raised;
            rounds += 1;
            assert!(rounds < 100, "it never ends");
        }
        assert!(last.priority_fee <= 5 * GWEI && last.max_fee <= 100 * GWEI, "{last:?}");
        let shouting = Market { base_fee: 1, priority_fee: u128::MAX };
        assert!(policy.first(limit, 100_000, shouting).unwrap().priority_fee <= 5 * GWEI);
    }
}
