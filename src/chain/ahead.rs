//! Questions that are asked before their answers are needed, so that they are on their way side by side. Whoever comes to
//! ask one is given the answer that is there or coming: what is checked, and in which order, stays as it is.

use super::rpc::Rpc;
use crate::failure::Result;
use crate::small::SmallMap;
use crate::task::{Either, Once, Work, race};
use js_sys::{Array, JSON};
use std::cell::{Cell, RefCell};
use std::future::pending;
use std::task::{Context, Waker};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

/// What was asked ahead.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// What is asked now is asked ahead.
    on: Cell<bool>,
    asked: RefCell<SmallMap<String, Once<Result<JsValue>>>>,
    over: RefCell<Once<()>>,
}

/// How an answer is come by: of one node, if it is accepted, or of two that agree.
#[derive(Clone, Copy)]
pub(super) enum How {
    One(super::rpc::Accept),
    Two(super::rpc::Digest),
}

impl Rpc {
    /// Asks what this work asks first, and does not wait for it.
    pub fn ahead<T>(&self, mut work: Work<'_, T>) {
        let ahead = self.ahead_of();
        ahead.on.set(true);
        let _ = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        ahead.on.set(false);
    }

    /// What was asked ahead and not taken is given up.
    pub fn forget_ahead(&self) {
        let ahead = self.ahead_of();
        drop(ahead.asked.take());
        ahead.over.take().send(());
    }

    /// The answer to a question, asked now or ahead.
    pub(super) fn answer<'a>(&'a self, how: How, method: &'a str, params: Array) -> Work<'a, JsValue> {
        Box::pin(async move { self.answered(how, method, &params).await })
    }

    async fn answered(&self, how: How, method: &str, params: &Array) -> Result<JsValue> {
        let ahead = self.ahead_of();
        if !ahead.on.get() && ahead.asked.borrow().iter().next().is_none() {
            return self.ask(how, method, params).await;
        }
        let key = key(how, method, params);
        if ahead.on.get() {
            self.send_ahead(how, key, method, params);
            return pending().await;
        }
        let known = ahead.asked.borrow().get(&key).cloned();
        if let Some(known) = known {
            let over = ahead.over.borrow().clone();
            let answered = race(known.wait(), over.wait()).await;
            // The newest block is another one the next time, and what failed may not fail again.
            let stays = matches!(&answered, Either::First(Ok(_))) && !key.contains("latest");
            if !stays {
                drop(ahead.asked.borrow_mut().remove(&key));
            }
            if let Either::First(answer) = answered {
                return answer;
            }
        }
        self.ask(how, method, params).await
    }

    /// Gives an answer that was taken back, for who asks next.
    pub(super) fn keep_ahead(&self, how: How, method: &str, params: &Array, answer: JsValue) {
        let key = key(how, method, params);
        let known = Once::default();
        known.send(Ok(answer));
        self.ahead_of().asked.borrow_mut().insert(key, known);
    }

    fn send_ahead(&self, how: How, key: String, method: &str, params: &Array) {
        let ahead = self.ahead_of();
        if ahead.asked.borrow().get(&key).is_some() {
            return;
        }
        let answer = Once::default();
        ahead.asked.borrow_mut().insert(key, answer.clone());
        let (rpc, method, params, over) =
            (self.clone(), method.to_owned(), params.clone(), ahead.over.borrow().clone());
        spawn_local(async move {
            if let Either::First(told) = race(rpc.ask(how, &method, &params), over.wait()).await {
                answer.send(told);
            }
        });
    }
}

fn key(how: How, method: &str, params: &Array) -> String {
    let nodes = if matches!(how, How::Two(_)) { "agreed" } else { "one" };
    format!("{nodes} {method} {}", JSON::stringify(params).map(String::from).unwrap_or_default())
}
