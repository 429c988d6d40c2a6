//! JSON-RPC over a WebSocket: calls, and peer messages of the channels that the client proved its key for.
//!
//! One task reads, another writes. The reader waits while the core is busy, so a client can't flood it;
//! the writer's queue is bounded, so a client that does not read can't fill our memory.

use super::App;
use super::envelope::{self, Envelope};
use super::error::RpcError;
use super::http::{failure, ip_of, refusal};
use super::limits::{Bucket, Place};
use super::methods::{self, Answer};
use crate::core::{Closed, Outbox, Outgoing};
use alloy_primitives::{Address, B256};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use farthing_protocol::message::MAX_MESSAGE;
use farthing_protocol::{ChannelId, Code};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// A longer frame is refused by its header and never buffered; its sender may find the connection reset.
/// One between this and [`MAX_MESSAGE`] is read to its end, so that the error and the close frame reach the sender.
const HARD_LIMIT: usize = MAX_MESSAGE * 2;
/// How long an answer may wait for room in the queue.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a close frame may take to leave.
const FAREWELL: Duration = Duration::from_secs(1);
/// Refusals in a row after which a flooding client is closed.
const MAX_STRIKES: u32 = 1_000;

/// What a connection knows of its client.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) outbox: Outbox,
    /// The last challenge given out, with its channel and that channel's signer.
    pub(super) challenge: Option<(ChannelId, Address, B256)>,
    /// Channels whose key the client proved.
    pub(super) attached: BTreeSet<ChannelId>,
    ip: IpAddr,
    bucket: Bucket,
    strikes: u32,
}

impl Session {
    /// Takes one from the connection's rate limit, if there is one left.
    fn take(&mut self) -> bool {
        self.bucket.take(1, Instant::now())
    }

    /// Takes `count` from the connection's rate limit, and waits until there are so many.
    pub(super) async fn wait(&mut self, count: usize) {
        let wait = self.bucket.debit(u32::try_from(count).unwrap_or(u32::MAX), Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
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
    let Some(place) = app.connections.enter(ip) else {
        return refusal(StatusCode::TOO_MANY_REQUESTS, Code::RateLimited);
    };
    upgrade
        .max_message_size(HARD_LIMIT)
        .max_frame_size(HARD_LIMIT)
        .max_write_buffer_size(MAX_MESSAGE.saturating_mul(4))
        .on_upgrade(move |socket| serve(app, socket, ip, place))
}

async fn serve(app: Arc<App>, socket: WebSocket, ip: IpAddr, place: Place) {
    let (sink, stream) = socket.split();
    let (outbox, frames, closed) = Outbox::new(app.limits.outbound_queue);
    let writer = tokio::spawn(write(sink, frames, closed.clone(), Duration::from_secs(app.limits.ping_interval)));
    let mut session = Session {
        outbox,
        challenge: None,
        attached: BTreeSet::new(),
        ip,
        bucket: Bucket::new(app.limits.requests_per_second, app.limits.burst, Instant::now()),
        strikes: 0,
    };
    let why = read(&app, &mut session, stream, closed).await;
    session.outbox.close(why);
    for channel in &session.attached {
        app.core.detach(*channel, session.outbox.id()).await;
    }
    // The last sender of the queue: the writer ends when what is queued has left.
    drop(session);
    if writer.await.is_err() {
        tracing::error!("a socket's writer panicked");
    }
    drop(place);
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
    loop {
        let next = tokio::select! {
            next = tokio::time::timeout(idle, stream.next()) => next,
            _ = closed.wait_for(Option::is_some) => return Closed::GoingAway,
            _ = stopping.wait_for(|stopping| *stopping) => return Closed::GoingAway,
        };
        let text = match next {
            Err(_) => return Closed::Idle,
            Ok(None | Some(Ok(Message::Close(_)))) => return Closed::GoingAway,
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
            Ok(Some(Ok(Message::Text(text)))) => text,
            Ok(Some(Ok(Message::Binary(_)))) => {
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
            if !session.take() {
                return limited(session, None).await;
            }
            return say(session, failure(error)).await;
        }
        Ok(Envelope::Batch(_)) => {
            return say(session, failure(RpcError::request("batches are served over HTTP only"))).await;
        }
    };
    if methods::is_patient(&request.method) {
        session.wait(1).await;
    } else if !session.take() {
        return limited(session, request.id).await;
    }
    session.strikes = 0;
    let ip = session.ip;
    match methods::call(app, ip, Some(session), &request.method, request.params, request.id).await {
        Ok(Answer::Sent) => Ok(()),
        Ok(Answer::Result(value)) if request.id.is_some() => {
            say(session, envelope::response(request.id, &Ok(value))).await
        }
        Ok(Answer::Result(_)) => Ok(()),
        // The sender of a notification hears of a failure too: silence would leave it waiting for the peer.
        Err(error) => say(session, envelope::response(request.id, &Err::<serde_json::Value, _>(error))).await,
    }
}

async fn limited(session: &mut Session, id: Option<&serde_json::value::RawValue>) -> Result<(), Closed> {
    session.strikes = session.strikes.saturating_add(1);
    if session.strikes > MAX_STRIKES {
        return Err(Closed::RateLimited);
    }
    say(session, envelope::response(id, &Err::<serde_json::Value, _>(Code::RateLimited.into()))).await
}

/// Answers. A client that does not read its answers is not read either, and closed in the end.
async fn say(session: &Session, frame: Outgoing) -> Result<(), Closed> {
    match tokio::time::timeout(PATIENCE, session.outbox.wait(frame)).await {
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
    mut frames: mpsc::Receiver<Outgoing>,
    mut closed: watch::Receiver<Option<Closed>>,
    ping_interval: Duration,
) {
    let mut pings = tokio::time::interval(ping_interval);
    pings.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            frame = frames.recv() => match frame {
                Some(frame) => Message::Text(frame.into()),
                None => break,
            },
            _ = pings.tick() => Message::Ping(axum::body::Bytes::new()),
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
            while let Ok(frame) = frames.try_recv() {
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
