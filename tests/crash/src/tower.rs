//! A watchtower as `hub/src/watch` is one: it checks all of a put, stores it, and only then signs receipts; at each
//! block it compares what the chain shows with what it has. It remembers nothing else, so its store is its state.

use super::contract::Contract;
use alloy_primitives::Address;
use farthing_protocol::abi::LaneState;
use farthing_protocol::chain::{AssetStatus, ChainCall};
use farthing_protocol::eip712::Domain;
use farthing_protocol::error::Error;
use farthing_protocol::proof::LaneId;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::types::{ChannelDef, ChannelId};
use farthing_protocol::watch::{AgreedProof, SignedReceipt, WatchOrder, WatchedLane};
use std::collections::BTreeMap;

pub type Rows = BTreeMap<(ChannelId, LaneId), (ChannelDef, AgreedProof, u64)>;

pub struct Tower {
    pub key: SecretKey,
    pub owner: Address,
    pub domain: Domain,
    /// What is durable.
    pub rows: Rows,
}

impl Tower {
    /// What a put would change: all of it is taken, or nothing.
    pub fn admit(&self, order: &WatchOrder, lanes: &[WatchedLane], now: u64) -> Result<Rows, Error> {
        order.verify(self.key.address(), &self.domain, now)?;
        let id = order.channel.id(self.domain.chain_id(), self.domain.contract());
        let mut rows = Rows::new();
        for lane in lanes {
            let proof = AgreedProof::check(lane, &order.channel, &self.domain)?;
            let stored = self.rows.get(&(id, proof.lane()));
            match stored.map(|(_, stored, _)| proof.replaces(stored)).transpose() {
                Ok(Some(false)) => {}
                Ok(_) => {
                    rows.insert((id, proof.lane()), (order.channel, proof, now));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(rows)
    }

    /// Promises for what is durable.
    pub fn receipts(&self, id: ChannelId, lanes: &[WatchedLane]) -> Vec<SignedReceipt> {
        lanes
            .iter()
            .filter_map(|lane| self.rows.get(&(id, LaneId { asset: lane.asset, payer: lane.payer })))
            .map(|(_, proof, time)| proof.receipt(id, *time).sign(&self.domain, &self.key))
            .collect()
    }

    /// Answers to the exits that run, one call for each lane of which the chain shows something worse.
    pub fn answers(&self, contract: &Contract, now: u64) -> Vec<ChainCall> {
        let running = |id: &ChannelId| contract.exits.get(id).is_some_and(|ends| now <= *ends);
        let mut calls = Vec::new();
        for ((id, lane), (def, proof, _)) in self.rows.iter().filter(|((id, _), _)| running(id)) {
            let record = contract.record(*id, lane.asset);
            let shown = record.lanes.of(lane.payer);
            let shown = LaneState {
                nonce: shown.nonce,
                acknowledged: shown.acknowledged,
                transferred: shown.transferred,
                locked: shown.locked,
                locksRoot: shown.root,
            };
            if record.status == AssetStatus::Open && record.deposited() > 0 && proof.improves(&shown) {
                let proofs = vec![(*lane, *proof.signed(), Some(*proof.acknowledgement()))];
                calls.push(ChainCall::SubmitProofs { channel: *def, proofs });
            }
        }
        calls
    }
}
