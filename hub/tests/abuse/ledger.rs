//! What the chain says: blocks, channels, and what they paid.

use crate::field::OpenLock;
use crate::support::{Chain, until};
use alloy_primitives::{Address, B256, Bytes, Log};
use alloy_sol_types::{SolCall, SolEvent};
use farthing_hub::chain::Block;
use farthing_protocol::abi::IFarthing;
use farthing_protocol::{ChannelDef, ChannelId, ETH};
use serde_json::json;
use std::collections::BTreeMap;

/// The newest block. On a busy machine the node may take its time.
pub async fn newest(chain: &Chain) -> Block {
    until("the node tells its newest block", || async { chain.rpc.latest().await.ok() }).await
}

/// How many transactions of an account are mined.
pub async fn nonce(chain: &Chain, account: Address) -> u64 {
    until("the node tells a nonce", || async { chain.rpc.nonce(account).await.ok() }).await
}

/// What a call of the contract returns.
pub async fn view<C: SolCall>(chain: &Chain, call: C) -> C::Return {
    let data = Bytes::from(call.abi_encode());
    until("the contract answers", || async {
        let answer = chain.rpc.call_latest(chain.contract, data.clone()).await.ok()?;
        C::abi_decode_returns(&answer).ok()
    })
    .await
}

/// Every channel that was ever opened, by the contract's events.
pub async fn channels(chain: &Chain) -> BTreeMap<ChannelId, ChannelDef> {
    let opened = logs(chain, IFarthing::ChannelOpened::SIGNATURE_HASH).await;
    let opened = opened.iter().filter_map(|log| IFarthing::ChannelOpened::decode_log(log).ok());
    opened.map(|event| (ChannelId(event.channelId), ChannelDef::from(&event.channel))).collect()
}

/// What sides A got when their channels ended, in ETH.
pub async fn paid_out(chain: &Chain) -> BTreeMap<ChannelId, u128> {
    let settled = logs(chain, IFarthing::Settled::SIGNATURE_HASH).await;
    let settled = settled.iter().filter_map(|log| IFarthing::Settled::decode_log(log).ok());
    settled.map(|event| (ChannelId(event.channelId), event.paidA)).collect()
}

async fn logs(chain: &Chain, topic: B256) -> Vec<Log> {
    let filter = json!([{ "address": chain.contract, "fromBlock": "0x0", "topics": [topic] }]);
    let found = chain.ask("eth_getLogs", filter).await;
    found
        .as_array()
        .into_iter()
        .flatten()
        .map(|log| {
            let topics = serde_json::from_value(log["topics"].clone()).unwrap();
            Log::new_unchecked(chain.contract, topics, serde_json::from_value(log["data"].clone()).unwrap())
        })
        .collect()
}

/// What locks of payers who are gone still bring the hub: their evidence is on chain, and it has not claimed them yet.
pub async fn claims(chain: &Chain, locks: &[OpenLock]) -> u128 {
    let mut sum = 0;
    for lock in locks {
        let units = view(chain, IFarthing::unitsOfCall { key: lock.key.0 }).await;
        let claimed = IFarthing::claimedCall { channelId: lock.channel.0, asset: ETH, payer: 0, slot: lock.slot };
        if units > 0 && view(chain, claimed).await.units == 0 {
            sum += lock.value;
        }
    }
    sum
}
