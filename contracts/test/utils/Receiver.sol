// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @dev An owner that misbehaves when it is paid.
contract Receiver {
    enum Mood {
        Works,
        Reverts,
        BurnsGas,
        RevertsWithABomb,
        Calls,
        Demands
    }

    Mood private _mood;
    address private _target;
    bytes private _data;
    bool public called;
    bool public succeeded;
    bytes4 public refusal;
    uint256[] private _work;

    receive() external payable {
        if (_mood == Mood.Reverts) revert("no");
        if (_mood == Mood.BurnsGas) {
            for (uint256 i = 0; i < type(uint256).max; ++i) {
                _work.push(i);
            }
        }
        if (_mood == Mood.RevertsWithABomb) {
            assembly {
                revert(0, 100000)
            }
        }
        // It gives up early, so that enough gas is left for the caller to go on. No more than it is promised.
        if (_mood == Mood.Demands) require(gasleft() >= 60_000, "more gas");
        if (_mood == Mood.Works) _work.push(1);
        if (_mood == Mood.Calls) _call();
    }

    function setMood(Mood mood) external {
        _mood = mood;
    }

    function setCall(address target, bytes calldata data) external {
        (_mood, _target, _data) = (Mood.Calls, target, data);
        (called, succeeded, refusal) = (false, false, 0);
    }

    function _call() private {
        bytes memory result;
        called = true;
        (succeeded, result) = _target.call{gas: 20_000}(_data);
        refusal = bytes4(result);
    }
}
