//! What a channel tells: effects for its driver, events for the machine that owns it.

use super::{CallId, ExitStage, Refused, SignedClosing, SignedWithdrawal};
use crate::amount::Amount;
use crate::chain::{ChainCall, Purpose};
use crate::codec::stored;
use crate::error::Error;
use crate::lane::LockRef;
use crate::message::Message;
use crate::proof::LaneId;
use crate::reason::{Matter, Reason};
use crate::types::Asset;
use alloc::string::String;
use alloy_primitives::Bytes;

/// What a channel asks its driver to do, once the facts are durable.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant, reason = "effects are short-lived")]
pub enum Effect {
    /// Send to the other participant.
    Send(Message),
    /// Send a transaction; the id stays the same if it is asked for again.
    Submit {
        /// Idempotency key.
        id: CallId,
        /// What to call.
        call: ChainCall,
        /// Why.
        purpose: Purpose,
    },
}

/// Names one of our own ops for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OpRef {
    /// Which lane.
    pub lane: LaneId,
    /// Of the proof that it was signed with.
    pub nonce: u64,
    /// Its place among that update's ops.
    pub index: u32,
}

stored!(struct OpRef { lane, nonce, index });

/// What happened in a channel, for the machine that owns it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A queued op was signed. For a lock, `lock` names it.
    Signed {
        /// What [`Channel::queue`] was given.
        ticket: u64,
        /// The op's name.
        op: OpRef,
        /// The lock's name.
        lock: Option<LockRef>,
    },
    /// A queued op could not be signed and was dropped.
    Dropped {
        /// What [`Channel::queue`] was given.
        ticket: u64,
        /// Why.
        error: Error,
    },
    /// The peer holds our proof with this nonce.
    Accepted {
        /// Which lane.
        lane: LaneId,
        /// Of the accepted proof.
        nonce: u64,
    },
    /// Our op was refused. It counts as spent until [`Event::RefusalFinal`].
    Refused {
        /// The op.
        op: OpRef,
        /// For a lock, its name.
        lock: Option<LockRef>,
        /// Why, as the peer says.
        code: Reason,
    },
    /// The refused op can no longer cost anything.
    RefusalFinal {
        /// The op.
        op: OpRef,
        /// For a lock, its name.
        lock: Option<LockRef>,
    },
    /// The chain settled a proof with this op, though the peer had refused it.
    Paid {
        /// The op.
        op: OpRef,
    },
    /// The peer handed `amount` over.
    Received {
        /// The op.
        op: OpRef,
        /// How much.
        amount: Amount,
        /// The payer's words.
        memo: String,
    },
    /// The peer locked money for us.
    LockReceived {
        /// The lock.
        lock: LockRef,
    },
    /// Evidence for our lock is known; it will be redeemed.
    Revealed {
        /// The lock.
        lock: LockRef,
        /// Units proved, at most the lock's own.
        units: u32,
        /// What proves them.
        evidence: Bytes,
    },
    /// Units of a lock were handed over, in either lane.
    Redeemed {
        /// The lock.
        lock: LockRef,
        /// In all.
        units: u32,
        /// Money of this step.
        amount: Amount,
        /// Whether nothing is left of it.
        done: bool,
    },
    /// A lock was removed with something left. In our own lane it counts until [`Event::ReleaseFinal`].
    Released {
        /// The lock.
        lock: LockRef,
        /// Units that were handed over before.
        redeemed: u32,
    },
    /// A lock of ours that was released can no longer cost anything.
    ReleaseFinal {
        /// The lock.
        lock: LockRef,
    },
    /// The payee gave our lock up; it will be released.
    Failed {
        /// The lock.
        lock: LockRef,
        /// Why, as the peer says.
        code: Reason,
    },
    /// The payer asks us to give its lock up.
    CancelAsked {
        /// The lock.
        lock: LockRef,
    },
    /// The hub holds our lock's offer for a payee that is away.
    Held {
        /// The lock.
        lock: LockRef,
    },
    /// The payee has accepted what the hub placed for our lock.
    Forwarded {
        /// The lock.
        lock: LockRef,
    },
    /// What the chain says of an asset has changed.
    Chain {
        /// Which asset.
        asset: Asset,
    },
    /// The peer's view of confirmed deposits has changed.
    PeerFunds {
        /// Which asset.
        asset: Asset,
    },
    /// A withdrawal has both signatures.
    WithdrawalReady {
        /// The withdrawal.
        signed: SignedWithdrawal,
    },
    /// A closing has both signatures.
    ClosingReady {
        /// The closing.
        signed: SignedClosing,
    },
    /// The peer did not sign.
    Declined {
        /// What.
        what: Matter,
        /// Why, as the peer says.
        code: Reason,
        /// In its words.
        message: String,
    },
    /// An exit has started.
    ExitStarted {
        /// Unix seconds.
        ends_at: u64,
    },
    /// An exit got on, or a reorg threw it back.
    Exit {
        /// Where it stands.
        stage: ExitStage,
    },
    /// The peer does not redeem a lock though its evidence is on chain and its expiry has passed: only an exit gets
    /// the money.
    Overdue {
        /// The lock.
        lock: LockRef,
    },
    /// The peer holds newer state of ours than we do; nothing is signed until it is restored.
    Outdated,
}

impl Refused {
    pub(super) fn names(&self, lane: LaneId) -> (OpRef, Option<LockRef>) {
        let lock = self.lock.map(|lock| LockRef { lane, placed: lock.placed, slot: lock.slot });
        (OpRef { lane, nonce: self.nonce, index: self.index }, lock)
    }

    pub(super) fn end_event(&self, lane: LaneId) -> Event {
        match self.names(lane) {
            (_, Some(lock)) if self.released => Event::ReleaseFinal { lock },
            (op, lock) => Event::RefusalFinal { op, lock },
        }
    }
}
