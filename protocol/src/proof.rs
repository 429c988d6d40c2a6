//! Balance proofs and acknowledgements: what a payer signs, and what a payee signs in return.

use crate::abi;
use crate::amount::Amount;
use crate::codec::stored;
use crate::eip712::Domain;
use crate::error::Error;
use crate::json::bridge::as_serde;
use crate::json::wire;
use crate::sign::{SecretKey, Signature};
use crate::types::{Asset, ChannelId, Side};
use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolStruct;

/// The lane of a channel: an asset and the side that pays. Its payer alone signs it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LaneId {
    /// What is paid.
    pub asset: Asset,
    /// Who pays.
    pub payer: Side,
}

wire!(struct LaneId { asset, payer });
stored!(struct LaneId { asset, payer });

/// The cumulative statement of a lane. `transferred` never falls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proof {
    /// Higher than any the payer signed before in this lane.
    pub nonce: u64,
    /// All that was ever handed over.
    pub transferred: Amount,
    /// What the pending locks are worth.
    pub locked: Amount,
    /// Root of the lock tree.
    pub locks_root: B256,
    /// Nonce of the newest proof of the opposite lane that the payer holds.
    pub seen: u64,
}

wire!(struct Proof { nonce, transferred, locked, locks_root = "locksRoot", seen });
stored!(struct Proof { nonce, transferred, locked, locks_root, seen });

/// A proof and its payer's signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignedProof {
    /// What is signed.
    pub proof: Proof,
    /// By the payer's signer.
    pub signature: Signature,
}

wire!(struct SignedProof { proof, signature });
stored!(struct SignedProof { proof, signature });

impl Proof {
    fn to_abi(self, channel: ChannelId, lane: LaneId) -> abi::BalanceProof {
        abi::BalanceProof {
            channelId: channel.0,
            asset: lane.asset,
            payer: lane.payer.index(),
            nonce: self.nonce,
            transferred: self.transferred.units(),
            locked: self.locked.units(),
            locksRoot: self.locks_root,
            seen: self.seen,
        }
    }

    /// The EIP-712 struct hash, which an acknowledgement names.
    #[must_use]
    pub fn struct_hash(self, channel: ChannelId, lane: LaneId) -> B256 {
        self.to_abi(channel, lane).eip712_hash_struct()
    }

    /// What the payer signs.
    #[must_use]
    pub fn digest(self, domain: &Domain, channel: ChannelId, lane: LaneId) -> B256 {
        domain.digest_of_hash(self.struct_hash(channel, lane))
    }

    /// What the payee signs to say that this proof replaces all earlier ones of the lane.
    #[must_use]
    pub fn acknowledgement_digest(self, domain: &Domain, channel: ChannelId, lane: LaneId) -> B256 {
        domain.digest(&abi::Acknowledgement {
            channelId: channel.0,
            asset: lane.asset,
            payer: lane.payer.index(),
            nonce: self.nonce,
            proofHash: self.struct_hash(channel, lane),
        })
    }
}

impl SignedProof {
    /// Signs a proof.
    #[must_use]
    pub fn sign(proof: Proof, domain: &Domain, channel: ChannelId, lane: LaneId, key: &SecretKey) -> Self {
        Self { proof, signature: key.sign(proof.digest(domain, channel, lane)) }
    }

    /// Refuses unless `payer` signed it.
    pub fn verify(&self, domain: &Domain, channel: ChannelId, lane: LaneId, payer: Address) -> Result<(), Error> {
        self.signature.verify(self.proof.digest(domain, channel, lane), payer)
    }

    /// As the contract takes it.
    #[must_use]
    pub fn to_abi(&self, lane: LaneId, acknowledgement: Option<&Signature>) -> abi::SignedProof {
        abi::SignedProof {
            asset: lane.asset,
            payer: lane.payer.index(),
            nonce: self.proof.nonce,
            transferred: self.proof.transferred.units(),
            locked: self.proof.locked.units(),
            locksRoot: self.proof.locks_root,
            seen: self.proof.seen,
            signature: Bytes::copy_from_slice(self.signature.as_bytes()),
            acknowledgement: acknowledgement
                .map(|signature| Bytes::copy_from_slice(signature.as_bytes()))
                .unwrap_or_default(),
        }
    }
}

as_serde!(LaneId, Proof, SignedProof);
