// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title A condition of a lock
/// @notice Turns evidence into a number of units. Whoever accepts a lock under a condition trusts this contract to
/// judge as it promised: it may change its mind, and then what it said first counts only if it was recorded.
interface ICondition {
    /// @notice Says how many units the evidence proves.
    /// @param params The parameters that the lock's condition key commits to.
    /// @param evidence What is offered as proof.
    /// @return units How many units are proven; `type(uint32).max` means all. Zero, or a revert, refuses the evidence.
    function evaluate(bytes calldata params, bytes calldata evidence) external view returns (uint32 units);
}
