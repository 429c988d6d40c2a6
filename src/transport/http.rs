//! One POST of JSON over the platform's `fetch`.

use crate::failure::{Failure, Result};
use crate::js::{Policy, get, message};
use crate::task::{Either, Work, race, sleep};
use crate::url::{has_url, origin};
use farthing_protocol::Code;
use gloo_net::http::{Method, Request, RequestBuilder};
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, AbortSignal, Response};

// gloo-net's own sending and reading panic where what is thrown is no `Error` or what comes is no `Response` of this realm,
// and a panic ends the client; and they forget an error's cause, which in Node is all that says why.
#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch)]
    fn fetch(request: &web_sys::Request) -> core::result::Result<Promise, JsValue>;
}

/// How long an answer may take, in milliseconds.
pub const PATIENCE: u32 = 20_000;

/// What came back, whatever its status.
#[derive(Debug)]
pub struct Reply {
    /// The status of HTTP.
    pub status: u16,
    /// The header `Retry-After`, where it can be read.
    pub retry_after: Option<String>,
    /// The body.
    pub text: String,
}

/// The body of the answer, which may take so many milliseconds. Whatever goes wrong on the way is `code`.
pub fn post<'a>(url: &'a str, body: &'a str, code: Code, patience: u32) -> Work<'a, String> {
    let replied = reply(url, body, code, patience);
    Box::pin(async move { Ok(replied.await?.text) })
}

/// The same, with what HTTP says. Nothing of the URL is told but its origin.
pub fn reply<'a>(url: &'a str, body: &'a str, code: Code, patience: u32) -> Work<'a, Reply> {
    Box::pin(async move {
        match race(exchange(url, body, code), sleep(patience)).await {
            Either::First(answer) => answer,
            Either::Second(()) => Err(Failure::new(code, format!("{} does not answer.", origin(url)))),
        }
    })
}

/// Ends the exchange when it is dropped: what nobody waits for holds no connection.
struct Ends(AbortController);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn request(url: &str, body: &str, signal: &AbortSignal) -> core::result::Result<Request, String> {
    let builder = RequestBuilder::new(url).method(Method::POST).abort_signal(Some(signal));
    builder.header("content-type", "application/json").body(body).map_err(|error| error.to_string())
}

async fn exchange(url: &str, body: &str, code: Code) -> Result<Reply> {
    let failed = |why: String| {
        // Some say the URL, which may hold a key.
        let why = if has_url(&why) { "the request failed" } else { why.trim_end_matches('.') };
        Failure::new(code, format!("{} can't be reached: {why}.", origin(url)))
    };
    let thrown = |thrown: JsValue| {
        // Node says only "fetch failed", and why in the cause.
        let cause = get(&thrown, "cause");
        failed(if cause.is_object() { message(&cause) } else { message(&thrown) })
    };
    let ends = Ends(AbortController::new().map_err(thrown)?);
    let request = request(url, body, &ends.0.signal()).map_err(failed)?;
    let policy = Policy::watch();
    let asked = async { JsFuture::from(Promise::resolve(&fetch(&request.into())?)).await };
    let response: Response = match asked.await {
        Ok(response) if response.is_object() => response.unchecked_into(),
        Ok(_) => return Err(failed("fetch gave no response".to_owned())),
        Err(refused) => {
            let failure = thrown(refused);
            return Err(match policy.refuses(url).await {
                true => Failure::advised(
                    code,
                    format!(
                        "The page's Content-Security-Policy refuses {0}: allow {0} in its connect-src.",
                        origin(url)
                    ),
                ),
                false => failure,
            });
        }
    };
    let retry_after = response.headers().get("retry-after").ok().flatten();
    let text = JsFuture::from(response.text().map_err(thrown)?).await.map_err(thrown)?;
    let text = text
        .as_string()
        .ok_or_else(|| Failure::new(code, format!("{} answered with something that is no text.", origin(url))))?;
    Ok(Reply { status: response.status(), retry_after, text })
}
