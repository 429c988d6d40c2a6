//! Where state is kept. A commit is one atomic and durable transaction: when it resolves, the writes survive
//! a crash of the tab, the process and the machine; when it fails, none of them is there. The driver signs and
//! sends nothing before that, so a store that lies about it loses money.

pub mod indexeddb;
pub mod js;
pub mod memory;

use crate::failure::{Failure, Result};
use crate::task::within;
use farthing_protocol::Code;
use farthing_protocol::journal::{self, Write};
use std::cell::RefCell;
use std::rc::Rc;

/// The format of a store, its keys and what they hold: the records' own, which every change raises (it was 3 when this
/// was 1). An older build then refuses the whole store before it writes into any of it.
pub const FORMAT: u8 = journal::FORMAT - 2;

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

/// How long a store may take for anything, in milliseconds.
pub const PATIENCE: u32 = 60_000;

/// A store whose format was checked, and that is not waited for without end. What it did not say in time it may still
/// have done: whoever commits stops for good, and the store is read again.
pub struct Patient {
    store: OpenStore,
    /// Goes into an older store with the first commit, in one: until then older builds can still go on with it.
    mark: RefCell<Option<Write>>,
}

impl std::fmt::Debug for Patient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Patient")
    }
}

impl Patient {
    /// Of a store that nothing is known of.
    #[must_use]
    pub const fn new(store: OpenStore) -> Self {
        Self { store, mark: RefCell::new(None) }
    }

    /// Refuses a store of a format above `newest`, and marks a fresh one.
    pub async fn check_format(&self, newest: u8) -> Result<()> {
        let mark = Write::Put { key: FORMAT_KEY.to_owned(), value: vec![newest] };
        let entries = self.load(FORMAT_KEY).await?;
        match entries.iter().find(|(key, _)| key == FORMAT_KEY).map(|(_, value)| value.as_slice()) {
            None if entries.is_empty() && self.load("").await?.is_empty() => self.commit(vec![mark]).await,
            Some([format]) if *format == newest => Ok(()),
            Some([format]) if (1..newest).contains(format) => {
                self.mark.replace(Some(mark));
                Ok(())
            }
            Some([newer, ..]) if *newer > newest => Err(Failure::new(
                Code::StorageVersion,
                format!("The store has format {newer}, this version knows {newest}."),
            )),
            _ => Err(Failure::new(
                Code::StorageCorrupt,
                "The store holds something, but no format that this version knows.",
            )),
        }
    }
}

impl Store for Patient {
    fn load<'a>(&'a self, prefix: &'a str) -> Pending<'a, Vec<Entry>> {
        Box::pin(within(PATIENCE, self.store.load(prefix), silent))
    }

    fn commit(&self, mut writes: Vec<Write>) -> Pending<'_, ()> {
        let mark = self.mark.borrow().clone();
        writes.extend(mark);
        let committed = self.store.commit(writes);
        Box::pin(async move {
            within(PATIENCE, committed, silent).await?;
            self.mark.take();
            Ok(())
        })
    }

    fn close(&self) -> Pending<'_, ()> {
        Box::pin(within(PATIENCE, self.store.close(), silent))
    }
}

/// What is said of a store that does not answer.
#[must_use]
pub fn silent() -> Failure {
    Failure::new(Code::StorageFailed, "The store has not answered for a minute.")
}

/// A store whose format this build can read.
pub type OpenStore = Rc<dyn Store>;
