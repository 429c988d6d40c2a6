//! The watchtower: answers exits for clients that are away, and can do nothing else.
//!
//! It holds no client's key and no client's money. What it has are proofs that both sides of a channel signed, and
//! evidence for their locks: showing either is anybody's right, so all that a tower can do wrong is to stay silent,
//! and its receipts prove that. It keeps the newest proof of a lane and nothing else, however many payments are made.

mod answer;
mod chain;
mod config;
mod node;
mod rpc;
mod store;
mod tower;

pub use config::{RawWatch, WatchConfig, WatchLimits};
pub use node::WatchNode;
pub use store::{Put, PutLane, Running, TowerStore, Watched};
pub use tower::{Gas, Tower};
