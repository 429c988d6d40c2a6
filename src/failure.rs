//! An error of the client: the protocol's [`Error`] and, where there is one, the JavaScript value that caused it.

use farthing_protocol::{Code, Error};
use std::borrow::Cow;
use std::fmt;
use wasm_bindgen::prelude::*;

/// What a call of the client can fail with.
pub type Result<T> = core::result::Result<T, Failure>;

/// A stable code, a sentence, and the JavaScript value that caused it.
#[derive(Clone)]
pub struct Failure {
    /// What JavaScript sees as `code` and `message`.
    pub error: Error,
    /// What JavaScript sees as `cause`.
    pub cause: Option<JsValue>,
}

impl Failure {
    /// A failure without a cause.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { error: Error::new(code, detail), cause: None }
    }

    /// A failure that a JavaScript value caused.
    pub fn caused(code: Code, detail: impl Into<Cow<'static, str>>, cause: JsValue) -> Self {
        Self { error: Error::new(code, detail), cause: Some(cause) }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.error.code()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, cause: None }
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self { error: code.into(), cause: None }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        let detail = failure.error.detail();
        let code = failure.error.code();
        let message = if detail.is_empty() { code.advice().to_owned() } else { format!("{detail} {}", code.advice()) };
        let error = js_sys::Error::new(&message);
        error.set_name("FarthingError");
        crate::js::set(&error, "code", code.as_str());
        if let Some(cause) = failure.cause {
            crate::js::set(&error, "cause", cause);
        }
        error.into()
    }
}
