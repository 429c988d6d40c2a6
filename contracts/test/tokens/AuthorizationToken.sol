// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title A token with ERC-3009 authorizations, as USDC has them
contract AuthorizationToken is ERC20, ERC3009 {
    constructor() ERC20("Authorization Token", "AUTH") EIP712("Authorization Token", "1") {}

    /// @notice Money for nothing.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @notice Six, as USDC.
    function decimals() public pure override returns (uint8) {
        return 6;
    }
}
