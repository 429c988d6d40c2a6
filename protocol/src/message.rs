//! What the two sides of a channel say to each other. Each message can be repeated without harm.

use crate::amount::Amount;
use crate::api::limits::MAX_MESSAGE;
use crate::codec::stored;
use crate::error::{Code, Error};
use crate::json::bridge::as_serde;
use crate::json::{self, wire};
use crate::lane::Update;
use crate::proof::SignedProof;
use crate::reason::{Matter, Reason};
use crate::sign::Signature;
use crate::types::{Asset, Side, Sides};
use alloc::string::String;
use alloc::vec::Vec;
use alloy_primitives::{Address, Bytes};

/// A message between the participants of a channel. The channel is named by the frame that carries it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// Payer to payee: a signed change of the payer's lane.
    Update {
        /// Which of the payer's lanes.
        asset: Asset,
        /// The change.
        update: Update,
    },
    /// Payee to payer: stored durably. With an acknowledgement, the proof replaces all earlier ones.
    Accepted {
        /// Of the payer's lane.
        asset: Asset,
        /// Of the accepted proof.
        nonce: u64,
        /// The payee's signature over the acknowledgement, where one is due.
        acknowledgement: Option<Signature>,
    },
    /// Payee to payer: not applied. The signature is out all the same.
    Refused {
        /// Of the payer's lane.
        asset: Asset,
        /// Of the refused proof.
        nonce: u64,
        /// Why.
        code: Reason,
        /// Why, for a person.
        message: String,
        /// The newest proof that was accepted.
        last: Option<SignedProof>,
    },
    /// Payee to payer: please redeem.
    Reveal {
        /// Of the payer's lane.
        asset: Asset,
        /// Of the lock.
        slot: u16,
        /// Nonce that placed the lock.
        placed: u64,
        /// What meets the condition.
        evidence: Bytes,
    },
    /// Payee to payer: gives the rest of a lock up; please release it.
    Fail {
        /// Of the payer's lane.
        asset: Asset,
        /// Of the lock.
        slot: u16,
        /// Nonce that placed the lock.
        placed: u64,
        /// Why.
        code: Reason,
    },
    /// Payer to payee: please give the rest of a lock up.
    Cancel {
        /// Of the payer's lane.
        asset: Asset,
        /// Of the lock.
        slot: u16,
        /// Nonce that placed the lock.
        placed: u64,
    },
    /// Hub to payer: the payee is away; the offer is held until shortly before its expiry.
    Held {
        /// Of the payer's lane.
        asset: Asset,
        /// Of the lock.
        slot: u16,
        /// Nonce that placed the lock.
        placed: u64,
    },
    /// Hub to payer: the payee has accepted the onward lock.
    Forwarded {
        /// Of the payer's lane.
        asset: Asset,
        /// Of the lock.
        slot: u16,
        /// Nonce that placed the lock.
        placed: u64,
    },
    /// On every connect: the newest proofs of both lanes, each checked by its signature.
    Sync {
        /// One entry for each asset with a proof.
        lanes: Vec<LaneSync>,
    },
    /// What the sender takes as confirmed on chain; it spends by the lower of both views.
    Funds {
        /// Which asset.
        asset: Asset,
        /// Confirmed deposits.
        deposits: Sides<Amount>,
    },
    /// Asks for a co-signature under a withdrawal of the sender's side.
    WithdrawProposal {
        /// The terms.
        withdrawal: Withdrawal,
        /// By the sender's signer.
        signature: Signature,
        /// By the sender's owner, where the recipient is another.
        owner_signature: Bytes,
        /// Whether the other side shall send the transaction.
        submit: bool,
    },
    /// The co-signature.
    WithdrawSigned {
        /// The terms.
        withdrawal: Withdrawal,
        /// By the other side's signer.
        signature: Signature,
    },
    /// Asks for a co-signature under a closing.
    CloseProposal {
        /// The terms.
        closing: Closing,
        /// By the sender's signer.
        signature: Signature,
        /// Whether the other side shall send the transaction.
        submit: bool,
    },
    /// The co-signature.
    CloseSigned {
        /// The terms.
        closing: Closing,
        /// By the other side's signer.
        signature: Signature,
    },
    /// A withdrawal or closing was not signed.
    Declined {
        /// What was declined.
        what: Matter,
        /// Why.
        code: Reason,
        /// Why, for a person.
        message: String,
    },
}

wire!(enum Message by type else Self::Sync { lanes: Vec::new() }, {
    "update" => Update { asset, update },
    "accepted" => Accepted { asset, nonce, acknowledgement: optional },
    "refused" => Refused { asset, nonce, code, message, last: optional },
    "reveal" => Reveal { asset, slot, placed, evidence },
    "fail" => Fail { asset, slot, placed, code },
    "cancel" => Cancel { asset, slot, placed },
    "held" => Held { asset, slot, placed },
    "forwarded" => Forwarded { asset, slot, placed },
    "sync" => Sync { lanes },
    "funds" => Funds { asset, deposits },
    "withdrawProposal" => WithdrawProposal {
        withdrawal, signature, owner_signature = "ownerSignature": optional, submit
    },
    "withdrawSigned" => WithdrawSigned { withdrawal, signature },
    "closeProposal" => CloseProposal { closing, signature, submit },
    "closeSigned" => CloseSigned { closing, signature },
    "declined" => Declined { what, code, message },
});

/// The newest proofs of an asset, as one side holds them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LaneSync {
    /// Which asset.
    pub asset: Asset,
    /// The newest proof that the sender signed.
    pub signed: Option<SignedProof>,
    /// The newest proof of the other lane that the sender accepted.
    pub accepted: Option<SignedProof>,
    /// The sender's acknowledgement of `accepted`, if it gave one.
    pub acknowledgement: Option<Signature>,
}

wire!(struct LaneSync { asset, signed: optional, accepted: optional, acknowledgement: optional });

/// A co-signed new total that one side may have taken out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Withdrawal {
    /// Which asset.
    pub asset: Asset,
    /// Whose funds.
    pub side: Side,
    /// All that this side has ever withdrawn, with this one.
    pub total: Amount,
    /// Where it goes.
    pub recipient: Address,
    /// Unix seconds; worthless when a later block is final.
    pub deadline: u64,
}

wire!(struct Withdrawal { asset, side, total, recipient, deadline });
stored!(struct Withdrawal { asset, side, total, recipient, deadline });

/// What a closing says of one asset. Totals include what was withdrawn before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClosingAsset {
    /// Which asset.
    pub asset: Asset,
    /// What each side ends with, earlier withdrawals included.
    pub totals: Sides<Amount>,
    /// The deposits seen; a surplus goes to its side.
    pub deposits: Sides<Amount>,
}

wire!(struct ClosingAsset { asset, totals, deposits });
stored!(struct ClosingAsset { asset, totals, deposits });

/// The co-signed end of some assets of a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Closing {
    /// One entry for each asset.
    pub assets: Vec<ClosingAsset>,
    /// Unix seconds; worthless when a later block is final.
    pub deadline: u64,
}

wire!(struct Closing { assets, deadline });
stored!(struct Closing { assets, deadline });

impl Message {
    /// As JSON.
    pub fn encode(&self) -> Result<String, Error> {
        Ok(json::encode(self))
    }

    /// From JSON, with the size limit.
    pub fn decode(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_MESSAGE {
            return Err(Code::MessageTooLarge.into());
        }
        json::decode(text)
    }
}

as_serde!(Message, LaneSync, Withdrawal, ClosingAsset, Closing);
