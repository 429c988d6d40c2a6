//! A node that shows the chain as nodes do: it fails, is behind, keeps back what is young, refuses ranges and hashes.
//! It invents nothing: what one node invents is believed, which is why two may be given.

use super::chain::{Chain, FINALITY};
use super::rng::Rng;
use alloy_primitives::{Bytes, U256};
use alloy_sol_types::{SolInterface, SolValue};
use farthing_protocol::abi::IFarthing::IFarthingCalls;
use farthing_protocol::abi::{AssetState, LaneState};
use farthing_protocol::chain::{AssetStatus, ChainFact};
use farthing_protocol::error::{Code, Error};
use farthing_protocol::reading::{Answer, Asking, Failure, Manner, Question, Request, Tag};
use farthing_protocol::types::{ChannelId, Side};

/// How often a chain is looked at in one block before the node is well.
pub const TRIES: u32 = 3;

pub struct Node {
    rng: Rng,
    manner: Manner,
    /// It takes no hashes in calls.
    by_number: bool,
    /// Most blocks in a question for logs.
    most: u64,
    /// What it shows is older by so many blocks.
    lag: u64,
    /// Logs come from another one behind the same URL, which is behind by so many blocks, and does not say so.
    lag_of_logs: u64,
    /// Percent of requests that fail.
    failing: u64,
    /// What was wrong since it was asked last.
    failed: bool,
    behind: bool,
}

impl Node {
    pub fn new(mut rng: Rng) -> Self {
        let by_number = rng.chance(30);
        let most = if rng.chance(40) { rng.between(1, 4) } else { u64::MAX };
        let manner = Manner::default();
        Self { rng, manner, by_number, most, lag: 0, lag_of_logs: 0, failing: 0, failed: false, behind: false }
    }

    /// What is wrong with it for this look; nothing at the last one.
    pub fn turn(&mut self, is_last: bool) {
        let is_well = is_last || self.rng.chance(60);
        (self.lag, self.lag_of_logs, self.failing) = (0, 0, 0);
        if is_well {
            return;
        }
        match self.rng.below(4) {
            0 => self.lag = self.rng.between(1, FINALITY + 2),
            1 => self.lag_of_logs = self.rng.between(1, FINALITY),
            2 => self.failing = 100,
            _ => self.failing = 15,
        }
    }

    /// Whether it failed and whether it was behind since this was asked last.
    pub fn told(&mut self) -> (bool, bool) {
        (std::mem::take(&mut self.failed), std::mem::take(&mut self.behind))
    }

    pub fn answer(&mut self, chain: &Chain, question: &Question) -> Result<Answer, Error> {
        let mut manner = self.manner;
        let mut asking = Asking::new(question.clone(), &manner);
        loop {
            let outcome = match self.carry_out(chain, asking.request(&manner)) {
                Ok(answer) => asking.answered(&mut manner, answer),
                Err(failure) => {
                    let failed = Error::new(Code::ChainUnavailable, "the node failed");
                    asking.failed(&mut manner, failure, failed).map(|()| None)
                }
            };
            self.manner = manner;
            if let Some(answer) = outcome? {
                return Ok(answer);
            }
        }
    }

    fn carry_out(&mut self, chain: &Chain, request: Request) -> Result<Answer, Failure> {
        if self.rng.chance(self.failing) {
            self.failed = true;
            return Err(Failure::Lost);
        }
        let newest = chain.number.saturating_sub(self.lag);
        self.behind |= self.lag + self.lag_of_logs > 0;
        let seen = |number: u64| chain.block(number).filter(|_| number <= newest);
        let height = |tag: Tag| match tag {
            Tag::Hash(_) if self.by_number => Err(Failure::Refused),
            Tag::Hash(hash) => (0..=newest).rev().find(|n| chain.hash(*n) == hash).ok_or(Failure::Behind),
            Tag::Number(number) => Some(number).filter(|number| *number <= newest).ok_or(Failure::Behind),
        };
        Ok(match request {
            Request::Newest => Answer::Block(seen(newest)),
            Request::Block(number) => Answer::Block(seen(number)),
            Request::Logs { from, to, .. } if to - from >= self.most => return Err(Failure::Refused),
            Request::Logs { wanted, from, to } => {
                let newest = newest.min(chain.number - self.lag_of_logs.min(chain.number));
                let logs = chain.logs(from, to.min(newest)).into_iter();
                Answer::Logs(logs.filter(|log| wanted.takes(log)).collect())
            }
            Request::Calls { calls, tag } => {
                let number = height(tag)?;
                Answer::Calls(calls.iter().map(|call| returned(chain, call, number)).collect())
            }
            Request::Code { tag } => height(tag).map(|_| Answer::Code(true))?,
        })
    }
}

/// What the contract returns at the end of a block, as the log says.
fn returned(chain: &Chain, call: &[u8], number: u64) -> Bytes {
    let fact = |channel: Option<ChannelId>, is: &dyn Fn(&ChainFact) -> bool| {
        let logged = chain.log.iter().rev().filter(|logged| logged.block <= number && logged.channel == channel);
        logged.map(|logged| &logged.fact).find(|fact| is(fact))
    };
    match IFarthingCalls::abi_decode(call).unwrap() {
        IFarthingCalls::assetState(call) => {
            let of = |fact: &ChainFact| matches!(fact, ChainFact::Asset { asset, .. } if *asset == call.asset);
            let (deposits, withdrawn, status) = match fact(Some(ChannelId(call.channelId)), &of) {
                Some(ChainFact::Asset { deposits, withdrawn, status, .. }) => (*deposits, *withdrawn, *status),
                _ => Default::default(),
            };
            let state = AssetState {
                depositA: deposits.a.units(),
                depositB: deposits.b.units(),
                withdrawnA: withdrawn.a.units(),
                withdrawnB: withdrawn.b.units(),
                status: match status {
                    AssetStatus::Open => 0,
                    AssetStatus::Closed => 1,
                    AssetStatus::Settled => 2,
                },
            };
            state.abi_encode().into()
        }
        IFarthingCalls::laneState(call) => {
            let of = |fact: &ChainFact| matches!(fact, ChainFact::Shown { asset, .. } if *asset == call.asset);
            let payer = Side::from_index(call.payer).unwrap();
            let nonce = match fact(Some(ChannelId(call.channelId)), &of) {
                Some(ChainFact::Shown { shown, .. }) => *shown.of(payer),
                _ => 0,
            };
            let lane =
                LaneState { nonce, acknowledged: false, transferred: 0, locked: 0, locksRoot: Default::default() };
            lane.abi_encode().into()
        }
        IFarthingCalls::exitEndsAt(call) => {
            let of = |fact: &ChainFact| matches!(fact, ChainFact::ExitStarted { .. });
            let ends_at = match fact(Some(ChannelId(call.channelId)), &of) {
                Some(ChainFact::ExitStarted { ends_at }) => *ends_at,
                _ => 0,
            };
            U256::from(ends_at).abi_encode().into()
        }
        IFarthingCalls::unitsOf(call) => {
            let of = |fact: &ChainFact| matches!(fact, ChainFact::Evidence { key, .. } if key.0 == call.key);
            let units = match fact(None, &of) {
                Some(ChainFact::Evidence { units, .. }) => *units,
                _ => 0,
            };
            U256::from(units).abi_encode().into()
        }
        _ => panic!("nobody reads that"),
    }
}
