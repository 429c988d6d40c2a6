//! False evidence costs us hashes and its sender nothing: a word of a long chain takes milliseconds, and everybody who is
//! served by the same thread waits. Who has wasted too many is not listened to for the rest of a minute.

/// Hashes that false evidence may take in a period: four words of the longest chain.
const MOST: u64 = 65_536;

/// What a signature costs, in hashes, and the least that anything counts.
const LEAST: u64 = 256;

/// Seconds.
const PERIOD: u64 = 60;

/// What a peer has wasted. Not stored: after a restart it may begin anew.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waste {
    hashes: u64,
    since: u64,
}

impl Waste {
    /// Whether evidence is looked at now.
    pub(crate) const fn is_bearable(&mut self, now: u64) -> bool {
        if now.abs_diff(self.since) >= PERIOD {
            *self = Self { hashes: 0, since: now };
        }
        self.hashes < MOST
    }

    /// Evidence for so many units was false.
    pub(crate) fn note(&mut self, claimed: u32) {
        self.hashes = self.hashes.saturating_add(u64::from(claimed.min(crate::condition::MAX_CHAIN)).max(LEAST));
    }
}
