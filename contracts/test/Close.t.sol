// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Closing, ClosingAsset, IFarthing, SignedProof} from "../src/interfaces/IFarthing.sol";
import {Base} from "./utils/Base.sol";
import {Typed} from "./utils/Typed.sol";
import {vm} from "./utils/Vm.sol";

contract CloseTest is Base {
    function setUp() public override {
        super.setUp();
        deposit(0, ETHER, 10 ether);
        deposit(1, ETHER, 5 ether);
    }

    function test_close_paysTheTotals() public {
        (uint256 a, uint256 b) = (alice.balance, bob.balance);
        vm.expectEmit(true, true, true, true, address(farthing));
        emit IFarthing.Closed(id, ETHER, 4 ether, 11 ether);
        close(closingOf(ETHER, 4 ether, 11 ether, 10 ether, 5 ether));
        vm.assertEq(alice.balance, a + 4 ether);
        vm.assertEq(bob.balance, b + 11 ether);
        vm.assertEq(uint256(state(ETHER).status), 1);
        (int256 netA, int256 netB, uint256 left) = farthing.netOf(id, ETHER);
        vm.assertEq(netA, 0);
        vm.assertEq(netB, 0);
        vm.assertEq(left, 0);
    }

    function test_close_countsEarlierWithdrawals() public {
        withdraw(0, ETHER, 3 ether);
        (uint256 a, uint256 b) = (alice.balance, bob.balance);
        close(closingOf(ETHER, 4 ether, 11 ether, 10 ether, 5 ether));
        vm.assertEq(alice.balance, a + 1 ether);
        vm.assertEq(bob.balance, b + 11 ether);
        vm.assertEq(address(farthing).balance, 0);
    }

    function test_close_givesSurplusToItsSide() public {
        Closing memory c = closingOf(ETHER, 4 ether, 11 ether, 10 ether, 5 ether);
        deposit(0, ETHER, 2 ether);
        deposit(1, ETHER, 1 ether);
        (uint256 a, uint256 b) = (alice.balance, bob.balance);
        close(c);
        vm.assertEq(alice.balance, a + 6 ether);
        vm.assertEq(bob.balance, b + 12 ether);
    }

    function test_close_refusesUnbalancedTotals() public {
        bytes memory refusal = abi.encodeWithSelector(IFarthing.UnbalancedClosing.selector, ETHER);
        _expect(closingOf(ETHER, 4 ether, 11 ether + 1, 10 ether, 5 ether), refusal);
        _expect(closingOf(ETHER, 4 ether, 11 ether - 1, 10 ether, 5 ether), refusal);
    }

    function test_close_refusesMissingDeposit() public {
        bytes memory refusal = abi.encodeWithSelector(IFarthing.DepositMissing.selector, ETHER, 0);
        _expect(closingOf(ETHER, 4 ether, 12 ether, 11 ether, 5 ether), refusal);
        refusal = abi.encodeWithSelector(IFarthing.DepositMissing.selector, ETHER, 1);
        _expect(closingOf(ETHER, 4 ether, 12 ether, 10 ether, 6 ether), refusal);
    }

    function test_close_refusesLessThanWasWithdrawn() public {
        withdraw(0, ETHER, 5 ether);
        bytes memory refusal = abi.encodeWithSelector(IFarthing.WithdrawnTooMuch.selector, ETHER, 0);
        _expect(closingOf(ETHER, 4 ether, 11 ether, 10 ether, 5 ether), refusal);
    }

    function test_close_refusesAssetNamedTwice() public {
        Closing memory c = closingOf(ETHER, 4 ether, 11 ether, 10 ether, 5 ether);
        ClosingAsset[] memory twice = new ClosingAsset[](2);
        (twice[0], twice[1]) = (c.assets[0], c.assets[0]);
        c.assets = twice;
        _expect(c, abi.encodeWithSelector(IFarthing.AssetNotOpen.selector, ETHER, 1));
    }

    /// @dev Rule 14.
    function test_close_onlyOnce() public {
        Closing memory c = closingOf(ETHER, 4 ether, 11 ether, 10 ether, 5 ether);
        close(c);
        // Another channel's money is there to be taken.
        vm.prank(mallory);
        farthing.deposit{value: 100 ether}(channelOf(mallory, bob, 9), 0, ETHER, 100 ether);
        _expect(c, abi.encodeWithSelector(IFarthing.AssetNotOpen.selector, ETHER, 1));
    }

    function test_close_refusesAfterDeadline() public {
        Closing memory c = closingOf(ETHER, 4 ether, 11 ether, 10 ether, 5 ether);
        vm.warp(START + 1 hours + 1);
        _expect(c, abi.encodeWithSelector(IFarthing.DeadlinePassed.selector, START + 1 hours));
    }

    function test_close_refusesOtherChannel() public {
        Closing memory c = closingOf(ETHER, 4 ether, 11 ether, 10 ether, 5 ether);
        c.channelId = bytes32(uint256(1));
        _expect(c, abi.encodeWithSelector(IFarthing.WrongChannel.selector, c.channelId, id));
    }

    function test_close_refusedOnceAnExitStarted() public {
        exitBy(bob, new SignedProof[](0));
        bytes memory refusal = abi.encodeWithSelector(IFarthing.ExitRunning.selector, START + PERIOD);
        _expect(closingOf(ETHER, 4 ether, 11 ether, 10 ether, 5 ether), refusal);
    }

    function test_close_refusesWhatOneSideDidNotSign() public {
        Closing memory c = closingOf(ETHER, 4 ether, 11 ether, 10 ether, 5 ether);
        bytes memory sigA = signed(ALICE_SESSION, Typed.closingOf(c));
        bytes memory sigB = signed(BOB_SESSION, Typed.closingOf(c));
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, channel.b.signer));
        farthing.close(channel, c, sigA, sigA);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, channel.a.signer));
        farthing.close(channel, c, sigB, sigB);
        c.assets[0].totalA += 1;
        c.assets[0].totalB -= 1;
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, channel.a.signer));
        farthing.close(channel, c, sigA, sigB);
    }

    function test_close_leavesOtherAssetsAlone() public {
        deposit(0, address(dai), 7 ether);
        close(closingOf(ETHER, 4 ether, 11 ether, 10 ether, 5 ether));
        deposit(1, address(dai), 1 ether);
        withdraw(0, address(dai), 2 ether);
        vm.assertEq(uint256(state(address(dai)).status), 0);
        exitBy(alice, new SignedProof[](0));
        endChallenge();
        farthing.settle(channel, address(dai));
        vm.assertEq(dai.balanceOf(alice), 1000 ether);
        vm.assertEq(dai.balanceOf(bob), 1000 ether);
    }

    function test_close_severalAssets() public {
        deposit(0, address(dai), 7 ether);
        Closing memory c = closingOf(ETHER, 4 ether, 11 ether, 10 ether, 5 ether);
        ClosingAsset[] memory both = new ClosingAsset[](2);
        both[0] = c.assets[0];
        both[1] = ClosingAsset(address(dai), 1 ether, 6 ether, 7 ether, 0);
        c.assets = both;
        close(c);
        vm.assertEq(dai.balanceOf(alice), 994 ether);
        vm.assertEq(dai.balanceOf(bob), 1006 ether);
        vm.assertEq(address(farthing).balance, 0);
    }

    function testFuzz_close_paysAllThatIsHeld(uint96[7] memory x) public {
        uint128 moreA = uint128(bound(x[0], 1, 50 ether));
        uint128 moreB = uint128(bound(x[1], 1, 50 ether));
        uint128 totalA = uint128(bound(x[2], 1, 15 ether));
        uint128 withdrawnA = uint128(bound(x[3], 1, totalA));
        Closing memory c = closingOf(ETHER, totalA, 15 ether - totalA, 10 ether, 5 ether);
        deposit(0, ETHER, moreA);
        deposit(1, ETHER, moreB);
        withdraw(0, ETHER, withdrawnA);
        (uint256 a, uint256 b) = (alice.balance, bob.balance);
        close(c);
        vm.assertEq(alice.balance, a + totalA + moreA - withdrawnA);
        vm.assertEq(bob.balance, b + 15 ether - totalA + moreB);
        vm.assertEq(address(farthing).balance, 0);
    }

    function _expect(Closing memory c, bytes memory refusal) private {
        bytes memory sigA = signed(ALICE_SESSION, Typed.closingOf(c));
        bytes memory sigB = signed(BOB_SESSION, Typed.closingOf(c));
        vm.expectRevert(refusal);
        farthing.close(channel, c, sigA, sigB);
    }
}
