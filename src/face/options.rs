//! Options objects, checked by hand: a misspelt name, a number where money belongs, a negative amount are refused
//! before anything happens. wasm-bindgen's own conversions would let most of them through.

use super::values::date;
use crate::chain::send::Stage;
use crate::client::{ExitStep, Settings, StoreChoice};
use crate::failure::{Failure, Result};
use crate::js::{get, get_function, invalid};
use crate::signal::Signal;
use crate::signer::Owner;
use crate::transport::Hub;
use crate::transport::terms::{AssetTerms, Terms};
use alloy_primitives::Address;
use farthing_protocol::channel::Dust;
use farthing_protocol::{Amount, Code};
use js_sys::{Function, JsString, Object};
use wasm_bindgen::prelude::*;

/// The longest text that is taken; the protocol has a limit of its own for memos.
const MAX_TEXT: usize = 4_096;

/// An options object of a named call.
#[derive(Debug)]
pub struct Options {
    call: &'static str,
    object: JsValue,
}

impl Options {
    /// Refuses what is no object, and names that are not in `known`.
    pub fn new(call: &'static str, object: JsValue, known: &[&str]) -> Result<Self> {
        let object = if object.is_undefined() { Object::new().into() } else { object };
        if !object.is_object() || js_sys::Array::is_array(&object) {
            return invalid(format!("{call}() takes an object of options."));
        }
        for name in Object::keys(object.unchecked_ref::<Object>()).iter() {
            let name = name.as_string().unwrap_or_default();
            if !known.contains(&name.as_str()) {
                return invalid(format!("{call}() has no option {name:?}; it has {}.", known.join(", ")));
            }
        }
        Ok(Self { call, object })
    }

    /// The raw value, `undefined` if absent.
    #[must_use]
    pub fn value(&self, name: &str) -> JsValue {
        get(&self.object, name)
    }

    fn wrong<T>(&self, name: &str, wanted: &str) -> Result<T> {
        invalid(format!("{}(): {name} must be {wanted}.", self.call))
    }

    /// An optional string.
    pub fn text(&self, name: &str) -> Result<Option<String>> {
        let value = self.value(name);
        if value.is_undefined() {
            return Ok(None);
        }
        match value.dyn_ref::<JsString>() {
            // A lone surrogate would change on its way through UTF-8.
            Some(text) if text.length() as usize <= MAX_TEXT && text.is_valid_utf16() => Ok(Some(text.into())),
            _ => self.wrong(name, "a string"),
        }
    }

    /// A string that must be there.
    pub fn required_text(&self, name: &str) -> Result<String> {
        match self.text(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => self.wrong(name, "a string"),
        }
    }

    /// An amount of money above zero: a `bigint` below 2^128.
    pub fn amount(&self, name: &str) -> Result<Amount> {
        let refused = || {
            let detail = format!("{}(): {name} must be a bigint of base units from 1n to 2n**128n - 1n.", self.call);
            Failure::new(Code::InvalidAmount, detail)
        };
        let value = self.value(name);
        let big = value.dyn_ref::<js_sys::BigInt>().filter(|_| value.is_bigint()).ok_or_else(refused)?;
        let digits = big.to_string(16).ok().and_then(|digits| digits.as_string()).ok_or_else(refused)?;
        let signed = digits.starts_with('-') || digits.len() > 32;
        let units = if signed { None } else { u128::from_str_radix(&digits, 16).ok() };
        units.filter(|units| *units > 0).map(Amount::new).ok_or_else(refused)
    }

    /// An optional whole number from `least` on, that is no money.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the value is a whole number in range")]
    pub fn integer(&self, name: &str, least: u64) -> Result<Option<u64>> {
        let value = self.value(name);
        if value.is_undefined() {
            return Ok(None);
        }
        let number =
            value.as_f64().filter(|number| number.fract() == 0.0 && (0.0..=9_007_199_254_740_991.0).contains(number));
        match number.map(|number| number as u64).filter(|number| *number >= least) {
            Some(number) => Ok(Some(number)),
            None => self.wrong(name, &format!("a whole number from {least} on")),
        }
    }

    /// A flag, `false` if absent.
    pub fn flag(&self, name: &str) -> Result<bool> {
        let value = self.value(name);
        match (value.is_undefined(), value.as_bool()) {
            (true, _) => Ok(false),
            (false, Some(flag)) => Ok(flag),
            (false, None) => self.wrong(name, "true or false"),
        }
    }

    /// An optional address; mixed case is taken only with a valid checksum.
    pub fn address(&self, name: &str) -> Result<Option<Address>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match address(&text) {
            Some(address) => Ok(Some(address)),
            None => self.wrong(name, "an address: 0x and 40 hex digits, with a valid checksum if in mixed case"),
        }
    }

    /// An address that must be there.
    pub fn required_address(&self, name: &str) -> Result<Address> {
        match self.address(name)? {
            Some(address) => Ok(address),
            None => self.wrong(name, "an address"),
        }
    }

    /// The hub's terms for the asset that must be there.
    pub fn asset<'a>(&self, name: &str, terms: &'a Terms) -> Result<&'a AssetTerms> {
        terms.asset(&self.required_text(name)?)
    }

    /// One of a few words.
    pub fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                self.wrong(name, &format!("one of {}", words.join(", ")))
            }
        }
    }

    /// The caller's `AbortSignal`.
    pub fn signal(&self) -> Result<Signal> {
        Signal::from_option(self.value("signal"))
    }

    /// Calls `onProgress({ stage, hash })`.
    pub fn progress(&self) -> Result<impl Fn(Stage, Option<&str>) + 'static> {
        let tell = self.teller()?;
        Ok(move |stage: Stage, hash: Option<&str>| {
            tell([
                ("stage", stage.as_str().into()),
                ("hash", hash.map_or(JsValue::UNDEFINED, JsValue::from)),
                ("endsAt", JsValue::UNDEFINED),
                ("locks", JsValue::UNDEFINED),
            ]);
        })
    }

    fn function(&self, name: &str) -> Result<Option<Function>> {
        let function = get_function(&self.object, name);
        if function.is_none() && !self.value(name).is_undefined() {
            self.wrong(name, "a function")
        } else {
            Ok(function)
        }
    }

    fn teller(&self) -> Result<impl Fn([(&str, JsValue); 4]) + 'static> {
        let callback = self.function("onProgress")?;
        Ok(move |told: [(&str, JsValue); 4]| {
            let Some(callback) = &callback else { return };
            // What the application does with it is its own affair, and must not stop a deposit.
            if let Err(thrown) = callback.call1(&JsValue::UNDEFINED, &crate::js::frozen(told)) {
                crate::js::warn(&format!("onProgress threw: {}", crate::js::message(&thrown)));
            }
        })
    }

    /// The callback that is told how far an exit is.
    pub fn exit_progress(&self) -> Result<impl Fn(ExitStep) + 'static> {
        let tell = self.teller()?;
        Ok(move |step: ExitStep| {
            let (stage, hash, ends_at, locks) = match step {
                ExitStep::Transaction(stage, hash) => (stage.as_str(), Some(hash), None, None),
                ExitStep::Challenge(ends_at) => ("challenge", None, Some(ends_at), None),
                ExitStep::Settled(0, _) => ("settled", None, None, Some(0)),
                ExitStep::Settled(locks, until) => ("settled", None, Some(until), Some(locks)),
                ExitStep::Claimed => ("claimed", None, None, None),
            };
            tell([
                ("stage", stage.into()),
                ("hash", hash.map_or(JsValue::UNDEFINED, Into::into)),
                ("endsAt", ends_at.map_or(JsValue::UNDEFINED, date)),
                ("locks", locks.map_or(JsValue::UNDEFINED, Into::into)),
            ]);
        })
    }

    /// By asset, what is not worth the gas of its evidence.
    fn dust(&self) -> Result<Vec<(String, Dust)>> {
        let value = self.value("dust");
        if value.is_undefined() {
            return Ok(Vec::new());
        }
        if !value.is_object() || js_sys::Array::is_array(&value) {
            return self.wrong("dust", "an object of { threshold, cap } by asset");
        }
        let mut dust = Vec::new();
        for asset in Object::keys(value.unchecked_ref::<Object>()).iter() {
            let asset = asset.as_string().unwrap_or_default();
            let of_asset = Self::new("connect", get(&value, &asset), &["threshold", "cap"])?;
            let entry = Dust { threshold: of_asset.amount("threshold")?, cap: of_asset.amount("cap")? };
            if entry.cap < entry.threshold {
                return self.wrong("dust", "with a cap that is not below its threshold");
            }
            dust.push((asset, entry));
        }
        Ok(dust)
    }

    /// An optional array of URLs.
    fn urls(&self, name: &str) -> Result<Vec<String>> {
        let value = self.value(name);
        if value.is_undefined() {
            return Ok(Vec::new());
        }
        let url = |item: JsValue| item.as_string().filter(|url| Hub::new(url).is_ok());
        let urls = value.dyn_ref::<js_sys::Array>().and_then(|items| items.iter().map(url).collect());
        urls.map_or_else(|| self.wrong(name, "an array of URLs that start with https:// (or http://)"), Ok)
    }

    /// The options of `connect`.
    pub async fn settings(&self, environment: JsValue) -> Result<Settings> {
        let hub = Hub::new(&self.required_text("hub")?)?.into();
        let rpc = self.text("rpc")?;
        if rpc.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            return self.wrong("rpc", "a URL that starts with https:// (or http://)");
        }
        let store = self.value("store");
        let store = match store.as_string() {
            _ if store.is_undefined() => StoreChoice::Default,
            Some(name) if name == "memory" => StoreChoice::Memory,
            Some(path) if !path.is_empty() => StoreChoice::Path(path),
            None if store.is_object() => StoreChoice::Object(store),
            _ => return self.wrong("store", "\"memory\", a path, or an object with load, commit and close"),
        };
        let backup = self.value("backup");
        let complete = || ["put", "get"].iter().all(|method| get_function(&backup, method).is_some());
        if !backup.is_undefined() && !complete() {
            return self.wrong("backup", "an object with put and get");
        }
        let watchtowers = self.urls("watchtowers")?;
        let challenge_period = self.integer("challengePeriod", 1)?.map(u32::try_from).transpose();
        let Ok(challenge_period) = challenge_period else {
            return self.wrong("challengePeriod", "a number of seconds");
        };
        let poll_interval = self.integer("pollInterval", 50)?.unwrap_or(1_000);
        let wallet = self.value("wallet");
        if !wallet.is_object() {
            return self.wrong("wallet", "an EIP-1193 provider, { privateKey } or { mnemonic }");
        }
        Ok(Settings {
            hub,
            rpc,
            store,
            watchtowers,
            adopt: self.flag("adopt")?,
            dust: self.dust()?,
            backup: Some(backup).filter(|backup| !backup.is_undefined()),
            challenge_period,
            confirmations: self.integer("confirmations", 1)?,
            poll_interval: u32::try_from(poll_interval).unwrap_or(u32::MAX).min(600_000),
            chain_id: self.integer("chainId", 1)?,
            contract: self.address("contract")?,
            on_exit_kit: self.function("onExitKit")?,
            environment,
            // Last, since a wallet may ask its user.
            owner: Owner::from_option(&wallet).await?,
        })
    }
}

fn address(text: &str) -> Option<Address> {
    let digits = text.strip_prefix("0x")?;
    let mixed =
        digits.bytes().any(|byte| byte.is_ascii_lowercase()) && digits.bytes().any(|byte| byte.is_ascii_uppercase());
    let address: Address = if mixed { Address::parse_checksummed(text, None).ok()? } else { text.parse().ok()? };
    (digits.len() == 40 && !address.is_zero()).then_some(address)
}
