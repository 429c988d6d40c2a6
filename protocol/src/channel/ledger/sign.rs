//! Signing our lane. What is signed is out: the highest nonce, the exposure and the history are noted with it.

use super::Ledger;
use crate::channel::{Event, Fact, OpRef};
use crate::error::{Code, Error};
use crate::lane::{LockRef, Op, Update};
use crate::proof::SignedProof;
use crate::sign::SecretKey;
use crate::types::Asset;
use alloc::vec::Vec;
use alloy_primitives::Bytes;

/// Ops for one signature, with the tickets of those that were queued.
pub(crate) type Batch = Vec<(Op, Option<u64>)>;

/// What one signature made.
pub(crate) struct Signed {
    /// None if nothing was left to sign.
    pub(crate) update: Option<Update>,
    /// What became of the queued ops.
    pub(crate) events: Vec<Event>,
    /// Locks of ours that it redeems, up to which units, and what proves them.
    pub(crate) redeemed: Vec<(LockRef, u32, Bytes)>,
    /// Locks of ours that it releases.
    pub(crate) released: Vec<(LockRef, u32)>,
}

impl Ledger {
    /// Refuses a lock whose evidence is known already: it would be redeemed at once, and nobody would be told. [11]
    pub(crate) fn check_unproven(&self, op: &Op) -> Result<(), Error> {
        let Op::Lock { condition, expiry, .. } = op else { return Ok(()) };
        let known = self.known(&condition.key(*expiry)).is_some();
        if known && !crate::rule_off!(11) { Err(Code::DuplicateSecret.into()) } else { Ok(()) }
    }

    /// Whether our lane of an asset takes another update now.
    pub(crate) fn may_sign(&self, asset: Asset) -> bool {
        let in_flight = self.book(asset).map_or(0, |book| book.out.in_flight.len());
        let blocked = self.book(asset).is_some_and(|book| book.out.history.is_blocked());
        in_flight < self.policy.window && !blocked && self.check_open(asset).is_ok()
    }

    /// Signs one update with a batch of ops; ops that can't be applied are dropped, not signed.
    pub(crate) fn sign(&mut self, asset: Asset, batch: Batch, again: bool, key: &SecretKey) -> Signed {
        let lane = self.our_lane(asset);
        let (domain, id) = (self.domain, self.id);
        let out = &mut self.book_mut(asset).out;
        // A proof that does not follow its base directly is acknowledged.
        let nonce = out.highest.saturating_add(1).saturating_add(u64::from(again));
        let mut undo = out.lane.nothing_to_undo();
        let mut ops = Vec::new();
        let mut events = Vec::new();
        for (op, ticket) in batch {
            match out.lane.apply(nonce, core::slice::from_ref(&op)) {
                Ok(step) => undo.append(step),
                Err(error) => {
                    events.extend(ticket.map(|ticket| Event::Dropped { ticket, error }));
                    continue;
                }
            }
            let op_ref = OpRef { lane, nonce, index: u32::try_from(ops.len()).unwrap_or(u32::MAX) };
            let lock = match &op {
                Op::Lock { slot, .. } => Some(LockRef { lane, placed: nonce, slot: *slot }),
                Op::Transfer { .. } | Op::Redeem { .. } | Op::Release { .. } => None,
            };
            events.extend(ticket.map(|ticket| Event::Signed { ticket, op: op_ref, lock }));
            ops.push(op);
        }
        let released = undo.releases(&ops).into_iter();
        let released = released
            .map(|(_, slot, before)| (LockRef { lane, placed: before.placed, slot }, before.lock.redeemed))
            .collect();
        let redeemed = undo.redemptions(&ops);
        let mut update = None;
        if !ops.is_empty() || out.rebase || again {
            let base = out.tip().map_or(0, |signed| signed.proof.nonce);
            let seen = self.book(asset).map_or(0, |book| book.inc.accepted_nonce());
            let out = &mut self.book_mut(asset).out;
            let proof = out.lane.statement(nonce, seen);
            let signature = SignedProof::sign(proof, &domain, id, lane, key).signature;
            let signed = Update { base, ops, proof, signature };
            out.push(signed.clone(), undo);
            self.facts.push(Fact::Signed { asset, update: signed.clone() });
            update = Some(signed);
        }
        let redeemed = redeemed.into_iter().filter_map(|(slot, before, units)| {
            let evidence = self.known(&before.lock.key).map(|known| known.evidence.clone())?;
            let lock = LockRef { lane, placed: before.placed, slot };
            (!evidence.is_empty()).then_some((lock, units, evidence))
        });
        let redeemed = redeemed.collect();
        Signed { update, events, redeemed, released }
    }
}
