//! What the platform has under the names of globals. web-sys has it as members of `Window` and of `WorkerGlobalScope`, and
//! the global object of Node is neither.

use js_sys::Function;
use wasm_bindgen::prelude::*;
use web_sys::{Document, EventTarget, IdbFactory, Location, Navigator, Performance};

#[wasm_bindgen]
extern "C" {
    /// The global object.
    #[wasm_bindgen(extends = EventTarget)]
    #[derive(Clone, Debug)]
    pub type Global;

    /// The page's document.
    #[wasm_bindgen(method, getter)]
    pub fn document(this: &Global) -> Option<Document>;

    /// Where databases are; to ask for it throws where a site may store nothing.
    #[wasm_bindgen(method, getter, catch, js_name = indexedDB)]
    pub fn indexed_db(this: &Global) -> core::result::Result<Option<IdbFactory>, JsValue>;

    /// Where the page or worker comes from.
    #[wasm_bindgen(method, getter)]
    pub fn location(this: &Global) -> Option<Location>;

    /// What is asked of the browser.
    #[wasm_bindgen(method, getter)]
    pub fn navigator(this: &Global) -> Option<Navigator>;

    /// A clock that nobody sets.
    #[wasm_bindgen(method, getter)]
    pub fn performance(this: &Global) -> Option<Performance>;

    /// There where a page's policy may refuse requests, and tells of it.
    #[wasm_bindgen(method, getter, js_name = SecurityPolicyViolationEvent)]
    pub fn policy_event(this: &Global) -> Option<Function>;
}

/// The global object.
#[must_use]
pub fn global() -> Global {
    js_sys::global().unchecked_into()
}
