//! An RPC between a node and its sender that is slow, counts, and refuses what it is told to.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What an RPC that misbehaves does.
#[derive(Clone, Default)]
pub struct Proxy {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    target: String,
    delay: Duration,
    counts: Mutex<BTreeMap<String, usize>>,
    /// By method: what it says instead of asking the node.
    answers: Mutex<BTreeMap<String, Value>>,
}

impl Proxy {
    /// An RPC that asks `target` after a while. Returns its URL.
    pub async fn start(target: &str, delay: Duration) -> (Self, String) {
        let inner = Inner { target: target.to_owned(), delay, ..Inner::default() };
        let proxy = Self { inner: Arc::new(inner) };
        let app = Router::new().fallback(pass).with_state(proxy.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, app).into_future());
        (proxy, url)
    }

    /// From now on a method fails with these words, or works again.
    pub fn refuse(&self, method: &str, words: Option<&str>) {
        let mut answers = self.inner.answers.lock().unwrap();
        match words {
            Some(words) => answers.insert(method.to_owned(), json!({ "code": -32_000, "message": words })),
            None => answers.remove(method),
        };
    }

    /// How often a method was asked for.
    pub fn count(&self, method: &str) -> usize {
        self.inner.counts.lock().unwrap().get(method).copied().unwrap_or_default()
    }

    /// Questions in all.
    pub fn total(&self) -> usize {
        self.inner.counts.lock().unwrap().values().sum()
    }
}

async fn pass(State(proxy): State<Proxy>, body: Bytes) -> String {
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let method = asked["method"].as_str().unwrap_or("batch").to_owned();
    *proxy.inner.counts.lock().unwrap().entry(method.clone()).or_default() += 1;
    tokio::time::sleep(proxy.inner.delay).await;
    let refusal = proxy.inner.answers.lock().unwrap().get(&method).cloned();
    if let Some(error) = refusal {
        return json!({ "jsonrpc": "2.0", "id": asked["id"], "error": error }).to_string();
    }
    let request = reqwest::Client::new().post(&proxy.inner.target).header("content-type", "application/json");
    request.body(body).send().await.unwrap().text().await.unwrap()
}
