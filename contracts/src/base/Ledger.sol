// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {AssetCap, AssetState, Channel, IFarthing, LaneState, Status} from "../interfaces/IFarthing.sol";
import {Lane, Lanes} from "../lib/Lanes.sol";

/// @title What the chain keeps of channels
/// @notice Each channel's asset has one record, and money leaves a record only up to what is left in it: a channel
/// can't reach another channel's money.
abstract contract Ledger is IFarthing, EIP712, ReentrancyGuardTransient {
    using Lanes for Lane;

    /// @notice The address that stands for ETH among the assets.
    address internal constant ETHER = address(0);

    uint8 internal constant SIDE_A = 0;
    uint8 internal constant SIDE_B = 1;

    /// @dev A channel's asset. A side's deposits are below 2^120, so that the first word has room for the status: no
    /// closing or settling pays for another. `left` and the nets count from settling on; `owing` says whether a net is
    /// not zero, which spares nearly everybody the reading of both.
    struct Record {
        uint120 depositA;
        uint120 depositB;
        Status status;
        bool owing;
        uint128 withdrawnA;
        uint128 withdrawnB;
        uint256 left;
        int256 netA;
        int256 netB;
        Lane laneA;
        Lane laneB;
    }

    struct ListedCap {
        bool listed;
        uint128 cap;
    }

    /// @inheritdoc IFarthing
    uint32 public immutable minChallengePeriod;
    /// @inheritdoc IFarthing
    uint32 public immutable maxChallengePeriod;
    uint128 private immutable _defaultCap;

    mapping(address asset => ListedCap) private _caps;
    mapping(bytes32 channelId => mapping(address asset => Record)) private _records;
    mapping(bytes32 digest => bool) private _used;

    /// @inheritdoc IFarthing
    mapping(bytes32 channelId => uint64) public exitEndsAt;

    constructor(uint32 minPeriod, uint32 maxPeriod, AssetCap[] memory caps, uint128 defaultCap) {
        if (minPeriod == 0 || minPeriod > maxPeriod) revert InvalidBounds();
        minChallengePeriod = minPeriod;
        maxChallengePeriod = maxPeriod;
        _defaultCap = defaultCap;

        for (uint256 i = 0; i < caps.length; ++i) {
            address asset = caps[i].asset;
            if (_caps[asset].listed) revert DuplicateCap(asset);
            _caps[asset] = ListedCap(true, caps[i].cap);
        }
    }

    /// @inheritdoc IFarthing
    function channelIdOf(Channel calldata channel) public view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), channel));
    }

    /// @inheritdoc IFarthing
    function assetState(bytes32 channelId, address asset) external view returns (AssetState memory) {
        Record storage record = _records[channelId][asset];
        return AssetState(record.depositA, record.depositB, record.withdrawnA, record.withdrawnB, record.status);
    }

    /// @inheritdoc IFarthing
    function netOf(bytes32 channelId, address asset) external view returns (int256 netA, int256 netB, uint256 left) {
        Record storage record = _records[channelId][asset];
        if (record.status == Status.Open) {
            (netA, netB) = _netsOf(record);
            left = _heldBy(record);
        } else {
            (netA, netB, left) = (record.netA, record.netB, record.left);
        }
    }

    /// @inheritdoc IFarthing
    function laneState(bytes32 channelId, address asset, uint8 payer) external view returns (LaneState memory) {
        return _laneOf(_records[channelId][asset], payer).read();
    }

    /// @inheritdoc IFarthing
    function claimed(bytes32 channelId, address asset, uint8 payer, uint16 slot)
        external
        view
        returns (uint32 units, bool returned)
    {
        return _laneOf(_records[channelId][asset], payer).claimAt(slot);
    }

    /// @inheritdoc IFarthing
    function capOf(address asset) public view returns (uint128) {
        ListedCap storage listed = _caps[asset];
        return listed.listed ? listed.cap : _defaultCap;
    }

    function _recordOf(bytes32 channelId, address asset) internal view returns (Record storage) {
        return _records[channelId][asset];
    }

    /// @dev The id of a channel that may exist. Every way into a channel goes by this check, so that no channel that
    /// breaks it ever has a record.
    function _validIdOf(Channel calldata channel) internal view returns (bytes32) {
        if (
            channel.a.owner == address(0) || channel.b.owner == address(0) || channel.a.signer == address(0)
                || channel.b.signer == address(0) || channel.a.signer == channel.b.signer
                || channel.a.owner == address(this) || channel.b.owner == address(this)
                || channel.challengePeriod < minChallengePeriod || channel.challengePeriod > maxChallengePeriod
        ) revert InvalidChannel();
        return channelIdOf(channel);
    }

    function _requireSide(uint8 side) internal pure {
        if (side > SIDE_B) revert InvalidSide(side);
    }

    function _requireNoExit(bytes32 channelId) internal view {
        uint64 endsAt = exitEndsAt[channelId];
        if (endsAt != 0) revert ExitRunning(endsAt);
    }

    /// @dev A closed or settled record is that for ever: no deposit, proof or closing works on it again.
    function _requireOpen(Record storage record, address asset) internal view {
        if (record.status != Status.Open) revert AssetNotOpen(asset, record.status);
    }

    function _requireInTime(uint64 deadline) internal view {
        if (block.timestamp > deadline) revert DeadlinePassed(deadline);
    }

    function _laneOf(Record storage record, uint8 payer) internal view returns (Lane storage) {
        _requireSide(payer);
        return payer == SIDE_A ? record.laneA : record.laneB;
    }

    /// @dev Marks what an owner signed as used. False if it was before.
    function _useOnce(bytes32 digest) internal returns (bool) {
        if (_used[digest]) return false;
        _used[digest] = true;
        return true;
    }

    /// @dev What an open record holds. No overflow: withdrawals never exceed deposits.
    function _heldBy(Record storage record) internal view returns (uint256) {
        return uint256(record.depositA) + record.depositB - record.withdrawnA - record.withdrawnB;
    }

    /// @dev What each side is owed by the proofs shown, locks aside. Signed: who showed an old proof may owe. No
    /// overflow: sums of five numbers of at most 128 bits.
    function _netsOf(Record storage record) internal view returns (int256 netA, int256 netB) {
        (uint128 paidByA, uint128 lockedByA) = record.laneA.amountsOf();
        (uint128 paidByB, uint128 lockedByB) = record.laneB.amountsOf();
        int256 shift = int256(uint256(paidByA)) - int256(uint256(paidByB));

        netA = _minus(record.depositA, record.withdrawnA) - shift - int256(uint256(lockedByA));
        netB = _minus(record.depositB, record.withdrawnB) + shift - int256(uint256(lockedByB));
    }

    function _minus(uint128 left, uint128 right) private pure returns (int256) {
        return int256(uint256(left)) - int256(uint256(right));
    }
}
