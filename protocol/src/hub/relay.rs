//! Transactions that the hub sends for its clients, at its own gas: withdrawals and closings. So many a day, for each
//! channel and in all, as two buckets that fill up again with the time.

use super::Hub;
use crate::amount::Amount;
use crate::message::Message;
use crate::types::ChannelId;
use alloc::collections::BTreeMap;

/// Gas of a withdrawal or closing, about.
pub const RELAY_GAS: u64 = 100_000;

const DAY: u64 = 86_400;

/// What the hub spends on the transactions of its clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RelayLimits {
    /// What one of them costs.
    pub cost: Amount,
    /// Most in a day, for one channel.
    pub channel_day: Amount,
    /// Most in a day, for all.
    pub day: Amount,
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self { cost: Amount::ZERO, channel_day: Amount::MAX, day: Amount::MAX }
    }
}

/// What is spent, and is forgiven again in the course of a day.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    spent: Amount,
    at: u64,
}

impl Bucket {
    /// What counts as spent at this time.
    pub(super) fn spent(&self, day: Amount, now: u64) -> Amount {
        let elapsed = u128::from(now.saturating_sub(self.at).min(DAY));
        // Rounded down, and exact after a day.
        let part = day.units().div_euclid(u128::from(DAY));
        let rest = day.units().rem_euclid(u128::from(DAY)).saturating_mul(elapsed).div_euclid(u128::from(DAY));
        self.spent.saturating_minus(Amount::new(part.saturating_mul(elapsed).saturating_add(rest)))
    }

    pub(super) fn spend(&mut self, cost: Amount, day: Amount, now: u64) {
        self.spent = self.spent(day, now).plus(cost).unwrap_or(Amount::MAX);
        self.at = now;
    }

    pub(super) fn has(&self, cost: Amount, day: Amount, now: u64) -> bool {
        self.spent(day, now).plus(cost).is_ok_and(|spent| spent <= day)
    }
}

/// What was spent lately.
#[derive(Debug, Default)]
pub(crate) struct Relayed {
    all: Bucket,
    /// Only of those with something spent: as many as fit into a day's budget.
    by_channel: BTreeMap<ChannelId, Bucket>,
}

impl Hub {
    /// Whether the hub has gas to spend on anything but protecting what it has. If not, it puts in no collateral and
    /// sends nothing for its clients, and says so at once; payments within what is there go on.
    pub const fn set_solvent(&mut self, solvent: bool) {
        self.insolvent = !solvent;
    }

    /// Whether it has.
    #[must_use]
    pub const fn is_solvent(&self) -> bool {
        !self.insolvent
    }

    /// Takes in a message of a client. What that makes the hub send for it is paid from the day's budget.
    pub(crate) fn handle_paid(&mut self, id: ChannelId, message: Message, now: u64) {
        let asks = matches!(message, Message::WithdrawProposal { .. } | Message::CloseProposal { .. });
        let relaying = asks && self.may_relay(&id, now);
        let Some(entry) = self.channels.get_mut(&id) else { return };
        entry.channel.set_relaying(relaying);
        let before = entry.channel.relayed();
        entry.channel.handle(message, &self.key, now);
        let sent = entry.channel.relayed().saturating_sub(before);
        if sent > 0 {
            self.pay_for_relay(id, u32::try_from(sent).unwrap_or(u32::MAX), now);
        }
    }

    fn may_relay(&self, id: &ChannelId, now: u64) -> bool {
        let RelayLimits { cost, channel_day, day } = self.config.relay;
        let own = self.relayed.by_channel.get(id).copied().unwrap_or_default();
        self.is_solvent() && self.relayed.all.has(cost, day, now) && own.has(cost, channel_day, now)
    }

    fn pay_for_relay(&mut self, id: ChannelId, sent: u32, now: u64) {
        let RelayLimits { cost, channel_day, day } = self.config.relay;
        let cost = cost.times(sent).unwrap_or(Amount::MAX);
        if cost.is_zero() {
            return;
        }
        self.relayed.all.spend(cost, day, now);
        self.relayed.by_channel.retain(|_, bucket| !bucket.spent(channel_day, now).is_zero());
        self.relayed.by_channel.entry(id).or_default().spend(cost, channel_day, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_full_again_after_a_day_and_never_more_than_full() {
        let (cost, day) = (Amount::new(10), Amount::new(30));
        let mut bucket = Bucket::default();
        for spent in [10, 20, 30] {
            assert!(bucket.has(cost, day, 1_000));
            bucket.spend(cost, day, 1_000);
            assert_eq!(bucket.spent(day, 1_000), Amount::new(spent));
        }
        assert!(!bucket.has(cost, day, 1_000));
        assert!(!bucket.has(cost, day, 1_000 + DAY / 3 - 1));
        assert!(bucket.has(cost, day, 1_000 + DAY / 3));
        assert_eq!(bucket.spent(day, 1_000 + DAY), Amount::ZERO);
        assert_eq!(bucket.spent(day, 900), Amount::new(30), "a clock that went back forgives nothing");
        assert!(!Bucket::default().has(Amount::new(31), day, 1_000_000));
    }
}
