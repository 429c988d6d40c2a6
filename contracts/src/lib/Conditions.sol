// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import {ICondition} from "../interfaces/ICondition.sol";
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

    /// @notice The parameters do not have the condition's format.
    error MalformedParams(address condition);
    /// @notice The evidence does not have the condition's format.
    error MalformedEvidence(address condition);
    /// @notice The evidence proves nothing.
    error NothingProven(address condition);

    /// @notice The key of a condition: the same for all hops of a payment.
    function keyOf(address condition, bytes32 paramsHash, uint64 expiry) internal pure returns (bytes32) {
        return keccak256(abi.encode(condition, paramsHash, expiry));
    }

    /// @notice How many units the evidence proves; never zero.
    /// @param key The condition key, which vouchers are signed over.
    /// @param domainSeparator The EIP-712 domain of vouchers.
    function evaluate(
        address condition,
        bytes calldata params,
        bytes calldata evidence,
        bytes32 key,
        bytes32 domainSeparator
    ) internal view returns (uint32 units) {
        if (condition == HASH_LOCK) return _hashLock(params, evidence);
        if (condition == HASH_CHAIN) return _hashChain(params, evidence);
        if (condition == VOUCHER) return _voucher(params, evidence, key, domainSeparator);

        units = ICondition(condition).evaluate(params, evidence);
        if (units == 0) revert NothingProven(condition);
    }

    function _hashLock(bytes calldata params, bytes calldata evidence) private pure returns (uint32) {
        if (params.length != 32) revert MalformedParams(HASH_LOCK);
        if (evidence.length != 32) revert MalformedEvidence(HASH_LOCK);
        if (sha256(evidence) != bytes32(params)) revert NothingProven(HASH_LOCK);
        return ALL;
    }

    function _hashChain(bytes calldata params, bytes calldata evidence) private pure returns (uint32 k) {
        if (params.length != 36) revert MalformedParams(HASH_CHAIN);
        uint32 n = uint32(bytes4(params[32:36]));
        if (n == 0 || n > MAX_CHAIN) revert MalformedParams(HASH_CHAIN);

        if (evidence.length != 36) revert MalformedEvidence(HASH_CHAIN);
        k = uint32(bytes4(evidence[0:4]));
        if (k == 0 || k > n) revert MalformedEvidence(HASH_CHAIN);

        bytes32 word = bytes32(evidence[4:36]);
        for (uint256 i = 0; i < k; ++i) {
            // keccak256(abi.encode(word)) takes new memory at every step, which long chains can't pay for.
            assembly ("memory-safe") {
                mstore(0x00, word)
                word := keccak256(0x00, 0x20)
            }
        }
        if (word != bytes32(params[0:32])) revert NothingProven(HASH_CHAIN);
    }

    function _voucher(bytes calldata params, bytes calldata evidence, bytes32 key, bytes32 domainSeparator)
        private
        pure
        returns (uint32 units)
    {
        if (params.length != 52) revert MalformedParams(VOUCHER);
        if (evidence.length != 69) revert MalformedEvidence(VOUCHER);
        units = uint32(bytes4(evidence[0:4]));
        if (units == 0) revert NothingProven(VOUCHER);

        bytes32 digest = MessageHashUtils.toTypedDataHash(domainSeparator, Messages.hashVoucher(key, units));
        address signer = address(bytes20(params[0:20]));
        if (!Signatures.isSigner(signer, digest, evidence[4:69])) revert NothingProven(VOUCHER);
    }
}
