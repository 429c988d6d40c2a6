//! The hub's JSON-RPC 2.0: over a WebSocket once one is open, over HTTP before that.

mod ahead;
pub mod http;
pub mod socket;

pub use farthing_protocol::api::terms;

use crate::failure::{Failure, Result};
use crate::js::invalid;
use crate::task::{Either, Waits, Work, race, sleep};
use crate::url::origin;
use farthing_protocol::api::{Call, frames};
use farthing_protocol::json::{self, FromJson, Value};
use farthing_protocol::{Code, Error};
use http::Reply;
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
    /// Questions that are not answered.
    asked: Cell<u32>,
    ahead: ahead::Ahead,
}

/// What the hub answered to a call: a frame of JSON-RPC.
#[derive(Clone, Debug)]
pub struct Answer(String);

impl Answer {
    /// The result, of a call of this kind.
    pub fn read<C: Call<Result: FromJson>>(&self) -> Result<C::Result> {
        let frame = Value::parse(&self.0).ok_or_else(unintelligible)?;
        json::from_value(outcome(&frame)?).map_err(not_as_agreed)
    }

    /// Whether it says why there is none.
    fn is_error(&self) -> bool {
        self.check().is_err()
    }

    /// Whether it has one.
    pub fn check(&self) -> Result<()> {
        let frame = Value::parse(&self.0).ok_or_else(unintelligible)?;
        outcome(&frame).map(drop)
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
            asked: Cell::new(0),
            ahead: ahead::Ahead::default(),
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

    /// Whether it owes an answer.
    #[must_use]
    pub const fn is_asked(&self) -> bool {
        self.asked.get() > 0
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

    /// Calls a method over the open socket, else over HTTP; also where the socket ends before it has answered, so what
    /// is asked for has to bear to be asked twice.
    pub fn call<C: Call>(&self, params: &C) -> Work<'_, Answer> {
        self.ask(C::NAME, &json::encode(params))
    }

    fn ask(&self, method: &str, params: &str) -> Work<'_, Answer> {
        let (id, body) = self.request(method, params);
        let socket = self.socket();
        Box::pin(async move {
            let _asked = Waits::new(&self.asked);
            if let Some(socket) = socket {
                let answer = answer_on(Rc::clone(&socket), id, body.clone()).await;
                if answer.is_ok() || !socket.has_ended() {
                    return answer;
                }
            }
            let reply = http::reply(&self.http, &body, Code::NotConnected, self.patience.get()).await?;
            check_status(&reply, &self.http)?;
            Ok(Answer(reply.text))
        })
    }

    /// Calls a method on a socket that is not the open one yet.
    pub fn call_on<C: Call>(&self, socket: &Rc<Socket>, params: &C) -> Work<'static, Answer> {
        self.ask_on(socket, C::NAME, &json::encode(params))
    }

    fn ask_on(&self, socket: &Rc<Socket>, method: &str, params: &str) -> Work<'static, Answer> {
        let (id, body) = self.request(method, params);
        answer_on(Rc::clone(socket), id, body)
    }

    fn request(&self, method: &str, params: &str) -> (u64, String) {
        let id = self.next_id.get();
        self.next_id.set(id.wrapping_add(1));
        (id, frames::request(id, method, params))
    }
}

fn answer_on(socket: Rc<Socket>, id: u64, body: String) -> Work<'static, Answer> {
    Box::pin(async move {
        let answer = socket.call(id, &body)?;
        let ended = match race(answer.wait(), race(socket.closed(), sleep(PATIENCE))).await {
            Either::First(text) => return text.map(Answer),
            Either::Second(Either::First(())) => "The connection to the hub ended before it answered.",
            Either::Second(Either::Second(())) => "The hub does not answer.",
        };
        socket.forget(id);
        Err(Failure::new(Code::NotConnected, ended))
    })
}

/// What stands before a hub may answer in its place. Whatever speaks JSON is read.
fn check_status(reply: &Reply, url: &str) -> Result<()> {
    let code = match reply.status {
        502..=504 => Code::NotConnected,
        429 => Code::RateLimited,
        _ => return Ok(()),
    };
    if reply.text.trim_start().starts_with('{') {
        return Ok(());
    }
    Err(Failure::new(code, format!("{} answers with the HTTP status {}.", origin(url), reply.status)))
}

fn not_as_agreed(error: Error) -> Failure {
    Failure::new(Code::HubFault, format!("The hub's answer is not as agreed: {}.", error.detail()))
}

fn unintelligible() -> Failure {
    Failure::new(Code::HubFault, "The hub does not speak JSON-RPC 2.0.")
}

fn outcome<'v, 'a>(frame: &'v Value<'a>) -> Result<&'v Value<'a>> {
    frames::outcome(frame).ok_or_else(unintelligible)?.map_err(|(message, code)| {
        // What the hub says is shown to people, so it is kept short.
        let said: String = message.chars().filter(|c| !c.is_control()).take(300).collect();
        let detail = format!("The hub says: {}.", said.trim_end_matches('.'));
        Failure::new(code.unwrap_or(Code::HubFault), detail)
    })
}
