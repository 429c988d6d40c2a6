//! The contract's views: what is asked of them, and the facts that their answers are. Nobody else makes facts of them.

use super::Told;
use super::words::Words;
use crate::abi::IFarthing;
use crate::amount::Amount;
use crate::chain::{AssetStatus, ChainFact};
use crate::condition::ConditionKey;
use crate::error::{Code, Error};
use crate::proof::LaneId;
use crate::types::{Asset, ChannelId, Side, Sides};
use alloc::vec::Vec;
use alloy_primitives::{Bytes, U256};
use alloy_sol_types::SolCall;

/// Asks for the states of assets.
#[must_use]
pub fn ask_states(wanted: &[(ChannelId, Asset)]) -> Vec<Bytes> {
    let call = |(channel, asset): &(ChannelId, Asset)| {
        IFarthing::assetStateCall { channelId: channel.0, asset: *asset }.abi_encode().into()
    };
    wanted.iter().map(call).collect()
}

/// The facts that the answers are, in the order of what was wanted.
pub fn read_states(wanted: &[(ChannelId, Asset)], answers: &[Bytes]) -> Result<Vec<Told>, Error> {
    let fact = |((channel, asset), answer): (&(ChannelId, Asset), &Bytes)| {
        let (asset, mut deposits, mut withdrawn, mut status) = (*asset, Sides::default(), Sides::default(), 0);
        // Where the contract is younger than this block, nothing was deposited by then.
        if let Some(state) = words(answer, 5)? {
            let amount = |index| number(state, index).map(Amount::new);
            deposits = Sides { a: amount(0)?, b: amount(1)? };
            withdrawn = Sides { a: amount(2)?, b: amount(3)? };
            status = number(state, 4)?;
        }
        let status = AssetStatus::from_index(status);
        Ok((Some(*channel), ChainFact::Asset { asset, deposits, withdrawn, status }))
    };
    both(wanted, answers)?.map(fact).collect()
}

/// Asks for the best proofs that exits were shown: two calls each, one for each payer.
#[must_use]
pub fn ask_shown(wanted: &[(ChannelId, Asset)]) -> Vec<Bytes> {
    let call = |(channel, asset): &(ChannelId, Asset)| {
        let lane = |payer: Side| IFarthing::laneStateCall { channelId: channel.0, asset: *asset, payer: payer.index() };
        Side::BOTH.map(|payer| Bytes::from(lane(payer).abi_encode()))
    };
    wanted.iter().flat_map(call).collect()
}

/// The facts that the answers are, in the order of what was wanted.
pub fn read_shown(wanted: &[(ChannelId, Asset)], answers: &[Bytes]) -> Result<Vec<Told>, Error> {
    let nonce = |answer: Option<&Bytes>| {
        let lane = words(answer.ok_or_else(not_the_contract)?, 5)?;
        lane.map_or(Ok(0), |lane| number(lane, 0))
    };
    let mut answers = answers.iter();
    let fact = |(channel, asset): &(ChannelId, Asset)| {
        let shown = Sides { a: nonce(answers.next())?, b: nonce(answers.next())? };
        Ok((Some(*channel), ChainFact::Shown { asset: *asset, shown }))
    };
    wanted.iter().map(fact).collect()
}

/// Asks until when exits can be answered.
#[must_use]
pub fn ask_exits(channels: &[ChannelId]) -> Vec<Bytes> {
    channels.iter().map(|channel| IFarthing::exitEndsAtCall { channelId: channel.0 }.abi_encode().into()).collect()
}

/// The end of each channel's exit, in their order; none where there is no exit.
pub fn read_exits(channels: &[ChannelId], answers: &[Bytes]) -> Result<Vec<(ChannelId, Option<u64>)>, Error> {
    let end = |(channel, answer): (&ChannelId, &Bytes)| {
        let ends_at = words(answer, 1)?.map(|words| number(words, 0)).transpose()?;
        Ok((*channel, ends_at.filter(|ends_at| *ends_at > 0)))
    };
    both(channels, answers)?.map(end).collect()
}

/// Asks what was recorded for keys.
#[must_use]
pub fn ask_units(keys: &[ConditionKey]) -> Vec<Bytes> {
    keys.iter().map(|key| IFarthing::unitsOfCall { key: key.0 }.abi_encode().into()).collect()
}

/// What was recorded for keys, zero included.
pub fn read_units(keys: &[ConditionKey], answers: &[Bytes]) -> Result<Vec<ChainFact>, Error> {
    let fact = |(key, answer): (&ConditionKey, &Bytes)| {
        // Nothing must pass for no units: locks are given back by it.
        let units = number(words(answer, 1)?.ok_or_else(not_the_contract)?, 0)?;
        Ok(ChainFact::Evidence { key: *key, units, evidence: Bytes::new() })
    };
    both(keys, answers)?.map(fact).collect()
}

/// Asks what was claimed of locks of settled lanes.
#[must_use]
pub fn ask_claims(channel: ChannelId, locks: &[(LaneId, u16)]) -> Vec<Bytes> {
    let call = |(lane, slot): &(LaneId, u16)| {
        let (asset, payer) = (lane.asset, lane.payer.index());
        IFarthing::claimedCall { channelId: channel.0, asset, payer, slot: *slot }.abi_encode().into()
    };
    locks.iter().map(call).collect()
}

/// The facts that the answers are, in the order of what was asked.
pub fn read_claims(locks: &[(LaneId, u16)], answers: &[Bytes]) -> Result<Vec<ChainFact>, Error> {
    let fact = |((lane, slot), answer): (&(LaneId, u16), &Bytes)| {
        // Where there was no contract nothing was settled, either.
        let claimed = words(answer, 2)?.ok_or_else(not_the_contract)?;
        let returned = claimed.flag(1).ok_or_else(not_the_contract)?;
        Ok(ChainFact::Claimed { lane: *lane, slot: *slot, units: number(claimed, 0)?, returned })
    };
    both(locks, answers)?.map(fact).collect()
}

fn both<'a, T>(wanted: &'a [T], answers: &'a [Bytes]) -> Result<impl Iterator<Item = (&'a T, &'a Bytes)>, Error> {
    if wanted.len() == answers.len() { Ok(wanted.iter().zip(answers)) } else { Err(not_the_contract()) }
}

/// The words of an answer, at least so many; none where there was no contract.
fn words(answer: &Bytes, count: usize) -> Result<Option<Words<'_>>, Error> {
    let words = Words(answer);
    match answer.is_empty() {
        true => Ok(None),
        false if words.has(count) => Ok(Some(words)),
        false => Err(not_the_contract()),
    }
}

/// A number where there was a contract.
fn number<T: TryFrom<U256>>(words: Words<'_>, index: usize) -> Result<T, Error> {
    words.number(index).ok_or_else(not_the_contract)
}

fn not_the_contract() -> Error {
    Error::new(Code::ChainMismatch, "the contract's answer can't be read; is it the right address?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    #[test]
    fn nothing_is_no_deposits_before_the_contract_and_never_no_units() {
        let wanted = [(ChannelId(B256::repeat_byte(1)), Asset::ZERO)];
        let told = read_states(&wanted, &[Bytes::new()]).unwrap();
        assert!(matches!(told[0].1, ChainFact::Asset { deposits, .. } if deposits == Sides::default()));
        assert_eq!(read_exits(&[wanted[0].0], &[Bytes::new()]).unwrap(), [(wanted[0].0, None)]);
        let key = ConditionKey(B256::repeat_byte(2));
        assert_eq!(read_units(&[key], &[Bytes::new()]).unwrap_err().code(), Code::ChainMismatch);
    }

    #[test]
    fn an_answer_of_another_contract_and_a_missing_one_are_errors() {
        let wanted = [(ChannelId(B256::repeat_byte(1)), Asset::ZERO)];
        let short = Bytes::from_static(&[0; 31]);
        assert!(read_states(&wanted, core::slice::from_ref(&short)).is_err());
        assert!(read_states(&wanted, &[]).is_err());
        assert!(read_shown(&wanted, &[Bytes::from(alloc::vec![0; 160])]).is_err());
        assert!(read_exits(&[wanted[0].0], &[short]).is_err());
    }
}
