//! What the chain says, and what is asked of it. The machines here never talk to an RPC:
//! a driver feeds [`Head`]s and [`ChainFact`]s in and submits [`ChainCall`]s.

use crate::abi::{self, IFarthing};
use crate::amount::Amount;
use crate::codec::stored;
use crate::condition::{Condition, ConditionKey};
use crate::lane::PendingLock;
use crate::message::{Closing, Withdrawal};
use crate::proof::{LaneId, SignedProof};
use crate::sign::Signature;
use crate::tree::DEPTH;
use crate::types::{Asset, ChannelDef, ChannelId, ETH, Side, Sides};
use alloc::vec::Vec;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolCall;

/// The newest block, and the newest one with the configured number of confirmations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// Of the newest block.
    pub number: u64,
    /// Of the newest block, Unix seconds.
    pub timestamp: u64,
    /// Of the newest final block.
    pub final_number: u64,
    /// Of the newest final block, Unix seconds.
    pub final_timestamp: u64,
}

/// What became of an asset of a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AssetStatus {
    /// In use.
    #[default]
    Open,
    /// Closed by both sides, for ever.
    Closed,
    /// Settled after an exit, for ever.
    Settled,
}

stored!(enum AssetStatus { 0 => Open, 1 => Closed, 2 => Settled });

impl AssetStatus {
    /// As `assetState` returns it.
    #[must_use]
    pub const fn from_index(index: u8) -> Self {
        match index {
            0 => Self::Open,
            1 => Self::Closed,
            _ => Self::Settled,
        }
    }
}

/// A fact read from the chain at a final block (an exit: from any block). Absolute, so feeding it twice is harmless.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChainFact {
    /// The state of one asset.
    Asset {
        /// Which asset.
        asset: Asset,
        /// Deposits in all.
        deposits: Sides<Amount>,
        /// Withdrawals in all.
        withdrawn: Sides<Amount>,
        /// What became of it.
        status: AssetStatus,
    },
    /// Evidence was recorded; it counts for every lock with the key.
    Evidence {
        /// Of the condition.
        key: ConditionKey,
        /// Units proved.
        units: u32,
        /// What proved them.
        evidence: Bytes,
    },
    /// Somebody started an exit.
    ExitStarted {
        /// Unix seconds.
        ends_at: u64,
    },
    /// The newest block has no exit: a reorg took back the one that was seen.
    ExitGone,
    /// The best proofs that an exit was shown. Told as they become final, and once more when the asset is settled.
    Shown {
        /// Which asset.
        asset: Asset,
        /// Nonces of the proofs shown, by payer; 0 where none was.
        shown: Sides<u64>,
    },
    /// A lock was claimed after settlement.
    Claimed {
        /// Which lane.
        lane: LaneId,
        /// Which slot.
        slot: u16,
        /// Units paid by claims.
        units: u32,
        /// Whether the rest went back to the payer.
        returned: bool,
    },
}

stored!(enum ChainFact {
    0 => Asset { asset, deposits, withdrawn, status },
    1 => Evidence { key, units, evidence },
    2 => ExitStarted { ends_at },
    3 => ExitGone,
    4 => Shown { asset, shown },
    5 => Claimed { lane, slot, units, returned },
});

/// A call of the contract that somebody has to send.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant, reason = "calls are few and short-lived")]
pub enum ChainCall {
    /// Puts money into a channel.
    Deposit {
        /// Into which channel.
        channel: ChannelDef,
        /// For whom.
        side: Side,
        /// What.
        asset: Asset,
        /// How much.
        amount: Amount,
    },
    /// Takes money out with both signatures.
    Withdraw {
        /// Out of which channel.
        channel: ChannelDef,
        /// The terms.
        withdrawal: Withdrawal,
        /// Both signers'.
        signatures: Sides<Signature>,
        /// The owner's, where the recipient is another.
        owner_signature: Bytes,
    },
    /// Ends assets with both signatures.
    Close {
        /// Which channel.
        channel: ChannelDef,
        /// The terms.
        closing: Closing,
        /// Both signers'.
        signatures: Sides<Signature>,
    },
    /// Records evidence for all locks with one key.
    RecordEvidence {
        /// The condition.
        condition: Condition,
        /// Its expiry.
        expiry: u64,
        /// What meets it.
        evidence: Bytes,
    },
    /// Starts an exit; sent by an owner or signer of the channel.
    StartExit {
        /// Which channel.
        channel: ChannelDef,
        /// The newest proofs.
        proofs: Vec<(LaneId, SignedProof, Option<Signature>)>,
    },
    /// Answers an exit.
    SubmitProofs {
        /// Which channel.
        channel: ChannelDef,
        /// The newest proofs.
        proofs: Vec<(LaneId, SignedProof, Option<Signature>)>,
    },
    /// Pays out after the challenge period.
    Settle {
        /// Which channel.
        channel: ChannelDef,
        /// Which asset.
        asset: Asset,
    },
    /// Claims a lock after settlement.
    ClaimLock {
        /// Which channel.
        channel: ChannelDef,
        /// Which lane.
        lane: LaneId,
        /// Which slot.
        slot: u16,
        /// What stands there in the settled proof.
        lock: PendingLock,
        /// Its branch.
        siblings: [B256; DEPTH],
    },
}

fn proofs_to_abi(proofs: &[(LaneId, SignedProof, Option<Signature>)]) -> Vec<abi::SignedProof> {
    proofs.iter().map(|(lane, proof, acknowledgement)| proof.to_abi(*lane, acknowledgement.as_ref())).collect()
}

fn bytes(signature: &Signature) -> Bytes {
    Bytes::copy_from_slice(signature.as_bytes())
}

impl ChainCall {
    /// What to send to the contract.
    #[must_use]
    pub fn calldata(&self, id: impl Fn(&ChannelDef) -> ChannelId) -> Bytes {
        let data = match self {
            // Side A's deposits announce the channel, so that its hub learns of it from the chain.
            Self::Deposit { channel, side: Side::A, asset, amount } => {
                IFarthing::openCall { channel: channel.into(), asset: *asset, amount: amount.units() }.abi_encode()
            }
            Self::Deposit { channel, side, asset, amount } => IFarthing::depositCall {
                channel: channel.into(),
                side: side.index(),
                asset: *asset,
                amount: amount.units(),
            }
            .abi_encode(),
            Self::Withdraw { channel, withdrawal, signatures, owner_signature } => IFarthing::withdrawCall {
                channel: channel.into(),
                withdrawal: withdrawal.to_abi(id(channel)),
                sigA: bytes(&signatures.a),
                sigB: bytes(&signatures.b),
                ownerSig: owner_signature.clone(),
            }
            .abi_encode(),
            Self::Close { channel, closing, signatures } => IFarthing::closeCall {
                channel: channel.into(),
                closing: closing.to_abi(id(channel)),
                sigA: bytes(&signatures.a),
                sigB: bytes(&signatures.b),
            }
            .abi_encode(),
            Self::RecordEvidence { condition, expiry, evidence } => IFarthing::recordEvidenceCall {
                condition: condition.address,
                params: condition.params.clone(),
                expiry: *expiry,
                evidence: evidence.clone(),
            }
            .abi_encode(),
            Self::StartExit { channel, proofs } => IFarthing::startExitCall {
                channel: channel.into(),
                proofs: proofs_to_abi(proofs),
                order: Bytes::new(),
                orderDeadline: 0,
            }
            .abi_encode(),
            Self::SubmitProofs { channel, proofs } => {
                IFarthing::submitProofsCall { channel: channel.into(), proofs: proofs_to_abi(proofs) }.abi_encode()
            }
            Self::Settle { channel, asset } => {
                IFarthing::settleCall { channel: channel.into(), asset: *asset }.abi_encode()
            }
            Self::ClaimLock { channel, lane, slot, lock, siblings } => IFarthing::claimLockCall {
                channel: channel.into(),
                asset: lane.asset,
                payer: lane.payer.index(),
                slot: *slot,
                lock: lock.lock.to_abi(),
                condition: lock.condition.address,
                paramsHash: keccak256(&lock.condition.params),
                expiry: lock.expiry,
                siblings: *siblings,
            }
            .abi_encode(),
        };
        data.into()
    }

    /// Wei to send along.
    #[must_use]
    pub const fn value(&self) -> U256 {
        match self {
            Self::Deposit { asset, amount, .. } if is_eth(asset) => {
                let units = amount.units();
                U256::from_limbs([low(units), low(units >> 64), 0, 0])
            }
            _ => U256::ZERO,
        }
    }

    /// The token whose allowance the call spends, and how much of it.
    #[must_use]
    pub fn allowance(&self) -> Option<(Address, Amount)> {
        match self {
            Self::Deposit { asset, amount, .. } if *asset != ETH => Some((*asset, *amount)),
            _ => None,
        }
    }

    /// For logs.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Deposit { .. } => "deposit",
            Self::Withdraw { .. } => "withdraw",
            Self::Close { .. } => "close",
            Self::RecordEvidence { .. } => "recordEvidence",
            Self::StartExit { .. } => "startExit",
            Self::SubmitProofs { .. } => "submitProofs",
            Self::Settle { .. } => "settle",
            Self::ClaimLock { .. } => "claimLock",
        }
    }
}

const fn is_eth(asset: &Asset) -> bool {
    let mut rest = asset.0.0.as_slice();
    while let Some((byte, tail)) = rest.split_first() {
        if *byte != 0 {
            return false;
        }
        rest = tail;
    }
    true
}

#[allow(clippy::cast_possible_truncation, reason = "the caller wants the low 64 bits")]
const fn low(units: u128) -> u64 {
    units as u64
}

impl Withdrawal {
    /// As the contract takes it and the signers sign it.
    #[must_use]
    pub fn to_abi(&self, channel: ChannelId) -> abi::Withdrawal {
        abi::Withdrawal {
            channelId: channel.0,
            asset: self.asset,
            side: self.side.index(),
            total: self.total.units(),
            recipient: self.recipient,
            deadline: self.deadline,
        }
    }
}

impl Closing {
    /// As the contract takes it and the signers sign it.
    #[must_use]
    pub fn to_abi(&self, channel: ChannelId) -> abi::Closing {
        let assets = self.assets.iter().map(|entry| abi::ClosingAsset {
            asset: entry.asset,
            totalA: entry.totals.a.units(),
            totalB: entry.totals.b.units(),
            depositA: entry.deposits.a.units(),
            depositB: entry.deposits.b.units(),
        });
        abi::Closing { channelId: channel.0, assets: assets.collect(), deadline: self.deadline }
    }
}
