//! Taking over lanes that the peer shows, for whoever has lost its store or has an old one: whether they are what they
//! should be by signatures, `seen`, the chain and what is still known; and what they put in the place of ours.

use super::Ledger;
use crate::amount::Amount;
use crate::channel::history::MAX_REFUSED;
use crate::channel::policy::WINDOW;
use crate::channel::sync::MAX_NONCE;
use crate::channel::{Exposure, Incoming, Outgoing, ShownLane};
use crate::error::{Code, Error};
use crate::lane::Lane;
use crate::types::Asset;

/// Least distance from the newest accepted proof to the next one: more than what may have been signed in between and
/// refused or lost. With the acknowledgement of the next one, all of that is worth nothing.
const LEAP: u64 = 256;

// Each of what was refused, and of what is in flight, may skip a nonce.
const _: () = assert!(LEAP as usize > 2 * (MAX_REFUSED + 2 * WINDOW));

impl Ledger {
    /// Takes both lanes of an asset over, where they are newer: whether ours is another now, and whether the peer's is.
    /// Refused if less is shown than there is.
    pub(crate) fn adopt(
        &mut self,
        asset: Asset,
        ours: Option<ShownLane>,
        theirs: Option<ShownLane>,
    ) -> Result<(bool, bool), Error> {
        self.check_nonces(asset, ours.as_ref(), theirs.as_ref())?;
        self.check_paid(asset, ours.as_ref(), theirs.as_ref())?;
        let replaced = self.adopt_ours(asset, ours)?;
        Ok((replaced, self.adopt_theirs(asset, theirs)))
    }

    /// The next proof is signed at once, and above all that may have been signed and is not known. Nothing can have been
    /// where nobody put anything in.
    pub(crate) fn leap(&mut self, asset: Asset, leap: u64) {
        if self.has_deposits(asset) {
            let out = &mut self.book_mut(asset).out;
            out.highest = out.highest.saturating_add(LEAP).saturating_add(leap);
            out.rebase = true;
        }
    }

    /// All lanes are taken over: nothing is signed before the peer has shown what it holds of ours.
    pub(crate) const fn finish_adopting(&mut self) {
        self.state.outdated = false;
        self.state.restored = true;
    }

    /// Each proof names the newest one of the other lane that its payer held: what is shown must not be older, nor
    /// older than what we know.
    fn check_nonces(&self, asset: Asset, ours: Option<&ShownLane>, theirs: Option<&ShownLane>) -> Result<(), Error> {
        let nonce = |shown: Option<&ShownLane>| shown.map_or(0, |shown| shown.signed.proof.nonce);
        let seen = |shown: Option<&ShownLane>| shown.map_or(0, |shown| shown.signed.proof.seen);
        let book = self.book(asset);
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
        let book = self.book(asset);
        let kept = book
            .map(|book| &book.inc)
            .filter(|inc| theirs.is_none_or(|shown| shown.signed.proof.nonce <= inc.accepted_nonce()));
        let lane = kept.map(|inc| &inc.lane).or(theirs.map(|shown| &shown.lane));
        let (received, spent) = match lane {
            Some(lane) => (lane.transferred, lane.spent()?),
            None => (Amount::ZERO, Amount::ZERO),
        };
        if theirs.is_some_and(|shown| shown.lane.locks.len() > self.policy.max_locks) {
            return Err(Code::TooManyLocks.into());
        }
        let sent = ours.map_or(Ok(Amount::ZERO), |shown| shown.lane.spent())?;
        let of_ours = ours.map_or(Amount::ZERO, |shown| shown.lane.transferred);
        if self.funds(asset, self.us, received)? < sent {
            return outdated("the hub shows less than we have spent");
        }
        if self.funds(asset, self.us.other(), of_ours)? < spent {
            return Err(Error::new(Code::InsufficientFunds, "the hub shows more than it has"));
        }
        let Some(book) = book.filter(|_| kept.is_none()) else { return Ok(()) };
        let (mut due, mut shown_due) = (book.inc.lane.transferred, received);
        for (slot, pending) in &book.inc.lane.locks {
            let known = self.known(&pending.lock.key);
            let (units, on_chain) = known.map_or((0, 0), |known| (known.units, known.on_chain));
            let redeemed = pending.lock.redeemed;
            let provable = if self.is_finally_past(pending.expiry) { on_chain } else { units };
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
        let inc = &mut self.book_mut(asset).inc;
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
        let nonce = signed.proof.nonce;
        let known = self.book(asset).map(|book| &book.out);
        if known.is_some_and(|out| out.has_signed(&signed)) {
            return Ok(false);
        }
        // What we signed above it could be shown as well, and of that we could rebuild nothing any more. [21]
        if known.is_some_and(|out| out.has_refused(&signed) || out.newest_signed() > nonce) {
            return Err(Error::new(Code::Unacknowledged, "we signed more than the hub shows; leave with exit()"));
        }
        // Nor of anything older, unless it is acknowledged away.
        let Some(acknowledgement) = acknowledgement else { return Err(Code::Unacknowledged.into()) };
        let digest = signed.proof.acknowledgement_digest(&self.domain, self.id, id);
        acknowledgement.verify(digest, self.peer_signer())?;
        let spent = lane.spent()?;
        let out = &mut self.book_mut(asset).out;
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
}

fn outdated(what: &'static str) -> Result<(), Error> {
    Err(Error::new(Code::StateOutdated, what))
}
