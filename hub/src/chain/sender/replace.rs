//! What happens to a nonce whose transaction is not mined: a higher fee, another use, or none.

use super::super::listener::Listener;
use super::super::rpc::{Fees, Refusal};
use super::gas::{Limit, cost};
use super::order::Class;
use super::queue::Job;
use super::sign::Content;
use super::{Look, Open, REBROADCAST, Sender};
use crate::store::{Status, Transaction};
use alloy_primitives::U256;
use farthing_protocol::Error;

/// A transaction that was refused at so many blocks, for a reason that may pass, is given up.
const PATIENCE: u32 = 3;

/// Wei that a transaction may still take from the account: its newest form, which is what nodes keep.
pub(super) fn cost_of(transaction: &Transaction) -> U256 {
    let max_fee = transaction.attempts.last().map_or(0, |attempt| attempt.max_fee);
    cost(transaction.gas, max_fee).saturating_add(transaction.value)
}

/// The highest fees of all forms that a nonce ever had.
fn highest(uses: &[Transaction]) -> Fees {
    let attempts = || uses.iter().flat_map(|used| &used.attempts);
    Fees {
        max_fee: attempts().map(|attempt| attempt.max_fee).max().unwrap_or_default(),
        priority_fee: attempts().map(|attempt| attempt.priority_fee).max().unwrap_or_default(),
    }
}

impl Open {
    /// Wei of a balance that no transaction on its way may take.
    pub(super) fn free(&self, look: &Look) -> U256 {
        let uses = self.nonces.range(look.account.mined..).filter_map(|(_, uses)| uses.last());
        let taken = uses.map(cost_of).fold(U256::ZERO, U256::saturating_add);
        look.account.balance.saturating_sub(taken)
    }

    /// Whether something that protects money waits for a nonce, or for this one to be used.
    fn is_protection_behind(&self, nonce: u64) -> bool {
        let protects = |class: Option<Class>| class == Some(Class::Protect);
        let signed = self.nonces.range(nonce.saturating_add(1)..).filter_map(|(_, uses)| uses.last());
        signed.map(|used| self.class_of(used.id)).any(protects)
            || self
                .orders
                .iter()
                .any(|order| order.status == Status::Queued && Class::of(&order.purpose) == Class::Protect)
    }
}

impl<L: Listener> Sender<L> {
    /// Looks after every nonce that no block has used yet, the lowest first.
    pub(super) async fn replace(&mut self, look: &Look, open: &mut Open) -> Result<(), Error> {
        let nonces: Vec<u64> = open.nonces.range(look.account.mined..).map(|(nonce, _)| *nonce).collect();
        let lowest = nonces.first().copied();
        let mut left = look.account.balance;
        for nonce in nonces {
            let Some(newest) = open.nonces.get(&nonce).and_then(|uses| uses.last()).cloned() else { continue };
            let class = open.class_of(newest.id);
            let is_hopeless = self.refused.get(&newest.id).is_some_and(|refused| match refused.why {
                Refusal::Invalid => true,
                Refusal::Unaffordable | Refusal::Other => refused.times >= PATIENCE,
                Refusal::NonceUsed | Refusal::NonceGap | Refusal::Underpriced | Refusal::Code => false,
            });
            let missing = cost_of(&newest).saturating_sub(left);
            if is_hopeless && class.is_some() {
                self.give_away(look, open, nonce, left).await?;
            } else if !missing.is_zero() && class.is_some_and(|class| !class.is_ours_to_save()) {
                self.trouble("unaffordable", |_| {
                    tracing::warn!(nonce, call = newest.label, "the account can't pay for what was signed any more");
                });
                self.give_away(look, open, nonce, left).await?;
            } else {
                if !missing.is_zero() {
                    self.make_free(look, open, missing).await?;
                }
                self.keep_up(look, open, nonce, &newest, lowest == Some(nonce), left).await?;
            }
            let used = open.nonces.get(&nonce).and_then(|uses| uses.last());
            left = left.saturating_sub(used.map(cost_of).unwrap_or_default());
        }
        Ok(())
    }

    /// Raises the fee of what blocks pass by, within what it may cost, and broadcasts again what may be forgotten.
    async fn keep_up(
        &mut self,
        look: &Look,
        open: &mut Open,
        nonce: u64,
        newest: &Transaction,
        is_lowest: bool,
        left: U256,
    ) -> Result<(), Error> {
        let Some(last) = newest.attempts.last() else { return Ok(()) };
        let is_due = look.head.timestamp >= last.time.saturating_add(self.config.stuck_after.as_secs());
        let is_refused = self.refused.get(&newest.id).is_some_and(|refused| refused.why == Refusal::Underpriced);
        let base_fee = look.market.base_fee;
        // A transaction that waits for the one before it gets nowhere by paying more.
        let is_passed_by = is_lowest || last.max_fee < base_fee.saturating_add(base_fee / 8);
        // Without a block there is nothing to be passed by, however much time there was.
        if look.head.number > last.head && is_passed_by && (is_due || is_refused) {
            let limit = self.limit_of(open, newest);
            let fees = Fees { max_fee: last.max_fee, priority_fee: last.priority_fee };
            let raised = self.config.gas.raise(fees, limit, newest.gas, look.market);
            let affordable = |fees: &Fees| cost(newest.gas, fees.max_fee).saturating_add(newest.value) <= left;
            if let Some(fees) = raised.filter(affordable) {
                let uses = open.nonces.get_mut(&nonce).and_then(|uses| uses.last_mut());
                return match uses {
                    Some(newest) => self.send_again(look, newest, fees).await,
                    None => Ok(()),
                };
            }
            self.trouble("capped", |_| {
                tracing::warn!(
                    nonce,
                    call = newest.label,
                    "a transaction may not pay more, and is not mined for what it pays"
                );
            });
            let class = open.class_of(newest.id);
            if class.is_some_and(|class| class != Class::Protect) && open.is_protection_behind(nonce) {
                return self.give_away(look, open, nonce, left).await;
            }
        }
        let at = self.broadcast_at.get(&newest.id);
        let again = at.is_none_or(|at| look.now >= at.saturating_add(REBROADCAST));
        // What was refused may be taken at the next block.
        let refused = self.refused.get(&newest.id).is_some_and(|refused| refused.head != look.head.number);
        if again || refused { self.broadcast(newest.id, last, look).await } else { Ok(()) }
    }

    /// What a transaction on its way may cost.
    fn limit_of(&self, open: &Open, transaction: &Transaction) -> Limit {
        let limits: Vec<Limit> =
            open.orders_of(transaction.id).map(|order| self.config.gas.limit(&order.purpose)).collect();
        if limits.is_empty() {
            return self.cancel_limit(open);
        }
        Limit {
            budget: limits.iter().fold(U256::ZERO, |sum, limit| sum.saturating_add(limit.budget)),
            is_capped: limits.iter().any(|limit| limit.is_capped),
        }
    }

    /// What using a nonce for nothing may cost: as much as the most that is protected behind it.
    pub(super) fn cancel_limit(&self, open: &Open) -> Limit {
        let protected = open.orders.iter().filter(|order| Class::of(&order.purpose) == Class::Protect);
        let most = protected.map(|order| self.config.gas.limit(&order.purpose)).max_by_key(|limit| limit.budget);
        let ours = U256::from(self.config.gas.max_cost.fund);
        most.unwrap_or(Limit { budget: ours, is_capped: true })
    }

    /// Uses a nonce for what protects money and waits, or for nothing.
    async fn give_away(&mut self, look: &Look, open: &mut Open, nonce: u64, left: U256) -> Result<(), Error> {
        let last = open.nonces.get(&nonce).map(|uses| highest(uses)).unwrap_or_default();
        let urgent = self.jobs(look, open).into_iter().find(|job| job.class == Class::Protect);
        if let Some(job) = urgent
            && let Some(gas) = self.gas_of(look, &job).await?
            && self.take_nonce(look, open, job, gas, nonce, left).await?
        {
            return Ok(());
        }
        let (content, limit) = (Content::cancel(self.config.owner.address()), self.cancel_limit(open));
        let raised = self.config.gas.raise(last, limit, content.gas, look.market);
        // What the nodes do not have needs not to be outbid.
        let fees = raised.or_else(|| self.config.gas.first(limit, content.gas, look.market));
        match fees.filter(|fees| cost(content.gas, fees.max_fee) <= left) {
            Some(fees) => self.send(look, open, nonce, content, fees, &[]).await,
            None => {
                self.trouble("blocked", |_| tracing::error!(nonce, "a nonce is blocked, and can't be paid for"));
                Ok(())
            }
        }
    }

    /// Puts a protective job in the place of the transaction with this nonce. False if that may not be paid.
    async fn take_nonce(
        &mut self,
        look: &Look,
        open: &mut Open,
        job: Job,
        gas: u64,
        nonce: u64,
        left: U256,
    ) -> Result<bool, Error> {
        let last = open.nonces.get(&nonce).map(|uses| highest(uses)).unwrap_or_default();
        let Some(fees) = self.config.gas.raise(last, job.limit, gas, look.market) else { return Ok(false) };
        if cost(gas, fees.max_fee).saturating_add(job.content.value) > left {
            return Ok(false);
        }
        tracing::warn!(nonce, call = job.content.label, "what protects money takes the place of another transaction");
        let content = Content { gas, ..job.content };
        self.send(look, open, nonce, content, fees, &job.orders).await?;
        Ok(true)
    }

    /// Makes room for a protective job that the account can't pay beside what is on its way: in place of the first
    /// that is not, if its money is enough, or else by cancelling these. False if that is not enough either.
    pub(super) async fn make_room(
        &mut self,
        look: &Look,
        open: &mut Open,
        job: Job,
        gas: u64,
        missing: U256,
    ) -> Result<bool, Error> {
        let free = open.free(look);
        let others = self.others(look, open);
        for (nonce, freed) in &others {
            let left = free.saturating_add(*freed);
            if self.take_nonce(look, open, job.clone(), gas, *nonce, left).await? {
                return Ok(true);
            }
        }
        self.make_free(look, open, missing).await?;
        Ok(false)
    }

    /// Nonces without a protective transaction, and what each may cost.
    fn others(&self, look: &Look, open: &Open) -> Vec<(u64, U256)> {
        let unmined = open.nonces.range(look.account.mined..);
        unmined
            .filter_map(|(nonce, uses)| Some((*nonce, uses.last()?)))
            .filter(|(_, newest)| open.class_of(newest.id).is_some_and(|class| !class.is_ours_to_save()))
            .map(|(nonce, newest)| (nonce, cost_of(newest)))
            .collect()
    }

    /// Cancels what does not protect money until so much is free, if it can be.
    async fn make_free(&mut self, look: &Look, open: &mut Open, missing: U256) -> Result<(), Error> {
        let mut others = self.others(look, open);
        others.sort_by_key(|(_, freed)| std::cmp::Reverse(*freed));
        let mut gained = U256::ZERO;
        for (nonce, freed) in others {
            if gained >= missing {
                break;
            }
            let left = open.free(look).saturating_add(freed);
            self.give_away(look, open, nonce, left).await?;
            gained = gained.saturating_add(freed);
        }
        Ok(())
    }
}
