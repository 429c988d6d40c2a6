// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {Conditions} from "../lib/Conditions.sol";

/// @title What was proven in time
/// @notice Evidence is recorded once for all locks under its condition key, whoever's and wherever they are. So every
/// hop of a payment has the same expiry, and no hop needs time to react to another.
abstract contract Evidence is EIP712 {
    /// @notice The most units proven for a condition key. Final once the key's expiry has passed.
    mapping(bytes32 key => uint32 units) public unitsOf;

    /// @notice More units than before are proven for the key. The evidence is here for the hops that lack it.
    event EvidenceRecorded(bytes32 indexed key, uint32 units, bytes evidence);

    /// @notice Evidence counts up to and including the second of its expiry.
    error EvidenceLate(uint64 expiry);

    /// @notice Records evidence, for anybody, while `block.timestamp <= expiry`. Does nothing if as much was proven
    /// before; reverts if it proves nothing.
    /// @param condition A built-in condition's address, or an ICondition.
    function recordEvidence(address condition, bytes calldata params, uint64 expiry, bytes calldata evidence) external {
        if (block.timestamp > expiry) revert EvidenceLate(expiry);

        bytes32 key = Conditions.keyOf(condition, keccak256(params), expiry);
        uint32 units = Conditions.evaluate(condition, params, evidence, key, _domainSeparatorV4());
        if (units <= unitsOf[key]) return;

        unitsOf[key] = units;
        emit EvidenceRecorded(key, units, evidence);
    }
}
