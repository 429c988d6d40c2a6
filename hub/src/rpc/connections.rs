//! How many connections there are: of each origin, and in all. Whoever has said nothing that matters for longest makes
//! room for a newcomer.

use crate::origin::Origin;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Counts open connections.
#[derive(Debug)]
pub(crate) struct Connections {
    most: usize,
    most_per_origin: usize,
    /// Whether an origin that has all its places gives one of them to its own newcomer.
    gives_way: bool,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// The last number that was given out: of a place, and of its use.
    last: u64,
    places: HashMap<u64, Taken>,
    by_origin: HashMap<Origin, Crowd>,
    /// Places that can be taken away, the longest unused first.
    idle: BTreeSet<(u64, u64)>,
}

#[derive(Debug)]
struct Taken {
    origin: Origin,
    /// When it was used last, in numbers; none if it is kept.
    used: Option<u64>,
    end: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Crowd {
    count: usize,
    idle: BTreeSet<(u64, u64)>,
}

impl Connections {
    /// Room for so many.
    pub(crate) fn new(most: usize, most_per_origin: usize, gives_way: bool) -> Arc<Self> {
        Arc::new(Self { most, most_per_origin, gives_way, open: Mutex::default() })
    }

    /// A place for a connection, if there is one left or somebody makes room. It is free again when it is dropped.
    pub(crate) fn enter(self: &Arc<Self>, origin: Origin) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.by_origin.get(&origin).map_or(0, |crowd| crowd.count) >= self.most_per_origin {
            let oldest = open.by_origin.get(&origin).and_then(|crowd| crowd.idle.first()).copied();
            let (_, id) = oldest.filter(|_| self.gives_way)?;
            open.evict(id);
        }
        if open.places.len() >= self.most {
            let (_, id) = open.idle.first().copied()?;
            open.evict(id);
        }
        open.last = open.last.saturating_add(1);
        let (id, end) = (open.last, Arc::new(Notify::new()));
        open.places.insert(id, Taken { origin, used: Some(id), end: Arc::clone(&end) });
        open.idle.insert((id, id));
        let crowd = open.by_origin.entry(origin).or_default();
        crowd.count = crowd.count.saturating_add(1);
        crowd.idle.insert((id, id));
        drop(open);
        Some(Place { connections: Arc::clone(self), id, end })
    }

    /// How many there are.
    #[cfg(test)]
    fn count(&self) -> usize {
        self.open.lock().unwrap().places.len()
    }
}

impl Open {
    /// Takes a place out of the order in which they are taken away.
    fn unlist(&mut self, id: u64) {
        let Some(taken) = self.places.get_mut(&id) else { return };
        let Some(used) = taken.used.take() else { return };
        self.idle.remove(&(used, id));
        if let Some(crowd) = self.by_origin.get_mut(&taken.origin) {
            crowd.idle.remove(&(used, id));
        }
    }

    fn remove(&mut self, id: u64) -> Option<Taken> {
        self.unlist(id);
        let taken = self.places.remove(&id)?;
        if let Some(crowd) = self.by_origin.get_mut(&taken.origin) {
            crowd.count = crowd.count.saturating_sub(1);
            if crowd.count == 0 {
                self.by_origin.remove(&taken.origin);
            }
        }
        Some(taken)
    }

    fn evict(&mut self, id: u64) {
        if let Some(taken) = self.remove(id) {
            taken.end.notify_one();
        }
    }
}

/// A connection's place.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Arc<Connections>,
    id: u64,
    end: Arc<Notify>,
}

impl Place {
    /// It was used just now: others make room before it does.
    pub(crate) fn touch(&self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(origin) = open.places.get(&self.id).filter(|taken| taken.used.is_some()).map(|taken| taken.origin)
        else {
            return;
        };
        open.unlist(self.id);
        open.last = open.last.saturating_add(1);
        let entry = (open.last, self.id);
        open.idle.insert(entry);
        if let Some(crowd) = open.by_origin.get_mut(&origin) {
            crowd.idle.insert(entry);
        }
        if let Some(taken) = open.places.get_mut(&self.id) {
            taken.used = Some(entry.0);
        }
    }

    /// It is not taken away any more.
    pub(crate) fn keep(&self) {
        self.connections.open.lock().unwrap_or_else(PoisonError::into_inner).unlist(self.id);
    }

    /// Waits until it is taken away.
    pub(crate) async fn taken_away(&self) {
        self.end.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open.lock().unwrap_or_else(PoisonError::into_inner).remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn origin(last: u8) -> Origin {
        Origin::of([192, 0, 2, last].into())
    }

    fn is_gone(place: &Place) -> bool {
        place.taken_away().now_or_never().is_some()
    }

    #[test]
    fn places_are_limited_by_origin_and_come_back() {
        let connections = Connections::new(3, 2, false);
        let first = connections.enter(origin(1)).unwrap();
        let _second = connections.enter(origin(1)).unwrap();
        assert!(connections.enter(origin(1)).is_none(), "two from one origin");
        drop(first);
        assert!(connections.enter(origin(1)).is_some());
        assert_eq!(connections.count(), 1);
    }

    #[test]
    fn the_longest_unused_makes_room_and_what_is_kept_does_not() {
        let connections = Connections::new(3, 3, false);
        let places: Vec<_> = (1..=3).map(|last| connections.enter(origin(last)).unwrap()).collect();
        places[0].touch();
        let newcomer = connections.enter(origin(4)).unwrap();
        assert_eq!(places.iter().map(is_gone).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(connections.count(), 3);
        places[0].keep();
        places[0].touch();
        places[2].keep();
        newcomer.keep();
        assert!(connections.enter(origin(5)).is_none(), "all are kept");
        drop(places);
        assert_eq!(connections.count(), 1);
        assert!(connections.enter(origin(5)).is_some());
    }

    #[test]
    fn an_origin_that_gives_way_does_so_to_itself_alone() {
        let connections = Connections::new(9, 2, true);
        let (one, two) = (connections.enter(origin(1)).unwrap(), connections.enter(origin(1)).unwrap());
        let other = connections.enter(origin(2)).unwrap();
        let _three = connections.enter(origin(1)).unwrap();
        assert!(is_gone(&one) && !is_gone(&two) && !is_gone(&other));
    }
}
