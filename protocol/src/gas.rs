//! How much of the contract's gas our calls may take, and how many items fit one of them. The figures are those of
//! `contracts/snapshots/Farthing.json`, rounded up; a test of the contract keeps them true.

use crate::chain::EvidenceItem;
use crate::condition::Condition;
use alloc::vec::Vec;

/// What one call may take: a quarter of what a transaction may have at most (2^24, EIP-7825), so that it fits into a
/// block that is three quarters full already.
pub const CALL: u64 = 1 << 22;

/// Recording one preimage, in a transaction of its own: 21,000 for the transaction, 27,000 for the call, and some
/// 2,000 for its calldata.
pub const PREIMAGE: u64 = 50_000;

/// One more piece of evidence in a batch: as [`PREIMAGE`] without the transaction, and a voucher's signature.
pub const EVIDENCE: u64 = 40_000;

/// Each unit that a hash chain's evidence proves is a hash: 52.4, rounded up.
pub const CHAIN_UNIT: u64 = 53;

/// A proof with locks and its acknowledgement: 66,000, and some 700 bytes of calldata.
pub const PROOF: u64 = 100_000;

/// Settling an asset: 42,000, and two payments that may each take what the contract allows for a token.
pub const SETTLE: u64 = 500_000;

/// One claim: 16 hashes, a word that is new, an event, and 770 bytes of calldata.
pub const CLAIM: u64 = 60_000;

/// What comes once with any number of claims: the payments to both sides.
pub const CLAIMS: u64 = 500_000;

/// Most proofs in one call.
pub const MAX_PROOFS: usize = fit(CALL, PROOF);
/// Most assets in one call that settles.
pub const MAX_SETTLED: usize = fit(CALL, SETTLE);
/// Most claims in one call.
pub const MAX_CLAIMS: usize = fit(CALL.saturating_sub(CLAIMS), CLAIM);

/// What evidence that proves `units` takes beyond that of a preimage. No evidence takes more than that of all units.
#[must_use]
pub fn surplus(condition: &Condition, units: u32) -> u64 {
    match condition.chain_length() {
        Some(length) => u64::from(units.min(length)).saturating_mul(CHAIN_UNIT),
        None => 0,
    }
}

/// What one piece of evidence takes in a batch.
#[must_use]
pub fn evidence(condition: &Condition, units: u32) -> u64 {
    surplus(condition, units).saturating_add(EVIDENCE)
}

/// Evidence in calls of which each takes at most [`CALL`], in the order given.
#[must_use]
pub fn evidence_calls<T>(items: Vec<T>, item: impl Fn(&T) -> (&EvidenceItem, u32)) -> Vec<Vec<T>> {
    let mut calls: Vec<Vec<T>> = Vec::new();
    let mut room = 0;
    for entry in items {
        let (piece, units) = item(&entry);
        let gas = evidence(&piece.condition, units);
        match calls.last_mut() {
            Some(call) if gas <= room => {
                room = room.saturating_sub(gas);
                call.push(entry);
            }
            _ => {
                room = CALL.saturating_sub(gas);
                calls.push([entry].into());
            }
        }
    }
    calls
}

#[allow(clippy::cast_possible_truncation, reason = "a small quotient of two constants")]
const fn fit(call: u64, item: u64) -> usize {
    call.div_euclid(item) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    fn piece(condition: Condition) -> EvidenceItem {
        EvidenceItem { condition, expiry: 1, evidence: Default::default() }
    }

    #[test]
    fn a_call_takes_what_fits_and_one_item_that_does_not() {
        assert_eq!((MAX_PROOFS, MAX_SETTLED, MAX_CLAIMS), (41, 8, 61));
        let long = || (piece(Condition::hash_chain(B256::ZERO, 1 << 14)), 1 << 14);
        let short = || (piece(Condition::hash_lock([0; 32])), u32::MAX);
        let sizes = |items: Vec<(EvidenceItem, u32)>| {
            evidence_calls(items, |(item, units)| (item, *units)).iter().map(Vec::len).collect::<Vec<_>>()
        };
        // 868,352 for the hashes of the longest chain, so four of them: 4 * 908,352 = 3,633,408 of 4,194,304.
        assert_eq!(sizes((0..9).map(|_| long()).collect()), [4, 4, 1]);
        assert_eq!(sizes((0..105).map(|_| short()).collect()), [104, 1]);
        assert_eq!(sizes((0..4).map(|_| long()).chain([short(), long()]).collect()), [5, 1]);
        assert_eq!(sizes(Vec::new()), [0_usize; 0]);
    }
}
