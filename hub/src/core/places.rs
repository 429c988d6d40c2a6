//! Who holds the places of channels without a deposit. They cost nothing, so whoever has held one longest makes room for
//! a newcomer, first at the origin that holds the most: a stranger is not refused because strangers sit there.

use super::{Closed, Driver};
use crate::origin::Origin;
use farthing_protocol::ChannelId;
use farthing_protocol::hub::Registration;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// Seconds for which a channel without a deposit may be connected, if others do not need its place before.
const CONNECTED: u64 = 3_600;

/// Channels without a deposit that somebody registered or attached since the start.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The number of the last one: many begin in the same second.
    last: u64,
    holders: HashMap<ChannelId, (Origin, Since)>,
    by_origin: HashMap<Origin, BTreeMap<Since, ChannelId>>,
}

/// When a place was taken: Unix seconds, and a number.
type Since = (u64, u64);

impl Places {
    /// Remembers who holds a place. A channel keeps the time at which it was first seen, whoever attaches it.
    pub(super) fn hold(&mut self, channel: ChannelId, origin: Origin, now: u64) {
        self.last = self.last.saturating_add(1);
        let since = self.free(channel).unwrap_or((now, self.last));
        self.holders.insert(channel, (origin, since));
        self.by_origin.entry(origin).or_default().insert(since, channel);
    }

    /// The place is free, or the channel has a deposit. Returns since when it was held.
    pub(super) fn free(&mut self, channel: ChannelId) -> Option<Since> {
        let (origin, since) = self.holders.remove(&channel)?;
        if let Some(held) = self.by_origin.get_mut(&origin) {
            held.remove(&since);
            if held.is_empty() {
                self.by_origin.remove(&origin);
            }
        }
        Some(since)
    }

    fn held_by(&self, origin: Origin) -> usize {
        self.by_origin.get(&origin).map_or(0, BTreeMap::len)
    }

    /// The origin that holds most; of equals the one that has held one longest.
    fn most_crowded(&self) -> Option<Origin> {
        let longest = |held: &BTreeMap<Since, ChannelId>| held.keys().next().copied().map(Reverse);
        self.by_origin.iter().max_by_key(|(_, held)| (held.len(), longest(held))).map(|(origin, _)| *origin)
    }

    /// Those that have been held since this time or an earlier one.
    fn held_since(&self, time: u64) -> Vec<ChannelId> {
        let firsts = |held: &BTreeMap<Since, ChannelId>| {
            held.range(..=(time, u64::MAX)).map(|(_, channel)| *channel).collect::<Vec<_>>()
        };
        self.by_origin.values().flat_map(firsts).collect()
    }
}

impl Driver {
    /// Makes room for one more channel without a deposit, for this origin: in its own places if it holds too many, else
    /// wherever most are held. False if none of them may be forgotten yet, which the next look at the chain changes.
    pub(super) fn make_room(&mut self, origin: Origin, now: u64) -> bool {
        let limits = self.parts.unfunded;
        while self.places.held_by(origin) >= limits.most_per_origin {
            if !self.oust(|places| Some(origin).filter(|origin| places.held_by(*origin) >= limits.most_per_origin)) {
                return false;
            }
        }
        if self.hub.unfunded_count() >= limits.most {
            self.forget(now, limits.most.saturating_sub(1));
        }
        while self.hub.unfunded_count() >= limits.most {
            if !self.oust(Places::most_crowded) {
                return false;
            }
        }
        true
    }

    /// Lets go of channels without a deposit that have been connected for too long.
    pub(super) fn oust_old(&mut self, now: u64) {
        let age = self.parts.unfunded.age.min(CONNECTED);
        for channel in self.places.held_since(now.saturating_sub(age)) {
            self.oust_one(channel);
        }
    }

    /// Lets go of one channel of the origin that is chosen, the longest held first. Those that have got a deposit since
    /// then only leave the list.
    fn oust(&mut self, choose: impl Fn(&Places) -> Option<Origin>) -> bool {
        let Some(origin) = choose(&self.places) else { return false };
        let held: Vec<ChannelId> =
            self.places.by_origin.get(&origin).into_iter().flat_map(BTreeMap::values).copied().collect();
        held.into_iter().any(|channel| self.oust_one(channel))
    }

    /// Whether the channel's place is free now.
    fn oust_one(&mut self, channel: ChannelId) -> bool {
        if !self.hub.is_unfunded(&channel) {
            // It has a deposit, or was forgotten before.
            self.places.free(channel);
            return true;
        }
        let Some(registration) = self.hub.forget_unused(channel) else { return false };
        if let Some(socket) = self.sockets.remove(&channel) {
            socket.close(Closed::Unfunded);
        }
        self.forgot(registration);
        true
    }

    /// Whatever else is known of a channel that was forgotten.
    pub(super) fn forgot(&mut self, registration: Registration) {
        let id = self.id_of(&registration.channel);
        tracing::info!(channel = %id, "an unfunded channel was forgotten");
        self.channels = self.channels.saturating_sub(1);
        self.places.free(id);
        self.backups.forget(id);
        self.forgotten.note(id, registration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    fn origin(last: u8) -> Origin {
        Origin::of([192, 0, 2, last].into())
    }

    fn channel(number: u8) -> ChannelId {
        ChannelId(B256::repeat_byte(number))
    }

    #[test]
    fn the_crowded_origin_gives_way_and_a_reconnect_makes_nobody_younger() {
        let mut places = Places::default();
        places.hold(channel(1), origin(1), 10);
        places.hold(channel(2), origin(2), 20);
        places.hold(channel(3), origin(2), 30);
        assert_eq!(places.most_crowded(), Some(origin(2)));
        places.hold(channel(2), origin(2), 90);
        let mut old = places.held_since(29);
        old.sort();
        assert_eq!(old, [channel(1), channel(2)]);
        places.hold(channel(2), origin(3), 91);
        places.hold(channel(3), origin(3), 91);
        assert_eq!((places.held_by(origin(2)), places.held_by(origin(3))), (0, 2));
        assert_eq!(places.free(channel(2)).map(|(since, _)| since), Some(20));
        assert_eq!(places.most_crowded(), Some(origin(1)), "of equals the one that has held longest");
        assert_eq!(places.held_since(10), [channel(1)]);
    }
}
