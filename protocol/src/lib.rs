//! The rules of Farthing's payment channels, shared by the client, the hub and the watchtower.
//!
//! Nothing here does I/O, reads a clock, draws randomness or waits: time and random ids are arguments,
//! and what has to be stored, sent or submitted comes back as a value. `docs/protocol.md` is the text that
//! this code follows; `GLOSSARY.md` has the names.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

extern crate alloc;
#[cfg(any(test, feature = "mutants"))]
extern crate std;

pub mod abi;
pub mod amount;
pub mod api;
pub mod backup;
pub mod chain;
pub mod channel;
pub mod codec;
pub mod condition;
pub mod eip712;
pub mod envelope;
pub mod error;
pub mod gas;
pub mod gate;
pub mod hub;
pub mod journal;
pub mod json;
pub mod lane;
pub mod map;
pub mod message;
pub mod proof;
pub mod reading;
pub mod reason;
pub mod rules;
pub mod settle;
pub mod sign;
pub mod tree;
pub mod types;
pub mod wallet;
pub mod watch;

pub use amount::Amount;
pub use error::{Blame, Code, Error};
pub use reason::{Matter, Reason};
pub use types::{Asset, ChannelDef, ChannelId, ETH, Participant, Side, Sides};
