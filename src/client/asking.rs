//! A deposit that a wallet was asked for, until the chain shows it. The wallet's answer may be lost, as on a phone whose
//! sockets died while its user was in the wallet's app: then the chain decides, and nothing is asked twice that may have
//! been done.

use super::Client;
use crate::chain::send::DEVELOPMENT;
use crate::failure::{Failure, Result};
use crate::js::{array, hex, random, running};
use crate::signal::Standing;
use crate::signer::Owner;
use crate::signer::batch::Told;
use crate::signer::eip1193::Call;
use crate::task::{Either, race, sleep};
use alloy_primitives::{Bytes, U256};
use alloy_sol_types::SolCall;
use farthing_protocol::abi::IERC20;
use farthing_protocol::chain::ChainCall;
use farthing_protocol::types::{Asset, ETH};
use farthing_protocol::{Amount, Code};
use wasm_bindgen::JsValue;

/// Seconds after which what was asked for is not waited for any more.
const LOST: u64 = 15 * 60;

/// Pause after which the chain is looked at although no block came, in milliseconds.
const QUIET: u32 = 2_000;

/// How often the chain must not show what a wallet says is over.
const LOOKS: u32 = 3;

const ASKED: &str =
    "The wallet was asked to send the deposit, which it does as soon as its user agrees: look there first.";

/// What a wallet was asked for, and has not said what became of.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    asset: Asset,
    amount: Amount,
    /// The newest block then.
    from: u64,
    /// Transactions of the account then, those that wait included, if a node knew.
    nonce: Option<u64>,
    /// The id of a batch.
    batch: Option<String>,
    /// When, by the running clock.
    time: u64,
}

impl Client {
    /// The transaction of the same deposit that was asked for before, if the chain or the wallet shows that it was sent. What
    /// is on its way is waited for.
    pub(super) async fn deposited_before(
        &self,
        asset: Asset,
        amount: Amount,
        known: &Standing,
    ) -> Result<Option<String>> {
        let asked = self.asked_deposit.borrow().clone().filter(|asked| asked.asset == asset && asked.amount == amount);
        let (Some(asked), Owner::Wallet { provider, .. }) = (asked, &self.owner) else { return Ok(None) };
        known.sent(
            "The same deposit was asked for before, and what became of it is being looked for; no other is asked for.",
        );
        let found = self.until_end(Box::pin(self.look_for(&asked))).await?;
        // The wallet's word is good enough for not asking it twice: the hash is followed on the chain.
        let found = found.or_else(|| provider.late_hash());
        self.asked_deposit.take();
        if found.is_none() {
            known.unsent("No money moved: nothing was signed or sent.");
        }
        Ok(found)
    }

    async fn look_for(&self, asked: &Asked) -> Result<Option<String>> {
        loop {
            if let Some(hash) = self.deposit_since(asked).await? {
                return Ok(Some(hash));
            }
            let is_old = running().saturating_sub(asked.time) > LOST;
            if is_old || !self.is_on_its_way(asked).await? {
                // It may have ended since it was looked for.
                return self.deposit_since(asked).await;
            }
            let _ = race(self.chain.heads.next(), sleep(QUIET)).await;
        }
    }

    /// Whether the wallet says so of a batch, or a node of a transaction of the account that came later.
    async fn is_on_its_way(&self, asked: &Asked) -> Result<bool> {
        let Owner::Wallet { provider, account } = &self.owner else { return Ok(false) };
        if let Some(id) = &asked.batch {
            let told = provider.calls_status(id).await;
            if told == Told::Waits || self.is_ahead(told).await? {
                return Ok(true);
            }
        }
        let Some(nonce) = asked.nonce else { return Ok(false) };
        let count = async |tag: &str| {
            let params = array([account.to_string().as_str(), tag]);
            self.chain.rpc.number("eth_getTransactionCount", params).await
        };
        let pending = count("pending").await?;
        Ok(pending > nonce && pending > count("latest").await?)
    }

    /// Whether the wallet's node has seen a batch in a block that ours has not yet.
    async fn is_ahead(&self, told: Told) -> Result<bool> {
        let Told::Done(block) = told else { return Ok(false) };
        Ok(block > self.chain.rpc.number("eth_blockNumber", array::<JsValue>([])).await?)
    }

    fn deposit_since<'a>(&'a self, asked: &'a Asked) -> crate::task::Work<'a, Option<String>> {
        Box::pin(self.chain.deposit_since(self.id, asked.asset, asked.amount, self.owner.address(), asked.from))
    }

    /// Notes what the wallet is about to be asked for.
    async fn note_asked(&self, asset: Asset, amount: Amount, batch: Option<String>) -> Asked {
        if let Owner::Wallet { provider, .. } = &self.owner {
            // An approval's answer that comes late is not this one's.
            provider.forget_late();
        }
        let params = array([self.owner.address().to_string().as_str(), "pending"]);
        let nonce = self.chain.rpc.number("eth_getTransactionCount", params).await.ok();
        let from = self.chain.head().number.saturating_add(1);
        let asked = Asked { asset, amount, from, nonce, batch, time: running() };
        self.asked_deposit.replace(Some(asked.clone()));
        asked
    }

    /// A no of its user, or of the wallet before it sent anything, leaves nothing to look for.
    fn settle_asked(&self, outcome: &Result<String>) {
        if outcome.as_ref().map_or_else(|failure| failure.code() == Code::WalletRejected, |_| true) {
            self.asked_deposit.take();
        }
    }

    /// Sends the deposit's transaction. Gives its hash as the owner tells it, or as the chain does, whichever comes first.
    pub(super) async fn send_deposit(
        &self,
        asset: Asset,
        call: ChainCall,
        amount: Amount,
        known: &Standing,
    ) -> Result<String> {
        let (domain, contract) = (self.chain.domain, self.chain.domain.contract());
        let data = call.calldata(|def| def.id(domain.chain_id(), contract));
        if let Owner::Local(_) = self.owner {
            known.sent("The deposit was signed, and a node may have it: balances() shows whether it was mined.");
            return self.chain.send(&self.owner, contract, call.value(), data).await;
        }
        let asked = self.note_asked(asset, amount, None).await;
        self.asks_owner(known);
        known.sent(ASKED);
        let sent = self.chain.send(&self.owner, contract, call.value(), data);
        let outcome = match race(sent, self.until_seen(&asked)).await {
            Either::First(outcome) | Either::Second(outcome) => outcome,
        };
        self.settle_asked(&outcome);
        outcome
    }

    /// Waits until the chain shows it, whatever the wallet says or does not say.
    fn until_seen<'a>(&'a self, asked: &'a Asked) -> crate::task::Work<'a, String> {
        Box::pin(async move {
            let deposited = || self.wallet.borrow().balance(asked.asset).deposited;
            let before = deposited();
            loop {
                self.changed().await?;
                if deposited() > before
                    && let Ok(Some(hash)) = self.deposit_since(asked).await
                {
                    return Ok(hash);
                }
            }
        })
    }

    /// A token's approval and its deposit as one confirmation, where the wallet has that and an approval is needed. Gives the
    /// transaction's hash, by the chain. `None`: they are to be sent one by one, and nothing was sent.
    pub(super) async fn send_batch(
        &self,
        token: Asset,
        call: &ChainCall,
        amount: Amount,
        known: &Standing,
    ) -> Result<Option<String>> {
        let Owner::Wallet { provider, account } = &self.owner else { return Ok(None) };
        let (domain, contract) = (self.chain.domain, self.chain.domain.contract());
        let approvals = self.approvals(token, U256::from(amount.units())).await?;
        if approvals.is_empty() || !provider.is_atomic(domain.chain_id(), *account).await {
            return Ok(None);
        }
        let mut calls: Vec<(_, Bytes)> = approvals.into_iter().map(|(_, data)| (token, data)).collect();
        calls.push((contract, call.calldata(|def| def.id(domain.chain_id(), contract))));
        let calls: Vec<Call<'_>> = calls.iter().map(|(to, data)| Call { to: *to, value: U256::ZERO, data }).collect();
        let id = hex(random::<32>()?);
        let mut asked = self.note_asked(token, amount, Some(id.clone())).await;
        self.asks_owner(known);
        known.sent(ASKED);
        let sent = match race(self.chain.send_batch(&self.owner, &calls, &id), self.until_seen(&asked)).await {
            Either::First(sent) => sent,
            Either::Second(seen) => {
                let seen = seen.map(Some);
                self.asked_deposit.take();
                return seen;
            }
        };
        match sent {
            Ok(Some(id)) => asked.batch = Some(id),
            Ok(None) => {
                self.asked_deposit.take();
                known.unsent("No money moved: nothing was signed or sent.");
                return Ok(None);
            }
            Err(failure) => {
                let outcome = Err(failure);
                self.settle_asked(&outcome);
                return outcome.map(Some);
            }
        }
        known.sent(
            "The wallet took the approval and the deposit as one: asked again, the same call looks for it and asks for no \
             other. The event `deposit` tells when it can be spent.",
        );
        self.asked_deposit.replace(Some(asked.clone()));
        let outcome = self.until_end(Box::pin(self.batched(&asked))).await;
        self.settle_asked(&outcome);
        outcome.map(Some)
    }

    /// Waits until the chain shows what the wallet took; its word only ends the waiting for what the chain does not show.
    async fn batched(&self, asked: &Asked) -> Result<String> {
        let (Owner::Wallet { provider, .. }, Some(id)) = (&self.owner, &asked.batch) else {
            return Err(Code::Internal.into());
        };
        let needed = if DEVELOPMENT.contains(&self.chain.domain.chain_id()) { 1 } else { LOOKS };
        let mut looks = 0_u32;
        loop {
            let told = provider.calls_status(id).await;
            let is_ahead = self.is_ahead(told).await?;
            if let Some(hash) = self.deposit_since(asked).await? {
                return Ok(hash);
            }
            let said = match told {
                Told::Done(_) if is_ahead => None,
                Told::Done(_) => Some("was carried out"),
                Told::Failed => Some("failed"),
                Told::Waits | Told::Nothing => None,
            };
            looks = if said.is_some() { looks.saturating_add(1) } else { 0 };
            if let Some(said) = said.filter(|_| looks >= needed) {
                let detail = format!(
                    "The wallet says that its batch {said}, and the chain shows no deposit by it: no money moved. An approval \
                     may stand, and is used the next time."
                );
                return Err(Failure::new(Code::TransactionFailed, detail));
            }
            if running().saturating_sub(asked.time) > LOST {
                let detail = format!(
                    "For {} minutes neither the wallet nor the chain has told what became of the approval and the deposit: \
                     look into the wallet, and at balances(), before you ask again.",
                    LOST.div_euclid(60)
                );
                return Err(Failure::advised(Code::Unanswered, detail));
            }
            let _ = race(self.chain.heads.next(), sleep(QUIET)).await;
        }
    }

    /// The amounts that a token is to let the contract take, one after the other, each with its call; none where it may already.
    pub(super) async fn approvals(&self, token: Asset, wanted: U256) -> Result<Vec<(U256, Bytes)>> {
        let (owner, spender) = (self.owner.address(), self.chain.domain.contract());
        if token == ETH {
            return Ok(Vec::new());
        }
        let allowed = self.chain.allowance(token, owner).await?;
        if allowed >= wanted {
            return Ok(Vec::new());
        }
        let approve = |amount| Bytes::from(IERC20::approveCall { spender, amount }.abi_encode());
        // Some tokens (USDT) want an old allowance to be taken back first.
        let is_left = !allowed.is_zero() && self.chain.reverts(owner, token, &approve(wanted)).await?;
        let zero = is_left.then_some(U256::ZERO);
        Ok(zero.into_iter().chain([wanted]).map(|amount| (amount, approve(amount))).collect())
    }
}
