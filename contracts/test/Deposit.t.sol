// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Farthing} from "../src/Farthing.sol";
import {AssetCap, Channel, IFarthing, SignedProof} from "../src/interfaces/IFarthing.sol";
import {FeeToken} from "./tokens/Hostile.sol";
import {Base} from "./utils/Base.sol";
import {vm} from "./utils/Vm.sol";

/// @dev The constructor, open and deposit.
contract DepositTest is Base {
    function test_constructor_refusesBadBounds() public {
        vm.expectRevert(IFarthing.InvalidBounds.selector);
        new Farthing(0, 1 days, new AssetCap[](0), 1);
        vm.expectRevert(IFarthing.InvalidBounds.selector);
        new Farthing(2 days, 1 days, new AssetCap[](0), 1);
    }

    function test_constructor_refusesDuplicateCap() public {
        AssetCap[] memory caps = new AssetCap[](2);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.DuplicateCap.selector, ETHER));
        new Farthing(1, 1 days, caps, 1);
    }

    function test_constructor_keepsItsArguments() public {
        AssetCap[] memory caps = new AssetCap[](1);
        caps[0] = AssetCap(ETHER, 5);
        Farthing capped = new Farthing(7, 9, caps, 11);
        vm.assertEq(uint256(capped.minChallengePeriod()), 7);
        vm.assertEq(uint256(capped.maxChallengePeriod()), 9);
        vm.assertEq(uint256(capped.capOf(ETHER)), 5);
        vm.assertEq(uint256(capped.capOf(address(dai))), 11);
    }

    function test_channelIdOf_isAsAgreed() public view {
        vm.assertEq(id, keccak256(abi.encode(block.chainid, address(farthing), channel)));
    }

    function test_open_announcesWithoutMoney() public {
        vm.expectEmit(true, true, true, true, address(farthing));
        emit IFarthing.ChannelOpened(id, alice, bob, mallory, channel);
        vm.prank(mallory);
        farthing.open(channel, ETHER, 0);
        vm.assertEq(uint256(state(ETHER).depositA), 0);
    }

    function test_open_depositsEtherForA() public {
        vm.expectEmit(true, true, true, true, address(farthing));
        emit IFarthing.Deposited(id, ETHER, 0, 3 ether, 3 ether);
        vm.prank(alice);
        farthing.open{value: 3 ether}(channel, ETHER, 3 ether);
        vm.assertEq(uint256(state(ETHER).depositA), 3 ether);
        vm.assertEq(address(farthing).balance, 3 ether);
    }

    function test_open_repeatedDepositsMore() public {
        vm.startPrank(alice);
        farthing.open(channel, address(dai), 3 ether);
        farthing.open(channel, address(dai), 2 ether);
        vm.assertEq(uint256(state(address(dai)).depositA), 5 ether);
    }

    function test_open_refusesValueThatIsNotTheAmount() public {
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongValue.selector, 2, 3));
        farthing.open{value: 2}(channel, ETHER, 3);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongValue.selector, 2, 0));
        farthing.open{value: 2}(channel, ETHER, 0);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongValue.selector, 2, 0));
        farthing.open{value: 2}(channel, address(dai), 2);
    }

    function test_open_refusesInvalidChannels() public {
        for (uint256 i = 0; i < 9; ++i) {
            Channel memory bad = channelOf(alice, bob, 1);
            if (i == 0) bad.a.owner = address(0);
            if (i == 1) bad.b.owner = address(0);
            if (i == 2) bad.a.signer = address(0);
            if (i == 3) bad.b.signer = address(0);
            if (i == 4) bad.a.signer = bad.b.signer;
            if (i == 5) bad.challengePeriod = 1 hours - 1;
            if (i == 6) bad.challengePeriod = 30 days + 1;
            // Tokens paid to the contract itself would be nobody's.
            if (i == 7) bad.a.owner = address(farthing);
            if (i == 8) bad.b.owner = address(farthing);
            vm.expectRevert(IFarthing.InvalidChannel.selector);
            farthing.open(bad, ETHER, 0);
            vm.expectRevert(IFarthing.InvalidChannel.selector);
            farthing.deposit{value: 1}(bad, 0, ETHER, 1);
            vm.expectRevert(IFarthing.InvalidChannel.selector);
            farthing.startExit(bad, new SignedProof[](0), 0, "", 0);
        }
    }

    function test_deposit_countsForTheNamedSide() public {
        deposit(0, ETHER, 3 ether);
        deposit(1, ETHER, 4 ether);
        vm.prank(mallory);
        farthing.deposit{value: 1 ether}(channel, 1, ETHER, 1 ether);
        vm.assertEq(uint256(state(ETHER).depositA), 3 ether);
        vm.assertEq(uint256(state(ETHER).depositB), 5 ether);
    }

    function test_deposit_refusesThirdSide() public {
        vm.expectRevert(abi.encodeWithSelector(IFarthing.InvalidSide.selector, 2));
        farthing.deposit{value: 1}(channel, 2, ETHER, 1);
    }

    function test_deposit_refusesNothing() public {
        vm.expectRevert(IFarthing.NothingDeposited.selector);
        farthing.deposit(channel, 0, ETHER, 0);
    }

    function test_deposit_refusesValueWithToken() public {
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongValue.selector, 1, 0));
        farthing.deposit{value: 1}(channel, 0, address(dai), 1);
    }

    function test_deposit_refusedOnceAnExitStarted() public {
        deposit(0, ETHER, 1 ether);
        exitBy(bob, new SignedProof[](0));
        vm.expectRevert(abi.encodeWithSelector(IFarthing.ExitRunning.selector, START + PERIOD));
        farthing.deposit{value: 1}(channel, 0, ETHER, 1);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.ExitRunning.selector, START + PERIOD));
        vm.prank(alice);
        farthing.open(channel, address(dai), 1);
    }

    /// @dev Rule 14.
    function test_deposit_refusedOnceClosed() public {
        deposit(0, ETHER, 1 ether);
        close(closingOf(ETHER, 1 ether, 0, 1 ether, 0));
        vm.expectRevert(abi.encodeWithSelector(IFarthing.AssetNotOpen.selector, ETHER, 1));
        farthing.deposit{value: 1}(channel, 0, ETHER, 1);
        deposit(0, address(dai), 1 ether);
    }

    function test_deposit_countsWhatArrives() public {
        FeeToken token = new FeeToken();
        token.mint(alice, 1000);
        vm.startPrank(alice);
        token.approve(address(farthing), 1000);
        farthing.deposit(channel, 0, address(token), 1000);
        vm.assertEq(uint256(state(address(token)).depositA), 990);
    }

    function test_deposit_keepsToTheCap() public {
        AssetCap[] memory caps = new AssetCap[](1);
        caps[0] = AssetCap(ETHER, 10);
        farthing = new Farthing(1 hours, 30 days, caps, 0);
        id = farthing.channelIdOf(channel);
        domain = domainOf(address(farthing));
        deposit(0, ETHER, 6);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.CapExceeded.selector, ETHER, 11, 10));
        farthing.deposit{value: 5}(channel, 1, ETHER, 5);
        deposit(1, ETHER, 4);
        // What was withdrawn makes room: the cap is on what is held.
        withdraw(0, ETHER, 3);
        deposit(0, ETHER, 3);
        vm.prank(alice);
        dai.approve(address(farthing), 1);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.CapExceeded.selector, address(dai), 1, 0));
        farthing.deposit(channel, 0, address(dai), 1);
    }

    /// @dev The cap is the channel's, not a side's: either side, or anybody, may fill it, with money of its own.
    function test_deposit_eitherSideMayFillTheCap() public {
        farthing = new Farthing(1 hours, 30 days, new AssetCap[](0), 10 ether);
        id = farthing.channelIdOf(channel);
        domain = domainOf(address(farthing));
        deposit(1, ETHER, 10 ether);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.CapExceeded.selector, ETHER, 10 ether + 1, 10 ether));
        farthing.open{value: 1}(channel, ETHER, 1);
        // Nobody's money is held by that: whoever filled it can be left.
        exitBy(alice, new SignedProof[](0));
        endChallenge();
        uint256 b = bob.balance;
        farthing.settle(channel, ETHER);
        vm.assertEq(bob.balance, b + 10 ether);
    }

    /// @dev A fork with a chain id of its own has other channels; these are on the chain that kept the id.
    function test_channelIdOf_isOfOneChain() public {
        deposit(0, ETHER, 10 ether);
        vm.chainId(10_001);
        vm.assertTrue(farthing.channelIdOf(channel) != id);
        (,, uint256 left) = farthing.netOf(farthing.channelIdOf(channel), ETHER);
        vm.assertEq(left, 0);
        vm.chainId(31_337);
        vm.assertEq(farthing.channelIdOf(channel), id);
    }

    function test_deposit_totalsFitTheirType() public {
        uint128 max = type(uint120).max;
        dai.mint(alice, uint256(max) * 3);
        for (uint8 side = 0; side < 2; ++side) {
            vm.startPrank(alice);
            farthing.deposit(channel, side, address(dai), max);
            vm.expectRevert(abi.encodeWithSelector(IFarthing.CapExceeded.selector, address(dai), 1, max));
            farthing.deposit(channel, side, address(dai), 1);
            vm.expectRevert(abi.encodeWithSelector(IFarthing.CapExceeded.selector, address(dai), max, max));
            farthing.deposit(channel, side, address(dai), max);
            vm.stopPrank();
        }
        // And leave again, with nothing of them spilt into what lies beside them.
        vm.assertEq(uint256(state(address(dai)).depositA), max);
        vm.assertEq(uint256(state(address(dai)).depositB), max);
        vm.assertEq(uint256(state(address(dai)).status), 0);
        uint256 a = dai.balanceOf(alice);
        close(closingOf(address(dai), 2 * max, 0, max, max));
        vm.assertEq(dai.balanceOf(alice), a + 2 * uint256(max));
        vm.assertEq(uint256(state(address(dai)).status), 1);
    }

    function testFuzz_deposit_totalsRise(uint96[6] memory amounts) public {
        uint256[2] memory totals;
        for (uint256 i = 0; i < 6; ++i) {
            uint128 amount = uint128(bound(amounts[i], 1, 100 ether));
            uint8 side = uint8(i % 2);
            deposit(side, address(dai), amount);
            totals[side] += amount;
        }
        vm.assertEq(uint256(state(address(dai)).depositA), totals[0]);
        vm.assertEq(uint256(state(address(dai)).depositB), totals[1]);
        vm.assertEq(dai.balanceOf(address(farthing)), totals[0] + totals[1]);
    }
}
