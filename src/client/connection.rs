//! Keeps a socket to the hub open: proves the channel's key on each one, hands messages to the wallet, and calls
//! again after a growing, random pause.

use super::connect::{ask, register};
use super::open::policy;
use super::{Client, Notice};
use crate::failure::{Failure, Result};
use crate::js::{now, random};
use crate::task::{Either, Work, race, sleep};
use crate::transport::Hub;
use crate::transport::socket::Socket;
use crate::transport::terms::Register;
use alloy_primitives::B256;
use farthing_protocol::eip712::Domain;
use farthing_protocol::json;
use farthing_protocol::message::Message;
use farthing_protocol::sign::{SecretKey, Signature};
use farthing_protocol::types::ChannelId;
use farthing_protocol::{Code, abi, wire};
use std::rc::{Rc, Weak};
use wasm_bindgen_futures::spawn_local;

/// The first and the longest pause before calling again, in milliseconds.
const BACKOFF: (u32, u32) = (250, 30_000);

/// After so many silent milliseconds the hub is asked whether it is there.
const HEARTBEAT: u32 = 30_000;

pub(super) struct OfChannel {
    pub(super) channel_id: ChannelId,
}

struct Attach {
    channel_id: ChannelId,
    signature: Signature,
}

struct Challenge {
    challenge: B256,
}

wire!(write struct OfChannel { channel_id = "channelId" });
wire!(write struct Attach { channel_id = "channelId", signature });
wire!(read open struct Challenge { challenge });

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
                Either::Second(Err(failure)) => self.tell_unknown(failure),
            }
            if let Either::First(()) = race(self.closed.wait(), sleep(jittered(pause))).await {
                return;
            }
            pause = pause.saturating_mul(2).min(BACKOFF.1);
        }
    }

    /// Makes sure that who answers is the hub that we know, and that it knows our channel. Its limits are adopted;
    /// another hub never is.
    async fn greet(&self) -> Result<()> {
        let (mut fresh, known) = (ask(&self.hub).await?, self.terms());
        fresh.check_same(&known)?;
        let ours = Register { channel: &self.def, public_key: self.key.public_key(), binding: self.binding.as_ref() };
        register(&self.hub, &ours).await?;
        fresh.keep_assets(&known);
        self.wallet.borrow_mut().set_policy(policy(&fresh, self.def.challenge_period, &self.dust));
        self.terms.replace(Rc::new(fresh));
        self.greeted.set(true);
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
        let socket = Socket::open(self.hub.websocket_url(), self.id, receive).await?;
        // Messages may follow the answer at once; they wait until the wallet knows that it is connected.
        self.early.take();
        prove(&self.hub, &socket, self.id, &self.key, &self.chain.domain).await?;
        Ok(socket)
    }

    /// Uses the socket until it ends.
    async fn serve(self: &Rc<Self>, socket: &Rc<Socket>) {
        self.hub.use_socket(Some(Rc::clone(socket)));
        self.connected.set(true);
        self.told_unknown.take();
        self.wallet.borrow_mut().connected(now());
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
        self.wallet.borrow_mut().disconnected();
        self.changes.notify();
        self.tell(Notice::Disconnected);
    }

    /// Returns when the hub does not answer any more.
    async fn heartbeat(&self, socket: &Rc<Socket>) {
        let channel = json::encode(&OfChannel { channel_id: self.id });
        loop {
            sleep(HEARTBEAT).await;
            let answer = self.hub.call_on(socket, "farthing_channel", &channel).await;
            // Any answer will do, a refusal as well.
            if answer.is_err_and(|failure| failure.code() == Code::NotConnected) {
                return;
            }
        }
    }

    fn receive(self: &Rc<Self>, messages: Vec<Message>) {
        let stale = !self.wallet.borrow().channel().is_fresh(now());
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
        let _ = self.freshen().await;
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
            let handled = self.wallet.borrow_mut().handle(message, now());
            if let Err(error) = handled {
                self.tell(Notice::Error(Failure::from(error)));
                return;
            }
        }
        self.changes.notify();
        self.work.ring();
    }
}

/// Proves on a socket that we hold the key of the channel's signer: what is the channel's comes through it from then on.
pub(super) fn prove<'a>(
    hub: &'a Hub,
    socket: &'a Rc<Socket>,
    channel_id: ChannelId,
    key: &'a SecretKey,
    domain: &'a Domain,
) -> Work<'a, ()> {
    Box::pin(async move {
        let channel = json::encode(&OfChannel { channel_id });
        let Challenge { challenge } = hub.call_on(socket, "farthing_challenge", &channel).await?.read()?;
        let session = abi::Session { channelId: channel_id.0, challenge };
        let attach = json::encode(&Attach { channel_id, signature: key.sign(domain.digest(&session)) });
        hub.call_on(socket, "farthing_attach", &attach).await?.check()
    })
}

/// Between half and all of a pause, so that clients of a hub that was away do not all come back at once.
fn jittered(pause: u32) -> u32 {
    let random = random::<1>().map_or(255, |[byte]| u32::from(byte));
    let half = pause.div_euclid(2);
    half.saturating_add(half.saturating_mul(random).div_euclid(255))
}
