//! Streams: payments in units, each of which is paid by showing a word. The words go from payer to payee without the
//! hub; this is how the lock behind them is placed, taken, redeemed and ended.
//!
//! Invariant: the tip of a chain that somebody else made is granted once, ever. [11]

use super::receive::id_of;
use super::{Direction, Event, Payee, Payment, PaymentId, Status, Wallet};
use crate::amount::Amount;
use crate::api::PayeeInfo;
use crate::channel::Event as ChannelEvent;
use crate::codec::stored;
use crate::condition::{ALL_UNITS, Condition, ConditionKey, Kind, MAX_CHAIN};
use crate::envelope::Letter;
use crate::error::{Code, Error};
use crate::journal::{Write, encode};
use crate::lane::{Lock, LockRef, MAX_MEMO, PendingLock};
use crate::sign::SecretKey;
use crate::types::Asset;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use alloy_primitives::{Address, B256, Bytes, keccak256};

/// The part of a payment that is a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stream {
    /// What units are proved by.
    pub condition: Condition,
    /// Price of a unit.
    pub unit_price: Amount,
    /// Units in all.
    pub units: u32,
    /// Units that we showed words for, or that were proved to us.
    pub shown: u32,
    /// Units handed over.
    pub paid: u32,
    /// Whether somebody else makes the words.
    pub granted: bool,
    /// Whether the payee has accepted its side.
    pub accepted: bool,
    /// Whether we want to give the rest up, as soon as what is proved is handed over.
    pub ending: bool,
}

stored!(struct Stream { condition, unit_price, units, shown, paid, granted, accepted, ending });

impl Stream {
    /// As a lane shows it, of which nothing else is known.
    pub(super) fn shown(pending: &PendingLock) -> Option<Self> {
        let Lock { n, unit_price, redeemed, .. } = pending.lock;
        (pending.condition.kind() != Kind::HashLock).then(|| Self {
            condition: pending.condition.clone(),
            unit_price,
            units: n,
            shown: redeemed,
            paid: redeemed,
            granted: true,
            accepted: true,
            ending: false,
        })
    }

    /// It is in no proof that still counts, and how it ended was not seen. What was proved to us the hub could not take
    /// back; what we showed may all have been paid.
    pub(super) fn end_unseen(&self, payment: &mut Payment) {
        payment.settled = true;
        payment.amount = self.worth(self.shown);
        payment.status = match payment.direction {
            Direction::Received if self.shown > 0 => Status::Completed,
            Direction::Received => Status::Failed,
            Direction::Sent => Status::Returning,
        };
        payment.code = (payment.status != Status::Completed).then(|| Code::StateOutdated.into());
    }

    /// What so many units are worth.
    fn worth(&self, units: u32) -> Amount {
        // Checked when it was placed: all units together are worth no more than an amount can be.
        self.unit_price.times(units.min(self.units)).unwrap_or(Amount::MAX)
    }
}

/// Who makes the words of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Words {
    /// We, as a chain of hashes.
    Chain,
    /// Somebody else, as a chain of hashes that ends in this tip.
    Granted(B256),
    /// We, as signed numbers of units.
    Vouchers,
}

/// What to place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamRequest {
    /// Of what.
    pub asset: Asset,
    /// Price of a unit.
    pub unit_price: Amount,
    /// Units in all; for a chain at most 16,384.
    pub units: u32,
    /// Who makes the words.
    pub words: Words,
    /// For the payee alone, at most 256 bytes.
    pub memo: String,
    /// The address that the application named.
    pub to: Address,
    /// What the hub says of it; checked here.
    pub info: PayeeInfo,
    /// When what is not used comes back, Unix seconds.
    pub expiry: u64,
    /// 128 random bits, never used before.
    pub id: [u8; 16],
    /// Fresh randomness for the envelope.
    pub entropy: [u8; 32],
}

/// The word that proves `units` of a chain of `length`, counted from the root.
#[must_use]
pub fn chain_word(root: &[u8; 32], length: u32, units: u32) -> B256 {
    let mut word = B256::from(*root);
    for _ in units..length {
        word = keccak256(word);
    }
    word
}

/// The key that signs the vouchers of a stream, from what [`Wallet::words_secret`] gives.
pub fn voucher_key(seed: &[u8; 32]) -> Result<SecretKey, Error> {
    SecretKey::derive("Farthing voucher key", seed)
}

impl Wallet {
    /// Queues a stream's lock; it is signed with the next commit. [`Event::Payment`] tells how it goes on.
    pub fn stream(&mut self, request: StreamRequest, now: u64) -> Result<PaymentId, Error> {
        self.check_sound()?;
        if request.unit_price.is_zero() || request.units == 0 {
            return Err(Error::new(Code::InvalidAmount, "a stream is of at least one unit, of more than zero"));
        }
        if request.memo.len() > MAX_MEMO {
            return Err(Error::new(Code::InvalidArgument, "a memo has at most 256 bytes"));
        }
        let amount = request.unit_price.times(request.units)?;
        let condition = self.condition_of(&request)?;
        condition.check()?;
        let granted = matches!(request.words, Words::Granted(tip) if self.tips.contains(&tip));
        if (granted || self.has_words_of(&condition)) && !crate::rule_off!(11) {
            return Err(Error::new(Code::DuplicateSecret, "this tip was used before: its words may be known"));
        }
        let letter = Letter { secret: [0; 32], memo: request.memo.clone() };
        let payee = Payee::Channel { to: request.to, info: request.info };
        let StreamRequest { asset, unit_price, units, memo, to, expiry, id, entropy, .. } = request;
        let op =
            self.lock_for(&payee, asset, condition.clone(), (units, unit_price), expiry, &letter, &entropy, &id)?;
        let stream = Stream {
            condition,
            unit_price,
            units,
            shown: 0,
            paid: 0,
            granted: matches!(request.words, Words::Granted(_)),
            accepted: false,
            ending: false,
        };
        let mut payment = Payment::sent(id, asset, amount, to, memo, Some(expiry), now);
        payment.stream = Some(stream);
        self.enqueue(payment, op, now)
    }

    /// What makes the words of a stream of ours: the root of its chain, or the seed of its vouchers' key.
    #[must_use]
    pub fn words_secret(&self, id: &PaymentId) -> Option<[u8; 32]> {
        let stream = self.payments.get(id)?.stream.as_ref().filter(|stream| !stream.granted)?;
        self.secret_of(stream.condition.kind(), &id.0).ok()
    }

    /// Notes that words for so many units of a stream of ours have been shown.
    pub fn note_shown(&mut self, id: &PaymentId, units: u32, now: u64) -> Result<(), Error> {
        self.check_sound()?;
        let stream = self.stream_at(id, Direction::Sent)?;
        if units > stream.units {
            return Err(Error::new(Code::InvalidArgument, "the stream has fewer units"));
        }
        self.change_stream(*id, now, |_, stream| stream.shown = stream.shown.max(units));
        Ok(())
    }

    /// Takes in evidence for a stream to us, stores it, and asks the hub to redeem. Gives the units that it proves.
    pub fn reveal(&mut self, id: &PaymentId, evidence: &Bytes, now: u64) -> Result<u32, Error> {
        self.check_sound()?;
        let stream = self.stream_at(id, Direction::Received)?;
        let (condition, all) = (stream.condition.clone(), stream.units);
        let payment = self.payments.get(id).ok_or_else(|| Error::from(Code::UnknownPayment))?;
        let (lock, expiry) = (payment.lock, payment.expiry.unwrap_or_default());
        let lock = lock.ok_or_else(|| Error::from(Code::UnknownPayment))?;
        let units = condition.evaluate(self.channel.domain(), expiry, evidence)?.min(all);
        // Neither the hub nor the chain takes it: whoever believed it would give something for nothing.
        if self.channel.is_too_late(expiry) {
            return Err(Error::new(Code::PaymentExpired, "the stream has expired: its words count no more"));
        }
        // [22] Of what we gave up the payer may release everything, whatever we are shown after that.
        if self.channel.has_given_up(&lock) && !crate::rule_off!(22) {
            return Err(Error::new(
                Code::PayeeDeclined,
                "the rest of this stream was given up: its words count no more",
            ));
        }
        self.channel.learn(&lock, evidence)?;
        self.change_stream(*id, now, |_, stream| stream.shown = stream.shown.max(units));
        self.react(now);
        Ok(units)
    }

    /// Gives the rest of a stream to us up, as soon as all that is proved is handed over.
    pub fn end_stream(&mut self, id: &PaymentId, now: u64) -> Result<(), Error> {
        self.check_sound()?;
        self.stream_at(id, Direction::Received)?;
        self.change_stream(*id, now, |_, stream| stream.ending = true);
        self.give_rest_up(id);
        Ok(())
    }

    /// From now on streams to us are taken, those that wait as well: somebody shows their words.
    pub fn take_streams(&mut self, now: u64) {
        self.takes_streams = true;
        for lock in core::mem::take(&mut self.undecided) {
            self.take_or_give_up(&lock, now);
        }
    }

    /// Gives up the streams to us that nobody has taken.
    pub fn decline_streams(&mut self) {
        for lock in core::mem::take(&mut self.undecided) {
            let _ = self.channel.give_up(&lock, Code::PayeeDeclined);
        }
    }

    /// How many streams to us nobody has taken yet.
    #[must_use]
    pub fn undecided_streams(&self) -> usize {
        self.undecided.len()
    }

    /// Whether there are streams to us that nobody has taken yet.
    #[must_use]
    pub fn has_undecided_streams(&self) -> bool {
        !self.undecided.is_empty()
    }

    /// Takes a stream's lock, or lets it wait for somebody who does.
    pub(super) fn take_stream(&mut self, lock: &LockRef, now: u64) -> Result<(), Error> {
        let pending = self.channel.lock(lock).ok_or_else(|| Error::from(Code::UnknownPayment))?.clone();
        let letter = self.open(&pending.envelope, &pending.condition.params)?;
        // Whoever counts its words and whoever counts its units would not agree.
        if pending.condition.chain_length().is_some_and(|length| length != pending.lock.n) {
            return Err(Code::UnknownCondition.into());
        }
        if !self.takes_streams {
            self.undecided.insert(*lock);
            return Ok(());
        }
        let id = id_of(self.id(), lock.lane.asset, lock.placed, u32::from(lock.slot));
        let stream = Stream {
            condition: pending.condition,
            unit_price: pending.lock.unit_price,
            units: pending.lock.n,
            // What is left of an earlier device of ours.
            shown: self.channel.known(&pending.lock.key).map_or(0, |known| known.units.min(pending.lock.n)),
            paid: pending.lock.redeemed,
            granted: true,
            accepted: true,
            ending: false,
        };
        let amount = pending.lock.unit_price.times(pending.lock.n)?;
        let payment = Payment {
            lock: Some(*lock),
            stream: Some(stream),
            ..Payment::received(id, lock.lane.asset, amount, letter.memo, Some(pending.expiry), now)
        };
        self.changed.insert(id);
        self.index(payment);
        Ok(())
    }

    /// Locks of streams to us that no payment was made of: whether they are taken is decided anew.
    pub(super) fn recall_undecided(&mut self) {
        let open = |lock: &LockRef| {
            let kind = self.channel.lock(lock).map(|pending| pending.condition.kind());
            matches!(kind, Some(Kind::HashChain | Kind::Voucher))
                && !self.by_lock.contains_key(lock)
                && !self.channel.has_given_up(lock)
        };
        self.undecided = self.channel.incoming_locks().filter(open).collect();
    }

    /// After a connection: what was to be given up, and could not be told.
    pub(super) fn resume_endings(&mut self) {
        let ending = |payment: &&Payment| payment.stream.as_ref().is_some_and(|stream| stream.ending);
        let ids: Vec<PaymentId> = self.payments.values().filter(ending).map(|payment| payment.id).collect();
        for id in ids {
            self.give_rest_up(&id);
        }
    }

    fn give_rest_up(&mut self, id: &PaymentId) {
        let Some(payment) = self.payments.get(id).filter(|payment| !payment.is_final()) else { return };
        let ending = payment.stream.as_ref().is_some_and(|stream| stream.ending);
        if let Some(lock) = payment.lock.filter(|lock| ending && !self.channel.has_given_up(lock)) {
            // Refused while units that we hold evidence for are not handed over; tried again when they are.
            let _ = self.channel.give_up(&lock, Code::PayeeDeclined);
        }
    }

    /// The stream that an event is about.
    pub(super) fn stream_of(&self, event: &ChannelEvent) -> Option<PaymentId> {
        let id = match event {
            ChannelEvent::Held { lock }
            | ChannelEvent::Forwarded { lock }
            | ChannelEvent::Revealed { lock, .. }
            | ChannelEvent::Redeemed { lock, .. }
            | ChannelEvent::Failed { lock, .. }
            | ChannelEvent::Released { lock, .. }
            | ChannelEvent::ReleaseFinal { lock }
            | ChannelEvent::CancelAsked { lock }
            | ChannelEvent::RefusalFinal { lock: Some(lock), .. } => self.by_lock.get(lock)?,
            ChannelEvent::Refused { op, .. } | ChannelEvent::Paid { op } => self.by_op.get(op)?,
            _ => return None,
        };
        self.payments.get(id).filter(|payment| payment.stream.is_some()).map(|payment| payment.id)
    }

    pub(super) fn react_to_stream(&mut self, id: PaymentId, event: ChannelEvent, now: u64) {
        let is_ours = self.payments.get(&id).is_some_and(|payment| payment.direction == Direction::Sent);
        match event {
            ChannelEvent::Held { .. } => self.change_stream(id, now, |payment, _| {
                if payment.status == Status::Pending {
                    payment.status = Status::Held;
                }
            }),
            ChannelEvent::Forwarded { .. } => self.change_stream(id, now, |payment, stream| {
                stream.accepted = true;
                if payment.status == Status::Held {
                    payment.status = Status::Pending;
                }
            }),
            // The payer's own words are what it has shown; what the hub was shown comes on top, for grants.
            ChannelEvent::Revealed { units, .. } => self.change_stream(id, now, |payment, stream| {
                stream.shown = stream.shown.max(units.min(stream.units));
                stream.accepted = true;
                if payment.status == Status::Held {
                    payment.status = Status::Pending;
                }
            }),
            ChannelEvent::Redeemed { units, done, lock, .. } => {
                self.change_stream(id, now, |payment, stream| {
                    // By an update whose units are not known: those that were shown.
                    let units = if units == ALL_UNITS { stream.shown } else { units };
                    stream.paid = stream.paid.max(units.min(stream.units));
                    stream.shown = stream.shown.max(stream.paid);
                    if done {
                        end(payment, stream);
                    }
                });
                self.give_rest_up(&id);
                self.events.push(Event::Balance { asset: lock.lane.asset });
            }
            ChannelEvent::Failed { code, .. } => self.change_stream(id, now, |payment, _| returning(payment, code)),
            ChannelEvent::Refused { code, .. } => self.change_stream(id, now, |payment, _| returning(payment, code)),
            // In our own lane an older proof may still hold it.
            ChannelEvent::Released { redeemed, .. } if is_ours => self.change_stream(id, now, |payment, stream| {
                stream.paid = stream.paid.max(redeemed);
                returning(payment, Code::PaymentExpired.into());
            }),
            ChannelEvent::Released { .. } | ChannelEvent::ReleaseFinal { .. } | ChannelEvent::RefusalFinal { .. } => {
                self.change_stream(id, now, |payment, stream| {
                    payment.code.get_or_insert_with(|| Code::PaymentExpired.into());
                    end(payment, stream);
                });
            }
            ChannelEvent::CancelAsked { .. } => self.events.push(Event::EndAsked { id }),
            // `stream_of` names no other.
            _ => {}
        }
    }

    fn change_stream(&mut self, id: PaymentId, now: u64, edit: impl FnOnce(&mut Payment, &mut Stream)) {
        self.change(id, now, |payment| {
            if payment.is_final() {
                return;
            }
            if let Some(mut stream) = payment.stream.take() {
                edit(payment, &mut stream);
                payment.stream = Some(stream);
            }
        });
    }

    fn stream_at(&self, id: &PaymentId, direction: Direction) -> Result<&Stream, Error> {
        let payment = self.payments.get(id).filter(|payment| payment.direction == direction);
        let stream = payment.and_then(|payment| payment.stream.as_ref());
        stream.ok_or_else(|| Error::new(Code::UnknownPayment, "there is no such stream, or it has ended"))
    }

    fn condition_of(&self, request: &StreamRequest) -> Result<Condition, Error> {
        match request.words {
            Words::Granted(tip) => Ok(Condition::hash_chain(tip, request.units)),
            Words::Chain if request.units > MAX_CHAIN => Err(Error::new(
                Code::InvalidArgument,
                "a chain has at most 16384 units: make the unit coarser, or use vouchers",
            )),
            Words::Chain => {
                let root = self.secret_of(Kind::HashChain, &request.id)?;
                Ok(Condition::hash_chain(chain_word(&root, request.units, 0), request.units))
            }
            Words::Vouchers => {
                let key = voucher_key(&self.secret_of(Kind::Voucher, &request.id)?)?;
                Ok(Condition::voucher(key.address(), keccak256(request.id)))
            }
        }
    }

    /// From the key and a random id that is stored with the payment. [10]
    fn secret_of(&self, kind: Kind, id: &[u8; 16]) -> Result<[u8; 32], Error> {
        let label = if kind == Kind::Voucher { "Farthing voucher seed" } else { "Farthing stream root" };
        Ok(self.signer()?.secret(label, id))
    }

    /// Whether a payment of ours that we know is paid by the same words, whatever its length. A backup has its payments
    /// only, and on an empty device there are those that the hub shows, under ids of their own.
    fn has_words_of(&self, condition: &Condition) -> bool {
        let words = |condition: &Condition| (condition.address, condition.params.get(..32).map(B256::from_slice));
        let same = |payment: &Payment| {
            let stream = payment.stream.as_ref().filter(|_| payment.direction == Direction::Sent);
            stream.is_some_and(|stream| words(&stream.condition) == words(condition))
        };
        self.queued.values().chain(self.payments.values()).any(same)
    }

    /// Remembers a granted tip for ever, in the commit that signs its lock.
    pub(super) fn keep_tip(&mut self, payment: &Payment) -> Option<Write> {
        let tip = granted_tip(payment)?;
        if !self.tips.insert(tip) {
            return None;
        }
        Some(Write::Put { key: format!("{}/tips/{tip:x}", self.journal.prefix()), value: encode(&0_u8) })
    }
}

impl Payment {
    /// The key that a stream's evidence is recorded under; it names the stream to payer, hub and payee alike.
    #[must_use]
    pub fn stream_key(&self) -> Option<ConditionKey> {
        Some(self.stream.as_ref()?.condition.key(self.expiry?))
    }
}

/// The tip of a chain that somebody else pays with, at our expense.
fn granted_tip(payment: &Payment) -> Option<B256> {
    let stream = payment.stream.as_ref().filter(|stream| stream.granted && payment.direction == Direction::Sent)?;
    Some(B256::from_slice(stream.condition.params.get(..32)?))
}

/// Nothing of it can change any more.
fn end(payment: &mut Payment, stream: &Stream) {
    payment.settled = true;
    if stream.paid == 0 {
        payment.status = Status::Failed;
        payment.code.get_or_insert_with(|| Code::PaymentFailed.into());
    } else {
        payment.status = Status::Completed;
        payment.amount = stream.worth(stream.paid);
        payment.code = None;
    }
}

fn returning(payment: &mut Payment, code: crate::reason::Reason) {
    payment.status = Status::Returning;
    payment.code.get_or_insert(code);
}

/// The tips among the entries of a wallet's store.
pub(super) fn tips(prefix: &str, entries: &[(String, Vec<u8>)]) -> crate::map::Set<B256> {
    let prefix = format!("{prefix}/tips/");
    entries.iter().filter_map(|(key, _)| key.strip_prefix(&prefix)?.parse().ok()).collect()
}
