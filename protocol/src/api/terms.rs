//! What a hub says of itself, and what a client can live with. Nothing of it is believed where the chain or a signature
//! can say it. A client keeps what it reads of them, so a field that is read stays; one that is only told does not.

use super::PROTOCOL_VERSION;
use super::relay::RelayTerms;
use crate::amount::Amount;
use crate::error::{Code, Error};
use crate::json::wire;
use crate::sign::PublicKey;
use crate::types::Asset;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloy_primitives::Address;
use core::fmt;

/// Most confirmations that a hub may wait for: with more, nothing would ever count, an exit neither.
const MAX_CONFIRMATIONS: u64 = 10_000;

/// Most assets that a hub may list: the chain is asked about each.
const MAX_ASSETS: usize = 256;

/// What is said of a hub of another version.
const NEWER_HUB: &str = "The hub speaks a newer version of the protocol: update the package.";
const OLDER_HUB: &str = "The hub speaks an older version of the protocol, and has to be updated.";

/// Most letters of a symbol that are shown.
const MAX_SYMBOL: usize = 16;

/// What a client has to know before it opens a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// [`PROTOCOL_VERSION`].
    pub protocol_version: u32,
    /// EIP-155.
    pub chain_id: u64,
    /// The contract.
    pub contract: Address,
    /// Who it is.
    pub hub: HubKeys,
    /// Challenge periods that it takes.
    pub challenge_period: Period,
    /// Blocks until something counts.
    pub confirmations: u64,
    /// Seconds between the ends of two locks of one payment.
    pub safety_margin: u64,
    /// The least time of a lock, in seconds.
    pub min_lock_time: u64,
    /// The most, in seconds.
    pub max_lock_time: u64,
    /// Most locks in a lane.
    pub max_locks: u32,
    /// [`super::limits::MAX_MESSAGE`], for whoever has no description but the hub's own.
    pub max_message_bytes: Option<u64>,
    /// How it sends deposits of those who have no ETH, if it does.
    pub relay: Option<RelayTerms>,
    /// What it deals in.
    pub assets: Vec<AssetTerms>,
}

/// Who the hub is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HubKeys {
    /// The account that its funds go to.
    pub owner: Address,
    /// Whose signature counts.
    pub signer: Address,
    /// Of the signer.
    pub public_key: PublicKey,
}

/// Challenge periods that the hub takes, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Period {
    /// The shortest.
    pub min: u32,
    /// The longest.
    pub max: u32,
    /// Where nobody says which.
    pub default: u32,
}

/// What the hub does in one asset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AssetTerms {
    /// Which one.
    pub asset: Asset,
    /// Its name for people.
    pub symbol: String,
    /// Of its unit for people.
    pub decimals: u8,
    /// The most that both sides together put into a channel.
    pub channel_capacity: Amount,
    /// The least payment.
    pub min_payment: Amount,
    /// The largest.
    pub max_payment: Amount,
    /// What the hub puts into a channel with a deposit.
    pub collateral: Option<Amount>,
    /// The most that it puts into one without.
    pub stranger_collateral: Option<Amount>,
    /// What it takes for sending a deposit; where it does not say, it sends none.
    pub deposit_fee: Option<Amount>,
}

wire!(open struct Terms {
    protocol_version = "protocolVersion", chain_id = "chainId", contract, hub,
    challenge_period = "challengePeriod", confirmations, safety_margin = "safetyMargin",
    min_lock_time = "minLockTime", max_lock_time = "maxLockTime", max_locks = "maxLocks",
    max_message_bytes = "maxMessageBytes": told, relay: optional, assets
});
wire!(open struct HubKeys { owner, signer, public_key = "publicKey" });
wire!(open struct Period { min, max, default });
wire!(open struct AssetTerms {
    asset, symbol, decimals, channel_capacity = "channelCapacity", min_payment = "minPayment",
    max_payment = "maxPayment", collateral: told, stranger_collateral = "strangerCollateral": told,
    deposit_fee = "depositFee": optional
});

impl AssetTerms {
    /// An amount as people read it, with the symbol and the decimals that the hub gives.
    pub fn show(&self, units: impl fmt::Display) -> String {
        let decimals = usize::from(self.decimals);
        let digits = format!("{units:0>width$}", units = units.to_string(), width = decimals.saturating_add(1));
        let (whole, part) = digits.split_at(digits.len().saturating_sub(decimals));
        let part = part.trim_end_matches('0');
        let symbol: String = self.symbol.chars().filter(|c| !c.is_control()).take(MAX_SYMBOL).collect();
        if part.is_empty() { format!("{whole} {symbol}") } else { format!("{whole}.{part} {symbol}") }
    }
}

impl Terms {
    /// Refuses what this client can't live with.
    pub fn check(&self) -> Result<(), Error> {
        let bad = |detail: &'static str| Err(Error::new(Code::BadTerms, detail));
        if self.protocol_version != PROTOCOL_VERSION {
            return bad(if self.protocol_version > PROTOCOL_VERSION { NEWER_HUB } else { OLDER_HUB });
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
    pub fn check_same(&self, known: &Self) -> Result<(), Error> {
        if (self.chain_id, self.contract) != (known.chain_id, known.contract) {
            return Err(Error::new(Code::ChainMismatch, "The hub says another chain or contract than before."));
        }
        if (self.hub.owner, self.hub.signer) != (known.hub.owner, known.hub.signer) {
            return Err(Error::new(Code::BadTerms, "Another hub answers at its URL."));
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
    pub fn of(&self, asset: Asset) -> Result<&AssetTerms, Error> {
        self.assets.iter().find(|terms| terms.asset == asset).ok_or_else(|| Code::UnknownAsset.into())
    }

    /// The asset with this name: `ETH`, a symbol that the hub lists once, or a token's address.
    pub fn asset(&self, name: &str) -> Result<&AssetTerms, Error> {
        let address: Option<Asset> = name.parse().ok();
        let mut found = self.assets.iter().filter(|terms| match address {
            Some(address) => terms.asset == address,
            None if name == "ETH" => terms.asset.is_zero(),
            None => terms.symbol == name && !terms.asset.is_zero(),
        });
        let Some(first) = found.next() else {
            let listed: Vec<&str> = self.assets.iter().map(|terms| terms.symbol.as_str()).collect();
            return Err(Error::new(Code::UnknownAsset, format!("The hub lists {}, not {name:?}.", listed.join(", "))));
        };
        if found.next().is_some() {
            return Err(Error::new(
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
    use crate::json;
    use crate::sign::SecretKey;

    fn terms(assets: &[(u8, &str)]) -> Terms {
        let key = SecretKey::from_bytes(&[7; 32]).unwrap();
        let listed = |(asset, symbol): &(u8, &str)| AssetTerms {
            asset: Asset::repeat_byte(*asset),
            symbol: (*symbol).to_owned(),
            decimals: 18,
            channel_capacity: Amount::new(1_000),
            min_payment: Amount::new(1),
            max_payment: Amount::new(100),
            collateral: Some(Amount::new(500)),
            stranger_collateral: Some(Amount::ZERO),
            deposit_fee: None,
        };
        Terms {
            protocol_version: PROTOCOL_VERSION,
            chain_id: 31_337,
            contract: Address::repeat_byte(9),
            hub: HubKeys { owner: Address::repeat_byte(8), signer: key.address(), public_key: key.public_key() },
            challenge_period: Period { min: 60, max: 86_400, default: 3_600 },
            confirmations: 12,
            safety_margin: 600,
            min_lock_time: 1_800,
            max_lock_time: 86_400,
            max_locks: 256,
            max_message_bytes: Some(65_536),
            relay: None,
            assets: assets.iter().map(listed).collect(),
        }
    }

    #[test]
    fn what_is_stored_is_read_as_it_was() {
        let fresh = terms(&[(0, "ETH"), (1, "a \"dai\"")]);
        let read: Terms = json::decode(&json::encode(&fresh)).unwrap();
        read.check().unwrap();
        let text = json::encode(&read);
        assert_eq!(json::decode::<Terms>(&text).unwrap(), read);
        for told in ["maxMessageBytes", "collateral", "strangerCollateral"] {
            assert!(json::encode(&fresh).contains(told) && !text.contains(told), "{told} is told, and not kept");
        }
        let key = json::encode(&read.hub.public_key);
        let asset = r#"{"asset":"0x0101010101010101010101010101010101010101","symbol":"a \"dai\"","decimals":18,"#;
        assert!(text.starts_with(r#"{"protocolVersion":1,"chainId":31337,"contract":"0x0909"#), "{text}");
        assert!(
            text.contains(&format!(
                r#","publicKey":{key}}},"challengePeriod":{{"min":60,"max":86400,"default":3600}},"#
            ))
        );
        let end = r#""channelCapacity":"1000","minPayment":"1","maxPayment":"100"}]}"#;
        assert!(text.contains(r#""maxLocks":256,"assets":["#) && text.ends_with(&format!("{asset}{end}")), "{text}");
    }

    #[test]
    fn another_chain_contract_owner_or_signer_is_another_hub_and_other_limits_are_not() {
        let known = terms(&[(0, "ETH")]);
        let refused = |change: fn(&mut Terms)| {
            let mut fresh = terms(&[(0, "ETH")]);
            change(&mut fresh);
            fresh.check_same(&known).err().map(|error| error.code())
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
    fn amounts_are_shown_with_their_decimals_and_symbol() {
        let shown = |decimals, units: u128| {
            let mut terms = terms(&[(0, "ETH")]).assets.remove(0);
            terms.decimals = decimals;
            terms.show(units)
        };
        assert_eq!(shown(18, 1), "0.000000000000000001 ETH");
        assert_eq!(shown(18, 1_500_000_000_000_000_000), "1.5 ETH");
        assert_eq!(shown(18, 0), "0 ETH");
        assert_eq!(shown(6, 20_000_000), "20 ETH");
        assert_eq!(shown(0, 120), "120 ETH");
    }

    #[test]
    fn confirmations_that_nobody_lives_to_see_are_refused() {
        let mut fresh = terms(&[]);
        fresh.confirmations = MAX_CONFIRMATIONS + 1;
        assert_eq!(fresh.check().unwrap_err().code(), Code::BadTerms);
    }
}
