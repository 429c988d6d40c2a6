//! Taking over what the hub holds, on a device whose store is lost or old. The hub shows both lanes; signatures, roots,
//! `seen`, the chain and what the store still knows decide.
//!
//! What it can't decide: the hub alone signs its own lane. Of what it paid us, it may show less than there was, down to
//! what our store knows and what we have spent. So this is done only when the application asks for it, and refused
//! wherever something does not fit: whoever has a store or a backup can still leave with it.

use super::receive::id_of;
use super::{Direction, Payment, PaymentId, Status, Wallet};
use crate::amount::Amount;
use crate::chain::AssetStatus;
use crate::channel::{Exposure, Incoming, LanePage, MAX_NONCE, Outgoing, ShownLane};
use crate::condition::ConditionKey;
use crate::error::{Code, Error};
use crate::journal::Write;
use crate::lane::{Lane, LockRef, PendingLock};
use crate::map::Map;
use crate::proof::LaneId;
use crate::types::{Asset, Side};
use alloc::string::String;
use alloc::vec::Vec;

/// Least distance from the newest accepted proof to the next one: more than what may have been signed in between and
/// refused or lost. With the acknowledgement of the next one, all of that is worth nothing.
const LEAP: u64 = 128;

/// The pages of each lane, as the hub shows them.
pub type Shown = Vec<(LaneId, Vec<LanePage>)>;

/// Both lanes of an asset.
type Both = (Option<ShownLane>, Option<ShownLane>);

impl Wallet {
    /// The writes that bring a store up to what the hub shows; `None` if it shows nothing newer than a store that is
    /// not lost. The wallet is as the store has it (`lost`: it has nothing), and has been told what the chain says.
    /// `leap` is fresh randomness: nobody shall know which nonce comes next.
    ///
    /// Refused with `state-outdated` if the hub shows less than its proofs, ours, our store and the chain say that there
    /// is; with `unacknowledged` if older or lost proofs of ours would stay alive; with `channel-exiting` while an exit
    /// runs; and as any message if something is not as it was signed, or as no update could have made it. Nothing
    /// changes then.
    pub fn adopt(mut self, shown: Shown, lost: bool, leap: u16, now: u64) -> Result<Option<Vec<Write>>, Error> {
        if self.channel.state().leaving || self.channel.state().exit.is_some() {
            return Err(Code::ChannelExiting.into());
        }
        // [18] What the chain shows has to be what it shows now.
        self.channel.check_fresh(now)?;
        let mut lanes: Map<Asset, Both> = Map::new();
        for (id, pages) in shown {
            // What was closed is decided; what is known of it stays.
            if self.channel.book(id.asset).is_some_and(|book| book.status != AssetStatus::Open) {
                continue;
            }
            let lane = self.channel.read_shown(id, pages)?;
            let of_asset = lanes.or_default(id.asset);
            match id.payer {
                Side::A => of_asset.0 = lane,
                Side::B => of_asset.1 = lane,
            }
        }
        let outdated = self.channel.state().outdated;
        // Of a channel without any money nothing can be lost.
        let lost = lost && self.channel.state().assets.keys().any(|asset| self.channel.has_deposits(*asset));
        let (mut newer, leap) = (false, u64::from(leap));
        for (asset, (ours, theirs)) in lanes {
            self.check_nonces(asset, ours.as_ref(), theirs.as_ref())?;
            self.check_paid(asset, ours.as_ref(), theirs.as_ref())?;
            let before = self.carriers(asset);
            let replaced = self.adopt_ours(asset, ours)?;
            newer |= self.adopt_theirs(asset, theirs) | replaced;
            if (replaced || lost || outdated) && self.channel.has_deposits(asset) {
                self.leap(asset, leap);
            }
            self.list_locks(asset, &before, replaced, now)?;
        }
        if !newer && !lost {
            // What was shown once is hidden now.
            return if outdated { Err(Code::StateOutdated.into()) } else { Ok(None) };
        }
        let state = &mut self.channel.state;
        state.outdated = false;
        state.restored = true;
        let payments: Vec<&Payment> = self.payments.values().collect();
        Ok(Some(self.journal.snapshot(&(&self.channel.state, payments))))
    }

    /// Each proof names the newest one of the other lane that its payer held: what is shown must not be older, nor
    /// older than what we know.
    fn check_nonces(&self, asset: Asset, ours: Option<&ShownLane>, theirs: Option<&ShownLane>) -> Result<(), Error> {
        let nonce = |shown: Option<&ShownLane>| shown.map_or(0, |shown| shown.signed.proof.nonce);
        let seen = |shown: Option<&ShownLane>| shown.map_or(0, |shown| shown.signed.proof.seen);
        let book = self.channel.book(asset);
        let known_ours = book.map_or(0, |book| book.out.accepted_nonce());
        // The hub may not have heard yet that we accepted its newest proof; ours stays then.
        let accepted = book.map_or(0, |book| book.inc.accepted_nonce());
        let bare = book.and_then(|book| book.inc.bare).map_or(0, |signed| signed.proof.nonce);
        if nonce(theirs).max(accepted) < seen(ours).max(bare) {
            return outdated("the hub hides its newest proof");
        }
        if nonce(ours) < seen(theirs).max(known_ours) {
            return outdated("the hub hides our newest proof");
        }
        if nonce(ours).max(nonce(theirs)) >= MAX_NONCE {
            return Err(Code::BadNonce.into());
        }
        Ok(())
    }

    /// The hub signs its lane alone: it must hand over all that our store can claim of it, and all that we have spent;
    /// and it must be able to.
    fn check_paid(&self, asset: Asset, ours: Option<&ShownLane>, theirs: Option<&ShownLane>) -> Result<(), Error> {
        let book = self.channel.book(asset);
        let kept = book
            .map(|book| &book.inc)
            .filter(|inc| theirs.is_none_or(|shown| shown.signed.proof.nonce <= inc.accepted_nonce()));
        let lane = kept.map(|inc| &inc.lane).or(theirs.map(|shown| &shown.lane));
        let (received, spent) = match lane {
            Some(lane) => (lane.transferred, lane.spent()?),
            None => (Amount::ZERO, Amount::ZERO),
        };
        if theirs.is_some_and(|shown| shown.lane.locks.len() > self.channel.policy().max_locks) {
            return Err(Code::TooManyLocks.into());
        }
        let sent = ours.map_or(Ok(Amount::ZERO), |shown| shown.lane.spent())?;
        let of_ours = ours.map_or(Amount::ZERO, |shown| shown.lane.transferred);
        if self.channel.funds(asset, Side::A, received)? < sent {
            return outdated("the hub shows less than we have spent");
        }
        if self.channel.funds(asset, Side::B, of_ours)? < spent {
            return Err(Error::new(Code::InsufficientFunds, "the hub shows more than it has"));
        }
        let Some(book) = book.filter(|_| kept.is_none()) else { return Ok(()) };
        let (mut due, mut shown_due) = (book.inc.lane.transferred, received);
        for (slot, pending) in &book.inc.lane.locks {
            let known = self.channel.state().evidence.get(&pending.lock.key);
            let (units, on_chain) = known.map_or((0, 0), |known| (known.units, known.on_chain));
            let redeemed = pending.lock.redeemed;
            let provable = if self.channel.is_finally_past(pending.expiry) { on_chain } else { units };
            let claim = provable.min(pending.lock.n).saturating_sub(redeemed);
            due = due.plus(pending.lock.unit_price.times(claim)?)?;
            let there = theirs.and_then(|shown| shown.lane.locks.get(slot));
            if let Some(there) = there.filter(|there| there.lock.key == pending.lock.key) {
                let left = provable.min(there.lock.n).saturating_sub(there.lock.redeemed);
                shown_due = shown_due.plus(there.lock.unit_price.times(left)?)?;
            }
        }
        if received < book.inc.bare.map_or(Amount::ZERO, |bare| bare.proof.transferred) {
            return Err(Code::TransferredFell.into());
        }
        if shown_due < due { outdated("the hub shows less than it has to pay") } else { Ok(()) }
    }

    fn adopt_theirs(&mut self, asset: Asset, shown: Option<ShownLane>) -> bool {
        let Some(ShownLane { signed, lane, .. }) = shown else { return false };
        let inc = &mut self.channel.book_mut(asset).inc;
        if signed.proof.nonce <= inc.accepted_nonce() {
            return false;
        }
        let forfeited = inc.forfeited;
        let seen = inc.seen.max(signed.proof.nonce);
        // What we gave up stays given up, if it is the same lock.
        let key = |lane: &Lane, placed: u64, slot: u16| {
            lane.locks.get(&slot).filter(|pending| pending.placed == placed).map(|pending| pending.lock.key)
        };
        let mut given_up = inc.given_up.clone();
        given_up.retain(|(placed, slot)| {
            let here = key(&lane, *placed, *slot);
            here.is_some() && here == key(&inc.lane, *placed, *slot)
        });
        *inc = Incoming { lane, accepted: Some(signed), seen, forfeited, given_up, ..Incoming::default() };
        true
    }

    fn adopt_ours(&mut self, asset: Asset, shown: Option<ShownLane>) -> Result<bool, Error> {
        let Some(ShownLane { id, signed, acknowledgement, lane }) = shown else { return Ok(false) };
        let channel = &mut self.channel;
        let nonce = signed.proof.nonce;
        let known = channel.book(asset).map(|book| &book.out);
        if known.is_some_and(|out| out.has_signed(&signed)) {
            return Ok(false);
        }
        // What we signed above it could be shown as well, and of that we could rebuild nothing any more. [21]
        if known.is_some_and(|out| out.has_refused(&signed) || out.newest_signed() > nonce) {
            return Err(Error::new(Code::Unacknowledged, "we signed more than the hub shows; leave with exit()"));
        }
        // Nor of anything older, unless it is acknowledged away.
        let Some(acknowledgement) = acknowledgement else { return Err(Code::Unacknowledged.into()) };
        let digest = signed.proof.acknowledgement_digest(channel.domain(), channel.id(), id);
        acknowledgement.verify(digest, channel.peer_signer())?;
        let spent = lane.spent()?;
        let out = &mut channel.book_mut(asset).out;
        *out = Outgoing {
            lane,
            accepted: Some(signed),
            acknowledged: Some((signed, acknowledgement)),
            highest: out.highest.max(nonce),
            exposures: [Exposure { nonce, spent }].into(),
            ..Outgoing::default()
        };
        Ok(true)
    }

    /// The next proof is signed at once, and above all that may have been signed and is not known.
    fn leap(&mut self, asset: Asset, leap: u64) {
        let out = &mut self.channel.book_mut(asset).out;
        out.highest = out.highest.saturating_add(LEAP).saturating_add(leap);
        out.rebase = true;
    }

    /// The locks of both lanes, by name, with the keys that no other lock can have.
    fn carriers(&self, asset: Asset) -> Map<LockRef, ConditionKey> {
        let Some(book) = self.channel.book(asset) else { return Map::new() };
        let lanes = [(self.channel.our_lane(asset), &book.out.lane), (self.channel.their_lane(asset), &book.inc.lane)];
        let named = |(id, lane): (LaneId, &Lane)| {
            let named = |(slot, pending): (&u16, &PendingLock)| (name(id, *slot, pending), pending.lock.key);
            lane.locks.iter().map(named).collect::<Vec<_>>()
        };
        lanes.into_iter().flat_map(named).collect()
    }

    /// Makes the list of payments fit the lanes: those that are gone have ended, those that are new are listed, and
    /// the secrets of payments to us are taken from their envelopes.
    fn list_locks(
        &mut self,
        asset: Asset,
        before: &Map<LockRef, ConditionKey>,
        replaced: bool,
        now: u64,
    ) -> Result<(), Error> {
        let live: Vec<Payment> =
            self.payments.values().filter(|payment| payment.asset == asset && !payment.is_final()).cloned().collect();
        for payment in live {
            let Some(lock) = payment.lock else {
                if payment.op.is_some() && replaced {
                    self.end(payment.id, now);
                }
                continue;
            };
            if self.channel.lock(&lock).is_none() && !self.channel.still_counts(&lock) {
                self.end(payment.id, now);
            }
        }
        let Some(book) = self.channel.book(asset) else { return Ok(()) };
        let names = |lane: LaneId, locks: &Map<u16, PendingLock>| {
            locks.iter().map(|(slot, pending)| name(lane, *slot, pending)).collect::<Vec<_>>()
        };
        let sent = names(self.channel.our_lane(asset), &book.out.lane.locks);
        let received = names(self.channel.their_lane(asset), &book.inc.lane.locks);
        for lock in sent.iter().chain(&received).filter(|lock| self.by_lock.contains_key(lock)) {
            // A lock's name is bound by nothing that is signed; its key is.
            if before.get(lock) != self.channel.lock(lock).map(|pending| &pending.lock.key) {
                return Err(Error::new(Code::ProofMismatch, "a lock has the name of another one"));
            }
        }
        for lock in sent {
            self.list_sent(lock, now);
        }
        let margin = self.channel.policy().safety_margin;
        for lock in received {
            // As an update would not be accepted, so no secret is shown for what can't be claimed in time; and what
            // can't be opened goes back to its payer.
            let in_time = self.channel.lock(&lock).is_some_and(|pending| pending.expiry > now.saturating_add(margin));
            let given_up =
                self.channel.book(asset).is_some_and(|book| book.inc.given_up.contains(&(lock.placed, lock.slot)));
            if in_time
                && !given_up
                && !self.by_lock.contains_key(&lock)
                && let Err(error) = self.take(&lock, now)
            {
                let code = if error.code() == Code::BadEvidence { Code::PayeeDeclined } else { error.code() };
                let _ = self.channel.give_up(&lock, code);
            }
        }
        Ok(())
    }

    /// What carried a payment is in no proof that still counts.
    fn end(&mut self, id: PaymentId, now: u64) {
        self.change(id, now, |payment| {
            payment.settled = true;
            let returning = |payment: &mut Payment, status| {
                payment.status = status;
                payment.code = Some(Code::StateOutdated.as_str().into());
            };
            match payment.direction {
                Direction::Sent if payment.status == Status::Completed && payment.preimage.is_some() => {}
                // It may have been paid, so it must not be paid again.
                Direction::Sent => returning(payment, Status::Returning),
                // The hub can't take a payment back before its expiry.
                Direction::Received if payment.expiry.is_none_or(|expiry| now <= expiry) => {
                    payment.status = Status::Completed;
                }
                Direction::Received => returning(payment, Status::Returning),
            }
        });
    }

    /// Whom it is for is bound by nothing that we signed.
    fn list_sent(&mut self, lock: LockRef, now: u64) {
        let Some(pending) = self.channel.lock(&lock) else { return };
        if self.by_lock.contains_key(&lock) {
            return;
        }
        let payment = Payment {
            // What is received with the same nonce and slot has a name without this bit.
            id: id_of(lock.lane.asset, lock.placed, u32::from(lock.slot) | 1 << 31),
            direction: Direction::Sent,
            asset: lock.lane.asset,
            amount: pending.lock.value().unwrap_or(Amount::MAX),
            to: None,
            memo: String::new(),
            status: Status::Pending,
            code: None,
            created: now,
            updated: now,
            expiry: Some(pending.expiry),
            preimage: None,
            settled: false,
            lock: Some(lock),
            op: None,
        };
        self.index(payment);
    }
}

fn outdated(what: &'static str) -> Result<(), Error> {
    Err(Error::new(Code::StateOutdated, what))
}

const fn name(lane: LaneId, slot: u16, pending: &PendingLock) -> LockRef {
    LockRef { lane, placed: pending.placed, slot }
}
