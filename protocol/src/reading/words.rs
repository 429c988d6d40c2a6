//! What the contract encodes: words of 32 bytes. Of all of its events and answers the decoders that come with the
//! interface would be a tenth of the client's module, and the few words that are needed are read by their place.

use alloy_primitives::{Address, B256, Bytes, U256};

/// Encoded data.
#[derive(Clone, Copy)]
pub(super) struct Words<'a>(pub(super) &'a [u8]);

impl Words<'_> {
    fn word(self, index: usize) -> Option<B256> {
        self.at(index.checked_mul(32)?)
    }

    fn at(self, start: usize) -> Option<B256> {
        B256::try_from(self.0.get(start..start.checked_add(32)?)?).ok()
    }

    /// Whether there are so many.
    pub(super) fn has(self, count: usize) -> bool {
        count.checked_mul(32).is_some_and(|length| self.0.len() >= length)
    }

    /// The number in this place, if it has so few bits.
    pub(super) fn number<T: TryFrom<U256>>(self, index: usize) -> Option<T> {
        T::try_from(U256::from_be_bytes(self.word(index)?.0)).ok()
    }

    pub(super) fn flag(self, index: usize) -> Option<bool> {
        match self.number::<u8>(index)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(super) fn address(self, index: usize) -> Option<Address> {
        self.word(index).map(Address::from_word)
    }

    /// Bytes of any length: in this place it says where they begin.
    pub(super) fn bytes(self, index: usize) -> Option<Bytes> {
        let place = |word: B256| usize::try_from(U256::from_be_bytes(word.0)).ok();
        let length = place(self.word(index)?)?;
        let start = length.checked_add(32)?;
        let end = start.checked_add(place(self.at(length)?)?)?;
        self.0.get(start..end).map(Bytes::copy_from_slice)
    }
}
