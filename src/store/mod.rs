//! Where state is kept. A commit is one atomic and durable transaction: when it resolves, the writes survive
//! a crash of the tab, the process and the machine; when it fails, none of them is there. The driver signs and
//! sends nothing before that, so a store that lies about it loses money.

pub mod indexeddb;
pub mod js;
pub mod memory;

use crate::failure::{Failure, Result};
use farthing_protocol::Code;
use farthing_protocol::journal::Write;
use std::rc::Rc;

/// The layout of keys that this build knows.
const FORMAT: u8 = 1;

const FORMAT_KEY: &str = "format";

/// A key and its value.
pub type Entry = (String, Vec<u8>);

/// The outcome of a store's work, later.
pub type Pending<'a, T> = crate::task::Work<'a, T>;

/// Keys are ASCII strings, ordered bytewise.
pub trait Store {
    /// All entries whose key starts with `prefix`, in the order of their keys.
    fn load<'a>(&'a self, prefix: &'a str) -> Pending<'a, Vec<Entry>>;

    /// Applies the writes in their order, all or none, durably. Calls are applied in the order of the calls.
    fn commit(&self, writes: Vec<Write>) -> Pending<'_, ()>;

    /// Lets the store go. Nothing is called after it.
    fn close(&self) -> Pending<'_, ()>;
}

/// A store whose format this build can read.
pub type OpenStore = Rc<dyn Store>;

/// Refuses a store that a newer version wrote, and marks a fresh one.
pub async fn check_format(store: &dyn Store) -> Result<()> {
    let entries = store.load(FORMAT_KEY).await?;
    match entries.iter().find(|(key, _)| key == FORMAT_KEY).map(|(_, value)| value.as_slice()) {
        None if entries.is_empty() && store.load("").await?.is_empty() => {
            store.commit(vec![Write::Put { key: FORMAT_KEY.to_owned(), value: vec![FORMAT] }]).await
        }
        Some([FORMAT]) => Ok(()),
        Some([newer, ..]) if *newer > FORMAT => Err(Failure::new(
            Code::StorageVersion,
            format!("The store has format {newer}, this version knows {FORMAT}."),
        )),
        _ => {
            Err(Failure::new(Code::StorageCorrupt, "The store holds something, but no format that this version knows."))
        }
    }
}
