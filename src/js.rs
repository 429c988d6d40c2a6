//! Small tools for plain JavaScript values.

use crate::failure::{Failure, Result};
use farthing_protocol::Code;
use js_sys::{Array, Function, Object, Promise, Reflect};
use std::borrow::Cow;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, milliseconds: f64) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(id: &JsValue);
    #[wasm_bindgen(js_namespace = console, js_name = warn)]
    fn console_warn(text: &str);
}

/// A property, or `undefined`.
#[must_use]
pub fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &key.into()).unwrap_or(JsValue::UNDEFINED)
}

/// A property that is a string.
#[must_use]
pub fn get_string(object: &JsValue, key: &str) -> Option<String> {
    get(object, key).as_string()
}

/// A property that is a function.
#[must_use]
pub fn get_function(object: &JsValue, key: &str) -> Option<Function> {
    get(object, key).dyn_into().ok()
}

/// Sets a property of an object of ours.
pub fn set(object: &JsValue, key: &str, value: impl Into<JsValue>) {
    put(object, key, &value.into());
}

#[inline(never)]
fn put(object: &JsValue, key: &str, value: &JsValue) {
    // Only frozen objects and setters that throw refuse; ours are neither.
    let _ = Reflect::set(object, &key.into(), value);
}

/// A plain object with these properties; `undefined` ones are left out.
#[must_use]
pub fn object<const N: usize>(properties: [(&str, JsValue); N]) -> JsValue {
    object_of(&properties)
}

#[inline(never)]
fn object_of(properties: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new();
    for (key, value) in properties {
        if !value.is_undefined() {
            put(&object, key, value);
        }
    }
    object.into()
}

/// The same, frozen.
#[must_use]
pub fn frozen<const N: usize>(properties: [(&str, JsValue); N]) -> JsValue {
    freeze(object(properties))
}

/// Freezes an object or array.
#[must_use]
pub fn freeze(value: JsValue) -> JsValue {
    Object::freeze(value.unchecked_ref::<Object>());
    value
}

/// An array.
#[must_use]
pub fn array<T: Into<JsValue>>(items: impl IntoIterator<Item = T>) -> Array {
    let array = Array::new();
    for item in items {
        array.push(&item.into());
    }
    array
}

/// `0x` and hex digits.
#[must_use]
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    alloy_primitives::hex::encode_prefixed(bytes)
}

/// The bytes of `0x` and hex digits.
#[must_use]
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    alloy_primitives::hex::decode(text.strip_prefix("0x")?).ok()
}

/// The number in a JSON-RPC quantity such as `"0x1f"`.
#[must_use]
pub fn quantity(value: &JsValue) -> Option<u64> {
    u64::from_str_radix(value.as_string()?.strip_prefix("0x")?, 16).ok()
}

/// What a rejection or exception says.
#[must_use]
pub fn message(thrown: &JsValue) -> String {
    get_string(thrown, "message").or_else(|| thrown.as_string()).unwrap_or_else(|| "an unknown error".to_owned())
}

/// Waits for a value, be it a promise or not. A function that throws at once is a rejection like any other.
pub async fn settle(called: core::result::Result<JsValue, JsValue>) -> core::result::Result<JsValue, JsValue> {
    JsFuture::from(Promise::resolve(&called?)).await
}

/// Calls a method of a JavaScript object, at once; it may be missing or throw. What it returns is to be settled.
pub fn invoke(object: &JsValue, name: &str, arguments: &Array) -> core::result::Result<JsValue, JsValue> {
    match get_function(object, name) {
        Some(method) => method.apply(object, arguments),
        None => Err(js_sys::TypeError::new(&format!("{name} is not a function")).into()),
    }
}

/// An event of a `target` that has `addEventListener`; it is removed when this is dropped.
#[derive(Debug)]
pub struct Listener {
    target: JsValue,
    event: &'static str,
    callback: Closure<dyn FnMut(JsValue)>,
}

impl Listener {
    /// Calls `callback` with each event.
    pub fn new(target: &JsValue, event: &'static str, callback: impl FnMut(JsValue) + 'static) -> Self {
        let callback = Closure::<dyn FnMut(JsValue)>::new(callback);
        listen(target, "addEventListener", event, callback.as_ref());
        Self { target: target.clone(), event, callback }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        listen(&self.target, "removeEventListener", self.event, self.callback.as_ref());
    }
}

fn listen(target: &JsValue, method: &str, event: &str, callback: &JsValue) {
    if let Some(method) = get_function(target, method) {
        let _ = method.call2(target, &event.into(), callback);
    }
}

/// A timer that is cleared when this is dropped.
#[derive(Debug)]
pub struct Timer {
    id: JsValue,
    _callback: Closure<dyn FnMut()>,
}

impl Timer {
    /// Calls `callback` once.
    pub fn new(milliseconds: u32, callback: impl FnMut() + 'static) -> Self {
        let callback = Closure::<dyn FnMut()>::new(callback);
        let id = set_timeout(callback.as_ref().unchecked_ref(), f64::from(milliseconds));
        Self { id, _callback: callback }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        clear_timeout(&self.id);
    }
}

/// Unix seconds.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the clock is positive and far below 2^53")]
pub fn now() -> u64 {
    (js_sys::Date::now() / 1000.0) as u64
}

/// Random bytes from the platform.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(Failure::new(Code::Unsupported, "This platform has no source of randomness.")),
    }
}

/// A warning for whoever looks at the console.
pub fn warn(text: &str) {
    console_warn(text);
}

/// Refuses with the name of what is wrong.
pub fn invalid<T>(detail: impl Into<Cow<'static, str>>) -> Result<T> {
    Err(Failure::new(Code::InvalidArgument, detail))
}
