//! What the contract's logs say, as far as the hub cares. A log that can't be read never halts the rest.

use alloy::rpc::types::Log;
use alloy_primitives::Bytes;
use alloy_sol_types::SolEventInterface;
use farthing_protocol::abi::IFarthing::IFarthingEvents;
use farthing_protocol::chain::ChainFact;
use farthing_protocol::condition::ConditionKey;
use farthing_protocol::proof::LaneId;
use farthing_protocol::{Asset, ChannelDef, ChannelId, Side};
use std::collections::BTreeSet;

/// What happened in a range of blocks.
#[derive(Debug, Default)]
pub(super) struct Happened {
    /// Assets whose state changed in a final block; their state is read anew.
    pub(super) touched: BTreeSet<(ChannelId, Asset)>,
    /// Evidence recorded in final blocks.
    pub(super) evidence: Vec<ChainFact>,
    /// Exits that started in any block.
    pub(super) exits: Vec<(ChannelId, ChainFact)>,
    /// Assets of exits for which a proof was shown, or that were settled, in a final block.
    pub(super) shown: BTreeSet<(ChannelId, Asset)>,
    /// Locks claimed in final blocks.
    pub(super) claimed: Vec<(ChannelId, ChainFact)>,
    /// Channels announced in final blocks.
    pub(super) opened: Vec<ChannelDef>,
}

impl Happened {
    /// Takes the logs of one range in. Those above `final_number` count for exits only.
    pub(super) fn read(&mut self, logs: &[Log], final_number: u64) {
        for log in logs {
            // A removed log is one that a reorg took back.
            let Some(number) = log.block_number.filter(|_| !log.removed) else { continue };
            match IFarthingEvents::decode_log(&log.inner) {
                Ok(event) => self.take(event.data, number <= final_number),
                Err(error) => tracing::warn!(block = number, %error, "a log of the contract can't be read; skipped"),
            }
        }
    }

    fn take(&mut self, event: IFarthingEvents, is_final: bool) {
        if let IFarthingEvents::ExitStarted(event) = &event {
            self.exits.push((ChannelId(event.channelId), ChainFact::ExitStarted { ends_at: event.endsAt }));
        }
        if !is_final {
            return;
        }
        match event {
            IFarthingEvents::ChannelOpened(event) => {
                self.opened.push(ChannelDef::from(&event.channel));
            }
            IFarthingEvents::Deposited(event) => self.touch(event.channelId, event.asset),
            IFarthingEvents::Withdrawn(event) => self.touch(event.channelId, event.asset),
            IFarthingEvents::Closed(event) => self.touch(event.channelId, event.asset),
            IFarthingEvents::Settled(event) => {
                self.touch(event.channelId, event.asset);
                self.shown.insert((ChannelId(event.channelId), event.asset));
            }
            IFarthingEvents::ProofSubmitted(event) => {
                self.shown.insert((ChannelId(event.channelId), event.asset));
            }
            IFarthingEvents::LockClaimed(event) => {
                if let Ok(payer) = Side::from_index(event.payer) {
                    let lane = LaneId { asset: event.asset, payer };
                    let (slot, units, returned) = (event.slot, event.units, event.returned);
                    let fact = ChainFact::Claimed { lane, slot, units, returned };
                    self.claimed.push((ChannelId(event.channelId), fact));
                }
            }
            IFarthingEvents::EvidenceRecorded(event) => self.evidence.push(ChainFact::Evidence {
                key: ConditionKey(event.key),
                units: event.units,
                evidence: Bytes::from(event.evidence.to_vec()),
            }),
            IFarthingEvents::ExitStarted(_) | IFarthingEvents::Credited(_) | IFarthingEvents::CreditPaid(_) => {}
        }
    }

    fn touch(&mut self, channel: alloy_primitives::B256, asset: Asset) {
        self.touched.insert((ChannelId(channel), asset));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, B256, LogData};
    use alloy_sol_types::SolEvent;
    use farthing_protocol::abi::IFarthing;

    fn log(data: LogData, block: u64) -> Log {
        let inner = alloy_primitives::Log { address: Address::repeat_byte(1), data };
        Log { inner, block_number: Some(block), ..Log::default() }
    }

    #[test]
    fn a_log_that_cannot_be_read_never_halts_the_rest() {
        let deposit = IFarthing::Deposited {
            channelId: B256::repeat_byte(5),
            asset: Address::ZERO,
            side: 0,
            total: 3,
            amount: 3,
        };
        let mut damaged = deposit.encode_log_data();
        damaged.data = Bytes::from_static(&[1, 2, 3]);
        let strange = LogData::new_unchecked(vec![B256::repeat_byte(9)], Bytes::new());
        let mut happened = Happened::default();
        happened.read(&[log(damaged, 1), log(strange, 1), log(deposit.encode_log_data(), 2)], 2);
        assert_eq!(happened.touched.len(), 1);
    }

    #[test]
    fn only_exits_count_before_they_are_final() {
        let id = B256::repeat_byte(5);
        let exit = IFarthing::ExitStarted { channelId: id, endsAt: 77 };
        let deposit = IFarthing::Deposited { channelId: id, asset: Address::ZERO, side: 0, total: 3, amount: 3 };
        let mut happened = Happened::default();
        happened.read(&[log(exit.encode_log_data(), 9), log(deposit.encode_log_data(), 9)], 8);
        assert!(happened.touched.is_empty());
        assert_eq!(happened.exits, [(ChannelId(id), ChainFact::ExitStarted { ends_at: 77 })]);
    }
}
