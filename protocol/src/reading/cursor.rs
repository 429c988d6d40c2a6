//! How far the chain was read, as it is stored.
//!
//! Duty: what it says is durable before any fact is told that was read at its block, since that block may be
//! reorganised while nobody looks; and the first block that is not told yet moves on only after the listener has made
//! all facts of the blocks below durable.

use super::question::Block;
use crate::error::{Code, Error};
use crate::types::Asset;
use alloc::string::String;
use alloc::vec::Vec;
use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

/// How far the chain was read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cursor {
    /// The highest block at which anything was read.
    pub(super) number: u64,
    /// Its hash.
    pub(super) hash: B256,
    /// The first block of whose logs the listener does not hold all facts.
    pub(super) next: u64,
    /// Whether every channel has to be read again, since a reorg went below what was final, or an asset is new.
    pub(super) whole: bool,
    /// Assets whose states are read; none for all of them.
    pub(super) assets: Option<Vec<Asset>>,
}

impl Cursor {
    /// Where a node begins that has no locks that older evidence could matter to. All it knows has to be read.
    pub(super) const fn fresh(at: Block, assets: Option<Vec<Asset>>) -> Self {
        Self { number: at.number, hash: at.hash, next: at.number, whole: true, assets }
    }

    /// As it was stored. Assets that were not read until now make every channel one that has to be read.
    pub fn restore(text: &str, assets: Option<Vec<Asset>>) -> Result<Self, Error> {
        let damaged = || Error::new(Code::StorageCorrupt, "the stored cursor is damaged");
        let stored = serde_json::from_str(text).ok().or_else(|| Self::short(text)).ok_or_else(damaged)?;
        let stored: Self = stored;
        let covered = match (&stored.assets, &assets) {
            (Some(before), Some(now)) => now.iter().all(|asset| before.contains(asset)),
            (before, now) => before.is_none() && now.is_none(),
        };
        Ok(Self { whole: stored.whole || !covered, assets, ..stored })
    }

    /// A number and a hash: all was told up to that block, and nothing is known of the assets.
    fn short(text: &str) -> Option<Self> {
        let (number, hash) = text.split_once(' ')?;
        let (number, hash) = (number.parse::<u64>().ok()?, hash.parse().ok()?);
        Some(Self { number, hash, next: number.saturating_add(1), whole: false, assets: None })
    }

    /// As it is stored.
    pub fn text(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|_| Error::new(Code::Internal, "the cursor can't be stored"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn assets(bytes: &[u8]) -> Option<Vec<Asset>> {
        Some(bytes.iter().map(|byte| Asset::repeat_byte(*byte)).collect())
    }

    #[test]
    fn an_asset_that_was_not_read_before_makes_everything_unread() {
        let at = Block { number: 7, hash: B256::repeat_byte(7), timestamp: 70 };
        let cursor = Cursor { whole: false, next: 5, ..Cursor::fresh(at, assets(&[1, 2])) };
        let text = cursor.text().unwrap();
        assert_eq!(Cursor::restore(&text, assets(&[1, 2])).unwrap(), cursor);
        let fewer = Cursor::restore(&text, assets(&[1])).unwrap();
        assert_eq!((fewer.whole, &fewer.assets), (false, &assets(&[1])));
        let again = Cursor::restore(&fewer.text().unwrap(), assets(&[1, 2])).unwrap();
        assert_eq!((again.whole, again.next), (true, 5), "nobody read it while it was not listed");
        assert!(Cursor::restore("7 0x07", assets(&[1])).is_err());
        let short = format!("{} {}", cursor.number, cursor.hash);
        let restored = Cursor::restore(&short, None).unwrap();
        assert_eq!((restored.next, restored.whole), (8, false));
        assert!(Cursor::restore(&short, assets(&[1])).unwrap().whole);
    }
}
