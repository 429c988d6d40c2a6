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
