//! The hub's JSON-RPC 2.0: over a WebSocket once one is open, over HTTP before that.

pub mod http;
pub mod socket;
pub mod terms;

use crate::failure::{Failure, Result};
use crate::js::invalid;
use crate::task::{Either, Work, race, sleep};
use farthing_protocol::Code;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use socket::Socket;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// How long an answer over the socket may take, in milliseconds.
const PATIENCE: u32 = 20_000;

/// A hub and the ways to it.
#[derive(Debug)]
pub struct Hub {
    http: String,
    websocket: String,
    socket: RefCell<Option<Rc<Socket>>>,
    next_id: Cell<u64>,
}

/// Whatever comes from the hub.
#[derive(Deserialize)]
pub(crate) struct Frame<'a> {
    #[serde(default)]
    pub(crate) id: Option<u64>,
    #[serde(default, borrow)]
    pub(crate) method: Option<&'a str>,
    #[serde(default, borrow)]
    pub(crate) params: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(crate) result: Option<&'a RawValue>,
    #[serde(default)]
    pub(crate) error: Option<RpcError>,
}

#[derive(Deserialize)]
pub(crate) struct RpcError {
    message: String,
    #[serde(default)]
    data: Option<ErrorData>,
}

#[derive(Deserialize)]
struct ErrorData {
    code: String,
}

impl Hub {
    /// The hub at an `http:` or `https:` URL.
    pub fn new(url: &str) -> Result<Self> {
        let http = url.trim_end_matches('/').to_owned();
        let websocket = match http.split_once("://") {
            Some(("https", rest)) if !rest.is_empty() => format!("wss://{rest}"),
            Some(("http", rest)) if !rest.is_empty() => format!("ws://{rest}"),
            _ => return invalid("hub must be a URL that starts with https:// (or http://)."),
        };
        Ok(Self { http, websocket, socket: RefCell::default(), next_id: Cell::new(1) })
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.http
    }

    /// The URL of its socket.
    #[must_use]
    pub fn websocket_url(&self) -> &str {
        &self.websocket
    }

    /// Uses this socket from now on, or none.
    pub fn use_socket(&self, socket: Option<Rc<Socket>>) {
        self.socket.replace(socket);
    }

    /// The open socket, if there is one.
    #[must_use]
    pub fn socket(&self) -> Option<Rc<Socket>> {
        self.socket.borrow().clone()
    }

    /// Calls a method over the open socket, else over HTTP.
    pub async fn call<P: Serialize, R: DeserializeOwned>(&self, method: &str, params: &P) -> Result<R> {
        let (id, body) = self.encode(method, params)?;
        let answer = match self.socket() {
            Some(socket) => answer_on(socket, id, body),
            None => self.post(body),
        };
        decode(&answer.await?)
    }

    /// Calls a method on a socket that is not the open one yet.
    pub async fn call_on<P: Serialize, R: DeserializeOwned>(
        &self,
        socket: &Rc<Socket>,
        method: &str,
        params: &P,
    ) -> Result<R> {
        let (id, body) = self.encode(method, params)?;
        decode(&answer_on(Rc::clone(socket), id, body).await?)
    }

    fn post(&self, body: String) -> Work<'_, String> {
        Box::pin(async move { result(&http::post(&self.http, &body, Code::NotConnected).await?) })
    }

    fn encode<P: Serialize>(&self, method: &str, params: &P) -> Result<(u64, String)> {
        let id = self.next_id.get();
        self.next_id.set(id.wrapping_add(1));
        let params = serde_json::to_string(params).map_err(|_| Failure::from(Code::Internal))?;
        Ok((id, format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)))
    }
}

fn answer_on(socket: Rc<Socket>, id: u64, body: String) -> Work<'static, String> {
    Box::pin(async move {
        let answer = socket.call(id, &body)?;
        match race(answer.wait(), sleep(PATIENCE)).await {
            Either::First(text) => text,
            Either::Second(()) => {
                socket.forget(id);
                Err(Failure::new(Code::NotConnected, "The hub does not answer."))
            }
        }
    })
}

fn result(text: &str) -> Result<String> {
    let frame: Frame<'_> = serde_json::from_str(text).map_err(|_| unintelligible())?;
    frame.outcome()
}

fn decode<R: DeserializeOwned>(text: &str) -> Result<R> {
    serde_json::from_str(text)
        .map_err(|error| Failure::new(Code::HubFault, format!("The hub's answer is not as agreed: {error}.")))
}

fn unintelligible() -> Failure {
    Failure::new(Code::HubFault, "The hub does not speak JSON-RPC 2.0.")
}

impl Frame<'_> {
    pub(crate) fn outcome(&self) -> Result<String> {
        match (&self.error, self.result) {
            (Some(error), _) => Err(error.failure()),
            (None, Some(result)) => Ok(result.get().to_owned()),
            (None, None) => Err(unintelligible()),
        }
    }
}

impl RpcError {
    fn failure(&self) -> Failure {
        let code = self.data.as_ref().and_then(|data| Code::from_name(&data.code)).unwrap_or(Code::HubFault);
        // What the hub says is shown to people, so it is kept short.
        let said: String = self.message.chars().filter(|c| !c.is_control()).take(300).collect();
        Failure::new(code, format!("The hub says: {}.", said.trim_end_matches('.')))
    }
}
