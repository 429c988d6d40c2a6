//! The values that everything on the wire is made of.

use super::{Fault, FromJson, ToJson, Value};
use crate::condition::ConditionKey;
use crate::types::ChannelId;
use alloc::string::String;
use alloc::vec::Vec;
use alloy_primitives::{Address, B256, Bytes, hex};
use core::fmt::Write;

impl FromJson for () {
    fn read(_value: &Value<'_>, _fault: &mut Fault) {}
}

impl FromJson for bool {
    fn read(value: &Value<'_>, fault: &mut Fault) -> Self {
        if let Value::Bool(value) = value {
            return *value;
        }
        fault.found();
        false
    }
}

impl ToJson for bool {
    fn write(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl FromJson for $type {
            fn read(value: &Value<'_>, fault: &mut Fault) -> Self {
                let number = match value {
                    Value::Number(Some(number)) => Self::try_from(*number).ok(),
                    _ => None,
                };
                number.unwrap_or_else(|| {
                    fault.found();
                    0
                })
            }
        }

        impl ToJson for $type {
            fn write(&self, out: &mut String) {
                put_display(&u64::from(*self), out);
            }
        }
    )*};
}

numbers!(u8, u16, u32, u64);

impl FromJson for String {
    fn read(value: &Value<'_>, fault: &mut Fault) -> Self {
        text(value, fault).into()
    }
}

impl ToJson for str {
    fn write(&self, out: &mut String) {
        out.push('"');
        for character in self.chars() {
            match character {
                '"' | '\\' => out.extend(['\\', character]),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\0'..' ' => {
                    out.push_str("\\u00");
                    put_hex(&[character as u8], out);
                }
                _ => out.push(character),
            }
        }
        out.push('"');
    }
}

impl ToJson for String {
    fn write(&self, out: &mut String) {
        self.as_str().write(out);
    }
}

impl<T: ToJson + ?Sized> ToJson for &T {
    fn write(&self, out: &mut String) {
        (**self).write(out);
    }
}

impl<T: FromJson> FromJson for Option<T> {
    fn read(value: &Value<'_>, fault: &mut Fault) -> Self {
        value.is_some().then(|| T::read(value, fault))
    }
}

impl<T: ToJson> ToJson for Option<T> {
    fn write(&self, out: &mut String) {
        match self {
            Some(value) => value.write(out),
            None => out.push_str("null"),
        }
    }

    fn is_none(&self) -> bool {
        self.is_none()
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn read(value: &Value<'_>, fault: &mut Fault) -> Self {
        let mut list = Self::new();
        match value {
            Value::List(values) => list.extend(values.iter().map(|value| T::read(value, fault))),
            _ => fault.found(),
        }
        list
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn write(&self, out: &mut String) {
        write_list(self, out);
    }

    fn is_none(&self) -> bool {
        self.is_empty()
    }
}

fn write_list<T: ToJson>(list: &[T], out: &mut String) {
    out.push('[');
    for (index, entry) in list.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        entry.write(out);
    }
    out.push(']');
}

impl<const N: usize> FromJson for [B256; N] {
    fn read(value: &Value<'_>, fault: &mut Fault) -> Self {
        let mut read = [B256::ZERO; N];
        match value {
            Value::List(values) if values.len() == N => {
                read.iter_mut().zip(values).for_each(|(entry, value)| *entry = B256::read(value, fault));
            }
            _ => fault.found(),
        }
        read
    }
}

impl<const N: usize> ToJson for [B256; N] {
    fn write(&self, out: &mut String) {
        write_list(self, out);
    }
}

/// The text, or an empty one.
pub(crate) fn text<'v>(value: &'v Value<'_>, fault: &mut Fault) -> &'v str {
    value.text().unwrap_or_else(|| {
        fault.found();
        ""
    })
}

/// Fills `bytes` from hex digits of just that number.
pub(crate) fn read_hex(value: &Value<'_>, fault: &mut Fault, bytes: &mut [u8]) {
    if hex::decode_to_slice(text(value, fault), bytes).is_err() {
        fault.found();
    }
}

/// `"0x"` and hex digits, in quotes.
pub(crate) fn write_hex(bytes: &[u8], out: &mut String) {
    out.push_str("\"0x");
    put_hex(bytes, out);
    out.push('"');
}

fn put_hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 0xf] {
            out.push(char::from_digit(digit.into(), 16).unwrap_or_default());
        }
    }
}

/// A number with its sign.
pub(crate) fn put_number(number: i32, out: &mut String) {
    put_display(&number, out);
}

/// What `Display` says.
pub(crate) fn put_display(value: &dyn core::fmt::Display, out: &mut String) {
    // Writing to a string can't fail.
    let _ = write!(out, "{value}");
}

/// Bytes of a known length.
macro_rules! plain_bytes {
    ($($type:ty: $($field:tt).+),*) => {$(
        impl FromJson for $type {
            fn read(value: &Value<'_>, fault: &mut Fault) -> Self {
                let mut read = Self(Default::default());
                read_hex(value, fault, &mut read.$($field).+[..]);
                read
            }
        }

        impl ToJson for $type {
            fn write(&self, out: &mut String) {
                write_hex(&self.$($field).+[..], out);
            }
        }
    )*};
}

plain_bytes!(Address: 0.0, B256: 0, ChannelId: 0.0, ConditionKey: 0.0);

impl FromJson for Bytes {
    fn read(value: &Value<'_>, fault: &mut Fault) -> Self {
        let bytes = hex::decode(text(value, fault)).unwrap_or_else(|_| {
            fault.found();
            Vec::new()
        });
        bytes.into()
    }
}

impl ToJson for Bytes {
    fn write(&self, out: &mut String) {
        write_hex(self, out);
    }
}
