//! The driver around `farthing_protocol::wallet::Wallet`: one channel with one hub.
//!
//! Invariant: nothing that the wallet wants sent, submitted or told leaves before the commit that it depends on is
//! durable. All methods take `&self`; no borrow of the wallet lives across an await, nor across a call into
//! JavaScript, which may call back.

mod asking;
mod attempt;
mod backup;
mod connect;
mod connection;
mod credit;
mod deposit;
mod drive;
mod evidence;
mod exit;
mod follow;
mod inspect;
mod kit;
mod pay;
mod payout;
mod relay;
mod stream;
mod view;
mod wallet_events;
mod watchtower;

pub use attempt::{Attempt, OFFLINE};
pub use credit::CollectRequest;
pub use deposit::{DepositRequest, Gas};
pub use exit::{ExitProgress, ExitStep};
pub use inspect::Bearings;
pub use pay::{PayOptions, Receipt};
pub use payout::{CloseRequest, Progress, WithdrawRequest};
pub use relay::DepositFee;
pub use stream::{ReceiptKey, StreamOptions};
pub use view::{Filter, History};
pub use wallet_events::Shown;

use crate::chain::Chain;
use crate::entrance::{Restored, load, take_up};
use crate::failure::{Failure, Result};
use crate::signer::{Hook, Owner};
use crate::small::SmallMap;
use crate::store::OpenStore;
use crate::task::{Bell, Changes, Mutex, Once, Work};
use crate::transport::Hub;
use crate::transport::terms::Terms;
use alloy_primitives::{Address, Bytes};
use farthing_protocol::api::PayeeInfo;
use farthing_protocol::channel::{CallId, Dust, ExitStage, SignedClosing, SignedWithdrawal};
use farthing_protocol::map::Map;
use farthing_protocol::message::Message;
use farthing_protocol::reading::Reading;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::types::{Asset, ChannelDef, ChannelId};
use farthing_protocol::wallet::{Balance, Payment, PaymentId, Wallet};
use farthing_protocol::{Amount, Code, Matter};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use wasm_bindgen::JsValue;

/// What an application is told, unasked.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A payment is new or has changed.
    Payment(Payment),
    /// The payer of a stream to us asks for the rest of it.
    EndAsked(PaymentId),
    /// A deposit of ours counts.
    Deposit {
        /// Which asset.
        asset: Asset,
        /// Confirmed deposits in all.
        total: Amount,
    },
    /// There is more or less of something than before: all that there is.
    Balance(Vec<Balance>),
    /// So many streams to us wait for somebody who takes them.
    Offers(usize),
    /// A withdrawal has both signatures.
    Withdrawal(SignedWithdrawal),
    /// A closing has both signatures.
    Closing(SignedClosing),
    /// A payout could not be paid and is kept for us in the contract.
    Credit {
        /// Which asset.
        asset: Asset,
        /// How much there is in all.
        amount: Amount,
    },
    /// An exit started or got on.
    Exit {
        /// Where it stands.
        stage: ExitStage,
    },
    /// The wallet came back from a backup.
    Restored(Restored),
    /// A watchtower promised to show the newest proofs.
    Watched {
        /// Where it is.
        url: String,
        /// The key that signs its receipts.
        tower: Address,
    },
    /// The wallet shows another account or chain, or came or went.
    Wallet {
        /// Which of them.
        changed: &'static str,
        /// What it shows now.
        shown: Shown,
    },
    /// The hub is connected.
    Connected,
    /// The hub is not connected; the client goes on trying.
    Disconnected,
    /// Something went wrong that no call was waiting for.
    Error(Failure),
    /// What went wrong and is tried again, for the log alone.
    Trouble {
        /// Whom it was with.
        with: &'static str,
        /// What it was.
        failure: Failure,
    },
}

/// Hears of what happened, and the hub's terms at that time.
pub type Listener = Rc<dyn Fn(&Terms, Notice, &dyn Fn(Asset) -> Option<Amount>)>;

/// A payment that somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Waiter {
    latest: RefCell<Option<Payment>>,
    changed: Changes,
}

/// A client of one hub.
pub struct Client {
    /// What the hub said of itself last: its limits may change, who it is may not.
    terms: RefCell<Rc<Terms>>,
    owner: Owner,
    /// The signer's; a stored channel opens without it, for reading, exit and exit kit.
    key: Option<SecretKey>,
    chain: Chain,
    hub: Rc<Hub>,
    store: OpenStore,
    def: ChannelDef,
    id: ChannelId,
    /// Of the wallet's keys in the store.
    prefix: String,
    /// Of the keys of earlier channels with this hub, the last one first.
    past: Vec<String>,
    poll_interval: u32,
    wallet: RefCell<Wallet>,
    listener: Listener,
    /// Rung when the wallet may have something to commit.
    work: Bell,
    /// Told when all that the wallet had decided is stored.
    rested: Changes,
    /// Rung when the chain is to be looked at now.
    look: Rc<Bell>,
    /// What reads the chain, until that is begun.
    reading: RefCell<Option<Reading>>,
    /// Since when streams to us wait for somebody who takes them, by a clock that nobody sets.
    undecided: Cell<Option<f64>>,
    /// What has still to be read of the time before we looked.
    pending: RefCell<load::Pending>,
    /// Rung when a preimage is to be looked for in the logs.
    unproven: Bell,
    /// Rung when something was paid out, so that there may be a credit; and the credits read last.
    uncollected: Bell,
    credits: RefCell<SmallMap<Asset, Amount>>,
    /// They were asked for, whatever came of it.
    credits_asked: Once<()>,
    /// Rung when the exit kit may have changed.
    kit: Bell,
    /// Told of everything that happened in the wallet.
    changes: Changes,
    /// Payments of ours that are not over, with those who wait for them.
    in_flight: RefCell<Map<PaymentId, Rc<Waiter>>>,
    /// Calls that wait for a place among them.
    gate: RefCell<VecDeque<Once<()>>>,
    /// The history while it is being read, for payments that may be in it.
    searched: pay::Searched,
    payees: Rc<RefCell<SmallMap<Address, Once<Result<PayeeInfo>>>>>,
    /// Confirmed deposits of ours, as the hub sees them.
    hub_funds: RefCell<SmallMap<Asset, Amount>>,
    /// One deposit at a time.
    depositing: Mutex,
    /// The last one that a wallet was asked for, unless it is known what became of it.
    asked_deposit: RefCell<Option<asking::Asked>>,
    /// Rung when the page is looked at again, or the network is back.
    woken: Rc<Bell>,
    page: RefCell<Vec<crate::js::Listener>>,
    /// Whether the owner signs their consent to each payment.
    consents: bool,
    /// What the hub took for sending a deposit when we connected, or when the application asked last.
    quoted: RefCell<SmallMap<Asset, Amount>>,
    /// Transactions that the wallet asked for, by its id.
    submissions: RefCell<SmallMap<CallId, Once<Result<String>>>>,
    /// Withdrawals and closings that a call is paying out.
    paying_out: RefCell<Vec<CallId>>,
    /// Withdrawals and closings that the hub did not sign, newest last.
    declined: RefCell<Option<(Matter, Failure)>>,
    /// Balances that the application was told last, with what the contract keeps.
    told_balances: RefCell<Option<Vec<(Balance, Amount)>>>,
    /// Streams that wait, as the application was told.
    told_offers: Cell<usize>,
    /// Deposits that the application was told of.
    told_deposits: RefCell<SmallMap<Asset, Amount>>,
    /// Messages that came before the connection was ours to use, or the chain seen.
    early: RefCell<Vec<Message>>,
    /// Calls that wait for the hub's signature.
    asking: Cell<u32>,
    freshening: Cell<bool>,
    connected: Cell<bool>,
    /// The channel was in the store when we connected.
    stored: bool,
    /// Whether the hub, as we know it, has our channel. Until then it is asked who it is, and told who we are.
    greeted: Cell<bool>,
    /// Why it was not greeted, once the application knows.
    told_unknown: Cell<Option<Code>>,
    /// Why there was no connection last.
    obstacle: RefCell<Option<Failure>>,
    /// The owner's signature for the signer, where they differ.
    binding: Option<Bytes>,
    /// `{ put, get }` of the application, for backups.
    backup: Option<JsValue>,
    /// By asset, what is not worth the gas of its evidence.
    dust: Vec<(Asset, Dust)>,
    /// URLs of watchtowers.
    watchtowers: Vec<String>,
    /// Rung when they may have to be handed something.
    unwatched: Bell,
    /// Rung when a backup is due, and whether the last one is old.
    unsaved: Bell,
    stale_backup: Cell<bool>,
    /// Whether the client is about to end.
    ending: Cell<bool>,
    closed: Once<()>,
    /// Listeners at the wallet, and what it showed when the application was told last.
    hooks: RefCell<Vec<Hook>>,
    shown: Cell<Option<Shown>>,
    /// Events of the wallet that were not looked into yet, the one that is being looked into first.
    wallet_news: RefCell<VecDeque<(&'static str, JsValue)>>,
    /// The driver has ended and the store is closed.
    ended: Once<()>,
    failed: RefCell<Option<Failure>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("channel", &self.id).finish_non_exhaustive()
    }
}

impl Client {
    /// What the hub said of itself last.
    #[must_use]
    pub fn terms(&self) -> Rc<Terms> {
        Rc::clone(&self.terms.borrow())
    }

    fn tell(&self, notice: Notice) {
        (self.listener)(&self.terms(), notice, &|asset| self.credit(asset));
    }

    /// Refuses calls after `disconnect` and after a failure that only a reload can heal.
    fn check_open(&self) -> Result<()> {
        if let Some(failure) = self.failed.borrow().clone() {
            return Err(failure);
        }
        if self.closed.is_sent() {
            let said = "The client is disconnected, and nothing more is signed or sent: call connect() again.";
            return Err(Failure::advised(Code::ClientClosed, said));
        }
        Ok(())
    }

    /// The signer's key, for what can't be done without.
    fn signer(&self) -> Result<&SecretKey> {
        self.key.as_ref().ok_or_else(take_up::keyless)
    }

    /// Waits for the next change, unless the client ends.
    fn changed(&self) -> Work<'_, ()> {
        Box::pin(async {
            self.check_open()?;
            self.changes.next().await;
            self.check_open()
        })
    }

    /// Lets the hub, the timers and the store go. What is in flight goes on when the client connects again.
    pub async fn disconnect(&self) {
        // From here on nothing new is signed, so the last backup holds everything that was.
        self.ending.set(true);
        self.hooks.take();
        self.page.take();
        self.save_last_backup().await;
        if !self.closed.is_sent() {
            self.closed.send(());
            self.hub.use_socket(None);
            self.wake_everybody();
            self.work.ring();
        }
        // The driver waits for the commit that is being written.
        self.ended.wait().await;
    }

    /// Stops for good: the store failed, or a rule of ours was broken.
    fn fail(&self, failure: Failure) {
        self.wallet.borrow_mut().poison();
        self.failed.replace(Some(failure.clone()));
        self.closed.send(());
        self.hooks.take();
        self.page.take();
        self.hub.use_socket(None);
        self.wake_everybody();
        self.work.ring();
        self.tell(Notice::Error(failure));
    }

    fn wake_everybody(&self) {
        self.changes.notify();
        self.chain.heads.notify();
        for waiter in self.in_flight.take().into_values() {
            waiter.changed.notify();
        }
        for waiting in self.gate.take() {
            waiting.send(());
        }
    }
}
