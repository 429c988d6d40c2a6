//! JSON-RPC of EVM nodes, over a wallet's provider or HTTP URLs. A question that fails for a reason that may pass is
//! asked again, of another node where there is one, until an end that names the node and what it said last.

use super::ahead::{Ahead, How};
use super::logs::is_range;
use super::node::{Node, Trouble};
use super::verdict::Verdict;
use crate::failure::{Failure, Result};
use crate::js::{array, get, invoke, quantity, ticks};
use crate::signer::eip1193::Eip1193;
use crate::task::{Either, Waits, Work, both, race, sleep};
use farthing_protocol::Code;
use js_sys::{Array, JSON, Math};
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// How long one question is asked again, in milliseconds.
const PATIENCE: f64 = 25_000.0;

/// How long one of several nodes is asked for its opinion, in milliseconds.
const SECOND: f64 = 8_000.0;

/// How long a question may take although the time for all of them is up, in milliseconds.
const LEAST: f64 = 5_000.0;

/// The first and the longest pause between two tries, in milliseconds, before chance makes them differ.
const PAUSES: (f64, f64) = (250.0, 5_000.0);

/// After so many answers that may mean the range of logs, a shorter one is asked for.
const LESS: u32 = 3;

/// How long another node than the first is used before the first is tried again, in milliseconds.
const RETURN: f64 = 60_000.0;

/// How long a node that did not answer is left out where two shall agree, in milliseconds.
const DOWN: f64 = 30_000.0;

/// How long a wallet may take to subscribe, in milliseconds.
const SUBSCRIBING: u32 = 10_000;

/// Whom we ask.
#[derive(Clone, Debug)]
pub struct Rpc(Rc<Nodes>);

#[derive(Debug)]
struct Nodes {
    nodes: Vec<Node>,
    /// Which one is used, and since when.
    current: Cell<usize>,
    since: Cell<f64>,
    /// Whatever is asked ends by this time.
    end: Cell<Option<f64>>,
    /// Questions that are not answered.
    asked: Cell<u32>,
    ahead: Ahead,
}

/// Why no node took what it was told.
#[derive(Debug)]
pub struct Untold {
    /// What the last one said.
    pub failure: Failure,
    /// One of them may have taken it: its answer was lost.
    pub maybe: bool,
    /// It may be told again: none has judged it.
    pub again: bool,
}

/// What an answer must be, to be one.
pub type Accept = fn(&JsValue) -> bool;

/// What two answers must have in common.
pub type Digest = fn(&JsValue) -> Option<String>;

impl Rpc {
    /// Asks the wallet.
    #[must_use]
    pub fn wallet(provider: Eip1193) -> Self {
        Self::of(vec![Node::wallet(provider)])
    }

    /// Asks the nodes at these URLs, the first one first.
    #[must_use]
    pub fn urls(urls: &[String]) -> Self {
        Self::of(urls.iter().map(|url| Node::url(url.clone())).collect())
    }

    /// Whether the wallet is whom we ask.
    #[must_use]
    pub fn is_wallet(&self) -> bool {
        self.0.nodes.first().and_then(Node::provider).is_some()
    }

    fn of(nodes: Vec<Node>) -> Self {
        Self(Rc::new(Nodes {
            nodes,
            current: Cell::new(0),
            since: Cell::new(0.0),
            end: Cell::new(None),
            asked: Cell::new(0),
            ahead: Ahead::default(),
        }))
    }

    /// Whether any of them owes an answer.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.asked.get() > 0
    }

    pub(super) fn ahead_of(&self) -> &Ahead {
        &self.0.ahead
    }

    /// Of this chain only: each node is asked for its chain before anything that it says counts.
    pub fn expect(&self, chain_id: u64) {
        // What a node of another chain said before that was known does not count.
        let others = self.0.nodes.iter().filter(|node| !node.expect(chain_id)).count();
        if others > 0 {
            self.forget_ahead();
        }
    }

    /// Whatever is asked ends within so many milliseconds from now, or in its own time again.
    pub fn hurry(&self, milliseconds: Option<f64>) {
        self.0.end.set(milliseconds.map(|milliseconds| ticks() + milliseconds));
    }

    /// Reads. A failure is [`Code::ChainUnavailable`], or [`Code::TransactionFailed`] if the EVM reverted.
    pub fn request<'a>(&'a self, method: &'a str, params: Array) -> Work<'a, JsValue> {
        self.wanting(method, params, |_| true)
    }

    /// Reads; what is not accepted, as `null` where a value must be, is no answer.
    pub fn wanting<'a>(&'a self, method: &'a str, params: Array, accept: Accept) -> Work<'a, JsValue> {
        self.answer(How::One(accept), method, params)
    }

    /// Says something to one node after the other until one takes it, each once.
    pub async fn tell(&self, method: &str, params: &Array) -> core::result::Result<(), Untold> {
        let mut untold = Untold { failure: Code::ChainUnavailable.into(), maybe: false, again: false };
        let (count, start) = (self.0.nodes.len(), self.current());
        for step in 0..count {
            let index = start.saturating_add(step).checked_rem(count).unwrap_or_default();
            let Some(node) = self.0.nodes.get(index) else { continue };
            match node.ask(method, params, |_| true).await {
                Ok(_) => return Ok(()),
                Err(trouble) => {
                    untold.failure = trouble.failure;
                    untold.maybe |= trouble.verdict == Verdict::Again;
                    untold.again |= !matches!(trouble.verdict, Verdict::Says | Verdict::NotServed);
                    // What one has judged the others would judge alike.
                    if trouble.verdict == Verdict::Says {
                        untold.again = false;
                        break;
                    }
                }
            }
        }
        Err(untold)
    }

    /// Reads what decides about money. Where there are two nodes that answer, they must agree; one that lags is waited
    /// for, and what they do not agree on is no answer.
    pub fn agreed<'a>(&'a self, method: &'a str, params: Array, digest: Digest) -> Work<'a, JsValue> {
        self.answer(How::Two(digest), method, params)
    }

    /// Asks now.
    pub(super) fn ask<'a>(&'a self, how: How, method: &'a str, params: &'a Array) -> Work<'a, JsValue> {
        Box::pin(async move {
            match how {
                How::One(accept) => self.retried(None, method, params, accept).await,
                How::Two(digest) => self.by_two(method, params, digest).await,
            }
        })
    }

    async fn by_two(&self, method: &str, params: &Array, digest: Digest) -> Result<JsValue> {
        let end = self.end();
        let mut pause = PAUSES.0;
        loop {
            // Side by side; another one may be used by the time it has answered.
            let (used, count) = (self.current(), self.0.nodes.len());
            let is_up = |index: &usize| self.0.nodes.get(*index).is_some_and(|node| node.down_until() <= ticks());
            let next = (0..count).find(|index| *index != used && is_up(index));
            let second = async {
                match next {
                    Some(index) => Some((index, self.retried(Some(index), method, params, |_| true).await)),
                    None => None,
                }
            };
            let (first, mut second) = both(self.retried(None, method, params, |_| true), second).await;
            let first = first?;
            let current = self.0.current.get();
            let mut told = vec![(digest(&first), first)];
            let mut failure = None;
            for (index, other) in self.0.nodes.iter().enumerate() {
                if index == current || other.down_until() > ticks() {
                    continue;
                }
                let answered = match second.take_if(|(asked, _)| *asked == index) {
                    Some((_, answered)) => answered,
                    None => self.retried(Some(index), method, params, |_| true).await,
                };
                match answered {
                    Ok(answer) => {
                        let its = digest(&answer);
                        if its.is_some() && told.iter().any(|(known, _)| *known == its) {
                            return Ok(answer);
                        }
                        told.push((its, answer));
                        let name = self.0.nodes.get(current).map(Node::name).unwrap_or_default();
                        let other = other.name();
                        let detail = format!("{name} and {other} do not agree about {method}, so neither is believed.");
                        failure = Some(Failure::new(Code::ChainUnavailable, detail));
                    }
                    Err(failure) if failure.code() != Code::ChainUnavailable => return Err(failure),
                    // It can't be reached, says nothing of the chain, or stopped following it: what is left decides.
                    Err(its) if its.cause().is_none() || is_unwell(&its) || self.stands_still(index).await => {
                        other.set_down(ticks() + DOWN);
                    }
                    // It spoke, so it is there, and lags or refuses: that it does not contradict is no agreement.
                    Err(its) => failure = Some(its),
                }
            }
            let failure = match (failure, told.pop()) {
                // There is no other.
                (None, Some((Some(_), only))) => return Ok(only),
                (failure, _) => failure.unwrap_or_else(|| self.told_nothing(method)),
            };
            if ticks() + pause > end {
                return Err(failure);
            }
            sleep(jitter(pause)).await;
            pause = (pause * 2.0).min(PAUSES.1);
        }
    }

    /// Whether a node has been standing still for long while the one that is used goes on.
    async fn stands_still(&self, index: usize) -> bool {
        let newest = async |only| {
            let answer =
                self.retried(only, "eth_blockNumber", &Array::new(), |answer| quantity(answer).is_some()).await;
            answer.ok().and_then(|answer| quantity(&answer))
        };
        let (Some(its), Some(ours)) = (newest(Some(index)).await, newest(None).await) else { return false };
        self.0.nodes.get(index).is_some_and(|node| node.stands_still(its, ours))
    }

    /// Whether more than one node is asked.
    #[must_use]
    pub fn are_several(&self) -> bool {
        self.0.nodes.len() > 1
    }

    fn told_nothing(&self, method: &str) -> Failure {
        let name = self.0.nodes.get(self.0.current.get()).map(Node::name).unwrap_or_default();
        Failure::new(Code::ChainUnavailable, format!("{name} gave no answer to {method}."))
    }

    fn end(&self) -> f64 {
        let own = ticks() + PATIENCE;
        // A person may have taken all the time there was to sign: what follows is asked all the same.
        self.0.end.get().map_or(own, |end| end.max(ticks() + LEAST).min(own))
    }

    /// The node that is used, the first one again after a while.
    fn current(&self) -> usize {
        if self.0.current.get() != 0 && ticks() - self.0.since.get() > RETURN {
            self.0.current.set(0);
        }
        self.0.current.get()
    }

    fn stick(&self, index: usize) {
        if self.0.current.replace(index) != index {
            self.0.since.set(ticks());
        }
    }

    fn retried<'a>(
        &'a self,
        only: Option<usize>,
        method: &'a str,
        params: &'a Array,
        accept: Accept,
    ) -> Work<'a, JsValue> {
        Box::pin(self.until_answered(only, method, params, accept))
    }

    async fn until_answered(
        &self,
        only: Option<usize>,
        method: &str,
        params: &Array,
        accept: Accept,
    ) -> Result<JsValue> {
        let _asked = Waits::new(&self.0.asked);
        // A second opinion is not waited for as long as the only one.
        let end = only.map_or(self.end(), |_| self.end().min(ticks() + SECOND));
        let (mut pause, mut less, none) = (PAUSES.0, 0_u32, Array::new());
        loop {
            let mut last: Option<Trouble> = None;
            let (mut again, mut asked) = (false, false);
            let count = self.0.nodes.len();
            let start = self.current();
            let order = (0..count).map(|step| start.saturating_add(step).checked_rem(count).unwrap_or_default());
            for index in order.filter(|index| only.is_none_or(|only| only == *index)) {
                let Some(node) = self.0.nodes.get(index) else { continue };
                if node.rest() > 0.0 {
                    again = true;
                    continue;
                }
                asked = true;
                match self.before(end, node.ask(method, params, accept), node).await {
                    Ok(answer) => {
                        if only.is_none() {
                            self.stick(index);
                        }
                        return Ok(answer);
                    }
                    Err(trouble) => match trouble.verdict {
                        Verdict::Says => return Err(trouble.failure),
                        Verdict::NotServed => last = last.or(Some(trouble)),
                        Verdict::Less => {
                            less = less.saturating_add(1);
                            // Too many questions would be too many of any kind.
                            let asks = || self.before(end, node.ask("eth_blockNumber", &none, |_| true), node);
                            again |= less < LESS || !is_range(params) || asks().await.is_err();
                            last = Some(trouble);
                        }
                        Verdict::Again | Verdict::Denied | Verdict::Slower => {
                            again = true;
                            last = Some(trouble);
                        }
                    },
                }
            }
            let rests = self.0.nodes.iter().enumerate().filter(|(index, _)| only.is_none_or(|only| only == *index));
            let (rest, resting) =
                rests.fold((f64::INFINITY, String::new()), |(least, name), (_, node)| match node.rest() < least {
                    true => (node.rest(), node.name()),
                    false => (least, name),
                });
            let wait = jitter(pause).max(clamp(rest));
            if !again || ticks() + f64::from(wait) > end {
                return Err(last.map_or_else(
                    || {
                        let seconds = clamp(rest).div_ceil(1_000);
                        let detail = format!("{resting} wants to be asked again in {seconds} s.");
                        Failure::new(Code::ChainUnavailable, detail)
                    },
                    |trouble| trouble.failure,
                ));
            }
            sleep(wait).await;
            // Who found the node resting, since others had asked too much, has not asked yet: its turn comes soon.
            if asked {
                pause = (pause * 2.0).min(PAUSES.1);
            }
        }
    }

    /// A question that hangs is given up at the end of all patience, not at its own.
    async fn before(
        &self,
        end: f64,
        asked: impl Future<Output = core::result::Result<JsValue, Trouble>>,
        node: &Node,
    ) -> core::result::Result<JsValue, Trouble> {
        match race(asked, sleep(clamp(end - ticks()))).await {
            Either::First(answer) => answer,
            Either::Second(()) => Err(node.silent()),
        }
    }

    /// Asks for a quantity.
    pub fn number<'a>(&'a self, method: &'a str, params: Array) -> Work<'a, u64> {
        Box::pin(async move {
            let answer = self.wanting(method, params, |answer| quantity(answer).is_some()).await?;
            quantity(&answer).ok_or_else(|| Failure::new(Code::ChainUnavailable, format!("{method} gave no number.")))
        })
    }

    /// Calls `callback` at every new head, where the other end can push them; `false` where it can't, and heads
    /// have to be asked for. The subscription lives as long as the provider.
    pub async fn subscribe(&self, callback: impl FnMut() + 'static) -> bool {
        let Some(provider) = self.0.nodes.first().and_then(Node::provider) else { return false };
        if crate::js::get_function(provider.object(), "on").is_none() {
            return false;
        }
        let asked = provider.request("eth_subscribe", array(["newHeads"]), Code::ChainUnavailable);
        // A wallet that never answers has not subscribed.
        let Either::First(Ok(id)) = race(asked, sleep(SUBSCRIBING)).await else { return false };
        let Some(id) = id.as_string() else { return false };
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

/// Whether a node failed without a word about the chain: by HTTP, or by a number of limits and of its own troubles.
fn is_unwell(failure: &Failure) -> bool {
    let code = failure.cause().and_then(|cause| get(cause, "code").as_f64());
    code.is_some_and(|code| (400.0..600.0).contains(&code) || [-32_603.0, -32_601.0, -32_005.0].contains(&code))
}

/// The whole answer, which must not be `null`.
#[must_use]
pub fn whole(answer: &JsValue) -> Option<String> {
    if answer.is_null() || answer.is_undefined() {
        return None;
    }
    JSON::stringify(answer).ok().map(|text| String::from(text).to_ascii_lowercase())
}

/// Between half of a pause and all of it, so that clients that failed together do not come back together.
fn jitter(pause: f64) -> u32 {
    clamp(pause * (0.5 + Math::random() / 2.0))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn clamp(milliseconds: f64) -> u32 {
    milliseconds.clamp(0.0, 600_000.0) as u32
}
