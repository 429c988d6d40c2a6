//! A store that forgets: for tests, and for clients that may lose what is in their channel.

use super::{Entry, Pending, Store};
use farthing_protocol::journal::Write;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Entries in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    entries: RefCell<BTreeMap<String, Vec<u8>>>,
}

impl Store for MemoryStore {
    fn load<'a>(&'a self, prefix: &'a str) -> Pending<'a, Vec<Entry>> {
        let entries = self.entries.borrow();
        let found = entries.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        let found = found.map(|(key, value)| (key.clone(), value.clone())).collect();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn commit(&self, writes: Vec<Write>) -> Pending<'_, ()> {
        let mut entries = self.entries.borrow_mut();
        for write in writes {
            match write {
                Write::Put { key, value } => drop(entries.insert(key, value)),
                Write::Delete { key } => drop(entries.remove(&key)),
            }
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn close(&self) -> Pending<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}
