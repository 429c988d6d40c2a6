//! Money in an asset's base units. It never wraps and never passes through a float.

use crate::codec::{Decode, Encode, Reader, put_number};
use crate::error::{Code, Error};
use crate::json::bridge::as_serde;
use crate::json::{Fault, FromJson, ToJson, Value, put_display, text};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// An amount of an asset in base units (wei for ETH), at most `2^128 - 1`.
///
/// In JSON it is a string of decimal digits; in storage a 128-bit integer.
/// All arithmetic is checked: overflow is [`Code::AmountOverflow`], a result
/// below zero is [`Code::InsufficientFunds`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Amount(u128);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount, `2^128 - 1` base units.
    pub const MAX: Self = Self(u128::MAX);

    /// The amount of `units` base units.
    #[must_use]
    pub const fn new(units: u128) -> Self {
        Self(units)
    }

    /// Base units.
    #[must_use]
    pub const fn units(self) -> u128 {
        self.0
    }

    /// Whether this is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or [`Code::AmountOverflow`].
    pub fn plus(self, other: Self) -> Result<Self, Error> {
        self.0.checked_add(other.0).map(Self).ok_or_else(|| Error::from(Code::AmountOverflow))
    }

    /// The difference, or [`Code::InsufficientFunds`] if `other` is more.
    pub fn minus(self, other: Self) -> Result<Self, Error> {
        self.0.checked_sub(other.0).map(Self).ok_or_else(|| Error::from(Code::InsufficientFunds))
    }

    /// The difference, or zero if `other` is more. For display and limits, never for balances.
    #[must_use]
    pub const fn saturating_minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// This amount for each of `units`, or [`Code::AmountOverflow`].
    pub fn times(self, units: u32) -> Result<Self, Error> {
        self.0.checked_mul(u128::from(units)).map(Self).ok_or_else(|| Error::from(Code::AmountOverflow))
    }

    /// Parses decimal digits without sign, space or leading zero.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let plain = !text.is_empty()
            && text.len() <= 39
            && text.bytes().all(|b| b.is_ascii_digit())
            && (text == "0" || !text.starts_with('0'));
        if !plain {
            return Err(Error::new(Code::InvalidAmount, "an amount is a string of decimal digits"));
        }
        text.parse::<u128>().map(Self).map_err(|_| Error::new(Code::InvalidAmount, "an amount is at most 2^128 - 1"))
    }
}

impl From<u128> for Amount {
    fn from(units: u128) -> Self {
        Self(units)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Low half, high half.
impl Encode for Amount {
    fn put(&self, out: &mut Vec<u8>) {
        put_number(self.0 as u64, out);
        put_number((self.0 >> 64) as u64, out);
    }
}

impl Decode for Amount {
    fn get(input: &mut Reader<'_>) -> Self {
        let low = input.number();
        Self(u128::from(input.number()) << 64 | u128::from(low))
    }
}

impl ToJson for Amount {
    fn write(&self, out: &mut String) {
        out.push('"');
        put_display(self, out);
        out.push('"');
    }
}

impl FromJson for Amount {
    fn read(value: &Value<'_>, fault: &mut Fault) -> Self {
        Self::parse(text(value, fault)).unwrap_or_else(|_| {
            fault.found();
            Self::ZERO
        })
    }
}

as_serde!(Amount);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_refuses_all_but_plain_decimals() {
        for bad in ["", "-1", "+1", "01", "1.0", "1e3", "0x1", " 1", "340282366920938463463374607431768211456"] {
            assert_eq!(Amount::parse(bad).unwrap_err().code(), Code::InvalidAmount, "{bad:?}");
        }
        assert_eq!(Amount::parse("340282366920938463463374607431768211455").unwrap(), Amount::MAX);
    }

    #[test]
    fn json_numbers_are_not_money() {
        assert!(serde_json::from_str::<Amount>("5").is_err());
        assert_eq!(serde_json::from_str::<Amount>("\"5\"").unwrap(), Amount::new(5));
    }
}
