// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @dev The least that a token is: no name, no symbol, no decimals.
contract BareToken {
    mapping(address => uint256) internal _held;
    mapping(address => mapping(address => uint256)) public allowance;

    function mint(address to, uint256 amount) external {
        _held[to] += amount;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external virtual returns (bool) {
        return _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external virtual returns (bool) {
        allowance[from][msg.sender] -= amount;
        return _move(from, to, amount);
    }

    function balanceOf(address owner) public view virtual returns (uint256) {
        return _held[owner];
    }

    function _move(address from, address to, uint256 amount) internal virtual returns (bool) {
        _held[from] -= amount;
        _held[to] += amount;
        return true;
    }
}

/// @dev As MKR: names of one word, from before they were strings.
contract WordToken is BareToken {
    bytes32 public constant name = "Maker";
    bytes32 public constant symbol = "MKR";
    uint8 public constant decimals = 18;
}

/// @dev As many decimals as it is told.
contract DecimalToken is BareToken {
    uint8 public immutable decimals;
    string public constant symbol = "DEC";

    constructor(uint8 decimals_) {
        decimals = decimals_;
    }
}

/// @dev Can be stopped, in the ways in which tokens are.
contract StoppableToken is BareToken {
    enum Stop {
        None,
        ReturnsFalse,
        RevertsWithoutReason,
        Paused
    }

    Stop public stopped;

    function stop(Stop how) external {
        stopped = how;
    }

    function _move(address from, address to, uint256 amount) internal override returns (bool) {
        if (stopped == Stop.ReturnsFalse) return false;
        if (stopped == Stop.RevertsWithoutReason) {
            assembly {
                revert(0, 0)
            }
        }
        require(stopped != Stop.Paused, "Pausable: paused");
        return super._move(from, to, amount);
    }
}

/// @dev Says that everybody has a lot, and moves nothing.
contract LyingToken is BareToken {
    function balanceOf(address) public pure override returns (uint256) {
        return 1 << 100;
    }

    function _move(address, address, uint256) internal pure override returns (bool) {
        return true;
    }
}

/// @dev What everybody has shrinks or grows at once, as with tokens that follow a price.
contract RebasingToken is BareToken {
    uint256 public percent = 100;

    function rebase(uint256 percent_) external {
        percent = percent_;
    }

    function balanceOf(address owner) public view override returns (uint256) {
        return _held[owner] * percent / 100;
    }

    function _move(address from, address to, uint256 amount) internal override returns (bool) {
        return super._move(from, to, (amount * 100 + percent - 1) / percent);
    }
}
