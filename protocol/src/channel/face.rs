//! What the owner of a channel asks it; what it holds is in `money.rs`.

use super::exit::start_call;
use super::{CallId, Channel, ExitStage, Known, Policy, ShownLane, State};
use crate::chain::{ChainCall, Head};
use crate::condition::ConditionKey;
use crate::eip712::Domain;
use crate::error::Error;
use crate::lane::{Lane, LockRef, PendingLock};
use crate::map::Set;
use crate::proof::{LaneId, SignedProof};
use crate::sign::Signature;
use crate::types::{Asset, ChannelDef, ChannelId, Side};
use alloc::vec::Vec;
use alloy_primitives::Address;

impl Channel {
    /// Its identifier.
    #[must_use]
    pub const fn id(&self) -> ChannelId {
        self.ledger.id()
    }

    /// Its definition.
    #[must_use]
    pub const fn def(&self) -> &ChannelDef {
        self.ledger.def()
    }

    /// Which side we are.
    #[must_use]
    pub const fn us(&self) -> Side {
        self.ledger.us()
    }

    /// The chain and contract it lives in.
    #[must_use]
    pub const fn domain(&self) -> &Domain {
        self.ledger.domain()
    }

    /// What we accept.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        self.ledger.policy()
    }

    /// Accepts by other rules from now on.
    pub fn set_policy(&mut self, policy: Policy) {
        self.ledger.set_policy(policy);
    }

    /// Records evidence so many seconds before an expiry, if that is more than the safety margin.
    pub(crate) const fn set_record_lead(&mut self, seconds: u64) {
        self.ledger.set_record_lead(seconds);
    }

    /// All facts of it, added up: what a snapshot holds, and what a test looks at. Whoever owns the channel asks by name.
    #[must_use]
    pub const fn state(&self) -> &State {
        self.ledger.state()
    }

    /// Before a snapshot: what nothing needs any more is left out of it.
    pub(crate) fn forget_spent_evidence(&mut self) {
        self.ledger.forget_spent_evidence();
    }

    /// What a backup holds of it: whoever restores that does not know how old it is.
    pub(crate) fn backup(&self) -> State {
        let mut restored = State { restored: true, ..self.ledger.state().clone() };
        restored.drop_spent_evidence();
        restored
    }

    /// How far it has come; it only rises.
    pub(crate) fn progress(&self) -> u64 {
        let nonces = self.ledger.state().assets.values().map(|book| book.out.highest.saturating_add(book.inc.seen));
        nonces.fold(0, u64::saturating_add)
    }

    /// The chain, as last seen. A hub's channel in which nothing happens sees it later; see [`crate::hub::Hub::newest`].
    #[must_use]
    pub const fn head(&self) -> Option<&Head> {
        self.ledger.head()
    }

    /// The lane that we pay with.
    #[must_use]
    pub const fn our_lane(&self, asset: Asset) -> LaneId {
        self.ledger.our_lane(asset)
    }

    /// The lane that we are paid with.
    #[must_use]
    pub const fn their_lane(&self, asset: Asset) -> LaneId {
        self.ledger.their_lane(asset)
    }

    /// The other participant's signer.
    #[must_use]
    pub const fn peer_signer(&self) -> Address {
        self.ledger.peer_signer()
    }

    /// Whether messages of both sides have been reconciled since the last connect.
    #[must_use]
    pub const fn is_synced(&self) -> bool {
        self.link.is_synced()
    }

    /// Whether the peer has shown newer state of ours than we have.
    pub(crate) const fn is_outdated(&self) -> bool {
        self.ledger.state().outdated
    }

    /// The best evidence that is known for a key.
    pub(crate) fn known(&self, key: &ConditionKey) -> Option<&Known> {
        self.ledger.known(key)
    }

    /// A lock in either lane, by its name.
    #[must_use]
    pub fn lock(&self, name: &LockRef) -> Option<&PendingLock> {
        self.ledger.lock(name)
    }

    /// Names of all locks in the lane that we are paid with.
    pub fn incoming_locks(&self) -> impl Iterator<Item = LockRef> + '_ {
        self.ledger.incoming_locks()
    }

    /// How many locks there are in all lanes.
    pub(crate) fn lock_count(&self) -> usize {
        self.ledger.lock_count()
    }

    /// Whether the chain records no more evidence with this expiry, by the newest block seen: a clock decides nothing.
    pub(crate) fn is_too_late(&self, expiry: u64) -> bool {
        self.ledger.chain_time() > expiry
    }

    /// Nonce of the newest proof of ours that the peer accepted; 0 if none.
    pub(crate) fn accepted_nonce(&self, asset: Asset) -> u64 {
        self.ledger.book(asset).map_or(0, |book| book.out.accepted_nonce())
    }

    /// Names of all locks of an asset, in our lane and in the peer's.
    pub(crate) fn lock_names(&self, asset: Asset) -> (Vec<LockRef>, Vec<LockRef>) {
        let Some(book) = self.ledger.book(asset) else { return (Vec::new(), Vec::new()) };
        let names = |lane: LaneId, content: &Lane| {
            let name = |(slot, pending): (&u16, &PendingLock)| LockRef { lane, placed: pending.placed, slot: *slot };
            content.locks.iter().map(name).collect()
        };
        (names(self.our_lane(asset), &book.out.lane), names(self.their_lane(asset), &book.inc.lane))
    }

    /// Takes over what the peer shows of both lanes; see [`crate::wallet::Wallet::adopt`].
    pub(crate) fn adopt(
        &mut self,
        asset: Asset,
        ours: Option<ShownLane>,
        theirs: Option<ShownLane>,
    ) -> Result<(bool, bool), Error> {
        self.ledger.adopt(asset, ours, theirs)
    }

    /// Signs the next proof above all that may have been signed and is not known.
    pub(crate) fn leap(&mut self, asset: Asset, leap: u64) {
        self.ledger.leap(asset, leap);
    }

    /// All lanes are taken over.
    pub(crate) const fn finish_adopting(&mut self) {
        self.ledger.finish_adopting();
    }

    /// Whether a lock of ours that is gone from the newest proof could still be claimed with an older one.
    #[must_use]
    pub fn still_counts(&self, lock: &LockRef) -> bool {
        self.ledger.still_counts(lock)
    }

    /// Whether we gave the rest of an incoming lock up.
    #[must_use]
    pub fn has_given_up(&self, lock: &LockRef) -> bool {
        self.ledger.has_given_up(lock)
    }

    /// Keys whose recorded units have to be read (`unitsOf`, at the final block of the head that was given last) and
    /// given as [`crate::chain::ChainFact::Evidence`], zero included, before their locks can be released or given back.
    #[must_use]
    pub fn unread_keys(&self) -> Set<ConditionKey> {
        let keys = self.ledger.keys_to_decide().chain(self.exit.settled().keys());
        keys.filter(|(key, expiry)| self.ledger.is_unread(*key, *expiry)).map(|(key, _)| key).collect()
    }

    /// Keys of all locks that evidence could matter for: recorded evidence has to be given as it becomes final.
    #[must_use]
    pub fn live_keys(&self) -> Set<ConditionKey> {
        self.ledger.live_keys().chain(self.exit.settled().keys().map(|(key, _)| key)).collect()
    }

    /// Refuses when nothing may be signed or accepted on an asset.
    pub fn check_open(&self, asset: Asset) -> Result<(), Error> {
        self.ledger.check_open(asset)
    }

    /// Whether the chain was seen lately enough to pay and to accept payments. [18]
    #[must_use]
    pub fn is_fresh(&self, now: u64) -> bool {
        self.ledger.check_fresh(now).is_ok()
    }

    /// Refuses when the chain was last seen too long ago. [18]
    pub(crate) fn check_fresh(&self, now: u64) -> Result<(), Error> {
        self.ledger.check_fresh(now)
    }

    /// The later of our clock and the newest block, Unix seconds.
    #[must_use]
    pub fn latest_time(&self, now: u64) -> u64 {
        self.ledger.latest_time(now)
    }

    /// The end of the challenge period of an exit that the chain shows, Unix seconds.
    #[must_use]
    pub const fn exit_ends_at(&self) -> Option<u64> {
        self.ledger.state().exit
    }

    /// Whether an exit runs, or we have asked for one.
    pub(crate) const fn is_exiting(&self) -> bool {
        self.ledger.is_exiting()
    }

    /// Where an exit stands.
    #[must_use]
    pub fn exit_stage(&self) -> ExitStage {
        self.exit.stage(&self.ledger)
    }

    /// The call that starts our exit, while it is under way.
    #[must_use]
    pub const fn starting(&self) -> Option<&CallId> {
        self.exit.starting()
    }

    /// The call that starts an exit with our newest proofs.
    #[must_use]
    pub fn start_exit(&self) -> ChainCall {
        start_call(&self.ledger)
    }

    /// The proofs that protect us: the newest of the peer's lanes, and the newest of ours that the peer acknowledged.
    #[must_use]
    pub fn exit_proofs(&self) -> Vec<(LaneId, SignedProof, Option<Signature>)> {
        self.ledger.exit_proofs()
    }

    /// Locks of settled lanes: their claims have to be read after a restart.
    #[must_use]
    pub fn settled_locks(&self) -> Vec<(LaneId, u16)> {
        self.exit.settled().locks().collect()
    }

    /// Whether anything is sent for the peer from now on: who owns this channel has a budget for it.
    pub(crate) const fn set_relaying(&mut self, relaying: bool) {
        self.outbox.calls_mut().set_relaying(relaying);
    }

    /// How many transactions were asked for at our gas, for the peer.
    pub(crate) const fn relayed(&self) -> u64 {
        self.outbox.calls().relayed()
    }
}
