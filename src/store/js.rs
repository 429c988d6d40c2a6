//! A store made of any JavaScript object with `load`, `commit` and `close`.

use super::{Entry, Pending, Store};
use crate::failure::{Failure, Result};
use crate::js::{array, get_function, get_string, invalid, invoke, settle};
use farthing_protocol::Code;
use farthing_protocol::journal::Write;
use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;

/// `{ load(prefix): Promise<[key, Uint8Array][]>, commit(writes: [key, Uint8Array | null][]): Promise<void>,
/// close(): Promise<void> }`; a write of `null` deletes.
#[derive(Debug)]
pub struct JsStore {
    object: JsValue,
}

impl JsStore {
    /// Refuses an object that lacks a method.
    pub fn new(object: JsValue) -> Result<Self> {
        for method in ["load", "commit", "close"] {
            if get_function(&object, method).is_none() {
                return invalid(format!("store.{method} must be a function."));
            }
        }
        Ok(Self { object })
    }
}

impl Store for JsStore {
    fn load<'a>(&'a self, prefix: &'a str) -> Pending<'a, Vec<Entry>> {
        let called = invoke(&self.object, "load", &array([prefix]));
        Box::pin(async move {
            let loaded = settle(called).await.map_err(|thrown| failed("could not be read", thrown))?;
            let entries = entries(&loaded).ok_or_else(|| {
                Failure::new(Code::StorageFailed, "The store's load() must give an array of [string, Uint8Array].")
            })?;
            let ours = entries.iter().all(|(key, _)| key.starts_with(prefix));
            if !ours || !entries.is_sorted_by(|(a, _), (b, _)| a < b) {
                return Err(Failure::new(Code::StorageFailed, "The store's load() gave other keys, or not in order."));
            }
            Ok(entries)
        })
    }

    fn commit(&self, writes: Vec<Write>) -> Pending<'_, ()> {
        let pair = |key: String, value: JsValue| array([JsValue::from(key), value]);
        let writes = array(writes.into_iter().map(|write| match write {
            Write::Put { key, value } => pair(key, Uint8Array::from(value.as_slice()).into()),
            Write::Delete { key } => pair(key, JsValue::NULL),
        }));
        let called = invoke(&self.object, "commit", &array([writes]));
        Box::pin(async move { settle(called).await.map(drop).map_err(|thrown| failed("could not be written", thrown)) })
    }

    fn close(&self) -> Pending<'_, ()> {
        let called = invoke(&self.object, "close", &Array::new());
        Box::pin(async move { settle(called).await.map(drop).map_err(|thrown| failed("could not be closed", thrown)) })
    }
}

fn entries(loaded: &JsValue) -> Option<Vec<Entry>> {
    let entry = |pair: JsValue| {
        let pair: Array = pair.dyn_into().ok()?;
        let value: Uint8Array = pair.get(1).dyn_into().ok()?;
        Some((pair.get(0).as_string()?, value.to_vec()))
    };
    loaded.dyn_ref::<Array>()?.iter().map(entry).collect()
}

/// A store may name a code of its own, such as `storage-locked`.
fn failed(what: &str, thrown: JsValue) -> Failure {
    let code = get_string(&thrown, "code").and_then(|name| Code::from_name(&name));
    let code = code.filter(|code| code.as_str().starts_with("storage-")).unwrap_or(Code::StorageFailed);
    let detail = format!("The store {what}: {}.", crate::js::message(&thrown).trim_end_matches('.'));
    Failure::caused(code, detail, thrown)
}
