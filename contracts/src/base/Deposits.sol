// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {Channel, DepositIntent, IFarthing, Permit} from "../interfaces/IFarthing.sol";
import {Messages} from "../lib/Messages.sol";
import {Signatures} from "../lib/Signatures.sol";
import {Ledger} from "./Ledger.sol";

/// @title How money comes in
/// @notice What arrives counts, not what was announced. A token's owner always chose the channel and the side: by
/// sending the transaction, by the nonce of its authorization, or by a deposit intent.
abstract contract Deposits is Ledger {
    using SafeERC20 for IERC20;

    /// @inheritdoc IFarthing
    function open(Channel calldata channel, address asset, uint128 amount) external payable nonReentrant {
        bytes32 channelId = _validIdOf(channel);
        emit ChannelOpened(channelId, channel.a.owner, channel.b.owner, msg.sender, channel);
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
        if (signature.length != 65) revert WrongSignature(from);
        (uint8 v, bytes32 r, bytes32 s) = ECDSA.parseCalldata(signature);

        uint256 before = IERC20(asset).balanceOf(address(this));
        IERC3009(asset).receiveWithAuthorization(from, address(this), amount, validAfter, validBefore, nonce, v, r, s);
        _count(channelId, side, asset, IERC20(asset).balanceOf(address(this)) - before);
    }

    /// @inheritdoc IFarthing
    function depositWithPermit(
        Channel calldata channel,
        DepositIntent calldata intent,
        Permit calldata permit,
        bytes calldata intentSignature
    ) external nonReentrant {
        bytes32 channelId = _validIdOf(channel);
        if (intent.channelId != channelId) revert WrongChannel(intent.channelId, channelId);
        // A permit says who may spend, not on what. Without the owner's own word on that, anybody could deposit the
        // owner's tokens into a channel of their own; old allowances too.
        if (msg.sender != intent.from) _useIntent(intent, intentSignature);

        // Somebody may have seen the permit and used it already. Then the allowance is there.
        try IERC20Permit(intent.asset)
            .permit(intent.from, address(this), intent.amount, permit.deadline, permit.v, permit.r, permit.s) {}
        catch {
            uint256 allowance = IERC20(intent.asset).allowance(intent.from, address(this));
            if (allowance < intent.amount) revert InsufficientAllowance(allowance, intent.amount);
        }
        _pullAndCount(channelId, intent.side, intent.asset, intent.amount, intent.from);
    }

    function _depositFromCaller(bytes32 channelId, uint8 side, address asset, uint128 amount) private {
        uint256 value = asset == ETHER ? amount : 0;
        if (msg.value != value) revert WrongValue(msg.value, value);

        if (asset == ETHER) _count(channelId, side, ETHER, amount);
        else _pullAndCount(channelId, side, asset, amount, msg.sender);
    }

    function _useIntent(DepositIntent calldata intent, bytes calldata signature) private {
        _requireInTime(intent.deadline);
        bytes32 digest = _hashTypedDataV4(Messages.hashDepositIntent(intent));
        if (!_useOnce(digest)) revert IntentUsed(digest);
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

        uint256 deposited = side == SIDE_A ? record.depositA : record.depositB;
        if (amount > type(uint120).max - deposited) revert CapExceeded(asset, amount, type(uint120).max);
        uint256 total = deposited + amount;
        uint256 held = _heldBy(record) + amount;
        uint128 cap = capOf(asset);
        if (held > cap) revert CapExceeded(asset, held, cap);

        // The casts are safe: the side's total was just checked to fit, and the amount is a part of it.
        if (side == SIDE_A) record.depositA = uint120(total);
        else record.depositB = uint120(total);
        emit Deposited(channelId, asset, side, uint128(total), uint128(amount));
    }
}
