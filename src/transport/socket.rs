//! One WebSocket to the hub, from its opening to its end. Frames are text of at most 65,536 bytes each way.

use crate::failure::{Failure, Result};
use crate::js::{Policy, message};
use crate::small::SmallMap;
use crate::task::{Either, Once, race, sleep};
use crate::url::origin;
use farthing_protocol::Code;
use farthing_protocol::api::frames::{self, Frame};
use farthing_protocol::api::limits::MAX_MESSAGE;
use farthing_protocol::json::{self, Value};
use farthing_protocol::message::Message;
use farthing_protocol::types::ChannelId;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::{Event, MessageEvent, WebSocket};

/// How long opening may take, in milliseconds.
const OPENING: u32 = 10_000;

/// Who gets what the hub pushes, and for which channel.
type Receiver = RefCell<Option<(ChannelId, Box<dyn Fn(Vec<Message>)>)>>;
type Answers = RefCell<SmallMap<u64, Once<Result<String>>>>;

/// An open socket.
pub struct Socket {
    socket: WebSocket,
    answers: Rc<Answers>,
    receiver: Rc<Receiver>,
    closed: Once<()>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _handlers: [Closure<dyn FnMut(Event)>; 2],
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}

impl Socket {
    /// Opens a socket.
    pub async fn open(url: String) -> Result<Rc<Self>> {
        let policy = Policy::watch();
        let place = origin(&url);
        let socket = WebSocket::new(&url).map_err(|thrown| {
            let detail = format!("The socket {place} was refused here: {}.", message(&thrown).trim_end_matches('.'));
            Failure::caused(Code::Unsupported, detail, thrown)
        })?;
        let (opened, closed, answers) = (Once::default(), Once::default(), Rc::<Answers>::default());
        let receiver = Rc::<Receiver>::default();

        let (told, answering, receiving) = (closed.clone(), Rc::clone(&answers), Rc::clone(&receiver));
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            let text = event.data().as_string();
            if text.is_none_or(|text| take(&text, &answering, &receiving).is_err()) {
                // Whoever says what can't be understood is hung up on, and called again later.
                told.send(());
            }
        });
        let told = opened.clone();
        let on_open = Closure::<dyn FnMut(Event)>::new(move |_| told.send(()));
        let told = closed.clone();
        let on_close = Closure::<dyn FnMut(Event)>::new(move |_| told.send(()));
        let ends = Some(on_close.as_ref().unchecked_ref());
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        socket.set_onclose(ends);
        socket.set_onerror(ends);
        let (_on_message, _handlers) = (on_message, [on_open, on_close]);
        let socket = Rc::new(Self { socket, answers, receiver, closed, _on_message, _handlers });

        match race(opened.wait(), race(socket.closed.wait(), sleep(OPENING))).await {
            Either::First(()) => Ok(socket),
            Either::Second(_) if policy.refuses(&url).await => Err(Failure::advised(
                Code::Unsupported,
                format!(
                    "The page's Content-Security-Policy refuses the hub's socket: allow {place} in its connect-src."
                ),
            )),
            Either::Second(_) => Err(Failure::new(
                Code::NotConnected,
                format!(
                    "The hub's socket {place} can't be reached; what stands before a hub must let WebSocket through."
                ),
            )),
        }
    }

    /// Gives `receive` what the hub pushes for `channel` from now on, in order.
    pub fn receive(&self, channel: ChannelId, receive: impl Fn(Vec<Message>) + 'static) {
        self.receiver.replace(Some((channel, Box::new(receive))));
    }

    /// Waits for its end.
    pub async fn closed(&self) {
        self.closed.wait().await;
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.closed.is_sent()
    }

    /// Ends it.
    pub fn close(&self) {
        self.closed.send(());
    }

    /// Sends a call; the answer's result comes later.
    pub(super) fn call(&self, id: u64, body: &str) -> Result<Once<Result<String>>> {
        let answer = Once::default();
        self.answers.borrow_mut().insert(id, answer.clone());
        if self.closed.is_sent() || self.socket.send_with_str(body).is_err() {
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
        for frame in frames::notifications(channel, messages)? {
            if self.socket.send_with_str(&frame).is_err() {
                self.closed.send(());
            }
        }
        Ok(())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.socket.set_onmessage(None);
        self.socket.set_onopen(None);
        self.socket.set_onclose(None);
        self.socket.set_onerror(None);
        let _ = self.socket.close();
        for answer in self.answers.take().drain() {
            answer.send(Err(Code::NotConnected.into()));
        }
    }
}

fn take(text: &str, answers: &Answers, receiver: &Receiver) -> core::result::Result<(), ()> {
    if text.len() > MAX_MESSAGE {
        return Err(());
    }
    let frame = Value::parse(text).ok_or(())?;
    match Frame::of(&frame) {
        Frame::Answer(id) => {
            let answer = answers.borrow_mut().remove(&json::from_value(id).map_err(drop)?);
            if let Some(answer) = answer {
                answer.send(Ok(text.to_owned()));
            }
        }
        // A frame of ours was not taken, and with it messages: a new connection makes up for them.
        Frame::Fault => return Err(()),
        Frame::Other => {}
        Frame::Messages { channel, messages } => {
            let pushed: ChannelId = json::from_value(channel).map_err(drop)?;
            if let Some((_, receive)) = receiver.borrow().as_ref().filter(|(channel, _)| *channel == pushed) {
                receive(json::from_value(messages).map_err(drop)?);
            }
        }
    }
    Ok(())
}
