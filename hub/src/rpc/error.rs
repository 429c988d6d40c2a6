//! What a caller is told when a call fails.

use farthing_protocol::{Blame, Code, Error};
use serde::Serialize;
use std::borrow::Cow;

/// A JSON-RPC error. `data.code` is the stable name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct RpcError {
    code: i32,
    message: Cow<'static, str>,
    data: Data,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
struct Data {
    code: &'static str,
}

impl RpcError {
    const fn standard(code: i32, message: Cow<'static, str>, stable: Code) -> Self {
        Self { code, message, data: Data { code: stable.as_str() } }
    }

    /// Not JSON.
    pub(super) const fn parse() -> Self {
        Self::standard(-32_700, Cow::Borrowed("the message is not JSON"), Code::BadEncoding)
    }

    /// JSON, but no JSON-RPC request.
    pub(super) fn request(what: impl Into<Cow<'static, str>>) -> Self {
        Self::standard(-32_600, what.into(), Code::BadEncoding)
    }

    /// No such method.
    pub(super) fn method(name: &str) -> Self {
        // The name is the caller's: long ones are cut.
        let shown: String = name.chars().take(64).collect();
        Self::standard(-32_601, format!("there is no method {shown:?}; see rpc.discover").into(), Code::Unsupported)
    }

    /// The parameters don't fit the method.
    pub(super) fn params(what: String) -> Self {
        Self::standard(-32_602, what.into(), Code::InvalidArgument)
    }

    /// A peer message among the parameters can't be decoded.
    pub(super) fn messages(what: String) -> Self {
        Self::standard(-32_602, what.into(), Code::BadEncoding)
    }
}

impl From<Error> for RpcError {
    fn from(error: Error) -> Self {
        let code = error.code();
        // Causes on our side are for our log.
        let ours = matches!(code.blame(), Blame::Storage | Blame::Bug | Blame::Chain);
        let message = if ours || error.detail().is_empty() {
            if ours {
                tracing::warn!(%error, "a call failed on our side");
            }
            Cow::Borrowed(code.advice())
        } else {
            Cow::Owned(error.detail().to_owned())
        };
        Self { code: -32_000, message, data: Data { code: code.as_str() } }
    }
}

impl From<Code> for RpcError {
    fn from(code: Code) -> Self {
        Error::from(code).into()
    }
}
