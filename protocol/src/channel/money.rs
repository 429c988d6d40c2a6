//! What a channel holds, for its owner: what the chain confirms, what is pending, and what was agreed.

use super::{AssetBook, Channel};
use crate::amount::Amount;
use crate::chain::AssetStatus;
use crate::message::{Closing, Withdrawal};
use crate::types::{Asset, Side, Sides};
use alloc::vec::Vec;

/// What the chain says of an asset, confirmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OnChain {
    /// All that was ever put in.
    pub deposits: Sides<Amount>,
    /// All that was ever taken out.
    pub withdrawn: Sides<Amount>,
    /// What became of it.
    pub status: AssetStatus,
}

/// What a side has of an asset beside what it can spend.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Holdings {
    /// In payments of ours that are not settled.
    pub locked_out: Amount,
    /// In payments to us that are not settled.
    pub locked_in: Amount,
    /// What the peer can still pay us, as far as we know.
    pub receivable: Amount,
}

impl Channel {
    /// All assets that something is known of.
    pub fn assets(&self) -> impl Iterator<Item = Asset> + '_ {
        self.ledger.state().assets.keys().copied()
    }

    /// Whether anything is known of an asset.
    pub(crate) fn knows(&self, asset: Asset) -> bool {
        self.ledger.book(asset).is_some()
    }

    /// What the chain says of an asset.
    #[must_use]
    pub fn on_chain(&self, asset: Asset) -> OnChain {
        self.ledger.book(asset).map_or_else(OnChain::default, |book| OnChain {
            deposits: book.deposits,
            withdrawn: book.withdrawn,
            status: book.status,
        })
    }

    /// What we have of an asset beside what we can spend.
    #[must_use]
    pub fn holdings(&self, asset: Asset) -> Holdings {
        let Some(book) = self.ledger.book(asset) else { return Holdings::default() };
        let received = book.out.lane.transferred;
        let spent = book.inc.lane.spent().unwrap_or(Amount::MAX);
        let theirs = self.ledger.funds(asset, self.us().other(), received).unwrap_or_default();
        Holdings {
            locked_out: book.out.worst().saturating_minus(book.out.lane.transferred),
            locked_in: book.inc.lane.locked,
            receivable: theirs.saturating_minus(spent),
        }
    }

    /// Confirmed deposits of a side.
    pub(crate) fn deposit(&self, asset: Asset, side: Side) -> Amount {
        *self.ledger.deposits(asset).of(side)
    }

    /// Whether a side has put anything in itself.
    pub(crate) fn has_deposit(&self, side: Side) -> bool {
        self.ledger.state().assets.values().any(|book| !book.deposits.of(side).is_zero())
    }

    /// Whether anybody has put anything in.
    pub(crate) fn is_funded(&self) -> bool {
        self.assets().any(|asset| self.ledger.has_deposits(asset))
    }

    /// What a side has withdrawn, counting everything signed until it has lapsed. [2]
    pub(crate) fn withdrawn_counted(&self, asset: Asset, side: Side) -> Amount {
        self.ledger.withdrawn_counted(asset, side)
    }

    /// What a side has put in and not taken out again.
    pub(crate) fn stake(&self, asset: Asset, side: Side) -> Amount {
        self.deposit(asset, side).saturating_minus(self.withdrawn_counted(asset, side))
    }

    /// What our side holds: all that we would lose sight of if the peer vanished, locked or not.
    pub(crate) fn holding(&self, asset: Asset) -> Amount {
        let Some(book) = self.ledger.book(asset) else { return Amount::ZERO };
        let received = book.deposits.of(self.us()).plus(book.inc.lane.transferred).unwrap_or(Amount::MAX);
        received.saturating_minus(book.withdrawn_counted(self.us())).saturating_minus(book.out.lane.transferred)
    }

    /// What a closing of everything names: open assets with money in them that are an affair of ours.
    #[must_use]
    pub fn closable(&self) -> Vec<Asset> {
        self.ledger.closable()
    }

    /// Whether we take note of what the chain says of an asset.
    #[must_use]
    pub fn takes(&self, asset: Asset) -> bool {
        self.ledger.takes(asset)
    }

    /// Whether the peer has said that it counts the same deposits as we do. It signs no closing before.
    #[must_use]
    pub fn peer_counts(&self, asset: Asset) -> bool {
        self.ledger.book(asset).is_some_and(|book| self.link.counts(asset, &book.deposits))
    }

    /// Whether a withdrawal has both signatures, or is paid out already.
    #[must_use]
    pub fn is_agreed_withdrawal(&self, withdrawal: &Withdrawal) -> bool {
        let Withdrawal { asset, side, total, .. } = withdrawal;
        let mined = self.ledger.book(*asset).is_some_and(|book| *book.withdrawn.of(*side) >= *total);
        mined
            || self
                .ledger
                .signed_withdrawal(withdrawal)
                .is_some_and(|signed| signed.signatures.of(side.other()).is_some())
    }

    /// Whether a withdrawal may still be mined.
    #[must_use]
    pub fn is_open_withdrawal(&self, withdrawal: &Withdrawal) -> bool {
        self.ledger.signed_withdrawal(withdrawal).is_some()
    }

    /// Whether withdrawals of a side may still be mined.
    pub(crate) fn is_withdrawing(&self, asset: Asset, side: Side) -> bool {
        let of_side = |book: &AssetBook| book.withdrawals.iter().any(|signed| signed.withdrawal.side == side);
        self.ledger.book(asset).is_some_and(of_side)
    }

    /// Whether anything is pending in it: locks in either lane, or withdrawals.
    pub(crate) fn is_busy(&self) -> bool {
        self.ledger.lock_count() > 0 || self.ledger.state().assets.values().any(|book| !book.withdrawals.is_empty())
    }

    /// Whether a closing of ours has the peer's signature, or was mined already.
    #[must_use]
    pub fn is_agreed_closing(&self, closing: &Closing) -> bool {
        let first = closing.assets.first().map(|entry| entry.asset).unwrap_or_default();
        let over = self.ledger.book(first).is_some_and(|book| book.status != AssetStatus::Open);
        let peer = self.us().other();
        over || self.ledger.signed_closing(closing).is_some_and(|signed| signed.signatures.of(peer).is_some())
    }

    /// Whether a closing that names an asset may still be mined.
    #[must_use]
    pub fn is_closing(&self, asset: Asset) -> bool {
        self.ledger.book(asset).is_some_and(|book| book.closing.is_some())
    }
}
