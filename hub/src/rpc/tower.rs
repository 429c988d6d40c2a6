//! A watchtower's JSON-RPC over HTTP, and its probes. Stricter than needed, like the hub's: whatever comes in gets a
//! clear error with a stable code and changes nothing.

use super::envelope::{self, Envelope, Request};
use super::error::RpcError;
use super::http::{failure, ip_of, refusal};
use super::limits::Buckets;
use super::methods::{Nothing, OfChannel, read, value};
use crate::health::{Health, Report};
use crate::watch::{Gas, Tower};
use axum::Router;
use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use farthing_protocol::Code;
use farthing_protocol::message::MAX_MESSAGE;
use farthing_protocol::watch::{WatchOrder, WatchedLane};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tower_http::cors::{Any, CorsLayer};

/// OpenRPC 1.3.
const DOCUMENT: &str = include_str!("../../openrpc-watch.json");
/// Every method's name. `openrpc-watch.json` describes the same ones.
#[cfg(test)]
const METHODS: [&str; 4] = ["watch_config", "watch_put", "watch_status", "rpc.discover"];
/// How long a client may take to send its request's body.
const BODY_TIME: Duration = Duration::from_secs(10);

/// What the methods work with.
#[derive(Debug)]
pub(crate) struct TowerApp {
    tower: Tower,
    health: Arc<Health>,
    buckets: Buckets,
}

impl TowerApp {
    pub(crate) fn new(tower: Tower, health: Arc<Health>) -> Arc<Self> {
        let limits = tower.config().limits;
        Arc::new(Self { tower, health, buckets: Buckets::new(limits.requests_per_second, limits.burst) })
    }
}

/// All routes.
pub(crate) fn tower_app(state: Arc<TowerApp>) -> Router {
    // Any page may use a tower: there are no cookies, and every right comes from a signature.
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Put {
    order: WatchOrder,
    lanes: Vec<WatchedLane>,
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
            let result = call(&app, ip, &request).await;
            if request.id.is_none() {
                return StatusCode::NO_CONTENT.into_response();
            }
            json_text(envelope::response(request.id, &result))
        }
        Ok(Envelope::One(Err(error))) | Err(error) => json_text(failure(error)),
        Ok(Envelope::Batch(_)) => json_text(failure(RpcError::request("batches are not served"))),
    }
}

async fn call(app: &TowerApp, ip: IpAddr, request: &Request<'_>) -> Result<Value, RpcError> {
    match request.method.as_ref() {
        "watch_config" => {
            let Nothing {} = read(request.params)?;
            Ok(terms(&app.tower))
        }
        "watch_put" => {
            let Put { order, lanes } = read(request.params)?;
            let receipts = app.tower.put(order, lanes).await.inspect_err(|error| {
                tracing::debug!(%ip, %error, "a put was refused");
            })?;
            Ok(json!({ "receipts": receipts }))
        }
        "watch_status" => {
            let OfChannel { channel_id } = read(request.params)?;
            let (watched, receipts) = app.tower.status(channel_id).await?;
            let exit = watched.exit.map(|exit| exit.ends_at);
            let evidence = watched.evidence;
            Ok(
                json!({ "channelId": channel_id, "exitEndsAt": exit, "evidence": evidence, "receipts": value(&receipts)? }),
            )
        }
        "rpc.discover" => {
            let Nothing {} = read(request.params)?;
            serde_json::from_str(DOCUMENT).map_err(|_| Code::Internal.into())
        }
        other => Err(RpcError::method(other)),
    }
}

/// What a client has to know before it relies on the tower.
fn terms(tower: &Tower) -> Value {
    let config = tower.config();
    json!({
        "protocolVersion": 1,
        "chainId": config.chain_id,
        "contract": config.contract,
        "tower": config.signer.address(),
        "confirmations": config.confirmations,
        "recordMargin": config.record_margin,
        "channelsPerClient": config.limits.channels_per_client,
        "assetsPerChannel": config.limits.assets_per_channel,
        "evidencePerLane": config.evidence_per_lane(),
        "maxMessageBytes": MAX_MESSAGE,
    })
}

fn json_text(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_method_served_is_described_and_the_reverse() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let methods = document["methods"].as_array().unwrap();
        let described: BTreeSet<_> = methods.iter().map(|method| method["name"].as_str().unwrap()).collect();
        assert_eq!(described, METHODS.into_iter().collect());
        let text = DOCUMENT.matches("\"$ref\": \"#").count();
        let found = DOCUMENT.split("\"$ref\": \"#").skip(1).filter(|rest| {
            let pointer = rest.split('"').next().unwrap();
            document.pointer(pointer).is_some()
        });
        assert_eq!(found.count(), text, "every reference leads somewhere");
        assert!(text > 0);
    }
}
