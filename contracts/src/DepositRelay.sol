// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {DaiPermit, IDepositRelay, RelayedDeposit} from "./interfaces/IDepositRelay.sol";
import {Channel, IFarthing, Permit} from "./interfaces/IFarthing.sol";
import {IAuthorizationByBytes, IDaiPermit, IPermit2} from "./interfaces/ISignedTokens.sol";
import {Signatures} from "./lib/Signatures.sol";

/// @title Deposits by owners of tokens who have no ETH
/// @notice See {IDepositRelay}. No constructor and no immutables: the code is the same everywhere, and signers check it.
contract DepositRelay is IDepositRelay, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    IPermit2 private constant PERMIT2 = IPermit2(0x000000000022D473030F116dDEE9F6B43aC78BA3);
    bytes32 private constant RELAYED_DEPOSIT = keccak256(
        "RelayedDeposit(address farthing,bytes32 channelId,uint8 side,address from,address asset,uint128 amount,uint128 fee,address relayer,uint64 deadline,bytes32 salt)"
    );
    /// @dev What Permit2 puts behind its own type's text: the member, then the types in the order of the alphabet.
    string private constant WITNESS =
        "RelayedDeposit witness)RelayedDeposit(address farthing,bytes32 channelId,uint8 side,address from,address asset,uint128 amount,uint128 fee,address relayer,uint64 deadline,bytes32 salt)TokenPermissions(address token,uint256 amount)";
    string private constant NAME = "Farthing DepositRelay";
    string private constant VERSION = "1";
    /// @dev Name, version, chain and contract (ERC-5267).
    bytes1 private constant FIELDS = hex"0f";

    /// @inheritdoc IDepositRelay
    mapping(bytes32 digest => bool) public used;

    /// @inheritdoc IDepositRelay
    function depositWithPermit(
        Channel calldata channel,
        RelayedDeposit calldata wish,
        Permit calldata permit,
        bytes calldata signature
    ) external nonReentrant {
        bytes32 digest = _use(channel, wish);
        // A permit says who may spend, not on what: allowances to this contract are spent on the owner's word alone.
        Signatures.requireOwner(wish.from, digest, signature);
        try IERC20Permit(wish.asset)
            .permit(wish.from, address(this), wish.amount, permit.deadline, permit.v, permit.r, permit.s) {}
        catch {
            _requireAllowance(wish);
        }
        _pullAndForward(channel, wish, digest);
    }

    /// @inheritdoc IDepositRelay
    function depositWithDaiPermit(
        Channel calldata channel,
        RelayedDeposit calldata wish,
        DaiPermit calldata permit,
        bytes calldata signature
    ) external nonReentrant {
        bytes32 digest = _use(channel, wish);
        Signatures.requireOwner(wish.from, digest, signature);
        try IDaiPermit(wish.asset)
            .permit(wish.from, address(this), permit.nonce, permit.expiry, true, permit.v, permit.r, permit.s) {}
        catch {
            _requireAllowance(wish);
        }
        _pullAndForward(channel, wish, digest);
    }

    /// @inheritdoc IDepositRelay
    function depositWithAuthorization(
        Channel calldata channel,
        RelayedDeposit calldata wish,
        uint256 validAfter,
        uint256 validBefore,
        bytes calldata signature
    ) external nonReentrant {
        bytes32 digest = _use(channel, wish);
        uint256 held = _heldOf(wish.asset);
        if (signature.length == 65) {
            (uint8 v, bytes32 r, bytes32 s) = ECDSA.parseCalldata(signature);
            IERC3009(wish.asset)
                .receiveWithAuthorization(
                    wish.from, address(this), wish.amount, validAfter, validBefore, digest, v, r, s
                );
        } else {
            IAuthorizationByBytes(wish.asset)
                .receiveWithAuthorization(
                    wish.from, address(this), wish.amount, validAfter, validBefore, digest, signature
                );
        }
        _forward(channel, wish, digest, held);
    }

    /// @inheritdoc IDepositRelay
    function depositWithPermit2(
        Channel calldata channel,
        RelayedDeposit calldata wish,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external nonReentrant {
        bytes32 digest = _use(channel, wish);
        uint256 held = _heldOf(wish.asset);
        PERMIT2.permitWitnessTransferFrom(
            IPermit2.PermitTransferFrom(IPermit2.TokenPermissions(wish.asset, wish.amount), nonce, deadline),
            IPermit2.SignatureTransferDetails(address(this), wish.amount),
            wish.from,
            _hash(wish),
            WITNESS,
            signature
        );
        _forward(channel, wish, digest, held);
    }

    /// @inheritdoc IDepositRelay
    function digestOf(RelayedDeposit calldata wish) external view returns (bytes32) {
        return _digestOf(wish);
    }

    /// @dev As ERC-5267 has it.
    function eip712Domain()
        external
        view
        returns (bytes1, string memory, string memory, uint256, address, bytes32, uint256[] memory)
    {
        return (FIELDS, NAME, VERSION, block.chainid, address(this), 0, new uint256[](0));
    }

    /// @dev What holds for every way. Each wish is good once, whichever way it goes.
    function _use(Channel calldata channel, RelayedDeposit calldata wish) private returns (bytes32 digest) {
        if (block.timestamp > wish.deadline) revert IFarthing.DeadlinePassed(wish.deadline);
        if (wish.relayer != address(0) && wish.relayer != msg.sender) revert WrongRelayer(msg.sender, wish.relayer);
        if (wish.fee >= wish.amount) revert FeeTooHigh(wish.fee, wish.amount);
        // The same as Farthing.channelIdOf: whoever sends it can't put it into another channel.
        bytes32 channelId = keccak256(abi.encode(block.chainid, wish.farthing, channel));
        if (wish.channelId != channelId) revert IFarthing.WrongChannel(wish.channelId, channelId);

        digest = _digestOf(wish);
        if (used[digest]) revert DepositUsed(digest);
        used[digest] = true;
    }

    function _requireAllowance(RelayedDeposit calldata wish) private view {
        uint256 allowance = IERC20(wish.asset).allowance(wish.from, address(this));
        if (allowance < wish.amount) revert IFarthing.InsufficientAllowance(allowance, wish.amount);
    }

    function _pullAndForward(Channel calldata channel, RelayedDeposit calldata wish, bytes32 digest) private {
        uint256 held = _heldOf(wish.asset);
        IERC20(wish.asset).safeTransferFrom(wish.from, address(this), wish.amount);
        _forward(channel, wish, digest, held);
    }

    /// @dev What arrived counts, not what was announced; and what was here before stays, whoever sent it here.
    /// @param held What this contract had of the asset before.
    function _forward(Channel calldata channel, RelayedDeposit calldata wish, bytes32 digest, uint256 held) private {
        uint256 arrived = _heldOf(wish.asset) - held;
        if (arrived <= wish.fee) revert FeeTooHigh(wish.fee, arrived);
        uint256 rest = arrived - wish.fee;
        // More than was announced is no deposit's: the cast below would lose it.
        if (rest > wish.amount) revert TokensStray(arrived, wish.amount);
        if (wish.fee != 0) IERC20(wish.asset).safeTransfer(msg.sender, wish.fee);

        IERC20(wish.asset).forceApprove(wish.farthing, rest);
        // The cast is safe: it was just checked to be at most the amount.
        IFarthing(wish.farthing).deposit(channel, wish.side, wish.asset, uint128(rest));
        // A contract that did not take it all would leave it to nobody, with an allowance on it.
        uint256 left = _heldOf(wish.asset);
        if (left != held) revert TokensStray(left, held);
        emit DepositRelayed(digest, wish.channelId, wish.from, wish.asset, rest, wish.fee, msg.sender);
    }

    function _heldOf(address asset) private view returns (uint256) {
        return IERC20(asset).balanceOf(address(this));
    }

    function _hash(RelayedDeposit calldata wish) private pure returns (bytes32) {
        return keccak256(abi.encode(RELAYED_DEPOSIT, wish));
    }

    function _digestOf(RelayedDeposit calldata wish) private view returns (bytes32) {
        bytes32 domain =
            MessageHashUtils.toDomainSeparator(FIELDS, NAME, VERSION, block.chainid, address(this), bytes32(0));
        return MessageHashUtils.toTypedDataHash(domain, _hash(wish));
    }
}
