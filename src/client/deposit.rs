//! Putting money in: the hub's limits first, then the transaction, then its confirmations on both sides.

use super::{Client, Notice, Progress};
use crate::chain::send::Stage;
use crate::failure::{Failure, Result};
use crate::js::{array, get, invoke, settle};
use alloy_primitives::U256;
use alloy_sol_types::SolCall;
use farthing_protocol::abi::IERC20;
use farthing_protocol::chain::{AssetStatus, ChainCall};
use farthing_protocol::types::{Asset, ETH, Side};
use farthing_protocol::{Amount, Code};
use wasm_bindgen::JsValue;

/// What to deposit.
pub struct DepositRequest {
    /// Which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Amount,
    /// Told where the transaction stands.
    pub progress: Progress,
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
    pub async fn deposit(&self, request: DepositRequest) -> Result<String> {
        let DepositRequest { asset, amount, progress } = request;
        self.check_open()?;
        if !self.greeted.get() {
            // Only an exit would get it back from a hub that nobody has seen since the start.
            return Err(Code::NotConnected.into());
        }
        self.check_deposit(asset, amount).await?;
        ask_to_keep();
        let contract = self.chain.domain.contract();
        let wanted = U256::from(amount.units());
        if asset != ETH && self.chain.allowance(asset, self.owner.address()).await? < wanted {
            let approve = IERC20::approveCall { spender: contract, amount: wanted }.abi_encode();
            let hash = self.chain.send(&self.owner, asset, U256::ZERO, approve.into()).await?;
            self.until_end(self.chain.confirmed(&hash, 0, &|_| {})).await?;
        }
        let call = ChainCall::Deposit { channel: self.def, side: Side::A, asset, amount };
        let domain = self.chain.domain;
        let data = call.calldata(|def| def.id(domain.chain_id(), domain.contract()));
        let before = self.wallet.borrow().balance(asset).deposited;
        let hash = self.chain.send(&self.owner, contract, call.value(), data).await?;
        progress(Stage::Submitted, Some(&hash));
        let tell = |stage| progress(stage, Some(&hash));
        self.until_end(self.chain.confirmed(&hash, self.chain.confirmations, &tell)).await?;
        // What arrived counts: a token may take a fee. Until both sides have seen it, it can't be spent.
        while self.counted_deposit(asset) <= before {
            self.changed().await?;
        }
        Ok(hash)
    }

    /// Refuses what would strand money: beyond the hub's limits, in an asset that is over, more than there is.
    async fn check_deposit(&self, asset: Asset, amount: Amount) -> Result<()> {
        if amount.is_zero() {
            return Err(Code::InvalidAmount.into());
        }
        let terms = self.terms();
        let terms = terms.of(asset)?;
        let balance = self.wallet.borrow().balance(asset);
        if balance.status != AssetStatus::Open {
            return Err(Code::ChannelClosed.into());
        }
        if self.wallet.borrow().channel().state().exit.is_some() {
            return Err(Code::ChannelExiting.into());
        }
        let held = balance.deposited.saturating_minus(balance.withdrawn).plus(amount)?;
        if held > terms.channel_capacity {
            return Err(Failure::new(
                Code::LimitExceeded,
                format!("The hub takes deposits of {} in all, this would make {held}.", terms.channel_capacity),
            ));
        }
        let there = self.chain.balance(asset, self.owner.address()).await?;
        if there < U256::from(amount.units()) {
            return Err(Failure::new(
                Code::InsufficientFunds,
                format!("The account {} has {there}, less than {amount}.", self.owner.address()),
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
    let storage = get(&get(&js_sys::global(), "navigator"), "storage");
    if storage.is_object() {
        let asked = invoke(&storage, "persist", &array::<JsValue>([]));
        wasm_bindgen_futures::spawn_local(async {
            // A refusal changes nothing that could be done about it here.
            let _ = settle(asked).await;
        });
    }
}
