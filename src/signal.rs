//! When a caller stops waiting: by an `AbortSignal`, or since its time is up. What was signed or sent by then goes on, and
//! the caller is told.

use crate::failure::{Failure, Result};
use crate::js::{Listener, get, get_function};
use crate::task::{Either, Once, Work, race, rest};
use farthing_protocol::Code;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::AbortSignal;

/// How long a call is waited for: until a signal, if there is one, and for so many milliseconds.
#[derive(Clone, Debug)]
pub struct Patience {
    signal: Option<AbortSignal>,
    milliseconds: u64,
}

/// Why a call is not waited for any more.
#[derive(Clone, Debug)]
pub enum Stop {
    /// The signal fired, for this reason.
    Aborted(JsValue),
    /// It took so many milliseconds.
    Late(u64),
}

impl Stop {
    /// What the caller is told: `known` is what has been done by now.
    #[must_use]
    pub fn told(self, known: &Standing) -> Failure {
        match self {
            Self::Aborted(reason) => Failure::caused(Code::Aborted, known.said(), reason),
            Self::Late(_) if known.is_sent() => Failure::new(Code::Unanswered, known.said()),
            Self::Late(milliseconds) => {
                let code = known.0.awaited.get();
                let who = match code {
                    Code::WalletUnavailable => "The wallet has not answered",
                    Code::ChainUnavailable => "The RPC has not answered",
                    Code::TooManyLocks => "There was no place for another payment",
                    Code::StorageFailed => "The store has not answered",
                    _ => "The hub was not there, or has not answered",
                };
                Failure::new(code, format!("{who} within {milliseconds} ms. {}", known.said()))
            }
        }
    }
}

impl Patience {
    /// Of an option that is absent or an `AbortSignal`, and of a time.
    pub fn new(signal: JsValue, milliseconds: u64) -> Result<Self> {
        if signal.is_undefined() {
            return Ok(Self { signal: None, milliseconds });
        }
        match get_function(&signal, "addEventListener").is_some() && get(&signal, "aborted").as_bool().is_some() {
            // Another realm's is one as well.
            true => Ok(Self { signal: Some(signal.unchecked_into()), milliseconds }),
            false => crate::js::invalid("signal must be an AbortSignal."),
        }
    }

    /// The work's outcome; or, as soon as it is not waited for any more and has been dropped, what `stopped` says.
    pub async fn guard<T>(self, work: Work<'_, T>, stopped: Box<dyn FnOnce(Stop) -> Failure + '_>) -> Result<T> {
        // The stop is looked at first: with a signal that has fired nothing begins.
        match race(self.stop(), work).await {
            Either::First(stop) => Err(stopped(stop)),
            Either::Second(outcome) => outcome,
        }
    }

    /// Waits for the signal, or until the time is up.
    fn stop(self) -> Pin<Box<dyn Future<Output = Stop>>> {
        Box::pin(self.until_stop())
    }

    async fn until_stop(self) -> Stop {
        let reason = |signal: &AbortSignal| Stop::Aborted(signal.reason());
        if let Some(signal) = self.signal.as_ref().filter(|signal| signal.aborted()) {
            return reason(signal);
        }
        let fired = Once::<()>::default();
        let told = fired.clone();
        let _listener = self.signal.clone().map(|signal| Listener::new(signal.into(), "abort", move |_| told.send(())));
        let stop = match race(fired.wait(), rest(self.milliseconds)).await {
            Either::First(()) => self.signal.as_ref().map(reason),
            Either::Second(()) => None,
        };
        stop.unwrap_or(Stop::Late(self.milliseconds))
    }
}

/// What is true of a call while it is waited for: whom it waits for, and what has been done.
#[derive(Clone, Debug)]
pub struct Standing(Rc<State>);

#[derive(Debug)]
struct State {
    awaited: Cell<Code>,
    sent: Cell<bool>,
    said: RefCell<Cow<'static, str>>,
}

impl Standing {
    /// Nothing was signed or sent; whoever is silent has this code.
    #[must_use]
    pub fn waiting_for(awaited: Code) -> Self {
        let said = RefCell::new(Cow::Borrowed("No money moved: nothing was signed or sent."));
        Self(Rc::new(State { awaited: Cell::new(awaited), sent: Cell::new(false), said }))
    }

    /// From now on it waits for another.
    pub fn waits_for(&self, awaited: Code) {
        self.0.awaited.set(awaited);
    }

    /// Something was done that moves no money; a sentence that says what.
    pub fn note(&self, said: impl Into<Cow<'static, str>>) {
        self.0.said.replace(said.into());
    }

    /// Something was signed or sent that may move money, whether or not it is waited for; a sentence that says what.
    pub fn sent(&self, said: impl Into<Cow<'static, str>>) {
        self.0.sent.set(true);
        self.0.said.replace(said.into());
    }

    /// What might have been sent was not.
    pub fn unsent(&self, said: impl Into<Cow<'static, str>>) {
        self.0.sent.set(false);
        self.0.said.replace(said.into());
    }

    /// Who was waited for, after what was signed or sent, has not answered in its own time.
    #[must_use]
    pub fn unanswered(&self, who: &str) -> Failure {
        Failure::new(Code::Unanswered, format!("{who} {}", self.said()))
    }

    /// The client has ended, or whatever else ended the call.
    #[must_use]
    pub fn ended(&self, code: Code) -> Failure {
        Failure::new(code, self.said())
    }

    /// Whether something was signed or sent that may move money.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.0.sent.get()
    }

    /// What has been done, as a sentence.
    #[must_use]
    pub fn said(&self) -> Cow<'static, str> {
        self.0.said.borrow().clone()
    }
}
