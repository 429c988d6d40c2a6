// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IFarthing, Lock, LockClaim, SignedProof} from "../src/interfaces/IFarthing.sol";
import {Base} from "./utils/Base.sol";
import {Tree} from "./utils/Tree.sol";
import {vm} from "./utils/Vm.sol";

contract ClaimLockTest is Base {
    address private constant HASH_CHAIN = 0x000000000000000000000000000000000000fA02;
    uint64 private constant EXPIRY = START + 3 days;
    uint16 private constant SLOT = 0x8421;

    bytes32 private _paramsHash;
    address private _condition;

    function setUp() public override {
        super.setUp();
        deposit(0, ETHER, 10 ether);
        deposit(1, ETHER, 5 ether);
    }

    function test_claimLock_paysThePayeeWhatIsProven() public {
        Lock memory lock = _hashLock(3, 1 ether, 0);
        _settleWith(lock, 2 ether);
        (uint256 a, uint256 b) = (alice.balance, bob.balance);
        _reveal();
        vm.expectEmit(true, true, true, true, address(farthing));
        emit IFarthing.LockClaimed(id, ETHER, 0, SLOT, 3, false);
        _claim(lock);
        vm.assertEq(alice.balance, a);
        vm.assertEq(bob.balance, b + 3 ether);
        vm.assertEq(address(farthing).balance, 0);
        _expectClaimed(3, false);
    }

    function test_claimLock_refusesUnprovenBeforeExpiry() public {
        Lock memory lock = _hashLock(3, 1 ether, 0);
        _settleWith(lock, 2 ether);
        vm.warp(EXPIRY);
        _refuse(lock, IFarthing.NothingToClaim.selector);
    }

    function test_claimLock_returnsTheRestAfterExpiry() public {
        Lock memory lock = _hashLock(3, 1 ether, 0);
        _settleWith(lock, 2 ether);
        (uint256 a, uint256 b) = (alice.balance, bob.balance);
        vm.warp(EXPIRY + 1);
        _claim(lock);
        vm.assertEq(alice.balance, a + 3 ether);
        vm.assertEq(bob.balance, b);
        _expectClaimed(0, true);
        _refuse(lock, IFarthing.NothingToClaim.selector);
    }

    function test_claimLock_onlyOnce() public {
        Lock memory lock = _hashLock(3, 1 ether, 0);
        _settleWith(lock, 2 ether);
        _reveal();
        _claim(lock);
        _refuse(lock, IFarthing.NothingToClaim.selector);
        vm.warp(EXPIRY + 1);
        _refuse(lock, IFarthing.NothingToClaim.selector);
    }

    function test_claimLock_asOftenAsMoreIsProven() public {
        Lock memory lock = _chainLock(10, 0.1 ether, 2);
        _settleWith(lock, 2 ether);
        (uint256 a, uint256 b) = (alice.balance, bob.balance);
        _recordChain(2);
        _refuse(lock, IFarthing.NothingToClaim.selector);
        _recordChain(5);
        _claim(lock);
        vm.assertEq(bob.balance, b + 0.3 ether);
        _refuse(lock, IFarthing.NothingToClaim.selector);
        _recordChain(6);
        _claim(lock);
        vm.assertEq(bob.balance, b + 0.4 ether);
        vm.assertEq(alice.balance, a);
        vm.warp(EXPIRY + 1);
        _claim(lock);
        vm.assertEq(alice.balance, a + 0.4 ether);
        vm.assertEq(bob.balance, b + 0.4 ether);
        _expectClaimed(4, true);
        _refuse(lock, IFarthing.NothingToClaim.selector);
    }

    function test_claimLock_paysBothSidesAtOnceAfterExpiry() public {
        Lock memory lock = _chainLock(10, 0.1 ether, 2);
        _settleWith(lock, 2 ether);
        (uint256 a, uint256 b) = (alice.balance, bob.balance);
        _recordChain(5);
        vm.warp(EXPIRY + 1);
        _claim(lock);
        vm.assertEq(bob.balance, b + 0.3 ether);
        vm.assertEq(alice.balance, a + 0.5 ether);
    }

    /// @dev Rule 17: the side that showed an old proof must not get a lock free of its debt.
    function test_claimLock_worksOffADebtFirst() public {
        // Alice is in debt by 2 ETH, as she has paid on what Bob paid her, and Bob's proof of that was not shown.
        Lock memory lock = _hashLock(3, 1 ether, 0);
        bytes32 root = Tree.rootOf(_tree(lock));
        exitBy(alice, one(lockedProof(ETHER, 1, 1, 0, 3 ether, root)));
        submitBy(bob, one(proof(ETHER, 0, 1, 12 ether)));
        endChallenge();
        (uint256 a, uint256 b) = (alice.balance, bob.balance);
        farthing.settle(channel, ETHER);
        vm.assertEq(alice.balance, a);
        vm.assertEq(bob.balance, b + 14 ether);
        // Alice proves a lock of 3 ETH. She owed 2, so 1 is hers.
        _reveal();
        farthing.claimLock(
            channel,
            ETHER,
            1,
            LockClaim(SLOT, lock, _condition, _paramsHash, EXPIRY, Tree.siblingsOf(_tree(lock), SLOT))
        );
        vm.assertEq(alice.balance, a + 1 ether);
        vm.assertEq(bob.balance, b + 14 ether);
        (int256 netA, int256 netB, uint256 left) = farthing.netOf(id, ETHER);
        vm.assertEq(netA, 0);
        vm.assertEq(netB, 0);
        vm.assertEq(left, 0);
    }

    /// @dev Rule 17, for the other side: forgiving Bob's debt would take it from the lock that returns to Alice.
    function test_claimLock_worksOffADebtOfBToo() public {
        Lock memory lock = _hashLock(3, 1 ether, 0);
        bytes32 hash = keccak256(hashOf("never told"));
        Lock memory other = Lock(keccak256(abi.encode(HASH_LOCK, hash, EXPIRY)), 3, 1 ether, 0);
        Tree.Leaf[] memory leaves = new Tree.Leaf[](2);
        (leaves[0], leaves[1]) = (Tree.Leaf(0, leafOf(lock)), Tree.Leaf(1, leafOf(other)));
        // Alice locks 6 ETH in all. Bob has paid 7 of his 5, and is 2 in debt.
        exitBy(alice, one(proof(ETHER, 1, 1, 7 ether)));
        submitBy(bob, one(lockedProof(ETHER, 0, 1, 0, 6 ether, Tree.rootOf(leaves))));
        endChallenge();
        (uint256 a, uint256 b) = (alice.balance, bob.balance);
        farthing.settle(channel, ETHER);
        vm.assertEq(alice.balance, a + 11 ether);
        _reveal();
        bytes32[16] memory siblings = Tree.siblingsOf(leaves, 0);
        farthing.claimLock(channel, ETHER, 0, LockClaim(0, lock, HASH_LOCK, _paramsHash, EXPIRY, siblings));
        vm.assertEq(bob.balance, b + 1 ether);
        vm.warp(EXPIRY + 1);
        siblings = Tree.siblingsOf(leaves, 1);
        farthing.claimLock(channel, ETHER, 0, LockClaim(1, other, HASH_LOCK, hash, EXPIRY, siblings));
        vm.assertEq(alice.balance, a + 14 ether);
        vm.assertEq(address(farthing).balance, 0);
    }

    /// @dev Rule 17: what can't be paid stays owed, and what a claim frees is paid to whom it is owed.
    function test_claimLock_paysWhatStayedOwed() public {
        // Alice's proof locks 3 ETH and pays 9, from a deposit of 10: she is in debt by 2 until the lock returns.
        Lock memory lock = _hashLock(3, 1 ether, 0);
        _settleWith(lock, 9 ether);
        (int256 netA, int256 netB, uint256 left) = farthing.netOf(id, ETHER);
        vm.assertEq(netA, -2 ether);
        vm.assertEq(netB, 0);
        vm.assertEq(left, 1 ether);
        uint256 a = alice.balance;
        vm.warp(EXPIRY + 1);
        _claim(lock);
        vm.assertEq(alice.balance, a + 1 ether);
        (netA, netB, left) = farthing.netOf(id, ETHER);
        vm.assertEq(netA, 0);
        vm.assertEq(left, 0);
    }

    /// @dev A channel can't reach another channel's money.
    function test_claimLock_paysOnlyFromTheChannel() public {
        Lock memory lock = _hashLock(1000, 1 ether, 0);
        vm.prank(mallory);
        farthing.deposit{value: 100 ether}(channelOf(mallory, bob, 9), 0, ETHER, 100 ether);
        uint256 b = bob.balance;
        // It locks less than the tree holds: only the two who signed it lose by that.
        bytes32 root = Tree.rootOf(_tree(lock));
        settleAfterExit(ETHER, one(lockedProof(ETHER, 0, 1, 2 ether, 1 ether, root)));
        _reveal();
        _claim(lock);
        vm.assertEq(bob.balance, b + 8 ether);
        vm.assertEq(address(farthing).balance, 100 ether);
        (, int256 netB, uint256 left) = farthing.netOf(id, ETHER);
        vm.assertEq(netB, 999 ether);
        vm.assertEq(left, 0);
    }

    function test_claimLock_refusedBeforeSettling() public {
        Lock memory lock = _hashLock(3, 1 ether, 0);
        exitBy(alice, new SignedProof[](0));
        submitBy(bob, one(lockedProof(ETHER, 0, 1, 2 ether, 3 ether, Tree.rootOf(_tree(lock)))));
        endChallenge();
        _refuse(lock, IFarthing.NotSettled.selector);
    }

    function test_claimLock_refusesWhatIsNotInTheTree() public {
        Lock memory lock = _hashLock(3, 1 ether, 0);
        _settleWith(lock, 2 ether);
        _reveal();
        bytes32[16] memory siblings = Tree.siblingsOf(_tree(lock), SLOT);
        for (uint256 i = 0; i < 6; ++i) {
            Lock memory other = Lock(lock.key, lock.n, lock.unitPrice, lock.redeemed);
            uint16 slot = SLOT;
            uint8 payer = 0;
            if (i == 0) other.n = 4;
            if (i == 1) other.unitPrice = 2 ether;
            if (i == 2) other.redeemed = 1;
            if (i == 3) slot = SLOT + 1;
            if (i == 4) payer = 1;
            if (i == 5) siblings[15] = bytes32(uint256(1));
            vm.expectRevert(abi.encodeWithSelector(IFarthing.LockNotFound.selector, slot));
            farthing.claimLock(channel, ETHER, payer, LockClaim(slot, other, _condition, _paramsHash, EXPIRY, siblings));
        }
    }

    function test_claimLock_refusesWrongCondition() public {
        Lock memory lock = _hashLock(3, 1 ether, 0);
        _settleWith(lock, 2 ether);
        bytes32[16] memory siblings = Tree.siblingsOf(_tree(lock), SLOT);
        vm.warp(EXPIRY);
        // With an expiry of one's own choice, the payer could have the money back early.
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongCondition.selector, lock.key));
        farthing.claimLock(channel, ETHER, 0, LockClaim(SLOT, lock, _condition, _paramsHash, EXPIRY - 1, siblings));
    }

    function test_claimLock_refusesThirdSide() public {
        Lock memory lock = _hashLock(3, 1 ether, 0);
        _settleWith(lock, 2 ether);
        bytes32[16] memory siblings = Tree.siblingsOf(_tree(lock), SLOT);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.InvalidSide.selector, 2));
        farthing.claimLock(channel, ETHER, 2, LockClaim(SLOT, lock, _condition, _paramsHash, EXPIRY, siblings));
    }

    function test_claimLock_refusesWorthBeyondUint128() public {
        Lock memory lock = _hashLock(2, type(uint128).max, 0);
        _settleWith(lock, 2 ether);
        _reveal();
        bytes32[16] memory siblings = Tree.siblingsOf(_tree(lock), SLOT);
        vm.expectRevert();
        farthing.claimLock(channel, ETHER, 0, LockClaim(SLOT, lock, _condition, _paramsHash, EXPIRY, siblings));
    }

    function test_claimLock_refusesLockWithMoreRedeemedThanItHas() public {
        Lock memory lock = _hashLock(2, 1 ether, 3);
        _settleWith(lock, 2 ether);
        _reveal();
        _refuse(lock, IFarthing.NothingToClaim.selector);
        vm.warp(EXPIRY + 1);
        _refuse(lock, IFarthing.NothingToClaim.selector);
    }

    function test_claimLock_severalLocksOfOneTree() public {
        Tree.Leaf[] memory leaves = new Tree.Leaf[](3);
        Lock[] memory locks = new Lock[](3);
        uint16[3] memory slots = [uint16(0), 1, 65_535];
        for (uint256 i = 0; i < 3; ++i) {
            locks[i] = _hashLock(uint32(i + 1), 1 ether, 0);
            leaves[i] = Tree.Leaf(slots[i], leafOf(locks[i]));
        }
        settleAfterExit(ETHER, one(lockedProof(ETHER, 0, 1, 2 ether, 6 ether, Tree.rootOf(leaves))));
        _reveal();
        uint256 b = bob.balance;
        for (uint256 i = 0; i < 3; ++i) {
            bytes32[16] memory siblings = Tree.siblingsOf(leaves, slots[i]);
            farthing.claimLock(
                channel, ETHER, 0, LockClaim(slots[i], locks[i], _condition, _paramsHash, EXPIRY, siblings)
            );
        }
        vm.assertEq(bob.balance, b + 6 ether);
        vm.assertEq(address(farthing).balance, 0);
    }

    function testFuzz_claimLock_splitsTheLockAndNoMore(uint8 n, uint8 redeemed, uint8 first, uint8 second) public {
        n = uint8(bound(n, 1, 20));
        redeemed = uint8(bound(redeemed, 0, n - 1));
        first = uint8(bound(first, 1, n));
        second = uint8(bound(second, first, n));
        Lock memory lock = _chainLock(n, 0.1 ether, redeemed);
        _settleWith(lock, 2 ether);
        (uint256 a, uint256 b) = (alice.balance, bob.balance);

        _recordChain(first, n);
        if (first > redeemed) _claim(lock);
        vm.assertEq(bob.balance, b + (first > redeemed ? first - redeemed : 0) * 0.1 ether);
        _recordChain(second, n);
        vm.warp(EXPIRY + 1);
        uint256 due = second > redeemed ? second - redeemed : 0;
        bool done = first > redeemed && first == second && due == uint256(n) - redeemed;
        if (!done) _claim(lock);
        vm.assertEq(bob.balance, b + due * 0.1 ether);
        vm.assertEq(alice.balance, a + (uint256(n) - redeemed - due) * 0.1 ether);
        vm.assertEq(address(farthing).balance, 0);
    }

    function _hashLock(uint32 n, uint128 unitPrice, uint32 redeemed) private returns (Lock memory) {
        (_condition, _paramsHash) = (HASH_LOCK, keccak256(hashOf("secret")));
        return Lock(keccak256(abi.encode(_condition, _paramsHash, EXPIRY)), n, unitPrice, redeemed);
    }

    function _chainLock(uint32 n, uint128 unitPrice, uint32 redeemed) private returns (Lock memory) {
        (_condition, _paramsHash) = (HASH_CHAIN, keccak256(_chainParams(n)));
        return Lock(keccak256(abi.encode(_condition, _paramsHash, EXPIRY)), n, unitPrice, redeemed);
    }

    function _reveal() private {
        farthing.recordEvidence(HASH_LOCK, hashOf("secret"), EXPIRY, abi.encode(bytes32("secret")));
    }

    function _recordChain(uint32 k) private {
        _recordChain(k, 10);
    }

    function _recordChain(uint32 k, uint32 n) private {
        farthing.recordEvidence(HASH_CHAIN, _chainParams(n), EXPIRY, abi.encodePacked(k, _chain(n - k)));
    }

    function _chainParams(uint32 n) private pure returns (bytes memory) {
        return abi.encodePacked(_chain(n), n);
    }

    function _chain(uint256 times) private pure returns (bytes32 word) {
        word = "seed";
        for (uint256 i = 0; i < times; ++i) {
            word = keccak256(abi.encode(word));
        }
    }

    /// @dev Settles with a proof of Alice's that has the lock, by its full worth, at SLOT.
    function _settleWith(Lock memory lock, uint128 transferred) private {
        uint128 worth;
        unchecked {
            worth = (lock.n - lock.redeemed) * lock.unitPrice;
        }
        bytes32 root = Tree.rootOf(_tree(lock));
        settleAfterExit(ETHER, one(lockedProof(ETHER, 0, 1, transferred, worth, root)));
    }

    function _tree(Lock memory lock) private pure returns (Tree.Leaf[] memory) {
        return treeOf(SLOT, lock);
    }

    function _claim(Lock memory lock) private {
        bytes32[16] memory siblings = Tree.siblingsOf(_tree(lock), SLOT);
        farthing.claimLock(channel, ETHER, 0, LockClaim(SLOT, lock, _condition, _paramsHash, EXPIRY, siblings));
    }

    function _refuse(Lock memory lock, bytes4 selector) private {
        bytes32[16] memory siblings = Tree.siblingsOf(_tree(lock), SLOT);
        vm.expectPartialRevert(selector);
        farthing.claimLock(channel, ETHER, 0, LockClaim(SLOT, lock, _condition, _paramsHash, EXPIRY, siblings));
    }

    function _expectClaimed(uint32 units, bool returned) private view {
        (uint32 paid, bool back) = farthing.claimed(id, ETHER, 0, SLOT);
        vm.assertEq(uint256(paid), units);
        vm.assertEq(back, returned);
    }
}
