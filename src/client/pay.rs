//! Paying: find the payee, wait for a free place, hand it to the wallet, wait for what becomes of it.

use super::attempt::{Attempt, returning, text, unmoved};
use super::{Client, Filter, History, Waiter};
use crate::entrance::greeting::look_up;
use crate::failure::{Failure, Result};
use crate::js::random;
use crate::signal::Standing;
use crate::signer::is_keys;
use crate::signer::typed_data::{self, Told};
use crate::task::{Either, Once, Work, race, sleep};
use alloy_primitives::Address;
use farthing_protocol::api::PayeeInfo;
use farthing_protocol::types::{Asset, Participant};
use farthing_protocol::wallet::{Direction, PayRequest, Payee, Payment, PaymentId, Status, binding_digest};
use farthing_protocol::{Amount, Code, Reason};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen_futures::spawn_local;

/// How long an offer stands if the caller does not say, in seconds.
pub(super) const OFFER: u64 = 24 * 3_600;

/// Seconds by which an offer is longer than the shortest that the hub takes: it reads the clock later than we do.
pub(super) const MARGIN: u64 = 60;

/// How long a payee that is connected is waited for when its payment is held all the same, in milliseconds.
const ONLINE: u32 = 15_000;

/// How long a payment that comes back is waited for, in milliseconds.
pub(super) const RETURN: u32 = 5_000;

/// Locks that are left free for what is already on its way.
const SPARE_LOCKS: usize = 8;

/// What to pay.
#[derive(Clone, Debug)]
pub struct PayOptions {
    /// Whom: the address of an owner or signer with a channel at the hub, or of the hub itself.
    pub to: Address,
    /// Which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Amount,
    /// For the payee alone.
    pub memo: String,
    /// Whether to go on waiting for a payee that is away.
    pub wait: bool,
    /// Seconds that the offer stands.
    pub expires_in: Option<u64>,
    /// The payment's id, of 128 random bits, if the caller chose it: a payment that has it already is waited for, and
    /// nothing is paid again.
    pub id: Option<PaymentId>,
    /// Whether the id was just made, so that the history need not be searched.
    pub fresh: bool,
    /// Milliseconds that the hub's connection is waited for, where it is gone.
    pub offline: u32,
}

/// What became of a payment: completed, or held for a payee that is away.
pub type Receipt = Payment;

/// A search of the history that others wait for; who does it may stop, and then it is another's turn.
pub(super) type Searched = RefCell<Option<Once<Option<Result<Rc<History>>>>>>;

struct Search<'a> {
    slot: &'a Searched,
    answer: Once<Option<Result<Rc<History>>>>,
}

impl Drop for Search<'_> {
    fn drop(&mut self) {
        self.slot.take();
        self.answer.send(None);
    }
}

impl Client {
    /// Pays. Nothing was paid if this fails with another code than `unanswered`, `aborted`, `client-closed` or
    /// `storage-failed`; of the first two the message says whether it was.
    pub async fn pay(&self, options: PayOptions, attempt: &Attempt) -> Result<Receipt> {
        match self.try_to_pay(options, attempt).await {
            Err(failure) if failure.code() == Code::ClientClosed => {
                self.note(attempt, Code::ClientClosed);
                Err(attempt.known.ended(Code::ClientClosed))
            }
            Err(failure) => {
                let failure = self.certain(failure).await;
                match attempt.signed().filter(|_| failure.code() == Code::StorageFailed) {
                    Some(payment) => {
                        let said = format!("The store failed, so the client has stopped. {}", self.open_end(&payment));
                        Err(failure.seen_as(Code::Unanswered).instead(said).about(payment.id))
                    }
                    None => Err(failure),
                }
            }
            done => done,
        }
    }

    async fn try_to_pay(&self, options: PayOptions, attempt: &Attempt) -> Result<Receipt> {
        self.check_open()?;
        self.signer()?;
        let seconds = self.check_offer(options.asset, options.amount, options.expires_in)?;
        if let Some(known) = self.asked_before(&options, !options.fresh).await? {
            if let Some(id) = options.id {
                attempt.is(id, &known);
            }
            return self.outcome(&known, if options.wait { None } else { Some(ONLINE) }).await;
        }
        // What no connection heals is said at once.
        self.wallet.borrow().channel().check_open(options.asset)?;
        self.until_connected(options.offline).await?;
        let hub = self.terms().hub;
        let to = match [hub.owner, hub.signer].contains(&options.to) {
            true => Payee::Hub,
            false => Payee::Channel { to: options.to, info: self.payee(options.to).await.map_err(unmoved)? },
        };
        let id = options.id.map_or_else(random, |PaymentId(id)| Ok(id))?;
        self.consent("A payment", options.to, options.asset, options.amount, PaymentId(id), &attempt.known).await?;
        let patience = match &to {
            // The hub may first have to put money into the payee's channel.
            Payee::Channel { info, .. } if info.online && !options.wait => Some(ONLINE),
            _ if options.wait => None,
            _ => Some(0),
        };
        attempt.known.waits_for(Code::ChainUnavailable);
        self.freshen().await;
        attempt.known.waits_for(Code::TooManyLocks);
        self.wait_for_place().await?;
        attempt.known.waits_for(Code::NotConnected);
        // Somebody else may have asked for it meanwhile.
        if let Some(known) = self.asked_before(&options, false).await? {
            self.open_gate();
            if let Some(id) = options.id {
                attempt.is(id, &known);
            }
            return self.outcome(&known, patience).await;
        }
        let request = PayRequest {
            asset: options.asset,
            amount: options.amount,
            memo: options.memo,
            to,
            expiry: self.expiry(seconds),
            id,
            entropy: random()?,
        };
        let queued = self.wallet.borrow_mut().pay(request, self.chain.now());
        let id = match queued {
            Ok(id) => id,
            Err(error) => {
                self.open_gate();
                // What the hub said of the payee may be why; next time it is asked again.
                let _ = self.payees.borrow_mut().remove(&options.to);
                return Err(self.explained(self.lacking(options.asset, options.amount, error.into())));
            }
        };
        let waiter = Rc::new(Waiter::default());
        self.in_flight.borrow_mut().insert(id, Rc::clone(&waiter));
        attempt.is(id, &waiter);
        self.work.ring();
        self.outcome(&waiter, patience).await
    }

    /// Has the owner sign that they want this payment, where every one is to be confirmed in the wallet.
    pub(super) async fn consent(
        &self,
        what: &str,
        to: Address,
        asset: Asset,
        amount: Amount,
        PaymentId(id): PaymentId,
        known: &Standing,
    ) -> Result<()> {
        if !self.consents {
            return Ok(());
        }
        let terms = self.terms();
        let terms = terms.of(asset)?;
        let told = Told {
            purpose: format!("{what} from your channel. Nobody can take money with this signature."),
            amount: terms.show(amount),
            symbol: terms.symbol.clone(),
        };
        known.waits_for(Code::WalletUnavailable);
        let data = typed_data::payment(&self.chain.domain, &told, to, asset, id.into());
        let signed = self.until_end(Box::pin(async {
            let given = self.owner.sign(&data).await?;
            // Somebody else's signature is no consent.
            self.chain.owners(self.owner.address(), data.digest, given).await
        }));
        let signed = signed.await;
        known.waits_for(Code::NotConnected);
        signed.map(|_| ()).map_err(|failure| failure.because("Nothing was paid."))
    }

    /// The payment that has the caller's id already: on its way, ended lately, or, if `anywhere`, in the history.
    async fn asked_before(&self, options: &PayOptions, anywhere: bool) -> Result<Option<Rc<Waiter>>> {
        let Some(id) = options.id else { return Ok(None) };
        let hub = self.def.b;
        let waiter = self.in_flight.borrow().get(&id).cloned();
        let recent = self.wallet.borrow().payment(&id).cloned();
        let known = match (waiter, recent) {
            (None, None) if anywhere => self.history().await?.iter().find(|payment| payment.id == id).cloned(),
            (Some(waiter), Some(payment)) => {
                waiter.latest.borrow_mut().get_or_insert_with(|| payment.clone());
                same(&hub, options, &payment)?;
                return Ok(Some(waiter));
            }
            // Queued, and not signed yet.
            (Some(waiter), None) => {
                let queued = self.wallet.borrow().payments().into_iter().find(|payment| payment.id == id);
                queued.map_or(Ok(()), |payment| same(&hub, options, &payment))?;
                return Ok(Some(waiter));
            }
            (None, recent) => recent,
        };
        let Some(payment) = known else { return Ok(None) };
        same(&hub, options, &payment)?;
        Ok(Some(Rc::new(Waiter { latest: RefCell::new(Some(payment)), ..Waiter::default() })))
    }

    /// All payments, read once for all who ask while they are being read.
    pub(super) async fn history(&self) -> Result<Rc<History>> {
        loop {
            let asked = self.searched.borrow().clone();
            let Some(asked) = asked else { break };
            if let Some(found) = asked.wait().await {
                return found;
            }
        }
        let search = Search { slot: &self.searched, answer: Once::default() };
        self.searched.replace(Some(search.answer.clone()));
        let found = self.payments(Filter::default()).await.map(Rc::new);
        search.answer.send(Some(found.clone()));
        found
    }

    /// Refuses what the hub will not forward; gives the seconds that the offer stands.
    pub(super) fn check_offer(&self, asset: Asset, amount: Amount, expires_in: Option<u64>) -> Result<u64> {
        let terms = self.terms();
        let asset = terms.of(asset)?;
        let (min, max) = (asset.min_payment, asset.max_payment);
        if amount.is_zero() {
            return Err(Code::InvalidAmount.into());
        }
        if amount < min || amount > max {
            let (min, max, this) = (asset.show(min), asset.show(max), asset.show(amount));
            let detail = format!("The hub forwards payments from {min} to {max}, and this one is of {this}.");
            return Err(Failure::new(Code::LimitExceeded, detail));
        }
        let least = terms.min_lock_time.saturating_add(MARGIN);
        let seconds = expires_in.unwrap_or_else(|| OFFER.clamp(least, terms.max_lock_time.max(least)));
        if seconds < least || seconds > terms.max_lock_time {
            let most = terms.max_lock_time;
            return Err(Failure::new(Code::BadExpiry, format!("expiresIn must be from {least} to {most} seconds.")));
        }
        Ok(seconds)
    }

    /// When an offer of so many seconds ends. While nothing says whether the device is ahead or the chain old, it is one
    /// that the hub takes in either case, if there is one.
    pub(super) fn expiry(&self, seconds: u64) -> u64 {
        let (now, terms) = (self.wallet.borrow().channel().latest_time(self.chain.now()), self.terms());
        // The hub may read an earlier time than we do.
        let most = self.chain.least_time().saturating_add(terms.max_lock_time).saturating_sub(MARGIN);
        let least = now.saturating_add(terms.min_lock_time).saturating_add(MARGIN);
        now.saturating_add(seconds).min(most).max(least)
    }

    /// What the hub says of a payee; the wallet checks it. Asked once for all calls until the next connect.
    pub(super) fn payee(&self, to: Address) -> Work<'_, PayeeInfo> {
        Box::pin(async move {
            let info = self.payee_of(to).await?;
            self.ask_owner(to, &info).await?;
            Ok(info)
        })
    }

    /// An owner that is a contract is asked whether it has bound its signer, on chain and not the hub. [19]
    async fn ask_owner(&self, to: Address, info: &PayeeInfo) -> Result<()> {
        let def = &info.channel;
        let digest = binding_digest(&self.chain.domain, def);
        let Some(binding) = info.binding.as_ref().filter(|binding| !is_keys(to, digest, binding)) else {
            return Ok(());
        };
        if to != def.a.owner || to == def.a.signer || self.wallet.borrow().is_noted_bound(&digest) {
            return Ok(());
        }
        let asked = self.chain.signed(to, digest, binding.clone()).await;
        if asked.map_err(|failure| failure.because("No money moved: nothing was signed or sent."))? {
            self.wallet.borrow_mut().note_bound(digest);
            return Ok(());
        }
        let _ = self.payees.borrow_mut().remove(&to);
        let detail = format!(
            "By the chain {to} has not bound the key that the hub shows for it, or does not stand by that any more. No money \
             moved: nothing was signed or sent. Its owner connects again to bind it anew."
        );
        Err(Failure::new(Code::UnknownPayee, detail))
    }

    async fn payee_of(&self, to: Address) -> Result<PayeeInfo> {
        let known = self.payees.borrow().get(&to).cloned();
        if let Some(asked) = known {
            return asked.wait().await;
        }
        let asked = Once::default();
        self.payees.borrow_mut().insert(to, asked.clone());
        let (hub, payees, told) = (Rc::clone(&self.hub), Rc::clone(&self.payees), asked.clone());
        // By itself: others wait for the answer when the one who asked first does not any more.
        spawn_local(async move {
            let answer = look_up(&hub, to).await;
            if answer.is_err() {
                drop(payees.borrow_mut().remove(&to));
            }
            told.send(answer);
        });
        asked.wait().await
    }

    /// A channel holds a limited number of locks; calls beyond it wait, first come, first served.
    pub(super) async fn wait_for_place(&self) -> Result<()> {
        let mut waited = false;
        while self.places() == 0 || !(waited || self.gate.borrow().is_empty()) {
            let turn = Once::default();
            match waited {
                // It was its turn, and somebody was faster.
                true => self.gate.borrow_mut().push_front(turn.clone()),
                false => self.gate.borrow_mut().push_back(turn.clone()),
            }
            turn.wait().await;
            waited = true;
            self.check_open()?;
        }
        Ok(())
    }

    fn places(&self) -> usize {
        let locks = usize::try_from(self.terms().max_locks).unwrap_or(usize::MAX);
        locks.saturating_sub(SPARE_LOCKS).max(1).saturating_sub(self.in_flight.borrow().len())
    }

    /// Lets as many in as there is room for.
    pub(super) fn open_gate(&self) {
        let mut free = self.places();
        while free > 0 {
            let Some(turn) = self.gate.borrow_mut().pop_front() else { return };
            // Who gave up waiting takes nobody's place.
            if turn.is_shared() {
                turn.send(());
                free = free.saturating_sub(1);
            }
        }
    }

    async fn outcome(&self, waiter: &Waiter, mut patience: Option<u32>) -> Result<Receipt> {
        let mut returning = false;
        loop {
            self.check_open()?;
            let latest = waiter.latest.borrow().clone();
            if let Some(payment) = latest {
                match payment.status {
                    Status::Completed => return Ok(payment),
                    Status::Held if patience == Some(0) => return Ok(payment),
                    Status::Held if patience.is_some() => {
                        if let Either::Second(()) =
                            race(waiter.changed.next(), sleep(patience.unwrap_or_default())).await
                        {
                            patience = Some(0);
                        }
                        continue;
                    }
                    Status::Failed => return Err(came_back(&payment)),
                    Status::Returning if returning => return Err(came_back(&payment)),
                    Status::Returning => {
                        // It is over in a moment, unless the hub is gone or the expiry has to pass.
                        returning = true;
                        if let Either::Second(()) = race(waiter.changed.next(), sleep(RETURN)).await {
                            continue;
                        }
                        returning = false;
                        continue;
                    }
                    Status::Pending | Status::Held => {}
                }
            }
            waiter.changed.next().await;
        }
    }

    /// Asks to have a payment back that the payee has not taken, and waits for what becomes of it.
    pub async fn cancel(&self, id: PaymentId, known: &Standing) -> Result<Payment> {
        self.check_open()?;
        self.signer()?;
        let queued = self.wallet.borrow().payments().into_iter().find(|payment| payment.id == id);
        if let Some(payment) = queued
            && self.wallet.borrow_mut().take_back(&id, Code::Aborted)
        {
            self.work.ring();
            let code = Some(Code::Aborted.into());
            return Ok(Payment { status: Status::Failed, code, ..payment });
        }
        let payment = self.wallet.borrow().payment(&id).cloned();
        if let Some(ended) = payment.filter(|payment| matches!(payment.status, Status::Completed | Status::Failed)) {
            return Ok(ended);
        }
        self.wallet.borrow_mut().cancel(&id)?;
        self.work.ring();
        loop {
            let payment =
                self.wallet.borrow().payment(&id).cloned().ok_or_else(|| Failure::from(Code::UnknownPayment))?;
            known.sent(self.open_end(&payment));
            if matches!(payment.status, Status::Completed | Status::Failed) {
                return Ok(payment);
            }
            self.changed().await?;
        }
    }

    /// Waits for something that only the chain can end, unless the client ends.
    pub(super) async fn until_end<T>(&self, work: Work<'_, T>) -> Result<T> {
        match race(work, self.closed.wait()).await {
            Either::First(outcome) => outcome,
            Either::Second(()) => Err(self.check_open().err().unwrap_or_else(|| Code::ClientClosed.into())),
        }
    }
}

/// Refuses an id that names something else.
fn same(hub: &Participant, options: &PayOptions, payment: &Payment) -> Result<()> {
    let is_hub = |to: &Address| [hub.owner, hub.signer].contains(to);
    let same = payment.direction == Direction::Sent
        && payment.asset == options.asset
        && payment.amount == options.amount
        && payment.memo == options.memo
        // After a restore nobody knows whom it was for.
        && payment.to.is_none_or(|to| to == options.to || (is_hub(&to) && is_hub(&options.to)));
    if same { Ok(()) } else { Err(Failure::new(Code::InvalidArgument, "This id names another payment.")) }
}

pub(super) fn came_back(payment: &Payment) -> Failure {
    let code = payment.code.as_ref().and_then(Reason::code).unwrap_or(Code::PaymentFailed);
    let id = text(payment.id);
    let failure = match payment.status {
        Status::Returning => Failure::new(code, returning(&id)),
        _ => Failure::new(code, format!("Payment {id} failed: nothing was paid, and nothing can be any more.")),
    };
    failure.about(payment.id)
}
