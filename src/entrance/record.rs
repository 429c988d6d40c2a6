//! Which channel is stored, and what the chain says of a channel as a whole.

use crate::chain::Chain;
use crate::failure::{Failure, Result};
use crate::store::Store;
use crate::task::Work;
use crate::transport::terms::Terms;
use alloy_primitives::Bytes;
use farthing_protocol::chain::{AssetStatus, ChainFact};
use farthing_protocol::types::{ChannelDef, ChannelId};
use farthing_protocol::{Code, json, wire};

/// What the store holds beside the wallet's own records.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) channel: ChannelDef,
    pub(crate) binding: Option<Bytes>,
    /// A channel of this account's with this hub in which there was money when this one was chosen, of a key that we
    /// don't have.
    pub(crate) elsewhere: Option<ChannelDef>,
}

wire!(open struct Record { channel, binding, elsewhere });

pub(crate) async fn load_record(store: &dyn Store, key: &str) -> Result<Option<Record>> {
    let entries = store.load(key).await?;
    entries.iter().find(|(found, _)| found == key).map(|(_, value)| read(value)).transpose()
}

/// All records whose key starts with a prefix, in the order of their keys.
pub(crate) async fn load_records(store: &dyn Store, prefix: &str) -> Result<Vec<Record>> {
    store.load(prefix).await?.iter().map(|(_, value)| read(value)).collect()
}

fn read(value: &[u8]) -> Result<Record> {
    let text = core::str::from_utf8(value).ok();
    let record = text.and_then(|text| json::decode(text).ok());
    record.ok_or_else(|| Failure::new(Code::StorageCorrupt, "The record of the channel can't be read."))
}

/// What the chain says of a channel, over all assets: whether anything happened, and whether anything is still open.
pub(crate) fn usage<'a>(chain: &'a Chain, terms: &'a Terms, id: ChannelId, block: u64) -> Work<'a, (bool, bool)> {
    Box::pin(read_usage(chain, terms, id, block))
}

async fn read_usage(chain: &Chain, terms: &Terms, id: ChannelId, block: u64) -> Result<(bool, bool)> {
    let (mut used, mut open) = (false, false);
    for fact in chain.states(id, terms.assets.iter().map(|terms| terms.asset), block).await? {
        let ChainFact::Asset { deposits, status, .. } = fact else { continue };
        let funded = !deposits.a.is_zero() || !deposits.b.is_zero();
        used |= funded || status != AssetStatus::Open;
        open |= funded && status == AssetStatus::Open;
    }
    Ok((used, open))
}

/// Whether all that happened in a channel is closed, in the final block.
pub(crate) async fn is_over(chain: &Chain, terms: &Terms, def: &ChannelDef) -> Result<bool> {
    let id = def.id(chain.domain.chain_id(), chain.domain.contract());
    let (used, open) = usage(chain, terms, id, chain.head().final_number).await?;
    Ok(used && !open)
}

/// Whether there is money in a channel that is not over, by the chain's word.
pub(crate) async fn holds_money(chain: &Chain, terms: &Terms, def: &ChannelDef) -> Result<bool> {
    let id = def.id(chain.domain.chain_id(), chain.domain.contract());
    Ok(usage(chain, terms, id, chain.head().number).await?.1)
}
