//! Keeps a socket to the hub open: proves the channel's key on each one, hands messages to the wallet, and calls
//! again after a growing, random pause.

use super::{Client, Notice};
use crate::entrance::greeting::{ask, prove, register};
use crate::entrance::load::policy;
use crate::failure::{Failure, Result};
use crate::global::global;
use crate::js::{Listener, get, random};
use crate::task::{Either, race, sleep};
use crate::transport::socket::Socket;
use crate::transport::terms::Terms;
use farthing_protocol::Code;
use farthing_protocol::api::hub::{Channel, Register};
use farthing_protocol::message::Message;
use farthing_protocol::wallet::{Payment, Status};
use std::rc::{Rc, Weak};
use wasm_bindgen_futures::spawn_local;
use web_sys::EventTarget;

/// The first and the longest pause before calling again, in milliseconds.
const BACKOFF: (u32, u32) = (250, 30_000);

/// After so many milliseconds the hub is asked whether it is there; sooner while it owes an answer; and how long it may
/// take to say so: a socket may be open on our side only.
const HEARTBEAT: u32 = 30_000;
const OWED: u32 = 5_000;
const ANSWERING: u32 = 10_000;
const WAKING: u32 = 3_000;

impl Client {
    /// Runs until the client ends.
    pub(super) async fn keep_connected(self: Rc<Self>) {
        let mut pause = BACKOFF.0;
        while !self.closed.is_sent() {
            match race(self.closed.wait(), self.attach()).await {
                Either::First(()) => return,
                Either::Second(Ok(socket)) => {
                    pause = BACKOFF.0;
                    self.serve(&socket).await;
                }
                Either::Second(Err(failure)) => {
                    self.tell(Notice::Trouble { with: "hub", failure: failure.clone() });
                    self.obstacle.replace(Some(failure.clone()));
                    self.changes.notify();
                    self.tell_unknown(failure);
                }
            }
            let pausing = race(self.woken.rings(), sleep(jittered(pause)));
            match race(self.closed.wait(), pausing).await {
                Either::First(()) => return,
                Either::Second(Either::First(())) => pause = BACKOFF.0,
                Either::Second(Either::Second(())) => pause = pause.saturating_mul(2).min(BACKOFF.1),
            }
        }
    }

    /// Makes sure that who answers is the hub that we know, and that it knows our channel. Its limits are adopted;
    /// another hub never is.
    async fn greet(&self) -> Result<()> {
        let fresh = ask(&self.hub).await?;
        fresh.check_same(&self.terms())?;
        let ours =
            Register { channel: self.def, public_key: self.signer()?.public_key(), binding: self.binding.clone() };
        register(&self.hub, &ours).await?;
        self.adopt_terms(fresh)?;
        // There may be deposits from before an asset was listed.
        self.look.ring();
        self.greeted.set(true);
        Ok(())
    }

    /// Goes by what the hub says now, if it is the hub that we know.
    pub(super) fn adopt_terms(&self, mut fresh: Terms) -> Result<()> {
        let known = self.terms();
        fresh.check_same(&known)?;
        fresh.keep_assets(&known);
        self.chain.follow_hub(fresh.confirmations);
        self.wallet.borrow_mut().set_policy(policy(&fresh, self.def.challenge_period, &self.dust));
        self.terms.replace(Rc::new(fresh));
        Ok(())
    }

    /// Tells the application, once, why the hub that answers is of no use. That none answers it knows.
    fn tell_unknown(&self, failure: Failure) {
        let code = failure.code();
        if code == Code::NotConnected {
            return;
        }
        // Whoever speaks and does not let us in may be another one, or have forgotten us.
        if self.greeted.replace(false) {
            return;
        }
        if self.told_unknown.replace(Some(code)) != Some(code) {
            let failure = match code {
                Code::NotAHub => {
                    failure.because("Your channel is as it was; if this lasts, exit() takes the money home.")
                }
                _ => failure,
            };
            self.tell(Notice::Error(failure));
        }
    }

    /// Opens a socket and proves the key on it.
    async fn attach(self: &Rc<Self>) -> Result<Rc<Socket>> {
        if !self.greeted.get() {
            self.greet().await?;
        }
        let client: Weak<Self> = Rc::downgrade(self);
        let receive = move |messages| {
            if let Some(client) = client.upgrade() {
                client.receive(messages);
            }
        };
        let socket = self.hub.open_socket().await?;
        socket.receive(self.id, receive);
        // Messages may follow the answer at once; they wait until the wallet knows that it is connected.
        self.early.take();
        prove(&self.hub, &socket, self.id, self.signer()?, &self.chain.domain).await?;
        Ok(socket)
    }

    /// Uses the socket until it ends.
    async fn serve(self: &Rc<Self>, socket: &Rc<Socket>) {
        self.hub.use_socket(Some(Rc::clone(socket)));
        self.connected.set(true);
        self.told_unknown.take();
        self.obstacle.take();
        {
            let mut wallet = self.wallet.borrow_mut();
            wallet.connected(self.chain.now());
            wallet.hold(false);
        }
        self.receive(self.early.take());
        drop(self.payees.take());
        self.tell(Notice::Connected);
        if self.stale_backup.get() {
            self.unsaved.ring();
        }
        self.work.ring();
        self.changes.notify();
        let ended = race(socket.closed(), self.closed.wait());
        race(ended, self.heartbeat(socket)).await;
        self.hub.use_socket(None);
        self.connected.set(false);
        {
            let mut wallet = self.wallet.borrow_mut();
            wallet.disconnected();
            // What is not signed yet can be taken back by who gives up waiting for the hub.
            wallet.hold(true);
        }
        self.changes.notify();
        self.tell(Notice::Disconnected);
    }

    /// Lets a page that is looked at again, as after its user was in the wallet's app, and a network that is back, end the
    /// pauses: the hub is called, or asked whether it is there, and the chain is looked at.
    pub(super) fn watch_page(&self) {
        let global = global();
        let document = global.document();
        let events = document.clone().into_iter().flat_map(|document| {
            ["visibilitychange", "resume"].map(|event| (EventTarget::from(document.clone()), event))
        });
        let events = events.chain(["pageshow", "online"].map(|event| (EventTarget::from(global.clone()), event)));
        let listeners = events.map(|(target, event)| {
            let (woken, look, document) = (Rc::clone(&self.woken), Rc::clone(&self.look), document.clone());
            Listener::new(target, event, move |_| {
                let hidden = document.as_ref().and_then(|document| get(document, "hidden").as_bool());
                if hidden != Some(true) {
                    woken.ring();
                    look.ring();
                }
            })
        });
        self.page.replace(listeners.collect());
    }

    /// Returns when the hub does not answer any more.
    async fn heartbeat(&self, socket: &Rc<Socket>) {
        let channel = Channel { channel_id: self.id };
        loop {
            let (mut silent, mut patience) = (0_u32, ANSWERING);
            while silent < HEARTBEAT {
                if let Either::First(()) = race(self.woken.rings(), sleep(OWED)).await {
                    // While the page slept its socket may have died without a word.
                    patience = WAKING;
                    break;
                }
                silent = silent.saturating_add(OWED);
                if self.is_owed() {
                    break;
                }
            }
            match race(self.hub.call_on(socket, &channel), sleep(patience)).await {
                Either::First(Err(failure)) if failure.code() == Code::NotConnected => return,
                // Any answer will do, a refusal as well.
                Either::First(_) => {}
                Either::Second(()) => return,
            }
        }
    }

    /// Whether the hub has something to say to what we signed.
    fn is_owed(&self) -> bool {
        let is_open = |payment: &Payment| payment.status == Status::Pending;
        self.asking.get() > 0
            || self.in_flight.borrow().values().any(|waiter| waiter.latest.borrow().as_ref().is_none_or(is_open))
    }

    fn receive(self: &Rc<Self>, messages: Vec<Message>) {
        let stale = !self.wallet.borrow().channel().is_fresh(self.chain.now());
        if !self.connected.get() || self.freshening.get() || stale {
            self.early.borrow_mut().extend(messages);
            if self.connected.get() && !self.freshening.replace(true) {
                spawn_local(Rc::clone(self).receive_later());
            }
            return;
        }
        self.take_in(messages);
    }

    /// [18] What would be refused, only because the chain was not looked at for a while, waits for that.
    async fn receive_later(self: Rc<Self>) {
        self.freshen().await;
        self.freshening.set(false);
        if self.connected.get() {
            self.take_in(self.early.take());
        }
    }

    fn take_in(&self, messages: Vec<Message>) {
        for message in messages {
            if let Message::Funds { asset, deposits } = &message {
                self.hub_funds.borrow_mut().insert(*asset, deposits.a);
            }
            let handled = self.wallet.borrow_mut().handle(message, self.chain.now());
            if let Err(error) = handled {
                self.tell(Notice::Error(Failure::from(error)));
                return;
            }
        }
        self.changes.notify();
        self.work.ring();
    }
}

/// Between half and all of a pause, so that clients of a hub that was away do not all come back at once.
fn jittered(pause: u32) -> u32 {
    let random = random::<1>().map_or(255, |[byte]| u32::from(byte));
    let half = pause.div_euclid(2);
    half.saturating_add(half.saturating_mul(random).div_euclid(255))
}
