//! The hub's configuration: a TOML file, with every option also from the environment, checked once at start.
//!
//! Secrets come from the environment or from a key file, never from the configuration file, and never reach a log.

mod deposits;
pub(crate) mod keys;
mod limits;
pub(crate) mod raw;
mod spending;

pub use deposits::{DEPOSIT_GAS, Deposits};
pub use keys::Keys;
pub use raw::{Limits, Listed, LogFormat, Raw, Urls};
pub use spending::Spending;

use crate::chain::GasPolicy;
use anyhow::{Context, Result, bail, ensure};
use farthing_protocol::Asset;
use farthing_protocol::channel::Policy;
use farthing_protocol::eip712::Domain;
use farthing_protocol::hub::HubConfig;
use farthing_protocol::hub::{BacklogLimits, RelayLimits, StrangerLimits};
use limits::{Reckoning, check_asset, check_locks, dust, policy_of};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Anvil's and Hardhat's chain id: blocks come at once and cost nothing.
pub(crate) const DEVELOPMENT_CHAIN: u64 = 31_337;

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The chain's JSON-RPC, of one node or several. May hold access tokens: never log it, log [`Config::rpc_origins`].
    pub rpc_url: Secret<Vec<url::Url>>,
    /// EIP-155 chain id that the RPC must have.
    pub chain_id: u64,
    /// The contract's address.
    pub contract: alloy_primitives::Address,
    /// Blocks on top of one before it counts as final.
    pub confirmations: u64,
    /// Seconds after which the newest block is too old to accept payments.
    pub max_chain_age: u64,
    /// How often the chain is asked for a new head.
    pub poll_interval: Duration,
    /// After this long without being mined, a transaction's fee is raised.
    pub stuck_after: Duration,
    /// Most blocks in one `eth_getLogs`.
    pub log_range: u64,
    /// The SQLite file.
    pub database: PathBuf,
    /// The keys that own the collateral and sign proofs.
    pub keys: Keys,
    /// What the hub deals in, and within which limits.
    pub assets: BTreeMap<Asset, Listed>,
    /// Challenge periods that the hub takes part in, in seconds.
    pub challenge_period: raw::ChallengePeriod,
    /// Times and numbers of locks; `max` is there.
    pub locks: raw::Locks,
    /// How much may be in flight.
    pub backlog: BacklogLimits,
    /// What is spent on transactions of clients.
    pub relay: RelayLimits,
    /// What deposits are sent for owners without ETH, if any.
    pub deposits: Option<Deposits>,
    /// What is spent on gas for clients without a deposit.
    pub strangers: StrangerLimits,
    /// What the hub reckons with.
    reckoning: Reckoning,
    /// What may be spent on transactions.
    pub gas: GasPolicy,
    /// What one client may ask for.
    pub limits: raw::Limits,
}

/// A value that `Debug` doesn't show.
#[derive(Clone)]
pub struct Secret<T>(pub T);

impl<T> std::fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Config {
    /// Reads `file` (if any) and the environment `FARTHING_HUB_*`, and checks every value.
    pub fn read(file: Option<&Path>) -> Result<Self> {
        Self::check(Raw::read(file, std::env::vars())?)
    }

    /// Checks what was read.
    pub fn check(raw: Raw) -> Result<Self> {
        raw.rpc_url.check()?;
        ensure!(!raw.contract.is_zero(), "contract: the zero address is no contract");
        ensure!(raw.log_range > 0, "log_range: must be at least 1");
        let keys = keys::read(&raw).context("the hub's keys")?;
        let period = raw.challenge_period;
        ensure!(
            0 < period.min && period.min <= period.default && period.default <= period.max,
            "challenge_period: needs 0 < min <= default <= max"
        );
        raw.limits.check()?;
        let development = raw.chain_id == DEVELOPMENT_CHAIN;
        let gas = raw.gas.check(development, raw.assets.iter())?;
        let reckoning = Reckoning::of(&raw, &gas);
        let deposits = deposits::check(&raw.relay, raw.assets.iter(), reckoning.price, &gas, development)?;
        let mut locks = raw.locks;
        let backlog = check_locks(&mut locks, &reckoning, raw.limits.channels)?;

        let mut assets = BTreeMap::new();
        for (index, asset) in raw.assets.into_iter().enumerate() {
            let name = asset.symbol.clone();
            check_asset(&asset).with_context(|| format!("assets[{index}] ({name})"))?;
            if assets.insert(asset.address, asset).is_some() {
                bail!("assets[{index}] ({name}): its address is listed twice");
            }
        }
        ensure!(!assets.is_empty(), "assets: list at least one asset");

        let poll = raw.poll_interval_ms.unwrap_or(if development { 200 } else { 1_000 });
        ensure!(poll > 0, "poll_interval_ms: must be at least 1");
        Ok(Self {
            listen: raw.listen,
            rpc_url: Secret(raw.rpc_url.0),
            chain_id: raw.chain_id,
            contract: raw.contract,
            confirmations: raw.confirmations.unwrap_or(if development { 1 } else { 12 }),
            max_chain_age: raw.max_chain_age,
            poll_interval: Duration::from_millis(poll),
            stuck_after: Duration::from_secs(raw.stuck_after),
            log_range: raw.log_range,
            database: raw.database,
            keys,
            assets,
            challenge_period: period,
            locks,
            backlog,
            relay: reckoning.relay(&raw.relay),
            deposits,
            strangers: reckoning.strangers(&raw.strangers),
            reckoning,
            limits: raw.limits,
            gas,
        })
    }

    /// What the protocol's machine has to know.
    #[must_use]
    pub fn hub(&self) -> HubConfig {
        let locks = self.locks;
        let policy = Policy {
            safety_margin: locks.safety_margin,
            min_lock_time: locks.min_time,
            max_lock_time: locks.max_time,
            max_locks: locks.max.unwrap_or_default(),
            dust: self.assets.values().map(|asset| (asset.address, dust(asset))).collect(),
            max_chain_age: self.max_chain_age,
            leave_overdue: Some(locks.leave_after),
            ..Policy::default()
        };
        HubConfig {
            domain: Domain::new(self.chain_id, self.contract),
            owner: self.keys.owner.address(),
            policy,
            assets: self.assets.values().map(|asset| (asset.address, policy_of(asset, &self.reckoning))).collect(),
            challenge_period: (self.challenge_period.min, self.challenge_period.max),
            backlog: self.backlog,
            relay: self.relay,
            strangers: self.strangers,
        }
    }

    /// Where the RPC is, which is safe to log.
    #[must_use]
    pub fn rpc_origins(&self) -> String {
        Urls(self.rpc_url.0.clone()).origins()
    }

    /// For `--print-config`: everything but secrets.
    #[must_use]
    pub fn printable(&self) -> serde_json::Value {
        serde_json::json!({
            "listen": self.listen.to_string(),
            "rpc_url": self.rpc_origins(),
            "chain_id": self.chain_id,
            "contract": self.contract,
            "confirmations": self.confirmations,
            "max_chain_age": self.max_chain_age,
            "poll_interval_ms": u64::try_from(self.poll_interval.as_millis()).unwrap_or(u64::MAX),
            "stuck_after": self.stuck_after.as_secs(),
            "log_range": self.log_range,
            "database": self.database,
            "owner": self.keys.owner.address(),
            "signer": self.keys.signer.address(),
            "assets": self.assets.values().collect::<Vec<_>>(),
            "challenge_period": self.challenge_period,
            "locks": self.locks,
            "strangers": { "gas_per_day": self.strangers.day },
            "relay": {
                "channel_per_day": self.relay.channel_day,
                "per_day": self.relay.day,
                "contract": self.deposits.as_ref().map(|deposits| deposits.contract),
                "max_fee_per_gas": self.deposits.as_ref().map(|deposits| deposits.max_fee.to_string()),
                "deposit_gas_per_day": self.deposits.as_ref().map(|deposits| deposits.day),
                "deposits_per_owner": self.deposits.as_ref().map(|deposits| deposits.per_owner),
                "deposits_per_minute": self.deposits.as_ref().map(|deposits| deposits.per_minute),
            },
            "limits": self.limits,
            "gas": {
                "price": self.reckoning.price,
                "reserve": self.gas.reserve.to_string(),
                "max_fee_per_gas": self.gas.max_fee.to_string(),
                "max_priority_fee_per_gas": self.gas.max_priority_fee.to_string(),
                "floor": self.gas.floor.to_string(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        rpc_url = "https://rpc.example/v3/token"
        chain_id = 1
        contract = "0x00000000000000000000000000000000000000cc"
        database = "hub.sqlite"
        [[assets]]
        address = "0x0000000000000000000000000000000000000000"
        symbol = "ETH"
        decimals = 18
        channel_capacity = "1000"
        min_payment = "1"
        max_payment = "100"
        collateral = "10"
        max_collateral = "500"
    "#;
    const KEY: &str = "0x0101010101010101010101010101010101010101010101010101010101010101";

    fn read(file: &str, env: &[(&str, &str)]) -> Result<Config> {
        let with_key = [("FARTHING_HUB_PRIVATE_KEY", KEY)];
        let env = with_key.iter().chain(env).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::check(Raw::parse(file, "test.toml", env)?)
    }

    fn refusal(file: &str, env: &[(&str, &str)]) -> String {
        format!("{:#}", read(file, env).unwrap_err())
    }

    #[test]
    fn the_environment_overrides_the_file_also_in_tables() {
        let config = read(FILE, &[("FARTHING_HUB_CHAIN_ID", "31337"), ("FARTHING_HUB_LOCKS__MAX", "7")]).unwrap();
        assert_eq!((config.chain_id, config.locks.max), (31_337, Some(7)));
        assert_eq!(config.poll_interval, Duration::from_millis(200));
        let assets = r#"[{ address = "0x00000000000000000000000000000000000000dd", symbol = "DAI", decimals = 18,
            channel_capacity = "9", min_payment = "1", max_payment = "3", collateral = "0", max_collateral = "0" }]"#;
        let config = read(FILE, &[("FARTHING_HUB_ASSETS", assets)]).unwrap();
        assert_eq!(config.assets.values().next().unwrap().symbol, "DAI");
    }

    #[test]
    fn refusals_say_what_is_wrong_and_where() {
        assert!(refusal(&FILE.replace("chain_id", "chain_idd"), &[]).contains("chain_idd"));
        assert!(refusal(&FILE.replace("\"100\"", "\"1001\""), &[]).contains("assets[0] (ETH): channel_capacity"));
        assert!(refusal(&FILE.replace("\"100\"", "100"), &[]).contains("test.toml"));
        assert!(refusal(FILE, &[("FARTHING_HUB_NONSENSE", "1")]).contains("nonsense"));
        assert!(refusal(FILE, &[("FARTHING_HUB_LOCKS__MIN_TIME", "5")]).contains("locks.min_time"));
        assert!(refusal(&format!("private_key = \"{KEY}\"\n{FILE}"), &[]).contains("FARTHING_HUB_PRIVATE_KEY"));
        assert!(refusal(FILE, &[("FARTHING_HUB_PRIVATE_KEY", "0x12")]).contains("private_key"));
    }

    #[test]
    fn one_rpc_or_several_of_http_each_given_once() {
        let with = |urls: &str| FILE.replace("\"https://rpc.example/v3/token\"", urls);
        assert_eq!(read(FILE, &[]).unwrap().rpc_url.0.len(), 1);
        let two = read(&with("[\"https://a.example/token\", \"http://b.example\"]"), &[]).unwrap();
        assert_eq!(two.rpc_origins(), "https://a.example, http://b.example");
        let environment = [("FARTHING_HUB_RPC_URL", "[\"https://c.example\", \"https://d.example\"]")];
        assert_eq!(read(FILE, &environment).unwrap().rpc_url.0.len(), 2);
        for wrong in ["[]", "\"ws://a.example\"", "[\"http://a.example\", \"http://a.example\"]", "7"] {
            assert!(refusal(&with(wrong), &[]).contains("rpc_url") || wrong == "7", "{wrong}");
        }
    }

    #[test]
    fn secrets_are_shown_nowhere() {
        let config = read(FILE, &[]).unwrap();
        let shown = format!("{config:?}{}", config.printable());
        assert!(!shown.contains("0101010101") && !shown.contains("v3/token"), "{shown}");
    }
}
