//! The end of a schedule: every channel is left, locks are claimed, and the books are checked.

use super::chain::FINALITY;
use super::contract::ChainLane;
use super::foe::Foe;
use super::honest::{Crash, DUST, DUST_CAP};
use super::world::{Role, World, note};
use alloy_primitives::Address;
use farthing_protocol::chain::{AssetStatus, ChainCall, EvidenceItem, LockClaim};
use farthing_protocol::lane::{Lane, Op, PendingLock};
use farthing_protocol::proof::LaneId;
use farthing_protocol::types::{Asset, ChannelDef, ChannelId, ETH};
use farthing_protocol::wallet::{Direction, Status};

impl World {
    /// Ends the schedule and says what the honest side lost beyond what it may lose.
    pub fn finish(&mut self) -> u128 {
        note!(self, "the end begins");
        self.honest.blind = false;
        if self.rng.chance(25) {
            let crash = if self.rng.chance(50) { Crash::Uncommitted } else { Crash::EffectsLost };
            self.crash(crash);
        }
        for _ in 0..=FINALITY {
            self.block(5);
        }
        self.leave();
        // The challenge period, and after it: what the adversary likes.
        for _ in 0..8 {
            let foe = self.any_foe();
            match self.rng.below(6) {
                0 | 1 => self.submit_proofs(foe),
                2 => self.evidence_for(foe),
                3 => self.submit_held(foe),
                4 => self.reveal(foe),
                _ => self.pass(200),
            }
        }
        if self.temper.greedy || self.vengeful {
            for foe in 0..self.foes.len() {
                self.submit_proofs(foe);
            }
            self.evidence_for_shown();
        }
        self.evidence_near_expiry();
        self.claim_all();
        // All locks that were ever accepted have expired by then.
        self.pass_to_the_end();
        self.claim_all();
        self.poll(None);
        self.check()
    }

    fn is_left(&self, id: ChannelId) -> bool {
        let closed = |asset: &Asset| self.chain.contract.record(id, *asset).status != AssetStatus::Open;
        self.chain.contract.exits.contains_key(&id) || self.assets.iter().all(closed)
    }

    fn leave(&mut self) {
        for foe in 0..self.foes.len() {
            let id = self.foes[foe].id;
            if self.is_left(id) {
                continue;
            }
            if self.rng.chance(50) {
                self.start_exit(foe);
            } else {
                note!(self, "honest leaves");
                self.count("exits by the honest side");
                let _ = self.honest.leave(id, self.chain.now);
                if self.extra.chance(15) {
                    // The other side leaves in the same block, and is mined first.
                    self.start_exit(foe);
                }
                self.poll(None);
            }
            // The honest process may die just when it learns of the exit.
            if self.rng.chance(15) {
                self.chain.mine(1);
                self.honest.read_chain(&self.chain);
                self.crash(Crash::EffectsLost);
            }
        }
        for _ in 0..=FINALITY {
            self.block(5);
        }
        // What was on its way into a channel without money when it was left is there now.
        for foe in 0..self.foes.len() {
            let id = self.foes[foe].id;
            if !self.is_left(id) {
                let _ = self.honest.leave(id, self.chain.now);
                self.poll(None);
            }
        }
        for _ in 0..=FINALITY {
            self.block(5);
        }
    }

    /// Evidence for a lock in any proof that the honest side sent.
    fn evidence_for(&mut self, foe: usize) {
        let asset = self.any_asset();
        let Some((_, pending, puzzle)) = self.open_lock(foe, asset) else { return };
        let units = self.rng.between(1, u64::from(pending.lock.n)) as u32;
        let evidence = self.puzzles[puzzle].evidence(pending.expiry, units, false);
        let item = EvidenceItem { condition: pending.condition, expiry: pending.expiry, evidence };
        self.act(foe, ChainCall::RecordEvidence { items: vec![item] });
    }

    /// A greedy adversary records the evidence of everything that it can still collect.
    fn evidence_for_shown(&mut self) {
        let all = self.rng.chance(50);
        let together = self.extra.chance(50);
        let mut items = Vec::new();
        for foe in 0..self.foes.len() {
            for asset in self.assets.clone() {
                let record = self.chain.contract.record(self.foes[foe].id, asset);
                let shown = record.lanes.of(self.foes[foe].side.other()).nonce;
                let shadow = self.foes[foe].lanes(asset).theirs.get(&shown).cloned();
                for (_, pending) in shadow.into_iter().flat_map(|shadow| shadow.lane.locks) {
                    let Some(puzzle) = self.puzzle_of(&pending.condition) else { continue };
                    if all || self.rng.chance(60) {
                        let evidence = self.puzzles[puzzle].evidence(pending.expiry, pending.lock.n, false);
                        let (condition, expiry) = (pending.condition, pending.expiry);
                        items.push(EvidenceItem { condition, expiry, evidence });
                    }
                }
            }
        }
        for items in items.chunks(if together { 8 } else { 1 }) {
            self.act(0, ChainCall::RecordEvidence { items: items.to_vec() });
        }
    }

    /// Time goes on to the end of all exits; here and there evidence comes in the last moment.
    fn evidence_near_expiry(&mut self) {
        let ends = self.chain.contract.exits.values().copied().max().unwrap_or(self.chain.now);
        while self.chain.now <= ends && self.broken.is_none() {
            self.pass(240);
            if self.rng.chance(20) {
                let foe = self.any_foe();
                self.evidence_for(foe);
            }
        }
        for _ in 0..=FINALITY {
            self.block(5);
        }
    }

    fn pass_to_the_end(&mut self) {
        let locks = |lane: &Lane| lane.locks.values().map(|pending| pending.expiry).max().unwrap_or(0);
        let mut last = self.chain.now;
        for foe in &self.foes {
            for lanes in foe.lanes.values() {
                let mine = lanes.mine.iter().map(|shadow| locks(&shadow.lane));
                let theirs = lanes.theirs.values().map(|shadow| locks(&shadow.lane));
                last = last.max(mine.chain(theirs).max().unwrap_or(0));
            }
        }
        // Locks that nobody accepted may have absurd expiries.
        last = last.min(self.chain.now + 7_000);
        while self.chain.now <= last && self.broken.is_none() {
            if self.rng.chance(30) {
                let foe = self.any_foe();
                self.evidence_for(foe);
            }
            self.block(240);
        }
    }

    /// Everybody claims what is there: in any order, and the adversary first or last. The honest side's own machine
    /// claims, from what it stored.
    fn claim_all(&mut self) {
        let foes_first = self.rng.chance(60);
        for turn in 0..2 {
            if (turn == 1) == foes_first {
                // Its machine acts on what is final.
                for _ in 0..=FINALITY + 1 {
                    self.block(5);
                }
                continue;
            }
            for foe in 0..self.foes.len() {
                if self.extra.chance(30) {
                    // Whatever is over, or never was there, is skipped.
                    let mut assets = self.assets.clone();
                    assets.extend([Address::repeat_byte(0x22), ETH]);
                    let channel = self.foes[foe].def;
                    self.act(foe, ChainCall::Settle { channel, assets });
                }
                for asset in self.assets.clone() {
                    let mut calls = self.claims_of(foe, asset);
                    if self.rng.chance(50) {
                        calls.reverse();
                    }
                    for call in calls {
                        self.act(foe, call);
                    }
                }
            }
        }
    }

    /// The adversary's claims of the locks in the proofs that were settled.
    fn claims_of(&mut self, foe: usize, asset: Asset) -> Vec<ChainCall> {
        // Claims of the honest side's lane may give it something back.
        let helpful = self.rng.chance(60);
        let foe = &self.foes[foe];
        let record = self.chain.contract.record(foe.id, asset);
        if record.status != AssetStatus::Settled {
            return Vec::new();
        }
        let at_once = if self.extra.chance(40) { self.extra.between(2, 8) as usize } else { 1 };
        let mut calls = Vec::new();
        let Some(lanes) = foe.lanes.get(&asset) else { return calls };
        let shown = record.lanes.of(foe.side);
        if let Some(shadow) = lanes.mine.iter().find(|shadow| is_shown(shown, &shadow.lane)) {
            calls.extend(claims(&shadow.lane, foe.def, LaneId { asset, payer: foe.side }, at_once));
        }
        let shown = record.lanes.of(foe.side.other());
        if let Some(shadow) = lanes.theirs.get(&shown.nonce).filter(|_| helpful) {
            calls.extend(claims(&shadow.lane, foe.def, LaneId { asset, payer: foe.side.other() }, at_once));
        }
        calls
    }

    fn check(&mut self) -> u128 {
        for ((id, asset), record) in self.chain.contract.records.clone() {
            let out = record.paid + if record.status == AssetStatus::Settled { record.left } else { 0 };
            let exact = record.status == AssetStatus::Open || out == record.deposited();
            if out > record.deposited() || !exact {
                self.fail(format!("{id}/{asset}: {out} went out of {}", record.deposited()));
            }
        }
        let mut lost = 0;
        for asset in self.assets.clone() {
            let due = if self.role == Role::Hub { self.due_of_hub(asset) } else { self.due_of_wallet(asset) };
            let has = self.chain.contract.account(self.honest.owner, asset);
            note!(self, "{asset}: the honest side has {has}, and is due {due}");
            if has < due {
                lost += due.abs_diff(has);
                self.fail(format!("the honest {:?} lost {} of {asset}", self.role, due.abs_diff(has)));
            }
        }
        lost
    }

    /// What the peer of a channel may owe in dust.
    fn dust_allowance(&self) -> i128 {
        if self.temper.dust { DUST_CAP as i128 } else { 0 }
    }

    /// What an exit left in the honest side's own locks because a claim costs more. It was nobody's but its own: no
    /// cap of what a peer may owe is for this.
    fn left_behind(&self, foe: &Foe, asset: Asset) -> i128 {
        let record = self.chain.contract.record(foe.id, asset);
        let shown = record.lanes.of(foe.side.other());
        let lane = foe.lanes.get(&asset).and_then(|lanes| lanes.theirs.get(&shown.nonce)).map(|shadow| &shadow.lane);
        let locks = lane.filter(|_| self.temper.dust && record.status == AssetStatus::Settled);
        let left = locks.into_iter().flat_map(|lane| &lane.locks).map(|(slot, pending)| {
            let known = self.chain.contract.units.get(&pending.lock.key).copied().unwrap_or_default();
            let rest = pending.lock.n - known.clamp(pending.lock.redeemed, pending.lock.n);
            let returned = shown.claims.get(slot).is_some_and(|(_, returned)| *returned);
            let holds = pending.lock.provable(pending.lock.n).units();
            if returned || holds >= DUST { 0 } else { pending.lock.unit_price.units() as i128 * i128::from(rest) }
        });
        left.sum()
    }

    /// Deposits are in the account's balance already. Forwarding costs nothing, and what was given directly is extra.
    fn due_of_hub(&self, asset: Asset) -> i128 {
        let mut due = 0;
        for foe in &self.foes {
            due -= self.dust_allowance() + self.left_behind(foe, asset);
            let book = self.honest.channel(&foe.id).state().assets.get(&asset);
            let Some(mut accepted) = book.and_then(|book| book.inc.accepted) else { continue };
            let lanes = &foe.lanes[&asset];
            while let Some(shadow) = lanes.own(accepted.proof.nonce, Some(accepted)) {
                let direct = |op: &Op| if let Op::Transfer { amount, .. } = op { amount.units() as i128 } else { 0 };
                due += shadow.ops.iter().map(direct).sum::<i128>();
                let base = lanes.delivered.iter().rfind(|signed| signed.proof.nonce == shadow.base);
                match base.filter(|_| shadow.base < accepted.proof.nonce) {
                    Some(before) => accepted = *before,
                    None => break,
                }
            }
        }
        due
    }

    /// What came in for certain, less what the owner asked to be paid and what was in fact paid.
    fn due_of_wallet(&self, asset: Asset) -> i128 {
        let mut due = -self.dust_allowance() - self.left_behind(&self.foes[0], asset);
        for payment in self.honest.payments().into_iter().filter(|payment| payment.asset == asset) {
            let amount = payment.amount.units() as i128;
            if payment.stream.is_some() {
                due += self.due_of_stream(&payment);
                continue;
            }
            match payment.direction {
                Direction::Received => {
                    // Taken is paid: what is not redeemed goes on chain, and dust is in the allowance above.
                    if payment.lock.is_none() || payment.preimage.is_some() {
                        due += amount;
                    }
                }
                Direction::Sent => {
                    // A lock costs something only if its secret came out: on chain in time, or to the wallet.
                    let proven = self.asked.get(&payment.id.0).copied().flatten().is_some_and(|puzzle| {
                        let condition = &self.puzzles[puzzle].condition;
                        let known = &self.honest.channel(&self.foes[0].id).state().evidence;
                        payment.expiry.is_some_and(|expiry| {
                            let key = condition.key(expiry);
                            self.chain.contract.units.contains_key(&key) || known.contains_key(&key)
                        })
                    });
                    let locked = payment.expiry.is_some();
                    let costs = match payment.status {
                        Status::Completed => true,
                        Status::Failed => false,
                        Status::Pending | Status::Held | Status::Returning => !locked || proven,
                    };
                    if costs {
                        due -= amount;
                    }
                }
            }
        }
        due
    }
}

fn is_shown(shown: &ChainLane, lane: &Lane) -> bool {
    let mut lane = lane.clone();
    lane.root() == shown.root && lane.transferred.units() == shown.transferred
}

fn claims(lane: &Lane, channel: ChannelDef, lane_id: LaneId, at_once: usize) -> Vec<ChainCall> {
    let mut lane = lane.clone();
    let locks: Vec<_> = lane.locks.iter().map(|(slot, pending)| (*slot, pending.clone())).collect();
    let mut claim = |(slot, lock): (u16, PendingLock)| LockClaim { slot, lock, siblings: lane.siblings(slot) };
    let claims: Vec<LockClaim> = locks.into_iter().map(&mut claim).collect();
    claims
        .chunks(at_once)
        .map(|claims| ChainCall::ClaimLocks { channel, lane: lane_id, claims: claims.to_vec() })
        .collect()
}
