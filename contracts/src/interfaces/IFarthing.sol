// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @notice One end of a channel, fixed for the channel's life.
/// @param owner The account that money goes to: a key or a contract wallet.
/// @param signer The key whose signature counts in this channel.
struct Participant {
    address owner;
    address signer;
}

/// @notice What a channel is. It travels in calldata; the chain stores only what changes.
/// @param a Side 0, who opened it.
/// @param b Side 1, usually a hub.
/// @param challengePeriod Seconds in which an exit can be answered.
/// @param salt Tells apart channels of the same two participants.
struct Channel {
    Participant a;
    Participant b;
    uint32 challengePeriod;
    uint64 salt;
}

/// @notice The most that a channel may hold of an asset.
struct AssetCap {
    address asset;
    uint128 cap;
}

/// @notice A balance proof with its signatures.
/// @param asset The token, or zero for ETH.
/// @param payer The side that pays in this lane, and signs: 0 is A, 1 is B.
/// @param nonce The place in the lane; the highest wins. Counts from 1.
/// @param transferred All that the payer has paid in this lane, ever.
/// @param locked What the pending locks are worth; zero if and only if the tree is empty.
/// @param locksRoot Root of the tree of locks.
/// @param seen Nonce of the newest proof of the opposite lane that the payer holds.
/// @param signature The payer's signature over the balance proof.
/// @param acknowledgement The payee's signature over the acknowledgement of exactly this proof, or empty.
struct SignedProof {
    address asset;
    uint8 payer;
    uint64 nonce;
    uint128 transferred;
    uint128 locked;
    bytes32 locksRoot;
    uint64 seen;
    bytes signature;
    bytes acknowledgement;
}

/// @notice A co-signed withdrawal.
/// @param total The new total that the side has withdrawn of the asset, this one included.
struct Withdrawal {
    bytes32 channelId;
    address asset;
    uint8 side;
    uint128 total;
    address recipient;
    uint64 deadline;
}

/// @notice How one asset is divided when it is closed.
/// @param totalA All that A gets of the asset, with what it has withdrawn before.
/// @param totalB The same for B.
/// @param depositA The deposit of A that the signers counted; what came later goes to A.
/// @param depositB The same for B.
struct ClosingAsset {
    address asset;
    uint128 totalA;
    uint128 totalB;
    uint128 depositA;
    uint128 depositB;
}

/// @notice A co-signed end of some of a channel's assets.
struct Closing {
    bytes32 channelId;
    ClosingAsset[] assets;
    uint64 deadline;
}

/// @notice A participant's leave for anybody, such as a watchtower, to start the channel's exit.
struct ExitOrder {
    bytes32 channelId;
    uint64 deadline;
}

/// @notice The wish of a token's owner to have a permit spent on this side of this channel, and on nothing else.
struct DepositIntent {
    bytes32 channelId;
    uint8 side;
    address asset;
    uint128 amount;
    address from;
    bytes32 salt;
    uint64 deadline;
}

/// @notice A conditional payment of up to `n` units. It is worth `(n - redeemed) * unitPrice`.
/// @param key The condition key: keccak256(abi.encode(condition, keccak256(params), expiry)).
struct Lock {
    bytes32 key;
    uint32 n;
    uint128 unitPrice;
    uint32 redeemed;
}

/// @notice What the chain knows of a channel's asset.
/// @param status 0 open, 1 closed, 2 settled; the last two for ever.
struct AssetState {
    uint128 depositA;
    uint128 depositB;
    uint128 withdrawnA;
    uint128 withdrawnB;
    uint8 status;
}

/// @notice The best proof of a lane that was shown. Nonce zero: none was.
struct LaneState {
    uint64 nonce;
    bool acknowledged;
    uint128 transferred;
    uint128 locked;
    bytes32 locksRoot;
}

/// @title Farthing: payment channels in ETH and ERC-20 tokens
/// @notice Holds the money of every channel, and pays it out by what both participants signed, or, if one of them is
/// silent or lies, by the newest balance proof that is shown within the challenge period. It has no owner, no pause and
/// no upgrade. An asset is a token's address, or zero for ETH; a side is 0 for A and 1 for B.
/// @dev Evidence (recordEvidence, unitsOf) and credits (payCredit, credit) are documented with their events and errors
/// in Evidence and Payouts; the errors of signatures and conditions beside the code that raises them.
interface IFarthing {
    /// @notice Somebody announced a channel. The caller need not be a participant.
    event ChannelOpened(bytes32 indexed channelId, address indexed ownerA, address indexed ownerB, Channel channel);
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

    /// @notice The two bounds of the challenge period are zero or the wrong way round.
    error InvalidBounds();
    /// @notice The constructor's list names an asset twice.
    error DuplicateCap(address asset);
    /// @notice An owner or signer is zero, the signers are the same, or the challenge period is out of bounds.
    error InvalidChannel();
    /// @notice A side is 0 or 1.
    error InvalidSide(uint8 side);
    /// @notice What was signed is about another channel.
    error WrongChannel(bytes32 named, bytes32 given);
    /// @notice What was signed is no longer valid.
    error DeadlinePassed(uint64 deadline);
    /// @notice The asset of this channel was closed or settled.
    error AssetNotOpen(address asset, uint8 status);
    /// @notice An exit has started: no more deposits, withdrawals and closings.
    error ExitRunning(uint64 endsAt);
    /// @notice No exit has started.
    error NoExit();
    /// @notice The caller is not a participant, and brought no exit order.
    error NotParticipant(address caller);
    /// @notice The challenge period is over; no more proofs.
    error ChallengePeriodOver(uint64 endsAt);
    /// @notice The challenge period is not over yet.
    error ChallengePeriodRunning(uint64 endsAt);
    /// @notice The value sent is not what the call says.
    error WrongValue(uint256 sent, uint256 expected);
    /// @notice A deposit of nothing.
    error NothingDeposited();
    /// @notice The channel would hold more of the asset than its cap, or have had more than 2^128 - 1 of it deposited.
    error CapExceeded(address asset, uint256 would, uint128 cap);
    /// @notice The token can't be spent on a deposit: the allowance does not suffice.
    error InsufficientAllowance(uint256 allowance, uint256 amount);
    /// @notice The deposit intent was used before.
    error IntentUsed(bytes32 digest);
    /// @notice The named total is not above what was withdrawn before.
    error WithdrawalNotRising(uint128 total, uint128 withdrawn);
    /// @notice More than the channel holds of the asset.
    error ExceedsHolding(uint256 amount, uint256 held);
    /// @notice No money goes to nobody.
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

    /// @notice Deposits a token by ERC-2612, sent by the token's owner or with its signed {DepositIntent}.
    /// @dev A permit that somebody else has used already does no harm while the allowance suffices.
    /// @param salt Tells apart equal intents; each is good for one deposit.
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
    ) external;

    /// @notice Pays one side what it and the other agreed on.
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
    /// @param order An owner's or signer's signature over the {ExitOrder}; empty if the caller is one of them.
    function startExit(
        Channel calldata channel,
        SignedProof[] calldata proofs,
        bytes calldata order,
        uint64 orderDeadline
    ) external;

    /// @notice Files proofs during the challenge period. A proof is taken if its payer signed it, and its payee either
    /// sends it or acknowledged it. What does not improve on the lane's proof is skipped.
    function submitProofs(Channel calldata channel, SignedProof[] calldata proofs) external;

    /// @notice Pays out an asset by the proofs shown, after the challenge period.
    function settle(Channel calldata channel, address asset) external;

    /// @notice Pays what evidence proves of a lock to its payee, and after its expiry the rest to its payer. Can be
    /// repeated while there is more to claim.
    /// @param slot Where the lock is in the tree of the payer's lane.
    /// @param paramsHash keccak256 of the condition's parameters.
    /// @param siblings The nodes beside the way from the leaf to the root, the leaf's first.
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
    ) external;

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

    /// @notice The most that a channel may hold of the asset.
    function capOf(address asset) external view returns (uint128);

    /// @notice The shortest challenge period that a channel may have, in seconds.
    function minChallengePeriod() external view returns (uint32);

    /// @notice The longest.
    function maxChallengePeriod() external view returns (uint32);
}
