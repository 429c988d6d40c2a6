//! Follows the chain and tells its listener (a hub's core, or a watchtower) what is final.
//!
//! Duties: the listener hears of a final block only after every fact up to it, since locks are released when their
//! expiry is final; facts are read at that very block; the place up to which the chain was read is stored only after
//! the listener has made the facts durable. Facts are absolute, so reading twice is harmless.

use super::listener::Listener;
use super::logs::Happened;
use super::rpc::{Block, Rpc};
use crate::health::Health;
use crate::store::Store;
use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolCall;
use farthing_protocol::abi::{AssetState, IFarthing};
use farthing_protocol::amount::Amount;
use farthing_protocol::chain::{AssetStatus, ChainFact, Head};
use farthing_protocol::condition::ConditionKey;
use farthing_protocol::{Asset, ChannelId, Code, Error, Side, Sides};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Questions to the node at once.
const CONCURRENCY: usize = 16;
/// Blocks read again below the cursor after a reorg deeper than the confirmations.
const REORG_DEPTH: u64 = 256;
/// Longest wait between attempts when the RPC fails.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// The name of the cursor among the store's facts.
const CURSOR: &str = "cursor";

/// What a watcher needs to know.
#[derive(Clone, Debug)]
pub struct WatcherConfig {
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
pub struct Watcher<L> {
    config: WatcherConfig,
    rpc: Rpc,
    store: Arc<dyn Store>,
    listener: L,
    /// Channels registered since the last look.
    registered: mpsc::UnboundedReceiver<ChannelId>,
    health: Arc<Health>,
    known: BTreeSet<ChannelId>,
    /// Channels whose whole state has to be read.
    unread: BTreeSet<ChannelId>,
    /// Exits at the last look above what was final then: the listener was told of them.
    exits: BTreeSet<(ChannelId, u64)>,
    /// Channels whose exit was not final at the last look; a reorg may take it back.
    young: BTreeSet<ChannelId>,
    cursor: Option<Cursor>,
    last: Option<(Block, Head)>,
}

/// The last final block whose facts the core holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Cursor {
    number: u64,
    hash: B256,
}

impl<L: Listener> Watcher<L> {
    /// A watcher for the channels that are known at the start; later ones come through `registered`.
    /// Every look at the chain is told to `health`.
    pub fn new(
        config: WatcherConfig,
        rpc: Rpc,
        store: Arc<dyn Store>,
        listener: L,
        known: impl IntoIterator<Item = ChannelId>,
        registered: mpsc::UnboundedReceiver<ChannelId>,
        health: Arc<Health>,
    ) -> Self {
        let known: BTreeSet<_> = known.into_iter().collect();
        Self {
            config,
            rpc,
            store,
            listener,
            registered,
            health,
            unread: known.clone(),
            known,
            exits: BTreeSet::new(),
            young: BTreeSet::new(),
            cursor: None,
            last: None,
        }
    }

    /// For a listener that remembers what it was told: at the start only these channels have to be read.
    #[must_use]
    pub fn with_unread(mut self, unread: BTreeSet<ChannelId>) -> Self {
        self.unread = unread;
        self
    }

    /// Runs until the listener is gone. Failures of the RPC are logged and tried again, ever more slowly.
    pub async fn run(mut self) {
        let mut failures = 0_u32;
        loop {
            let wait = match self.look().await {
                Ok(()) => {
                    failures = 0;
                    self.config.poll_interval
                }
                Err(error) if error.code() == Code::ClientClosed => return,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::warn!(%error, failures, "reading the chain failed; trying again");
                    self.config.poll_interval.saturating_mul(1 << failures.min(8)).min(MAX_BACKOFF)
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
        self.known.insert(channel);
        self.unread.insert(channel);
    }

    /// One look at the chain: everything between the cursor and the newest block.
    async fn look(&mut self) -> Result<(), Error> {
        while let Ok(channel) = self.registered.try_recv() {
            self.add(channel);
        }
        let newest = self.rpc.latest().await?;
        if let Some((_, head)) = self.last.filter(|(block, _)| *block == newest && self.unread.is_empty()) {
            self.health.looked(head);
            return Ok(());
        }
        let final_number = newest.number.saturating_sub(self.config.confirmations);
        let final_block = self.expect_block(final_number).await?;
        let from = self.starting_point(final_block).await?;
        let mut happened = Happened::default();
        let mut start = from;
        while start <= newest.number {
            let end = newest.number.min(start.saturating_add(self.config.log_range.saturating_sub(1)));
            let logs = self.rpc.logs(self.config.contract, start, end).await?;
            happened.read(&logs, final_number);
            start = end.saturating_add(1);
        }
        // A channel that its client did not register is known from here on; its state is read in the same breath.
        let announced = std::mem::take(&mut happened.opened);
        for channel in self.listener.announced(announced).await? {
            self.add(channel);
        }
        let mut facts = self.read_states(&happened, final_block).await?;
        facts.extend(self.read_shown(&happened, final_block).await?);
        let claimed = happened.claimed.drain(..).filter(|(channel, _)| self.known.contains(channel));
        facts.extend(claimed.map(|(channel, fact)| (Some(channel), fact)));
        let undone = self.undone_exits(&happened).await?;
        facts.extend(undone.iter().map(|channel| (Some(*channel), ChainFact::ExitGone)));
        facts.extend(self.read_exits(&happened).await?);
        facts.extend(happened.evidence.drain(..).map(|fact| (None, fact)));
        // The logs were asked for by number. If the final block changed meanwhile, they may be another chain's.
        if self.expect_block(final_number).await?.hash != final_block.hash {
            return Err(Error::new(Code::ChainUnavailable, "the chain changed while it was read"));
        }
        let head = Head {
            number: newest.number,
            timestamp: newest.timestamp,
            final_number,
            final_timestamp: final_block.timestamp,
        };
        let heard = self.listener.chain(facts, head).await?;
        if !heard.unread.is_empty() {
            let reads: Vec<_> = heard.unread.into_iter().map(|key| self.read_units(key, final_block).boxed()).collect();
            let units = stream::iter(reads).buffered(CONCURRENCY).try_collect().await?;
            self.listener.recorded(units).await?;
        }
        let gone = self.listener.caught_up(&self.unread, final_block).await?;
        self.save(Cursor { number: final_block.number, hash: final_block.hash }).await?;
        self.unread.clear();
        self.young.retain(|channel| !undone.contains(channel));
        self.young.extend(happened.exits.iter().map(|(channel, _)| *channel));
        for channel in heard.gone.into_iter().chain(gone) {
            self.known.remove(&channel);
        }
        // Not kept for longer: an exit that a reorg undid may be mined again, and end at the same second.
        self.exits = happened.exits.iter().filter_map(told).collect();
        self.last = Some((newest, head));
        self.health.looked(head);
        Ok(())
    }

    async fn expect_block(&self, number: u64) -> Result<Block, Error> {
        let block = self.rpc.block(number).await?;
        block.ok_or_else(|| Error::new(Code::ChainUnavailable, format!("the RPC does not know block {number}")))
    }

    /// The first block whose logs have to be read. After a reorg below the cursor every channel is read anew.
    async fn starting_point(&mut self, final_block: Block) -> Result<u64, Error> {
        let stored = match self.cursor {
            Some(cursor) => Some(cursor),
            None => self.load().await?,
        };
        // A hub that starts fresh has no locks that older evidence could matter to,
        // and reads the state of a channel when it is registered.
        let Some(cursor) = stored else { return Ok(final_block.number) };
        let there = self.rpc.block(cursor.number).await?;
        if there.is_some_and(|block| block.hash == cursor.hash) && cursor.number <= final_block.number {
            return Ok(cursor.number.saturating_add(1));
        }
        tracing::warn!(
            block = cursor.number,
            "the chain was reorganised below what was final; reading every channel again"
        );
        self.unread = self.known.clone();
        Ok(cursor.number.min(final_block.number).saturating_sub(REORG_DEPTH))
    }

    /// The state of every asset that was touched, or that belongs to an unread channel, at the final block.
    async fn read_states(&self, happened: &Happened, at: Block) -> Result<Vec<(Option<ChannelId>, ChainFact)>, Error> {
        let mut wanted: BTreeSet<(ChannelId, Asset)> = happened
            .touched
            .iter()
            .filter(|(channel, asset)| self.known.contains(channel) && self.listed(asset))
            .copied()
            .collect();
        for channel in &self.unread {
            wanted.extend(self.config.assets.iter().flatten().map(|asset| (*channel, *asset)));
        }
        let reads: Vec<_> =
            wanted.into_iter().map(|(channel, asset)| self.read_state(channel, asset, at).boxed()).collect();
        stream::iter(reads).buffered(CONCURRENCY).try_collect().await
    }

    fn listed(&self, asset: &Asset) -> bool {
        self.config.assets.as_ref().is_none_or(|listed| listed.contains(asset))
    }

    async fn read_state(
        &self,
        channel: ChannelId,
        asset: Asset,
        at: Block,
    ) -> Result<(Option<ChannelId>, ChainFact), Error> {
        let call = IFarthing::assetStateCall { channelId: channel.0, asset };
        let answer = self.rpc.call_at(self.config.contract, call.abi_encode().into(), at.hash).await?;
        // No answer at all: the contract is younger than this block, so nothing was deposited by then.
        let state = if answer.is_empty() {
            AssetState { depositA: 0, depositB: 0, withdrawnA: 0, withdrawnB: 0, status: 0 }
        } else {
            IFarthing::assetStateCall::abi_decode_returns(&answer).map_err(|_| not_the_contract())?
        };
        let fact = ChainFact::Asset {
            asset,
            deposits: Sides { a: Amount::new(state.depositA), b: Amount::new(state.depositB) },
            withdrawn: Sides { a: Amount::new(state.withdrawnA), b: Amount::new(state.withdrawnB) },
            status: AssetStatus::from_index(state.status),
        };
        Ok((Some(channel), fact))
    }

    /// The best proofs that exits were shown, at the final block.
    async fn read_shown(&self, happened: &Happened, at: Block) -> Result<Vec<(Option<ChannelId>, ChainFact)>, Error> {
        let wanted = happened.shown.iter().filter(|(channel, _)| self.known.contains(channel));
        let reads: Vec<_> = wanted.map(|(channel, asset)| self.read_lanes(*channel, *asset, at).boxed()).collect();
        stream::iter(reads).buffered(CONCURRENCY).try_collect().await
    }

    async fn read_lanes(
        &self,
        channel: ChannelId,
        asset: Asset,
        at: Block,
    ) -> Result<(Option<ChannelId>, ChainFact), Error> {
        let mut shown = Sides::default();
        for side in Side::BOTH {
            let call = IFarthing::laneStateCall { channelId: channel.0, asset, payer: side.index() };
            let answer = self.rpc.call_at(self.config.contract, call.abi_encode().into(), at.hash).await?;
            let lane = IFarthing::laneStateCall::abi_decode_returns(&answer).map_err(|_| not_the_contract())?;
            *shown.of_mut(side) = lane.nonce;
        }
        Ok((Some(channel), ChainFact::Shown { asset, shown }))
    }

    /// Channels whose exit is not there any more. Logs of blocks that are not final are read at every look.
    async fn undone_exits(&mut self, happened: &Happened) -> Result<BTreeSet<ChannelId>, Error> {
        let there: BTreeSet<ChannelId> = happened.exits.iter().map(|(channel, _)| *channel).collect();
        let mut doubtful: BTreeSet<ChannelId> = self.young.difference(&there).copied().collect();
        doubtful.extend(self.unread.iter().copied());
        let mut gone = BTreeSet::new();
        for channel in doubtful {
            if self.read_exit(channel).await?.is_some() {
                self.young.remove(&channel);
            } else {
                gone.insert(channel);
            }
        }
        Ok(gone)
    }

    /// Exits that just started, and those of unread channels, up to the newest block.
    async fn read_exits(&self, happened: &Happened) -> Result<Vec<(Option<ChannelId>, ChainFact)>, Error> {
        let mut facts: Vec<_> = happened
            .exits
            .iter()
            .filter(|exit| self.known.contains(&exit.0) && told(exit).is_some_and(|exit| !self.exits.contains(&exit)))
            .map(|(channel, fact)| (Some(*channel), fact.clone()))
            .collect();
        let reads: Vec<_> = self.unread.iter().map(|channel| self.read_exit(*channel).boxed()).collect();
        let read: Vec<Option<_>> = stream::iter(reads).buffered(CONCURRENCY).try_collect().await?;
        facts.extend(read.into_iter().flatten());
        Ok(facts)
    }

    async fn read_exit(&self, channel: ChannelId) -> Result<Option<(Option<ChannelId>, ChainFact)>, Error> {
        let call = IFarthing::exitEndsAtCall { channelId: channel.0 };
        let answer = self.rpc.call_latest(self.config.contract, call.abi_encode().into()).await?;
        let ends_at = IFarthing::exitEndsAtCall::abi_decode_returns(&answer).map_err(|_| not_the_contract())?;
        Ok((ends_at > 0).then_some((Some(channel), ChainFact::ExitStarted { ends_at })))
    }

    /// What was recorded for a key, perhaps before any of our locks had it.
    async fn read_units(&self, key: ConditionKey, at: Block) -> Result<ChainFact, Error> {
        let call = IFarthing::unitsOfCall { key: key.0 };
        let answer = self.rpc.call_at(self.config.contract, call.abi_encode().into(), at.hash).await?;
        let units = IFarthing::unitsOfCall::abi_decode_returns(&answer).map_err(|_| not_the_contract())?;
        Ok(ChainFact::Evidence { key, units, evidence: Bytes::new() })
    }

    async fn load(&self) -> Result<Option<Cursor>, Error> {
        let Some(text) = self.store.fact(CURSOR).await? else { return Ok(None) };
        let parsed = text
            .split_once(' ')
            .and_then(|(number, hash)| Some(Cursor { number: number.parse().ok()?, hash: hash.parse().ok()? }));
        parsed.map(Some).ok_or_else(|| Error::new(Code::StorageCorrupt, "the stored cursor is damaged"))
    }

    async fn save(&mut self, cursor: Cursor) -> Result<(), Error> {
        if self.cursor != Some(cursor) {
            self.store.set_fact(CURSOR, format!("{} {}", cursor.number, cursor.hash)).await?;
            self.cursor = Some(cursor);
        }
        Ok(())
    }
}

fn told((channel, fact): &(ChannelId, ChainFact)) -> Option<(ChannelId, u64)> {
    match fact {
        ChainFact::ExitStarted { ends_at } => Some((*channel, *ends_at)),
        _ => None,
    }
}

fn not_the_contract() -> Error {
    Error::new(Code::ChainMismatch, "the contract's answer can't be read; is it the right address?")
}
