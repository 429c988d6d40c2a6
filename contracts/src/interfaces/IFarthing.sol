// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {
    AssetCap,
    AssetState,
    Channel,
    Closing,
    ClosingAsset,
    CreditOrder,
    DepositIntent,
    EvidenceItem,
    ExitOrder,
    LaneState,
    Lock,
    LockClaim,
    Participant,
    Permit,
    SignedProof,
    Status,
    Withdrawal
} from "./Types.sol";

/// @title Farthing: payment channels in ETH and ERC-20 tokens
/// @notice Holds the money of every channel, and pays it out by what both participants signed, or, if one of them is
/// silent or lies, by the newest balance proof that is shown within the challenge period. It has no owner, no pause and
/// no upgrade. An asset is a token's address, or zero for ETH; a side is 0 for A and 1 for B.
/// @dev A side stays a uint8 and not an enum, so that a wrong one is refused by name ({InvalidSide}).
interface IFarthing {
    /// @notice `sender` announced a channel. It need not be a participant.
    event ChannelOpened(
        bytes32 indexed channelId, address indexed ownerA, address indexed ownerB, address sender, Channel channel
    );
    /// @notice `amount` arrived for a side, whose deposits are now `total`.
    event Deposited(bytes32 indexed channelId, address indexed asset, uint8 side, uint128 total, uint128 amount);
    /// @notice A side's withdrawals rose to `total`.
    event Withdrawn(bytes32 indexed channelId, address indexed asset, uint8 side, uint128 total, address recipient);
    /// @notice Both agreed to end the asset; this is what they were paid by it, earlier withdrawals not counted.
    event Closed(bytes32 indexed channelId, address indexed asset, uint128 paidA, uint128 paidB);
    /// @notice The challenge period began: proofs are taken up to and including second `endsAt`.
    event ExitStarted(bytes32 indexed channelId, uint64 endsAt);
    /// @notice This is now the best proof of the lane.
    event ProofSubmitted(
        bytes32 indexed channelId, address indexed asset, uint8 payer, uint64 nonce, bool acknowledged
    );
    /// @notice The asset was divided by the proofs shown. What is locked or owed is still to be claimed.
    event Settled(bytes32 indexed channelId, address indexed asset, uint128 paidA, uint128 paidB);
    /// @notice A lock was claimed; the last two are the slot's state, as {claimed} tells it.
    event LockClaimed(
        bytes32 indexed channelId, address indexed asset, uint8 payer, uint16 slot, uint32 units, bool returned
    );
    /// @notice More units than before are proven for the key. The evidence is here for the hops that lack it.
    event EvidenceRecorded(bytes32 indexed key, uint32 units, bytes evidence);
    /// @notice A payment to the owner failed, and is kept for {payCredit} and {redirectCredit}.
    event Credited(address indexed asset, address indexed owner, uint256 amount);
    /// @notice So much of the owner's credit was paid, to the owner or to whom the owner named.
    event CreditPaid(address indexed asset, address indexed owner, uint256 amount);

    /// @notice The two bounds of the challenge period are zero or the wrong way round.
    error InvalidBounds();
    /// @notice The constructor's list names an asset twice.
    error DuplicateCap(address asset);
    /// @notice An owner or signer is zero, an owner is this contract, the signers are the same, or the challenge period
    /// is out of bounds.
    error InvalidChannel();
    /// @notice A side is 0 or 1.
    error InvalidSide(uint8 side);
    /// @notice What was signed is about another channel.
    error WrongChannel(bytes32 named, bytes32 given);
    /// @notice The signature is malformed, or somebody else's.
    error WrongSignature(address expected);
    /// @notice What was signed is no longer valid.
    error DeadlinePassed(uint64 deadline);
    /// @notice The asset of this channel was closed or settled.
    error AssetNotOpen(address asset, Status status);
    /// @notice An exit has started: no more deposits, withdrawals and closings.
    error ExitRunning(uint64 endsAt);
    /// @notice No exit has started.
    error NoExit();
    /// @notice The caller is not a participant, and brought no exit order of the side that it named.
    error NotParticipant(address caller);
    /// @notice The challenge period is over; no more proofs.
    error ChallengePeriodOver(uint64 endsAt);
    /// @notice The challenge period is not over yet.
    error ChallengePeriodRunning(uint64 endsAt);
    /// @notice The value sent is not what the call says.
    error WrongValue(uint256 sent, uint256 expected);
    /// @notice A deposit of nothing.
    error NothingDeposited();
    /// @notice The channel would hold more of the asset than its cap, or a side's deposits of it would reach 2^120.
    error CapExceeded(address asset, uint256 would, uint128 cap);
    /// @notice The token can't be spent on a deposit: the allowance does not suffice.
    error InsufficientAllowance(uint256 allowance, uint256 amount);
    /// @notice The deposit intent was used before.
    error IntentUsed(bytes32 digest);
    /// @notice The named total is not above what was withdrawn before.
    error WithdrawalNotRising(uint128 total, uint128 withdrawn);
    /// @notice More than the channel holds of the asset.
    error ExceedsHolding(uint256 amount, uint256 held);
    /// @notice No money goes to nobody, nor to this contract.
    error InvalidRecipient();
    /// @notice The totals of a closing don't add up to its deposits.
    error UnbalancedClosing(address asset);
    /// @notice The chain has seen less deposited than a closing counts on.
    error DepositMissing(address asset, uint8 side);
    /// @notice A side has already withdrawn more than a closing gives it.
    error WithdrawnTooMuch(address asset, uint8 side);
    /// @notice The proof is not acknowledged, and the caller is not its payee.
    error NotAcknowledged(address asset, uint8 payer, uint64 nonce);
    /// @notice A proof locks money without a tree of locks, or the other way round.
    error InconsistentLocks(address asset, uint8 payer, uint64 nonce);
    /// @notice The asset was not settled yet.
    error NotSettled(address asset);
    /// @notice The condition, parameters and expiry are not those of the lock.
    error WrongCondition(bytes32 key);
    /// @notice The lock is not in that slot of the lane's tree.
    error LockNotFound(uint16 slot);
    /// @notice The claim would change nothing.
    error NothingToClaim();
    /// @notice Evidence counts up to and including the second of its expiry.
    error EvidenceLate(uint64 expiry);
    /// @notice The parameters do not have the condition's format.
    error MalformedParams(address condition);
    /// @notice The evidence does not have the condition's format.
    error MalformedEvidence(address condition);
    /// @notice The evidence proves nothing.
    error NothingProven(address condition);
    /// @notice The transaction's gas does not cover the allowance of what it calls.
    error InsufficientGas(uint256 needed);
    /// @notice Only the contract itself calls this.
    error OnlySelf();
    /// @notice The recipient or the token refused.
    error PushFailed(address asset, address to, uint256 amount);
    /// @notice The amount is zero, or more than the owner's credit.
    error InsufficientCredit(address asset, address owner, uint256 amount, uint256 credit);
    /// @notice The credit order was used before.
    error OrderUsed(bytes32 digest);

    /// @notice Announces a channel, and deposits for side A. Repeating it announces again, and deposits more.
    /// @param channel The channel.
    /// @param asset What to deposit.
    /// @param amount How much; zero only announces. For ETH it equals the value sent.
    function open(Channel calldata channel, address asset, uint128 amount) external payable;

    /// @notice Deposits for a side, from the caller. Counts what arrives. Refused once an exit has started.
    function deposit(Channel calldata channel, uint8 side, address asset, uint128 amount) external payable;

    /// @notice Deposits a token by ERC-3009. Anyone may send it: the authorization names the channel and the side.
    /// @param from The token's owner, who signed ReceiveWithAuthorization with this contract as the receiver and with
    /// the nonce keccak256(abi.encode(channelId, side, salt)).
    /// @param signature 65 bytes, r, s and v.
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
    ) external;

    /// @notice Deposits a token by ERC-2612, sent by the token's owner or with its signature over the intent.
    /// @dev A permit that somebody else has used already does no harm while the allowance suffices.
    /// @param intent What is deposited, by whom and where; its channel must be this one.
    /// @param intentSignature The owner's signature over the intent; empty if the owner sends it.
    function depositWithPermit(
        Channel calldata channel,
        DepositIntent calldata intent,
        Permit calldata permit,
        bytes calldata intentSignature
    ) external;

    /// @notice Pays one side what it and the other agreed on. Reverts if the recipient does not take it: then the money
    /// stays in the channel.
    /// @param ownerSig The owner's signature over the withdrawal, needed if the recipient is somebody else.
    function withdraw(
        Channel calldata channel,
        Withdrawal calldata withdrawal,
        bytes calldata sigA,
        bytes calldata sigB,
        bytes calldata ownerSig
    ) external;

    /// @notice Divides the assets as both agreed, and ends them for ever. Other assets of the channel live on.
    function close(Channel calldata channel, Closing calldata closing, bytes calldata sigA, bytes calldata sigB)
        external;

    /// @notice Starts the challenge period, and files proofs as {submitProofs} does. It can't be stopped.
    /// @param orderSide The side whose owner or signer signed the order; nobody of the other side is asked.
    /// @param order Its signature over the {ExitOrder}; empty if the caller is an owner or signer of the channel.
    function startExit(
        Channel calldata channel,
        SignedProof[] calldata proofs,
        uint8 orderSide,
        bytes calldata order,
        uint64 orderDeadline
    ) external;

    /// @notice Files proofs during the challenge period. A proof is taken if its payer signed it, and its payee either
    /// sends it or acknowledged it. What does not improve on the lane's proof is skipped, and so are closed assets.
    function submitProofs(Channel calldata channel, SignedProof[] calldata proofs) external;

    /// @notice Pays out an asset by the proofs shown, after the challenge period.
    function settle(Channel calldata channel, address asset) external;

    /// @notice The same for several assets; those that are closed or settled are skipped.
    function settleBatch(Channel calldata channel, address[] calldata assets) external;

    /// @notice Pays what evidence proves of a lock to its payee, and after its expiry the rest to its payer. Can be
    /// repeated while there is more to claim.
    function claimLock(Channel calldata channel, address asset, uint8 payer, LockClaim calldata claim) external;

    /// @notice The same for several locks of a lane, paid together at the end. Claims that would change nothing are
    /// skipped; one of a lock that is not there fails the batch.
    function claimLockBatch(Channel calldata channel, address asset, uint8 payer, LockClaim[] calldata claims) external;

    /// @notice Records evidence, for anybody, while `block.timestamp <= expiry`. Does nothing if as much was proven
    /// before; reverts if it proves nothing.
    /// @param condition A built-in condition's address, or an {ICondition}.
    function recordEvidence(address condition, bytes calldata params, uint64 expiry, bytes calldata evidence) external;

    /// @notice The same for several items. Those that are late, malformed or prove nothing new are skipped.
    /// @dev A condition that is a contract gets a bounded gas allowance here, so that it can't fail the others. What
    /// needs more goes by {recordEvidence}.
    function recordEvidenceBatch(EvidenceItem[] calldata items) external;

    /// @notice Pays the owner so much of what could not be paid before; reverts if it fails again. For anybody.
    function payCredit(address asset, address owner, uint256 amount) external;

    /// @notice Pays some of an owner's credit to the account that the owner names.
    /// @param ownerSignature The owner's signature over the order; ignored if the owner sends it.
    function redirectCredit(CreditOrder calldata order, bytes calldata ownerSignature) external;

    /// @notice keccak256(abi.encode(chainId, contract, channel)).
    function channelIdOf(Channel calldata channel) external view returns (bytes32);

    /// @notice The last second in which proofs are taken; zero if no exit has started.
    function exitEndsAt(bytes32 channelId) external view returns (uint64);

    /// @notice Deposits, withdrawals and status of a channel's asset.
    function assetState(bytes32 channelId, address asset) external view returns (AssetState memory);

    /// @notice What each side is owed (negative: owes), and what is left of the channel's asset. Before {settle}: what
    /// the proofs shown so far come to.
    function netOf(bytes32 channelId, address asset) external view returns (int256 netA, int256 netB, uint256 left);

    /// @notice The best proof shown of a lane.
    function laneState(bytes32 channelId, address asset, uint8 payer) external view returns (LaneState memory);

    /// @notice How many units of a lock were paid by claims, and whether the rest went back to the payer.
    function claimed(bytes32 channelId, address asset, uint8 payer, uint16 slot)
        external
        view
        returns (uint32 units, bool returned);

    /// @notice The most units proven for a condition key. Final once the key's expiry has passed.
    function unitsOf(bytes32 key) external view returns (uint32);

    /// @notice What could not be paid to the owner, by asset.
    function credit(address asset, address owner) external view returns (uint256);

    /// @notice The most that a channel may hold of the asset.
    function capOf(address asset) external view returns (uint128);

    /// @notice The shortest challenge period that a channel may have, in seconds.
    function minChallengePeriod() external view returns (uint32);

    /// @notice The longest.
    function maxChallengePeriod() external view returns (uint32);
}
