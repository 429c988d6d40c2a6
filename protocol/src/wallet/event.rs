//! What a wallet tells its application, and what it asks its driver to do.

use super::{Payment, PaymentId};
use crate::amount::Amount;
use crate::chain::{AssetStatus, ChainCall, Purpose};
use crate::channel::{CallId, ExitStage, SignedClosing, SignedWithdrawal};
use crate::lane::LockRef;
use crate::message::Message;
use crate::reason::{Matter, Reason};
use crate::types::Asset;
use alloc::string::String;

/// What an application is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A payment is new or has changed.
    Payment(Payment),
    /// The payer of a stream to us asks for the rest of it.
    EndAsked {
        /// Which stream.
        id: PaymentId,
    },
    /// What can be spent or received has changed.
    Balance {
        /// Which asset.
        asset: Asset,
    },
    /// A withdrawal has both signatures.
    Withdrawal(SignedWithdrawal),
    /// A closing has both signatures.
    Closing(SignedClosing),
    /// The hub did not sign a withdrawal or closing, or refused evidence.
    Declined {
        /// What.
        what: Matter,
        /// Why, as the hub says.
        code: Reason,
        /// In its words.
        message: String,
    },
    /// An exit has started on chain.
    ExitStarted {
        /// Unix seconds.
        ends_at: u64,
    },
    /// An exit got on, or a reorg threw it back.
    Exit {
        /// Where it stands.
        stage: ExitStage,
    },
    /// The hub does not pay a payment to us though its evidence is on chain and its time is over: only an exit gets
    /// the money.
    Overdue {
        /// Which payment.
        lock: LockRef,
    },
    /// The hub holds newer state of ours than this store; nothing is signed until it is restored.
    Outdated,
}

/// What a wallet asks its driver to do, once the facts are durable.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant, reason = "effects are short-lived")]
pub enum WalletEffect {
    /// Send to the hub, if connected; if not, the next sync makes up for it.
    Send(Message),
    /// Send a transaction, once for each id.
    Submit {
        /// Idempotency key.
        id: CallId,
        /// What to call.
        call: ChainCall,
        /// Why.
        purpose: Purpose,
    },
    /// Tell the application.
    Event(Event),
}

/// What a wallet has of an asset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Balance {
    /// Which asset.
    pub asset: Asset,
    /// What can be spent now.
    pub available: Amount,
    /// In payments of ours that are not settled.
    pub locked_out: Amount,
    /// In payments to us that are not settled.
    pub locked_in: Amount,
    /// What the hub can still pay us, as far as we know.
    pub receivable: Amount,
    /// Confirmed deposits of ours.
    pub deposited: Amount,
    /// Confirmed withdrawals of ours.
    pub withdrawn: Amount,
    /// What became of it.
    pub status: AssetStatus,
}
