//! Sends the node's transactions: each order once, in one row of nonces, through crashes and under attack.
//!
//! Duties: a signed transaction is durable before it is broadcast, so that after a crash the same bytes are sent
//! again and not a second transaction; nothing else uses the account; an outcome is reported when its block is final,
//! and again after a restart if the core may not have heard it; what a deep reorganisation took back is sent again.
//! What protects money goes first and can always be paid for; nothing holds up what comes after it for good; nothing
//! costs more than what it is for. An order whose nonce was given to another transaction waits until that is final,
//! since until then its own may be mined.

mod evidence;
mod follow;
mod gas;
mod order;
mod queue;
mod replace;
mod sign;

pub use gas::{GasPolicy, MaxCost, Price, RESERVE_GAS};
pub use order::{Order, Orders, Placed};

use super::listener::{Listener, Outcome};
use super::rpc::{AccountState, Refusal, Rpc};
use crate::health::{GasReport, Health};
use crate::store::{Status, Store, StoredOrder, Transaction};
use alloy_primitives::{Address, U256};
use farthing_protocol::chain::Head;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::{Code, Error};
use gas::Market;
use order::Class;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often transactions that were not mined are broadcast again, in seconds: a node may have dropped them.
const REBROADCAST: u64 = 20;
/// Orders taken from the queue before transactions are looked after again.
const PORTION: usize = 4_096;
/// How often one cause of trouble is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(60);
/// How often ended rows are deleted, how old and deep they are, and how many at once. A follower reads 256 blocks
/// again after a reorganisation, and an id is not asked for again after a week.
const FORGET_INTERVAL: Duration = Duration::from_secs(60);
const KEPT: u64 = 7 * 86_400;
const KEPT_BLOCKS: u64 = 1_024;
const FORGOTTEN_AT_ONCE: u32 = 500;
/// Gas of a deposit or a withdrawal, about.
const ONE_GAS: u64 = 100_000;
/// An order whose transactions reverted this often is not tried again.
const MAX_REVERTS: u32 = 5;

/// What a sender needs to know.
#[derive(Clone, Debug)]
pub struct SenderConfig {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Whom token allowances are given to.
    pub contract: Address,
    /// Pays for everything.
    pub owner: SecretKey,
    /// After this long on the chain's clock without being mined, the fee is raised.
    pub stuck_after: Duration,
    /// What may be spent.
    pub gas: GasPolicy,
}

/// Sends until its listener is gone.
#[derive(Debug)]
pub struct Sender<L> {
    config: SenderConfig,
    rpc: Rpc,
    store: Arc<dyn Store>,
    listener: L,
    orders: Orders,
    looks: watch::Receiver<(Instant, Option<Head>)>,
    /// Told what there is to pay with.
    health: Option<Arc<Health>>,
    /// Orders that could not be stored yet.
    untaken: Vec<Order>,
    broadcast_at: HashMap<u64, u64>,
    refused: HashMap<u64, Refused>,
    /// Looks at which the receipt of a nonce that a final block has used was not found.
    missed: BTreeMap<u64, u32>,
    /// Evidence that could not go with others.
    alone: HashSet<String>,
    logged: HashMap<String, Instant>,
    worked: Option<(Head, u64)>,
    forgot: Option<Instant>,
}

/// A transaction that the node does not take.
#[derive(Clone, Copy, Debug)]
struct Refused {
    why: Refusal,
    /// At how many blocks.
    times: u32,
    head: u64,
}

/// What is known when transactions are looked after.
#[derive(Clone, Copy, Debug)]
struct Look {
    head: Head,
    now: u64,
    account: AccountState,
    market: Market,
}

/// What the store holds of orders and transactions that have not ended.
#[derive(Debug, Default)]
struct Open {
    orders: Vec<StoredOrder>,
    /// By nonce, the oldest use first.
    nonces: BTreeMap<u64, Vec<Transaction>>,
}

impl Open {
    /// The orders that a transaction carries out.
    fn orders_of(&self, transaction: u64) -> impl Iterator<Item = &StoredOrder> {
        self.orders.iter().filter(move |order| order.transaction == Some(transaction))
    }

    /// The most urgent purpose of a transaction; none of one that only cancels.
    fn class_of(&self, transaction: u64) -> Option<Class> {
        self.orders_of(transaction).map(|order| Class::of(&order.purpose)).min()
    }
}

impl<L: Listener> Sender<L> {
    /// A sender of what comes through `orders`; it looks for receipts whenever the chain was looked at.
    pub fn new(
        config: SenderConfig,
        rpc: Rpc,
        store: Arc<dyn Store>,
        listener: L,
        orders: Orders,
        looks: watch::Receiver<(Instant, Option<Head>)>,
    ) -> Self {
        Self {
            config,
            rpc,
            store,
            listener,
            orders,
            looks,
            health: None,
            untaken: Vec::new(),
            broadcast_at: HashMap::new(),
            refused: HashMap::new(),
            missed: BTreeMap::new(),
            alone: HashSet::new(),
            logged: HashMap::new(),
            worked: None,
            forgot: None,
        }
    }

    /// Tells this what there is to pay with, after every block.
    #[must_use]
    pub fn with_health(mut self, health: Arc<Health>) -> Self {
        self.health = Some(health);
        self
    }

    /// Runs until the listener is gone.
    pub async fn run(mut self) {
        loop {
            // Before the first order is taken, so that none of these is taken twice.
            match self.store.open_orders().await {
                Ok(known) => {
                    for order in known {
                        self.orders.know(&order.id, order.channel, Class::of(&order.purpose));
                    }
                    break;
                }
                Err(error) => self.trouble("store", |_| tracing::error!(%error, "the orders can't be read")),
            }
            if self.looks.changed().await.is_err() {
                return;
            }
        }
        loop {
            tokio::select! {
                () = self.orders.wait() => {}
                changed = self.looks.changed() => if changed.is_err() { return },
            }
            let is_new = match self.take_portion().await {
                Ok(is_new) => is_new,
                Err(error) if error.code() == Code::ClientClosed => return,
                Err(error) => {
                    self.trouble("store", |_| tracing::error!(%error, "orders could not be queued"));
                    true
                }
            };
            let Some(head) = self.looks.borrow_and_update().1 else { continue };
            let now = crate::clock::now();
            // Looks come more often than blocks.
            let is_due = self.worked.is_none_or(|(last, at)| last != head || now >= at.saturating_add(5));
            if !is_new && !is_due {
                continue;
            }
            match self.work(head, now).await {
                Ok(()) => self.worked = Some((head, now)),
                Err(error) if error.code() == Code::ClientClosed => return,
                Err(error) => {
                    self.trouble("work", |_| tracing::warn!(%error, "sending transactions failed; trying again"));
                }
            }
        }
    }

    /// Stores what was placed, also while that goes on: the most urgent may be among the last. But no more than a
    /// portion, since those under way have to be looked after as well. True if there was something.
    async fn take_portion(&mut self) -> Result<bool, Error> {
        let mut left = PORTION;
        loop {
            let placed = self.orders.take(left);
            left = left.saturating_sub(placed.len());
            self.untaken.extend(placed);
            if self.untaken.is_empty() {
                return Ok(left < PORTION);
            }
            self.take().await?;
        }
    }

    /// Stores what was taken from the queue.
    async fn take(&mut self) -> Result<(), Error> {
        let now = crate::clock::now();
        let (mut queued, mut ended) = (Vec::new(), Vec::new());
        for order in &self.untaken {
            let known = self.store.order(&order.id).await?;
            let not_before = match &known {
                // Asked for again: the core may not have heard how it ended.
                Some(known) if known.status == Status::Mined => {
                    ended.push((known.id.clone(), Outcome::Mined));
                    continue;
                }
                Some(known) if known.status == Status::Failed && known.reverts >= MAX_REVERTS => {
                    ended.push((known.id.clone(), Outcome::Failed));
                    continue;
                }
                Some(known) => known.not_before,
                None => 0,
            };
            tracing::debug!(id = order.id, call = order.label, "order queued");
            queued.push(StoredOrder {
                id: order.id.clone(),
                channel: order.channel,
                label: order.label.to_owned(),
                to: order.to.unwrap_or(self.config.contract),
                data: order.data.to_vec(),
                value: order.value,
                allowance: order.allowance,
                purpose: order.purpose,
                status: Status::Queued,
                transaction: None,
                failures: 0,
                reverts: 0,
                not_before,
                queued_at: now,
            });
        }
        self.store.enqueue(&queued).await?;
        self.untaken.clear();
        for (id, outcome) in ended {
            self.orders.done(&id);
            self.listener.outcome(id, outcome).await?;
        }
        Ok(())
    }

    /// Brings everything that is open a step further.
    async fn work(&mut self, head: Head, now: u64) -> Result<(), Error> {
        let account = self.rpc.account(self.config.owner.address(), head.final_number).await?;
        let base_fee = account.fees.max_fee.saturating_sub(account.fees.priority_fee).div_euclid(2);
        let market = Market { base_fee, priority_fee: account.fees.priority_fee };
        let look = Look { head, now, account, market };
        self.follow(&look).await?;
        let mut open = self.open().await?;
        self.replace(&look, &mut open).await?;
        let capped = self.send_queued(&look, &mut open).await?;
        let waiting = open.orders.iter().filter(|order| order.status == Status::Queued).count();
        let (reserve, balance) = (self.config.gas.reserve, account.balance);
        // Without the gas of one transaction there is no work at all, whatever the reserve is.
        let one = U256::from(ONE_GAS).saturating_mul(U256::from(market.base_fee.saturating_add(market.priority_fee)));
        let low = balance < reserve.max(one) || balance.is_zero();
        let owner = self.config.owner.address();
        if low {
            self.trouble("low", |_| {
                tracing::error!(account = %owner, %balance, %reserve, "gas low: the account holds less than the reserve");
            });
        }
        if let Some(health) = &self.health {
            health.set_gas(GasReport { account: owner, balance, reserve, low, waiting, capped });
        }
        self.forget(&look).await
    }

    async fn open(&self) -> Result<Open, Error> {
        let mut open = Open { orders: self.store.open_orders().await?, nonces: BTreeMap::new() };
        for transaction in self.store.open_transactions().await? {
            open.nonces.entry(transaction.nonce).or_default().push(transaction);
        }
        Ok(open)
    }

    /// Deletes some of what ended long ago.
    async fn forget(&mut self, look: &Look) -> Result<(), Error> {
        if self.forgot.is_some_and(|at| at.elapsed() < FORGET_INTERVAL) {
            return Ok(());
        }
        let block = look.head.final_number.saturating_sub(KEPT_BLOCKS);
        let gone = self.store.forget_ended(look.now.saturating_sub(KEPT), block, FORGOTTEN_AT_ONCE).await?;
        // A full portion has more behind it.
        self.forgot = (gone < u64::from(FORGOTTEN_AT_ONCE)).then(Instant::now);
        Ok(())
    }

    /// An order ends without a transaction that was mined. Whoever wanted it is told and may want it again.
    async fn give_up(&mut self, order: &StoredOrder, now: u64) -> Result<(), Error> {
        let not_before = now.saturating_add(backoff(order.failures));
        self.store.give_up(&order.id, not_before, now).await?;
        self.tell(&order.id, Outcome::Failed).await
    }

    async fn tell(&mut self, id: &str, outcome: Outcome) -> Result<(), Error> {
        self.orders.done(id);
        self.alone.remove(id);
        self.listener.outcome(id.to_owned(), outcome).await
    }

    /// Logs one cause of trouble once in a while.
    fn trouble(&mut self, cause: &str, log: impl FnOnce(&str)) {
        let is_due = self.logged.get(cause).is_none_or(|at| at.elapsed() >= LOG_INTERVAL);
        if is_due {
            self.logged.retain(|_, at| at.elapsed() < LOG_INTERVAL);
            self.logged.insert(cause.to_owned(), Instant::now());
            log(cause);
        }
    }
}

/// Seconds until what failed so often before is tried again.
fn backoff(failures: u32) -> u64 {
    2_u64.saturating_pow(failures.saturating_add(1)).min(300)
}
