//! How many requests, puts and messages.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Keys remembered before those that owe nothing are forgotten.
const REMEMBERED: usize = 16_384;
/// Time between two looks for those that owe nothing.
const SWEEP: Duration = Duration::from_secs(1);

/// A token bucket: `burst` requests at once, `rate` a second in the long run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    tokens: f64,
    rate: f64,
    burst: f64,
    at: Instant,
}

impl Bucket {
    pub(crate) fn new(rate: f64, burst: u32, now: Instant) -> Self {
        Self { tokens: f64::from(burst), rate, burst: f64::from(burst), at: now }
    }

    /// Takes `count` tokens, if there are so many.
    pub(crate) fn take(&mut self, count: u32, now: Instant) -> bool {
        self.refill(now);
        let left = self.tokens - f64::from(count);
        if left < 0.0 {
            return false;
        }
        self.tokens = left;
        true
    }

    /// Takes `count` tokens in any case; returns how long to wait until they are paid for.
    pub(super) fn debit(&mut self, count: u32, now: Instant) -> Duration {
        self.refill(now);
        self.tokens -= f64::from(count);
        Duration::try_from_secs_f64(-self.tokens / self.rate).unwrap_or_default()
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = passed.mul_add(self.rate, self.tokens).min(self.burst);
        self.at = now;
    }

    fn is_full(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.tokens >= self.burst
    }
}

/// A bucket for each origin, or for whatever else is counted.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    rate: f64,
    burst: u32,
    known: Mutex<Known<K>>,
}

#[derive(Debug)]
struct Known<K> {
    of: HashMap<K, Bucket>,
    /// Of all those for whom there is no room: whoever comes from everywhere at once is one.
    others: Bucket,
    /// When the full ones were forgotten.
    swept: Instant,
}

impl<K: Copy + Eq + Hash> Buckets<K> {
    /// `burst` at once, `rate` a second in the long run.
    pub(crate) fn new(rate: f64, burst: u32) -> Self {
        let now = Instant::now();
        let known = Known { of: HashMap::new(), others: Bucket::new(rate, burst, now), swept: now };
        Self { rate, burst, known: Mutex::new(known) }
    }

    /// Takes `count` tokens, if there are so many.
    pub(crate) fn take(&self, key: impl Into<K>, count: u32) -> bool {
        let now = Instant::now();
        self.with(key.into(), now, |bucket| bucket.take(count, now))
    }

    /// Takes `count` tokens in any case; returns how long to wait until they are paid for.
    pub(super) fn debit(&self, key: impl Into<K>, count: u32) -> Duration {
        let now = Instant::now();
        self.with(key.into(), now, |bucket| bucket.debit(count, now))
    }

    fn with<T>(&self, key: K, now: Instant, work: impl FnOnce(&mut Bucket) -> T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { of, others, swept } = &mut *known;
        if of.len() >= REMEMBERED && now.saturating_duration_since(*swept) >= SWEEP {
            *swept = now;
            of.retain(|_, bucket| !bucket.is_full(now));
        }
        if of.len() >= REMEMBERED && !of.contains_key(&key) {
            return work(others);
        }
        work(of.entry(key).or_insert_with(|| Bucket::new(self.rate, self.burst, now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::Origin;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10.0, 3, start);
        assert!(bucket.take(3, start));
        assert!(!bucket.take(1, start));
        let later = start + Duration::from_millis(100);
        assert!(bucket.take(1, later));
        assert!(!bucket.take(1, later));
        let much_later = later + Duration::from_secs(60);
        assert!(bucket.take(3, much_later));
        assert_eq!(bucket.debit(5, much_later), Duration::from_millis(500));
        assert!(!bucket.take(1, much_later + Duration::from_millis(500)));
    }

    #[test]
    fn an_address_has_its_own_bucket_and_a_subscriber_of_ipv6_one() {
        let buckets: Buckets<Origin> = Buckets::new(0.001, 2);
        let of = |text: &str| text.parse::<std::net::IpAddr>().unwrap();
        assert!(buckets.take(of("192.0.2.1"), 2));
        assert!(!buckets.take(of("::ffff:192.0.2.1"), 1));
        assert!(buckets.take(of("2001:db8::1"), 2) && !buckets.take(of("2001:db8::2"), 1));
        assert!(!buckets.debit(of("2001:db8::3"), 1).is_zero());
    }

    #[test]
    fn those_beyond_what_is_remembered_share_one() {
        let buckets: Buckets<usize> = Buckets::new(0.001, 1);
        assert!((0..REMEMBERED).all(|key| buckets.take(key, 1)));
        assert!(buckets.take(REMEMBERED, 1));
        assert!(!buckets.take(REMEMBERED + 1, 1));
        assert!(!buckets.take(0_usize, 1));
    }
}
