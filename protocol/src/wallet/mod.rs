//! The client's whole logic: one channel with one hub, its payments, and what its application is told.
//!
//! Invariant: a payment is recorded in the same commit as the signature that makes it, and its secret follows
//! from the key and a random id that is stored with it. [10]

mod adopt;
mod event;
mod payment;
mod preimage;
mod receive;
mod send;
mod stream;

pub use adopt::Shown;
pub use event::{Balance, Event, WalletEffect};
pub use payment::{Direction, Payment, PaymentId, Status};
pub use preimage::Unproven;
pub use send::{PayRequest, Payee, binding_digest, check_payee};
pub use stream::{Stream, StreamRequest, Words, chain_word, voucher_key};

use crate::amount::Amount;
use crate::chain::{ChainFact, Head};
use crate::channel::{CallId, Channel, Effect, Event as ChannelEvent, Fact, Holdings, OnChain, OpRef, Policy, State};
use crate::codec::stored;
use crate::condition::ConditionKey;
use crate::eip712::Domain;
use crate::envelope::SharedKey;
use crate::error::{Code, Error};
use crate::gate::{Commit, Gate, Receipt};
use crate::journal::{Journal, Write, decode, encode};
use crate::lane::LockRef;
use crate::map::{Map, Set};
use crate::message::{Closing, Message, Withdrawal};
use crate::sign::{PublicKey, SecretKey};
use crate::types::{Asset, ChannelDef, ChannelId, Side};
use crate::watch::WatchedLane;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use alloy_primitives::{Address, B256, Bytes};
use core::cmp::Reverse;

/// Ended payments that a backup holds.
const ENDED_IN_BACKUP: usize = 16;

/// What a wallet is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WalletConfig {
    /// Chain and contract.
    pub domain: Domain,
    /// The channel; the wallet is `A`.
    pub def: ChannelDef,
    /// What it accepts.
    pub policy: Policy,
}

#[derive(Clone, Debug)]
enum WalletFact {
    Channel(Fact),
    Payment(Payment),
}

stored!(enum WalletFact { 0 => Channel(fact), 1 => Payment(payment) });

#[derive(Clone, Debug, Default)]
struct WalletState {
    channel: State,
    live: Vec<Payment>,
}

stored!(struct WalletState { channel, live });

/// The client's logic.
#[derive(Debug)]
pub struct Wallet {
    channel: Channel,
    /// Without it nothing is signed or accepted: what is there is read, and taken home by an exit.
    key: Option<SecretKey>,
    journal: Journal,
    /// Payments that can still change, and ended ones that are not in the history yet.
    payments: Map<PaymentId, Payment>,
    by_lock: Map<LockRef, PaymentId>,
    by_op: Map<OpRef, PaymentId>,
    /// Asked for and not signed yet.
    queued: Map<u64, Payment>,
    queued_ids: Set<PaymentId>,
    changed: Set<PaymentId>,
    /// Payments that were made, by the chain's word, and whose preimage is not known.
    unproven: Map<ConditionKey, (PaymentId, Unproven)>,
    next_ticket: u64,
    /// Bindings that contracts stand by, by the chain's word.
    bound_by_chain: Set<B256>,
    /// Tips of others' chains that were granted, ever.
    tips: Set<B256>,
    /// Locks of streams to us that wait for somebody who shows their words.
    undecided: Set<LockRef>,
    /// Whether there is somebody.
    takes_streams: bool,
    /// Payments of ours that we asked for, until they have ended: asked again after each connection.
    asked_back: Set<PaymentId>,
    /// Shared keys with payees of this session.
    payer_keys: Map<Address, SharedKey>,
    /// The last payer's shared key.
    payee_key: Option<(PublicKey, SharedKey)>,
    events: Vec<Event>,
    gate: Gate<WalletEffect>,
}

impl Wallet {
    /// A wallet without history. Only for a channel that neither the chain nor the hub knows.
    pub fn new(config: WalletConfig, key: SecretKey) -> Result<Self, Error> {
        let journal = Journal::new(prefix_of(&config));
        Self::assemble(config, Some(key), journal, WalletState::default())
    }

    /// The store's prefix for a wallet: load it and give the entries to [`Wallet::restore`].
    #[must_use]
    pub fn prefix(config: &WalletConfig) -> String {
        prefix_of(config)
    }

    /// A wallet as its store holds it. Without the signer's key it is for reading, exit and exit kit: all that has to
    /// be signed by the signer is refused with `unsupported`.
    pub fn restore(config: WalletConfig, key: Option<SecretKey>, entries: &[(String, Vec<u8>)]) -> Result<Self, Error> {
        let (journal, snapshot, batches) = Journal::load::<WalletState, WalletFact>(prefix_of(&config), entries)?;
        let mut state = snapshot.unwrap_or_default();
        let mut payments: Map<PaymentId, Payment> = state.live.drain(..).map(|payment| (payment.id, payment)).collect();
        for fact in batches.into_iter().flatten() {
            match fact {
                WalletFact::Channel(fact) => state.channel.replay(&fact)?,
                WalletFact::Payment(payment) => {
                    payments.insert(payment.id, payment);
                }
            }
        }
        state.live = payments.into_values().collect();
        let tips = stream::tips(&prefix_of(&config), entries);
        let mut wallet = Self::assemble(config, key, journal, state)?;
        wallet.tips = tips;
        Ok(wallet)
    }

    fn assemble(
        config: WalletConfig,
        key: Option<SecretKey>,
        journal: Journal,
        state: WalletState,
    ) -> Result<Self, Error> {
        let WalletConfig { domain, def, policy } = config;
        if key.as_ref().is_some_and(|key| def.a.signer != key.address()) {
            return Err(Error::new(Code::InvalidArgument, "the key is not the channel's signer"));
        }
        let channel = Channel::with_state(domain, def, Side::A, policy, state.channel)?;
        let mut wallet = Self {
            channel,
            key,
            journal,
            payments: Map::new(),
            by_lock: Map::new(),
            by_op: Map::new(),
            queued: Map::new(),
            queued_ids: Set::new(),
            changed: Set::new(),
            unproven: Map::new(),
            next_ticket: 0,
            bound_by_chain: Set::default(),
            tips: Set::new(),
            undecided: Set::new(),
            takes_streams: false,
            asked_back: Set::new(),
            payer_keys: Map::new(),
            payee_key: None,
            events: Vec::new(),
            gate: Gate::default(),
        };
        for payment in state.live {
            wallet.index(payment);
        }
        for lock in wallet.by_lock.keys().copied().collect::<Vec<_>>() {
            wallet.await_preimage(&lock);
        }
        wallet.recall_undecided();
        wallet.channel.resume();
        Ok(wallet)
    }

    /// The channel.
    #[must_use]
    pub const fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Accepts by other rules from now on: the hub's limits have changed.
    pub fn set_policy(&mut self, policy: Policy) {
        self.channel.set_policy(policy);
    }

    /// The channel's identifier.
    #[must_use]
    pub const fn id(&self) -> ChannelId {
        self.channel.id()
    }

    /// The signer's key, for what can't be done without it.
    fn signer(&self) -> Result<&SecretKey, Error> {
        self.key.as_ref().ok_or_else(|| {
            Error::new(Code::Unsupported, "the key that signs for this channel is not there: it can be read and left")
        })
    }

    /// A payment that can still change, or that ended lately. Older ones are in the history.
    #[must_use]
    pub fn payment(&self, id: &PaymentId) -> Option<&Payment> {
        self.payments.get(id)
    }

    /// Payments that can still change, and those that ended lately, newest first.
    #[must_use]
    pub fn payments(&self) -> Vec<Payment> {
        newest_first(&mut self.payments.values().chain(self.queued.values()))
    }

    /// Ended payments, as a value under `<prefix>/history/` holds them.
    pub fn decode_history(value: &[u8]) -> Result<Vec<Payment>, Error> {
        decode(value)
    }

    /// All payments of a wallet whose channel is over, newest first; `entries` are those under its prefix.
    pub fn stored_payments(prefix: &str, entries: &[(String, Vec<u8>)]) -> Result<Vec<Payment>, Error> {
        let (_, snapshot, batches) = Journal::load::<WalletState, WalletFact>(String::from(prefix), entries)?;
        let mut payments: Map<PaymentId, Payment> = Map::new();
        let history = format!("{prefix}/history/");
        for (_, value) in entries.iter().filter(|(key, _)| key.starts_with(&history)) {
            for payment in Self::decode_history(value)? {
                payments.insert(payment.id, payment);
            }
        }
        for payment in snapshot.unwrap_or_default().live {
            payments.insert(payment.id, payment);
        }
        for fact in batches.into_iter().flatten() {
            if let WalletFact::Payment(payment) = fact {
                payments.insert(payment.id, payment);
            }
        }
        Ok(newest_first(&mut payments.values()))
    }

    /// What the wallet has, by asset.
    #[must_use]
    pub fn balances(&self) -> Vec<Balance> {
        self.channel.assets().map(|asset| self.balance(asset)).collect()
    }

    /// What the wallet has of an asset.
    #[must_use]
    pub fn balance(&self, asset: Asset) -> Balance {
        let OnChain { deposits, withdrawn, status } = self.channel.on_chain(asset);
        let Holdings { locked_out, locked_in, receivable } = self.channel.holdings(asset);
        Balance {
            asset,
            available: self.channel.available(asset),
            locked_out,
            locked_in,
            receivable,
            deposited: deposits.a,
            withdrawn: withdrawn.a,
            status,
        }
    }

    /// The hub's connection is there and authenticated.
    pub fn connected(&mut self, _now: u64) {
        self.channel.connected();
        self.resume_endings();
    }

    /// The hub's connection is gone.
    pub const fn disconnected(&mut self) {
        self.channel.disconnected();
    }

    /// Takes in a message of the hub.
    pub fn handle(&mut self, message: Message, now: u64) -> Result<(), Error> {
        self.check_sound()?;
        // As in signer(), which would borrow the whole wallet.
        let Some(key) = &self.key else { return Err(Code::Unsupported.into()) };
        let is_sync = matches!(message, Message::Sync { .. });
        self.channel.handle(message, key, now);
        self.react(now);
        if is_sync {
            self.repeat_cancels();
        }
        Ok(())
    }

    /// Takes in the chain's head, after the facts of all blocks up to its final one.
    pub fn head(&mut self, head: Head, now: u64) {
        self.channel.handle_head(head);
        self.react(now);
    }

    /// Takes in a fact read from the chain.
    pub fn chain(&mut self, fact: &ChainFact, now: u64) {
        self.channel.handle_chain(fact, now);
        self.react(now);
        self.take_preimage(fact, now);
    }

    /// Deadlines; call it about once a second.
    pub fn tick(&mut self, now: u64) {
        self.channel.tick(now);
        self.react(now);
    }

    /// A transaction that was asked for was not mined and won't be: it is asked for again while it is due.
    pub fn submit_failed(&mut self, id: &CallId) {
        self.channel.submit_failed(id);
    }

    /// Keys whose recorded units have to be read; see [`Channel::unread_keys`].
    #[must_use]
    pub fn unread_keys(&self) -> Set<ConditionKey> {
        self.channel.unread_keys()
    }

    /// The terms of the next withdrawal, for the owner to sign where the recipient is another.
    pub fn next_withdrawal(
        &self,
        asset: Asset,
        amount: Amount,
        recipient: Address,
        deadline: u64,
    ) -> Result<Withdrawal, Error> {
        self.channel.next_withdrawal(asset, amount, recipient, deadline)
    }

    /// Signs a withdrawal and asks the hub to sign it too; [`Event::Withdrawal`] follows.
    pub fn withdraw(
        &mut self,
        asset: Asset,
        amount: Amount,
        recipient: Address,
        owner_signature: Bytes,
        deadline: u64,
        submit: bool,
    ) -> Result<Withdrawal, Error> {
        self.check_sound()?;
        let key = self.signer()?.clone();
        self.channel.propose_withdrawal(asset, amount, recipient, owner_signature, deadline, submit, &key)
    }

    /// Sends a withdrawal ourselves that the hub was asked to send and refused to; see [`Channel::withdraw_ourselves`].
    pub fn withdraw_ourselves(&mut self, withdrawal: &Withdrawal) -> Result<(), Error> {
        self.check_sound()?;
        self.channel.withdraw_ourselves(withdrawal)
    }

    /// The same for a closing.
    pub fn close_ourselves(&mut self, closing: &Closing) -> Result<(), Error> {
        self.check_sound()?;
        self.channel.close_ourselves(closing)
    }

    /// Goes on with a withdrawal that was signed before; see [`Channel::repeat_withdrawal`].
    pub fn repeat_withdrawal(&mut self, withdrawal: &Withdrawal, relay: bool) -> Result<bool, Error> {
        self.check_sound()?;
        self.channel.repeat_withdrawal(withdrawal, relay)
    }

    /// The same for a closing.
    pub fn repeat_closing(&mut self, closing: &Closing, relay: bool) -> Result<bool, Error> {
        self.check_sound()?;
        self.channel.repeat_closing(closing, relay)
    }

    /// Signs a closing of some assets and asks the hub to sign it too; [`Event::Closing`] follows.
    pub fn close(&mut self, assets: &[Asset], deadline: u64, submit: bool) -> Result<Closing, Error> {
        self.check_sound()?;
        let key = self.signer()?.clone();
        self.channel.propose_closing(assets, deadline, submit, &key)
    }

    /// Leaves without the hub's help: nothing more is signed or accepted, and the exit goes on by itself, after a
    /// restart too; [`Event::Exit`] tells how.
    pub fn exit(&mut self, now: u64) -> Result<(), Error> {
        self.check_sound()?;
        self.channel.leave(now)?;
        self.react(now);
        Ok(())
    }

    /// The next commit; `None` if there is nothing to do, or while one is on its way to the store.
    pub fn poll_commit(&mut self, now: u64) -> Result<Option<Commit>, Error> {
        self.check_sound()?;
        if self.gate.is_waiting() {
            return Ok(None);
        }
        if let Some(key) = &self.key {
            self.channel.flush(key, now);
        }
        self.react(now);
        let output = self.channel.drain();
        let mut facts: Vec<WalletFact> = output.facts.into_iter().map(WalletFact::Channel).collect();
        let mut writes: Vec<Write> = Vec::new();
        for id in core::mem::take(&mut self.changed) {
            if let Some(payment) = self.payments.get(&id) {
                let payment = payment.clone();
                writes.extend(self.keep_tip(&payment));
                facts.push(WalletFact::Payment(payment.clone()));
                self.events.push(Event::Payment(payment));
            }
        }
        // Before what depends on them, and with nothing between that could fail.
        if !facts.is_empty() {
            writes.extend(self.write(&facts));
            self.gate.write(writes);
        }
        self.gate.decide(output.effects.into_iter().map(|effect| match effect {
            Effect::Send(message) => WalletEffect::Send(message),
            Effect::Submit { id, call, purpose } => WalletEffect::Submit { id, call, purpose },
        }));
        self.gate.decide(core::mem::take(&mut self.events).into_iter().map(WalletEffect::Event));
        Ok(self.gate.commit())
    }

    /// The commit is durable: what depends on it.
    pub fn committed(&mut self, receipt: Receipt) -> Result<Vec<WalletEffect>, Error> {
        self.gate.committed(receipt)
    }

    /// The store failed: nothing is signed or accepted until the wallet is restored from it.
    pub const fn poison(&mut self) {
        self.gate.poison();
    }

    /// Whether the store has failed.
    #[must_use]
    pub const fn is_poisoned(&self) -> bool {
        self.gate.is_poisoned()
    }

    /// The writes for a batch of facts. With a snapshot, ended payments move to the history.
    fn write(&mut self, facts: &[WalletFact]) -> Vec<Write> {
        let live = self.payments.values().filter(|payment| !payment.is_final()).count();
        let size = self.channel.lock_count().saturating_add(live);
        let mut writes = Vec::new();
        if self.journal.is_snapshot_due(facts.len(), size) {
            self.channel.forget_spent_evidence();
            let ended: Vec<Payment> = self.payments.values().filter(|payment| payment.is_final()).cloned().collect();
            for payment in &ended {
                self.unindex(payment);
            }
            if !ended.is_empty() {
                let key = format!("{}/history/{:016}", self.journal.prefix(), self.journal.next_number());
                writes.push(Write::Put { key, value: encode(&ended) });
            }
        }
        let (channel, payments) = (&self.channel, &self.payments);
        // What WalletState reads.
        let snapshot = || (channel.state(), payments.values().collect::<Vec<_>>());
        writes.extend(self.journal.append(facts, size, snapshot));
        writes
    }

    /// What a watchtower needs to answer an exit: of each lane the newest proof that anybody may show.
    #[must_use]
    pub fn watched_lanes(&self) -> Vec<WatchedLane> {
        let channel = &self.channel;
        let mut lanes = Vec::new();
        for (lane, signed, acknowledgement) in channel.exit_proofs() {
            let digest = signed.proof.acknowledgement_digest(channel.domain(), channel.id(), lane);
            // The peer's newest proof is ours to acknowledge: we accepted it, and show it ourselves if need be.
            let Some(acknowledgement) = acknowledgement.or_else(|| Some(self.key.as_ref()?.sign(digest))) else {
                continue;
            };
            let acknowledgement = Some(acknowledgement);
            lanes.push(WatchedLane {
                asset: lane.asset,
                payer: lane.payer,
                signed,
                acknowledgement,
                evidence: Vec::new(),
            });
        }
        lanes
    }

    /// What a backup holds of this wallet: a snapshot for its journal, and how far it has come.
    #[must_use]
    pub fn backup(&self) -> (Vec<u8>, u64) {
        // A place for backups takes some kilobytes, however many payments there were: what has ended stays behind, but
        // for the newest, so that a call that is repeated with its id is not paid again.
        let (mut kept, mut ended): (Vec<&Payment>, Vec<&Payment>) =
            self.payments.values().partition(|payment| !payment.is_final());
        ended.sort_by_key(|payment| Reverse(payment.updated));
        kept.extend(ended.into_iter().take(ENDED_IN_BACKUP));
        // What WalletState reads, after no record at all.
        let state = (self.channel.backup(), kept);
        (encode(&(0_u64, state)), self.channel.progress())
    }

    /// The first writes of a wallet that is restored from a backup.
    #[must_use]
    pub fn from_backup(config: &WalletConfig, snapshot: Vec<u8>) -> Write {
        Write::Put { key: format!("{}/snapshot", prefix_of(config)), value: snapshot }
    }

    fn check_sound(&self) -> Result<(), Error> {
        self.gate.check_sound()
    }

    fn index(&mut self, payment: Payment) {
        if let Some(lock) = payment.lock {
            self.by_lock.insert(lock, payment.id);
        }
        if let Some(op) = payment.op {
            self.by_op.insert(op, payment.id);
        }
        self.payments.insert(payment.id, payment);
    }

    fn unindex(&mut self, payment: &Payment) {
        if let Some(lock) = payment.lock {
            self.by_lock.remove(&lock);
        }
        if let Some(op) = payment.op {
            self.by_op.remove(&op);
        }
        self.payments.remove(&payment.id);
    }

    /// Changes a payment and notes that it has to be stored and told.
    fn change(&mut self, id: PaymentId, now: u64, edit: impl FnOnce(&mut Payment)) {
        if let Some(payment) = self.payments.get_mut(&id) {
            let before = payment.clone();
            edit(payment);
            if *payment != before {
                payment.updated = now;
                self.changed.insert(id);
            }
        }
    }

    /// Reacts to what happened in the channel.
    fn react(&mut self, now: u64) {
        for event in self.channel.take_events() {
            if let Some(id) = self.stream_of(&event) {
                self.react_to_stream(id, event, now);
                continue;
            }
            match event {
                ChannelEvent::Chain { asset } | ChannelEvent::PeerFunds { asset } => {
                    self.events.push(Event::Balance { asset });
                }
                // The hub takes some of its own back: less can be received.
                ChannelEvent::WithdrawalReady { signed } if signed.withdrawal.side == Side::B => {
                    self.events.push(Event::Balance { asset: signed.withdrawal.asset });
                }
                ChannelEvent::WithdrawalReady { signed } => self.events.push(Event::Withdrawal(signed)),
                ChannelEvent::ClosingReady { signed } => self.events.push(Event::Closing(signed)),
                ChannelEvent::Declined { what, code, message } => {
                    self.events.push(Event::Declined { what, code, message });
                }
                ChannelEvent::ExitStarted { ends_at } => self.events.push(Event::ExitStarted { ends_at }),
                ChannelEvent::Exit { stage } => self.events.push(Event::Exit { stage }),
                ChannelEvent::Overdue { lock } => self.events.push(Event::Overdue { lock }),
                ChannelEvent::Outdated => self.events.push(Event::Outdated),
                ChannelEvent::CancelAsked { lock } => {
                    // We have not shown the secret yet, or give_up refuses: nothing can be lost by saying yes.
                    let _ = self.channel.give_up(&lock, Code::PayeeDeclined);
                }
                other if other.is_about_paying(Side::A) => self.react_to_paying(other, now),
                other => self.react_to_being_paid(other, now),
            }
        }
    }
}

fn newest_first(payments: &mut dyn Iterator<Item = &Payment>) -> Vec<Payment> {
    let ordered: Map<_, _> = payments.map(|payment| (Reverse(payment.order()), payment)).collect();
    ordered.into_values().cloned().collect()
}

fn prefix_of(config: &WalletConfig) -> String {
    let id = config.def.id(config.domain.chain_id(), config.domain.contract());
    format!("w/{id}")
}
