//! The tree of locks: a binary Merkle tree of fixed depth 16, kept sparse, whose root a balance proof signs.

use crate::map::{Map, Set};
use alloc::vec::Vec;
use alloy_primitives::{B256, keccak256};

/// Levels below the root; the tree has `2^16` slots.
pub const DEPTH: usize = 16;

/// An incremental lock tree. Changing one slot costs 16 hashes at the next [`LockTree::root`];
/// many changes share the hashes of their common ancestors.
#[derive(Clone, Debug)]
pub struct LockTree {
    /// Nodes that differ from the empty tree's, by (height, index).
    nodes: Map<(u8, u16), B256>,
    dirty: Set<u16>,
    /// Root of the empty subtree at each height, 0 (a leaf) to 16 (the tree).
    empty: [B256; DEPTH + 1],
}

impl Default for LockTree {
    fn default() -> Self {
        let mut empty = [B256::ZERO; DEPTH + 1];
        let mut node = B256::ZERO;
        for slot in empty.iter_mut().skip(1) {
            node = parent(node, node);
            *slot = node;
        }
        Self { nodes: Map::new(), dirty: Set::new(), empty }
    }
}

impl LockTree {
    /// Puts a leaf into a slot; the zero word empties it.
    pub fn set(&mut self, slot: u16, leaf: B256) {
        if leaf.is_zero() {
            self.nodes.remove(&(0, slot));
        } else {
            self.nodes.insert((0, slot), leaf);
        }
        self.dirty.insert(slot);
    }

    /// The root over all slots.
    pub fn root(&mut self) -> B256 {
        let mut dirty: Vec<u16> = core::mem::take(&mut self.dirty).into_iter().collect();
        for height in 0..16_u8 {
            let mut above: Vec<u16> = Vec::with_capacity(dirty.len());
            for index in dirty {
                let up = index >> 1;
                if above.last() == Some(&up) {
                    continue;
                }
                above.push(up);
                let left = self.node(height, index & !1);
                let right = self.node(height, index | 1);
                let node = parent(left, right);
                // Heights stay below 16, so the sum cannot overflow.
                let level = height.saturating_add(1);
                if node == self.empty_at(level) {
                    self.nodes.remove(&(level, up));
                } else {
                    self.nodes.insert((level, up), node);
                }
            }
            dirty = above;
        }
        self.node(16, 0)
    }

    /// The siblings of a slot from the leaf's level up, as `claimLock` takes them.
    pub fn siblings(&mut self, slot: u16) -> [B256; DEPTH] {
        self.root();
        let mut siblings = [B256::ZERO; DEPTH];
        let mut index = slot;
        for (height, sibling) in (0_u8..).zip(siblings.iter_mut()) {
            *sibling = self.node(height, index ^ 1);
            index >>= 1;
        }
        siblings
    }

    fn node(&self, height: u8, index: u16) -> B256 {
        self.nodes.get(&(height, index)).copied().unwrap_or_else(|| self.empty_at(height))
    }

    fn empty_at(&self, height: u8) -> B256 {
        self.empty.get(usize::from(height)).copied().unwrap_or_default()
    }
}

/// The root of the tree with no locks.
#[must_use]
pub fn empty_root() -> B256 {
    let mut node = B256::ZERO;
    for _ in 0..DEPTH {
        node = parent(node, node);
    }
    node
}

/// The root that a leaf at `slot` with these siblings proves.
#[must_use]
pub fn root_of_branch(slot: u16, leaf: B256, siblings: &[B256; DEPTH]) -> B256 {
    let mut node = leaf;
    for (height, sibling) in siblings.iter().enumerate() {
        node = if (slot >> height) & 1 == 1 { parent(*sibling, node) } else { parent(node, *sibling) };
    }
    node
}

fn parent(left: B256, right: B256) -> B256 {
    let mut data = [0_u8; 64];
    let (low, high) = data.split_at_mut(32);
    low.copy_from_slice(left.as_slice());
    high.copy_from_slice(right.as_slice());
    keccak256(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    fn naive_root(leaves: &BTreeMap<u16, B256>) -> B256 {
        let mut level: Vec<B256> = (0..=u16::MAX).map(|slot| leaves.get(&slot).copied().unwrap_or_default()).collect();
        while level.len() > 1 {
            level = level.chunks(2).map(|pair| parent(pair[0], pair[1])).collect();
        }
        level[0]
    }

    #[test]
    fn root_of_many_changes_equals_the_naive_one() {
        let mut tree = LockTree::default();
        let mut leaves = BTreeMap::new();
        for slot in [0, 1, 2, 7, 8, 255, 256, 40_000, u16::MAX] {
            let leaf = keccak256(slot.to_be_bytes());
            tree.set(slot, leaf);
            leaves.insert(slot, leaf);
        }
        assert_eq!(tree.root(), naive_root(&leaves));
        tree.set(7, B256::ZERO);
        leaves.remove(&7);
        assert_eq!(tree.root(), naive_root(&leaves));
    }

    proptest! {
        #[test]
        fn siblings_prove_their_leaf_and_emptying_restores_the_empty_root(slots in proptest::collection::btree_set(any::<u16>(), 1..40)) {
            let mut tree = LockTree::default();
            for slot in &slots {
                tree.set(*slot, keccak256(slot.to_be_bytes()));
            }
            let root = tree.root();
            for slot in &slots {
                prop_assert_eq!(root_of_branch(*slot, keccak256(slot.to_be_bytes()), &tree.siblings(*slot)), root);
            }
            for slot in &slots {
                tree.set(*slot, B256::ZERO);
            }
            prop_assert_eq!(tree.root(), empty_root());
            prop_assert!(tree.nodes.is_empty());
        }
    }
}
