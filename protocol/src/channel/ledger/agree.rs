//! What both sides sign to take money out at once: which withdrawals and closings we agree to, and which are signed.

use super::Ledger;
use crate::amount::Amount;
use crate::chain::AssetStatus;
use crate::channel::{Fact, SignedClosing, SignedWithdrawal};
use crate::error::{Code, Error};
use crate::message::{Closing, ClosingAsset, Message, Withdrawal};
use crate::sign::Signature;
use crate::types::{Asset, Side, Sides};
use alloc::vec::Vec;
use alloy_primitives::{B256, Bytes};

/// Longest signature of an owner that is a contract, in bytes.
const MAX_OWNER_SIGNATURE: usize = 4_096;

impl Ledger {
    /// A withdrawal that one or both have signed, and that may still be mined.
    pub(crate) fn signed_withdrawal(&self, withdrawal: &Withdrawal) -> Option<&SignedWithdrawal> {
        self.book(withdrawal.asset)?.withdrawals.iter().find(|signed| signed.withdrawal == *withdrawal)
    }

    /// The same of a closing.
    pub(crate) fn signed_closing(&self, closing: &Closing) -> Option<&SignedClosing> {
        let first = closing.assets.first()?.asset;
        self.book(first)?.closing.as_ref().filter(|known| known.closing == *closing)
    }

    pub(crate) fn withdrawal_digest(&self, withdrawal: &Withdrawal) -> B256 {
        self.domain.digest(&withdrawal.to_abi(self.id))
    }

    pub(crate) fn closing_digest(&self, closing: &Closing) -> B256 {
        self.domain.digest(&closing.to_abi(self.id))
    }

    /// Our signature and the peer's, if there is one, as they are stored.
    pub(crate) fn signatures(&self, ours: Signature, theirs: Option<Signature>) -> Sides<Option<Signature>> {
        let mut signatures = Sides::default();
        *signatures.of_mut(self.us) = Some(ours);
        *signatures.of_mut(self.us.other()) = theirs;
        signatures
    }

    /// Refuses a withdrawal of the peer's that is not its to have, or not worth sending for it.
    pub(crate) fn check_withdrawal(
        &self,
        withdrawal: &Withdrawal,
        signature: Signature,
        owner_signature: &Bytes,
        submit: bool,
        relaying: bool,
        now: u64,
    ) -> Result<(), Error> {
        let asset = withdrawal.asset;
        self.check_open(asset)?;
        self.check_fresh(now)?;
        let peer = self.us.other();
        if withdrawal.side != peer {
            return Err(Error::new(Code::InvalidArgument, "a side proposes withdrawals of its own funds"));
        }
        self.check_deadline(withdrawal.deadline, now)?;
        let book = self.book(asset).ok_or_else(|| Error::from(Code::InsufficientFunds))?;
        if withdrawal.total <= book.withdrawn_counted(peer) {
            return Err(Error::new(Code::InvalidArgument, "the new total must be above every earlier one"));
        }
        if book.withdrawals.len() >= self.policy.max_withdrawals {
            return Err(Error::new(Code::LimitExceeded, "too many withdrawals are signed and not mined"));
        }
        if submit {
            let amount = withdrawal.total.saturating_minus(book.withdrawn_counted(peer));
            self.check_relay(relaying, [(asset, amount)])?;
        }
        // Signatures last: they cost the most.
        let digest = self.withdrawal_digest(withdrawal);
        signature.verify(digest, self.peer_signer())?;
        self.check_owner_signature(withdrawal, digest, owner_signature, submit)?;
        // Only what the peer can't owe us any more may leave.
        let received = book.out.accepted.map_or(Amount::ZERO, |signed| signed.proof.transferred);
        let funds = book.deposits.of(peer).plus(received)?;
        if funds.minus(withdrawal.total)? < book.inc.lane.spent()? {
            return Err(Code::InsufficientFunds.into());
        }
        // The money has to be in the channel: what we received beyond the peer's deposit is there already.
        Ok(())
    }

    /// What we hold an asset to be worth to each side. Refused while anything is pending. [15]
    pub(crate) fn closing_entry(&self, asset: Asset, is_queued: bool) -> Result<ClosingAsset, Error> {
        self.check_open(asset)?;
        let book =
            self.book(asset).filter(|_| self.has_deposits(asset)).ok_or_else(|| Error::from(Code::UnknownAsset))?;
        let pending = !book.out.lane.locks.is_empty()
            || !book.inc.lane.locks.is_empty()
            || !book.out.in_flight.is_empty()
            || !book.out.refused.is_empty()
            || book.out.rebase
            || is_queued;
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

    /// Refuses a closing of the peer's that differs from what we hold, or is not worth sending for it. `is_queued`
    /// tells whether ops of ours wait on an asset.
    pub(crate) fn check_closing(
        &self,
        closing: &Closing,
        signature: Signature,
        submit: bool,
        relaying: bool,
        is_queued: &dyn Fn(Asset) -> bool,
        now: u64,
    ) -> Result<(), Error> {
        self.check_fresh(now)?;
        self.check_deadline(closing.deadline, now)?;
        if submit {
            // What it brings us, our collateral above all, is worth the gas as well.
            self.check_relay(relaying, self.payouts(closing))?;
        }
        signature.verify(self.closing_digest(closing), self.peer_signer())?;
        for (index, entry) in closing.assets.iter().enumerate() {
            let ours = self.closing_entry(entry.asset, is_queued(entry.asset))?;
            let again = closing.assets.iter().take(index).any(|other| other.asset == entry.asset);
            if ours.deposits != entry.deposits {
                return Err(Error::new(Code::ChainStale, behind(self.us, &ours.deposits, &entry.deposits)));
            }
            if ours != *entry || again {
                return Err(Error::new(Code::BadTerms, "the closing differs from what we hold"));
            }
        }
        Ok(())
    }

    /// Refuses to send what is not worth its gas. The code tells the peer to send it itself.
    fn check_relay(&self, relaying: bool, brings: impl IntoIterator<Item = (Asset, Amount)>) -> Result<(), Error> {
        let worth = |(asset, amount): (Asset, Amount)| {
            self.policy.relay_least.get(&asset).is_some_and(|least| amount >= *least && !amount.is_zero())
        };
        if relaying && brings.into_iter().any(worth) {
            return Ok(());
        }
        Err(Error::new(Code::LimitExceeded, "we do not send this transaction; send it yourself"))
    }

    /// What a closing pays out, to either side.
    fn payouts(&self, closing: &Closing) -> Vec<(Asset, Amount)> {
        let mut paid = Vec::new();
        for entry in &closing.assets {
            for side in Side::BOTH {
                let before = self.book(entry.asset).map_or(Amount::ZERO, |book| book.withdrawn_counted(side));
                paid.push((entry.asset, entry.totals.of(side).saturating_minus(before)));
            }
        }
        paid
    }

    /// The owner signs where the money goes to another. The contract checks it last, so without this check a peer could
    /// have us send what can only fail. What we can't check here, a contract's signature, we do not send.
    fn check_owner_signature(
        &self,
        withdrawal: &Withdrawal,
        digest: B256,
        owner_signature: &Bytes,
        submit: bool,
    ) -> Result<(), Error> {
        let owner = self.def.participant(withdrawal.side).owner;
        if withdrawal.recipient.is_zero() || withdrawal.recipient == self.domain.contract() {
            return Err(Error::new(Code::InvalidArgument, "a withdrawal goes to an account"));
        }
        if withdrawal.recipient == owner {
            return match owner_signature.is_empty() {
                true => Ok(()),
                false => Err(Error::new(Code::BadSignature, "the owner signs for another recipient only")),
            };
        }
        if owner_signature.is_empty() || owner_signature.len() > MAX_OWNER_SIGNATURE {
            return Err(Error::new(Code::BadSignature, "another recipient needs the owner's signature"));
        }
        let plain = Signature::from_slice(owner_signature).and_then(|signature| signature.verify(digest, owner));
        match plain {
            Err(_) if submit => {
                let why = "only the chain can check this owner's signature; send the transaction yourself";
                Err(Error::new(Code::LimitExceeded, why))
            }
            _ => Ok(()),
        }
    }

    fn check_deadline(&self, deadline: u64, now: u64) -> Result<(), Error> {
        // The contract reads the chain's clock, and ours may be behind it.
        let now = self.latest_time(now);
        if deadline <= now || deadline > now.saturating_add(self.policy.max_deadline) {
            return Err(Error::new(Code::InvalidArgument, "the deadline has passed or is too far away"));
        }
        Ok(())
    }

    /// Proposals of ours that the peer has not signed.
    pub(crate) fn open_proposals(&self) -> Vec<Message> {
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
        messages
    }

    /// Withdrawals and closings that can't be mined any more.
    pub(crate) fn lapsed_agreements(&self) -> Vec<Fact> {
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
        lapsed
    }

    /// All withdrawals that may still be mined.
    pub(crate) fn withdrawals(&self) -> Vec<SignedWithdrawal> {
        self.state.assets.values().flat_map(|book| book.withdrawals.iter().cloned()).collect()
    }

    /// All closings that may still be mined, each once.
    pub(crate) fn closings(&self) -> Vec<SignedClosing> {
        let mut closings: Vec<SignedClosing> = Vec::new();
        for book in self.state.assets.values().filter(|book| book.status == AssetStatus::Open) {
            if let Some(signed) = book.closing.as_ref().filter(|signed| !closings.contains(signed)) {
                closings.push(signed.clone());
            }
        }
        closings
    }
}

/// Who has not seen all deposits of an asset yet: that passes by itself.
fn behind(us: Side, ours: &Sides<Amount>, theirs: &Sides<Amount>) -> &'static str {
    let are_we = Side::BOTH.iter().any(|side| ours.of(*side) < theirs.of(*side));
    match if are_we { us } else { us.other() } {
        Side::A => "the client has not seen all deposits of this channel on chain yet; try again in a few blocks",
        Side::B => "the hub has not seen all deposits of this channel on chain yet; try again in a few blocks",
    }
}
