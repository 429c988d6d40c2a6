//! A watchtower's JSON-RPC over HTTP, and its probes. Stricter than needed, like the hub's: whatever comes in gets a
//! clear error with a stable code and changes nothing.

use super::{Gas, Tower};
use crate::health::{Health, Report};
use crate::origin::Origin;
use crate::rpc::envelope::{self, Envelope, Request};
use crate::rpc::error::RpcError;
use crate::rpc::http::{failure, ip_of, refusal};
use crate::rpc::limits::Buckets;
use crate::rpc::methods::{read, value};
use axum::Router;
use axum::extract::State;
use axum::http::{self, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use farthing_protocol::Code;
use farthing_protocol::api::PROTOCOL_VERSION;
use farthing_protocol::api::limits::MAX_MESSAGE;
use farthing_protocol::api::tower::{Config, Discover, Method, Put, Receipts, Status, Terms, Watched};
use serde::Serialize;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tower_http::cors::{Any, CorsLayer};

/// OpenRPC 1.3.
const DOCUMENT: &str = include_str!("../../openrpc-watch.json");
/// How long a client may take to send its request's body.
const BODY_TIME: Duration = Duration::from_secs(10);

/// What the methods work with.
#[derive(Debug)]
pub(crate) struct TowerApp {
    tower: Tower,
    health: Arc<Health>,
    buckets: Buckets<Origin>,
}

impl TowerApp {
    pub(crate) fn new(tower: Tower, health: Arc<Health>) -> Arc<Self> {
        let limits = tower.config().limits;
        Arc::new(Self { tower, health, buckets: Buckets::new(f64::from(limits.requests_per_second), limits.burst) })
    }
}

/// All routes.
pub(crate) fn tower_app(state: Arc<TowerApp>) -> Router {
    // Any page may use a tower: there are no cookies, and every right comes from a signature.
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([http::Method::GET, http::Method::POST])
        .allow_headers([header::CONTENT_TYPE]);
    Router::new()
        .route("/", post(take))
        .route("/openrpc.json", get(async || ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)))
        .route("/health", get(async || axum::Json(json!({ "status": "ok" }))))
        .route("/ready", get(ready))
        .layer(cors)
        .with_state(state)
}

#[derive(Serialize)]
struct Readiness {
    #[serde(flatten)]
    report: Report,
    gas: Gas,
}

/// Ready as long as it can watch. A low balance is told, but it is for the operator, not for a load balancer.
async fn ready(State(app): State<Arc<TowerApp>>) -> Response {
    let report = app.health.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(Readiness { report, gas: app.tower.gas() })).into_response()
}

/// Answers a request. Batches are not served: a put is all or nothing already.
async fn take(State(app): State<Arc<TowerApp>>, request: axum::extract::Request) -> Response {
    let ip = ip_of(&request);
    if !app.buckets.take(ip, 1) {
        return refusal(StatusCode::TOO_MANY_REQUESTS, Code::RateLimited);
    }
    // Reads at most one byte more than the limit, whatever the client promises.
    let body = axum::body::to_bytes(request.into_body(), MAX_MESSAGE);
    let Ok(body) = tokio::time::timeout(BODY_TIME, body).await else {
        return refusal(StatusCode::REQUEST_TIMEOUT, Code::BadEncoding);
    };
    let Ok(body) = body else { return refusal(StatusCode::PAYLOAD_TOO_LARGE, Code::MessageTooLarge) };
    let Ok(text) = std::str::from_utf8(&body) else { return json_text(failure(RpcError::parse())) };
    match envelope::read(text) {
        Ok(Envelope::One(Ok(request))) => {
            let result = call(&app, ip, &request).await.map(|value| value.to_string());
            if request.id.is_none() {
                return StatusCode::NO_CONTENT.into_response();
            }
            json_text(envelope::response(request.id, result.as_deref()))
        }
        Ok(Envelope::One(Err(error))) | Err(error) => json_text(failure(error)),
        Ok(Envelope::Batch(_)) => json_text(failure(RpcError::request("batches are not served"))),
    }
}

async fn call(app: &TowerApp, ip: IpAddr, request: &Request<'_>) -> Result<Value, RpcError> {
    let method = Method::of(&request.method).ok_or_else(|| RpcError::method(&request.method))?;
    match method {
        Method::Config => {
            let Config {} = read(request.params)?;
            value::<Config>(&terms(&app.tower))
        }
        Method::Put => {
            let Put { order, lanes } = read(request.params)?;
            let receipts = app.tower.put(order, lanes).await.inspect_err(|error| {
                tracing::debug!(%ip, %error, "a put was refused");
            })?;
            value::<Put>(&Receipts { receipts })
        }
        Method::Status => {
            let Status { channel_id } = read(request.params)?;
            let (watched, receipts) = app.tower.status(channel_id).await?;
            let exit_ends_at = watched.exit.map(|exit| exit.ends_at);
            value::<Status>(&Watched { channel_id, exit_ends_at, evidence: watched.evidence, receipts })
        }
        Method::Discover => {
            let Discover {} = read(request.params)?;
            serde_json::from_str(DOCUMENT).map_err(|_| Code::Internal.into())
        }
    }
}

/// What a client has to know before it relies on the tower.
fn terms(tower: &Tower) -> Terms {
    let config = tower.config();
    Terms {
        protocol_version: Some(PROTOCOL_VERSION),
        chain_id: config.chain_id,
        contract: config.contract,
        tower: config.signer.address(),
        confirmations: Some(config.confirmations),
        record_margin: Some(config.record_margin),
        channels_per_client: Some(config.limits.channels_per_client),
        assets_per_channel: Some(config.limits.assets_per_channel),
        evidence_per_lane: Some(config.evidence_per_lane()),
        max_message_bytes: u64::try_from(MAX_MESSAGE).ok(),
    }
}

fn json_text(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
