//! One node: asks it one question and says what its failure means.

use super::rpc::Accept;
use super::verdict::{Verdict, of_error, of_status, retry_after};
use crate::failure::Failure;
use crate::js::{get, get_string, message, object, ticks};
use crate::signer::eip1193::Eip1193;
use crate::signer::wallet_values::chain_id;
use crate::task::{Either, both, race, sleep};
use crate::transport::http;
use crate::url::{has_url, origin, without_secrets};
use farthing_protocol::Code;
use js_sys::{Array, Date, JSON};
use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use wasm_bindgen::prelude::*;

/// How long one answer may take, in milliseconds; a hanging connection is given up early enough for another try.
const ANSWER: u32 = 10_000;

/// How long a node may stand still while another one goes on, in milliseconds.
const STANDSTILL: f64 = 60_000.0;

/// How long a node that says "too much" without saying for how long is left alone, in milliseconds.
const REST: u32 = 1_000;

/// How long a node may say that it does not serve us before that counts as its last word, in milliseconds.
const DENIED: f64 = 6_000.0;

/// A node and what is known of it.
pub(super) struct Node {
    way: Way,
    /// When it may be asked again, by the clock that only runs on.
    rests_until: Cell<f64>,
    down_until: Cell<f64>,
    /// Since when it says nothing but that it does not serve us.
    denies: Cell<Option<f64>>,
    /// The chain that it must be on, and the one that it said it is on.
    wanted: Cell<Option<u64>>,
    told: Cell<Option<u64>>,
    /// The newest block that it told of when it was last compared, and since when it tells of no other.
    stands: Cell<(u64, f64)>,
    id: Cell<u32>,
}

enum Way {
    Wallet(Eip1193),
    Url(String),
}

/// As one type, for the reason that `Work` is one.
pub(super) type Asked<'a> = Pin<Box<dyn Future<Output = Result<JsValue, Trouble>> + 'a>>;

/// A failure and what it means.
pub(super) struct Trouble {
    pub(super) verdict: Verdict,
    pub(super) failure: Failure,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl Node {
    pub(super) const fn wallet(provider: Eip1193) -> Self {
        Self::new(Way::Wallet(provider))
    }

    pub(super) const fn url(url: String) -> Self {
        Self::new(Way::Url(url))
    }

    const fn new(way: Way) -> Self {
        let (rests_until, down_until) = (Cell::new(0.0), Cell::new(0.0));
        let (denies, wanted, told) = (Cell::new(None), Cell::new(None), Cell::new(None));
        Self { way, rests_until, down_until, denies, wanted, told, stands: Cell::new((0, 0.0)), id: Cell::new(0) }
    }

    pub(super) const fn provider(&self) -> Option<&Eip1193> {
        match &self.way {
            Way::Wallet(provider) => Some(provider),
            Way::Url(_) => None,
        }
    }

    /// What may be told of it.
    pub(super) fn name(&self) -> String {
        match &self.way {
            Way::Wallet(_) => "The wallet".to_owned(),
            Way::Url(url) => origin(url),
        }
    }

    /// `false` if it has said that it is on another chain.
    pub(super) fn expect(&self, chain_id: u64) -> bool {
        self.wanted.set(Some(chain_id));
        self.told.get().is_none_or(|told| told == chain_id)
    }

    pub(super) const fn down_until(&self) -> f64 {
        self.down_until.get()
    }

    pub(super) fn set_down(&self, until: f64) {
        self.down_until.set(until);
    }

    /// Told what its newest block is and whether another node is further: whether it has stood still for long meanwhile.
    pub(super) fn stands_still(&self, newest: u64, others: u64) -> bool {
        let (seen, since) = self.stands.get();
        if newest != seen || newest >= others {
            self.stands.set((newest, ticks()));
            return false;
        }
        ticks() - since >= STANDSTILL
    }

    /// Milliseconds for which it wants to be left alone.
    pub(super) fn rest(&self) -> f64 {
        (self.rests_until.get() - ticks()).max(0.0)
    }

    /// Asked something, and nothing came.
    pub(super) fn silent(&self) -> Trouble {
        self.trouble(Verdict::Again, "does not answer", None)
    }

    fn trouble(&self, verdict: Verdict, what: &str, cause: Option<JsValue>) -> Trouble {
        let detail = format!("{}: {}.", self.name(), what.trim_end_matches('.'));
        let code = if verdict == Verdict::Says { Code::TransactionFailed } else { Code::ChainUnavailable };
        let failure = match cause {
            Some(cause) => Failure::caused(code, detail, cause),
            None => Failure::new(code, detail),
        };
        Trouble { verdict, failure }
    }

    /// Asks; what is not accepted is no answer.
    pub(super) fn ask<'a>(&'a self, method: &'a str, params: &'a Array, accept: Accept) -> Asked<'a> {
        Box::pin(async move {
            let answer = self.ask_it(method, params, accept).await;
            match &answer {
                Err(Trouble { verdict: Verdict::Denied, .. }) => {
                    let since = self.denies.get().unwrap_or_else(ticks);
                    self.denies.set(Some(since));
                    let lasts = ticks() - since >= DENIED;
                    answer.map_err(|trouble| match lasts {
                        true => Trouble { verdict: Verdict::NotServed, ..trouble },
                        false => trouble,
                    })
                }
                _ => {
                    if !matches!(&answer, Err(Trouble { verdict: Verdict::Again, .. })) {
                        self.denies.set(None);
                    }
                    answer
                }
            }
        })
    }

    async fn ask_it(&self, method: &str, params: &Array, accept: Accept) -> Result<JsValue, Trouble> {
        let none = Array::new();
        let chain = || self.exchange("eth_chainId", &none);
        let known = self.wanted.get().is_some() && self.told.get() == self.wanted.get();
        let (answer, told) = if method == "eth_chainId" {
            let answer = self.exchange(method, params).await?;
            (answer.clone(), Some(answer))
        } else if self.provider().is_some() {
            // A wallet's user may change its chain at any time: what it answers counts if it is still on ours afterwards.
            (self.exchange(method, params).await?, Some(chain().await?))
        } else if known {
            (self.exchange(method, params).await?, None)
        } else if method.starts_with("eth_send") {
            self.check_chain(&chain().await?)?;
            (self.exchange(method, params).await?, None)
        } else {
            // Side by side: what it answers counts if it is on ours.
            let (told, answer) = both(chain(), self.exchange(method, params)).await;
            self.check_chain(&told?)?;
            (answer?, None)
        };
        if let Some(told) = told {
            self.check_chain(&told)?;
        }
        if answer.is_undefined() || !accept(&answer) {
            let cause = object([("code", (-32_603).into())]);
            return Err(self.trouble(Verdict::Again, &format!("{method} gave nothing that can be used"), Some(cause)));
        }
        Ok(answer)
    }

    fn check_chain(&self, answer: &JsValue) -> Result<(), Trouble> {
        let Some(found) = chain_id(answer) else {
            return Err(self.trouble(Verdict::Again, "eth_chainId gave no number", None));
        };
        self.told.set(Some(found));
        match self.wanted.get() {
            Some(wanted) if wanted != found => {
                let detail = format!("{} is on chain {found}, the hub on {wanted}.", self.name());
                Err(Trouble { verdict: Verdict::Says, failure: Failure::new(Code::ChainMismatch, detail) })
            }
            _ => Ok(()),
        }
    }

    fn exchange<'a>(&'a self, method: &'a str, params: &'a Array) -> Asked<'a> {
        Box::pin(self.exchanged(method, params))
    }

    async fn exchanged(&self, method: &str, params: &Array) -> Result<JsValue, Trouble> {
        match &self.way {
            Way::Wallet(provider) => {
                let asked = provider.request(method, params.clone(), Code::ChainUnavailable);
                match race(asked, sleep(ANSWER)).await {
                    Either::First(Ok(answer)) => Ok(answer),
                    Either::First(Err(failure)) => Err(match failure.cause() {
                        Some(thrown) => self.thrown(method, thrown, None),
                        None => Trouble { verdict: Verdict::Again, failure },
                    }),
                    Either::Second(()) => Err(self.silent()),
                }
            }
            Way::Url(url) => self.post(url, method, params).await,
        }
    }

    async fn post(&self, url: &str, method: &str, params: &Array) -> Result<JsValue, Trouble> {
        let id = self.id.get().wrapping_add(1);
        self.id.set(id);
        let call = object([
            ("jsonrpc", "2.0".into()),
            ("id", id.into()),
            ("method", method.into()),
            ("params", params.into()),
        ]);
        let Ok(body) = JSON::stringify(&call).map(String::from) else {
            return Err(Trouble { verdict: Verdict::Says, failure: Code::Internal.into() });
        };
        let reply = http::reply(url, &body, Code::ChainUnavailable, ANSWER).await;
        let reply = reply.map_err(|failure| Trouble { verdict: Verdict::Again, failure })?;
        let answer = JSON::parse(&reply.text).ok().filter(|answer| answer.is_object() && !Array::is_array(answer));
        let error = answer.as_ref().map(|answer| get(answer, "error")).filter(JsValue::is_object);
        let rest = reply.retry_after.as_deref();
        match (answer, error) {
            // Some nodes say with a status of 400 or 500 that the EVM reverted.
            (Some(_), Some(error)) if reply.status < 429 || reply.status >= 500 => {
                Err(self.thrown(method, &error, rest))
            }
            (Some(answer), _) if (200..300).contains(&reply.status) && is_to(&answer, id) => Ok(get(&answer, "result")),
            _ if !(200..300).contains(&reply.status) => {
                let verdict = of_status(reply.status);
                self.slow_down(verdict, rest);
                let cause = object([("code", reply.status.into())]);
                Err(self.trouble(verdict, &format!("{method} was answered with HTTP {}", reply.status), Some(cause)))
            }
            _ => Err(self.trouble(Verdict::Again, &format!("{method} was answered with no JSON-RPC"), None)),
        }
    }

    fn thrown(&self, method: &str, error: &JsValue, rest: Option<&str>) -> Trouble {
        let verdict = of_thrown(method, error);
        self.slow_down(verdict, rest);
        let said = message(error);
        // Some tell the whole URL, or the key that is in it.
        let clean = |text: &str| match &self.way {
            Way::Wallet(_) => text.to_owned(),
            Way::Url(url) => without_secrets(text, url),
        };
        let said = if has_url(&said) { "it failed".to_owned() } else { clean(&said).chars().take(300).collect() };
        let secret = matches!(self.way, Way::Url(_))
            && JSON::stringify(error).map(String::from).is_ok_and(|all| has_url(&all) || clean(&all) != all);
        let cause = match secret {
            true => object([("code", get(error, "code")), ("message", said.as_str().into())]),
            false => error.clone(),
        };
        self.trouble(verdict, &format!("{method}: {said}"), Some(cause))
    }

    fn slow_down(&self, verdict: Verdict, rest: Option<&str>) {
        let wanted = rest.and_then(wanted_rest).or(matches!(verdict, Verdict::Slower | Verdict::Less).then_some(REST));
        if let Some(rest) = wanted.filter(|_| matches!(verdict, Verdict::Slower | Verdict::Less | Verdict::Again)) {
            self.rests_until.set(ticks() + f64::from(rest));
        }
    }
}

/// Whether an answer is to the question with this number.
fn is_to(answer: &JsValue, id: u32) -> bool {
    let told = get(answer, "id");
    told.as_f64().is_some_and(|told| told.to_bits() == f64::from(id).to_bits())
        || told.as_string().is_some_and(|told| told == id.to_string())
}

/// `Retry-After`: seconds, or a date.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float turns into the nearest number")]
fn wanted_rest(header: &str) -> Option<u32> {
    let date = Date::parse(header) - Date::now();
    retry_after(header.trim().parse().ok(), (!date.is_nan()).then_some(date.max(0.0) as u64))
}

/// What an error means, with all that its layers say: wallets wrap what their node told them.
#[allow(clippy::cast_possible_truncation, reason = "error numbers are small integers")]
pub(super) fn of_thrown(method: &str, error: &JsValue) -> Verdict {
    let number = |layer: &JsValue| get(layer, "code").as_f64().map(|code| code as i64);
    let (mut text, mut code) = (String::new(), number(error));
    let data = get(error, "data");
    let layers = [error.clone(), get(&data, "originalError"), get(&data, "cause"), data, get(error, "cause")];
    for layer in layers.iter().filter(|layer| layer.is_object()) {
        text.push_str(&get_string(layer, "message").unwrap_or_default().to_ascii_lowercase());
        text.push('\n');
        if number(layer) == Some(3) {
            code = Some(3);
        }
    }
    if let Some(status) = get(&get(error, "data"), "httpStatus").as_f64() {
        code = Some(status as i64);
    }
    of_error(method, code, &text)
}
