//! For tests only: the stores of this module as JavaScript objects, for the suite that all stores must pass.

use crate::failure::Result;
use crate::js::{array, invalid};
use crate::store::indexeddb::IndexedDbStore;
use crate::store::js::JsStore;
use crate::store::memory::MemoryStore;
use crate::store::{FORMAT, OpenStore, Patient};
use farthing_protocol::journal::Write;
use js_sys::{Array, Promise, Uint8Array};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// A store as the client uses it.
#[wasm_bindgen(js_name = _Store)]
pub struct StoreHandle {
    store: Rc<RefCell<OpenStore>>,
}

impl std::fmt::Debug for StoreHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreHandle").finish_non_exhaustive()
    }
}

/// Opens `"memory"`, the database `"indexeddb:<name>"` (`"shared:<name>"`: as tabs do), or wraps an object.
#[wasm_bindgen(js_name = _openStore)]
pub fn open_store(what: JsValue) -> Promise {
    super::promise(async move {
        let store: OpenStore = match what.as_string() {
            None => Rc::new(JsStore::new(what)?),
            Some(name) if name == "memory" => Rc::new(MemoryStore::default()),
            Some(name) => match name.split_once(':') {
                Some(("indexeddb", name)) => Rc::new(IndexedDbStore::open(name.to_owned(), false).await?),
                Some(("shared", name)) => Rc::new(IndexedDbStore::open(name.to_owned(), true).await?),
                _ => return invalid("No such store."),
            },
        };
        Ok(StoreHandle { store: Rc::new(RefCell::new(store)) }.into())
    })
}

#[wasm_bindgen(js_class = _Store)]
impl StoreHandle {
    /// As in the contract of stores.
    pub fn load(&self, prefix: String) -> Promise {
        let store = Rc::clone(&self.store.borrow());
        super::promise(async move {
            let entries = store.load(&prefix).await?;
            let entry = |(key, value): (String, Vec<u8>)| {
                array([JsValue::from(key), Uint8Array::from(value.as_slice()).into()])
            };
            Ok(array(entries.into_iter().map(entry)).into())
        })
    }

    /// As in the contract of stores.
    pub fn commit(&self, writes: Array) -> Result<Promise> {
        let write = |pair: JsValue| {
            let pair: Array = pair.unchecked_into();
            let key = pair.get(0).as_string().unwrap_or_default();
            match pair.get(1).dyn_into::<Uint8Array>() {
                Ok(value) => Write::Put { key, value: value.to_vec() },
                Err(_) => Write::Delete { key },
            }
        };
        let writes: Vec<Write> = writes.iter().map(write).collect();
        let store = Rc::clone(&self.store.borrow());
        Ok(super::promise(async move {
            store.commit(writes).await?;
            Ok(JsValue::UNDEFINED)
        }))
    }

    /// Checks the format, as the client does when it opens a store, and goes on as it does; as a later build that knows
    /// the formats up to `newest`.
    #[wasm_bindgen(js_name = checkFormat)]
    pub fn check_format(&self, newest: Option<u8>) -> Promise {
        let slot = Rc::clone(&self.store);
        let store = Patient::new(Rc::clone(&slot.borrow()));
        super::promise(async move {
            store.check_format(newest.unwrap_or(FORMAT)).await?;
            slot.replace(Rc::new(store));
            Ok(JsValue::UNDEFINED)
        })
    }

    /// As in the contract of stores.
    pub fn close(&self) -> Promise {
        let store = Rc::clone(&self.store.borrow());
        super::promise(async move {
            store.close().await?;
            Ok(JsValue::UNDEFINED)
        })
    }
}
