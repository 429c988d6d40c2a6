//! Takes what clients hand over: checks all of it, stores it with whatever else came meanwhile in one commit, and
//! only then signs receipts.

use super::config::WatchConfig;
use super::store::{Put, PutLane, Taken, TowerStore, Watched};
use crate::chain::{Block, Orders, Rpc};
use crate::clock;
use crate::health::Health;
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolCall;
use farthing_protocol::abi::IFarthing;
use farthing_protocol::chain::AssetStatus;
use farthing_protocol::eip712::Domain;
use farthing_protocol::watch::{AgreedProof, SignedReceipt, WatchOrder, WatchedLane};
use farthing_protocol::{Asset, ChannelId, Code, Error};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Puts that wait; when it is full, callers wait.
const INBOX: usize = 1_024;
/// Most puts in one commit.
const BATCH: usize = 256;
/// Longest time in seconds that evidence may have to be kept: locks don't live longer.
const MAX_KEPT: u64 = 60 * 86_400;

/// A watchtower, shared by all that work for it.
#[derive(Clone, Debug)]
pub struct Tower {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) config: WatchConfig,
    pub(super) domain: Domain,
    pub(super) store: TowerStore,
    pub(super) rpc: Rpc,
    pub(super) orders: Orders,
    /// Channels that the follower has to read.
    looks: mpsc::UnboundedSender<ChannelId>,
    jobs: mpsc::Sender<Job>,
    gas: Mutex<Gas>,
}

/// What is there to pay for answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Gas {
    /// The account that pays.
    pub account: Address,
    /// Wei, as a decimal string; absent until the chain was read.
    #[serde(serialize_with = "decimal")]
    pub balance: Option<U256>,
    /// Less than the configured minimum: the operator should add to it.
    pub low: bool,
}

/// What is at stake in an asset of a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stake {
    /// Neither closed nor settled.
    pub(super) open: bool,
    /// There is something to be divided.
    pub(super) funded: bool,
}

/// Work for the one task that writes puts.
#[derive(Debug)]
pub(super) enum Job {
    Put(Box<Put>, oneshot::Sender<Result<Taken, Error>>),
    /// The store failed elsewhere.
    Fail(Error),
}

/// What a tower is made of beside its configuration.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) store: TowerStore,
    pub(super) rpc: Rpc,
    pub(super) health: Arc<Health>,
    pub(super) orders: Orders,
    pub(super) looks: mpsc::UnboundedSender<ChannelId>,
}

impl Tower {
    /// A tower and the task that writes for it, which ends when the last handle is dropped or the store fails.
    pub(super) fn start(
        config: WatchConfig,
        parts: Parts,
    ) -> (Self, impl Future<Output = Result<(), Error>> + Send + use<>) {
        let Parts { store, rpc, health, orders, looks } = parts;
        let (jobs, inbox) = mpsc::channel(INBOX);
        let gas = Gas { account: config.gas_key.address(), balance: None, low: false };
        let writing = write(store.clone(), config.limits, health, inbox);
        let domain = Domain::new(config.chain_id, config.contract);
        let inner = Inner { config, domain, store, rpc, orders, looks, jobs, gas: Mutex::new(gas) };
        (Self { inner: Arc::new(inner) }, writing)
    }

    /// Takes proofs for the client that signed the order; all of them or none. The receipts are in the order of the
    /// lanes. What it promises is durable.
    pub async fn put(&self, order: WatchOrder, lanes: Vec<WatchedLane>) -> Result<Vec<SignedReceipt>, Error> {
        let inner = Arc::clone(&self.inner);
        // Dozens of signatures and long hash chains must not hold up the rest.
        let admitted = tokio::task::spawn_blocking(move || inner.admit(&order, &lanes, clock::now())).await;
        let put = admitted.map_err(|_| Error::from(Code::Internal))??;
        self.inner.check_new_assets(&put).await?;
        let (id, lanes) = (put.id, put.lanes.clone());
        let (reply, taken) = oneshot::channel();
        self.inner.jobs.send(Job::Put(Box::new(put), reply)).await.map_err(|_| gone())?;
        let Taken { times, look } = taken.await.map_err(|_| gone())??;
        if look {
            // The follower ends only with the node.
            let _ = self.inner.looks.send(id);
        }
        Ok(lanes.iter().zip(times).map(|(lane, time)| self.receipt(id, &lane.proof, time)).collect())
    }

    /// What is watched of a channel, with receipts.
    pub async fn status(&self, id: ChannelId) -> Result<(Watched, Vec<SignedReceipt>), Error> {
        let found = self.inner.store.channel(id).await?;
        let watched = found.ok_or_else(|| Error::new(Code::UnknownChannel, "the tower does not watch this channel"))?;
        let receipts = watched.lanes.iter().map(|(proof, time)| self.receipt(id, proof, *time)).collect();
        Ok((watched, receipts))
    }

    /// Rows of channels, orders, lanes and evidence.
    pub async fn rows(&self) -> Result<[u64; 4], Error> {
        self.inner.store.count().await
    }

    /// Pages that the database's file has in use, of 4,096 bytes.
    pub async fn pages(&self) -> Result<u64, Error> {
        self.inner.store.pages().await
    }

    /// What it runs with.
    #[must_use]
    pub fn config(&self) -> &WatchConfig {
        &self.inner.config
    }

    /// What is there to pay for answers.
    #[must_use]
    pub fn gas(&self) -> Gas {
        *self.inner.gas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_balance(&self, balance: U256) {
        let low = balance < U256::from(self.inner.config.min_balance.units());
        let mut gas = self.inner.gas.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *gas;
        *gas = Gas { balance: Some(balance), low, ..before };
        drop(gas);
        if low && !before.low {
            let account = before.account;
            tracing::warn!(%account, %balance, minimum = %self.inner.config.min_balance, "the gas account runs low");
        }
    }

    /// Ends the node: it must not go on promising what it can't remember.
    pub(super) fn fail(&self, error: &Error) {
        // A full inbox fails on its own at the next commit.
        let _ = self.inner.jobs.try_send(Job::Fail(error.clone()));
    }

    fn receipt(&self, id: ChannelId, proof: &AgreedProof, time: u64) -> SignedReceipt {
        proof.receipt(id, time).sign(&self.inner.domain, &self.inner.config.signer)
    }
}

impl Inner {
    /// Checks all that can be checked without the store and the chain.
    fn admit(&self, order: &WatchOrder, given: &[WatchedLane], now: u64) -> Result<Put, Error> {
        let side = order.verify(self.config.signer.address(), &self.domain, now)?;
        let clients = &self.config.clients;
        if !clients.is_empty() && !clients.contains(&order.channel.participant(side).signer) {
            return Err(Error::new(Code::LimitExceeded, "the tower serves other clients only"));
        }
        let most = usize::try_from(self.config.limits.assets_per_channel).unwrap_or(usize::MAX).saturating_mul(2);
        if given.is_empty() || given.len() > most {
            return Err(Error::new(Code::InvalidArgument, "lanes: at least one, at most two for each asset"));
        }
        let mut seen = BTreeSet::new();
        let mut lanes = Vec::with_capacity(given.len());
        for lane in given {
            if !seen.insert((lane.asset, lane.payer)) {
                return Err(Error::new(Code::InvalidArgument, "lanes: one is named twice"));
            }
            let proof = AgreedProof::check(lane, &order.channel, &self.domain)?;
            let evidence = if lane.payer == side {
                if !lane.evidence.is_empty() {
                    return Err(Error::new(Code::InvalidArgument, "evidence: only a lane's payee hands it over"));
                }
                None
            } else {
                Some(self.admit_evidence(lane, &proof, now)?)
            };
            lanes.push(PutLane { proof, evidence });
        }
        let id = order.channel.id(self.domain.chain_id(), self.domain.contract());
        Ok(Put { id, channel: order.channel, side, lanes, time: now })
    }

    fn admit_evidence(
        &self,
        lane: &WatchedLane,
        proof: &AgreedProof,
        now: u64,
    ) -> Result<Vec<(farthing_protocol::watch::WatchedEvidence, u32)>, Error> {
        let most = usize::try_from(self.config.evidence_per_lane()).unwrap_or(usize::MAX);
        if lane.evidence.len() > most {
            return Err(Error::new(
                Code::LimitExceeded,
                format!("the tower takes evidence for {most} locks of a lane"),
            ));
        }
        let mut slots = BTreeSet::new();
        let mut admitted = Vec::with_capacity(lane.evidence.len());
        for evidence in &lane.evidence {
            if !slots.insert(evidence.slot) {
                return Err(Error::new(Code::InvalidArgument, "evidence: a slot is named twice"));
            }
            if evidence.expiry <= now || evidence.expiry > now.saturating_add(MAX_KEPT) {
                return Err(Error::new(Code::BadExpiry, "evidence: it has expired, or expires in more than 60 days"));
            }
            let units = evidence.check(proof, &self.domain)?;
            admitted.push((evidence.clone(), units));
        }
        Ok(admitted)
    }

    /// A channel costs its owner a deposit before it costs the tower a row; and what is over needs no watching.
    async fn check_new_assets(&self, put: &Put) -> Result<(), Error> {
        let known = self.store.channel(put.id).await?;
        let is_known = |asset: Asset| {
            known.as_ref().is_some_and(|known| known.lanes.iter().any(|(proof, _)| proof.lane().asset == asset))
        };
        let assets = put.lanes.iter().map(|lane| lane.proof.lane().asset).filter(|asset| !is_known(*asset));
        let new: BTreeSet<Asset> = assets.collect();
        if new.is_empty() {
            return Ok(());
        }
        let ends_at = self.exit_ends_at(put.id).await?;
        if ends_at > 0 && self.rpc.latest().await?.timestamp > ends_at {
            return Err(Error::new(Code::ChannelExiting, "the challenge period is over"));
        }
        for asset in new {
            let stake = self.stake(put.id, asset, None).await?;
            if !stake.open {
                return Err(Error::new(Code::ChannelClosed, "this asset of the channel was closed"));
            }
            if !stake.funded {
                return Err(Error::new(Code::UnknownChannel, "the channel holds nothing of this asset on chain"));
            }
        }
        Ok(())
    }

    /// The last second of an exit at the newest block; zero without one.
    pub(super) async fn exit_ends_at(&self, id: ChannelId) -> Result<u64, Error> {
        self.view(IFarthing::exitEndsAtCall { channelId: id.0 }).await
    }

    /// What the chain says of an asset, at this block or the newest.
    pub(super) async fn stake(&self, id: ChannelId, asset: Asset, at: Option<Block>) -> Result<Stake, Error> {
        let answer = self.ask(&IFarthing::assetStateCall { channelId: id.0, asset }, at).await?;
        // No answer at all: the contract is younger than this block.
        if answer.is_empty() && at.is_some() {
            return Ok(Stake { open: true, funded: false });
        }
        let state = IFarthing::assetStateCall::abi_decode_returns(&answer).map_err(|_| not_the_contract())?;
        // Each sum of two 128-bit numbers fits 256.
        let sum = |a: u128, b: u128| U256::from(a).saturating_add(U256::from(b));
        Ok(Stake {
            open: AssetStatus::from_index(state.status) == AssetStatus::Open,
            funded: sum(state.depositA, state.depositB) > sum(state.withdrawnA, state.withdrawnB),
        })
    }

    /// What a view of the contract returns at the newest block.
    pub(super) async fn view<C: SolCall>(&self, call: C) -> Result<C::Return, Error> {
        let answer = self.ask(&call, None).await?;
        C::abi_decode_returns(&answer).map_err(|_| not_the_contract())
    }

    async fn ask<C: SolCall>(&self, call: &C, at: Option<Block>) -> Result<Bytes, Error> {
        let (contract, data) = (self.config.contract, call.abi_encode().into());
        match at {
            Some(block) => self.rpc.call_at(contract, data, block.hash).await,
            None => self.rpc.call_latest(contract, data).await,
        }
    }
}

/// Writes all that is waiting in one commit, then answers.
async fn write(
    store: TowerStore,
    limits: super::WatchLimits,
    health: Arc<Health>,
    mut inbox: mpsc::Receiver<Job>,
) -> Result<(), Error> {
    let mut batch = Vec::with_capacity(BATCH);
    while inbox.recv_many(&mut batch, BATCH).await > 0 {
        let (mut puts, mut replies) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        let mut failure = None;
        for job in batch.drain(..) {
            match job {
                Job::Put(put, reply) => {
                    puts.push(*put);
                    replies.push(reply);
                }
                Job::Fail(error) => failure = Some(error),
            }
        }
        let results = match failure {
            Some(error) => Err(error),
            None => store.put(&puts, &limits).await,
        };
        match results {
            Ok(results) => {
                for (reply, result) in replies.into_iter().zip(results) {
                    // Whoever asked may have gone away.
                    let _ = reply.send(result);
                }
            }
            Err(error) => {
                tracing::error!(%error, "the store failed; nothing is promised any more, the tower ends");
                health.store_failed();
                for reply in replies {
                    let _ = reply.send(Err(Code::StorageFailed.into()));
                }
                return Err(error);
            }
        }
    }
    Ok(())
}

fn not_the_contract() -> Error {
    Error::new(Code::ChainMismatch, "the contract's answer can't be read; is it the right address?")
}

fn gone() -> Error {
    Error::new(Code::ClientClosed, "the tower is shutting down")
}

fn decimal<S: serde::Serializer>(balance: &Option<U256>, serializer: S) -> Result<S::Ok, S::Error> {
    balance.map(|balance| balance.to_string()).serialize(serializer)
}
