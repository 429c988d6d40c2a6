// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Chaos} from "./handlers/Chaos.sol";
import {Honest} from "./handlers/Honest.sol";
import {vm} from "./utils/Vm.sol";

struct FuzzSelector {
    address addr;
    bytes4[] selectors;
}

/// @dev Whatever anybody does, the contract holds what it owes, channel by channel.
contract SolvencyTest {
    Chaos private _chaos;

    function setUp() public {
        _chaos = new Chaos();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_chaos);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        bytes4[] memory s = new bytes4[](13);
        (s[0], s[1], s[2]) = (Chaos.deposit.selector, Chaos.deposit.selector, Chaos.withdraw.selector);
        (s[3], s[4], s[5]) = (Chaos.close.selector, Chaos.startExit.selector, Chaos.submit.selector);
        (s[6], s[7], s[8]) = (Chaos.submit.selector, Chaos.settle.selector, Chaos.reveal.selector);
        (s[9], s[10], s[11]) = (Chaos.claim.selector, Chaos.payCredit.selector, Chaos.pass.selector);
        s[12] = Chaos.setMood.selector;
        targets[0] = FuzzSelector(address(_chaos), s);
    }

    function invariant_solvency() public {
        _check();
    }

    /// @dev The same machine, driven to settling and claiming more often than by chance.
    function testFuzz_solvency_throughAnExit(uint256[24] memory seeds, uint256 which) public {
        // All of these calls are about one channel and asset.
        uint256 base = which % 3 + ((which % 7) % 2 << 8);
        for (uint256 i = 0; i < seeds.length; ++i) {
            seeds[i] = (seeds[i] >> 16 << 16) | base;
        }
        for (uint256 i = 0; i < 6; ++i) {
            _chaos.deposit(seeds[i], seeds[i]);
            if (i % 2 == 1) _chaos.withdraw(seeds[i], seeds[i + 1]);
        }
        _chaos.startExit(base);
        for (uint256 i = 6; i < 14; ++i) {
            _chaos.submit(seeds[i], seeds[i + 1], seeds[i + 2]);
        }
        _chaos.setMood(seeds[14]);
        _chaos.pass(type(uint256).max);
        for (uint256 i = 14; i < 18; ++i) {
            _chaos.reveal(seeds[i]);
        }
        vm.warp(block.timestamp + 1 days);
        _chaos.settle(base | (seeds[18] >> 255 << 255));
        _check();
        for (uint256 i = 18; i < 24; ++i) {
            _chaos.claim(seeds[i]);
            _chaos.pass(seeds[i]);
            _chaos.reveal(seeds[i]);
        }
        _chaos.setMood(0);
        _chaos.payCredit(seeds[23]);
        _check();
        vm.assertTrue(_chaos.done("settle") == 1, "nothing was settled");
    }

    function _check() private {
        address[2] memory assets = _chaos.tokens();
        for (uint256 i = 0; i < 2; ++i) {
            uint256 owed;
            for (uint64 number = 0; number < _chaos.CHANNELS(); ++number) {
                (uint256 deposits, uint256 out, uint256 kept) = _chaos.accountOf(number, assets[i]);
                // Conservation: nothing comes from, or goes to, another channel.
                vm.assertEq(out + kept, deposits, "a channel's money");
                owed += kept;
            }
            // Solvency: it holds what it owes.
            vm.assertEq(_chaos.holding(assets[i]), owed, "the contract's money");
        }
    }
}

/// @dev Whatever the other side does, the honest side ends with at least its due.
contract HonestSideTest {
    Honest private _honest;

    function setUp() public {
        _honest = new Honest();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_honest);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        bytes4[] memory s = new bytes4[](5);
        (s[0], s[1], s[2]) = (Honest.deposit.selector, Honest.transfer.selector, Honest.lock.selector);
        (s[3], s[4]) = (Honest.redeem.selector, Honest.withdraw.selector);
        targets[0] = FuzzSelector(address(_honest), s);
    }

    function invariant_honestSideGetsItsDue() public {}

    function afterInvariant() public {
        _honest.finish();
    }

    function testFuzz_honestSideGetsItsDue(uint256[32] memory seeds) public {
        _honest.deposit(seeds[0]);
        _honest.deposit(seeds[1] ^ 1);
        for (uint256 i = 0; i < seeds.length; ++i) {
            uint256 what = (seeds[i] >> 240) % 8;
            if (what == 0) _honest.deposit(seeds[i]);
            else if (what < 4) _honest.transfer(seeds[i]);
            else if (what < 6) _honest.lock(seeds[i]);
            else if (what < 7) _honest.redeem(seeds[i]);
            else _honest.withdraw(seeds[i]);
        }
        _honest.finish();
        vm.assertTrue(_honest.finished() == 1, "no exit");
    }
}
