// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {EvidenceItem, Lock, LockClaim, SignedProof} from "../src/interfaces/IFarthing.sol";
import {Base} from "./utils/Base.sol";
import {Tree} from "./utils/Tree.sol";
import {vm} from "./utils/Vm.sol";

/// @dev What it costs in all to leave alone with twenty locks whose secrets the leaver knows: startExit with the proof,
/// all evidence in one transaction, settle, and all claims in one. Each transaction is counted as the chain does since
/// Pectra: 21,000, 16 for each byte of calldata that is not zero and 4 for each that is, and the call from a cold start;
/// but at least 21,000 and 40 and 10 for the bytes (EIP-7623). Refunds are not counted. So that each starts cold, it is
/// taken on a channel of its own, which setUp has brought that far in another transaction.
contract GasExitTest is Base {
    uint64 private constant EXPIRY = START + 3 days;
    uint256 private constant COUNT = 20;
    /// @dev What it was when each lock took two transactions of its own.
    uint256 private constant ONE_BY_ONE = 3_055_000;

    LockClaim[] private _claims;
    bytes32 private _root;
    uint256 private _total;

    function setUp() public override {
        super.setUp();
        vm.prank(mallory);
        farthing.deposit{value: 1 ether}(channelOf(mallory, bob, 9), 0, ETHER, 1 ether);
        _prepareLocks();
        for (uint64 salt = 1; salt < 4; ++salt) {
            _use(salt);
            deposit(0, ETHER, 10 ether);
            if (salt == 1) continue;
            exitBy(bob, one(_proof()));
            vm.warp(START + PERIOD + 1);
            if (salt == 3) farthing.settle(channel, ETHER);
            vm.warp(START);
        }
        // For the claims; the batch below records others.
        for (uint256 i = 0; i < COUNT; ++i) {
            farthing.recordEvidence(HASH_LOCK, hashOf(_secret(i)), EXPIRY, abi.encode(_secret(i)));
        }
    }

    function test_gas_exitWithTwentyLocks() public {
        _run(_claims);
        vm.snapshotValue("Farthing", "whole exit with 20 locks, transactions and all", _total);
        vm.assertLe(_total, ONE_BY_ONE / 2, "target");
    }

    /// @dev The same where siblings that are empty are left zero.
    function test_gas_exitWithTwentyLocksSparse() public {
        LockClaim[] memory claims = _claims;
        bytes32 empty;
        for (uint256 height = 0; height < 16; ++height) {
            for (uint256 i = 0; i < COUNT; ++i) {
                if (claims[i].siblings[height] == empty) claims[i].siblings[height] = 0;
            }
            empty = keccak256(abi.encodePacked(empty, empty));
        }
        _run(claims);
        vm.snapshotValue("Farthing", "whole exit with 20 locks, zeros for empty trees", _total);
    }

    function _run(LockClaim[] memory claims) private {
        _use(1);
        SignedProof[] memory proofs = one(_proof());
        _cool();
        vm.prank(bob);
        farthing.startExit(channel, proofs, 0, "", 0);
        _count("startExit, locked proof", abi.encodeCall(farthing.startExit, (channel, proofs, 0, "", 0)));

        EvidenceItem[] memory items = new EvidenceItem[](COUNT);
        for (uint256 i = 0; i < COUNT; ++i) {
            bytes32 secret = keccak256(abi.encode("another", i));
            items[i] = EvidenceItem(HASH_LOCK, hashOf(secret), EXPIRY, abi.encode(secret));
        }
        _cool();
        farthing.recordEvidenceBatch(items);
        _count("recordEvidenceBatch, 20", abi.encodeCall(farthing.recordEvidenceBatch, (items)));

        vm.warp(START + PERIOD + 1);
        _use(2);
        _cool();
        farthing.settle(channel, ETHER);
        _count("settle, locks pending", abi.encodeCall(farthing.settle, (channel, ETHER)));

        _use(3);
        _cool();
        farthing.claimLockBatch(channel, ETHER, 0, claims);
        _count("claimLockBatch, 20", abi.encodeCall(farthing.claimLockBatch, (channel, ETHER, 0, claims)));
    }

    /// @dev Adds the last call as a transaction.
    function _count(string memory name, bytes memory data) private {
        uint256 gas = vm.snapshotGasLastCall("Farthing", name);
        uint256 tokens;
        for (uint256 i = 0; i < data.length; ++i) {
            tokens += data[i] == 0 ? 1 : 4;
        }
        uint256 used = 21_000 + 4 * tokens + gas;
        uint256 floor = 21_000 + 10 * tokens;
        _total += used > floor ? used : floor;
    }

    function _cool() private {
        vm.cool(address(farthing));
        vm.cool(alice);
        vm.cool(bob);
    }

    function _prepareLocks() private {
        Tree.Leaf[] memory leaves = new Tree.Leaf[](COUNT);
        for (uint16 i = 0; i < COUNT; ++i) {
            Lock memory lock = Lock(hashLockOf(_secret(i), EXPIRY), 1, 0.1 ether, 0);
            leaves[i] = Tree.Leaf(i, leafOf(lock));
            bytes32[16] memory later;
            _claims.push(LockClaim(i, lock, HASH_LOCK, keccak256(hashOf(_secret(i))), EXPIRY, later));
        }
        for (uint16 i = 0; i < COUNT; ++i) {
            _claims[i].siblings = Tree.siblingsOf(leaves, i);
        }
        _root = Tree.rootOf(leaves);
    }

    function _proof() private view returns (SignedProof memory) {
        return lockedProof(ETHER, 0, 1, 1 ether, 2 ether, _root);
    }

    function _secret(uint256 i) private pure returns (bytes32) {
        return keccak256(abi.encode("secret", i));
    }

    /// @dev The id without a call.
    function _use(uint64 salt) private {
        channel = channelOf(alice, bob, salt);
        id = keccak256(abi.encode(block.chainid, address(farthing), channel));
    }
}
