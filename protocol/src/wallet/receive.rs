//! Being paid: a lock whose envelope opens is taken at once, any other is given back.

use super::{Payment, PaymentId, Status, Wallet};
use crate::channel::Event;
use crate::condition::{Kind, sha256};
use crate::envelope::{Letter, SharedKey, ephemeral_of};
use crate::error::{Code, Error};
use crate::lane::LockRef;
use crate::types::{Asset, ChannelId};
use alloy_primitives::{Bytes, keccak256};

impl Wallet {
    pub(super) fn react_to_being_paid(&mut self, event: Event, now: u64) {
        match event {
            Event::Received { op, amount, memo } => {
                let id = id_of(self.id(), op.lane.asset, op.nonce, op.index);
                let payment = Payment {
                    status: Status::Completed,
                    settled: true,
                    ..Payment::received(id, op.lane.asset, amount, memo, None, now)
                };
                self.changed.insert(id);
                self.index(payment);
                self.events.push(super::Event::Balance { asset: op.lane.asset });
            }
            Event::LockReceived { lock } => {
                self.take_or_give_up(&lock, now);
            }
            Event::Redeemed { lock, done: true, .. } => {
                if let Some(id) = self.by_lock.get(&lock).copied() {
                    self.change(id, now, |payment| {
                        payment.status = Status::Completed;
                        payment.settled = true;
                    });
                }
                self.events.push(super::Event::Balance { asset: lock.lane.asset });
            }
            Event::Released { lock, .. } => {
                if let Some(id) = self.by_lock.get(&lock).copied() {
                    self.change(id, now, |payment| {
                        if payment.is_final() {
                            return;
                        }
                        payment.status = Status::Failed;
                        payment.settled = true;
                        payment.code = Some(Code::PaymentExpired.into());
                    });
                }
            }
            // Not all of it yet, nothing that was received, or no affair of a payment's: `react` has told it.
            Event::Redeemed { .. }
            | Event::Signed { .. }
            | Event::Dropped { .. }
            | Event::Accepted { .. }
            | Event::Refused { .. }
            | Event::RefusalFinal { .. }
            | Event::Paid { .. }
            | Event::Revealed { .. }
            | Event::ReleaseFinal { .. }
            | Event::Failed { .. }
            | Event::CancelAsked { .. }
            | Event::Held { .. }
            | Event::Forwarded { .. }
            | Event::Chain { .. }
            | Event::PeerFunds { .. }
            | Event::WithdrawalReady { .. }
            | Event::ClosingReady { .. }
            | Event::Declined { .. }
            | Event::ExitStarted { .. }
            | Event::Exit { .. }
            | Event::Overdue { .. }
            | Event::Outdated => {}
        }
    }

    /// What we can't open we can't claim: the payer gets it back.
    pub(super) fn take_or_give_up(&mut self, lock: &LockRef, now: u64) {
        if let Err(error) = self.take(lock, now) {
            let code = if error.code() == Code::BadEvidence { Code::PayeeDeclined } else { error.code() };
            let _ = self.channel.give_up(lock, code);
        }
    }

    /// Opens the envelope of a lock, stores the secret as evidence, and asks for redemption.
    pub(super) fn take(&mut self, lock: &LockRef, now: u64) -> Result<(), Error> {
        let pending = self.channel.lock(lock).ok_or_else(|| Error::from(Code::UnknownPayment))?.clone();
        match pending.condition.kind() {
            Kind::HashLock => {}
            Kind::HashChain | Kind::Voucher => return self.take_stream(lock, now),
            Kind::External(_) => return Err(Code::UnknownCondition.into()),
        }
        let letter = self.open(&pending.envelope, &pending.condition.params)?;
        if sha256(&letter.secret) != pending.condition.params.as_ref() {
            return Err(Error::new(Code::BadEvidence, "the envelope holds another secret"));
        }
        let amount = pending.lock.value()?;
        self.channel.learn(lock, &Bytes::copy_from_slice(&letter.secret))?;
        let id = id_of(self.id(), lock.lane.asset, lock.placed, u32::from(lock.slot));
        let payment = Payment {
            preimage: Some(letter.secret),
            lock: Some(*lock),
            ..Payment::received(id, lock.lane.asset, amount, letter.memo, Some(pending.expiry), now)
        };
        self.changed.insert(id);
        self.index(payment);
        Ok(())
    }

    pub(super) fn open(&mut self, envelope: &[u8], hash: &[u8]) -> Result<Letter, Error> {
        let ephemeral = ephemeral_of(envelope)?;
        let key = match &self.payee_key {
            Some((known, key)) if *known == ephemeral => key.clone(),
            _ => {
                let key = SharedKey::of_payee(self.signer()?, &ephemeral)?;
                self.payee_key = Some((ephemeral, key.clone()));
                key
            }
        };
        key.open(envelope, hash)
    }
}

/// What was received with an op has a name that follows from the op's: after a restart it is the same.
pub(super) fn id_of(channel: ChannelId, asset: Asset, nonce: u64, place: u32) -> PaymentId {
    // Payments of earlier channels stay in the history.
    let mut data = channel.0.to_vec();
    data.extend(asset);
    data.extend(nonce.to_be_bytes());
    data.extend(place.to_be_bytes());
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(keccak256(data)) {
        *to = from;
    }
    PaymentId(id)
}
