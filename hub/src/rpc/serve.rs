//! TCP connections: who is let in before anything is read, how long they may say nothing, and how long they may not read.
//!
//! A connection that has proved no key is worth little: where places run out the longest unused of them makes room. So
//! silent connections, however many, keep nobody out.

use super::connections::{Connections, Place};
use crate::origin::Origin;
use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as Task, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

/// Files for everything but clients: the database, the RPC, logs, the listener, and connections that are being closed.
const RESERVED: u64 = 128;
/// With fewer connections than these a hub is of no use.
const LEAST: u64 = 64;
/// Connections that the kernel keeps for us until they are accepted.
const BACKLOG: u32 = 1_024;
/// Bytes that the kernel keeps for a connection, each way: what is not read is held there, and by nobody else.
const KERNEL_BUFFER: u32 = 131_072;
/// Most bytes of a request's head, and of what is read ahead.
const READ_AHEAD: usize = 16_384;
/// Pause after a failure to accept that is not one connection's, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);
/// Time between two lines about such failures.
const QUIET: Duration = Duration::from_secs(60);

/// How long a connection is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Without the head of a request.
    pub(crate) silence: Duration,
    /// Without a byte of an answer leaving.
    pub(crate) write: Duration,
}

/// Raises the limit of open files as far as this process may, and returns it.
pub(crate) fn open_files() -> Result<u64> {
    rlimit::increase_nofile_limit(u64::MAX).context("the limit of open files can't be read")
}

/// How many connections there can be, of those that are wanted.
pub(crate) fn places(open_files: u64, wanted: usize) -> Result<usize> {
    let left = open_files.saturating_sub(RESERVED);
    ensure!(
        left >= LEAST,
        "this process may open {open_files} files and needs at least {}: raise the limit (ulimit -n, LimitNOFILE)",
        RESERVED.saturating_add(LEAST)
    );
    let left = usize::try_from(left).unwrap_or(usize::MAX);
    if left < wanted {
        tracing::warn!(open_files, connections = left, wanted, "the limit of open files allows fewer connections");
    }
    Ok(left.min(wanted))
}

/// Listens, with bounded buffers in the kernel.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // As the runtime's own listener does: on Windows it would mean something else.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.set_send_buffer_size(KERNEL_BUFFER)?;
        socket.set_recv_buffer_size(KERNEL_BUFFER)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bound().with_context(|| format!("cannot listen on {address}"))
}

/// Serves until it is to stop, and then until the last request has its answer.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    connections: Arc<Connections>,
    patience: Patience,
    mut stopping: watch::Receiver<bool>,
) {
    let mut tasks = JoinSet::new();
    let mut warned: Option<Instant> = None;
    let to_stop = stopping.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
            () = stopped(&mut stopping) => break,
        };
        match accepted {
            Ok((stream, address)) => {
                // Dropped unread otherwise: whoever has all places of an origin learns nothing else.
                let Some(place) = connections.enter(Origin::of(address.ip())) else { continue };
                tasks.spawn(connection(stream, address, router.clone(), place, patience, to_stop.clone()));
            }
            Err(error) if is_of_one(&error) => {}
            Err(error) => {
                if warned.is_none_or(|at| at.elapsed() >= QUIET) {
                    warned = Some(Instant::now());
                    tracing::error!(%error, "no connection can be accepted");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    while tasks.join_next().await.is_some() {}
}

/// Serves one connection, unless its place is taken away. An upgraded one lives on elsewhere, with its place.
async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    router: Router,
    place: Place,
    patience: Patience,
    mut stopping: watch::Receiver<bool>,
) {
    // Small frames must not wait for the acknowledgement of earlier ones: it costs 40 ms a payment.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let place = Arc::new(place);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(patience.write));
    let stream = Held { stream: Box::pin(stream), _place: Arc::clone(&place) };
    let given = Arc::downgrade(&place);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        if let Some(place) = given.upgrade() {
            place.touch();
            request.extensions_mut().insert(place);
        }
        request.extensions_mut().insert(ConnectInfo(address));
        router.clone().oneshot(request)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(patience.silence).max_buf_size(READ_AHEAD);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = place.taken_away() => return,
        () = stopped(&mut stopping) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Whether accepting failed because of the connection that was to be accepted.
fn is_of_one(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

/// A stream that has a place as long as it lives, also after an upgrade.
struct Held {
    stream: Pin<Box<TimeoutStream<TcpStream>>>,
    _place: Arc<Place>,
}

impl AsyncRead for Held {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Task<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_read(task, buffer)
    }
}

impl AsyncWrite for Held {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Task<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(task, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(task)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write_vectored(task, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_open_files_are_refused_and_few_leave_room_for_the_rest() {
        let error = places(191, 10).unwrap_err().to_string();
        assert!(error.contains("191") && error.contains("192") && error.contains("ulimit"), "{error}");
        assert_eq!(places(192, 10_000).unwrap(), 64);
        assert_eq!(places(1_024, 10_000).unwrap(), 896);
        assert_eq!(places(u64::MAX, 10_000).unwrap(), 10_000);
    }
}
