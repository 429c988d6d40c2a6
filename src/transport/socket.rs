//! One WebSocket to the hub, from its opening to its end. Frames are text of at most 65,536 bytes each way.

use crate::failure::{Failure, Result};
use crate::js::{get, set};
use crate::small::SmallMap;
use crate::task::{Either, Once, race, sleep};
use farthing_protocol::Code;
use farthing_protocol::json::{self, Value};
use farthing_protocol::message::{MAX_MESSAGE, Message};
use farthing_protocol::types::ChannelId;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[derive(Debug)]
    type WebSocket;
    #[wasm_bindgen(constructor, catch)]
    fn new(url: &str) -> core::result::Result<WebSocket, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn send(this: &WebSocket, text: &str) -> core::result::Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn close(this: &WebSocket) -> core::result::Result<(), JsValue>;
}

/// How long opening may take, in milliseconds.
const OPENING: u32 = 10_000;

/// Most messages in a frame.
const MAX_MESSAGES: usize = 512;

type Answers = RefCell<SmallMap<u64, Once<Result<String>>>>;

/// An open socket.
pub struct Socket {
    socket: WebSocket,
    answers: Rc<Answers>,
    closed: Once<()>,
    _handlers: [Closure<dyn FnMut(JsValue)>; 3],
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}

impl Socket {
    /// Opens a socket. `receive` gets what the hub pushes for `channel`, in order.
    pub async fn open(url: &str, channel: ChannelId, receive: impl Fn(Vec<Message>) + 'static) -> Result<Rc<Self>> {
        let unreachable = || Failure::new(Code::NotConnected, format!("{url} can't be reached."));
        let socket =
            WebSocket::new(url).map_err(|thrown| Failure::caused(Code::NotConnected, "No WebSocket.", thrown))?;
        let (opened, closed, answers) = (Once::default(), Once::default(), Rc::<Answers>::default());

        let (told, answering) = (closed.clone(), Rc::clone(&answers));
        let on_message = Closure::<dyn FnMut(JsValue)>::new(move |event: JsValue| {
            let text = get(&event, "data").as_string();
            if text.is_none_or(|text| take(&text, channel, &answering, &receive).is_err()) {
                // Whoever says what can't be understood is hung up on, and called again later.
                told.send(());
            }
        });
        let told = opened.clone();
        let on_open = Closure::<dyn FnMut(JsValue)>::new(move |_| told.send(()));
        let told = closed.clone();
        let on_close = Closure::<dyn FnMut(JsValue)>::new(move |_| told.send(()));
        set(&socket, "onmessage", on_message.as_ref());
        set(&socket, "onopen", on_open.as_ref());
        set(&socket, "onclose", on_close.as_ref());
        set(&socket, "onerror", on_close.as_ref());
        let socket = Rc::new(Self { socket, answers, closed, _handlers: [on_message, on_open, on_close] });

        match race(opened.wait(), race(socket.closed.wait(), sleep(OPENING))).await {
            Either::First(()) => Ok(socket),
            Either::Second(_) => Err(unreachable()),
        }
    }

    /// Waits for its end.
    pub async fn closed(&self) {
        self.closed.wait().await;
    }

    /// Ends it.
    pub fn close(&self) {
        self.closed.send(());
    }

    /// Sends a call; the answer's result comes later.
    pub(super) fn call(&self, id: u64, body: &str) -> Result<Once<Result<String>>> {
        let answer = Once::default();
        self.answers.borrow_mut().insert(id, answer.clone());
        if self.closed.is_sent() || self.socket.send(body).is_err() {
            self.forget(id);
            return Err(Code::NotConnected.into());
        }
        Ok(answer)
    }

    pub(super) fn forget(&self, id: u64) {
        drop(self.answers.borrow_mut().remove(&id));
    }

    /// Sends messages of a channel, in order, in as few frames as the limit allows. What can't be sent is dropped:
    /// after the next connect both sides synchronise.
    pub fn send(&self, channel: ChannelId, messages: &[Message]) -> Result<()> {
        let head = format!(
            r#"{{"jsonrpc":"2.0","method":"farthing_messages","params":{{"channelId":"{channel}","messages":["#
        );
        let mut frame = head.clone();
        let mut count = 0_usize;
        for message in messages {
            let message = message.encode()?;
            let length = frame.len().saturating_add(message.len()).saturating_add(4);
            if count > 0 && (length > MAX_MESSAGE || count >= MAX_MESSAGES) {
                self.send_frame(std::mem::replace(&mut frame, head.clone()));
                count = 0;
            } else if count > 0 {
                frame.push(',');
            }
            frame.push_str(&message);
            count = count.saturating_add(1);
        }
        if count > 0 {
            self.send_frame(frame);
        }
        Ok(())
    }

    fn send_frame(&self, mut frame: String) {
        frame.push_str("]}}");
        if self.socket.send(&frame).is_err() {
            self.closed.send(());
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        for handler in ["onmessage", "onopen", "onclose", "onerror"] {
            set(&self.socket, handler, JsValue::NULL);
        }
        let _ = self.socket.close();
        for answer in self.answers.take().drain() {
            answer.send(Err(Code::NotConnected.into()));
        }
    }
}

fn take(
    text: &str,
    channel: ChannelId,
    answers: &Answers,
    receive: &impl Fn(Vec<Message>),
) -> core::result::Result<(), ()> {
    if text.len() > MAX_MESSAGE {
        return Err(());
    }
    let frame = Value::parse(text).ok_or(())?;
    let id = frame.get("id");
    if id.is_some() {
        let answer = answers.borrow_mut().remove(&json::from_value(id).map_err(drop)?);
        if let Some(answer) = answer {
            answer.send(Ok(text.to_owned()));
        }
        return Ok(());
    }
    if frame.get("error").is_some() {
        // A frame of ours was not taken, and with it messages: a new connection makes up for them.
        return Err(());
    }
    // Other notifications may come with later versions.
    if frame.get("method").text() != Some("farthing_messages") {
        return Ok(());
    }
    let push = frame.get("params");
    if json::from_value::<ChannelId>(push.get("channelId")).map_err(drop)? == channel {
        receive(json::from_value(push.get("messages")).map_err(drop)?);
    }
    Ok(())
}
