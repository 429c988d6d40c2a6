//! Logs of the contract. Nodes refuse ranges that are too long for them, and say so in many ways: a range that was
//! refused is tried again by halves.

use super::Chain;
use super::node::of_thrown;
use super::verdict::Verdict;
use crate::failure::{Failure, Result};
use crate::js::{array, bytes, get, get_string, object, quantity};
use crate::task::Work;
use alloy_primitives::{Address, B256};
use alloy_sol_types::{SolEvent, SolType, sol_data};
use farthing_protocol::abi::IERC20::Transfer;
use farthing_protocol::abi::IFarthing::Deposited;
use farthing_protocol::chain::ChainFact;
use farthing_protocol::condition::ConditionKey;
use farthing_protocol::reading::{Log, Wanted, evidence_in};
use farthing_protocol::types::{Asset, ChannelId};
use farthing_protocol::{Amount, Code};
use js_sys::Array;
use wasm_bindgen::prelude::*;

/// Blocks that one request spans at most.
pub(super) const SPAN: u64 = 2_000;

/// After so many answers a node is asked for more than it once refused: it may have been its load, or another node's.
const WIDENS: u32 = 64;

impl Chain {
    /// Blocks that one request may span now.
    const fn span(&self) -> u64 {
        self.span.get()
    }

    /// After a failure: whether a shorter range may be asked for. What never reached the node, or was too much in too
    /// short a time, says nothing of ranges.
    fn narrow(&self, failure: &Failure, asked: u64) -> bool {
        let verdict = failure.cause().map(|cause| of_thrown("eth_getLogs", cause));
        let narrower = asked.min(self.span.get()).div_euclid(2);
        let narrows = matches!(verdict, Some(Verdict::NotServed | Verdict::Less | Verdict::Again)) && narrower > 0;
        if narrows {
            self.span.set(narrower);
            self.answered.set(0);
            // A node that is not well has not said that this was too much.
            if verdict != Some(Verdict::Again) {
                self.widest.set(asked.saturating_sub(1).min(self.widest.get()).max(narrower));
            }
        }
        narrows
    }

    /// The newest evidence for each key in these blocks, from the newest backwards, until each was found.
    pub async fn search_evidence(&self, mut keys: Vec<ConditionKey>, from: u64, to: u64) -> Result<Vec<ChainFact>> {
        let (mut found, mut to) = (Vec::new(), Some(to));
        while let Some(end) = to.filter(|end| *end >= from && !keys.is_empty()) {
            let start = end.saturating_sub(self.span().saturating_sub(1)).max(from);
            let mut facts = evidence_in(&self.logs(&Wanted::Evidence(keys.clone()), start, end).await?);
            // The last one of a key proves the most.
            facts.reverse();
            for fact in facts {
                if let ChainFact::Evidence { key, .. } = fact
                    && keys.contains(&key)
                {
                    keys.retain(|wanted| *wanted != key);
                    found.push(fact);
                }
            }
            to = start.checked_sub(1);
        }
        Ok(found)
    }

    /// The last block that is not after a time, Unix seconds, of those up to `newest`.
    pub async fn block_at(&self, time: u64, newest: u64) -> Result<u64> {
        // What is before `after` is not after the time.
        let (mut before, mut after) = (0, newest.saturating_add(1));
        while after.saturating_sub(before) > 1 {
            let middle = before.saturating_add(after.saturating_sub(before).div_euclid(2));
            if self.block(&format!("{middle:#x}")).await?.timestamp > time { after = middle } else { before = middle }
        }
        Ok(before)
    }

    /// Whether a transaction moved tokens of an account to the contract.
    async fn has_paid(&self, hash: &str, token: Asset, owner: Address) -> Result<bool> {
        let moved = [Transfer::SIGNATURE_HASH, owner.into_word(), self.domain.contract().into_word()];
        let logs = get(&self.receipt(hash).await?, "logs");
        let address = |log: &JsValue| get_string(log, "address").and_then(|address| address.parse().ok());
        let is_topic = |log: &JsValue, index: usize, topic: &B256| {
            let told = get(&get(log, "topics"), &index.to_string()).as_string();
            told.and_then(|told| told.parse().ok()) == Some(*topic)
        };
        Ok(logs.dyn_ref::<Array>().is_some_and(|logs| {
            logs.iter().any(|log| {
                address(&log) == Some(token)
                    && moved.iter().enumerate().all(|(index, topic)| is_topic(&log, index, topic))
            })
        }))
    }

    /// The transaction that put so much of an asset into our side of a channel from this block on, or one of the account's
    /// own, whoever sent it for a contract's account, that put in what a token's fee left of it.
    pub async fn deposit_since(
        &self,
        channel: ChannelId,
        asset: Asset,
        amount: Amount,
        owner: Address,
        from: u64,
    ) -> Result<Option<String>> {
        let topics = [Deposited::SIGNATURE_HASH, channel.0, asset.into_word()].map(|topic| topic.to_string());
        let filter = object([
            ("address", self.domain.contract().to_string().into()),
            ("fromBlock", format!("{from:#x}").into()),
            ("toBlock", "latest".into()),
            ("topics", array(topics).into()),
        ]);
        // A block that is not there yet is the start of no range for some nodes.
        let newest = self.rpc.number("eth_blockNumber", array::<JsValue>([])).await?;
        if newest < from {
            return Ok(None);
        }
        let logs = self.rpc.agreed("eth_getLogs", array([filter]), digest).await?;
        for log in logs.dyn_ref::<Array>().map(|logs| logs.to_vec()).unwrap_or_default() {
            let data = get_string(&log, "data").and_then(|data| bytes(&data)).unwrap_or_default();
            let Ok((side, _, arrived)) =
                <(sol_data::Uint<8>, sol_data::Uint<128>, sol_data::Uint<128>)>::abi_decode_params(&data)
            else {
                continue;
            };
            let Some(hash) = get_string(&log, "transactionHash").filter(|_| side == 0 && arrived <= amount.units())
            else {
                continue;
            };
            if arrived == amount.units() {
                return Ok(Some(hash));
            }
            let sent = self.rpc.request("eth_getTransactionByHash", array([hash.as_str()])).await?;
            if get_string(&sent, "from").and_then(|from| from.parse().ok()) == Some(owner)
                || self.has_paid(&hash, asset, owner).await?
            {
                return Ok(Some(hash));
            }
        }
        Ok(None)
    }

    /// The contract's logs of some blocks.
    pub(super) fn logs(&self, wanted: &Wanted, from: u64, to: u64) -> Work<'_, Vec<Log>> {
        let (event, second) = wanted.topics();
        let event = event.map_or(JsValue::NULL, |event| event.to_string().into());
        let second = match second.as_slice() {
            [] => JsValue::NULL,
            [only] => only.to_string().into(),
            several => array(several.iter().map(B256::to_string)).into(),
        };
        let topics = [event, second];
        Box::pin(self.read_logs(from, to, topics))
    }

    /// In as many steps as the node wants.
    async fn read_logs(&self, from: u64, to: u64, topics: [JsValue; 2]) -> Result<Vec<Log>> {
        let (mut logs, mut next) = (Vec::new(), from);
        while next <= to {
            let upto = to.min(next.saturating_add(self.span().saturating_sub(1)));
            let asked = upto.saturating_sub(next).saturating_add(1);
            match self.logs_of(next, upto, &topics).await {
                Err(failure) if self.narrow(&failure, asked) => {}
                read => {
                    logs.extend(read?);
                    next = upto.saturating_add(1);
                    self.answered.set(self.answered.get().saturating_add(1));
                    if self.answered.get() >= WIDENS {
                        self.answered.set(0);
                        self.widest.set(self.widest.get().saturating_mul(2).min(SPAN));
                    }
                    // What was refused once may have been refused for its load.
                    if asked >= self.span() {
                        self.span.set(self.span().saturating_add(self.span().div_ceil(4)).min(self.widest.get()));
                    }
                }
            }
        }
        Ok(logs)
    }

    async fn logs_of(&self, from: u64, to: u64, topics: &[JsValue; 2]) -> Result<Vec<Log>> {
        let filter = object([
            ("address", self.domain.contract().to_string().into()),
            ("fromBlock", format!("{from:#x}").into()),
            ("toBlock", format!("{to:#x}").into()),
            ("topics", array(topics.iter().cloned()).into()),
        ]);
        let logs = self.rpc.agreed("eth_getLogs", array([filter]), digest).await?;
        parse(&logs).ok_or_else(|| Failure::new(Code::ChainUnavailable, "The RPC gave no logs."))
    }
}

/// Whether these parameters ask for more than one block, so that less may be asked for.
pub(super) fn is_range(params: &Array) -> bool {
    let filter = params.get(0);
    get_string(&filter, "fromBlock") != get_string(&filter, "toBlock")
}

fn parse(logs: &JsValue) -> Option<Vec<Log>> {
    logs.dyn_ref::<Array>().and_then(|logs| logs.iter().map(|log| parse_one(&log)).collect())
}

/// What counts of logs: nodes add more, each its own.
fn digest(logs: &JsValue) -> Option<String> {
    let logs = parse(logs)?;
    Some(logs.iter().map(|log| format!("{} {:?} {}\n", log.block, log.topics, log.data)).collect())
}

fn parse_one(log: &JsValue) -> Option<Log> {
    let topics = get(log, "topics").dyn_into::<Array>().ok()?;
    Some(Log {
        address: get_string(log, "address")?.parse().ok()?,
        topics: topics.iter().map(|topic| topic.as_string()?.parse().ok()).collect::<Option<_>>()?,
        data: bytes(&get_string(log, "data")?)?.into(),
        block: quantity(&get(log, "blockNumber"))?,
        block_hash: get_string(log, "blockHash").and_then(|hash| hash.parse().ok()),
        index: quantity(&get(log, "logIndex")),
        removed: get(log, "removed").is_truthy(),
    })
}
