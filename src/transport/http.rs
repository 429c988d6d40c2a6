//! One POST of JSON over the platform's `fetch`.

use crate::failure::{Failure, Result};
use crate::js::{get, message, object, settle};
use crate::task::{Either, Work, race, sleep};
use farthing_protocol::Code;
use js_sys::{Array, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch)]
    fn fetch(url: &str, options: &JsValue) -> core::result::Result<Promise, JsValue>;
}

/// How long an answer may take, in milliseconds.
pub const PATIENCE: u32 = 20_000;

/// The body of the answer, which may take so many milliseconds. Whatever goes wrong on the way is `code`.
pub fn post<'a>(url: &'a str, body: &'a str, code: Code, patience: u32) -> Work<'a, String> {
    Box::pin(async move {
        match race(exchange(url, body, code), sleep(patience)).await {
            Either::First(answer) => answer,
            Either::Second(()) => Err(Failure::new(code, format!("{url} does not answer."))),
        }
    })
}

async fn exchange(url: &str, body: &str, code: Code) -> Result<String> {
    let failed = |thrown: JsValue| {
        // Node says only "fetch failed", and why in the cause.
        let cause = get(&thrown, "cause");
        let why = if cause.is_object() { message(&cause) } else { message(&thrown) };
        Failure::caused(code, format!("{url} can't be reached: {}.", why.trim_end_matches('.')), thrown)
    };
    let headers = object([("content-type", "application/json".into())]);
    let options = object([("method", "POST".into()), ("headers", headers), ("body", body.into())]);
    let response = settle(fetch(url, &options).map(Into::into)).await.map_err(failed)?;
    let text = crate::js::invoke(&response, "text", &Array::new()).map_err(failed)?;
    let text = JsFuture::from(text.unchecked_into::<Promise>()).await.map_err(failed)?;
    text.as_string().ok_or_else(|| Failure::new(code, format!("{url} answered with something that is no text.")))
}
