//! IndexedDB.
//!
//! One transaction a commit; `durability: "strict"`, because the default only reaches the operating system's buffers;
//! done when the transaction completes, not when its requests succeed. All requests of a transaction, and where possible
//! its end, are asked for at once: one that waits for its page stays open, and in the way of everybody else, for as long
//! as the page is frozen.
//!
//! Two things keep a second tab from signing with the same nonces. A Web Lock: exclusive for a client that is alone;
//! shared for clients that agree among themselves who writes (`pkg-template/tabs.mjs`). And a fence: whoever opens the
//! database takes the next generation and marks the one before as over, and no commit passes the mark of its own
//! generation. So a tab that was frozen while another took over commits nothing when it thaws, and what was not
//! committed never leaves.

use super::{Entry, Pending, Store};
use crate::failure::{Failure, Result};
use crate::global::global;
use crate::js::object;
use crate::task::{Either, Once, race, sleep};
use farthing_protocol::Code;
use farthing_protocol::journal::Write;
use js_sys::{Array, Function, Promise, Uint8Array};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DomException, IdbDatabase, IdbKeyRange, IdbObjectStore, IdbOpenDbRequest, IdbRequest, IdbRequestReadyState,
    IdbTransaction, IdbTransactionMode, Navigator,
};

// web-sys has `durability` and Web Locks behind `web_sys_unstable_apis` only, a switch for all of its crate and for whoever
// builds this one; and it calls `commit` deprecated, which the standard does not.
#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(extends = IdbDatabase)]
    #[derive(Clone, Debug)]
    type Database;
    /// With `durability`.
    #[wasm_bindgen(method, catch)]
    fn transaction(
        this: &Database,
        store: &str,
        mode: IdbTransactionMode,
        options: &JsValue,
    ) -> core::result::Result<Transaction, JsValue>;

    #[wasm_bindgen(extends = IdbTransaction)]
    type Transaction;
    #[wasm_bindgen(method, catch)]
    fn commit(this: &Transaction) -> core::result::Result<(), JsValue>;

    #[wasm_bindgen(extends = Navigator)]
    type LockingNavigator;
    #[wasm_bindgen(method, getter)]
    fn locks(this: &LockingNavigator) -> Option<Locks>;

    type Locks;
    #[wasm_bindgen(method, catch)]
    fn request(
        this: &Locks,
        name: &str,
        options: &JsValue,
        callback: &JsValue,
    ) -> core::result::Result<Promise, JsValue>;
}

const OBJECT_STORE: &str = "entries";

/// Where the newest generation is kept; the mark that a generation is over has its number as its key. Numbers sort
/// before all strings, so no range of keys holds them.
const GENERATION: f64 = 0.0;

/// Where it is tried out what a failure does after `commit()`.
const TRIAL: f64 = -1.0;

/// How often the next generation is reached for while others take it.
const CLAIMS: u32 = 10;

/// Beyond every ASCII key.
const END: &str = "\u{ffff}";

/// How often, and every how many milliseconds, a lock is asked for that a page being reloaded may still hold.
const LOCK_ATTEMPTS: u32 = 10;
const LOCK_PAUSE: u32 = 150;

thread_local! {
    /// Databases whose lock this page has.
    static OPEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// A database with one object store.
#[derive(Debug)]
pub struct IndexedDbStore {
    name: String,
    database: Rc<RefCell<Option<Database>>>,
    release: Option<Function>,
    generation: Cell<f64>,
    /// Whether a request that fails after `commit()` still fails the transaction. By the standard it does not, and in
    /// Firefox; where it does, transactions need not wait for their page.
    hasty: Cell<bool>,
    closed: Cell<bool>,
}

impl IndexedDbStore {
    /// Opens or creates the database, if no other tab holds it; with `shared`, also if only tabs do that share it.
    /// From then on whoever opened it before commits nothing.
    pub async fn open(name: String, shared: bool) -> Result<Self> {
        let release = lock(&name, shared).await?;
        let store = Self {
            name,
            database: Rc::default(),
            release,
            generation: Cell::default(),
            hasty: Cell::new(true),
            closed: Cell::new(false),
        };
        let opened = async {
            store.connect(true).await?;
            store.try_out().await?;
            store.claim().await
        };
        match opened.await {
            Ok(()) => Ok(store),
            Err(failure) => {
                store.unlock();
                Err(failure)
            }
        }
    }

    async fn try_out(&self) -> Result<()> {
        let transaction = self.begin(IdbTransactionMode::Readwrite).await?;
        let entries = transaction.object_store(OBJECT_STORE).map_err(refused)?;
        let ask = || {
            entries.put_with_key(&JsValue::TRUE, &TRIAL.into())?;
            // It is there, so this one fails; not the last one, whose failure some engines take more seriously.
            let mark = entries.add_with_key(&JsValue::TRUE, &TRIAL.into())?;
            entries.put_with_key(&JsValue::TRUE, &TRIAL.into())?;
            Ok(mark)
        };
        match self.finish(&transaction, ask()).await {
            Ok(()) => self.hasty.set(false),
            Err(failure) if failure.code() == Code::StorageLocked => {}
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    /// Takes the next generation and ends the one before.
    async fn claim(&self) -> Result<()> {
        for _ in 0..CLAIMS {
            let transaction = self.begin(IdbTransactionMode::Readonly).await?;
            let entries = transaction.object_store(OBJECT_STORE).map_err(refused)?;
            let newest = entries.get(&GENERATION.into()).map_err(refused)?;
            let _ = transaction.commit();
            let newest = outcome(&newest).await?.as_f64().unwrap_or_default();
            let transaction = self.begin(IdbTransactionMode::Readwrite).await?;
            let entries = transaction.object_store(OBJECT_STORE).map_err(refused)?;
            let next = newest + 1.0;
            let ask = || {
                let mark = forbid(&entries, newest)?;
                entries.put_with_key(&next.into(), &GENERATION.into())?;
                Ok(mark)
            };
            match self.finish(&transaction, ask()).await {
                Ok(()) => {
                    self.generation.set(next);
                    return Ok(());
                }
                Err(failure) if failure.code() == Code::StorageLocked => {}
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::new(Code::StorageLocked, "Other tabs take this wallet over all the time."))
    }

    async fn connect(&self, may_create: bool) -> Result<()> {
        let Ok(Some(factory)) = global().indexed_db() else {
            return Err(Failure::new(Code::StorageFailed, "IndexedDB is not available here; give connect() a store."));
        };
        let request: IdbOpenDbRequest = factory.open_with_u32(&self.name, 1).map_err(refused)?;
        let created = Rc::new(Cell::new(false));
        let (target, fresh) = (request.clone(), Rc::clone(&created));
        let upgrade = Closure::<dyn FnMut()>::new(move || {
            fresh.set(true);
            // What fails here fails the request.
            let _ = target.result().map(|made| made.unchecked_into::<IdbDatabase>().create_object_store(OBJECT_STORE));
        });
        request.set_onupgradeneeded(Some(upgrade.as_ref().unchecked_ref()));
        let database: Database = outcome(&request).await?.unchecked_into();
        if created.get() && !may_create {
            database.close();
            return Err(Failure::new(Code::StorageFailed, "The database was deleted while it was in use."));
        }
        // The browser closes a connection when the site's data is deleted, and some do it in the background.
        let slot = Rc::downgrade(&self.database);
        let lost = Closure::<dyn FnMut()>::new(move || {
            let held = slot.upgrade().and_then(|slot| slot.take());
            if let Some(database) = held {
                database.close();
            }
        });
        let lost: Function = lost.into_js_value().unchecked_into();
        database.set_onclose(Some(&lost));
        database.set_onversionchange(Some(&lost));
        self.database.replace(Some(database));
        Ok(())
    }

    /// A transaction; the connection is opened anew, once, if it was lost. Only a transaction that never began is
    /// tried again.
    async fn begin(&self, mode: IdbTransactionMode) -> Result<Transaction> {
        if self.closed.get() {
            return Err(Failure::new(Code::StorageFailed, "The store is closed."));
        }
        let options = object([("durability", "strict".into())]);
        let held = self.database.borrow().clone();
        if let Some(Ok(transaction)) = held.map(|database| database.transaction(OBJECT_STORE, mode, &options)) {
            return Ok(transaction);
        }
        self.connect(false).await?;
        let held = self.database.borrow().clone();
        let Some(database) = held else {
            return Err(Failure::new(Code::StorageFailed, "The database was closed by the browser."));
        };
        database.transaction(OBJECT_STORE, mode, &options).map_err(refused)
    }

    /// Ends a transaction whose requests have all been asked for; they gave the one of [`forbid`].
    async fn finish(&self, transaction: &Transaction, asked: core::result::Result<IdbRequest, JsValue>) -> Result<()> {
        let done = completion(transaction);
        match asked {
            Ok(mark) => {
                if self.hasty.get() {
                    // An engine without it commits by itself.
                    let _ = transaction.commit();
                }
                let Err(_) = JsFuture::from(done).await else { return Ok(()) };
                if mark.error().ok().flatten().is_some_and(|error| error.name() == "ConstraintError") {
                    return Err(Failure::new(Code::StorageLocked, "Another tab has taken this wallet over."));
                }
                Err(failed(transaction.error()))
            }
            Err(thrown) => {
                // What was asked for before would be committed otherwise.
                let _ = transaction.abort();
                let _ = JsFuture::from(done).await;
                Err(refused(thrown))
            }
        }
    }

    fn unlock(&self) {
        if let Some(release) = &self.release {
            let _ = release.call0(&JsValue::UNDEFINED);
            OPEN.with_borrow_mut(|open| open.retain(|open| *open != self.name));
        }
    }
}

impl Store for IndexedDbStore {
    fn load<'a>(&'a self, prefix: &'a str) -> Pending<'a, Vec<Entry>> {
        Box::pin(async move {
            let transaction = self.begin(IdbTransactionMode::Readonly).await?;
            let entries = transaction.object_store(OBJECT_STORE).map_err(refused)?;
            let range = IdbKeyRange::bound(&prefix.into(), &format!("{prefix}{END}").into()).map_err(refused)?;
            let keys = entries.get_all_keys_with_key(&range).map_err(refused)?;
            let values = entries.get_all_with_key(&range).map_err(refused)?;
            let _ = transaction.commit();
            let keys: Array = outcome(&keys).await?.unchecked_into();
            let values: Array = settled(&values).await?.unchecked_into();
            let entry = |(key, value): (JsValue, JsValue)| {
                Some((key.as_string()?, value.dyn_into::<Uint8Array>().ok()?.to_vec()))
            };
            let entries: Option<Vec<Entry>> = keys.iter().zip(values.iter()).map(entry).collect();
            entries.ok_or_else(|| Failure::new(Code::StorageCorrupt, "The database holds something foreign."))
        })
    }

    fn commit(&self, writes: Vec<Write>) -> Pending<'_, ()> {
        Box::pin(async move {
            let transaction = self.begin(IdbTransactionMode::Readwrite).await?;
            let entries = transaction.object_store(OBJECT_STORE).map_err(refused)?;
            let generation = self.generation.get();
            let ask = || {
                let mark = forbid(&entries, generation)?;
                entries.delete(&generation.into())?;
                for write in writes {
                    match write {
                        Write::Put { key, value } => {
                            entries.put_with_key(&Uint8Array::from(value.as_slice()), &key.into())?
                        }
                        Write::Delete { key } => entries.delete(&key.into())?,
                    };
                }
                Ok(mark)
            };
            self.finish(&transaction, ask()).await
        })
    }

    fn close(&self) -> Pending<'_, ()> {
        self.closed.set(true);
        let held = self.database.take();
        if let Some(database) = held {
            database.close();
        }
        self.unlock();
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Marks a generation as over, which fails if it has that mark already. Generation 0 is nobody's and needs none: its
/// number is the key of the newest one, which is not there before the first claim.
fn forbid(entries: &IdbObjectStore, generation: f64) -> core::result::Result<IdbRequest, JsValue> {
    entries.add_with_key(&JsValue::TRUE, &generation.into())
}

/// Takes the Web Lock of this database, and gives the function that lets it go. Where there are no Web Locks
/// (none of today's browsers), only the generation keeps a second tab out.
async fn lock(name: &str, shared: bool) -> Result<Option<Function>> {
    let navigator = global().navigator().map(JsCast::unchecked_into::<LockingNavigator>);
    let Some(locks) = navigator.and_then(|navigator| navigator.locks()) else { return Ok(None) };
    let mode = if shared { "shared" } else { "exclusive" };
    for attempt in 0..LOCK_ATTEMPTS {
        if attempt > 0 {
            sleep(LOCK_PAUSE).await;
        }
        let mut release = None;
        let held = Promise::new(&mut |resolve, _| release = Some(resolve));
        let answer = Once::<bool>::default();
        let answered = answer.clone();
        let callback = Closure::once_into_js(move |lock: JsValue| {
            let granted = !lock.is_null();
            answered.send(granted);
            if granted { held.into() } else { JsValue::UNDEFINED }
        });
        let options = object([("ifAvailable", true.into()), ("mode", mode.into())]);
        let lock = format!("farthing:{name}");
        let asked = locks.request(&lock, &options, &callback).map_err(refused)?;
        match race(answer.wait(), JsFuture::from(asked)).await {
            Either::First(true) => {
                OPEN.with_borrow_mut(|open| open.push(name.to_owned()));
                return Ok(release);
            }
            Either::First(false) | Either::Second(Ok(_)) => {}
            Either::Second(Err(thrown)) => return Err(refused(thrown)),
        }
    }
    let who = if OPEN.with_borrow(|open| open.iter().any(|open| open == name)) { "This page" } else { "Another tab" };
    Err(Failure::new(Code::StorageLocked, format!("{who} holds this wallet.")))
}

fn completion(transaction: &IdbTransaction) -> Promise {
    Promise::new(&mut |resolve, reject| {
        transaction.set_oncomplete(Some(&resolve));
        // A failed request aborts the transaction, and only then is its error known.
        transaction.set_onabort(Some(&reject));
    })
}

/// The result of a request that may already have been answered.
async fn settled(request: &IdbRequest) -> Result<JsValue> {
    if request.ready_state() == IdbRequestReadyState::Done {
        return request.result().map_err(refused);
    }
    outcome(request).await
}

async fn outcome(request: &IdbRequest) -> Result<JsValue> {
    let answered = Promise::new(&mut |resolve, reject| {
        request.set_onsuccess(Some(&resolve));
        request.set_onerror(Some(&reject));
    });
    match JsFuture::from(answered).await {
        Ok(_) => request.result().map_err(refused),
        Err(_) => Err(failed(request.error().ok().flatten())),
    }
}

fn failed(error: Option<DomException>) -> Failure {
    refused(error.map_or(JsValue::NULL, Into::into))
}

fn refused(thrown: JsValue) -> Failure {
    let detail = format!("IndexedDB refused: {}.", crate::js::message(&thrown).trim_end_matches('.'));
    Failure::caused(Code::StorageFailed, detail, thrown)
}
