//! Where the hub keeps what it must not forget.
//!
//! Duty: a commit is atomic, and durable when its future resolves with `Ok`. Whoever returns `Ok` earlier loses
//! money in a crash: signatures are sent right after it.

mod orders;
mod sqlite;
mod steps;
mod transactions;

pub use orders::{NonceEnd, Status, StoredOrder};
pub use sqlite::Sqlite;
pub(crate) use sqlite::failed;
pub use transactions::{Attempt, Transaction};

use alloy_primitives::B256;
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

    /// One entry, by its key.
    fn value<'a>(&'a self, key: &'a str) -> Stored<'a, Option<Vec<u8>>>;

    /// Applies all writes, in order, in one transaction.
    fn commit<'a>(&'a self, writes: &'a [Write]) -> Stored<'a, ()>;

    /// A fact of the node itself.
    fn fact<'a>(&'a self, key: &'static str) -> Stored<'a, Option<String>>;

    /// Sets a fact of the node itself.
    fn set_fact<'a>(&'a self, key: &'static str, value: String) -> Stored<'a, ()>;

    /// Queues orders whose ids are unknown, or have failed, in one commit.
    fn enqueue<'a>(&'a self, orders: &'a [StoredOrder]) -> Stored<'a, ()>;

    /// The orders that are neither mined nor failed, oldest first.
    fn open_orders(&self) -> Stored<'_, Vec<StoredOrder>>;

    /// One order.
    fn order<'a>(&'a self, id: &'a str) -> Stored<'a, Option<StoredOrder>>;

    /// The hash of the transaction that carries out an order, as it was signed first; none while it is not signed.
    fn first_hash<'a>(&'a self, id: &'a str) -> Stored<'a, Option<B256>>;

    /// An order fails without a transaction that was mined; it is not tried again before `not_before`.
    fn give_up<'a>(&'a self, id: &'a str, not_before: u64, now: u64) -> Stored<'a, ()>;

    /// The transactions whose nonce no final block has used, by nonce, then oldest first.
    fn open_transactions(&self) -> Stored<'_, Vec<Transaction>>;

    /// The transactions that a final block held, with this nonce or a later one, by nonce.
    fn ended_from(&self, nonce: u64) -> Stored<'_, Vec<Transaction>>;

    /// Stores a transaction with its signed forms, and that it carries out these orders, all of which must be queued.
    /// It must be durable before it is broadcast. Returns the transaction's id.
    fn signed<'a>(&'a self, transaction: &'a Transaction, orders: &'a [String]) -> Stored<'a, u64>;

    /// Stores one more signed form of a transaction. It must be durable before it is broadcast.
    fn signed_again<'a>(&'a self, id: u64, attempt: &'a Attempt) -> Stored<'a, ()>;

    /// Sets how a nonce was used, what became of the orders of its transaction, and that those of others wait again.
    fn end_nonce(&self, end: NonceEnd) -> Stored<'_, ()>;

    /// A transaction that had ended is under way again, with the orders that are still its own.
    fn revive(&self, id: u64) -> Stored<'_, ()>;

    /// Whether a transaction is the last that carries out some order.
    fn has_orders(&self, id: u64) -> Stored<'_, bool>;

    /// Deletes some rows of what ended before a second and in no block above `block`. Returns how many.
    fn forget_ended(&self, before: u64, block: u64, most: u32) -> Stored<'_, u64>;

    /// Finishes what is under way and lets go of the file.
    fn close(&self) -> Stored<'_, ()>;
}
