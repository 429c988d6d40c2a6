//! What is ours in a channel. Anybody can deposit anything into it, so that alone makes an asset no affair of ours.

use super::super::calls::ETH_PREIMAGE;
use super::Ledger;
use crate::amount::Amount;
use crate::chain::AssetStatus;
use crate::channel::AssetBook;
use crate::types::{Asset, ETH, Sides};
use alloc::vec::Vec;

impl Ledger {
    /// What a closing of everything names: open assets with money in them that are an affair of ours.
    pub(crate) fn closable(&self) -> Vec<Asset> {
        let open = |(asset, book): &(&Asset, &AssetBook)| {
            book.status == AssetStatus::Open && book.deposits != Sides::default() && self.concerns(asset, book)
        };
        self.state.assets.iter().filter(open).map(|(asset, _)| *asset).collect()
    }

    /// Whether we take note of what the chain says of an asset.
    pub(crate) fn takes(&self, asset: Asset) -> bool {
        match self.book(asset) {
            Some(book) => self.concerns(&asset, book),
            None => self.policy.assets.as_ref().is_none_or(|listed| listed.contains(&asset)),
        }
    }

    /// Whether an asset is an affair of ours: it is listed, or something was signed in it.
    pub(crate) fn concerns(&self, asset: &Asset, book: &AssetBook) -> bool {
        let AssetBook { out, inc, withdrawals, closing, .. } = book;
        let signed = out.highest > 0 || inc.seen > 0 || inc.bare.is_some();
        let agreed = !withdrawals.is_empty() || closing.is_some();
        self.policy.assets.as_ref().is_none_or(|listed| listed.contains(asset)) || signed || agreed
    }

    /// Whether an exit pays an asset out at our gas: it holds money, and our share of it may be worth that.
    pub(crate) fn is_worth_settling(&self, asset: &Asset, book: &AssetBook) -> bool {
        let dust = self.policy.dust.get(asset);
        let worth = dust.is_none_or(|dust| self.most_due(book) >= dust.threshold);
        book.deposits != Sides::default() && self.concerns(asset, book) && worth
    }

    /// The most that an exit may bring us of an asset.
    fn most_due(&self, book: &AssetBook) -> Amount {
        let received = book.inc.lane.spent().unwrap_or(Amount::MAX);
        let bare = book.inc.bare.map_or(Amount::ZERO, |bare| bare.proof.transferred);
        let most = book.deposits.of(self.us).plus(received.max(bare)).unwrap_or(Amount::MAX);
        let paid = book.out.acknowledged.map_or(Amount::ZERO, |(signed, _)| signed.proof.transferred);
        most.saturating_minus(*book.withdrawn.of(self.us)).saturating_minus(paid)
    }

    /// All that the channel may hold of an asset: the most that either side can win or lose.
    pub(crate) fn deposited(&self, asset: Asset) -> Amount {
        self.book(asset).and_then(|book| book.deposits.a.plus(book.deposits.b).ok()).unwrap_or_default()
    }

    pub(crate) fn nothing_to_settle(&self) -> bool {
        self.unsettled().next().is_none()
    }

    /// Assets that the chain holds something of for this channel, and that are worth settling.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = Asset> + '_ {
        let open = |(asset, book): &(&Asset, &AssetBook)| {
            book.status == AssetStatus::Open && self.is_worth_settling(asset, book)
        };
        self.state.assets.iter().filter(open).map(|(asset, _)| *asset)
    }

    /// The asset that a call about several of them is priced by, the one that is worth most, with its amount. Of
    /// different assets only the dust tells what they are worth in gas: one that we know and that has none comes
    /// first, since nobody can call it too little, and one that we do not know comes last.
    pub(crate) fn principal(&self, amounts: impl Iterator<Item = (Asset, Amount)>) -> (Asset, Amount) {
        let worth = |(asset, amount): &(Asset, Amount)| {
            let preimage = match (self.policy.dust.get(asset).map(|dust| dust.threshold.units()), *asset) {
                (None, ETH) | (Some(0), ETH) => ETH_PREIMAGE,
                (None, _) => return (0, *amount),
                (Some(0), _) => return (u128::MAX, *amount),
                (Some(threshold), _) => threshold,
            };
            (amount.units().div_euclid(preimage).saturating_add(1), *amount)
        };
        amounts.max_by_key(worth).unwrap_or_default()
    }

    /// Whether there is anything left to leave with.
    pub(crate) fn has_left_all(&self) -> bool {
        let mut ours = self.state.assets.iter().filter(|(asset, book)| self.is_worth_settling(asset, book));
        ours.all(|(_, book)| book.status == AssetStatus::Closed)
    }

    /// Whether an asset was settled and the proofs that it was settled by are not read.
    pub(crate) fn is_shown_missing(&self) -> bool {
        // A settled asset's proofs are read in the same breath as its status, or with the next block.
        let unread = |book: &AssetBook| book.status == AssetStatus::Settled && book.shown.is_none();
        self.state.assets.values().any(unread)
    }

    /// Whether any asset was settled.
    pub(crate) fn has_settled(&self) -> bool {
        self.state.assets.values().any(|book| book.status == AssetStatus::Settled)
    }
}
