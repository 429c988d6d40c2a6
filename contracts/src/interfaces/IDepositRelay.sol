// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";

import {Channel, Permit} from "./Types.sol";

/// @notice The wish of a token's owner to have its tokens put into a channel by somebody else, who is paid in them.
/// @param farthing The contract that the channel is in. The owner vouches for it: it gets the tokens.
/// @param amount All that leaves the owner, the fee included.
/// @param fee What of it the relayer gets; less than the amount.
/// @param relayer Who may send it and is paid; zero for whoever sends it.
/// @param deadline The last second in which it is good.
/// @param salt Tells apart equal wishes; each is good once.
struct RelayedDeposit {
    address farthing;
    bytes32 channelId;
    uint8 side;
    address from;
    address asset;
    uint128 amount;
    uint128 fee;
    address relayer;
    uint64 deadline;
    bytes32 salt;
}

/// @notice A permit in DAI's own form: of all that the owner has, until it is taken back.
struct DaiPermit {
    uint256 nonce;
    uint256 expiry;
    uint8 v;
    bytes32 r;
    bytes32 s;
}

/// @title Deposits by owners of tokens who have no ETH
/// @notice The owner signs a {RelayedDeposit}; whoever sends it pays the gas and gets the fee, and what arrived less the
/// fee goes into the channel. It belongs to nobody, holds nothing between two calls, and has the same code on every
/// chain: whoever signs can compare the code's hash.
/// @dev The domain of EIP-712 is "Farthing DepositRelay", "1", the chain and this contract.
interface IDepositRelay is IERC5267 {
    /// @param deposited What went into the channel: what arrived less the fee.
    /// @param relayer Who was paid the fee.
    event DepositRelayed(
        bytes32 indexed digest,
        bytes32 indexed channelId,
        address indexed from,
        address asset,
        uint256 deposited,
        uint128 fee,
        address relayer
    );

    /// @notice The owner named another account to send it.
    error WrongRelayer(address caller, address relayer);
    /// @notice The fee would leave nothing to deposit.
    error FeeTooHigh(uint128 fee, uint256 amount);
    /// @notice This wish was carried out already.
    error DepositUsed(bytes32 digest);
    /// @notice The named contract did not take what it was given, or the token lost some of it.
    error TokensStray(uint256 held, uint256 expected);

    /// @notice Deposits by a permit of ERC-2612 to this contract for the amount, or by an allowance that is there.
    /// @dev A permit that fails is no obstacle: somebody may have used it already.
    /// @param signature The owner's over the deposit, by its key or by ERC-1271.
    function depositWithPermit(
        Channel calldata channel,
        RelayedDeposit calldata wish,
        Permit calldata permit,
        bytes calldata signature
    ) external;

    /// @notice The same by a permit in DAI's own form.
    function depositWithDaiPermit(
        Channel calldata channel,
        RelayedDeposit calldata wish,
        DaiPermit calldata permit,
        bytes calldata signature
    ) external;

    /// @notice Deposits by `receiveWithAuthorization` of ERC-3009 to this contract, for the amount, with the deposit's
    /// digest as nonce: the authorization says all, so it is the only signature.
    /// @param signature The owner's over the authorization: 65 bytes r, s and v, or what the token takes of contracts.
    function depositWithAuthorization(
        Channel calldata channel,
        RelayedDeposit calldata wish,
        uint256 validAfter,
        uint256 validBefore,
        bytes calldata signature
    ) external;

    /// @notice Deposits by Permit2's `permitWitnessTransferFrom` to this contract, for the amount, with the deposit as
    /// witness: the only signature.
    /// @param nonce Of Permit2, unordered.
    /// @param deadline Of Permit2.
    function depositWithPermit2(
        Channel calldata channel,
        RelayedDeposit calldata wish,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice What the owner signs: the digest of EIP-712.
    function digestOf(RelayedDeposit calldata wish) external view returns (bytes32);

    /// @notice Whether the deposit with this digest was carried out.
    function used(bytes32 digest) external view returns (bool);
}
