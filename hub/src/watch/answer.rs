//! Answers: the newest proofs while a challenge period runs, and evidence before it expires.
//!
//! Nothing here is remembered from one look to the next: at every new block the tower compares what the chain shows
//! with what it has, and asks for the transaction that makes up the difference. So a crash, a reorg and a failed
//! transaction need no care of their own. The queue sends each id once, and an id is used for one content only.

use super::store::{Running, Watched};
use super::tower::Tower;
use crate::chain::Order;
use crate::clock;
use crate::store::{Status, Store, StoredOrder};
use alloy_primitives::{B256, Bytes, U256};
use farthing_protocol::abi::IFarthing;
use farthing_protocol::chain::{ChainCall, EvidenceItem, Head, Purpose};
use farthing_protocol::watch::AgreedProof;
use farthing_protocol::{Amount, Asset, ChannelDef, ChannelId, ETH, Error};
use std::collections::BTreeMap;

impl Tower {
    /// Shows what is better than what the chain shows, for every exit that can still be answered. Returns channels of
    /// which nothing is left to be watched.
    pub(super) async fn answer_exits(&self, head: Head) -> Result<Vec<ChannelId>, Error> {
        let mut gone = Vec::new();
        for watched in self.inner.store.exiting().await? {
            let id = watched.id;
            match self.answer(watched, head).await {
                // One that the RPC chokes on must not hold up the rest.
                Err(error) if error.blame() == farthing_protocol::Blame::Chain => {
                    tracing::warn!(channel = %id, %error, "an exit could not be answered; trying again");
                }
                other => gone.extend(other?.then_some(id)),
            }
        }
        Ok(gone)
    }

    /// Whether nothing is left to be watched.
    async fn answer(&self, watched: Watched, head: Head) -> Result<bool, Error> {
        let (inner, id) = (&self.inner, watched.id);
        let Some(exit) = watched.exit else { return Ok(false) };
        let ends_at = inner.exit_ends_at(id).await?;
        if ends_at == 0 {
            // A reorg undid it. It may be mined again; once the block where it was seen is final without it, it is
            // a new one that will be told.
            if head.final_number >= exit.seen {
                inner.store.set_exit(id, None).await?;
            }
            return Ok(false);
        }
        if ends_at != exit.ends_at {
            inner.store.set_exit(id, Some(Running { ends_at, ..exit })).await?;
        }
        if head.final_timestamp > ends_at {
            return inner.store.forget_proofs(id, None).await;
        }
        if head.timestamp > ends_at {
            return Ok(false);
        }
        let mut by_asset: BTreeMap<Asset, Vec<AgreedProof>> = BTreeMap::new();
        for (proof, _) in watched.lanes {
            by_asset.entry(proof.lane().asset).or_default().push(proof);
        }
        // A call for each asset: what is under way is known by its content.
        for (asset, proofs) in by_asset {
            self.answer_asset(id, &watched.channel, ends_at, asset, &proofs).await?;
        }
        Ok(false)
    }

    async fn answer_asset(
        &self,
        id: ChannelId,
        channel: &ChannelDef,
        ends_at: u64,
        asset: Asset,
        proofs: &[AgreedProof],
    ) -> Result<(), Error> {
        let mut better = Vec::with_capacity(proofs.len());
        for proof in proofs {
            let payer = proof.lane().payer.index();
            let shown = self.inner.view(IFarthing::laneStateCall { channelId: id.0, asset, payer }).await?;
            if proof.improves(&shown) {
                better.push(*proof);
            }
        }
        if better.is_empty() {
            return Ok(());
        }
        // Where nothing is at stake, an answer would only cost the tower gas.
        let stake = self.inner.stake(id, asset, None).await?;
        if !stake.open || !stake.funded {
            return Ok(());
        }
        let wanted = calldata(channel, &better);
        // An earlier answer with both lanes covers one with the lane that is left.
        let whole = calldata(channel, proofs);
        // What the client would lose is not known here; the tower's own limits bound what it spends.
        let purpose = Purpose::Protect { asset, amount: Amount::MAX, deadline: ends_at };
        let store = self.inner.store.sqlite();
        for attempt in 0..self.inner.config.limits.answers {
            let name = format!("{id}/proofs/{ends_at}/{asset}/{attempt}");
            match store.order(&name).await? {
                None => {
                    self.order(name, id, "submitProofs", wanted, purpose);
                    return Ok(());
                }
                Some(known) if known.data == *wanted || known.data == *whole => {
                    if is_under_way(&known) {
                        return Ok(());
                    }
                    // Given up before it was signed: what it saw then may have been another chain.
                    if known.transaction.is_none() {
                        self.order(name, id, "submitProofs", known.data.into(), purpose);
                        return Ok(());
                    }
                }
                Some(_) => {}
            }
        }
        tracing::error!(channel = %id, %asset, "an exit needs more answers than one channel may have");
        Ok(())
    }

    /// Records evidence that is about to expire and that the chain does not have; the sender puts it
    /// into as few transactions as take it.
    pub(super) async fn record_evidence(&self, head: Head) -> Result<(), Error> {
        let now = head.timestamp.max(clock::now());
        let due = self.inner.store.evidence_until(now.saturating_add(self.inner.config.record_margin)).await?;
        let mut orders = Vec::new();
        for piece in due.into_iter().filter(|piece| head.timestamp <= piece.expiry) {
            let key = piece.condition.key(piece.expiry);
            if self.inner.view(IFarthing::unitsOfCall { key: key.0 }).await? >= piece.units {
                continue;
            }
            let (name, units) = (format!("evidence/{}/{}", key.0, piece.units), piece.units);
            let known = self.inner.store.sqlite().order(&name).await?;
            if known.is_some_and(|known| is_under_way(&known) || known.status == Status::Mined) {
                continue;
            }
            tracing::info!(channel = %piece.channel, key = %key.0, units, "evidence is about to expire");
            let (condition, expiry, evidence) = (piece.condition, piece.expiry, piece.evidence);
            let call = ChainCall::RecordEvidence { items: [EvidenceItem { condition, expiry, evidence }].into() };
            let purpose = Purpose::Protect { asset: ETH, amount: Amount::MAX, deadline: expiry };
            orders.push(order(name, piece.channel, call.label(), call.calldata(|_| piece.channel), purpose));
        }
        self.inner.orders.place_all(orders);
        Ok(())
    }

    fn order(&self, id: String, channel: ChannelId, label: &'static str, data: Bytes, purpose: Purpose) {
        // What is asked for at every block is asked for again.
        let _ = self.inner.orders.place(order(id, channel, label, data, purpose));
    }
}

const fn order(id: String, channel: ChannelId, label: &'static str, data: Bytes, purpose: Purpose) -> Order {
    Order { id, channel, label, to: None, data, value: U256::ZERO, allowance: None, purpose }
}

const fn is_under_way(order: &StoredOrder) -> bool {
    matches!(order.status, Status::Queued | Status::Sent)
}

fn calldata(channel: &ChannelDef, proofs: &[AgreedProof]) -> Bytes {
    let proofs = proofs.iter().map(|proof| (proof.lane(), *proof.signed(), Some(*proof.acknowledgement()))).collect();
    // Proofs name no channel id of their own; the contract computes it.
    ChainCall::SubmitProofs { channel: *channel, proofs }.calldata(|_| ChannelId(B256::ZERO))
}
