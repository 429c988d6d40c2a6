//! The client's whole logic: one channel with one hub, its payments, and what its application is told.
//!
//! Invariant: a payment is recorded in the same commit as the signature that makes it, and its secret follows
//! from the key and a random id that is stored with it. [10]

mod adopt;
mod payment;
mod receive;
mod send;

pub use adopt::Shown;
pub use payment::{Direction, Payment, PaymentId, Status};
pub use send::{PayRequest, Payee, check_payee};

use crate::amount::Amount;
use crate::chain::{AssetStatus, ChainCall, ChainFact, Head};
use crate::channel::{
    Channel, Effect, Event as ChannelEvent, ExitStage, Fact, OpRef, Policy, SignedClosing, SignedWithdrawal, State,
};
use crate::codec::stored;
use crate::eip712::Domain;
use crate::envelope::SharedKey;
use crate::error::{Code, Error};
use crate::journal::{Commit, Journal, Sealed, Write, decode, encode};
use crate::lane::LockRef;
use crate::map::{Map, Set};
use crate::message::{Closing, Message, Withdrawal};
use crate::sign::{PublicKey, SecretKey};
use crate::types::{Asset, ChannelDef, ChannelId, Side};
use crate::watch::WatchedLane;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use alloy_primitives::{Address, Bytes};
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

/// What an application is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A payment is new or has changed.
    Payment(Payment),
    /// What can be spent or received has changed.
    Balance {
        /// Which asset.
        asset: Asset,
    },
    /// A withdrawal has both signatures.
    Withdrawal(SignedWithdrawal),
    /// A closing has both signatures.
    Closing(SignedClosing),
    /// The hub did not sign a withdrawal or closing, or refused evidence.
    Declined {
        /// `withdraw`, `close` or `reveal`.
        what: String,
        /// Why, as the hub says.
        code: String,
        /// In its words.
        message: String,
    },
    /// An exit has started on chain.
    ExitStarted {
        /// Unix seconds.
        ends_at: u64,
    },
    /// An exit got on, or a reorg threw it back.
    Exit {
        /// Where it stands.
        stage: ExitStage,
    },
    /// The hub does not pay a payment to us though its evidence is on chain and its time is over: only an exit gets
    /// the money.
    Overdue {
        /// Which payment.
        lock: LockRef,
    },
    /// The hub holds newer state of ours than this store; nothing is signed until it is restored.
    Outdated,
}

/// What a wallet asks its driver to do, once the facts are durable.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant, reason = "effects are short-lived")]
pub enum WalletEffect {
    /// Send to the hub, if connected; if not, the next sync makes up for it.
    Send(Message),
    /// Send a transaction, once for each id.
    Submit {
        /// Idempotency key.
        id: String,
        /// What to call.
        call: ChainCall,
    },
    /// Tell the application.
    Event(Event),
}

/// What a wallet has of an asset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Balance {
    /// Which asset.
    pub asset: Asset,
    /// What can be spent now.
    pub available: Amount,
    /// In payments of ours that are not settled.
    pub locked_out: Amount,
    /// In payments to us that are not settled.
    pub locked_in: Amount,
    /// What the hub can still pay us, as far as we know.
    pub receivable: Amount,
    /// Confirmed deposits of ours.
    pub deposited: Amount,
    /// Confirmed withdrawals of ours.
    pub withdrawn: Amount,
    /// What became of it.
    pub status: AssetStatus,
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
    key: SecretKey,
    journal: Journal,
    /// Payments that can still change, and ended ones that are not in the history yet.
    payments: Map<PaymentId, Payment>,
    by_lock: Map<LockRef, PaymentId>,
    by_op: Map<OpRef, PaymentId>,
    /// Asked for and not signed yet.
    queued: Map<u64, Payment>,
    queued_ids: Set<PaymentId>,
    changed: Set<PaymentId>,
    next_ticket: u64,
    /// Shared keys with payees of this session.
    payer_keys: Map<Address, SharedKey>,
    /// The last payer's shared key.
    payee_key: Option<(PublicKey, SharedKey)>,
    events: Vec<Event>,
    commits: u64,
    outstanding: bool,
    poisoned: bool,
}

impl Wallet {
    /// A wallet without history. Only for a channel that neither the chain nor the hub knows.
    pub fn new(config: WalletConfig, key: SecretKey) -> Result<Self, Error> {
        let journal = Journal::new(prefix_of(&config));
        Self::assemble(config, key, journal, WalletState::default())
    }

    /// The store's prefix for a wallet: load it and give the entries to [`Wallet::restore`].
    #[must_use]
    pub fn prefix(config: &WalletConfig) -> String {
        prefix_of(config)
    }

    /// A wallet as its store holds it.
    pub fn restore(config: WalletConfig, key: SecretKey, entries: &[(String, Vec<u8>)]) -> Result<Self, Error> {
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
        Self::assemble(config, key, journal, state)
    }

    fn assemble(config: WalletConfig, key: SecretKey, journal: Journal, state: WalletState) -> Result<Self, Error> {
        let WalletConfig { domain, def, policy } = config;
        if def.a.signer != key.address() {
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
            next_ticket: 0,
            payer_keys: Map::new(),
            payee_key: None,
            events: Vec::new(),
            commits: 0,
            outstanding: false,
            poisoned: false,
        };
        for payment in state.live {
            wallet.index(payment);
        }
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

    /// The signer's key.
    #[must_use]
    pub const fn key(&self) -> &SecretKey {
        &self.key
    }

    /// A payment that can still change, or that ended lately. Older ones are in the history.
    #[must_use]
    pub fn payment(&self, id: &PaymentId) -> Option<&Payment> {
        self.payments.get(id)
    }

    /// Payments that can still change, and those that ended lately, newest first.
    #[must_use]
    pub fn payments(&self) -> Vec<Payment> {
        let all = self.payments.values().chain(self.queued.values());
        let ordered: Map<_, _> = all.map(|payment| (Reverse((payment.created, payment.id)), payment)).collect();
        ordered.into_values().cloned().collect()
    }

    /// Ended payments, as a value under `<prefix>/history/` holds them.
    pub fn decode_history(value: &[u8]) -> Result<Vec<Payment>, Error> {
        decode(value)
    }

    /// What the wallet has, by asset.
    #[must_use]
    pub fn balances(&self) -> Vec<Balance> {
        self.channel.state().assets.keys().map(|asset| self.balance(*asset)).collect()
    }

    /// What the wallet has of an asset.
    #[must_use]
    pub fn balance(&self, asset: Asset) -> Balance {
        let available = self.channel.available(asset);
        let Some(book) = self.channel.book(asset) else {
            return Balance {
                asset,
                available,
                locked_out: Amount::ZERO,
                locked_in: Amount::ZERO,
                receivable: Amount::ZERO,
                deposited: Amount::ZERO,
                withdrawn: Amount::ZERO,
                status: AssetStatus::Open,
            };
        };
        let received = book.out.lane.transferred;
        let spent = book.inc.lane.spent().unwrap_or(Amount::MAX);
        let receivable = self.channel.funds(asset, Side::B, received).unwrap_or_default().saturating_minus(spent);
        Balance {
            asset,
            available,
            locked_out: book.out.worst().saturating_minus(book.out.lane.transferred),
            locked_in: book.inc.lane.locked,
            receivable,
            deposited: book.deposits.a,
            withdrawn: book.withdrawn.a,
            status: book.status,
        }
    }

    /// The hub's connection is there and authenticated.
    pub fn connected(&mut self, _now: u64) {
        self.channel.connected();
    }

    /// The hub's connection is gone.
    pub const fn disconnected(&mut self) {
        self.channel.disconnected();
    }

    /// Takes in a message of the hub.
    pub fn handle(&mut self, message: Message, now: u64) -> Result<(), Error> {
        self.check_sound()?;
        self.channel.handle(message, &self.key, now);
        self.react(now);
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
    }

    /// Deadlines; call it about once a second.
    pub fn tick(&mut self, now: u64) {
        self.channel.tick(now);
        self.react(now);
    }

    /// A transaction that was asked for was not mined and won't be: it is asked for again while it is due.
    pub fn submit_failed(&mut self, id: &str) {
        self.channel.submit_failed(id);
    }

    /// Keys whose recorded units have to be read; see [`Channel::unread_keys`].
    #[must_use]
    pub fn unread_keys(&self) -> Set<crate::condition::ConditionKey> {
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
        self.channel.propose_withdrawal(asset, amount, recipient, owner_signature, deadline, submit, &self.key)
    }

    /// Signs a closing of some assets and asks the hub to sign it too; [`Event::Closing`] follows.
    pub fn close(&mut self, assets: &[Asset], deadline: u64, submit: bool) -> Result<Closing, Error> {
        self.check_sound()?;
        self.channel.propose_closing(assets, deadline, submit, &self.key)
    }

    /// Leaves without the hub's help: nothing more is signed or accepted, and the exit goes on by itself, after a
    /// restart too; [`Event::Exit`] tells how.
    pub fn exit(&mut self, now: u64) -> Result<(), Error> {
        self.check_sound()?;
        self.channel.leave(now)?;
        self.react(now);
        Ok(())
    }

    /// The next commit and the effects that depend on it; `None` if there is nothing to do, or while one is outstanding.
    pub fn poll_commit(&mut self, now: u64) -> Result<Option<(Commit, Sealed<WalletEffect>)>, Error> {
        self.check_sound()?;
        if self.outstanding {
            return Ok(None);
        }
        self.channel.flush(&self.key, now);
        self.react(now);
        let output = self.channel.drain();
        let mut facts: Vec<WalletFact> = output.facts.into_iter().map(WalletFact::Channel).collect();
        for id in core::mem::take(&mut self.changed) {
            if let Some(payment) = self.payments.get(&id) {
                facts.push(WalletFact::Payment(payment.clone()));
                self.events.push(Event::Payment(payment.clone()));
            }
        }
        let mut effects: Vec<WalletEffect> = output
            .effects
            .into_iter()
            .map(|effect| match effect {
                Effect::Send(message) => WalletEffect::Send(message),
                Effect::Submit { id, call } => WalletEffect::Submit { id, call },
            })
            .collect();
        effects.extend(core::mem::take(&mut self.events).into_iter().map(WalletEffect::Event));
        if facts.is_empty() && effects.is_empty() {
            return Ok(None);
        }
        let writes = if facts.is_empty() { Vec::new() } else { self.write(&facts)? };
        self.commits = self.commits.saturating_add(1);
        self.outstanding = true;
        Ok(Some((Commit::new(self.commits, writes), Sealed::new(self.commits, effects))))
    }

    /// The outstanding commit has been opened; the next one may be polled.
    pub const fn committed(&mut self) {
        self.outstanding = false;
    }

    /// The store failed: nothing is signed or accepted until the wallet is restored from it.
    pub const fn poison(&mut self) {
        self.poisoned = true;
    }

    /// Whether the store has failed.
    #[must_use]
    pub const fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// The writes for a batch of facts. With a snapshot, ended payments move to the history.
    fn write(&mut self, facts: &[WalletFact]) -> Result<Vec<Write>, Error> {
        let book_size =
            |book: &crate::channel::AssetBook| book.out.lane.locks.len().saturating_add(book.inc.lane.locks.len());
        let locks: usize = self.channel.state.assets.values().map(book_size).sum();
        let live = self.payments.values().filter(|payment| !payment.is_final()).count();
        let size = locks.saturating_add(live);
        let mut writes = Vec::new();
        if self.journal.is_snapshot_due(facts.len(), size) {
            self.channel.state.forget_spent_evidence();
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
        let snapshot = || (&channel.state, payments.values().collect::<Vec<_>>());
        writes.extend(self.journal.append(facts, size, snapshot)?);
        Ok(writes)
    }

    /// What a watchtower needs to answer an exit: of each lane the newest proof that anybody may show.
    #[must_use]
    pub fn watched_lanes(&self) -> Vec<WatchedLane> {
        let channel = &self.channel;
        let mut lanes = Vec::new();
        for (lane, signed, acknowledgement) in channel.exit_proofs() {
            let digest = signed.proof.acknowledgement_digest(channel.domain(), channel.id(), lane);
            // The peer's newest proof is ours to acknowledge: we accepted it, and show it ourselves if need be.
            let acknowledgement = acknowledgement.unwrap_or_else(|| self.key.sign(digest));
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
        let progress = self.channel.state.assets.values().map(|book| book.out.highest.saturating_add(book.inc.seen));
        // A place for backups takes some kilobytes, however many payments there were: what has ended stays behind, but
        // for the newest, so that a call that is repeated with its id is not paid again.
        let mut restored = State { restored: true, ..self.channel.state.clone() };
        restored.drop_spent_evidence();
        let (mut kept, mut ended): (Vec<&Payment>, Vec<&Payment>) =
            self.payments.values().partition(|payment| !payment.is_final());
        ended.sort_by_key(|payment| Reverse(payment.updated));
        kept.extend(ended.into_iter().take(ENDED_IN_BACKUP));
        // What WalletState reads, after no record at all.
        let state = (restored, kept);
        (encode(&(0_u64, state)), progress.fold(0, u64::saturating_add))
    }

    /// The first writes of a wallet that is restored from a backup.
    #[must_use]
    pub fn from_backup(config: &WalletConfig, snapshot: Vec<u8>) -> Write {
        Write::Put { key: format!("{}/snapshot", prefix_of(config)), value: snapshot }
    }

    fn check_sound(&self) -> Result<(), Error> {
        if self.poisoned { Err(Code::StorageFailed.into()) } else { Ok(()) }
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
            match event {
                ChannelEvent::Chain { asset } | ChannelEvent::PeerFunds { asset } => {
                    self.events.push(Event::Balance { asset });
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

fn prefix_of(config: &WalletConfig) -> String {
    let id = config.def.id(config.domain.chain_id(), config.domain.contract());
    format!("w/{id}")
}
