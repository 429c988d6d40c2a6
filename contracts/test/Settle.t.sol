// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IFarthing, SignedProof} from "../src/interfaces/IFarthing.sol";
import {Base} from "./utils/Base.sol";
import {vm} from "./utils/Vm.sol";

contract SettleTest is Base {
    function setUp() public override {
        super.setUp();
        deposit(0, ETHER, 10 ether);
        deposit(1, ETHER, 5 ether);
    }

    function test_settle_refusedWithoutExit() public {
        vm.expectRevert(IFarthing.NoExit.selector);
        farthing.settle(channel, ETHER);
    }

    function test_settle_refusedWithinTheChallengePeriod() public {
        exitBy(alice, new SignedProof[](0));
        vm.warp(START + PERIOD);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.ChallengePeriodRunning.selector, START + PERIOD));
        farthing.settle(channel, ETHER);
        vm.warp(START + PERIOD + 1);
        farthing.settle(channel, ETHER);
    }

    function test_settle_withoutProofsReturnsDeposits() public {
        (uint256 a, uint256 b) = (alice.balance, bob.balance);
        settleAfterExit(ETHER, new SignedProof[](0));
        vm.assertEq(alice.balance, a + 10 ether);
        vm.assertEq(bob.balance, b + 5 ether);
    }

    function test_settle_paysByTheProofs() public {
        (uint256 a, uint256 b) = (alice.balance, bob.balance);
        withdraw(0, ETHER, 1 ether);
        exitBy(alice, two(acknowledge(proof(ETHER, 0, 4, 3 ether)), proof(ETHER, 1, 6, 2 ether)));
        endChallenge();
        vm.expectEmit(true, true, true, true, address(farthing));
        emit IFarthing.Settled(id, ETHER, 8 ether, 6 ether);
        farthing.settle(channel, ETHER);
        vm.assertEq(alice.balance, a + 9 ether);
        vm.assertEq(bob.balance, b + 6 ether);
        vm.assertEq(uint256(state(ETHER).status), 2);
        vm.assertEq(address(farthing).balance, 0);
    }

    /// @dev Rule 14.
    function test_settle_onlyOnce() public {
        settleAfterExit(ETHER, new SignedProof[](0));
        vm.prank(mallory);
        farthing.deposit{value: 100 ether}(channelOf(mallory, bob, 9), 0, ETHER, 100 ether);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.AssetNotOpen.selector, ETHER, 2));
        farthing.settle(channel, ETHER);
    }

    /// @dev Rule 14.
    function test_settle_refusedOnClosedAsset() public {
        close(closingOf(ETHER, 10 ether, 5 ether, 10 ether, 5 ether));
        vm.prank(mallory);
        farthing.deposit{value: 100 ether}(channelOf(mallory, bob, 9), 0, ETHER, 100 ether);
        exitBy(alice, new SignedProof[](0));
        endChallenge();
        vm.expectRevert(abi.encodeWithSelector(IFarthing.AssetNotOpen.selector, ETHER, 1));
        farthing.settle(channel, ETHER);
    }

    function test_settle_eachAssetByItself() public {
        deposit(1, address(dai), 7 ether);
        settleAfterExit(address(dai), one(proof(address(dai), 1, 1, 7 ether)));
        vm.assertEq(dai.balanceOf(alice), 1007 ether);
        vm.assertEq(uint256(state(ETHER).status), 0);
        farthing.settle(channel, ETHER);
        vm.assertEq(uint256(state(ETHER).status), 2);
    }

    /// @dev Rule 17: a side that showed an old proof may owe. That is kept, and the other gets no more
    /// than there is.
    function test_settle_keepsWhatASideOwes() public {
        (uint256 a, uint256 b) = (alice.balance, bob.balance);
        settleAfterExit(ETHER, one(proof(ETHER, 0, 4, 12 ether)));
        vm.assertEq(alice.balance, a);
        vm.assertEq(bob.balance, b + 15 ether);
        (int256 netA, int256 netB, uint256 left) = farthing.netOf(id, ETHER);
        vm.assertEq(netA, -2 ether);
        vm.assertEq(netB, 2 ether);
        vm.assertEq(left, 0);
    }

    /// @dev A channel can't reach another channel's money, whatever its two participants sign.
    function test_settle_paysOnlyFromTheChannel() public {
        vm.prank(mallory);
        farthing.deposit{value: 100 ether}(channelOf(mallory, bob, 9), 0, ETHER, 100 ether);
        uint256 b = bob.balance;
        settleAfterExit(ETHER, one(proof(ETHER, 0, 4, type(uint128).max)));
        vm.assertEq(bob.balance, b + 15 ether);
        vm.assertEq(address(farthing).balance, 100 ether);
    }

    function test_settleBatch_settlesWhatIsOpen() public {
        deposit(0, address(dai), 3 ether);
        close(closingOf(address(dai), 3 ether, 0, 3 ether, 0));
        address[] memory assets = new address[](4);
        (assets[0], assets[1], assets[2]) = (address(dai), ETHER, ETHER);
        assets[3] = address(0xdead);
        exitBy(alice, one(proof(ETHER, 1, 6, 2 ether)));
        vm.expectRevert(abi.encodeWithSelector(IFarthing.ChallengePeriodRunning.selector, START + PERIOD));
        farthing.settleBatch(channel, assets);
        endChallenge();
        (uint256 a, uint256 b) = (alice.balance, bob.balance);
        uint256 tokens = dai.balanceOf(alice);
        // Another channel's money, for whatever is paid twice.
        vm.prank(mallory);
        farthing.deposit{value: 100 ether}(channelOf(mallory, bob, 9), 0, ETHER, 100 ether);
        farthing.settleBatch(channel, assets);
        vm.assertEq(alice.balance, a + 12 ether);
        vm.assertEq(bob.balance, b + 3 ether);
        vm.assertEq(dai.balanceOf(alice), tokens);
        vm.assertEq(uint256(state(ETHER).status), 2);
        vm.assertEq(uint256(state(address(dai)).status), 1);
        // Again: nothing is open, nothing happens.
        farthing.settleBatch(channel, assets);
        vm.assertEq(alice.balance, a + 12 ether);
        vm.assertEq(address(farthing).balance, 100 ether);
    }

    function test_settleBatch_refusedWithoutExit() public {
        vm.expectRevert(IFarthing.NoExit.selector);
        farthing.settleBatch(channel, new address[](1));
    }

    function test_netOf_beforeSettlingShowsTheProofs() public {
        exitBy(alice, one(proof(ETHER, 1, 4, 2 ether)));
        (int256 netA, int256 netB, uint256 left) = farthing.netOf(id, ETHER);
        vm.assertEq(netA, 12 ether);
        vm.assertEq(netB, 3 ether);
        vm.assertEq(left, 15 ether);
    }

    function testFuzz_settle_paysTheNetsAndNoMore(uint128 paidByA, uint128 paidByB, uint96 withdrawn) public {
        uint128 taken = uint128(bound(withdrawn, 1, 15 ether));
        withdraw(1, ETHER, taken);
        vm.prank(mallory);
        farthing.deposit{value: 100 ether}(channelOf(mallory, bob, 9), 0, ETHER, 100 ether);
        (uint256 a, uint256 b) = (alice.balance, bob.balance);
        settleAfterExit(ETHER, two(proof(ETHER, 0, 1, paidByA), proof(ETHER, 1, 1, paidByB)));

        int256 netA = 10 ether - int256(uint256(paidByA)) + int256(uint256(paidByB));
        int256 netB = 5 ether - int256(uint256(taken)) - int256(uint256(paidByB)) + int256(uint256(paidByA));
        uint256 held = 15 ether - taken;
        vm.assertEq(alice.balance - a, _payout(netA, held));
        vm.assertEq(bob.balance - b, _payout(netB, held));
        vm.assertEq(alice.balance - a + bob.balance - b, held);
        vm.assertEq(address(farthing).balance, 100 ether);
    }

    function _payout(int256 net, uint256 held) private pure returns (uint256) {
        if (net <= 0) return 0;
        return uint256(net) < held ? uint256(net) : held;
    }
}
