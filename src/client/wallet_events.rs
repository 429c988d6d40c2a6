//! What the wallet's user changes while a client lives. The application is told; nothing is decided by it, since the
//! wallet is asked again right before whatever it is to sign or send.

use super::{Client, Notice};
use crate::signer::Owner;
use crate::signer::eip1193::Eip1193;
use crate::signer::wallet_values::chain_id;
use crate::task::{Either, race};
use alloy_primitives::Address;
use std::rc::{Rc, Weak};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

/// What changed, as the application is told it, by the provider's event.
const EVENTS: [(&str, &str); 4] = [
    ("accountsChanged", "account"),
    ("chainChanged", "chain"),
    ("connect", "connected"),
    ("disconnect", "disconnected"),
];

/// What a wallet shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shown {
    /// The account, if there is one.
    pub account: Option<Address>,
    /// The chain, if it says one.
    pub chain_id: Option<u64>,
    /// It could sign and send for this channel.
    pub usable: bool,
}

impl Client {
    /// Listens to the wallet until the client ends.
    pub(super) fn watch_wallet(self: &Rc<Self>) {
        let Owner::Wallet { provider, account } = &self.owner else { return };
        let chain_id = self.chain.domain.chain_id();
        self.shown.set(Some(Shown { account: Some(*account), chain_id: Some(chain_id), usable: true }));
        let hooks = EVENTS.iter().filter_map(|(event, changed)| {
            let client: Weak<Self> = Rc::downgrade(self);
            provider.listen(event, move |told| {
                let Some(client) = client.upgrade() else { return };
                client.wallet_news.borrow_mut().push_back((changed, told));
                // One after the other: an older look must not be told after a newer one.
                if client.wallet_news.borrow().len() == 1 {
                    spawn_local(client.take_wallet_news());
                }
            })
        });
        self.hooks.replace(hooks.collect());
    }

    async fn take_wallet_news(self: Rc<Self>) {
        loop {
            let news = self.wallet_news.borrow().front().cloned();
            let Some((changed, told)) = news else { return };
            if let Either::First(()) = race(self.closed.wait(), self.wallet_changed(changed, &told)).await {
                return;
            }
            self.wallet_news.borrow_mut().pop_front();
        }
    }

    async fn wallet_changed(&self, changed: &'static str, told: &JsValue) {
        let Owner::Wallet { provider, account } = &self.owner else { return };
        let (mut shown, answered) = look(provider, changed, told).await;
        let domain = self.chain.domain;
        let ours = |shown: &Shown| shown.account == Some(*account) && shown.chain_id == Some(domain.chain_id());
        // A wallet may tell before its answers change, or after.
        shown.usable = changed != "disconnected" && ours(&shown) && ours(&answered);
        // Where the wallet is whom we ask, the chain may have been out of sight.
        self.look.ring();
        if self.shown.replace(Some(shown)) != Some(shown) {
            self.tell(Notice::Wallet { changed, shown });
        }
    }
}

/// What the wallet shows, as the event tells it where it can be read, and as the wallet answers.
async fn look(provider: &Eip1193, changed: &str, told: &JsValue) -> (Shown, Shown) {
    let mut answered = Shown { account: None, chain_id: None, usable: false };
    if changed != "disconnected" {
        answered.account = provider.shown().await.ok().flatten();
        answered.chain_id = provider.chain().await.ok();
    }
    let mut shown = answered;
    match changed {
        "account" if js_sys::Array::is_array(told) => shown.account = provider.account_of(told),
        "chain" => shown.chain_id = chain_id(told).or(answered.chain_id),
        _ => {}
    }
    (shown, answered)
}
