// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {
    Closing,
    ClosingAsset,
    CreditOrder,
    DepositIntent,
    ExitOrder,
    SignedProof,
    Withdrawal
} from "../interfaces/Types.sol";

/// @title What participants sign
/// @notice EIP-712 struct hashes; the domain is added by the contract.
library Messages {
    bytes32 internal constant BALANCE_PROOF = keccak256(
        "BalanceProof(bytes32 channelId,address asset,uint8 payer,uint64 nonce,uint128 transferred,uint128 locked,bytes32 locksRoot,uint64 seen)"
    );
    bytes32 internal constant ACKNOWLEDGEMENT =
        keccak256("Acknowledgement(bytes32 channelId,address asset,uint8 payer,uint64 nonce,bytes32 proofHash)");
    bytes32 internal constant WITHDRAWAL = keccak256(
        "Withdrawal(bytes32 channelId,address asset,uint8 side,uint128 total,address recipient,uint64 deadline)"
    );
    bytes32 internal constant CLOSING_ASSET =
        keccak256("ClosingAsset(address asset,uint128 totalA,uint128 totalB,uint128 depositA,uint128 depositB)");
    bytes32 internal constant CLOSING = keccak256(
        "Closing(bytes32 channelId,ClosingAsset[] assets,uint64 deadline)ClosingAsset(address asset,uint128 totalA,uint128 totalB,uint128 depositA,uint128 depositB)"
    );
    bytes32 internal constant EXIT_ORDER = keccak256("ExitOrder(bytes32 channelId,uint64 deadline)");
    bytes32 internal constant DEPOSIT_INTENT = keccak256(
        "DepositIntent(bytes32 channelId,uint8 side,address asset,uint128 amount,address from,bytes32 salt,uint64 deadline)"
    );
    bytes32 internal constant CREDIT_ORDER = keccak256(
        "CreditOrder(address asset,address owner,address recipient,uint256 amount,bytes32 salt,uint64 deadline)"
    );
    bytes32 internal constant VOUCHER = keccak256("Voucher(bytes32 key,uint32 units)");

    function hashProof(bytes32 channelId, SignedProof calldata proof) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                BALANCE_PROOF,
                channelId,
                proof.asset,
                proof.payer,
                proof.nonce,
                proof.transferred,
                proof.locked,
                proof.locksRoot,
                proof.seen
            )
        );
    }

    function hashAcknowledgement(bytes32 channelId, SignedProof calldata proof, bytes32 proofHash)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(ACKNOWLEDGEMENT, channelId, proof.asset, proof.payer, proof.nonce, proofHash));
    }

    function hashWithdrawal(Withdrawal calldata withdrawal) internal pure returns (bytes32) {
        return keccak256(abi.encode(WITHDRAWAL, withdrawal));
    }

    function hashClosing(Closing calldata closing) internal pure returns (bytes32) {
        bytes32[] memory assets = new bytes32[](closing.assets.length);
        for (uint256 i = 0; i < assets.length; ++i) {
            ClosingAsset calldata asset = closing.assets[i];
            assets[i] = keccak256(abi.encode(CLOSING_ASSET, asset));
        }
        return keccak256(abi.encode(CLOSING, closing.channelId, keccak256(abi.encodePacked(assets)), closing.deadline));
    }

    function hashExitOrder(ExitOrder memory order) internal pure returns (bytes32) {
        return keccak256(abi.encode(EXIT_ORDER, order));
    }

    function hashDepositIntent(DepositIntent calldata intent) internal pure returns (bytes32) {
        return keccak256(abi.encode(DEPOSIT_INTENT, intent));
    }

    function hashCreditOrder(CreditOrder calldata order) internal pure returns (bytes32) {
        return keccak256(abi.encode(CREDIT_ORDER, order));
    }

    function hashVoucher(bytes32 key, uint32 units) internal pure returns (bytes32) {
        return keccak256(abi.encode(VOUCHER, key, units));
    }
}
