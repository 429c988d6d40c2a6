//! Arbitrary ops on a lane.

use super::input::Input;
use alloy_primitives::{Address, B256, Bytes};
use farthing_protocol::amount::Amount;
use farthing_protocol::condition::{Condition, sha256};
use farthing_protocol::lane::{Lane, Op};
use farthing_protocol::tree::root_of_branch;

/// What is locked is the sum of the locks, what was refused or undone leaves no trace, and the tree is that of the
/// locks.
pub fn lane(data: &[u8]) {
    let mut input = Input::new(data);
    let mut lane = Lane::default();
    let mut history = Vec::new();
    for nonce in 1..64 {
        if input.is_empty() {
            break;
        }
        let before = lane.statement(nonce, 0);
        let ops: Vec<Op> = (0..input.byte() % 5).map(|_| op(&mut input, 10)).collect();
        match lane.apply(nonce, &ops) {
            Ok(undo) => {
                check(&mut lane);
                assert!(lane.transferred >= before.transferred);
                history.push((undo, before));
            }
            Err(_) => assert_eq!(lane.statement(nonce, 0), before),
        }
        if input.byte().is_multiple_of(8)
            && let Some((undo, before)) = history.pop()
        {
            lane.undo(undo);
            assert_eq!(lane.statement(before.nonce, 0), before);
        }
    }
    while let Some((undo, before)) = history.pop() {
        lane.undo(undo);
        assert_eq!(lane.statement(before.nonce, 0), before);
    }
    assert!(lane.locks.is_empty());
}

fn check(lane: &mut Lane) {
    let sum: Amount = lane
        .locks
        .values()
        .map(|pending| pending.lock.value().unwrap())
        .fold(Amount::ZERO, |sum, value| sum.plus(value).unwrap());
    assert_eq!(lane.locked, sum);
    lane.spent().unwrap();
    let mut again = Lane::from_parts(lane.transferred, lane.locked, lane.locks.clone());
    assert_eq!(again.root(), lane.root());
    if let Some((slot, pending)) = lane.locks.iter().next() {
        assert!(pending.lock.redeemed < pending.lock.n);
        let (slot, leaf) = (*slot, pending.lock.leaf());
        assert_eq!(root_of_branch(slot, leaf, &lane.siblings(slot)), lane.root());
    }
}

/// An op, often one that fits.
pub fn op(input: &mut Input<'_>, expiry: u64) -> Op {
    let slot = match input.byte() {
        255 => u16::MAX,
        small => u16::from(small % 6),
    };
    match input.byte() % 6 {
        0 => Op::Transfer { amount: Amount::new(input.amount()), memo: "x".repeat(usize::from(input.byte()) * 2) },
        1 | 2 => Op::Lock {
            slot,
            condition: match input.byte() % 8 {
                0 => Condition::hash_chain(B256::repeat_byte(1), input.word()),
                1 => Condition::voucher(Address::repeat_byte(2), B256::ZERO),
                2 => Condition { address: Address::from_slice(&input.array::<20>()), params: Bytes::new() },
                byte => Condition::hash_lock(sha256(&[byte; 32])),
            },
            expiry: if input.byte() == 255 { input.number() } else { expiry },
            n: if input.byte() > 250 { input.word() } else { u32::from(input.byte() % 8) },
            unit_price: Amount::new(input.amount()),
            to: None,
            envelope: Bytes::new(),
        },
        3 => Op::Redeem { slot, units: if input.byte() > 250 { input.word() } else { u32::from(input.byte() % 8) } },
        _ => Op::Release { slot },
    }
}
