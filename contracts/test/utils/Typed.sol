// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {
    Closing,
    ClosingAsset,
    CreditOrder,
    DepositIntent,
    ExitOrder,
    SignedProof,
    Withdrawal
} from "../../src/interfaces/IFarthing.sol";
import {vm} from "./Vm.sol";

/// @dev What participants sign, hashed by the test runner from the types' text: independent of the contract's hashes.
library Typed {
    string internal constant PROOF =
        "BalanceProof(bytes32 channelId,address asset,uint8 payer,uint64 nonce,uint128 transferred,uint128 locked,bytes32 locksRoot,uint64 seen)";
    string internal constant ACKNOWLEDGEMENT =
        "Acknowledgement(bytes32 channelId,address asset,uint8 payer,uint64 nonce,bytes32 proofHash)";
    string internal constant WITHDRAWAL =
        "Withdrawal(bytes32 channelId,address asset,uint8 side,uint128 total,address recipient,uint64 deadline)";
    string internal constant CLOSING =
        "Closing(bytes32 channelId,ClosingAsset[] assets,uint64 deadline)ClosingAsset(address asset,uint128 totalA,uint128 totalB,uint128 depositA,uint128 depositB)";
    string internal constant EXIT_ORDER = "ExitOrder(bytes32 channelId,uint64 deadline)";
    string internal constant DEPOSIT_INTENT =
        "DepositIntent(bytes32 channelId,uint8 side,address asset,uint128 amount,address from,bytes32 salt,uint64 deadline)";
    string internal constant CREDIT_ORDER =
        "CreditOrder(address asset,address owner,address recipient,uint256 amount,bytes32 salt,uint64 deadline)";
    string internal constant RELAYED_DEPOSIT =
        "RelayedDeposit(address farthing,bytes32 channelId,uint8 side,address from,address asset,uint128 amount,uint128 fee,address relayer,uint64 deadline,bytes32 salt)";
    string internal constant VOUCHER = "Voucher(bytes32 key,uint32 units)";

    function proofOf(bytes32 channelId, SignedProof memory p) internal pure returns (bytes32) {
        return vm.eip712HashStruct(
            PROOF, abi.encode(channelId, p.asset, p.payer, p.nonce, p.transferred, p.locked, p.locksRoot, p.seen)
        );
    }

    function acknowledgementOf(bytes32 channelId, SignedProof memory p) internal pure returns (bytes32) {
        return
            vm.eip712HashStruct(
                ACKNOWLEDGEMENT, abi.encode(channelId, p.asset, p.payer, p.nonce, proofOf(channelId, p))
            );
    }

    function withdrawalOf(Withdrawal memory w) internal pure returns (bytes32) {
        return vm.eip712HashStruct(WITHDRAWAL, abi.encode(w));
    }

    function closingOf(Closing memory c) internal pure returns (bytes32) {
        return vm.eip712HashStruct(CLOSING, abi.encode(c));
    }

    function exitOrderOf(ExitOrder memory order) internal pure returns (bytes32) {
        return vm.eip712HashStruct(EXIT_ORDER, abi.encode(order));
    }

    function depositIntentOf(DepositIntent memory intent) internal pure returns (bytes32) {
        return vm.eip712HashStruct(DEPOSIT_INTENT, abi.encode(intent));
    }

    function creditOrderOf(CreditOrder memory order) internal pure returns (bytes32) {
        return vm.eip712HashStruct(CREDIT_ORDER, abi.encode(order));
    }

    function voucherOf(bytes32 key, uint32 units) internal pure returns (bytes32) {
        return vm.eip712HashStruct(VOUCHER, abi.encode(key, units));
    }
}
