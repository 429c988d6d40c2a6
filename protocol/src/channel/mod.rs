//! One channel, as one participant sees it: a deterministic machine over facts.
//!
//! Invariant: a fact is recorded before anything that depends on it is said, and replaying the recorded facts
//! gives the same state. The phase is computed from the facts, never stored. The owner of a channel
//! ([`crate::hub::Hub`], [`crate::wallet::Wallet`]) journals the facts and keeps the effects in its gate.
//!
//! Each part owns its state and its rules: the `Ledger` what is known, the `Link` the connection, `Signing` what waits
//! for our signature, `Exit` the way out, and the `Outbox` what is said. The channel takes in what happens and passes it
//! from one to the other.

mod answers;
mod call_id;
mod calls;
mod cooperative;
mod event;
mod evidence;
mod exit;
mod face;
mod facts;
mod history;
mod incoming;
mod kit;
mod leaving;
mod ledger;
mod link;
mod money;
mod outbox;
mod outgoing;
mod paying;
mod policy;
mod queue;
mod rebuild;
mod receiving;
mod relay;
mod shown;
mod signed;
mod signing;
mod sync;
mod waste;

pub use call_id::CallId;
pub use event::{Effect, Event, OpRef};
pub use exit::ExitStage;
pub use facts::{AssetBook, Claimed, Fact, Known, State};
pub use history::History;
pub use incoming::Incoming;
pub use money::{Holdings, OnChain};
pub use outgoing::{Exposure, InFlight, OldLock, Outgoing, Refused};
pub use policy::{Dust, FirstHop, Policy};
pub use shown::{LanePage, ShownLane, ShownLock};
pub use signed::{SignedClosing, SignedWithdrawal};

use crate::chain::{ChainFact, Head};
use crate::eip712::Domain;
use crate::error::Error;
use crate::lane::LockRef;
use crate::message::Message;
use crate::sign::SecretKey;
use crate::types::{ChannelDef, Side};
use alloc::vec::Vec;
use exit::Exit;
use ledger::Ledger;
use link::Link;
use outbox::Outbox;
use signing::Signing;
use waste::Waste;

/// What [`Channel::drain`] hands to the journal.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) facts: Vec<Fact>,
    pub(crate) effects: Vec<Effect>,
}

/// One channel, as one participant sees it.
#[derive(Debug)]
pub struct Channel {
    ledger: Ledger,
    link: Link,
    signing: Signing,
    exit: Exit,
    outbox: Outbox,
    waste: Waste,
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
        // A restored store may be an old one: nothing is signed before the peer has shown what it holds of ours.
        let link = Link::new(state.restored);
        let ledger = Ledger::new(domain, def, us, policy, state)?;
        let exit = Exit::new(&ledger);
        Ok(Self { ledger, link, signing: Signing::default(), exit, outbox: Outbox::default(), waste: Waste::default() })
    }

    /// Takes in the chain's head, after the facts of all blocks up to its final one.
    pub fn handle_head(&mut self, head: Head) {
        self.ledger.see(head);
        self.exit.see(head.number);
        self.signing.try_again();
        self.lapse_final();
    }

    /// Takes in a fact read from the chain.
    pub fn handle_chain(&mut self, fact: &ChainFact, _now: u64) {
        match fact {
            ChainFact::Asset { asset, deposits, withdrawn, status } => {
                if !self.ledger.takes(*asset) {
                    return;
                }
                let book = self.ledger.book(*asset);
                let known = book.map(|book| (book.deposits, book.withdrawn, book.status)).unwrap_or_default();
                if known == (*deposits, *withdrawn, *status) {
                    return;
                }
                self.ledger.record(Fact::Chain(fact.clone()));
                self.outbox.emit(Event::Chain { asset: *asset });
                self.outbox.send(Message::Funds { asset: *asset, deposits: *deposits });
            }
            ChainFact::Evidence { key, units, evidence } => self.learn_from_chain(*key, *units, evidence),
            ChainFact::ExitStarted { ends_at } => self.handle_exit(*ends_at),
            ChainFact::ExitGone => self.handle_exit_gone(),
            ChainFact::Shown { asset, shown } => self.handle_shown(*asset, *shown),
            ChainFact::Claimed { lane, slot, units, returned } => {
                self.handle_claimed(*lane, *slot, *units, *returned);
            }
        }
    }

    /// A transaction that was asked for was not mined and won't be: it is asked for again while it is due.
    pub fn submit_failed(&mut self, id: &CallId) {
        self.outbox.calls_mut().fail(id);
        self.exit.call_failed(id);
    }

    /// What happened since the last call, in order.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        self.outbox.take_events()
    }

    /// Facts to journal, and the effects that depend on them.
    pub(crate) fn drain(&mut self) -> Output {
        Output { facts: self.ledger.take_facts(), effects: self.outbox.take_effects() }
    }

    pub(crate) const fn has_output(&self) -> bool {
        self.ledger.has_facts() || self.outbox.has_effects()
    }

    /// Whether the chain holds nothing of it, neither side has signed anything in it that we know of, and there is no
    /// exit: who forgets such a channel loses nothing.
    #[must_use]
    pub(crate) fn is_blank(&self) -> bool {
        self.ledger.is_blank()
    }

    /// Whether a tick, a head, or evidence recorded on chain can't change anything, now or later, until something else
    /// has: there is no lock, nothing that was signed and may still be mined or shown in another way than it is known,
    /// no exit under way, and nothing to say.
    #[must_use]
    pub(crate) fn is_idle(&self) -> bool {
        self.exit.is_at_rest(&self.ledger)
            && !self.has_output()
            && !self.outbox.has_events()
            && self.signing.is_at_rest()
            && self.ledger.is_quiet()
    }

    /// Takes in a message of the other participant. A refusal is answered by an effect and changes nothing
    /// but the highest nonce seen.
    pub fn handle(&mut self, message: Message, key: &SecretKey, now: u64) {
        match message {
            Message::Update { asset, update } => self.handle_update(asset, update, key, now),
            Message::Accepted { asset, nonce, acknowledgement } => {
                self.handle_accepted(asset, nonce, acknowledgement, now);
            }
            Message::Refused { asset, nonce, code, last, .. } => self.handle_refused(asset, nonce, &code, last, now),
            Message::Reveal { asset, slot, placed, evidence } => {
                self.handle_reveal(asset, slot, placed, &evidence, now)
            }
            Message::Fail { asset, slot, placed, code } => self.handle_fail(asset, slot, placed, code),
            Message::Cancel { asset, slot, placed } => {
                let lock = LockRef { lane: self.their_lane(asset), placed, slot };
                if self.lock(&lock).is_some() {
                    self.outbox.emit(Event::CancelAsked { lock });
                }
            }
            Message::Held { asset, slot, placed } => {
                let lock = LockRef { lane: self.our_lane(asset), placed, slot };
                if self.lock(&lock).is_some() {
                    self.outbox.emit(Event::Held { lock });
                }
            }
            Message::Forwarded { asset, slot, placed } => {
                let lock = LockRef { lane: self.our_lane(asset), placed, slot };
                if self.lock(&lock).is_some() {
                    self.outbox.emit(Event::Forwarded { lock });
                }
            }
            Message::Sync { lanes } => self.handle_sync(lanes, now),
            Message::Funds { asset, deposits } => {
                if self.link.hear_funds(asset, deposits, self.knows(asset)) {
                    self.outbox.emit(Event::PeerFunds { asset });
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
            Message::Declined { what, code, message } => {
                self.outbox.emit(Event::Declined { what, code, message });
            }
        }
    }
}
