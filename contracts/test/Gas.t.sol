// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Farthing} from "../src/Farthing.sol";
import {
    Channel,
    Closing,
    DepositIntent,
    Lock,
    LockClaim,
    Permit,
    SignedProof,
    Withdrawal
} from "../src/interfaces/IFarthing.sol";
import {SpamToken} from "./tokens/Hostile.sol";
import {Base} from "./utils/Base.sol";
import {Receiver} from "./utils/Receiver.sol";
import {Tree} from "./utils/Tree.sol";
import {Typed} from "./utils/Typed.sol";
import {vm} from "./utils/Vm.sol";

/// @dev What calls cost, without the transaction's base and calldata, from a cold start: everything that a call needs
/// was put in place by setUp, which is another transaction. The figures are kept in snapshots/; a change fails.
contract GasTest is Base {
    uint64 private constant EXPIRY = START + 3 days;
    uint16 private constant SLOT = 3;
    address private constant HASH_CHAIN = 0x000000000000000000000000000000000000fA02;
    address private constant VOUCHER = 0x000000000000000000000000000000000000fa03;
    uint256 private constant FRESH_KEY = 0xf1e57;

    Lock private _lock;
    bytes32 private _paramsHash;
    bytes32[16] private _siblings;
    bytes32 private _permitDigest;
    bytes private _chainParams;
    SpamToken private _spam;
    Receiver private _receiver;

    function setUp() public override {
        super.setUp();
        // Others use the contract too, and the participants have money: what is paid for is this channel's alone.
        vm.startPrank(mallory);
        farthing.deposit{value: 1 ether}(channelOf(mallory, bob, 9), 0, ETHER, 1 ether);
        farthing.deposit(channelOf(mallory, bob, 9), 0, address(dai), 1 ether);
        vm.stopPrank();

        _spam = new SpamToken();
        _prepareCredit();
        _chainParams = abi.encodePacked(_hashTimes("seed", 2 ** 14), uint32(2 ** 14));
        dai.mint(vm.addr(FRESH_KEY), 2 ether);
        _permitDigest = _digestOfPermit(vm.addr(FRESH_KEY));
        bytes32 root = _prepareLock();
        _prepare(2, ETHER);
        _prepare(3, address(dai));
        _prepare(4, ETHER);
        vm.startPrank(mallory);
        farthing.deposit(channel, 0, address(_spam), 1);
        farthing.deposit(channel, 1, address(_spam), 1);
        vm.stopPrank();
        exitBy(bob, one(proof(ETHER, 0, 1, 1 ether)));
        _prepare(5, ETHER);
        exitBy(bob, one(lockedProof(ETHER, 0, 1, 1 ether, 2 ether, root)));
        endChallenge();
        farthing.settle(channel, ETHER);
        farthing.recordEvidence(HASH_LOCK, hashOf("secret"), EXPIRY, abi.encode(bytes32("secret")));
        vm.warp(START);
    }

    function test_gas_open() public {
        vm.prank(alice);
        farthing.open{value: 1 ether}(_use(1), ETHER, 1 ether);
        vm.assertLt(_snapshot("open, ETH"), 75_000, "target");
    }

    function test_gas_openToken() public {
        vm.prank(alice);
        farthing.open(_use(1), address(dai), 1 ether);
        _snapshot("open, approved token");
    }

    /// @dev The owner's first permit ever, on an allowance of zero: the dearest case.
    function test_gas_depositWithPermit() public {
        address owner = vm.addr(FRESH_KEY);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(FRESH_KEY, _permitDigest);
        _use(1);
        vm.prank(owner);
        farthing.depositWithPermit(
            channel, DepositIntent(id, 0, address(dai), 1 ether, owner, 0, 0), Permit(START, v, r, s), ""
        );
        vm.assertLt(_snapshot("depositWithPermit, own"), 120_000, "target");
    }

    function test_gas_deposit() public {
        _use(2);
        vm.prank(bob);
        farthing.deposit{value: 1 ether}(channel, 1, ETHER, 1 ether);
        _snapshot("deposit, ETH, other side");
    }

    function test_gas_withdraw() public {
        _use(2);
        Withdrawal memory w = Withdrawal(id, ETHER, 0, 1 ether, alice, START + 1 hours);
        bytes memory sigA = signed(ALICE_SESSION, Typed.withdrawalOf(w));
        bytes memory sigB = signed(BOB_SESSION, Typed.withdrawalOf(w));
        farthing.withdraw(channel, w, sigA, sigB, "");
        _snapshot("withdraw, ETH");
    }

    function test_gas_close() public {
        _use(2);
        Closing memory c = closingOf(ETHER, 6 ether, 4 ether, 10 ether, 0);
        _close(c);
        vm.assertLt(_snapshot("close, ETH"), 90_000, "target");
    }

    function test_gas_closeToken() public {
        _use(3);
        Closing memory c = closingOf(address(dai), 6 ether, 4 ether, 10 ether, 0);
        _close(c);
        vm.assertLt(_snapshot("close, token"), 90_000, "target");
    }

    function test_gas_startExit() public {
        _use(2);
        SignedProof[] memory proofs = one(proof(ETHER, 0, 1, 1 ether));
        vm.prank(bob);
        farthing.startExit(channel, proofs, 0, "", 0);
        uint256 exit = _snapshot("startExit, one proof");
        // What settle is measured at below, rounded up.
        vm.assertLt(exit + 80_000, 200_000, "target");
    }

    function test_gas_submitProofs() public {
        _use(4);
        SignedProof[] memory proofs = one(acknowledge(proof(ETHER, 1, 1, 1 ether)));
        farthing.submitProofs(channel, proofs);
        _snapshot("submitProofs, one acknowledged");
    }

    function test_gas_submitProofsLocked() public {
        _use(4);
        SignedProof[] memory proofs = one(acknowledge(lockedProof(ETHER, 1, 1, 1 ether, 2 ether, bytes32("root"))));
        farthing.submitProofs(channel, proofs);
        _snapshot("submitProofs, one acknowledged with locks");
    }

    function test_gas_settle() public {
        _use(4);
        vm.warp(START + PERIOD + 1);
        farthing.settle(channel, ETHER);
        vm.assertLt(_snapshot("settle, ETH"), 80_000, "target");
    }

    function test_gas_recordEvidence() public {
        bytes memory params = hashOf("another");
        bytes memory evidence = abi.encode(bytes32("another"));
        farthing.recordEvidence(HASH_LOCK, params, EXPIRY, evidence);
        _snapshot("recordEvidence, HashLock");
    }

    /// @dev The dearest evidence that there is, alone and beside others.
    function test_gas_recordEvidenceChain() public {
        farthing.recordEvidence(HASH_CHAIN, _chainParams, EXPIRY, abi.encodePacked(uint32(2 ** 14), bytes32("seed")));
        vm.assertLt(_snapshot("recordEvidence, HashChain of 2^14"), 860_000, "target");
    }

    function test_gas_recordEvidenceVoucher() public {
        bytes memory params = abi.encodePacked(alice, bytes32("stream"));
        bytes32 key = keccak256(abi.encode(VOUCHER, keccak256(params), EXPIRY));
        bytes memory evidence = abi.encodePacked(uint32(5), signed(ALICE_KEY, Typed.voucherOf(key, 5)));
        farthing.recordEvidence(VOUCHER, params, EXPIRY, evidence);
        _snapshot("recordEvidence, Voucher");
    }

    function test_gas_payCredit() public {
        farthing.payCredit(ETHER, address(_receiver), 1 ether);
        _snapshot("payCredit, ETH");
    }

    /// @dev What a stranger can do to a side: a deposit of dust in a token that burns gas, and what settling it costs.
    function test_gas_spamDeposit() public {
        _use(2);
        vm.prank(mallory);
        farthing.deposit(channel, 1, address(_spam), 1);
        _snapshot("deposit of a gas-burning token by a stranger, one side");
    }

    function test_gas_spamSettle() public {
        _use(4);
        vm.warp(START + PERIOD + 1);
        farthing.settle(channel, address(_spam));
        vm.assertLt(_snapshot("settle, a gas-burning token, both sides"), 300_000, "target");
    }

    function test_gas_claimLock() public {
        _use(5);
        farthing.claimLock(channel, ETHER, 0, LockClaim(SLOT, _lock, HASH_LOCK, _paramsHash, EXPIRY, _siblings));
        _snapshot("claimLock, ETH");
    }

    function test_size() public {
        vm.snapshotValue("Farthing", "size of the code, bytes", address(farthing).code.length);
        vm.snapshotValue("Farthing", "size of the creation code, bytes", type(Farthing).creationCode.length);
        vm.assertLe(address(farthing).code.length, 24_576, "EIP-170");
    }

    function _prepareLock() private returns (bytes32) {
        _paramsHash = keccak256(hashOf("secret"));
        _lock = Lock(hashLockOf("secret", EXPIRY), 1, 2 ether, 0);
        _siblings = Tree.siblingsOf(treeOf(SLOT, _lock), SLOT);
        return Tree.rootOf(treeOf(SLOT, _lock));
    }

    /// @dev Somebody's who takes money by now.
    function _prepareCredit() private {
        _receiver = new Receiver();
        _receiver.setMood(Receiver.Mood.Reverts);
        channel = channelOf(address(_receiver), bob, 6);
        id = farthing.channelIdOf(channel);
        deposit(0, ETHER, 2 ether);
        close(closingOf(ETHER, 2 ether, 0, 2 ether, 0));
        _receiver.setMood(Receiver.Mood.Works);
    }

    function _hashTimes(bytes32 word, uint256 times) private pure returns (bytes32) {
        for (uint256 i = 0; i < times; ++i) {
            assembly ("memory-safe") {
                mstore(0, word)
                word := keccak256(0, 32)
            }
        }
        return word;
    }

    function _prepare(uint64 salt, address asset) private {
        channel = channelOf(alice, bob, salt);
        id = farthing.channelIdOf(channel);
        deposit(0, asset, 10 ether);
    }

    /// @dev The id without a call, which would warm the contract up.
    function _use(uint64 salt) private returns (Channel memory) {
        channel = channelOf(alice, bob, salt);
        id = keccak256(abi.encode(block.chainid, address(farthing), channel));
        return channel;
    }

    function _close(Closing memory c) private {
        bytes memory sigA = signed(ALICE_SESSION, Typed.closingOf(c));
        bytes memory sigB = signed(BOB_SESSION, Typed.closingOf(c));
        farthing.close(channel, c, sigA, sigB);
    }

    function _snapshot(string memory name) private returns (uint256) {
        return vm.snapshotGasLastCall("Farthing", name);
    }

    function _digestOfPermit(address owner) private view returns (bytes32) {
        bytes32 hash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                owner,
                address(farthing),
                uint256(1 ether),
                uint256(0),
                uint256(START)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", dai.DOMAIN_SEPARATOR(), hash));
    }
}
