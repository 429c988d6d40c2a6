//! The commit loop: what the wallet wants durable is written, then what depended on it is done.

use super::{Client, Notice};
use crate::failure::{Failure, Result};
use crate::task::{Either, Once, race, sleep};
use farthing_protocol::chain::ChainCall;
use farthing_protocol::channel::CallId;
use farthing_protocol::wallet::{Event, Payment, Status, WalletEffect};
use farthing_protocol::{Blame, Code};
use std::rc::Rc;
use wasm_bindgen_futures::spawn_local;

const SECOND: u32 = 1_000;

/// Pause before a transaction that failed is asked for again, in milliseconds.
const RETRY: u32 = 12_000;

impl Client {
    /// Runs until the client ends; then closes the store, which nobody else touches.
    pub(super) async fn drive(self: Rc<Self>) {
        while !self.closed.is_sent() {
            self.work.rings().await;
            if let Err(failure) = self.commit_all().await {
                self.fail(failure);
            }
            self.rested.notify();
        }
        if let Err(failure) = self.store.close().await {
            self.tell(Notice::Error(failure));
        }
        self.ended.send(());
    }

    /// What a call that was refused is told. What the refusal stands on may not be stored yet, and where it never is,
    /// since another tab has taken the wallet over, that is why: the call is another's then.
    pub async fn certain(&self, refused: Failure) -> Failure {
        self.work.ring();
        race(self.closed.wait(), self.rested.next()).await;
        self.failed.borrow().clone().unwrap_or(refused)
    }

    /// One commit after the other, until there is nothing to do. Whatever comes in while one is being written
    /// gathers for the next.
    async fn commit_all(self: &Rc<Self>) -> Result<()> {
        loop {
            if self.failed.borrow().is_some() || self.ending.get() {
                return Ok(());
            }
            let polled = self.wallet.borrow_mut().poll_commit(self.chain.now())?;
            // As it is once this is durable, whatever comes in meanwhile.
            let seen = self.seen();
            let Some(mut commit) = polled else {
                self.tell_seen(seen);
                return Ok(());
            };
            let writes = std::mem::take(&mut commit.writes);
            if !writes.is_empty() {
                self.store.commit(writes).await?;
                self.needs_backup();
                self.kit.ring();
            }
            let effects = self.wallet.borrow_mut().committed(commit.durable())?;
            self.carry_out(effects)?;
            self.tell_seen(seen);
        }
    }

    fn carry_out(self: &Rc<Self>, effects: Vec<WalletEffect>) -> Result<()> {
        let mut messages = Vec::new();
        let mut events = Vec::new();
        for effect in effects {
            match effect {
                WalletEffect::Send(message) => messages.push(message),
                WalletEffect::Submit { id, call, .. } => self.submit(id, call),
                WalletEffect::Event(event) => events.push(event),
            }
        }
        if let Some(socket) = self.hub.socket() {
            socket.send(self.id, &messages)?;
        }
        for event in events {
            self.take_event(event);
        }
        self.open_gate();
        self.changes.notify();
        Ok(())
    }

    fn take_event(&self, event: Event) {
        match event {
            Event::Payment(payment) => {
                if let (Status::Returning | Status::Failed, Some(to)) = (payment.status, &payment.to) {
                    // The payee may have another channel by now.
                    let _ = self.payees.borrow_mut().remove(to);
                }
                let waiter = match payment.is_final() {
                    true => self.in_flight.borrow_mut().remove(&payment.id),
                    false => self.in_flight.borrow().get(&payment.id).cloned(),
                };
                let before = waiter.as_ref().and_then(|waiter| waiter.latest.replace(Some(payment.clone())));
                if let Some(waiter) = waiter {
                    waiter.changed.notify();
                }
                // That its lock is gone as well is nothing that an application sees.
                if !before.is_some_and(|before| is_alike(&before, &payment)) {
                    self.tell(Notice::Payment(payment));
                }
            }
            Event::EndAsked { id } => self.tell_end_asked(id),
            Event::Balance { asset } => self.tell_deposit(asset),
            Event::Withdrawal(signed) => self.tell(Notice::Withdrawal(signed)),
            Event::Closing(signed) => self.tell(Notice::Closing(signed)),
            Event::Declined { what, code, message } => {
                let code = code.code().filter(|code| code.blame() != Blame::Bug).unwrap_or(Code::HubFault);
                let said: String = message.chars().filter(|c| !c.is_control()).take(300).collect();
                let failure = Failure::new(code, format!("The hub declined to {what}: {said}."));
                self.declined.replace(Some((what, failure)));
            }
            Event::ExitStarted { .. } => {}
            Event::Exit { stage } => self.tell(Notice::Exit { stage }),
            Event::Overdue { .. } => {
                let detail = "The hub does not pay what the chain shows to be proven; take it home with exit().";
                self.tell(Notice::Error(Failure::new(Code::HubFault, detail)));
            }
            Event::Outdated => self.tell(Notice::Error(Code::StateOutdated.into())),
        }
    }

    /// Sends a transaction that the wallet asked for, once for each id.
    fn submit(self: &Rc<Self>, id: CallId, call: ChainCall) {
        if self.submissions.borrow().get(&id).is_some() {
            return;
        }
        let sent = Once::default();
        self.submissions.borrow_mut().insert(id.clone(), sent.clone());
        let client = Rc::clone(self);
        spawn_local(async move {
            let domain = client.chain.domain;
            let data = call.calldata(|def| def.id(domain.chain_id(), domain.contract()));
            let asked_for = matches!(call, ChainCall::Withdraw { .. } | ChainCall::Close { .. });
            let outcome = client.chain.send(&client.owner, domain.contract(), call.value(), data.clone()).await;
            sent.send(outcome.clone());
            client.changes.notify();
            let failed = match outcome {
                _ if asked_for => None,
                // Evidence, proofs and claims are money: they are followed until they are final.
                Ok(hash) => {
                    let followed = client.chain.follow(&client.owner, hash, domain.contract(), data);
                    match race(client.closed.wait(), followed).await {
                        Either::First(()) => None,
                        Either::Second(outcome) => outcome.err(),
                    }
                }
                Err(failure) => Some(failure),
            };
            if let Some(failure) = failed {
                // Nobody waits for this call, so it must be heard of, and asked for again; what the user refused
                // only when exit() is called again.
                let refused = failure.code() == Code::WalletRejected;
                client.tell(Notice::Error(failure));
                if let (Either::Second(()), false) = (race(client.closed.wait(), sleep(RETRY)).await, refused) {
                    client.submissions.borrow_mut().remove(&id);
                    client.wallet.borrow_mut().submit_failed(&id);
                }
            }
        });
    }

    /// Tells the wallet the time, and lets it commit what follows.
    pub(super) async fn tick(self: Rc<Self>) {
        while let Either::Second(()) = race(self.closed.wait(), sleep(SECOND)).await {
            self.wallet.borrow_mut().tick(self.chain.now());
            self.decline_streams();
            self.work.ring();
        }
    }
}

/// Whether an application sees the same of a payment.
fn is_alike(one: &Payment, other: &Payment) -> bool {
    // Of a stream, what was shown is known to whoever showed it.
    let units = |payment: &Payment| payment.stream.as_ref().map(|stream| (stream.paid, stream.accepted, stream.ending));
    one.status == other.status && one.code == other.code && one.preimage == other.preimage && units(one) == units(other)
}
