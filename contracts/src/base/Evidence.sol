// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {ICondition} from "../interfaces/ICondition.sol";
import {EvidenceItem, IFarthing} from "../interfaces/IFarthing.sol";
import {Conditions} from "../lib/Conditions.sol";

/// @title What was proven in time
/// @notice Evidence is recorded once for all locks under its condition key, whoever's and wherever they are. So every
/// hop of a payment has the same expiry, and no hop needs time to react to another.
abstract contract Evidence is IFarthing, EIP712 {
    /// @inheritdoc IFarthing
    mapping(bytes32 key => uint32 units) public unitsOf;

    /// @inheritdoc IFarthing
    function recordEvidence(address condition, bytes calldata params, uint64 expiry, bytes calldata evidence) external {
        if (block.timestamp > expiry) revert EvidenceLate(expiry);

        bytes32 key = Conditions.keyOf(condition, keccak256(params), expiry);
        Conditions.Verdict verdict;
        uint32 units;
        if (Conditions.isForeign(condition)) units = ICondition(condition).evaluate(params, evidence);
        else (verdict, units) = _judge(condition, params, evidence, key);
        if (verdict == Conditions.Verdict.MalformedParams) revert MalformedParams(condition);
        if (verdict == Conditions.Verdict.MalformedEvidence) revert MalformedEvidence(condition);
        if (units == 0) revert NothingProven(condition);
        _keep(key, units, evidence);
    }

    /// @inheritdoc IFarthing
    function recordEvidenceBatch(EvidenceItem[] calldata items) external {
        for (uint256 i = 0; i < items.length; ++i) {
            EvidenceItem calldata item = items[i];
            if (block.timestamp > item.expiry) continue;

            bytes32 key = Conditions.keyOf(item.condition, keccak256(item.params), item.expiry);
            uint32 units;
            if (Conditions.isForeign(item.condition)) {
                units = Conditions.ask(item.condition, item.params, item.evidence);
            } else {
                (, units) = _judge(item.condition, item.params, item.evidence, key);
            }
            _keep(key, units, item.evidence);
        }
    }

    function _judge(address condition, bytes calldata params, bytes calldata evidence, bytes32 key)
        private
        view
        returns (Conditions.Verdict, uint32)
    {
        return Conditions.evaluate(condition, params, evidence, key, _domainSeparatorV4());
    }

    /// @dev What was proven only grows.
    function _keep(bytes32 key, uint32 units, bytes calldata evidence) private {
        if (units <= unitsOf[key]) return;

        unitsOf[key] = units;
        emit EvidenceRecorded(key, units, evidence);
    }
}
