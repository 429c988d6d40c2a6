//! What goes out to one socket: a bounded queue, and a reason to close.

use farthing_protocol::message::{MAX_MESSAGE, Message};
use farthing_protocol::{ChannelId, Code, Error};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, watch};

/// One text frame.
pub type Outgoing = String;

/// Tells connections apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SocketId(u64);

/// Why the hub closes a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closed {
    /// The same channel was attached by a newer connection.
    Replaced,
    /// The client does not read fast enough.
    TooSlow,
    /// Nothing was heard of the client.
    Idle,
    /// A message was larger than allowed.
    TooLarge,
    /// Far too many messages.
    RateLimited,
    /// The store failed.
    StorageFailed,
    /// The hub is shutting down.
    GoingAway,
}

impl Closed {
    /// WebSocket close code and reason.
    #[must_use]
    pub const fn frame(self) -> (u16, &'static str) {
        match self {
            Self::Replaced => (4001, "replaced by a newer connection of the same channel"),
            Self::TooSlow => (1008, "too slow: the queue of outgoing messages is full"),
            Self::Idle => (1001, "idle"),
            Self::TooLarge => (1009, "message-too-large"),
            Self::RateLimited => (1008, "rate-limited"),
            Self::StorageFailed => (1011, "storage-failed"),
            Self::GoingAway => (1001, "the hub is shutting down"),
        }
    }
}

/// The sending end of a socket's queue.
#[derive(Clone, Debug)]
pub struct Outbox {
    id: SocketId,
    queue: mpsc::Sender<Outgoing>,
    close: Arc<watch::Sender<Option<Closed>>>,
}

impl Outbox {
    /// A queue of at most `capacity` frames: the sending end, the frames, and the reason to close.
    #[must_use]
    pub fn new(capacity: usize) -> (Self, mpsc::Receiver<Outgoing>, watch::Receiver<Option<Closed>>) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let (queue, frames) = mpsc::channel(capacity);
        let (close, closed) = watch::channel(None);
        let id = SocketId(NEXT.fetch_add(1, Ordering::Relaxed));
        (Self { id, queue, close: Arc::new(close) }, frames, closed)
    }

    /// Which connection it is.
    #[must_use]
    pub const fn id(&self) -> SocketId {
        self.id
    }

    /// Queues a frame; fails if the queue is full or the socket gone.
    pub fn send(&self, frame: Outgoing) -> Result<(), Error> {
        self.queue.try_send(frame).map_err(|_| Code::NotConnected.into())
    }

    /// Queues a frame, waiting for room: for answers, whose caller is not read any further meanwhile.
    pub async fn wait(&self, frame: Outgoing) -> Result<(), Error> {
        self.queue.send(frame).await.map_err(|_| Code::NotConnected.into())
    }

    /// Queues messages of a channel, in as few frames as their size allows.
    pub fn push(&self, channel: ChannelId, messages: &[Message]) -> Result<(), Error> {
        for frame in notifications(channel, messages)? {
            self.send(frame)?;
        }
        Ok(())
    }

    /// Closes the connection. The first reason is the one that counts.
    pub fn close(&self, why: Closed) {
        self.close.send_if_modified(|reason| {
            let first = reason.is_none();
            reason.get_or_insert(why);
            first
        });
    }
}

/// Notifications `farthing_messages` that carry the messages, each at most [`MAX_MESSAGE`] bytes long.
pub fn notifications(channel: ChannelId, messages: &[Message]) -> Result<Vec<Outgoing>, Error> {
    const TAIL: &str = "]}}";
    let head =
        format!(r#"{{"jsonrpc":"2.0","method":"farthing_messages","params":{{"channelId":"{channel}","messages":["#);
    let mut frames = Vec::new();
    let mut frame = head.clone();
    for message in messages {
        let text = message.encode()?;
        let size = frame.len().saturating_add(text.len()).saturating_add(1).saturating_add(TAIL.len());
        if frame.len() > head.len() {
            if size > MAX_MESSAGE {
                frame.push_str(TAIL);
                frames.push(std::mem::replace(&mut frame, head.clone()));
            } else {
                frame.push(',');
            }
        }
        frame.push_str(&text);
    }
    if frame.len() > head.len() {
        frame.push_str(TAIL);
        frames.push(frame);
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_hold_all_messages_in_order_and_none_is_too_large() {
        let channel = ChannelId(alloy_primitives::B256::repeat_byte(1));
        let messages: Vec<_> = (0..900)
            .map(|number| Message::Declined { what: number.to_string(), code: "x".into(), message: "y".repeat(200) })
            .collect();
        let frames = notifications(channel, &messages).unwrap();
        assert!(frames.len() > 1 && frames.iter().all(|frame| frame.len() <= MAX_MESSAGE));
        let mut back = Vec::new();
        for frame in frames {
            let value: serde_json::Value = serde_json::from_str(&frame).unwrap();
            assert_eq!(value["params"]["channelId"], channel.to_string());
            back.extend(serde_json::from_value::<Vec<Message>>(value["params"]["messages"].clone()).unwrap());
        }
        assert_eq!(back, messages);
    }

    #[test]
    fn a_full_queue_fails_and_the_first_reason_to_close_stays() {
        let (outbox, _frames, closed) = Outbox::new(1);
        outbox.send("a".into()).unwrap();
        assert!(outbox.send("b".into()).is_err());
        outbox.close(Closed::TooSlow);
        outbox.close(Closed::Idle);
        assert_eq!(*closed.borrow(), Some(Closed::TooSlow));
    }
}
