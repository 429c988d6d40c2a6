// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

import {Lock} from "../interfaces/IFarthing.sol";

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
    /// `i` is the right child.
    function rootOf(bytes32 leaf, uint16 slot, bytes32[16] calldata siblings) internal pure returns (bytes32 node) {
        node = leaf;
        for (uint256 height = 0; height < 16; ++height) {
            bool isRight = (slot >> height) & 1 == 1;
            node = isRight
                ? Hashes.efficientKeccak256(siblings[height], node)
                : Hashes.efficientKeccak256(node, siblings[height]);
        }
    }
}
