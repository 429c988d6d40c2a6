//! Whether the hub can do its work: its store takes commits, and its view of the chain is fresh.

use crate::clock;
use farthing_protocol::chain::Head;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Seen by the readiness probe.
#[derive(Debug)]
pub struct Health {
    store: AtomicBool,
    looks: watch::Sender<(Instant, Option<Head>)>,
    /// A chain not looked at for this long is unknown.
    patience: Duration,
    /// Seconds after which the newest block is too old.
    max_chain_age: u64,
}

/// What the readiness probe answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Everything below is well.
    pub ready: bool,
    /// The store takes commits.
    pub store: bool,
    /// The chain is being followed.
    pub chain: bool,
    /// The newest block.
    pub head: Option<u64>,
    /// The newest final block.
    pub final_head: Option<u64>,
}

impl Health {
    /// Well, but without having seen the chain.
    #[must_use]
    pub fn new(poll_interval: Duration, max_chain_age: u64) -> Self {
        let patience = poll_interval.saturating_mul(10).max(Duration::from_secs(30));
        Self {
            store: AtomicBool::new(true),
            looks: watch::Sender::new((Instant::now(), None)),
            patience,
            max_chain_age,
        }
    }

    /// The store failed. There is no way back but a restart.
    pub fn store_failed(&self) {
        self.store.store(false, Ordering::Release);
    }

    /// The chain was looked at.
    pub fn looked(&self, head: Head) {
        self.looks.send_replace((Instant::now(), Some(head)));
    }

    /// Every look at the chain, also those that saw nothing new.
    #[must_use]
    pub fn looks(&self) -> watch::Receiver<(Instant, Option<Head>)> {
        self.looks.subscribe()
    }

    /// How it is now.
    #[must_use]
    pub fn report(&self) -> Report {
        let store = self.store.load(Ordering::Acquire);
        let (at, head) = *self.looks.borrow();
        let chain = head.is_some_and(|head| {
            at.elapsed() <= self.patience && clock::now() <= head.timestamp.saturating_add(self.max_chain_age)
        });
        Report {
            ready: store && chain,
            store,
            chain,
            head: head.map(|head| head.number),
            final_head: head.map(|head| head.final_number),
        }
    }
}
