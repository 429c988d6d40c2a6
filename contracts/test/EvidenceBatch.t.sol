// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {EvidenceItem, IFarthing} from "../src/interfaces/IFarthing.sol";
import {Base} from "./utils/Base.sol";
import {Arbiter, BadJudge, SlowJudge} from "./utils/Judges.sol";
import {Typed} from "./utils/Typed.sol";
import {vm} from "./utils/Vm.sol";

/// @dev recordEvidenceBatch: an item that proves nothing harms no other.
contract EvidenceBatchTest is Base {
    address private constant HASH_CHAIN = 0x000000000000000000000000000000000000fA02;
    address private constant VOUCHER = 0x000000000000000000000000000000000000fa03;
    uint64 private constant EXPIRY = START + 1 hours;

    EvidenceItem[] private _items;

    function test_recordEvidenceBatch_recordsEveryKind() public {
        bytes memory chain = abi.encodePacked(keccak256(abi.encode(bytes32("w"))), uint32(9));
        bytes memory params = abi.encodePacked(alice, bytes32("stream"));
        bytes32 voucher = _keyOf(VOUCHER, params);
        address arbiter = address(new Arbiter());
        _add(HASH_LOCK, hashOf("a"), abi.encode(bytes32("a")));
        _add(HASH_CHAIN, chain, abi.encodePacked(uint32(1), bytes32("w")));
        _add(VOUCHER, params, abi.encodePacked(uint32(5), signed(ALICE_KEY, Typed.voucherOf(voucher, 5))));
        _add(arbiter, "case 1", abi.encode(uint32(4)));
        vm.expectEmit(true, true, true, true, address(farthing));
        emit IFarthing.EvidenceRecorded(hashLockOf("a", EXPIRY), type(uint32).max, abi.encode(bytes32("a")));
        farthing.recordEvidenceBatch(_items);
        _expect(0, type(uint32).max);
        _expect(1, 1);
        _expect(2, 5);
        _expect(3, 4);
    }

    function test_recordEvidenceBatch_skipsWhatIsLate() public {
        _add(HASH_LOCK, hashOf("a"), abi.encode(bytes32("a")));
        _items[0].expiry = START - 1;
        _add(HASH_LOCK, hashOf("b"), abi.encode(bytes32("b")));
        farthing.recordEvidenceBatch(_items);
        vm.assertEq(uint256(farthing.unitsOf(hashLockOf("a", START - 1))), 0);
        _expect(1, type(uint32).max);
        vm.warp(EXPIRY);
        _add(HASH_LOCK, hashOf("c"), abi.encode(bytes32("c")));
        farthing.recordEvidenceBatch(_items);
        _expect(2, type(uint32).max);
    }

    function test_recordEvidenceBatch_skipsWhatIsMalformedOrProvesNothing() public {
        _add(HASH_LOCK, hashOf("a"), "short");
        _add(HASH_LOCK, "short", abi.encode(bytes32("a")));
        _add(HASH_LOCK, hashOf("b"), abi.encode(bytes32("guess")));
        _add(HASH_CHAIN, "", "");
        _add(HASH_CHAIN, abi.encodePacked(bytes32("tip"), uint32(2 ** 14 + 1)), abi.encodePacked(uint32(1), bytes32(0)));
        _add(HASH_CHAIN, abi.encodePacked(bytes32("tip"), uint32(3)), abi.encodePacked(uint32(3), bytes32("w")));
        _add(VOUCHER, "", "");
        _add(VOUCHER, abi.encodePacked(alice, bytes32("stream")), new bytes(69));
        _add(HASH_LOCK, hashOf("last"), abi.encode(bytes32("last")));
        farthing.recordEvidenceBatch(_items);
        for (uint256 i = 0; i + 1 < _items.length; ++i) {
            _expect(i, 0);
        }
        _expect(_items.length - 1, type(uint32).max);
    }

    /// @dev Nobody can void a batch by recording a part of it first, nor take back what was recorded.
    function test_recordEvidenceBatch_neverLowersWhatWasProven() public {
        bytes32 tip = keccak256(abi.encode(keccak256(abi.encode(bytes32("w")))));
        bytes memory params = abi.encodePacked(tip, uint32(2));
        farthing.recordEvidence(HASH_CHAIN, params, EXPIRY, abi.encodePacked(uint32(2), bytes32("w")));
        _add(HASH_CHAIN, params, abi.encodePacked(uint32(1), keccak256(abi.encode(bytes32("w")))));
        _add(HASH_LOCK, hashOf("a"), abi.encode(bytes32("a")));
        _add(HASH_LOCK, hashOf("a"), abi.encode(bytes32("a")));
        farthing.recordEvidenceBatch(_items);
        _expect(0, 2);
        _expect(1, type(uint32).max);
    }

    function test_recordEvidenceBatch_survivesBadConditions() public {
        address judge = address(new BadJudge());
        bytes32[7] memory ways = [
            bytes32("reverts"),
            "reverts with a bomb",
            "returns nothing",
            "returns too little",
            "returns too much",
            "burns gas",
            "returns zero"
        ];
        for (uint256 i = 0; i < 7; ++i) {
            _add(judge, abi.encode(ways[i]), "");
        }
        // An account without code, a precompile that would answer with a word, and the contract itself.
        _add(mallory, "", "");
        _add(address(2), "", "");
        _add(address(farthing), "", "");
        _add(HASH_LOCK, hashOf("last"), abi.encode(bytes32("last")));
        uint256 before = gasleft();
        farthing.recordEvidenceBatch(_items);
        vm.assertLt(before - gasleft(), 2_500_000, "one allowance burnt");
        for (uint256 i = 0; i + 1 < _items.length; ++i) {
            _expect(i, 0);
        }
        _expect(_items.length - 1, type(uint32).max);
    }

    /// @dev A bomb is not copied: of a long answer the first word counts.
    function test_recordEvidenceBatch_readsOneWord() public {
        address judge = address(new BadJudge());
        _add(judge, abi.encode(bytes32("returns a bomb")), "");
        farthing.recordEvidenceBatch(_items);
        // Its first word is what lies in a contract's scratch memory: whatever it is, it fits or it is none.
        vm.assertLe(uint256(farthing.unitsOf(_keyOf(judge, _items[0].params))), type(uint32).max, "fits");
    }

    /// @dev Whoever sends it can't have a condition skipped by giving it too little gas.
    function test_recordEvidenceBatch_cannotBeStarvedAtAnyLimit() public {
        address judge = address(new SlowJudge());
        _add(judge, abi.encode(uint256(900_000)), "");
        uint256 fresh = vm.snapshotState();
        uint256 recorded;
        for (uint256 limit = 30_000; limit < 1_300_000; limit += 10_000) {
            try farthing.recordEvidenceBatch{gas: limit}(_items) {
                _expect(0, 7);
                ++recorded;
            } catch {}
            vm.revertToState(fresh);
        }
        vm.assertTrue(recorded > 3);
    }

    /// @dev What needs more than a batch allows goes by itself.
    function test_recordEvidence_hasNoAllowance() public {
        address judge = address(new SlowJudge());
        _add(judge, abi.encode(uint256(1_100_000)), "");
        farthing.recordEvidenceBatch(_items);
        _expect(0, 0);
        farthing.recordEvidence(judge, _items[0].params, EXPIRY, "");
        _expect(0, 7);
    }

    function _add(address condition, bytes memory params, bytes memory evidence) private {
        _items.push(EvidenceItem(condition, params, EXPIRY, evidence));
    }

    function _expect(uint256 i, uint32 units) private view {
        vm.assertEq(uint256(farthing.unitsOf(_keyOf(_items[i].condition, _items[i].params))), units);
    }

    function _keyOf(address condition, bytes memory params) private pure returns (bytes32) {
        return keccak256(abi.encode(condition, keccak256(params), EXPIRY));
    }
}
