//! What the hub says of itself and of others. Nothing of it is believed where the chain or a signature can say it.

use crate::failure::{Failure, Result};
use alloy_primitives::{Address, Bytes};
use farthing_protocol::sign::PublicKey;
use farthing_protocol::types::{Asset, ChannelDef};
use farthing_protocol::{Amount, Code, wire};

/// The version of the protocol that this client speaks.
const PROTOCOL: u32 = 1;

/// The answer of `farthing_config`.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the hub's OpenRPC document describes every field")]
pub struct Terms {
    pub protocol_version: u32,
    pub chain_id: u64,
    pub contract: Address,
    pub hub: HubKeys,
    pub challenge_period: Period,
    pub confirmations: u64,
    pub safety_margin: u64,
    pub min_lock_time: u64,
    pub max_lock_time: u64,
    pub max_locks: u32,
    pub assets: Vec<AssetTerms>,
}

/// Who the hub is.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the hub's OpenRPC document describes every field")]
pub struct HubKeys {
    pub owner: Address,
    pub signer: Address,
    pub public_key: PublicKey,
}

/// Challenge periods that the hub takes, in seconds.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the hub's OpenRPC document describes every field")]
pub struct Period {
    pub min: u32,
    pub max: u32,
    pub default: u32,
}

/// What the hub does in one asset.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the hub's OpenRPC document describes every field")]
pub struct AssetTerms {
    pub asset: Asset,
    pub symbol: String,
    pub decimals: u8,
    pub channel_capacity: Amount,
    pub min_payment: Amount,
    pub max_payment: Amount,
}

/// The parameters of `farthing_register`.
#[allow(missing_docs, missing_debug_implementations, reason = "the hub's OpenRPC document describes every field")]
pub struct Register<'a> {
    pub channel: &'a ChannelDef,
    pub public_key: PublicKey,
    pub binding: Option<&'a Bytes>,
}

wire!(read open struct Terms {
    protocol_version = "protocolVersion", chain_id = "chainId", contract, hub,
    challenge_period = "challengePeriod", confirmations, safety_margin = "safetyMargin",
    min_lock_time = "minLockTime", max_lock_time = "maxLockTime", max_locks = "maxLocks", assets
});
wire!(read open struct HubKeys { owner, signer, public_key = "publicKey" });
wire!(read open struct Period { min, max, default });
wire!(read open struct AssetTerms {
    asset, symbol, decimals, channel_capacity = "channelCapacity", min_payment = "minPayment",
    max_payment = "maxPayment"
});
wire!(write struct Register<'a> { channel, public_key = "publicKey", binding: optional });

impl Terms {
    /// Refuses what this client can't live with.
    pub fn check(&self) -> Result<()> {
        let bad = |detail: &'static str| Err(Failure::new(Code::BadTerms, detail));
        if self.protocol_version != PROTOCOL {
            return bad("The hub speaks another version of the protocol.");
        }
        if self.hub.public_key.address()? != self.hub.signer {
            return bad("The hub's public key is not its signer's.");
        }
        if self.challenge_period.min > self.challenge_period.max {
            return bad("The hub's challenge periods make no sense.");
        }
        Ok(())
    }

    /// The asset with this name: `ETH`, a symbol that the hub lists once, or a token's address.
    pub fn asset(&self, name: &str) -> Result<&AssetTerms> {
        let address: Option<Asset> = name.parse().ok();
        let mut found = self.assets.iter().filter(|terms| match address {
            Some(address) => terms.asset == address,
            None if name == "ETH" => terms.asset.is_zero(),
            None => terms.symbol == name && !terms.asset.is_zero(),
        });
        let Some(first) = found.next() else {
            let listed: Vec<&str> = self.assets.iter().map(|terms| terms.symbol.as_str()).collect();
            return Err(Failure::new(
                Code::UnknownAsset,
                format!("The hub lists {}, not {name:?}.", listed.join(", ")),
            ));
        };
        if found.next().is_some() {
            return Err(Failure::new(
                Code::UnknownAsset,
                format!("The hub lists {name:?} twice; give the token's address."),
            ));
        }
        Ok(first)
    }
}
