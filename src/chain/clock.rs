//! What time it is. The device's clock may be wrong by any amount; the chain's newest block is never ahead of the truth
//! by more than a little, and behind it only by as long as nobody shows us a newer one. So the time is the device's where
//! the chain does not contradict it, never earlier than the newest block and what went by since, and, where blocks come
//! at the pace of a chain that lives while the device is ahead of them all, the chain's. [ADR 9]

use std::cell::RefCell;
use std::collections::VecDeque;

/// Blocks by which the pace is measured.
const KEPT: usize = 8;

/// Blocks that must have come at that pace before a device that is ahead of them is wrong.
const PROOF: usize = 4;

/// By how much the newest block may have come sooner than the time that goes by here has it, in seconds. A node that
/// catches up, or another one behind the same URL, is measured from there.
const LEAP: u64 = 30;

/// A clock that counts seconds is wrong by so many.
const GRAIN: u64 = 2;

/// By how much the device may be ahead of the chain and still be right, in seconds: blocks are seen late.
const NEAR: u64 = 30;

/// What both clocks of the device say at one moment, in seconds: the one that people set, and one that only runs on, but
/// may stand still while the device sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) device: u64,
    pub(super) running: u64,
}

impl Reading {
    fn now() -> Self {
        Self { device: crate::js::now(), running: crate::js::running() }
    }
}

/// The time as it was set when a new block was seen last.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    time: u64,
    /// The earliest that it can be.
    least: u64,
    at: Reading,
    /// The device is ahead of the chain, and nothing says yet which of them is wrong.
    undecided: bool,
}

#[derive(Debug, Default)]
struct Sights {
    /// Times of blocks, and when the running clock saw them first.
    seen: VecDeque<(u64, u64)>,
    anchor: Option<Anchor>,
}

/// The client's clock.
#[derive(Debug, Default)]
pub(super) struct Clock(RefCell<Sights>);

/// The device's clock against the time that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skew {
    /// As good as right.
    None,
    /// So many seconds behind.
    Behind(u64),
    /// So many seconds ahead.
    Ahead(u64),
    /// So many seconds ahead, unless the chain is not shown to its end.
    Undecided(u64),
}

impl Clock {
    /// A block is the newest.
    pub(super) fn saw(&self, timestamp: u64) {
        self.0.borrow_mut().saw(timestamp, Reading::now());
    }

    /// Unix seconds.
    pub(super) fn now(&self) -> u64 {
        self.0.borrow().now(Reading::now())
    }

    /// The earliest that it can be, by the chain, in Unix seconds.
    pub(super) fn least(&self) -> u64 {
        self.0.borrow().least(Reading::now())
    }

    /// How wrong the device is.
    pub(super) fn skew(&self) -> Skew {
        self.0.borrow().skew(Reading::now())
    }
}

impl Anchor {
    /// What went by since, by the clock that saw more of it: one stands still in sleep, the other may be set back. Set
    /// forward it makes the chain look old until the next block is seen, which is then asked for.
    fn since(&self, at: Reading) -> u64 {
        at.running.saturating_sub(self.at.running).max(at.device.saturating_sub(self.at.device))
    }
}

impl Sights {
    fn saw(&mut self, timestamp: u64, at: Reading) {
        match self.seen.back() {
            // Seen before, or made in the same second.
            Some((newest, _)) if *newest == timestamp => return,
            // The chain was reset.
            Some((newest, _)) if *newest > timestamp => self.seen.clear(),
            _ => {}
        }
        if let Some((newest, since)) = self.seen.back() {
            let passed = at.running.saturating_sub(*since);
            if timestamp.saturating_sub(*newest) > passed.saturating_add(LEAP) {
                self.seen.clear();
            }
        }
        self.seen.push_back((timestamp, at.running));
        if self.seen.len() > KEPT {
            self.seen.pop_front();
        }
        let by = |(block, since): &(u64, u64)| block.saturating_add(at.running.saturating_sub(*since));
        let least = self.seen.iter().map(by).max().unwrap_or(timestamp);
        let ahead = at.device > least.saturating_add(NEAR);
        let proven = self.is_living();
        let time = if ahead && proven { least } else { at.device.max(least) };
        self.anchor = Some(Anchor { time, least, at, undecided: ahead && !proven });
    }

    /// Whether the blocks came as they are made. The first was seen late by the time between two at most, and a node that
    /// catches up with an old chain is ahead by more, the more of them there are.
    fn is_living(&self) -> bool {
        let (Some((first, since)), Some((newest, until))) = (self.seen.front(), self.seen.back()) else { return false };
        let gaps = u64::try_from(self.seen.len()).unwrap_or(u64::MAX).saturating_sub(1).max(1);
        let (made, passed) = (newest.saturating_sub(*first), until.saturating_sub(*since));
        self.seen.len() >= PROOF && made <= passed.saturating_add(made.div_euclid(gaps)).saturating_add(GRAIN)
    }

    fn now(&self, at: Reading) -> u64 {
        self.anchor.map_or(at.device, |anchor| anchor.time.saturating_add(anchor.since(at)))
    }

    fn least(&self, at: Reading) -> u64 {
        self.anchor.map_or(at.device, |anchor| anchor.least.saturating_add(anchor.since(at)))
    }

    fn skew(&self, at: Reading) -> Skew {
        let (now, least) = (self.now(at), self.least(at));
        match self.anchor {
            Some(anchor) if anchor.undecided => Skew::Undecided(at.device.saturating_sub(least)),
            _ if at.device > now.saturating_add(NEAR) => Skew::Ahead(at.device.saturating_sub(now)),
            _ if now > at.device.saturating_add(NEAR) => Skew::Behind(now.saturating_sub(at.device)),
            _ => Skew::None,
        }
    }
}

/// A number of seconds, as people say it.
#[must_use]
pub fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7_200 => format!("{} minutes", seconds.saturating_add(30).div_euclid(60)),
        7_200..172_800 => format!("{} hours", seconds.saturating_add(1_800).div_euclid(3_600)),
        _ => format!("{} days", seconds.saturating_add(43_200).div_euclid(86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: u64 = 1_700_000_000;
    const DAY: u64 = 86_400;

    /// Blocks every twelve seconds from T on, each seen `late` seconds after; the device is off by `off`.
    fn living(blocks: u64, late: u64, off: i64) -> (Sights, impl Fn(u64) -> Reading) {
        let at = move |time: u64| Reading { device: time.saturating_add_signed(off), running: time - T + 1_000 };
        let mut sights = Sights::default();
        for block in 0..blocks {
            sights.saw(T + 12 * block, at(T + 12 * block + late));
        }
        (sights, at)
    }

    #[test]
    fn a_device_that_is_right_is_believed_however_old_the_newest_block_is() {
        let (sights, at) = living(1, 3 * DAY, 0);
        assert_eq!(sights.now(at(T + 3 * DAY + 5)), T + 3 * DAY + 5);
        let (sights, at) = living(9, 20, 0);
        assert_eq!(sights.now(at(T + 200)), T + 200);
        assert_eq!(sights.skew(at(T + 200)), Skew::None);
    }

    #[test]
    fn a_device_that_is_behind_the_newest_block_is_set_right_by_the_first() {
        let (sights, at) = living(1, 2, -90_000);
        assert_eq!(sights.now(at(T + 62)), T + 60);
        assert_eq!(sights.skew(at(T + 62)), Skew::Behind(89_998));
    }

    #[test]
    fn a_device_that_is_ahead_is_wrong_once_blocks_have_come_at_the_pace_of_a_living_chain() {
        for off in [2_400, 90_000] {
            let (sights, at) = living(3, 1, off);
            assert_eq!(sights.now(at(T + 25)), T + 25 + off.unsigned_abs(), "three blocks prove nothing yet");
            assert_eq!(sights.skew(at(T + 25)), Skew::Undecided(off.unsigned_abs() + 1));
            let (sights, at) = living(4, 1, off);
            assert_eq!(sights.now(at(T + 46)), T + 45);
            assert_eq!(sights.skew(at(T + 46)), Skew::Ahead(off.unsigned_abs() + 1));
        }
    }

    #[test]
    fn a_node_that_catches_up_does_not_prove_a_device_wrong() {
        // Twelve and two times as fast, and in leaps.
        for (made, takes) in [(12, 1), (12, 6), (1_200, 5)] {
            let mut sights = Sights::default();
            for block in 0..50 {
                let at = Reading { device: T + 30 * DAY + takes * block, running: takes * block };
                sights.saw(T + made * block, at);
                assert_eq!(sights.now(at), T + 30 * DAY + takes * block, "block {block}, {made} in {takes}");
            }
        }
    }

    #[test]
    fn the_first_block_may_have_been_seen_late() {
        let mut sights = Sights::default();
        for (block, passed) in [(0, 11), (12, 13), (24, 25), (36, 37)] {
            sights.saw(T + block, Reading { device: T + DAY + passed, running: passed });
        }
        assert_eq!(sights.now(Reading { device: T + DAY + 38, running: 38 }), T + 37);
    }

    #[test]
    fn a_chain_that_stands_still_gets_old_by_a_device_that_was_proven_wrong() {
        let (sights, at) = living(5, 0, 90_000);
        assert_eq!(sights.now(at(T + 48 + 7_200)), T + 48 + 7_200);
    }

    #[test]
    fn sleep_in_which_one_of_the_clocks_stands_still_has_gone_by() {
        let (sights, at) = living(5, 0, 0);
        let slept = Reading { device: T + 48 + DAY, ..at(T + 48) };
        assert_eq!(sights.now(slept), T + 48 + DAY);
        let set_back = Reading { device: 0, ..at(T + 48 + 60) };
        assert_eq!(sights.now(set_back), T + 48 + 60);
    }

    #[test]
    fn a_chain_that_was_reset_is_measured_anew() {
        let (mut sights, at) = living(5, 0, 0);
        sights.saw(T - 500, at(T + 60));
        assert_eq!(sights.least(at(T + 60)), T - 500);
        assert_eq!(sights.now(at(T + 60)), T + 60);
    }

    #[test]
    fn spans_are_told_in_the_unit_that_fits() {
        assert_eq!([90, 2_400, 90_000, 864_000].map(span), ["90 seconds", "40 minutes", "25 hours", "10 days"]);
    }
}
