//! A store that forgets: for tests, and for clients that may lose what is in their channel.

use super::{Entry, Pending, Store};
use farthing_protocol::journal::Write;
use std::cell::RefCell;

/// Entries in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    /// In the order of keys.
    entries: RefCell<Vec<Entry>>,
}

impl Store for MemoryStore {
    fn load<'a>(&'a self, prefix: &'a str) -> Pending<'a, Vec<Entry>> {
        let entries = self.entries.borrow();
        let found = entries.iter().filter(|(key, _)| key.starts_with(prefix)).cloned().collect();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn commit(&self, writes: Vec<Write>) -> Pending<'_, ()> {
        let mut entries = self.entries.borrow_mut();
        for write in writes {
            let (key, value) = match write {
                Write::Put { key, value } => (key, Some(value)),
                Write::Delete { key } => (key, None),
            };
            match (entries.binary_search_by(|(known, _)| known.cmp(&key)), value) {
                (Ok(place), Some(value)) => {
                    if let Some(entry) = entries.get_mut(place) {
                        entry.1 = value;
                    }
                }
                (Ok(place), None) => drop(entries.remove(place)),
                (Err(place), Some(value)) => entries.insert(place, (key, value)),
                (Err(_), None) => {}
            }
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn close(&self) -> Pending<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}
