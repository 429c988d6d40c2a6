//! What `connect` was told, checked.

use super::session::SessionKey;
use crate::chain::rpc::Rpc;
use crate::failure::{Failure, Result};
use crate::global::global;
use crate::js::{get, get_function, get_string, invalid, invoke, settle};
use crate::signer::Owner;
use crate::store::indexeddb::IndexedDbStore;
use crate::store::js::JsStore;
use crate::store::memory::MemoryStore;
use crate::store::{FORMAT, OpenStore, PATIENCE, Patient, Store, silent};
use crate::task::{Work, within};
use crate::transport::Hub;
use alloy_primitives::Address;
use farthing_protocol::Code;
use farthing_protocol::channel::Dust;
use js_sys::Function;
use std::rc::Rc;
use wasm_bindgen::JsValue;

/// Where state is kept.
#[derive(Clone, Debug, PartialEq)]
pub enum StoreChoice {
    /// As is usual on the platform.
    Default,
    /// Nowhere.
    Memory,
    /// In a file.
    Path(String),
    /// In an object of the application's.
    Object(JsValue),
}

/// The options of `connect`.
#[derive(Debug)]
pub struct Settings {
    /// The hub.
    pub hub: Rc<Hub>,
    /// Who owns the money.
    pub owner: Owner,
    /// What signs payments, where a wallet does not.
    pub session_key: SessionKey,
    /// The chain: HTTP endpoints, or without them the wallet.
    pub rpc: Rpc,
    /// Where state is kept.
    pub store: StoreChoice,
    /// `{ put, get }` of the application, for backups.
    pub backup: Option<JsValue>,
    /// Take over what the hub holds, where that is newer than the store.
    pub adopt: bool,
    /// By asset, what is not worth the gas of its evidence.
    pub dust: Vec<(String, Dust)>,
    /// URLs of watchtowers.
    pub watchtowers: Vec<String>,
    /// For a new channel, seconds.
    pub challenge_period: Option<u32>,
    /// At least so many, and at least as many as the hub waits for.
    pub confirmations: Option<u64>,
    /// Milliseconds between questions for a new head.
    pub poll_interval: u32,
    /// The chain that it must be.
    pub chain_id: Option<u64>,
    /// The contract that it must be.
    pub contract: Option<Address>,
    /// Whether the owner signs their consent to each payment.
    pub consents: bool,
    /// Told of every new exit kit.
    pub on_exit_kit: Option<Function>,
    /// What the platform adds: `openStore(name, path)`; `shared` if tabs agree on who opens the store.
    pub environment: JsValue,
}

impl Settings {
    /// Opens the store with this name.
    pub(crate) fn open_store<'a>(&'a self, name: &'a str) -> Work<'a, OpenStore> {
        Box::pin(within(PATIENCE, Box::pin(self.open_checked(name)), silent))
    }

    async fn open_checked(&self, name: &str) -> Result<OpenStore> {
        let opener = get_function(&self.environment, "openStore").is_some();
        let store: OpenStore = match &self.store {
            StoreChoice::Memory => Rc::new(MemoryStore::default()),
            StoreChoice::Object(object) => Rc::new(JsStore::new(object.clone())?),
            StoreChoice::Default if !opener => {
                let shared = get(&self.environment, "shared").is_truthy();
                Rc::new(IndexedDbStore::open(name.to_owned(), shared).await?)
            }
            StoreChoice::Path(_) if !opener => return invalid("store can be a path in Node only."),
            StoreChoice::Default => Rc::new(self.open_on_platform(name, JsValue::UNDEFINED).await?),
            StoreChoice::Path(path) => Rc::new(self.open_on_platform(name, path.into()).await?),
        };
        let store = Patient::new(store);
        if let Err(failure) = store.check_format(FORMAT).await {
            let _ = store.close().await;
            return Err(failure);
        }
        Ok(Rc::new(store))
    }

    async fn open_on_platform(&self, name: &str, path: JsValue) -> Result<JsStore> {
        let arguments = crate::js::array([name.into(), path]);
        let opened = settle(invoke(&self.environment, "openStore", &arguments)).await.map_err(|thrown| {
            let code = get_string(&thrown, "code").and_then(|code| Code::from_name(&code));
            let detail = format!("{}.", crate::js::message(&thrown).trim_end_matches('.'));
            Failure::caused(code.unwrap_or(Code::StorageFailed), detail, thrown)
        })?;
        JsStore::new(opened)
    }

    /// What a session key is bound to: the site in a browser, a constant elsewhere.
    pub(crate) fn origin() -> String {
        let origin = global().location().and_then(|location| location.origin().ok());
        origin.filter(|origin| origin != "null").unwrap_or_else(|| "local".to_owned())
    }
}
