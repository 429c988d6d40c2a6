//! Sends the hub's transactions: each id once, in one order of nonces, through crashes.
//!
//! Duties: a signed transaction is durable before it is broadcast, so that after a crash the same bytes are sent
//! again and not a second transaction; nothing else uses the owner's account; an outcome is reported when its block
//! is final, and again after a restart if the core may not have heard it; what a deep reorganisation took back is sent
//! again.

use super::listener::Listener;
use super::rpc::{Estimate, Fees, Rpc};
use crate::core::Outcome;
use crate::store::{Attempt, Status, Store, Transaction};
use alloy::consensus::{SignableTransaction, TxEip1559};
use alloy::eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_sol_types::SolCall;
use farthing_protocol::abi::IERC20;
use farthing_protocol::amount::Amount;
use farthing_protocol::chain::Head;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::{Code, Error};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// How often transactions that were not mined are broadcast again, in seconds: a node may have dropped them.
const REBROADCAST: u64 = 20;

/// What a sender needs to know.
#[derive(Clone, Debug)]
pub struct SenderConfig {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Whom token allowances are given to.
    pub contract: Address,
    /// Pays for everything.
    pub owner: SecretKey,
    /// After this long without being mined, the fee is raised.
    pub stuck_after: Duration,
}

/// A transaction that the core wants sent.
#[derive(Clone, Debug)]
pub struct Order {
    /// Idempotency key.
    pub id: String,
    /// For logs.
    pub label: &'static str,
    /// What to call.
    pub data: Bytes,
    /// Wei sent along.
    pub value: U256,
    /// The token whose allowance it spends, and how much of it.
    pub allowance: Option<(Address, Amount)>,
}

/// Sends until its listener is gone.
#[derive(Debug)]
pub struct Sender<L> {
    config: SenderConfig,
    rpc: Rpc,
    store: Arc<dyn Store>,
    listener: L,
    orders: mpsc::UnboundedReceiver<Order>,
    looks: watch::Receiver<(Instant, Option<Head>)>,
    broadcast_at: BTreeMap<String, u64>,
}

impl<L: Listener> Sender<L> {
    /// A sender of what comes through `orders`; it looks for receipts whenever the chain was looked at.
    pub const fn new(
        config: SenderConfig,
        rpc: Rpc,
        store: Arc<dyn Store>,
        listener: L,
        orders: mpsc::UnboundedReceiver<Order>,
        looks: watch::Receiver<(Instant, Option<Head>)>,
    ) -> Self {
        Self { config, rpc, store, listener, orders, looks, broadcast_at: BTreeMap::new() }
    }

    /// Runs until the listener is gone.
    pub async fn run(mut self) {
        loop {
            tokio::select! {
                order = self.orders.recv() => {
                    let Some(order) = order else { return };
                    let mut next = Some(order);
                    while let Some(order) = next {
                        if let Err(error) = self.take(order).await {
                            tracing::error!(%error, "a transaction could not be queued");
                        }
                        next = self.orders.try_recv().ok();
                    }
                }
                changed = self.looks.changed() => if changed.is_err() { return },
            }
            let head = self.looks.borrow_and_update().1;
            let Some(head) = head else { continue };
            match self.work(head).await {
                Ok(()) => {}
                Err(error) if error.code() == Code::ClientClosed => return,
                Err(error) => tracing::warn!(%error, "sending transactions failed; trying again"),
            }
        }
    }

    async fn take(&mut self, order: Order) -> Result<(), Error> {
        if let Some(known) = self.store.transaction(&order.id).await? {
            // What was given up before it was signed was never sent; the world may be another one by now.
            if known.status == Status::Failed && known.attempts.is_empty() {
                return self.store.set_status(&known.id, Status::Queued, None).await;
            }
            // Asked for again: the core may not have heard how it ended.
            return match outcome_of(&known) {
                Some(outcome) => self.listener.outcome(known.id, outcome).await,
                None => Ok(()),
            };
        }
        tracing::info!(id = order.id, call = order.label, "transaction queued");
        let mut transaction = queued(order.id, order.label, self.config.contract, order.data, order.value);
        transaction.allowance = order.allowance;
        self.store.enqueue(&transaction).await
    }

    /// Brings every open transaction a step further.
    async fn work(&mut self, head: Head) -> Result<(), Error> {
        let mut open = self.store.open_transactions().await?;
        if self.revive(&open, head).await? {
            open = self.store.open_transactions().await?;
        }
        if open.is_empty() {
            return Ok(());
        }
        let now = crate::clock::now();
        let mut next = self.next_nonce(&open).await?;
        for transaction in open {
            let id = transaction.id.clone();
            match self.step(transaction, head, &mut next, now).await {
                // One that the RPC chokes on must not hold up the rest.
                Err(error) if error.code() == Code::ChainUnavailable => {
                    tracing::warn!(id, %error, "a transaction could not be brought further; trying again");
                }
                other => other?,
            }
        }
        Ok(())
    }

    async fn step(&mut self, transaction: Transaction, head: Head, next: &mut u64, now: u64) -> Result<(), Error> {
        match transaction.status {
            Status::Sent => self.follow(transaction, head, now).await,
            Status::Queued if self.allow(&transaction, next, now).await? => {
                self.send_first(transaction, next, now).await
            }
            Status::Queued | Status::Mined | Status::Failed => Ok(()),
        }
    }

    /// A reorganisation deeper than what counts as final takes transactions back that have ended, and nobody asks for
    /// them again: their ids are known. They are sent once more, as they were, if they would succeed, or if later ones
    /// wait for their nonces. True if there are such.
    async fn revive(&mut self, open: &[Transaction], head: Head) -> Result<bool, Error> {
        let owner = self.config.owner.address();
        let gone = self.store.ended_from(self.rpc.nonce(owner).await?).await?;
        if gone.is_empty() {
            return Ok(false);
        }
        // One RPC may be many nodes, of which one is behind: what a final block holds is not gone.
        let counted = self.rpc.nonce_at(owner, head.final_number).await?;
        let last = open.iter().filter_map(|transaction| transaction.nonce).max();
        let mut needed = None;
        for transaction in gone.iter().rev() {
            let Some(nonce) = transaction.nonce.filter(|nonce| *nonce >= counted) else { continue };
            // Its nonce has another use now.
            if open.iter().any(|other| other.nonce == Some(nonce)) {
                continue;
            }
            let gap = needed.max(last).is_some_and(|later| later > nonce);
            let Transaction { id, to, data, value, .. } = transaction;
            if !gap && !matches!(self.rpc.estimate(owner, *to, data.clone().into(), *value).await?, Estimate::Gas(_)) {
                continue;
            }
            tracing::error!(id, nonce, "a transaction that was final is gone; sending it again");
            self.store.set_status(id, Status::Sent, None).await?;
            needed = needed.max(Some(nonce));
        }
        Ok(needed.is_some())
    }

    /// Above everything signed so far, also what the node has forgotten.
    async fn next_nonce(&self, open: &[Transaction]) -> Result<u64, Error> {
        let mined = self.rpc.nonce(self.config.owner.address()).await?;
        let signed = open.iter().filter_map(|transaction| transaction.nonce).map(|nonce| nonce.saturating_add(1)).max();
        Ok(signed.unwrap_or_default().max(mined))
    }

    /// Whether the contract may take the tokens that a deposit needs. If not, an approval is sent first.
    ///
    /// The allowance is unlimited: one approval for each token instead of one for each deposit, and deposits in flight
    /// don't eat each other's allowance. The contract is immutable and takes tokens only from the caller of
    /// `deposit`, or with a fresh signature of the owner; keep no more in the owner's account than the hub may need.
    async fn allow(&mut self, transaction: &Transaction, next: &mut u64, now: u64) -> Result<bool, Error> {
        let Some((token, amount)) = transaction.allowance else { return Ok(true) };
        let owner = self.config.owner.address();
        let question = IERC20::allowanceCall { owner, spender: self.config.contract };
        let answer = self.rpc.call_latest(token, question.abi_encode().into()).await?;
        let allowed = IERC20::allowanceCall::abi_decode_returns(&answer).unwrap_or_default();
        if allowed >= U256::from(amount.units()) {
            return Ok(true);
        }
        let pending = self.store.open_transactions().await?;
        let prefix = format!("approve/{token}/");
        if pending.iter().any(|transaction| transaction.id.starts_with(&prefix)) {
            return Ok(false);
        }
        // An allowance can be used up, so a token may need another approval some day: the nonce tells them apart.
        let call = IERC20::approveCall { spender: self.config.contract, amount: U256::MAX };
        let approval = queued(format!("{prefix}{next}"), "approve", token, call.abi_encode().into(), U256::ZERO);
        self.store.enqueue(&approval).await?;
        self.send_first(approval, next, now).await?;
        Ok(false)
    }

    /// Signs and sends a transaction that was not signed before.
    async fn send_first(&mut self, transaction: Transaction, next: &mut u64, now: u64) -> Result<(), Error> {
        let Transaction { id, label, to, data, value, .. } = &transaction;
        let owner = self.config.owner.address();
        let gas = match self.rpc.estimate(owner, *to, data.clone().into(), *value).await? {
            // A quarter more than now: state may change until it is mined.
            Estimate::Gas(gas) => gas.saturating_add(gas / 4),
            Estimate::Unaffordable => {
                tracing::error!(id, call = label, account = %owner, "the owner's account can't pay for a transaction; waiting");
                return Ok(());
            }
            Estimate::Reverts(reason) => {
                tracing::warn!(id, call = label, reason, "a transaction would revert; given up");
                return self.finish(&transaction, Status::Failed, None).await;
            }
        };
        let fees = self.rpc.fees().await?;
        let attempt = self.sign(&transaction, *next, gas, fees, now)?;
        self.store.signed(id, *next, gas, &attempt).await?;
        tracing::info!(id, call = label, nonce = *next, hash = %attempt.hash, "transaction signed");
        *next = next.saturating_add(1);
        self.broadcast(id, &attempt, now).await
    }

    /// Looks for the receipt of a transaction that was sent; sends it again, or with a higher fee, if there is none.
    async fn follow(&mut self, transaction: Transaction, head: Head, now: u64) -> Result<(), Error> {
        for attempt in &transaction.attempts {
            let Some(receipt) = self.rpc.receipt(attempt.hash).await? else { continue };
            let Some(block) = receipt.block_number.filter(|block| *block <= head.final_number) else { return Ok(()) };
            let status = if receipt.status() { Status::Mined } else { Status::Failed };
            return self.finish(&transaction, status, Some(block)).await;
        }
        let (Some(last), Some(nonce), Some(gas)) = (transaction.attempts.last(), transaction.nonce, transaction.gas)
        else {
            return Err(Error::new(Code::StorageCorrupt, "a sent transaction has no signed form"));
        };
        // A final block past our nonce without our transaction: somebody else used the account.
        if self.rpc.nonce_at(self.config.owner.address(), head.final_number).await? > nonce {
            tracing::error!(id = transaction.id, nonce, "another transaction of the owner's account took this nonce");
            return self.finish(&transaction, Status::Failed, None).await;
        }
        if now >= last.signed_at.saturating_add(self.config.stuck_after.as_secs()) {
            let raised = raise(last, self.rpc.fees().await?);
            let attempt = self.sign(&transaction, nonce, gas, raised, now)?;
            self.store.signed(&transaction.id, nonce, gas, &attempt).await?;
            tracing::warn!(id = transaction.id, nonce, max_fee = raised.max_fee, "transaction stuck; fee raised");
            return self.broadcast(&transaction.id, &attempt, now).await;
        }
        let again = self.broadcast_at.get(&transaction.id).is_none_or(|at| now >= at.saturating_add(REBROADCAST));
        if again { self.broadcast(&transaction.id, last, now).await } else { Ok(()) }
    }

    fn sign(&self, transaction: &Transaction, nonce: u64, gas: u64, fees: Fees, now: u64) -> Result<Attempt, Error> {
        let unsigned = TxEip1559 {
            chain_id: self.config.chain_id,
            nonce,
            gas_limit: gas,
            max_fee_per_gas: fees.max_fee,
            max_priority_fee_per_gas: fees.priority_fee,
            to: TxKind::Call(transaction.to),
            value: transaction.value,
            access_list: alloy::eips::eip2930::AccessList::default(),
            input: transaction.data.clone().into(),
        };
        let signature = self.config.owner.sign(unsigned.signature_hash());
        let signature = alloy_primitives::Signature::from_raw_array(signature.as_bytes())
            .map_err(|_| Error::new(Code::Internal, "a transaction's signature has the wrong shape"))?;
        let signed = unsigned.into_signed(signature);
        let hash: B256 = *signed.hash();
        let raw = alloy::consensus::TxEnvelope::from(signed).encoded_2718();
        Ok(Attempt { hash, raw, max_fee: fees.max_fee, priority_fee: fees.priority_fee, signed_at: now })
    }

    async fn broadcast(&mut self, id: &str, attempt: &Attempt, now: u64) -> Result<(), Error> {
        self.broadcast_at.insert(id.to_owned(), now);
        if let Some(said) = self.rpc.broadcast(&attempt.raw).await? {
            tracing::warn!(id, said, "the RPC did not take a transaction; trying again");
        }
        Ok(())
    }

    async fn finish(&mut self, transaction: &Transaction, status: Status, block: Option<u64>) -> Result<(), Error> {
        self.store.set_status(&transaction.id, status, block).await?;
        self.broadcast_at.remove(&transaction.id);
        tracing::info!(id = transaction.id, call = transaction.label, ?status, "transaction ended");
        let ended = Transaction { status, ..transaction.clone() };
        match outcome_of(&ended) {
            Some(outcome) => self.listener.outcome(ended.id, outcome).await,
            None => Ok(()),
        }
    }
}

fn queued(id: String, label: &str, to: Address, data: Bytes, value: U256) -> Transaction {
    Transaction {
        id,
        label: label.to_owned(),
        to,
        data: data.to_vec(),
        value,
        allowance: None,
        status: Status::Queued,
        nonce: None,
        gas: None,
        block: None,
        attempts: Vec::new(),
    }
}

const fn outcome_of(transaction: &Transaction) -> Option<Outcome> {
    match transaction.status {
        Status::Mined => Some(Outcome::Mined),
        Status::Failed => Some(Outcome::Failed),
        Status::Queued | Status::Sent => None,
    }
}

/// Nodes take a replacement only if both fees rise by at least a tenth; an eighth is safely more.
fn raise(last: &Attempt, now: Fees) -> Fees {
    let more = |fee: u128| fee.saturating_add(fee / 8).saturating_add(1);
    let priority_fee = more(last.priority_fee).max(now.priority_fee);
    Fees { max_fee: more(last.max_fee).max(now.max_fee).max(priority_fee), priority_fee }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raised_fee_is_enough_for_a_replacement() {
        let last = Attempt { hash: B256::ZERO, raw: Vec::new(), max_fee: 100, priority_fee: 0, signed_at: 0 };
        let raised = raise(&last, Fees { max_fee: 50, priority_fee: 0 });
        assert_eq!((raised.max_fee, raised.priority_fee), (113, 1));
        assert_eq!(raise(&last, Fees { max_fee: 500, priority_fee: 3 }), Fees { max_fee: 500, priority_fee: 3 });
    }
}
