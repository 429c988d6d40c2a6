//! Leaves, roots and branches of the tree of locks.

use crate::common::{bytes, siblings_json, text};
use alloy_primitives::{B256, keccak256};
use farthing_protocol::amount::Amount;
use farthing_protocol::condition::ConditionKey;
use farthing_protocol::lane::Lock;
use farthing_protocol::tree::{LockTree, empty_root};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) fn all() -> Value {
    json!({
        "about": "leaf = keccak256(abi.encode(key, n, unitPrice, redeemed)); node = keccak256(left ‖ right); depth 16; an empty leaf is the zero word; bit i of the slot says whether the node at height i is the right one",
        "emptyRoot": bytes(empty_root()),
        "leaves": leaves(),
        "trees": trees(),
    })
}

fn leaves() -> Vec<Value> {
    [
        ("nothing", B256::ZERO, 0, 0, 0),
        ("one unit", keccak256("one"), 1, 1_000_000_000_000_000_000, 0),
        ("partly redeemed", keccak256("some"), 10, 3, 4),
        ("the largest of everything", B256::repeat_byte(0xff), u32::MAX, u128::MAX, u32::MAX),
    ]
    .into_iter()
    .map(|(name, key, n, unit_price, redeemed)| {
        let lock = Lock { key: ConditionKey(key), n, unit_price: Amount::new(unit_price), redeemed };
        json!({
            "name": name, "key": bytes(key), "n": n, "unitPrice": text(unit_price), "redeemed": redeemed,
            "leaf": bytes(lock.leaf()),
        })
    })
    .collect()
}

fn trees() -> Vec<Value> {
    let leaf = |slot: u16| keccak256(slot.to_be_bytes());
    let set = |slots: &[u16]| slots.iter().map(|slot| (*slot, leaf(*slot))).collect::<Vec<_>>();
    let many: Vec<u16> = (0..40_u16).map(|i| i.wrapping_mul(40_503)).collect();
    let mut freed = set(&[0, 1, 2, 9]);
    freed.extend([(1, B256::ZERO), (9, B256::ZERO), (9, keccak256("used again"))]);
    let mut all_freed = set(&[5, 6, 65_535]);
    all_freed.extend([5, 6, 65_535].map(|slot| (slot, B256::ZERO)));
    [
        ("empty", Vec::new()),
        ("one leaf in the first slot", set(&[0])),
        ("one leaf in the last slot", set(&[65_535])),
        ("two neighbours", set(&[2, 3])),
        ("the two halves", set(&[32_767, 32_768])),
        ("many", set(&many)),
        ("a freed slot, and one used again", freed),
        ("all slots freed", all_freed),
    ]
    .into_iter()
    .map(|(name, steps)| tree(name, &steps))
    .collect()
}

fn tree(name: &str, steps: &[(u16, B256)]) -> Value {
    let mut tree = LockTree::default();
    let mut leaves = BTreeMap::new();
    for (slot, leaf) in steps {
        tree.set(*slot, *leaf);
        // The root is taken at every step, as a lane does.
        tree.root();
        leaves.insert(*slot, *leaf);
    }
    let entry = |(slot, leaf): &(u16, B256)| json!({ "slot": slot, "leaf": bytes(leaf) });
    let branches: Vec<Value> = leaves
        .iter()
        .take(6)
        .chain(leaves.is_empty().then_some((&4711, &B256::ZERO)))
        .map(|(slot, leaf)| {
            json!({ "slot": slot, "leaf": bytes(leaf), "siblings": siblings_json(&tree.siblings(*slot)) })
        })
        .collect();
    json!({
        "name": name,
        "steps": steps.iter().map(entry).collect::<Vec<_>>(),
        "root": bytes(tree.root()),
        "branches": branches,
    })
}
