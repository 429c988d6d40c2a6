// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Channel, ExitOrder, IFarthing, Participant, SignedProof, Status} from "../interfaces/IFarthing.sol";
import {Lane, Lanes} from "../lib/Lanes.sol";
import {LockTree} from "../lib/LockTree.sol";
import {Messages} from "../lib/Messages.sol";
import {Signatures} from "../lib/Signatures.sol";
import {Settlements} from "./Settlements.sol";

/// @title How one side leaves without the other
/// @notice An honest side that shows its newest incoming proof and its newest acknowledged outgoing one in time ends
/// with its due, whatever the other side signs, shows or withholds.
abstract contract Exits is Settlements {
    using Lanes for Lane;

    /// @inheritdoc IFarthing
    function startExit(
        Channel calldata channel,
        SignedProof[] calldata proofs,
        uint8 orderSide,
        bytes calldata order,
        uint64 orderDeadline
    ) external nonReentrant {
        bytes32 channelId = _validIdOf(channel);
        _requireNoExit(channelId);
        _requireLeaveToExit(channel, channelId, orderSide, order, orderDeadline);

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

    /// @dev An exit is for the channel's people: anybody else could close a channel that both want to keep. An order
    /// names its side, since an owner may be a contract, and the other side's would be asked at the caller's cost.
    function _requireLeaveToExit(
        Channel calldata channel,
        bytes32 channelId,
        uint8 orderSide,
        bytes calldata order,
        uint64 orderDeadline
    ) private view {
        if (order.length == 0) {
            if (!_isOf(channel.a, msg.sender) && !_isOf(channel.b, msg.sender)) {
                revert NotParticipant(msg.sender);
            }
            return;
        }

        _requireSide(orderSide);
        _requireInTime(orderDeadline);
        bytes32 digest = _hashTypedDataV4(Messages.hashExitOrder(ExitOrder(channelId, orderDeadline)));
        Participant calldata participant = orderSide == SIDE_A ? channel.a : channel.b;
        if (
            !Signatures.isSigner(participant.signer, digest, order)
                && !Signatures.isOwner(participant.owner, digest, order)
        ) revert NotParticipant(msg.sender);
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
    /// time. Others are skipped, so that nobody can make a batch fail by filing a part of it first, or by a closing of
    /// one of its assets.
    function _file(Channel calldata channel, bytes32 channelId, SignedProof calldata proof) private {
        Record storage record = _recordOf(channelId, proof.asset);
        Lane storage lane = _laneOf(record, proof.payer);
        bool acknowledged = proof.acknowledgement.length != 0;
        (uint64 best, bool bestAcknowledged) = lane.rankOf();
        if (proof.nonce < best || proof.nonce == 0) return;
        if (proof.nonce == best && (bestAcknowledged || !acknowledged)) return;

        if (record.status != Status.Open) return;
        if ((proof.locked != 0) == (proof.locksRoot == LockTree.EMPTY_ROOT)) {
            revert InconsistentLocks(proof.asset, proof.payer, proof.nonce);
        }
        _requireAgreed(channel, channelId, proof, acknowledged);

        lane.keep(proof, acknowledged);
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
}
