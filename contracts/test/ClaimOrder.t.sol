// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Lock, LockClaim, SignedProof} from "../src/interfaces/IFarthing.sol";
import {Base} from "./utils/Base.sol";
import {Tree} from "./utils/Tree.sol";
import {vm} from "./utils/Vm.sol";

/// @dev Claims end with the same payments in whatever order they come, one by one or together, debts or not.
contract ClaimOrderTest is Base {
    uint16[4] private _slots = [uint16(0), 1, 40_000, 65_535];

    /// @dev The locks of both lanes, two each.
    struct Case {
        uint128 depositA;
        uint128 depositB;
        uint128 paidA;
        uint128 paidB;
        uint128[4] worth;
        uint8 proven;
    }

    function testFuzz_claimLock_inAnyOrder(uint256 seed) public {
        Case memory c;
        c.depositA = uint128(bound(seed & 0xffff, 1, 1000));
        c.depositB = uint128(bound((seed >> 16) & 0xffff, 1, 1000));
        c.paidA = uint128((seed >> 32) % 1500);
        c.paidB = uint128((seed >> 48) % 1500);
        for (uint256 i = 0; i < 4; ++i) {
            c.worth[i] = uint128(1 + (seed >> (64 + 16 * i)) % 700);
        }
        c.proven = uint8((seed >> 140) % 16);
        uint256[2] memory first = _run(c, 501, (seed >> 160) % 24, false);
        uint256[2] memory second = _run(c, 502, (seed >> 180) % 24, false);
        uint256[2] memory batched = _run(c, 503, 0, true);
        vm.assertEq(first[0], second[0]);
        vm.assertEq(first[1], second[1]);
        vm.assertEq(first[0], batched[0]);
        vm.assertEq(first[1], batched[1]);
        vm.assertEq(first[0] + first[1], uint256(c.depositA) + c.depositB);
    }

    function _run(Case memory c, uint64 salt, uint256 order, bool batched) private returns (uint256[2] memory) {
        channel = channelOf(address(uint160(0xa000000 + salt)), address(uint160(0xb000000 + salt)), salt);
        id = farthing.channelIdOf(channel);
        farthing.deposit{value: c.depositA}(channel, 0, ETHER, c.depositA);
        farthing.deposit{value: c.depositB}(channel, 1, ETHER, c.depositB);
        LockClaim[] memory claims = _claims(c, salt, uint64(block.timestamp) + 2 days);

        SignedProof[] memory proofs = new SignedProof[](2);
        for (uint8 payer = 0; payer < 2; ++payer) {
            uint128 locked = c.worth[payer * 2] + c.worth[payer * 2 + 1];
            bytes32 root = Tree.rootOf(_leaves(claims, payer));
            proofs[payer] = acknowledge(lockedProof(ETHER, payer, 1, payer == 0 ? c.paidA : c.paidB, locked, root));
        }
        exitBy(channel.a.owner, proofs);
        for (uint256 i = 0; i < 4; ++i) {
            bytes32 secret = bytes32(salt * 10 + i);
            if ((c.proven >> i) & 1 == 0) continue;
            farthing.recordEvidence(HASH_LOCK, hashOf(secret), claims[i].expiry, abi.encode(secret));
        }
        vm.warp(claims[0].expiry + 1);
        farthing.settle(channel, ETHER);
        if (batched) _claimTogether(claims);
        else _claimOneByOne(claims, order);
        vm.warp(START);
        return [channel.a.owner.balance, channel.b.owner.balance];
    }

    function _claims(Case memory c, uint64 salt, uint64 expiry) private view returns (LockClaim[] memory claims) {
        claims = new LockClaim[](4);
        for (uint256 i = 0; i < 4; ++i) {
            bytes32 secret = bytes32(salt * 10 + i);
            claims[i].slot = _slots[i];
            claims[i].lock = Lock(hashLockOf(secret, expiry), 1, c.worth[i], 0);
            (claims[i].condition, claims[i].expiry) = (HASH_LOCK, expiry);
            claims[i].paramsHash = keccak256(hashOf(secret));
        }
        for (uint256 i = 0; i < 4; ++i) {
            claims[i].siblings = Tree.siblingsOf(_leaves(claims, i / 2), _slots[i]);
        }
    }

    function _leaves(LockClaim[] memory claims, uint256 payer) private pure returns (Tree.Leaf[] memory leaves) {
        leaves = new Tree.Leaf[](2);
        for (uint256 i = 0; i < 2; ++i) {
            leaves[i] = Tree.Leaf(claims[payer * 2 + i].slot, leafOf(claims[payer * 2 + i].lock));
        }
    }

    function _claimTogether(LockClaim[] memory claims) private {
        LockClaim[] memory pair = new LockClaim[](2);
        for (uint8 payer = 0; payer < 2; ++payer) {
            (pair[0], pair[1]) = (claims[payer * 2], claims[payer * 2 + 1]);
            farthing.claimLockBatch(channel, ETHER, payer, pair);
        }
    }

    function _claimOneByOne(LockClaim[] memory claims, uint256 order) private {
        uint256[4] memory turns = [uint256(0), 1, 2, 3];
        for (uint256 i = 3; i > 0; --i) {
            uint256 j = order % (i + 1);
            order /= i + 1;
            (turns[i], turns[j]) = (turns[j], turns[i]);
        }
        for (uint256 i = 0; i < 4; ++i) {
            farthing.claimLock(channel, ETHER, uint8(turns[i] / 2), claims[turns[i]]);
        }
    }
}
