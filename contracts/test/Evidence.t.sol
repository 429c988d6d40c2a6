// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IFarthing} from "../src/interfaces/IFarthing.sol";
import {Base} from "./utils/Base.sol";
import {Arbiter} from "./utils/Judges.sol";
import {Typed} from "./utils/Typed.sol";
import {vm} from "./utils/Vm.sol";

/// @dev recordEvidence, with every condition.
contract EvidenceTest is Base {
    address private constant HASH_CHAIN = 0x000000000000000000000000000000000000fA02;
    address private constant VOUCHER = 0x000000000000000000000000000000000000fa03;
    uint64 private constant EXPIRY = START + 1 hours;

    function test_recordEvidence_hashLockProvesAll() public {
        bytes32 key = hashLockOf("secret", EXPIRY);
        vm.expectEmit(true, true, true, true, address(farthing));
        emit IFarthing.EvidenceRecorded(key, type(uint32).max, abi.encode(bytes32("secret")));
        farthing.recordEvidence(HASH_LOCK, hashOf("secret"), EXPIRY, abi.encode(bytes32("secret")));
        vm.assertEq(uint256(farthing.unitsOf(key)), type(uint32).max);
    }

    function test_recordEvidence_hashLockRefusals() public {
        bytes memory good = abi.encode(bytes32("secret"));
        _refuse(HASH_LOCK, hashOf("secret"), abi.encode(bytes32("guess")), IFarthing.NothingProven.selector);
        _refuse(HASH_LOCK, hashOf("secret"), "", IFarthing.MalformedEvidence.selector);
        _refuse(HASH_LOCK, hashOf("secret"), bytes.concat(good, hex"00"), IFarthing.MalformedEvidence.selector);
        _refuse(HASH_LOCK, bytes.concat(hashOf("secret"), hex"00"), good, IFarthing.MalformedParams.selector);
        // The preimage of a hash lock has 32 bytes, so that it can pass every network.
        bytes memory short = "short";
        _refuse(HASH_LOCK, abi.encode(sha256(short)), short, IFarthing.MalformedEvidence.selector);
    }

    function test_recordEvidence_takesTheLastSecond() public {
        bytes memory secret = abi.encode(bytes32("secret"));
        bytes memory params = hashOf("secret");
        vm.warp(EXPIRY + 1);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.EvidenceLate.selector, EXPIRY));
        farthing.recordEvidence(HASH_LOCK, params, EXPIRY, secret);
        vm.warp(EXPIRY);
        farthing.recordEvidence(HASH_LOCK, params, EXPIRY, secret);
    }

    function test_recordEvidence_expiryIsPartOfTheKey() public {
        farthing.recordEvidence(HASH_LOCK, hashOf("secret"), EXPIRY + 1, abi.encode(bytes32("secret")));
        vm.assertEq(uint256(farthing.unitsOf(hashLockOf("secret", EXPIRY))), 0);
    }

    function test_recordEvidence_hashChainProvesItsLength() public {
        bytes memory params = abi.encodePacked(_chain("seed", 100), uint32(100));
        bytes32 key = keccak256(abi.encode(HASH_CHAIN, keccak256(params), EXPIRY));
        farthing.recordEvidence(HASH_CHAIN, params, EXPIRY, abi.encodePacked(uint32(3), _chain("seed", 97)));
        vm.assertEq(uint256(farthing.unitsOf(key)), 3);
        farthing.recordEvidence(HASH_CHAIN, params, EXPIRY, abi.encodePacked(uint32(100), bytes32("seed")));
        vm.assertEq(uint256(farthing.unitsOf(key)), 100);
        // Less than before changes nothing.
        farthing.recordEvidence(HASH_CHAIN, params, EXPIRY, abi.encodePacked(uint32(3), _chain("seed", 97)));
        vm.assertEq(uint256(farthing.unitsOf(key)), 100);
    }

    function test_recordEvidence_hashChainRefusals() public {
        bytes32 tip = _chain("seed", 100);
        bytes memory params = abi.encodePacked(tip, uint32(100));
        bytes4 badParams = IFarthing.MalformedParams.selector;
        bytes4 badEvidence = IFarthing.MalformedEvidence.selector;
        bytes memory good = abi.encodePacked(uint32(1), _chain("seed", 99));
        _refuse(HASH_CHAIN, params, abi.encodePacked(uint32(0), tip), badEvidence);
        _refuse(HASH_CHAIN, params, abi.encodePacked(uint32(2), _chain("seed", 99)), IFarthing.NothingProven.selector);
        _refuse(HASH_CHAIN, params, bytes.concat(good, hex"00"), badEvidence);
        _refuse(HASH_CHAIN, params, "", badEvidence);
        _refuse(HASH_CHAIN, bytes.concat(params, hex"00"), good, badParams);
        _refuse(HASH_CHAIN, abi.encodePacked(tip, uint32(0)), good, badParams);
        _refuse(HASH_CHAIN, abi.encodePacked(tip, uint32(2 ** 14 + 1)), good, badParams);
        // More than the chain has, even if the hashes fit.
        bytes memory short = abi.encodePacked(tip, uint32(99));
        _refuse(HASH_CHAIN, short, abi.encodePacked(uint32(100), bytes32("seed")), badEvidence);
    }

    function test_recordEvidence_longestHashChainIsAffordable() public {
        bytes memory params = abi.encodePacked(_chain("seed", 2 ** 14), uint32(2 ** 14));
        bytes memory evidence = abi.encodePacked(uint32(2 ** 14), bytes32("seed"));
        farthing.recordEvidence{gas: 900_000}(HASH_CHAIN, params, EXPIRY, evidence);
    }

    function test_recordEvidence_voucherProvesWhatWasSigned() public {
        bytes memory params = abi.encodePacked(alice, bytes32("stream 1"));
        bytes32 key = keccak256(abi.encode(VOUCHER, keccak256(params), EXPIRY));
        farthing.recordEvidence(VOUCHER, params, EXPIRY, _voucher(ALICE_KEY, key, 5));
        vm.assertEq(uint256(farthing.unitsOf(key)), 5);
        farthing.recordEvidence(VOUCHER, params, EXPIRY, _voucher(ALICE_KEY, key, 9));
        vm.assertEq(uint256(farthing.unitsOf(key)), 9);
    }

    function test_recordEvidence_voucherRefusals() public {
        bytes memory params = abi.encodePacked(alice, bytes32("stream 1"));
        bytes32 key = keccak256(abi.encode(VOUCHER, keccak256(params), EXPIRY));
        bytes32 other = keccak256(abi.encode(VOUCHER, keccak256(params), EXPIRY + 1));
        bytes4 unproven = IFarthing.NothingProven.selector;
        bytes memory good = _voucher(ALICE_KEY, key, 5);
        _refuse(VOUCHER, params, _voucher(BOB_KEY, key, 5), unproven);
        _refuse(VOUCHER, params, _voucher(ALICE_KEY, key, 0), unproven);
        // Rule 7: bound to one expiry.
        _refuse(VOUCHER, params, _voucher(ALICE_KEY, other, 5), unproven);
        _refuse(VOUCHER, params, bytes.concat(good, hex"00"), IFarthing.MalformedEvidence.selector);
        _refuse(VOUCHER, bytes.concat(params, hex"00"), good, IFarthing.MalformedParams.selector);
        bytes memory nobody = abi.encodePacked(address(0), bytes32("stream 1"));
        _refuse(VOUCHER, nobody, abi.encodePacked(uint32(5), new bytes(65)), unproven);
        good[3] = 0x06;
        _refuse(VOUCHER, params, good, unproven);
    }

    function test_recordEvidence_asksOtherContracts() public {
        Arbiter arbiter = new Arbiter();
        bytes32 key = keccak256(abi.encode(address(arbiter), keccak256("case 1"), EXPIRY));
        farthing.recordEvidence(address(arbiter), "case 1", EXPIRY, abi.encode(uint32(4)));
        vm.assertEq(uint256(farthing.unitsOf(key)), 4);
        _refuse(address(arbiter), "case 1", abi.encode(uint32(0)), IFarthing.NothingProven.selector);
        vm.expectRevert();
        farthing.recordEvidence(address(arbiter), "case 2", EXPIRY, abi.encode(uint32(4)));
        // More than 32 bits are no number of units.
        vm.expectRevert();
        farthing.recordEvidence(address(arbiter), "case 1", EXPIRY, abi.encode(uint256(2 ** 32)));
    }

    function test_recordEvidence_refusesConditionThatIsNoContract() public {
        vm.expectRevert();
        farthing.recordEvidence(mallory, "", EXPIRY, "");
        vm.expectRevert();
        farthing.recordEvidence(address(farthing), "", EXPIRY, "");
    }

    function testFuzz_recordEvidence_hashChain(bytes32 seed, uint16 n, uint16 k, uint16 claim) public {
        // Longer than the loop's stride, and not only multiples of it.
        n = uint16(bound(n, 1, 200));
        k = uint16(bound(k, 1, n));
        claim = uint16(bound(claim, 1, n));
        bytes memory params = abi.encodePacked(_chain(seed, n), uint32(n));
        bytes memory evidence = abi.encodePacked(uint32(claim), _chain(seed, n - k));
        if (claim != k) {
            _refuse(HASH_CHAIN, params, evidence, IFarthing.NothingProven.selector);
        } else {
            farthing.recordEvidence(HASH_CHAIN, params, EXPIRY, evidence);
            vm.assertEq(uint256(farthing.unitsOf(keccak256(abi.encode(HASH_CHAIN, keccak256(params), EXPIRY)))), k);
        }
    }

    function _refuse(address condition, bytes memory params, bytes memory evidence, bytes4 selector) private {
        vm.expectRevert(abi.encodeWithSelector(selector, condition));
        farthing.recordEvidence(condition, params, EXPIRY, evidence);
    }

    function _voucher(uint256 key, bytes32 conditionKey, uint32 units) private view returns (bytes memory) {
        return abi.encodePacked(units, signed(key, Typed.voucherOf(conditionKey, units)));
    }

    function _chain(bytes32 word, uint256 times) private pure returns (bytes32) {
        bytes memory buffer = abi.encode(word);
        for (uint256 i = 0; i < times; ++i) {
            word = keccak256(buffer);
            assembly {
                mstore(add(buffer, 32), word)
            }
        }
        return word;
    }
}
