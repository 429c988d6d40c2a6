// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Channel, IFarthing, LockClaim, Status} from "../interfaces/IFarthing.sol";
import {Conditions} from "../lib/Conditions.sol";
import {Lane, Lanes} from "../lib/Lanes.sol";
import {LockTree} from "../lib/LockTree.sol";
import {Evidence} from "./Evidence.sol";
import {Ledger} from "./Ledger.sol";
import {Payouts} from "./Payouts.sol";

/// @title How an asset is divided after an exit
/// @notice By the proofs that were shown, and, lock by lock, by what was proven in time. What a side owes is kept, and
/// worked off by what its claims bring it.
abstract contract Settlements is Payouts, Evidence {
    using Lanes for Lane;

    /// @inheritdoc IFarthing
    function settle(Channel calldata channel, address asset) external nonReentrant {
        bytes32 channelId = _exitedIdOf(channel);
        Record storage record = _recordOf(channelId, asset);
        _requireOpen(record, asset);
        (uint128 paidA, uint128 paidB) = _settle(channelId, record, asset);
        _payBoth(asset, channel.a.owner, paidA, channel.b.owner, paidB);
    }

    /// @inheritdoc IFarthing
    function settleBatch(Channel calldata channel, address[] calldata assets) external nonReentrant {
        bytes32 channelId = _exitedIdOf(channel);
        // All effects before the first payment.
        uint128[] memory paidA = new uint128[](assets.length);
        uint128[] memory paidB = new uint128[](assets.length);
        for (uint256 i = 0; i < assets.length; ++i) {
            Record storage record = _recordOf(channelId, assets[i]);
            if (record.status == Status.Open) (paidA[i], paidB[i]) = _settle(channelId, record, assets[i]);
        }
        for (uint256 i = 0; i < assets.length; ++i) {
            _payBoth(assets[i], channel.a.owner, paidA[i], channel.b.owner, paidB[i]);
        }
    }

    /// @inheritdoc IFarthing
    function claimLock(Channel calldata channel, address asset, uint8 payer, LockClaim calldata claim)
        external
        nonReentrant
    {
        bytes32 channelId = channelIdOf(channel);
        Record storage record = _settledRecordOf(channelId, asset);
        Lane storage lane = _laneOf(record, payer);
        (bool moved, uint256 toPayee, uint256 toPayer) = _claim(channelId, asset, payer, lane, lane.rootOf(), claim);
        if (!moved) revert NothingToClaim();
        _payClaims(channel, record, asset, payer, toPayee, toPayer);
    }

    /// @inheritdoc IFarthing
    function claimLockBatch(Channel calldata channel, address asset, uint8 payer, LockClaim[] calldata claims)
        external
        nonReentrant
    {
        bytes32 channelId = channelIdOf(channel);
        Record storage record = _settledRecordOf(channelId, asset);
        Lane storage lane = _laneOf(record, payer);
        bytes32 root = lane.rootOf();
        uint256 toPayee;
        uint256 toPayer;
        bool any;
        for (uint256 i = 0; i < claims.length; ++i) {
            (bool moved, uint256 payeeGets, uint256 payerGets) = _claim(channelId, asset, payer, lane, root, claims[i]);
            any = any || moved;
            toPayee += payeeGets;
            toPayer += payerGets;
        }
        if (any) _payClaims(channel, record, asset, payer, toPayee, toPayer);
    }

    /// @dev The last second in which proofs are taken.
    function _exitOf(bytes32 channelId) internal view returns (uint64 endsAt) {
        endsAt = exitEndsAt[channelId];
        if (endsAt == 0) revert NoExit();
    }

    function _exitedIdOf(Channel calldata channel) private view returns (bytes32 channelId) {
        channelId = channelIdOf(channel);
        uint64 endsAt = _exitOf(channelId);
        if (block.timestamp <= endsAt) revert ChallengePeriodRunning(endsAt);
    }

    function _settledRecordOf(bytes32 channelId, address asset) private view returns (Record storage record) {
        record = _recordOf(channelId, asset);
        if (record.status != Status.Settled) revert NotSettled(asset);
    }

    function _settle(bytes32 channelId, Record storage record, address asset)
        private
        returns (uint128 paidA, uint128 paidB)
    {
        uint256 left = _heldBy(record);
        (int256 netA, int256 netB) = _netsOf(record);
        (netA, left, paidA) = _take(netA, left);
        (netB, left, paidB) = _take(netB, left);

        record.status = Status.Settled;
        if (left != 0) record.left = left;
        _keepNets(record, netA, netB);
        emit Settled(channelId, asset, paidA, paidB);
    }

    /// @dev Moves a slot's claim on as far as it goes: the payee's newly proven units, and after the expiry the rest.
    function _claim(
        bytes32 channelId,
        address asset,
        uint8 payer,
        Lane storage lane,
        bytes32 root,
        LockClaim calldata claim
    ) private returns (bool moved, uint256 toPayee, uint256 toPayer) {
        if (Conditions.keyOf(claim.condition, claim.paramsHash, claim.expiry) != claim.lock.key) {
            revert WrongCondition(claim.lock.key);
        }
        if (
            root == LockTree.EMPTY_ROOT
                || LockTree.rootOf(LockTree.leafOf(claim.lock), claim.slot, claim.siblings) != root
        ) {
            revert LockNotFound(claim.slot);
        }

        (uint32 n, uint32 redeemed) = (claim.lock.n, claim.lock.redeemed);
        uint32 proven = unitsOf[claim.lock.key];
        if (proven > n) proven = n;
        uint32 redeemable = proven > redeemed ? proven - redeemed : 0;
        (uint32 paid, bool returned) = lane.claimAt(claim.slot);

        // `paid` is an earlier `redeemable` of the same leaf, and units never fall: it can't be more.
        uint32 fresh = redeemable - paid;
        // A tree may hold a leaf with more redeemed than there is. It is worth nothing.
        bool expired = block.timestamp > claim.expiry;
        uint32 rest = expired && !returned && n > redeemed ? n - redeemed - redeemable : 0;
        if (fresh == 0 && rest == 0) return (false, 0, 0);

        returned = returned || rest != 0;
        lane.setClaim(claim.slot, redeemable, returned);
        emit LockClaimed(channelId, asset, payer, claim.slot, redeemable, returned);
        // Checked in uint128, as in the proof: a lock worth more can't have been accepted.
        return (true, uint128(fresh) * claim.lock.unitPrice, uint128(rest) * claim.lock.unitPrice);
    }

    /// @dev Adds claims to what the sides are owed, and pays of it what is left for this channel's asset. A side that
    /// owes gets nothing of it until its debt is worked off; what can't be paid now stays owed.
    function _payClaims(
        Channel calldata channel,
        Record storage record,
        address asset,
        uint8 payer,
        uint256 toPayee,
        uint256 toPayer
    ) private {
        (uint256 toA, uint256 toB) = payer == SIDE_A ? (toPayer, toPayee) : (toPayee, toPayer);
        // The casts are safe: sums of amounts of 128 bits, each with calldata of its own.
        (int256 netA, int256 netB) = record.owing ? (record.netA, record.netB) : (int256(0), int256(0));
        (netA, netB) = (netA + int256(toA), netB + int256(toB));
        uint256 left = record.left;
        uint128 paidA;
        uint128 paidB;
        // The payee first: if a proof locked less than its tree holds, its payer signed that.
        if (payer == SIDE_A) {
            (netB, left, paidB) = _take(netB, left);
            (netA, left, paidA) = _take(netA, left);
        } else {
            (netA, left, paidA) = _take(netA, left);
            (netB, left, paidB) = _take(netB, left);
        }
        record.left = left;
        _keepNets(record, netA, netB);

        _payBoth(asset, channel.a.owner, paidA, channel.b.owner, paidB);
    }

    /// @dev Keeps what is still owed, and what the sides owe.
    function _keepNets(Record storage record, int256 netA, int256 netB) private {
        bool owing = netA != 0 || netB != 0;
        if (owing || record.owing) (record.netA, record.netB) = (netA, netB);
        if (owing != record.owing) record.owing = owing;
    }

    /// @dev Pays a positive net as far as there is money left for it.
    function _take(int256 net, uint256 left) private pure returns (int256, uint256, uint128) {
        if (net <= 0) return (net, left, 0);
        uint256 paid = uint256(net) < left ? uint256(net) : left;
        // The casts are safe: `paid` is at most `left`, which is at most the deposits, of less than 2^120 each.
        return (net - int256(paid), left - paid, uint128(paid));
    }
}
