//! Withdrawals and closings: what both sides sign to take money out at once, proposed and answered.

use super::{Channel, Event, Fact, SignedClosing, SignedWithdrawal};
use crate::amount::Amount;
use crate::error::{Code, Error};
use crate::message::{Closing, Message, Withdrawal};
use crate::reason::Matter;
use crate::sign::{SecretKey, Signature};
use crate::types::Asset;
use alloc::vec::Vec;
use alloy_primitives::{Address, Bytes};

impl Channel {
    /// Signs a withdrawal of ours and asks the peer to sign it too.
    #[allow(clippy::too_many_arguments, reason = "the terms of a withdrawal")]
    pub fn propose_withdrawal(
        &mut self,
        asset: Asset,
        amount: Amount,
        recipient: Address,
        owner_signature: Bytes,
        deadline: u64,
        submit: bool,
        key: &SecretKey,
    ) -> Result<Withdrawal, Error> {
        self.ledger.check_open(asset)?;
        if amount.is_zero() || recipient.is_zero() {
            return Err(Error::new(Code::InvalidArgument, "a withdrawal is of more than zero, to an account"));
        }
        let withdrawal = self.next_withdrawal(asset, amount, recipient, deadline)?;
        let signature = key.sign(self.ledger.withdrawal_digest(&withdrawal));
        let signatures = self.ledger.signatures(signature, None);
        let signed = SignedWithdrawal { withdrawal, signatures, owner_signature: owner_signature.clone(), submit };
        self.ledger.record(Fact::Withdrawal(signed));
        self.outbox.send(Message::WithdrawProposal { withdrawal, signature, owner_signature, submit });
        Ok(withdrawal)
    }

    /// The terms of the next withdrawal of ours, for the owner to sign where the recipient is another.
    pub fn next_withdrawal(
        &self,
        asset: Asset,
        amount: Amount,
        recipient: Address,
        deadline: u64,
    ) -> Result<Withdrawal, Error> {
        if amount > self.available(asset) {
            return Err(Code::InsufficientFunds.into());
        }
        if self.ledger.book(asset).is_none() {
            return Err(Code::InsufficientFunds.into());
        }
        // A withdrawal pays its recipient all up to its total. What an earlier one to another takes, if it is not mined
        // first, would go to this one.
        if self.open_withdrawals(asset).iter().any(|(open, _)| open.recipient != recipient) {
            return Err(Error::new(Code::Unanswered, "a withdrawal to another account may still be mined"));
        }
        let side = self.us();
        let total = self.ledger.withdrawn_counted(asset, side).plus(amount)?;
        Ok(Withdrawal { asset, side, total, recipient, deadline })
    }

    pub(super) fn handle_withdraw_proposal(
        &mut self,
        withdrawal: Withdrawal,
        signature: Signature,
        owner_signature: Bytes,
        submit: bool,
        key: &SecretKey,
        now: u64,
    ) {
        match self.cosign_withdrawal(withdrawal, signature, owner_signature, submit, key, now) {
            Ok(signature) => self.outbox.send(Message::WithdrawSigned { withdrawal, signature }),
            Err(error) => self.outbox.decline(Matter::Withdraw, &error),
        }
    }

    fn cosign_withdrawal(
        &mut self,
        withdrawal: Withdrawal,
        signature: Signature,
        owner_signature: Bytes,
        submit: bool,
        key: &SecretKey,
        now: u64,
    ) -> Result<Signature, Error> {
        if let Some(known) = self.ledger.signed_withdrawal(&withdrawal).cloned() {
            // A repeated proposal gets the same signature. Its transaction is asked for again only if that failed.
            if let Some(ours) = known.signatures.of(self.us()) {
                if self.outbox.calls().is_relaying() {
                    self.send_withdrawal(&known);
                }
                return Ok(*ours);
            }
        }
        let relaying = self.outbox.calls().is_relaying();
        self.ledger.check_withdrawal(&withdrawal, signature, &owner_signature, submit, relaying, now)?;
        let ours = key.sign(self.ledger.withdrawal_digest(&withdrawal));
        let signatures = self.ledger.signatures(ours, Some(signature));
        let signed = SignedWithdrawal { withdrawal, signatures, owner_signature, submit };
        self.ledger.record(Fact::Withdrawal(signed.clone()));
        self.withdrawal_ready(&signed);
        Ok(ours)
    }

    pub(super) fn handle_withdraw_signed(&mut self, withdrawal: &Withdrawal, signature: Signature) {
        let Some(signed) = self.ledger.signed_withdrawal(withdrawal) else {
            return;
        };
        let peer = self.us().other();
        let digest = self.ledger.withdrawal_digest(withdrawal);
        if signed.signatures.of(peer).is_some() || signature.verify(digest, self.peer_signer()).is_err() {
            return;
        }
        let mut signed = signed.clone();
        *signed.signatures.of_mut(peer) = Some(signature);
        self.ledger.record(Fact::Withdrawal(signed.clone()));
        self.withdrawal_ready(&signed);
    }

    /// Asks for the transaction if it is ours to send, and tells the owner of this channel.
    pub(super) fn withdrawal_ready(&mut self, signed: &SignedWithdrawal) {
        if signed.signatures.a.is_none() || signed.signatures.b.is_none() {
            return;
        }
        self.send_withdrawal(signed);
        self.outbox.emit(Event::WithdrawalReady { signed: signed.clone() });
    }

    /// Signs a closing of some assets and asks the peer to sign it too.
    pub fn propose_closing(
        &mut self,
        assets: &[Asset],
        deadline: u64,
        submit: bool,
        key: &SecretKey,
    ) -> Result<Closing, Error> {
        let entry = |asset: &Asset| self.ledger.closing_entry(*asset, !self.signing.queue().is_empty(*asset));
        let entries = assets.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        if entries.is_empty() {
            return Err(Error::new(Code::InvalidArgument, "a closing names at least one asset"));
        }
        let closing = Closing { assets: entries, deadline };
        let signature = key.sign(self.ledger.closing_digest(&closing));
        let signatures = self.ledger.signatures(signature, None);
        let signed = SignedClosing { closing: closing.clone(), signatures, proposer: self.us(), submit };
        self.ledger.record(Fact::Closing(signed));
        self.outbox.send(Message::CloseProposal { closing: closing.clone(), signature, submit });
        Ok(closing)
    }

    pub(super) fn handle_close_proposal(
        &mut self,
        closing: Closing,
        signature: Signature,
        submit: bool,
        key: &SecretKey,
        now: u64,
    ) {
        match self.cosign_closing(&closing, signature, submit, key, now) {
            Ok(signature) => self.outbox.send(Message::CloseSigned { closing, signature }),
            Err(error) => self.outbox.decline(Matter::Close, &error),
        }
    }

    fn cosign_closing(
        &mut self,
        closing: &Closing,
        signature: Signature,
        submit: bool,
        key: &SecretKey,
        now: u64,
    ) -> Result<Signature, Error> {
        if closing.assets.is_empty() {
            return Err(Code::InvalidArgument.into());
        }
        if let Some(known) = self.ledger.signed_closing(closing)
            && let Some(ours) = *known.signatures.of(self.us())
        {
            if self.outbox.calls().is_relaying() {
                self.send_closing(&known.clone());
            }
            return Ok(ours);
        }
        let is_queued = |asset| !self.signing.queue().is_empty(asset);
        let relaying = self.outbox.calls().is_relaying();
        self.ledger.check_closing(closing, signature, submit, relaying, &is_queued, now)?;
        let ours = key.sign(self.ledger.closing_digest(closing));
        let signatures = self.ledger.signatures(ours, Some(signature));
        let proposer = self.us().other();
        let signed = SignedClosing { closing: closing.clone(), signatures, proposer, submit };
        self.ledger.record(Fact::Closing(signed.clone()));
        self.closing_ready(&signed);
        Ok(ours)
    }

    pub(super) fn handle_close_signed(&mut self, closing: &Closing, signature: Signature) {
        let Some(signed) = self.ledger.signed_closing(closing) else {
            return;
        };
        let peer = self.us().other();
        let digest = self.ledger.closing_digest(closing);
        if signed.signatures.of(peer).is_some() || signature.verify(digest, self.peer_signer()).is_err() {
            return;
        }
        let mut signed = signed.clone();
        *signed.signatures.of_mut(peer) = Some(signature);
        self.ledger.record(Fact::Closing(signed.clone()));
        self.closing_ready(&signed);
    }

    pub(super) fn closing_ready(&mut self, signed: &SignedClosing) {
        if signed.signatures.a.is_none() || signed.signatures.b.is_none() {
            return;
        }
        self.send_closing(signed);
        self.outbox.emit(Event::ClosingReady { signed: signed.clone() });
    }

    /// Drops withdrawals and closings that can't be mined any more.
    pub(super) fn lapse_final(&mut self) {
        for fact in self.ledger.lapsed_agreements() {
            self.forget_asked(&fact);
            self.ledger.record(fact);
        }
        self.lapse_refused();
    }

    /// After a restart: asks again for the transactions of what both have signed.
    pub(crate) fn resume(&mut self) {
        for signed in self.ledger.withdrawals() {
            self.withdrawal_ready(&signed);
        }
        for signed in self.ledger.closings() {
            self.closing_ready(&signed);
        }
    }
}
