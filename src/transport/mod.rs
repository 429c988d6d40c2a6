//! The hub's JSON-RPC 2.0: over a WebSocket once one is open, over HTTP before that.

pub mod http;
pub mod socket;
pub mod terms;

use crate::failure::{Failure, Result};
use crate::js::invalid;
use crate::task::{Either, Work, race, sleep};
use farthing_protocol::json::{self, FromJson, Value};
use farthing_protocol::{Code, Error};
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
    /// How long an answer over HTTP may take, in milliseconds.
    patience: Cell<u32>,
}

/// What the hub answered to a call: a frame of JSON-RPC.
#[derive(Debug)]
pub struct Answer(String);

impl Answer {
    /// Its result.
    pub fn read<R: FromJson>(&self) -> Result<R> {
        let frame = Value::parse(&self.0).ok_or_else(unintelligible)?;
        json::from_value(outcome(&frame)?).map_err(not_as_agreed)
    }

    /// Whether it has one.
    pub fn check(&self) -> Result<()> {
        self.read()
    }
}

impl Hub {
    /// The hub at an `http:` or `https:` URL.
    pub fn new(url: &str) -> Result<Self> {
        let http = url.trim_end_matches('/').to_owned();
        let websocket = match (http.strip_prefix("https://"), http.strip_prefix("http://")) {
            (Some(rest), _) if !rest.is_empty() => format!("wss://{rest}"),
            (_, Some(rest)) if !rest.is_empty() => format!("ws://{rest}"),
            _ => return invalid("hub must be a URL that starts with https:// (or http://)."),
        };
        Ok(Self {
            http,
            websocket,
            socket: RefCell::default(),
            next_id: Cell::new(1),
            patience: Cell::new(http::PATIENCE),
        })
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.http
    }

    /// From now on an answer over HTTP may take so many milliseconds: it can be done without.
    pub fn be_brief(&self, patience: u32) {
        self.patience.set(patience);
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

    /// Calls a method over the open socket, else over HTTP. `params` are JSON.
    pub fn call<'a>(&'a self, method: &str, params: &str) -> Work<'a, Answer> {
        let (id, body) = self.request(method, params);
        match self.socket() {
            Some(socket) => answer_on(socket, id, body),
            None => Box::pin(async move {
                Ok(Answer(http::post(&self.http, &body, Code::NotConnected, self.patience.get()).await?))
            }),
        }
    }

    /// Calls a method on a socket that is not the open one yet.
    pub fn call_on(&self, socket: &Rc<Socket>, method: &str, params: &str) -> Work<'static, Answer> {
        let (id, body) = self.request(method, params);
        answer_on(Rc::clone(socket), id, body)
    }

    fn request(&self, method: &str, params: &str) -> (u64, String) {
        let id = self.next_id.get();
        self.next_id.set(id.wrapping_add(1));
        (id, format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#))
    }
}

fn answer_on(socket: Rc<Socket>, id: u64, body: String) -> Work<'static, Answer> {
    Box::pin(async move {
        let answer = socket.call(id, &body)?;
        match race(answer.wait(), sleep(PATIENCE)).await {
            Either::First(text) => text.map(Answer),
            Either::Second(()) => {
                socket.forget(id);
                Err(Failure::new(Code::NotConnected, "The hub does not answer."))
            }
        }
    })
}

fn not_as_agreed(error: Error) -> Failure {
    Failure::new(Code::HubFault, format!("The hub's answer is not as agreed: {}.", error.detail()))
}

fn unintelligible() -> Failure {
    Failure::new(Code::HubFault, "The hub does not speak JSON-RPC 2.0.")
}

fn outcome<'v, 'a>(frame: &'v Value<'a>) -> Result<&'v Value<'a>> {
    let (error, result) = (frame.get("error"), frame.get("result"));
    if error.is_some() {
        let message = error.get("message").text().ok_or_else(unintelligible)?;
        let code = error.get("data").get("code").text().and_then(Code::from_name).unwrap_or(Code::HubFault);
        // What the hub says is shown to people, so it is kept short.
        let said: String = message.chars().filter(|c| !c.is_control()).take(300).collect();
        return Err(Failure::new(code, format!("The hub says: {}.", said.trim_end_matches('.'))));
    }
    if result.is_some() { Ok(result) } else { Err(unintelligible()) }
}
