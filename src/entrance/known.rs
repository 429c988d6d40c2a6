//! The terms of hubs as they were at the last connect, for when the hub is gone, refuses, or is another one.
//!
//! A wallet's store has its name from what the hub says it is. So what it said is kept where it is found without the
//! hub: by the hub's URL and the owner's account. Terms are only added: whoever answers at the URL of a hub that holds
//! our money does not make us forget it.

use super::settings::{Settings, StoreChoice};
use crate::failure::{Failure, Result};
use crate::store::OpenStore;
use crate::transport::terms::Terms;
use alloy_primitives::{hex, keccak256};
use farthing_protocol::journal::Write;
use farthing_protocol::{Code, json};
use std::cell::RefCell;
use std::rc::Rc;

/// What is known of the hubs at one URL, and the store that is open.
pub(crate) struct Known {
    pub(crate) terms: Vec<Rc<Terms>>,
    /// Something that was stored can't be read.
    damaged: bool,
    prefix: String,
    store: RefCell<Option<OpenStore>>,
    /// The one of what is known, while it is written.
    other: RefCell<Option<OpenStore>>,
    /// Each wallet has a store of its own.
    apart: bool,
}

impl Known {
    /// Reads what is stored.
    pub(crate) async fn load(settings: &Settings) -> Result<Self> {
        let (name, prefix) = names(settings);
        let store = settings.open_store(&name).await?;
        let apart = settings.store == StoreChoice::Default;
        let loaded = store.load(&prefix).await;
        let mut known = Self {
            terms: Vec::new(),
            damaged: false,
            prefix,
            store: RefCell::new(Some(store)),
            other: RefCell::default(),
            apart,
        };
        if apart || loaded.is_err() {
            known.close().await?;
        }
        for (_, value) in loaded? {
            match read(&value) {
                Some(terms) => known.terms.push(Rc::new(terms)),
                None => known.damaged = true,
            }
        }
        Ok(known)
    }

    /// What this hub said before, if anything.
    pub(crate) fn of(&self, hub: &Terms) -> Option<&Terms> {
        self.terms.iter().find(|terms| hub.check_same(terms).is_ok()).map(Rc::as_ref)
    }

    /// Makes terms durable.
    pub(crate) async fn keep(&self, settings: &Settings, store: &OpenStore, terms: &Terms) -> Result<()> {
        let value = json::encode(terms);
        if self.of(terms).is_some_and(|known| json::encode(known) == value) {
            return Ok(());
        }
        let key = format!("{}{}/{}", self.prefix, store_name(terms, settings), terms.hub.owner);
        let writes = vec![Write::Put { key, value: value.into_bytes() }];
        if !self.apart {
            return store.commit(writes).await;
        }
        let store = settings.open_store(&names(settings).0).await?;
        self.other.replace(Some(Rc::clone(&store)));
        let kept = store.commit(writes).await;
        let other = self.other.take();
        if let Some(store) = other {
            store.close().await?;
        }
        kept
    }

    /// Opens the store of the wallet with this hub.
    pub(crate) async fn wallet_store(&self, settings: &Settings, terms: &Terms) -> Result<OpenStore> {
        if self.apart {
            self.close().await?;
            let store = settings.open_store(&store_name(terms, settings)).await?;
            self.store.replace(Some(store));
        }
        self.store.borrow().clone().ok_or_else(|| Code::Internal.into())
    }

    /// Lets the store go that is open.
    pub(crate) async fn close(&self) -> Result<()> {
        let other = self.other.take();
        if let Some(store) = other {
            store.close().await?;
        }
        let store = self.store.take();
        match store {
            Some(store) => store.close().await,
            None => Ok(()),
        }
    }

    /// Why there is nothing to go on with, beside what the hub did.
    pub(crate) fn damage(&self) -> Option<Failure> {
        self.damaged.then(|| Failure::new(Code::StorageCorrupt, "What the hub said before can't be read."))
    }
}

fn read(value: &[u8]) -> Option<Terms> {
    let terms: Terms = json::decode(core::str::from_utf8(value).ok()?).ok()?;
    terms.check().ok()?;
    Some(terms)
}

/// Of the store that holds what is known, and the prefix of the keys in it.
fn names(settings: &Settings) -> (String, String) {
    // Hosts are the same in any case.
    let digest = digest(&format!("{}\n{}", settings.hub.url().to_ascii_lowercase(), settings.owner.address()));
    (format!("farthing-hub-{digest}"), format!("hub/{digest}/"))
}

/// Of the store of a wallet: of chain, contract, hub and owner.
fn store_name(terms: &Terms, settings: &Settings) -> String {
    let owner = settings.owner.address();
    let identity = format!("{}/{}/{}/{owner}", terms.chain_id, terms.contract, terms.hub.signer);
    format!("farthing-{}-{}", terms.chain_id, digest(&identity))
}

fn digest(text: &str) -> String {
    hex::encode(keccak256(text).get(..8).unwrap_or_default())
}
