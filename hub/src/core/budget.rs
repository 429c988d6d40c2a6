//! How many bytes may wait for clients that do not read: for each origin, and in all.

use crate::origin::Origin;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Counts bytes that are held for clients.
///
/// In all, `most` bytes are held; beyond that an origin gets its share of `most` and no more, so that those who do not
/// read keep nobody from being answered who does. So it is less than twice as much in the worst case.
#[derive(Debug)]
pub struct Budget {
    most: usize,
    most_per_origin: usize,
    used: Mutex<Used>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Used {
    total: usize,
    by_origin: HashMap<Origin, usize>,
}

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(most: usize, most_per_origin: usize) -> Arc<Self> {
        Arc::new(Self { most, most_per_origin, used: Mutex::default(), freed: Notify::new() })
    }

    /// Counts bytes until the charge is dropped, if there are so many left.
    #[must_use]
    pub fn charge(self: &Arc<Self>, origin: Origin, bytes: usize) -> Option<Charge> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let here = used.by_origin.get(&origin).copied().unwrap_or_default();
        let (total, new) = (used.total.saturating_add(bytes), here.saturating_add(bytes));
        let origins = used.by_origin.len().saturating_add(usize::from(here == 0));
        let share = self.most.checked_div(origins).unwrap_or(self.most);
        if new > self.most_per_origin || total > self.most && new > share {
            return None;
        }
        used.total = total;
        if bytes > 0 {
            used.by_origin.insert(origin, new);
        }
        Some(Charge { budget: Arc::clone(self), origin, bytes })
    }

    /// As [`Self::charge`], as soon as there are so many left.
    pub async fn wait(self: &Arc<Self>, origin: Origin, bytes: usize) -> Charge {
        loop {
            // Asked before the look, or what is freed in between would be missed.
            let freed = self.freed.notified();
            if let Some(charge) = self.charge(origin, bytes) {
                return charge;
            }
            freed.await;
        }
    }

    /// Bytes that are held now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

/// Bytes that are counted until this is dropped.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    origin: Origin,
    bytes: usize,
}

impl Charge {
    /// How many.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut used = self.budget.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.total = used.total.saturating_sub(self.bytes);
        match used.by_origin.get_mut(&self.origin) {
            Some(here) if *here > self.bytes => *here = here.saturating_sub(self.bytes),
            _ => drop(used.by_origin.remove(&self.origin)),
        }
        drop(used);
        self.budget.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(last: u8) -> Origin {
        Origin::of([192, 0, 2, last].into())
    }

    #[test]
    fn an_origin_has_its_own_budget_and_gets_back_what_was_read() {
        let budget = Budget::new(1_000, 300);
        let first = budget.charge(origin(1), 200).unwrap();
        assert!(budget.charge(origin(1), 101).is_none());
        let _second = budget.charge(origin(1), 100).unwrap();
        let _other = budget.charge(origin(2), 300).unwrap();
        assert_eq!(budget.used(), 600);
        drop(first);
        assert!(budget.charge(origin(1), 200).is_some());
        assert_eq!(budget.used(), 400, "the last one was dropped at once");
    }

    #[test]
    fn those_who_do_not_read_leave_a_share_to_those_who_do() {
        let budget = Budget::new(1_000, 500);
        let _hogs = [budget.charge(origin(1), 500).unwrap(), budget.charge(origin(2), 500).unwrap()];
        assert!(budget.charge(origin(2), 1).is_none());
        let newcomer = budget.charge(origin(3), 333).unwrap();
        assert!(budget.charge(origin(3), 1).is_none(), "a third of all is its share");
        drop(newcomer);
        assert_eq!(budget.used(), 1_000);
    }

    #[tokio::test]
    async fn who_waits_is_served_when_bytes_are_freed() {
        let budget = Budget::new(100, 100);
        let held = budget.charge(origin(1), 100).unwrap();
        let waiting = budget.wait(origin(1), 50);
        tokio::pin!(waiting);
        assert!(futures_util::FutureExt::now_or_never(waiting.as_mut()).is_none());
        drop(held);
        assert_eq!(waiting.await.bytes(), 50);
    }
}
