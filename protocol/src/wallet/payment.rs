//! A payment, as the wallet's owner sees it.

use super::stream::Stream;
use crate::amount::Amount;
use crate::channel::OpRef;
use crate::codec::stored;
use crate::lane::LockRef;
use crate::reason::Reason;
use crate::types::Asset;
use alloc::string::String;
use alloy_primitives::Address;
use core::fmt;

/// Names a payment of this wallet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentId(pub [u8; 16]);

stored!(struct PaymentId { 0 });

impl fmt::Debug for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&alloy_primitives::hex::encode_prefixed(self.0))
    }
}

/// Which way the money goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From us.
    Sent,
    /// To us.
    Received,
}

stored!(enum Direction { 0 => Sent, 1 => Received });

/// How far a payment is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// On its way.
    Pending,
    /// The payee is away; the hub holds the offer until shortly before its expiry.
    Held,
    /// Handed over; for a payment through the hub, the preimage proves it.
    Completed,
    /// Refused, declined or expired, but an older signature could still be used: do not pay again yet.
    Returning,
    /// Nothing was paid, and nothing can be any more.
    Failed,
}

stored!(enum Status { 0 => Pending, 1 => Held, 2 => Completed, 3 => Returning, 4 => Failed });

/// A payment.
#[derive(Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its name.
    pub id: PaymentId,
    /// Which way.
    pub direction: Direction,
    /// Of what.
    pub asset: Asset,
    /// How much; of a stream that has not ended, what all its units cost.
    pub amount: Amount,
    /// Whom it was sent to; a payee does not learn who paid.
    pub to: Option<Address>,
    /// The payer's words, for the payee alone.
    pub memo: String,
    /// How far it is.
    pub status: Status,
    /// Why it failed.
    pub code: Option<Reason>,
    /// Unix seconds.
    pub created: u64,
    /// Unix seconds.
    pub updated: u64,
    /// When an unclaimed one comes back, Unix seconds.
    pub expiry: Option<u64>,
    /// The proof of payment: its sha256 is the hash that was paid to.
    pub preimage: Option<[u8; 32]>,
    /// Whether the money is in a balance proof, and not in a lock any more.
    pub settled: bool,
    /// The lock that carries it.
    pub lock: Option<LockRef>,
    /// The op that carries it.
    pub op: Option<OpRef>,
    /// If it is paid in units.
    pub stream: Option<Stream>,
}

stored!(struct Payment {
    id, direction, asset, amount, to, memo, status, code, created, updated, expiry, preimage, settled, lock, op,
    stream since 4
});

/// The preimage of a payment on its way is a secret, and a memo is private.
impl fmt::Debug for Payment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payment")
            .field("id", &self.id)
            .field("direction", &self.direction)
            .field("asset", &self.asset)
            .field("amount", &self.amount)
            .field("status", &self.status)
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

impl Payment {
    /// One that we make, before anything is signed.
    pub(super) fn sent(
        id: [u8; 16],
        asset: Asset,
        amount: Amount,
        to: Address,
        memo: String,
        expiry: Option<u64>,
        now: u64,
    ) -> Self {
        Self {
            direction: Direction::Sent,
            to: Some(to),
            ..Self::received(PaymentId(id), asset, amount, memo, expiry, now)
        }
    }

    /// One that is made to us, before anything is known of it.
    pub(super) const fn received(
        id: PaymentId,
        asset: Asset,
        amount: Amount,
        memo: String,
        expiry: Option<u64>,
        now: u64,
    ) -> Self {
        Self {
            id,
            direction: Direction::Received,
            asset,
            amount,
            to: None,
            memo,
            status: Status::Pending,
            code: None,
            created: now,
            updated: now,
            expiry,
            preimage: None,
            settled: false,
            lock: None,
            op: None,
            stream: None,
        }
    }

    /// Where it stands in a history: later ones are larger. Of the same second, those of a lane in the order in which they
    /// were signed.
    #[must_use]
    pub fn order(&self) -> (u64, u64, u32, PaymentId) {
        let (nonce, index) = match (self.op, self.lock, self.direction) {
            (Some(op), ..) => (op.nonce, op.index),
            (None, Some(lock), _) => (lock.placed, u32::from(lock.slot)),
            // Not signed yet.
            (None, None, Direction::Sent) => (u64::MAX, u32::MAX),
            (None, None, Direction::Received) => (0, 0),
        };
        (self.created, nonce, index, self.id)
    }

    /// Whether it can't change any more.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self.status {
            Status::Completed => self.settled,
            Status::Failed => true,
            Status::Pending | Status::Held | Status::Returning => false,
        }
    }
}
