// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {LowLevelCall} from "@openzeppelin/contracts/utils/LowLevelCall.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @title How money leaves
/// @notice Pushing money to one account never blocks or taxes another: each push has a bounded gas allowance, which is
/// there in full or the call reverts; nothing of what comes back is copied; and what fails becomes a credit of the
/// owner, which anybody may have pushed again with as much gas as they like.
abstract contract Payouts is ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice The address that stands for ETH among the assets.
    address internal constant ETHER = address(0);

    /// @dev Of a push of ETH, some 37,000 may go into a new account; the rest is the recipient's.
    uint256 private constant ETHER_ALLOWANCE = 100_000;
    uint256 private constant TOKEN_ALLOWANCE = 250_000;
    /// @dev What is spent between the check of the allowance and the call, rounded up.
    uint256 private constant CALL_OVERHEAD = 5000;

    /// @notice What could not be pushed to its owner, by asset.
    mapping(address asset => mapping(address owner => uint256)) public credit;

    /// @notice A payment to the owner failed, and is kept for {payCredit}.
    event Credited(address indexed asset, address indexed owner, uint256 amount);
    /// @notice The owner's credit was paid.
    event CreditPaid(address indexed asset, address indexed owner, uint256 amount);

    /// @notice The transaction's gas does not cover the allowance of a push.
    error InsufficientGas(uint256 needed);
    /// @notice Only the contract itself calls this.
    error OnlySelf();
    /// @notice The recipient or the token refused.
    error PushFailed(address asset, address to, uint256 amount);
    /// @notice The owner has no credit in this asset.
    error NoCredit(address asset, address owner);

    /// @notice Tries again to pay what could not be pushed before; reverts if it fails again.
    function payCredit(address asset, address owner) external nonReentrant {
        uint256 amount = credit[asset][owner];
        if (amount == 0) revert NoCredit(asset, owner);

        credit[asset][owner] = 0;
        emit CreditPaid(asset, owner, amount);
        _push(asset, owner, amount);
    }

    /// @notice Sends money, or reverts. A call of its own, so that a token which moves money and then says that it
    /// failed has moved nothing: else the credit would pay a second time, with other channels' money.
    function push(address asset, address to, uint256 amount) external {
        if (msg.sender != address(this)) revert OnlySelf();
        _push(asset, to, amount);
    }

    /// @dev Pays, or credits. Must come after all effects.
    function _pay(address asset, address to, uint256 amount) internal {
        if (amount == 0) return;

        uint256 allowance = asset == ETHER ? ETHER_ALLOWANCE : TOKEN_ALLOWANCE;
        // A call gets at most 63/64 of what is left, and silently less than it was promised. Without this check,
        // whoever sends the transaction could starve the push and so turn other people's payments into credits.
        uint256 needed = (allowance + CALL_OVERHEAD) * 64 / 63;
        if (gasleft() < needed) revert InsufficientGas(needed);

        try this.push{gas: allowance}(asset, to, amount) {}
        catch {
            credit[asset][to] += amount;
            emit Credited(asset, to, amount);
        }
    }

    function _push(address asset, address to, uint256 amount) private {
        bool sent =
            asset == ETHER ? LowLevelCall.callNoReturn(to, amount, "") : IERC20(asset).trySafeTransfer(to, amount);
        if (!sent) revert PushFailed(asset, to, amount);
    }
}
