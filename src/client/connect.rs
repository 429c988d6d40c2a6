//! From options to a running client: ask the hub for its terms, find the channel, start the loops. Where the hub can't be
//! asked, refuses, or is another one, what is stored and the chain are enough.

use super::{Client, Listener, Notice, Waiter};
use crate::chain::Chain;
use crate::entrance::greeting::{ask, chain, check_pins};
use crate::entrance::known::Known;
use crate::entrance::{News, Opened, Settings, Way, take_up};
use crate::failure::{Failure, Result};
use crate::js::get_function;
use crate::small::SmallMap;
use crate::task::{Bell, Changes, Either, Mutex, Once, race, sleep};
use crate::transport::terms::Terms;
use farthing_protocol::Code;
use farthing_protocol::map::Map;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wasm_bindgen_futures::spawn_local;

/// How long the first connection may take, in milliseconds: of a new channel, and of one that can do without the hub.
const FIRST_CONNECTION: u32 = 20_000;
const PATIENCE: u32 = 5_000;

/// How long the chain may take in all until a channel is found, in milliseconds.
const CHAIN: f64 = 30_000.0;

impl Client {
    /// Connects; `listener` is called with what happens, after it is durable. With `stop` nobody waits for it any more,
    /// and the store is let go.
    pub async fn connect(settings: Settings, listener: Listener, stop: Once<()>) -> Result<Rc<Self>> {
        if get_function(&js_sys::global(), "WebSocket").is_none() {
            return Err(Failure::advised(
                Code::Unsupported,
                "There is no global WebSocket here. Node has one from version 22 on; in an older one set \
                 globalThis.WebSocket to that of the package `ws` before connect().",
            ));
        }
        let known = Known::load(&settings).await?;
        settings.rpc.hurry(Some(CHAIN));
        let hear = |terms: &Terms, news| {
            listener(
                terms,
                match news {
                    News::Restored(restored) => Notice::Restored(restored),
                    News::Error(failure) => Notice::Error(failure),
                },
                &|_| None,
            );
        };
        let found = match race(find(&settings, &known, &hear), stop.wait()).await {
            Either::First(found) => found,
            Either::Second(()) => Err(Code::Aborted.into()),
        };
        settings.rpc.hurry(None);
        settings.rpc.forget_ahead();
        if found.is_err() {
            let _ = known.close().await;
        }
        let client = Rc::new(Self::new(&settings, found?, listener));
        if let Either::First(started) = race(client.start(), stop.wait()).await {
            started?;
        }
        if let Some(take) = settings.on_exit_kit {
            client.kit.ring();
            spawn_local(Rc::clone(&client).keep_kit(take));
        }
        Ok(client)
    }

    /// A client of a channel that was taken up; nothing runs yet.
    fn new(settings: &Settings, opened: Opened, listener: Listener) -> Self {
        let Opened { home, def, key, binding, told, past, stored, greeted } = opened;
        let prefix = home.prefix(def);
        let mut wallet = told.wallet;
        let mut in_flight = Map::new();
        for payment in wallet.payments().iter().filter(|payment| !payment.is_final()) {
            // What was told before a restart is not told again.
            let waiter = Waiter { latest: RefCell::new(Some(payment.clone())), ..Waiter::default() };
            in_flight.insert(payment.id, Rc::new(waiter));
        }
        let mut quoted = SmallMap::default();
        for terms in &home.terms.assets {
            if let Some(fee) = terms.deposit_fee {
                quoted.insert(terms.asset, fee);
            }
        }
        let mut told_deposits = SmallMap::default();
        for balance in wallet.balances() {
            told_deposits.insert(balance.asset, balance.deposited);
        }
        // Until the hub is there, nothing that is asked for is signed.
        wallet.hold(true);
        Self {
            owner: settings.owner.clone(),
            hub: Rc::clone(&settings.hub),
            poll_interval: settings.poll_interval,
            terms: RefCell::new(home.terms),
            key,
            chain: home.chain,
            store: home.store,
            def,
            id: wallet.id(),
            prefix,
            past,
            wallet: RefCell::new(wallet),
            listener,
            work: Bell::default(),
            rested: Changes::default(),
            look: Rc::default(),
            reading: RefCell::new(Some(told.reading)),
            undecided: Cell::new(None),
            pending: RefCell::new(told.pending),
            unproven: Bell::default(),
            uncollected: Bell::default(),
            credits: RefCell::default(),
            credits_asked: Once::default(),
            kit: Bell::default(),
            changes: Changes::default(),
            in_flight: RefCell::new(in_flight),
            gate: RefCell::default(),
            searched: RefCell::default(),
            payees: Rc::default(),
            hub_funds: RefCell::default(),
            depositing: Mutex::default(),
            asked_deposit: RefCell::default(),
            woken: Rc::default(),
            page: RefCell::default(),
            consents: settings.consents,
            quoted: RefCell::new(quoted),
            submissions: RefCell::default(),
            paying_out: RefCell::default(),
            declined: RefCell::default(),
            told_balances: RefCell::default(),
            told_offers: Cell::default(),
            told_deposits: RefCell::new(told_deposits),
            early: RefCell::default(),
            asking: Cell::default(),
            freshening: Cell::default(),
            connected: Cell::new(false),
            stored,
            greeted: Cell::new(greeted),
            told_unknown: Cell::default(),
            obstacle: RefCell::default(),
            binding,
            backup: settings.backup.clone(),
            unsaved: Bell::default(),
            dust: home.dust,
            watchtowers: settings.watchtowers.clone(),
            unwatched: Bell::default(),
            stale_backup: Cell::new(true),
            ending: Cell::new(false),
            closed: Once::default(),
            hooks: RefCell::default(),
            shown: Cell::default(),
            wallet_news: RefCell::default(),
            ended: Once::default(),
            failed: RefCell::default(),
        }
    }

    /// Starts the loops, and waits until the hub knows who we are. A channel that was stored is not kept from its owner
    /// by a hub that lets nobody in: it is waited for a little, and then in the background.
    async fn start(self: &Rc<Self>) -> Result<()> {
        self.tell_seen(self.seen());
        spawn_local(Rc::clone(self).drive());
        if let Some(reading) = self.reading.take() {
            spawn_local(Rc::clone(self).follow_chain(reading));
        }
        spawn_local(Rc::clone(self).tick());
        if self.key.is_some() {
            spawn_local(Rc::clone(self).keep_connected());
            spawn_local(Rc::clone(self).keep_backup());
            spawn_local(Rc::clone(self).keep_watched());
        }
        spawn_local(Rc::clone(self).keep_proven());
        spawn_local(Rc::clone(self).keep_credits());
        self.watch_wallet();
        self.watch_page();
        self.uncollected.ring();
        self.unproven.ring();
        self.unwatched.ring();
        self.work.ring();
        if !self.greeted.get() {
            return Ok(());
        }
        let connected = async {
            while !self.connected.get() {
                // What the platform refuses it will refuse again.
                let obstacle = self.obstacle.borrow().clone();
                if let Some(failure) = obstacle.filter(|failure| failure.code() == Code::Unsupported && !self.stored) {
                    return Err(failure);
                }
                self.changed().await?;
            }
            Ok(())
        };
        let outcome = match race(connected, sleep(if self.stored { PATIENCE } else { FIRST_CONNECTION })).await {
            Either::First(outcome) => outcome,
            Either::Second(()) if self.stored => Ok(()),
            Either::Second(()) => {
                let obstacle = self.obstacle.borrow().clone();
                Err(obstacle.unwrap_or_else(|| Failure::new(Code::NotConnected, "The hub does not let us in.")))
            }
        };
        if outcome.is_err() {
            self.disconnect().await;
        }
        outcome
    }
}

/// The channel with the hub that answers, or with one that answered here before.
async fn find(settings: &Settings, known: &Known, hear: &dyn Fn(&Terms, News)) -> Result<Opened> {
    match known.terms.last() {
        // Most likely the hub says what it said before.
        Some(terms) => {
            settings.hub.be_brief(PATIENCE);
            settings.hub.open_ahead();
            chain(settings, terms).ask_contract(false);
        }
        None => Chain::ask_newest(&settings.rpc),
    }
    let asked = ask(&settings.hub).await;
    let asked = asked.and_then(|terms| check_pins(settings, &terms).map(|()| terms));
    let ways: &[Way] = match &asked {
        Ok(terms) if known.of(terms).is_some() => &[],
        Ok(_) => &[Way::Used],
        Err(_) => &[Way::Used, Way::Stored],
    };
    // What keeps us from looking at a stored channel says more than the hub's silence.
    let mut obstacle = known.damage();
    for way in ways {
        for terms in known.terms.iter().filter(|terms| check_pins(settings, terms).is_ok()) {
            match take_up(settings, known, Rc::clone(terms), *way, hear).await {
                Ok(Some(opened)) => return Ok(opened),
                Ok(None) => {}
                // Of a hub on another chain there is nothing to be seen on this one.
                Err(failure) if failure.code() == Code::ChainMismatch => obstacle = Some(failure),
                Err(failure) => return Err(failure),
            }
        }
    }
    let mut terms = asked.map_err(|failure| match obstacle {
        Some(obstacle) => obstacle,
        None if failure.code() == Code::NotConnected => failure.because("Is its URL right?"),
        None => failure,
    })?;
    if let Some(before) = known.of(&terms) {
        terms.keep_assets(before);
    }
    let opened = take_up(settings, known, Rc::new(terms), Way::Greet, hear).await?;
    opened.ok_or_else(|| Code::Internal.into())
}
