//! Which channel it is: the one that is stored, one that the chain knows, or a new one.

use super::Settings;
use super::backup::{self, Restored};
use super::pay::look_up;
use crate::chain::Chain;
use crate::failure::{Failure, Result};
use crate::signer::typed_data;
use crate::store::Store;
use crate::transport::terms::Terms;
use alloy_primitives::Bytes;
use farthing_protocol::chain::{AssetStatus, ChainFact};
use farthing_protocol::hub::PayeeInfo;
use farthing_protocol::json;
use farthing_protocol::sign::{SecretKey, Signature};
use farthing_protocol::types::{ChannelDef, ChannelId, Participant};
use farthing_protocol::{Code, abi, wire};

/// Channels of the same participants that are looked at, one after the other.
const MAX_SALT: u64 = 64;

/// What the store holds beside the wallet's own records.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) channel: ChannelDef,
    pub(super) binding: Option<Bytes>,
}

wire!(write struct Record { channel, binding });
wire!(read open struct Record { channel, binding });

pub(super) async fn load_record(store: &dyn Store, key: &str) -> Result<Option<Record>> {
    let entries = store.load(key).await?;
    let found = entries.iter().find(|(found, _)| found == key);
    let corrupt = || Failure::new(Code::StorageCorrupt, "The record of the channel can't be read.");
    let read = |value| json::decode(core::str::from_utf8(value).ok()?).ok();
    found.map(|(_, value)| read(value).ok_or_else(corrupt)).transpose()
}

/// What the chain says of a channel, over all assets: whether anything happened, and whether anything is still open.
pub(super) async fn usage(chain: &Chain, terms: &Terms, id: ChannelId, block: u64) -> Result<(bool, bool)> {
    let (mut used, mut open) = (false, false);
    for terms in &terms.assets {
        let ChainFact::Asset { deposits, status, .. } = chain.asset(id, terms.asset, block).await? else { continue };
        let funded = !deposits.a.is_zero() || !deposits.b.is_zero();
        used |= funded || status != AssetStatus::Open;
        open |= funded && status == AssetStatus::Open;
    }
    Ok((used, open))
}

pub(super) async fn is_over(chain: &Chain, terms: &Terms, def: &ChannelDef) -> Result<bool> {
    let id = def.id(chain.domain.chain_id(), chain.domain.contract());
    let (used, open) = usage(chain, terms, id, chain.head().final_number).await?;
    Ok(used && !open)
}

/// The first channel that the chain knows nothing of, or the one with money in it: that is told, too. One that is in use there and not in the store is taken up again
/// from a backup only: what was signed in it is unknown otherwise.
pub(super) async fn choose_channel(
    settings: &Settings,
    terms: &Terms,
    chain: &Chain,
    key: &SecretKey,
    challenge_period: Result<u32>,
    first_salt: u64,
) -> Result<(Record, bool, Option<(Vec<u8>, Restored)>)> {
    let owner = settings.owner.address();
    let ours = |challenge_period, salt| ChannelDef {
        a: Participant { owner, signer: key.address() },
        b: Participant { owner: terms.hub.owner, signer: terms.hub.signer },
        challenge_period,
        salt,
    };
    // The channel that the hub knows us by may have another challenge period than a new one would have.
    let (mut listed, mut binding) = (None, None);
    if let Ok(answer) = look_up(&settings.hub, key.address()).await {
        let PayeeInfo { channel, binding: given, .. } = answer;
        listed = Some(channel).filter(|def| *def == ours(def.challenge_period, def.salt) && def.salt >= first_salt);
        binding = listed.and(given);
    }
    let mut salts = first_salt..first_salt.saturating_add(MAX_SALT);
    loop {
        let known = listed.take();
        let channel = match known {
            Some(known) => known,
            None => match salts.next() {
                Some(salt) => ours(challenge_period.clone()?, salt),
                None => break,
            },
        };
        channel.check()?;
        let id = channel.id(chain.domain.chain_id(), chain.domain.contract());
        let (used, open) = usage(chain, terms, id, chain.head().number).await?;
        if open {
            let found = match backup::find(settings, key, id).await {
                // What the hub shows will do; but a place of the owner's may have more, and would be written over.
                Err(failure) if settings.adopt && settings.backup.is_none() && failure.code() != Code::NotConnected => {
                    None
                }
                found => found?,
            };
            if let Some((backup, restored)) = found {
                return Ok((Record { channel, binding: backup.binding }, true, Some((backup.snapshot, restored))));
            }
            if !settings.adopt {
                let detail = format!(
                    "The chain knows channel {id} of this account with money in it; this store does not, and there is \
                     no backup of it. With adopt: true the hub is asked for what it holds."
                );
                return Err(Failure::new(Code::StateOutdated, detail));
            }
        } else if used || known.is_some() {
            continue;
        }
        let is_ours = |binding: &Bytes| {
            let digest = chain.domain.digest(&abi::Binding { owner, signer: key.address(), channelId: id.0 });
            Signature::from_slice(binding).is_ok_and(|signature| signature.verify(digest, owner).is_ok())
        };
        let given = binding.take().filter(|binding| known.is_some() && is_ours(binding));
        let binding = match given {
            _ if owner == key.address() => None,
            Some(given) => Some(given),
            None => {
                Some(settings.owner.sign(&typed_data::binding(&chain.domain, owner, key.address(), id)).await?.into())
            }
        };
        return Ok((Record { channel, binding }, open, None));
    }
    Err(Failure::new(Code::Unsupported, "This account has closed too many channels with this hub."))
}
