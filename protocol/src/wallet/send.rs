//! Paying: to the hub itself with a transfer, to anyone else with a lock that only the payee can open.

use super::{Payment, PaymentId, Status, Wallet};
use crate::abi;
use crate::amount::Amount;
use crate::api::PayeeInfo;
use crate::channel::Event;
use crate::condition::{Condition, sha256};
use crate::eip712::Domain;
use crate::envelope::{Letter, SharedKey};
use crate::error::{Code, Error};
use crate::lane::{MAX_MEMO, Op};
use crate::sign::{SecretKey, Signature};
use crate::types::{Asset, ChannelDef, Participant, Side};
use alloc::string::String;
use alloy_primitives::{Address, B256};

/// Whom to pay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Payee {
    /// The hub itself.
    Hub,
    /// Somebody with a channel at the same hub.
    Channel {
        /// The address that the application named.
        to: Address,
        /// What the hub says of it; checked here.
        info: PayeeInfo,
    },
}

/// What to pay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PayRequest {
    /// Of what.
    pub asset: Asset,
    /// How much.
    pub amount: Amount,
    /// For the payee alone, at most 256 bytes.
    pub memo: String,
    /// Whom.
    pub to: Payee,
    /// When it comes back if nobody takes it, Unix seconds.
    pub expiry: u64,
    /// 128 random bits, never used before.
    pub id: [u8; 16],
    /// Fresh randomness for the envelope.
    pub entropy: [u8; 32],
}

/// Refuses a payee key that is not bound to the address that was asked for. [19]
pub fn check_payee(domain: &Domain, hub: &Participant, to: Address, info: &PayeeInfo) -> Result<(), Error> {
    check_payee_of(domain, hub, to, info, |_| false)
}

/// The same, where the chain has said of some digests that the owner's contract takes what was shown for its signature.
fn check_payee_of(
    domain: &Domain,
    hub: &Participant,
    to: Address,
    info: &PayeeInfo,
    by_chain: impl Fn(&B256) -> bool,
) -> Result<(), Error> {
    let refuse = |why: &'static str| Err(Error::new(Code::HubFault, why));
    let def = &info.channel;
    def.check()?;
    if def.b != *hub {
        return refuse("the payee's channel is with another hub");
    }
    if info.public_key.address()? != def.a.signer {
        return refuse("the payee's public key is not its signer's");
    }
    if crate::rule_off!(19) || to == def.a.signer {
        return Ok(());
    }
    if to != def.a.owner {
        return refuse("the channel belongs to another address");
    }
    let Some(binding) = &info.binding else {
        return refuse("the payee's owner has not bound its signer");
    };
    let digest = binding_digest(domain, def);
    if by_chain(&digest) {
        return Ok(());
    }
    Signature::from_slice(binding)?.verify(digest, to)
}

/// What a channel's owner signs to bind its signer.
#[must_use]
pub fn binding_digest(domain: &Domain, def: &ChannelDef) -> B256 {
    let id = def.id(domain.chain_id(), domain.contract());
    domain.digest(&abi::Binding { owner: def.a.owner, signer: def.a.signer, channelId: id.0 })
}

impl Wallet {
    /// A final block has said that a payee's owner, a contract, takes what the hub showed for its signature of this binding
    /// (ERC-1271): [`binding_digest`]. Holds as long as the wallet runs, since a channel's signer never changes.
    pub fn note_bound(&mut self, digest: B256) {
        self.bound_by_chain.insert(digest);
    }

    /// Whether that was noted.
    #[must_use]
    pub fn is_noted_bound(&self, digest: &B256) -> bool {
        self.bound_by_chain.contains(digest)
    }

    /// Queues a payment; it is signed with the next commit. [`super::Event::Payment`] tells how it goes on.
    pub fn pay(&mut self, request: PayRequest, now: u64) -> Result<PaymentId, Error> {
        self.check_sound()?;
        if request.amount.is_zero() {
            return Err(Error::new(Code::InvalidAmount, "a payment is of more than zero"));
        }
        if request.memo.len() > MAX_MEMO {
            return Err(Error::new(Code::InvalidArgument, "a memo has at most 256 bytes"));
        }
        let PayRequest { asset, amount, memo, to, expiry, id, entropy } = request;
        let (op, to, expiry) = match &to {
            Payee::Hub => (Op::Transfer { amount, memo: memo.clone() }, self.channel.def().b.owner, None),
            Payee::Channel { to: address, .. } => {
                // [10] From the key and a random id that is stored with the payment; never from a counter.
                let secret = if crate::rule_off!(10) {
                    self.signer()?.secret("Farthing lock secret", &(self.payments.len() as u64).to_be_bytes())
                } else {
                    self.signer()?.secret("Farthing lock secret", &id)
                };
                let letter = Letter { secret, memo: memo.clone() };
                let condition = Condition::hash_lock(sha256(&secret));
                let op = self.lock_for(&to, asset, condition, (1, amount), expiry, &letter, &entropy, &id)?;
                (op, *address, Some(expiry))
            }
        };
        self.enqueue(Payment::sent(id, asset, amount, to, memo, expiry, now), op, now)
    }

    /// Queues what makes a payment.
    pub(super) fn enqueue(&mut self, payment: Payment, op: Op, now: u64) -> Result<PaymentId, Error> {
        let id = payment.id;
        if self.payments.contains_key(&id) || self.queued_ids.contains(&id) {
            return Err(Error::new(Code::DuplicateSecret, "this payment id has been used"));
        }
        self.next_ticket = self.next_ticket.wrapping_add(1);
        let ticket = self.next_ticket;
        self.channel.queue(payment.asset, op, ticket, now)?;
        self.queued_ids.insert(id);
        self.queued.insert(ticket, payment);
        Ok(id)
    }

    /// While the hub is away, payments that are asked for are not signed: whoever gives up waiting can have them back.
    pub const fn hold(&mut self, holding: bool) {
        self.channel.hold(holding);
    }

    /// Takes a payment back that is not signed: it never will be. `false`: it is signed, or not known.
    pub fn take_back(&mut self, id: &PaymentId, why: Code) -> bool {
        let ticket = self.queued.iter().find(|(_, payment)| payment.id == *id).map(|(ticket, _)| *ticket);
        let Some(ticket) = ticket.filter(|ticket| self.channel.unqueue(*ticket)) else { return false };
        self.drop_queued(ticket, why);
        true
    }

    fn drop_queued(&mut self, ticket: u64, why: Code) {
        if let Some(mut payment) = self.queued.remove(&ticket) {
            self.queued_ids.remove(&payment.id);
            payment.status = Status::Failed;
            payment.code = Some(why.into());
            // Nothing was signed, so nothing is stored.
            self.events.push(super::Event::Payment(payment));
        }
    }

    /// Asks the hub to give a payment back that the payee has not taken.
    pub fn cancel(&mut self, id: &PaymentId) -> Result<(), Error> {
        self.check_sound()?;
        let lock = self.payments.get(id).and_then(|payment| payment.lock);
        let lock = lock.ok_or_else(|| Error::from(Code::UnknownPayment))?;
        self.channel.ask_cancel(&lock)?;
        self.asked_back.insert(*id);
        Ok(())
    }

    /// After a connection: the hub may not have heard what was asked of it, or have forgotten it since.
    pub(super) fn repeat_cancels(&mut self) {
        for id in core::mem::take(&mut self.asked_back) {
            let open = self.payments.get(&id).filter(|payment| !payment.is_final());
            let lock = open.and_then(|payment| payment.lock);
            if lock.is_some_and(|lock| self.channel.ask_cancel(&lock).is_ok()) {
                self.asked_back.insert(id);
            }
        }
    }

    /// A lock for somebody else, with a letter that only the payee can open.
    #[allow(clippy::too_many_arguments, reason = "of one payment, which is not there yet")]
    pub(super) fn lock_for(
        &mut self,
        payee: &Payee,
        asset: Asset,
        condition: Condition,
        (n, unit_price): (u32, Amount),
        expiry: u64,
        letter: &Letter,
        entropy: &[u8; 32],
        id: &[u8; 16],
    ) -> Result<Op, Error> {
        let Payee::Channel { to, info } = payee else { return Err(Code::UnknownPayee.into()) };
        let hub = self.channel.def().b;
        check_payee_of(self.channel.domain(), &hub, *to, info, |digest| self.bound_by_chain.contains(digest))?;
        if info.channel.a.signer == self.channel.def().a.signer {
            return Err(Error::new(Code::InvalidArgument, "payer and payee are the same: pay another account"));
        }
        let signer = info.channel.a.signer;
        let key = match self.payer_keys.get(&signer) {
            Some(key) => key.clone(),
            None => {
                let ephemeral = SecretKey::derive("Farthing ephemeral key", entropy)?;
                let key = SharedKey::of_payer(&ephemeral, &info.public_key)?;
                self.payer_keys.insert(signer, key.clone());
                key
            }
        };
        let envelope = key.seal(letter, &condition.params, nonce_of(entropy, id))?;
        let slot = self.channel.free_slot(asset).ok_or_else(|| Error::from(Code::TooManyLocks))?;
        Ok(Op::Lock { slot, condition, expiry, n, unit_price, to: Some(*to), envelope })
    }

    pub(super) fn react_to_paying(&mut self, event: Event, now: u64) {
        match event {
            Event::Signed { ticket, op, lock } => {
                if let Some(mut payment) = self.queued.remove(&ticket) {
                    self.queued_ids.remove(&payment.id);
                    payment.op = Some(op);
                    payment.lock = lock;
                    self.changed.insert(payment.id);
                    self.index(payment);
                }
            }
            Event::Dropped { ticket, error } => self.drop_queued(ticket, error.code()),
            Event::Accepted { lane, nonce } => {
                let done: alloc::vec::Vec<PaymentId> = self
                    .by_op
                    .iter()
                    .filter(|(op, _)| op.lane == lane && op.nonce <= nonce)
                    .map(|(_, id)| *id)
                    .collect();
                for id in done {
                    let Some(payment) = self.payments.get(&id) else { continue };
                    if payment.status == Status::Returning {
                        // It was refused; the proof that was accepted is another one.
                        continue;
                    }
                    // One that failed stays so: what was accepted is, again, another proof.
                    if payment.lock.is_none() && payment.status != Status::Failed {
                        self.change(id, now, |payment| {
                            payment.status = Status::Completed;
                            payment.settled = true;
                        });
                    }
                    if let Some(op) = self.payments.get(&id).and_then(|payment| payment.op) {
                        self.by_op.remove(&op);
                    }
                }
                self.events.push(super::Event::Balance { asset: lane.asset });
            }
            Event::Held { lock } => self.change_by_lock(lock, now, |payment| {
                if payment.status == Status::Pending {
                    payment.status = Status::Held;
                }
            }),
            Event::Revealed { lock, evidence, .. } => {
                let shown = <[u8; 32]>::try_from(evidence.as_ref()).ok();
                let preimage = shown.or_else(|| self.own_secret(&lock));
                self.change_by_lock(lock, now, |payment| {
                    payment.status = Status::Completed;
                    payment.preimage = preimage.or(payment.preimage);
                    payment.code = None;
                });
                self.await_preimage(&lock);
            }
            Event::Redeemed { lock, done: true, .. } => self.change_by_lock(lock, now, |payment| {
                // By a claim on chain, whose evidence we may not have seen yet.
                payment.status = Status::Completed;
                payment.settled = true;
            }),
            Event::Failed { lock, code } => self.change_by_lock(lock, now, |payment| {
                // After an exit the lock is still known, and may have ended.
                if payment.status != Status::Completed && !payment.is_final() {
                    payment.status = Status::Returning;
                    payment.code = Some(code);
                }
            }),
            Event::Released { lock, .. } => self.change_by_lock(lock, now, |payment| {
                if payment.status != Status::Completed && !payment.is_final() {
                    payment.status = Status::Returning;
                    payment.code.get_or_insert_with(|| Code::PaymentExpired.into());
                }
            }),
            Event::Refused { op, code, .. } => self.change_by_op(op, now, |payment| {
                payment.status = Status::Returning;
                payment.code = Some(code);
            }),
            Event::Paid { op } => self.change_by_op(op, now, |payment| {
                payment.status = Status::Completed;
                payment.code = None;
                payment.settled = true;
            }),
            Event::ReleaseFinal { lock } | Event::RefusalFinal { lock: Some(lock), .. } => {
                self.change_by_lock(lock, now, fail);
            }
            Event::RefusalFinal { op, lock: None } => self.change_by_op(op, now, fail),
            // Not all of it yet, nothing that was sent, or no affair of a payment's: `react` has told it.
            Event::Redeemed { .. }
            | Event::Received { .. }
            | Event::LockReceived { .. }
            | Event::Forwarded { .. }
            | Event::CancelAsked { .. }
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

    fn change_by_lock(&mut self, lock: crate::lane::LockRef, now: u64, edit: impl FnOnce(&mut Payment)) {
        if let Some(id) = self.by_lock.get(&lock).copied() {
            self.change(id, now, edit);
        }
    }

    fn change_by_op(&mut self, op: crate::channel::OpRef, now: u64, edit: impl FnOnce(&mut Payment)) {
        if let Some(id) = self.by_op.get(&op).copied() {
            self.change(id, now, edit);
        }
    }
}

fn fail(payment: &mut Payment) {
    if payment.status != Status::Completed {
        payment.status = Status::Failed;
        payment.settled = true;
        payment.code.get_or_insert_with(|| Code::PaymentFailed.into());
    }
}

/// A nonce of 192 bits from the payment's randomness.
fn nonce_of(entropy: &[u8; 32], id: &[u8; 16]) -> [u8; 24] {
    let data = [b"nonce".as_slice(), entropy, id].concat();
    let hash = sha256(&data);
    let mut nonce = [0; 24];
    for (to, from) in nonce.iter_mut().zip(hash) {
        *to = from;
    }
    nonce
}

impl Event {
    /// Whether an event is about the lane that `us` pays with.
    pub(super) fn is_about_paying(&self, us: Side) -> bool {
        match self {
            Self::Signed { .. } | Self::Dropped { .. } | Self::Accepted { .. } => true,
            Self::Refused { op, .. }
            | Self::RefusalFinal { op, .. }
            | Self::Received { op, .. }
            | Self::Paid { op } => op.lane.payer == us,
            Self::LockReceived { lock }
            | Self::Revealed { lock, .. }
            | Self::Redeemed { lock, .. }
            | Self::Released { lock, .. }
            | Self::ReleaseFinal { lock }
            | Self::Failed { lock, .. }
            | Self::CancelAsked { lock }
            | Self::Overdue { lock }
            | Self::Forwarded { lock }
            | Self::Held { lock } => lock.lane.payer == us,
            Self::Chain { .. }
            | Self::PeerFunds { .. }
            | Self::WithdrawalReady { .. }
            | Self::ClosingReady { .. }
            | Self::Declined { .. }
            | Self::ExitStarted { .. }
            | Self::Exit { .. }
            | Self::Outdated => false,
        }
    }
}
