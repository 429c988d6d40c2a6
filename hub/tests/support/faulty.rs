//! An RPC that fails as real ones do, as long as it is told to.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// What it does instead of asking the node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// HTTP 429, with so many seconds to wait.
    TooMany(u64),
    /// Error -32005.
    Limit,
    /// A page, with HTTP 200.
    Page,
    /// HTTP 502.
    Gateway,
    /// `null` for an answer.
    Null,
    /// The question is taken, and its answer lost.
    Lost,
    /// No answer ever.
    Hang,
    /// `eth_call` takes no block hash.
    NoHashes,
    /// `eth_getLogs` takes no more blocks than this.
    Range(u64),
    /// The newest block is this much lower, and of those above it nothing is known.
    Behind(u64),
    /// It stands still at this block: of later ones nothing is known, neither their logs nor their state.
    Stuck(u64),
    /// It tells a time of each log, as some nodes do.
    Times,
    /// It is of another chain.
    Chain(u64),
    /// Every `eth_call` is answered with this.
    Lie(String),
}

/// The RPC.
#[derive(Clone)]
pub struct Faulty {
    pub url: String,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    target: String,
    /// For the next questions, one each.
    next: VecDeque<Fault>,
    /// For all questions, until it is taken away.
    always: Option<Fault>,
    asked: Vec<String>,
}

impl Faulty {
    pub async fn start(target: &str) -> Self {
        let inner = Arc::new(Mutex::new(Inner { target: target.to_owned(), ..Inner::default() }));
        let app = Router::new().fallback(pass).with_state(Arc::clone(&inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, app).into_future());
        Self { url, inner }
    }

    pub fn always(&self, fault: Option<Fault>) {
        self.inner.lock().unwrap().always = fault;
    }

    pub fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.inner.lock().unwrap().next.extend(faults);
    }

    /// How often a method was asked for; "" for all.
    pub fn count(&self, method: &str) -> usize {
        let inner = self.inner.lock().unwrap();
        inner.asked.iter().filter(|asked| method.is_empty() || *asked == method).count()
    }
}

fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

async fn pass(State(inner): State<Arc<Mutex<Inner>>>, body: Bytes) -> Response {
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let questions = asked.as_array().cloned().unwrap_or_else(|| vec![asked.clone()]);
    let (fault, target) = {
        let mut inner = inner.lock().unwrap();
        inner.asked.extend(questions.iter().map(|question| question["method"].as_str().unwrap().to_owned()));
        (inner.next.pop_front().or_else(|| inner.always.clone()), inner.target.clone())
    };
    let each = |answer: &dyn Fn(&Value) -> Value| {
        let answers: Vec<Value> = questions.iter().map(answer).collect();
        if asked.is_array() { json!(answers) } else { answers[0].clone() }
    };
    let error = |question: &Value, code: i64, message: &str| json!({ "jsonrpc": "2.0", "id": question["id"], "error": { "code": code, "message": message } });
    match &fault {
        Some(Fault::TooMany(seconds)) => {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", seconds.to_string().parse().unwrap());
            return (StatusCode::TOO_MANY_REQUESTS, headers, "slow down").into_response();
        }
        Some(Fault::Limit) => return axum::Json(each(&|q| error(q, -32_005, "limit exceeded"))).into_response(),
        Some(Fault::Page) => return "<html><body>Just a moment...</body></html>".into_response(),
        Some(Fault::Gateway) => return (StatusCode::BAD_GATEWAY, "<html>502</html>").into_response(),
        Some(Fault::Null) => {
            return axum::Json(each(&|q| json!({ "jsonrpc": "2.0", "id": q["id"], "result": null }))).into_response();
        }
        Some(Fault::Hang) => return std::future::pending().await,
        Some(Fault::NoHashes) if questions.iter().any(|q| q["params"][1].is_object()) => {
            return axum::Json(each(&|q| error(q, -32_602, "Cannot wrap a \"object\" as a json-rpc type")))
                .into_response();
        }
        Some(Fault::Range(most)) => {
            let filter = &questions[0]["params"][0];
            if let (Some(from), Some(to)) = (number(&filter["fromBlock"]), number(&filter["toBlock"]))
                && to - from >= *most
            {
                return axum::Json(error(&questions[0], -32_000, &format!("exceed maximum block range: {most}")))
                    .into_response();
            }
        }
        Some(Fault::Chain(id)) if asked["method"] == "eth_chainId" => {
            let id = format!("{id:#x}");
            return axum::Json(each(&|q| json!({ "jsonrpc": "2.0", "id": q["id"], "result": id }))).into_response();
        }
        Some(Fault::Lie(said)) if questions.iter().all(|q| q["method"] == "eth_call") => {
            return axum::Json(each(&|q| json!({ "jsonrpc": "2.0", "id": q["id"], "result": said }))).into_response();
        }
        _ => {}
    }
    if let Some(Fault::Behind(by)) = fault
        && asked["method"] == "eth_getBlockByNumber"
    {
        let newest = ask(&target, json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber" }).to_string()).await;
        let newest: Value = serde_json::from_str(&newest).unwrap();
        let known = number(&newest["result"]).unwrap().saturating_sub(by);
        let mut lower = asked.clone();
        match number(&asked["params"][0]) {
            Some(asked_for) if asked_for > known => {
                return axum::Json(json!({ "jsonrpc": "2.0", "id": asked["id"], "result": null })).into_response();
            }
            Some(_) => {}
            None => lower["params"][0] = json!(format!("{known:#x}")),
        }
        return ask(&target, lower.to_string()).await.into_response();
    }
    if let Some(Fault::Stuck(at)) = fault {
        match stand_still(&asked, &questions, at, &target).await {
            Ok(question) => return ask(&target, question.to_string()).await.into_response(),
            Err(None) => {
                return axum::Json(each(&|q| json!({ "jsonrpc": "2.0", "id": q["id"], "result": null })))
                    .into_response();
            }
            Err(Some(said)) => return axum::Json(each(&|q| error(q, -32_000, said))).into_response(),
        }
    }
    let answer = ask(&target, String::from_utf8(body.to_vec()).unwrap()).await;
    if fault == Some(Fault::Times) && asked["method"] == "eth_getLogs" {
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        for log in answer["result"].as_array_mut().into_iter().flatten() {
            log["blockTimestamp"] = json!("0x7");
        }
        return axum::Json(answer).into_response();
    }
    if fault == Some(Fault::Lost) {
        return (StatusCode::BAD_GATEWAY, "").into_response();
    }
    answer.into_response()
}

async fn ask(target: &str, body: String) -> String {
    let request = super::http().post(target).header("content-type", "application/json").body(body);
    request.send().await.unwrap().text().await.unwrap()
}

/// The question as one asks it who knows nothing after a block; else that there is no such thing, or an error.
async fn stand_still(asked: &Value, questions: &[Value], at: u64, target: &str) -> Result<Value, Option<&'static str>> {
    let mut known = asked.clone();
    let last = json!(format!("{at:#x}"));
    match questions[0]["method"].as_str().unwrap() {
        "eth_getBlockByNumber" => match number(&asked["params"][0]) {
            Some(number) if number > at => return Err(None),
            Some(_) => {}
            None => known["params"][0] = last,
        },
        "eth_getLogs" => {
            let filter = &mut known["params"][0];
            if number(&filter["fromBlock"]).unwrap() > at {
                return Err(Some("block not found"));
            }
            filter["toBlock"] = json!(format!("{:#x}", number(&filter["toBlock"]).unwrap().min(at)));
        }
        "eth_call" => {
            let hash = &questions[0]["params"][1]["blockHash"];
            let block = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByHash", "params": [hash, false] });
            let block: Value = serde_json::from_str(&ask(target, block.to_string()).await).unwrap();
            if hash.is_string() && number(&block["result"]["number"]).is_none_or(|number| number > at) {
                return Err(Some("header not found"));
            }
        }
        _ => {}
    }
    Ok(known)
}
