//! What the chain says, and what is asked of it. The machines here never talk to an RPC:
//! a driver feeds [`Head`]s and [`ChainFact`]s in and submits [`ChainCall`]s.

use crate::abi::{self, IFarthing};
use crate::amount::Amount;
use crate::codec::stored;
use crate::condition::{Condition, ConditionKey};
use crate::json::wire;
use crate::lane::PendingLock;
use crate::message::{Closing, Withdrawal};
use crate::proof::{LaneId, SignedProof};
use crate::sign::Signature;
use crate::tree::DEPTH;
use crate::types::{Asset, ChannelDef, ChannelId, ETH, Side, Sides};
use alloc::vec::Vec;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolInterface};

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

wire!(words AssetStatus { "open" => Open, "closed" => Closed, "settled" => Settled });
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

/// Why a call is sent: whoever sends transactions orders and prices them by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Money of ours is lost unless it is mined by `deadline`, Unix seconds.
    Protect {
        /// Of which asset.
        asset: Asset,
        /// How much at least.
        amount: Amount,
        /// The last second in which it helps.
        deadline: u64,
    },
    /// Brings money of ours home; it can wait.
    Collect {
        /// Of which asset.
        asset: Asset,
        /// How much at least.
        amount: Amount,
    },
    /// Puts money of ours into a channel.
    Fund {
        /// Of which asset.
        asset: Asset,
        /// How much.
        amount: Amount,
    },
    /// Serves the peer, at our gas.
    Serve {
        /// Of which asset.
        asset: Asset,
        /// What the peer gets of it.
        amount: Amount,
    },
}

/// Evidence, and what it is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EvidenceItem {
    /// The condition.
    pub condition: Condition,
    /// Its expiry.
    pub expiry: u64,
    /// What meets it.
    pub evidence: Bytes,
}

/// A lock of a settled lane, as it is claimed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LockClaim {
    /// Which slot.
    pub slot: u16,
    /// What stands there in the settled proof.
    pub lock: PendingLock,
    /// Its branch.
    pub siblings: [B256; DEPTH],
}

/// A call of the contract that somebody has to send. Of several items the contract skips those that it does not need,
/// so that one of them can't keep the others out; of a single one it says why it refuses it.
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
    /// Records evidence, each piece for all locks with its key.
    RecordEvidence {
        /// At least one.
        items: Vec<EvidenceItem>,
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
        /// Which assets; at least one.
        assets: Vec<Asset>,
    },
    /// Claims locks of one lane after settlement.
    ClaimLocks {
        /// Which channel.
        channel: ChannelDef,
        /// Which lane.
        lane: LaneId,
        /// At least one.
        claims: Vec<LockClaim>,
    },
}

fn proofs_to_abi(proofs: &[(LaneId, SignedProof, Option<Signature>)]) -> Vec<abi::SignedProof> {
    proofs.iter().map(|(lane, proof, acknowledgement)| proof.to_abi(*lane, acknowledgement.as_ref())).collect()
}

fn bytes(signature: &Signature) -> Bytes {
    Bytes::copy_from_slice(signature.as_bytes())
}

fn record_evidence(items: &[EvidenceItem]) -> Vec<u8> {
    let one = |item: &EvidenceItem| abi::EvidenceItem {
        condition: item.condition.address,
        params: item.condition.params.clone(),
        expiry: item.expiry,
        evidence: item.evidence.clone(),
    };
    match items {
        [item] => {
            let abi::EvidenceItem { condition, params, expiry, evidence } = one(item);
            IFarthing::recordEvidenceCall { condition, params, expiry, evidence }.abi_encode()
        }
        items => IFarthing::recordEvidenceBatchCall { items: items.iter().map(one).collect() }.abi_encode(),
    }
}

fn settle(channel: &ChannelDef, assets: &[Asset]) -> Vec<u8> {
    let channel = channel.into();
    match assets {
        [asset] => IFarthing::settleCall { channel, asset: *asset }.abi_encode(),
        assets => IFarthing::settleBatchCall { channel, assets: assets.to_vec() }.abi_encode(),
    }
}

fn claim_locks(channel: &ChannelDef, lane: LaneId, claims: &[LockClaim]) -> Vec<u8> {
    let one = |claim: &LockClaim| abi::LockClaim {
        slot: claim.slot,
        lock: claim.lock.lock.to_abi(),
        condition: claim.lock.condition.address,
        paramsHash: keccak256(&claim.lock.condition.params),
        expiry: claim.lock.expiry,
        siblings: claim.siblings,
    };
    let (channel, asset, payer) = (channel.into(), lane.asset, lane.payer.index());
    match claims {
        [claim] => IFarthing::claimLockCall { channel, asset, payer, claim: one(claim) }.abi_encode(),
        claims => {
            let claims = claims.iter().map(one).collect();
            IFarthing::claimLockBatchCall { channel, asset, payer, claims }.abi_encode()
        }
    }
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
            Self::RecordEvidence { items } => record_evidence(items),
            Self::StartExit { channel, proofs } => IFarthing::startExitCall {
                channel: channel.into(),
                proofs: proofs_to_abi(proofs),
                orderSide: Side::A.index(),
                order: Bytes::new(),
                orderDeadline: 0,
            }
            .abi_encode(),
            Self::SubmitProofs { channel, proofs } => {
                IFarthing::submitProofsCall { channel: channel.into(), proofs: proofs_to_abi(proofs) }.abi_encode()
            }
            Self::Settle { channel, assets } => settle(channel, assets),
            Self::ClaimLocks { channel, lane, claims } => claim_locks(channel, *lane, claims),
        };
        data.into()
    }

    /// The evidence that calldata records, each piece with its key; none if it does something else.
    #[must_use]
    pub fn evidence_in(calldata: &[u8]) -> Vec<(B256, Bytes)> {
        let keyed = |condition: Address, params: Bytes, expiry: u64, evidence: Bytes| {
            (Condition { address: condition, params }.key(expiry).0, evidence)
        };
        match IFarthing::IFarthingCalls::abi_decode(calldata) {
            Ok(IFarthing::IFarthingCalls::recordEvidence(call)) => {
                [keyed(call.condition, call.params, call.expiry, call.evidence)].into()
            }
            Ok(IFarthing::IFarthingCalls::recordEvidenceBatch(call)) => {
                let items = call.items.into_iter();
                items.map(|item| keyed(item.condition, item.params, item.expiry, item.evidence)).collect()
            }
            _ => Vec::new(),
        }
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

    /// The function's name, for logs.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Deposit { .. } => "deposit",
            Self::Withdraw { .. } => "withdraw",
            Self::Close { .. } => "close",
            Self::RecordEvidence { items } if items.len() == 1 => "recordEvidence",
            Self::RecordEvidence { .. } => "recordEvidenceBatch",
            Self::StartExit { .. } => "startExit",
            Self::SubmitProofs { .. } => "submitProofs",
            Self::Settle { assets, .. } if assets.len() == 1 => "settle",
            Self::Settle { .. } => "settleBatch",
            Self::ClaimLocks { claims, .. } if claims.len() == 1 => "claimLock",
            Self::ClaimLocks { .. } => "claimLockBatch",
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
