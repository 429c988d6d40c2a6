//! What a watchtower takes, what it promises, and what it shows: the rules, without any I/O.
//!
//! The contract takes a proof from a stranger only with the payee's acknowledgement of exactly it. So a tower takes
//! none without it, in either direction: a newer proof that it could not show must not replace one that it can. A
//! client acknowledges the newest proof that it accepted itself, which costs it one signature and nothing else.

use crate::abi::{self, LaneState};
use crate::amount::Amount;
use crate::condition::{Condition, Kind};
use crate::eip712::Domain;
use crate::error::{Code, Error};
use crate::json::bridge::as_serde;
use crate::json::wire;
use crate::lane::Lock;
use crate::proof::{LaneId, SignedProof};
use crate::sign::{SecretKey, Signature};
use crate::tree::{DEPTH, empty_root, root_of_branch};
use crate::types::{Asset, ChannelDef, ChannelId, Side};
use alloc::vec::Vec;
use alloy_primitives::{Address, B256, Bytes};
use core::cmp::Ordering;

/// A participant's wish to have a channel watched, by one tower.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WatchOrder {
    /// Which channel.
    pub channel: ChannelDef,
    /// The last second in which the order is taken, Unix seconds. What was taken is watched to its end.
    pub deadline: u64,
    /// By one of the channel's signers, over the EIP-712 struct `WatchOrder(channelId, tower, deadline)`.
    pub signature: Signature,
}

wire!(struct WatchOrder { channel, deadline, signature });

impl WatchedLane {
    /// Which lane.
    #[must_use]
    pub const fn lane(&self) -> LaneId {
        LaneId { asset: self.asset, payer: self.payer }
    }
}

impl WatchOrder {
    /// Signs an order for the tower whose receipts `tower` signs.
    #[must_use]
    pub fn sign(channel: ChannelDef, deadline: u64, tower: Address, domain: &Domain, key: &SecretKey) -> Self {
        let signature = key.sign(Self::digest(&channel, deadline, tower, domain));
        Self { channel, deadline, signature }
    }

    /// Which side asks. [`Code::BadSignature`] if no signer of the channel signed it for this tower;
    /// [`Code::BadTerms`] for a malformed channel; [`Code::BadExpiry`] after the deadline.
    pub fn verify(&self, tower: Address, domain: &Domain, now: u64) -> Result<Side, Error> {
        self.channel.check()?;
        if now > self.deadline {
            return Err(Error::new(Code::BadExpiry, "the order's deadline has passed"));
        }
        let signer = self.signature.recover(Self::digest(&self.channel, self.deadline, tower, domain))?;
        let side = Side::BOTH.into_iter().find(|side| self.channel.participant(*side).signer == signer);
        side.ok_or_else(|| Error::new(Code::BadSignature, "the order is not signed by a signer of the channel"))
    }

    fn digest(channel: &ChannelDef, deadline: u64, tower: Address, domain: &Domain) -> B256 {
        let id = channel.id(domain.chain_id(), domain.contract());
        domain.digest(&abi::WatchOrder { channelId: id.0, tower, deadline })
    }
}

/// What a client hands over for one lane.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WatchedLane {
    /// What is paid.
    pub asset: Asset,
    /// Who pays.
    pub payer: Side,
    /// The proof.
    pub signed: SignedProof,
    /// The payee's, of exactly this proof. A tower refuses a proof without it.
    pub acknowledgement: Option<Signature>,
    /// For locks of this proof, from its payee only. With a newer proof it replaces the lane's earlier evidence.
    pub evidence: Vec<WatchedEvidence>,
}

wire!(struct WatchedLane { asset, payer, signed, acknowledgement: optional, evidence: optional });

/// A proof that its payer signed and its payee acknowledged: anybody may show it on chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AgreedProof {
    lane: LaneId,
    signed: SignedProof,
    acknowledgement: Signature,
}

impl AgreedProof {
    /// Checks all that the contract would check. [`Code::InvalidArgument`] without an acknowledgement or with
    /// inconsistent numbers; [`Code::BadSignature`] if either signature is not the one that must be there.
    pub fn check(given: &WatchedLane, channel: &ChannelDef, domain: &Domain) -> Result<Self, Error> {
        let WatchedLane { asset, payer, signed, acknowledgement, .. } = given;
        let lane = LaneId { asset: *asset, payer: *payer };
        let id = channel.id(domain.chain_id(), domain.contract());
        let Some(acknowledgement) = *acknowledgement else {
            return Err(Error::new(Code::InvalidArgument, "a proof needs its payee's acknowledgement to be shown"));
        };
        let proof = signed.proof;
        // Both would make the contract refuse the transaction, and the other lane's proof with it.
        if proof.nonce == 0 || proof.locked.is_zero() != (proof.locks_root == empty_root()) {
            return Err(Error::new(Code::InvalidArgument, "the proof's nonce is 0, or its locks contradict its root"));
        }
        signed.verify(domain, id, lane, channel.participant(*payer).signer)?;
        let payee = channel.participant(payer.other()).signer;
        acknowledgement.verify(proof.acknowledgement_digest(domain, id, lane), payee)?;
        Ok(Self { lane, signed: *signed, acknowledgement })
    }

    /// One that was checked before it was stored.
    #[must_use]
    pub const fn from_stored(lane: LaneId, signed: SignedProof, acknowledgement: Signature) -> Self {
        Self { lane, signed, acknowledgement }
    }

    /// Whether it takes the place of what is stored for its lane; false if it is what is stored.
    /// [`Code::BadNonce`] if it is older, or another one with the same nonce: the contract keeps the first, too. [13]
    pub fn replaces(&self, stored: &Self) -> Result<bool, Error> {
        match self.nonce().cmp(&stored.nonce()) {
            Ordering::Greater => Ok(true),
            Ordering::Equal if self.signed.proof == stored.signed.proof => Ok(false),
            Ordering::Equal => Err(Error::new(Code::BadNonce, "another proof with this nonce is watched")),
            Ordering::Less => Err(Error::new(Code::BadNonce, "a newer proof of this lane is watched")),
        }
    }

    /// Whether showing it changes what the chain shows for its lane. [13]
    #[must_use]
    pub fn improves(&self, shown: &LaneState) -> bool {
        let proof = self.signed.proof;
        match proof.nonce.cmp(&shown.nonce) {
            Ordering::Greater => true,
            Ordering::Less => false,
            // Acknowledging the very proof that is shown would cost gas and change nothing.
            Ordering::Equal if shown.acknowledged => false,
            Ordering::Equal => {
                let same_locks = proof.locked.units() == shown.locked
                    && (proof.locked.is_zero() || proof.locks_root == shown.locksRoot);
                proof.transferred.units() != shown.transferred || !same_locks
            }
        }
    }

    /// The lane.
    #[must_use]
    pub const fn lane(&self) -> LaneId {
        self.lane
    }

    /// The nonce; above zero.
    #[must_use]
    pub const fn nonce(&self) -> u64 {
        self.signed.proof.nonce
    }

    /// The proof and its payer's signature.
    #[must_use]
    pub const fn signed(&self) -> &SignedProof {
        &self.signed
    }

    /// The payee's acknowledgement.
    #[must_use]
    pub const fn acknowledgement(&self) -> &Signature {
        &self.acknowledgement
    }

    /// The tower's promise to show it, made at `time` (Unix seconds).
    #[must_use]
    pub fn receipt(&self, channel: ChannelId, time: u64) -> WatchReceipt {
        WatchReceipt {
            channel_id: channel,
            asset: self.lane.asset,
            payer: self.lane.payer,
            nonce: self.nonce(),
            proof_hash: self.signed.proof.struct_hash(channel, self.lane),
            time,
        }
    }
}

/// Evidence for a lock that stands in a proof, to be recorded on chain before it expires.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WatchedEvidence {
    /// Where the lock stands.
    pub slot: u16,
    /// Units locked at first.
    pub n: u32,
    /// Price of one unit, base units.
    pub unit_price: Amount,
    /// Units handed over by the proof.
    pub redeemed: u32,
    /// The condition.
    pub condition: Condition,
    /// The last second at which evidence counts, Unix seconds.
    pub expiry: u64,
    /// The nodes beside the way from the lock's leaf to the proof's root, the leaf's first.
    pub siblings: [B256; DEPTH],
    /// What meets the condition.
    pub evidence: Bytes,
}

wire!(struct WatchedEvidence {
    slot, n, unit_price = "unitPrice", redeemed, condition, expiry, siblings, evidence
});

impl WatchedEvidence {
    /// The units that it proves of a lock of `proof`, above those redeemed. [`Code::UnknownCondition`] for a condition
    /// that is not built in; [`Code::BadEvidence`] if there is no such lock, or nothing more to be had.
    pub fn check(&self, proof: &AgreedProof, domain: &Domain) -> Result<u32, Error> {
        if matches!(self.condition.kind(), Kind::External(_)) {
            return Err(Error::new(Code::UnknownCondition, "a tower knows the built-in conditions only"));
        }
        let Self { n, unit_price, redeemed, .. } = *self;
        let lock = Lock { key: self.condition.key(self.expiry), n, unit_price, redeemed };
        if root_of_branch(self.slot, lock.leaf(), &self.siblings) != proof.signed.proof.locks_root {
            return Err(Error::new(Code::BadEvidence, "the proof has no such lock in this slot"));
        }
        let units = self.condition.evaluate(domain, self.expiry, &self.evidence)?;
        if units.min(n) <= redeemed {
            return Err(Error::new(Code::BadEvidence, "it proves no more than was redeemed"));
        }
        Ok(units)
    }
}

/// A tower's promise to show a proof if an exit needs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WatchReceipt {
    /// Of which channel.
    pub channel_id: ChannelId,
    /// What is paid in the lane.
    pub asset: Asset,
    /// Who pays in the lane.
    pub payer: Side,
    /// Of the proof.
    pub nonce: u64,
    /// EIP-712 struct hash of the balance proof.
    pub proof_hash: B256,
    /// When the proof was taken, Unix seconds.
    pub time: u64,
}

wire!(open struct WatchReceipt { channel_id = "channelId", asset, payer, nonce, proof_hash = "proofHash", time });

impl WatchReceipt {
    /// What the tower signs.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> B256 {
        domain.digest(&abi::WatchReceipt {
            channelId: self.channel_id.0,
            asset: self.asset,
            payer: self.payer.index(),
            nonce: self.nonce,
            proofHash: self.proof_hash,
            time: self.time,
        })
    }

    /// Signs it with the tower's key.
    #[must_use]
    pub fn sign(self, domain: &Domain, key: &SecretKey) -> SignedReceipt {
        SignedReceipt { receipt: self, signature: key.sign(self.digest(domain)) }
    }
}

/// A receipt and its tower's signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignedReceipt {
    /// What is promised.
    pub receipt: WatchReceipt,
    /// By the tower's key.
    pub signature: Signature,
}

wire!(open struct SignedReceipt { receipt, signature });

impl SignedReceipt {
    /// [`Code::BadSignature`] unless `tower` signed it; [`Code::BadTerms`] unless it is for this proof.
    pub fn verify(
        &self,
        domain: &Domain,
        tower: Address,
        channel: ChannelId,
        lane: LaneId,
        signed: &SignedProof,
    ) -> Result<(), Error> {
        let WatchReceipt { channel_id, asset, payer, nonce, proof_hash, .. } = self.receipt;
        let named = (channel_id, LaneId { asset, payer }, nonce, proof_hash);
        if named != (channel, lane, signed.proof.nonce, signed.proof.struct_hash(channel, lane)) {
            return Err(Error::new(Code::BadTerms, "the receipt is for another proof"));
        }
        self.signature.verify(self.receipt.digest(domain), tower)
    }
}

as_serde!(WatchOrder, WatchedLane, SignedReceipt);

#[cfg(test)]
mod tests;
