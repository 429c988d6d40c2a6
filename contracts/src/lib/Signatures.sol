// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {IFarthing} from "../interfaces/IFarthing.sol";

/// @title Whose signature it is
/// @notice A signer is a plain key: 65 bytes r, s and v, with a low s and v 27 or 28. An owner may also be a contract
/// wallet, or a key's account that has delegated to code (EIP-7702): the key goes on counting there, whatever the code
/// thinks of it.
library Signatures {
    /// @notice Refuses what this key did not sign.
    function requireSigner(address signer, bytes32 digest, bytes calldata signature) internal pure {
        if (!isSigner(signer, digest, signature)) revert IFarthing.WrongSignature(signer);
    }

    /// @notice Refuses what this account did not sign, by its key or by ERC-1271.
    function requireOwner(address owner, bytes32 digest, bytes calldata signature) internal view {
        if (!isOwner(owner, digest, signature)) revert IFarthing.WrongSignature(owner);
    }

    /// @notice Whether this key signed it.
    function isSigner(address signer, bytes32 digest, bytes calldata signature) internal pure returns (bool) {
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        return failure == ECDSA.RecoverError.NoError && recovered == signer;
    }

    /// @notice Whether this account signed it, by its key or by ERC-1271.
    function isOwner(address owner, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        return isSigner(owner, digest, signature)
            || SignatureChecker.isValidERC1271SignatureNowCalldata(owner, digest, signature);
    }
}
