//! What the hostile side does in its lanes: it pays, answers, shows and withholds, within the rules and outside.

use super::foe::{EXTERNAL, Opening, Puzzle, Shadow, envelope, keys};
use super::honest::{DUST, MAX_LOCK, MIN_LOCK};
use super::world::{Role, World, note};
use alloy_primitives::{Address, B256, Bytes};
use farthing_protocol::Amount;
use farthing_protocol::lane::{Lane, Op, PendingLock, Update};
use farthing_protocol::message::Message;
use farthing_protocol::proof::{LaneId, Proof, SignedProof};
use farthing_protocol::types::{Asset, ETH};

impl World {
    pub fn any_asset(&mut self) -> Asset {
        if self.rng.chance(80) { ETH } else { *self.rng.pick(&self.assets).unwrap() }
    }

    pub fn any_foe(&mut self) -> usize {
        self.rng.index(self.foes.len())
    }

    /// Signs an update of the foe's lane and says it.
    pub fn pay(&mut self, foe: usize) {
        let asset = self.any_asset();
        let count = self.rng.between(1, 3);
        self.pay_with(foe, asset, count, None);
    }

    /// What the foe may still spend of an asset, as the honest side should see it.
    fn room(&self, foe: usize, asset: Asset, lane: &Lane) -> u128 {
        let Some(book) = self.honest.channel(&self.foes[foe].id).state().assets.get(&asset) else { return 0 };
        let side = self.foes[foe].side;
        let received = book.out.accepted.map_or(0, |signed| signed.proof.transferred.units());
        let withdrawn = book.withdrawals.iter().filter(|signed| signed.withdrawal.side == side);
        let withdrawn = withdrawn.map(|signed| signed.withdrawal.total.units()).max().unwrap_or(0);
        (book.deposits.of(side).units() + received)
            .saturating_sub(withdrawn.max(book.withdrawn.of(side).units()))
            .saturating_sub(lane.spent().map_or(u128::MAX, Amount::units))
    }

    pub fn pay_with(&mut self, foe: usize, asset: Asset, count: u64, first: Option<Op>) {
        let accepted =
            self.honest.channel(&self.foes[foe].id).state().assets.get(&asset).and_then(|book| book.inc.accepted);
        let pipelined = self.rng.chance(25);
        let lanes = self.foes[foe].lanes(asset);
        let known = accepted.map_or(0, |signed| signed.proof.nonce);
        let base = if pipelined { lanes.mine.last().map_or(0, |shadow| shadow.signed.proof.nonce) } else { known };
        let exact = accepted.filter(|signed| signed.proof.nonce == base);
        let mut lane = lanes.own(base, exact).map(|shadow| shadow.lane.clone()).unwrap_or_default();
        let step = if self.rng.chance(8) { self.rng.between(2, 4) } else { 1 };
        let highest = self.foes[foe].lanes(asset).highest;
        let mut nonce = highest.max(known) + step;
        if self.rng.chance(2) {
            nonce = self.rng.between(1, nonce);
        }
        let mut ops = Vec::new();
        let mut first = first;
        for _ in 0..count {
            let op = match first.take() {
                Some(op) => Some(op),
                None => self.any_op(foe, asset, &lane),
            };
            let Some(op) = op else { continue };
            if lane.apply(nonce, std::slice::from_ref(&op)).is_ok() {
                ops.push(op);
            }
        }
        if ops.is_empty() && !self.rng.chance(30) {
            return;
        }
        let theirs = self.foes[foe].lanes(asset).theirs.keys().last().copied().unwrap_or(0);
        let seen = if self.rng.chance(90) { theirs } else { self.rng.below(theirs + 1) };
        let mut proof = lane.statement(nonce, seen);
        let mut forged = false;
        if !self.rng.chance(self.temper.decent.max(85)) {
            forged = self.bend(&mut proof, &mut ops);
        }
        let Self { foes, .. } = self;
        let signer = if forged { &keys().foes[1 - foe.min(1)] } else { &foes[foe].key };
        let id = LaneId { asset, payer: foes[foe].side };
        let signed = SignedProof::sign(proof, &keys().domain, foes[foe].id, id, signer);
        let update = Update { base, ops: ops.clone(), proof, signature: signed.signature };
        let lanes = foes[foe].lanes(asset);
        lanes.highest = lanes.highest.max(nonce);
        lanes.mine.push(Shadow { lane, signed, base, ops, acknowledgement: None });
        self.say(foe, Message::Update { asset, update });
    }

    /// Makes a proof wrong in one place; true if its signature shall be another's.
    fn bend(&mut self, proof: &mut Proof, ops: &mut Vec<Op>) -> bool {
        match self.rng.below(8) {
            0 | 1 => return true,
            2 => {
                proof.transferred =
                    Amount::new(proof.transferred.units().saturating_sub(u128::from(self.rng.below(200))))
            }
            3 => proof.locked = Amount::new(proof.locked.units() / 2),
            4 => proof.locks_root = B256::from(self.rng.bytes()),
            5 => proof.seen += 1,
            6 => {
                ops.pop();
            }
            _ => proof.transferred = Amount::new(proof.transferred.units() + 1),
        }
        false
    }

    /// An op that comes next in the foe's lane.
    fn any_op(&mut self, foe: usize, asset: Asset, lane: &Lane) -> Option<Op> {
        let slots: Vec<u16> = lane.locks.keys().copied().collect();
        let weights = if slots.is_empty() { [75, 25, 0, 0] } else { [45, 12, 28, 15] };
        match self.rng.weighted(&weights) {
            0 => self.any_lock(foe, asset, lane),
            1 => {
                let amount = self.amount(foe, asset, lane)?;
                Some(Op::Transfer { amount: Amount::new(amount), memo: String::new() })
            }
            2 => {
                let slot = *self.rng.pick(&slots)?;
                let pending = lane.locks.get(&slot).unwrap();
                let known = self.known_units(foe, pending);
                let least = pending.lock.redeemed + 1;
                let silent = self.temper.silent == Some(foe);
                let units = if known > pending.lock.redeemed && !silent && self.rng.chance(85) {
                    known
                } else if self.rng.chance(5) {
                    self.rng.between(u64::from(least), u64::from(pending.lock.n).max(u64::from(least))) as u32
                } else {
                    return None;
                };
                Some(Op::Redeem { slot, units })
            }
            _ => {
                let slot = *self.rng.pick(&slots)?;
                let pending = lane.locks.get(&slot).unwrap();
                let given_up = self
                    .honest
                    .channel(&self.foes[foe].id)
                    .state()
                    .assets
                    .get(&asset)
                    .is_some_and(|book| book.inc.given_up.contains(&(pending.placed, slot)));
                let timely = given_up || pending.expiry < self.chain.now;
                (timely || self.rng.chance(25)).then_some(Op::Release { slot })
            }
        }
    }

    /// Units that the honest side has shown evidence for.
    fn known_units(&self, foe: usize, pending: &PendingLock) -> u32 {
        let state = self.honest.channel(&self.foes[foe].id).state();
        state.evidence.get(&pending.lock.key).map_or(0, |known| known.units).min(pending.lock.n)
    }

    fn amount(&mut self, foe: usize, asset: Asset, lane: &Lane) -> Option<u128> {
        let room = self.room(foe, asset, lane);
        let decent = self.rng.chance(self.temper.decent);
        let most = if decent && self.rng.chance(85) {
            room
        } else if decent {
            // With what it was paid and has not accepted.
            let book = self.honest.channel(&self.foes[foe].id).state().assets.get(&asset);
            let flying = book.map_or(0, |book| {
                let accepted = book.out.accepted.map_or(0, |signed| signed.proof.transferred.units());
                book.out.lane.transferred.units().saturating_sub(accepted)
            });
            room + flying
        } else {
            // All that there is, whoever's it should be.
            let record = self.chain.contract.record(self.foes[foe].id, asset);
            record.deposited().saturating_sub(lane.transferred.units())
        };
        if most == 0 {
            return None;
        }
        let amount = match self.rng.weighted(&[35, 30, 35]) {
            _ if self.temper.petty && self.rng.chance(90) => u128::from(self.rng.between(1, DUST as u64 - 1)).min(most),
            0 => u128::from(self.rng.between(1, most.min(2_000) as u64)),
            1 => most,
            _ => u128::from(self.rng.between(1, (DUST as u64) * 2)).min(most),
        };
        Some(amount.min(5_000))
    }

    /// A lock with a condition of the foe's: new, or one that it used before.
    fn any_lock(&mut self, foe: usize, asset: Asset, lane: &Lane) -> Option<Op> {
        let amount = self.amount(foe, asset, lane)?;
        let wallet = self.role != Role::Hub;
        let reuse = if self.temper.echoes { 90 } else { self.temper.reuse };
        // What hurts most is a condition that stands somewhere else just now.
        let latest = self.rng.chance(60);
        let puzzle = if !self.puzzles.is_empty() && self.rng.chance(reuse) {
            if latest { self.puzzles.len() - 1 } else { self.rng.index(self.puzzles.len()) }
        } else {
            let puzzle = match wallet && self.extra.chance(20) {
                // Streams to an honest payee.
                true => Puzzle::chain(&mut self.rng),
                false => Puzzle::random(&mut self.rng, wallet && amount % 16 != 0),
            };
            self.add_puzzle(puzzle)
        };
        let again = self.puzzles[puzzle].expiries.clone();
        let before = if self.rng.chance(60) { again.last() } else { self.rng.pick(&again) };
        let expiry = match before {
            Some(expiry) if self.rng.chance(85) => *expiry,
            _ => {
                self.chain.now
                    + MIN_LOCK
                    + self.rng.between(0, 12) * 100
                    + if self.rng.chance(10) { MAX_LOCK / 2 } else { 0 }
            }
        };
        let expiry = if self.rng.chance(3) { self.chain.now + self.rng.below(2 * MAX_LOCK) } else { expiry };
        self.puzzles[puzzle].expiries.push(expiry);
        let units = match self.puzzles[puzzle].opening {
            Opening::Hash(_) if wallet || self.rng.chance(80) => 1,
            Opening::Hash(_) => self.rng.between(1, 5) as u32,
            _ => self.puzzles[puzzle].units + u32::from(self.rng.chance(10)),
        };
        let price = (amount / u128::from(units)).max(1);
        let nonce = self.rng.bytes();
        let (to, envelope) = match (&self.puzzles[puzzle].opening, wallet) {
            (Opening::Hash(secret), true) if self.rng.chance(92) => {
                (None, envelope(*secret, &self.puzzles[puzzle].condition, &nonce))
            }
            (Opening::Chain(_) | Opening::Voucher, true) if self.rng.chance(92) => {
                (None, envelope([0; 32], &self.puzzles[puzzle].condition, &nonce))
            }
            (_, true) => (None, Bytes::from(nonce.to_vec())),
            (_, false) => (Some(self.any_payee(foe)), Bytes::new()),
        };
        Some(Op::Lock {
            slot: lane.free_slot(0, |_| false)? + if self.rng.chance(5) { 7 } else { 0 },
            condition: self.puzzles[puzzle].condition.clone(),
            expiry,
            n: units,
            unit_price: Amount::new(price),
            to,
            envelope,
        })
    }

    fn any_payee(&mut self, foe: usize) -> Address {
        if self.rng.chance(96) && self.foes.len() > 1 {
            let others: Vec<usize> = (0..self.foes.len()).filter(|other| *other != foe).collect();
            let payee = *self.rng.pick(&others).unwrap();
            return self.foes[payee].owner();
        }
        if self.rng.chance(50) { self.foes[foe].owner() } else { EXTERNAL }
    }

    /// Reacts to one of the messages from the honest side.
    pub fn answer(&mut self, foe: usize) {
        let length = self.foes[foe].inbox.len();
        if length == 0 {
            return;
        }
        let index = if self.rng.chance(85) { 0 } else { self.rng.index(length) };
        let message = self.foes[foe].inbox.remove(index).unwrap();
        let redeems = self.temper.silent != Some(foe) || !matches!(message, Message::Reveal { .. });
        let good = self.rng.chance(self.temper.good) && redeems;
        match message {
            Message::Update { asset, update } => self.answer_update(foe, asset, &update, good),
            Message::Reveal { asset, slot, placed, .. } if good => {
                let units = self.lock_of(foe, asset, slot, placed).map(|pending| self.known_units(foe, &pending));
                if let Some(units) = units {
                    self.pay_with(foe, asset, 1, Some(Op::Redeem { slot, units }));
                }
            }
            Message::Fail { asset, slot, placed, .. } if good && self.lock_of(foe, asset, slot, placed).is_some() => {
                self.pay_with(foe, asset, 1, Some(Op::Release { slot }));
            }
            Message::WithdrawProposal { withdrawal, .. } if good || self.rng.chance(40) => {
                let (id, side) = (self.foes[foe].id, self.foes[foe].side);
                let signature = self.foes[foe].key.sign(keys().domain.digest(&withdrawal.to_abi(id)));
                self.foes[foe].hold_withdrawal(withdrawal, side, signature, Bytes::new());
                if good {
                    self.say(foe, Message::WithdrawSigned { withdrawal, signature });
                }
            }
            Message::CloseProposal { closing, .. } if good || self.rng.chance(60) => {
                let (id, side) = (self.foes[foe].id, self.foes[foe].side);
                let signature = self.foes[foe].key.sign(keys().domain.digest(&closing.to_abi(id)));
                self.foes[foe].hold_closing(&closing, side, signature);
                if good {
                    self.say(foe, Message::CloseSigned { closing, signature });
                }
            }
            // Not now.
            Message::Reveal { .. }
            | Message::Fail { .. }
            | Message::WithdrawProposal { .. }
            | Message::CloseProposal { .. } => {}
            // Never in the inbox, see `wants_answer`.
            Message::Accepted { .. }
            | Message::Refused { .. }
            | Message::Cancel { .. }
            | Message::Held { .. }
            | Message::Forwarded { .. }
            | Message::Sync { .. }
            | Message::Funds { .. }
            | Message::WithdrawSigned { .. }
            | Message::CloseSigned { .. }
            | Message::Declined { .. } => unreachable!("{message:?} wants no answer"),
        }
    }

    /// A lock of the foe's own lane that the honest side holds.
    fn lock_of(&self, foe: usize, asset: Asset, slot: u16, placed: u64) -> Option<PendingLock> {
        let book = self.honest.channel(&self.foes[foe].id).state().assets.get(&asset)?;
        book.inc.lane.locks.get(&slot).filter(|pending| pending.placed == placed).cloned()
    }

    fn answer_update(&mut self, foe: usize, asset: Asset, update: &Update, good: bool) {
        let nonce = update.proof.nonce;
        let due = update.ops.iter().any(|op| matches!(op, Op::Release { .. })) || update.base + 1 != nonce;
        let (accept, acknowledge) = match good {
            true => (true, due),
            false => [(true, false), (true, true), (false, false), (false, true)][self.rng.weighted(&[30, 15, 35, 20])],
        };
        let locks = update.ops.iter().any(|op| matches!(op, Op::Lock { .. }));
        let (accept, acknowledge) = match self.spiteful && locks && self.extra.chance(40) {
            true => (false, false),
            false => (accept, acknowledge),
        };
        if accept {
            let withholds = self.spiteful && !self.foes[foe].lanes(asset).refused.is_empty();
            let acknowledgement = (acknowledge && !self.temper.withholds && !withholds)
                .then(|| self.acknowledge(foe, asset, &update.signed_proof()));
            if due && acknowledgement.is_none() {
                self.count("acknowledgements withheld");
            }
            let lanes = self.foes[foe].lanes(asset);
            lanes.taken = lanes.taken.max(nonce);
            self.say(foe, Message::Accepted { asset, nonce, acknowledgement });
        } else if !acknowledge {
            let taken = self.foes[foe].lanes(asset).taken;
            let last = self.foes[foe].lanes(asset).theirs.get(&taken).map(|shadow| shadow.signed);
            let message = Message::Refused { asset, nonce, code: "bad-op".into(), message: String::new(), last };
            self.foes[foe].lanes(asset).refused.push(nonce);
            self.count("updates refused");
            self.say(foe, message);
        }
        // Otherwise: silence.
    }

    pub fn acknowledge(
        &mut self,
        foe: usize,
        asset: Asset,
        signed: &SignedProof,
    ) -> farthing_protocol::sign::Signature {
        let foe = &self.foes[foe];
        let lane = LaneId { asset, payer: foe.side.other() };
        foe.key.sign(signed.proof.acknowledgement_digest(&keys().domain, foe.id, lane))
    }

    /// A lock of the honest side's lane, in any of its proofs, whose condition the adversary can meet.
    pub fn open_lock(&mut self, foe: usize, asset: Asset) -> Option<(u16, PendingLock, usize)> {
        let newest = self.rng.chance(75);
        let lanes = &self.foes[foe].lanes.get(&asset)?.theirs;
        let index = if newest { lanes.len().checked_sub(1)? } else { self.rng.index(lanes.len()) };
        let (_, shadow) = lanes.iter().nth(index)?;
        let locks: Vec<_> = shadow.lane.locks.iter().collect();
        let (slot, pending) = self.rng.pick(&locks).map(|(slot, pending)| (**slot, (*pending).clone()))?;
        let puzzle = self.puzzle_of(&pending.condition)?;
        Some((slot, pending, puzzle))
    }

    /// Shows the honest payer evidence.
    pub fn reveal(&mut self, foe: usize) {
        let asset = self.any_asset();
        let Some((slot, pending, puzzle)) = self.open_lock(foe, asset) else { return };
        let voucher = matches!(self.puzzles[puzzle].opening, Opening::Voucher);
        let forged = self.rng.chance(if voucher { 30 } else { 6 });
        let units =
            if self.rng.chance(60) { pending.lock.n } else { self.rng.between(1, u64::from(pending.lock.n)) as u32 };
        let evidence = self.puzzles[puzzle].evidence(pending.expiry, units, forged);
        self.say(foe, Message::Reveal { asset, slot, placed: pending.placed, evidence });
    }

    /// Gives a lock of the honest side up, whatever the foe knows.
    pub fn give_up(&mut self, foe: usize) {
        let asset = self.any_asset();
        let Some((slot, pending, _)) = self.open_lock(foe, asset) else { return };
        note!(self, "foe {foe} gives lock {slot} up");
        self.say(foe, Message::Fail { asset, slot, placed: pending.placed, code: "payee-declined".into() });
    }

    /// Asks for a lock of the foe's to be given up.
    pub fn cancel(&mut self, foe: usize) {
        let asset = self.any_asset();
        let book = self.honest.channel(&self.foes[foe].id).state().assets.get(&asset);
        let locks: Vec<(u16, u64)> = book
            .into_iter()
            .flat_map(|book| &book.inc.lane.locks)
            .map(|(slot, pending)| (*slot, pending.placed))
            .collect();
        if let Some((slot, placed)) = self.rng.pick(&locks).copied() {
            self.say(foe, Message::Cancel { asset, slot, placed });
        }
    }
}
