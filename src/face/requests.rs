//! The options of each call. The names here are the names that applications write.

use super::options::{
    Account, Callback, Flag, Money, Name, Nodes, Raw, Text, Urls, Whole, address, optional, read, wrong,
};
use super::values::{DirectionWord, StatusWord, Told, date, payment_id, present};
use crate::chain::rpc::Rpc;
use crate::chain::send::Stage;
use crate::client::{ExitStep, Filter, Gas, OFFLINE, PayOptions, StreamOptions};
use crate::entrance::{SessionKey, Settings, StoreChoice};
use crate::failure::Result;
use crate::js::{get, get_function, invalid};
use crate::signal::Patience;
use crate::signer::Owner;
use crate::transport::Hub;
use crate::transport::terms::{AssetTerms, Terms};
use alloy_primitives::{B256, Bytes};
use farthing_protocol::Amount;
use farthing_protocol::channel::Dust;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::types::Asset;
use farthing_protocol::wallet::{PaymentId, Words};
use js_sys::{Array, Object};
use serde::Deserialize;
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

type Timeout = Option<Whole<1>>;

/// Of `connect`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connect {
    hub: Name,
    wallet: Raw,
    #[serde(deserialize_with = "optional")]
    rpc: Option<Nodes>,
    store: Raw,
    #[serde(deserialize_with = "optional")]
    challenge_period: Option<Whole<1>>,
    #[serde(deserialize_with = "optional")]
    confirmations: Option<Whole<1>>,
    #[serde(deserialize_with = "optional")]
    poll_interval: Option<Whole<50>>,
    backup: Raw,
    adopt: Flag,
    dust: Raw,
    #[serde(deserialize_with = "optional")]
    watchtowers: Option<Urls>,
    #[serde(deserialize_with = "optional")]
    chain_id: Option<Whole<1>>,
    #[serde(deserialize_with = "optional")]
    contract: Option<Account>,
    #[serde(deserialize_with = "optional")]
    on_exit_kit: Option<Callback>,
    /// For `tabs.mjs`, which has looked at it.
    #[serde(rename = "shared")]
    _shared: Flag,
    /// For `fetch.mjs`, likewise.
    #[serde(rename = "budget")]
    _budget: Raw,
    #[serde(rename = "spending")]
    _spending: Raw,
    #[serde(rename = "log")]
    _log: Raw,
    /// For `face.mjs`, likewise.
    #[serde(rename = "switchChain")]
    _switch_chain: Raw,
    confirm: Raw,
    session_key: Raw,
    signal: Raw,
    #[serde(deserialize_with = "optional")]
    timeout: Timeout,
}

/// Of `deposit`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the package's typings describe every option")]
pub struct Deposit {
    pub asset: Name,
    pub amount: Money,
    gas: Raw,
    #[serde(deserialize_with = "optional")]
    max_fee: Option<Money>,
    pub signal: Raw,
    #[serde(deserialize_with = "optional")]
    pub timeout: Timeout,
    #[serde(deserialize_with = "optional")]
    pub on_progress: Option<Callback>,
}

/// Of `depositFee`.
#[derive(Debug, Deserialize)]
#[allow(missing_docs, reason = "the package's typings describe every option")]
pub struct DepositFee {
    pub asset: Name,
    pub signal: Raw,
    #[serde(deserialize_with = "optional")]
    pub timeout: Timeout,
}

/// Of `pay`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the package's typings describe every option")]
pub struct Pay {
    to: Account,
    asset: Name,
    amount: Money,
    #[serde(deserialize_with = "optional")]
    memo: Option<Text>,
    wait: Flag,
    #[serde(deserialize_with = "optional")]
    expires_in: Option<Whole<1>>,
    pub signal: Raw,
    #[serde(deserialize_with = "optional")]
    pub timeout: Timeout,
    id: Raw,
    #[serde(rename = "_fresh")]
    fresh: Flag,
}

/// Of `stream`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the package's typings describe every option")]
pub struct Stream {
    to: Account,
    asset: Name,
    unit_price: Money,
    units: Whole<1>,
    condition: Raw,
    tip: Raw,
    #[serde(deserialize_with = "optional")]
    memo: Option<Text>,
    #[serde(deserialize_with = "optional")]
    expires_in: Option<Whole<1>>,
    id: Raw,
    /// For `renewal.mjs`, which has looked at it.
    #[serde(rename = "renew")]
    _renew: Raw,
    pub signal: Raw,
    #[serde(deserialize_with = "optional")]
    pub timeout: Timeout,
}

/// Of what is asked of a stream that is there, by the package's own objects.
#[derive(Debug, Deserialize)]
#[allow(missing_docs, reason = "the fields say it")]
pub struct OfStream {
    id: Raw,
    #[serde(deserialize_with = "optional")]
    pub units: Option<Whole<0>>,
    #[serde(deserialize_with = "optional")]
    evidence: Option<Text>,
}

/// Of `signReceiptKey`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the package's typings describe every option")]
pub struct Receipts {
    public_key: Raw,
    pub expires_in: Whole<1>,
}

/// Of `cancel`.
#[derive(Debug, Deserialize)]
#[allow(missing_docs, reason = "the package's typings describe every option")]
pub struct Cancel {
    #[serde(rename = "_id")]
    pub id: Raw,
    pub signal: Raw,
    #[serde(deserialize_with = "optional")]
    pub timeout: Timeout,
}

/// Of `withdraw`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the package's typings describe every option")]
pub struct Withdraw {
    pub asset: Name,
    pub amount: Money,
    #[serde(deserialize_with = "optional")]
    pub to: Option<Account>,
    pub relay: Flag,
    pub signal: Raw,
    #[serde(deserialize_with = "optional")]
    pub timeout: Timeout,
    #[serde(deserialize_with = "optional")]
    pub on_progress: Option<Callback>,
}

/// Of `close`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the package's typings describe every option")]
pub struct Close {
    assets: Raw,
    pub relay: Flag,
    pub signal: Raw,
    #[serde(deserialize_with = "optional")]
    pub timeout: Timeout,
    #[serde(deserialize_with = "optional")]
    pub on_progress: Option<Callback>,
}

/// Of `collectCredit`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the package's typings describe every option")]
pub struct CollectCredit {
    asset: Name,
    #[serde(deserialize_with = "optional")]
    pub to: Option<Account>,
    pub signal: Raw,
    #[serde(deserialize_with = "optional")]
    pub timeout: Timeout,
    #[serde(deserialize_with = "optional")]
    pub on_progress: Option<Callback>,
}

/// Of `exit`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the package's typings describe every option")]
pub struct Exit {
    pub signal: Raw,
    #[serde(deserialize_with = "optional")]
    pub timeout: Timeout,
    #[serde(deserialize_with = "optional")]
    pub on_progress: Option<Callback>,
}

/// Of `payments`.
#[derive(Debug, Deserialize)]
#[allow(missing_docs, reason = "the package's typings describe every option")]
pub struct Payments {
    #[serde(deserialize_with = "optional")]
    asset: Option<Text>,
    #[serde(deserialize_with = "optional")]
    direction: Option<DirectionWord>,
    #[serde(deserialize_with = "optional")]
    status: Option<StatusWord>,
    #[serde(deserialize_with = "optional")]
    limit: Option<Whole<1>>,
    pub signal: Raw,
    #[serde(deserialize_with = "optional")]
    pub timeout: Timeout,
}

/// Of an asset, in `dust`.
#[derive(Debug, Deserialize)]
struct DustOf {
    threshold: Money,
    cap: Money,
}

/// The caller's `AbortSignal`, and how many milliseconds it waits: so many if it does not say.
pub fn patience(signal: Raw, timeout: Timeout, otherwise: u64) -> Result<Patience> {
    Patience::new(signal.0, timeout.map_or(otherwise, |Whole(milliseconds)| milliseconds))
}

/// The hub's terms for an asset.
pub fn asset<'a>(Name(name): &Name, terms: &'a Terms) -> Result<&'a AssetTerms> {
    Ok(terms.asset(name)?)
}

impl Pay {
    /// What the client is asked for.
    pub fn request(&self, terms: &Terms) -> Result<PayOptions> {
        let id = &self.id.0;
        Ok(PayOptions {
            to: self.to.0,
            asset: asset(&self.asset, terms)?.asset,
            amount: self.amount.0,
            memo: self.memo.as_ref().map(|Text(memo)| memo.clone()).unwrap_or_default(),
            wait: self.wait.0,
            expires_in: self.expires_in.map(|Whole(seconds)| seconds),
            id: if id.is_undefined() { None } else { Some(payment_id(id)?) },
            fresh: self.fresh.0,
            offline: self.timeout.map_or(OFFLINE, |Whole(given)| u32::try_from(given).unwrap_or(u32::MAX)),
        })
    }
}

/// 32 bytes in hex.
fn word(call: &str, name: &str, value: &JsValue) -> Result<B256> {
    let bytes = value.as_string().and_then(|text| crate::js::bytes(&text));
    match bytes.and_then(|bytes| B256::try_from(bytes.as_slice()).ok()) {
        Some(word) => Ok(word),
        None => wrong(call, name, "0x and 64 hex digits"),
    }
}

impl Stream {
    /// What the client is asked for.
    pub fn request(&self, terms: &Terms) -> Result<StreamOptions> {
        let Ok(units) = u32::try_from(self.units.0) else {
            return wrong("stream", "units", "a whole number from 1 to 4294967295");
        };
        let (id, tip) = (&self.id.0, &self.tip.0);
        let words = match self.condition.0.as_string().as_deref() {
            _ if !tip.is_undefined() && !self.condition.0.is_undefined() => {
                return wrong("stream", "condition", "left out where there is a tip: that is a hash chain's");
            }
            _ if !tip.is_undefined() => Words::Granted(word("stream", "tip", tip)?),
            Some("voucher") => Words::Vouchers,
            Some("hash-chain") => Words::Chain,
            None if self.condition.0.is_undefined() => Words::Chain,
            _ => return wrong("stream", "condition", "\"hash-chain\" or \"voucher\""),
        };
        Ok(StreamOptions {
            to: self.to.0,
            asset: asset(&self.asset, terms)?.asset,
            unit_price: self.unit_price.0,
            units,
            words,
            memo: self.memo.as_ref().map(|Text(memo)| memo.clone()).unwrap_or_default(),
            expires_in: self.expires_in.map(|Whole(seconds)| seconds),
            id: if id.is_undefined() { None } else { Some(payment_id(id)?) },
            offline: self.timeout.map_or(OFFLINE, |Whole(given)| u32::try_from(given).unwrap_or(u32::MAX)),
        })
    }
}

impl OfStream {
    /// Which one.
    pub fn id(&self) -> Result<PaymentId> {
        payment_id(&self.id.0)
    }

    /// What proves units of it.
    pub fn evidence(&self) -> Result<Bytes> {
        let bytes = self.evidence.as_ref().and_then(|Text(text)| crate::js::bytes(text));
        bytes.map_or_else(|| wrong("reveal", "evidence", "0x and hex digits"), |bytes| Ok(bytes.into()))
    }
}

impl Receipts {
    /// Whose signatures shall count.
    pub fn public_key(&self) -> Result<B256> {
        word("signReceiptKey", "publicKey", &self.public_key.0)
    }
}

impl Close {
    /// Which assets; `None` for all of them.
    pub fn assets(&self, terms: &Terms) -> Result<Option<Vec<Asset>>> {
        let Some(names) = self.assets.0.dyn_ref::<Array>() else {
            return if self.assets.0.is_undefined() {
                Ok(None)
            } else {
                wrong("close", "assets", "an array of assets")
            };
        };
        let asset = |name: JsValue| Ok(terms.asset(&name.as_string().unwrap_or_default())?.asset);
        let mut assets = names.iter().map(asset).collect::<Result<Vec<_>>>()?;
        // By name and by address it may be there twice; a closing names each once.
        assets.sort_unstable();
        assets.dedup();
        Ok(Some(assets))
    }
}

impl Deposit {
    /// Who sends it; `told` hears what a hub takes for it.
    pub fn gas(&self, told: impl Fn(Amount) + 'static) -> Result<Gas> {
        match (self.gas.0.as_string().as_deref(), &self.max_fee) {
            (Some("hub"), max_fee) => {
                Ok(Gas::Hub { max_fee: max_fee.as_ref().map(|Money(fee)| *fee), told: Box::new(told) })
            }
            (Some("own"), None) => Ok(Gas::Own),
            (None, None) if self.gas.0.is_undefined() => Ok(Gas::Own),
            (Some("own"), Some(_)) => wrong("deposit", "maxFee", "given with gas: \"hub\" only"),
            (None, Some(_)) if self.gas.0.is_undefined() => wrong("deposit", "maxFee", "given with gas: \"hub\" only"),
            _ => wrong("deposit", "gas", "\"own\" or \"hub\""),
        }
    }
}

impl CollectCredit {
    /// An asset, listed or given by its token's address.
    pub fn asset(&self, terms: &Terms) -> Result<Asset> {
        match (asset(&self.asset, terms), address(&self.asset.0)) {
            (Ok(listed), _) => Ok(listed.asset),
            (Err(_), Some(token)) => Ok(token),
            (Err(failure), None) => Err(failure),
        }
    }
}

impl Payments {
    /// Which payments.
    pub fn filter(&self, terms: &Terms) -> Result<Filter> {
        let asset = self.asset.as_ref().map(|Text(name)| terms.asset(name).map(|terms| terms.asset)).transpose()?;
        let limit = self.limit.map(|Whole(limit)| usize::try_from(limit).unwrap_or(usize::MAX));
        let (direction, status) = (self.direction.map(|word| word.0), self.status.map(|word| word.0));
        Ok(Filter { asset, direction, status, limit })
    }
}

fn teller(callback: Option<Callback>) -> impl Fn(Told<'_>) + 'static {
    move |told: Told<'_>| {
        let Some(Callback(callback)) = &callback else { return };
        // What the application does with it is its own affair, and must not stop a deposit.
        if let Err(thrown) = callback.call1(&JsValue::UNDEFINED, &present(&told)) {
            crate::js::defect(&format!("onProgress threw: {}", crate::js::message(&thrown)));
        }
    }
}

/// Calls `onProgress({ stage, hash })`.
pub fn progress(callback: Option<Callback>) -> impl Fn(Stage, Option<&str>) + 'static {
    let tell = teller(callback);
    move |stage: Stage, hash: Option<&str>| tell(Told { hash, ..Told::of(stage.as_str()) })
}

/// Calls `onProgress({ stage, hash, fee })`, with the hub's fee once there is one.
pub fn deposit_progress(
    callback: Option<Callback>,
    fee: Rc<Cell<Option<Amount>>>,
) -> impl Fn(Stage, Option<&str>) + 'static {
    let tell = teller(callback);
    move |stage: Stage, hash: Option<&str>| {
        tell(Told { hash, fee: fee.get().map(Amount::units), ..Told::of(stage.as_str()) });
    }
}

/// The callback that is told how far an exit is.
pub fn exit_progress(callback: Option<Callback>) -> impl Fn(ExitStep) + 'static {
    let tell = teller(callback);
    move |step: ExitStep| {
        tell(match step {
            ExitStep::Transaction(stage, ref hash) => Told { hash: Some(hash.as_str()), ..Told::of(stage.as_str()) },
            ExitStep::Challenge(ends_at) => Told { ends_at: Some(date(ends_at)), ..Told::of("challenge") },
            ExitStep::Settled(0, _) => Told { locks: Some(0), ..Told::of("settled") },
            ExitStep::Settled(locks, until) => {
                Told { ends_at: Some(date(until)), locks: Some(locks), ..Told::of("settled") }
            }
            ExitStep::Claimed => Told::of("claimed"),
        });
    }
}

impl Connect {
    /// How long it is waited for: so many milliseconds if the caller does not say.
    pub fn patience(&self, otherwise: u64) -> Result<Patience> {
        patience(self.signal.clone(), self.timeout, otherwise)
    }

    /// What the client is told.
    pub async fn settings(self, environment: JsValue) -> Result<Settings> {
        let wrong = |name: &str, wanted: &str| wrong("connect", name, wanted);
        let hub = Hub::new(&self.hub.0)?.into();
        let store = store(self.store.0)?;
        let backup = Some(self.backup.0).filter(|backup| !backup.is_undefined());
        let complete = |backup: &JsValue| ["put", "get"].iter().all(|name| get_function(backup, name).is_some());
        if !backup.as_ref().is_none_or(complete) {
            return wrong("backup", "an object with put and get");
        }
        let dust = dust(&self.dust.0)?;
        let Ok(challenge_period) = self.challenge_period.map(|Whole(period)| u32::try_from(period)).transpose() else {
            return wrong("challengePeriod", "a number of seconds");
        };
        let session_key = session_key(&self.session_key.0)?;
        let poll_interval = self.poll_interval.map_or(1_000, |Whole(interval)| interval);
        let wallet = self.wallet.0;
        if !wallet.is_object() {
            return wrong("wallet", "an EIP-1193 provider, { privateKey } or { mnemonic }");
        }
        // A function is `face.mjs`'s.
        let consents = match self.confirm.0.as_string().as_deref() {
            Some("wallet") if get_function(&wallet, "request").is_some() => true,
            Some("wallet") => return wrong("confirm", "a function: a key has no user who is asked"),
            None if self.confirm.0.is_undefined() => false,
            _ => return wrong("confirm", "\"wallet\" or a function"),
        };
        // Last, since a wallet may ask its user.
        let owner = Owner::from_option(&wallet).await?;
        if matches!(owner, Owner::Local(_)) && !matches!(session_key, SessionKey::Fitting) {
            return wrong("sessionKey", "left out where the wallet's own key is given, which signs payments itself");
        }
        let rpc = match (&owner, self.rpc) {
            (_, Some(Nodes(urls))) => Rpc::urls(&urls),
            (Owner::Wallet { provider, .. }, None) => Rpc::wallet(provider.clone()),
            (Owner::Local(_), None) => {
                return invalid("rpc must be the URL of an Ethereum node: a local key has no provider.");
            }
        };
        Ok(Settings {
            hub,
            rpc,
            store,
            watchtowers: self.watchtowers.map(|Urls(urls)| urls).unwrap_or_default(),
            adopt: self.adopt.0,
            dust,
            backup,
            challenge_period,
            confirmations: self.confirmations.map(|Whole(count)| count),
            poll_interval: u32::try_from(poll_interval).unwrap_or(u32::MAX).min(600_000),
            chain_id: self.chain_id.map(|Whole(id)| id),
            contract: self.contract.map(|Account(address)| address),
            consents,
            on_exit_kit: self.on_exit_kit.map(|Callback(function)| function),
            environment,
            session_key,
            owner,
        })
    }
}

fn session_key(option: &JsValue) -> Result<SessionKey> {
    match option.as_string().as_deref() {
        _ if option.is_undefined() => Ok(SessionKey::Fitting),
        Some("derived") => Ok(SessionKey::Derived),
        Some("random") => Ok(SessionKey::Random),
        None if option.is_object() => {
            let text = get(option, "privateKey").as_string();
            let bytes = text.and_then(|text| crate::js::bytes(&text)).map(zeroize::Zeroizing::new);
            match bytes.filter(|bytes| bytes.len() == 32) {
                Some(bytes) => Ok(SessionKey::Given(SecretKey::from_bytes(&bytes)?)),
                None => wrong("connect", "sessionKey.privateKey", "a string of 0x and 64 hex digits"),
            }
        }
        _ => wrong("connect", "sessionKey", "\"derived\", \"random\" or { privateKey }"),
    }
}

fn store(store: JsValue) -> Result<StoreChoice> {
    match store.as_string() {
        _ if store.is_undefined() => Ok(StoreChoice::Default),
        Some(name) if name == "memory" => Ok(StoreChoice::Memory),
        Some(path) if !path.is_empty() => Ok(StoreChoice::Path(path)),
        None if store.is_object() => Ok(StoreChoice::Object(store)),
        _ => wrong("connect", "store", "\"memory\", a path, or an object with load, commit and close"),
    }
}

/// By asset, what is not worth the gas of its evidence.
fn dust(of_assets: &JsValue) -> Result<Vec<(String, Dust)>> {
    if of_assets.is_undefined() {
        return Ok(Vec::new());
    }
    if !of_assets.is_object() || Array::is_array(of_assets) {
        return wrong("connect", "dust", "an object of { threshold, cap } by asset");
    }
    let mut dust = Vec::new();
    for asset in Object::keys(of_assets.unchecked_ref::<Object>()).iter() {
        let asset = asset.as_string().unwrap_or_default();
        let of_asset: DustOf = read("connect", get(of_assets, &asset))?;
        let entry = Dust { threshold: of_asset.threshold.0, cap: of_asset.cap.0 };
        if entry.cap < entry.threshold {
            return wrong("connect", "dust", "with a cap that is not below its threshold");
        }
        dust.push((asset, entry));
    }
    Ok(dust)
}
