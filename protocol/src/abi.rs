//! The contract's interface, the one source of ABI and EIP-712 encodings in Rust.
//! `cargo xtask contracts` compares its selectors with the compiled contract.
#![allow(missing_docs, reason = "the interface is documented in contracts/src/interfaces/IFarthing.sol")]

use crate::types::{ChannelDef, Participant as ParticipantDef};

alloy_sol_types::sol! {
    #[derive(Debug, PartialEq, Eq)]
    struct Participant { address owner; address signer; }
    #[derive(Debug, PartialEq, Eq)]
    struct Channel { Participant a; Participant b; uint32 challengePeriod; uint64 salt; }

    #[derive(Debug, PartialEq, Eq)]
    struct BalanceProof { bytes32 channelId; address asset; uint8 payer; uint64 nonce; uint128 transferred; uint128 locked; bytes32 locksRoot; uint64 seen; }
    #[derive(Debug, PartialEq, Eq)]
    struct Acknowledgement { bytes32 channelId; address asset; uint8 payer; uint64 nonce; bytes32 proofHash; }
    #[derive(Debug, PartialEq, Eq)]
    struct Withdrawal { bytes32 channelId; address asset; uint8 side; uint128 total; address recipient; uint64 deadline; }
    #[derive(Debug, PartialEq, Eq)]
    struct ClosingAsset { address asset; uint128 totalA; uint128 totalB; uint128 depositA; uint128 depositB; }
    #[derive(Debug, PartialEq, Eq)]
    struct Closing { bytes32 channelId; ClosingAsset[] assets; uint64 deadline; }
    #[derive(Debug, PartialEq, Eq)]
    struct ExitOrder { bytes32 channelId; uint64 deadline; }
    #[derive(Debug, PartialEq, Eq)]
    struct DepositIntent { bytes32 channelId; uint8 side; address asset; uint128 amount; address from; bytes32 salt; uint64 deadline; }
    #[derive(Debug, PartialEq, Eq)]
    struct Voucher { bytes32 key; uint32 units; }
    // Off chain only: names the session key that an owner pays and is paid with.
    #[derive(Debug, PartialEq, Eq)]
    struct Binding { address owner; address signer; bytes32 channelId; }
    // Off chain only: names a key that signs receipts for a payee.
    #[derive(Debug, PartialEq, Eq)]
    struct ReceiptKey { address payee; bytes32 publicKey; uint64 expires; }
    // Off chain only: proves the signer key to the hub on one connection.
    #[derive(Debug, PartialEq, Eq)]
    struct Session { bytes32 channelId; bytes32 challenge; }
    // Off chain only: asks a watchtower to watch a channel, and its promise to show a proof.
    #[derive(Debug, PartialEq, Eq)]
    struct WatchOrder { bytes32 channelId; address tower; uint64 deadline; }
    #[derive(Debug, PartialEq, Eq)]
    struct WatchReceipt { bytes32 channelId; address asset; uint8 payer; uint64 nonce; bytes32 proofHash; uint64 time; }

    #[derive(Debug, PartialEq, Eq)]
    struct SignedProof { address asset; uint8 payer; uint64 nonce; uint128 transferred; uint128 locked; bytes32 locksRoot; uint64 seen; bytes signature; bytes acknowledgement; }
    #[derive(Debug, PartialEq, Eq)]
    struct Lock { bytes32 key; uint32 n; uint128 unitPrice; uint32 redeemed; }
    #[derive(Debug, PartialEq, Eq)]
    struct AssetState { uint128 depositA; uint128 depositB; uint128 withdrawnA; uint128 withdrawnB; uint8 status; }
    #[derive(Debug, PartialEq, Eq)]
    struct LaneState { uint64 nonce; bool acknowledged; uint128 transferred; uint128 locked; bytes32 locksRoot; }
    #[derive(Debug, PartialEq, Eq)]
    struct AssetCap { address asset; uint128 cap; }
    #[derive(Debug, PartialEq, Eq)]
    struct EvidenceItem { address condition; bytes params; uint64 expiry; bytes evidence; }
    #[derive(Debug, PartialEq, Eq)]
    struct LockClaim { uint16 slot; Lock lock; address condition; bytes32 paramsHash; uint64 expiry; bytes32[16] siblings; }
    #[derive(Debug, PartialEq, Eq)]
    struct Permit { uint256 deadline; uint8 v; bytes32 r; bytes32 s; }
    #[derive(Debug, PartialEq, Eq)]
    struct CreditOrder { address asset; address owner; address recipient; uint256 amount; bytes32 salt; uint64 deadline; }

    // Of the contract DepositRelay, in a domain of its own.
    #[derive(Debug, PartialEq, Eq)]
    struct RelayedDeposit { address farthing; bytes32 channelId; uint8 side; address from; address asset; uint128 amount; uint128 fee; address relayer; uint64 deadline; bytes32 salt; }
    #[derive(Debug, PartialEq, Eq)]
    struct DaiPermit { uint256 nonce; uint256 expiry; uint8 v; bytes32 r; bytes32 s; }

    #[derive(Debug)]
    interface IDepositRelay {
        event DepositRelayed(bytes32 indexed digest, bytes32 indexed channelId, address indexed from, address asset, uint256 deposited, uint128 fee, address relayer);

        function depositWithPermit(Channel channel, RelayedDeposit wish, Permit permit, bytes signature) external;
        function depositWithDaiPermit(Channel channel, RelayedDeposit wish, DaiPermit permit, bytes signature) external;
        function depositWithAuthorization(Channel channel, RelayedDeposit wish, uint256 validAfter, uint256 validBefore, bytes signature) external;
        function depositWithPermit2(Channel channel, RelayedDeposit wish, uint256 nonce, uint256 deadline, bytes signature) external;
        function digestOf(RelayedDeposit wish) external view returns (bytes32);
        function used(bytes32 digest) external view returns (bool);
    }

    #[derive(Debug)]
    interface IFarthing {
        event ChannelOpened(bytes32 indexed channelId, address indexed ownerA, address indexed ownerB, address sender, Channel channel);
        event Deposited(bytes32 indexed channelId, address indexed asset, uint8 side, uint128 total, uint128 amount);
        event Withdrawn(bytes32 indexed channelId, address indexed asset, uint8 side, uint128 total, address recipient);
        event Closed(bytes32 indexed channelId, address indexed asset, uint128 paidA, uint128 paidB);
        event ExitStarted(bytes32 indexed channelId, uint64 endsAt);
        event ProofSubmitted(bytes32 indexed channelId, address indexed asset, uint8 payer, uint64 nonce, bool acknowledged);
        event EvidenceRecorded(bytes32 indexed key, uint32 units, bytes evidence);
        event Settled(bytes32 indexed channelId, address indexed asset, uint128 paidA, uint128 paidB);
        event LockClaimed(bytes32 indexed channelId, address indexed asset, uint8 payer, uint16 slot, uint32 units, bool returned);
        event Credited(address indexed asset, address indexed owner, uint256 amount);
        event CreditPaid(address indexed asset, address indexed owner, uint256 amount);

        constructor(uint32 minChallengePeriod, uint32 maxChallengePeriod, AssetCap[] caps, uint128 defaultCap);

        function open(Channel channel, address asset, uint128 amount) external payable;
        function deposit(Channel channel, uint8 side, address asset, uint128 amount) external payable;
        function depositWithAuthorization(Channel channel, uint8 side, address asset, uint128 amount, address from, uint256 validAfter, uint256 validBefore, bytes32 salt, bytes signature) external;
        function depositWithPermit(Channel channel, DepositIntent intent, Permit permit, bytes intentSignature) external;
        function withdraw(Channel channel, Withdrawal withdrawal, bytes sigA, bytes sigB, bytes ownerSig) external;
        function close(Channel channel, Closing closing, bytes sigA, bytes sigB) external;
        function startExit(Channel channel, SignedProof[] proofs, uint8 orderSide, bytes order, uint64 orderDeadline) external;
        function submitProofs(Channel channel, SignedProof[] proofs) external;
        function recordEvidence(address condition, bytes params, uint64 expiry, bytes evidence) external;
        function recordEvidenceBatch(EvidenceItem[] items) external;
        function settle(Channel channel, address asset) external;
        function settleBatch(Channel channel, address[] assets) external;
        function claimLock(Channel channel, address asset, uint8 payer, LockClaim claim) external;
        function claimLockBatch(Channel channel, address asset, uint8 payer, LockClaim[] claims) external;
        function payCredit(address asset, address owner, uint256 amount) external;
        function redirectCredit(CreditOrder order, bytes ownerSignature) external;

        function channelIdOf(Channel channel) external view returns (bytes32);
        function exitEndsAt(bytes32 channelId) external view returns (uint64);
        function assetState(bytes32 channelId, address asset) external view returns (AssetState);
        function netOf(bytes32 channelId, address asset) external view returns (int256 netA, int256 netB, uint256 left);
        function laneState(bytes32 channelId, address asset, uint8 payer) external view returns (LaneState);
        function unitsOf(bytes32 key) external view returns (uint32);
        function claimed(bytes32 channelId, address asset, uint8 payer, uint16 slot) external view returns (uint32 units, bool returned);
        function credit(address asset, address owner) external view returns (uint256);
        function capOf(address asset) external view returns (uint128);
        function minChallengePeriod() external view returns (uint32);
        function maxChallengePeriod() external view returns (uint32);
    }

    #[derive(Debug)]
    interface IERC1271 {
        function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4);
    }

    #[derive(Debug)]
    interface IERC20 {
        event Transfer(address indexed from, address indexed to, uint256 value);
        function balanceOf(address owner) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function approve(address spender, uint256 amount) external returns (bool);
        function transfer(address to, uint256 amount) external returns (bool);
        function decimals() external view returns (uint8);
        function symbol() external view returns (string);
        function name() external view returns (string);
        function version() external view returns (string);
        function nonces(address owner) external view returns (uint256);
        function DOMAIN_SEPARATOR() external view returns (bytes32);
    }
}

impl From<&ParticipantDef> for Participant {
    fn from(participant: &ParticipantDef) -> Self {
        Self { owner: participant.owner, signer: participant.signer }
    }
}

impl From<&ChannelDef> for Channel {
    fn from(channel: &ChannelDef) -> Self {
        Self {
            a: (&channel.a).into(),
            b: (&channel.b).into(),
            challengePeriod: channel.challenge_period,
            salt: channel.salt,
        }
    }
}

impl From<&Channel> for ChannelDef {
    fn from(channel: &Channel) -> Self {
        Self {
            a: ParticipantDef { owner: channel.a.owner, signer: channel.a.signer },
            b: ParticipantDef { owner: channel.b.owner, signer: channel.b.signer },
            challenge_period: channel.challengePeriod,
            salt: channel.salt,
        }
    }
}
