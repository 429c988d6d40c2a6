//! JSON-RPC over a WebSocket: calls, and peer messages of the channels that the client proved its key for.
//!
//! One task reads, another writes. The reader waits while the core is busy, so a client can't flood it;
//! the writer's queue is bounded, in bytes and together with those of others, so clients that do not read can't fill our
//! memory.

use super::App;
use super::connections::Place;
use super::envelope::{self, Envelope};
use super::error::RpcError;
use super::faults::Culprit;
use super::http::{failure, ip_of, refusal};
use super::limits::Bucket;
use super::methods::{self, Answer};
use super::screen::Screen;
use crate::core::{Closed, Outbox, Outgoing, Queued, Room};
use crate::origin::Origin;
use alloy_primitives::B256;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use farthing_protocol::api::limits::MAX_MESSAGE;
use farthing_protocol::sign::Signature;
use farthing_protocol::{ChannelDef, ChannelId, Code, Error, abi};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// A longer frame is refused by its header and never buffered; its sender may find the connection reset.
/// One between this and [`MAX_MESSAGE`] is read to its end, so that the error and the close frame reach the sender.
const HARD_LIMIT: usize = MAX_MESSAGE + 4_096;
/// Bytes that are read ahead. The library takes them for each connection from the start.
const READ_AHEAD: usize = 4_096;
/// How long a close frame may take to leave.
const FAREWELL: Duration = Duration::from_secs(1);
/// Refusals in a row after which a flooding client is closed.
const MAX_STRIKES: u32 = 1_000;

/// What a connection knows of its client.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) outbox: Outbox,
    /// The last challenge given out, with its channel.
    pub(super) challenge: Option<(ChannelId, ChannelDef, B256)>,
    /// Channels whose key the client proved.
    pub(super) attached: BTreeMap<ChannelId, Screen>,
    origin: Origin,
    bucket: Bucket,
    strikes: u32,
    /// Faults that are counted where they outlive the connection.
    noted: u32,
    places: Arc<[Arc<Place>]>,
    /// How long an answer may wait for room in the queue.
    patience: Duration,
}

impl Session {
    /// Takes `count` from the rate limits of the connection and its origin, if there are so many left.
    fn take(&mut self, app: &App, count: u32) -> bool {
        self.bucket.take(count, Instant::now()) && app.shared.take(self.origin, count)
    }

    /// Takes `count` from the same, and waits until there are so many.
    pub(super) async fn wait(&mut self, app: &App, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let wait = self.bucket.debit(count, Instant::now()).max(app.shared.debit(self.origin, count));
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Whether the client holds a channel's key: it signed the last challenge, which is used up whatever comes of it.
    pub(super) fn prove(
        &mut self,
        app: &App,
        channel: ChannelId,
        signature: Signature,
    ) -> Result<(ChannelId, ChannelDef), Error> {
        let challenge = self.challenge.take().filter(|(asked, ..)| *asked == channel);
        let Some((channel, def, challenge)) = challenge else {
            return Err(Error::new(Code::NotAuthenticated, "ask for a challenge of this channel first"));
        };
        let digest = app.domain.digest(&abi::Session { channelId: channel.0, challenge });
        signature.verify(digest, def.a.signer)?;
        Ok((channel, def))
    }

    /// Who it is.
    pub(super) const fn origin(&self) -> Origin {
        self.origin
    }

    /// A client with money in its channel is not asked to make room for others.
    pub(super) fn keep_place(&self) {
        self.places.iter().for_each(|place| place.keep());
    }

    /// The client broke the protocol. It is closed if it does so again and again, and waits before it comes back.
    pub(super) fn fault(&mut self, app: &App, channel: Option<ChannelId>) {
        self.noted = self.noted.saturating_add(1);
        let waits = self.note(app, channel);
        if self.outbox.fault() >= app.limits.faults || waits {
            self.outbox.close(Closed::Faulty);
        }
    }

    fn note(&self, app: &App, channel: Option<ChannelId>) -> bool {
        let now = Instant::now();
        let of_channel = channel.is_some_and(|channel| app.faults.note(Culprit::Channel(channel), now));
        app.faults.note(Culprit::Origin(self.origin), now) || of_channel
    }

    /// The core found some by itself. It does not say in which channel.
    fn note_rest(&self, app: &App) {
        let only = self.attached.keys().next().copied().filter(|_| self.attached.len() == 1);
        for _ in self.noted..self.outbox.faults() {
            self.note(app, only);
        }
    }
}

/// Upgrades a GET request, if there is a place left.
pub(super) async fn upgrade(State(app): State<Arc<App>>, request: Request) -> Response {
    let ip = ip_of(&request);
    let (mut parts, _) = request.into_parts();
    let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &app).await else {
        let hint = "Farthing hub: POST JSON-RPC 2.0 here, or connect a WebSocket. See /openrpc.json\n";
        return (StatusCode::UPGRADE_REQUIRED, hint).into_response();
    };
    let origin = Origin::of(ip);
    if app.faults.waits(Culprit::Origin(origin), Instant::now()) {
        return refusal(StatusCode::TOO_MANY_REQUESTS, Code::RateLimited);
    }
    let Some(place) = app.connections.enter(origin) else {
        return refusal(StatusCode::TOO_MANY_REQUESTS, Code::RateLimited);
    };
    // The TCP connection has one of its own; in tests there is none.
    let outer = parts.extensions.get::<Arc<Place>>().map(Arc::clone);
    let places = [Arc::new(place)].into_iter().chain(outer).collect();
    upgrade
        .max_message_size(HARD_LIMIT)
        .max_frame_size(HARD_LIMIT)
        .read_buffer_size(READ_AHEAD)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_MESSAGE.saturating_mul(2))
        .on_upgrade(move |socket| serve(app, socket, origin, places))
}

async fn serve(app: Arc<App>, socket: WebSocket, origin: Origin, places: Arc<[Arc<Place>]>) {
    let (sink, stream) = socket.split();
    let limits = &app.limits;
    let budget = Arc::clone(&app.budget);
    let room = Room { frames: limits.outbound_queue, bytes: limits.outbound_bytes, budget, origin };
    let (outbox, frames, closed) = Outbox::new(room);
    let writer = tokio::spawn(write(sink, frames, closed.clone(), Duration::from_secs(limits.ping_interval)));
    let mut session = Session {
        outbox,
        challenge: None,
        attached: BTreeMap::new(),
        origin,
        bucket: Bucket::new(f64::from(limits.requests_per_second), limits.burst, Instant::now()),
        strikes: 0,
        noted: 0,
        places: Arc::clone(&places),
        patience: Duration::from_secs(limits.write_timeout),
    };
    let why = read(&app, &mut session, stream, closed).await;
    session.outbox.close(why);
    session.note_rest(&app);
    for channel in session.attached.keys() {
        app.core.detach(*channel, session.outbox.id()).await;
    }
    // The last sender of the queue: the writer ends when what is queued has left.
    drop(session);
    if writer.await.is_err() {
        tracing::error!("a socket's writer panicked");
    }
    drop(places);
}

/// Reads until the connection ends or is to be closed.
async fn read(
    app: &App,
    session: &mut Session,
    mut stream: SplitStream<WebSocket>,
    mut closed: watch::Receiver<Option<Closed>>,
) -> Closed {
    let idle = Duration::from_secs(app.limits.idle_timeout);
    let mut stopping = app.stopping.clone();
    let places = Arc::clone(&session.places);
    let taken_away = async {
        // None of them is empty: there is the one of the socket itself.
        futures_util::future::select_all(places.iter().map(|place| Box::pin(place.taken_away()))).await;
    };
    let mut taken_away = std::pin::pin!(taken_away);
    loop {
        let next = tokio::select! {
            next = tokio::time::timeout(idle, stream.next()) => next,
            _ = closed.wait_for(Option::is_some) => return Closed::GoingAway,
            () = &mut taken_away => return Closed::Crowded,
            _ = stopping.wait_for(|stopping| *stopping) => return Closed::GoingAway,
        };
        let text = match next {
            Err(_) => return Closed::Idle,
            Ok(None | Some(Ok(Message::Close(_)))) => return Closed::GoingAway,
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
            Ok(Some(Ok(Message::Text(text)))) => text,
            Ok(Some(Ok(Message::Binary(_)))) => {
                session.fault(app, None);
                if let Err(why) = say(session, failure(RpcError::request("text frames only"))).await {
                    return why;
                }
                continue;
            }
            Ok(Some(Err(error))) => {
                if is_too_large(&error) {
                    let _ = say(session, failure(Code::MessageTooLarge.into())).await;
                    return Closed::TooLarge;
                }
                return Closed::GoingAway;
            }
        };
        if text.len() > MAX_MESSAGE {
            let _ = say(session, failure(Code::MessageTooLarge.into())).await;
            return Closed::TooLarge;
        }
        let taken = tokio::select! {
            taken = take(app, session, text.as_str()) => taken,
            // Whoever is closed does not finish what it waits for.
            _ = closed.wait_for(Option::is_some) => return Closed::GoingAway,
            _ = stopping.wait_for(|stopping| *stopping) => Err(Closed::GoingAway),
        };
        if let Err(why) = taken {
            return why;
        }
    }
}

/// Runs one frame; an error ends the connection.
async fn take(app: &App, session: &mut Session, text: &str) -> Result<(), Closed> {
    let request = match envelope::read(text) {
        Ok(Envelope::One(Ok(request))) => request,
        Ok(Envelope::One(Err(error))) | Err(error) => {
            if !session.take(app, 1) {
                return limited(session, None).await;
            }
            session.fault(app, None);
            return say(session, failure(error)).await;
        }
        Ok(Envelope::Batch(_)) => {
            if !session.take(app, 1) {
                return limited(session, None).await;
            }
            return say(session, failure(RpcError::request("batches are served over HTTP only"))).await;
        }
    };
    if methods::is_patient(&request.method) {
        session.wait(app, 1).await;
    } else if !session.take(app, methods::price(&request.method).min(app.limits.burst)) {
        return limited(session, request.id).await;
    }
    session.strikes = 0;
    let origin = session.origin;
    match methods::call(app, origin, Some(session), &request.method, request.params, request.id).await {
        Ok(Answer::Sent) => Ok(()),
        Ok(_) if request.id.is_none() => Ok(()),
        // The sender of a notification hears of a failure too: silence would leave it waiting for the peer.
        result => say(session, methods::response(request.id, result)).await,
    }
}

async fn limited(session: &mut Session, id: Option<&serde_json::value::RawValue>) -> Result<(), Closed> {
    session.strikes = session.strikes.saturating_add(1);
    if session.strikes > MAX_STRIKES {
        return Err(Closed::RateLimited);
    }
    say(session, envelope::response(id, Err(&Code::RateLimited.into()))).await
}

/// Answers. A client that does not read its answers is not read either, and closed in the end.
async fn say(session: &Session, frame: Outgoing) -> Result<(), Closed> {
    match tokio::time::timeout(session.patience, session.outbox.wait(frame)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Closed::TooSlow),
    }
}

/// The library tells sizes apart from other errors by its text only.
fn is_too_large(error: &axum::Error) -> bool {
    error.to_string().to_lowercase().contains("too long")
}

/// Writes what is queued, and a ping now and then, until it is told to close.
async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut frames: mpsc::Receiver<Queued>,
    mut closed: watch::Receiver<Option<Closed>>,
    ping_interval: Duration,
) {
    let mut pings = tokio::time::interval(ping_interval);
    pings.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        // Counted until it has left.
        let (message, _counted) = tokio::select! {
            queued = frames.recv() => match queued {
                Some(Queued { frame, charge }) => (Message::Text(frame.into()), Some(charge)),
                None => break,
            },
            _ = pings.tick() => (Message::Ping(axum::body::Bytes::new()), None),
            _ = closed.wait_for(Option::is_some) => break,
        };
        let mut sending = std::pin::pin!(sink.send(message));
        let sent = tokio::select! {
            sent = &mut sending => sent.is_ok(),
            // What is half out is finished, so that an answer is not lost to the close that follows it.
            () = async { drop(closed.wait_for(Option::is_some).await) } => {
                matches!(tokio::time::timeout(FAREWELL, sending).await, Ok(Ok(())))
            }
        };
        if !sent {
            break;
        }
    }
    let why = closed.borrow().unwrap_or(Closed::GoingAway);
    let farewell = async {
        // What was answered before the end is still said, except to a client that does not read.
        if why != Closed::TooSlow {
            while let Ok(Queued { frame, charge: _charge }) = frames.try_recv() {
                sink.send(Message::Text(frame.into())).await?;
            }
        }
        let (code, reason) = why.frame();
        sink.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await?;
        sink.flush().await
    };
    // A client that is gone can't be told so.
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}
