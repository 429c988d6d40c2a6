// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Lock} from "../interfaces/Types.sol";

/// @title The tree of a lane's locks
/// @notice Binary, of depth 16; an empty leaf is the zero word, and a node the hash of its children from left to right.
/// A leaf is the hash of 128 bytes and a node that of 64, so neither can be passed off as the other.
library LockTree {
    /// @notice The root of the tree without locks.
    bytes32 internal constant EMPTY_ROOT = 0x2733e50f526ec2fa19a22b31e8ed50f23cd1fdf94c9154ed3a7609a2f1ff981f;

    /// @notice The leaf of a lock.
    function leafOf(Lock calldata lock) internal pure returns (bytes32) {
        return keccak256(abi.encode(lock.key, lock.n, lock.unitPrice, lock.redeemed));
    }

    /// @notice The root of a tree that has the leaf in the slot. Bit `i` of the slot says whether the node at height
    /// `i` is the right child. A sibling of zero stands for an empty tree of its height: no other node is zero, and
    /// most trees are nearly empty, which makes their calldata cheap.
    function rootOf(bytes32 leaf, uint16 slot, bytes32[16] calldata siblings) internal pure returns (bytes32 node) {
        assembly ("memory-safe") {
            node := leaf
            let empty := 0
            for { let height := 0 } lt(height, 16) { height := add(height, 1) } {
                let sibling := calldataload(add(siblings, shl(5, height)))
                if iszero(sibling) { sibling := empty }
                // The node goes to the left half of the scratch space, or to the right one, and its sibling to the other.
                let place := shl(5, and(shr(height, slot), 1))
                mstore(place, node)
                mstore(xor(place, 0x20), sibling)
                node := keccak256(0x00, 0x40)
                mstore(0x00, empty)
                mstore(0x20, empty)
                empty := keccak256(0x00, 0x40)
            }
        }
    }
}
