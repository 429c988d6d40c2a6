//! Who broke the protocol lately: an origin or a channel that did so too often waits, longer each time, before it is let
//! in again. A client that keeps the rules never breaks them by accident, so it is never here.

use crate::origin::Origin;
use farthing_protocol::ChannelId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Culprits remembered at once.
const REMEMBERED: usize = 16_384;
/// The longest wait of a channel, which is its client's alone.
const LONGEST: Duration = Duration::from_secs(3_600);
/// The longest wait of an origin: one of many behind it must not keep the others out.
const LONGEST_SHARED: Duration = Duration::from_secs(60);
/// How long a culprit is remembered that did nothing more.
const MEMORY: Duration = Duration::from_secs(7_200);
/// So many times as much is borne of an origin: others may share it.
const SHARED: u32 = 4;

/// Whose faults are counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Culprit {
    Origin(Origin),
    Channel(ChannelId),
}

/// Counts faults.
#[derive(Debug)]
pub(super) struct Faults {
    /// Most of a channel until it waits.
    most: u32,
    /// The first wait; each further one is twice as long.
    wait: Duration,
    known: Mutex<HashMap<Culprit, Record>>,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    count: u32,
    wait: Duration,
    until: Instant,
    last: Instant,
}

impl Faults {
    pub(super) fn new(most: u32, wait: Duration) -> Self {
        Self { most, wait, known: Mutex::default() }
    }

    /// One more fault; true if the culprit has to wait now.
    pub(super) fn note(&self, culprit: Culprit, now: Instant) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED && !known.contains_key(&culprit) {
            known.retain(|_, record| !record.is_over(now));
            if known.len() >= REMEMBERED {
                // Its connection is closed all the same.
                return false;
            }
        }
        let fresh = Record { count: 0, wait: self.wait, until: now, last: now };
        let record = known.entry(culprit).or_insert(fresh);
        if record.is_over(now) {
            *record = fresh;
        }
        record.last = now;
        record.count = record.count.saturating_add(1);
        let (most, longest) = match culprit {
            Culprit::Origin(_) => (self.most.saturating_mul(SHARED), LONGEST_SHARED),
            Culprit::Channel(_) => (self.most, LONGEST),
        };
        if record.count >= most {
            record.count = 0;
            record.until = now.checked_add(record.wait.min(longest)).unwrap_or(now);
            record.wait = record.wait.saturating_mul(2).min(LONGEST);
        }
        now < record.until
    }

    /// Whether it has to wait.
    pub(super) fn waits(&self, culprit: Culprit, now: Instant) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&culprit).is_some_and(|record| now < record.until)
    }
}

impl Record {
    fn is_over(&self, now: Instant) -> bool {
        now >= self.until && now.saturating_duration_since(self.last) > MEMORY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_are_forgotten_in_the_end() {
        let faults = Faults::new(2, Duration::from_secs(10));
        let culprit = Culprit::Channel(ChannelId(alloy_primitives::B256::repeat_byte(1)));
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(!faults.note(culprit, start));
        assert!(!faults.waits(culprit, start));
        assert!(faults.note(culprit, start));
        assert!(faults.waits(culprit, after(9)) && !faults.waits(culprit, after(10)));
        assert!(!faults.note(culprit, after(20)) && faults.note(culprit, after(20)));
        assert!(faults.waits(culprit, after(39)) && !faults.waits(culprit, after(40)));
        assert!(!faults.note(culprit, after(40 + 7_201)));
        assert!(faults.note(culprit, after(40 + 7_201)));
        assert!(!faults.waits(culprit, after(40 + 7_211)), "as the first time");
    }

    #[test]
    fn an_origin_may_be_many_people() {
        let faults = Faults::new(2, Duration::from_secs(10));
        let (one, now) = (Culprit::Origin(Origin::of([192, 0, 2, 1].into())), Instant::now());
        assert!((1..8).all(|_| !faults.note(one, now)));
        assert!(faults.note(one, now));
        assert!(!faults.waits(Culprit::Origin(Origin::of([192, 0, 2, 2].into())), now));
        let much = Faults::new(1, Duration::from_secs(900));
        assert!((1..=4).any(|_| much.note(one, now)));
        assert!(!much.waits(one, now + LONGEST_SHARED), "others are not kept out for long");
    }
}
