//! How a failed call is told: the number that JSON-RPC wants, a sentence, and the stable [`Code`] in `data.code`.

use crate::error::Code;
use crate::json::{ToJson, Value, put_name, put_number};
use alloc::string::String;

/// Not JSON.
pub const NOT_JSON: i32 = -32_700;
/// JSON, but no request of JSON-RPC.
pub const NO_REQUEST: i32 = -32_600;
/// No such method.
pub const NO_METHOD: i32 = -32_601;
/// The parameters are not the method's.
pub const BAD_PARAMS: i32 = -32_602;
/// All that the standard has no number for.
pub const FAILED: i32 = -32_000;

/// Why a call failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal<'a> {
    /// The standard's number.
    pub number: i32,
    /// For a person.
    pub message: &'a str,
    /// The stable code.
    pub code: Code,
}

impl ToJson for Refusal<'_> {
    fn write(&self, out: &mut String) {
        out.push('{');
        put_name("code", out);
        put_number(self.number, out);
        put_name("message", out);
        self.message.write(out);
        put_name("data", out);
        out.push('{');
        put_name("code", out);
        self.code.as_str().write(out);
        out.push_str("}}");
    }
}

/// What is told of a failed call: the sentence, and the code if we know it. `None` if this is no error of JSON-RPC.
#[must_use]
pub fn told<'v>(error: &'v Value<'_>) -> Option<(&'v str, Option<Code>)> {
    let message = error.get("message").text()?;
    Some((message, error.get("data").get("code").text().and_then(Code::from_name)))
}
