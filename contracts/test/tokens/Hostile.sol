// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @dev An ordinary token to misbehave with.
abstract contract OpenToken is ERC20 {
    constructor() ERC20("Hostile", "HOST") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @dev Takes one percent of every transfer.
contract FeeToken is OpenToken {
    function _update(address from, address to, uint256 value) internal override {
        uint256 fee = from == address(0) ? 0 : value / 100;
        super._update(from, to, value - fee);
        if (fee != 0) super._update(from, address(0xfee), fee);
    }
}

/// @dev Returns nothing, as USDT does.
contract SilentToken {
    mapping(address => uint256) public balanceOf;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }

    function transferFrom(address from, address to, uint256 amount) external {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// @dev Has ways of failing to pay out, which can be switched.
contract MoodyToken is OpenToken {
    enum Mood {
        Kind,
        ReturnsFalse,
        MovesAndReturnsFalse,
        Reverts,
        BurnsGas,
        ReturnsABomb,
        RevertsWithABomb
    }

    Mood public mood;

    function decimals() public pure override returns (uint8) {
        return 77;
    }

    function setMood(Mood mood_) external {
        mood = mood_;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (mood == Mood.ReturnsFalse) return false;
        if (mood == Mood.Reverts) revert("no");
        if (mood == Mood.BurnsGas) {
            for (uint256 i = 0;; ++i) {
                _mint(address(uint160(i + 1)), 1);
            }
        }
        if (mood == Mood.ReturnsABomb) {
            assembly {
                return(0, 60000)
            }
        }
        if (mood == Mood.RevertsWithABomb) {
            assembly {
                revert(0, 60000)
            }
        }
        super.transfer(to, amount);
        return mood != Mood.MovesAndReturnsFalse;
    }
}

/// @dev Refuses to pay some accounts, as USDC does.
contract BlockingToken is OpenToken {
    mapping(address => bool) public blocked;

    function setBlocked(address account, bool blocked_) external {
        blocked[account] = blocked_;
    }

    function _update(address from, address to, uint256 value) internal override {
        require(!blocked[to], "blocked");
        super._update(from, to, value);
    }
}

/// @dev Calls back whoever asked for it, before or after it moves money.
contract CallingToken is OpenToken {
    address private _target;
    bytes private _data;
    bool public called;
    bool public succeeded;
    bytes public result;

    function setCall(address target, bytes calldata data) external {
        (_target, _data, called) = (target, data, false);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (_target == address(0) || called) return;
        called = true;
        (succeeded, result) = _target.call(_data);
    }
}

/// @dev Answers every unknown call with silent success, as WETH does.
contract PhantomToken is OpenToken {
    fallback() external {}
}

/// @dev Loses a unit of what somebody holds, as tokens that keep shares do by rounding.
contract RoundingToken is OpenToken {
    function lose(address holder) external {
        _burn(holder, 1);
    }
}

/// @dev Worthless: takes deposits cheaply, and burns whatever gas it is given when it has to pay.
contract SpamToken {
    function balanceOf(address) external view returns (uint256 held) {
        assembly {
            held := tload(0)
        }
    }

    function transferFrom(address, address, uint256 amount) external returns (bool) {
        assembly {
            tstore(0, add(tload(0), amount))
        }
        return true;
    }

    function transfer(address, uint256) external pure returns (bool) {
        assembly {
            invalid()
        }
    }
}
