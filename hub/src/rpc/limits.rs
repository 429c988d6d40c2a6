//! How many connections, and how many requests on each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Addresses remembered before those that owe nothing are forgotten.
const REMEMBERED: usize = 16_384;

/// A token bucket: `burst` requests at once, `rate` a second in the long run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    tokens: f64,
    rate: f64,
    burst: f64,
    at: Instant,
}

impl Bucket {
    pub(super) fn new(rate: u32, burst: u32, now: Instant) -> Self {
        Self { tokens: f64::from(burst), rate: f64::from(rate), burst: f64::from(burst), at: now }
    }

    /// Takes `count` tokens, if there are so many.
    pub(super) fn take(&mut self, count: u32, now: Instant) -> bool {
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

/// A bucket for each address, for requests without a connection.
#[derive(Debug)]
pub(super) struct Buckets {
    rate: u32,
    burst: u32,
    by_ip: Mutex<HashMap<IpAddr, Bucket>>,
}

impl Buckets {
    pub(super) fn new(rate: u32, burst: u32) -> Self {
        Self { rate, burst, by_ip: Mutex::default() }
    }

    pub(super) fn take(&self, ip: IpAddr, count: u32) -> bool {
        let now = Instant::now();
        let mut by_ip = self.by_ip.lock().unwrap_or_else(PoisonError::into_inner);
        if by_ip.len() >= REMEMBERED {
            by_ip.retain(|_, bucket| !bucket.is_full(now));
        }
        by_ip.entry(ip).or_insert_with(|| Bucket::new(self.rate, self.burst, now)).take(count, now)
    }
}

/// Counts open connections.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    most_per_ip: usize,
    open: Mutex<(usize, HashMap<IpAddr, usize>)>,
}

impl Connections {
    pub(super) fn new(most: usize, most_per_ip: usize) -> Arc<Self> {
        Arc::new(Self { most, most_per_ip, open: Mutex::default() })
    }

    /// A place for a connection, if there is one left. It is free again when the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (total, by_ip) = &mut *open;
        let here = by_ip.get(&ip).copied().unwrap_or_default();
        if *total >= self.most || here >= self.most_per_ip {
            return None;
        }
        *total = total.saturating_add(1);
        by_ip.insert(ip, here.saturating_add(1));
        Some(Place { connections: Arc::clone(self), ip })
    }
}

/// A connection's place.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    ip: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (total, by_ip) = &mut *open;
        *total = total.saturating_sub(1);
        match by_ip.get_mut(&self.ip) {
            Some(here) if *here > 1 => *here = here.saturating_sub(1),
            _ => drop(by_ip.remove(&self.ip)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 3, start);
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
    fn places_are_limited_by_address_and_come_back() {
        let connections = Connections::new(3, 2);
        let (one, two) = (IpAddr::from([1; 4]), IpAddr::from([2; 4]));
        let first = connections.enter(one).unwrap();
        let _second = connections.enter(one).unwrap();
        assert!(connections.enter(one).is_none(), "two from one address");
        let _third = connections.enter(two).unwrap();
        assert!(connections.enter(two).is_none(), "three in all");
        drop(first);
        assert!(connections.enter(one).is_some());
    }
}
