//! An error of the client: the protocol's [`Error`] and, where there is one, the JavaScript value that caused it.

use farthing_protocol::{Code, Error};
use std::borrow::Cow;
use std::fmt;
use wasm_bindgen::prelude::*;

/// What a call of the client can fail with.
pub type Result<T> = core::result::Result<T, Failure>;

/// A stable code, a sentence, and the JavaScript value that caused it. One pointer, for the reason that
/// [`Error`] is one.
#[derive(Clone)]
pub struct Failure(Box<(Error, Option<JsValue>)>);

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
        Self(Box::new((error, cause)))
    }

    /// The same, under another code.
    #[must_use]
    pub fn seen_as(self, code: Code) -> Self {
        Self::with(Error::new(code, self.detail().to_owned()), self.0.1)
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.0.code()
    }

    /// The sentence about this case; may be empty.
    #[must_use]
    pub fn detail(&self) -> &str {
        self.0.0.detail()
    }

    /// What JavaScript sees as `cause`.
    #[must_use]
    pub const fn cause(&self) -> Option<&JsValue> {
        self.0.1.as_ref()
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
        fmt::Display::fmt(&self.0.0, f)
    }
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        let (detail, code) = (failure.detail(), failure.code());
        let message = if detail.is_empty() { code.advice().to_owned() } else { format!("{detail} {}", code.advice()) };
        let error = js_sys::Error::new(&message);
        error.set_name("FarthingError");
        crate::js::set(&error, "code", code.as_str());
        if let Some(cause) = failure.cause() {
            crate::js::set(&error, "cause", cause.clone());
        }
        error.into()
    }
}
