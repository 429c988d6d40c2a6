//! The few questions that the hub asks an Ethereum node, each with a time limit and an error of ours.

use alloy::consensus::BlockHeader;
use alloy::eips::{BlockId, BlockNumberOrTag, RpcBlockHash};
use alloy::network::{Ethereum, TransactionBuilder};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::{Filter, Log, TransactionReceipt, TransactionRequest};
use alloy::transports::TransportError;
use alloy_primitives::{Address, B256, Bytes, U256};
use farthing_protocol::{Code, Error};
use std::time::Duration;

/// Longer than a loaded node takes for a range of logs, shorter than anybody waits.
const TIME_LIMIT: Duration = Duration::from_secs(15);

/// A block, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Unix seconds.
    pub timestamp: u64,
}

/// Wei per gas.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fees {
    /// At most.
    pub max_fee: u128,
    /// For the proposer.
    pub priority_fee: u128,
}

/// What simulating a transaction said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Estimate {
    /// It would succeed with this much gas.
    Gas(u64),
    /// It would fail, whoever pays for it.
    Reverts(String),
    /// The account can't pay for it now.
    Unaffordable,
}

/// An Ethereum node.
#[derive(Clone, Debug)]
pub struct Rpc {
    provider: RootProvider<Ethereum>,
}

impl Rpc {
    /// The node behind an http or https URL. Nothing is asked yet.
    #[must_use]
    pub fn new(url: url::Url) -> Self {
        Self { provider: RootProvider::new_http(url) }
    }

    /// EIP-155 chain id.
    pub async fn chain_id(&self) -> Result<u64, Error> {
        ask(self.provider.get_chain_id()).await
    }

    /// The newest block.
    pub async fn latest(&self) -> Result<Block, Error> {
        let block = self.block_at(BlockNumberOrTag::Latest).await?;
        block.ok_or_else(|| Error::new(Code::ChainUnavailable, "the RPC has no newest block"))
    }

    /// The block at this height, if the chain is that long.
    pub async fn block(&self, number: u64) -> Result<Option<Block>, Error> {
        self.block_at(BlockNumberOrTag::Number(number)).await
    }

    async fn block_at(&self, tag: BlockNumberOrTag) -> Result<Option<Block>, Error> {
        let block = ask(async { self.provider.get_block_by_number(tag).await }).await?;
        Ok(block.map(|block| Block {
            number: block.header.number(),
            hash: block.header.hash,
            timestamp: block.header.timestamp(),
        }))
    }

    /// The contract's logs in a range of blocks, both ends included.
    pub async fn logs(&self, contract: Address, from: u64, to: u64) -> Result<Vec<Log>, Error> {
        let filter = Filter::new().address(contract).from_block(from).to_block(to);
        ask(self.provider.get_logs(&filter)).await
    }

    /// What a call returns at the end of this very block. Fails if the block is no longer part of the chain.
    pub async fn call_at(&self, to: Address, data: Bytes, block: B256) -> Result<Bytes, Error> {
        let at = BlockId::Hash(RpcBlockHash { block_hash: block, require_canonical: Some(true) });
        self.call(to, data, at).await
    }

    /// What a call returns at the end of the newest block.
    pub async fn call_latest(&self, to: Address, data: Bytes) -> Result<Bytes, Error> {
        self.call(to, data, BlockId::latest()).await
    }

    async fn call(&self, to: Address, data: Bytes, at: BlockId) -> Result<Bytes, Error> {
        let request = TransactionRequest::default().with_to(to).with_input(data);
        ask(async { self.provider.call(request).block(at).await }).await
    }

    /// Whether there is code at an address.
    pub async fn has_code(&self, address: Address) -> Result<bool, Error> {
        let code = ask(async { self.provider.get_code_at(address).await }).await?;
        Ok(!code.is_empty())
    }

    /// Wei of an account at the newest block.
    pub async fn balance(&self, account: Address) -> Result<U256, Error> {
        ask(async { self.provider.get_balance(account).latest().await }).await
    }

    /// Transactions of an account up to the newest block.
    pub async fn nonce(&self, account: Address) -> Result<u64, Error> {
        ask(async { self.provider.get_transaction_count(account).latest().await }).await
    }

    /// Transactions of an account up to a block.
    pub async fn nonce_at(&self, account: Address, block: u64) -> Result<u64, Error> {
        ask(async { self.provider.get_transaction_count(account).number(block).await }).await
    }

    /// Simulates a transaction on the newest block.
    pub async fn estimate(&self, from: Address, to: Address, data: Bytes, value: U256) -> Result<Estimate, Error> {
        let request = TransactionRequest::default().with_from(from).with_to(to).with_input(data).with_value(value);
        let answer = tokio::time::timeout(TIME_LIMIT, async { self.provider.estimate_gas(request).await }).await;
        match answer {
            Ok(Ok(gas)) => Ok(Estimate::Gas(gas)),
            Ok(Err(error)) => refusal(&error).ok_or_else(|| unavailable(&error)),
            Err(_) => Err(late()),
        }
    }

    /// What a transaction has to pay to be mined soon.
    pub async fn fees(&self) -> Result<Fees, Error> {
        let fees = ask(self.provider.estimate_eip1559_fees()).await?;
        Ok(Fees { max_fee: fees.max_fee_per_gas, priority_fee: fees.max_priority_fee_per_gas })
    }

    /// Broadcasts a signed transaction. That the node has it already is no error; what else the node
    /// says of it is returned, since the receipt alone decides.
    pub async fn broadcast(&self, raw: &[u8]) -> Result<Option<String>, Error> {
        let answer = tokio::time::timeout(TIME_LIMIT, async { self.provider.send_raw_transaction(raw).await }).await;
        match answer {
            Ok(Ok(_)) => Ok(None),
            Ok(Err(error)) => match error.as_error_resp() {
                Some(said) => Ok(Some(said.message.to_string()).filter(|text| !text.contains("already"))),
                None => Err(unavailable(&error)),
            },
            Err(_) => Err(late()),
        }
    }

    /// The receipt of a transaction, if it was mined.
    pub async fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, Error> {
        ask(self.provider.get_transaction_receipt(hash)).await
    }
}

async fn ask<T>(question: impl Future<Output = Result<T, TransportError>>) -> Result<T, Error> {
    match tokio::time::timeout(TIME_LIMIT, question).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(unavailable(&error)),
        Err(_) => Err(late()),
    }
}

fn refusal(error: &TransportError) -> Option<Estimate> {
    let said = error.as_error_resp()?;
    let text = said.message.to_lowercase();
    if text.contains("insufficient funds") || text.contains("exceeds allowance") || text.contains("exceeds balance") {
        return Some(Estimate::Unaffordable);
    }
    // 3 is geth's code of a revert; others only say so.
    (said.code == 3 || text.contains("revert")).then(|| Estimate::Reverts(said.message.to_string()))
}

fn unavailable(error: &TransportError) -> Error {
    // A transport's own text may hold the URL, and the URL an access token: only what the node said is kept.
    let said =
        error.as_error_resp().map_or_else(|| "the RPC can't be reached".to_owned(), |said| said.message.to_string());
    Error::new(Code::ChainUnavailable, said)
}

fn late() -> Error {
    Error::new(Code::ChainUnavailable, "the RPC does not answer in time")
}
