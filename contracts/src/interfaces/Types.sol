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

/// @notice The wish of a token's owner to have its tokens spent on this side of this channel, and on nothing else.
/// @param salt Tells apart equal intents; each is good for one deposit by somebody else.
struct DepositIntent {
    bytes32 channelId;
    uint8 side;
    address asset;
    uint128 amount;
    address from;
    bytes32 salt;
    uint64 deadline;
}

/// @notice A permit by ERC-2612, for the amount and to the spender that the call implies.
struct Permit {
    uint256 deadline;
    uint8 v;
    bytes32 r;
    bytes32 s;
}

/// @notice An owner's wish to have some of its credit sent to another account.
/// @param salt Tells apart equal orders; each is good once.
struct CreditOrder {
    address asset;
    address owner;
    address recipient;
    uint256 amount;
    bytes32 salt;
    uint64 deadline;
}

/// @notice Something that proves units under a condition.
/// @param condition A built-in condition's address, or an {ICondition}.
struct EvidenceItem {
    address condition;
    bytes params;
    uint64 expiry;
    bytes evidence;
}

/// @notice A conditional payment of up to `n` units. It is worth `(n - redeemed) * unitPrice`.
/// @param key The condition key: keccak256(abi.encode(condition, keccak256(params), expiry)).
struct Lock {
    bytes32 key;
    uint32 n;
    uint128 unitPrice;
    uint32 redeemed;
}

/// @notice A lock, where it is, and under which condition.
/// @param slot Where the lock is in the tree of the payer's lane.
/// @param paramsHash keccak256 of the condition's parameters.
/// @param siblings The nodes beside the way from the leaf to the root, the leaf's first. Zero may stand for one that is
/// the root of an empty tree.
struct LockClaim {
    uint16 slot;
    Lock lock;
    address condition;
    bytes32 paramsHash;
    uint64 expiry;
    bytes32[16] siblings;
}

/// @notice What became of a channel's asset: 0, 1 and 2 in the ABI. The last two are for ever.
enum Status {
    Open,
    Closed,
    Settled
}

/// @notice What the chain knows of a channel's asset.
struct AssetState {
    uint128 depositA;
    uint128 depositB;
    uint128 withdrawnA;
    uint128 withdrawnB;
    Status status;
}

/// @notice The best proof of a lane that was shown. Nonce zero: none was.
struct LaneState {
    uint64 nonce;
    bool acknowledged;
    uint128 transferred;
    uint128 locked;
    bytes32 locksRoot;
}
