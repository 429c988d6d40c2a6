//! Names of calls. A name stands for one content for ever, after a restart too: whoever is asked for it again need not
//! look at the content.

use crate::amount::Amount;
use crate::condition::ConditionKey;
use crate::message::{Closing, Withdrawal};
use crate::proof::LaneId;
use crate::types::{Asset, ChannelId, Side};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloy_primitives::{B256, keccak256};
use core::fmt::{Display, Formatter, Result};

/// Idempotency key of a call; its text is what drivers store.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId {
    channel: ChannelId,
    name: Name,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Name {
    /// Starts our exit, asked for at this block.
    Exit {
        block: u64,
    },
    Withdrawal {
        asset: Asset,
        side: Side,
        total: Amount,
        deadline: u64,
    },
    Closing {
        assets: Vec<Asset>,
        deadline: u64,
    },
    Collateral {
        asset: Asset,
        total: Amount,
    },
    One(Item),
    /// Of a kind, by what they hash to.
    Many {
        kind: &'static str,
        hash: B256,
    },
}

/// One of the things that a call can be about along with others of its kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Item {
    /// A proof that is shown to an exit, asked for at this block.
    Proof { ends_at: u64, lane: LaneId, nonce: u64, block: u64 },
    /// An asset that is settled.
    Settle { asset: Asset },
    /// What is claimed of a lock.
    Claim { lane: LaneId, slot: u16, units: u32 },
    /// Evidence that is recorded.
    Evidence { key: ConditionKey, units: u32 },
}

impl Item {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Proof { .. } => "proofs",
            Self::Settle { .. } => "settle",
            Self::Claim { .. } => "claim",
            Self::Evidence { .. } => "evidence",
        }
    }
}

impl CallId {
    /// The call that starts our exit.
    pub(crate) const fn exit(channel: ChannelId, block: u64) -> Self {
        Self { channel, name: Name::Exit { block } }
    }

    /// The call that pays a withdrawal out.
    #[must_use]
    pub const fn withdrawal(channel: ChannelId, withdrawal: &Withdrawal) -> Self {
        let Withdrawal { asset, side, total, deadline, .. } = *withdrawal;
        Self { channel, name: Name::Withdrawal { asset, side, total, deadline } }
    }

    /// The call that closes assets.
    #[must_use]
    pub fn closing(channel: ChannelId, closing: &Closing) -> Self {
        let assets = closing.assets.iter().map(|entry| entry.asset).collect();
        Self { channel, name: Name::Closing { assets, deadline: closing.deadline } }
    }

    /// The deposit that brings a hub's to this total.
    #[must_use]
    pub const fn collateral(channel: ChannelId, asset: Asset, total: Amount) -> Self {
        Self { channel, name: Name::Collateral { asset, total } }
    }

    /// A call about items of one kind, of which there is at least one.
    pub(crate) fn of_items(channel: ChannelId, items: &[Item]) -> Self {
        let name = match items {
            [item] => Name::One(*item),
            items => {
                let texts: Vec<String> = items.iter().map(Item::to_string).collect();
                let kind = items.first().map_or("", Item::kind);
                Name::Many { kind, hash: keccak256(texts.join("\n")) }
            }
        };
        Self { channel, name }
    }

    /// Whether it starts an exit.
    #[must_use]
    pub const fn starts_exit(&self) -> bool {
        matches!(self.name, Name::Exit { .. })
    }

    /// Whether both sides have signed what it does.
    #[must_use]
    pub const fn is_agreed(&self) -> bool {
        matches!(self.name, Name::Withdrawal { .. } | Name::Closing { .. })
    }
}

impl Display for CallId {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        write!(to, "{}/", self.channel)?;
        match &self.name {
            Name::Exit { block } => write!(to, "exit/{block}"),
            Name::Withdrawal { asset, side, total, deadline } => {
                write!(to, "withdraw/{asset}/{}/{total}/{deadline}", side.index())
            }
            Name::Closing { assets, deadline } => {
                let assets: Vec<String> = assets.iter().map(Asset::to_string).collect();
                write!(to, "close/{}/{deadline}", assets.join("+"))
            }
            Name::Collateral { asset, total } => write!(to, "collateral/{asset}/{total}"),
            Name::One(item) => item.fmt(to),
            Name::Many { kind, hash } => write!(to, "{kind}/{hash}"),
        }
    }
}

impl Display for Item {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        write!(to, "{}/", self.kind())?;
        match self {
            Self::Proof { ends_at, lane, nonce, block } => {
                write!(to, "{ends_at}/{}/{}/{nonce}/{block}", lane.asset, lane.payer.index())
            }
            Self::Settle { asset } => asset.fmt(to),
            Self::Claim { lane, slot, units } => write!(to, "{}/{}/{slot}/{units}", lane.asset, lane.payer.index()),
            Self::Evidence { key, units } => write!(to, "{}/{units}", key.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ClosingAsset;
    use crate::types::{ETH, Sides};
    use alloc::format;
    use alloy_primitives::Address;

    /// Hubs store these texts, and look them up after a restart of another build.
    #[test]
    fn the_texts_of_names_stay_as_they_are() {
        let channel = ChannelId(B256::repeat_byte(0xcc));
        let token = Address::repeat_byte(0xab);
        assert_eq!(format!("{token}"), "0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB");
        let (total, lane) = (Amount::new(70), LaneId { asset: token, payer: Side::B });
        let withdrawal = Withdrawal { asset: token, side: Side::A, total, recipient: token, deadline: 9 };
        let entry = |asset| ClosingAsset { asset, totals: Sides::default(), deposits: Sides::default() };
        let closing = Closing { assets: [entry(token), entry(ETH)].into(), deadline: 8 };
        let (zero, key) = ("0x0000000000000000000000000000000000000000", ConditionKey(B256::repeat_byte(1)));
        let items = [
            (Item::Proof { ends_at: 4, lane, nonce: 3, block: 2 }, format!("proofs/4/{token}/1/3/2")),
            (Item::Settle { asset: ETH }, format!("settle/{zero}")),
            (Item::Claim { lane, slot: 5, units: 6 }, format!("claim/{token}/1/5/6")),
            (Item::Evidence { key, units: 7 }, format!("evidence/{}/7", B256::repeat_byte(1))),
        ];
        let mut told = [
            (CallId::exit(channel, 12), String::from("exit/12")),
            (CallId::withdrawal(channel, &withdrawal), format!("withdraw/{token}/0/70/9")),
            (CallId::closing(channel, &closing), format!("close/{token}+{zero}/8")),
            (CallId::collateral(channel, token, total), format!("collateral/{token}/70")),
        ]
        .to_vec();
        told.extend(items.iter().map(|(item, text)| (CallId::of_items(channel, &[*item]), text.clone())));
        let both = [Item::Settle { asset: ETH }, Item::Settle { asset: token }];
        let hash = keccak256(format!("settle/{zero}\nsettle/{token}"));
        told.push((CallId::of_items(channel, &both), format!("settle/{hash}")));
        for (id, text) in told {
            assert_eq!(id.to_string(), format!("{channel}/{text}"));
            assert_eq!(id.starts_exit(), text.starts_with("exit/"), "{text}");
            assert_eq!(id.is_agreed(), text.starts_with("withdraw/") || text.starts_with("close/"), "{text}");
        }
    }
}
