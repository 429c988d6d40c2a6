// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import {ICondition} from "../interfaces/ICondition.sol";
import {IFarthing} from "../interfaces/IFarthing.sol";
import {Messages} from "./Messages.sol";
import {Signatures} from "./Signatures.sol";

/// @title The conditions of locks
/// @notice Three are built in, at fixed addresses where no contract can be; any other address is an {ICondition}.
/// Client and hub evaluate the built-in ones themselves, byte for byte as here.
library Conditions {
    /// @notice Parameters: a sha256 hash. Evidence: its preimage of 32 bytes. Proves all units.
    address internal constant HASH_LOCK = 0x000000000000000000000000000000000000FA01;
    /// @notice Parameters: tip (32), n (4). Evidence: k (4), w (32), where hashing w k times gives the tip. Proves k.
    address internal constant HASH_CHAIN = 0x000000000000000000000000000000000000fA02;
    /// @notice Parameters: signer (20), id (32). Evidence: units (4), its signature over the Voucher (65). Proves units.
    address internal constant VOUCHER = 0x000000000000000000000000000000000000fa03;

    /// @notice The unit count that means "all", whatever the lock's own.
    uint32 internal constant ALL = type(uint32).max;
    /// @notice The longest hash chain; bounds the gas of its evaluation.
    uint32 internal constant MAX_CHAIN = 2 ** 14;

    /// @dev The 16 hashes of an unrolled step.
    uint256 private constant STRIDE = 16;
    /// @dev What a contract may spend on judging where others' evidence depends on it: more than the longest chain.
    uint256 private constant ALLOWANCE = 1_000_000;
    /// @dev What is spent between the check of the allowance and the call, rounded up.
    uint256 private constant CALL_OVERHEAD = 10_000;

    /// @notice What became of evidence.
    enum Verdict {
        Proven,
        MalformedParams,
        MalformedEvidence,
        NothingProven
    }

    /// @notice The key of a condition: the same for all hops of a payment.
    function keyOf(address condition, bytes32 paramsHash, uint64 expiry) internal pure returns (bytes32) {
        return keccak256(abi.encode(condition, paramsHash, expiry));
    }

    /// @notice Whether this is a contract's address, as far as this library is concerned.
    function isForeign(address condition) internal pure returns (bool) {
        return condition != HASH_LOCK && condition != HASH_CHAIN && condition != VOUCHER;
    }

    /// @notice How many units the evidence proves under a built-in condition.
    /// @param key The condition key, which vouchers are signed over.
    /// @param domainSeparator The EIP-712 domain of vouchers.
    function evaluate(
        address condition,
        bytes calldata params,
        bytes calldata evidence,
        bytes32 key,
        bytes32 domainSeparator
    ) internal pure returns (Verdict, uint32 units) {
        if (condition == HASH_LOCK) return _hashLock(params, evidence);
        if (condition == HASH_CHAIN) return _hashChain(params, evidence);
        return _voucher(params, evidence, key, domainSeparator);
    }

    /// @notice How many units a contract says that the evidence proves: none if it has no code, reverts, answers
    /// something else or burns its allowance. Nothing that it does can fail the caller.
    function ask(address condition, bytes calldata params, bytes calldata evidence) internal view returns (uint32) {
        if (condition.code.length == 0) return 0;

        bytes memory data = abi.encodeCall(ICondition.evaluate, (params, evidence));
        // Without this check, evidence would be skipped for want of gas, and whoever estimates gas by trying would
        // arrive at an amount with which it is.
        uint256 needed = (ALLOWANCE + CALL_OVERHEAD) * 64 / 63;
        if (gasleft() < needed) revert IFarthing.InsufficientGas(needed);
        uint256 answer;
        assembly ("memory-safe") {
            // Of what comes back one word is copied, however much it is.
            let answered := staticcall(ALLOWANCE, condition, add(data, 0x20), mload(data), 0x00, 0x20)
            if and(answered, gt(returndatasize(), 0x1f)) { answer := mload(0x00) }
        }
        return answer > type(uint32).max ? 0 : uint32(answer);
    }

    function _hashLock(bytes calldata params, bytes calldata evidence) private pure returns (Verdict, uint32) {
        if (params.length != 32) return (Verdict.MalformedParams, 0);
        if (evidence.length != 32) return (Verdict.MalformedEvidence, 0);
        if (sha256(evidence) != bytes32(params)) return (Verdict.NothingProven, 0);
        return (Verdict.Proven, ALL);
    }

    function _hashChain(bytes calldata params, bytes calldata evidence) private pure returns (Verdict, uint32) {
        if (params.length != 36) return (Verdict.MalformedParams, 0);
        uint32 n = uint32(bytes4(params[32:36]));
        if (n == 0 || n > MAX_CHAIN) return (Verdict.MalformedParams, 0);

        if (evidence.length != 36) return (Verdict.MalformedEvidence, 0);
        uint32 k = uint32(bytes4(evidence[0:4]));
        if (k == 0 || k > n) return (Verdict.MalformedEvidence, 0);

        bool meets = _hashTimes(bytes32(evidence[4:36]), k) == bytes32(params[0:32]);
        return meets ? (Verdict.Proven, k) : (Verdict.NothingProven, 0);
    }

    /// @dev The whole loop stays within the scratch word: long chains can't pay for memory, nor for counting each step.
    function _hashTimes(bytes32 word, uint256 times) private pure returns (bytes32) {
        uint256 odd = times % STRIDE;
        uint256 strides = times / STRIDE;
        assembly ("memory-safe") {
            mstore(0x00, word)
            for {} odd { odd := sub(odd, 1) } { mstore(0x00, keccak256(0x00, 0x20)) }
            for {} strides { strides := sub(strides, 1) } {
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
            }
            word := mload(0x00)
        }
        return word;
    }

    function _voucher(bytes calldata params, bytes calldata evidence, bytes32 key, bytes32 domainSeparator)
        private
        pure
        returns (Verdict, uint32)
    {
        if (params.length != 52) return (Verdict.MalformedParams, 0);
        if (evidence.length != 69) return (Verdict.MalformedEvidence, 0);
        uint32 units = uint32(bytes4(evidence[0:4]));
        if (units == 0) return (Verdict.NothingProven, 0);

        bytes32 digest = MessageHashUtils.toTypedDataHash(domainSeparator, Messages.hashVoucher(key, units));
        address signer = address(bytes20(params[0:20]));
        if (!Signatures.isSigner(signer, digest, evidence[4:69])) return (Verdict.NothingProven, 0);
        return (Verdict.Proven, units);
    }
}
