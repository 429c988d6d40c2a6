//! JSON-RPC 2.0 over HTTP and WebSocket, and the probes.
//!
//! Whatever comes in, however malformed, gets a clear error with a stable code and changes nothing.

mod challenges;
pub(crate) mod connections;
pub(crate) mod envelope;
pub(crate) mod error;
mod faults;
pub(crate) mod http;
pub(crate) mod limits;
pub(crate) mod methods;
mod metrics;
mod openrpc;
mod screen;
pub(crate) mod serve;
mod socket;

pub use openrpc::DOCUMENT as OPENRPC;

use crate::chain::{Owners, Rpc};
use crate::config::{Config, Listed};
use crate::core::{Budget, Core};
use crate::deposits::DepositDesk;
use crate::health::Health;
use crate::origin::Origin;
use crate::store::Store;
use axum::Router;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use challenges::Challenges;
use connections::Connections;
use farthing_protocol::api::PROTOCOL_VERSION;
use farthing_protocol::api::hub as api;
use farthing_protocol::api::limits::MAX_MESSAGE;
use farthing_protocol::api::relay::RelayTerms;
use farthing_protocol::api::terms::{AssetTerms, HubKeys, Period, Terms};
use farthing_protocol::eip712::Domain;
use farthing_protocol::{Amount, ChannelId};
use faults::Faults;
use limits::Buckets;
use screen::Screens;
use serde_json::json;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tower_http::cors::{Any, CorsLayer};

/// As many connections may be busy at once at one origin.
const CONNECTIONS: f64 = 4.0;
/// As many channels may keep backups as fast as they can at one origin.
const CHANNELS: f64 = 16.0;

/// What the methods work with.
#[derive(Debug)]
pub struct App {
    core: Core,
    store: Arc<dyn Store>,
    health: Arc<Health>,
    domain: Domain,
    limits: crate::config::Limits,
    /// Owners that are contracts.
    owners: Owners,
    /// The answer to `farthing_config`, which never changes.
    terms: Arc<RawValue>,
    connections: Arc<Connections>,
    /// Bytes that wait for clients.
    budget: Arc<Budget>,
    buckets: Buckets<Origin>,
    /// Of all connections of an origin together.
    shared: Buckets<Origin>,
    /// A registration makes the hub remember something for good, so these are counted by address.
    registrations: Buckets<Origin>,
    /// Sends deposits of owners without ETH, if the hub does.
    deposits: Option<DepositDesk>,
    /// What each of them has us ask the chain, by address.
    deposits_asked: Buckets<Origin>,
    /// A backup costs the disk, so these are counted by channel.
    backups: Buckets<ChannelId>,
    /// Of all channels of an origin together.
    shared_backups: Buckets<Origin>,
    restores: Buckets<ChannelId>,
    /// Whose turn it is to read one.
    reading: Mutex<()>,
    challenges: Challenges,
    screens: Screens,
    faults: Faults,
    /// True once the hub is shutting down.
    stopping: watch::Receiver<bool>,
}

impl App {
    /// What the methods work with, for a hub with this configuration. Fails without randomness.
    pub fn new(
        config: &Config,
        rpc: &Rpc,
        core: Core,
        store: Arc<dyn Store>,
        health: Arc<Health>,
        deposits: Option<DepositDesk>,
        stopping: watch::Receiver<bool>,
    ) -> anyhow::Result<Arc<Self>> {
        let told = methods::value::<api::Config>(&terms(config));
        let told = told.map_err(|error| anyhow::anyhow!("the terms can't be told: {error:?}"))?;
        let limits = config.limits;
        let rate = f64::from(limits.requests_per_second);
        let puts = f64::from(limits.backups_per_minute) / 60.0;
        Ok(Arc::new(Self {
            core,
            store,
            health,
            domain: Domain::new(config.chain_id, config.contract),
            limits,
            owners: Owners::new(rpc, config.poll_interval),
            terms: serde_json::value::to_raw_value(&told)?.into(),
            connections: Connections::new(limits.connections, limits.connections_per_ip, false),
            budget: Budget::new(limits.memory, limits.memory_per_ip),
            buckets: Buckets::new(rate, limits.burst),
            shared: Buckets::new(rate * CONNECTIONS, limits.burst.saturating_mul(4)),
            registrations: Buckets::new(f64::from(limits.registrations_per_second), limits.registration_burst),
            deposits_asked: {
                let per_minute = deposits.as_ref().map_or(1, DepositDesk::per_minute);
                Buckets::new(f64::from(per_minute) / 60.0, per_minute)
            },
            deposits,
            backups: Buckets::new(puts, limits.backup_burst),
            shared_backups: Buckets::new(puts * CHANNELS, limits.backup_burst.saturating_mul(16)),
            restores: Buckets::new(puts, limits.backup_burst),
            reading: Mutex::new(()),
            challenges: Challenges::new()?,
            screens: Screens::new(),
            faults: Faults::new(limits.faults, Duration::from_secs(limits.fault_wait)),
            stopping,
        }))
    }
}

/// All routes. Tests call it without a socket.
pub fn app(state: Arc<App>) -> Router {
    // Any page may use a hub: there are no cookies, and every right comes from a signature.
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::CONTENT_TYPE]);
    Router::new()
        .route("/", get(socket::upgrade).post(http::post))
        .route("/openrpc.json", get(async || ([(header::CONTENT_TYPE, "application/json")], OPENRPC)))
        .route("/health", get(async || axum::Json(json!({ "status": "ok" }))))
        .route("/ready", get(ready))
        .route("/metrics", get(numbers))
        .layer(cors)
        .with_state(state)
}

async fn ready(axum::extract::State(app): axum::extract::State<Arc<App>>) -> Response {
    let report = app.health.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(report)).into_response()
}

async fn numbers(axum::extract::State(app): axum::extract::State<Arc<App>>) -> Response {
    ([(header::CONTENT_TYPE, metrics::FORMAT)], metrics::text(&app.health.report())).into_response()
}

/// What a client has to know before it opens a channel. It checks the chain's part itself.
fn terms(config: &Config) -> Terms {
    let hub = config.hub();
    // The most that lies in the channel of a client without a deposit, at the hub's gas; zero where it does not serve
    // them.
    let served = hub.strangers.day >= hub.strangers.cost;
    let for_stranger = |asset: &Listed| {
        let policy = hub.assets.get(&asset.address).filter(|_| served);
        policy.map_or(Amount::ZERO, |policy| policy.stranger_collateral.min(policy.stranger_day))
    };
    let listed = |listed: &Listed| AssetTerms {
        asset: listed.address,
        symbol: listed.symbol.clone(),
        decimals: listed.decimals,
        channel_capacity: listed.channel_capacity,
        min_payment: listed.min_payment,
        max_payment: listed.max_payment,
        collateral: Some(listed.collateral),
        stranger_collateral: Some(for_stranger(listed)),
        deposit_fee: config.deposits.as_ref().and_then(|deposits| deposits.fees.get(&listed.address).copied()),
    };
    let period = config.challenge_period;
    Terms {
        protocol_version: PROTOCOL_VERSION,
        chain_id: config.chain_id,
        contract: config.contract,
        hub: HubKeys {
            owner: hub.owner,
            signer: config.keys.signer.address(),
            public_key: config.keys.signer.public_key(),
        },
        challenge_period: Period { min: period.min, max: period.max, default: period.default },
        confirmations: config.confirmations,
        safety_margin: hub.policy.safety_margin,
        min_lock_time: hub.policy.min_lock_time,
        max_lock_time: hub.policy.max_lock_time,
        max_locks: u32::try_from(hub.policy.max_locks).unwrap_or(u32::MAX),
        max_message_bytes: u64::try_from(MAX_MESSAGE).ok(),
        relay: config.deposits.as_ref().map(|deposits| RelayTerms { contract: deposits.contract, relayer: hub.owner }),
        assets: config.assets.values().map(listed).collect(),
    }
}
