//! The chain's side of the node: a watcher that reads it, a sender that writes to it.

mod listener;
mod logs;
mod rpc;
mod sender;
mod watcher;

pub use listener::{Heard, Listener};
pub use rpc::{Block, Fees, Rpc};
pub use sender::{Order, Sender, SenderConfig};
pub use watcher::{Watcher, WatcherConfig};
