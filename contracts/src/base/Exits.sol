// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Channel, ExitOrder, IFarthing, Lock, Participant, SignedProof} from "../interfaces/IFarthing.sol";
import {Conditions} from "../lib/Conditions.sol";
import {LockTree} from "../lib/LockTree.sol";
import {Messages} from "../lib/Messages.sol";
import {Signatures} from "../lib/Signatures.sol";
import {Evidence} from "./Evidence.sol";
import {Ledger} from "./Ledger.sol";

/// @title How one side leaves without the other
/// @notice An honest side that shows its newest incoming proof and its newest acknowledged outgoing one in time ends
/// with its due, whatever the other side signs, shows or withholds.
abstract contract Exits is Ledger, Evidence {
    /// @inheritdoc IFarthing
    function startExit(
        Channel calldata channel,
        SignedProof[] calldata proofs,
        bytes calldata order,
        uint64 orderDeadline
    ) external nonReentrant {
        bytes32 channelId = _validIdOf(channel);
        _requireNoExit(channelId);
        _requireLeaveToExit(channel, channelId, order, orderDeadline);

        // No overflow: the clock and a challenge period of 32 bits are far below 2^64.
        uint64 endsAt = uint64(block.timestamp) + channel.challengePeriod;
        exitEndsAt[channelId] = endsAt;
        emit ExitStarted(channelId, endsAt);
        _fileAll(channel, channelId, proofs);
    }

    /// @inheritdoc IFarthing
    function submitProofs(Channel calldata channel, SignedProof[] calldata proofs) external nonReentrant {
        bytes32 channelId = channelIdOf(channel);
        uint64 endsAt = _exitOf(channelId);
        if (block.timestamp > endsAt) revert ChallengePeriodOver(endsAt);
        _fileAll(channel, channelId, proofs);
    }

    /// @inheritdoc IFarthing
    function settle(Channel calldata channel, address asset) external nonReentrant {
        bytes32 channelId = channelIdOf(channel);
        uint64 endsAt = _exitOf(channelId);
        if (block.timestamp <= endsAt) revert ChallengePeriodRunning(endsAt);
        Record storage record = _recordOf(channelId, asset);
        _requireOpen(record, asset);

        uint256 left = _heldBy(record);
        (int256 netA, int256 netB) = _netsOf(record);
        uint128 paidA;
        uint128 paidB;
        (netA, left, paidA) = _take(netA, left);
        (netB, left, paidB) = _take(netB, left);

        record.status = SETTLED;
        // The cast is safe: what is left is no more than the deposits, which fit.
        record.left = uint128(left);
        if (netA != 0) record.netA = netA;
        if (netB != 0) record.netB = netB;
        emit Settled(channelId, asset, paidA, paidB);

        _pay(asset, channel.a.owner, paidA);
        _pay(asset, channel.b.owner, paidB);
    }

    /// @inheritdoc IFarthing
    function claimLock(
        Channel calldata channel,
        address asset,
        uint8 payer,
        uint16 slot,
        Lock calldata lock,
        address condition,
        bytes32 paramsHash,
        uint64 expiry,
        bytes32[16] calldata siblings
    ) external nonReentrant {
        if (Conditions.keyOf(condition, paramsHash, expiry) != lock.key) {
            revert WrongCondition(lock.key);
        }
        bytes32 channelId = channelIdOf(channel);
        Record storage record = _recordOf(channelId, asset);
        if (record.status != SETTLED) revert NotSettled(asset);

        Lane storage lane = _laneOf(record, payer);
        if (!lane.hasLocks || LockTree.rootOf(LockTree.leafOf(lock), slot, siblings) != lane.locksRoot) {
            revert LockNotFound(slot);
        }

        Claim storage claim = lane.claims[slot];
        (uint128 toPayee, uint128 toPayer) = _claim(claim, lock, block.timestamp > expiry);
        emit LockClaimed(channelId, asset, payer, slot, claim.units, claim.returned);
        _payClaim(channel, record, asset, payer, toPayee, toPayer);
    }

    /// @dev An exit is for the channel's people: anybody else could close a channel that both want to keep.
    function _requireLeaveToExit(
        Channel calldata channel,
        bytes32 channelId,
        bytes calldata order,
        uint64 orderDeadline
    ) private view {
        if (order.length == 0) {
            if (!_isOf(channel.a, msg.sender) && !_isOf(channel.b, msg.sender)) {
                revert NotParticipant(msg.sender);
            }
            return;
        }

        _requireInTime(orderDeadline);
        bytes32 digest = _hashTypedDataV4(Messages.hashExitOrder(ExitOrder(channelId, orderDeadline)));
        if (
            !Signatures.isSigner(channel.a.signer, digest, order)
                && !Signatures.isSigner(channel.b.signer, digest, order)
                && !Signatures.isOwner(channel.a.owner, digest, order)
                && !Signatures.isOwner(channel.b.owner, digest, order)
        ) revert NotParticipant(msg.sender);
    }

    function _exitOf(bytes32 channelId) private view returns (uint64 endsAt) {
        endsAt = exitEndsAt[channelId];
        if (endsAt == 0) revert NoExit();
    }

    function _isOf(Participant calldata participant, address account) private pure returns (bool) {
        return account == participant.owner || account == participant.signer;
    }

    function _fileAll(Channel calldata channel, bytes32 channelId, SignedProof[] calldata proofs) private {
        for (uint256 i = 0; i < proofs.length; ++i) {
            _file(channel, channelId, proofs[i]);
        }
    }

    /// @dev Takes a proof that improves on the lane's: a higher nonce, or the same one acknowledged for the first
    /// time. Others are skipped, so that nobody can make a batch fail by filing a part of it first.
    function _file(Channel calldata channel, bytes32 channelId, SignedProof calldata proof) private {
        Record storage record = _recordOf(channelId, proof.asset);
        Lane storage lane = _laneOf(record, proof.payer);
        bool acknowledged = proof.acknowledgement.length != 0;
        (uint64 best, bool bestAcknowledged) = (lane.nonce, lane.acknowledged);
        if (proof.nonce < best || proof.nonce == 0) return;
        if (proof.nonce == best && (bestAcknowledged || !acknowledged)) return;

        _requireOpen(record, proof.asset);
        bool hasLocks = proof.locked != 0;
        if (hasLocks == (proof.locksRoot == LockTree.EMPTY_ROOT)) {
            revert InconsistentLocks(proof.asset, proof.payer, proof.nonce);
        }
        _requireAgreed(channel, channelId, proof, acknowledged);

        (lane.nonce, lane.transferred) = (proof.nonce, proof.transferred);
        (lane.acknowledged, lane.hasLocks) = (acknowledged, hasLocks);
        if (hasLocks) (lane.locked, lane.locksRoot) = (proof.locked, proof.locksRoot);
        emit ProofSubmitted(channelId, proof.asset, proof.payer, proof.nonce, acknowledged);
    }

    /// @dev The payer signed the proof, and the payee agreed to it: by sending it, or by acknowledging exactly it. So
    /// a payer can't show a proof that the payee never saw.
    function _requireAgreed(Channel calldata channel, bytes32 channelId, SignedProof calldata proof, bool acknowledged)
        private
        view
    {
        (Participant calldata payer, Participant calldata payee) =
            proof.payer == SIDE_A ? (channel.a, channel.b) : (channel.b, channel.a);

        bytes32 proofHash = Messages.hashProof(channelId, proof);
        Signatures.requireSigner(payer.signer, _hashTypedDataV4(proofHash), proof.signature);
        if (acknowledged) {
            bytes32 digest = _hashTypedDataV4(Messages.hashAcknowledgement(channelId, proof, proofHash));
            Signatures.requireSigner(payee.signer, digest, proof.acknowledgement);
        } else if (!_isOf(payee, msg.sender)) {
            revert NotAcknowledged(proof.asset, proof.payer, proof.nonce);
        }
    }

    /// @dev Moves a slot's claim on as far as it goes: the payee's newly proven units, and after the expiry the rest.
    function _claim(Claim storage claim, Lock calldata lock, bool expired)
        private
        returns (uint128 toPayee, uint128 toPayer)
    {
        uint32 proven = unitsOf[lock.key];
        if (proven > lock.n) proven = lock.n;
        uint32 redeemable = proven > lock.redeemed ? proven - lock.redeemed : 0;
        (uint32 paid, bool returned) = (claim.units, claim.returned);

        // `paid` is an earlier `redeemable` of the same leaf, and units never fall: it can't be more.
        uint32 fresh = redeemable - paid;
        // A tree may hold a leaf with more redeemed than there is. It is worth nothing.
        uint32 rest = expired && !returned && lock.n > lock.redeemed ? lock.n - lock.redeemed - redeemable : 0;
        if (fresh == 0 && rest == 0) revert NothingToClaim();

        claim.units = redeemable;
        claim.returned = returned || (expired && rest != 0);
        // Checked in uint128, as in the proof: a lock worth more can't have been accepted.
        toPayee = uint128(fresh) * lock.unitPrice;
        toPayer = uint128(rest) * lock.unitPrice;
    }

    /// @dev Adds a claim to what the sides are owed, and pays of it what is left for this channel's asset. A side that
    /// owes gets nothing of it until its debt is worked off; what can't be paid now stays owed.
    function _payClaim(
        Channel calldata channel,
        Record storage record,
        address asset,
        uint8 payer,
        uint128 toPayee,
        uint128 toPayer
    ) private {
        (uint128 toA, uint128 toB) = payer == SIDE_A ? (toPayer, toPayee) : (toPayee, toPayer);
        int256 netA = record.netA + int256(uint256(toA));
        int256 netB = record.netB + int256(uint256(toB));
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
        (record.netA, record.netB, record.left) = (netA, netB, uint128(left));

        _pay(asset, channel.a.owner, paidA);
        _pay(asset, channel.b.owner, paidB);
    }

    /// @dev Pays a positive net as far as there is money left for it.
    function _take(int256 net, uint256 left) private pure returns (int256, uint256, uint128) {
        if (net <= 0) return (net, left, 0);
        uint256 paid = uint256(net) < left ? uint256(net) : left;
        // The casts are safe: `paid` is at most `left`, which is at most the deposits, which fit uint128.
        return (net - int256(paid), left - paid, uint128(paid));
    }
}
