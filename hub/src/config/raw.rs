//! The configuration as it is written, before it is checked.

use super::spending::Spending;
use alloy_primitives::Address;
use anyhow::{Context, Result, bail, ensure};
use farthing_protocol::amount::Amount;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const PREFIX: &str = "FARTHING_HUB_";

/// Variables of the command line, not options of the configuration.
const NOT_OPTIONS: [&str; 4] = ["CONFIG", "URL", "LOG", "BIN"];

/// Options that must not stand in a file that people copy and commit.
const SECRETS: [&str; 2] = ["private_key", "signer_key"];

/// All options, as in the TOML file. In the environment: `FARTHING_HUB_` and the name in capitals,
/// with `__` before an option of a table, e.g. `FARTHING_HUB_LOCKS__MAX`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    missing_debug_implementations,
    reason = "the table in README.md describes the options; it holds secrets"
)]
pub struct Raw {
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
    #[serde(default)]
    pub assets: Vec<Listed>,
    #[serde(default)]
    pub challenge_period: ChallengePeriod,
    #[serde(default)]
    pub locks: Locks,
    #[serde(default)]
    pub gas: Spending,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub relay: Relay,
    #[serde(default)]
    pub strangers: Strangers,
}

/// One asset that the hub deals in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Of the token; zero for ETH.
    pub address: Address,
    /// For people.
    pub symbol: String,
    /// For people.
    pub decimals: u8,
    /// The most that a user's side of a channel may hold.
    pub channel_capacity: Amount,
    /// The smallest payment that is forwarded.
    pub min_payment: Amount,
    /// The largest payment that is forwarded.
    pub max_payment: Amount,
    /// What the hub puts in when a channel opens.
    pub collateral: Amount,
    /// The same, at most so many times what the client has in the channel.
    #[serde(default = "default_collateral_per_stake")]
    pub collateral_per_stake: u32,
    /// The most that the hub has in one channel at a time.
    pub max_collateral: Amount,
    /// The most that the hub's deposits in channels whose client is not being paid may be together.
    pub max_idle_collateral: Option<Amount>,
    /// Seconds without a payment to the client after which the hub's money there is idle.
    #[serde(default = "default_idle_after")]
    pub idle_after: u64,
    /// The least that is asked back of a client.
    pub min_reclaim: Option<Amount>,
    /// Seconds of a client's absence after which it is fetched by an exit.
    #[serde(default = "default_exit_after")]
    pub exit_after: u64,
    /// The least that is worth an exit.
    pub min_exit: Option<Amount>,
    /// The least that a withdrawal or closing pays out for the hub to send it at its gas.
    pub min_relayed_withdrawal: Option<Amount>,
    /// The most that the hub has at a time in the channel of a client without a deposit; zero: it puts in nothing.
    pub stranger_collateral: Option<Amount>,
    /// The most that it puts in for all of them in a day.
    pub stranger_collateral_per_day: Option<Amount>,
    /// What is taken for sending a deposit of somebody without ETH; none is sent without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deposit_fee: Option<Amount>,
    /// A lock worth less is not worth the gas of recording its evidence.
    #[serde(default)]
    pub dust: Amount,
    /// The most that pending dust locks of a lane may be worth together.
    #[serde(default)]
    pub dust_cap: Amount,
    /// Wei that one whole token is worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Amount>,
}

/// One URL, or several of one chain, the preferred ones first. Never shown: they may hold access tokens.
#[derive(Clone, Deserialize)]
#[serde(from = "OneOrMore")]
#[allow(missing_debug_implementations, reason = "it holds secrets")]
pub struct Urls(pub Vec<url::Url>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a URL, or a list of URLs")]
enum OneOrMore {
    One(url::Url),
    More(Vec<url::Url>),
}

impl From<OneOrMore> for Urls {
    fn from(read: OneOrMore) -> Self {
        match read {
            OneOrMore::One(url) => Self(vec![url]),
            OneOrMore::More(urls) => Self(urls),
        }
    }
}

impl Urls {
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(!self.0.is_empty(), "rpc_url: give at least one");
        let fit = self.0.iter().all(|url| matches!(url.scheme(), "http" | "https"));
        ensure!(fit, "rpc_url: only http and https are supported");
        let mut seen = std::collections::BTreeSet::new();
        ensure!(self.0.iter().all(|url| seen.insert(url)), "rpc_url: one is given twice");
        Ok(())
    }

    /// Where they are, which is safe to log.
    #[must_use]
    pub fn origins(&self) -> String {
        self.0.iter().map(|url| url.origin().ascii_serialization()).collect::<Vec<_>>().join(", ")
    }
}

/// How logs are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Seconds in which an exit can be answered.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the table in README.md describes the options")]
pub struct ChallengePeriod {
    pub min: u32,
    pub max: u32,
    pub default: u32,
}

impl Default for ChallengePeriod {
    fn default() -> Self {
        Self { min: 3_600, max: 2_592_000, default: 86_400 }
    }
}

/// Times of locks in seconds, and how many may stand in a channel.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the table in README.md describes the options")]
pub struct Locks {
    pub safety_margin: u64,
    pub min_time: u64,
    pub max_time: u64,
    pub leave_after: u64,
    pub max: Option<usize>,
    pub pending: Option<u64>,
    pub held: Option<u64>,
    pub patience: u64,
    pub block_time: Option<u64>,
    pub block_gas: u64,
}

impl Default for Locks {
    fn default() -> Self {
        Self {
            safety_margin: 600,
            min_time: 1_800,
            max_time: 604_800,
            leave_after: 2_592_000,
            max: None,
            pending: None,
            held: None,
            patience: 60,
            block_time: None,
            block_gas: 6_000_000,
        }
    }
}

/// What the hub spends a day on the withdrawals and closings of its clients, in wei, and how it sends deposits of those
/// who have no ETH.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the table in README.md describes the options")]
pub struct Relay {
    pub channel_per_day: Option<Amount>,
    pub per_day: Option<Amount>,
    pub contract: Option<Address>,
    pub max_fee_per_gas: Option<Amount>,
    pub deposit_gas_per_day: Option<Amount>,
    pub deposits_per_owner: Option<u32>,
    pub deposits_per_minute: Option<u32>,
}

/// What the hub spends a day on the gas of collateral for clients without a deposit, in wei.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the table in README.md describes the options")]
pub struct Strangers {
    pub gas_per_day: Option<Amount>,
}

/// What one client may ask for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the table in README.md describes the options")]
pub struct Limits {
    pub connections: usize,
    pub connections_per_ip: usize,
    pub channels: usize,
    pub unfunded_channels: usize,
    pub unfunded_per_ip: usize,
    pub unfunded_age: u64,
    pub requests_per_second: u32,
    pub burst: u32,
    pub registrations_per_second: u32,
    pub registration_burst: u32,
    pub backups_per_minute: u32,
    pub backup_burst: u32,
    pub faults: u32,
    pub fault_wait: u64,
    pub memory: usize,
    pub memory_per_ip: usize,
    pub outbound_queue: usize,
    pub outbound_bytes: usize,
    pub silence_timeout: u64,
    pub write_timeout: u64,
    pub ping_interval: u64,
    pub idle_timeout: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_ip: 256,
            channels: 100_000,
            unfunded_channels: 10_000,
            unfunded_per_ip: 256,
            unfunded_age: 604_800,
            requests_per_second: 5_000,
            burst: 20_000,
            registrations_per_second: 1,
            registration_burst: 200,
            backups_per_minute: 60,
            backup_burst: 20,
            faults: 16,
            fault_wait: 10,
            memory: 50_331_648,
            memory_per_ip: 8_388_608,
            outbound_queue: 256,
            outbound_bytes: 1_048_576,
            silence_timeout: 30,
            write_timeout: 10,
            ping_interval: 20,
            idle_timeout: 60,
        }
    }
}

impl Limits {
    pub(super) fn check(&self) -> Result<()> {
        ensure!(self.connections > 0 && self.connections_per_ip > 0, "limits: connections must be at least 1");
        ensure!(
            self.requests_per_second > 0 && self.burst > 0,
            "limits: requests_per_second and burst must be at least 1"
        );
        ensure!(self.unfunded_channels > 0, "limits.unfunded_channels: must be at least 1");
        ensure!(self.unfunded_per_ip > 0, "limits.unfunded_per_ip: must be at least 1");
        ensure!(
            self.backups_per_minute > 0 && self.backup_burst > 0,
            "limits: backups_per_minute and backup_burst must be at least 1"
        );
        ensure!(self.faults > 0 && self.fault_wait > 0, "limits: faults and fault_wait must be at least 1");
        // The largest frame has to fit.
        let frame = farthing_protocol::api::limits::MAX_MESSAGE;
        ensure!(self.outbound_bytes >= frame, "limits.outbound_bytes: must be at least {frame}");
        ensure!(self.memory_per_ip >= frame, "limits.memory_per_ip: must be at least {frame}");
        ensure!(self.memory >= self.memory_per_ip, "limits.memory: must not be below limits.memory_per_ip");
        ensure!(
            self.silence_timeout > 0 && self.write_timeout > 0,
            "limits: silence_timeout and write_timeout must be at least 1 second"
        );
        // A client registers first, and its deposit is final only some time later.
        ensure!(self.unfunded_age >= 60, "limits.unfunded_age: must be at least 60 seconds");
        ensure!(self.outbound_queue > 0, "limits.outbound_queue: must be at least 1");
        ensure!(self.ping_interval > 0, "limits.ping_interval: must be at least 1 second");
        ensure!(self.idle_timeout > self.ping_interval, "limits.idle_timeout: must be above limits.ping_interval");
        Ok(())
    }
}

impl Raw {
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

/// Options from a file's text, under those of the environment whose names start with `prefix`.
pub(crate) fn options<T: DeserializeOwned>(
    text: &str,
    name: &str,
    prefix: &str,
    env: impl Iterator<Item = (String, String)>,
) -> Result<T> {
    let mut table: toml::Table = text.parse().with_context(|| format!("{name} is not TOML"))?;
    for secret in SECRETS {
        if table.contains_key(secret) {
            let variable = secret.to_uppercase();
            bail!("{name}: {secret} does not belong in a file; use {prefix}{variable} or {secret}_file");
        }
    }
    for (variable, value) in env {
        let Some(option) = variable.strip_prefix(prefix).filter(|rest| !NOT_OPTIONS.contains(rest)) else {
            continue;
        };
        set(&mut table, &option.to_lowercase(), &value)
            .with_context(|| format!("the environment variable {variable}"))?;
    }
    T::deserialize(table).map_err(|error| anyhow::anyhow!("{name}: {}", error.message()))
}

fn set(table: &mut toml::Table, option: &str, value: &str) -> Result<()> {
    if let Some((outer, inner)) = option.split_once("__") {
        let entry = table.entry(outer).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        let Some(nested) = entry.as_table_mut() else { bail!("{outer} is not a table") };
        return set(nested, inner, value);
    }
    // Only what can't be meant as text is read as TOML: an address must not become a number.
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = if digits || value.starts_with(['[', '{']) {
        let line: toml::Table = format!("value = {value}").parse().context("is not TOML")?;
        line.get("value").cloned().context("is empty")?
    } else {
        toml::Value::String(value.to_owned())
    };
    table.insert(option.to_owned(), parsed);
    Ok(())
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 7190))
}

const fn default_collateral_per_stake() -> u32 {
    1
}

const fn default_idle_after() -> u64 {
    604_800
}

const fn default_exit_after() -> u64 {
    7_776_000
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
    PathBuf::from("farthing-hub.sqlite")
}
