//! How options objects are read. Each call's options are a struct (`requests.rs`): its fields' names are the names that
//! are taken, its fields' types say what their values must be, and what else there is is refused before anything happens.

use crate::failure::{Failure, Result};
use crate::js::{invalid, message};
use crate::transport::Hub;
use alloy_primitives::Address;
use farthing_protocol::{Amount, Code};
use js_sys::{Array, Function, JsString, Object, Reflect};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use std::fmt;
use wasm_bindgen::prelude::*;

/// The longest text that is taken; the protocol has a limit of its own for memos.
const MAX_TEXT: usize = 4_096;

const MONEY: &str = "a bigint of base units from 1n to 2n**128n - 1n";
const TEXT: &str = "a string";
const URLS: &str = "an array of URLs that start with https:// (or http://)";
const NODES: &str = "a URL that starts with https:// (or http://), or an array of them";

/// Reads the options of a named call. Misspelt names are refused, with those that there are; what begins with an
/// underscore is ours, and not for applications.
pub fn read<T: for<'de> Deserialize<'de>>(call: &'static str, object: JsValue) -> Result<T> {
    T::deserialize(Options { call, object })
}

/// Refuses an option of a call.
pub fn wrong<T>(call: &str, name: &str, wanted: &str) -> Result<T> {
    invalid(format!("{call}(): {name} must be {wanted}."))
}

/// An options object of a named call.
struct Options {
    call: &'static str,
    object: JsValue,
}

impl<'de> Deserializer<'de> for Options {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
        Err(Failure::custom("options are a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_map(Fields { object: self.checked(fields)?, call: self.call, fields: fields.iter(), field: "" })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl Options {
    fn checked(&self, known: &[&str]) -> Result<JsValue> {
        let (call, object) = (self.call, &self.object);
        if object.is_undefined() {
            return Ok(Object::new().into());
        }
        if !object.is_object() || Array::is_array(object) {
            return invalid(format!("{call}() takes an object of options."));
        }
        for name in Object::keys(object.unchecked_ref::<Object>()).iter() {
            let name = name.as_string().unwrap_or_default();
            if !known.contains(&name.as_str()) {
                let listed: Vec<&str> = known.iter().copied().filter(|known| !known.starts_with('_')).collect();
                return invalid(format!("{call}() has no option {name:?}; it has {}.", listed.join(", ")));
            }
        }
        Ok(object.clone())
    }
}

/// Every field in turn, `undefined` if it is not there: so that what is missing is refused in the same words as what is
/// wrong.
struct Fields {
    call: &'static str,
    object: JsValue,
    fields: std::slice::Iter<'static, &'static str>,
    field: &'static str,
}

impl<'de> MapAccess<'de> for Fields {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some(field) = self.fields.next() else { return Ok(None) };
        self.field = *field;
        seed.deserialize(serde::de::value::StrDeserializer::new(field)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let value = Reflect::get(&self.object, &self.field.into()).map_err(|thrown| {
            let detail = format!("{}(): {} can't be read: {}.", self.call, self.field, message(&thrown));
            Failure::caused(Code::InvalidArgument, detail, thrown)
        })?;
        seed.deserialize(serde_wasm_bindgen::Deserializer::from(value)).map_err(|refused| {
            let wanted = message(&refused.into());
            let code = if wanted == MONEY { Code::InvalidAmount } else { Code::InvalidArgument };
            Failure::new(code, format!("{}(): {} must be {wanted}.", self.call, self.field))
        })
    }
}

impl Error for Failure {
    fn custom<T: fmt::Display>(detail: T) -> Self {
        Self::new(Code::InvalidArgument, detail.to_string())
    }
}

/// An option that may be left out: `undefined`, but not `null`.
pub fn optional<'de, D: Deserializer<'de>, T: TryFrom<Raw, Error: fmt::Display>>(
    option: D,
) -> core::result::Result<Option<T>, D::Error> {
    match Raw::deserialize(option)? {
        Raw(value) if value.is_undefined() => Ok(None),
        given => T::try_from(given).map(Some).map_err(D::Error::custom),
    }
}

/// The value as it is, `undefined` if it is not there.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Raw(#[serde(with = "serde_wasm_bindgen::preserve")] pub JsValue);

/// A text.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Text(pub String);

/// A text that is not empty.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Name(pub String);

/// Money above zero.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Money(pub Amount);

/// A whole number from `LEAST` on, that is no money.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Whole<const LEAST: u64>(pub u64);

/// Yes or no; no if it is not said.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Flag(pub bool);

/// An address; mixed case is taken only with a valid checksum.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Account(pub Address);

/// A function of the application's.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Callback(pub Function);

/// URLs of `http:` or `https:`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Urls(pub Vec<String>);

/// One such URL or more.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Nodes(pub Vec<String>);

impl TryFrom<Raw> for Text {
    type Error = &'static str;

    fn try_from(Raw(value): Raw) -> core::result::Result<Self, Self::Error> {
        // A lone surrogate would change on its way through UTF-8.
        let fits = |text: &&JsString| text.length() as usize <= MAX_TEXT && text.is_valid_utf16();
        value.dyn_ref::<JsString>().filter(fits).map(|text| Self(text.into())).ok_or(TEXT)
    }
}

impl TryFrom<Raw> for Name {
    type Error = &'static str;

    fn try_from(value: Raw) -> core::result::Result<Self, Self::Error> {
        let Text(text) = Text::try_from(value)?;
        if text.is_empty() { Err(TEXT) } else { Ok(Self(text)) }
    }
}

impl TryFrom<Raw> for Money {
    type Error = &'static str;

    fn try_from(Raw(value): Raw) -> core::result::Result<Self, Self::Error> {
        let units = if value.is_bigint() { u128::try_from(value).ok() } else { None };
        units.filter(|units| *units > 0).map(|units| Self(Amount::new(units))).ok_or(MONEY)
    }
}

impl<const LEAST: u64> TryFrom<Raw> for Whole<LEAST> {
    type Error = String;

    fn try_from(Raw(value): Raw) -> core::result::Result<Self, Self::Error> {
        let number = whole(&value).filter(|number| *number >= LEAST);
        number.map(Self).ok_or_else(|| format!("a whole number from {LEAST} on"))
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the value is a whole number in range")]
fn whole(value: &JsValue) -> Option<u64> {
    let in_range = |number: &f64| number.fract() == 0.0 && (0.0..=9_007_199_254_740_991.0).contains(number);
    value.as_f64().filter(in_range).map(|number| number as u64)
}

impl TryFrom<Raw> for Flag {
    type Error = &'static str;

    fn try_from(Raw(value): Raw) -> core::result::Result<Self, Self::Error> {
        if value.is_undefined() { Ok(Self(false)) } else { value.as_bool().map(Self).ok_or("true or false") }
    }
}

impl TryFrom<Raw> for Account {
    type Error = &'static str;

    fn try_from(value: Raw) -> core::result::Result<Self, Self::Error> {
        let missing = value.0.is_undefined();
        let Text(text) = Text::try_from(value).map_err(|wanted| if missing { "an address" } else { wanted })?;
        address(&text).map(Self).ok_or("an address: 0x and 40 hex digits, with a valid checksum if in mixed case")
    }
}

impl TryFrom<Raw> for Callback {
    type Error = &'static str;

    fn try_from(Raw(value): Raw) -> core::result::Result<Self, Self::Error> {
        value.dyn_into().map(Self).map_err(|_| "a function")
    }
}

impl TryFrom<Raw> for Urls {
    type Error = &'static str;

    fn try_from(Raw(value): Raw) -> core::result::Result<Self, Self::Error> {
        let url = |item: JsValue| item.as_string().filter(|url| Hub::new(url).is_ok());
        value.dyn_ref::<Array>().and_then(|items| items.iter().map(url).collect()).map(Self).ok_or(URLS)
    }
}

impl TryFrom<Raw> for Nodes {
    type Error = &'static str;

    fn try_from(Raw(value): Raw) -> core::result::Result<Self, Self::Error> {
        let items = if value.is_string() { Array::of1(&value).into() } else { value };
        let Urls(urls) = Urls::try_from(Raw(items)).map_err(|_| NODES)?;
        let fit = !urls.is_empty() && urls.iter().all(|url| url.len() <= MAX_TEXT);
        if fit { Ok(Self(urls)) } else { Err(NODES) }
    }
}

/// An address that is not zero.
#[must_use]
pub fn address(text: &str) -> Option<Address> {
    let digits = text.strip_prefix("0x")?;
    let mixed =
        digits.bytes().any(|byte| byte.is_ascii_lowercase()) && digits.bytes().any(|byte| byte.is_ascii_uppercase());
    let address: Address = if mixed { Address::parse_checksummed(text, None).ok()? } else { text.parse().ok()? };
    (digits.len() == 40 && !address.is_zero()).then_some(address)
}
