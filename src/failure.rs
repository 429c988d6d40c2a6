//! An error of the client: the protocol's [`Error`] and, where there is one, the JavaScript value that caused it.

use farthing_protocol::wallet::PaymentId;
use farthing_protocol::{Blame, Code, Error};
use std::borrow::Cow;
use std::fmt;
use wasm_bindgen::prelude::*;

/// What a call of the client can fail with.
pub type Result<T> = core::result::Result<T, Failure>;

/// A stable code, a sentence, and the JavaScript value that caused it. One pointer, for the reason that
/// [`Error`] is one.
#[derive(Clone)]
pub struct Failure(Box<Report>);

#[derive(Clone)]
struct Report {
    error: Error,
    cause: Option<JsValue>,
    /// The payment that it is about.
    payment: Option<PaymentId>,
    /// The sentence says what to do, so that the code's advice would only repeat or contradict it.
    advised: bool,
}

impl Failure {
    /// A failure without a cause.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::from(Error::new(code, detail))
    }

    /// A failure that a JavaScript value caused.
    pub fn caused(code: Code, detail: impl Into<Cow<'static, str>>, cause: JsValue) -> Self {
        Self::with(Error::new(code, detail), Some(cause))
    }

    #[cold]
    #[inline(never)]
    fn with(error: Error, cause: Option<JsValue>) -> Self {
        Self(Box::new(Report { error, cause, payment: None, advised: false }))
    }

    /// A failure whose sentence says what to do.
    pub fn advised(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let mut failure = Self::new(code, detail);
        failure.0.advised = true;
        failure
    }

    /// The same, about this payment.
    #[must_use]
    pub fn about(mut self, payment: PaymentId) -> Self {
        self.0.payment = Some(payment);
        self
    }

    /// The same, under another code.
    #[must_use]
    pub fn seen_as(self, code: Code) -> Self {
        Self::with(Error::new(code, self.detail().to_owned()), self.0.cause)
    }

    /// The same cause in other words.
    #[must_use]
    pub fn instead(self, detail: String) -> Self {
        Self::with(Error::new(self.code(), detail), self.0.cause)
    }

    /// The same, with what it means here after what was said.
    #[must_use]
    pub fn because(self, meaning: &str) -> Self {
        let detail = match self.detail() {
            "" => meaning.to_owned(),
            said => format!("{} {meaning}", sentence(said)),
        };
        let mut failure = Self::with(Error::new(self.code(), detail), self.0.cause);
        failure.0.payment = self.0.payment;
        failure.0.advised = self.0.advised;
        failure
    }

    /// The same, where what it means here says what to do, too.
    #[must_use]
    pub fn means(self, meaning: &str) -> Self {
        let mut failure = self.because(meaning);
        failure.0.advised = true;
        failure
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.error.code()
    }

    /// The sentence about this case; may be empty.
    #[must_use]
    pub fn detail(&self) -> &str {
        self.0.error.detail()
    }

    /// What JavaScript sees as `cause`.
    #[must_use]
    pub const fn cause(&self) -> Option<&JsValue> {
        self.0.cause.as_ref()
    }
}

impl From<Error> for Failure {
    #[cold]
    #[inline(never)]
    fn from(error: Error) -> Self {
        Self::with(error, None)
    }
}

impl From<Code> for Failure {
    #[cold]
    #[inline(never)]
    fn from(code: Code) -> Self {
        Self::with(code.into(), None)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.error, f)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.error, f)
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        let (detail, code) = (failure.detail(), failure.code());
        // What is wrong with an argument is all that there is to say.
        let message = match failure.0.advised || code == Code::InvalidArgument {
            _ if detail.is_empty() => code.advice().to_owned(),
            true => sentence(detail),
            false => format!("{} {}", sentence(detail), code.advice()),
        };
        let message = if is_disagreement(code) { format!("{message} {DISAGREEMENT}") } else { message };
        let error = js_sys::Error::new(&message);
        error.set_name("FarthingError");
        crate::js::set(&error, "code", code.as_str());
        if let Some(cause) = failure.cause() {
            crate::js::set(&error, "cause", cause.clone());
        }
        if let Some(payment) = failure.0.payment {
            crate::js::set(&error, "paymentId", crate::js::hex(payment.0));
        }
        error.into()
    }
}

/// What to do where one side takes the other's messages for wrong: applications can't mend them.
const DISAGREEMENT: &str = "The hub and this package do not keep to the same rules: update the package; if that does not help, take the money home with close() or exit().";

/// Whether the code says that one side broke the protocol, and not yet what to do.
fn is_disagreement(code: Code) -> bool {
    code.blame() == Blame::PeerFault
        && !matches!(
            code,
            Code::HubFault | Code::RateLimited | Code::BadTerms | Code::MessageTooLarge | Code::BadEvidence
        )
}

/// The protocol's words about an error as a sentence; what is one already stays as it is.
fn sentence(detail: &str) -> String {
    let mut letters = detail.chars();
    match letters.next() {
        Some(first) if !detail.ends_with(['.', '?', '!']) => {
            format!("{}{}.", first.to_ascii_uppercase(), letters.as_str())
        }
        _ => detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_protocol_says_becomes_a_sentence_and_a_sentence_stays() {
        assert_eq!(sentence("a memo has at most 256 bytes"), "A memo has at most 256 bytes.");
        assert_eq!(sentence("pay(): to must be an address."), "pay(): to must be an address.");
    }
}
