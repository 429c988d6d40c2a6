//! The chain's side of the node: a follower that reads it, a sender that writes to it.

mod fault;
mod follower;
pub(crate) mod gate;
mod listener;
mod nodes;
mod owners;
mod reader;
mod rpc;
mod sender;

pub use farthing_protocol::reading::{Block, Heard};
pub use follower::{Follower, FollowerConfig};
pub use listener::{Listener, Outcome};
pub use owners::Owners;
pub use rpc::{AccountState, Estimate, Fees, Refusal, Rpc};
pub use sender::{GasPolicy, MaxCost, Order, Orders, Placed, Price, RESERVE_GAS, Sender, SenderConfig};
