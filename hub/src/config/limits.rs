//! What the hub can bear, worked out from the chain and the price of gas: how much may be in flight, what it sends for
//! its clients, and what lies idle. `docs/hub-limits.md` explains the arithmetic.

use super::DEVELOPMENT_CHAIN;
use super::raw::{Listed, Locks, Raw, Relay, Strangers};
use crate::chain::GasPolicy;
use anyhow::{Result, ensure};
use farthing_protocol::channel::Dust;
use farthing_protocol::hub::{
    AssetPolicy, BacklogLimits, EVIDENCE_GAS, RELAY_GAS, RelayLimits, STRANGER_GAS, StrangerLimits,
};
use farthing_protocol::{Amount, ETH};

/// Gas of starting an exit and settling one asset, about.
const EXIT_GAS: u64 = 300_000;
/// What is sent for a client is worth so many times its gas: four per cent at most go to it.
const WORTH: u128 = 25;
/// Transactions a day for one channel, and for all, by default.
const RELAYED: (u128, u128) = (4, 200);
/// Channels whose collateral may lie idle at once, by default.
const IDLE_CHANNELS: u128 = 1_000;
/// Clients without a deposit that collateral is put in for in a day, by default, on chains where gas is cheap.
const STRANGERS: u128 = 50;
/// Locks in a lane, where more could be borne.
const MAX_LOCKS: u64 = 4_096;
/// Held locks, as a multiple of those in flight.
const HELD: u64 = 4;
/// Fewer are no use: a payer may have eight.
const LEAST_PENDING: u64 = 9;

/// What gas costs, and what there is for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reckoning {
    /// Wei for each gas.
    pub(super) price: Amount,
    /// Seconds from one block to the next.
    block_time: u64,
    /// Kept for what protects money; not known on a development chain, where gas is for nothing.
    reserve: Option<Amount>,
    development: bool,
    /// How many clients without a deposit are served in a day, unless the configuration says what is spent on them.
    strangers: u128,
}

impl Reckoning {
    pub(super) fn of(raw: &Raw, policy: &GasPolicy) -> Self {
        let development = raw.chain_id == DEVELOPMENT_CHAIN;
        const GWEI: u128 = 1_000_000_000;
        let price = raw.gas.price.unwrap_or(Amount::new(if development { GWEI } else { 10 * GWEI }));
        let block_time = raw.locks.block_time.unwrap_or(block_time(raw.chain_id));
        let reserve = (!development).then(|| policy.reserve.try_into().map_or(Amount::MAX, Amount::new));
        let strangers = match raw.chain_id {
            DEVELOPMENT_CHAIN => 100_000,
            10 | 100 | 137 | 8_453 | 42_161 | 17_000 | 560_048 | 11_155_111 => STRANGERS,
            _ => 0,
        };
        Self { price, block_time, reserve, development, strangers }
    }

    fn cost(&self, gas: u64) -> Amount {
        Amount::new(u128::from(gas).saturating_mul(self.price.units()))
    }

    /// What is spent on the transactions of clients.
    pub(super) fn relay(&self, relay: &Relay) -> RelayLimits {
        let cost = self.cost(RELAY_GAS);
        let (channel, all) = if self.development { (1_000, 100_000) } else { RELAYED };
        let times = |count: u128| Amount::new(cost.units().saturating_mul(count));
        RelayLimits {
            cost,
            channel_day: relay.channel_per_day.unwrap_or(times(channel)),
            day: relay.per_day.unwrap_or(times(all)),
        }
    }

    /// What is spent on gas for clients without a deposit.
    pub(super) fn strangers(&self, strangers: &Strangers) -> StrangerLimits {
        let cost = self.cost(STRANGER_GAS);
        let day = Amount::new(cost.units().saturating_mul(self.strangers));
        StrangerLimits { cost, day: strangers.gas_per_day.unwrap_or(day) }
    }
}

/// Seconds from one block to the next.
const fn block_time(chain_id: u64) -> u64 {
    match chain_id {
        100 => 5,
        10 | 137 | 8_453 => 2,
        // Arbitrum has several a second.
        42_161 | DEVELOPMENT_CHAIN => 1,
        _ => 12,
    }
}

/// Works out how many locks may be in flight, and fills in what is not stated. What is stated has to fit.
pub(super) fn check_locks(locks: &mut Locks, gas: &Reckoning, channels: usize) -> Result<BacklogLimits> {
    ensure!(locks.safety_margin > 0, "locks.safety_margin: must be at least 1 second");
    // docs/protocol.md section 4: a lock lives at least twice the safety margin.
    ensure!(
        locks.min_time >= locks.safety_margin.saturating_mul(2),
        "locks.min_time: must be at least twice locks.safety_margin"
    );
    ensure!(locks.max_time > locks.min_time, "locks.max_time: must be above locks.min_time");
    ensure!(gas.block_time > 0, "locks.block_time: must be at least 1 second");
    ensure!(locks.block_gas >= EVIDENCE_GAS, "locks.block_gas: must be at least {EVIDENCE_GAS}");

    let blocks = locks.safety_margin.div_euclid(gas.block_time);
    let in_time = blocks.saturating_mul(locks.block_gas).div_euclid(EVIDENCE_GAS);
    let paid = gas.reserve.map_or(u64::MAX, |reserve| {
        let each = gas.cost(EVIDENCE_GAS).units().max(1);
        u64::try_from(reserve.units().div_euclid(each)).unwrap_or(u64::MAX)
    });
    let bound = in_time.min(paid);
    let numbers = format!(
        "{blocks} blocks of {} s are within the safety margin of {} s; at {} gas of a block and {EVIDENCE_GAS} for one \
         piece of evidence {in_time} locks can be recorded in time{}",
        gas.block_time,
        locks.safety_margin,
        locks.block_gas,
        gas.reserve.map_or_else(String::new, |reserve| {
            format!(", and at {} wei a gas the reserve of {reserve} wei pays for {paid}", gas.price)
        }),
    );
    let pending = locks.pending.unwrap_or(bound);
    ensure!(pending <= bound, "locks.pending: {pending} is more than {bound}: {numbers}");
    ensure!(pending >= LEAST_PENDING, "locks.pending: {pending} is less than {LEAST_PENDING}: {numbers}");
    let max = locks.max.unwrap_or_else(|| usize::try_from(MAX_LOCKS.min(pending)).unwrap_or(usize::MAX));
    ensure!(max > 0, "locks.max: must be at least 1");
    ensure!(max as u64 <= pending, "locks.max: {max} in a lane are more than the {pending} of all: {numbers}");
    let held = locks.held.unwrap_or(pending.saturating_mul(HELD));
    ensure!(held > 0, "locks.held: must be at least 1");
    tracing::info!(
        "{pending} locks may be in flight, of which a payer may have {}: {numbers}. With {channels} channels that is {} \
         for each",
        pending.div_euclid(12),
        pending.div_euclid((channels as u64).max(1)),
    );
    (locks.max, locks.pending, locks.held, locks.block_time) =
        (Some(max), Some(pending), Some(held), Some(gas.block_time));
    Ok(BacklogLimits {
        gas: pending.saturating_mul(EVIDENCE_GAS),
        block_gas: locks.block_gas,
        block_time: gas.block_time,
        held,
        patience: locks.patience,
    })
}

pub(super) fn check_asset(asset: &Listed) -> Result<()> {
    ensure!(!asset.symbol.is_empty() && asset.symbol.len() <= 16, "symbol: 1 to 16 characters");
    ensure!(asset.address != ETH || asset.decimals == 18, "decimals: ETH has 18");
    ensure!(!asset.min_payment.is_zero(), "min_payment: must be above zero");
    ensure!(asset.min_payment <= asset.max_payment, "max_payment: must not be below min_payment");
    ensure!(asset.max_payment <= asset.channel_capacity, "channel_capacity: must not be below max_payment");
    ensure!(asset.collateral <= asset.max_collateral, "max_collateral: must not be below collateral");
    ensure!(
        asset.max_idle_collateral.is_none_or(|idle| idle >= asset.collateral),
        "max_idle_collateral: must not be below collateral"
    );
    ensure!(
        asset.stranger_collateral.is_none_or(|most| most <= asset.max_collateral),
        "max_collateral: must not be below stranger_collateral"
    );
    ensure!(asset.idle_after >= 60, "idle_after: must be at least 60 seconds");
    ensure!(asset.dust <= asset.dust_cap, "dust_cap: must not be below dust");
    ensure!(asset.channel_capacity < Amount::MAX, "channel_capacity: must be below 2^128 - 1");
    Ok(())
}

pub(super) const fn dust(asset: &Listed) -> Dust {
    Dust { threshold: asset.dust, cap: asset.dust_cap }
}

/// What is not stated follows from the price of gas, for ETH; what a token is worth is not known here.
pub(super) fn policy_of(asset: &Listed, gas: &Reckoning) -> AssetPolicy {
    let worth = |cost: u64| Amount::new(gas.cost(cost).units().saturating_mul(WORTH));
    let is_eth = asset.address == ETH;
    let idle = Amount::new(asset.collateral.units().saturating_mul(IDLE_CHANNELS)).max(asset.max_collateral);
    let relayed = match (gas.development, is_eth) {
        (true, _) => Some(Amount::new(1)),
        (false, true) => Some(worth(RELAY_GAS)),
        (false, false) => None,
    };
    let stranger = asset.stranger_collateral.unwrap_or(asset.collateral);
    let strangers = Amount::new(stranger.units().saturating_mul(gas.strangers.max(STRANGERS)));
    let reclaim = if is_eth { worth(RELAY_GAS).max(asset.collateral) } else { asset.collateral };
    AssetPolicy {
        channel_capacity: asset.channel_capacity,
        min_payment: asset.min_payment,
        max_payment: asset.max_payment,
        collateral: asset.collateral,
        collateral_per_stake: asset.collateral_per_stake,
        max_collateral: asset.max_collateral,
        max_idle_collateral: asset.max_idle_collateral.unwrap_or(idle),
        idle_after: asset.idle_after,
        min_reclaim: asset.min_reclaim.unwrap_or(reclaim.max(Amount::new(1))),
        exit_after: asset.exit_after,
        min_exit: asset.min_exit.unwrap_or(if is_eth { worth(EXIT_GAS) } else { Amount::MAX }),
        min_relayed: asset.min_relayed_withdrawal.or(relayed),
        stranger_collateral: stranger,
        stranger_day: asset.stranger_collateral_per_day.unwrap_or(strangers),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Raw};
    use super::*;

    const KEY: &str = "0x0101010101010101010101010101010101010101010101010101010101010101";

    fn read(chain: u64, options: &str, asset: &str) -> Result<Config> {
        let text = format!(
            r#"
            rpc_url = "https://rpc.example"
            chain_id = {chain}
            contract = "0x00000000000000000000000000000000000000cc"
            {options}
            [[assets]]
            address = "0x0000000000000000000000000000000000000000"
            symbol = "ETH"
            decimals = 18
            channel_capacity = "1000"
            min_payment = "1"
            max_payment = "100"
            collateral = "10"
            max_collateral = "500"
            {asset}
            [[assets]]
            address = "0x00000000000000000000000000000000000000dd"
            symbol = "DAI"
            decimals = 18
            channel_capacity = "1000"
            min_payment = "1"
            max_payment = "100"
            collateral = "10"
            max_collateral = "500"
            "#
        );
        let key = [("FARTHING_HUB_PRIVATE_KEY".to_owned(), KEY.to_owned())];
        Config::check(Raw::parse(&text, "test.toml", key.into_iter())?)
    }

    fn refusal(options: &str) -> String {
        format!("{:#}", read(1, options, "").unwrap_err())
    }

    #[test]
    fn what_may_be_in_flight_is_what_can_be_recorded_in_time_and_paid_for() {
        let config = read(1, "", "").unwrap();
        // 0.5 ETH at 10 gwei; the blocks would take 10,000.
        assert_eq!(config.backlog.gas, 1_666 * EVIDENCE_GAS);
        assert_eq!((config.locks.max, config.locks.held), (Some(1_666), Some(6_664)));
        let cheap = read(1, "[gas]\nprice = \"1000000000\"", "").unwrap();
        assert_eq!((cheap.backlog.gas, cheap.locks.max), (10_000 * EVIDENCE_GAS, Some(4_096)));
        let fast = read(10, "[gas]\nprice = \"1\"\n[locks]\nsafety_margin = 60", "").unwrap();
        assert_eq!(fast.backlog.gas, 6_000 * EVIDENCE_GAS, "thirty blocks of two seconds");
        let stated = read(1, "[locks]\npending = 100", "").unwrap();
        assert_eq!((stated.backlog.gas, stated.locks.max), (100 * EVIDENCE_GAS, Some(100)));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_numbers() {
        let said = refusal("[locks]\npending = 1667");
        assert!(said.contains("50 blocks of 12 s") && said.contains("1666"), "{said}");
        let said = refusal("[locks]\nmax = 2000");
        assert!(said.contains("locks.max") && said.contains("10000 locks"), "{said}");
        assert!(refusal("[locks]\nsafety_margin = 11").contains("locks.pending"));
        assert!(refusal("[locks]\nblock_time = 0").contains("locks.block_time"));
        assert!(refusal("[locks]\nblock_gas = 10").contains("locks.block_gas"));
    }

    #[test]
    fn strangers_are_served_where_gas_is_cheap_or_where_the_operator_says_so() {
        let config = read(1, "", "").unwrap();
        assert_eq!(config.strangers, StrangerLimits { cost: Amount::new(2_000_000_000_000_000), day: Amount::ZERO });
        assert_eq!(read(7_777, "", "").unwrap().strangers.day, Amount::ZERO, "not known to be cheap");
        assert_eq!(read(8_453, "", "").unwrap().strangers.day, Amount::new(100_000_000_000_000_000));
        let local = read(DEVELOPMENT_CHAIN, "", "").unwrap();
        assert!(local.strangers.day > local.strangers.cost);
        let stated = read(1, "[strangers]\ngas_per_day = \"7\"", "stranger_collateral = \"3\"").unwrap();
        let policy = *stated.hub().assets.get(&ETH).unwrap();
        assert_eq!((stated.strangers.day, policy.stranger_collateral), (Amount::new(7), Amount::new(3)));
        assert_eq!(policy.stranger_day, Amount::new(150));
        assert!(format!("{:#}", read(1, "", "stranger_collateral = \"501\"").unwrap_err()).contains("max_collateral"));
    }

    #[test]
    fn what_is_sent_for_clients_is_worth_its_gas() {
        let token = "0x00000000000000000000000000000000000000dd".parse().unwrap();
        let least = |config: &Config, asset| config.hub().assets.get(&asset).unwrap().min_relayed;
        let config = read(1, "", "").unwrap();
        assert_eq!(least(&config, ETH), Some(Amount::new(25_000_000_000_000_000)));
        assert_eq!(least(&config, token), None);
        assert_eq!(config.relay.cost, Amount::new(1_000_000_000_000_000));
        assert_eq!(config.relay.channel_day, Amount::new(4_000_000_000_000_000));
        let stated = read(1, "[relay]\nper_day = \"7\"", "min_relayed_withdrawal = \"5\"").unwrap();
        assert_eq!((least(&stated, ETH), stated.relay.day), (Some(Amount::new(5)), Amount::new(7)));
        let local = read(DEVELOPMENT_CHAIN, "", "").unwrap();
        assert_eq!((least(&local, ETH), least(&local, token)), (Some(Amount::new(1)), Some(Amount::new(1))));
    }
}
