//! What waits to be signed: what protects money first, and nothing that can't be paid for.

use super::super::listener::Listener;
use super::super::rpc::Estimate;
use super::evidence::{self, Batch};
use super::gas::{Limit, cost};
use super::order::Class;
use super::sign::Content;
use super::{Look, Open, Sender};
use crate::store::{Status, StoredOrder};
use alloy_primitives::{Address, U256};
use alloy_sol_types::SolCall;
use farthing_protocol::abi::IERC20;
use farthing_protocol::chain::Purpose;
use farthing_protocol::{Amount, ChannelId, Code, Error};
use futures_util::{FutureExt, StreamExt, stream};
use std::cmp::Reverse;
use std::collections::VecDeque;

/// Nonces in use at once that no block has taken yet. Nodes keep 16 transactions of an account, whatever they pay.
const IN_FLIGHT: usize = 16;
/// Of them, for what does not protect money.
const OTHERS: usize = 8;
/// Jobs that are simulated at once.
const SIMULATED: usize = 32;
/// What has to be mined within these seconds comes before what has more time.
const URGENT: u64 = 3_600;
/// Seconds after which money that is wanted in a channel, or a service, is not waited for any longer.
const STALE: u64 = 3_600;
/// Most gas of a transaction (EIP-7825).
const MAX_GAS: u64 = 1 << 24;

/// A transaction that could be signed.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) orders: Vec<StoredOrder>,
    pub(super) class: Class,
    pub(super) content: Content,
    pub(super) limit: Limit,
    is_urgent: bool,
    allowance: Option<(Address, Amount)>,
}

impl<L: Listener> Sender<L> {
    /// Signs what waits, as far as money and room allow. Returns how many orders may not pay what gas costs now.
    pub(super) async fn send_queued(&mut self, look: &Look, open: &mut Open) -> Result<usize, Error> {
        self.drop_overdue(look, open).await?;
        let jobs = self.jobs(look, open);
        let (rpc, owner) = (self.rpc.clone(), self.config.owner.address());
        let questions: Vec<_> = jobs
            .into_iter()
            .take(SIMULATED)
            .map(|job| {
                let rpc = rpc.clone();
                async move {
                    // What needs an approval would only fail before it.
                    if job.allowance.is_some() {
                        return (job, None);
                    }
                    let Content { to, data, value, .. } = job.content.clone();
                    let estimate = rpc.estimate(owner, to, data.into(), value).await;
                    (job, Some(estimate))
                }
                .boxed()
            })
            .collect();
        let mut jobs: VecDeque<_> = stream::iter(questions).buffered(IN_FLIGHT).collect().await;
        let (mut capped, mut is_held) = (0_usize, false);
        while let Some((job, estimate)) = jobs.pop_front() {
            // While something that protects money waits for money, nothing else may take any.
            if is_held && job.class != Class::Protect {
                break;
            }
            let unmined = open.nonces.range(look.account.mined..).count();
            if unmined >= IN_FLIGHT || !job.class.is_ours_to_save() && unmined >= OTHERS {
                break;
            }
            if let Some(allowance) = job.allowance {
                match self.allow(look, open, allowance).await? {
                    Allowed::Yes => {}
                    Allowed::Wait => continue,
                    Allowed::First(approval, estimate) => {
                        jobs.push_front((*approval, Some(estimate)));
                        continue;
                    }
                }
            }
            let estimate = match estimate {
                Some(estimate) => estimate,
                None => {
                    let Content { to, data, value, .. } = job.content.clone();
                    self.rpc.estimate(owner, to, data.into(), value).await
                }
            };
            let gas = match estimate {
                Ok(Estimate::Reverts(reason)) => {
                    self.refuse(look, open, job, &reason).await?;
                    continue;
                }
                Ok(Estimate::Gas(gas)) => fitting(gas, &job, look),
                Ok(Estimate::Unaffordable) => {
                    is_held |= job.class == Class::Protect;
                    self.poor(&job);
                    continue;
                }
                Err(error) if error.code() == Code::ChainUnavailable => {
                    let call = job.content.label.clone();
                    self.trouble("simulate", |_| tracing::warn!(call, %error, "a call could not be simulated"));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Some(fees) = self.config.gas.first(job.limit, gas, look.market) else {
                capped = capped.saturating_add(job.orders.len());
                let (call, base_fee) = (job.content.label.clone(), look.market.base_fee);
                self.trouble("capped", |_| tracing::warn!(call, base_fee, "gas costs more than a transaction may pay"));
                continue;
            };
            let needed = cost(gas, fees.max_fee).saturating_add(job.content.value);
            let kept = if job.class.is_ours_to_save() { U256::ZERO } else { self.config.gas.reserve };
            let missing = needed.saturating_add(kept).saturating_sub(open.free(look));
            if missing.is_zero() {
                let nonce = open.nonces.last_key_value().map_or(0, |(nonce, _)| nonce.saturating_add(1));
                let nonce = nonce.max(look.account.mined);
                let content = Content { gas, ..job.content };
                self.send(look, open, nonce, content, fees, &job.orders).await?;
            } else if job.class == Class::Protect {
                self.poor(&job);
                let half = self.half_of(look, &job);
                if !self.make_room(look, open, job, gas, missing).await? {
                    is_held = true;
                    // As much of it as there is money for.
                    if let Some(half) = half {
                        jobs.push_front((half, None));
                    }
                }
            } else {
                self.poor(&job);
            }
        }
        Ok(capped)
    }

    /// What could be signed, the most urgent first.
    pub(super) fn jobs(&self, look: &Look, open: &Open) -> Vec<Job> {
        let queued = open.orders.iter().filter(|order| order.status == Status::Queued);
        let mut ready: Vec<StoredOrder> = queued.filter(|order| order.not_before <= look.now).cloned().collect();
        let policy = &self.config.gas;
        let contract = self.config.contract;
        let mut jobs = Vec::new();
        // Those that are urgent don't wait for others in the same transaction, and large ones not for small ones.
        ready.sort_by_key(|order| {
            let class = Class::of(&order.purpose);
            // Others keep the order in which they were wanted.
            let worth = if class.is_ours_to_save() { self.worth(&order.purpose) } else { U256::ZERO };
            (class, !is_urgent(order, look), Reverse(worth), deadline(order))
        });
        let alike =
            |order: &StoredOrder| Class::of(&order.purpose) == Class::Protect && !self.alone.contains(&order.id);
        let (together, rest): (Vec<_>, Vec<_>) = ready.into_iter().partition(alike);
        let (urgent, later): (Vec<_>, Vec<_>) = together.into_iter().partition(|order| is_urgent(order, look));
        let mut others = Vec::new();
        for orders in [urgent, later] {
            let (batches, apart) = evidence::plan(orders, contract, policy, look.market, look.account.block_gas);
            jobs.extend(batches.into_iter().map(|batch| job_of(batch, contract, look)));
            others.extend(apart);
        }
        others.extend(rest);
        jobs.extend(others.into_iter().map(|order| Job {
            class: Class::of(&order.purpose),
            limit: policy.limit(&order.purpose),
            is_urgent: is_urgent(&order, look),
            allowance: order.allowance,
            content: Content {
                label: order.label.clone(),
                to: order.to,
                data: order.data.clone(),
                value: order.value,
                gas: 0,
            },
            orders: vec![order],
        }));
        jobs.sort_by_key(|job| {
            let worth =
                job.orders.iter().map(|order| self.worth(&order.purpose)).fold(U256::ZERO, U256::saturating_add);
            (job.class, !job.is_urgent, Reverse(if job.class.is_ours_to_save() { worth } else { U256::ZERO }))
        });
        // Those that wait for money must not keep others from being looked at.
        let first = jobs.iter().position(|job| !job.class.is_ours_to_save()).unwrap_or(jobs.len());
        let others = jobs.get_mut(first..).unwrap_or_default();
        if let (Ok(turn), Some(_)) = (usize::try_from(look.head.number), others.len().checked_sub(SIMULATED)) {
            // The remainder is below the length, which is not zero.
            others.rotate_left(turn.wrapping_mul(SIMULATED).checked_rem(others.len()).unwrap_or_default());
        }
        jobs
    }

    /// The more valuable half of a job of several orders.
    fn half_of(&self, look: &Look, job: &Job) -> Option<Job> {
        let orders = job.orders.get(..job.orders.len() / 2)?.to_vec();
        let (policy, contract) = (&self.config.gas, self.config.contract);
        let (batches, _) = evidence::plan(orders, contract, policy, look.market, look.account.block_gas);
        batches.into_iter().next().map(|batch| job_of(batch, contract, look))
    }

    /// Gas of a job, if it would succeed.
    pub(super) async fn gas_of(&self, look: &Look, job: &Job) -> Result<Option<u64>, Error> {
        let Content { to, data, value, .. } = job.content.clone();
        let estimate = self.rpc.estimate(self.config.owner.address(), to, data.into(), value).await?;
        Ok(if let Estimate::Gas(gas) = estimate { Some(fitting(gas, job, look)) } else { None })
    }

    /// Wei; what is not known counts as the most that may be paid for it.
    fn worth(&self, purpose: &Purpose) -> U256 {
        let (asset, amount) = match *purpose {
            Purpose::Protect { asset, amount, .. }
            | Purpose::Collect { asset, amount }
            | Purpose::Fund { asset, amount }
            | Purpose::Serve { asset, amount } => (asset, amount),
        };
        self.config.gas.worth(asset, amount).unwrap_or_else(|| self.config.gas.limit(purpose).budget)
    }

    /// What comes too late, or was waited for too long, is not sent.
    async fn drop_overdue(&mut self, look: &Look, open: &mut Open) -> Result<(), Error> {
        let queued = open.orders.iter().filter(|order| order.status == Status::Queued);
        let overdue: Vec<StoredOrder> = queued
            .filter(|order| match order.purpose {
                Purpose::Protect { deadline, .. } => deadline < look.head.timestamp,
                Purpose::Collect { .. } => false,
                Purpose::Fund { .. } | Purpose::Serve { .. } => {
                    look.now > order.queued_at.max(order.not_before).saturating_add(STALE)
                }
            })
            .cloned()
            .collect();
        for order in overdue {
            tracing::warn!(id = order.id, call = order.label, "an order is overdue; given up");
            self.end_unsent(look, open, &order).await?;
        }
        Ok(())
    }

    async fn end_unsent(&mut self, look: &Look, open: &mut Open, order: &StoredOrder) -> Result<(), Error> {
        open.orders.retain(|other| other.id != order.id);
        self.give_up(order, look.now).await
    }

    /// A call that would revert. One of several is looked for by trying each alone.
    async fn refuse(&mut self, look: &Look, open: &mut Open, job: Job, reason: &str) -> Result<(), Error> {
        if job.orders.len() > 1 {
            tracing::warn!(orders = job.orders.len(), reason, "orders would revert together; trying each alone");
            self.alone.extend(job.orders.into_iter().map(|order| order.id));
            return Ok(());
        }
        for order in job.orders {
            tracing::warn!(id = order.id, call = order.label, reason, "a transaction would revert; given up");
            self.end_unsent(look, open, &order).await?;
        }
        Ok(())
    }

    fn poor(&mut self, job: &Job) {
        let (account, call) = (self.config.owner.address(), job.content.label.clone());
        self.trouble(&format!("poor {:?}", job.class), |_| {
            tracing::warn!(%account, call, "the account can't pay for a transaction; it waits");
        });
    }

    /// Whether the account has the tokens of a deposit, and the contract may take them.
    ///
    /// The allowance is unlimited: one approval for each token instead of one for each deposit, and deposits in flight
    /// don't eat each other's allowance. The contract is immutable and takes tokens only from the caller of
    /// `deposit`, or with a fresh signature of the owner; keep no more in the owner's account than the hub may need.
    async fn allow(&mut self, look: &Look, open: &mut Open, wanted: (Address, Amount)) -> Result<Allowed, Error> {
        let ((token, amount), owner) = (wanted, self.config.owner.address());
        let on_its_way = |order: &&StoredOrder| {
            let nonce = open.nonces.values().flatten().find(|used| Some(used.id) == order.transaction);
            nonce.is_some_and(|used| used.nonce >= look.account.mined)
        };
        let taken = open.orders.iter().filter(on_its_way).filter_map(|order| order.allowance);
        let taken = taken.filter(|(other, _)| *other == token).map(|(_, amount)| U256::from(amount.units()));
        let needed = taken.fold(U256::from(amount.units()), U256::saturating_add);
        let question = IERC20::balanceOfCall { owner }.abi_encode();
        let balance = self.rpc.call_latest(token, question.into()).await?;
        if IERC20::balanceOfCall::abi_decode_returns(&balance).unwrap_or_default() < needed {
            self.trouble(&format!("poor {token}"), |_| {
                tracing::warn!(account = %owner, %token, "the account has too little of a token; a deposit waits");
            });
            return Ok(Allowed::Wait);
        }
        let question = IERC20::allowanceCall { owner, spender: self.config.contract }.abi_encode();
        let answer = self.rpc.call_latest(token, question.into()).await?;
        let allowed = IERC20::allowanceCall::abi_decode_returns(&answer).unwrap_or_default();
        if allowed >= needed {
            return Ok(Allowed::Yes);
        }
        self.approval(look, open, token, amount, allowed).await
    }

    /// The approval that has to come first, unless there is one already.
    async fn approval(
        &mut self,
        look: &Look,
        open: &mut Open,
        token: Address,
        amount: Amount,
        allowed: U256,
    ) -> Result<Allowed, Error> {
        let prefix = format!("approve/{token}/");
        if open.orders.iter().any(|order| order.id.starts_with(&prefix)) {
            return Ok(Allowed::Wait);
        }
        let (owner, spender) = (self.config.owner.address(), self.config.contract);
        let mut data = IERC20::approveCall { spender, amount: U256::MAX }.abi_encode();
        let mut estimate = self.rpc.estimate(owner, token, data.clone().into(), U256::ZERO).await;
        // Some tokens (USDT) want an old allowance to be taken back first.
        if matches!(estimate, Ok(Estimate::Reverts(_))) && !allowed.is_zero() {
            data = IERC20::approveCall { spender, amount: U256::ZERO }.abi_encode();
            estimate = self.rpc.estimate(owner, token, data.clone().into(), U256::ZERO).await;
        }
        // An allowance can be used up, so a token may need another approval some day: the nonce tells them apart.
        let last = open.nonces.last_key_value().map_or(0, |(nonce, _)| nonce.saturating_add(1));
        let id = format!("{prefix}{}", last.max(look.account.mined));
        let not_before = self.store.order(&id).await?.map_or(0, |known| known.not_before);
        let order = StoredOrder {
            id,
            channel: ChannelId(alloy_primitives::B256::ZERO),
            label: "approve".into(),
            to: token,
            data: data.clone(),
            value: U256::ZERO,
            allowance: None,
            purpose: Purpose::Fund { asset: token, amount },
            status: Status::Queued,
            transaction: None,
            failures: 0,
            reverts: 0,
            not_before,
            queued_at: look.now,
        };
        if not_before > look.now {
            return Ok(Allowed::Wait);
        }
        self.store.enqueue(std::slice::from_ref(&order)).await?;
        self.orders.know(&order.id, order.channel, Class::Fund);
        open.orders.push(order.clone());
        let approval = Job {
            class: Class::Fund,
            limit: self.config.gas.limit(&order.purpose),
            is_urgent: false,
            allowance: None,
            content: Content { label: order.label.clone(), to: token, data, value: U256::ZERO, gas: 0 },
            orders: vec![order],
        };
        Ok(Allowed::First(Box::new(approval), estimate))
    }
}

/// Whether a deposit of tokens can be sent.
enum Allowed {
    Yes,
    Wait,
    First(Box<Job>, Result<Estimate, Error>),
}

fn job_of(batch: Batch, contract: Address, look: &Look) -> Job {
    let Batch { orders, data, gas, limit } = batch;
    let label = if orders.len() > 1 { "recordEvidenceBatch" } else { "recordEvidence" };
    Job {
        class: Class::Protect,
        limit,
        is_urgent: orders.iter().any(|order| is_urgent(order, look)),
        allowance: None,
        content: Content { label: label.into(), to: contract, data: data.to_vec(), value: U256::ZERO, gas },
        orders,
    }
}

/// A quarter more than now, since state may change until it is mined, and what arithmetic says; but no more than a
/// block takes.
fn fitting(gas: u64, job: &Job, look: &Look) -> u64 {
    let wanted = gas.saturating_add(gas / 4).max(job.content.gas);
    wanted.min(MAX_GAS.min(look.account.block_gas)).max(gas)
}

const fn deadline(order: &StoredOrder) -> u64 {
    match order.purpose {
        Purpose::Protect { deadline, .. } => deadline,
        Purpose::Collect { .. } | Purpose::Fund { .. } | Purpose::Serve { .. } => u64::MAX,
    }
}

fn is_urgent(order: &StoredOrder, look: &Look) -> bool {
    deadline(order) <= look.head.timestamp.saturating_add(URGENT)
}
