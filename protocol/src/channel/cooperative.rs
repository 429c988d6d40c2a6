//! Withdrawals and closings: what both sides sign to take money out at once.

use super::{Channel, Event, Fact};
use crate::amount::Amount;
use crate::chain::{AssetStatus, ChainCall};
use crate::codec::stored;
use crate::error::{Code, Error};
use crate::message::{Closing, ClosingAsset, Message, Withdrawal};
use crate::sign::{SecretKey, Signature};
use crate::types::{Asset, Side, Sides};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use alloy_primitives::{Address, Bytes};

/// A withdrawal and the signatures under it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedWithdrawal {
    /// The terms.
    pub withdrawal: Withdrawal,
    /// The signers' signatures.
    pub signatures: Sides<Option<Signature>>,
    /// The owner's, where the recipient is another.
    pub owner_signature: Bytes,
    /// Whether the side that does not withdraw sends the transaction.
    pub submit: bool,
}

stored!(struct SignedWithdrawal { withdrawal, signatures, owner_signature, submit });

/// A closing and the signatures under it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedClosing {
    /// The terms.
    pub closing: Closing,
    /// The signers' signatures.
    pub signatures: Sides<Option<Signature>>,
    /// Who proposed it.
    pub proposer: Side,
    /// Whether the side that did not propose sends the transaction.
    pub submit: bool,
}

stored!(struct SignedClosing { closing, signatures, proposer, submit });

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
        self.check_open(asset)?;
        if amount.is_zero() || recipient.is_zero() {
            return Err(Error::new(Code::InvalidArgument, "a withdrawal is of more than zero, to an account"));
        }
        let withdrawal = self.next_withdrawal(asset, amount, recipient, deadline)?;
        let signature = key.sign(self.domain.digest(&withdrawal.to_abi(self.id)));
        let mut signatures = Sides::default();
        *signatures.of_mut(self.us) = Some(signature);
        self.record(Fact::Withdrawal(SignedWithdrawal {
            withdrawal,
            signatures,
            owner_signature: owner_signature.clone(),
            submit,
        }));
        self.send(Message::WithdrawProposal { withdrawal, signature, owner_signature, submit });
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
        let book = self.book(asset).ok_or_else(|| Error::from(Code::InsufficientFunds))?;
        let total = book.withdrawn_counted(self.us).plus(amount)?;
        Ok(Withdrawal { asset, side: self.us, total, recipient, deadline })
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
            Ok(signature) => self.send(Message::WithdrawSigned { withdrawal, signature }),
            Err(error) => self.decline("withdraw", &error),
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
        let asset = withdrawal.asset;
        let digest = self.domain.digest(&withdrawal.to_abi(self.id));
        let known = self
            .book(asset)
            .and_then(|book| book.withdrawals.iter().find(|signed| signed.withdrawal == withdrawal).cloned());
        if let Some(known) = known {
            // A repeated proposal gets the same signature, and the transaction is asked for again.
            if let Some(ours) = known.signatures.of(self.us) {
                self.withdrawal_ready(&known);
                return Ok(*ours);
            }
        }
        self.check_open(asset)?;
        self.check_fresh(now)?;
        let peer = self.us.other();
        if withdrawal.side != peer {
            return Err(Error::new(Code::InvalidArgument, "a side proposes withdrawals of its own funds"));
        }
        self.check_deadline(withdrawal.deadline, now)?;
        signature.verify(digest, self.peer_signer())?;
        let book = self.book(asset).ok_or_else(|| Error::from(Code::InsufficientFunds))?;
        if withdrawal.total <= book.withdrawn_counted(peer) {
            return Err(Error::new(Code::InvalidArgument, "the new total must be above every earlier one"));
        }
        if book.withdrawals.len() >= self.policy.max_withdrawals {
            return Err(Error::new(Code::LimitExceeded, "too many withdrawals are signed and not mined"));
        }
        if submit {
            let amount = withdrawal.total.saturating_minus(book.withdrawn_counted(peer));
            let least = self.policy.relay_least.get(&asset).copied().unwrap_or_default();
            if !self.policy.relay || amount < least {
                return Err(Error::new(Code::LimitExceeded, "we do not send this transaction; send it yourself"));
            }
        }
        // Only what the peer can't owe us any more may leave.
        let received = book.out.accepted.map_or(Amount::ZERO, |signed| signed.proof.transferred);
        let funds = book.deposits.of(peer).plus(received)?;
        if funds.minus(withdrawal.total)? < book.inc.lane.spent()? {
            return Err(Code::InsufficientFunds.into());
        }
        // The money has to be in the channel: what we received beyond the peer's deposit is there already.
        let ours = key.sign(digest);
        let mut signatures = Sides::default();
        *signatures.of_mut(self.us) = Some(ours);
        *signatures.of_mut(peer) = Some(signature);
        let signed = SignedWithdrawal { withdrawal, signatures, owner_signature, submit };
        self.record(Fact::Withdrawal(signed.clone()));
        self.withdrawal_ready(&signed);
        Ok(ours)
    }

    pub(super) fn handle_withdraw_signed(&mut self, withdrawal: &Withdrawal, signature: Signature) {
        let Some(book) = self.book(withdrawal.asset) else {
            return;
        };
        let Some(signed) = book.withdrawals.iter().find(|signed| signed.withdrawal == *withdrawal) else {
            return;
        };
        let digest = self.domain.digest(&withdrawal.to_abi(self.id));
        let peer = self.us.other();
        if signed.signatures.of(peer).is_some() || signature.verify(digest, self.peer_signer()).is_err() {
            return;
        }
        let mut signed = signed.clone();
        *signed.signatures.of_mut(peer) = Some(signature);
        self.record(Fact::Withdrawal(signed.clone()));
        self.withdrawal_ready(&signed);
    }

    /// Asks for the transaction if it is ours to send, and tells the owner of this channel.
    fn withdrawal_ready(&mut self, signed: &SignedWithdrawal) {
        let (Some(a), Some(b)) = (signed.signatures.a, signed.signatures.b) else {
            return;
        };
        let ours_to_send = (signed.withdrawal.side == self.us) != signed.submit;
        if ours_to_send {
            let Withdrawal { asset, side, total, deadline, .. } = signed.withdrawal;
            let id = format!("{}/withdraw/{asset}/{}/{total}/{deadline}", self.id, side.index());
            let call = ChainCall::Withdraw {
                channel: self.def,
                withdrawal: signed.withdrawal,
                signatures: Sides { a, b },
                owner_signature: signed.owner_signature.clone(),
            };
            self.submit(id, call);
        }
        self.emit(Event::WithdrawalReady { signed: signed.clone() });
    }

    /// Signs a closing of some assets and asks the peer to sign it too.
    pub fn propose_closing(
        &mut self,
        assets: &[Asset],
        deadline: u64,
        submit: bool,
        key: &SecretKey,
    ) -> Result<Closing, Error> {
        let entries = assets.iter().map(|asset| self.closing_entry(*asset)).collect::<Result<Vec<_>, _>>()?;
        if entries.is_empty() {
            return Err(Error::new(Code::InvalidArgument, "a closing names at least one asset"));
        }
        let closing = Closing { assets: entries, deadline };
        let signature = key.sign(self.domain.digest(&closing.to_abi(self.id)));
        let mut signatures = Sides::default();
        *signatures.of_mut(self.us) = Some(signature);
        let signed = SignedClosing { closing: closing.clone(), signatures, proposer: self.us, submit };
        self.record(Fact::Closing(signed));
        self.send(Message::CloseProposal { closing: closing.clone(), signature, submit });
        Ok(closing)
    }

    /// What we hold an asset to be worth to each side. Refused while anything is pending. [15]
    fn closing_entry(&self, asset: Asset) -> Result<ClosingAsset, Error> {
        self.check_open(asset)?;
        let book =
            self.book(asset).filter(|_| self.has_deposits(asset)).ok_or_else(|| Error::from(Code::UnknownAsset))?;
        let pending = !book.out.lane.locks.is_empty()
            || !book.inc.lane.locks.is_empty()
            || !book.out.in_flight.is_empty()
            || !book.out.refused.is_empty()
            || book.out.rebase
            || !self.queue.is_empty(asset);
        if pending && !crate::rule_off!(15) {
            return Err(Code::LocksPending.into());
        }
        let (ours, theirs) = (book.out.lane.transferred, book.inc.lane.transferred);
        let our_total = book.deposits.of(self.us).plus(theirs)?.minus(ours)?;
        let their_total = book.deposits.of(self.us.other()).plus(ours)?.minus(theirs)?;
        let mut totals = Sides::default();
        *totals.of_mut(self.us) = our_total;
        *totals.of_mut(self.us.other()) = their_total;
        for side in Side::BOTH {
            totals.of(side).minus(book.withdrawn_counted(side))?;
        }
        Ok(ClosingAsset { asset, totals, deposits: book.deposits })
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
            Ok(signature) => self.send(Message::CloseSigned { closing, signature }),
            Err(error) => self.decline("close", &error),
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
        let digest = self.domain.digest(&closing.to_abi(self.id));
        let first = closing.assets.first().ok_or_else(|| Error::from(Code::InvalidArgument))?.asset;
        let known = self.book(first).and_then(|book| book.closing.clone()).filter(|known| known.closing == *closing);
        if let Some(known) = known
            && let Some(ours) = known.signatures.of(self.us)
        {
            let ours = *ours;
            if known.signatures.of(self.us.other()).is_some() {
                self.closing_ready(&known);
            }
            return Ok(ours);
        }
        self.check_fresh(now)?;
        self.check_deadline(closing.deadline, now)?;
        signature.verify(digest, self.peer_signer())?;
        if submit && !self.policy.relay {
            return Err(Error::new(Code::LimitExceeded, "we do not send this transaction; send it yourself"));
        }
        for (index, entry) in closing.assets.iter().enumerate() {
            let ours = self.closing_entry(entry.asset)?;
            let again = closing.assets.iter().take(index).any(|other| other.asset == entry.asset);
            if ours != *entry || again {
                return Err(Error::new(Code::BadTerms, "the closing differs from what we hold"));
            }
        }
        let ours = key.sign(digest);
        let mut signatures = Sides::default();
        *signatures.of_mut(self.us) = Some(ours);
        *signatures.of_mut(self.us.other()) = Some(signature);
        let signed = SignedClosing { closing: closing.clone(), signatures, proposer: self.us.other(), submit };
        self.record(Fact::Closing(signed.clone()));
        self.closing_ready(&signed);
        Ok(ours)
    }

    pub(super) fn handle_close_signed(&mut self, closing: &Closing, signature: Signature) {
        let Some(first) = closing.assets.first() else {
            return;
        };
        let Some(known) = self.book(first.asset).and_then(|book| book.closing.clone()) else {
            return;
        };
        let digest = self.domain.digest(&closing.to_abi(self.id));
        let peer = self.us.other();
        let expected = known.closing == *closing && known.signatures.of(peer).is_none();
        if !expected || signature.verify(digest, self.peer_signer()).is_err() {
            return;
        }
        let mut signed = known;
        *signed.signatures.of_mut(peer) = Some(signature);
        self.record(Fact::Closing(signed.clone()));
        self.closing_ready(&signed);
    }

    fn closing_ready(&mut self, signed: &SignedClosing) {
        let (Some(a), Some(b)) = (signed.signatures.a, signed.signatures.b) else {
            return;
        };
        if (signed.proposer == self.us) != signed.submit {
            let assets: Vec<String> = signed.closing.assets.iter().map(|entry| format!("{}", entry.asset)).collect();
            let id = format!("{}/close/{}/{}", self.id, assets.join("+"), signed.closing.deadline);
            let call =
                ChainCall::Close { channel: self.def, closing: signed.closing.clone(), signatures: Sides { a, b } };
            self.submit(id, call);
        }
        self.emit(Event::ClosingReady { signed: signed.clone() });
    }

    pub(super) fn handle_declined(&mut self, what: String, code: String, message: String) {
        self.emit(Event::Declined { what, code, message });
    }

    /// After a reconnect: asks again for signatures that have not come.
    pub(super) fn repeat_proposals(&mut self) {
        let (us, peer) = (self.us, self.us.other());
        let mut messages = Vec::new();
        for book in self.state.assets.values() {
            for signed in &book.withdrawals {
                let SignedWithdrawal { withdrawal, signatures, owner_signature, submit } = signed.clone();
                if let (Some(signature), None) = (signatures.of(us), signatures.of(peer)) {
                    messages.push(Message::WithdrawProposal {
                        withdrawal,
                        signature: *signature,
                        owner_signature,
                        submit,
                    });
                }
            }
            if let Some(signed) = &book.closing
                && let (Some(signature), None) = (signed.signatures.of(us), signed.signatures.of(peer))
            {
                let message = Message::CloseProposal {
                    closing: signed.closing.clone(),
                    signature: *signature,
                    submit: signed.submit,
                };
                if !messages.contains(&message) {
                    messages.push(message);
                }
            }
        }
        for message in messages {
            self.send(message);
        }
    }

    /// Drops withdrawals and closings that can't be mined any more.
    pub(super) fn lapse_final(&mut self) {
        let mut lapsed = Vec::new();
        for book in self.state.assets.values() {
            for signed in &book.withdrawals {
                let mined = *book.withdrawn.of(signed.withdrawal.side) >= signed.withdrawal.total;
                if mined || self.is_finally_past(signed.withdrawal.deadline) {
                    lapsed.push(Fact::WithdrawalLapsed(signed.withdrawal));
                }
            }
            if let Some(signed) = &book.closing
                && book.status == AssetStatus::Open
                && self.is_finally_past(signed.closing.deadline)
            {
                let fact = Fact::ClosingLapsed(signed.closing.clone());
                if !lapsed.contains(&fact) {
                    lapsed.push(fact);
                }
            }
        }
        for fact in lapsed {
            self.record(fact);
        }
        self.lapse_refused();
    }

    /// After a restart: asks again for the transactions of what both have signed.
    pub(crate) fn resume(&mut self) {
        let withdrawals: Vec<SignedWithdrawal> =
            self.state.assets.values().flat_map(|book| book.withdrawals.iter().cloned()).collect();
        for signed in withdrawals {
            self.withdrawal_ready(&signed);
        }
        let mut closings: Vec<SignedClosing> = Vec::new();
        for book in self.state.assets.values().filter(|book| book.status == AssetStatus::Open) {
            closings
                .extend(book.closing.iter().filter(|signed| !closings.contains(signed)).cloned().collect::<Vec<_>>());
        }
        for signed in closings {
            self.closing_ready(&signed);
        }
    }

    fn check_deadline(&self, deadline: u64, now: u64) -> Result<(), Error> {
        let latest = now.saturating_add(self.policy.max_deadline);
        if deadline <= self.latest_time(now) || deadline > latest.max(self.latest_time(latest)) {
            return Err(Error::new(Code::InvalidArgument, "the deadline has passed or is too far away"));
        }
        Ok(())
    }
}
