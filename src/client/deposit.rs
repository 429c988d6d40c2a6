//! Putting money in: the hub's limits first, then the transaction, then its confirmations on both sides.

use super::{Client, Notice, Progress};
use crate::chain::send::Stage;
use crate::failure::{Failure, Result};
use crate::global::global;
use crate::signal::Standing;
use crate::signer::Owner;
use crate::task::{Either, both, race, sleep};
use alloy_primitives::U256;
use farthing_protocol::chain::{AssetStatus, ChainCall};
use farthing_protocol::types::{Asset, ETH, Side};
use farthing_protocol::{Amount, Code};
use wasm_bindgen_futures::JsFuture;

/// How long the hub may take to count a deposit that the chain has confirmed to us, in milliseconds.
const COUNTING: u32 = 600_000;

/// Pause between looks at the effect of a transaction whose hash no node knows, in milliseconds.
const LOOK: u32 = 5_000;

/// What to deposit.
pub struct DepositRequest {
    /// Which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Amount,
    /// Who sends the transaction.
    pub gas: Gas,
    /// Told where the transaction stands.
    pub progress: Progress,
}

/// Who sends a deposit and pays its gas.
pub enum Gas {
    /// The owner's account.
    Own,
    /// The hub, which takes a fee of the amount.
    Hub {
        /// The most that it may take; what was shown last where it is not said.
        max_fee: Option<Amount>,
        /// Told what it takes, once that is signed.
        told: Box<dyn Fn(Amount)>,
    },
}

impl std::fmt::Debug for Gas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Own => "own",
            Self::Hub { .. } => "hub",
        })
    }
}

impl std::fmt::Debug for DepositRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DepositRequest")
            .field("asset", &self.asset)
            .field("amount", &self.amount)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Deposits, and waits until the money can be spent. Gives the transaction's hash.
    pub async fn deposit(&self, request: DepositRequest, known: &Standing) -> Result<String> {
        let DepositRequest { asset, amount, gas, progress } = request;
        self.check_open()?;
        self.signer()?;
        if !self.greeted.get() {
            // Only an exit would get it back from a hub that nobody has seen since the start.
            let detail = "The hub has not let us in since the start. No money moved: nothing was signed or sent.";
            return Err(Failure::new(Code::NotConnected, detail));
        }
        // One after the other: what the chain shows as deposited must tell one from the other.
        let turn = self.depositing.lock().await;
        self.check_open()?;
        self.come_to_chain(known).await?;
        if let Gas::Hub { .. } = gas
            && asset == ETH
        {
            let detail = "The hub sends deposits of tokens only: whoever has ETH can pay for gas. Nothing was signed.";
            return Err(Failure::advised(Code::Unsupported, detail));
        }
        let hash = match &gas {
            Gas::Own => match self.relayed_before(asset, amount).await? {
                Some(hash) => hash,
                None => self.deposit_ourselves(asset, amount, &progress, known).await?,
            },
            Gas::Hub { max_fee, told } => {
                ask_to_keep();
                // The same that was asked of the wallet, and may be done, is not done by the hub besides.
                match self.deposited_before(asset, amount, known).await? {
                    Some(hash) => self.until_deposited(hash, &|| false, &progress, known).await?,
                    None => self.deposit_by_hub(asset, amount, *max_fee, told, &progress, known).await?,
                }
            }
        };
        drop(turn);
        let ours = self.wallet.borrow().balance(asset).deposited;
        // Until both sides have seen it, it can't be spent.
        let counted = async {
            while self.counted_deposit(asset) < ours {
                self.changed().await?;
            }
            Ok(hash)
        };
        match race(counted, sleep(COUNTING)).await {
            Either::First(counted) => counted,
            Either::Second(()) => Err(Failure::advised(
                Code::Unanswered,
                "The money is in the channel, and the hub has not counted it yet: don't deposit again. The event \
                 `deposit` tells when it can be spent; exit() takes it home without the hub.",
            )),
        }
    }

    /// Deposits by a transaction of the owner's account, and waits until it is in a final block.
    async fn deposit_ourselves(
        &self,
        asset: Asset,
        amount: Amount,
        progress: &Progress,
        known: &Standing,
    ) -> Result<String> {
        if let Some(hash) = self.deposited_before(asset, amount, known).await? {
            // It may be counted already, so that what is counted tells nothing of it.
            return self.until_deposited(hash, &|| false, progress, known).await;
        }
        let least = self.wallet.borrow().balance(asset).deposited;
        let hash = self.ask_for(asset, amount, known).await?;
        // A token may take a fee; anybody may put something in.
        let least = if asset == ETH { least.plus(amount)? } else { least.plus(Amount::new(1))? };
        let done = || self.wallet.borrow().balance(asset).deposited >= least;
        self.until_deposited(hash, &done, progress, known).await
    }

    /// Waits until a deposit's transaction is in a final block, or it is `done` by another one.
    async fn until_deposited(
        &self,
        hash: String,
        done: &dyn Fn() -> bool,
        progress: &Progress,
        known: &Standing,
    ) -> Result<String> {
        known.sent(format!(
            "The deposit was sent with transaction {hash}, and is in the channel when that is mined: don't deposit again. \
             The event `deposit` tells when it can be spent."
        ));
        progress(Stage::Submitted, Some(&hash));
        let tell = |stage| progress(stage, Some(&hash));
        let (owner, confirmations) = (self.owner.address(), self.chain.confirmations());
        self.until_end(self.chain.confirmed(owner, &hash, confirmations, done, &tell)).await?;
        // What arrived counts, whatever was sent: a token may take a fee.
        self.until_end(Box::pin(self.chain.known(&hash))).await?;
        Ok(hash)
    }

    /// Has the owner send it: a token's approval and the deposit in one, where the wallet has that.
    async fn ask_for(&self, asset: Asset, amount: Amount, known: &Standing) -> Result<String> {
        self.check_deposit(asset, amount, ", and ETH for gas").await?;
        ask_to_keep();
        let call = ChainCall::Deposit { channel: self.def, side: Side::A, asset, amount };
        if asset != ETH {
            if let Some(hash) = self.send_batch(asset, &call, amount, known).await? {
                return Ok(hash);
            }
            self.approve(asset, U256::from(amount.units()), known).await?;
        }
        self.check_open()?;
        self.send_deposit(asset, call, amount, known).await
    }

    /// Lets the contract take so much of a token, unless it may already.
    async fn approve(&self, token: Asset, wanted: U256, known: &Standing) -> Result<()> {
        let owner = self.owner.address();
        for (amount, data) in self.approvals(token, wanted).await? {
            self.asks_owner(known);
            known.note("No money moved; the approval may still be mined.");
            let hash = self.chain.send(&self.owner, token, U256::ZERO, data).await?;
            // What a contract's wallet gives for a hash may be no transaction's: then the effect is what tells.
            let mined = Box::pin(self.until_end(self.chain.confirmed(owner, &hash, 0, &|| false, &|_| {})));
            let seen = self.until_done(async || {
                let allowed = self.chain.allowance(token, owner).await?;
                Ok(if amount.is_zero() { allowed.is_zero() } else { allowed >= amount })
            });
            let approved = match race(mined, Box::pin(seen)).await {
                Either::First(mined) => mined,
                Either::Second(()) => Ok(()),
            };
            if approved.is_err() {
                // Sped up in the wallet, it was approved under another hash.
                let allowed = self.chain.allowance(token, owner).await?;
                let is_done = if amount.is_zero() { allowed.is_zero() } else { allowed >= amount };
                if !is_done {
                    approved?;
                }
            }
        }
        Ok(())
    }

    /// Looks at the chain now and then, until what a wallet was asked for is done. Of one's own key's it is told by the hash.
    pub(super) async fn until_done(&self, is_done: impl AsyncFn() -> Result<bool>) {
        loop {
            sleep(LOOK).await;
            if matches!(self.owner, Owner::Wallet { .. }) && is_done().await.unwrap_or(false) {
                return;
            }
        }
    }

    /// Brings the wallet to the channel's chain, where the application lets its user be asked: before it is asked to read
    /// there, where it is the node, and before anything may have been sent.
    pub(super) async fn come_to_chain(&self, known: &Standing) -> Result<()> {
        self.asks_owner(known);
        let there = self.owner.come_to(self.chain.domain.chain_id()).await;
        known.waits_for(Code::ChainUnavailable);
        there.map(|_| ())
    }

    /// Whoever is asked next is the wallet, if there is one.
    pub(super) fn asks_owner(&self, known: &Standing) {
        if let Owner::Wallet { .. } = self.owner {
            known.waits_for(Code::WalletUnavailable);
        }
    }

    /// Refuses what would strand money: beyond the hub's limits, in an asset that is over, more than there is.
    pub(super) async fn check_deposit(&self, asset: Asset, amount: Amount, gas: &str) -> Result<()> {
        if amount.is_zero() {
            return Err(Code::InvalidAmount.into());
        }
        let terms = self.terms();
        let terms = terms.of(asset)?;
        let balance = self.wallet.borrow().balance(asset);
        if balance.status != AssetStatus::Open {
            return Err(Code::ChannelClosed.into());
        }
        if self.wallet.borrow().channel().exit_ends_at().is_some() {
            return Err(Code::ChannelExiting.into());
        }
        let held = balance.deposited.saturating_minus(balance.withdrawn).plus(amount)?;
        if held > terms.channel_capacity {
            return Err(Failure::new(
                Code::LimitExceeded,
                format!(
                    "The hub takes deposits of {} in all, and this would make {}.",
                    terms.show(terms.channel_capacity),
                    terms.show(held)
                ),
            ));
        }
        let decimals = async {
            match asset == ETH {
                true => Ok(None),
                false => self.chain.decimals(asset).await,
            }
        };
        let (there, decimals) = both(self.chain.balance(asset, self.owner.address()), decimals).await;
        // Whoever reckons with the hub's would pay a million times what they mean.
        if let Some(decimals) = decimals?.filter(|decimals| *decimals != U256::from(terms.decimals)) {
            let detail = format!(
                "The hub says that {} has {} decimals, and the token at {asset} says {decimals}: nothing was signed or sent.",
                terms.symbol, terms.decimals
            );
            return Err(Failure::new(Code::BadTerms, detail));
        }
        let there = there?;
        if there < U256::from(amount.units()) {
            return Err(Failure::advised(
                Code::InsufficientFunds,
                format!(
                    "Account {} has {}, and the deposit is of {}: send it {} more{gas}, or deposit less.",
                    self.owner.address(),
                    terms.show(there),
                    terms.show(amount),
                    terms.show(U256::from(amount.units()).saturating_sub(there))
                ),
            ));
        }
        Ok(())
    }

    /// Our deposits that both sides take as confirmed.
    fn counted_deposit(&self, asset: Asset) -> Amount {
        let ours = self.wallet.borrow().balance(asset).deposited;
        let theirs = self.hub_funds.borrow().get(&asset).copied().unwrap_or_default();
        ours.min(theirs)
    }

    pub(super) fn tell_deposit(&self, asset: Asset) {
        let total = self.counted_deposit(asset);
        let told = self.told_deposits.borrow().get(&asset).copied().unwrap_or_default();
        if total > told {
            self.told_deposits.borrow_mut().insert(asset, total);
            self.tell(Notice::Deposit { asset, total });
        }
    }
}

/// Browsers may throw away what a site stored; those that are asked do so later, or never.
fn ask_to_keep() {
    let storage = global().navigator().map(|navigator| navigator.storage());
    // Where there is none, to ask it throws.
    if let Some(Ok(asked)) = storage.map(|storage| storage.persist()) {
        wasm_bindgen_futures::spawn_local(async {
            // A refusal changes nothing that could be done about it here.
            let _ = JsFuture::from(asked).await;
        });
    }
}
