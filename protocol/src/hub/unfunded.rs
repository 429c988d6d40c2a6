//! Channels that nobody has put money into. Anybody can register them for nothing, so a hub keeps a bounded number of
//! them, and for a bounded time.
//!
//! Invariant: only a channel is forgotten of which the chain holds nothing and no signature counts, whose client is not
//! connected, for which no payment is held, and which has seen the chain since it was registered. Its client registers
//! it again when it comes back.

use super::{Hub, Registration};
use crate::journal::Write;
use crate::types::ChannelId;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;
use alloy_primitives::Address;

impl Hub {
    /// How many channels nobody has put money into.
    #[must_use]
    pub fn unfunded_count(&self) -> usize {
        self.unfunded.len()
    }

    /// Forgets unfunded channels: those that have been of no use for `age` seconds, and the longest unused ones while
    /// there are more than `most`. The writes are in the next commit.
    pub fn forget_unfunded(&mut self, now: u64, age: u64, most: usize) -> Vec<Registration> {
        let (mut forgotten, mut freed) = (Vec::new(), BTreeSet::new());
        // Each is looked at once: those in use get a place at the end.
        for _ in 0..self.unfunded.len() {
            let Some((since, id)) = self.unfunded.first().copied() else { break };
            if now < since.saturating_add(age) && self.unfunded.len() <= most {
                break;
            }
            if self.is_of_use(id) {
                self.unfunded.remove(&(since, id));
                self.place_unfunded(id, now);
            } else {
                forgotten.extend(self.forget(id, &mut freed));
            }
        }
        self.list_again(&freed);
        forgotten
    }

    /// Whether nobody has put money into a channel; false of one that is not known.
    #[must_use]
    pub fn is_unfunded(&self, id: &ChannelId) -> bool {
        // Its place among the others may be one commit behind.
        self.channels.get(id).is_some_and(|entry| entry.unfunded.is_some() && entry.channel.is_blank())
    }

    /// Forgets an unfunded channel whose place is needed, also if its client is connected; not if anything else makes it
    /// of use. The writes are in the next commit.
    pub fn forget_unused(&mut self, id: ChannelId) -> Option<Registration> {
        let was_online = self.is_online(&id);
        if let Some(entry) = self.channels.get_mut(&id).filter(|entry| entry.unfunded.is_some()) {
            entry.online = false;
        }
        if !self.is_unfunded(&id) || self.is_of_use(id) {
            if let Some(entry) = self.channels.get_mut(&id) {
                entry.online = was_online;
            }
            return None;
        }
        let mut freed = BTreeSet::new();
        let forgotten = self.forget(id, &mut freed);
        self.list_again(&freed);
        forgotten
    }

    /// Keeps the list of unfunded channels what it says.
    pub(crate) fn note_unfunded(&mut self, id: ChannelId) {
        let Some(entry) = self.channels.get(&id) else { return };
        match (entry.channel.is_blank(), entry.unfunded) {
            (true, None) => self.place_unfunded(id, self.clock),
            (false, Some(since)) => {
                self.unfunded.remove(&(since, id));
                if let Some(entry) = self.channels.get_mut(&id) {
                    entry.unfunded = None;
                }
            }
            (true, Some(_)) | (false, None) => {}
        }
    }

    fn place_unfunded(&mut self, id: ChannelId, since: u64) {
        if let Some(entry) = self.channels.get_mut(&id) {
            entry.unfunded = Some(since);
            self.unfunded.insert((since, id));
        }
    }

    /// A channel that is awake has something to say, or has not seen the chain: it may be funded.
    fn is_of_use(&self, id: ChannelId) -> bool {
        let is_funding = self.channels.get(&id).is_some_and(|entry| !entry.wanted.is_empty());
        self.is_online(&id) || self.held.contains_key(&id) || self.awake.contains(&id) || is_funding
    }

    /// Adds the addresses that it was listed under to `freed`.
    fn forget(&mut self, id: ChannelId, freed: &mut BTreeSet<Address>) -> Option<Registration> {
        self.forget_purses(id);
        let entry = self.channels.remove(&id)?;
        if entry.seen_stored > 0 {
            self.gate.write([Write::Delete { key: format!("c/{id}/seen") }]);
        }
        if let Some(since) = entry.unfunded {
            self.unfunded.remove(&(since, id));
        }
        self.dirty.remove(&id);
        let a = entry.registration.channel.a;
        for address in [a.owner, a.signer] {
            if self.directory.get(&address) == Some(&id) {
                self.directory.remove(&address);
                freed.insert(address);
            }
        }
        self.gate.write([Write::Delete { key: format!("c/{id}/def") }]);
        self.gate.write(entry.journal.remove());
        Some(entry.registration)
    }

    /// Another channel of the same client may have been listed before.
    fn list_again(&mut self, addresses: &BTreeSet<Address>) {
        if addresses.is_empty() {
            return;
        }
        let theirs = self.channels.iter().filter(|(_, entry)| {
            let a = entry.registration.channel.a;
            addresses.contains(&a.owner) || addresses.contains(&a.signer)
        });
        let theirs: Vec<ChannelId> = theirs.map(|(id, _)| *id).collect();
        for id in theirs {
            self.list(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{AssetStatus, ChainFact, Head};
    use crate::channel::Policy;
    use crate::eip712::Domain;
    use crate::hub::HubConfig;
    use crate::lane::{Lane, Op, Update};
    use crate::message::Message;
    use crate::proof::{LaneId, SignedProof};
    use crate::sign::SecretKey;
    use crate::types::{ChannelDef, ETH, Participant, Side, Sides};
    use crate::{Amount, Code};
    use alloc::collections::BTreeMap;
    use alloc::string::String;

    const NOW: u64 = 1_700_000_000;
    const AGE: u64 = 1_000;

    struct Stored {
        hub: Hub,
        store: BTreeMap<String, Vec<u8>>,
    }

    fn key(salt: u64) -> SecretKey {
        SecretKey::from_bytes(&[u8::try_from(salt).unwrap() + 20; 32]).unwrap()
    }

    fn config() -> HubConfig {
        HubConfig {
            domain: Domain::new(31_337, Address::repeat_byte(0xfa)),
            owner: Address::repeat_byte(0xb1),
            policy: Policy::default(),
            assets: [].into(),
            challenge_period: (1, u32::MAX),
            backlog: Default::default(),
            relay: Default::default(),
            strangers: Default::default(),
        }
    }

    impl Stored {
        fn new() -> Self {
            let hub = Hub::restore(config(), SecretKey::from_bytes(&[7; 32]).unwrap(), &[], NOW).unwrap();
            Self { hub, store: BTreeMap::new() }
        }

        /// Registers a channel of its own signer, and one head later it has seen the chain.
        fn register(&mut self, salt: u64) -> ChannelId {
            let a = Participant { owner: Address::repeat_byte(0xa1), signer: key(salt).address() };
            let channel = ChannelDef { a, b: self.hub.participant(), challenge_period: 86_400, salt };
            let registration = Registration { channel, public_key: Some(key(salt).public_key()), binding: None };
            let id = self.hub.register(registration).unwrap();
            self.commit();
            id
        }

        fn look(&mut self, number: u64) {
            let head = Head { number, timestamp: NOW, final_number: number, final_timestamp: NOW };
            self.hub.head(head, NOW);
            self.commit();
        }

        fn commit(&mut self) {
            while let Some(commit) = self.hub.poll_commit(NOW).unwrap() {
                for write in &commit.writes {
                    match write {
                        Write::Put { key, value } => drop(self.store.insert(key.clone(), value.clone())),
                        Write::Delete { key } => drop(self.store.remove(key)),
                    }
                }
                self.hub.committed(commit.durable()).unwrap();
            }
        }

        fn forget(&mut self, now: u64, most: usize) -> usize {
            let count = self.hub.forget_unfunded(now, AGE, most).len();
            self.commit();
            count
        }

        fn keys_of(&self, id: ChannelId) -> usize {
            self.store.keys().filter(|key| key.contains(&alloc::string::ToString::to_string(&id))).count()
        }
    }

    fn funded(amount: u128) -> ChainFact {
        let deposits = Sides { a: Amount::new(amount), b: Amount::ZERO };
        ChainFact::Asset { asset: ETH, deposits, withdrawn: Sides::default(), status: AssetStatus::Open }
    }

    #[test]
    fn the_longest_unused_go_first_and_leave_nothing_behind() {
        let mut stored = Stored::new();
        let ids: Vec<ChannelId> = (0..5).map(|salt| stored.register(salt)).collect();
        assert_eq!(stored.forget(NOW + 2 * AGE, 2), 0, "none has seen the chain");
        stored.look(1);
        stored.hub.tick(NOW + 2 * AGE + 1);
        let late = stored.register(5);
        stored.look(2);
        assert_eq!(stored.forget(NOW + 2 * AGE + 1, 6), 0);
        assert_eq!(stored.forget(NOW + 2 * AGE + 1, 4), 2);
        assert_eq!(stored.hub.unfunded_count(), 4);
        assert_eq!(stored.forget(NOW + 3 * AGE, 6), 3);
        assert!(ids.iter().all(|id| stored.hub.channel(id).is_none() && stored.keys_of(*id) == 0));
        assert!(stored.hub.channel(&late).is_some());
        // It comes back as it came.
        stored.register(0);
        let entries: Vec<_> = stored.store.clone().into_iter().collect();
        let again = Hub::restore(config(), SecretKey::from_bytes(&[7; 32]).unwrap(), &entries, NOW).unwrap();
        assert_eq!((again.channels().count(), again.unfunded_count()), (2, 2));
    }

    #[test]
    fn what_is_in_use_or_known_to_the_chain_stays() {
        let mut stored = Stored::new();
        let [online, deposited, exiting, late] = [0, 1, 2, 3].map(|salt| stored.register(salt));
        stored.hub.connected(online, NOW).unwrap();
        stored.hub.chain(Some(deposited), &funded(1), NOW);
        stored.hub.chain(Some(exiting), &ChainFact::ExitStarted { ends_at: NOW + 50 }, NOW);
        stored.look(1);
        assert_eq!(stored.hub.unfunded_count(), 2);
        assert_eq!(stored.forget(NOW + AGE, 0), 1);
        assert!(stored.hub.channel(&late).is_none());
        // Its client leaves: the time begins then.
        stored.hub.disconnected(online);
        assert_eq!(stored.forget(NOW + AGE + 1, 1), 0);
        assert_eq!(stored.forget(NOW + 3 * AGE, 1), 1);
        assert!(stored.hub.channel(&online).is_none());
        assert_eq!(stored.hub.lookup(key(0).address()).unwrap_err().code(), Code::UnknownPayee);
        // A reorganisation takes the deposit back, and with it the reason to stay.
        stored.hub.chain(Some(deposited), &funded(0), NOW);
        stored.look(2);
        assert_eq!(stored.forget(NOW + 9 * AGE, 0), 1);
        assert!(stored.hub.channel(&deposited).is_none() && stored.hub.channel(&exiting).is_some());
    }

    #[test]
    fn one_whose_place_is_needed_goes_though_it_is_connected_unless_it_is_of_use_otherwise() {
        let mut stored = Stored::new();
        let [online, deposited] = [0, 1].map(|salt| stored.register(salt));
        assert!(stored.hub.forget_unused(online).is_none(), "it has not seen the chain");
        stored.hub.connected(online, NOW).unwrap();
        stored.hub.chain(Some(deposited), &funded(1), NOW);
        stored.look(1);
        assert!(stored.hub.is_unfunded(&online) && !stored.hub.is_unfunded(&deposited));
        assert!(stored.hub.forget_unused(deposited).is_none());
        stored.hub.awake.insert(online);
        assert!(stored.hub.forget_unused(online).is_none() && stored.hub.is_online(&online), "nothing changed");
        stored.hub.awake.remove(&online);
        assert!(stored.hub.forget_unused(online).is_some());
        stored.commit();
        assert!(stored.hub.channel(&online).is_none() && stored.keys_of(online) == 0);
        assert_eq!(stored.hub.unfunded_count(), 0);
        assert!(!stored.hub.is_unfunded(&online) && stored.hub.forget_unused(online).is_none());
    }

    #[test]
    fn a_stranger_s_proof_keeps_nothing_and_one_in_a_funded_channel_all() {
        let mut stored = Stored::new();
        let ids = [0, 1].map(|salt| stored.register(salt));
        stored.hub.chain(Some(ids[1]), &funded(1), NOW);
        stored.look(1);
        for (salt, id) in (0..).zip(ids) {
            // More than there is: it is refused.
            let op = Op::Transfer { amount: Amount::new(5), memo: String::new() };
            let mut lane = Lane::default();
            lane.apply(1, core::slice::from_ref(&op)).unwrap();
            let proof = lane.statement(1, 0);
            let name = LaneId { asset: ETH, payer: Side::A };
            let signature = SignedProof::sign(proof, &config().domain, id, name, &key(salt)).signature;
            let update = Update { base: 0, ops: [op].into(), proof, signature };
            stored.hub.handle(id, Message::Update { asset: ETH, update }, NOW).unwrap();
        }
        // The deposit is gone, but what was signed is out.
        stored.hub.chain(Some(ids[1]), &funded(0), NOW);
        stored.look(2);
        assert_eq!(stored.forget(NOW + AGE, 0), 1);
        assert!(stored.hub.channel(&ids[0]).is_none() && stored.hub.channel(&ids[1]).is_some());
    }
}
