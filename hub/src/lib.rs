//! The native node of Farthing: the protocol crate's hub behind JSON-RPC, SQLite and an Ethereum RPC.
//!
//! No protocol logic lives here. `farthing_protocol::hub::Hub` decides; this crate reads, writes and sends.

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

pub mod chain;
pub mod cli;
pub mod clock;
pub mod config;
pub mod core;
pub mod deposits;
pub mod health;
pub mod node;
pub mod origin;
pub mod rpc;
pub mod store;
pub mod watch;
