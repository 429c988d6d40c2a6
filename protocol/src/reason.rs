//! What a peer says that it declines, and why. Words that we know are typed; others, which a later peer may have, are kept
//! as they came, and go on to the store and to the application.

use crate::codec::{Decode, Encode, Reader};
use crate::error::Code;
use crate::json::shape::{Shape, Shaped};
use crate::json::{Fault, FromJson, ToJson, Value, text};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Why something was not done, as somebody says it.
#[derive(Clone, PartialEq, Eq)]
pub struct Reason(Why);

#[derive(Clone, PartialEq, Eq)]
enum Why {
    Known(Code),
    /// None of our codes.
    Unknown(String),
}

impl Reason {
    /// The code, if it is one of ours.
    #[must_use]
    pub const fn code(&self) -> Option<Code> {
        match &self.0 {
            Why::Known(code) => Some(*code),
            Why::Unknown(_) => None,
        }
    }

    /// In the words of the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Why::Known(code) => code.as_str(),
            Why::Unknown(said) => said,
        }
    }
}

impl From<Code> for Reason {
    fn from(code: Code) -> Self {
        Self(Why::Known(code))
    }
}

impl From<&str> for Reason {
    #[inline(never)]
    fn from(said: &str) -> Self {
        Self(Code::from_name(said).map_or_else(|| Why::Unknown(said.into()), Why::Known))
    }
}

impl PartialEq<Code> for Reason {
    fn eq(&self, code: &Code) -> bool {
        self.code() == Some(*code)
    }
}

impl Encode for Reason {
    fn put(&self, out: &mut Vec<u8>) {
        crate::codec::put_text(self.as_str(), out);
    }
}

impl Decode for Reason {
    fn get(input: &mut Reader<'_>) -> Self {
        String::get(input).as_str().into()
    }
}

/// What was declined.
#[derive(Clone, PartialEq, Eq)]
pub enum Matter {
    /// To sign a withdrawal.
    Withdraw,
    /// To sign a closing.
    Close,
    /// To take evidence.
    Reveal,
    /// Something that we don't know.
    Other(String),
}

impl Matter {
    /// In the words of the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Withdraw => "withdraw",
            Self::Close => "close",
            Self::Reveal => "reveal",
            Self::Other(said) => said,
        }
    }
}

impl From<&str> for Matter {
    #[inline(never)]
    fn from(said: &str) -> Self {
        let known = [Self::Withdraw, Self::Close, Self::Reveal].into_iter().find(|known| known.as_str() == said);
        known.unwrap_or_else(|| Self::Other(said.into()))
    }
}

macro_rules! words {
    ($($type:ident),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        /// As the text that it is.
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl ToJson for $type {
            fn write(&self, out: &mut String) {
                self.as_str().write(out);
            }
        }

        impl FromJson for $type {
            fn read(value: &Value<'_>, fault: &mut Fault) -> Self {
                text(value, fault).into()
            }
        }

        impl Shaped for $type {
            const SHAPE: Shape = Shape::Text;
        }
    )*};
}

words!(Reason, Matter);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{decode, encode};
    use crate::json;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn a_reason_is_on_the_wire_and_in_the_store_what_was_said() {
        let later = "a-code-of-a-later-peer \"1\"";
        for said in Code::ALL.iter().map(|code| code.as_str()).chain([later, ""]) {
            let reason = Reason::from(said);
            assert_eq!(json::encode(&reason), json::encode(said));
            assert_eq!(json::decode::<Reason>(&json::encode(said)).unwrap(), reason);
            let stored = encode(&said.to_string());
            assert_eq!((encode(&reason), decode::<Reason>(&stored).unwrap()), (stored.clone(), reason.clone()));
            assert_eq!(format!("{reason:?} {reason}"), format!("{said:?} {said}"));
            assert_eq!(reason.code(), Code::from_name(said));
        }
        assert!(Reason::from("bad-nonce") == Code::BadNonce && Reason::from(later) != Code::BadNonce);
    }

    #[test]
    fn what_is_declined_is_told_apart_and_the_unknown_is_kept() {
        for (matter, said) in [(Matter::Withdraw, "withdraw"), (Matter::Close, "close"), (Matter::Reveal, "reveal")] {
            assert_eq!((json::encode(&matter), Matter::from(said)), (json::encode(said), matter));
        }
        let other: Matter = json::decode("\"lend\"").unwrap();
        assert_eq!((json::encode(&other), other), ("\"lend\"".to_string(), Matter::Other("lend".to_string())));
        assert!(json::decode::<Matter>("5").is_err());
    }
}
