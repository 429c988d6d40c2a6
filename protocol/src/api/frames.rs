//! JSON-RPC 2.0 around calls, answers and peer messages: what is written here is what the other side reads.

use super::Call;
use super::errors::{Refusal, told};
use super::hub::Messages;
use super::limits::{MAX_MESSAGE, MAX_MESSAGES};
use crate::error::{Code, Error};
use crate::json::{Value, encode};
use crate::message::Message;
use crate::types::ChannelId;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What every frame says of itself.
pub const VERSION: &str = "2.0";

/// What a frame of messages ends with.
const TAIL: &str = "]}}";

/// A request: a method by its name, and its parameters as JSON.
#[must_use]
pub fn request(id: u64, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"{VERSION}","id":{id},"method":"{method}","params":{params}}}"#)
}

/// A response. `id` is the request's as JSON, `null` where it could not be read; a result is JSON.
#[must_use]
pub fn response(id: &str, outcome: Result<&str, Refusal<'_>>) -> String {
    match outcome {
        Ok(result) => format!(r#"{{"jsonrpc":"{VERSION}","id":{id},"result":{result}}}"#),
        Err(refusal) => format!(r#"{{"jsonrpc":"{VERSION}","id":{id},"error":{}}}"#, encode(&refusal)),
    }
}

/// Notifications that carry peer messages of a channel, in order, in as few frames as the limits allow.
pub fn notifications(channel: ChannelId, messages: &[Message]) -> Result<Vec<String>, Error> {
    let head = format!(
        r#"{{"jsonrpc":"{VERSION}","method":"{}","params":{{"channelId":"{channel}","messages":["#,
        Messages::NAME
    );
    let mut frames = Vec::new();
    let (mut frame, mut count) = (head.clone(), 0_usize);
    for message in messages {
        let message = message.encode()?;
        let length = frame.len().saturating_add(message.len()).saturating_add(1).saturating_add(TAIL.len());
        if count > 0 && (length > MAX_MESSAGE || count >= MAX_MESSAGES) {
            frame.push_str(TAIL);
            frames.push(core::mem::replace(&mut frame, head.clone()));
            count = 0;
        } else if count > 0 {
            frame.push(',');
        }
        frame.push_str(&message);
        count = count.saturating_add(1);
    }
    if count > 0 {
        frame.push_str(TAIL);
        frames.push(frame);
    }
    Ok(frames)
}

/// What a frame from the other side is.
#[derive(Debug)]
pub enum Frame<'v, 'a> {
    /// The answer to the request with this id.
    Answer(&'v Value<'a>),
    /// Why something without an id was not taken.
    Fault,
    /// Peer messages, with the channel that they are of.
    Messages {
        /// Of this channel.
        channel: &'v Value<'a>,
        /// In order.
        messages: &'v Value<'a>,
    },
    /// Another notification, as later versions may have them.
    Other,
}

impl<'v, 'a> Frame<'v, 'a> {
    /// Sorts a frame.
    #[must_use]
    pub fn of(frame: &'v Value<'a>) -> Self {
        let id = frame.get("id");
        if id.is_some() {
            return Self::Answer(id);
        }
        if frame.get("error").is_some() {
            return Self::Fault;
        }
        if frame.get("method").text() != Some(Messages::NAME) {
            return Self::Other;
        }
        let params = frame.get("params");
        Self::Messages { channel: params.get("channelId"), messages: params.get("messages") }
    }
}

/// What a response says: a result, or the sentence and the code of an error. `None` if it is no response.
#[must_use]
pub fn outcome<'v, 'a>(frame: &'v Value<'a>) -> Option<Result<&'v Value<'a>, (&'v str, Option<Code>)>> {
    let (error, result) = (frame.get("error"), frame.get("result"));
    if error.is_some() {
        return told(error).map(Err);
    }
    result.is_some().then_some(Ok(result))
}

#[cfg(test)]
mod tests;
