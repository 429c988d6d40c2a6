//! Streams: placing one and waiting until its payee has it; taking those to us, showing what proves their units, and
//! giving the rest up. Who pays what is in the words that payer and payee exchange by themselves.

use super::attempt::{Attempt, unmoved};
use super::pay::{RETURN, came_back};
use super::{Client, Notice, Waiter};
use crate::failure::{Failure, Result};
use crate::js::{random, ticks};
use crate::signer::is_keys;
use crate::task::{Either, race, sleep};
use alloy_primitives::{Address, B256, Bytes};
use farthing_protocol::abi;
use farthing_protocol::condition::{Condition, Kind};
use farthing_protocol::types::Asset;
use farthing_protocol::wallet::{Direction, Payment, PaymentId, Status, StreamRequest, Words, binding_digest};
use farthing_protocol::{Amount, Code};
use std::cell::RefCell;
use std::rc::Rc;

/// How long a payee that is connected is waited for, in milliseconds.
const PATIENCE: u32 = 20_000;

/// How long a stream to us waits for somebody who takes it, in milliseconds.
const UNDECIDED: f64 = 60_000.0;

/// What to place.
#[derive(Clone, Debug)]
pub struct StreamOptions {
    /// Whom: the address of an owner or signer with a channel at the hub.
    pub to: Address,
    /// Which asset.
    pub asset: Asset,
    /// Price of a unit.
    pub unit_price: Amount,
    /// Units in all.
    pub units: u32,
    /// Who makes the words.
    pub words: Words,
    /// For the payee alone.
    pub memo: String,
    /// Seconds that it stands.
    pub expires_in: Option<u64>,
    /// Its id, if the caller chose it: a stream that has it already is given again.
    pub id: Option<PaymentId>,
    /// Milliseconds that the hub's connection is waited for, where it is gone.
    pub offline: u32,
}

/// A key that signs receipts for the payee that this wallet is.
#[derive(Debug)]
pub struct ReceiptKey {
    /// The address that payers pay to.
    pub payee: Address,
    /// Until when it may, Unix seconds.
    pub expires: u64,
    /// The signer's.
    pub signature: Bytes,
    /// The owner's signature that binds the signer, where the payee is the owner and the two differ.
    pub binding: Option<Bytes>,
}

impl Client {
    /// Places a stream; resolves when its payee has it. Nothing was paid if this fails: units are paid by words.
    pub async fn stream(&self, options: StreamOptions, attempt: &Attempt) -> Result<Payment> {
        match self.try_to_stream(options, attempt).await {
            Err(failure) if failure.code() == Code::ClientClosed => {
                self.note(attempt, Code::ClientClosed);
                Err(attempt.known.ended(Code::ClientClosed))
            }
            Err(failure) => Err(self.certain(failure).await),
            done => done,
        }
    }

    async fn try_to_stream(&self, options: StreamOptions, attempt: &Attempt) -> Result<Payment> {
        self.check_open()?;
        self.signer()?;
        let all = options.unit_price.times(options.units)?;
        let seconds = self.check_offer(options.asset, all, options.expires_in)?;
        if let Some(known) = self.stream_before(&options).await? {
            return match known.is_final() {
                true => Ok(known),
                false => {
                    let waiter = self.waits_for(&known);
                    let standing = self.standing(&waiter, PATIENCE).await;
                    self.in_flight.borrow_mut().remove(&known.id);
                    standing
                }
            };
        }
        self.wallet.borrow().channel().check_open(options.asset)?;
        self.until_connected(options.offline).await?;
        // Whether it is there is asked anew.
        let _ = self.payees.borrow_mut().remove(&options.to);
        let info = self.payee(options.to).await.map_err(unmoved)?;
        let id = options.id.map_or_else(random, |PaymentId(id)| Ok(id))?;
        self.consent("Up to so much, unit by unit,", options.to, options.asset, all, PaymentId(id), &attempt.known)
            .await?;
        let patience = if info.online { PATIENCE } else { 0 };
        attempt.known.waits_for(Code::ChainUnavailable);
        self.freshen().await;
        attempt.known.waits_for(Code::TooManyLocks);
        self.wait_for_place().await?;
        attempt.known.waits_for(Code::NotConnected);
        let request = StreamRequest {
            asset: options.asset,
            unit_price: options.unit_price,
            units: options.units,
            words: options.words,
            memo: options.memo,
            to: options.to,
            info,
            expiry: self.expiry(seconds),
            id,
            entropy: random()?,
        };
        let queued = self.wallet.borrow_mut().stream(request, self.chain.now());
        let id = match queued {
            Ok(id) => id,
            Err(error) => {
                self.open_gate();
                let _ = self.payees.borrow_mut().remove(&options.to);
                return Err(self.explained(self.lacking(options.asset, all, error.into())));
            }
        };
        let waiter = Rc::new(Waiter::default());
        self.in_flight.borrow_mut().insert(id, Rc::clone(&waiter));
        attempt.is(id, &waiter);
        self.work.ring();
        let standing = self.standing(&waiter, patience).await;
        // It may stand for days, and is in nobody's way.
        self.in_flight.borrow_mut().remove(&id);
        self.open_gate();
        standing
    }

    /// The stream that has the caller's id already.
    async fn stream_before(&self, options: &StreamOptions) -> Result<Option<Payment>> {
        let Some(id) = options.id else { return Ok(None) };
        let live = self.wallet.borrow().payments().into_iter().find(|payment| payment.id == id);
        let known = match live {
            None => self.history().await?.iter().find(|payment| payment.id == id).cloned(),
            live => live,
        };
        let Some(payment) = known else { return Ok(None) };
        let same = payment.stream.as_ref().is_some_and(|stream| {
            let words = match options.words {
                // Else one site would be given what another one asked for.
                Words::Granted(tip) => stream.granted && stream.condition == Condition::hash_chain(tip, options.units),
                Words::Chain => !stream.granted && stream.condition.kind() == Kind::HashChain,
                Words::Vouchers => !stream.granted && stream.condition.kind() == Kind::Voucher,
            };
            words && stream.unit_price == options.unit_price && stream.units == options.units
        });
        let same = same
            && payment.direction == Direction::Sent
            && payment.asset == options.asset
            && payment.memo == options.memo
            && payment.to.is_none_or(|to| to == options.to);
        if same {
            Ok(Some(payment))
        } else {
            Err(Failure::new(Code::InvalidArgument, "This id names another payment.").about(id))
        }
    }

    fn waits_for(&self, payment: &Payment) -> Rc<Waiter> {
        let mut in_flight = self.in_flight.borrow_mut();
        if let Some(waiter) = in_flight.get(&payment.id) {
            return Rc::clone(waiter);
        }
        let waiter = Rc::new(Waiter { latest: RefCell::new(Some(payment.clone())), ..Waiter::default() });
        in_flight.insert(payment.id, Rc::clone(&waiter));
        waiter
    }

    /// Waits until the payee has it, or until it has not.
    async fn standing(&self, waiter: &Waiter, patience: u32) -> Result<Payment> {
        let (mut asked_back, mut waited) = (false, false);
        loop {
            self.check_open()?;
            let latest = waiter.latest.borrow().clone();
            if let Some(payment) = latest {
                let accepted = payment.stream.as_ref().is_some_and(|stream| stream.accepted);
                match payment.status {
                    Status::Completed => return Ok(payment),
                    Status::Pending if accepted && !asked_back => return Ok(payment),
                    // It is back in a moment, unless the hub is gone.
                    Status::Returning if !waited => {
                        waited = matches!(race(waiter.changed.next(), sleep(RETURN)).await, Either::Second(()));
                        continue;
                    }
                    Status::Failed | Status::Returning if asked_back => {
                        let said = "The payee is not connected, so the stream was taken back. No money moved.";
                        return Err(Failure::new(Code::PayeeDeclined, said).about(payment.id));
                    }
                    Status::Failed | Status::Returning => return Err(came_back(&payment)),
                    Status::Held if !asked_back => {
                        if let Either::Second(()) = race(waiter.changed.next(), sleep(patience)).await {
                            asked_back = true;
                            let _ = self.wallet.borrow_mut().cancel(&payment.id);
                            self.work.ring();
                        }
                        continue;
                    }
                    Status::Pending | Status::Held => {}
                }
            }
            waiter.changed.next().await;
        }
    }

    /// What makes the words of a stream of ours, for whoever placed it.
    #[must_use]
    pub fn words_of(&self, id: &PaymentId) -> Option<[u8; 32]> {
        self.wallet.borrow().words_secret(id)
    }

    /// Notes how many units of a stream of ours have been shown; resolves when that is stored.
    pub async fn note_shown(&self, id: PaymentId, units: u32) -> Result<()> {
        self.check_open()?;
        self.wallet.borrow_mut().note_shown(&id, units, self.chain.now())?;
        self.stored().await
    }

    /// From now on streams to us are taken. Gives those that are open.
    pub fn take_streams(&self) -> Result<Vec<Payment>> {
        self.check_open()?;
        self.signer()?;
        self.wallet.borrow_mut().take_streams(self.chain.now());
        self.work.ring();
        let open = |payment: &Payment| {
            payment.stream.is_some() && payment.direction == Direction::Received && !payment.is_final()
        };
        Ok(self.wallet.borrow().payments().into_iter().filter(open).collect())
    }

    /// Stores what proves units of a stream to us, and shows it to the hub; resolves when it is stored.
    pub async fn reveal(&self, id: PaymentId, evidence: Bytes) -> Result<u32> {
        self.check_open()?;
        self.signer()?;
        let units = self.wallet.borrow_mut().reveal(&id, &evidence, self.chain.now())?;
        self.stored().await?;
        Ok(units)
    }

    /// Gives the rest of a stream to us up; resolves when that is stored.
    pub async fn end_stream(&self, id: PaymentId) -> Result<()> {
        self.check_open()?;
        self.signer()?;
        self.wallet.borrow_mut().end_stream(&id, self.chain.now())?;
        self.stored().await
    }

    /// Signs that a key may sign receipts for us.
    pub fn receipt_key(&self, public_key: B256, seconds: u64) -> Result<ReceiptKey> {
        let key = self.signer()?;
        let (owner, signer) = (self.owner.address(), key.address());
        let expires = self.chain.now().saturating_add(seconds);
        // Payers pay to the owner where it has bound its signer, else to the signer. A page without a node can't ask a contract
        // whether it has.
        let binding_is_keys = |binding: &Bytes| is_keys(owner, binding_digest(&self.chain.domain, &self.def), binding);
        let payee = if self.binding.as_ref().is_some_and(binding_is_keys) { owner } else { signer };
        let digest = self.domain().digest(&abi::ReceiptKey { payee, publicKey: public_key, expires });
        let signature = Bytes::copy_from_slice(key.sign(digest).as_bytes());
        let binding = self.binding.clone().filter(|_| payee != signer);
        Ok(ReceiptKey { payee, expires, signature, binding })
    }

    /// Waits until all that the wallet has decided is stored.
    async fn stored(&self) -> Result<()> {
        self.work.ring();
        race(self.closed.wait(), self.rested.next()).await;
        match self.failed.borrow().clone() {
            Some(failure) => Err(failure),
            // From the beginning of `disconnect` on nothing new is written: what may not be there is not said to be.
            None if self.ending.get() || self.closed.is_sent() => Err(Code::ClientClosed.into()),
            None => Ok(()),
        }
    }

    /// Streams that nobody takes go back.
    pub(super) fn decline_streams(&self) {
        if !self.wallet.borrow().has_undecided_streams() {
            self.undecided.set(None);
            return;
        }
        let since = self.undecided.get().unwrap_or_else(ticks);
        self.undecided.set(Some(since));
        if ticks() - since >= UNDECIDED {
            self.wallet.borrow_mut().decline_streams();
        }
    }

    pub(super) fn tell_end_asked(&self, id: PaymentId) {
        self.tell(Notice::EndAsked(id));
    }
}
