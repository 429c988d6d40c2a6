//! JSON-RPC 2.0 over HTTP and WebSocket, and the probes.
//!
//! Whatever comes in, however malformed, gets a clear error with a stable code and changes nothing.

mod envelope;
mod error;
mod http;
mod limits;
mod methods;
mod openrpc;
mod socket;
pub(crate) mod tower;

pub use openrpc::DOCUMENT as OPENRPC;

use crate::config::Config;
use crate::core::Core;
use crate::health::Health;
use crate::store::Store;
use axum::Router;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use farthing_protocol::eip712::Domain;
use farthing_protocol::message::MAX_MESSAGE;
use limits::{Buckets, Connections};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::watch;
use tower_http::cors::{Any, CorsLayer};

/// What the methods work with.
#[derive(Debug)]
pub struct App {
    core: Core,
    store: Arc<dyn Store>,
    health: Arc<Health>,
    domain: Domain,
    limits: crate::config::Limits,
    /// The answer to `farthing_config`, which never changes.
    terms: Value,
    connections: Arc<Connections>,
    buckets: Buckets,
    /// A registration makes the hub remember something for good, so these are counted by address.
    registrations: Buckets,
    /// True once the hub is shutting down.
    stopping: watch::Receiver<bool>,
}

impl App {
    /// What the methods work with, for a hub with this configuration.
    #[must_use]
    pub fn new(
        config: &Config,
        core: Core,
        store: Arc<dyn Store>,
        health: Arc<Health>,
        stopping: watch::Receiver<bool>,
    ) -> Arc<Self> {
        let limits = config.limits;
        Arc::new(Self {
            core,
            store,
            health,
            domain: Domain::new(config.chain_id, config.contract),
            limits,
            terms: terms(config),
            connections: Connections::new(limits.connections, limits.connections_per_ip),
            buckets: Buckets::new(limits.requests_per_second, limits.burst),
            registrations: Buckets::new(limits.registrations_per_second, limits.registration_burst),
            stopping,
        })
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
        .layer(cors)
        .with_state(state)
}

async fn ready(axum::extract::State(app): axum::extract::State<Arc<App>>) -> Response {
    let report = app.health.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(report)).into_response()
}

/// What a client has to know before it opens a channel. It checks the chain's part itself.
fn terms(config: &Config) -> Value {
    let hub = config.hub();
    let assets: Vec<Value> = config
        .assets
        .values()
        .map(|listed| {
            json!({
                "asset": listed.address,
                "symbol": listed.symbol,
                "decimals": listed.decimals,
                "channelCapacity": listed.channel_capacity,
                "minPayment": listed.min_payment,
                "maxPayment": listed.max_payment,
                "collateral": listed.collateral,
            })
        })
        .collect();
    let period = config.challenge_period;
    json!({
        "protocolVersion": 1,
        "chainId": config.chain_id,
        "contract": config.contract,
        "hub": {
            "owner": hub.owner,
            "signer": config.keys.signer.address(),
            "publicKey": config.keys.signer.public_key(),
        },
        "challengePeriod": { "min": period.min, "max": period.max, "default": period.default },
        "confirmations": config.confirmations,
        "safetyMargin": hub.policy.safety_margin,
        "minLockTime": hub.policy.min_lock_time,
        "maxLockTime": hub.policy.max_lock_time,
        "maxLocks": hub.policy.max_locks,
        "maxMessageBytes": MAX_MESSAGE,
        "assets": assets,
    })
}
