//! Gets one answer out of one or several nodes as they are: limited, slow, broken, behind. A question is asked again,
//! of the next node if there is one, ever more slowly and up to an end; what a node says of the question itself is an
//! answer. Nothing that leaves here holds more of a URL than its origin.

use super::fault::{self, Fault};
use alloy::rpc::json_rpc::{RequestPacket, ResponsePacket, ResponsePayload};
use alloy::transports::{TransportError, TransportErrorKind, TransportFut};
use alloy_primitives::U64;
use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// How long one node may take: longer than a loaded one takes for a range of logs, unless there is another.
const TIME_LIMIT: Duration = Duration::from_secs(15);
const TIME_LIMIT_OF_SEVERAL: Duration = Duration::from_secs(6);
/// How long and how often a question is asked before that is told.
const PATIENCE: Duration = Duration::from_secs(20);
const TRIES: u32 = 8;
/// The same of many questions in one request, which may be what a node does not take; whoever asks tries fewer.
const TRIES_OF_MANY: u32 = 3;
/// The same of one node of several: the others are there.
const TRIES_OF_ONE: u32 = 2;
/// Tries of a node that does not know a block which another one behind its URL may know.
const BEHIND: u32 = 3;
/// Shorter parts of a URL are no secrets: `v2`, `rpc`.
const LEAST_SECRET: usize = 8;

/// Why a question was given up.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) fault: Fault,
    origin: Arc<str>,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the RPC {} {}", self.origin, self.fault)
    }
}

impl std::error::Error for Trouble {}

/// One node. Never shown: its URL may hold an access token.
struct Node {
    url: url::Url,
    origin: Arc<str>,
    secrets: Vec<String>,
    rest: Mutex<Rest>,
    /// It was seen to be of the chain that is wanted.
    fits: AtomicBool,
    /// Its newest block stays what it is while others go on.
    stuck: AtomicBool,
}

/// How long a node is left alone.
#[derive(Clone, Copy, Debug, Default)]
struct Rest {
    until: Option<Instant>,
    failures: u32,
    /// Why.
    fault: Option<Fault>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

impl Node {
    fn new(url: url::Url) -> Self {
        let origin = url.origin().ascii_serialization().into();
        let path = url.path_segments().into_iter().flatten().map(str::to_owned);
        let query = url.query_pairs().map(|(_, value)| value.into_owned());
        let user = [url.username(), url.password().unwrap_or_default()].map(str::to_owned);
        let all = path.chain(query).chain(user);
        let secrets = all.filter(|part| part.len() >= LEAST_SECRET).collect();
        let [fits, stuck] = [false; 2].map(AtomicBool::new);
        Self { url, origin, secrets, rest: Mutex::default(), fits, stuck }
    }

    fn rest(&self) -> Rest {
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, fault: Fault, now: Instant) {
        let mut chance = [127];
        // Without chance the pauses are the same for all, which is no harm to us.
        let _ = getrandom::fill(&mut chance);
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let [chance] = chance;
        let denied = matches!(fault, Fault::Denied(_));
        if denied && !matches!(rest.fault, Some(Fault::Denied(_))) {
            tracing::warn!(rpc = %self.origin, %fault, "asking again");
        }
        rest.fault = Some(fault);
        // Questions that were asked together are denied together, which is no more than once.
        if denied && rest.until.is_some_and(|until| until > now) {
            return;
        }
        rest.until = now.checked_add(fault::pause(fault, rest.failures, chance));
        rest.failures = rest.failures.saturating_add(1);
    }

    fn answered(&self) {
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = Rest::default();
    }

    /// What the node said, without what only its user may know.
    fn without_secrets(&self, said: Cow<'static, str>) -> Cow<'static, str> {
        self.secrets.iter().fold(said, |said, secret| match said.contains(secret) {
            true => Cow::Owned(said.replace(secret, "…")),
            false => said,
        })
    }
}

/// One or several nodes of the same chain, the preferred ones first.
#[derive(Clone, Debug)]
pub(super) struct Nodes {
    client: reqwest::Client,
    all: Arc<[Node]>,
    /// The one that answered last.
    current: Arc<AtomicUsize>,
    /// The chain's id, once a node was seen to have it; zero before.
    chain: Arc<AtomicU64>,
    /// Ask this one alone.
    only: Option<usize>,
}

impl Nodes {
    pub(super) fn new(urls: Vec<url::Url>) -> Self {
        let all = urls.into_iter().map(Node::new).collect();
        Self { client: reqwest::Client::new(), all, current: Arc::default(), chain: Arc::default(), only: None }
    }

    /// Each of them by itself.
    pub(super) fn each(&self) -> Vec<Self> {
        (0..self.all.len()).map(|index| Self { only: Some(index), ..self.clone() }).collect()
    }

    /// Whether the only one of them failed just now, and is left alone for a while.
    pub(super) fn rests(&self) -> bool {
        self.only().is_some_and(|node| node.rest().failures > 0)
    }

    /// Why no node can be asked, after so many failures in a row.
    pub(super) fn trouble(&self, least: u32) -> Option<Trouble> {
        let shown = self.all.iter().enumerate().filter(|(index, _)| self.only.is_none_or(|only| only == *index));
        let mut rests = shown.map(|(_, node)| (node, node.rest()));
        let (node, first) = rests.next()?;
        let fault = first.fault.filter(|_| first.failures >= least)?;
        rests.all(|(_, rest)| rest.failures >= least).then(|| Trouble { fault, origin: Arc::clone(&node.origin) })
    }

    /// Whether it is too early to ask the only one of them again.
    pub(super) fn is_left_alone(&self) -> bool {
        self.only().is_some_and(|node| node.rest().until.is_some_and(|until| until > Instant::now()))
    }

    /// The only one of them is of this chain, and so have the others to be before anything that they say counts.
    pub(super) fn note_fits(&self, chain_id: u64) {
        self.chain.store(chain_id, Ordering::Relaxed);
        if let Some(node) = self.only() {
            node.fits.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the only one of them stands still while others go on.
    pub(super) fn is_stuck(&self) -> bool {
        self.only().is_some_and(|node| node.stuck.load(Ordering::Relaxed))
    }

    /// One that stands still is asked when there is no other.
    pub(super) fn note_stuck(&self, stuck: bool) {
        let Some(node) = self.only() else { return };
        if node.stuck.swap(stuck, Ordering::Relaxed) != stuck {
            match stuck {
                true => tracing::warn!(rpc = %node.origin, "the node stands still while others go on; it is left out"),
                false => tracing::info!(rpc = %node.origin, "the node goes on"),
            }
        }
    }

    pub(super) fn tell_lack_of_hashes(&self) {
        tracing::warn!(
            rpc = %self.origins(),
            "the node takes no block hash in eth_call (EIP-1898); it is asked by number, and its block checked"
        );
    }

    /// Where they are, without anything secret.
    pub(super) fn origins(&self) -> String {
        let shown = self.all.iter().enumerate().filter(|(index, _)| self.only.is_none_or(|only| only == *index));
        shown.map(|(_, node)| &*node.origin).collect::<Vec<_>>().join(", ")
    }

    fn only(&self) -> Option<&Node> {
        match self.only {
            Some(index) => self.all.get(index),
            None => self.all.first().filter(|_| self.all.len() == 1),
        }
    }

    /// The node to ask next: the current one, or the one that may be asked first.
    fn next(&self, now: Instant) -> Option<(usize, &Node, Duration)> {
        let current = self.current.load(Ordering::Relaxed);
        let count = self.all.len().max(1);
        let waits = self.all.iter().enumerate().filter(|(index, _)| self.only.is_none_or(|only| only == *index));
        let waits = waits.map(|(index, node)| {
            let wait = node.rest().until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
            let distance = index.saturating_add(count).saturating_sub(current).checked_rem(count).unwrap_or_default();
            (wait, distance, index, node)
        });
        let stuck = |node: &Node| node.stuck.load(Ordering::Relaxed);
        let (wait, _, index, node) = waits.min_by_key(|(wait, distance, _, node)| (stuck(node), *wait, *distance))?;
        Some((index, node, wait))
    }

    /// How often a question is asked.
    fn most(&self, many: bool, last: Option<Fault>) -> u32 {
        let one_of_several = self.only.is_some() && self.all.len() > 1;
        match last {
            None => TRIES,
            Some(Fault::Late) if one_of_several => 1,
            Some(_) if one_of_several => TRIES_OF_ONE,
            Some(Fault::Limited(_)) => TRIES,
            Some(_) if many => TRIES_OF_MANY,
            Some(_) => TRIES,
        }
    }

    async fn ask(self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let methods: Vec<String> = packet.method_names().map(str::to_owned).collect();
        let body = packet.serialize().map_err(TransportError::ser_err)?;
        let body: bytes::Bytes = body.get().to_owned().into();
        let start = Instant::now();
        let limit = if self.all.len() > 1 { TIME_LIMIT_OF_SEVERAL } else { TIME_LIMIT };
        let many = methods.len() > 1;
        let (mut tries, mut behind) = (0_u32, 0_u32);
        let mut last = None;
        loop {
            let now = Instant::now();
            let Some((index, node, wait)) = self.next(now) else { return Err(TransportErrorKind::backend_gone()) };
            if now.saturating_duration_since(start).saturating_add(wait) > PATIENCE || tries >= self.most(many, last) {
                // A node that may not be asked yet has nothing new to say.
                let fault = last.or(node.rest().fault).unwrap_or(Fault::Late);
                return Err(TransportErrorKind::custom(Trouble { fault, origin: Arc::clone(&node.origin) }));
            }
            tokio::time::sleep(wait).await;
            tries = tries.saturating_add(1);
            let answer = match tokio::time::timeout(limit, self.try_one(node, &methods, body.clone())).await {
                Ok(answer) => answer,
                Err(_) => Err(Fault::Late),
            };
            match answer {
                Ok(answer) => {
                    node.answered();
                    if self.only.is_none() {
                        self.current.store(index, Ordering::Relaxed);
                    }
                    let late = answer.iter_errors().any(|error| fault::is_behind(&error.message));
                    behind = behind.saturating_add(1);
                    if !late || behind >= BEHIND {
                        return Ok(answer);
                    }
                    tokio::time::sleep(fault::pause(Fault::Garbled, behind, 127)).await;
                }
                Err(fault) => {
                    tracing::debug!(rpc = %node.origin, %fault, "asking again");
                    node.failed(fault, Instant::now());
                    last = Some(fault);
                }
            }
        }
    }

    /// One try at one node, which has to be of the right chain: it may have been down when that was checked.
    async fn try_one(&self, node: &Node, methods: &[String], body: bytes::Bytes) -> Result<ResponsePacket, Fault> {
        let wanted = self.chain.load(Ordering::Relaxed);
        if wanted != 0 && !node.fits.load(Ordering::Relaxed) {
            let question = bytes::Bytes::from_static(br#"{"jsonrpc":"2.0","id":0,"method":"eth_chainId","params":[]}"#);
            let answer = self.post(node, &["eth_chainId".to_owned()], question).await?;
            let said = answer.as_single().and_then(|answer| answer.try_success_as::<U64>()?.ok());
            let id: u64 = said.ok_or(Fault::Garbled)?.to();
            if id != wanted {
                tracing::error!(rpc = %node.origin, id, wanted, "the node is of another chain; nothing that it says counts");
                return Err(Fault::OtherChain(id));
            }
            node.fits.store(true, Ordering::Relaxed);
        }
        self.post(node, methods, body).await
    }

    async fn post(&self, node: &Node, methods: &[String], body: bytes::Bytes) -> Result<ResponsePacket, Fault> {
        let request = self.client.post(node.url.clone()).header("content-type", "application/json").body(body);
        let response = request.send().await.map_err(|_| Fault::Unreachable)?;
        let status = response.status().as_u16();
        let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        if let Some(fault) = fault::of_status(status, after.and_then(fault::retry_after)) {
            return Err(fault);
        }
        let body = response.bytes().await.map_err(|_| Fault::Unreachable)?;
        let answer: ResponsePacket = serde_json::from_slice(&body).map_err(|_| fault::without_body(status))?;
        node.judge(methods, answer)
    }
}

impl Node {
    /// An answer that says nothing of the question is a fault.
    fn judge(&self, methods: &[String], mut answer: ResponsePacket) -> Result<ResponsePacket, Fault> {
        let method = methods.first().map_or("", String::as_str);
        let all = match &mut answer {
            ResponsePacket::Single(one) => std::slice::from_mut(one),
            ResponsePacket::Batch(many) => many.as_mut_slice(),
        };
        for response in all {
            match &mut response.payload {
                ResponsePayload::Success(value) if value.get() == "null" && !fault::may_be_null(method) => {
                    return Err(Fault::Garbled);
                }
                ResponsePayload::Success(_) => {}
                ResponsePayload::Failure(error) => {
                    if let Some(fault) = fault::of_error(method, error.code, &error.message) {
                        return Err(fault);
                    }
                    error.message = self.without_secrets(std::mem::take(&mut error.message));
                }
            }
        }
        Ok(answer)
    }
}

impl tower::Service<RequestPacket> for Nodes {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        Box::pin(self.clone().ask(packet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_of_a_url_is_shown() {
        let url = "https://user:passwordlong@rpc.example/v3/0123456789abcdef?key=fedcba9876543210";
        let nodes = Nodes::new(vec![url.parse().unwrap()]);
        let [node] = &*nodes.all else { panic!("one node") };
        let said = node.without_secrets("0123456789abcdef is over its quota, fedcba9876543210 too; see v3".into());
        assert_eq!(said, "… is over its quota, … too; see v3");
        let trouble = Trouble { fault: Fault::Denied(401), origin: Arc::clone(&node.origin) };
        for shown in [format!("{nodes:?}"), nodes.origins(), trouble.to_string(), format!("{trouble:?}")] {
            assert!(shown.contains("https://rpc.example"), "{shown}");
            assert!(
                !shown.contains("0123456789") && !shown.contains("fedcba") && !shown.contains("password"),
                "{shown}"
            );
        }
    }
}
