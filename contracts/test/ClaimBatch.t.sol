// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IFarthing, Lock, LockClaim, SignedProof} from "../src/interfaces/IFarthing.sol";
import {Base} from "./utils/Base.sol";
import {Tree} from "./utils/Tree.sol";
import {vm} from "./utils/Vm.sol";

/// @dev claimLockBatch, and how claims lie beside each other.
contract ClaimBatchTest is Base {
    uint64 private constant EXPIRY = START + 3 days;
    uint256 private constant COUNT = 9;

    Lock[] private _locks;
    uint16[] private _slots;

    function setUp() public override {
        super.setUp();
        deposit(0, ETHER, 50 ether);
        deposit(1, ETHER, 5 ether);
        // Nine neighbours: more than share a word.
        for (uint16 i = 0; i < COUNT; ++i) {
            _addLock(i, 1 + i % 3);
        }
    }

    function test_claimLockBatch_paysOnceAtTheEnd() public {
        _settle(18 ether);
        _reveal(0);
        _reveal(4);
        (uint256 a, uint256 b) = (alice.balance, bob.balance);
        vm.warp(EXPIRY + 1);
        vm.expectEmit(true, true, true, true, address(farthing));
        emit IFarthing.LockClaimed(id, ETHER, 0, 0, 1, false);
        vm.expectEmit(true, true, true, true, address(farthing));
        emit IFarthing.LockClaimed(id, ETHER, 0, 1, 0, true);
        farthing.claimLockBatch(channel, ETHER, 0, _claims());
        // Of 18 units in nine locks, one and two were proven.
        vm.assertEq(bob.balance, b + 3 ether);
        vm.assertEq(alice.balance, a + 15 ether);
        vm.assertEq(address(farthing).balance, 0);
    }

    /// @dev A receiver of many locks is called once.
    function test_claimLockBatch_pushesOnce() public {
        Counter counter = new Counter();
        channel = channelOf(alice, address(counter), 7);
        id = farthing.channelIdOf(channel);
        deposit(0, ETHER, 50 ether);
        exitBy(alice, one(acknowledge(lockedProof(ETHER, 0, 1, 0, 18 ether, Tree.rootOf(_leaves())))));
        endChallenge();
        farthing.settle(channel, ETHER);
        uint256 calls = counter.calls();
        for (uint256 i = 0; i < COUNT; ++i) {
            _reveal(i);
        }
        farthing.claimLockBatch(channel, ETHER, 0, _claims());
        vm.assertEq(counter.calls(), calls + 1);
        vm.assertEq(address(counter).balance, 18 ether);
    }

    function test_claimLockBatch_skipsWhatWouldChangeNothing() public {
        _settle(18 ether);
        _reveal(2);
        farthing.claimLock(channel, ETHER, 0, _claims()[2]);
        _reveal(3);
        uint256 b = bob.balance;
        farthing.claimLockBatch(channel, ETHER, 0, _claims());
        vm.assertEq(bob.balance, b + 1 ether);
        // All of it: nothing happens, nothing reverts.
        farthing.claimLockBatch(channel, ETHER, 0, _claims());
        farthing.claimLockBatch(channel, ETHER, 0, new LockClaim[](0));
        vm.assertEq(bob.balance, b + 1 ether);
    }

    /// @dev The same slot twice in one batch is paid once, to the payee and to the payer.
    function test_claimLockBatch_paysASlotTwiceNamedOnce() public {
        // More in the channel than these locks are worth: a second payment would find money.
        _settle(40 ether);
        _reveal(2);
        LockClaim[] memory twice = new LockClaim[](4);
        (twice[0], twice[1]) = (_claims()[2], _claims()[2]);
        (twice[2], twice[3]) = (_claims()[5], _claims()[5]);
        (uint256 a, uint256 b) = (alice.balance, bob.balance);
        vm.warp(EXPIRY + 1);
        farthing.claimLockBatch(channel, ETHER, 0, twice);
        vm.assertEq(bob.balance, b + 3 ether);
        vm.assertEq(alice.balance, a + 3 ether);
        (,, uint256 left) = farthing.netOf(id, ETHER);
        vm.assertEq(left, 34 ether);
    }

    function test_claimLockBatch_refusesWrongLeafAndCondition() public {
        _settle(18 ether);
        for (uint256 i = 0; i < COUNT; ++i) {
            _reveal(i);
        }
        LockClaim[] memory claims = _claims();
        claims[8].slot = 9;
        vm.expectRevert(abi.encodeWithSelector(IFarthing.LockNotFound.selector, 9));
        farthing.claimLockBatch(channel, ETHER, 0, claims);
        claims = _claims();
        claims[8].expiry = EXPIRY - 1;
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongCondition.selector, claims[8].lock.key));
        farthing.claimLockBatch(channel, ETHER, 0, claims);
        claims = _claims();
        vm.expectRevert(abi.encodeWithSelector(IFarthing.LockNotFound.selector, 0));
        farthing.claimLockBatch(channel, ETHER, 1, claims);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.InvalidSide.selector, 2));
        farthing.claimLockBatch(channel, ETHER, 2, claims);
    }

    function test_claimLockBatch_refusedBeforeSettling() public {
        LockClaim[] memory claims = _claims();
        vm.expectRevert(abi.encodeWithSelector(IFarthing.NotSettled.selector, ETHER));
        farthing.claimLockBatch(channel, ETHER, 0, claims);
    }

    /// @dev Rule 17, for a batch.
    function test_claimLockBatch_worksOffADebtFirst() public {
        // Alice locks 18 and has paid 45 of her 50: she owes 13 until locks return.
        exitBy(alice, new SignedProof[](0));
        submitBy(bob, one(lockedProof(ETHER, 0, 1, 45 ether, 18 ether, Tree.rootOf(_leaves()))));
        endChallenge();
        farthing.settle(channel, ETHER);
        (int256 netA,,) = farthing.netOf(id, ETHER);
        vm.assertEq(netA, -13 ether);
        uint256 a = alice.balance;
        vm.warp(EXPIRY + 1);
        farthing.claimLockBatch(channel, ETHER, 0, _claims());
        vm.assertEq(alice.balance, a + 5 ether);
        (int256 netB, uint256 left) = (0, 0);
        (netA, netB, left) = farthing.netOf(id, ETHER);
        vm.assertEq(netA, 0);
        vm.assertEq(netB, 0);
        vm.assertEq(left, 0);
    }

    /// @dev Slots share words; a claim leaves its neighbours as they are, whatever came first.
    function testFuzz_claimLock_leavesItsNeighboursAlone(uint256 order, uint16 proven) public {
        _settle(18 ether);
        for (uint256 i = 0; i < COUNT; ++i) {
            if ((proven >> i) & 1 == 1) _reveal(i);
        }
        vm.warp(EXPIRY + 1);
        LockClaim[] memory claims = _claims();
        bool[] memory done = new bool[](COUNT);
        for (uint256 i = COUNT; i > 0; --i) {
            uint256 j = order % i;
            order /= i;
            (claims[j], claims[i - 1]) = (claims[i - 1], claims[j]);
            farthing.claimLock(channel, ETHER, 0, claims[i - 1]);
            done[claims[i - 1].slot] = true;
            for (uint16 slot = 0; slot < COUNT; ++slot) {
                bool isProven = (proven >> slot) & 1 == 1;
                (uint32 units, bool returned) = farthing.claimed(id, ETHER, 0, slot);
                vm.assertEq(uint256(units), done[slot] && isProven ? _locks[slot].n : 0);
                vm.assertEq(returned, done[slot] && !isProven);
            }
        }
        vm.assertEq(address(farthing).balance, 0);
    }

    /// @dev All 32 bits of a lock's units, in the first and the last place of a word, and in the last slot.
    function test_claimLock_keepsEveryUnit() public {
        delete _locks;
        delete _slots;
        uint16[4] memory far = [uint16(0), 6, 7, 65_535];
        for (uint256 i = 0; i < 4; ++i) {
            _slots.push(far[i]);
            _locks.push(Lock(hashLockOf(bytes32(i), EXPIRY), type(uint32).max, 1, 0));
        }
        _settle(18 ether);
        for (uint256 i = 0; i < 4; ++i) {
            _reveal(i);
        }
        farthing.claimLockBatch(channel, ETHER, 0, _claims());
        for (uint16 slot = 0; slot < 20; ++slot) {
            (uint32 units, bool returned) = farthing.claimed(id, ETHER, 0, slot);
            vm.assertEq(uint256(units), slot == 0 || slot == 6 || slot == 7 ? type(uint32).max : 0);
            vm.assertFalse(returned);
        }
        (uint32 last,) = farthing.claimed(id, ETHER, 0, 65_535);
        vm.assertEq(uint256(last), type(uint32).max);
    }

    function _addLock(uint16 slot, uint32 n) private {
        _slots.push(slot);
        _locks.push(Lock(hashLockOf(bytes32(uint256(slot)), EXPIRY), n, 1 ether, 0));
    }

    function _settle(uint128 locked) private {
        settleAfterExit(ETHER, one(lockedProof(ETHER, 0, 1, 0, locked, Tree.rootOf(_leaves()))));
    }

    function _reveal(uint256 i) private {
        farthing.recordEvidence(HASH_LOCK, hashOf(bytes32(i)), EXPIRY, abi.encode(bytes32(i)));
    }

    function _leaves() private view returns (Tree.Leaf[] memory leaves) {
        leaves = new Tree.Leaf[](_locks.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            leaves[i] = Tree.Leaf(_slots[i], leafOf(_locks[i]));
        }
    }

    function _claims() private view returns (LockClaim[] memory claims) {
        Tree.Leaf[] memory leaves = _leaves();
        claims = new LockClaim[](_locks.length);
        for (uint256 i = 0; i < claims.length; ++i) {
            bytes32 paramsHash = keccak256(hashOf(bytes32(i)));
            bytes32[16] memory siblings = Tree.siblingsOf(leaves, _slots[i]);
            claims[i] = LockClaim(_slots[i], _locks[i], HASH_LOCK, paramsHash, EXPIRY, siblings);
        }
    }
}

/// @dev Counts how often it is paid.
contract Counter {
    uint256 public calls;

    receive() external payable {
        ++calls;
    }
}
