//! A chain to try the protocol on: the contract once more in Rust, blocks that a reorganisation can take back, nodes
//! that show them as nodes do, machines and how they read, and the dice. The model test and the crash matrix play on it.
#![allow(
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that stops where it is wrong"
)]

pub mod chain;
pub mod contract;
pub mod machine;
pub mod node;
pub mod reader;
pub mod rng;
