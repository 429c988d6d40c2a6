//! Which key signs payments: one that the wallet's signature makes, one that was drawn at random and is kept, or one that
//! the application gives.

use super::record::Record;
use super::settings::{Settings, StoreChoice};
use super::take_up::Entrance;
use crate::chain::Account;
use crate::failure::{Failure, Result};
use crate::js::{array, get_function, invoke, random, settle};
use crate::signer::Owner;
use crate::signer::typed_data::TypedData;
use farthing_protocol::Code;
use farthing_protocol::journal::Write;
use farthing_protocol::sign::SecretKey;
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;
use zeroize::Zeroizing;

/// What the application wants payments signed with. Of a channel that is stored nothing is wanted anew: it keeps its key.
#[derive(Clone, Debug)]
pub enum SessionKey {
    /// Derived where the account's key signs, drawn at random where a contract answers for the account.
    Fitting,
    /// Made of a signature, each time anew.
    Derived,
    /// Drawn at random, and kept.
    Random,
    /// This one.
    Given(SecretKey),
}

/// A key, and whether it was made of a signature.
pub(crate) struct Made {
    pub(crate) key: SecretKey,
    pub(crate) derived: bool,
}

/// What the first byte of a kept key says of the others.
const PLAIN: u8 = 0;
const SEALED: u8 = 1;

impl Entrance<'_> {
    /// The key; `None` if the one of the stored channel can't be had, which keeps nobody from reading and leaving.
    pub(crate) async fn make_key(&self, session: &TypedData, stored: Option<&Record>) -> Result<Option<Made>> {
        if let Owner::Local(key) = &self.settings.owner {
            return Ok(Some(Made { key: key.clone(), derived: true }));
        }
        let kept = self.kept_key().await?;
        if let SessionKey::Given(key) = &self.settings.session_key {
            // Another one here may be all that leads to a channel.
            if kept.is_none() && self.apart.is_empty() && self.settings.store != StoreChoice::Memory {
                self.keep_key(key).await?;
            }
            return Ok(Some(Made { key: key.clone(), derived: false }));
        }
        let wanted = !matches!((&self.settings.session_key, stored), (SessionKey::Derived, None));
        match (kept, stored) {
            (Some(Some(key)), stored) if wanted && stored.is_none_or(|of| of.channel.a.signer == key.address()) => {
                return Ok(Some(Made { key, derived: false }));
            }
            (_, Some(_)) => {
                return match self.derived(session).await {
                    Err(failure) if failure.code() == Code::Unsupported => Ok(None),
                    made => made.map(Some),
                };
            }
            (_, None) => {}
        }
        match &self.settings.session_key {
            SessionKey::Derived => self.derived(session).await,
            SessionKey::Random | SessionKey::Given(_) => self.drawn().await,
            SessionKey::Fitting => match self.home.chain.account(self.settings.owner.address()).await? {
                Account::Contract => self.drawn().await,
                account => match self.derived(session).await {
                    // Its wallet signs by the rule of the code that it delegates to.
                    Err(failure) if failure.code() == Code::Unsupported && account == Account::Delegated => {
                        self.drawn().await
                    }
                    made => made,
                },
            },
        }
        .map(Some)
    }

    async fn derived(&self, session: &TypedData) -> Result<Made> {
        Ok(Made { key: self.settings.owner.session_key(session).await?, derived: true })
    }

    /// A new key, durable before anybody hears of it.
    async fn drawn(&self) -> Result<Made> {
        if self.settings.store == StoreChoice::Memory {
            let detail = "This account needs a session key that is drawn at random, which would be lost with the memory, and \
                          with it what the channel holds. Nothing was signed or sent. Leave store out or name a place, or \
                          give a key that you keep as sessionKey: { privateKey }.";
            return Err(Failure::advised(Code::Unsupported, detail));
        }
        let key = loop {
            let bytes = Zeroizing::new(random::<32>()?);
            // All but a few in 2^128 are keys.
            if let Ok(key) = SecretKey::from_bytes(&*bytes) {
                break key;
            }
        };
        self.keep_key(&key).await?;
        Ok(Made { key, derived: false })
    }

    fn kept_under(&self) -> String {
        format!("session/{}/{}", self.home.terms.hub.signer, self.settings.owner.address())
    }

    /// What a sealed key can be opened for, and nothing else.
    fn context(&self) -> String {
        let (terms, account) = (&self.home.terms, self.settings.owner.address());
        format!("{}\n{}\n{}\n{}\n{account}", Settings::origin(), terms.chain_id, terms.contract, terms.hub.signer)
    }

    async fn keep_key(&self, key: &SecretKey) -> Result<()> {
        let bytes = key.to_bytes();
        let value = match get_function(&self.settings.environment, "seal").is_some() {
            true => [&[SEALED][..], &self.platform("seal", &*bytes).await?].concat(),
            false => [&[PLAIN][..], &*bytes].concat(),
        };
        self.home.commit(vec![Write::Put { key: self.kept_under(), value }]).await
    }

    /// The key that was kept; `Some(None)` if one was and can't be read any more.
    async fn kept_key(&self) -> Result<Option<Option<SecretKey>>> {
        let name = self.kept_under();
        let entries = self.home.store.load(&name).await?;
        let Some((_, value)) = entries.into_iter().find(|(key, _)| *key == name) else { return Ok(None) };
        let value = Zeroizing::new(value);
        let bytes = match value.split_first() {
            Some((&PLAIN, bytes)) => Zeroizing::new(bytes.to_vec()),
            Some((&SEALED, sealed)) => match self.platform("unseal", sealed).await {
                Ok(bytes) => Zeroizing::new(bytes),
                // Its seal is gone, or is another's. A store that fails is no answer.
                Err(failure) if failure.code() == Code::StorageCorrupt => return Ok(Some(None)),
                Err(failure) => return Err(failure),
            },
            _ => return Ok(Some(None)),
        };
        Ok(Some(SecretKey::from_bytes(&bytes).ok()))
    }

    async fn platform(&self, what: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        let arguments = array([JsValue::from(Uint8Array::from(bytes)), self.context().into()]);
        let done = settle(invoke(&self.settings.environment, what, &arguments)).await.map_err(|thrown| {
            let detail =
                format!("The key that seals the session key: {}.", crate::js::message(&thrown).trim_end_matches('.'));
            Failure::caused(Code::StorageFailed, detail, thrown)
        })?;
        match done.dyn_into::<Uint8Array>() {
            Ok(bytes) => Ok(bytes.to_vec()),
            Err(_) => Err(Failure::new(Code::StorageCorrupt, "The session key can't be read.")),
        }
    }
}
