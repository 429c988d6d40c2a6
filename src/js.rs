//! Small tools for plain JavaScript values.

use crate::failure::{Failure, Result};
use crate::global::global;
use crate::task::{Changes, race, sleep};
use crate::url::origin;
use farthing_protocol::Code;
use js_sys::{Array, Function, Object, Promise, Reflect};
use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Event, EventTarget, SecurityPolicyViolationEvent};

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
    let object = Object::new();
    for (key, value) in properties.iter().filter(|(_, value)| !value.is_undefined()) {
        put(&object, key, value);
    }
    object.into()
}

/// Freezes an object or array of ours. An object with a `bigint` in it has a `toJSON` from then on, which is not to be seen
/// where properties are compared, listed or copied.
#[must_use]
pub fn seal(value: JsValue) -> JsValue {
    let object: &Object = value.unchecked_ref();
    let has_money = !Array::is_array(&value) && Object::values(object).iter().any(|property| property.is_bigint());
    if let Some(to_json) = TO_JSON.with_borrow(Option::clone).filter(|_| has_money) {
        let property = Object::new();
        put(&property, "value", &to_json);
        Object::define_property(object, &"toJSON".into(), &property);
    }
    Object::freeze(object);
    value
}

thread_local! {
    static TO_JSON: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// Gives every object with a `bigint` in it this `toJSON`: JSON has no such numbers, and `JSON.stringify` would throw.
pub fn json_with(to_json: Function) {
    TO_JSON.replace(Some(to_json));
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

/// An event of a target; it is not listened to any more when this is dropped.
#[derive(Debug)]
pub struct Listener {
    target: EventTarget,
    event: &'static str,
    callback: Closure<dyn FnMut(Event)>,
}

impl Listener {
    /// Calls `callback` with each event.
    pub fn new(target: EventTarget, event: &'static str, callback: impl FnMut(Event) + 'static) -> Self {
        let callback = Closure::<dyn FnMut(Event)>::new(callback);
        // What is no target has no events.
        let _ = target.add_event_listener_with_callback(event, callback.as_ref().unchecked_ref());
        Self { target, event, callback }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let callback = self.callback.as_ref().unchecked_ref();
        let _ = self.target.remove_event_listener_with_callback(self.event, callback);
    }
}

/// How long a browser may take to say that it was a policy that kept a request back, in milliseconds.
const SAYING: u32 = 200;

/// What the page's Content-Security-Policy refuses while this lives.
#[derive(Debug)]
pub struct Policy {
    refused: Rc<RefCell<Vec<String>>>,
    changed: Rc<Changes>,
    _listener: Option<Listener>,
}

impl Policy {
    /// Listens from now on, where there is such a thing.
    #[must_use]
    pub fn watch() -> Self {
        let global = global();
        let (refused, changed) = (Rc::<RefCell<Vec<String>>>::default(), Rc::<Changes>::default());
        let (heard, told) = (Rc::clone(&refused), Rc::clone(&changed));
        let listener = global.policy_event().map(|_| {
            let target = global.document().map_or_else(|| global.unchecked_into(), EventTarget::from);
            Listener::new(target, "securitypolicyviolation", move |event| {
                let refused: SecurityPolicyViolationEvent = event.unchecked_into();
                heard.borrow_mut().push(refused.blocked_uri());
                told.notify();
            })
        });
        Self { refused, changed, _listener: listener }
    }

    /// After a request failed: whether it was for that. Browsers tell it apart from the failure, and perhaps later.
    pub async fn refuses(&self, url: &str) -> bool {
        // Of another origin no more is told than that.
        let is_refused = || self.refused.borrow().iter().any(|refused| origin(refused) == origin(url));
        if self._listener.is_some() && !is_refused() {
            let told = async {
                while !is_refused() {
                    self.changed.next().await;
                }
            };
            let _ = race(told, sleep(SAYING)).await;
        }
        is_refused()
    }
}

/// Unix seconds, as the device is set: what time it is the chain says as well, see `chain/clock.rs`.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the clock is positive and far below 2^53")]
pub fn now() -> u64 {
    (js_sys::Date::now() / 1000.0) as u64
}

/// Seconds by a clock that nobody sets; it may stand still while the device sleeps.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the clock is positive and far below 2^53")]
pub fn running() -> u64 {
    (ticks() / 1000.0) as u64
}

/// Milliseconds by that clock.
#[must_use]
pub fn ticks() -> f64 {
    global().performance().map_or_else(js_sys::Date::now, |clock| clock.now())
}

/// A time of Unix seconds as people and programs read it.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "beyond what a date can be it is told as it is")]
pub fn date_text(seconds: u64) -> String {
    const LAST: u64 = 8_640_000_000_000;
    match seconds <= LAST {
        true => js_sys::Date::new(&(seconds.saturating_mul(1_000) as f64).into()).to_iso_string().into(),
        false => format!("second {seconds}"),
    }
}

/// Random bytes from the platform.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(Failure::new(Code::Unsupported, "This platform has no source of randomness.")),
    }
}

thread_local! {
    static DEFECTS: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// Whom defects of ours are told, and of applications' callbacks: the log, never the console.
pub fn tell_defects(listener: Function) {
    DEFECTS.replace(Some(listener));
}

/// Tells of a defect.
pub fn defect(text: &str) {
    let listener = DEFECTS.try_with(|told| told.try_borrow().ok().and_then(|told| told.clone())).ok().flatten();
    if let Some(listener) = listener {
        let _ = listener.call1(&JsValue::UNDEFINED, &text.into());
    }
}

/// Refuses with the name of what is wrong.
pub fn invalid<T>(detail: impl Into<Cow<'static, str>>) -> Result<T> {
    Err(Failure::new(Code::InvalidArgument, detail))
}
