//! Follows the chain and tells its listener (a hub's core, or a watchtower) what is final.
//!
//! What is asked, when an answer counts and in which order it is told is the affair of
//! [`farthing_protocol::reading`]; here its steps are carried out: the reader asks, the store keeps the cursor, the
//! listener makes durable what it is told.

use super::listener::Listener;
use super::reader::Reader;
use super::rpc::Rpc;
use crate::health::Health;
use crate::store::Store;
use alloy_primitives::Address;
use farthing_protocol::reading::{Cursor, Note, Reading, ReadingConfig, Step};
use farthing_protocol::{Asset, ChannelId, Code, Error};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The name of the cursor among the store's facts.
const CURSOR: &str = "cursor";
/// Seconds after which a development chain that is shorter than it was is taken for one that was reset.
const RESET: u64 = 60;
/// Looks during which one of several nodes may stand still while others go on.
pub(super) const STANDSTILL: u32 = 60;
/// Longest wait between attempts when the RPC fails.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// What a follower needs to know.
#[derive(Clone, Debug)]
pub struct FollowerConfig {
    /// Whose logs it reads.
    pub contract: Address,
    /// Assets that it reads the state of; without a list all, but only when something happened to them.
    pub assets: Option<Vec<Asset>>,
    /// Blocks on top of one before it is final.
    pub confirmations: u64,
    /// How often it looks.
    pub poll_interval: Duration,
    /// Most blocks in one question for logs.
    pub log_range: u64,
}

/// Follows the chain until its listener is gone.
#[derive(Debug)]
pub struct Follower<L> {
    poll_interval: Duration,
    reader: Reader,
    store: Arc<dyn Store>,
    listener: L,
    /// Channels registered since the last look.
    registered: mpsc::UnboundedReceiver<ChannelId>,
    health: Arc<Health>,
    start: Start,
    /// Once the stored cursor was read.
    reading: Option<Reading>,
    started: Instant,
}

/// What a follower begins with.
#[derive(Debug)]
struct Start {
    config: ReadingConfig,
    known: BTreeSet<ChannelId>,
    unread: Option<BTreeSet<ChannelId>>,
    begun: BTreeMap<ChannelId, u64>,
}

impl<L: Listener> Follower<L> {
    /// A follower for the channels that are known at the start; later ones come through `registered`.
    /// Every look at the chain is told to `health`.
    pub fn new(
        config: FollowerConfig,
        rpc: Rpc,
        store: Arc<dyn Store>,
        listener: L,
        known: impl IntoIterator<Item = ChannelId>,
        registered: mpsc::UnboundedReceiver<ChannelId>,
        health: Arc<Health>,
    ) -> Self {
        let patience = config.poll_interval.saturating_mul(STANDSTILL);
        Self {
            poll_interval: config.poll_interval,
            reader: Reader::new(rpc, config.contract, patience),
            store,
            listener,
            registered,
            health,
            start: Start {
                config: ReadingConfig {
                    contract: config.contract,
                    assets: config.assets.map(|assets| assets.into_iter().collect()),
                    confirmations: config.confirmations,
                    log_range: config.log_range,
                    resets_after: None,
                    by_channel: false,
                },
                known: known.into_iter().collect(),
                unread: None,
                begun: BTreeMap::new(),
            },
            reading: None,
            started: Instant::now(),
        }
    }

    /// For a listener that remembers what it was told: at the start only these channels have to be read.
    #[must_use]
    pub fn with_unread(mut self, unread: BTreeSet<ChannelId>) -> Self {
        self.start.unread = Some(unread);
        self
    }

    /// For a listener that remembers exits: by when they began it is told which of them may have been taken back.
    #[must_use]
    pub fn with_exits(mut self, begun: BTreeMap<ChannelId, u64>) -> Self {
        self.start.begun = begun;
        self
    }

    /// The chain is a development node's, which may be reset.
    #[must_use]
    pub fn on_development_chain(mut self, is_one: bool) -> Self {
        self.start.config.resets_after = is_one.then_some(RESET);
        self
    }

    /// Runs until the listener is gone. Failures of the RPC are logged and tried again, ever more slowly.
    pub async fn run(mut self) {
        let mut failures = 0_u32;
        loop {
            let (rpc, health) = (self.reader.rpc().clone(), Arc::clone(&self.health));
            let wait = match rpc.telling(&health, self.look()).await {
                Ok(()) => {
                    failures = 0;
                    self.poll_interval
                }
                Err(error) if error.code() == Code::ClientClosed => return,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    // One that passes is nobody's affair.
                    if failures > 1 {
                        self.health.troubled(&error);
                    }
                    tracing::warn!(%error, failures, "reading the chain failed; trying again");
                    // A node that answers, and is behind or disagrees with another, is soon asked again.
                    let most = if rpc.trouble().is_some() { 8 } else { 3 };
                    self.poll_interval.saturating_mul(1 << failures.min(most)).min(MAX_BACKOFF)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                registered = self.registered.recv() => match registered {
                    Some(channel) => self.add(channel),
                    None => return,
                },
            }
        }
    }

    fn add(&mut self, channel: ChannelId) {
        match &mut self.reading {
            Some(reading) => reading.add(channel),
            None => {
                self.start.known.insert(channel);
                if let Some(unread) = &mut self.start.unread {
                    unread.insert(channel);
                }
            }
        }
    }

    /// Goes on from where the chain was read to before.
    async fn begin(&self) -> Result<Reading, Error> {
        let Start { config, known, unread, begun } = &self.start;
        let text = self.store.fact(CURSOR).await?;
        let stored = text.map(|text| Cursor::restore(&text, config.assets.clone())).transpose()?;
        let reading = Reading::new(config.clone(), known.iter().copied(), stored).with_exits(begun.clone());
        Ok(match unread {
            Some(unread) => reading.with_unread(unread.clone()),
            None => reading,
        })
    }

    /// One look at the chain: everything between the cursor and the newest block.
    async fn look(&mut self) -> Result<(), Error> {
        while let Ok(channel) = self.registered.try_recv() {
            self.add(channel);
        }
        let mut reading = match self.reading.take() {
            Some(reading) => reading,
            None => self.begin().await?,
        };
        reading.look(self.started.elapsed().as_secs());
        let outcome = self.carry_out(&mut reading).await;
        self.reading = Some(reading);
        outcome
    }

    async fn carry_out(&self, reading: &mut Reading) -> Result<(), Error> {
        loop {
            let step = reading.step();
            for note in reading.notes() {
                match note {
                    Note::Unreadable(block) => {
                        tracing::warn!(block, "a log of the contract can't be read; skipped");
                    }
                    Note::Reorganised(block) => tracing::warn!(
                        block,
                        "the chain was reorganised below what was final; reading every channel again"
                    ),
                }
            }
            match step {
                Step::Ask(questions) => {
                    let mut answers = Vec::with_capacity(questions.len());
                    for question in &questions {
                        answers.push(self.reader.answer(question).await?);
                    }
                    reading.answered(answers)?;
                }
                Step::Announced(channels) => reading.announced(self.listener.announced(channels).await?)?,
                Step::Store(cursor) => {
                    self.store.set_fact(CURSOR, cursor.text()?).await?;
                    reading.stored()?;
                }
                Step::Tell { facts, newest } => reading.told(self.listener.facts(facts, newest).await?)?,
                Step::CaughtUp { channels, at } => {
                    let channels = channels.into_iter().collect();
                    reading.told(self.listener.caught_up(&channels, at).await?)?;
                }
                Step::Head { facts, head } => reading.heard(self.listener.chain(facts, head).await?)?,
                Step::Recorded(facts) => {
                    self.listener.recorded(facts).await?;
                    reading.told(Vec::new())?;
                }
                Step::Done(head) => {
                    self.health.looked(head);
                    return Ok(());
                }
                Step::Rest => return Ok(()),
            }
        }
    }
}
