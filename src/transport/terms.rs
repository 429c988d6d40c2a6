//! What the hub says of itself and of others. Nothing of it is believed where the chain or a signature can say it.

use crate::failure::{Failure, Result};
use alloy_primitives::{Address, Bytes};
use farthing_protocol::sign::PublicKey;
use farthing_protocol::types::{Asset, ChannelDef};
use farthing_protocol::{Amount, Code, wire};

/// The version of the protocol that this client speaks.
const PROTOCOL: u32 = 1;

/// Most confirmations that a hub may wait for: with more, nothing would ever count, an exit neither.
const MAX_CONFIRMATIONS: u64 = 10_000;

/// Most assets that a hub may list: the chain is asked about each.
const MAX_ASSETS: usize = 256;

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
wire!(write struct Terms {
    protocol_version = "protocolVersion", chain_id = "chainId", contract, hub,
    challenge_period = "challengePeriod", confirmations, safety_margin = "safetyMargin",
    min_lock_time = "minLockTime", max_lock_time = "maxLockTime", max_locks = "maxLocks", assets
});
wire!(write struct HubKeys { owner, signer, public_key = "publicKey" });
wire!(write struct Period { min, max, default });
wire!(write struct AssetTerms {
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
        if self.confirmations > MAX_CONFIRMATIONS {
            return bad("The hub waits for too many confirmations.");
        }
        if self.assets.len() > MAX_ASSETS {
            return bad("The hub lists too many assets.");
        }
        Ok(())
    }

    /// Refuses what another hub says than the one that said `known`. Limits may differ.
    pub fn check_same(&self, known: &Self) -> Result<()> {
        if (self.chain_id, self.contract) != (known.chain_id, known.contract) {
            return Err(Failure::new(Code::ChainMismatch, "The hub says another chain or contract than before."));
        }
        if (self.hub.owner, self.hub.signer) != (known.hub.owner, known.hub.signer) {
            return Err(Failure::new(Code::BadTerms, "Another hub answers at its URL."));
        }
        Ok(())
    }

    /// Takes over the assets that the hub listed before and does not any more: there may be money in them.
    pub fn keep_assets(&mut self, known: &Self) {
        for terms in &known.assets {
            if self.of(terms.asset).is_err() {
                self.assets.push(terms.clone());
            }
        }
    }

    /// What the hub does in an asset.
    pub fn of(&self, asset: Asset) -> Result<&AssetTerms> {
        self.assets.iter().find(|terms| terms.asset == asset).ok_or_else(|| Code::UnknownAsset.into())
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

#[cfg(test)]
mod tests {
    use super::*;
    use farthing_protocol::json;
    use farthing_protocol::sign::SecretKey;

    fn terms(assets: &[(u8, &str)]) -> Terms {
        let key = SecretKey::from_bytes(&[7; 32]).unwrap();
        let listed = |(asset, symbol): &(u8, &str)| AssetTerms {
            asset: Asset::repeat_byte(*asset),
            symbol: (*symbol).to_owned(),
            decimals: 18,
            channel_capacity: Amount::new(1_000),
            min_payment: Amount::new(1),
            max_payment: Amount::new(100),
        };
        Terms {
            protocol_version: PROTOCOL,
            chain_id: 31_337,
            contract: Address::repeat_byte(9),
            hub: HubKeys { owner: Address::repeat_byte(8), signer: key.address(), public_key: key.public_key() },
            challenge_period: Period { min: 60, max: 86_400, default: 3_600 },
            confirmations: 12,
            safety_margin: 600,
            min_lock_time: 1_800,
            max_lock_time: 86_400,
            max_locks: 256,
            assets: assets.iter().map(listed).collect(),
        }
    }

    #[test]
    fn what_is_stored_is_read_as_it_was() {
        let text = json::encode(&terms(&[(0, "ETH"), (1, "a \"dai\"")]));
        let read: Terms = json::decode(&text).unwrap();
        read.check().unwrap();
        assert_eq!(json::encode(&read), text);
    }

    #[test]
    fn another_chain_contract_owner_or_signer_is_another_hub_and_other_limits_are_not() {
        let known = terms(&[(0, "ETH")]);
        let refused = |change: fn(&mut Terms)| {
            let mut fresh = terms(&[(0, "ETH")]);
            change(&mut fresh);
            fresh.check_same(&known).err().map(|failure| failure.code())
        };
        assert_eq!(refused(|fresh| fresh.chain_id = 1), Some(Code::ChainMismatch));
        assert_eq!(refused(|fresh| fresh.contract = Address::ZERO), Some(Code::ChainMismatch));
        assert_eq!(refused(|fresh| fresh.hub.owner = Address::ZERO), Some(Code::BadTerms));
        assert_eq!(refused(|fresh| fresh.hub.signer = Address::ZERO), Some(Code::BadTerms));
        assert_eq!(refused(|fresh| (fresh.max_locks, fresh.assets) = (1, Vec::new())), None);
    }

    #[test]
    fn an_asset_that_is_not_listed_any_more_is_kept_with_its_terms() {
        let mut fresh = terms(&[(1, "NEW"), (2, "DAI")]);
        fresh.keep_assets(&terms(&[(0, "ETH"), (2, "OLD")]));
        let names: Vec<&str> = fresh.assets.iter().map(|terms| terms.symbol.as_str()).collect();
        assert_eq!(names, ["NEW", "DAI", "ETH"]);
    }

    #[test]
    fn confirmations_that_nobody_lives_to_see_are_refused() {
        let mut fresh = terms(&[]);
        fresh.confirmations = MAX_CONFIRMATIONS + 1;
        assert_eq!(fresh.check().unwrap_err().code(), Code::BadTerms);
    }
}
