//! What the core wants sent, on its way to the sender: bounded, fair by channel, and each id once.
//!
//! Placing an order never waits and never asks the store: an id that is queued or under way is known in memory.

use alloy_primitives::{Address, Bytes, U256};
use farthing_protocol::ChannelId;
use farthing_protocol::amount::Amount;
use farthing_protocol::chain::Purpose;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// Most orders of a channel that serve its peer: there is one withdrawal or closing at a time.
const SERVED: usize = 4;
/// Most orders of all channels that serve their peers.
const SERVED_IN_ALL: usize = 4_096;
/// Most orders of a channel that put money in: some for each asset.
const FUNDED: usize = 64;
/// Most orders of a channel that protect money, or bring it home: more than it may have locks, in both lanes of some
/// assets, so that none is ever refused.
const PROTECTED: usize = 65_536;

/// A transaction that the core wants sent.
#[derive(Clone, Debug)]
pub struct Order {
    /// Idempotency key.
    pub id: String,
    /// Whose money it is about.
    pub channel: ChannelId,
    /// For logs.
    pub label: &'static str,
    /// Whom to call; the channels' contract where nobody is named.
    pub to: Option<Address>,
    /// What to call.
    pub data: Bytes,
    /// Wei sent along.
    pub value: U256,
    /// The token whose allowance it spends, and how much of it.
    pub allowance: Option<(Address, Amount)>,
    /// Why.
    pub purpose: Purpose,
}

/// What became of an order that was placed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placed {
    /// It will be looked at.
    Queued,
    /// Its id is queued or under way: nothing to do.
    Known,
    /// Its channel has too many already.
    Refused,
}

/// The kinds of [`Purpose`], the most urgent first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Class {
    Protect,
    Collect,
    Fund,
    Serve,
}

impl Class {
    pub(super) const fn of(purpose: &Purpose) -> Self {
        match purpose {
            Purpose::Protect { .. } => Self::Protect,
            Purpose::Collect { .. } => Self::Collect,
            Purpose::Fund { .. } => Self::Fund,
            Purpose::Serve { .. } => Self::Serve,
        }
    }

    const fn most(self) -> usize {
        match self {
            Self::Protect | Self::Collect => PROTECTED,
            Self::Fund => FUNDED,
            Self::Serve => SERVED,
        }
    }

    /// Whether it may use the reserve, and the nonce of what may not.
    pub(super) const fn is_ours_to_save(self) -> bool {
        matches!(self, Self::Protect | Self::Collect)
    }
}

/// A handle of the queue.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    wake: Notify,
    /// Told whenever an order was signed or has ended.
    progress: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    lines: BTreeMap<ChannelId, VecDeque<Order>>,
    /// Channels with a line, in the order of their turns.
    turns: VecDeque<ChannelId>,
    /// Everything that is queued here, or under way.
    pending: HashMap<String, (ChannelId, Class)>,
    counts: HashMap<(ChannelId, Class), usize>,
    served: usize,
}

impl Orders {
    /// Queues an order, unless its id is pending or its channel has too many.
    pub fn place(&self, order: Order) -> Placed {
        let placed = self.lock().place(order);
        if placed == Placed::Queued {
            self.shared.wake.notify_one();
        }
        placed
    }

    /// The same for several at once, so that what can go into one transaction does.
    pub fn place_all(&self, orders: impl IntoIterator<Item = Order>) {
        let mut state = self.lock();
        for order in orders {
            // What is asked for at every block is asked for again.
            let _ = state.place(order);
        }
        drop(state);
        self.shared.wake.notify_one();
    }

    /// How many orders are queued or under way.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.lock().pending.len()
    }

    /// Whether this order is queued or under way.
    #[must_use]
    pub fn is_pending(&self, id: &str) -> bool {
        self.lock().pending.contains_key(id)
    }

    /// Changes whenever an order was signed or has ended.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<()> {
        self.shared.progress.subscribe()
    }

    /// An order was signed, durably.
    pub(super) fn signed(&self) {
        self.shared.progress.send_replace(());
    }

    /// An order that the store knew at the start.
    pub(super) fn know(&self, id: &str, channel: ChannelId, class: Class) {
        self.lock().note(id, channel, class);
    }

    /// An order has ended: it may be placed again.
    pub(super) fn done(&self, id: &str) {
        let mut state = self.lock();
        let Some((channel, class)) = state.pending.remove(id) else { return };
        if let Some(count) = state.counts.get_mut(&(channel, class)) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                state.counts.remove(&(channel, class));
            }
        }
        if class == Class::Serve {
            state.served = state.served.saturating_sub(1);
        }
        drop(state);
        self.shared.progress.send_replace(());
    }

    /// The next orders, at most so many: one of each channel in turn.
    pub(super) fn take(&self, most: usize) -> Vec<Order> {
        let mut state = self.lock();
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(channel) = state.turns.pop_front()
        {
            let Some(line) = state.lines.get_mut(&channel) else { continue };
            taken.extend(line.pop_front());
            if line.is_empty() {
                state.lines.remove(&channel);
            } else {
                state.turns.push_back(channel);
            }
        }
        taken
    }

    /// Waits until there is something to take.
    pub(super) async fn wait(&self) {
        while self.lock().turns.is_empty() {
            self.shared.wake.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn place(&mut self, order: Order) -> Placed {
        let class = Class::of(&order.purpose);
        if self.pending.contains_key(&order.id) {
            return Placed::Known;
        }
        let count = self.counts.get(&(order.channel, class)).copied().unwrap_or_default();
        if count >= class.most() || class == Class::Serve && self.served >= SERVED_IN_ALL {
            return Placed::Refused;
        }
        self.note(&order.id, order.channel, class);
        let channel = order.channel;
        let line = self.lines.entry(channel).or_default();
        line.push_back(order);
        if line.len() == 1 {
            self.turns.push_back(channel);
        }
        Placed::Queued
    }

    fn note(&mut self, id: &str, channel: ChannelId, class: Class) {
        if self.pending.insert(id.to_owned(), (channel, class)).is_some() {
            return;
        }
        let count = self.counts.entry((channel, class)).or_default();
        *count = count.saturating_add(1);
        if class == Class::Serve {
            self.served = self.served.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use farthing_protocol::ETH;

    fn order(channel: u8, id: &str, purpose: Purpose) -> Order {
        let channel = ChannelId(B256::repeat_byte(channel));
        Order {
            id: id.into(),
            channel,
            label: "x",
            to: None,
            data: Bytes::new(),
            value: U256::ZERO,
            allowance: None,
            purpose,
        }
    }

    const SERVE: Purpose = Purpose::Serve { asset: ETH, amount: Amount::MAX };
    const PROTECT: Purpose = Purpose::Protect { asset: ETH, amount: Amount::MAX, deadline: 9 };

    #[test]
    fn an_id_is_pending_until_it_has_ended() {
        let orders = Orders::default();
        assert_eq!(orders.place(order(1, "a", PROTECT)), Placed::Queued);
        for _ in 0..10_000 {
            assert_eq!(orders.place(order(1, "a", PROTECT)), Placed::Known);
        }
        assert_eq!(orders.take(9).len(), 1);
        assert_eq!(orders.place(order(1, "a", PROTECT)), Placed::Known, "under way");
        assert!(orders.take(9).is_empty());
        orders.done("a");
        assert_eq!(orders.place(order(1, "a", PROTECT)), Placed::Queued);
        orders.know("b", ChannelId(B256::repeat_byte(1)), Class::Protect);
        assert_eq!(orders.place(order(1, "b", PROTECT)), Placed::Known, "the store knew it");
    }

    #[test]
    fn a_channel_has_few_services_at_once_and_others_keep_theirs() {
        let orders = Orders::default();
        let placed = (0..100).map(|number| orders.place(order(1, &format!("s{number}"), SERVE)));
        assert_eq!(placed.filter(|placed| *placed == Placed::Queued).count(), SERVED);
        assert_eq!(orders.place(order(2, "other", SERVE)), Placed::Queued);
        assert_eq!(orders.place(order(1, "p", PROTECT)), Placed::Queued, "what protects money is never refused");
        orders.done("s0");
        assert_eq!(orders.place(order(1, "s100", SERVE)), Placed::Queued);
        assert_eq!(orders.place(order(1, "s101", SERVE)), Placed::Refused);
    }

    #[test]
    fn channels_take_turns() {
        let orders = Orders::default();
        for number in 0..50 {
            orders.place(order(1, &format!("a{number}"), PROTECT));
        }
        orders.place(order(2, "b", PROTECT));
        let taken: Vec<_> = orders.take(3).into_iter().map(|order| order.id).collect();
        assert_eq!(taken, ["a0", "b", "a1"]);
    }
}
