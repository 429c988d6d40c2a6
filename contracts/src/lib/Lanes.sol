// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {LaneState, SignedProof} from "../interfaces/Types.sol";
import {LockTree} from "./LockTree.sol";

/// @dev A lane's best proof, packed: a proof writes one word, and a second one for the root of its locks. Amounts that
/// the first word has no room for, from 2^96 transferred or 2^80 locked, have their upper bits in a third.
/// @param head From the lowest bit: nonce (64), transferred (96), locked (80), acknowledged (8), wide (8).
/// @param locksRoot Counts only if something is locked; else it is an older proof's.
/// @param high If the head is wide: the upper bits of transferred (128), then of locked; else an older proof's.
/// @param claims What claims did, slot by slot.
struct Lane {
    uint256 head;
    bytes32 locksRoot;
    uint256 high;
    mapping(uint256 index => uint256 word) claims;
}

/// @title What the chain keeps of a lane
library Lanes {
    uint256 private constant TRANSFERRED_AT = 64;
    uint256 private constant LOCKED_AT = 160;
    uint256 private constant ACKNOWLEDGED = 1 << 240;
    uint256 private constant WIDE = 1 << 248;

    /// @dev 32 bits for the units that were paid, and one for whether the rest was returned.
    uint256 private constant CLAIM_BITS = 33;
    uint256 private constant CLAIM_MASK = 2 ** CLAIM_BITS - 1;
    uint256 private constant CLAIMS_PER_WORD = 7;

    /// @notice Keeps a proof as the lane's best.
    function keep(Lane storage lane, SignedProof calldata proof, bool acknowledged) internal {
        // These casts keep the lower bits on purpose; the upper ones are kept below.
        (uint96 transferred, uint80 locked) = (uint96(proof.transferred), uint80(proof.locked));
        uint256 head = proof.nonce | uint256(transferred) << TRANSFERRED_AT | uint256(locked) << LOCKED_AT;
        if (acknowledged) head |= ACKNOWLEDGED;
        if (transferred != proof.transferred || locked != proof.locked) {
            head |= WIDE;
            lane.high = (proof.transferred >> 96) | uint256(proof.locked >> 80) << 128;
        }
        lane.head = head;
        if (proof.locked != 0) lane.locksRoot = proof.locksRoot;
    }

    /// @notice The place of the best proof, and whether its payee acknowledged it; nonce zero if there is none.
    function rankOf(Lane storage lane) internal view returns (uint64 nonce, bool acknowledged) {
        uint256 head = lane.head;
        return (uint64(head), head & ACKNOWLEDGED != 0);
    }

    /// @notice What the lane's payer has paid, and what is locked.
    function amountsOf(Lane storage lane) internal view returns (uint128 transferred, uint128 locked) {
        uint256 head = lane.head;
        (transferred, locked) = (uint96(head >> TRANSFERRED_AT), uint80(head >> LOCKED_AT));
        if (head & WIDE != 0) {
            uint256 high = lane.high;
            (transferred, locked) = (transferred | uint128(high) << 96, locked | uint128(high >> 128) << 80);
        }
    }

    /// @notice The root of the tree of locks.
    function rootOf(Lane storage lane) internal view returns (bytes32) {
        (, uint128 locked) = amountsOf(lane);
        return locked == 0 ? LockTree.EMPTY_ROOT : lane.locksRoot;
    }

    /// @notice All of it.
    function read(Lane storage lane) internal view returns (LaneState memory) {
        (uint64 nonce, bool acknowledged) = rankOf(lane);
        (uint128 transferred, uint128 locked) = amountsOf(lane);
        return LaneState(nonce, acknowledged, transferred, locked, rootOf(lane));
    }

    /// @notice What claims did at a slot.
    function claimAt(Lane storage lane, uint16 slot) internal view returns (uint32 units, bool returned) {
        uint256 claim = lane.claims[slot / CLAIMS_PER_WORD] >> _shiftOf(slot);
        // The cast keeps the claim's own 32 bits: above them are its last one, and its neighbours.
        return (uint32(claim), (claim >> 32) & 1 == 1);
    }

    /// @notice Keeps what claims did at a slot; its neighbours in the word stay as they are.
    function setClaim(Lane storage lane, uint16 slot, uint32 units, bool returned) internal {
        uint256 shift = _shiftOf(slot);
        uint256 claim = uint256(units) | (returned ? 1 << 32 : 0);
        uint256 others = lane.claims[slot / CLAIMS_PER_WORD] & ~(CLAIM_MASK << shift);
        lane.claims[slot / CLAIMS_PER_WORD] = others | (claim << shift);
    }

    function _shiftOf(uint16 slot) private pure returns (uint256) {
        return (slot % CLAIMS_PER_WORD) * CLAIM_BITS;
    }
}
