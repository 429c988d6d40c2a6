//! One channel, as one participant sees it: a deterministic machine over facts.
//!
//! Invariant: a fact is recorded before anything that depends on it is said, and replaying the recorded facts
//! gives the same state. The phase is computed from the facts, never stored. The owner of a channel
//! ([`crate::hub::Hub`], [`crate::wallet::Wallet`]) journals the facts and seals the effects.

mod answers;
mod cooperative;
mod event;
mod evidence;
mod exit;
mod facts;
mod history;
mod incoming;
mod kit;
mod outgoing;
mod policy;
mod queue;
mod shown;
mod sync;

pub use cooperative::{SignedClosing, SignedWithdrawal};
pub use event::{Effect, Event, OpRef};
pub use exit::ExitStage;
pub use facts::{AssetBook, Claimed, Fact, Known, State};
pub use history::History;
pub use incoming::Incoming;
pub use outgoing::{Exposure, InFlight, OldLock, Outgoing, Refused};
pub use policy::{Dust, Policy};
pub use shown::{LanePage, ShownLane, ShownLock};
pub(crate) use sync::MAX_NONCE;

use crate::amount::Amount;
use crate::chain::{AssetStatus, ChainCall, ChainFact, Head};
use crate::condition::ConditionKey;
use crate::eip712::Domain;
use crate::error::{Code, Error};
use crate::lane::{Lane, LockRef};
use crate::map::{Map, Set};
use crate::message::Message;
use crate::proof::LaneId;
use crate::sign::SecretKey;
use crate::types::{Asset, ChannelDef, ChannelId, Side, Sides};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use alloy_primitives::Address;
use queue::Queue;

/// Assets of which the peer may speak before we have seen them on chain.
const MAX_EARLY_FUNDS: usize = 64;

/// What [`Channel::drain`] hands to the journal.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) facts: Vec<Fact>,
    pub(crate) effects: Vec<Effect>,
}

/// One channel, as one participant sees it.
#[derive(Debug)]
pub struct Channel {
    pub(crate) domain: Domain,
    pub(crate) def: ChannelDef,
    pub(crate) id: ChannelId,
    pub(crate) us: Side,
    pub(crate) policy: Policy,
    pub(crate) state: State,
    pub(crate) head: Option<Head>,
    pub(crate) queue: Queue,
    pub(crate) peer_deposits: Map<Asset, Sides<Amount>>,
    /// Locks of ours that the payee gave up, waiting for their release to be signed.
    pub(crate) to_release: Set<LockRef>,
    pub(crate) submitted: Set<String>,
    /// Releases that the peer refused; tried again with the next block.
    pub(crate) deferred: Set<LockRef>,
    /// Assets on which the peer refuses even a proof without ops; tried again with the next block.
    pub(crate) paused: Set<Asset>,
    /// Refusals since the peer last accepted something.
    pub(crate) refusals: u32,
    /// Keys whose recorded units were read at a block after their expiry.
    pub(crate) read: Set<ConditionKey>,
    /// Redemptions of ours that were told already, by lock and units.
    pub(crate) told: Set<(LockRef, u32)>,
    pub(crate) synced: bool,
    /// Connected, and the peer's newest proofs have not come yet: what we signed now could not be built on them.
    pub(crate) connecting: bool,
    /// Lanes at the proofs that their asset was settled by, as far as we can rebuild them.
    pub(crate) settled: Map<LaneId, Lane>,
    /// The call that starts our exit, while it is under way.
    pub(crate) starting: Option<String>,
    /// The newest block when an exit was seen that we had asked for.
    pub(crate) own_exit: Option<u64>,
    /// Proofs that we answered an exit with: the nonce, and the newest block at that time.
    pub(crate) answered: Map<LaneId, (u64, u64)>,
    /// The stage that was told last.
    pub(crate) stage: ExitStage,
    /// Locks that the application was told of as overdue.
    pub(crate) overdue: Set<LockRef>,
    facts: Vec<Fact>,
    effects: Vec<Effect>,
    events: Vec<Event>,
}

impl Channel {
    /// A channel without any history.
    pub fn new(domain: Domain, def: ChannelDef, us: Side, policy: Policy) -> Result<Self, Error> {
        Self::with_state(domain, def, us, policy, State::default())
    }

    pub(crate) fn with_state(
        domain: Domain,
        def: ChannelDef,
        us: Side,
        policy: Policy,
        state: State,
    ) -> Result<Self, Error> {
        def.check()?;
        let id = def.id(domain.chain_id(), domain.contract());
        // A restored store may be an old one: nothing is signed before the peer has shown what it holds of ours.
        let connecting = state.restored;
        let mut channel = Self {
            domain,
            def,
            id,
            us,
            policy,
            state,
            head: None,
            queue: Queue::default(),
            peer_deposits: Map::new(),
            to_release: Set::new(),
            submitted: Set::new(),
            deferred: Set::new(),
            paused: Set::new(),
            refusals: 0,
            read: Set::new(),
            told: Set::new(),
            synced: false,
            connecting,
            settled: Map::new(),
            starting: None,
            own_exit: None,
            answered: Map::new(),
            stage: ExitStage::None,
            overdue: Set::new(),
            facts: Vec::new(),
            effects: Vec::new(),
            events: Vec::new(),
        };
        channel.rebuild_settled();
        Ok(channel)
    }

    /// Its identifier.
    #[must_use]
    pub const fn id(&self) -> ChannelId {
        self.id
    }

    /// Its definition.
    #[must_use]
    pub const fn def(&self) -> &ChannelDef {
        &self.def
    }

    /// Which side we are.
    #[must_use]
    pub const fn us(&self) -> Side {
        self.us
    }

    /// The chain and contract it lives in.
    #[must_use]
    pub const fn domain(&self) -> &Domain {
        &self.domain
    }

    /// What we accept.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Accepts by other rules from now on.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// All facts of it.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The chain, as last seen. A hub's channel in which nothing happens sees it later; see [`crate::hub::Hub::newest`].
    #[must_use]
    pub const fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// The lane that we pay with.
    #[must_use]
    pub const fn our_lane(&self, asset: Asset) -> LaneId {
        LaneId { asset, payer: self.us }
    }

    /// The lane that we are paid with.
    #[must_use]
    pub const fn their_lane(&self, asset: Asset) -> LaneId {
        LaneId { asset, payer: self.us.other() }
    }

    /// The other participant's signer.
    #[must_use]
    pub const fn peer_signer(&self) -> Address {
        self.def.participant(self.us.other()).signer
    }

    /// Whether messages of both sides have been reconciled since the last connect.
    #[must_use]
    pub const fn is_synced(&self) -> bool {
        self.synced
    }

    /// A lock in either lane, by its name.
    #[must_use]
    pub fn lock(&self, name: &LockRef) -> Option<&crate::lane::PendingLock> {
        let book = self.state.assets.get(&name.lane.asset)?;
        let lane = if name.lane.payer == self.us { &book.out.lane } else { &book.inc.lane };
        lane.locks.get(&name.slot).filter(|pending| pending.placed == name.placed)
    }

    /// Names of all locks in the lane that we are paid with.
    pub fn incoming_locks(&self) -> impl Iterator<Item = LockRef> + '_ {
        self.state.assets.iter().flat_map(move |(asset, book)| {
            book.inc.lane.locks.iter().map(move |(slot, pending)| LockRef {
                lane: self.their_lane(*asset),
                placed: pending.placed,
                slot: *slot,
            })
        })
    }

    /// Takes in the chain's head, after the facts of all blocks up to its final one.
    pub fn handle_head(&mut self, head: Head) {
        self.head = Some(head);
        self.own_exit = self.own_exit.map(|at| at.min(head.number));
        self.try_again();
        self.lapse_final();
    }

    /// Takes in a fact read from the chain.
    pub fn handle_chain(&mut self, fact: &ChainFact, now: u64) {
        match fact {
            ChainFact::Asset { asset, deposits, withdrawn, status } => {
                let book = self.state.assets.get(asset);
                let known = book.map(|book| (book.deposits, book.withdrawn, book.status)).unwrap_or_default();
                if known == (*deposits, *withdrawn, *status) {
                    return;
                }
                self.record(Fact::Chain(fact.clone()));
                self.emit(Event::Chain { asset: *asset });
                self.send(Message::Funds { asset: *asset, deposits: *deposits });
            }
            ChainFact::Evidence { key, units, evidence } => self.learn_from_chain(*key, *units, evidence, now),
            ChainFact::ExitStarted { ends_at } => self.handle_exit(*ends_at),
            ChainFact::ExitGone => self.handle_exit_gone(),
            ChainFact::Shown { asset, shown } => self.handle_shown(*asset, *shown),
            ChainFact::Claimed { lane, slot, units, returned } => {
                self.handle_claimed(*lane, *slot, *units, *returned);
            }
        }
    }

    /// What happened since the last call, in order.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        core::mem::take(&mut self.events)
    }

    /// Facts to journal, and the effects that depend on them.
    pub(crate) fn drain(&mut self) -> Output {
        Output { facts: core::mem::take(&mut self.facts), effects: core::mem::take(&mut self.effects) }
    }

    /// Whether the chain holds nothing of it, neither side has signed anything in it that we know of, and there is no
    /// exit: who forgets such a channel loses nothing.
    #[must_use]
    pub(crate) fn is_blank(&self) -> bool {
        let State { assets, evidence, exit, outdated, leaving, restored } = &self.state;
        let blank = |book: &AssetBook| {
            let AssetBook { deposits, withdrawn, status, out, inc, withdrawals, closing, shown, claimed } = book;
            let chain = *deposits != Sides::default() || *withdrawn != Sides::default() || *status != AssetStatus::Open;
            let proofs = out.highest > 0 || out.accepted.is_some() || inc.seen > 0 || inc.accepted.is_some();
            let agreed = !withdrawals.is_empty() || closing.is_some();
            !chain && !proofs && inc.bare.is_none() && !agreed && shown.is_none() && claimed.is_empty()
        };
        !outdated && !leaving && !restored && exit.is_none() && evidence.is_empty() && assets.values().all(blank)
    }

    /// Whether a tick, a head, or evidence recorded on chain can't change anything, now or later, until something else
    /// has: there is no lock, nothing that was signed and may still be mined or shown in another way than it is known,
    /// no exit under way, and nothing to say.
    #[must_use]
    pub(crate) fn is_idle(&self) -> bool {
        let at_rest = match self.stage {
            ExitStage::None => self.state.exit.is_none() && !self.state.leaving,
            ExitStage::Done => self.nothing_to_settle(),
            ExitStage::Starting | ExitStage::Challenge { .. } | ExitStage::Settling | ExitStage::Claiming { .. } => {
                false
            }
        };
        let quiet = |book: &AssetBook| {
            let AssetBook { out, inc, withdrawals, closing, status, .. } = book;
            let locks = !out.lane.locks.is_empty() || !inc.lane.locks.is_empty();
            let signing = !out.refused.is_empty() || !out.in_flight.is_empty() || out.rebase;
            let lapsing = !withdrawals.is_empty() || (closing.is_some() && *status == AssetStatus::Open);
            !locks && !signing && !lapsing
        };
        at_rest
            && !self.has_output()
            && self.events.is_empty()
            && self.queue.assets().next().is_none()
            && self.to_release.is_empty()
            && self.deferred.is_empty()
            && self.paused.is_empty()
            && self.settled.values().all(|lane| lane.locks.is_empty())
            && self.state.assets.values().all(quiet)
    }

    pub(crate) fn has_output(&self) -> bool {
        !self.facts.is_empty() || !self.effects.is_empty()
    }

    /// Takes in a message of the other participant. A refusal is answered by an effect and changes nothing
    /// but the highest nonce seen.
    pub fn handle(&mut self, message: Message, key: &SecretKey, now: u64) {
        match message {
            Message::Update { asset, update } => self.handle_update(asset, update, key, now),
            Message::Accepted { asset, nonce, acknowledgement } => {
                self.handle_accepted(asset, nonce, acknowledgement, now);
            }
            Message::Refused { asset, nonce, code, last, .. } => self.handle_refused(asset, nonce, &code, last),
            Message::Reveal { asset, slot, placed, evidence } => {
                self.handle_reveal(asset, slot, placed, &evidence, now)
            }
            Message::Fail { asset, slot, placed, code } => self.handle_fail(asset, slot, placed, &code),
            Message::Cancel { asset, slot, placed } => {
                let lock = LockRef { lane: self.their_lane(asset), placed, slot };
                if self.lock(&lock).is_some() {
                    self.emit(Event::CancelAsked { lock });
                }
            }
            Message::Held { asset, slot, placed } => {
                let lock = LockRef { lane: self.our_lane(asset), placed, slot };
                if self.lock(&lock).is_some() {
                    self.emit(Event::Held { lock });
                }
            }
            Message::Sync { lanes } => self.handle_sync(lanes, now),
            Message::Funds { asset, deposits } => {
                let known = self.state.assets.contains_key(&asset) || self.peer_deposits.contains_key(&asset);
                if known || self.peer_deposits.len() < MAX_EARLY_FUNDS {
                    self.peer_deposits.insert(asset, deposits);
                    self.emit(Event::PeerFunds { asset });
                }
            }
            Message::WithdrawProposal { withdrawal, signature, owner_signature, submit } => {
                self.handle_withdraw_proposal(withdrawal, signature, owner_signature, submit, key, now);
            }
            Message::WithdrawSigned { withdrawal, signature } => self.handle_withdraw_signed(&withdrawal, signature),
            Message::CloseProposal { closing, signature, submit } => {
                self.handle_close_proposal(closing, signature, submit, key, now);
            }
            Message::CloseSigned { closing, signature } => self.handle_close_signed(&closing, signature),
            Message::Declined { what, code, message } => self.handle_declined(what, code, message),
        }
    }

    pub(crate) fn record(&mut self, fact: Fact) {
        self.state.apply(&fact);
        self.facts.push(fact);
    }

    /// Records a fact whose change of the state has been made already.
    pub(crate) fn record_applied(&mut self, fact: Fact) {
        self.facts.push(fact);
    }

    pub(crate) fn send(&mut self, message: Message) {
        self.effects.push(Effect::Send(message));
    }

    pub(crate) fn submit(&mut self, id: String, call: ChainCall) {
        self.effects.push(Effect::Submit { id, call });
    }

    /// A transaction that was asked for was not mined and won't be: it is asked for again while it is due.
    pub fn submit_failed(&mut self, id: &str) {
        self.submitted.remove(&String::from(id));
        self.answered
            .retain(|lane, (nonce, at)| !id.ends_with(&format!("/{}/{}/{nonce}/{at}", lane.asset, lane.payer.index())));
        if self.starting.as_deref() == Some(id) {
            self.starting = None;
        }
        // The exit that runs is another's, then.
        if id.starts_with(&format!("{}/exit/", self.id)) {
            self.own_exit = None;
        }
    }

    pub(crate) fn emit(&mut self, event: Event) {
        self.events.push(event);
    }

    pub(crate) fn book(&self, asset: Asset) -> Option<&AssetBook> {
        self.state.assets.get(&asset)
    }

    pub(crate) fn book_mut(&mut self, asset: Asset) -> &mut AssetBook {
        self.state.assets.or_default(asset)
    }

    /// Whether anybody has deposited an asset, as far as we have seen it confirmed.
    pub(crate) fn has_deposits(&self, asset: Asset) -> bool {
        self.book(asset).is_some_and(|book| book.deposits != Sides::default())
    }

    /// Refuses when nothing may be signed or accepted on an asset.
    pub(crate) fn check_open(&self, asset: Asset) -> Result<(), Error> {
        if self.state.outdated {
            return Err(Code::StateOutdated.into());
        }
        if self.state.exit.is_some() || self.state.leaving {
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

    /// Whether the chain was seen lately enough to pay and to accept payments. [18]
    #[must_use]
    pub fn is_fresh(&self, now: u64) -> bool {
        self.check_fresh(now).is_ok()
    }

    /// Refuses when the chain was last seen too long ago. [18]
    pub(crate) fn check_fresh(&self, now: u64) -> Result<(), Error> {
        if crate::rule_off!(18) {
            return Ok(());
        }
        let head = self.head.as_ref().ok_or_else(|| Error::new(Code::ChainStale, "the chain has not been seen yet"))?;
        if now > head.timestamp.saturating_add(self.policy.max_chain_age) {
            return Err(Code::ChainStale.into());
        }
        Ok(())
    }

    /// What was refused may be accepted now.
    pub(crate) fn try_again(&mut self) {
        self.deferred = Set::new();
        self.paused = Set::new();
    }

    /// The later of our clock and the newest block, Unix seconds.
    #[must_use]
    pub fn latest_time(&self, now: u64) -> u64 {
        self.head.as_ref().map_or(now, |head| head.timestamp.max(now))
    }

    /// Whether no evidence can be recorded any more, at a final block.
    pub(crate) fn is_finally_past(&self, time: u64) -> bool {
        self.head.as_ref().is_some_and(|head| head.final_timestamp > time)
    }

    /// Whether a lock can't be claimed for more than the chain showed: its expiry is final, and the recorded units
    /// were read after it. Evidence may have been recorded before we knew the key, so logs alone do not tell.
    pub(crate) fn is_decided(&self, key: ConditionKey, expiry: u64) -> bool {
        self.is_finally_past(expiry) && self.read.contains(&key)
    }

    /// Keys whose recorded units have to be read (`unitsOf`, at the final block of the head that was given last) and
    /// given as [`ChainFact::Evidence`], zero included, before their locks can be released or given back.
    #[must_use]
    pub fn unread_keys(&self) -> Set<ConditionKey> {
        let locks = self.state.assets.values().flat_map(|book| {
            let pending = book.out.lane.locks.values().chain(book.inc.lane.locks.values());
            let pending = pending.map(|pending| (pending.lock.key, pending.expiry));
            pending
                .chain(book.out.refused.iter().filter_map(|refused| refused.lock).map(|lock| (lock.key, lock.expiry)))
        });
        let claims = self.settled.values().flat_map(|lane| lane.locks.values());
        locks
            .chain(claims.map(|pending| (pending.lock.key, pending.expiry)))
            .filter(|(key, expiry)| self.is_finally_past(*expiry) && !self.read.contains(key))
            .map(|(key, _)| key)
            .collect()
    }

    /// Keys of all locks that evidence could matter for: recorded evidence has to be given as it becomes final.
    #[must_use]
    pub fn live_keys(&self) -> Set<ConditionKey> {
        let books = self.state.assets.values().flat_map(|book| {
            let pending = book.out.lane.locks.values().chain(book.inc.lane.locks.values());
            let refused = book.out.refused.iter().filter_map(|refused| refused.lock).map(|lock| lock.key);
            pending.map(|pending| pending.lock.key).chain(refused)
        });
        let claims = self.settled.values().flat_map(|lane| lane.locks.values());
        books.chain(claims.map(|pending| pending.lock.key)).collect()
    }

    /// What `side` may have spent at most: deposits and what it received, less what it withdrew or may still withdraw.
    /// `received` is what the side holds proofs for.
    pub(crate) fn funds(&self, asset: Asset, side: Side, received: Amount) -> Result<Amount, Error> {
        let Some(book) = self.book(asset) else {
            return Ok(Amount::ZERO);
        };
        let deposit = *book.deposits.of(side);
        deposit.plus(received)?.minus(book.withdrawn_counted(side))
    }
}
