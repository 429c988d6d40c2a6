//! Calls that were asked for. An item is in one call at a time, until that has failed: what is due later joins a new
//! call, and a call that fails frees all of its items.

use super::call_id::{CallId, Item};
use crate::condition::ConditionKey;
use crate::gas;
use crate::map::{Map, Set};
use alloc::vec::Vec;

/// What is under way, and whether anything is sent for the peer.
#[derive(Debug)]
pub(crate) struct Calls {
    /// With the items of each.
    under_way: Map<CallId, Vec<Item>>,
    items: Set<Item>,
    /// Whether we send anything for the peer at our gas now, and how often we have.
    relaying: bool,
    relayed: u64,
}

impl Default for Calls {
    fn default() -> Self {
        Self { under_way: Map::new(), items: Set::new(), relaying: true, relayed: 0 }
    }
}

impl Calls {
    /// Whether a call has this item.
    pub(crate) fn hold(&self, item: &Item) -> bool {
        self.items.contains(item)
    }

    /// Most units of a key that a call records.
    pub(crate) fn units(&self, key: ConditionKey) -> u32 {
        match self.items.last_up_to(&Item::Evidence { key, units: u32::MAX }) {
            Some(Item::Evidence { key: found, units }) if *found == key => *units,
            _ => 0,
        }
    }

    /// Whether the call is new; then it is under way from now on.
    pub(crate) fn add(&mut self, id: &CallId, items: Vec<Item>) -> bool {
        if self.under_way.contains_key(id) {
            return false;
        }
        self.items.extend(items.iter().copied());
        self.under_way.insert(id.clone(), items);
        true
    }

    /// Frees what the call was about.
    pub(crate) fn fail(&mut self, id: &CallId) {
        for item in self.under_way.remove(id).unwrap_or_default() {
            self.items.remove(&item);
        }
    }

    /// Whatever was refused or got lost on its way is asked for once more.
    pub(crate) fn forget_all(&mut self) {
        self.under_way = Map::new();
        self.items = Set::new();
    }

    pub(crate) const fn set_relaying(&mut self, relaying: bool) {
        self.relaying = relaying;
    }

    pub(crate) const fn is_relaying(&self) -> bool {
        self.relaying
    }

    pub(crate) const fn count_relayed(&mut self) {
        self.relayed = self.relayed.saturating_add(1);
    }

    pub(crate) const fn relayed(&self) -> u64 {
        self.relayed
    }
}

/// What recording a preimage costs at 1 gwei, where nothing says what it costs.
pub(crate) const ETH_PREIMAGE: u128 = gas::PREIMAGE as u128 * 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::super::{Channel, Dust, Effect, Policy};
    use super::*;
    use crate::amount::Amount;
    use crate::chain::{AssetStatus, ChainCall, ChainFact, Head, Purpose};
    use crate::condition::{Condition, chain_evidence, sha256};
    use crate::eip712::Domain;
    use crate::lane::Op;
    use crate::proof::SignedProof;
    use crate::sign::SecretKey;
    use crate::types::{Asset, ChannelDef, ETH, Participant, Side, Sides};
    use alloc::string::String;
    use alloy_primitives::{Address, B256, Bytes, keccak256};

    const TOKEN: Asset = Address::repeat_byte(0x70);
    const NOW: u64 = 1_000;
    const EXPIRY: u64 = 5_000;

    /// A channel that is paid with locks, and whose exit runs.
    fn channel(dust: &[(Asset, u128)]) -> Channel {
        let side = |byte| {
            let address = Address::repeat_byte(byte);
            Participant { owner: address, signer: address }
        };
        let def = ChannelDef { a: side(1), b: side(2), challenge_period: 3_600, salt: 0 };
        let entry = |(asset, threshold): &(Asset, u128)| {
            (*asset, Dust { threshold: Amount::new(*threshold), cap: Amount::MAX })
        };
        let policy = Policy { dust: dust.iter().map(entry).collect(), ..Policy::default() };
        let mut channel = Channel::new(Domain::new(1, Address::repeat_byte(9)), def, Side::B, policy).unwrap();
        for asset in [ETH, TOKEN] {
            channel.ledger.state_mut().assets.or_default(asset).deposits.a = Amount::new(1_000_000);
        }
        channel.ledger.state_mut().exit = Some(NOW + 3_600);
        at(&mut channel, NOW);
        channel
    }

    fn at(channel: &mut Channel, time: u64) {
        channel.handle_head(Head { number: time, timestamp: time, final_number: time, final_timestamp: time });
    }

    fn put(channel: &mut Channel, asset: Asset, slot: u16, condition: Condition, n: u32, price: u128) {
        let (expiry, unit_price) = (EXPIRY + u64::from(slot), Amount::new(price));
        let op = Op::Lock { slot, condition, expiry, n, unit_price, to: None, envelope: Bytes::new() };
        channel.ledger.state_mut().assets.or_default(asset).inc.lane.apply(1, &[op]).unwrap();
    }

    /// A lock of which we know the preimage.
    fn lock(channel: &mut Channel, asset: Asset, slot: u16, price: u128) {
        let mut secret = [7; 32];
        secret[..2].copy_from_slice(&slot.to_be_bytes());
        put(channel, asset, slot, Condition::hash_lock(sha256(&secret)), 1, price);
        learn(channel, asset, slot, &Bytes::copy_from_slice(&secret));
    }

    fn learn(channel: &mut Channel, asset: Asset, slot: u16, evidence: &Bytes) {
        let pending = channel.ledger.book(asset).unwrap().inc.lane.locks.get(&slot).unwrap();
        let (key, condition, expiry) = (pending.lock.key, pending.condition.clone(), pending.expiry);
        let domain = *channel.domain();
        let known = channel.ledger.state_mut().evidence.or_default(key);
        known.units = condition.evaluate(&domain, expiry, evidence).unwrap();
        known.evidence = evidence.clone();
    }

    /// What is asked for at a time.
    fn asked(channel: &mut Channel, time: u64) -> Vec<(CallId, ChainCall, Purpose)> {
        at(channel, time);
        channel.tick(time);
        let submits = channel.drain().effects.into_iter().filter_map(|effect| match effect {
            Effect::Submit { id, call, purpose } => Some((id, call, purpose)),
            Effect::Send(_) => None,
        });
        submits.collect()
    }

    fn expiries(call: &ChainCall) -> Vec<u64> {
        let ChainCall::RecordEvidence { items } = call else { panic!("{}", call.label()) };
        items.iter().map(|item| item.expiry - EXPIRY).collect()
    }

    #[test]
    fn evidence_goes_together_and_what_brings_most_goes_first() {
        let mut channel = channel(&[]);
        for (slot, price) in [(0, 5), (1, 30), (2, 10)] {
            lock(&mut channel, ETH, slot, price);
        }
        let calls = asked(&mut channel, NOW);
        let [(first, call, purpose)] = calls.as_slice() else { panic!("{} calls", calls.len()) };
        assert_eq!((call.label(), expiries(call)), ("recordEvidenceBatch", vec![1, 2, 0]));
        assert_eq!(*purpose, Purpose::Protect { asset: ETH, amount: Amount::new(45), deadline: EXPIRY });
        assert!(asked(&mut channel, NOW).is_empty());

        // What is due later joins a new call, and what is under way is not in it.
        lock(&mut channel, ETH, 3, 7);
        let calls = asked(&mut channel, NOW);
        let [(second, call, _)] = calls.as_slice() else { panic!("{} calls", calls.len()) };
        assert_eq!((call.label(), expiries(call)), ("recordEvidence", vec![3]));
        assert_ne!(first, second);

        // A call that fails frees all that was in it, and nothing else.
        channel.submit_failed(first);
        let calls = asked(&mut channel, NOW);
        assert_eq!(
            calls.iter().map(|(id, call, _)| (id, expiries(call))).collect::<Vec<_>>(),
            [(first, vec![1, 2, 0])]
        );
    }

    #[test]
    fn a_call_takes_as_much_as_its_gas_allows() {
        let mut channel = channel(&[]);
        for slot in 0..110 {
            lock(&mut channel, ETH, slot, 1 + u128::from(slot));
        }
        let calls: Vec<Vec<u64>> = asked(&mut channel, NOW).iter().map(|(_, call, _)| expiries(call)).collect();
        assert_eq!(calls.concat(), (0..110).rev().collect::<Vec<u64>>(), "what brings most goes first");
        let sizes: Vec<usize> = calls.iter().map(Vec::len).collect();
        assert_eq!(sizes, [104, 6]);
    }

    #[test]
    fn a_long_chain_is_recorded_if_it_pays_for_its_hashes() {
        let chain = |n: u32| {
            let words: Vec<B256> =
                core::iter::successors(Some(B256::ZERO), |word| Some(keccak256(word))).take(n as usize + 1).collect();
            (Condition::hash_chain(words[n as usize], n), words)
        };
        let (condition, words) = chain(1_000);
        // 1,000 units cost as much as 2.06 preimages, 100 units as 1.106.
        for (price, units, worth) in [(2, 1_000, false), (3, 1_000, true), (11, 100, false), (12, 100, true)] {
            let mut channel = channel(&[(ETH, 1_000)]);
            put(&mut channel, ETH, 0, condition.clone(), 1_000, price);
            learn(&mut channel, ETH, 0, &chain_evidence(units, words[1_000 - units as usize]));
            assert_eq!(!asked(&mut channel, NOW).is_empty(), worth, "{units} units at {price}");
        }
    }

    #[test]
    fn assets_are_settled_and_locks_claimed_together() {
        let mut channel = channel(&[]);
        for (slot, price) in [(0, 5), (1, 30)] {
            lock(&mut channel, TOKEN, slot, price);
        }
        let after = NOW + 3_601;
        asked(&mut channel, NOW);
        let calls = asked(&mut channel, after);
        let [(id, ChainCall::Settle { assets, .. }, Purpose::Collect { .. })] = calls.as_slice() else { panic!() };
        assert_eq!(assets.as_slice(), [ETH, TOKEN]);
        channel.submit_failed(id);
        assert_eq!(asked(&mut channel, after).len(), 1, "asked for again");

        for asset in [ETH, TOKEN] {
            channel.ledger.state_mut().assets.or_default(asset).status = AssetStatus::Settled;
            channel.handle_shown(asset, Sides::default());
        }
        let keys: Vec<_> = channel.state().evidence.keys().copied().collect();
        for key in keys {
            channel.handle_chain(&ChainFact::Evidence { key, units: 1, evidence: Bytes::new() }, after);
        }
        let calls = asked(&mut channel, after);
        let [(_, ChainCall::ClaimLocks { lane, claims, .. }, purpose)] = calls.as_slice() else { panic!("{calls:?}") };
        assert_eq!(claims.iter().map(|claim| claim.slot).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(*purpose, Purpose::Collect { asset: lane.asset, amount: Amount::new(35) });
        assert!(asked(&mut channel, after).is_empty());
    }

    #[test]
    fn all_proofs_are_shown_in_one_call_and_again_if_it_fails() {
        let mut channel = channel(&[]);
        for asset in [ETH, TOKEN] {
            let inc = &mut channel.ledger.state_mut().assets.or_default(asset).inc;
            inc.lane.apply(1, &[Op::Transfer { amount: Amount::new(5), memo: String::new() }]).unwrap();
            let signature = SecretKey::from_bytes(&[1; 32]).unwrap().sign(keccak256("any"));
            inc.accepted = Some(SignedProof { proof: inc.lane.statement(1, 0), signature });
        }
        let mut shown = || {
            let calls = asked(&mut channel, NOW);
            let [(id, ChainCall::SubmitProofs { proofs, .. }, _)] = calls.as_slice() else { return None };
            let lanes: Vec<Asset> = proofs.iter().map(|(lane, ..)| lane.asset).collect();
            channel.submit_failed(id);
            Some(lanes)
        };
        assert_eq!(shown(), Some([ETH, TOKEN].into()));
        assert_eq!(shown(), Some([ETH, TOKEN].into()), "what failed is shown again");
        asked(&mut channel, NOW);
        assert!(asked(&mut channel, NOW).is_empty(), "what is under way is not");
        channel.ledger.state_mut().assets.or_default(TOKEN).status = AssetStatus::Closed;
        let calls = asked(&mut channel, NOW + 1);
        let [(_, ChainCall::SubmitProofs { proofs, .. }, _)] = calls.as_slice() else { panic!() };
        assert_eq!(proofs.len(), 1, "an asset that is over needs none");
    }

    #[test]
    fn a_call_about_several_assets_is_priced_by_the_one_worth_most() {
        let principal = |dust: &[(Asset, u128)], eth: u128, token: u128| {
            channel(dust).ledger.principal([(ETH, Amount::new(eth)), (TOKEN, Amount::new(token))].into_iter()).0
        };
        let preimage = ETH_PREIMAGE;
        assert_eq!(principal(&[(ETH, preimage), (TOKEN, 1_000)], 10 * preimage, 9_000), ETH);
        assert_eq!(principal(&[(ETH, preimage), (TOKEN, 1_000)], 10 * preimage, 12_000), TOKEN);
        // A stranger's token, of which there is any amount.
        assert_eq!(principal(&[(ETH, preimage)], 1, u128::MAX), ETH);
        // One of ours that nothing prices.
        assert_eq!(principal(&[(ETH, 0), (TOKEN, 0)], preimage, 5), TOKEN);
    }
}
