//! Taking over what the hub holds, on a device whose store is lost or old. The hub shows both lanes; signatures, roots
//! and `seen` decide. It can't make anything up; what it can do is hide what it signed itself since our own newest
//! proof, so this is done only when the application asks for it.

use super::receive::id_of;
use super::{Direction, Payment, Status, Wallet, WalletConfig};
use crate::amount::Amount;
use crate::channel::{Channel, Exposure, Incoming, LanePage, Outgoing, ShownLane};
use crate::error::{Code, Error};
use crate::journal::Write;
use crate::lane::{Lane, LockRef};
use crate::map::Map;
use crate::proof::LaneId;
use crate::sign::SecretKey;
use crate::types::{Asset, Side};
use alloc::string::String;
use alloc::vec::Vec;

/// Least distance from the newest accepted proof to the next one: more than what may have been signed in between and
/// refused or lost. With the acknowledgement of the next one, all of that is worth nothing.
const LEAP: u64 = 128;

/// The pages of each lane, as the hub shows them.
pub type Shown = Vec<(LaneId, Vec<LanePage>)>;

impl Wallet {
    /// The writes that bring a store (`entries`, none for a lost one) up to what the hub shows; `None` if it shows
    /// nothing newer. `leap` is fresh randomness: nobody shall know which nonce comes next.
    ///
    /// Refused with `state-outdated` if the hub shows less than its own proofs and ours say that there is, with
    /// `unacknowledged` if it keeps older proofs of ours alive, and as any message if something is not as it was
    /// signed. Nothing changes then.
    pub fn adopt(
        config: WalletConfig,
        key: SecretKey,
        entries: &[(String, Vec<u8>)],
        shown: Shown,
        leap: u16,
        now: u64,
    ) -> Result<Option<Vec<Write>>, Error> {
        let mut wallet = Self::restore(config, key, entries)?;
        if wallet.channel.state().leaving || wallet.channel.state().exit.is_some() {
            return Err(Code::ChannelExiting.into());
        }
        let mut lanes: Map<Asset, (Option<ShownLane>, Option<ShownLane>)> = Map::new();
        for (id, pages) in shown {
            let lane = wallet.channel.read_shown(id, pages)?;
            let of_asset = lanes.or_default(id.asset);
            match id.payer {
                Side::A => of_asset.0 = lane,
                Side::B => of_asset.1 = lane,
            }
        }
        let mut newer = false;
        for (asset, (ours, theirs)) in lanes {
            wallet.check_complete(asset, ours.as_ref(), theirs.as_ref())?;
            let first = ours.is_none() && theirs.is_some();
            newer |= wallet.adopt_theirs(asset, theirs) | wallet.adopt_ours(asset, ours, u64::from(leap))?;
            if first && newer {
                // Perhaps it is hidden.
                wallet.leap(asset, 0, u64::from(leap));
            }
            wallet.list_locks(asset, now);
        }
        let state = &mut wallet.channel.state;
        if !newer {
            // What was shown once is hidden now.
            return if state.outdated { Err(Code::StateOutdated.into()) } else { Ok(None) };
        }
        state.outdated = false;
        state.restored = true;
        let payments: Vec<&Payment> = wallet.payments.values().collect();
        Ok(Some(wallet.journal.snapshot(&(&wallet.channel.state, payments))))
    }

    /// Each proof names the newest one of the other lane that its payer held: what is shown must not be older, nor
    /// older than what we know.
    fn check_complete(&self, asset: Asset, ours: Option<&ShownLane>, theirs: Option<&ShownLane>) -> Result<(), Error> {
        let outdated = |what: &'static str| Err(Error::new(Code::StateOutdated, what));
        let nonce = |shown: Option<&ShownLane>| shown.map_or(0, |shown| shown.signed.proof.nonce);
        let seen = |shown: Option<&ShownLane>| shown.map_or(0, |shown| shown.signed.proof.seen);
        let book = self.channel.book(asset);
        let known_ours = book.map_or(0, |book| book.out.accepted_nonce());
        let known_theirs = book.map_or(0, |book| {
            let bare = book.inc.bare.map_or(0, |signed| signed.proof.nonce);
            book.inc.accepted_nonce().max(bare)
        });
        if nonce(theirs) < seen(ours).max(known_theirs) {
            return outdated("the hub hides its newest proof");
        }
        if nonce(ours) < seen(theirs).max(known_ours) {
            return outdated("the hub hides our newest proof");
        }
        let received = book.map_or(Amount::ZERO, |book| book.inc.lane.transferred);
        if theirs.is_some_and(|shown| shown.lane.transferred < received) {
            return Err(Code::TransferredFell.into());
        }
        Ok(())
    }

    fn adopt_theirs(&mut self, asset: Asset, shown: Option<ShownLane>) -> bool {
        let Some(ShownLane { signed, lane, .. }) = shown else { return false };
        let inc = &mut self.channel.book_mut(asset).inc;
        if signed.proof.nonce <= inc.accepted_nonce() {
            return false;
        }
        let forfeited = inc.forfeited;
        let seen = inc.seen.max(signed.proof.nonce);
        *inc = Incoming { lane, accepted: Some(signed), seen, forfeited, ..Incoming::default() };
        true
    }

    fn adopt_ours(&mut self, asset: Asset, shown: Option<ShownLane>, leap: u64) -> Result<bool, Error> {
        let Some(ShownLane { id, signed, acknowledgement, lane }) = shown else { return Ok(false) };
        let channel = &mut self.channel;
        let nonce = signed.proof.nonce;
        let known = channel.book(asset).is_some_and(|book| book.out.has_signed(&signed));
        if known {
            return Ok(false);
        }
        // Without it the hub could show an older proof, of which we could rebuild nothing. [21]
        let Some(acknowledgement) = acknowledgement else { return Err(Code::Unacknowledged.into()) };
        let digest = signed.proof.acknowledgement_digest(channel.domain(), channel.id(), id);
        acknowledgement.verify(digest, channel.peer_signer())?;
        let spent = lane.spent()?;
        let out = &mut channel.book_mut(asset).out;
        let mut exposures: Vec<Exposure> =
            out.exposures.iter().filter(|exposure| exposure.nonce > nonce).copied().collect();
        exposures.push(Exposure { nonce, spent });
        *out = Outgoing {
            lane,
            accepted: Some(signed),
            acknowledged: Some((signed, acknowledgement)),
            highest: out.highest,
            exposures,
            ..Outgoing::default()
        };
        self.leap(asset, nonce, leap);
        Ok(true)
    }

    /// The next proof is signed at once, and above all that may have been signed since this nonce.
    fn leap(&mut self, asset: Asset, nonce: u64, leap: u64) {
        let out = &mut self.channel.book_mut(asset).out;
        out.highest = out.highest.max(nonce).saturating_add(LEAP).saturating_add(leap);
        out.rebase = true;
    }

    /// Makes the list of payments fit the lanes: those that are gone have ended, those that are new are listed, and
    /// the secrets of payments to us are taken from their envelopes.
    fn list_locks(&mut self, asset: Asset, now: u64) {
        let (ours, theirs) = (self.channel.our_lane(asset), self.channel.their_lane(asset));
        let is_gone =
            |payment: &&Payment| payment.asset == asset && !payment.is_final() && has_ended(&self.channel, payment);
        let gone: Vec<_> = self.payments.values().filter(is_gone).map(|payment| payment.id).collect();
        for id in gone {
            self.change(id, now, |payment| {
                payment.settled = true;
                match payment.direction {
                    // It may have been paid, so it must not be paid again.
                    Direction::Sent if payment.preimage.is_none() || payment.status != Status::Completed => {
                        payment.status = Status::Returning;
                        payment.code = Some(Code::StateOutdated.as_str().into());
                    }
                    Direction::Sent => {}
                    // The hub can't take a payment back before its expiry.
                    Direction::Received if payment.expiry.is_none_or(|expiry| now <= expiry) => {
                        payment.status = Status::Completed;
                    }
                    Direction::Received => {
                        payment.status = Status::Failed;
                        payment.code = Some(Code::StateOutdated.as_str().into());
                    }
                }
            });
        }
        let Some(book) = self.channel.book(asset) else { return };
        let name = |lane: LaneId| {
            move |(slot, pending): (&u16, &crate::lane::PendingLock)| LockRef {
                lane,
                placed: pending.placed,
                slot: *slot,
            }
        };
        let names = |id: LaneId, lane: &Lane| lane.locks.iter().map(name(id)).collect::<Vec<_>>();
        let (sent, received) = (names(ours, &book.out.lane), names(theirs, &book.inc.lane));
        for lock in sent {
            self.list_sent(lock, now);
        }
        for lock in received {
            if !self.by_lock.contains_key(&lock) {
                // What can't be opened can't be claimed: it goes back to its payer.
                let _ = self.take(&lock, now);
            }
        }
    }

    fn list_sent(&mut self, lock: LockRef, now: u64) {
        let Some(pending) = self.channel.lock(&lock) else { return };
        if self.by_lock.contains_key(&lock) {
            return;
        }
        let payment = Payment {
            id: id_of(lock.lane.asset, lock.placed, u32::from(lock.slot)),
            direction: Direction::Sent,
            asset: lock.lane.asset,
            amount: pending.lock.value().unwrap_or(Amount::MAX),
            to: pending.to,
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

/// Whether what carries a payment is in no proof that still counts.
fn has_ended(channel: &Channel, payment: &Payment) -> bool {
    match (payment.lock, payment.op) {
        (Some(lock), _) => channel.lock(&lock).is_none() && !channel.still_counts(&lock),
        (None, Some(op)) => channel.book(op.lane.asset).is_some_and(|book| op.nonce <= book.out.accepted_nonce()),
        (None, None) => false,
    }
}
