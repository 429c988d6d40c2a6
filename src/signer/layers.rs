//! What is inside of an error: wallets and the libraries in front of them wrap what their node told them. Whoever wraps
//! may wrap itself, and its getters may throw.

use crate::js::{get, get_string, set};
use crate::url::only_origins;
use js_sys::{Array, Error, Object, Reflect};
use wasm_bindgen::prelude::*;

/// How deep an error is looked into, and at how many values in all.
const DEPTH: u32 = 6;
const VALUES: u32 = 200;
const LAYERS: usize = 32;

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

/// The same error if it tells no more of a URL than its origin, or else a copy that does not.
pub(super) fn without_urls(thrown: &JsValue) -> JsValue {
    let mut copier = Copier { left: VALUES, changed: false };
    let copy = copier.copy(thrown, DEPTH);
    if copier.changed { copy } else { thrown.clone() }
}

struct Copier {
    left: u32,
    /// Whether the copy is not the same: what is too deep or too much is left out of it.
    changed: bool,
}

impl Copier {
    fn copy(&mut self, value: &JsValue, depth: u32) -> JsValue {
        if let Some(text) = value.as_string() {
            let told = only_origins(&text);
            self.changed |= told != text;
            return told.into();
        }
        if value.is_function() {
            return JsValue::UNDEFINED;
        }
        if !value.is_object() {
            return value.clone();
        }
        let (Some(left), Some(deeper)) = (self.left.checked_sub(1), depth.checked_sub(1)) else {
            self.changed = true;
            return JsValue::UNDEFINED;
        };
        self.left = left;
        let text = get_string(value, "message").map(|text| self.copy(&text.into(), deeper));
        let copy: JsValue = match value.is_instance_of::<Error>() {
            true => Error::new(&text.and_then(|text| text.as_string()).unwrap_or_default()).into(),
            false => Object::new().into(),
        };
        // Own names, which of an error are not enumerable; and those that are a class's.
        let names = Reflect::own_keys(value).unwrap_or_else(|_| Array::new());
        let classes = ["name", "message", "code", "href", "url"].map(JsValue::from);
        for name in
            names.iter().filter_map(|name| name.as_string()).chain(classes.iter().filter_map(JsValue::as_string))
        {
            let inner = get(value, &name);
            // A stack repeats the message.
            if name == "stack" || inner.is_undefined() {
                continue;
            }
            let told = self.copy(&inner, deeper);
            if !told.is_undefined() {
                set(&copy, &name, told);
            }
        }
        copy
    }
}
