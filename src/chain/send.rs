//! Transactions: sent by the wallet, or signed here with the local key; then waited for.

use super::Chain;
use crate::failure::{Failure, Result};
use crate::js::{array, get, hex, object, quantity};
use crate::signer::Owner;
use crate::signer::transaction::Transaction;
use crate::task::{Work, race, sleep};
use alloy_primitives::{Address, B256, Bytes, U256};
use farthing_protocol::Code;
use wasm_bindgen::JsValue;

/// Seconds after which a transaction that is not mined is replaced.
const STUCK: u64 = 90;

/// Longest pause between looks at a transaction, in milliseconds.
const LOOK: u32 = 15_000;

/// Where a transaction stands, as `onProgress` tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// A node has it.
    Submitted,
    /// It is in a block.
    Mined,
    /// It has its confirmations.
    Confirmed,
}

impl Stage {
    /// As JavaScript sees it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Mined => "mined",
            Self::Confirmed => "confirmed",
        }
    }
}

impl Chain {
    /// Sends a transaction of the owner's account; the hash comes as soon as a node has it.
    pub fn send<'a>(&'a self, owner: &'a Owner, to: Address, value: U256, data: Bytes) -> Work<'a, String> {
        Box::pin(self.sign_and_send(owner, to, value, data))
    }

    async fn sign_and_send(&self, owner: &Owner, to: Address, value: U256, data: Bytes) -> Result<String> {
        match owner {
            Owner::Wallet { provider, account } => provider.send_transaction(*account, to, value, &data).await,
            Owner::Local(key) => {
                // Two at once would take the same nonce.
                let _turn = self.sending.lock().await;
                let from = key.address();
                let transaction = self.prepare(from, to, value, data).await?;
                let (raw, hash) = transaction.sign(key);
                self.rpc.request("eth_sendRawTransaction", array([hex(raw)])).await?;
                Ok(B256::to_string(&hash))
            }
        }
    }

    /// Follows a transaction that must not get lost until it has its confirmations. One that a node keeps waiting is
    /// replaced by one that pays more; one that reverted or that no node knows any more is an error.
    pub fn follow<'a>(&'a self, owner: &'a Owner, hash: String, to: Address, data: Bytes) -> Work<'a, ()> {
        Box::pin(async move {
            let mut hashes = vec![hash];
            let mut since = crate::js::now();
            loop {
                for hash in &hashes {
                    let receipt = self.rpc.request("eth_getTransactionReceipt", array([hash.as_str()])).await;
                    let Some(block) = receipt.as_ref().ok().and_then(|receipt| quantity(&get(receipt, "blockNumber")))
                    else {
                        continue;
                    };
                    if receipt.as_ref().ok().and_then(|receipt| quantity(&get(receipt, "status"))) == Some(0) {
                        return Err(Failure::new(Code::TransactionFailed, format!("Transaction {hash} reverted.")));
                    }
                    if self.head().number >= block.saturating_add(self.confirmations) {
                        return Ok(());
                    }
                    since = crate::js::now();
                }
                if crate::js::now().saturating_sub(since) >= STUCK {
                    hashes.extend(self.replace(owner, hashes.last(), to, &data).await?);
                    since = crate::js::now();
                }
                let _ = race(self.heads.next(), sleep(LOOK)).await;
            }
        })
    }

    /// Sends a transaction once more with higher fees, if a node still keeps it waiting.
    async fn replace(&self, owner: &Owner, hash: Option<&String>, to: Address, data: &Bytes) -> Result<Option<String>> {
        let Some(hash) = hash else { return Ok(None) };
        let known = self.rpc.request("eth_getTransactionByHash", array([hash.as_str()])).await?;
        let Some(nonce) = quantity(&get(&known, "nonce")) else {
            return Err(Failure::new(Code::TransactionFailed, format!("No node knows transaction {hash} any more.")));
        };
        // A wallet replaces its transactions itself, when its user says so.
        let (Owner::Local(key), None) = (owner, quantity(&get(&known, "blockNumber"))) else { return Ok(None) };
        let fee = |name: &str| quantity(&get(&known, name)).map_or(0, |fee| u128::from(fee).saturating_mul(5) / 4);
        let mut transaction = self.prepare(key.address(), to, U256::ZERO, data.clone()).await?;
        transaction.nonce = nonce;
        transaction.max_priority_fee = transaction.max_priority_fee.max(fee("maxPriorityFeePerGas").saturating_add(1));
        transaction.max_fee = transaction.max_fee.max(fee("maxFeePerGas").saturating_add(1));
        transaction.max_fee = transaction.max_fee.max(transaction.max_priority_fee);
        let (raw, hash) = transaction.sign(key);
        // It may have been mined in this moment; then its receipt tells.
        let sent = self.rpc.request("eth_sendRawTransaction", array([hex(raw)])).await;
        Ok(sent.is_ok().then(|| B256::to_string(&hash)))
    }

    async fn prepare(&self, from: Address, to: Address, value: U256, data: Bytes) -> Result<Transaction> {
        let call = object([
            ("from", from.to_string().into()),
            ("to", to.to_string().into()),
            ("value", format!("{value:#x}").into()),
            ("data", hex(&data).into()),
        ]);
        let estimate =
            self.rpc.number("eth_estimateGas", array([call])).await.map_err(|failure| match failure.code() {
                // What can't be estimated would fail on chain, too.
                Code::ChainUnavailable if failure.cause().is_some() => failure.seen_as(Code::TransactionFailed),
                _ => failure,
            })?;
        let nonce = self.rpc.number("eth_getTransactionCount", array([from.to_string().as_str(), "pending"])).await?;
        let block = self.rpc.request("eth_getBlockByNumber", array([JsValue::from("latest"), false.into()])).await?;
        let Some(base_fee) = quantity(&get(&block, "baseFeePerGas")).map(u128::from) else {
            return Err(Failure::new(Code::Unsupported, "This chain has no EIP-1559 fees."));
        };
        let tip = self.rpc.number("eth_maxPriorityFeePerGas", array::<JsValue>([])).await.unwrap_or(1_000_000_000);
        let max_priority_fee = u128::from(tip);
        Ok(Transaction {
            chain_id: self.domain.chain_id(),
            nonce,
            max_priority_fee,
            // Stays valid while the base fee doubles.
            max_fee: base_fee.saturating_mul(2).saturating_add(max_priority_fee),
            gas: estimate.saturating_add(estimate.div_euclid(4)),
            to,
            value,
            data,
        })
    }

    /// Waits until the transaction is in a block and has its confirmations. One that reverted is
    /// [`Code::TransactionFailed`]; one that a reorganisation dropped is waited for again.
    pub fn confirmed<'a>(&'a self, hash: &'a str, confirmations: u64, progress: &'a dyn Fn(Stage)) -> Work<'a, ()> {
        Box::pin(self.until_confirmed(hash, confirmations, progress))
    }

    async fn until_confirmed(&self, hash: &str, confirmations: u64, progress: &dyn Fn(Stage)) -> Result<()> {
        let mut mined = false;
        loop {
            let receipt = self.rpc.request("eth_getTransactionReceipt", array([hash])).await;
            // A node that is silent for a moment is asked again at the next head.
            if let Some(block) = receipt.as_ref().ok().and_then(|receipt| quantity(&get(receipt, "blockNumber"))) {
                let status = receipt.as_ref().ok().and_then(|receipt| quantity(&get(receipt, "status")));
                if status == Some(0) {
                    return Err(Failure::new(Code::TransactionFailed, format!("Transaction {hash} reverted.")));
                }
                if !std::mem::replace(&mut mined, true) {
                    progress(Stage::Mined);
                }
                if self.head().number >= block.saturating_add(confirmations) {
                    progress(Stage::Confirmed);
                    return Ok(());
                }
            }
            self.heads.next().await;
        }
    }
}
