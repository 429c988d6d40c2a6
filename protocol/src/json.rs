//! JSON, as the wire has it: a text becomes a tree of values, and a type takes its fields out of one.
//!
//! As in [`crate::codec`] nothing stops at the first mistake: a [`Fault`] remembers it, every later value is some
//! empty one, and whoever began looks at the fault at the end. For what serde makes of these types see `json/bridge.rs`.

pub(crate) mod bridge;
mod parse;
pub mod shape;
mod types;

pub(crate) use types::{put_display, put_number, read_hex, text, write_hex};

use crate::error::{Code, Error};
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// A JSON value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value<'a> {
    /// No value: a field that an object does not have.
    Missing,
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number; the wire has none but whole ones from 0 to 2^64 - 1.
    Number(Option<u64>),
    /// A string.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Self>),
    /// Names and values, in their order. A name may stand there twice.
    Object(Vec<(Cow<'a, str>, Self)>),
}

impl<'a> Value<'a> {
    /// The value that is the whole of a text, at most 127 lists and objects deep.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        parse::whole(text)
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A field of an object.
    #[must_use]
    pub fn get(&self, name: &str) -> &Self {
        match self {
            Self::Object(fields) => {
                fields.iter().find(|(known, _)| known == name).map_or(&Self::Missing, |(_, value)| value)
            }
            _ => &Self::Missing,
        }
    }

    /// Whether it is neither missing nor `null`.
    #[must_use]
    pub const fn is_some(&self) -> bool {
        !matches!(self, Self::Missing | Self::Null)
    }
}

/// What is wrong with a value: the field where it was noticed first.
#[derive(Debug, Default)]
pub struct Fault {
    at: &'static str,
    found: bool,
}

impl Fault {
    /// Remembers that the field that is being read is wrong, unless an earlier one was.
    pub const fn found(&mut self) {
        self.found = true;
    }

    const fn reading(&mut self, name: &'static str) {
        if !self.found {
            self.at = name;
        }
    }
}

/// What can be read from JSON.
pub trait FromJson: Sized {
    /// Takes it from a value; some empty one if it is not in there, and then the fault is found.
    fn read(value: &Value<'_>, fault: &mut Fault) -> Self;
}

/// What can be written as JSON.
pub trait ToJson {
    /// Appends it.
    fn write(&self, out: &mut String);

    /// Whether an object leaves it out.
    fn is_none(&self) -> bool {
        false
    }
}

/// Reads a value out of a text, or says what is wrong with it, as [`Code::BadEncoding`].
pub fn decode<T: FromJson>(text: &str) -> Result<T, Error> {
    let value = Value::parse(text).ok_or_else(|| Error::new(Code::BadEncoding, "this is not JSON"))?;
    from_value(&value)
}

/// Takes a type out of a value, or says what is wrong with it, as [`Code::BadEncoding`].
pub fn from_value<T: FromJson>(value: &Value<'_>) -> Result<T, Error> {
    let mut fault = Fault::default();
    let read = T::read(value, &mut fault);
    if fault.found { Err(mistake(&fault)) } else { Ok(read) }
}

fn mistake(fault: &Fault) -> Error {
    Error::new(Code::BadEncoding, alloc::format!("`{}` is not as agreed, or with it a field too many", fault.at))
}

/// The JSON of a value.
pub fn encode<T: ToJson + ?Sized>(value: &T) -> String {
    let mut out = String::new();
    value.write(&mut out);
    out
}

/// The fields of an object, taken out one by one.
#[derive(Debug)]
pub struct Fields<'v, 'a> {
    fields: &'v [(Cow<'a, str>, Value<'a>)],
    taken: usize,
}

impl<'v, 'a> Fields<'v, 'a> {
    /// Those of an object; of anything else none, and the fault is found.
    #[must_use]
    pub fn of(value: &'v Value<'a>, fault: &mut Fault) -> Self {
        let fields: &[_] = match value {
            Value::Object(fields) => fields,
            _ => {
                fault.found();
                &[]
            }
        };
        Self { fields, taken: 0 }
    }

    /// Those of an object, and what its field `type` says.
    #[must_use]
    pub fn tagged(value: &'v Value<'a>, fault: &mut Fault) -> (&'v str, Self) {
        let mut fields = Self::of(value, fault);
        (fields.take("type", fault).text().unwrap_or_default(), fields)
    }

    /// Those of the only field of an object, and its name.
    #[must_use]
    pub fn keyed(value: &'v Value<'a>, fault: &mut Fault) -> (&'v str, Self) {
        match value {
            Value::Object(fields) if let [(name, inner)] = fields.as_slice() => (name, Self::of(inner, fault)),
            _ => ("", Self { fields: &[], taken: 0 }),
        }
    }

    /// The field with this name.
    pub fn take(&mut self, name: &'static str, fault: &mut Fault) -> &'v Value<'a> {
        fault.reading(name);
        let mut found = self.fields.iter().filter(|(known, _)| known == name);
        let Some((_, value)) = found.next() else {
            return &Value::Missing;
        };
        if found.next().is_some() {
            fault.found();
        }
        self.taken = self.taken.saturating_add(1);
        value
    }

    /// Takes the rest, whatever it is.
    pub const fn pass_over(self) {}

    /// Refuses fields that nobody took.
    pub const fn finish(self, fault: &mut Fault) {
        if self.taken != self.fields.len() {
            fault.found();
        }
    }
}

/// Appends a field's name to an object that began with `{`.
pub fn put_name(name: &str, out: &mut String) {
    if !out.ends_with('{') {
        out.push(',');
    }
    out.push('"');
    out.push_str(name);
    out.push_str("\":");
}

/// [`FromJson`], [`ToJson`] and [`shape::Shaped`] of structs. A field's name is given where it is not that of the
/// struct's. One that is `optional` may be missing, and is left out when it is `None`; one that is `told` is written for
/// others and never read. After `open struct` unknown fields are passed over.
#[macro_export]
macro_rules! wire {
    (struct $type:ident $(<$inner:ident>)? { $($fields:tt)* }) => {
        $crate::wire!(@struct finish, $type $(<$inner>)?, { $($fields)* });
    };
    (open struct $type:ident { $($fields:tt)* }) => {
        $crate::wire!(@struct ignore, $type, { $($fields)* });
    };
    (@struct $end:ident, $type:ident $(<$inner:ident>)?, { $($fields:tt)* }) => {
        impl $(<$inner: $crate::json::ToJson>)? $crate::json::ToJson for $type $(<$inner>)? {
            $crate::wire!(@write { $($fields)* });
        }

        impl $(<$inner: $crate::json::FromJson>)? $crate::json::FromJson for $type $(<$inner>)? {
            $crate::wire!(@read $end { $($fields)* });
        }

        impl $(<$inner: $crate::json::shape::Shaped>)? $crate::json::shape::Shaped for $type $(<$inner>)? {
            $crate::wire!(@shape { $($fields)* });
        }
    };
    // A word for each variant.
    (words $type:ident { $word:literal => $first:ident $(, $words:literal => $variant:ident)* $(,)? }) => {
        impl $crate::json::ToJson for $type {
            fn write(&self, out: &mut ::std::string::String) {
                out.push_str(match self {
                    Self::$first => concat!('"', $word, '"'),
                    $(Self::$variant => concat!('"', $words, '"'),)*
                });
            }
        }

        impl $crate::json::FromJson for $type {
            fn read(value: &$crate::json::Value<'_>, fault: &mut $crate::json::Fault) -> Self {
                match value.text() {
                    Some($word) => Self::$first,
                    $(Some($words) => Self::$variant,)*
                    _ => {
                        fault.found();
                        Self::$first
                    }
                }
            }
        }

        impl $crate::json::shape::Shaped for $type {
            const SHAPE: $crate::json::shape::Shape = $crate::json::shape::Shape::Word(&[$word $(, $words)*]);
        }
    };
    // One variant of several, named by a field of its object, or as the only field of another object.
    (enum $type:ident by type else $none:expr, $variants:tt) => {
        $crate::wire!(@enum $type, $crate::json::Fields::tagged, "{\"type\":\"", "\"", "}", $none, $variants);
    };
    (enum $type:ident by key else $none:expr, $variants:tt) => {
        $crate::wire!(@enum $type, $crate::json::Fields::keyed, "{\"", "\":{", "}}", $none, $variants);
    };
    (@enum $type:ident, $open:expr, $before:literal, $after:literal, $end:literal, $none:expr, {
        $($tag:literal => $variant:ident { $($field:ident $(= $name:literal)? $(: $optional:ident)?),* }),* $(,)?
    }) => {
        impl $crate::json::ToJson for $type {
            fn write(&self, out: &mut ::std::string::String) {
                match self {
                    $(Self::$variant { $($field),* } => {
                        out.push_str(concat!($before, $tag, $after));
                        $($crate::wire!(@put $field, $crate::wire!(@name $field $($name)?), out $(, $optional)?);)*
                    })*
                }
                out.push_str($end);
            }
        }

        impl $crate::json::FromJson for $type {
            fn read(value: &$crate::json::Value<'_>, fault: &mut $crate::json::Fault) -> Self {
                let (tag, mut fields) = $open(value, fault);
                let read = match tag {
                    $($tag => Self::$variant {
                        $($field: $crate::wire!(
                            @get fields.take($crate::wire!(@name $field $($name)?), fault), fault $(, $optional)?
                        ),)*
                    },)*
                    _ => {
                        fault.found();
                        $none
                    }
                };
                fields.finish(fault);
                read
            }
        }

        impl $crate::json::shape::Shaped for $type {
            const SHAPE: $crate::json::shape::Shape = $crate::json::shape::Shape::OneOf(&[$($tag),*]);
        }
    };
    (@shape { $($field:ident $(= $name:literal)? $(: $mark:ident)?),* $(,)? }) => {
        const SHAPE: $crate::json::shape::Shape = $crate::json::shape::Shape::Object(&[$($crate::json::shape::Field {
            name: $crate::wire!(@name $field $($name)?),
            required: $crate::wire!(@required $($mark)?),
            shape: $crate::wire!(@shaped $crate::json::shape::of_field(|this: &Self| &this.$field) $(, $mark)?),
        }),*]);
    };
    (@shaped $shape:expr) => { $shape };
    (@shaped $shape:expr, $mark:ident) => { $shape.where_present() };
    (@required) => { true };
    (@required optional) => { false };
    (@required told) => { true };
    (@write { $($field:ident $(= $name:literal)? $(: $optional:ident)?),* $(,)? }) => {
        fn write(&self, out: &mut ::std::string::String) {
            out.push('{');
            $($crate::wire!(@put &self.$field, $crate::wire!(@name $field $($name)?), out $(, $optional)?);)*
            out.push('}');
        }
    };
    (@put $value:expr, $name:expr, $out:ident) => {
        $crate::json::put_name($name, $out);
        $crate::json::ToJson::write($value, $out);
    };
    (@put $value:expr, $name:expr, $out:ident, optional) => {
        if !$crate::json::ToJson::is_none($value) {
            $crate::wire!(@put $value, $name, $out);
        }
    };
    (@put $value:expr, $name:expr, $out:ident, told) => {
        $crate::wire!(@put $value, $name, $out, optional);
    };
    (@read $end:ident { $($field:ident $(= $name:literal)? $(: $optional:ident)?),* $(,)? }) => {
        fn read(value: &$crate::json::Value<'_>, fault: &mut $crate::json::Fault) -> Self {
            #[allow(unused_mut, reason = "an object may have no fields")]
            let mut fields = $crate::json::Fields::of(value, fault);
            let read = Self {
                $($field: $crate::wire!(
                    @get fields.take($crate::wire!(@name $field $($name)?), fault), fault $(, $optional)?
                ),)*
            };
            $crate::wire!(@$end fields, fault);
            read
        }
    };
    (@get $value:expr, $fault:ident) => { $crate::json::FromJson::read($value, $fault) };
    (@get $value:expr, $fault:ident, optional) => {
        match $value {
            $crate::json::Value::Missing => Default::default(),
            value => $crate::json::FromJson::read(value, $fault),
        }
    };
    (@get $value:expr, $fault:ident, told) => { None };
    (@finish $fields:ident, $fault:ident) => { $fields.finish($fault) };
    (@ignore $fields:ident, $fault:ident) => { $fields.pass_over() };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };
}

pub(crate) use wire;
