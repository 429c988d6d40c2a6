//! A schedule: the honest machine, the foes around it, the chain, and the messages between them.

use super::chain::{Action, Chain, FINALITY};
use super::contract::{Contract, Without};
use super::foe::{CHAIN_ID, EXTERNAL, Foe, Puzzle, START, Shadow, assets, keys, token};
use super::honest::{Crash, Honest, hub_config, policy};
use super::node::Node;
use super::rng::Rng;
use alloy_primitives::{Address, Bytes};
use farthing_protocol::Amount;
use farthing_protocol::chain::ChainCall;
use farthing_protocol::condition::Condition;
use farthing_protocol::lane::{Lane, Update};
use farthing_protocol::message::Message;
use farthing_protocol::types::{Asset, ChannelId, Side};
use farthing_protocol::wallet::WalletConfig;
use std::collections::{BTreeMap, HashMap};

/// Who is honest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Hub,
    Payer,
    Payee,
}

/// What a schedule is like: drawn once, so that schedules differ in more than their luck.
#[derive(Clone, Debug)]
pub struct Temper {
    pub weights: Vec<u64>,
    /// Percent of the foes' answers that are as they should be.
    pub good: u64,
    /// Percent of messages that are delayed.
    pub delay: u64,
    /// Percent of deliveries after which the honest side commits at once.
    pub prompt: u64,
    /// Percent of amounts and ops within the rules.
    pub decent: u64,
    /// Percent of locks with a condition that was used before.
    pub reuse: u64,
    /// Whether the foes show what brings most, and all evidence for it.
    pub greedy: bool,
    /// Whether most amounts are dust.
    pub petty: bool,
    /// Whether the foes acknowledge nothing.
    pub withholds: bool,
    /// Whether most locks have one condition and one expiry.
    pub echoes: bool,
    /// A foe that never redeems.
    pub silent: Option<usize>,
    /// Whether the honest side lets dust pass.
    pub dust: bool,
    pub steps: u64,
}

pub struct World {
    pub rng: Rng,
    /// For what is rare, so that it does not change all the rest of a schedule.
    pub extra: Rng,
    /// Whether the foes lie about what the honest side accepted.
    pub liar: bool,
    /// Whether the foes refuse payments to show them later, and acknowledge nothing that would replace them.
    pub spiteful: bool,
    /// Whether a foe showed a proof that it had refused: it wants all that this can bring.
    pub vengeful: bool,
    pub role: Role,
    pub temper: Temper,
    pub assets: Vec<Asset>,
    pub chain: Chain,
    pub honest: Honest,
    pub foes: Vec<Foe>,
    pub puzzles: Vec<Puzzle>,
    pub by_condition: HashMap<(Address, Bytes), usize>,
    /// Payments that the honest wallet was asked for, with the secret's place among the puzzles.
    pub asked: BTreeMap<[u8; 16], Option<usize>>,
    pub steps: u64,
    pub trace: Option<Vec<String>>,
    pub broken: Option<String>,
    /// How often something happened that honest sides lost money by elsewhere.
    pub counts: BTreeMap<&'static str, u64>,
}

/// Notes a step of the trace; costs nothing when there is none.
macro_rules! note {
    ($world:expr, $($arg:tt)*) => {
        if let Some(trace) = &mut $world.trace {
            let line = format!($($arg)*);
            trace.push(format!("t+{} {line}", $world.chain.now - super::foe::START));
        }
    };
}
pub(crate) use note;

impl World {
    pub fn new(seed: u64, without: Without, trace: bool) -> Self {
        Self::with(Rng::new(seed), Rng::new(!seed), without, trace)
    }

    /// With `extra` for what is rare, so that it does not change all the rest of a schedule.
    pub fn with(mut rng: Rng, mut extra: Rng, without: Without, trace: bool) -> Self {
        let role = [Role::Hub, Role::Payer, Role::Payee][rng.weighted(&[60, 20, 20])];
        let temper = Temper::random(&mut rng, role);
        let assets = assets(&mut rng);
        let keys = keys();
        // As the rest of what is rare, this changes nothing of what is drawn besides.
        let node = Node::new(Rng::new(extra.clone().draw()));
        let (honest, foes) = if role == Role::Hub {
            let rich = rng.chance(60);
            let config =
                hub_config(keys.domain, keys.honest_owner, &assets, policy(&assets, EXTERNAL, temper.dust), rich);
            let count = if rng.chance(30) { 2 } else { 3 };
            let defs = &keys.hub_defs[..count];
            let foes = defs.iter().zip(&keys.foes).map(|(def, key)| Foe::new(*def, Side::A, key.clone(), &assets));
            let defs = defs.iter().map(|(def, _)| *def).collect();
            let honest = Honest::hub(config, keys.honest.clone(), defs, node);
            (honest, foes.collect())
        } else {
            let config = WalletConfig {
                domain: keys.domain,
                def: keys.wallet_def.0,
                policy: policy(&assets, EXTERNAL, temper.dust),
            };
            let foe = Foe::new(keys.wallet_def, Side::B, keys.foes[0].clone(), &assets);
            (Honest::wallet(config, keys.honest.clone(), node), vec![foe])
        };
        let liar = extra.chance(8);
        let spiteful = extra.chance(8);
        let mut contract = Contract::new(keys.domain, without);
        contract.no_ether = Some(token());
        let mut world = Self {
            rng,
            extra,
            liar,
            spiteful,
            vengeful: false,
            role,
            temper,
            assets,
            chain: Chain::new(contract, CHAIN_ID, keys.domain.contract(), START),
            honest,
            foes,
            puzzles: Vec::new(),
            by_condition: HashMap::new(),
            asked: BTreeMap::new(),
            steps: 0,
            trace: trace.then(Vec::new),
            broken: None,
            counts: BTreeMap::new(),
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        note!(self, "{:?}, {} channels, {:?}", self.role, self.foes.len(), self.assets);
        for foe in 0..self.foes.len() {
            for asset in self.assets.clone() {
                let amount = [0, 100, 1_000, 3_000][self.rng.weighted(&[15, 15, 40, 30])];
                if amount > 0 {
                    self.deposit(foe, asset, amount);
                }
                if self.role != Role::Hub {
                    let own = [0, 200, 1_500][self.rng.weighted(&[10, 30, 60])];
                    self.honest_deposit(asset, own);
                }
            }
        }
        for _ in 0..=FINALITY {
            self.block(10);
        }
        self.honest.take_streams(self.chain.now);
        for foe in 0..self.foes.len() {
            self.honest.connect(self.foes[foe].id, self.chain.now);
        }
        self.poll(None);
        for _ in 0..=FINALITY {
            self.block(10);
        }
    }

    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub fn fail(&mut self, why: impl Into<String>) {
        if self.broken.is_none() {
            let why = why.into();
            note!(self, "BROKEN: {why}");
            self.broken = Some(why);
        }
    }

    pub fn deposit(&mut self, foe: usize, asset: Asset, amount: u128) {
        let Foe { def, side, .. } = self.foes[foe];
        let call = ChainCall::Deposit { channel: def, side, asset, amount: Amount::new(amount) };
        let outcome = self.chain.send(self.foes[foe].owner(), Action::Call(call));
        note!(self, "foe {foe} deposits {amount} {outcome:?}");
    }

    pub fn honest_deposit(&mut self, asset: Asset, amount: u128) {
        if amount > 0 {
            let (def, side) = (self.honest.defs[0], self.foes[0].side.other());
            let call = ChainCall::Deposit { channel: def, side, asset, amount: Amount::new(amount) };
            let outcome = self.chain.send(self.honest.owner, Action::Call(call));
            note!(self, "honest deposits {amount} {outcome:?}");
        }
    }

    /// A new block, and what the honest driver does about it.
    pub fn block(&mut self, seconds: u64) {
        self.chain.mine(seconds);
        self.honest.read_chain(&self.chain);
        let (failures, behind) = self.honest.reader.node.told();
        if failures {
            self.count("looks that failed");
        }
        if behind {
            self.count("nodes behind");
        }
        self.honest.machine.tick(self.chain.now);
        self.poll(None);
        self.tower();
    }

    /// Time passes, in steps that a participant who is there does not miss.
    pub fn pass(&mut self, seconds: u64) {
        let mut left = seconds;
        while left > 0 && self.broken.is_none() {
            let step = left.min(250);
            self.block(step);
            left -= step;
        }
    }

    /// While the honest side can't see the chain, somebody with its newest proofs answers exits for it.
    fn tower(&mut self) {
        if !self.honest.blind {
            return;
        }
        for index in 0..self.honest.defs.len() {
            let channel = self.honest.nth(index);
            let ends = self.chain.contract.exits.get(&channel.id()).copied();
            if ends.is_some_and(|ends| (ends.saturating_sub(300)..=ends).contains(&self.chain.now)) {
                for proof in channel.exit_proofs() {
                    let call = ChainCall::SubmitProofs { channel: self.honest.defs[index], proofs: vec![proof] };
                    let outcome = self.chain.send(self.honest.owner, Action::Call(call));
                    note!(self, "tower answers the exit {outcome:?}");
                }
            }
        }
    }

    /// The honest side commits, and its messages go out.
    pub fn poll(&mut self, crash: Option<Crash>) {
        let before = self.chain.txs.len();
        let messages = match self.honest.poll(&mut self.chain, crash) {
            Ok(messages) => messages,
            Err(error) => return self.fail(format!("poll: {error}")),
        };
        if self.trace.is_some() {
            let sent: Vec<_> = self.chain.txs.iter().skip(before).cloned().collect();
            for tx in sent {
                note!(self, "honest sends {:?} {:?}", label(&tx.action), tx.outcome);
            }
        }
        for (channel, message) in messages {
            self.take_down(channel, message);
        }
    }

    pub fn crash(&mut self, crash: Crash) {
        self.count("crashes and restores");
        note!(self, "crash {crash:?}");
        self.poll(Some(crash));
        for foe in &mut self.foes {
            foe.online = false;
        }
        match self.honest.restore(&self.chain) {
            Ok(true) => {}
            Ok(false) => self.fail("the restored state is not the committed one"),
            Err(error) => self.fail(format!("restore: {error}")),
        }
        self.honest.take_streams(self.chain.now);
        self.honest.read_chain(&self.chain);
    }

    pub fn foe_of(&self, id: ChannelId) -> usize {
        self.foes.iter().position(|foe| foe.id == id).unwrap()
    }

    /// The foe keeps everything that was ever sent to it.
    fn take_down(&mut self, channel: ChannelId, message: Message) {
        let index = self.foe_of(channel);
        if !self.foes[index].online {
            return;
        }
        note!(self, "honest to {index}: {}", brief(&message));
        let us = self.foes[index].side.other();
        if let Message::Update { asset, update } = &message {
            // An update whose base was lost on the way is complete only with what is in flight before it.
            let book = self.honest.channel(&channel).state().assets.get(asset);
            let flying = book.into_iter().flat_map(|book| &book.out.in_flight).map(|flight| flight.update.clone());
            let earlier: Vec<Update> = flying.filter(|flying| flying.proof.nonce < update.proof.nonce).collect();
            for update in earlier.iter().chain([update]) {
                if let Err(why) = shadow_theirs(&mut self.foes[index], *asset, update) {
                    return self.fail(why);
                }
            }
        }
        let foe = &mut self.foes[index];
        match &message {
            Message::Accepted { asset, nonce, acknowledgement } => {
                let lanes = foe.lanes(*asset);
                lanes.accepted = lanes.accepted.max(*nonce);
                let accepted = lanes.mine.iter_mut().rev().find(|shadow| shadow.signed.proof.nonce == *nonce);
                if let (Some(shadow), Some(_)) = (accepted, acknowledgement) {
                    shadow.acknowledgement = *acknowledgement;
                }
            }
            Message::WithdrawSigned { withdrawal, signature } => {
                foe.hold_withdrawal(*withdrawal, us, *signature, Bytes::new());
            }
            Message::WithdrawProposal { withdrawal, signature, owner_signature, .. } => {
                foe.hold_withdrawal(*withdrawal, us, *signature, owner_signature.clone());
            }
            Message::CloseSigned { closing, signature } | Message::CloseProposal { closing, signature, .. } => {
                foe.hold_closing(closing, us, *signature);
            }
            // Taken in above.
            Message::Update { .. } => {}
            // Nothing in it is worth keeping.
            Message::Refused { .. }
            | Message::Reveal { .. }
            | Message::Fail { .. }
            | Message::Cancel { .. }
            | Message::Held { .. }
            | Message::Forwarded { .. }
            | Message::Sync { .. }
            | Message::Funds { .. }
            | Message::Declined { .. } => {}
        }
        if wants_answer(&message) {
            self.foes[index].inbox.push_back(message);
        }
    }

    /// The foe says something: now, later, twice.
    pub fn say(&mut self, foe: usize, message: Message) {
        self.foes[foe].said.push(message.clone());
        if self.rng.chance(self.temper.delay) {
            self.count("messages delayed");
            self.foes[foe].outbox.push(message);
        } else {
            self.deliver(foe, message);
        }
    }

    pub fn deliver(&mut self, foe: usize, message: Message) {
        if !self.foes[foe].online {
            return;
        }
        note!(self, "foe {foe}: {}", brief(&message));
        // Now and then through the wire's encoding.
        let message = if self.rng.chance(6) {
            let text = message.encode().unwrap();
            match Message::decode(&text) {
                Ok(back) if back == message => back,
                other => return self.fail(format!("the wire changes {text} into {other:?}")),
            }
        } else {
            message
        };
        let id = self.foes[foe].id;
        let update = match &message {
            Message::Update { asset, update } => Some((*asset, update.signed_proof())),
            _ => None,
        };
        if let Err(error) = self.honest.machine.handle(id, message, self.chain.now) {
            self.fail(format!("handle: {error}"));
        }
        if let Some((asset, signed)) = update {
            let book = self.honest.channel(&id).state().assets.get(&asset);
            if book.is_some_and(|book| book.inc.accepted == Some(signed)) {
                self.foes[foe].lanes(asset).delivered.push(signed);
            }
        }
        if self.rng.chance(self.temper.prompt) {
            self.poll(None);
        }
    }

    pub fn puzzle_of(&self, condition: &Condition) -> Option<usize> {
        self.by_condition.get(&(condition.address, condition.params.clone())).copied()
    }

    pub fn add_puzzle(&mut self, puzzle: Puzzle) -> usize {
        let key = (puzzle.condition.address, puzzle.condition.params.clone());
        let index = self.puzzles.len();
        self.puzzles.push(puzzle);
        self.by_condition.insert(key, index);
        index
    }
}

/// Whether there is something for the foe to do, or to leave undone.
const fn wants_answer(message: &Message) -> bool {
    match message {
        Message::Update { .. }
        | Message::Reveal { .. }
        | Message::Fail { .. }
        | Message::WithdrawProposal { .. }
        | Message::CloseProposal { .. } => true,
        Message::Accepted { .. }
        | Message::Refused { .. }
        | Message::Cancel { .. }
        | Message::Held { .. }
        | Message::Forwarded { .. }
        | Message::Sync { .. }
        | Message::Funds { .. }
        | Message::WithdrawSigned { .. }
        | Message::CloseSigned { .. }
        | Message::Declined { .. } => false,
    }
}

/// Adds an update of the honest side to the shadow, which it must fit.
fn shadow_theirs(foe: &mut Foe, asset: Asset, update: &Update) -> Result<(), String> {
    let lanes = foe.lanes(asset);
    if let Some(known) = lanes.theirs.get(&update.proof.nonce) {
        let same = known.signed == update.signed_proof();
        return if same { Ok(()) } else { Err("the honest side signed two proofs with one nonce".into()) };
    }
    let base = match update.base {
        0 => Some(Lane::default()),
        base => lanes.theirs.get(&base).map(|shadow| shadow.lane.clone()),
    };
    let Some(mut lane) = base else {
        lanes.orphans.push(update.clone());
        return Ok(());
    };
    lane.apply(update.proof.nonce, &update.ops).map_err(|error| format!("an honest update fails: {error}"))?;
    if lane.statement(update.proof.nonce, update.proof.seen) != update.proof {
        return Err("an honest update does not lead to its proof".into());
    }
    let shadow = Shadow {
        lane,
        signed: update.signed_proof(),
        base: update.base,
        ops: update.ops.clone(),
        acknowledgement: None,
    };
    lanes.theirs.insert(update.proof.nonce, shadow);
    let orphans = std::mem::take(&mut lanes.orphans);
    orphans.iter().try_for_each(|update| shadow_theirs(foe, asset, update))
}

pub fn label(action: &Action) -> String {
    match action {
        Action::Call(call @ ChainCall::SubmitProofs { proofs, .. } | call @ ChainCall::StartExit { proofs, .. }) => {
            let proofs: Vec<_> =
                proofs.iter().map(|(lane, proof, ack)| (lane.payer, proof.proof.nonce, ack.is_some())).collect();
            format!("{} {proofs:?}", call.label())
        }
        Action::Call(call) => call.label().into(),
        Action::SetExternal(units) => format!("set external {units}"),
    }
}

pub fn brief(message: &Message) -> String {
    match message {
        Message::Update { update, .. } => {
            let ops: Vec<String> = update
                .ops
                .iter()
                .map(|op| match op {
                    farthing_protocol::lane::Op::Lock { slot, condition, expiry, n, unit_price, .. } => {
                        format!("lock {slot} {n}x{unit_price} until {} {}", expiry - START, condition.key(*expiry).0)
                    }
                    other => format!("{other:?}"),
                })
                .collect();
            let proof = update.proof;
            format!("update {}<-{} t={} l={} {ops:?}", proof.nonce, update.base, proof.transferred, proof.locked)
        }
        Message::Accepted { nonce, acknowledgement, .. } => {
            format!("accepted {nonce} ack={}", acknowledgement.is_some())
        }
        Message::Refused { nonce, code, .. } => format!("refused {nonce} {code}"),
        Message::Reveal { slot, placed, .. } => format!("reveal {slot}@{placed}"),
        Message::WithdrawProposal { withdrawal, .. } => format!("withdraw? {:?} {}", withdrawal.side, withdrawal.total),
        Message::WithdrawSigned { withdrawal, .. } => format!("withdraw! {:?} {}", withdrawal.side, withdrawal.total),
        Message::CloseProposal { closing, .. } => format!("close? {:?}", closing.assets),
        Message::CloseSigned { closing, .. } => format!("close! {:?}", closing.assets),
        Message::Sync { lanes } => format!("sync of {} lanes", lanes.len()),
        other => format!("{other:?}"),
    }
}
