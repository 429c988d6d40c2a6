//! A chain around the contract: blocks, finality, and transactions that a reorganisation can take back.

use super::contract::{Contract, Outcome};
use alloy_primitives::Address;
use farthing_protocol::Amount;
use farthing_protocol::chain::{ChainCall, ChainFact, Head};
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
            chain_id,
            address,
        }
    }

    pub fn mine(&mut self, seconds: u64) {
        self.number += 1;
        self.now += seconds;
        self.times.push(self.now);
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
            ChainCall::Settle { channel, asset } => {
                let id = self.id(channel);
                vec![asset_of(channel, *asset), (Some(id), self.shown_fact(id, *asset))]
            }
            ChainCall::ClaimLock { channel, lane, slot, .. } => {
                let id = self.id(channel);
                let record = self.contract.record(id, lane.asset);
                let (units, returned) = record.lanes.of(lane.payer).claims.get(slot).copied().unwrap_or_default();
                vec![(Some(id), ChainFact::Claimed { lane: *lane, slot: *slot, units, returned })]
            }
            ChainCall::Withdraw { channel, withdrawal, .. } => vec![asset_of(channel, withdrawal.asset)],
            ChainCall::Close { channel, closing, .. } => {
                closing.assets.iter().map(|entry| asset_of(channel, entry.asset)).collect()
            }
            ChainCall::RecordEvidence { condition, expiry, evidence } => {
                let key = condition.key(*expiry);
                let units = self.contract.units.get(&key).copied().unwrap_or(0);
                if before.get(&key).copied().unwrap_or(0) == units {
                    return Vec::new();
                }
                vec![(None, ChainFact::Evidence { key, units, evidence: evidence.clone() })]
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
        txs.remove(index);
        self.contract = self.genesis.clone();
        self.log.clear();
        for tx in txs {
            let _ = self.execute(tx);
        }
    }
}
