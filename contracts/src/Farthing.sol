// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {Deposits} from "./base/Deposits.sol";
import {Exits} from "./base/Exits.sol";
import {Ledger} from "./base/Ledger.sol";
import {AssetCap, Channel, Closing, ClosingAsset, IFarthing, Status, Withdrawal} from "./interfaces/IFarthing.sol";
import {Messages} from "./lib/Messages.sol";
import {Signatures} from "./lib/Signatures.sol";

/// @title Farthing: payment channels in ETH and ERC-20 tokens
/// @notice See {IFarthing}. Deposits, exits, evidence and payouts are in the bases; here is what both sides agree on.
contract Farthing is Deposits, Exits {
    /// @param minPeriod The shortest challenge period that a channel may have, in seconds.
    /// @param maxPeriod The longest.
    /// @param caps The most that a channel may hold of these assets; zero refuses the asset.
    /// @param defaultCap The same for all others; the largest uint128 is no cap.
    constructor(uint32 minPeriod, uint32 maxPeriod, AssetCap[] memory caps, uint128 defaultCap)
        EIP712("Farthing", "1")
        Ledger(minPeriod, maxPeriod, caps, defaultCap)
    {}

    /// @inheritdoc IFarthing
    function withdraw(
        Channel calldata channel,
        Withdrawal calldata withdrawal,
        bytes calldata sigA,
        bytes calldata sigB,
        bytes calldata ownerSig
    ) external nonReentrant {
        bytes32 channelId = _agreedIdOf(channel, withdrawal.channelId, withdrawal.deadline);
        _requireSide(withdrawal.side);
        _requireRecipient(withdrawal.recipient);
        Record storage record = _recordOf(channelId, withdrawal.asset);
        _requireOpen(record, withdrawal.asset);

        bytes32 digest = _hashTypedDataV4(Messages.hashWithdrawal(withdrawal));
        Signatures.requireSigner(channel.a.signer, digest, sigA);
        Signatures.requireSigner(channel.b.signer, digest, sigB);
        address owner = withdrawal.side == SIDE_A ? channel.a.owner : channel.b.owner;
        // A session key may be stolen; it can't send its owner's money elsewhere.
        if (withdrawal.recipient != owner) Signatures.requireOwner(owner, digest, ownerSig);

        uint128 withdrawn = withdrawal.side == SIDE_A ? record.withdrawnA : record.withdrawnB;
        if (withdrawal.total <= withdrawn) revert WithdrawalNotRising(withdrawal.total, withdrawn);
        uint128 amount = withdrawal.total - withdrawn;
        uint256 held = _heldBy(record);
        if (amount > held) revert ExceedsHolding(amount, held);

        if (withdrawal.side == SIDE_A) record.withdrawnA = withdrawal.total;
        else record.withdrawnB = withdrawal.total;
        emit Withdrawn(channelId, withdrawal.asset, withdrawal.side, withdrawal.total, withdrawal.recipient);
        // Not credited if it fails: both sides can agree on another recipient while the money is in the channel.
        _push(withdrawal.asset, withdrawal.recipient, amount);
    }

    /// @inheritdoc IFarthing
    function close(Channel calldata channel, Closing calldata closing, bytes calldata sigA, bytes calldata sigB)
        external
        nonReentrant
    {
        bytes32 channelId = _agreedIdOf(channel, closing.channelId, closing.deadline);
        bytes32 digest = _hashTypedDataV4(Messages.hashClosing(closing));
        Signatures.requireSigner(channel.a.signer, digest, sigA);
        Signatures.requireSigner(channel.b.signer, digest, sigB);

        // All effects before the first payment.
        uint256 count = closing.assets.length;
        uint128[] memory paidA = new uint128[](count);
        uint128[] memory paidB = new uint128[](count);
        for (uint256 i = 0; i < count; ++i) {
            (paidA[i], paidB[i]) = _closeAsset(channelId, closing.assets[i]);
        }
        for (uint256 i = 0; i < count; ++i) {
            _payBoth(closing.assets[i].asset, channel.a.owner, paidA[i], channel.b.owner, paidB[i]);
        }
    }

    /// @dev What holds for everything that both sides sign: this channel, in time, and not once an exit has started.
    function _agreedIdOf(Channel calldata channel, bytes32 named, uint64 deadline) private view returns (bytes32 id) {
        id = _validIdOf(channel);
        if (named != id) revert WrongChannel(named, id);
        _requireInTime(deadline);
        _requireNoExit(id);
    }

    /// @dev An asset that is named twice is refused, since it is closed by then.
    function _closeAsset(bytes32 channelId, ClosingAsset calldata named)
        private
        returns (uint128 paidA, uint128 paidB)
    {
        Record storage record = _recordOf(channelId, named.asset);
        _requireOpen(record, named.asset);
        if (uint256(named.totalA) + named.totalB != uint256(named.depositA) + named.depositB) {
            revert UnbalancedClosing(named.asset);
        }

        paidA = _shareOf(named.asset, SIDE_A, named.totalA, named.depositA, record.depositA, record.withdrawnA);
        paidB = _shareOf(named.asset, SIDE_B, named.totalB, named.depositB, record.depositB, record.withdrawnB);
        record.status = Status.Closed;
        emit Closed(channelId, named.asset, paidA, paidB);
    }

    /// @dev A side gets its total and what was deposited for it since the signing, less what it has withdrawn. Both
    /// shares together are what the record holds, since the totals add up to the deposits.
    function _shareOf(
        address asset,
        uint8 side,
        uint128 total,
        uint128 namedDeposit,
        uint128 deposited,
        uint128 withdrawn
    ) private pure returns (uint128) {
        if (deposited < namedDeposit) revert DepositMissing(asset, side);
        uint256 due = uint256(total) + (deposited - namedDeposit);
        if (due < withdrawn) revert WithdrawnTooMuch(asset, side);
        // The cast is safe: the dues of both sides add up to their deposits, of less than 2^120 each.
        return uint128(due - withdrawn);
    }
}
