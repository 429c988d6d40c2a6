//! What a side has, and what of it is still to spend.

use super::Ledger;
use crate::amount::Amount;
use crate::error::Error;
use crate::types::{Asset, Side, Sides};

impl Ledger {
    /// What `side` may have spent at most: deposits and what it received, less what it withdrew or may still withdraw.
    /// `received` is what the side holds proofs for.
    pub(crate) fn funds(&self, asset: Asset, side: Side, received: Amount) -> Result<Amount, Error> {
        let Some(book) = self.book(asset) else {
            return Ok(Amount::ZERO);
        };
        let deposit = *book.deposits.of(side);
        deposit.plus(received)?.minus(book.withdrawn_counted(side))
    }

    /// What we can still spend of an asset, whatever becomes of everything signed so far. `told` is what the peer says
    /// that it has seen of the deposits.
    pub(crate) fn spendable(&self, asset: Asset, told: Option<Sides<Amount>>) -> Amount {
        let Some(book) = self.book(asset) else {
            return Amount::ZERO;
        };
        let received = book.inc.lane.transferred;
        let Ok(mut funds) = self.funds(asset, self.us, received) else {
            return Amount::ZERO;
        };
        if let Some(told) = told {
            // The peer refuses what it has not seen confirmed: spend by the lower of both views.
            let unseen = book.deposits.of(self.us).saturating_minus(*told.of(self.us));
            funds = funds.saturating_minus(unseen);
        }
        funds.saturating_minus(book.out.worst())
    }

    /// Confirmed deposits.
    pub(crate) fn deposits(&self, asset: Asset) -> Sides<Amount> {
        self.book(asset).map_or_else(Sides::default, |book| book.deposits)
    }

    /// What a side has withdrawn, counting everything signed until it has lapsed. [2]
    pub(crate) fn withdrawn_counted(&self, asset: Asset, side: Side) -> Amount {
        self.book(asset).map_or(Amount::ZERO, |book| book.withdrawn_counted(side))
    }
}
