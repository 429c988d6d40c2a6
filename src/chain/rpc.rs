//! JSON-RPC of an EVM node, over a wallet's provider or an HTTP URL.

use crate::failure::{Failure, Result};
use crate::js::{array, get, invoke, message, object, quantity};
use crate::signer::eip1193::Eip1193;
use crate::task::Work;
use crate::transport::http;
use farthing_protocol::Code;
use js_sys::{Array, JSON};
use wasm_bindgen::prelude::*;

/// Whom we ask.
#[derive(Clone, Debug)]
pub enum Rpc {
    /// The wallet.
    Wallet(Eip1193),
    /// An HTTP endpoint.
    Url(String),
}

impl Rpc {
    /// Asks; a failure is [`Code::ChainUnavailable`], or [`Code::TransactionFailed`] if the EVM reverted.
    pub fn request<'a>(&'a self, method: &'a str, params: Array) -> Work<'a, JsValue> {
        Box::pin(self.ask(method, params))
    }

    async fn ask(&self, method: &str, params: Array) -> Result<JsValue> {
        match self {
            Self::Wallet(provider) => {
                provider.request(method, params, Code::ChainUnavailable).await.map_err(|failure| {
                    match failure.cause().and_then(reverted) {
                        Some(code) => failure.seen_as(code),
                        None => failure,
                    }
                })
            }
            Self::Url(url) => over_http(url, method, params).await,
        }
    }

    /// Asks for a quantity.
    pub fn number<'a>(&'a self, method: &'a str, params: Array) -> Work<'a, u64> {
        Box::pin(async move {
            let answer = self.request(method, params).await?;
            quantity(&answer).ok_or_else(|| Failure::new(Code::ChainUnavailable, format!("{method} gave no number.")))
        })
    }

    /// Asks for a string.
    pub fn text<'a>(&'a self, method: &'a str, params: Array) -> Work<'a, String> {
        Box::pin(async move {
            let answer = self.request(method, params).await?;
            answer.as_string().ok_or_else(|| Failure::new(Code::ChainUnavailable, format!("{method} gave no text.")))
        })
    }

    /// Calls `callback` at every new head, where the other end can push them; `false` where it can't, and heads
    /// have to be asked for. The subscription lives as long as the provider.
    pub async fn subscribe(&self, callback: impl FnMut() + 'static) -> bool {
        let Self::Wallet(provider) = self else { return false };
        if crate::js::get_function(provider.object(), "on").is_none() {
            return false;
        }
        let subscribed = provider.request("eth_subscribe", array(["newHeads"]), Code::ChainUnavailable).await;
        let Some(id) = subscribed.ok().and_then(|id| id.as_string()) else { return false };
        let mut callback = callback;
        let listener = Closure::<dyn FnMut(JsValue)>::new(move |message: JsValue| {
            if get(&get(&message, "data"), "subscription").as_string().as_ref() == Some(&id) {
                callback();
            }
        });
        let arguments = array([JsValue::from("message"), listener.into_js_value()]);
        invoke(provider.object(), "on", &arguments).is_ok()
    }
}

async fn over_http(url: &str, method: &str, params: Array) -> Result<JsValue> {
    let call =
        object([("jsonrpc", "2.0".into()), ("id", 1.into()), ("method", method.into()), ("params", params.into())]);
    let body = JSON::stringify(&call).map(String::from).map_err(|_| Failure::from(Code::Internal))?;
    let text = http::post(url, &body, Code::ChainUnavailable).await?;
    let answer = JSON::parse(&text)
        .map_err(|_| Failure::new(Code::ChainUnavailable, format!("{url} does not speak JSON-RPC.")))?;
    let error = get(&answer, "error");
    if error.is_object() {
        let code = reverted(&error).unwrap_or(Code::ChainUnavailable);
        return Err(Failure::caused(code, format!("{method}: {}.", message(&error).trim_end_matches('.')), error));
    }
    Ok(get(&answer, "result"))
}

/// Nodes say it by the number 3 or in words.
#[allow(clippy::float_cmp, reason = "error numbers are small integers")]
fn reverted(error: &JsValue) -> Option<Code> {
    let text = message(error).to_ascii_lowercase();
    // `str::contains` would bring its search for long needles along.
    let says = |word: &str| text.as_bytes().windows(word.len()).any(|part| part == word.as_bytes());
    let reverted = get(error, "code").as_f64() == Some(3.0) || says("revert") || says("insufficient funds");
    reverted.then_some(Code::TransactionFailed)
}
