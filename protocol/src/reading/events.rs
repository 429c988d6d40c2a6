//! What the contract's logs say, as far as anybody here cares. A log that can't be read never halts the rest.

use super::Told;
use super::question::Log;
use super::words::Words;
use crate::abi::IFarthing::{
    ChannelOpened, Closed, CreditPaid, Credited, Deposited, EvidenceRecorded, ExitStarted, LockClaimed, ProofSubmitted,
    Settled, Withdrawn,
};
use crate::chain::ChainFact;
use crate::condition::ConditionKey;
use crate::map::Set;
use crate::proof::LaneId;
use crate::types::{Asset, ChannelDef, ChannelId, Participant, Side};
use alloc::vec::Vec;
use alloy_sol_types::SolEvent;

/// The evidence that these logs of final blocks record, in their order.
#[must_use]
pub fn evidence_in(logs: &[Log]) -> Vec<ChainFact> {
    let mut news = News::default();
    news.read(logs, u64::MAX);
    news.evidence.into_iter().map(|(_, fact)| fact).collect()
}

/// What happened in blocks that were read, and is not told yet.
#[derive(Clone, Debug, Default)]
pub(super) struct News {
    /// Assets whose state changed in a final block; their state is read anew.
    pub(super) touched: Set<(ChannelId, Asset)>,
    /// Evidence recorded in final blocks.
    pub(super) evidence: Vec<Told>,
    /// Exits that started in final blocks, and when they end.
    pub(super) exits: Vec<(ChannelId, u64)>,
    /// Exits that started in blocks that are not final; these blocks are read again at each look.
    pub(super) young: Vec<(ChannelId, u64)>,
    /// Assets of exits for which a proof was shown, or that were settled, in a final block.
    pub(super) shown: Set<(ChannelId, Asset)>,
    /// Locks claimed in final blocks.
    pub(super) claimed: Vec<(ChannelId, ChainFact)>,
    /// Channels announced in final blocks.
    pub(super) opened: Vec<ChannelDef>,
}

impl News {
    /// Whether there is nothing to tell of final blocks.
    pub(super) fn is_empty(&self) -> bool {
        let Self { touched, evidence, exits, young: _, shown, claimed, opened } = self;
        let told = touched.is_empty() && evidence.is_empty() && exits.is_empty();
        told && shown.is_empty() && claimed.is_empty() && opened.is_empty()
    }

    /// Takes the logs of some blocks in. Those above `final_number` count for exits only. Gives the blocks of logs that
    /// can't be read.
    pub(super) fn read(&mut self, logs: &[Log], final_number: u64) -> Vec<u64> {
        let mut unreadable = Vec::new();
        for log in logs.iter().filter(|log| !log.removed) {
            if self.take(log, log.block <= final_number).is_none() {
                unreadable.push(log.block);
            }
        }
        unreadable
    }

    /// Forgets what is of no channel or asset that is watched.
    pub(super) fn keep(&mut self, known: &Set<ChannelId>, assets: Option<&[Asset]>) {
        let listed = |asset: &Asset| assets.is_none_or(|assets| assets.contains(asset));
        self.touched.retain(|(channel, asset)| known.contains(channel) && listed(asset));
        self.shown.retain(|(channel, _)| known.contains(channel));
        self.claimed.retain(|(channel, _)| known.contains(channel));
        self.exits.retain(|(channel, _)| known.contains(channel));
        self.young.retain(|(channel, _)| known.contains(channel));
    }

    /// None if the log can't be read.
    fn take(&mut self, log: &Log, is_final: bool) -> Option<()> {
        let (event, data) = (log.topics.first()?, Words(&log.data));
        let channel = || log.topics.get(1).map(|topic| ChannelId(*topic));
        let asset = || log.topics.get(2).map(|topic| Asset::from_word(*topic));
        // These tell no more than that something changed, and are read when they are whole.
        let words = match *event {
            Deposited::SIGNATURE_HASH | Withdrawn::SIGNATURE_HASH | ProofSubmitted::SIGNATURE_HASH => 3,
            Closed::SIGNATURE_HASH | Settled::SIGNATURE_HASH => 2,
            _ => 0,
        };
        if !data.has(words) {
            return None;
        }
        match *event {
            ExitStarted::SIGNATURE_HASH => {
                let exits = if is_final { &mut self.exits } else { &mut self.young };
                exits.push((channel()?, data.number(0)?));
            }
            Credited::SIGNATURE_HASH | CreditPaid::SIGNATURE_HASH => {}
            _ if !is_final => {}
            ChannelOpened::SIGNATURE_HASH => {
                let participant = |index: usize| {
                    Some(Participant { owner: data.address(index)?, signer: data.address(index.checked_add(1)?)? })
                };
                let (a, b) = (participant(1)?, participant(3)?);
                let (challenge_period, salt) = (data.number(5)?, data.number(6)?);
                self.opened.push(ChannelDef { a, b, challenge_period, salt });
            }
            Deposited::SIGNATURE_HASH | Withdrawn::SIGNATURE_HASH | Closed::SIGNATURE_HASH => {
                self.touched.insert((channel()?, asset()?));
            }
            Settled::SIGNATURE_HASH => {
                let settled = (channel()?, asset()?);
                self.touched.insert(settled);
                self.shown.insert(settled);
            }
            ProofSubmitted::SIGNATURE_HASH => {
                self.shown.insert((channel()?, asset()?));
            }
            LockClaimed::SIGNATURE_HASH => {
                let lane = LaneId { asset: asset()?, payer: Side::from_index(data.number(0)?).ok()? };
                let (slot, units, returned) = (data.number(1)?, data.number(2)?, data.flag(3)?);
                self.claimed.push((channel()?, ChainFact::Claimed { lane, slot, units, returned }));
            }
            EvidenceRecorded::SIGNATURE_HASH => {
                let key = ConditionKey(*log.topics.get(1)?);
                let (units, evidence) = (data.number(0)?, data.bytes(1)?);
                self.evidence.push((None, ChainFact::Evidence { key, units, evidence }));
            }
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
#[allow(non_snake_case, reason = "the contract's events name their fields so")]
mod tests {
    use super::*;
    use crate::abi::IFarthing;
    use alloy_primitives::{Address, B256, Bytes, LogData};

    fn log(data: LogData, block: u64) -> Log {
        let (topics, data) = data.split();
        Log { address: Address::ZERO, topics, data, block, block_hash: None, index: None, removed: false }
    }

    fn deposit() -> LogData {
        let (channel, asset) = (B256::repeat_byte(5), Address::ZERO);
        IFarthing::Deposited { channelId: channel, asset, side: 0, total: 3, amount: 3 }.encode_log_data()
    }

    #[test]
    fn a_log_that_cannot_be_read_never_halts_the_rest() {
        let damaged = LogData::new_unchecked(deposit().topics().to_vec(), Bytes::from_static(&[1, 2, 3]));
        let strange = LogData::new_unchecked([B256::repeat_byte(9)].into(), Bytes::new());
        let mut news = News::default();
        assert_eq!(news.read(&[log(damaged, 1), log(strange, 1), log(deposit(), 2)], 2), [1, 1]);
        assert_eq!(news.touched.len(), 1);
    }

    #[test]
    fn a_log_that_a_reorganisation_took_back_says_nothing() {
        let mut news = News::default();
        news.read(&[Log { removed: true, ..log(deposit(), 2) }], 2);
        assert!(news.is_empty());
    }

    #[test]
    fn only_exits_count_before_they_are_final() {
        let channel = B256::repeat_byte(5);
        let exit = IFarthing::ExitStarted { channelId: channel, endsAt: 77 };
        let mut news = News::default();
        news.read(&[log(exit.encode_log_data(), 9), log(deposit(), 9)], 8);
        assert!(news.is_empty());
        assert_eq!(news.young, [(ChannelId(channel), 77)]);
    }

    #[test]
    fn events_are_read_as_the_interface_encodes_them() {
        let (channel, asset) = (B256::repeat_byte(5), Address::repeat_byte(6));
        let participant = |n| Participant { owner: Address::repeat_byte(n), signer: Address::repeat_byte(n + 1) };
        let def = ChannelDef { a: participant(1), b: participant(3), challenge_period: 77, salt: u64::MAX };
        let (ownerA, ownerB, sender) = (def.a.owner, def.b.owner, Address::repeat_byte(9));
        let evidence = Bytes::from(alloc::vec![7; 33]);
        let logs = [
            ChannelOpened { channelId: channel, ownerA, ownerB, sender, channel: (&def).into() }.encode_log_data(),
            Withdrawn { channelId: channel, asset, side: 1, total: 3, recipient: sender }.encode_log_data(),
            Closed { channelId: channel, asset: sender, paidA: 1, paidB: 2 }.encode_log_data(),
            Settled { channelId: channel, asset: ownerA, paidA: 1, paidB: 2 }.encode_log_data(),
            ProofSubmitted { channelId: channel, asset: ownerB, payer: 0, nonce: 4, acknowledged: true }
                .encode_log_data(),
            LockClaimed { channelId: channel, asset, payer: 1, slot: 8, units: 9, returned: true }.encode_log_data(),
            EvidenceRecorded { key: channel, units: 10, evidence: evidence.clone() }.encode_log_data(),
            Credited { asset, owner: sender, amount: Default::default() }.encode_log_data(),
            CreditPaid { asset, owner: sender, amount: Default::default() }.encode_log_data(),
        ];
        let mut news = News::default();
        assert!(news.read(&logs.clone().map(|data| log(data, 1)), 1).is_empty());
        let id = ChannelId(channel);
        assert_eq!(news.opened, [def]);
        assert!([asset, sender, ownerA].iter().all(|asset| news.touched.contains(&(id, *asset))));
        assert_eq!((news.touched.len(), news.shown.len()), (3, 2));
        assert!([ownerA, ownerB].iter().all(|asset| news.shown.contains(&(id, *asset))));
        let lane = LaneId { asset, payer: Side::B };
        assert_eq!(news.claimed, [(id, ChainFact::Claimed { lane, slot: 8, units: 9, returned: true })]);
        let fact = ChainFact::Evidence { key: ConditionKey(channel), units: 10, evidence };
        assert_eq!(news.evidence, [(None, fact)]);
        // Cut short anywhere, none is read, but for those without anything of interest in their data.
        for data in logs.into_iter().take(7) {
            let (topics, whole) = data.split();
            for length in 0..whole.len().saturating_sub(31) {
                let cut = LogData::new_unchecked(topics.clone(), Bytes::copy_from_slice(&whole[..length]));
                assert_eq!(News::default().read(&[log(cut, 1)], 1), [1], "{length} of {topics:?}");
            }
        }
    }
}
