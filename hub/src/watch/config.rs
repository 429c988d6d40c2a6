//! The watchtower's configuration: a TOML file, with every option also from `FARTHING_WATCH_*`, checked once at start.

use crate::chain::GasPolicy;
use crate::config::raw::{Urls, options};
use crate::config::{DEVELOPMENT_CHAIN, LogFormat, Secret, Spending, keys};
use alloy_primitives::Address;
use anyhow::{Context, Result, ensure};
use farthing_protocol::amount::Amount;
use farthing_protocol::sign::SecretKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

const PREFIX: &str = "FARTHING_WATCH_";

/// Derives the key of the receipts where none is configured.
const SIGNER_LABEL: &str = "farthing watchtower signer";

/// All options, as in the TOML file.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    missing_debug_implementations,
    reason = "the table in docs/watchtower.md describes the options; it holds secrets"
)]
pub struct RawWatch {
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    pub rpc_url: Urls,
    pub chain_id: u64,
    pub contract: Address,
    pub confirmations: Option<u64>,
    pub poll_interval_ms: Option<u64>,
    #[serde(default = "default_max_chain_age")]
    pub max_chain_age: u64,
    #[serde(default = "default_stuck_after")]
    pub stuck_after: u64,
    #[serde(default = "default_log_range")]
    pub log_range: u64,
    #[serde(default = "default_database")]
    pub database: PathBuf,
    pub private_key: Option<Zeroizing<String>>,
    pub private_key_file: Option<PathBuf>,
    pub signer_key: Option<Zeroizing<String>>,
    pub signer_key_file: Option<PathBuf>,
    #[serde(default)]
    pub log_format: LogFormat,
    #[serde(default = "default_min_balance")]
    pub min_balance: Amount,
    #[serde(default = "default_record_margin")]
    pub record_margin: u64,
    #[serde(default)]
    pub clients: BTreeSet<Address>,
    #[serde(default)]
    pub gas: Spending,
    #[serde(default)]
    pub limits: WatchLimits,
}

/// What clients may ask for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the table in docs/watchtower.md describes the options")]
pub struct WatchLimits {
    pub channels: u32,
    pub channels_per_client: u32,
    pub assets_per_channel: u32,
    pub evidence_per_lane: u32,
    pub answers: u32,
    pub requests_per_second: u32,
    pub burst: u32,
}

impl Default for WatchLimits {
    fn default() -> Self {
        Self {
            channels: 100_000,
            channels_per_client: 16,
            assets_per_channel: 16,
            evidence_per_lane: 32,
            answers: 3,
            requests_per_second: 20,
            burst: 200,
        }
    }
}

impl RawWatch {
    /// Reads the file, if there is one, under the environment's values.
    pub fn read(file: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Result<Self> {
        let Some(path) = file else { return Self::parse("", "the environment", env) };
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the configuration {name}"))?;
        Self::parse(&text, &name, env)
    }

    /// Parses a file's text under the environment's values.
    pub fn parse(text: &str, name: &str, env: impl Iterator<Item = (String, String)>) -> Result<Self> {
        options(text, name, PREFIX, env)
    }
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct WatchConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The chain's JSON-RPC, of one node or several. May hold access tokens: never log it, log [`WatchConfig::rpc_origins`].
    pub rpc_url: Secret<Vec<url::Url>>,
    /// EIP-155 chain id that the RPC must have.
    pub chain_id: u64,
    /// The contract's address.
    pub contract: Address,
    /// Blocks on top of one before it counts as final.
    pub confirmations: u64,
    /// How often the chain is asked for a new head.
    pub poll_interval: Duration,
    /// Seconds after which the newest block is too old for the tower to call itself ready.
    pub max_chain_age: u64,
    /// After this long without being mined, a transaction's fee is raised.
    pub stuck_after: Duration,
    /// Most blocks in one `eth_getLogs`.
    pub log_range: u64,
    /// The SQLite file.
    pub database: PathBuf,
    /// Pays for answers. Nothing else may use this account: the tower counts its nonces.
    pub gas_key: SecretKey,
    /// Signs receipts; orders name its address.
    pub signer: SecretKey,
    /// Wei; with less the tower warns.
    pub min_balance: Amount,
    /// Seconds before its expiry at which evidence is recorded.
    pub record_margin: u64,
    /// Signers that are served; empty: all, but without evidence.
    pub clients: BTreeSet<Address>,
    /// What may be spent on answers.
    pub gas: GasPolicy,
    /// What clients may ask for.
    pub limits: WatchLimits,
}

impl WatchConfig {
    /// Checks what was read.
    pub fn check(raw: RawWatch) -> Result<Self> {
        raw.rpc_url.check()?;
        ensure!(!raw.contract.is_zero(), "contract: the zero address is no contract");
        ensure!(raw.log_range > 0, "log_range: must be at least 1");
        ensure!(raw.record_margin > 0, "record_margin: must be at least 1 second");
        let limits = raw.limits;
        for (name, value) in [
            ("channels", limits.channels),
            ("channels_per_client", limits.channels_per_client),
            ("assets_per_channel", limits.assets_per_channel),
            ("answers", limits.answers),
            ("requests_per_second", limits.requests_per_second),
            ("burst", limits.burst),
        ] {
            ensure!(value > 0, "limits.{name}: must be at least 1");
        }
        let gas_key = keys::key("private_key", raw.private_key.as_ref(), raw.private_key_file.as_deref())?
            .context("set FARTHING_WATCH_PRIVATE_KEY or private_key_file")?;
        let signer = match keys::key("signer_key", raw.signer_key.as_ref(), raw.signer_key_file.as_deref())? {
            Some(signer) => signer,
            None => gas_key.child(SIGNER_LABEL).context("cannot derive the signer's key")?,
        };
        let development = raw.chain_id == DEVELOPMENT_CHAIN;
        ensure!(raw.gas.reserve.is_none(), "gas.reserve: a watchtower only protects; set min_balance");
        let gas =
            GasPolicy { reserve: alloy_primitives::U256::ZERO, ..raw.gas.check(development, std::iter::empty())? };
        let poll = raw.poll_interval_ms.unwrap_or(if development { 200 } else { 1_000 });
        ensure!(poll > 0, "poll_interval_ms: must be at least 1");
        Ok(Self {
            listen: raw.listen,
            rpc_url: Secret(raw.rpc_url.0),
            chain_id: raw.chain_id,
            contract: raw.contract,
            confirmations: raw.confirmations.unwrap_or(if development { 1 } else { 12 }),
            poll_interval: Duration::from_millis(poll),
            max_chain_age: raw.max_chain_age,
            stuck_after: Duration::from_secs(raw.stuck_after),
            log_range: raw.log_range,
            database: raw.database,
            gas_key,
            signer,
            min_balance: raw.min_balance,
            record_margin: raw.record_margin,
            clients: raw.clients,
            gas,
            limits,
        })
    }

    /// Most evidence that is kept for a lane. Recording costs the tower gas and its client nothing, so it is for
    /// clients that the operator knows.
    #[must_use]
    pub fn evidence_per_lane(&self) -> u32 {
        if self.clients.is_empty() { 0 } else { self.limits.evidence_per_lane }
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
            "poll_interval_ms": u64::try_from(self.poll_interval.as_millis()).unwrap_or(u64::MAX),
            "max_chain_age": self.max_chain_age,
            "stuck_after": self.stuck_after.as_secs(),
            "log_range": self.log_range,
            "database": self.database,
            "gas_account": self.gas_key.address(),
            "tower": self.signer.address(),
            "min_balance": self.min_balance,
            "record_margin": self.record_margin,
            "clients": self.clients,
            "limits": self.limits,
        })
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 7191))
}

const fn default_max_chain_age() -> u64 {
    3_600
}

const fn default_stuck_after() -> u64 {
    60
}

const fn default_log_range() -> u64 {
    1_000
}

fn default_database() -> PathBuf {
    PathBuf::from("farthing-watch.sqlite")
}

/// About ten answers at 50 gwei.
const fn default_min_balance() -> Amount {
    Amount::new(100_000_000_000_000_000)
}

const fn default_record_margin() -> u64 {
    600
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        rpc_url = "https://rpc.example/v3/token"
        chain_id = 1
        contract = "0x00000000000000000000000000000000000000cc"
        [limits]
        channels_per_client = 3
    "#;
    const KEY: &str = "0x0101010101010101010101010101010101010101010101010101010101010101";

    fn read(file: &str, env: &[(&str, &str)]) -> Result<WatchConfig> {
        let with_key = [("FARTHING_WATCH_PRIVATE_KEY", KEY)];
        let env = with_key.iter().chain(env).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        WatchConfig::check(RawWatch::parse(file, "test.toml", env)?)
    }

    fn refusal(file: &str, env: &[(&str, &str)]) -> String {
        format!("{:#}", read(file, env).unwrap_err())
    }

    #[test]
    fn the_file_and_the_environment_make_a_configuration() {
        let config = read(FILE, &[("FARTHING_WATCH_LIMITS__ANSWERS", "7")]).unwrap();
        assert_eq!((config.limits.channels_per_client, config.limits.answers, config.confirmations), (3, 7, 12));
        assert_ne!(config.signer.address(), config.gas_key.address());
        assert_eq!(config.evidence_per_lane(), 0, "without a list of clients");
        let clients = r#"["0x00000000000000000000000000000000000000aa"]"#;
        assert_eq!(read(FILE, &[("FARTHING_WATCH_CLIENTS", clients)]).unwrap().evidence_per_lane(), 32);
    }

    #[test]
    fn refusals_say_what_is_wrong_and_where() {
        assert!(refusal(&FILE.replace("chain_id", "chain_idd"), &[]).contains("chain_idd"));
        assert!(refusal(FILE, &[("FARTHING_WATCH_LIMITS__ANSWERS", "0")]).contains("limits.answers"));
        assert!(refusal(FILE, &[("FARTHING_WATCH_NONSENSE", "1")]).contains("nonsense"));
        assert!(refusal(&format!("private_key = \"{KEY}\"\n{FILE}"), &[]).contains("FARTHING_WATCH_PRIVATE_KEY"));
        assert!(refusal(FILE, &[("FARTHING_WATCH_PRIVATE_KEY", "0x12")]).contains("private_key"));
    }

    #[test]
    fn secrets_are_shown_nowhere() {
        let config = read(FILE, &[]).unwrap();
        let shown = format!("{config:?}{}", config.printable());
        assert!(!shown.contains("0101010101") && !shown.contains("v3/token"), "{shown}");
    }
}
