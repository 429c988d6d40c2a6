// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {DepositRelay} from "../src/DepositRelay.sol";

interface VmFile {
    function readFile(string calldata path) external view returns (string memory);
    function parseBytes32(string calldata text) external pure returns (bytes32);
}

/// @notice Clients sign for a relay of this code only, so a change of the code is a change of what they trust.
contract RelayCodeTest {
    VmFile private constant VM = VmFile(address(uint160(uint256(keccak256("hevm cheat code")))));

    function test_theCode_isTheOneThatClientsKnow() public {
        bytes32 known = VM.parseBytes32(VM.readFile("snapshots/DepositRelay.codehash"));
        require(address(new DepositRelay()).codehash == known, "snapshots/DepositRelay.codehash is of another code");
    }
}
