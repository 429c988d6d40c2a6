// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @dev A tree of locks, built the slow and obvious way.
library Tree {
    struct Leaf {
        uint16 slot;
        bytes32 value;
    }

    function rootOf(Leaf[] memory leaves) internal pure returns (bytes32) {
        return _node(leaves, 16, 0);
    }

    function siblingsOf(Leaf[] memory leaves, uint16 slot) internal pure returns (bytes32[16] memory siblings) {
        for (uint256 height = 0; height < 16; ++height) {
            siblings[height] = _node(leaves, height, (uint256(slot) >> height) ^ 1);
        }
    }

    function _node(Leaf[] memory leaves, uint256 height, uint256 index) private pure returns (bytes32) {
        if (!_contains(leaves, height, index)) return _empty(height);
        if (height == 0) {
            for (uint256 i = 0; i < leaves.length; ++i) {
                if (leaves[i].slot == index) return leaves[i].value;
            }
        }
        return keccak256(bytes.concat(_node(leaves, height - 1, 2 * index), _node(leaves, height - 1, 2 * index + 1)));
    }

    function _contains(Leaf[] memory leaves, uint256 height, uint256 index) private pure returns (bool) {
        for (uint256 i = 0; i < leaves.length; ++i) {
            if (uint256(leaves[i].slot) >> height == index) return true;
        }
        return false;
    }

    function _empty(uint256 height) private pure returns (bytes32 node) {
        for (uint256 i = 0; i < height; ++i) {
            node = keccak256(bytes.concat(node, node));
        }
    }
}
