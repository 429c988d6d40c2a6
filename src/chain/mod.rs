//! What the chain says, asked of the wallet's provider or of an RPC URL, never of the hub.

pub mod rpc;
pub mod send;

use crate::failure::{Failure, Result};
use crate::js::{array, bytes, get, get_string, hex, object, quantity};
use crate::task::{Changes, Work};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolEvent};
use farthing_protocol::abi::{IERC20, IFarthing};
use farthing_protocol::chain::{AssetStatus, ChainFact, Head};
use farthing_protocol::condition::ConditionKey;
use farthing_protocol::eip712::Domain;
use farthing_protocol::proof::LaneId;
use farthing_protocol::types::{Asset, ChannelId, Side, Sides};
use farthing_protocol::{Amount, Code};
use js_sys::Array;
use rpc::Rpc;
use std::cell::Cell;
use wasm_bindgen::prelude::*;

/// The contract on its chain, as one client sees it.
#[derive(Debug)]
pub struct Chain {
    /// Whom we ask.
    pub rpc: Rpc,
    /// Chain id and contract.
    pub domain: Domain,
    /// Blocks on top of a block before what is in it counts.
    pub confirmations: u64,
    /// Told of every new head.
    pub heads: Changes,
    head: Cell<Head>,
    sending: crate::task::Mutex,
}

/// What the logs of some blocks say about one channel.
#[derive(Debug, Default)]
pub struct News {
    /// Assets that changed in final blocks.
    pub assets: Vec<Asset>,
    /// An exit, in any block.
    pub exit: Option<u64>,
    /// Assets of an exit for which a proof was shown, or that were settled, in final blocks.
    pub shown: Vec<Asset>,
    /// Locks claimed in final blocks.
    pub claimed: Vec<ChainFact>,
}

impl Chain {
    /// Asks nothing yet.
    #[must_use]
    pub fn new(rpc: Rpc, domain: Domain, confirmations: u64) -> Self {
        Self {
            rpc,
            domain,
            confirmations,
            heads: Changes::default(),
            head: Cell::default(),
            sending: Default::default(),
        }
    }

    /// Refuses another chain and an address without the contract. Gives the least and the longest challenge period that
    /// the contract takes, in seconds.
    pub async fn check(&self) -> Result<(u32, u32)> {
        let mismatch = |detail: String| Err(Failure::new(Code::ChainMismatch, detail));
        let chain_id = self.rpc.number("eth_chainId", Array::new()).await?;
        if chain_id != self.domain.chain_id() {
            return mismatch(format!(
                "The wallet or RPC is on chain {chain_id}, the hub on {}.",
                self.domain.chain_id()
            ));
        }
        let contract = self.domain.contract();
        let code = self.rpc.text("eth_getCode", array([contract.to_string().as_str(), "latest"])).await?;
        if code.len() <= 2 {
            return mismatch(format!("There is no contract at {contract}."));
        }
        let bounds = (
            self.ask(contract, &IFarthing::minChallengePeriodCall {}, "latest").await,
            self.ask(contract, &IFarthing::maxChallengePeriodCall {}, "latest").await,
        );
        let bound = |words: Result<Words>| words?.number::<u32>(0);
        let (Ok(min), Ok(max)) = (bound(bounds.0), bound(bounds.1)) else {
            return mismatch(format!("What is at {contract} is not Farthing's contract."));
        };
        Ok((min, max))
    }

    /// The last head that was read.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head.get()
    }

    /// Reads the newest block and the newest final one.
    pub fn read_head(&self) -> Work<'_, Head> {
        Box::pin(self.read_blocks())
    }

    async fn read_blocks(&self) -> Result<Head> {
        let (number, timestamp) = self.block("latest").await?;
        let final_number = number.saturating_sub(self.confirmations);
        let known = self.head.get();
        let final_timestamp = if final_number == number {
            timestamp
        } else if known.final_number == final_number {
            known.final_timestamp
        } else {
            self.block(&format!("{final_number:#x}")).await?.1
        };
        let head = Head { number, timestamp, final_number, final_timestamp };
        self.head.set(head);
        Ok(head)
    }

    async fn block(&self, tag: &str) -> Result<(u64, u64)> {
        let block = self.rpc.request("eth_getBlockByNumber", array([JsValue::from(tag), false.into()])).await?;
        quantity(&get(&block, "number"))
            .zip(quantity(&get(&block, "timestamp")))
            .ok_or_else(|| Failure::new(Code::ChainUnavailable, "The RPC gave no block."))
    }

    /// Calls a view function at a block. All that is asked for are numbers.
    pub fn ask<C: SolCall>(&self, to: Address, call: &C, tag: &str) -> Work<'_, Words> {
        self.view(to, call.abi_encode(), tag, C::SIGNATURE)
    }

    fn view(&self, to: Address, data: Vec<u8>, tag: &str, what: &'static str) -> Work<'_, Words> {
        let request = object([("to", to.to_string().into()), ("data", hex(data).into())]);
        let asked = self.rpc.text("eth_call", array([request, tag.into()]));
        Box::pin(async move {
            let answer = asked.await?;
            let words = bytes(&answer).map(|data| data.chunks_exact(32).filter_map(U256::try_from_be_slice).collect());
            Ok(Words { words: words.unwrap_or_default(), what })
        })
    }

    /// The state of an asset at a block.
    pub fn asset(&self, channel: ChannelId, asset: Asset, block: u64) -> Work<'_, ChainFact> {
        Box::pin(self.read_asset(channel, asset, block))
    }

    async fn read_asset(&self, channel: ChannelId, asset: Asset, block: u64) -> Result<ChainFact> {
        let call = IFarthing::assetStateCall { channelId: channel.0, asset };
        let state = self.ask(self.domain.contract(), &call, &format!("{block:#x}")).await?;
        let amount = |index| state.number(index).map(Amount::new);
        Ok(ChainFact::Asset {
            asset,
            deposits: Sides { a: amount(0)?, b: amount(1)? },
            withdrawn: Sides { a: amount(2)?, b: amount(3)? },
            status: AssetStatus::from_index(state.number(4)?),
        })
    }

    /// The best proofs of an asset that an exit was shown, at a block.
    pub fn shown(&self, channel: ChannelId, asset: Asset, block: u64) -> Work<'_, ChainFact> {
        Box::pin(async move {
            let mut shown = Sides::default();
            for side in Side::BOTH {
                let call = IFarthing::laneStateCall { channelId: channel.0, asset, payer: side.index() };
                let lane = self.ask(self.domain.contract(), &call, &format!("{block:#x}")).await?;
                *shown.of_mut(side) = lane.number(0)?;
            }
            Ok(ChainFact::Shown { asset, shown })
        })
    }

    /// What was claimed of a lock of a settled lane, at a block.
    pub fn claimed(&self, channel: ChannelId, lane: LaneId, slot: u16, block: u64) -> Work<'_, ChainFact> {
        Box::pin(async move {
            let (asset, payer) = (lane.asset, lane.payer.index());
            let call = IFarthing::claimedCall { channelId: channel.0, asset, payer, slot };
            let claim = self.ask(self.domain.contract(), &call, &format!("{block:#x}")).await?;
            let returned = claim.number::<u32>(1)? != 0;
            Ok(ChainFact::Claimed { lane, slot, units: claim.number(0)?, returned })
        })
    }

    /// When the channel's exit ends, if one has started by this block. The block is named, since a node that lags
    /// behind would deny an exit that another one has shown.
    pub async fn exit_ends_at(&self, channel: ChannelId, block: u64) -> Result<Option<u64>> {
        let call = IFarthing::exitEndsAtCall { channelId: channel.0 };
        let ends_at: u64 = self.ask(self.domain.contract(), &call, &format!("{block:#x}")).await?.number(0)?;
        Ok(Some(ends_at).filter(|ends_at| *ends_at > 0))
    }

    /// What the contract may take of the owner's tokens.
    pub async fn allowance(&self, token: Address, owner: Address) -> Result<U256> {
        self.ask(token, &IERC20::allowanceCall { owner, spender: self.domain.contract() }, "latest").await?.number(0)
    }

    /// What an account has of an asset.
    pub async fn balance(&self, asset: Asset, owner: Address) -> Result<U256> {
        if asset != farthing_protocol::ETH {
            return self.ask(asset, &IERC20::balanceOfCall { owner }, "latest").await?.number(0);
        }
        let balance = self.rpc.text("eth_getBalance", array([owner.to_string().as_str(), "latest"])).await?;
        balance.parse().map_err(|_| Failure::new(Code::ChainUnavailable, "The RPC gave no balance."))
    }

    /// What the logs from one block to the newest say of a channel.
    pub async fn news(&self, channel: ChannelId, from: u64, head: Head) -> Result<News> {
        let mut news = News::default();
        for log in self.logs(from, head.number, [JsValue::NULL, channel.to_string().into()]).await? {
            let is_final = log.block <= head.final_number;
            match log.topics.first() {
                Some(&IFarthing::ExitStarted::SIGNATURE_HASH) => {
                    news.exit = U256::try_from_be_slice(&log.data).and_then(|word| u64::try_from(word).ok());
                }
                Some(&IFarthing::LockClaimed::SIGNATURE_HASH) if is_final => news.claimed.extend(claim(log)),
                Some(event) if is_final => {
                    let Some(asset) = log.topics.get(2).map(|topic| Address::from_word(*topic)) else { continue };
                    let settled = *event == IFarthing::Settled::SIGNATURE_HASH;
                    let shown = *event == IFarthing::ProofSubmitted::SIGNATURE_HASH;
                    if (shown || settled) && !news.shown.contains(&asset) {
                        news.shown.push(asset);
                    }
                    let moved = [
                        IFarthing::Deposited::SIGNATURE_HASH,
                        IFarthing::Withdrawn::SIGNATURE_HASH,
                        IFarthing::Closed::SIGNATURE_HASH,
                    ];
                    if (settled || moved.contains(event)) && !news.assets.contains(&asset) {
                        news.assets.push(asset);
                    }
                }
                _ => {}
            }
        }
        Ok(news)
    }

    /// Evidence that was recorded for any of these keys in final blocks.
    pub fn evidence<'a>(&'a self, keys: &'a [ConditionKey], from: u64, to: u64) -> Work<'a, Vec<ChainFact>> {
        Box::pin(self.read_evidence(keys, from, to))
    }

    async fn read_evidence(&self, keys: &[ConditionKey], from: u64, to: u64) -> Result<Vec<ChainFact>> {
        let event = IFarthing::EvidenceRecorded::SIGNATURE_HASH.to_string();
        let keys = array(keys.iter().map(|key| key.0.to_string()));
        let logs = self.logs(from, to, [event.into(), keys.into()]).await?;
        Ok(logs.iter().filter_map(recorded).collect())
    }

    /// Evidence that was recorded for any of these keys before this client looked.
    pub async fn recorded_evidence(&self, keys: &[ConditionKey], to: u64) -> Result<Vec<ChainFact>> {
        let mut recorded = Vec::new();
        for key in keys {
            let call = IFarthing::unitsOfCall { key: key.0 };
            if self.ask(self.domain.contract(), &call, &format!("{to:#x}")).await?.number::<u32>(0)? > 0 {
                recorded.push(*key);
            }
        }
        // Most often nothing was, and the long range is not asked for.
        if recorded.is_empty() { Ok(Vec::new()) } else { self.evidence(&recorded, 0, to).await }
    }

    /// The units recorded for each key at a block, zero included.
    pub async fn recorded_units(
        &self,
        keys: impl IntoIterator<Item = ConditionKey>,
        at: u64,
    ) -> Result<Vec<ChainFact>> {
        let mut facts = Vec::new();
        for key in keys {
            let call = IFarthing::unitsOfCall { key: key.0 };
            let units = self.ask(self.domain.contract(), &call, &format!("{at:#x}")).await?.number(0)?;
            facts.push(ChainFact::Evidence { key, units, evidence: Bytes::new() });
        }
        Ok(facts)
    }

    fn logs(&self, from: u64, to: u64, topics: [JsValue; 2]) -> Work<'_, Vec<Log>> {
        Box::pin(self.read_logs(from, to, topics))
    }

    async fn read_logs(&self, from: u64, to: u64, topics: [JsValue; 2]) -> Result<Vec<Log>> {
        let filter = object([
            ("address", self.domain.contract().to_string().into()),
            ("fromBlock", format!("{from:#x}").into()),
            ("toBlock", format!("{to:#x}").into()),
            ("topics", array(topics).into()),
        ]);
        let logs = self.rpc.request("eth_getLogs", array([filter])).await?;
        let logs = logs.dyn_ref::<Array>().and_then(|logs| logs.iter().map(|log| Log::parse(&log)).collect());
        logs.ok_or_else(|| Failure::new(Code::ChainUnavailable, "The RPC gave no logs."))
    }
}

fn claim(log: Log) -> Option<ChainFact> {
    let claimed = IFarthing::LockClaimed::decode_raw_log(log.topics, &log.data).ok()?;
    let lane = LaneId { asset: claimed.asset, payer: Side::from_index(claimed.payer).ok()? };
    Some(ChainFact::Claimed { lane, slot: claimed.slot, units: claimed.units, returned: claimed.returned })
}

/// The numbers that a view function returned.
#[derive(Debug)]
pub struct Words {
    words: Vec<U256>,
    what: &'static str,
}

impl Words {
    /// The number in this place, if it has so few bits.
    pub fn number<T: TryFrom<U256>>(&self, index: usize) -> Result<T> {
        let number = self.words.get(index).and_then(|word| T::try_from(*word).ok());
        number.ok_or_else(|| Failure::new(Code::ChainUnavailable, format!("{} answered something else.", self.what)))
    }
}

/// `EvidenceRecorded(bytes32 indexed key, uint32 units, bytes evidence)`.
fn recorded(log: &Log) -> Option<ChainFact> {
    let [IFarthing::EvidenceRecorded::SIGNATURE_HASH, key] = log.topics.as_slice() else { return None };
    // A number in the data, which is also how lengths and the places of what has one are told.
    let number = |at: usize| u32::try_from(U256::try_from_be_slice(log.data.get(at..at.checked_add(32)?)?)?).ok();
    let place = |at: usize| usize::try_from(number(at)?).ok();
    let length = place(32)?;
    let (start, count) = (length.checked_add(32)?, place(length)?);
    let evidence = log.data.get(start..start.checked_add(count)?)?;
    Some(ChainFact::Evidence { key: ConditionKey(*key), units: number(0)?, evidence: Bytes::copy_from_slice(evidence) })
}

struct Log {
    block: u64,
    topics: Vec<B256>,
    data: Bytes,
}

impl Log {
    fn parse(log: &JsValue) -> Option<Self> {
        let topics = get(log, "topics").dyn_into::<Array>().ok()?;
        Some(Self {
            block: quantity(&get(log, "blockNumber"))?,
            topics: topics.iter().map(|topic| topic.as_string()?.parse().ok()).collect::<Option<_>>()?,
            data: bytes(&get_string(log, "data")?)?.into(),
        })
    }
}
