//! What is known of a channel: who takes part, by which rules, which facts, and as of which block; and what follows from
//! it, for every part that asks.
//!
//! Invariant: the state changes by a fact alone, which waits here for the journal. A lane changes while its update is
//! signed (`sign.rs`) or checked (`receive.rs`), and is what it was if that fails. Only `adopt.rs` puts another state in
//! its place, before anything is signed on it.

mod adopt;
mod agree;
mod funds;
mod lanes;
mod receive;
mod sign;
mod stake;
mod view;

pub(crate) use sign::Batch;

use super::{AssetBook, Fact, Known, Policy, State};
use crate::chain::{AssetStatus, Head};
use crate::condition::ConditionKey;
use crate::eip712::Domain;
use crate::error::{Code, Error};
use crate::lane::PendingLock;
use crate::proof::LaneId;
use crate::types::{Asset, ChannelDef, ChannelId, Side, Sides};
use alloc::vec::Vec;
use alloy_primitives::{Address, Bytes};
use view::View;

/// All that a channel's rules decide by.
#[derive(Debug)]
pub(crate) struct Ledger {
    domain: Domain,
    def: ChannelDef,
    id: ChannelId,
    us: Side,
    policy: Policy,
    state: State,
    /// Recorded, and not handed to the journal.
    facts: Vec<Fact>,
    view: View,
}

impl Ledger {
    pub(crate) fn new(domain: Domain, def: ChannelDef, us: Side, policy: Policy, state: State) -> Result<Self, Error> {
        def.check()?;
        let id = def.id(domain.chain_id(), domain.contract());
        Ok(Self { domain, def, id, us, policy, state, facts: Vec::new(), view: View::default() })
    }

    pub(crate) const fn id(&self) -> ChannelId {
        self.id
    }

    pub(crate) const fn def(&self) -> &ChannelDef {
        &self.def
    }

    pub(crate) const fn us(&self) -> Side {
        self.us
    }

    pub(crate) const fn domain(&self) -> &Domain {
        &self.domain
    }

    pub(crate) const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether what we are paid is paid on: then evidence counts only in time.
    pub(crate) const fn forwards(&self) -> bool {
        self.policy.first_hop.is_some()
    }

    pub(crate) fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    pub(crate) const fn set_record_lead(&mut self, seconds: u64) {
        self.policy.record_lead = seconds;
    }

    pub(crate) const fn our_lane(&self, asset: Asset) -> LaneId {
        LaneId { asset, payer: self.us }
    }

    pub(crate) const fn their_lane(&self, asset: Asset) -> LaneId {
        LaneId { asset, payer: self.us.other() }
    }

    pub(crate) const fn peer_signer(&self) -> Address {
        self.def.participant(self.us.other()).signer
    }

    pub(crate) const fn state(&self) -> &State {
        &self.state
    }

    /// For tests that begin in the middle.
    #[cfg(test)]
    pub(crate) const fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// What is known of one asset.
    pub(crate) fn book(&self, asset: Asset) -> Option<&AssetBook> {
        self.state.assets.get(&asset)
    }

    fn book_mut(&mut self, asset: Asset) -> &mut AssetBook {
        self.state.assets.or_default(asset)
    }

    /// The best evidence that we have for a key.
    pub(crate) fn known(&self, key: &ConditionKey) -> Option<&Known> {
        self.state.evidence.get(key)
    }

    /// The units that evidence proves for a lock.
    pub(crate) fn prove(&self, pending: &PendingLock, evidence: &[u8]) -> Result<u32, Error> {
        // What the chain tells we have not evaluated.
        let known = self.known(&pending.lock.key).filter(|known| known.on_chain < known.units);
        let known = known.map_or(&[][..], |known| &known.evidence);
        pending.condition.evaluate_beyond(known, &self.domain, pending.expiry, evidence)
    }

    /// Units that are proved, whatever proves them.
    pub(crate) fn known_units(&self, key: &ConditionKey) -> u32 {
        self.known(key).map_or(0, |known| known.units)
    }

    /// Units recorded on chain, at a final block.
    pub(crate) fn recorded_units(&self, key: &ConditionKey) -> u32 {
        self.known(key).map_or(0, |known| known.on_chain)
    }

    /// Whether evidence proves more units than we know of, or proves what we know by the chain's word only.
    pub(crate) fn adds(&self, key: ConditionKey, units: u32, evidence: &Bytes) -> bool {
        let lacks = |known: &Known| known.evidence.is_empty() && known.units == units && !evidence.is_empty();
        self.state.evidence.get(&key).is_none_or(|known| known.units < units || lacks(known))
    }

    pub(crate) fn record(&mut self, fact: Fact) {
        self.state.apply(&fact);
        self.facts.push(fact);
    }

    /// Facts that the journal has not got.
    pub(crate) fn take_facts(&mut self) -> Vec<Fact> {
        core::mem::take(&mut self.facts)
    }

    pub(crate) const fn has_facts(&self) -> bool {
        !self.facts.is_empty()
    }

    /// Before a snapshot: what nothing needs any more is left out of it.
    pub(crate) fn forget_spent_evidence(&mut self) {
        self.state.forget_spent_evidence();
    }

    pub(crate) const fn see(&mut self, head: Head) {
        self.view.see(head);
    }

    pub(crate) const fn head(&self) -> Option<&Head> {
        self.view.head()
    }

    pub(crate) fn check_fresh(&self, now: u64) -> Result<(), Error> {
        self.view.check_fresh(now, self.policy.max_chain_age)
    }

    pub(crate) fn latest_time(&self, now: u64) -> u64 {
        self.view.latest_time(now)
    }

    pub(crate) fn chain_time(&self) -> u64 {
        self.view.time()
    }

    pub(crate) fn is_finally_past(&self, time: u64) -> bool {
        self.view.is_finally_past(time)
    }

    pub(crate) fn is_decided(&self, key: ConditionKey, expiry: u64) -> bool {
        self.view.is_decided(key, expiry)
    }

    pub(crate) fn is_unread(&self, key: ConditionKey, expiry: u64) -> bool {
        self.view.is_unread(key, expiry)
    }

    pub(crate) fn note_read(&mut self, key: ConditionKey) {
        self.view.note_read(key);
    }

    /// Whether anybody has deposited an asset, as far as we have seen it confirmed.
    pub(crate) fn has_deposits(&self, asset: Asset) -> bool {
        self.book(asset).is_some_and(|book| book.deposits != Sides::default())
    }

    /// Whether an exit runs, ours or another's.
    pub(crate) const fn is_exiting(&self) -> bool {
        self.state.exit.is_some() || self.state.leaving
    }

    /// Refuses when nothing may be signed or accepted on an asset.
    pub(crate) fn check_open(&self, asset: Asset) -> Result<(), Error> {
        if self.state.outdated {
            return Err(Code::StateOutdated.into());
        }
        if self.is_exiting() {
            return Err(Code::ChannelExiting.into());
        }
        let Some(book) = self.book(asset) else {
            return Ok(());
        };
        if book.status != AssetStatus::Open {
            return Err(Code::ChannelClosed.into());
        }
        // [15] Whoever signed a closing signs and accepts nothing more on its assets until it is mined or lapsed.
        if book.closing.is_some() && !crate::rule_off!(15) {
            return Err(Code::ChannelClosing.into());
        }
        Ok(())
    }
}
