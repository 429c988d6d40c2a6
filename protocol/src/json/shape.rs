//! What JSON a type has, for whoever checks a document against it. All of it are constants: a program that does not ask
//! has nothing of them.

use crate::amount::Amount;
use crate::condition::ConditionKey;
use crate::sign::{PublicKey, Signature};
use crate::types::ChannelId;
use alloc::string::String;
use alloc::vec::Vec;
use alloy_primitives::{Address, B256, Bytes};

/// The JSON of a type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Whatever it is.
    Any,
    /// `null`.
    Null,
    /// `true` or `false`.
    Flag,
    /// A whole number from 0 to this one.
    Count(u64),
    /// Any string.
    Text,
    /// A string of a kind that has a name.
    Named(&'static str),
    /// One of these strings.
    Word(&'static [&'static str]),
    /// A list, of just so many where the number is given.
    List(&'static Self, Option<usize>),
    /// `null`, or this.
    Maybe(&'static Self),
    /// An object with these fields.
    Object(&'static [Field]),
    /// An object of one of these kinds.
    OneOf(&'static [&'static str]),
}

impl Shape {
    /// Without the `null` of a field that is left out instead.
    #[must_use]
    pub const fn where_present(&'static self) -> &'static Self {
        match self {
            Self::Maybe(inner) => inner,
            _ => self,
        }
    }
}

/// A field of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Whether the object never lacks it.
    pub required: bool,
    /// What it holds where it is there.
    pub shape: &'static Shape,
}

/// A type whose JSON is known.
pub trait Shaped {
    /// Its JSON.
    const SHAPE: Shape;
}

/// The shape of what a function gives a reference to: of a field whose type is not written.
pub const fn of_field<S, T: Shaped>(_field: fn(&S) -> &T) -> &'static Shape {
    &T::SHAPE
}

macro_rules! shapes {
    ($($type:ty: $shape:expr),* $(,)?) => {$(
        impl Shaped for $type {
            const SHAPE: Shape = $shape;
        }
    )*};
}

shapes! {
    (): Shape::Null,
    bool: Shape::Flag,
    u8: Shape::Count(0xff),
    u16: Shape::Count(0xffff),
    u32: Shape::Count(0xffff_ffff),
    u64: Shape::Count(u64::MAX),
    String: Shape::Text,
    Address: Shape::Named("Address"),
    B256: Shape::Named("Bytes32"),
    ChannelId: Shape::Named("Bytes32"),
    ConditionKey: Shape::Named("Bytes32"),
    Bytes: Shape::Named("Bytes"),
    Amount: Shape::Named("Amount"),
    Signature: Shape::Named("Signature"),
    PublicKey: Shape::Named("PublicKey"),
}

impl<T: Shaped> Shaped for Option<T> {
    const SHAPE: Shape = Shape::Maybe(&T::SHAPE);
}

impl<T: Shaped> Shaped for Vec<T> {
    const SHAPE: Shape = Shape::List(&T::SHAPE, None);
}

impl<T: Shaped, const N: usize> Shaped for [T; N] {
    const SHAPE: Shape = Shape::List(&T::SHAPE, Some(N));
}
