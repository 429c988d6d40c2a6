//! What is inside of an error: wallets and the libraries in front of them wrap what their node told them. Whoever wraps
//! may wrap itself, and its getters may throw.

use crate::js::{array, get, message, object};
use crate::url::only_origins;
use js_sys::{JSON, JsString};
use wasm_bindgen::prelude::*;

/// At how many values an error is looked.
const LAYERS: usize = 32;

/// What is kept of an error that tells a URL.
const KEPT: [&str; 11] =
    ["name", "message", "code", "data", "originalError", "cause", "error", "info", "errors", "url", "httpStatus"];

/// The error itself and what it wraps, the outermost first.
pub(super) fn layers(thrown: &JsValue) -> Vec<JsValue> {
    let mut all = vec![thrown.clone()];
    let mut next = 0;
    while let Some(layer) = all.get(next).cloned() {
        next = next.saturating_add(1);
        let inner = ["data", "originalError", "cause", "error", "info"].map(|name| get(&layer, name));
        let room = LAYERS.saturating_sub(all.len());
        all.extend(inner.into_iter().filter(|inner| inner.is_object() || inner.is_string()).take(room));
    }
    all
}

/// The same error if it tells no more of a URL than its origin, or else a copy of what counts that does not.
pub(super) fn without_urls(thrown: &JsValue) -> JsValue {
    if !thrown.is_object() && !thrown.is_string() {
        return thrown.clone();
    }
    let text = |json: Result<JsString, JsValue>| json.ok().and_then(|json| JsValue::from(json).as_string());
    // A list of names brings those that are not enumerable, as an error's own are not, and leaves out all others.
    let kept = text(JSON::stringify_with_replacer(thrown, &array(KEPT)));
    let told = kept.as_deref().map(only_origins);
    if kept.is_some() && told == kept && text(JSON::stringify(thrown)).is_some_and(|all| only_origins(&all) == all) {
        return thrown.clone();
    }
    told.and_then(|told| JSON::parse(&told).ok())
        .unwrap_or_else(|| object([("code", get(thrown, "code")), ("message", only_origins(&message(thrown)).into())]))
}
