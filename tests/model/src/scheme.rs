//! What the hostile side does around its lanes: withdrawals, closings, the chain, the connection, time; and what
//! the honest side's application asks for.

use super::chain::Action;
use super::foe::{keys, token};
use super::honest::{Crash, MIN_LOCK};
use super::rng::Rng;
use super::world::{Role, Temper, World, label, note};
use alloy_primitives::{Address, Bytes};
use farthing_protocol::Amount;
use farthing_protocol::api::PayeeInfo;
use farthing_protocol::chain::{ChainCall, EvidenceItem};
use farthing_protocol::message::{Closing, ClosingAsset, LaneSync, Message, Withdrawal};
use farthing_protocol::proof::{LaneId, SignedProof};
use farthing_protocol::sign::Signature;
use farthing_protocol::types::Sides;
use farthing_protocol::wallet::{PayRequest, Payee};

/// One move of the schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Move {
    Pay,
    Answer,
    Reveal,
    GiveUp,
    Withdraw,
    Close,
    SubmitHeld,
    Evidence,
    Deposit,
    Exit,
    Proofs,
    Pass,
    Crash,
    Connect,
    App,
    Repeat,
    Blind,
    External,
    Funds,
    Cancel,
    Late,
}

pub const MOVES: [(Move, u64); 21] = [
    (Move::Pay, 30),
    (Move::Answer, 34),
    (Move::Reveal, 18),
    (Move::GiveUp, 5),
    (Move::Withdraw, 4),
    (Move::Close, 3),
    (Move::SubmitHeld, 4),
    (Move::Evidence, 3),
    (Move::Deposit, 2),
    (Move::Exit, 1),
    (Move::Proofs, 1),
    (Move::Pass, 8),
    (Move::Crash, 3),
    (Move::Connect, 5),
    (Move::App, 0),
    (Move::Repeat, 5),
    (Move::Blind, 1),
    (Move::External, 2),
    (Move::Funds, 1),
    (Move::Cancel, 1),
    (Move::Late, 6),
];

impl Temper {
    pub fn random(rng: &mut Rng, role: Role) -> Self {
        let weights = MOVES
            .iter()
            .map(|(kind, weight)| {
                let weight = if *kind == Move::App && role != Role::Hub { 22 } else { *weight };
                weight * [0, 2, 2, 6][rng.weighted(&[12, 33, 33, 22])]
            })
            .collect::<Vec<_>>();
        let weights = if weights.iter().sum::<u64>() == 0 { vec![1; MOVES.len()] } else { weights };
        let mut temper = Self {
            weights,
            good: [97, 85, 60][rng.index(3)],
            delay: [0, 5, 30][rng.index(3)],
            prompt: [100, 90, 60][rng.index(3)],
            decent: [100, 97, 85][rng.index(3)],
            reuse: [10, 25, 60][rng.index(3)],
            greedy: rng.chance(25),
            petty: rng.chance(12),
            withholds: rng.chance(25),
            dust: rng.chance(50),
            echoes: rng.chance(15),
            silent: if rng.chance(30) { Some(rng.index(3)) } else { None },

            steps: rng.between(15, 60),
        };
        if temper.echoes && rng.chance(60) {
            // Foes who work together on one secret: everybody pays and answers, and one of them may be silent.
            let at = |kind: Move| MOVES.iter().position(|(known, _)| *known == kind);
            for (kind, weight) in [(Move::Pay, 60), (Move::Answer, 60), (Move::Reveal, 40)] {
                if let Some(weights) = at(kind).and_then(|index| temper.weights.get_mut(index)) {
                    *weights = weight;
                }
            }
            temper = Self { good: 97, delay: 0, prompt: 100, decent: 100, petty: false, ..temper };
        }
        temper
    }
}

impl World {
    /// One move of the schedule.
    pub fn step(&mut self) {
        self.steps += 1;
        let foe = self.any_foe();
        self.count_exits();
        match MOVES[self.rng.weighted(&self.temper.weights)].0 {
            Move::Pay => self.pay(foe),
            Move::Answer => self.answer(foe),
            Move::Reveal => self.reveal(foe),
            Move::GiveUp => self.give_up(foe),
            Move::Withdraw => self.propose_withdrawal(foe),
            Move::Close => self.propose_closing(foe),
            Move::SubmitHeld => self.submit_held(foe),
            Move::Evidence => self.record_evidence(foe),
            Move::Deposit => {
                let (asset, amount) = (self.any_asset(), u128::from(self.rng.between(1, 1_500)));
                self.deposit(foe, asset, amount);
                if self.rng.chance(30) {
                    self.reorganise();
                }
            }
            Move::Exit => self.start_exit(foe),
            Move::Proofs => self.submit_proofs(foe),
            Move::Pass => {
                let seconds = [self.rng.between(1, 60), 300, 1_300, 4_200][self.rng.weighted(&[55, 25, 14, 6])];
                note!(self, "{seconds} s pass");
                self.pass(seconds);
            }
            Move::Crash => {
                let crash = if self.rng.chance(50) { Crash::Uncommitted } else { Crash::EffectsLost };
                self.crash(crash);
                for foe in 0..self.foes.len() {
                    if self.rng.chance(80) {
                        self.connect(foe);
                    }
                }
            }
            Move::Connect => self.connect(foe),
            Move::App => self.app(),
            Move::Repeat => {
                if let Some(message) = self.rng.pick(&self.foes[foe].said).cloned() {
                    self.count("messages replayed");
                    self.deliver(foe, message);
                }
            }
            Move::Blind => {
                if !self.honest.blind {
                    note!(self, "the honest side is blind");
                    self.honest.blind = true;
                    self.count("chain out of sight");
                    if self.rng.chance(50) {
                        self.start_exit(foe);
                        self.pass(4_200);
                    }
                } else if self.rng.chance(30) {
                    self.honest.blind = false;
                }
            }
            Move::External => {
                let units = self.rng.below(9) as u32;
                let _ = self.chain.send(self.foes[foe].owner(), Action::SetExternal(units));
            }
            Move::Funds => self.claim_funds(foe),
            Move::Cancel => self.cancel(foe),
            Move::Late => {
                let length = self.foes[foe].outbox.len();
                if length > 0 {
                    let index = self.rng.index(length);
                    let message = self.foes[foe].outbox.remove(index);
                    self.count(if index == 0 { "messages delivered late" } else { "messages reordered" });
                    self.deliver(foe, message);
                }
            }
        }
        if self.rng.chance(50) {
            self.poll(None);
        }
    }

    pub fn act(&mut self, foe: usize, call: ChainCall) {
        let action = Action::Call(call);
        let name = if self.trace.is_some() { label(&action) } else { String::new() };
        let outcome = self.chain.send(self.foes[foe].owner(), action);
        note!(self, "foe {foe} sends {name} {outcome:?}");
    }

    fn propose_withdrawal(&mut self, foe: usize) {
        let asset = self.any_asset();
        let side = self.foes[foe].side;
        let Some(book) = self.honest.channel(&self.foes[foe].id).state().assets.get(&asset) else { return };
        let signed = book.withdrawals.iter().filter(|signed| signed.withdrawal.side == side);
        let before = signed.map(|signed| signed.withdrawal.total.units()).max().unwrap_or(0);
        let before = before.max(book.withdrawn.of(side).units());
        let received = book.out.accepted.map_or(0, |signed| signed.proof.transferred.units());
        let spent = book.inc.lane.spent().map_or(0, Amount::units);
        let room = (book.deposits.of(side).units() + received).saturating_sub(before).saturating_sub(spent);
        let most = if self.rng.chance(self.temper.decent) { room } else { room + 500 };
        if most == 0 {
            return;
        }
        let total = before + if self.rng.chance(40) { most } else { u128::from(self.rng.between(1, most as u64)) };
        let deadline = self.chain.now + self.rng.between(1, 18) * 100;
        let recipient = if self.rng.chance(90) { self.foes[foe].owner() } else { self.odd_recipient() };
        let withdrawal = Withdrawal { asset, side, total: Amount::new(total), recipient, deadline };
        let digest = keys().domain.digest(&withdrawal.to_abi(self.foes[foe].id));
        let signature = self.foes[foe].key.sign(digest);
        // Its owner is its signer, so its signature serves as the owner's too.
        let owner =
            if recipient == self.foes[foe].owner() { Bytes::new() } else { signature.as_bytes().to_vec().into() };
        self.foes[foe].hold_withdrawal(withdrawal, side, signature, owner.clone());
        let submit = self.rng.chance(40);
        self.count("withdrawals proposed");
        self.say(foe, Message::WithdrawProposal { withdrawal, signature, owner_signature: owner, submit });
    }

    /// Somebody else, or who takes no ether, or the contract itself.
    fn odd_recipient(&mut self) -> Address {
        [Address::repeat_byte(0x11), token(), keys().domain.contract()][self.extra.weighted(&[40, 40, 20])]
    }

    fn propose_closing(&mut self, foe: usize) {
        let side = self.foes[foe].side;
        let mut assets = self.assets.clone();
        if assets.len() > 1 && self.rng.chance(60) {
            assets.truncate(1);
        }
        let mut entries = Vec::new();
        for asset in assets {
            let Some(book) = self.honest.channel(&self.foes[foe].id).state().assets.get(&asset) else { return };
            let (out, inc) = (book.out.lane.transferred.units(), book.inc.lane.transferred.units());
            let (ours, theirs) = (book.deposits.of(side.other()).units(), book.deposits.of(side).units());
            let (Some(ours), Some(theirs)) = ((ours + inc).checked_sub(out), (theirs + out).checked_sub(inc)) else {
                return;
            };
            let bent = u128::from(!self.rng.chance(self.temper.decent.max(95)));
            let mut totals = Sides::default();
            *totals.of_mut(side) = Amount::new(theirs + bent);
            *totals.of_mut(side.other()) = Amount::new(ours.saturating_sub(bent));
            entries.push(ClosingAsset { asset, totals, deposits: book.deposits });
        }
        let closing = Closing { assets: entries, deadline: self.chain.now + self.rng.between(1, 18) * 100 };
        let signature = self.foes[foe].key.sign(keys().domain.digest(&closing.to_abi(self.foes[foe].id)));
        self.foes[foe].hold_closing(&closing, side, signature);
        let submit = self.rng.chance(30);
        self.count("closings proposed");
        self.say(foe, Message::CloseProposal { closing, signature, submit });
    }

    /// Sends a withdrawal or closing that has been held.
    pub fn submit_held(&mut self, foe: usize) {
        let channel = self.foes[foe].def;
        let withdrawals = self.foes[foe].withdrawals.iter().filter_map(|(withdrawal, signatures, owner)| {
            Some(ChainCall::Withdraw {
                channel,
                withdrawal: *withdrawal,
                signatures: Sides { a: signatures.a?, b: signatures.b? },
                owner_signature: owner.clone(),
            })
        });
        let closings = self.foes[foe].closings.iter().filter_map(|(closing, signatures)| {
            let signatures = Sides { a: signatures.a?, b: signatures.b? };
            Some(ChainCall::Close { channel, closing: closing.clone(), signatures })
        });
        let held: Vec<ChainCall> = withdrawals.chain(closings).collect();
        if let Some(call) = self.rng.pick(&held).cloned() {
            self.count("held withdrawals and closings sent");
            self.act(foe, call);
        }
    }

    pub fn record_evidence(&mut self, foe: usize) {
        if self.puzzles.is_empty() {
            return;
        }
        let puzzle = self.rng.index(self.puzzles.len());
        let expiries = self.puzzles[puzzle].expiries.clone();
        let ahead = self.chain.now + MIN_LOCK + self.rng.between(0, 12) * 100;
        let expiry = self.rng.pick(&expiries).copied().unwrap_or(ahead);
        if expiries.is_empty() {
            self.puzzles[puzzle].expiries.push(expiry);
        }
        let units = self.rng.between(1, u64::from(self.puzzles[puzzle].units)) as u32;
        let forged = self.rng.chance(4);
        let mut items = vec![self.piece(puzzle, expiry, units, forged)];
        // Others beside it, which may be late or prove nothing, must not keep it out.
        while self.extra.chance(40) && items.len() < 6 {
            let other = self.extra.index(self.puzzles.len());
            let units = self.extra.between(1, u64::from(self.puzzles[other].units)) as u32;
            let expiry = self.extra.pick(&self.puzzles[other].expiries).copied().unwrap_or(ahead);
            let forged = self.extra.chance(30);
            let at = self.extra.index(items.len() + 1);
            items.insert(at, self.piece(other, expiry, units, forged));
            self.count("evidence in batches");
        }
        self.act(foe, ChainCall::RecordEvidence { items });
    }

    fn piece(&self, puzzle: usize, expiry: u64, units: u32, forged: bool) -> EvidenceItem {
        let puzzle = &self.puzzles[puzzle];
        let evidence = puzzle.evidence(expiry, units, forged);
        EvidenceItem { condition: puzzle.condition.clone(), expiry, evidence }
    }

    /// Takes a transaction of a foe's back that is not final, an exit too.
    fn reorganise(&mut self) {
        let until = self.chain.final_number();
        let honest = self.honest.owner;
        let open = self.chain.txs.iter().enumerate().filter(|(_, tx)| tx.block > until && tx.from != honest);
        let open: Vec<usize> = open.map(|(index, _)| index).collect();
        if let Some(index) = self.rng.pick(&open).copied() {
            note!(self, "a reorganisation drops {}", label(&self.chain.txs[index].action));
            self.count("reorganisations");
            self.chain.drop_tx(index);
        }
    }

    /// Proofs that suit the foe: any of the honest side's, and its own that were acknowledged.
    pub fn foul_proofs(&mut self, foe: usize) -> Vec<(LaneId, SignedProof, Option<Signature>)> {
        let mut proofs = Vec::new();
        let side = self.foes[foe].side;
        for asset in self.assets.clone() {
            let theirs: Vec<SignedProof> =
                self.foes[foe].lanes(asset).theirs.values().map(|shadow| shadow.signed).collect();
            let choice = match self.rng.weighted(&[25, 45, 30]) {
                _ if self.temper.greedy => {
                    // The one that could bring most.
                    let worth = |signed: &&SignedProof| signed.proof.transferred.units() + signed.proof.locked.units();
                    theirs.iter().max_by_key(worth).copied()
                }
                0 => None,
                1 => self.rng.pick(&theirs).copied(),
                _ => theirs.last().copied(),
            };
            // What it refused, and what the honest side may have taken for gone.
            let refused = self.foes[foe].lanes(asset).refused.clone();
            let refused =
                self.extra.pick(&refused).copied().filter(|_| self.extra.chance(if self.spiteful { 90 } else { 40 }));
            let refused = theirs.iter().find(|signed| Some(signed.proof.nonce) == refused).copied();
            if refused.is_some() {
                self.vengeful = true;
                self.count("refused proofs shown");
            }
            if let Some(signed) = refused.or(choice) {
                if theirs.last() != Some(&signed) {
                    self.count("old proofs shown");
                }
                let acknowledgement = self.rng.chance(15).then(|| self.acknowledge(foe, asset, &signed));
                proofs.push((LaneId { asset, payer: side.other() }, signed, acknowledgement));
            }
            let mine: Vec<(SignedProof, Option<Signature>)> =
                self.foes[foe].lanes(asset).mine.iter().map(|shadow| (shadow.signed, shadow.acknowledgement)).collect();
            let acknowledged = self.rng.chance(85);
            let mine: Vec<_> = mine.into_iter().filter(|(_, ack)| ack.is_some() || !acknowledged).collect();
            if let Some((signed, acknowledgement)) = self.rng.pick(&mine).copied() {
                proofs.push((LaneId { asset, payer: side }, signed, acknowledgement));
            }
        }
        proofs
    }

    /// Whether business goes on in other channels while one is left.
    fn count_exits(&mut self) {
        let left = self.foes.iter().filter(|foe| self.chain.contract.exits.contains_key(&foe.id)).count();
        if left > 0 {
            self.count("moves after an exit");
            if left < self.foes.len() {
                self.count("moves after an exit, with other channels in use");
            }
        }
    }

    pub fn start_exit(&mut self, foe: usize) {
        let channel = self.honest.channel(&self.foes[foe].id);
        let both = channel.state().leaving && channel.state().exit.is_none();
        self.count(if both { "exits by both at once" } else { "exits by the hostile side" });
        let proofs = self.foul_proofs(foe);
        let channel = self.foes[foe].def;
        self.act(foe, ChainCall::StartExit { channel, proofs });
        if !self.chain.contract.exits.contains_key(&self.foes[foe].id) {
            self.act(foe, ChainCall::StartExit { channel, proofs: Vec::new() });
        }
    }

    pub fn submit_proofs(&mut self, foe: usize) {
        let proofs = self.foul_proofs(foe);
        let channel = self.foes[foe].def;
        if self.extra.chance(30) {
            return self.act(foe, ChainCall::SubmitProofs { channel, proofs });
        }
        // One by one: what is refused must not shield the rest.
        for proof in proofs {
            self.act(foe, ChainCall::SubmitProofs { channel, proofs: vec![proof] });
        }
    }

    /// A new connection. What was on its way is lost; the foe's sync tells what it likes.
    pub fn connect(&mut self, foe: usize) {
        note!(self, "foe {foe} connects");
        let (id, now) = (self.foes[foe].id, self.chain.now);
        self.honest.machine.disconnected(id);
        self.foes[foe].online = true;
        self.foes[foe].outbox.clear();
        self.honest.connect(id, now);
        self.poll(None);
        let mut lanes = Vec::new();
        for asset in self.assets.clone() {
            self.count("syncs");
            let entry = self.foes[foe].lanes(asset).clone();
            let theirs: Vec<SignedProof> = entry.theirs.values().map(|shadow| shadow.signed).collect();
            let honestly = self.rng.chance(self.temper.good);
            let accepted = if honestly { theirs.last().copied() } else { self.rng.pick(&theirs).copied() };
            let acknowledgement = match accepted {
                Some(signed) if self.rng.chance(60) => Some(self.acknowledge(foe, asset, &signed)),
                _ => None,
            };
            // What the honest side accepted; a liar names another one, to make it believe that its store is old.
            let book = self.honest.channel(&id).state().assets.get(&asset);
            let held = book.and_then(|book| book.inc.accepted);
            let signed = if self.liar { self.extra.pick(&entry.mine).map(|shadow| shadow.signed) } else { held };
            lanes.push(LaneSync { asset, signed, accepted, acknowledgement });
        }
        if self.rng.chance(85) {
            self.say(foe, Message::Sync { lanes });
        }
    }

    fn claim_funds(&mut self, foe: usize) {
        let asset = self.any_asset();
        let mut amount = || Amount::new(u128::from(self.rng.below(4_000)));
        let deposits = Sides { a: amount(), b: amount() };
        self.say(foe, Message::Funds { asset, deposits });
    }

    /// What the wallet's owner does.
    fn app(&mut self) {
        let asset = self.any_asset();
        let now = self.chain.now;
        let Some(wallet) = self.honest.wallet_mut() else { return };
        let available = wallet.balance(asset).available;
        if self.extra.chance(30) {
            return self.streams(asset, available.units());
        }
        match self.rng.weighted(&[60, 16, 8, 5, 8, 3]) {
            choice @ (0 | 1) if available.units() > 0 => {
                let most = available.units().min(2_000) as u64;
                let amount = if self.rng.chance(30) { most } else { self.rng.between(1, most) };
                let (id, entropy) = (self.rng.bytes(), self.rng.bytes());
                let id: [u8; 16] = id[..16].try_into().unwrap();
                let payee = self.rng.index(2);
                let info = PayeeInfo {
                    channel: keys().payee_defs[payee],
                    public_key: keys().public[payee + 1],
                    binding: None,
                    online: true,
                };
                let to = match choice {
                    0 => Payee::Channel { to: info.channel.a.owner, info },
                    _ => Payee::Hub,
                };
                let expiry = now + MIN_LOCK + self.rng.between(0, 12) * 100;
                let amount = Amount::new(u128::from(amount));
                let request =
                    PayRequest { asset, amount, memo: String::new(), to, expiry, id, entropy: [entropy[0] % 2; 32] };
                let Some(wallet) = self.honest.wallet_mut() else { return };
                let outcome = wallet.pay(request, now);
                note!(self, "the app pays {amount} ({choice}): {outcome:?}");
                if outcome.is_ok() {
                    // Its payee works with the hub.
                    let secret = keys().honest.secret("Farthing lock secret", &id);
                    let puzzle = (choice == 0).then(|| self.add_puzzle(super::foe::Puzzle::hash(secret)));
                    if let Some(puzzle) = puzzle {
                        self.puzzles[puzzle].expiries.push(expiry);
                    }
                    self.asked.insert(id, puzzle);
                }
            }
            2 if available.units() > 0 => {
                let amount = Amount::new(u128::from(self.rng.between(1, available.units() as u64)));
                let deadline = now + self.rng.between(1, 18) * 100;
                let (owner, submit) = (self.honest.owner, self.rng.chance(40));
                let Some(wallet) = self.honest.wallet_mut() else { return };
                let outcome = wallet.withdraw(asset, amount, owner, Bytes::new(), deadline, submit);
                note!(self, "the app withdraws {amount}: {:?}", outcome.is_ok());
            }
            3 => {
                let (assets, submit) = (self.assets.clone(), self.rng.chance(40));
                let deadline = now + self.rng.between(1, 18) * 100;
                let Some(wallet) = self.honest.wallet_mut() else { return };
                let outcome = wallet.close(&assets, deadline, submit);
                note!(self, "the app closes: {:?}", outcome.is_ok());
            }
            4 => {
                let ids: Vec<_> = self.asked.keys().copied().collect();
                if let (Some(id), Some(wallet)) = (self.rng.pick(&ids).copied(), self.honest.wallet_mut()) {
                    let _ = wallet.cancel(&farthing_protocol::wallet::PaymentId(id));
                }
            }
            5 => {
                let amount = u128::from(self.rng.between(1, 900));
                self.honest_deposit(asset, amount);
            }
            // Without money.
            0..=2 => {}
            _ => unreachable!("there are six choices"),
        }
        if self.rng.chance(self.temper.prompt) {
            self.poll(None);
        }
    }
}
