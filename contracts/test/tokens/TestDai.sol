// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title A stand-in for DAI, for the demo and the tests
/// @notice An ordinary token with ERC-2612 permits, which anybody may mint.
contract TestDai is ERC20, ERC20Permit {
    constructor() ERC20("Dai Stablecoin (test)", "DAI") ERC20Permit("Dai Stablecoin (test)") {}

    /// @notice Money for nothing.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}
