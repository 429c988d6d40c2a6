//! JSON-RPC over HTTP POST.

use super::App;
use super::envelope::{self, Envelope, Request};
use super::error::RpcError;
use super::methods;
use crate::core::Charge;
use crate::origin::Origin;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use farthing_protocol::api::limits::{MAX_ANSWER, MAX_MESSAGE};
use farthing_protocol::{Code, Error};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// How long a client may take to send its request's body.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Answers a request or a batch.
pub(super) async fn post(State(app): State<Arc<App>>, request: axum::extract::Request) -> Response {
    let ip = ip_of(&request);
    let origin = Origin::of(ip);
    if !app.buckets.take(ip, 1) {
        return refusal(StatusCode::TOO_MANY_REQUESTS, Code::RateLimited);
    }
    let promised = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let Some(_held) = app.budget.charge(origin, promised.unwrap_or(MAX_MESSAGE).min(MAX_MESSAGE)) else {
        return refusal(StatusCode::TOO_MANY_REQUESTS, Code::RateLimited);
    };
    // Reads at most one byte more than the limit, whatever the client promises.
    let body = axum::body::to_bytes(request.into_body(), MAX_MESSAGE);
    let Ok(body) = tokio::time::timeout(BODY_TIME, body).await else {
        return refusal(StatusCode::REQUEST_TIMEOUT, Code::BadEncoding);
    };
    let Ok(body) = body else { return refusal(StatusCode::PAYLOAD_TOO_LARGE, Code::MessageTooLarge) };
    let Ok(text) = std::str::from_utf8(&body) else { return json(failure(RpcError::parse())) };
    let mut answers = Answers { app: &app, origin, texts: Vec::new(), charges: Vec::new(), bytes: 0 };
    let batch = match envelope::read(text) {
        Err(error) => return json(failure(error)),
        Ok(Envelope::One(request)) => {
            answers.answer(request, true).await;
            false
        }
        Ok(Envelope::Batch(requests)) => {
            for (index, request) in requests.into_iter().enumerate() {
                answers.answer(request, index == 0).await;
            }
            true
        }
    };
    answers.into_response(batch)
}

/// Answers that are being put together, counted from the first on.
struct Answers<'a> {
    app: &'a App,
    origin: Origin,
    texts: Vec<String>,
    charges: Vec<Option<Charge>>,
    bytes: usize,
}

impl Answers<'_> {
    /// Makes a call, unless it was a notification. The first of a batch was counted with the HTTP request.
    async fn answer(&mut self, request: Result<Request<'_>, RpcError>, first: bool) {
        let (id, result) = match request {
            Err(error) => (None, Err(error)),
            Ok(request) => {
                let result = if self.bytes >= MAX_ANSWER {
                    let said = format!("the answers to a batch have at most {MAX_ANSWER} bytes");
                    Err(Error::new(Code::LimitExceeded, said).into())
                } else if first || self.app.buckets.take(self.origin, 1) {
                    methods::call(self.app, self.origin, None, &request.method, request.params, request.id).await
                } else {
                    Err(Code::RateLimited.into())
                };
                if request.id.is_none() {
                    return;
                }
                (request.id, result)
            }
        };
        let text = methods::response(id, result);
        self.bytes = self.bytes.saturating_add(text.len());
        self.charges.push(self.app.budget.charge(self.origin, text.len()));
        self.texts.push(text);
    }

    /// The bytes are counted until the last of them was written or the connection is gone.
    fn into_response(self, batch: bool) -> Response {
        let Some(charges) = self.charges.into_iter().collect::<Option<Vec<_>>>() else {
            return refusal(StatusCode::TOO_MANY_REQUESTS, Code::RateLimited);
        };
        let texts = self.texts.join(",");
        let text = match (batch, texts.is_empty()) {
            (_, true) => return StatusCode::NO_CONTENT.into_response(),
            (true, false) => format!("[{texts}]"),
            (false, false) => texts,
        };
        json(Body::from(Bytes::from_owner(Counted { text, _charges: charges })))
    }
}

/// A text whose bytes are counted as long as somebody holds it.
struct Counted {
    text: String,
    _charges: Vec<Charge>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// The caller's address; requests of tests have none.
pub(crate) fn ip_of<B>(request: &axum::http::Request<B>) -> IpAddr {
    let info = request.extensions().get::<ConnectInfo<SocketAddr>>();
    info.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ConnectInfo(address)| address.ip())
}

pub(crate) fn refusal(status: StatusCode, code: Code) -> Response {
    (status, json(failure(code.into()))).into_response()
}

pub(crate) fn failure(error: RpcError) -> String {
    envelope::response(None, Err(&error))
}

fn json(body: impl Into<Body>) -> Response {
    let body = body.into();
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
