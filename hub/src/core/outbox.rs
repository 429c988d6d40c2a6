//! What goes out to one socket: a bounded queue, and a reason to close.

use super::budget::{Budget, Charge};
use crate::origin::Origin;
use farthing_protocol::api::frames::notifications;
use farthing_protocol::message::Message;
use farthing_protocol::{ChannelId, Code, Error};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
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
    /// It broke the protocol too often.
    Faulty,
    /// It proved no key, and others need the place.
    Crowded,
    /// Its channel has no money in it, and others need the place.
    Unfunded,
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
            Self::Faulty => (1008, "broke the protocol too often; come back later"),
            Self::Crowded => (1013, "made room: too many connections"),
            Self::Unfunded => (1013, "made room: the channel has no deposit"),
            Self::StorageFailed => (1011, "storage-failed"),
            Self::GoingAway => (1001, "the hub is shutting down"),
        }
    }
}

/// A frame on its way out. Its bytes are counted until it is dropped.
#[derive(Debug)]
pub struct Queued {
    /// What is sent.
    pub frame: Outgoing,
    /// Of the connection, and of all.
    pub charge: (Charge, Charge),
}

/// What a queue may hold.
#[derive(Clone, Debug)]
pub struct Room {
    /// Most frames.
    pub frames: usize,
    /// Most bytes.
    pub bytes: usize,
    /// Where they are counted together with those of other connections.
    pub budget: Arc<Budget>,
    /// Whose they are.
    pub origin: Origin,
}

/// The sending end of a socket's queue.
#[derive(Clone, Debug)]
pub struct Outbox {
    id: SocketId,
    queue: mpsc::Sender<Queued>,
    /// Of this connection alone.
    own: Arc<Budget>,
    room: Room,
    close: Arc<watch::Sender<Option<Closed>>>,
    faults: Arc<AtomicU32>,
}

impl Outbox {
    /// A queue: the sending end, the frames, and the reason to close.
    #[must_use]
    pub fn new(room: Room) -> (Self, mpsc::Receiver<Queued>, watch::Receiver<Option<Closed>>) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let (queue, frames) = mpsc::channel(room.frames);
        let (close, closed) = watch::channel(None);
        let id = SocketId(NEXT.fetch_add(1, Ordering::Relaxed));
        let own = Budget::new(room.bytes, room.bytes);
        (Self { id, queue, own, room, close: Arc::new(close), faults: Arc::default() }, frames, closed)
    }

    /// Which connection it is.
    #[must_use]
    pub const fn id(&self) -> SocketId {
        self.id
    }

    /// Who is on the other end.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.room.origin
    }

    /// Queues a frame; fails if the queue is full or the socket gone.
    pub fn send(&self, frame: Outgoing) -> Result<(), Error> {
        let (bytes, origin) = (frame.len(), self.room.origin);
        let full = || Error::from(Code::NotConnected);
        let own = self.own.charge(origin, bytes).ok_or_else(full)?;
        let shared = self.room.budget.charge(origin, bytes).ok_or_else(full)?;
        self.queue.try_send(Queued { frame, charge: (own, shared) }).map_err(|_| full())
    }

    /// Queues a frame, waiting for room: for answers, whose caller is not read any further meanwhile.
    pub async fn wait(&self, frame: Outgoing) -> Result<(), Error> {
        let (bytes, origin) = (frame.len(), self.room.origin);
        let own = self.own.wait(origin, bytes.min(self.room.bytes)).await;
        let shared = self.room.budget.wait(origin, bytes).await;
        self.queue.send(Queued { frame, charge: (own, shared) }).await.map_err(|_| Code::NotConnected.into())
    }

    /// Queues messages of a channel, in as few frames as their size allows.
    pub fn push(&self, channel: ChannelId, messages: &[Message]) -> Result<(), Error> {
        for frame in notifications(channel, messages)? {
            self.send(frame)?;
        }
        Ok(())
    }

    /// The client broke the protocol once more; returns how often it did.
    pub fn fault(&self) -> u32 {
        self.faults.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// How often the client broke the protocol.
    #[must_use]
    pub fn faults(&self) -> u32 {
        self.faults.load(Ordering::Relaxed)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn room(frames: usize, bytes: usize) -> Room {
        let budget = Budget::new(1_000, 1_000);
        Room { frames, bytes, budget, origin: Origin::of([192, 0, 2, 1].into()) }
    }

    #[test]
    fn a_queue_is_bounded_in_bytes_also_with_others_of_its_origin() {
        let (own, mut frames, _closed) = Outbox::new(room(9, 10));
        own.send("12345678".into()).unwrap();
        assert!(own.send("123".into()).is_err(), "more than its own");
        drop(frames.try_recv().unwrap());
        own.send("1234567890".into()).unwrap();

        let shared = room(9, 1_000);
        let (one, _frames_of_one, _) = Outbox::new(shared.clone());
        let (two, frames_of_two, _) = Outbox::new(shared.clone());
        one.send("1".repeat(600)).unwrap();
        two.send("2".repeat(400)).unwrap();
        assert!(one.send("1".into()).is_err());
        drop((two, frames_of_two));
        one.send("1".into()).unwrap();
        assert_eq!(shared.budget.used(), 601);
    }

    #[test]
    fn a_full_queue_fails_and_the_first_reason_to_close_stays() {
        let (outbox, _frames, closed) = Outbox::new(room(1, 100));
        outbox.send("a".into()).unwrap();
        assert!(outbox.send("b".into()).is_err());
        outbox.close(Closed::TooSlow);
        outbox.close(Closed::Idle);
        assert_eq!(*closed.borrow(), Some(Closed::TooSlow));
    }
}
