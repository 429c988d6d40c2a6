//! A chain that can be reorganised, a node that shows it as nodes do, and a driver with a store and a listener.
#![allow(non_snake_case, reason = "the contract's events name their fields so")]

use crate::abi::IFarthing;
use crate::abi::IFarthing::{IFarthingCalls, IFarthingEvents};
use crate::amount::Amount;
use crate::chain::{ChainFact, Head};
use crate::condition::ConditionKey;
use crate::error::{Code, Error};
use crate::reading::{
    Answer, Asking, Block, Cursor, Failure, Heard, Log, Manner, Question, Reading, ReadingConfig, Request, Step, Tag,
    Told,
};
use crate::types::{ChannelDef, ChannelId, ETH, Participant};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use alloy_primitives::{Address, B256, Bytes, IntoLogData, U256};
use alloy_sol_types::{SolInterface, SolValue};

pub(super) const CONTRACT: Address = Address::repeat_byte(0xfa);
pub(super) const CONFIRMATIONS: u64 = 3;

pub(super) fn channel(n: u8) -> ChannelId {
    ChannelId(B256::repeat_byte(n))
}

pub(super) fn key(n: u8) -> ConditionKey {
    ConditionKey(B256::repeat_byte(n))
}

pub(super) fn def(n: u8) -> ChannelDef {
    let participant = |n| Participant { owner: Address::repeat_byte(n), signer: Address::repeat_byte(n) };
    ChannelDef { a: participant(n), b: participant(200), challenge_period: 3_600, salt: 0 }
}

/// What a block may hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Open(u8),
    /// The channel's deposits of side A are this much from now on.
    Deposit(u8, u128),
    Exit(u8, u64),
    /// The exit was shown a proof with this nonce.
    Shown(u8, u64),
    Evidence(u8, u32),
    Claimed(u8, u32),
}

#[derive(Clone, Debug)]
struct SimBlock {
    block: Block,
    events: Vec<Event>,
}

/// Blocks by their height, and how many were ever made.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    blocks: Vec<SimBlock>,
    made: u64,
}

/// The contract at the end of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) deposits: BTreeMap<u8, u128>,
    pub(super) exits: BTreeMap<u8, u64>,
    pub(super) shown: BTreeMap<u8, u64>,
    pub(super) units: BTreeMap<u8, u32>,
}

impl Chain {
    pub(super) fn of(length: u64) -> Self {
        let mut chain = Self::default();
        for _ in 0..length {
            chain.mine([]);
        }
        chain
    }

    pub(super) fn mine(&mut self, events: impl IntoIterator<Item = Event>) {
        self.made += 1;
        let (number, hash) = (self.blocks.len() as u64, B256::from(U256::from(self.made)));
        let block = Block { number, hash, timestamp: 1_000 + 12 * number };
        self.blocks.push(SimBlock { block, events: events.into_iter().collect() });
    }

    /// Takes the last blocks back and mines as many others, without what was in them.
    pub(super) fn reorganise(&mut self, depth: u64) {
        let height = self.blocks.len() as u64;
        self.blocks.truncate(height.saturating_sub(depth).max(1) as usize);
        while (self.blocks.len() as u64) < height {
            self.mine([]);
        }
    }

    /// The same chain, which goes on in another way.
    pub(super) fn fork(&self) -> Self {
        Self { made: self.made + 1_000, ..self.clone() }
    }

    pub(super) fn cut(&mut self, height: u64) {
        self.blocks.truncate(height as usize);
    }

    pub(super) fn newest(&self) -> u64 {
        self.blocks.len() as u64 - 1
    }

    pub(super) fn block(&self, number: u64) -> Option<Block> {
        self.blocks.get(usize::try_from(number).ok()?).map(|block| block.block)
    }

    pub(super) fn state(&self, number: u64) -> State {
        let mut state = State::default();
        for event in self.blocks.iter().take(number as usize + 1).flat_map(|block| &block.events) {
            match *event {
                Event::Deposit(channel, total) => drop(state.deposits.insert(channel, total)),
                Event::Exit(channel, ends_at) => drop(state.exits.insert(channel, ends_at)),
                Event::Shown(channel, nonce) => drop(state.shown.insert(channel, nonce)),
                Event::Evidence(key, units) => drop(state.units.insert(key, units)),
                Event::Open(_) | Event::Claimed(..) => {}
            }
        }
        state
    }

    pub(super) fn evidence(&self, from: u64, to: u64) -> BTreeSet<u8> {
        let blocks = self.blocks.iter().filter(|block| (from..=to).contains(&block.block.number));
        let keys = blocks.flat_map(|block| &block.events).filter_map(|event| match event {
            Event::Evidence(key, _) => Some(*key),
            _ => None,
        });
        keys.collect()
    }

    pub(super) fn logs(&self, from: u64, to: u64) -> Vec<Log> {
        let blocks = self.blocks.iter().filter(|block| (from..=to).contains(&block.block.number));
        let logs = blocks.flat_map(|SimBlock { block, events }| {
            events.iter().enumerate().map(|(index, event)| {
                let (topics, data) = encode(*event).split();
                let (number, hash) = (block.number, Some(block.hash));
                let index = Some(index as u64);
                Log { address: CONTRACT, topics, data, block: number, block_hash: hash, index, removed: false }
            })
        });
        logs.collect()
    }

    fn call(&self, call: &[u8], number: u64) -> Bytes {
        let state = self.state(number);
        let id = |channel: B256| channel.0[0];
        match IFarthingCalls::abi_decode(call).unwrap() {
            IFarthingCalls::assetState(call) => {
                let deposit = state.deposits.get(&id(call.channelId)).copied().filter(|_| call.asset == ETH);
                (deposit.unwrap_or(0), 0_u128, 0_u128, 0_u128, U256::ZERO).abi_encode().into()
            }
            IFarthingCalls::laneState(call) => {
                let nonce = state.shown.get(&id(call.channelId)).copied().filter(|_| call.payer == 0);
                (nonce.unwrap_or(0), false, 0_u128, 0_u128, B256::ZERO).abi_encode().into()
            }
            IFarthingCalls::exitEndsAt(call) => {
                U256::from(state.exits.get(&id(call.channelId)).copied().unwrap_or(0)).abi_encode().into()
            }
            IFarthingCalls::unitsOf(call) => {
                U256::from(state.units.get(&call.key.0[0]).copied().unwrap_or(0)).abi_encode().into()
            }
            _ => panic!("not asked by a reading"),
        }
    }
}

fn encode(event: Event) -> alloy_primitives::LogData {
    let asset = ETH;
    let event = match event {
        Event::Open(n) => IFarthingEvents::ChannelOpened(IFarthing::ChannelOpened {
            channelId: channel(n).0,
            ownerA: Address::ZERO,
            ownerB: Address::ZERO,
            sender: Address::ZERO,
            channel: (&def(n)).into(),
        }),
        Event::Deposit(n, total) => {
            let channelId = channel(n).0;
            IFarthingEvents::Deposited(IFarthing::Deposited { channelId, asset, side: 0, total, amount: total })
        }
        Event::Exit(n, endsAt) => {
            IFarthingEvents::ExitStarted(IFarthing::ExitStarted { channelId: channel(n).0, endsAt })
        }
        Event::Shown(n, nonce) => {
            let (channelId, acknowledged) = (channel(n).0, false);
            IFarthingEvents::ProofSubmitted(IFarthing::ProofSubmitted {
                channelId,
                asset,
                payer: 0,
                nonce,
                acknowledged,
            })
        }
        Event::Evidence(n, units) => {
            let evidence = Bytes::from(vec![n; 32]);
            IFarthingEvents::EvidenceRecorded(IFarthing::EvidenceRecorded { key: key(n).0, units, evidence })
        }
        Event::Claimed(n, units) => {
            let (channelId, returned) = (channel(n).0, false);
            let claimed = IFarthing::LockClaimed { channelId, asset, payer: 0, slot: 0, units, returned };
            IFarthingEvents::LockClaimed(claimed)
        }
    };
    event.to_log_data()
}

/// A node, and what is wrong with it.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) manner: Manner,
    /// It shows the chain without so many of its last blocks.
    pub(super) lag: u64,
    /// Most blocks in a question for logs.
    pub(super) most: u64,
    /// It takes no hashes.
    pub(super) by_number: bool,
    /// It answers nothing to calls.
    pub(super) is_mute: bool,
    /// There is a contract.
    pub(super) has_code: bool,
    /// How many requests it answers before it fails once.
    pub(super) fails_after: Option<u64>,
    pub(super) requests: Vec<Request>,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            manner: Manner::default(),
            lag: 0,
            most: u64::MAX,
            by_number: false,
            is_mute: false,
            has_code: true,
            fails_after: None,
            requests: Vec::new(),
        }
    }
}

fn failed() -> Error {
    Error::new(Code::ChainUnavailable, "failed")
}

impl Node {
    pub(super) fn answer(&mut self, chain: &Chain, question: &Question) -> Result<Answer, Error> {
        let mut manner = self.manner;
        let mut asking = Asking::new(question.clone(), &manner);
        loop {
            let request = asking.request(&manner);
            let outcome = match self.carry_out(chain, request) {
                Ok(answer) => asking.answered(&mut manner, answer),
                Err(failure) => asking.failed(&mut manner, failure, failed()).map(|()| None),
            };
            self.manner = manner;
            if let Some(answer) = outcome? {
                return Ok(answer);
            }
        }
    }

    fn carry_out(&mut self, chain: &Chain, request: Request) -> Result<Answer, Failure> {
        self.requests.push(request.clone());
        if let Some(left) = &mut self.fails_after {
            match left.checked_sub(1) {
                Some(less) => *left = less,
                None => {
                    self.fails_after = None;
                    return Err(Failure::Lost);
                }
            }
        }
        let newest = chain.newest().saturating_sub(self.lag);
        let seen = |number: u64| chain.block(number).filter(|_| number <= newest);
        let height = |tag: Tag| match tag {
            Tag::Hash(_) if self.by_number => Err(Failure::Refused),
            Tag::Hash(hash) => (0..=newest).find(|n| seen(*n).unwrap().hash == hash).ok_or(Failure::Behind),
            Tag::Number(number) => seen(number).map(|block| block.number).ok_or(Failure::Behind),
        };
        Ok(match request {
            Request::Newest => Answer::Block(seen(newest)),
            Request::Block(number) => Answer::Block(seen(number)),
            Request::Logs { from, to, .. } if to - from >= self.most => return Err(Failure::Refused),
            Request::Logs { wanted, from, to } => {
                let logs = chain.logs(from, to.min(newest)).into_iter();
                Answer::Logs(logs.filter(|log| wanted.takes(log)).collect())
            }
            Request::Calls { calls, tag } => {
                let number = height(tag)?;
                let answer = |call: &Bytes| if self.is_mute { Bytes::new() } else { chain.call(call, number) };
                Answer::Calls(calls.iter().map(answer).collect())
            }
            Request::Code { tag } => height(tag).map(|_| Answer::Code(self.has_code))?,
        })
    }
}

/// A reading, what its store holds, and what its listener has heard.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) reading: Reading,
    pub(super) stored: Option<Cursor>,
    /// What is known of each channel; this outlives the process.
    pub(super) deposits: BTreeMap<ChannelId, u128>,
    pub(super) exits: BTreeMap<ChannelId, u64>,
    pub(super) shown: BTreeMap<ChannelId, u64>,
    pub(super) evidence: BTreeSet<ConditionKey>,
    pub(super) units: BTreeMap<ConditionKey, u32>,
    pub(super) unread: BTreeSet<ChannelId>,
    pub(super) known: BTreeSet<ChannelId>,
    pub(super) heads: Vec<Head>,
    /// All that was told, in order.
    pub(super) trace: Vec<Told>,
    /// Steps, by their names.
    pub(super) steps: Vec<&'static str>,
    pub(super) keys: BTreeSet<ConditionKey>,
    /// The process ends before so many more steps.
    pub(super) dies_in: Option<u64>,
    pub(super) config: ReadingConfig,
}

pub(super) fn config() -> ReadingConfig {
    ReadingConfig {
        contract: CONTRACT,
        assets: Some(vec![ETH]),
        confirmations: CONFIRMATIONS,
        log_range: 7,
        resets_after: None,
        by_channel: false,
    }
}

impl Driver {
    pub(super) fn new(known: &[u8]) -> Self {
        Self::with(config(), known.iter().map(|n| channel(*n)).collect())
    }

    pub(super) fn with(config: ReadingConfig, known: BTreeSet<ChannelId>) -> Self {
        Self {
            reading: Reading::new(config.clone(), known.iter().copied(), None),
            stored: None,
            deposits: BTreeMap::new(),
            exits: BTreeMap::new(),
            shown: BTreeMap::new(),
            evidence: BTreeSet::new(),
            units: BTreeMap::new(),
            unread: known.clone(),
            known,
            heads: Vec::new(),
            trace: Vec::new(),
            steps: Vec::new(),
            keys: BTreeSet::new(),
            dies_in: None,
            config,
        }
    }

    /// The process ends, and starts again from what is durable.
    pub(super) fn restart(&mut self) {
        let text = self.stored.as_ref().map(|cursor| cursor.text().unwrap());
        let stored = text.map(|text| Cursor::restore(&text, self.config.assets.clone()).unwrap());
        let reading = Reading::new(self.config.clone(), self.known.iter().copied(), stored);
        // An exit of this listener may always be younger than what was final.
        let begun = self.exits.keys().map(|channel| (*channel, u64::MAX)).collect::<Vec<_>>();
        self.reading = reading.with_unread(self.unread.clone()).with_exits(begun);
    }

    pub(super) fn look(&mut self, chain: &Chain, node: &mut Node) -> Result<Head, Error> {
        self.look_at(0, |question| node.answer(chain, question))
    }

    /// One look. Whatever fails ends it, as in any driver.
    pub(super) fn look_at(
        &mut self,
        now: u64,
        mut answer: impl FnMut(&Question) -> Result<Answer, Error>,
    ) -> Result<Head, Error> {
        self.reading.look(now);
        loop {
            if let Some(left) = &mut self.dies_in {
                match left.checked_sub(1) {
                    Some(less) => *left = less,
                    None => {
                        self.dies_in = None;
                        self.restart();
                        return Err(Code::ClientClosed.into());
                    }
                }
            }
            match self.reading.step() {
                Step::Ask(questions) => {
                    self.steps.push("ask");
                    match questions.iter().map(&mut answer).collect::<Result<_, _>>() {
                        Err(_) if self.reading.may_miss() => self.reading.missed()?,
                        answers => self.reading.answered(answers?)?,
                    }
                }
                Step::Announced(defs) => {
                    self.steps.push("announced");
                    // The definitions here are named by their first owner.
                    let new: Vec<_> = defs.iter().map(|def| channel(def.a.owner.0[0])).collect();
                    let new: Vec<_> = new.into_iter().filter(|id| self.known.insert(*id)).collect();
                    self.unread.extend(new.iter().copied());
                    self.reading.announced(new)?;
                }
                Step::Store(cursor) => {
                    self.steps.push("store");
                    self.stored = Some(cursor);
                    self.reading.stored()?;
                }
                Step::Tell { facts, .. } => {
                    self.steps.push("tell");
                    self.hear(facts);
                    self.reading.told(Vec::new())?;
                }
                Step::CaughtUp { channels, .. } => {
                    self.steps.push("caught up");
                    self.unread.retain(|channel| !channels.contains(channel));
                    self.reading.told(Vec::new())?;
                }
                Step::Head { facts, head } => {
                    self.steps.push("head");
                    self.hear(facts);
                    self.heads.push(head);
                    self.reading.heard(Heard {
                        unread: core::mem::take(&mut self.keys).into_iter().collect(),
                        gone: Vec::new(),
                    })?;
                }
                Step::Recorded(facts) => {
                    self.steps.push("recorded");
                    for fact in facts {
                        if let ChainFact::Evidence { key, units, .. } = fact {
                            self.units.insert(key, units);
                        }
                    }
                    self.reading.told(Vec::new())?;
                }
                Step::Done(head) => return Ok(head),
                Step::Rest => return Err(Code::Internal.into()),
            }
        }
    }

    fn hear(&mut self, facts: Vec<Told>) {
        for (channel, fact) in &facts {
            let channel = channel.unwrap_or(ChannelId(B256::ZERO));
            match fact {
                ChainFact::Asset { deposits, .. } => drop(self.deposits.insert(channel, deposits.a.units())),
                ChainFact::Evidence { key, .. } => drop(self.evidence.insert(*key)),
                ChainFact::ExitStarted { ends_at } => drop(self.exits.insert(channel, *ends_at)),
                ChainFact::ExitGone => drop(self.exits.remove(&channel)),
                ChainFact::Shown { shown, .. } => drop(self.shown.insert(channel, shown.a)),
                ChainFact::Claimed { .. } => {}
            }
        }
        self.trace.extend(facts);
    }

    pub(super) fn deposit_of(&self, n: u8) -> Option<Amount> {
        self.deposits.get(&channel(n)).copied().map(Amount::new)
    }
}
