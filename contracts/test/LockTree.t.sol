// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Lock} from "../src/interfaces/IFarthing.sol";
import {LockTree} from "../src/lib/LockTree.sol";
import {Tree} from "./utils/Tree.sol";
import {vm} from "./utils/Vm.sol";

contract LockTreeTest {
    function test_emptyRoot_isThatOfTheTree() public pure {
        vm.assertEq(LockTree.EMPTY_ROOT, Tree.rootOf(new Tree.Leaf[](0)));
        bytes32 node;
        for (uint256 i = 0; i < 16; ++i) {
            node = keccak256(abi.encodePacked(node, node));
        }
        vm.assertEq(LockTree.EMPTY_ROOT, node);
    }

    function test_leafOf_isAsAgreed() public view {
        Lock memory lock = Lock("key", 7, 8, 2);
        vm.assertEq(this.leafOf(lock), keccak256(abi.encode(bytes32("key"), uint256(7), uint256(8), uint256(2))));
    }

    /// @dev A tree of two leaves, put together by hand: bit 0 of the slot says left or right at the leaves.
    function test_rootOf_readsSlotsFromTheLowestBit() public view {
        bytes32[16] memory siblings;
        siblings[0] = "neighbour";
        bytes32 node = keccak256(abi.encodePacked(bytes32("neighbour"), bytes32("leaf")));
        bytes32 empty;
        for (uint256 height = 1; height < 16; ++height) {
            empty = keccak256(abi.encodePacked(empty, empty));
            node = keccak256(abi.encodePacked(node, empty));
        }
        vm.assertEq(this.rootOf("leaf", 1, siblings), node);
    }

    /// @dev What is empty need not be spelled out, and may be.
    function test_rootOf_takesZeroForAnEmptyTree() public view {
        Tree.Leaf[] memory leaves = new Tree.Leaf[](2);
        (leaves[0], leaves[1]) = (Tree.Leaf(6, "six"), Tree.Leaf(9, "nine"));
        bytes32[16] memory siblings = Tree.siblingsOf(leaves, 6);
        vm.assertEq(this.rootOf("six", 6, siblings), Tree.rootOf(leaves));
        // Slots 6 and 9 meet at height 3: there is the only sibling that is not empty.
        for (uint256 height = 0; height < 16; ++height) {
            if (height != 3) siblings[height] = 0;
        }
        vm.assertEq(this.rootOf("six", 6, siblings), Tree.rootOf(leaves));
        siblings[3] = 0;
        vm.assertTrue(this.rootOf("six", 6, siblings) != Tree.rootOf(leaves));
    }

    function testFuzz_rootOf_agreesWithTheWholeTree(uint16[4] memory slots, bytes32[4] memory values) public view {
        Tree.Leaf[] memory leaves = new Tree.Leaf[](4);
        for (uint16 i = 0; i < 4; ++i) {
            // One quarter of the slots each, so that no two are equal.
            leaves[i] = Tree.Leaf(slots[i] % 16_384 * 4 + i, values[i]);
        }
        bytes32 root = Tree.rootOf(leaves);
        for (uint256 i = 0; i < 4; ++i) {
            bytes32[16] memory siblings = Tree.siblingsOf(leaves, leaves[i].slot);
            vm.assertEq(this.rootOf(values[i], leaves[i].slot, siblings), root);
            vm.assertTrue(this.rootOf(~values[i], leaves[i].slot, siblings) != root);
        }
    }

    function leafOf(Lock calldata lock) external pure returns (bytes32) {
        return LockTree.leafOf(lock);
    }

    function rootOf(bytes32 leaf, uint16 slot, bytes32[16] calldata siblings) external pure returns (bytes32) {
        return LockTree.rootOf(leaf, slot, siblings);
    }
}
