//! Who sends what both have signed: the proposer itself, or its peer at the peer's gas.
//!
//! Invariant: a transaction is asked for once for each idempotency key, until it failed or lapsed. A repeated proposal
//! is answered with what was signed, and costs nothing else.

use super::{CallId, Channel, Fact, SignedClosing, SignedWithdrawal};
use crate::amount::Amount;
use crate::chain::{ChainCall, Purpose};
use crate::error::{Code, Error};
use crate::message::{Closing, Message, Withdrawal};
use crate::types::{Asset, Sides};

impl Channel {
    /// Sends ourselves what the peer was asked to send: it refused, or does not get on with it. The terms and our
    /// signature stay the same, so it can be mined once only.
    pub fn withdraw_ourselves(&mut self, withdrawal: &Withdrawal) -> Result<(), Error> {
        let known = self.ledger.signed_withdrawal(withdrawal).filter(|_| withdrawal.side == self.us());
        let mut signed = known.cloned().ok_or_else(|| Error::from(Code::UnknownPayment))?;
        if !signed.submit {
            return Ok(());
        }
        signed.submit = false;
        self.ledger.record(Fact::Withdrawal(signed.clone()));
        match (signed.signatures.of(self.ledger.us()), signed.signatures.of(self.ledger.us().other())) {
            (Some(ours), None) => {
                let SignedWithdrawal { withdrawal, owner_signature, submit, .. } = signed;
                self.outbox.send(Message::WithdrawProposal { withdrawal, signature: *ours, owner_signature, submit });
            }
            _ => self.withdrawal_ready(&signed),
        }
        Ok(())
    }

    /// The same for a closing of ours.
    pub fn close_ourselves(&mut self, closing: &Closing) -> Result<(), Error> {
        if closing.assets.is_empty() {
            return Err(Code::InvalidArgument.into());
        }
        let known = self.ledger.signed_closing(closing).filter(|known| known.proposer == self.us());
        let mut signed = known.cloned().ok_or_else(|| Error::from(Code::UnknownPayment))?;
        if !signed.submit {
            return Ok(());
        }
        signed.submit = false;
        self.ledger.record(Fact::Closing(signed.clone()));
        match (signed.signatures.of(self.ledger.us()), signed.signatures.of(self.ledger.us().other())) {
            (Some(ours), None) => {
                let SignedClosing { closing, submit, .. } = signed;
                self.outbox.send(Message::CloseProposal { closing, signature: *ours, submit });
            }
            _ => self.closing_ready(&signed),
        }
        Ok(())
    }

    /// Withdrawals of ours that may still be mined, the earliest first, each with what it adds to those before it.
    #[must_use]
    pub fn open_withdrawals(&self, asset: Asset) -> Vec<(Withdrawal, Amount)> {
        let us = self.us();
        let Some(book) = self.ledger.book(asset) else { return Vec::new() };
        let ours = book.withdrawals.iter().map(|signed| signed.withdrawal).filter(|open| open.side == us);
        let mut open: Vec<Withdrawal> = ours.collect();
        open.sort_by_key(|withdrawal| withdrawal.total);
        let mut before = *book.withdrawn.of(us);
        let adds = |withdrawal: Withdrawal| {
            let adds = withdrawal.total.saturating_minus(before);
            before = before.max(withdrawal.total);
            (withdrawal, adds)
        };
        open.into_iter().map(adds).collect()
    }

    /// The closing of ours that names an asset and may still be mined.
    #[must_use]
    pub fn open_closing(&self, asset: Asset) -> Option<&Closing> {
        let signed = self.ledger.book(asset)?.closing.as_ref()?;
        (signed.proposer == self.us()).then_some(&signed.closing)
    }

    /// Goes on with a withdrawal that was signed before, by the same terms and signatures: whatever kept it from being
    /// mined, it takes the money out once. Gives whether the peer sends it, which it is asked for only if it was at first.
    pub fn repeat_withdrawal(&mut self, withdrawal: &Withdrawal, relay: bool) -> Result<bool, Error> {
        let known = self.ledger.signed_withdrawal(withdrawal).filter(|_| withdrawal.side == self.us());
        let signed = known.cloned().ok_or_else(|| Error::from(Code::UnknownPayment))?;
        if signed.submit && !relay {
            return self.withdraw_ourselves(withdrawal).map(|()| false);
        }
        let ours = *signed.signatures.of(self.us());
        match ours.filter(|_| signed.submit || signed.signatures.of(self.us().other()).is_none()) {
            Some(signature) => {
                let SignedWithdrawal { withdrawal, owner_signature, submit, .. } = signed;
                self.outbox.send(Message::WithdrawProposal { withdrawal, signature, owner_signature, submit });
                Ok(submit)
            }
            None => {
                self.withdrawal_ready(&signed);
                Ok(false)
            }
        }
    }

    /// The same for a closing of ours.
    pub fn repeat_closing(&mut self, closing: &Closing, relay: bool) -> Result<bool, Error> {
        let known = self.ledger.signed_closing(closing).filter(|known| known.proposer == self.us());
        let signed = known.cloned().ok_or_else(|| Error::from(Code::UnknownPayment))?;
        if signed.submit && !relay {
            return self.close_ourselves(closing).map(|()| false);
        }
        let ours = *signed.signatures.of(self.us());
        match ours.filter(|_| signed.submit || signed.signatures.of(self.us().other()).is_none()) {
            Some(signature) => {
                let SignedClosing { closing, submit, .. } = signed;
                self.outbox.send(Message::CloseProposal { closing, signature, submit });
                Ok(submit)
            }
            None => {
                self.closing_ready(&signed);
                Ok(false)
            }
        }
    }

    /// Asks for the transaction if it is ours to send and was not asked for.
    pub(super) fn send_withdrawal(&mut self, signed: &SignedWithdrawal) {
        let (Some(a), Some(b)) = (signed.signatures.a, signed.signatures.b) else { return };
        if (signed.withdrawal.side == self.ledger.us()) == signed.submit {
            return;
        }
        let Withdrawal { asset, side, total, .. } = signed.withdrawal;
        let call = ChainCall::Withdraw {
            channel: *self.ledger.def(),
            withdrawal: signed.withdrawal,
            signatures: Sides { a, b },
            owner_signature: signed.owner_signature.clone(),
        };
        let before = self.ledger.book(asset).map_or(Amount::ZERO, |book| *book.withdrawn.of(side));
        let purpose = purpose_of(side == self.ledger.us(), asset, total.saturating_minus(before));
        self.outbox.ask(CallId::withdrawal(self.ledger.id(), &signed.withdrawal), call, purpose);
    }

    /// The same for a closing.
    pub(super) fn send_closing(&mut self, signed: &SignedClosing) {
        let (Some(a), Some(b)) = (signed.signatures.a, signed.signatures.b) else { return };
        if (signed.proposer == self.ledger.us()) == signed.submit {
            return;
        }
        let call = ChainCall::Close {
            channel: *self.ledger.def(),
            closing: signed.closing.clone(),
            signatures: Sides { a, b },
        };
        let shares = signed.closing.assets.iter().map(|entry| (entry.asset, *entry.totals.of(self.ledger.us())));
        let (asset, amount) = self.ledger.principal(shares);
        let purpose = purpose_of(signed.proposer == self.ledger.us(), asset, amount);
        self.outbox.ask(CallId::closing(self.ledger.id(), &signed.closing), call, purpose);
    }

    /// It can't be mined any more, or was: nothing of it is kept.
    pub(super) fn forget_asked(&mut self, fact: &Fact) {
        let id = match fact {
            Fact::WithdrawalLapsed(withdrawal) => CallId::withdrawal(self.ledger.id(), withdrawal),
            Fact::ClosingLapsed(closing) => CallId::closing(self.ledger.id(), closing),
            _ => return,
        };
        self.outbox.calls_mut().fail(&id);
    }
}

const fn purpose_of(is_ours: bool, asset: Asset, amount: Amount) -> Purpose {
    if is_ours { Purpose::Collect { asset, amount } } else { Purpose::Serve { asset, amount } }
}
