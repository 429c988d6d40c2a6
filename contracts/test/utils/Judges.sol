// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ICondition} from "../../src/interfaces/ICondition.sol";

/// @dev Pays as many units as the evidence says, if the parameters are its own.
contract Arbiter is ICondition {
    function evaluate(bytes calldata params, bytes calldata evidence) external pure returns (uint32) {
        require(keccak256(params) == keccak256("case 1"), "unknown case");
        return abi.decode(evidence, (uint32));
    }
}

/// @dev A condition that misbehaves in the way that its parameters name.
contract BadJudge {
    function evaluate(bytes calldata params, bytes calldata) external pure returns (uint256) {
        bytes32 how = bytes32(params);
        if (how == "reverts") revert("no");
        if (how == "reverts with a bomb") {
            assembly {
                revert(0, 300000)
            }
        }
        if (how == "returns a bomb") {
            assembly {
                return(0, 300000)
            }
        }
        if (how == "returns nothing") {
            assembly {
                return(0, 0)
            }
        }
        if (how == "returns too little") {
            assembly {
                mstore(0, 0)
                return(0, 31)
            }
        }
        if (how == "burns gas") {
            assembly {
                invalid()
            }
        }
        return how == "returns too much" ? type(uint256).max : 0;
    }
}

/// @dev Judges at length.
contract SlowJudge is ICondition {
    function evaluate(bytes calldata params, bytes calldata) external view returns (uint32) {
        uint256 enough = gasleft() - uint256(bytes32(params));
        while (gasleft() > enough) {}
        return 7;
    }
}
