// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {LowLevelCall} from "@openzeppelin/contracts/utils/LowLevelCall.sol";

import {CreditOrder, IFarthing} from "../interfaces/IFarthing.sol";
import {Messages} from "../lib/Messages.sol";
import {Signatures} from "../lib/Signatures.sol";
import {Ledger} from "./Ledger.sol";

/// @title How money leaves
/// @notice Where a transaction pays several accounts, no one blocks or taxes another: each push has a bounded gas
/// allowance, which is there in full or the call reverts; nothing of what comes back is copied; and what fails becomes
/// a credit of the owner, which anybody may have pushed again with as much gas as they like.
abstract contract Payouts is Ledger {
    using SafeERC20 for IERC20;

    /// @dev Of a push of ETH, some 37,000 may go into a new account; the rest is the recipient's.
    uint256 private constant ETHER_ALLOWANCE = 100_000;
    uint256 private constant TOKEN_ALLOWANCE = 200_000;
    /// @dev What is spent between the check of the allowance and the call, rounded up.
    uint256 private constant CALL_OVERHEAD = 5000;

    /// @inheritdoc IFarthing
    mapping(address asset => mapping(address owner => uint256)) public credit;

    /// @inheritdoc IFarthing
    function payCredit(address asset, address owner, uint256 amount) external nonReentrant {
        _payCredit(asset, owner, owner, amount);
    }

    /// @inheritdoc IFarthing
    function redirectCredit(CreditOrder calldata order, bytes calldata ownerSignature) external nonReentrant {
        _requireRecipient(order.recipient);
        bytes32 digest = _hashTypedDataV4(Messages.hashCreditOrder(order));
        // Used up by the owner's own call too: else a copy that the owner signed would pay a second time.
        if (!_useOnce(digest)) revert OrderUsed(digest);
        if (msg.sender != order.owner) {
            _requireInTime(order.deadline);
            Signatures.requireOwner(order.owner, digest, ownerSignature);
        }
        _payCredit(order.asset, order.owner, order.recipient, order.amount);
    }

    /// @notice Sends money, or reverts; for this contract's own use. It is a call of its own, so that a token which
    /// moves money and then says that it failed has moved nothing: else the credit would pay a second time, with other
    /// channels' money.
    function pushFromSelf(address asset, address to, uint256 amount) external {
        if (msg.sender != address(this)) revert OnlySelf();
        _push(asset, to, amount);
    }

    /// @dev Pays both owners of a channel, or credits them. Must come after all effects.
    function _payBoth(address asset, address ownerA, uint256 paidA, address ownerB, uint256 paidB) internal {
        bool burnt = _pay(asset, ownerA, paidA);
        // A token that has burnt most of an allowance would burn the next as well, and whoever settles pays for it.
        // ETH burns nothing by itself: there it was the recipient, and the other one is not to suffer for that.
        if (burnt && asset != ETHER && paidB != 0) _credit(asset, ownerB, paidB);
        else _pay(asset, ownerB, paidB);
    }

    /// @dev Sends money, or reverts. Must come after all effects.
    function _push(address asset, address to, uint256 amount) internal {
        bool sent =
            asset == ETHER ? LowLevelCall.callNoReturn(to, amount, "") : IERC20(asset).trySafeTransfer(to, amount);
        if (!sent) revert PushFailed(asset, to, amount);
    }

    function _requireRecipient(address recipient) internal view {
        if (recipient == address(0) || recipient == address(this)) revert InvalidRecipient();
    }

    function _payCredit(address asset, address owner, address recipient, uint256 amount) private {
        uint256 has = credit[asset][owner];
        if (amount == 0 || amount > has) revert InsufficientCredit(asset, owner, amount, has);

        credit[asset][owner] = has - amount;
        emit CreditPaid(asset, owner, amount);
        _push(asset, recipient, amount);
    }

    /// @dev Pays, or credits. Says whether the payment failed with more than half of its allowance burnt.
    function _pay(address asset, address to, uint256 amount) private returns (bool burnt) {
        if (amount == 0) return false;

        uint256 allowance = asset == ETHER ? ETHER_ALLOWANCE : TOKEN_ALLOWANCE;
        // A call gets at most 63/64 of what is left, and silently less than it was promised. Without this check,
        // whoever sends the transaction could starve the push and so turn other people's payments into credits.
        uint256 needed = (allowance + CALL_OVERHEAD) * 64 / 63;
        uint256 before = gasleft();
        if (before < needed) revert InsufficientGas(needed);

        try this.pushFromSelf{gas: allowance}(asset, to, amount) {}
        catch {
            burnt = before - gasleft() > allowance / 2;
            _credit(asset, to, amount);
        }
    }

    function _credit(address asset, address owner, uint256 amount) private {
        credit[asset][owner] += amount;
        emit Credited(asset, owner, amount);
    }
}
