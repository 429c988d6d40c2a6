//! From options to a running client: ask the hub for its terms, find the channel, start the loops. Where the hub can't be
//! asked, refuses, or is another one, what is stored and the chain are enough.

use super::known::Known;
use super::open::{Way, open};
use super::{Client, Listener, Settings};
use crate::failure::{Failure, Result};
use crate::task::{Either, Work, race, sleep};
use crate::transport::Hub;
use crate::transport::terms::{Register, Terms};
use farthing_protocol::{Code, json};
use std::rc::Rc;
use wasm_bindgen_futures::spawn_local;

/// How long the first connection may take, in milliseconds: of a new channel, and of one that can do without the hub.
const FIRST_CONNECTION: u32 = 20_000;
const PATIENCE: u32 = 5_000;

impl Client {
    /// Connects; `listener` is called with what happens, after it is durable.
    pub async fn connect(settings: Settings, listener: Listener) -> Result<Rc<Self>> {
        let known = Known::load(&settings).await?;
        let found = find(&settings, &known, &listener).await;
        if found.is_err() {
            let _ = known.close().await;
        }
        let client = found?;
        client.start().await?;
        if let Some(take) = settings.on_exit_kit {
            client.kit.ring();
            spawn_local(Rc::clone(&client).keep_kit(take));
        }
        Ok(client)
    }

    /// Starts the loops, and waits until the hub knows who we are. A channel that was stored is not kept from its owner
    /// by a hub that lets nobody in: it is waited for a little, and then in the background.
    async fn start(self: &Rc<Self>) -> Result<()> {
        spawn_local(Rc::clone(self).drive());
        spawn_local(Rc::clone(self).watch_chain(self.chain.head().final_number.saturating_add(1)));
        spawn_local(Rc::clone(self).keep_connected());
        spawn_local(Rc::clone(self).tick());
        spawn_local(Rc::clone(self).keep_backup());
        spawn_local(Rc::clone(self).keep_watched());
        self.unwatched.ring();
        self.work.ring();
        if !self.greeted.get() {
            return Ok(());
        }
        let connected = async {
            while !self.connected.get() {
                self.changed().await?;
            }
            Ok(())
        };
        let outcome = match race(connected, sleep(if self.stored { PATIENCE } else { FIRST_CONNECTION })).await {
            Either::First(outcome) => outcome,
            Either::Second(()) if self.stored => Ok(()),
            Either::Second(()) => Err(Failure::new(Code::NotConnected, "The hub does not let us in.")),
        };
        if outcome.is_err() {
            self.disconnect().await;
        }
        outcome
    }
}

/// The channel with the hub that answers, or with one that answered here before.
async fn find(settings: &Settings, known: &Known, listener: &Listener) -> Result<Rc<Client>> {
    if !known.terms.is_empty() {
        settings.hub.be_brief(PATIENCE);
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
            match open(settings, known, Rc::clone(terms), *way, listener).await {
                Ok(Some(client)) => return Ok(client),
                Ok(None) => {}
                // Of a hub on another chain there is nothing to be seen on this one.
                Err(failure) if failure.code() == Code::ChainMismatch => obstacle = Some(failure),
                Err(failure) => return Err(failure),
            }
        }
    }
    let mut terms = asked.map_err(|failure| obstacle.unwrap_or(failure))?;
    if let Some(before) = known.of(&terms) {
        terms.keep_assets(before);
    }
    let client = open(settings, known, Rc::new(terms), Way::Greet, listener).await?;
    client.ok_or_else(|| Code::Internal.into())
}

/// What the hub says of itself.
pub(super) fn ask(hub: &Hub) -> Work<'_, Terms> {
    let called = hub.call("farthing_config", "{}");
    Box::pin(async move {
        let terms: Terms = called.await?.read()?;
        terms.check()?;
        Ok(terms)
    })
}

/// Makes our channel known to the hub.
pub(super) fn register<'a>(hub: &'a Hub, register: &Register<'_>) -> Work<'a, ()> {
    let called = hub.call("farthing_register", &json::encode(register));
    Box::pin(async move { called.await?.check() })
}

fn check_pins(settings: &Settings, terms: &Terms) -> Result<()> {
    let mismatch = |detail: String| Err(Failure::new(Code::ChainMismatch, detail));
    if let Some(wanted) = settings.chain_id.filter(|wanted| *wanted != terms.chain_id) {
        return mismatch(format!("The hub is on chain {}, not {wanted}.", terms.chain_id));
    }
    if let Some(wanted) = settings.contract.filter(|wanted| *wanted != terms.contract) {
        return mismatch(format!("The hub uses the contract {}, not {wanted}.", terms.contract));
    }
    Ok(())
}
