//! JSON-RPC over HTTP POST.

use super::App;
use super::envelope::{self, Envelope, Request};
use super::error::RpcError;
use super::methods::{self, Answer};
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use farthing_protocol::Code;
use farthing_protocol::message::MAX_MESSAGE;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// How long a client may take to send its request's body.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Answers a request or a batch.
pub(super) async fn post(State(app): State<Arc<App>>, request: axum::extract::Request) -> Response {
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
    let Ok(text) = std::str::from_utf8(&body) else { return json(failure(RpcError::parse())) };
    match envelope::read(text) {
        Err(error) => json(failure(error)),
        Ok(Envelope::One(request)) => match answer(&app, ip, request, true).await {
            Some(response) => json(response),
            None => StatusCode::NO_CONTENT.into_response(),
        },
        Ok(Envelope::Batch(requests)) => {
            let mut responses = Vec::with_capacity(requests.len());
            for (index, request) in requests.into_iter().enumerate() {
                responses.extend(answer(&app, ip, request, index == 0).await);
            }
            if responses.is_empty() {
                return StatusCode::NO_CONTENT.into_response();
            }
            json(format!("[{}]", responses.join(",")))
        }
    }
}

/// The response, unless it was a notification. The first of a batch was counted with the HTTP request.
async fn answer(app: &App, ip: IpAddr, request: Result<Request<'_>, RpcError>, first: bool) -> Option<String> {
    let request = match request {
        Ok(request) => request,
        Err(error) => return Some(failure(error)),
    };
    let result = if first || app.buckets.take(ip, 1) {
        methods::call(app, ip, None, &request.method, request.params, request.id).await
    } else {
        Err(Code::RateLimited.into())
    };
    let result = result.map(|answer| match answer {
        Answer::Result(value) => value,
        Answer::Sent => Value::Null,
    });
    request.id.map(|id| envelope::response(Some(id), &result))
}

/// The caller's address; requests of tests have none.
pub(super) fn ip_of<B>(request: &axum::http::Request<B>) -> IpAddr {
    let info = request.extensions().get::<ConnectInfo<SocketAddr>>();
    info.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ConnectInfo(address)| address.ip())
}

pub(super) fn refusal(status: StatusCode, code: Code) -> Response {
    (status, json(failure(code.into()))).into_response()
}

pub(super) fn failure(error: RpcError) -> String {
    envelope::response(None, &Err::<Value, _>(error))
}

fn json(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
