//! What a hub and a watchtower are asked, and what they answer: the one description that both sides of the wire use.
//!
//! A method is a type, its parameters, whose [`Call`] names it and says what comes back. Hub, tower and client encode and
//! decode with the same `wire!` lines; `openrpc.json` and `openrpc-watch.json` of the hub are checked against the same.

pub mod errors;
pub mod frames;
pub mod hub;
pub mod limits;
mod payee;
pub mod relay;
mod status;
pub mod terms;
pub mod tower;

pub use payee::PayeeInfo;
pub use status::{AssetState, ChannelStatus};

use crate::json::shape::{Shape, Shaped};
use crate::json::{FromJson, ToJson};

/// The version of all this that is spoken here.
pub const PROTOCOL_VERSION: u32 = 1;

/// The parameters of a method.
pub trait Call: FromJson + ToJson + Shaped {
    /// The method.
    const NAME: &'static str;
    /// What it answers.
    type Result: Shaped;
}

/// What `rpc.discover` answers: an OpenRPC document.
#[derive(Debug)]
pub struct Document;

impl Shaped for Document {
    const SHAPE: Shape = Shape::Any;
}

/// The methods that are served somewhere: their names, their parameters and what they answer.
macro_rules! methods {
    ($($(#[$doc:meta])* $method:ident = $name:literal => $result:ty;)*) => {
        /// A method that is served.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Method { $($(#[$doc])* $method,)* }

        impl Method {
            /// Every method.
            pub const ALL: &'static [Self] = &[$(Self::$method,)*];

            /// The method with this name.
            #[must_use]
            pub fn of(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$method),)* _ => None }
            }

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$method => <$method as $crate::api::Call>::NAME,)* }
            }

            /// The JSON of its parameters, and of what it answers.
            #[must_use]
            pub const fn shapes(self) -> ($crate::json::shape::Shape, $crate::json::shape::Shape) {
                use $crate::json::shape::Shaped;
                match self { $(Self::$method => ($method::SHAPE, <$result as Shaped>::SHAPE),)* }
            }
        }

        $(impl $crate::api::Call for $method {
            const NAME: &'static str = $name;
            type Result = $result;
        })*
    };
}

pub(crate) use methods;
