// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @dev A contract wallet that stands by what its key signs.
contract Wallet is IERC1271 {
    address private immutable _key;

    constructor(address key) {
        _key = key;
    }

    receive() external payable {}

    function execute(address target, bytes calldata data) external {
        (bool success,) = target.call(data);
        require(success, "call failed");
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) public view virtual returns (bytes4) {
        return ECDSA.recover(hash, signature) == _key ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}

/// @dev An owner that burns whatever gas it is given when it is asked for its signature.
contract BurningWallet is IERC1271 {
    receive() external payable {}

    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        assembly {
            invalid()
        }
    }
}

/// @dev What an account has delegated to (EIP-7702): it wants signatures over a hash of its own, and takes no ETH.
contract RehashingWallet is IERC1271 {
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        bytes32 own = keccak256(abi.encode(hash, address(this)));
        return ECDSA.recover(own, signature) == address(this) ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}
