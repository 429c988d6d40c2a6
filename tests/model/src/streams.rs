//! Streams of an honest wallet: those that it pays, whose every word the adversary has, and those that it is paid, of
//! which the adversary shows words as it likes.

use super::foe::{Puzzle, keys};
use super::honest::{MIN_LOCK, SAFETY_MARGIN};
use super::world::{World, note};
use farthing_protocol::Amount;
use farthing_protocol::api::PayeeInfo;
use farthing_protocol::types::Asset;
use farthing_protocol::wallet::{Direction, Payment, Status, StreamRequest, Words};

impl World {
    /// What the wallet's owner does with streams.
    pub fn streams(&mut self, asset: Asset, available: u128) {
        match self.extra.below(10) {
            0..=3 if available > 0 => self.place_stream(asset, available),
            0..=8 => self.show_words(),
            _ => self.end_stream(),
        }
        if self.rng.chance(self.temper.prompt) {
            self.poll(None);
        }
    }

    fn place_stream(&mut self, asset: Asset, available: u128) {
        let now = self.chain.now;
        // Whoever has the root works with the hub.
        let puzzle = Puzzle::chain(&mut self.extra);
        let (units, tip) = (puzzle.units, puzzle.condition.params.get(..32).unwrap().try_into().unwrap());
        let most = (available / u128::from(units)).min(500) as u64;
        if most == 0 {
            return;
        }
        let unit_price = Amount::new(u128::from(self.extra.between(1, most)));
        let (id, entropy) = (self.extra.bytes(), self.extra.bytes());
        let id: [u8; 16] = id[..16].try_into().unwrap();
        let payee = self.extra.index(2);
        let channel = keys().payee_defs[payee];
        let info = PayeeInfo { channel, public_key: keys().public[payee + 1], binding: None, online: true };
        let expiry = now + MIN_LOCK + self.extra.between(0, 12) * 100;
        let (to, words) = (channel.a.owner, Words::Granted(tip));
        let memo = String::new();
        let request = StreamRequest { asset, unit_price, units, words, memo, to, info, expiry, id, entropy };
        let Some(wallet) = self.honest.wallet_mut() else { return };
        let outcome = wallet.stream(request.clone(), now);
        note!(self, "the app places a stream of {units} at {unit_price}: {outcome:?}");
        if outcome.is_err() {
            return;
        }
        self.count("streams placed");
        let puzzle = self.add_puzzle(puzzle);
        self.puzzles[puzzle].expiries.push(expiry);
        self.asked.insert(id, Some(puzzle));
        if self.extra.chance(20) {
            // A hostile site asks for the same tip, and another lock, later.
            self.poll(None);
            let request =
                StreamRequest { id: self.extra.bytes()[..16].try_into().unwrap(), expiry: expiry + 1, ..request };
            let Some(wallet) = self.honest.wallet_mut() else { return };
            if wallet.stream(request, now).is_ok() {
                self.fail("a tip was granted twice");
            }
        }
    }

    /// Words come to the payee's application while they count.
    fn show_words(&mut self) {
        let now = self.chain.now;
        let Some((payment, puzzle)) = self.open_stream() else { return };
        let (Some(stream), Some(expiry)) = (payment.stream, payment.expiry) else { return };
        // An application takes no word that it could not show in time.
        if expiry < now + SAFETY_MARGIN + 100 {
            return;
        }
        let units = self.extra.between(1, u64::from(stream.units)) as u32;
        let forged = self.extra.chance(6);
        let evidence = self.puzzles[puzzle].evidence(expiry, units, forged);
        let Some(wallet) = self.honest.wallet_mut() else { return };
        let outcome = wallet.reveal(&payment.id, &evidence, now);
        note!(self, "the app shows {units} units of {:?}: {outcome:?}", payment.id);
        if outcome.is_ok() {
            self.count("words shown");
        }
    }

    fn end_stream(&mut self) {
        let now = self.chain.now;
        let Some((Payment { id, .. }, _)) = self.open_stream() else { return };
        let Some(wallet) = self.honest.wallet_mut() else { return };
        let outcome = wallet.end_stream(&id, now);
        note!(self, "the app gives the rest of {id:?} up: {outcome:?}");
    }

    /// A stream to the honest wallet, and its puzzle.
    fn open_stream(&mut self) -> Option<(Payment, usize)> {
        let open = |payment: &Payment| {
            payment.stream.is_some() && payment.direction == Direction::Received && !payment.is_final()
        };
        let mut payments = self.honest.wallet_mut()?.payments();
        payments.retain(open);
        let payment = self.extra.pick(&payments)?.clone();
        let puzzle = self.puzzle_of(&payment.stream.as_ref()?.condition)?;
        Some((payment, puzzle))
    }

    /// What a stream brings the honest wallet for certain, or may have cost it.
    pub fn due_of_stream(&self, payment: &Payment) -> i128 {
        let (Some(stream), Some(key)) = (&payment.stream, payment.stream_key()) else { return 0 };
        let price = stream.unit_price.units() as i128;
        match payment.direction {
            // Of what was proved all is paid: what is not redeemed goes on chain, and dust is allowed for.
            Direction::Received => price * i128::from(stream.shown.max(stream.paid)),
            Direction::Sent if payment.status == Status::Failed => 0,
            Direction::Sent if payment.is_final() => -(payment.amount.units() as i128),
            // Units cost something only if they were proved: on chain in time, or to the wallet.
            Direction::Sent => {
                let known =
                    self.honest.channel(&self.foes[0].id).state().evidence.get(&key).map_or(0, |known| known.units);
                let recorded = self.chain.contract.units.get(&key).copied().unwrap_or_default();
                -price * i128::from(stream.paid.max(known).max(recorded).min(stream.units))
            }
        }
    }
}
