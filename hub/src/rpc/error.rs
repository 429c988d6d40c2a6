//! What a caller is told when a call fails.

use farthing_protocol::api::Call;
use farthing_protocol::api::errors::{self, Refusal};
use farthing_protocol::api::hub::Discover;
use farthing_protocol::{Blame, Code, Error};
use std::borrow::Cow;

/// Why a call failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RpcError {
    number: i32,
    message: Cow<'static, str>,
    code: Code,
}

impl RpcError {
    const fn standard(number: i32, message: Cow<'static, str>, code: Code) -> Self {
        Self { number, message, code }
    }

    /// As it is told.
    pub(super) fn told(&self) -> Refusal<'_> {
        Refusal { number: self.number, message: &self.message, code: self.code }
    }

    /// Not JSON.
    pub(crate) const fn parse() -> Self {
        Self::standard(errors::NOT_JSON, Cow::Borrowed("the message is not JSON"), Code::BadEncoding)
    }

    /// JSON, but no JSON-RPC request.
    pub(crate) fn request(what: impl Into<Cow<'static, str>>) -> Self {
        Self::standard(errors::NO_REQUEST, what.into(), Code::BadEncoding)
    }

    /// No such method.
    pub(crate) fn method(name: &str) -> Self {
        // The name is the caller's: long ones are cut.
        let shown: String = name.chars().take(64).collect();
        let said = format!("there is no method {shown:?}; see {}", Discover::NAME);
        Self::standard(errors::NO_METHOD, said.into(), Code::Unsupported)
    }

    /// Our own view of the chain is missing, which is no fault of the caller's RPC.
    pub(super) const fn chain_unread() -> Self {
        let said = "the hub can't read the chain just now; nothing is lost, try again in a while";
        Self::standard(errors::FAILED, Cow::Borrowed(said), Code::ChainUnavailable)
    }

    /// The parameters don't fit the method.
    pub(super) fn params(what: String) -> Self {
        Self::standard(errors::BAD_PARAMS, what.into(), Code::InvalidArgument)
    }

    /// A peer message among the parameters can't be decoded.
    pub(super) fn messages(what: String) -> Self {
        Self::standard(errors::BAD_PARAMS, what.into(), Code::BadEncoding)
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
        Self { number: errors::FAILED, message, code }
    }
}

impl From<Code> for RpcError {
    fn from(code: Code) -> Self {
        Error::from(code).into()
    }
}
