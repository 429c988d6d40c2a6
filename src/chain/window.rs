//! The newest blocks, each the child of the one before: what their headers say need not be asked for again.

use crate::js::{bytes, get, get_string, quantity};
use alloy_primitives::{Address, keccak256};
use farthing_protocol::reading;
use js_sys::Array;
use std::collections::VecDeque;
use wasm_bindgen::prelude::*;

/// How many are kept: more than the confirmations that are waited for.
const KEPT: usize = 256;

/// By how many the time between two is measured.
const MEASURED: usize = 16;

/// The shortest and the longest time between two blocks that is believed, in milliseconds.
const INTERVAL: (u64, u64) = (250, 15_000);

/// What a header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) number: u64,
    pub(super) timestamp: u64,
    hash: String,
    parent: String,
    /// Its filter of logs; `None` where the node gives none that can be relied on.
    bloom: Option<Vec<u8>>,
}

impl Block {
    pub(super) fn parse(block: &JsValue) -> Option<Self> {
        let bloom = get_string(block, "logsBloom").and_then(|bloom| bytes(&bloom)).filter(|bloom| bloom.len() == 256);
        let empty = get(block, "transactions").dyn_ref::<Array>().is_some_and(|all| all.length() == 0);
        Some(Self {
            number: quantity(&get(block, "number"))?,
            timestamp: quantity(&get(block, "timestamp"))?,
            hash: get_string(block, "hash").unwrap_or_default(),
            parent: get_string(block, "parentHash").unwrap_or_default(),
            // Some chains leave it empty, whatever was logged.
            bloom: bloom.filter(|bloom| empty || bloom.iter().any(|byte| *byte != 0)),
        })
    }

    /// As the machine that reads the chain knows it.
    pub(super) fn known(&self) -> reading::Block {
        let hash = self.hash.parse().unwrap_or_default();
        reading::Block { number: self.number, hash, timestamp: self.timestamp }
    }

    /// Whether this address has logged nothing in it, for sure.
    fn is_quiet(&self, address: Address) -> bool {
        self.bloom.as_ref().is_some_and(|bloom| !may_hold(bloom, address))
    }
}

/// Whether a filter of 2,048 bits may hold an address: three bits of its hash are set.
fn may_hold(bloom: &[u8], address: Address) -> bool {
    keccak256(address).chunks_exact(2).take(3).all(|pair| {
        let bit = pair.iter().fold(0_usize, |bits, byte| bits.wrapping_shl(8) | usize::from(*byte)) & 2_047;
        let byte = bloom.get(255_usize.saturating_sub(bit >> 3));
        byte.is_some_and(|byte| byte & 1_u8.wrapping_shl(u32::try_from(bit & 7).unwrap_or_default()) != 0)
    })
}

/// What two nodes must agree on of a block.
pub(super) fn identity(block: &JsValue) -> Option<String> {
    let block = Block::parse(block)?;
    Some(format!("{} {} {}", block.number, block.timestamp, block.hash))
}

#[derive(Debug)]
pub(super) struct Window {
    contract: Address,
    blocks: VecDeque<Block>,
}

impl Window {
    pub(super) const fn new(contract: Address) -> Self {
        Self { contract, blocks: VecDeque::new() }
    }

    pub(super) fn newest(&self) -> Option<u64> {
        self.blocks.back().map(|block| block.number)
    }

    /// Takes a block in. What it does not build on is forgotten: a reorganisation took it back, or blocks are missing.
    pub(super) fn push(&mut self, block: Block) {
        match self.blocks.back() {
            Some(last) if last.hash == block.hash && !block.hash.is_empty() => return,
            Some(last)
                if last.number.checked_add(1) == Some(block.number)
                    && last.hash == block.parent
                    && !block.parent.is_empty() => {}
            _ => self.blocks.clear(),
        }
        self.blocks.push_back(block);
        if self.blocks.len() > KEPT {
            self.blocks.pop_front();
        }
    }

    /// What was seen does not count any more.
    pub(super) fn forget(&mut self) {
        self.blocks.clear();
    }

    pub(super) fn find(&self, number: u64) -> Option<&Block> {
        let first = self.blocks.front()?.number;
        self.blocks.get(usize::try_from(number.checked_sub(first)?).ok()?)
    }

    pub(super) fn is_quiet(&self, from: u64, to: u64) -> bool {
        (from..=to).all(|number| self.find(number).is_some_and(|block| block.is_quiet(self.contract)))
    }

    /// The time between two blocks: the middle one of those that were measured, since a chain may have stood still.
    pub(super) fn interval(&self) -> u32 {
        let times: Vec<u64> = self.blocks.iter().rev().take(MEASURED).map(|block| block.timestamp).collect();
        let gaps = times.iter().zip(times.iter().skip(1));
        let mut gaps: Vec<u64> = gaps.map(|(later, earlier)| later.saturating_sub(*earlier)).collect();
        gaps.sort_unstable();
        let middle = gaps.get(gaps.len().div_euclid(2)).copied().unwrap_or_default();
        u32::try_from(middle.saturating_mul(1_000).clamp(INTERVAL.0, INTERVAL.1)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::address;

    const CONTRACT: Address = address!("0x5FbDB2315678afecb367f032d93F642f64180aa3");

    fn block(number: u64, fork: u8, bloom: Option<Vec<u8>>) -> Block {
        let hash = |number: u64| format!("{number}/{fork}");
        let parent = hash(number.saturating_sub(1));
        Block { number, timestamp: number * 12, hash: hash(number), parent, bloom }
    }

    fn bloom_of(address: Address) -> Vec<u8> {
        let mut bloom = vec![0; 256];
        let hash = keccak256(address);
        for pair in hash.chunks_exact(2).take(3) {
            let bit = (usize::from(pair[0]) * 256 + usize::from(pair[1])) % 2_048;
            bloom[255 - bit / 8] |= 1 << (bit % 8);
        }
        bloom
    }

    #[test]
    fn blocks_are_quiet_only_when_each_was_seen_and_says_so() {
        let mut window = Window::new(CONTRACT);
        for number in 5..9 {
            window.push(block(number, 0, Some(vec![0; 256])));
        }
        assert!(window.is_quiet(5, 8));
        assert!(!window.is_quiet(4, 8));
        assert!(!window.is_quiet(5, 9));
        window.push(block(9, 0, None));
        assert!(!window.is_quiet(5, 9));
        window.push(block(10, 0, Some(bloom_of(CONTRACT))));
        window.push(block(11, 0, Some(bloom_of(Address::ZERO))));
        assert!(!window.is_quiet(10, 10));
        assert!(window.is_quiet(11, 11));
    }

    #[test]
    fn a_gap_and_another_branch_forget_what_was_seen() {
        let mut window = Window::new(CONTRACT);
        window.push(block(5, 0, Some(vec![0; 256])));
        window.push(block(7, 0, Some(vec![0; 256])));
        assert_eq!(window.find(5), None);
        assert_eq!(window.find(7).map(|block| block.timestamp), Some(84));
        window.push(block(8, 1, Some(vec![0; 256])));
        assert_eq!(window.find(7), None);
        assert!(window.is_quiet(8, 8));
    }

    #[test]
    fn the_time_between_blocks_is_measured_within_bounds() {
        let mut window = Window::new(CONTRACT);
        assert_eq!(window.interval(), 250);
        for number in 1..40 {
            window.push(block(number, 0, None));
        }
        assert_eq!(window.interval(), 12_000);
        // A chain that stood still once is as fast as before.
        window.push(Block { timestamp: 1_000_000, ..block(40, 0, None) });
        assert_eq!(window.interval(), 12_000);
        let mut slow = Window::new(CONTRACT);
        for number in 1..40 {
            slow.push(Block { timestamp: number * 600, ..block(number, 0, None) });
        }
        assert_eq!(slow.interval(), 15_000);
    }
}
