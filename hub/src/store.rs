//! Where the hub keeps what it must not forget.
//!
//! Duty: a commit is atomic, and durable when its future resolves with `Ok`. Whoever returns `Ok` earlier loses
//! money in a crash: signatures are sent right after it.

mod sqlite;
mod transactions;

pub use sqlite::Sqlite;
pub(crate) use sqlite::failed;
pub use transactions::{Attempt, Status, Transaction};

use farthing_protocol::journal::Write;
use farthing_protocol::{ChannelId, Error};
use futures_util::future::BoxFuture;

/// Where a client's backup is kept: beside the protocol's own entries, which are read at the start.
pub(crate) fn backup_key(channel: ChannelId) -> String {
    format!("backup/{channel}")
}

/// What a method of [`Store`] returns.
pub type Stored<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// A durable store with one owner: the protocol's journal by key, a few facts of the node itself,
/// and the transactions it sends. Object-safe, so that another database can take its place.
pub trait Store: Send + Sync + std::fmt::Debug + 'static {
    /// All entries whose key starts with `prefix`, in bytewise order of their keys.
    fn load<'a>(&'a self, prefix: &'a str) -> Stored<'a, Vec<(String, Vec<u8>)>>;

    /// Applies all writes, in order, in one transaction.
    fn commit<'a>(&'a self, writes: &'a [Write]) -> Stored<'a, ()>;

    /// A fact of the node itself.
    fn fact<'a>(&'a self, key: &'static str) -> Stored<'a, Option<String>>;

    /// Sets a fact of the node itself.
    fn set_fact<'a>(&'a self, key: &'static str, value: String) -> Stored<'a, ()>;

    /// Queues a transaction, unless its id is known.
    fn enqueue<'a>(&'a self, transaction: &'a Transaction) -> Stored<'a, ()>;

    /// The transactions that are neither mined nor failed, oldest first.
    fn open_transactions(&self) -> Stored<'_, Vec<Transaction>>;

    /// The transactions that were signed with this nonce or a later one and have ended, by nonce.
    fn ended_from(&self, nonce: u64) -> Stored<'_, Vec<Transaction>>;

    /// One transaction.
    fn transaction<'a>(&'a self, id: &'a str) -> Stored<'a, Option<Transaction>>;

    /// Stores a signed form of a transaction. It must be durable before it is broadcast.
    fn signed<'a>(&'a self, id: &'a str, nonce: u64, gas: u64, attempt: &'a Attempt) -> Stored<'a, ()>;

    /// Sets what became of a transaction.
    fn set_status<'a>(&'a self, id: &'a str, status: Status, block: Option<u64>) -> Stored<'a, ()>;

    /// Finishes what is under way and lets go of the file.
    fn close(&self) -> Stored<'_, ()>;
}
