//! An ordered map and an ordered set of little code. Each kind of `BTreeMap` that something is removed from adds seven
//! kilobytes to the client's module, and there were fifteen; one of these adds one.
//!
//! Entries stand in chunks of at most [`MOST`], all of them in order. A change moves entries within one chunk; only when
//! a chunk splits or goes, one in [`MOST`] / 2 changes, the list of chunks moves, and that is short.

use alloc::vec::Vec;
use core::fmt;
use core::iter::{Flatten, Map as Mapped};
use core::slice;

/// Entries in a chunk, at most.
const MOST: usize = 32;

type Chunk<K, V> = Vec<(K, V)>;

/// An ordered map.
#[derive(Clone)]
pub struct Map<K, V> {
    /// None is empty.
    chunks: Vec<Chunk<K, V>>,
    len: usize,
}

/// Where a key is, or would be.
struct Place {
    chunk: usize,
    index: usize,
    found: bool,
}

impl<K: Ord, V> Map<K, V> {
    fn find(&self, key: &K) -> Place {
        let before = |chunk: &Chunk<K, V>| chunk.last().is_some_and(|(last, _)| last < key);
        // What is greater than all goes to the end of the last chunk.
        let chunk = self.chunks.partition_point(before).min(self.chunks.len().saturating_sub(1));
        let entries = self.chunks.get(chunk).map_or(&[][..], Vec::as_slice);
        let (index, found) = match entries.binary_search_by(|(known, _)| known.cmp(key)) {
            Ok(index) => (index, true),
            Err(index) => (index, false),
        };
        Place { chunk, index, found }
    }

    fn at(&mut self, place: &Place) -> Option<&mut V> {
        let (_, value) = self.chunks.get_mut(place.chunk).filter(|_| place.found)?.get_mut(place.index)?;
        Some(value)
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        let place = self.find(key);
        let (_, value) = self.chunks.get(place.chunk).filter(|_| place.found)?.get(place.index)?;
        Some(value)
    }

    /// The value of a key, to change.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = self.find(key);
        self.at(&place)
    }

    /// The greatest key that is not above this one.
    pub fn last_up_to(&self, key: &K) -> Option<&K> {
        let Place { chunk, index, found } = self.find(key);
        let up_to = if found { index.saturating_add(1) } else { index };
        let here = self.chunks.get(chunk).and_then(|chunk| chunk.get(..up_to)?.last());
        let (last, _) = here.or_else(|| self.chunks.get(chunk.checked_sub(1)?)?.last())?;
        Some(last)
    }

    /// Whether there is such a key.
    pub fn contains_key(&self, key: &K) -> bool {
        self.find(key).found
    }

    /// Sets the value of a key, and gives the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let place = self.find(&key);
        if let Some(known) = self.at(&place) {
            return Some(core::mem::replace(known, value));
        }
        self.put(place, key, value);
        None
    }

    /// The value of a key, which is the default one if there is none yet.
    #[allow(clippy::indexing_slicing, reason = "`find` and `put` name an entry that is there")]
    pub fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let mut place = self.find(&key);
        if !place.found {
            place = self.put(place, key, V::default());
        }
        &mut self.chunks[place.chunk][place.index].1
    }

    /// Puts a new entry in, and says where it is.
    fn put(&mut self, mut place: Place, key: K, value: V) -> Place {
        place.found = true;
        self.len = self.len.saturating_add(1);
        if self.chunks.is_empty() {
            self.chunks.push(Vec::new());
        }
        let Some(chunk) = self.chunks.get_mut(place.chunk) else {
            return place;
        };
        let mut rest = None;
        if chunk.len() >= MOST {
            // Keys often come in rising order: then full chunks stay behind.
            let half = if place.index == MOST { MOST } else { MOST / 2 };
            let mut upper = chunk.split_off(half);
            if place.index >= half {
                place.index = place.index.saturating_sub(half);
                upper.insert(place.index, (key, value));
                place.chunk = place.chunk.saturating_add(1);
                self.chunks.insert(place.chunk, upper);
                return place;
            }
            rest = Some(upper);
        }
        chunk.insert(place.index, (key, value));
        if let Some(upper) = rest {
            self.chunks.insert(place.chunk.saturating_add(1), upper);
        }
        place
    }

    /// Takes a key's value out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let place = self.find(key);
        let chunk = self.chunks.get_mut(place.chunk).filter(|_| place.found)?;
        let (_, value) = chunk.remove(place.index);
        if chunk.is_empty() {
            self.chunks.remove(place.chunk);
        }
        self.len = self.len.saturating_sub(1);
        Some(value)
    }
}

impl<K, V> Map<K, V> {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }

    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entries, in order.
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter { chunks: self.chunks.iter(), entries: [].iter() }
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The values, to change.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.chunks.iter_mut().flat_map(|chunk| chunk.iter_mut().map(|(_, value)| value))
    }

    /// The values alone.
    pub fn into_values(self) -> impl Iterator<Item = V> {
        self.into_iter().map(|(_, value)| value)
    }

    /// Keeps what `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        for chunk in &mut self.chunks {
            chunk.retain_mut(|(key, value)| keep(key, value));
        }
        self.chunks.retain(|chunk| !chunk.is_empty());
        self.len = self.chunks.iter().map(Vec::len).sum();
    }
}

/// The entries of a map, in order.
#[derive(Debug)]
pub struct Iter<'a, K, V> {
    chunks: slice::Iter<'a, Chunk<K, V>>,
    entries: slice::Iter<'a, (K, V)>,
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.entries.next() {
                return Some((key, value));
            }
            self.entries = self.chunks.next()?.iter();
        }
    }
}

/// Which chunks the entries stand in makes no difference.
impl<K: PartialEq, V: PartialEq> PartialEq for Map<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq> Eq for Map<K, V> {}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl<'a, K, V> IntoIterator for &'a Map<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K, V> IntoIterator for Map<K, V> {
    type Item = (K, V);
    type IntoIter = Flatten<alloc::vec::IntoIter<Chunk<K, V>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.chunks.into_iter().flatten()
    }
}

impl<K: Ord, V> Extend<(K, V)> for Map<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

/// An ordered set.
#[derive(Clone, PartialEq, Eq)]
pub struct Set<T>(Map<T, ()>);

impl<T: Ord> Set<T> {
    /// The greatest entry that is not above this one.
    pub fn last_up_to(&self, entry: &T) -> Option<&T> {
        self.0.last_up_to(entry)
    }

    /// Whether it is in there.
    pub fn contains(&self, entry: &T) -> bool {
        self.0.contains_key(entry)
    }

    /// Puts it in, and says whether it is new.
    pub fn insert(&mut self, entry: T) -> bool {
        self.0.insert(entry, ()).is_none()
    }

    /// Takes it out, and says whether it was there.
    pub fn remove(&mut self, entry: &T) -> bool {
        self.0.remove(entry).is_some()
    }
}

impl<T> Set<T> {
    /// An empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self(Map::new())
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All, in order.
    pub fn iter(&self) -> SetIter<'_, T> {
        SetIter(self.0.iter())
    }

    /// Keeps what `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.0.retain(|entry, ()| keep(entry));
    }
}

/// The entries of a set, in order.
#[derive(Debug)]
pub struct SetIter<'a, T>(Iter<'a, T, ()>);

impl<'a, T> Iterator for SetIter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(entry, ())| entry)
    }
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for Set<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self).finish()
    }
}

impl<'a, T> IntoIterator for &'a Set<T> {
    type Item = &'a T;
    type IntoIter = SetIter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> IntoIterator for Set<T> {
    type Item = T;
    type IntoIter = Mapped<Flatten<alloc::vec::IntoIter<Chunk<T, ()>>>, fn((T, ())) -> T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|(entry, ())| entry)
    }
}

impl<T: Ord> Extend<T> for Set<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, entries: I) {
        for entry in entries {
            self.insert(entry);
        }
    }
}

impl<T: Ord> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        let mut set = Self::new();
        set.extend(entries);
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u16, u8),
        Default(u16),
        Remove(u16),
        Retain(u16),
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = || prop_oneof![0_u16..40, 0_u16..400];
        prop_oneof![
            6 => (key(), any::<u8>()).prop_map(|(key, value)| Step::Insert(key, value)),
            2 => key().prop_map(Step::Default),
            3 => key().prop_map(Step::Remove),
            1 => (2_u16..6).prop_map(Step::Retain),
        ]
    }

    proptest! {
        #[test]
        fn it_is_a_btree_map(steps in proptest::collection::vec(step(), 0..600), rising: bool) {
            let mut ours = Map::new();
            let mut theirs = BTreeMap::new();
            if rising {
                ours.extend((0..300).map(|key| (key, 0)));
                theirs.extend((0..300).map(|key| (key, 0)));
            }
            for step in steps {
                match step {
                    Step::Insert(key, value) => prop_assert_eq!(ours.insert(key, value), theirs.insert(key, value)),
                    Step::Default(key) => {
                        let (ours, theirs) = (ours.or_default(key), theirs.entry(key).or_default());
                        prop_assert_eq!(*ours, *theirs);
                        *ours = ours.wrapping_add(1);
                        *theirs = theirs.wrapping_add(1);
                    }
                    Step::Remove(key) => prop_assert_eq!(ours.remove(&key), theirs.remove(&key)),
                    Step::Retain(divisor) => {
                        ours.retain(|key, _| key % divisor != 0);
                        theirs.retain(|key, _| key % divisor != 0);
                    }
                }
                prop_assert_eq!(ours.len(), theirs.len());
                prop_assert!(ours.chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= MOST));
            }
            prop_assert!(ours.iter().eq(theirs.iter()));
            for key in 0..400 {
                prop_assert_eq!(ours.get(&key), theirs.get(&key));
                prop_assert_eq!(ours.contains_key(&key), theirs.contains_key(&key));
                prop_assert_eq!(ours.last_up_to(&key), theirs.range(..=key).next_back().map(|(last, _)| last));
            }
            prop_assert!(ours.into_iter().eq(theirs));
        }
    }
}
