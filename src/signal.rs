//! An `AbortSignal`: the caller may stop waiting. What was signed or sent by then goes on.

use crate::failure::{Failure, Result};
use crate::js::{Listener, get, get_function};
use crate::task::{Either, Once, Work, race};
use farthing_protocol::Code;
use wasm_bindgen::JsValue;

/// A signal, or none.
#[derive(Clone, Debug, Default)]
pub struct Signal(Option<JsValue>);

impl Signal {
    /// Of an option that is absent or an `AbortSignal`.
    pub fn from_option(value: JsValue) -> Result<Self> {
        if value.is_undefined() {
            return Ok(Self(None));
        }
        match get_function(&value, "addEventListener").is_some() && get(&value, "aborted").as_bool().is_some() {
            true => Ok(Self(Some(value))),
            false => crate::js::invalid("signal must be an AbortSignal."),
        }
    }

    /// The work's outcome, or [`Code::Aborted`] as soon as the signal fires.
    pub async fn guard<T>(self, work: Work<'_, T>) -> Result<T> {
        let Some(signal) = self.0 else { return work.await };
        let aborted = || Failure::caused(Code::Aborted, "", get(&signal, "reason"));
        if get(&signal, "aborted").is_truthy() {
            return Err(aborted());
        }
        let fired = Once::<()>::default();
        let told = fired.clone();
        let _listener = Listener::new(&signal, "abort", move |_| told.send(()));
        match race(work, fired.wait()).await {
            Either::First(outcome) => outcome,
            Either::Second(()) => Err(aborted()),
        }
    }
}
