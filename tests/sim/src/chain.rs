//! A chain around the contract: blocks, finality, and transactions that a reorganisation can take back.

use super::contract::{Contract, Outcome};
use alloy_primitives::{Address, B256, IntoLogData, U256};
use farthing_protocol::Amount;
use farthing_protocol::abi::IFarthing;
use farthing_protocol::abi::IFarthing::IFarthingEvents;
use farthing_protocol::chain::{ChainCall, ChainFact, EvidenceItem, Head};
use farthing_protocol::reading::{Block, Log};
use farthing_protocol::types::{Asset, ChannelDef, ChannelId, Sides};

/// Blocks until a block is final.
pub const FINALITY: u64 = 2;

#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant, reason = "a test's log")]
pub enum Action {
    Call(ChainCall),
    /// The external condition's owner changes its answer.
    SetExternal(u32),
}

/// A transaction and what became of it.
#[derive(Clone, Debug)]
pub struct Tx {
    pub block: u64,
    pub time: u64,
    pub from: Address,
    pub action: Action,
    pub outcome: Outcome,
}

/// A fact, the channel it is of (evidence: all), and its block.
#[derive(Clone, Debug)]
pub struct Logged {
    pub block: u64,
    pub channel: Option<ChannelId>,
    pub fact: ChainFact,
}

pub struct Chain {
    pub contract: Contract,
    genesis: Contract,
    pub txs: Vec<Tx>,
    pub log: Vec<Logged>,
    pub number: u64,
    pub now: u64,
    times: Vec<u64>,
    /// Of which branch each block is; how many there were.
    branches: Vec<u64>,
    branch: u64,
    chain_id: u64,
    address: Address,
}

impl Chain {
    pub fn new(contract: Contract, chain_id: u64, address: Address, now: u64) -> Self {
        Self {
            genesis: contract.clone(),
            contract,
            txs: Vec::new(),
            log: Vec::new(),
            number: 0,
            now,
            times: vec![now],
            branches: vec![0],
            branch: 0,
            chain_id,
            address,
        }
    }

    pub fn mine(&mut self, seconds: u64) {
        self.number += 1;
        self.now += seconds;
        self.times.push(self.now);
        self.branches.push(self.branch);
    }

    pub fn final_number(&self) -> u64 {
        self.number.saturating_sub(FINALITY)
    }

    pub fn head(&self) -> Head {
        let final_number = self.final_number();
        Head {
            number: self.number,
            timestamp: self.now,
            final_number,
            final_timestamp: self.times[final_number as usize],
        }
    }

    pub fn hash(&self, number: u64) -> B256 {
        B256::from(U256::from(1 + number) << 64 | U256::from(self.branches[number as usize]))
    }

    pub fn block(&self, number: u64) -> Option<Block> {
        let timestamp = *self.times.get(usize::try_from(number).ok()?)?;
        Some(Block { number, hash: self.hash(number), timestamp })
    }

    /// The contract's logs, as far as anybody reads them.
    pub fn logs(&self, from: u64, to: u64) -> Vec<Log> {
        let logged = self.log.iter().enumerate().filter(|(_, logged)| (from..=to).contains(&logged.block));
        let log = |(index, logged): (usize, &Logged)| {
            let (topics, data) = event(logged).to_log_data().split();
            let (block, block_hash) = (logged.block, Some(self.hash(logged.block)));
            let index = Some(index as u64);
            Log { address: self.address, topics, data, block, block_hash, index, removed: false }
        };
        logged.map(log).collect()
    }

    /// Mines a transaction in the newest block.
    pub fn send(&mut self, from: Address, action: Action) -> Outcome {
        let tx = Tx { block: self.number, time: self.now, from, action, outcome: Ok(()) };
        self.execute(tx)
    }

    fn execute(&mut self, mut tx: Tx) -> Outcome {
        tx.outcome = match &tx.action {
            Action::SetExternal(units) => {
                self.contract.external = *units;
                Ok(())
            }
            Action::Call(call) => {
                let before = self.contract.units.clone();
                let outcome = self.contract.call(tx.from, tx.time, call);
                if outcome.is_ok() {
                    let logged = self.facts_of(call, &before);
                    self.log.extend(logged.into_iter().map(|(channel, fact)| Logged {
                        block: tx.block,
                        channel,
                        fact,
                    }));
                }
                outcome
            }
        };
        let outcome = tx.outcome;
        self.txs.push(tx);
        outcome
    }

    fn id(&self, def: &ChannelDef) -> ChannelId {
        def.id(self.chain_id, self.address)
    }

    /// What a node's logs say after a call that went through.
    fn facts_of(
        &self,
        call: &ChainCall,
        before: &std::collections::BTreeMap<farthing_protocol::condition::ConditionKey, u32>,
    ) -> Vec<(Option<ChannelId>, ChainFact)> {
        let asset_of = |def: &ChannelDef, asset: Asset| {
            let id = self.id(def);
            (Some(id), self.asset_fact(id, asset))
        };
        match call {
            ChainCall::Deposit { channel, asset, .. } => vec![asset_of(channel, *asset)],
            ChainCall::Settle { channel, assets } => {
                let id = self.id(channel);
                let facts = |asset: &Asset| [asset_of(channel, *asset), (Some(id), self.shown_fact(id, *asset))];
                assets.iter().flat_map(facts).collect()
            }
            ChainCall::ClaimLocks { channel, lane, claims } => {
                let id = self.id(channel);
                let record = self.contract.record(id, lane.asset);
                let claimed = |slot: u16| {
                    let (units, returned) = *record.lanes.of(lane.payer).claims.get(&slot)?;
                    Some((Some(id), ChainFact::Claimed { lane: *lane, slot, units, returned }))
                };
                claims.iter().filter_map(|claim| claimed(claim.slot)).collect()
            }
            ChainCall::Withdraw { channel, withdrawal, .. } => vec![asset_of(channel, withdrawal.asset)],
            ChainCall::Close { channel, closing, .. } => {
                closing.assets.iter().map(|entry| asset_of(channel, entry.asset)).collect()
            }
            ChainCall::RecordEvidence { items } => {
                let recorded = |item: &EvidenceItem| {
                    let key = item.condition.key(item.expiry);
                    let units = self.contract.units.get(&key).copied().unwrap_or(0);
                    let new = before.get(&key).copied().unwrap_or(0) != units;
                    // Of several pieces for one key, the one that proves most is logged last.
                    let best = self.contract.prove(&item.condition, key, &item.evidence) == Some(units);
                    let evidence = item.evidence.clone();
                    (new && best).then_some((None, ChainFact::Evidence { key, units, evidence }))
                };
                items.iter().filter_map(recorded).collect()
            }
            ChainCall::StartExit { channel, proofs } | ChainCall::SubmitProofs { channel, proofs } => {
                let id = self.id(channel);
                let started = matches!(call, ChainCall::StartExit { .. });
                let exit = started.then(|| ChainFact::ExitStarted { ends_at: self.contract.exits[&id] });
                let shown = proofs.iter().map(|(lane, ..)| self.shown_fact(id, lane.asset));
                exit.into_iter().chain(shown).map(|fact| (Some(id), fact)).collect()
            }
        }
    }

    fn shown_fact(&self, id: ChannelId, asset: Asset) -> ChainFact {
        let lanes = self.contract.record(id, asset).lanes;
        ChainFact::Shown { asset, shown: Sides { a: lanes.a.nonce, b: lanes.b.nonce } }
    }

    pub fn asset_fact(&self, id: ChannelId, asset: Asset) -> ChainFact {
        let record = self.contract.record(id, asset);
        let amounts = |sides: Sides<u128>| Sides { a: Amount::new(sides.a), b: Amount::new(sides.b) };
        ChainFact::Asset {
            asset,
            deposits: amounts(record.deposits),
            withdrawn: amounts(record.withdrawn),
            status: record.status,
        }
    }

    /// A reorganisation drops one transaction that is not final; those after it are mined again.
    pub fn drop_tx(&mut self, index: usize) {
        let mut txs = std::mem::take(&mut self.txs);
        let dropped = txs.remove(index);
        self.branch += 1;
        self.branches[dropped.block as usize..].fill(self.branch);
        self.contract = self.genesis.clone();
        self.log.clear();
        for tx in txs {
            let _ = self.execute(tx);
        }
    }
}

/// A log that says so: that an asset changed, not how, since its state is read anew.
#[allow(non_snake_case, reason = "the contract's events name their fields so")]
fn event(logged: &Logged) -> IFarthingEvents {
    let channelId = logged.channel.map(|channel| channel.0).unwrap_or_default();
    match &logged.fact {
        ChainFact::Asset { asset, .. } => {
            let asset = *asset;
            IFarthingEvents::Deposited(IFarthing::Deposited { channelId, asset, side: 0, total: 0, amount: 0 })
        }
        ChainFact::Evidence { key, units, evidence } => {
            let (key, units, evidence) = (key.0, *units, evidence.clone());
            IFarthingEvents::EvidenceRecorded(IFarthing::EvidenceRecorded { key, units, evidence })
        }
        ChainFact::ExitStarted { ends_at } => {
            IFarthingEvents::ExitStarted(IFarthing::ExitStarted { channelId, endsAt: *ends_at })
        }
        ChainFact::Shown { asset, shown } => {
            let (asset, nonce, acknowledged) = (*asset, shown.a, false);
            let event = IFarthing::ProofSubmitted { channelId, asset, payer: 0, nonce, acknowledged };
            IFarthingEvents::ProofSubmitted(event)
        }
        ChainFact::Claimed { lane, slot, units, returned } => {
            let (asset, payer) = (lane.asset, lane.payer.index());
            let (slot, units, returned) = (*slot, *units, *returned);
            IFarthingEvents::LockClaimed(IFarthing::LockClaimed { channelId, asset, payer, slot, units, returned })
        }
        ChainFact::ExitGone => panic!("nobody logs that"),
    }
}
