//! The few questions that the hub asks an Ethereum node, or several, each with a time limit and an error of ours.

use super::nodes::{Nodes, Trouble};
use crate::health::Health;
use alloy::consensus::BlockHeader;
use alloy::eips::{BlockId, BlockNumberOrTag, RpcBlockHash};
use alloy::network::{Ethereum, TransactionBuilder};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::client::{BatchRequest, RpcClient};
use alloy::rpc::types::{self, Filter, TransactionReceipt, TransactionRequest};
use alloy::transports::{TransportError, TransportErrorKind};
use alloy_primitives::{Address, B256, Bytes, U256};
use farthing_protocol::reading::{Block, Log};
use farthing_protocol::{Code, Error};
use std::time::Duration;

/// Beyond all tries of a question: these end by themselves.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Failures in a row after which a node counts as one that can't be asked.
const LEAST_FAILURES: u32 = 3;

/// Wei per gas.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
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

/// Why a node does not take a signed transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Its nonce has been used.
    NonceUsed,
    /// Transactions with lower nonces are missing there.
    NonceGap,
    /// It pays too little, or not enough more than another one with its nonce.
    Underpriced,
    /// The account can't pay for it and for what waits before it.
    Unaffordable,
    /// It can never be mined as it is.
    Invalid,
    /// The account is a contract (EIP-3607).
    Code,
    /// Something else, a full pool for instance.
    Other,
}

/// What the newest block says of an account, and of what gas costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccountState {
    /// Transactions up to the newest block.
    pub mined: u64,
    /// Transactions up to a final block.
    pub counted: u64,
    /// Wei.
    pub balance: U256,
    /// What a transaction has to pay to be mined soon.
    pub fees: Fees,
    /// Gas of a block, at most.
    pub block_gas: u64,
}

/// An Ethereum node, or several of one chain.
#[derive(Clone)]
pub struct Rpc {
    provider: RootProvider<Ethereum>,
    nodes: Nodes,
    /// Gas that a view function may use, where the node's own limit is not enough of one.
    call_gas: Option<u64>,
}

impl std::fmt::Debug for Rpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Rpc").field(&self.nodes).finish()
    }
}

impl Rpc {
    /// The node behind an http or https URL. Nothing is asked yet.
    #[must_use]
    pub fn new(url: url::Url) -> Self {
        Self::of(vec![url])
    }

    /// Several nodes of one chain: whichever answers is asked, the first ones first; what decides about money is asked
    /// of all of them.
    #[must_use]
    pub fn of(urls: Vec<url::Url>) -> Self {
        Self::on(Nodes::new(urls))
    }

    fn on(nodes: Nodes) -> Self {
        Self { provider: RootProvider::new(RpcClient::new(nodes.clone(), false)), nodes, call_gas: None }
    }

    /// Each node by itself.
    #[must_use]
    pub fn each(&self) -> Vec<Self> {
        self.nodes.each().into_iter().map(|nodes| Self { call_gas: self.call_gas, ..Self::on(nodes) }).collect()
    }

    /// The same nodes; view functions of contracts that strangers chose may use so much gas.
    #[must_use]
    pub fn capped(&self, gas: u64) -> Self {
        Self { call_gas: Some(gas), ..self.clone() }
    }

    fn view(&self, to: Address, data: Bytes) -> TransactionRequest {
        let request = TransactionRequest::default().with_to(to).with_input(data);
        match self.call_gas {
            Some(gas) => request.with_gas_limit(gas),
            None => request,
        }
    }

    /// This very node is of this chain; of the others it has to be seen before anything that they say counts.
    pub(crate) fn note_fits(&self, chain_id: u64) {
        self.nodes.note_fits(chain_id);
    }

    /// Why none of the nodes can be asked just now.
    #[must_use]
    pub fn trouble(&self) -> Option<Error> {
        Some(Error::new(Code::ChainUnavailable, self.nodes.trouble(LEAST_FAILURES)?.to_string()))
    }

    /// Does some work, and tells every second why it takes so long.
    pub(crate) async fn telling<T>(&self, health: &Health, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => if let Some(error) = self.trouble() {
                    health.troubled(&error);
                }
            }
        }
    }

    pub(super) const fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Where the nodes are, without anything secret.
    #[must_use]
    pub fn origins(&self) -> String {
        self.nodes.origins()
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
        let logs = ask(self.provider.get_logs(&filter)).await?;
        Ok(logs.into_iter().filter_map(mined).collect())
    }

    /// What a call returns at the end of this very block. Fails if the block is no longer part of the chain.
    pub async fn call_at(&self, to: Address, data: Bytes, block: B256) -> Result<Bytes, Error> {
        self.call(to, data, at_hash(block)).await
    }

    /// What a call returns at the end of the newest block.
    pub async fn call_latest(&self, to: Address, data: Bytes) -> Result<Bytes, Error> {
        self.call(to, data, BlockId::latest()).await
    }

    /// What several calls return, asked for in one request (a JSON-RPC batch); an error where only one of them failed.
    pub async fn calls(&self, to: Address, calls: &[Bytes], at: BlockId) -> Result<Vec<Result<Bytes, Error>>, Error> {
        let mut batch = BatchRequest::new(self.provider.client());
        let mut waiting = Vec::with_capacity(calls.len());
        for data in calls {
            let request = self.view(to, data.clone());
            let waiter = batch.add_call::<_, Bytes>("eth_call", &(request, at)).map_err(|error| unavailable(&error))?;
            waiting.push(waiter);
        }
        ask(async { batch.send().await }).await?;
        // The answers are there; a node that left one out is told by its own error.
        let mut answers = Vec::with_capacity(waiting.len());
        for waiter in waiting {
            answers.push(waiter.await.map_err(|error| unavailable(&error)));
        }
        Ok(answers)
    }

    /// What a call returns, at the end of some block.
    pub async fn call(&self, to: Address, data: Bytes, at: BlockId) -> Result<Bytes, Error> {
        let request = self.view(to, data);
        ask(async { self.provider.call(request).block(at).await }).await
    }

    /// Whether there is code at an address.
    pub async fn has_code(&self, address: Address) -> Result<bool, Error> {
        let code = ask(async { self.provider.get_code_at(address).await }).await?;
        Ok(!code.is_empty())
    }

    /// The hash of the code at an address.
    pub async fn code_hash(&self, address: Address) -> Result<B256, Error> {
        let code = ask(async { self.provider.get_code_at(address).await }).await?;
        Ok(alloy_primitives::keccak256(code))
    }

    /// Whether there was code at an address, at the end of some block.
    pub async fn has_code_at(&self, address: Address, at: BlockId) -> Result<bool, Error> {
        let code = ask(async { self.provider.get_code_at(address).block_id(at).await }).await?;
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

    /// All that has to be known of an account before it sends, asked at once.
    pub async fn account(&self, account: Address, final_block: u64) -> Result<AccountState, Error> {
        let newest = ask(async { self.provider.get_block_by_number(BlockNumberOrTag::Latest).await });
        let (mined, counted, balance, fees, newest) = tokio::try_join!(
            self.nonce(account),
            self.nonce_at(account, final_block),
            self.balance(account),
            self.fees(),
            newest
        )?;
        let newest = newest.ok_or_else(|| Error::new(Code::ChainUnavailable, "the RPC has no newest block"))?;
        Ok(AccountState { mined, counted, balance, fees, block_gas: newest.header.gas_limit() })
    }

    /// Broadcasts a signed transaction. That the node has it already is no error; why it refuses one, and its words,
    /// are returned, since the receipt alone decides.
    pub async fn broadcast(&self, raw: &[u8]) -> Result<Option<(Refusal, String)>, Error> {
        let answer = tokio::time::timeout(TIME_LIMIT, async { self.provider.send_raw_transaction(raw).await }).await;
        match answer {
            Ok(Ok(_)) => Ok(None),
            Ok(Err(error)) => match error.as_error_resp() {
                Some(said) => Ok(refusal_of(&said.message).map(|refusal| (refusal, said.message.to_string()))),
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

/// This very block: a question about it fails once it is no longer part of the chain.
pub(super) const fn at_hash(block: B256) -> BlockId {
    BlockId::Hash(RpcBlockHash { block_hash: block, require_canonical: Some(true) })
}

/// A log of a block that was mined. Its time is left out: some nodes tell it, and others do not, and it must not keep two
/// of them from agreeing.
fn mined(log: types::Log) -> Option<Log> {
    let types::Log { inner, block_hash, block_number, log_index, removed, .. } = log;
    let (topics, data) = inner.data.split();
    Some(Log { address: inner.address, topics, data, block: block_number?, block_hash, index: log_index, removed })
}

/// Nodes share no codes for this; the words are those of geth, Nethermind, Besu, Erigon, reth and Anvil.
fn refusal_of(said: &str) -> Option<Refusal> {
    let said = said.to_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if any(&["already known", "already imported", "already exists", "known transaction", "alreadyknown"]) {
        return None;
    }
    Some(if any(&["nonce too low", "nonce is too low", "old nonce", "oldnonce", "nonce has already been used"]) {
        Refusal::NonceUsed
    } else if any(&["nonce too high", "nonce gap", "nonce is too distant", "noncegap"]) {
        Refusal::NonceGap
    } else if any(&["insufficient funds", "insufficient balance", "insufficientfunds", "overdraft", "upfront cost"]) {
        Refusal::Unaffordable
    } else if any(&["underpriced", "fee too low", "feetoolow", "base fee", "basefee", "replacement", "price too low"]) {
        Refusal::Underpriced
    } else if any(&["not an eoa", "deployed code", "has code", "sendernoeoa", "eip-3607"]) {
        Refusal::Code
    } else if any(&["intrinsic", "gas limit", "gaslimit", "floor", "oversized", "too large", "type not supported"]) {
        Refusal::Invalid
    } else {
        Refusal::Other
    })
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
    (said.code == 3 || text.contains("revert")).then(|| {
        // Some nodes say the contract's own error only there.
        let data = said.data.as_ref().map(|data| data.get().trim_matches('"')).unwrap_or_default();
        let selector = data.get(..10).filter(|selector| selector.starts_with("0x"));
        Estimate::Reverts(match selector {
            Some(selector) if !said.message.contains(selector) => format!("{} ({selector})", said.message),
            _ => said.message.to_string(),
        })
    })
}

fn unavailable(error: &TransportError) -> Error {
    // A transport's own text may hold the URL, and the URL an access token: only what is known to be clean is kept.
    let trouble = match error {
        TransportError::Transport(TransportErrorKind::Custom(error)) => error.downcast_ref::<Trouble>(),
        _ => None,
    };
    let said = match (error.as_error_resp(), trouble) {
        (Some(said), _) => said.message.to_string(),
        (None, Some(trouble)) => trouble.to_string(),
        (None, None) => "the RPC answers something that can't be read".to_owned(),
    };
    Error::new(Code::ChainUnavailable, said)
}

fn late() -> Error {
    Error::new(Code::ChainUnavailable, "the RPC does not answer in time")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nodes_say_is_understood() {
        for (said, refusal) in [
            ("already known", None),
            ("transaction already imported", None),
            ("nonce too low: next nonce 5, tx nonce 4", Some(Refusal::NonceUsed)),
            ("OldNonce, Current nonce: 5, nonce of rejected tx: 4", Some(Refusal::NonceUsed)),
            ("nonce too high", Some(Refusal::NonceGap)),
            ("replacement transaction underpriced", Some(Refusal::Underpriced)),
            ("max fee per gas less than block base fee: address 0x0", Some(Refusal::Underpriced)),
            ("insufficient funds for gas * price + value: balance 1, tx cost 2", Some(Refusal::Unaffordable)),
            ("Insufficient funds for gas * price + value", Some(Refusal::Unaffordable)),
            ("intrinsic gas too low: gas 1, minimum needed 21000", Some(Refusal::Invalid)),
            ("exceeds block gas limit", Some(Refusal::Invalid)),
            ("transaction gas limit too high (cap: 16777216, tx: 20000000)", Some(Refusal::Invalid)),
            ("sender not an eoa: address 0x0, codehash: 0x1", Some(Refusal::Code)),
            ("txpool is full", Some(Refusal::Other)),
        ] {
            assert_eq!(refusal_of(said), refusal, "{said}");
        }
    }
}
