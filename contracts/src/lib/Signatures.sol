// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title Whose signature it is
/// @notice A signer is a plain key: 65 bytes r, s and v, with a low s and v 27 or 28. An owner may also be a contract
/// wallet.
library Signatures {
    /// @notice The signature is malformed, or somebody else's.
    error WrongSignature(address expected);

    /// @notice Refuses what this key did not sign.
    function requireSigner(address signer, bytes32 digest, bytes calldata signature) internal pure {
        if (!isSigner(signer, digest, signature)) revert WrongSignature(signer);
    }

    /// @notice Refuses what this account did not sign, by its key or by ERC-1271.
    function requireOwner(address owner, bytes32 digest, bytes calldata signature) internal view {
        if (!isOwner(owner, digest, signature)) revert WrongSignature(owner);
    }

    /// @notice Whether this key signed it.
    function isSigner(address signer, bytes32 digest, bytes calldata signature) internal pure returns (bool) {
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        return failure == ECDSA.RecoverError.NoError && recovered == signer;
    }

    /// @notice Whether this account signed it, by its key or by ERC-1271.
    function isOwner(address owner, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        return SignatureChecker.isValidSignatureNowCalldata(owner, digest, signature);
    }
}
