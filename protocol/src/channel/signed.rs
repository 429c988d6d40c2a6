//! What one or both sides have signed to take money out at once.

use crate::codec::stored;
use crate::message::{Closing, Withdrawal};
use crate::sign::Signature;
use crate::types::{Side, Sides};
use alloy_primitives::Bytes;

/// A withdrawal and the signatures under it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedWithdrawal {
    /// The terms.
    pub withdrawal: Withdrawal,
    /// The signers' signatures.
    pub signatures: Sides<Option<Signature>>,
    /// The owner's, where the recipient is another.
    pub owner_signature: Bytes,
    /// Whether the side that does not withdraw sends the transaction.
    pub submit: bool,
}

stored!(struct SignedWithdrawal { withdrawal, signatures, owner_signature, submit });

/// A closing and the signatures under it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedClosing {
    /// The terms.
    pub closing: Closing,
    /// The signers' signatures.
    pub signatures: Sides<Option<Signature>>,
    /// Who proposed it.
    pub proposer: Side,
    /// Whether the side that did not propose sends the transaction.
    pub submit: bool,
}

stored!(struct SignedClosing { closing, signatures, proposer, submit });
