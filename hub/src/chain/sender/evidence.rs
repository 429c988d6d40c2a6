//! Evidence of many locks in one transaction, so that nobody can drown the large ones in small ones.

use super::gas::{GasPolicy, Limit, Market};
use crate::store::StoredOrder;
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, sol};
use farthing_protocol::condition::{Condition, Kind};

sol! {
    #[derive(Debug)]
    struct EvidenceItem {
        address condition;
        bytes params;
        uint64 expiry;
        bytes evidence;
    }
    function recordEvidence(address condition, bytes params, uint64 expiry, bytes evidence);
    function recordEvidenceBatch(EvidenceItem[] items);
}

/// Most gas of one transaction: about 130 locks of 45,000 gas each. A block of 30 million takes five of them, and one
/// stays well below the 16.7 million that a transaction may have (EIP-7825).
const BATCH_GAS: u64 = 6_000_000;
/// At most this part of a block's gas.
const PART_OF_BLOCK: u64 = 4;
/// Of a transaction, whatever it does.
const BASE_GAS: u64 = 30_000;
/// For each item: a new slot of storage (22,100), an event (about 3,000), two calls, the rest of the calldata.
const ITEM_GAS: u64 = 40_000;
/// For each byte of calldata.
const BYTE_GAS: u64 = 16;
/// For each step of a hash chain.
const STEP_GAS: u64 = 100;
/// What a condition of somebody else's may take.
const EXTERNAL_GAS: u64 = 500_000;

/// Orders that go into one transaction.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) orders: Vec<StoredOrder>,
    pub(super) data: Bytes,
    /// Gas that it needs at most, by arithmetic: what the contract skips when gas runs out is not seen by an estimate.
    pub(super) gas: u64,
    pub(super) limit: Limit,
}

/// An order's items and what they need.
#[derive(Debug)]
struct Piece {
    order: StoredOrder,
    items: Vec<EvidenceItem>,
    gas: u64,
    limit: Limit,
}

/// The evidence that an order records, if that is what it does.
fn items_of(order: &StoredOrder, contract: Address) -> Option<Vec<EvidenceItem>> {
    if order.to != contract || !order.value.is_zero() {
        return None;
    }
    if let Ok(call) = recordEvidenceBatchCall::abi_decode(&order.data) {
        return Some(call.items);
    }
    let call = recordEvidenceCall::abi_decode(&order.data).ok()?;
    let recordEvidenceCall { condition, params, expiry, evidence } = call;
    Some(vec![EvidenceItem { condition, params, expiry, evidence }])
}

fn gas_of(item: &EvidenceItem) -> u64 {
    let kind = Condition { address: item.condition, params: item.params.clone() }.kind();
    let work = match kind {
        Kind::HashLock | Kind::Voucher => 0,
        // The steps come first in the evidence; the contract takes no more than its maximum.
        Kind::HashChain => {
            let steps = item.evidence.first_chunk::<4>().map_or(u32::MAX, |bytes| u32::from_be_bytes(*bytes));
            u64::from(steps.min(farthing_protocol::condition::MAX_CHAIN)).saturating_mul(STEP_GAS)
        }
        Kind::External(_) => EXTERNAL_GAS,
    };
    let bytes = item.params.len().saturating_add(item.evidence.len());
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(BYTE_GAS);
    ITEM_GAS.saturating_add(work).saturating_add(bytes)
}

/// Splits orders, the most valuable first, into transactions. What is not worth its gas now is left out; what is no
/// evidence is returned as it came.
pub(super) fn plan(
    orders: Vec<StoredOrder>,
    contract: Address,
    policy: &GasPolicy,
    market: Market,
    block_gas: u64,
) -> (Vec<Batch>, Vec<StoredOrder>) {
    let most = BATCH_GAS.min(block_gas.checked_div(PART_OF_BLOCK).unwrap_or(BATCH_GAS));
    let (mut pieces, mut rest) = (Vec::new(), Vec::new());
    for order in orders {
        let Some(items) = items_of(&order, contract) else {
            rest.push(order);
            continue;
        };
        let gas = items.iter().map(gas_of).fold(0, u64::saturating_add);
        let limit = policy.limit(&order.purpose);
        let price = market.base_fee.saturating_add(market.priority_fee.min(policy.max_priority_fee));
        if super::gas::cost(gas, price) <= limit.budget {
            pieces.push(Piece { order, items, gas, limit });
        }
    }
    // Those whose worth is known are not bound by the configured fee: others must not bind them.
    pieces.sort_by_key(|piece| (piece.limit.is_capped, std::cmp::Reverse(piece.limit.budget)));
    let mut batches = Vec::new();
    let mut open: Vec<Piece> = Vec::new();
    let mut gas = BASE_GAS;
    for piece in pieces {
        let fits = gas.saturating_add(piece.gas) <= most;
        let alike = open.last().is_none_or(|last| last.limit.is_capped == piece.limit.is_capped);
        let joins = open.is_empty() || (fits && alike);
        if !joins {
            batches.push(batch(std::mem::take(&mut open), gas));
            gas = BASE_GAS;
        }
        gas = gas.saturating_add(piece.gas);
        open.push(piece);
    }
    if !open.is_empty() {
        batches.push(batch(open, gas));
    }
    (batches, rest)
}

fn batch(pieces: Vec<Piece>, gas: u64) -> Batch {
    let is_capped = pieces.iter().any(|piece| piece.limit.is_capped);
    let budget = pieces.iter().fold(U256::ZERO, |sum, piece| sum.saturating_add(piece.limit.budget));
    let single = pieces.len() == 1;
    let (mut orders, mut items) = (Vec::with_capacity(pieces.len()), Vec::with_capacity(pieces.len()));
    let mut data = Bytes::new();
    for piece in pieces {
        data = piece.order.data.clone().into();
        orders.push(piece.order);
        items.extend(piece.items);
    }
    if !single {
        data = recordEvidenceBatchCall { items }.abi_encode().into();
    }
    Batch { orders, data, gas, limit: Limit { budget, is_capped } }
}
