//! A call of `pay` that is not waited for any more: how long that takes, what has been done by then, and what may still come.

use super::pay::{MARGIN, OFFER, PayOptions};
use super::{Client, Waiter};
use crate::failure::{Failure, Result};
use crate::js::date_text;
use crate::signal::{Standing, Stop};
use crate::task::within;
use farthing_protocol::types::Asset;
use farthing_protocol::wallet::{Payment, PaymentId, Status};
use farthing_protocol::{Amount, Code};
use std::cell::RefCell;
use std::rc::Rc;

/// How long a payment is waited for if the caller does not say, in milliseconds; see [`Client::patience`]. Longer than it
/// may take to find out whether the device's clock is wrong.
const PATIENCE: u64 = 90_000;

/// And longer, where its user is asked in their wallet first.
const PERSON: u64 = 600_000;

/// How long the hub's connection is waited for before anything is signed, if the caller does not say, in milliseconds.
pub const OFFLINE: u32 = 15_000;

/// Seconds beyond an offer's expiry and the hub's safety margin until what became of it is final on chain.
const FINALITY: u64 = 600;

/// How far a call has come, for when it is not waited for any more.
#[derive(Debug)]
pub struct Attempt {
    pub(super) known: Standing,
    payment: RefCell<Option<(PaymentId, Rc<Waiter>)>>,
}

impl Default for Attempt {
    fn default() -> Self {
        Self { known: Standing::waiting_for(Code::NotConnected), payment: RefCell::default() }
    }
}

impl Attempt {
    pub(super) fn is(&self, id: PaymentId, waiter: &Rc<Waiter>) {
        self.payment.replace(Some((id, Rc::clone(waiter))));
    }

    /// The payment, if its signature was stored: then it was sent.
    pub(super) fn signed(&self) -> Option<Payment> {
        let payment = self.payment.borrow();
        let latest = payment.as_ref()?.1.latest.borrow();
        latest.clone().filter(|payment| payment.status != Status::Failed)
    }
}

impl Client {
    /// How long a payment is waited for if the caller does not say, in milliseconds: of one that is to be waited for until
    /// the payee has it, until its expiry and what comes of that are final.
    #[must_use]
    pub fn patience(&self, options: &PayOptions) -> u64 {
        let terms = self.terms();
        let to_hub = [terms.hub.owner, terms.hub.signer].contains(&options.to);
        match options.wait && !to_hub {
            true => {
                let seconds = options.expires_in.unwrap_or(OFFER).max(terms.min_lock_time.saturating_add(MARGIN));
                let late = terms.safety_margin.clamp(MARGIN, 3_600).saturating_add(FINALITY);
                seconds.saturating_add(late).saturating_mul(1_000)
            }
            false if self.consents => PATIENCE.saturating_add(PERSON),
            false => PATIENCE,
        }
    }

    /// The call is not waited for any more. A payment that is not signed never will be, unless another call waits for it.
    pub fn give_up(&self, attempt: &Attempt, stop: Stop) -> Failure {
        let why = if matches!(stop, Stop::Aborted(_)) { Code::Aborted } else { Code::NotConnected };
        let id = self.note(attempt, why);
        let failure = stop.told(&attempt.known);
        id.into_iter().fold(failure, Failure::about)
    }

    /// Notes how far a payment has come, and takes it back if it can be.
    pub(super) fn note(&self, attempt: &Attempt, why: Code) -> Option<PaymentId> {
        let (id, waiter) = attempt.payment.take()?;
        let signed = self.wallet.borrow().payment(&id).cloned().or_else(|| waiter.latest.borrow().clone());
        if let Some(payment) = signed {
            attempt.known.sent(self.open_end(&payment));
        } else if Rc::strong_count(&waiter) > 2 {
            // Beside ours and that of whoever is told of its end.
            attempt.known.sent(format!("Payment {} is not signed, and another pay() waits for it.", text(id)));
        } else if self.wallet.borrow_mut().take_back(&id, why) {
            self.work.ring();
        }
        Some(id)
    }

    /// Adds to a refusal for want of money how much there is of it, and how much is needed.
    pub(super) fn lacking(&self, asset: Asset, needed: Amount, failure: Failure) -> Failure {
        let terms = self.terms();
        let (Code::InsufficientFunds, Ok(terms)) = (failure.code(), terms.of(asset)) else { return failure };
        let balance = self.wallet.borrow().balance(asset);
        let missing = needed.saturating_minus(balance.available);
        let mut detail = format!(
            "{} can be spent in this channel, and {} is needed, {} more.",
            terms.show(balance.available),
            terms.show(needed),
            terms.show(missing)
        );
        let open = balance.locked_out.plus(balance.locked_in).unwrap_or(Amount::MAX);
        match open.is_zero() {
            true => detail.push_str(" Deposit that, or ask for less."),
            false => detail.push_str(&format!(
                " {} is in payments on their way: wait for them, or deposit more.",
                terms.show(open)
            )),
        }
        Failure::advised(Code::InsufficientFunds, detail)
    }

    /// What may still become of a payment.
    pub(super) fn open_end(&self, payment: &Payment) -> String {
        let id = text(payment.id);
        let until = payment.expiry.map(date_text);
        match (payment.status, until) {
            (Status::Completed, _) => format!("Payment {id} completed."),
            (Status::Failed, _) => format!("Payment {id} failed: no money moved."),
            (Status::Returning, _) => returning(&id),
            (Status::Held, until) => format!(
                "The hub holds payment {id} for a payee that is away: it may complete until {}. cancel(id) asks for it \
                 back.",
                until.unwrap_or_default()
            ),
            (Status::Pending, until) if payment.stream.as_ref().is_some_and(|stream| stream.accepted) => format!(
                "The payee of stream {id} has it, and was asked to give it back; it gives what is not used back at the \
                 latest after {}.",
                until.unwrap_or_default()
            ),
            (Status::Pending, until) if payment.stream.is_some() => format!(
                "Stream {id} was signed and sent, and nobody has said that its payee has it. Nothing is paid before words of \
                 it are shown: stream() with this id takes it up, cancel(id) asks for it back, and what is not used comes \
                 back after {}.",
                until.unwrap_or_default()
            ),
            (Status::Pending, until) => {
                let known = match until {
                    Some(until) => format!("when the hub answers, at the latest after {until}"),
                    None => "when the hub answers, or after an exit".to_owned(),
                };
                format!(
                    "Payment {id} was signed and sent, and is unanswered. Whether the money moved is known {known}; \
                     payments() lists it, and pay() with this id waits for it and pays nothing again."
                )
            }
        }
    }

    /// Waits for the hub's connection: without it nothing is signed.
    pub(super) async fn until_connected(&self, patience: u32) -> Result<()> {
        let connected = async {
            while !self.connected.get() {
                self.changed().await?;
            }
            Ok(())
        };
        within(patience, Box::pin(connected), || {
            unmoved(Failure::new(Code::NotConnected, format!("The hub at {} is not connected.", self.hub.url())))
        })
        .await
    }
}

pub(super) fn returning(id: &str) -> String {
    format!("Payment {id} is on its way back; don't pay again before it has the status \"failed\".")
}

/// Adds to what kept us from paying that nothing was.
pub(super) fn unmoved(failure: Failure) -> Failure {
    match failure.code() {
        Code::NotConnected => failure.because("No money moved: nothing was signed or sent."),
        _ => failure,
    }
}

pub(super) fn text(id: PaymentId) -> String {
    crate::js::hex(id.0)
}
