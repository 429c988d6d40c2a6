// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @dev A contract wallet of several keys: so many of them sign, in the order of their addresses, and anybody sends what
/// they signed. Like a Safe it signs a message as a hash of its own, and reverts where it does not stand by one.
contract Safe is IERC1271 {
    address[] private _owners;
    uint256 private immutable _threshold;
    uint256 public nonce;
    bool public retired;

    error NotSigned();

    constructor(address[] memory owners, uint256 threshold) {
        _owners = owners;
        _threshold = threshold;
    }

    receive() external payable {}

    /// @dev Carries out one transaction of the wallet's.
    function execTransaction(address to, uint256 value, bytes calldata data, bytes calldata signatures) external {
        _check(transactionHash(to, value, data, nonce), signatures);
        nonce += 1;
        (bool success, bytes memory said) = to.call{value: value}(data);
        if (!success) {
            assembly {
                revert(add(said, 32), mload(said))
            }
        }
    }

    /// @dev It stands by nothing that was signed so far.
    function retire() external {
        require(msg.sender == address(this), "not itself");
        retired = true;
    }

    function isValidSignature(bytes32 hash, bytes calldata signatures) external view returns (bytes4) {
        _check(messageHash(hash), signatures);
        return IERC1271.isValidSignature.selector;
    }

    function transactionHash(address to, uint256 value, bytes calldata data, uint256 turn)
        public
        view
        returns (bytes32)
    {
        return keccak256(abi.encode("transaction", block.chainid, address(this), to, value, keccak256(data), turn));
    }

    function messageHash(bytes32 hash) public view returns (bytes32) {
        return keccak256(abi.encode("message", block.chainid, address(this), hash, retired));
    }

    function _check(bytes32 hash, bytes calldata signatures) private view {
        if (signatures.length != _threshold * 65) revert NotSigned();
        address last;
        for (uint256 i = 0; i < _threshold; i++) {
            address signer = ECDSA.recover(hash, signatures[i * 65:(i + 1) * 65]);
            if (signer <= last || !_isOwner(signer)) revert NotSigned();
            last = signer;
        }
    }

    function _isOwner(address signer) private view returns (bool) {
        for (uint256 i = 0; i < _owners.length; i++) {
            if (_owners[i] == signer) return true;
        }
        return false;
    }
}
