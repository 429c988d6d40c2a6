// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @dev What an account's key delegates to (EIP-7702). Like many of them it takes the key's signature over a hash of its own
/// alone, so that what one account signed counts for no other; a plain signature of the key it does not take.
contract Delegate is IERC1271 {
    receive() external payable {}

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        (address signer,,) = ECDSA.tryRecoverCalldata(messageHash(hash), signature);
        return signer == address(this) ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }

    function messageHash(bytes32 hash) public view returns (bytes32) {
        return keccak256(abi.encode("delegated", block.chainid, address(this), hash));
    }
}
