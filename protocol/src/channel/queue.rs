//! Ops that wait for the next signature, with what they cost and hold looked up at once.

use crate::amount::Amount;
use crate::condition::ConditionKey;
use crate::lane::Op;
use crate::map::{Map, Set};
use crate::types::Asset;
use alloc::collections::VecDeque;

/// An op that waits for the next signature.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub(crate) op: Op,
    pub(crate) ticket: u64,
}

/// The ops of one asset that wait.
#[derive(Clone, Debug, Default)]
struct Waiting {
    ops: VecDeque<Queued>,
    cost: Amount,
    slots: Set<u16>,
    keys: Set<ConditionKey>,
    /// Where to look for the next free slot.
    next_slot: u16,
}

impl Waiting {
    fn forget(&mut self, op: &Op) {
        self.cost = self.cost.saturating_minus(cost(op));
        if let Op::Lock { slot, condition, expiry, .. } = op {
            self.slots.remove(slot);
            self.keys.remove(&condition.key(*expiry));
        }
    }
}

/// The ops that wait, by asset.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    assets: Map<Asset, Waiting>,
}

impl Queue {
    pub(crate) fn push(&mut self, asset: Asset, queued: Queued) {
        let waiting = self.assets.or_default(asset);
        waiting.cost = waiting.cost.plus(cost(&queued.op)).unwrap_or(Amount::MAX);
        if let Op::Lock { slot, condition, expiry, .. } = &queued.op {
            waiting.slots.insert(*slot);
            waiting.keys.insert(condition.key(*expiry));
            waiting.next_slot = slot.wrapping_add(1);
        }
        waiting.ops.push_back(queued);
    }

    pub(crate) fn pop(&mut self, asset: Asset) -> Option<Queued> {
        let waiting = self.assets.get_mut(&asset)?;
        let queued = waiting.ops.pop_front()?;
        waiting.forget(&queued.op);
        Some(queued)
    }

    /// Takes the op with this ticket out, wherever it stands.
    pub(crate) fn remove(&mut self, ticket: u64) -> bool {
        for waiting in self.assets.values_mut() {
            let Some(place) = waiting.ops.iter().position(|queued| queued.ticket == ticket) else { continue };
            let Some(queued) = waiting.ops.remove(place) else { continue };
            waiting.forget(&queued.op);
            return true;
        }
        false
    }

    pub(crate) fn front(&self, asset: Asset) -> Option<&Queued> {
        self.assets.get(&asset)?.ops.front()
    }

    /// What the waiting ops may cost.
    pub(crate) fn cost(&self, asset: Asset) -> Amount {
        self.assets.get(&asset).map_or(Amount::ZERO, |waiting| waiting.cost)
    }

    pub(crate) fn is_empty(&self, asset: Asset) -> bool {
        self.assets.get(&asset).is_none_or(|waiting| waiting.ops.is_empty())
    }

    pub(crate) fn locks(&self, asset: Asset) -> usize {
        self.assets.get(&asset).map_or(0, |waiting| waiting.slots.len())
    }

    pub(crate) fn has_slot(&self, asset: Asset, slot: u16) -> bool {
        self.assets.get(&asset).is_some_and(|waiting| waiting.slots.contains(&slot))
    }

    pub(crate) fn has_key(&self, key: &ConditionKey) -> bool {
        self.assets.values().any(|waiting| waiting.keys.contains(key))
    }

    /// Where to look for the next free slot.
    pub(crate) fn next_slot(&self, asset: Asset) -> u16 {
        self.assets.get(&asset).map_or(0, |waiting| waiting.next_slot)
    }

    pub(crate) fn assets(&self) -> impl Iterator<Item = Asset> + '_ {
        self.assets.iter().filter(|(_, waiting)| !waiting.ops.is_empty()).map(|(asset, _)| *asset)
    }
}

/// What an op may cost its payer.
pub(crate) fn cost(op: &Op) -> Amount {
    match op {
        Op::Transfer { amount, .. } => *amount,
        Op::Lock { n, unit_price, .. } => unit_price.times(*n).unwrap_or(Amount::MAX),
        Op::Redeem { .. } | Op::Release { .. } => Amount::ZERO,
    }
}
