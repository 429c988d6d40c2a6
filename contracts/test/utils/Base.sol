// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Farthing} from "../../src/Farthing.sol";
import {
    AssetCap,
    AssetState,
    Channel,
    Closing,
    ClosingAsset,
    ExitOrder,
    Lock,
    Participant,
    SignedProof,
    Withdrawal
} from "../../src/interfaces/IFarthing.sol";
import {TestDai} from "../tokens/TestDai.sol";
import {Tree} from "./Tree.sol";
import {Typed} from "./Typed.sol";
import {vm} from "./Vm.sol";

/// @dev One channel between Alice (A) and Bob (B), each with an owner's key and a session key, and what they sign.
abstract contract Base {
    uint256 internal constant ALICE_KEY = 0xa11ce;
    uint256 internal constant BOB_KEY = 0xb0b;
    uint256 internal constant ALICE_SESSION = 0xa11ce5e55;
    uint256 internal constant BOB_SESSION = 0xb0b5e55;
    uint256 internal constant MALLORY_KEY = 0x3a1105;
    uint32 internal constant PERIOD = 1 days;
    uint64 internal constant START = 1_700_000_000;
    address internal constant ETHER = address(0);
    bytes32 internal constant EMPTY_ROOT = 0x2733e50f526ec2fa19a22b31e8ed50f23cd1fdf94c9154ed3a7609a2f1ff981f;
    address internal constant HASH_LOCK = 0x000000000000000000000000000000000000FA01;

    address internal immutable alice = vm.addr(ALICE_KEY);
    address internal immutable bob = vm.addr(BOB_KEY);
    address internal immutable mallory = vm.addr(MALLORY_KEY);

    Farthing internal farthing;
    TestDai internal dai;
    Channel internal channel;
    bytes32 internal id;
    bytes32 internal domain;

    function setUp() public virtual {
        vm.warp(START);
        farthing = new Farthing(1 hours, 30 days, new AssetCap[](0), type(uint128).max);
        dai = new TestDai();
        domain = domainOf(address(farthing));
        channel = channelOf(alice, bob, 1);
        id = farthing.channelIdOf(channel);
        for (uint256 i = 0; i < 3; ++i) {
            address account = [alice, bob, mallory][i];
            vm.deal(account, 1000 ether);
            dai.mint(account, 1000 ether);
            vm.prank(account);
            dai.approve(address(farthing), type(uint256).max);
        }
    }

    function channelOf(address ownerA, address ownerB, uint64 salt) internal pure returns (Channel memory) {
        return Channel({
            a: Participant(ownerA, vm.addr(ALICE_SESSION)),
            b: Participant(ownerB, vm.addr(BOB_SESSION)),
            challengePeriod: PERIOD,
            salt: salt
        });
    }

    function domainOf(address verifier) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Farthing"),
                keccak256("1"),
                block.chainid,
                verifier
            )
        );
    }

    // What anybody signs.

    function signed(uint256 key, bytes32 structHash) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digestOf(structHash));
        return abi.encodePacked(r, s, v);
    }

    function digestOf(bytes32 structHash) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function sessionOf(uint8 side) internal pure returns (uint256) {
        return side == 0 ? ALICE_SESSION : BOB_SESSION;
    }

    function ownerOf(uint8 side) internal view returns (address) {
        return side == 0 ? alice : bob;
    }

    function proof(address asset, uint8 payer, uint64 nonce, uint128 transferred)
        internal
        view
        returns (SignedProof memory p)
    {
        return lockedProof(asset, payer, nonce, transferred, 0, EMPTY_ROOT);
    }

    function lockedProof(address asset, uint8 payer, uint64 nonce, uint128 transferred, uint128 locked, bytes32 root)
        internal
        view
        returns (SignedProof memory p)
    {
        p = SignedProof(asset, payer, nonce, transferred, locked, root, 0, "", "");
        p.signature = signed(sessionOf(payer), Typed.proofOf(id, p));
    }

    function acknowledge(SignedProof memory p) internal view returns (SignedProof memory) {
        p.acknowledgement = signed(sessionOf(1 - p.payer), Typed.acknowledgementOf(id, p));
        return p;
    }

    function one(SignedProof memory p) internal pure returns (SignedProof[] memory list) {
        list = new SignedProof[](1);
        list[0] = p;
    }

    function two(SignedProof memory p, SignedProof memory q) internal pure returns (SignedProof[] memory list) {
        list = new SignedProof[](2);
        (list[0], list[1]) = (p, q);
    }

    function closingOf(address asset, uint128 totalA, uint128 totalB, uint128 depositA, uint128 depositB)
        internal
        view
        returns (Closing memory c)
    {
        c.channelId = id;
        c.assets = new ClosingAsset[](1);
        c.assets[0] = ClosingAsset(asset, totalA, totalB, depositA, depositB);
        c.deadline = uint64(block.timestamp) + 1 hours;
    }

    function signedOrder(uint256 key, uint64 deadline) internal view returns (bytes memory) {
        return signed(key, Typed.exitOrderOf(ExitOrder(id, deadline)));
    }

    // What anybody does.

    function deposit(uint8 side, address asset, uint128 amount) internal {
        vm.prank(ownerOf(side));
        farthing.deposit{value: asset == ETHER ? amount : 0}(channel, side, asset, amount);
    }

    function withdraw(uint8 side, address asset, uint128 total) internal {
        withdrawTo(side, asset, total, ownerOf(side));
    }

    function withdrawTo(uint8 side, address asset, uint128 total, address owner) internal {
        Withdrawal memory w = Withdrawal(id, asset, side, total, owner, uint64(block.timestamp) + 1 hours);
        bytes32 hash = Typed.withdrawalOf(w);
        farthing.withdraw(channel, w, signed(ALICE_SESSION, hash), signed(BOB_SESSION, hash), "");
    }

    function close(Closing memory c) internal {
        bytes32 hash = Typed.closingOf(c);
        bytes memory sigA = signed(ALICE_SESSION, hash);
        bytes memory sigB = signed(BOB_SESSION, hash);
        farthing.close(channel, c, sigA, sigB);
    }

    function exitBy(address account, SignedProof[] memory proofs) internal {
        vm.prank(account);
        farthing.startExit(channel, proofs, 0, "", 0);
    }

    function submitBy(address account, SignedProof[] memory proofs) internal {
        vm.prank(account);
        farthing.submitProofs(channel, proofs);
    }

    function endChallenge() internal {
        vm.warp(uint256(farthing.exitEndsAt(id)) + 1);
    }

    function settleAfterExit(address asset, SignedProof[] memory proofs) internal {
        exitBy(alice, new SignedProof[](0));
        for (uint256 i = 0; i < proofs.length; ++i) {
            submitBy(ownerOf(1 - proofs[i].payer), one(proofs[i]));
        }
        endChallenge();
        farthing.settle(channel, asset);
    }

    // Locks.

    function hashLockOf(bytes32 secret, uint64 expiry) internal pure returns (bytes32) {
        return keccak256(abi.encode(HASH_LOCK, keccak256(hashOf(secret)), expiry));
    }

    function hashOf(bytes32 secret) internal pure returns (bytes memory) {
        return abi.encode(sha256(abi.encode(secret)));
    }

    function leafOf(Lock memory lock) internal pure returns (bytes32) {
        return keccak256(abi.encode(lock.key, lock.n, lock.unitPrice, lock.redeemed));
    }

    function treeOf(uint16 slot, Lock memory lock) internal pure returns (Tree.Leaf[] memory leaves) {
        leaves = new Tree.Leaf[](1);
        leaves[0] = Tree.Leaf(slot, leafOf(lock));
    }

    function state(address asset) internal view returns (AssetState memory) {
        return farthing.assetState(id, asset);
    }

    function balanceOf(address asset, address account) internal view returns (uint256) {
        return asset == ETHER ? account.balance : dai.balanceOf(account);
    }

    function bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + value % (high - low + 1);
    }
}
