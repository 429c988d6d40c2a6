//! How stored values become bytes. Whole numbers are varints, bytes and lists begin with their length, the variant of
//! an enum is a number that is written beside it and never changes.
//!
//! A reader that meets damage does not stop: it is marked, has nothing left, and every value read from it is empty.
//! Whoever started it looks at the mark once, at the end. So no step of decoding can fail, which is most of why this
//! is a fraction of the size of a derived decoder (`docs/adr/0005-own-codecs.md`).
//!
//! Bytes do not say what they are: a field is known by its place. So every record names the format that it was written
//! in, and a reader keeps to that one (`docs/adr/0011-stores-that-grow.md`). To add a field: raise
//! [`crate::journal::FORMAT`], and write `since` that format behind the field.

use crate::condition::ConditionKey;
use crate::map::{Map, Set};
use crate::types::ChannelId;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use alloy_primitives::{Address, B256, Bytes};
use core::ops::RangeInclusive;

/// What can be stored, in the newest format.
pub trait Encode {
    /// Appends the value.
    fn put(&self, out: &mut Vec<u8>);
}

/// What can be read back, from any format.
pub trait Decode: Sized {
    /// Reads a value; some empty one if the bytes make no sense, and then the reader is marked.
    fn get(input: &mut Reader<'_>) -> Self;
}

/// Stored bytes, from the first that was not read yet on.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// The format that the bytes were written in.
    format: u8,
    /// The oldest that they may be in instead.
    oldest: u8,
    /// Whether that one would have been read otherwise.
    differs: bool,
    damaged: bool,
}

impl<'a> Reader<'a> {
    /// Reads one value that takes all the bytes, or nothing. Where the format is not known for sure, nothing is guessed:
    /// bytes that make sense in two of them, and not the same, are not read.
    pub fn read<T: Decode>(bytes: &'a [u8], formats: RangeInclusive<u8>) -> Option<T> {
        let oldest = *formats.start();
        let mut found = None;
        for format in formats.rev() {
            let mut reader = Self { rest: bytes, format, oldest, differs: false, damaged: false };
            let value = T::get(&mut reader);
            if reader.damaged || !reader.rest.is_empty() {
                continue;
            }
            if found.replace(value).is_some() {
                return None;
            }
            if !reader.differs {
                break;
            }
        }
        found
    }

    /// Whether the bytes were written in this format or a later one: what came with it is in them.
    pub(crate) fn has(&mut self, since: u8) -> bool {
        let has = self.format >= since;
        self.differs |= has && since > self.oldest;
        has
    }

    /// Marks the reader; nothing is left in it.
    pub fn damaged(&mut self) {
        self.rest = &[];
        self.damaged = true;
    }

    /// So many bytes.
    fn take(&mut self, count: usize) -> &'a [u8] {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            self.damaged();
            return &[];
        };
        self.rest = rest;
        taken
    }

    /// Fills `bytes`, or leaves it as it is.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        let taken = self.take(bytes.len());
        if taken.len() == bytes.len() {
            bytes.copy_from_slice(taken);
        }
    }

    /// A number in its shortest form.
    pub(crate) fn number(&mut self) -> u64 {
        let mut number = 0_u64;
        let mut shift = 0_u32;
        loop {
            let Some((&byte, rest)) = self.rest.split_first() else {
                self.damaged();
                return 0;
            };
            self.rest = rest;
            let bits = u64::from(byte & 0x7f);
            let placed = bits.checked_shl(shift).filter(|placed| placed.checked_shr(shift) == Some(bits));
            let Some(placed) = placed.filter(|_| byte != 0 || shift == 0) else {
                self.damaged();
                return 0;
            };
            number |= placed;
            if byte < 0x80 {
                return number;
            }
            shift = shift.saturating_add(7);
        }
    }

    /// A length of bytes, or of a list: each entry takes a byte at least, so a longer one is damage.
    fn length(&mut self) -> usize {
        let length = usize::try_from(self.number()).unwrap_or(usize::MAX);
        if length > self.rest.len() {
            self.damaged();
            return 0;
        }
        length
    }

    fn bytes(&mut self) -> &'a [u8] {
        let length = self.length();
        self.take(length)
    }

    /// The entries of a list, until the first that is damaged.
    fn list<T: Decode>(&mut self, mut each: impl FnMut(T)) {
        for _ in 0..self.length() {
            let entry = T::get(self);
            if self.damaged {
                return;
            }
            each(entry);
        }
    }
}

/// Appends a number in its shortest form.
pub(crate) fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_number(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// A text, as a `String` is stored.
pub(crate) fn put_text(text: &str, out: &mut Vec<u8>) {
    put_bytes(text.as_bytes(), out);
}

fn put_list<'a, T: Encode + 'a>(list: impl ExactSizeIterator<Item = &'a T>, out: &mut Vec<u8>) {
    put_number(list.len() as u64, out);
    for entry in list {
        entry.put(out);
    }
}

/// [`Encode`] and [`Decode`] of structs and enums: their fields in this order. A field that came later says `since`
/// which format, and `else` what it is in older records where that is not its default. A variant that comes later needs
/// no more than a new number and a new format. What goes, or changes its type, is read by hand: see [`Reader::has`].
macro_rules! stored {
    (@get $input:ident) => { $crate::codec::Decode::get($input) };
    (@get $input:ident $since:literal) => {
        $crate::codec::stored!(@get $input $since else core::default::Default::default())
    };
    (@get $input:ident $since:literal else $older:expr) => {{
        // Or it would be written into records that say they are without it.
        const { assert!($since <= $crate::journal::FORMAT, "raise the storage format first") };
        if $input.has($since) { $crate::codec::Decode::get($input) } else { $older }
    }};
    (struct $name:ident $(<$type:ident>)? {
        $($field:tt $(since $since:literal $(else $older:expr)?)?),* $(,)?
    }) => {
        impl $(<$type: $crate::codec::Encode>)? $crate::codec::Encode for $name $(<$type>)? {
            fn put(&self, out: &mut alloc::vec::Vec<u8>) {
                $($crate::codec::Encode::put(&self.$field, out);)*
            }
        }

        impl $(<$type: $crate::codec::Decode>)? $crate::codec::Decode for $name $(<$type>)? {
            fn get(input: &mut $crate::codec::Reader<'_>) -> Self {
                Self { $($field: $crate::codec::stored!(@get input $($since $(else $older)?)?)),* }
            }
        }
    };
    (enum $name:ident {
        0 => $first:ident $(($($first_item:ident),*))? $({ $($first_field:ident),* })?
        $(, $tag:literal => $variant:ident
            $(($($item:ident),*))?
            $({ $($field:ident $(since $since:literal $(else $older:expr)?)?),* })?
        )* $(,)?
    }) => {
        impl $crate::codec::Encode for $name {
            fn put(&self, out: &mut alloc::vec::Vec<u8>) {
                match self {
                    Self::$first $(($($first_item),*))? $({ $($first_field),* })? => {
                        out.push(0);
                        $($($crate::codec::Encode::put($first_item, out);)*)?
                        $($($crate::codec::Encode::put($first_field, out);)*)?
                    }
                    $(Self::$variant $(($($item),*))? $({ $($field),* })? => {
                        out.push($tag);
                        $($($crate::codec::Encode::put($item, out);)*)?
                        $($($crate::codec::Encode::put($field, out);)*)?
                    })*
                }
            }
        }

        impl $crate::codec::Decode for $name {
            fn get(input: &mut $crate::codec::Reader<'_>) -> Self {
                match <u8 as $crate::codec::Decode>::get(input) {
                    $($tag => Self::$variant
                        $(($({ let $item = $crate::codec::Decode::get(input); $item }),*))?
                        $({ $($field: $crate::codec::stored!(@get input $($since $(else $older)?)?)),* })?,)*
                    tag => {
                        if tag != 0 {
                            input.damaged();
                        }
                        Self::$first
                            $(($({ let $first_item = $crate::codec::Decode::get(input); $first_item }),*))?
                            $({ $($first_field: $crate::codec::Decode::get(input)),* })?
                    }
                }
            }
        }
    };
}

pub(crate) use stored;

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Encode for $type {
            fn put(&self, out: &mut Vec<u8>) {
                put_number(u64::from(*self), out);
            }
        }

        impl Decode for $type {
            fn get(input: &mut Reader<'_>) -> Self {
                let number = input.number();
                Self::try_from(number).unwrap_or_else(|_| {
                    input.damaged();
                    0
                })
            }
        }
    )*};
}

numbers!(u8, u16, u32, u64);

impl Encode for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Decode for bool {
    fn get(input: &mut Reader<'_>) -> Self {
        match input.number() {
            0 => false,
            1 => true,
            _ => {
                input.damaged();
                false
            }
        }
    }
}

/// Bytes of a known length, without it.
macro_rules! plain_bytes {
    ($($type:ty: $($field:tt).+),*) => {$(
        impl Encode for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.$($field).+[..]);
            }
        }

        impl Decode for $type {
            fn get(input: &mut Reader<'_>) -> Self {
                let mut value = Self::default();
                input.fill(&mut value.$($field).+[..]);
                value
            }
        }
    )*};
}

plain_bytes!(Address: 0.0, B256: 0);

impl<const N: usize> Encode for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl<const N: usize> Decode for [u8; N] {
    fn get(input: &mut Reader<'_>) -> Self {
        let mut bytes = [0; N];
        input.fill(&mut bytes);
        bytes
    }
}

stored!(struct ChannelId { 0 });
stored!(struct ConditionKey { 0 });

impl Encode for Bytes {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(self, out);
    }
}

impl Decode for Bytes {
    fn get(input: &mut Reader<'_>) -> Self {
        Self::copy_from_slice(input.bytes())
    }
}

impl Encode for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self, out);
    }
}

impl Decode for String {
    fn get(input: &mut Reader<'_>) -> Self {
        let Ok(text) = core::str::from_utf8(input.bytes()) else {
            input.damaged();
            return Self::new();
        };
        text.into()
    }
}

impl<T: Encode + ?Sized> Encode for &T {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }
}

impl<T: Encode> Encode for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.put(out);
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn get(input: &mut Reader<'_>) -> Self {
        bool::get(input).then(|| T::get(input))
    }
}

impl<T: Encode> Encode for [T] {
    fn put(&self, out: &mut Vec<u8>) {
        put_list(self.iter(), out);
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_list(self.iter(), out);
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn get(input: &mut Reader<'_>) -> Self {
        let mut list = Self::new();
        input.list(|entry| list.push(entry));
        list
    }
}

impl<T: Encode> Encode for VecDeque<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_list(self.iter(), out);
    }
}

impl<T: Decode> Decode for VecDeque<T> {
    fn get(input: &mut Reader<'_>) -> Self {
        Vec::get(input).into()
    }
}

impl<T: Encode> Encode for Set<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_number(self.len() as u64, out);
        for entry in self {
            entry.put(out);
        }
    }
}

impl<T: Decode + Ord> Decode for Set<T> {
    fn get(input: &mut Reader<'_>) -> Self {
        let mut set = Self::new();
        input.list(|entry| {
            set.insert(entry);
        });
        set
    }
}

impl<K: Encode, V: Encode> Encode for Map<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        put_number(self.len() as u64, out);
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }
}

impl<K: Decode + Ord, V: Decode> Decode for Map<K, V> {
    fn get(input: &mut Reader<'_>) -> Self {
        let mut map = Self::new();
        input.list(|(key, value)| {
            map.insert(key, value);
        });
        map
    }
}

macro_rules! tuples {
    ($(($($item:ident),*)),*) => {$(
        impl<$($item: Encode),*> Encode for ($($item,)*) {
            fn put(&self, out: &mut Vec<u8>) {
                #[allow(non_snake_case, reason = "the types' names stand for the values")]
                let ($($item,)*) = self;
                $($item.put(out);)*
            }
        }

        impl<$($item: Decode),*> Decode for ($($item,)*) {
            fn get(input: &mut Reader<'_>) -> Self {
                ($($item::get(input),)*)
            }
        }
    )*};
}

tuples!((A, B), (A, B, C), (A, B, C, D, E));

#[cfg(test)]
mod tests;
