// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {Channel, DepositIntent, IFarthing} from "../interfaces/IFarthing.sol";
import {Messages} from "../lib/Messages.sol";
import {Signatures} from "../lib/Signatures.sol";
import {Ledger} from "./Ledger.sol";

/// @title How money comes in
/// @notice What arrives counts, not what was announced. A token's owner always chose the channel and the side: by
/// sending the transaction, by the nonce of its authorization, or by a deposit intent.
abstract contract Deposits is Ledger {
    using SafeERC20 for IERC20;

    mapping(bytes32 digest => bool) private _usedIntents;

    /// @inheritdoc IFarthing
    function open(Channel calldata channel, address asset, uint128 amount) external payable nonReentrant {
        bytes32 channelId = _validIdOf(channel);
        emit ChannelOpened(channelId, channel.a.owner, channel.b.owner, channel);
        if (amount != 0 || msg.value != 0) _depositFromCaller(channelId, SIDE_A, asset, amount);
    }

    /// @inheritdoc IFarthing
    function deposit(Channel calldata channel, uint8 side, address asset, uint128 amount)
        external
        payable
        nonReentrant
    {
        _depositFromCaller(_validIdOf(channel), side, asset, amount);
    }

    /// @inheritdoc IFarthing
    function depositWithAuthorization(
        Channel calldata channel,
        uint8 side,
        address asset,
        uint128 amount,
        address from,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 salt,
        bytes calldata signature
    ) external nonReentrant {
        bytes32 channelId = _validIdOf(channel);
        // The nonce ties the owner's signature to this channel and side: whoever sends it can't redirect the money.
        bytes32 nonce = keccak256(abi.encode(channelId, side, salt));
        if (signature.length != 65) revert Signatures.WrongSignature(from);
        (uint8 v, bytes32 r, bytes32 s) = ECDSA.parseCalldata(signature);

        uint256 before = IERC20(asset).balanceOf(address(this));
        IERC3009(asset).receiveWithAuthorization(from, address(this), amount, validAfter, validBefore, nonce, v, r, s);
        _count(channelId, side, asset, IERC20(asset).balanceOf(address(this)) - before);
    }

    /// @inheritdoc IFarthing
    function depositWithPermit(
        Channel calldata channel,
        uint8 side,
        address asset,
        uint128 amount,
        address from,
        uint256 permitDeadline,
        uint8 v,
        bytes32 r,
        bytes32 s,
        bytes32 salt,
        uint64 intentDeadline,
        bytes calldata intentSignature
    ) external nonReentrant {
        bytes32 channelId = _validIdOf(channel);
        // A permit says who may spend, not on what. Without the owner's own word on that, anybody could deposit the
        // owner's tokens into a channel of their own; old allowances too.
        if (msg.sender != from) {
            _useIntent(DepositIntent(channelId, side, asset, amount, from, salt, intentDeadline), intentSignature);
        }

        // Somebody may have seen the permit and used it already. Then the allowance is there.
        try IERC20Permit(asset).permit(from, address(this), amount, permitDeadline, v, r, s) {}
        catch {
            uint256 allowance = IERC20(asset).allowance(from, address(this));
            if (allowance < amount) revert InsufficientAllowance(allowance, amount);
        }
        _pullAndCount(channelId, side, asset, amount, from);
    }

    function _depositFromCaller(bytes32 channelId, uint8 side, address asset, uint128 amount) private {
        uint256 value = asset == ETHER ? amount : 0;
        if (msg.value != value) revert WrongValue(msg.value, value);

        if (asset == ETHER) _count(channelId, side, ETHER, amount);
        else _pullAndCount(channelId, side, asset, amount, msg.sender);
    }

    function _useIntent(DepositIntent memory intent, bytes calldata signature) private {
        _requireInTime(intent.deadline);
        bytes32 digest = _hashTypedDataV4(Messages.hashDepositIntent(intent));
        if (_usedIntents[digest]) revert IntentUsed(digest);
        _usedIntents[digest] = true;
        Signatures.requireOwner(intent.from, digest, signature);
    }

    function _pullAndCount(bytes32 channelId, uint8 side, address asset, uint128 amount, address from) private {
        uint256 before = IERC20(asset).balanceOf(address(this));
        IERC20(asset).safeTransferFrom(from, address(this), amount);
        _count(channelId, side, asset, IERC20(asset).balanceOf(address(this)) - before);
    }

    /// @dev Adds what has arrived. Totals only rise; a reverted check sends the money back.
    function _count(bytes32 channelId, uint8 side, address asset, uint256 amount) private {
        _requireSide(side);
        _requireNoExit(channelId);
        Record storage record = _recordOf(channelId, asset);
        _requireOpen(record, asset);
        if (amount == 0) revert NothingDeposited();

        (uint128 depositA, uint128 depositB) = (record.depositA, record.depositB);
        uint256 deposited = uint256(depositA) + depositB;
        if (amount > type(uint128).max - deposited) revert CapExceeded(asset, amount, type(uint128).max);
        uint256 held = deposited + amount - record.withdrawnA - record.withdrawnB;
        uint128 cap = capOf(asset);
        if (held > cap) revert CapExceeded(asset, held, cap);

        // The casts are safe: the sum of both sides' deposits was just checked to fit.
        uint128 added = uint128(amount);
        uint128 total;
        if (side == SIDE_A) record.depositA = total = depositA + added;
        else record.depositB = total = depositB + added;
        emit Deposited(channelId, asset, side, total, added);
    }
}
