//! What goes on chain when there is no agreement: the newest proofs, and the claims of locks after settlement.

use super::{Channel, Event, Fact};
use crate::chain::{AssetStatus, ChainCall, ChainFact};
use crate::lane::{Lane, LockRef};
use crate::proof::{LaneId, SignedProof};
use crate::sign::Signature;
use crate::types::Asset;
use alloc::format;
use alloc::vec::Vec;

impl Channel {
    /// The proofs that protect us: the newest of the peer's lanes, and the newest of ours that the peer acknowledged.
    #[must_use]
    pub fn exit_proofs(&self) -> Vec<(LaneId, SignedProof, Option<Signature>)> {
        let mut proofs = Vec::new();
        for (asset, book) in &self.state.assets {
            if book.status != AssetStatus::Open {
                continue;
            }
            if let Some(signed) = book.inc.accepted {
                proofs.push((self.their_lane(*asset), signed, book.inc.acknowledgement));
            }
            if let Some((signed, acknowledgement)) = book.out.acknowledged {
                proofs.push((self.our_lane(*asset), signed, Some(acknowledgement)));
            }
        }
        proofs
    }

    /// The call that starts an exit with our newest proofs.
    #[must_use]
    pub fn start_exit(&self) -> ChainCall {
        ChainCall::StartExit { channel: self.def, proofs: self.exit_proofs() }
    }

    /// The claims of every lock in the lane that we are paid with, at the proof that we show.
    pub fn claims(&mut self, asset: Asset) -> Vec<(LockRef, ChainCall)> {
        let lane_id = self.their_lane(asset);
        let channel = self.def;
        let Some(book) = self.state.assets.get_mut(&asset) else {
            return Vec::new();
        };
        claims_of(&mut book.inc.lane, lane_id, channel)
    }

    pub(super) fn handle_exit(&mut self, ends_at: u64) {
        if self.state.exit == Some(ends_at) {
            return;
        }
        self.record(Fact::Chain(ChainFact::ExitStarted { ends_at }));
        self.emit(Event::ExitStarted { ends_at });
        self.answer_exit(ends_at);
    }

    /// Shows our newest proofs, once in this process: a crash may have lost the call. One call for each asset,
    /// since the contract refuses all proofs of a call if one is of an asset that was closed in the meantime.
    fn answer_exit(&mut self, ends_at: u64) {
        for (lane, proof, acknowledgement) in self.exit_proofs() {
            let (payer, nonce) = (lane.payer.index(), proof.proof.nonce);
            let id = format!("{}/proofs/{ends_at}/{}/{payer}/{nonce}", self.id, lane.asset);
            if self.submitted.insert(id.clone()) {
                let proofs = [(lane, proof, acknowledgement)].into();
                self.submit(id, ChainCall::SubmitProofs { channel: self.def, proofs });
            }
        }
    }

    /// Deadlines: evidence that has to go on chain, settlement after the challenge period.
    pub fn tick(&mut self, now: u64) {
        self.record_due_evidence(now);
        let Some(ends_at) = self.state.exit else {
            return;
        };
        if !self.is_finally_past(ends_at) {
            if self.latest_time(now) <= ends_at {
                self.answer_exit(ends_at);
            }
            return;
        }
        let open: Vec<Asset> = self
            .state
            .assets
            .iter()
            .filter(|(_, book)| book.status == AssetStatus::Open)
            .map(|(asset, _)| *asset)
            .collect();
        for asset in open {
            let id = format!("{}/settle/{asset}", self.id);
            if self.submitted.insert(id.clone()) {
                self.submit(id, ChainCall::Settle { channel: self.def, asset });
            }
        }
    }
}

/// A claim for each lock of a lane.
pub(crate) fn claims_of(
    lane: &mut Lane,
    lane_id: LaneId,
    channel: crate::types::ChannelDef,
) -> Vec<(LockRef, ChainCall)> {
    let slots: Vec<u16> = lane.locks.keys().copied().collect();
    slots
        .into_iter()
        .filter_map(|slot| {
            let lock = lane.locks.get(&slot)?.clone();
            let siblings = lane.siblings(slot);
            let name = LockRef { lane: lane_id, placed: lock.placed, slot };
            Some((name, ChainCall::ClaimLock { channel, lane: lane_id, slot, lock, siblings }))
        })
        .collect()
}
