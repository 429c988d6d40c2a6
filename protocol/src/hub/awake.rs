//! Time and the chain, for the channels that they can matter to. A hub has many channels in which nothing happens most
//! of the time, and these cost it nothing.
//!
//! Invariant: a channel that is not awake would do nothing at a tick, at a head, or with recorded evidence, and heads
//! are all that it has missed. So whoever changes a channel, or asks it for the time, wakes it first.

use super::Hub;
use crate::chain::{ChainFact, Head};
use crate::condition::ConditionKey;
use crate::types::ChannelId;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

impl Hub {
    /// Takes in the chain's head, after the facts of all blocks up to its final one.
    pub fn head(&mut self, head: Head, now: u64) {
        self.head = Some(head);
        for id in self.awake_now() {
            if let Some(entry) = self.channels.get_mut(&id) {
                entry.channel.handle_head(head);
                self.dirty.insert(id);
            }
            self.react(id, now);
        }
    }

    /// The chain, as last seen.
    #[must_use]
    pub const fn newest(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// Takes in a fact read from the chain: of one channel, or (evidence) of all.
    pub fn chain(&mut self, id: Option<ChannelId>, fact: &ChainFact, now: u64) {
        let ids = id.map_or_else(|| self.awake_now(), |id| [id].into());
        for id in ids {
            self.touch(id);
            if let Some(entry) = self.channels.get_mut(&id) {
                entry.channel.handle_chain(fact, now);
            }
            self.react(id, now);
        }
    }

    /// Keys whose recorded units have to be read; see [`crate::channel::Channel::unread_keys`].
    #[must_use]
    pub fn unread_keys(&self) -> BTreeSet<ConditionKey> {
        let awake = self.awake.iter().filter_map(|id| self.channels.get(id));
        awake.flat_map(|entry| entry.channel.unread_keys()).collect()
    }

    /// Deadlines; call it about once a second.
    pub fn tick(&mut self, now: u64) {
        self.clock = self.clock.max(now);
        self.lapse_expired();
        let lead = self.record_lead();
        for id in self.awake_now() {
            if let Some(entry) = self.channels.get_mut(&id) {
                entry.channel.set_record_lead(lead);
                entry.channel.tick(now);
                self.dirty.insert(id);
            }
            self.react(id, now);
        }
        self.reclaim(now);
        self.drop_expired(now);
        let waiting: Vec<ChannelId> = self.held.keys().copied().collect();
        for payee in waiting {
            self.forward_held(payee, now);
        }
    }

    /// How many channels are awake.
    #[must_use]
    pub fn awake_count(&self) -> usize {
        self.awake.len()
    }

    /// A channel is about to change: time and the chain matter to it until it has come to rest again.
    pub(crate) fn wake(&mut self, id: ChannelId) {
        let Some(entry) = self.channels.get_mut(&id) else { return };
        if self.awake.insert(id)
            && let Some(head) = self.head
        {
            entry.channel.handle_head(head);
        }
    }

    /// A channel is about to change, and may have something to sign, store or say.
    pub(crate) fn touch(&mut self, id: ChannelId) {
        self.wake(id);
        if self.awake.contains(&id) {
            self.dirty.insert(id);
        }
    }

    /// A channel has said and stored everything: it sleeps if it may.
    pub(crate) fn lull(&mut self, id: ChannelId) {
        if crate::rule_off!(101) {
            // For the model test, which compares.
            return;
        }
        let idle = |channel: &crate::channel::Channel| channel.head().is_some() && channel.is_idle();
        if self.channels.get(&id).is_none_or(|entry| idle(&entry.channel)) {
            self.awake.remove(&id);
        }
    }

    fn awake_now(&self) -> Vec<ChannelId> {
        self.awake.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Amount;
    use crate::chain::AssetStatus;
    use crate::channel::{CallId, Policy};
    use crate::eip712::Domain;
    use crate::hub::{HubConfig, HubEffect, Registration};
    use crate::message::Message;
    use crate::sign::SecretKey;
    use crate::types::{ChannelDef, ETH, Participant, Sides};
    use alloy_primitives::Address;

    const NOW: u64 = 1_700_000_000;

    fn hub() -> Hub {
        let key = SecretKey::from_bytes(&[7; 32]).unwrap();
        let config = HubConfig {
            domain: Domain::new(31_337, Address::repeat_byte(0xfa)),
            owner: key.address(),
            policy: Policy::default(),
            assets: [].into(),
            challenge_period: (1, u32::MAX),
            backlog: Default::default(),
            relay: Default::default(),
            strangers: Default::default(),
        };
        Hub::new(config, key)
    }

    fn register(hub: &mut Hub, salt: u64) -> ChannelId {
        let a = Participant { owner: Address::repeat_byte(0xa1), signer: Address::repeat_byte(0xa2) };
        let channel = ChannelDef { a, b: hub.participant(), challenge_period: 86_400, salt };
        hub.register(Registration { channel, public_key: None, binding: None }).unwrap()
    }

    fn head(number: u64) -> Head {
        let timestamp = NOW + number * 12;
        Head { number, timestamp, final_number: number - 1, final_timestamp: timestamp - 12 }
    }

    fn funded(amount: u128) -> ChainFact {
        let deposits = Sides { a: Amount::new(amount), b: Amount::ZERO };
        ChainFact::Asset { asset: ETH, deposits, withdrawn: Sides::default(), status: AssetStatus::Open }
    }

    fn commit(hub: &mut Hub) -> Vec<HubEffect> {
        let mut effects = Vec::new();
        while let Some(commit) = hub.poll_commit(NOW).unwrap() {
            effects.extend(hub.committed(commit.durable()).unwrap());
        }
        effects
    }

    #[test]
    fn a_channel_sleeps_when_it_has_seen_the_chain_and_nothing_is_left_to_do() {
        let mut hub = hub();
        let id = register(&mut hub, 0);
        commit(&mut hub);
        hub.tick(NOW);
        commit(&mut hub);
        assert_eq!(hub.awake_count(), 1, "it has not seen the chain");
        hub.chain(Some(id), &funded(5), NOW);
        hub.head(head(1), NOW);
        commit(&mut hub);
        assert_eq!(hub.awake_count(), 0);
        // Later heads and ticks are for others, such as one that is new.
        let other = register(&mut hub, 1);
        hub.head(head(2), NOW);
        hub.tick(NOW);
        assert!(
            commit(&mut hub).iter().all(|effect| !matches!(effect, HubEffect::Send { channel, .. } if *channel == id))
        );
        assert_eq!(hub.channels[&other].channel.head().unwrap().number, 2);
        assert_eq!(hub.channels[&id].channel.head().unwrap().number, 1);
    }

    #[test]
    fn what_happens_in_a_channel_wakes_it_with_the_newest_head() {
        let mut hub = hub();
        let id = register(&mut hub, 0);
        hub.chain(Some(id), &funded(5), NOW);
        hub.head(head(1), NOW);
        commit(&mut hub);
        for number in 2..5 {
            hub.head(head(number), NOW);
        }
        let wakers: [&dyn Fn(&mut Hub); 5] = [
            &|hub| hub.connected(id, NOW).unwrap(),
            &|hub| hub.handle(id, Message::Sync { lanes: Vec::new() }, NOW).unwrap(),
            &|hub| hub.chain(Some(id), &funded(6), NOW),
            &|hub| hub.chain(Some(id), &ChainFact::ExitGone, NOW),
            &|hub| {
                hub.submit_failed(
                    id,
                    &CallId::collateral(id, ETH, Amount::ZERO),
                    &hub.channels[&id].channel.start_exit(),
                )
            },
        ];
        for (index, waker) in wakers.iter().enumerate() {
            assert_eq!(hub.awake_count(), 0, "before {index}");
            waker(&mut hub);
            assert_eq!(hub.channels[&id].channel.head(), hub.newest(), "{index}");
            assert_eq!(hub.awake_count(), 1, "{index}");
            hub.head(head(10 + index as u64), NOW);
            commit(&mut hub);
        }
    }

    #[test]
    fn an_exit_keeps_its_channel_awake() {
        let mut hub = hub();
        let id = register(&mut hub, 0);
        hub.chain(Some(id), &funded(5), NOW);
        hub.head(head(1), NOW);
        commit(&mut hub);
        hub.chain(Some(id), &ChainFact::ExitStarted { ends_at: NOW + 30 }, NOW);
        hub.head(head(2), NOW);
        commit(&mut hub);
        assert_eq!(hub.awake_count(), 1);
        hub.head(head(9), NOW + 108);
        hub.tick(NOW + 108);
        let settles = |effect: &HubEffect| matches!(effect, HubEffect::Submit { call, .. } if call.label() == "settle");
        assert!(commit(&mut hub).iter().any(settles));
        let ChainFact::Asset { asset, deposits, withdrawn, .. } = funded(5) else { unreachable!() };
        hub.chain(Some(id), &ChainFact::Asset { asset, deposits, withdrawn, status: AssetStatus::Settled }, NOW);
        hub.head(head(10), NOW + 120);
        hub.tick(NOW + 120);
        commit(&mut hub);
        assert_eq!(hub.awake_count(), 1, "what it was settled by is not known");
        hub.chain(Some(id), &ChainFact::Shown { asset, shown: Sides::default() }, NOW);
        hub.head(head(11), NOW + 132);
        hub.tick(NOW + 132);
        commit(&mut hub);
        assert_eq!(hub.awake_count(), 0, "{:?}", hub.channels[&id].channel.exit_stage());
    }
}
