// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {Closing, ClosingAsset, IFarthing, SignedProof} from "../src/interfaces/IFarthing.sol";
import {
    BlockingToken,
    CallingToken,
    FeeToken,
    MoodyToken,
    OpenToken,
    SilentToken,
    SpamToken
} from "./tokens/Hostile.sol";
import {Base} from "./utils/Base.sol";
import {Receiver} from "./utils/Receiver.sol";
import {Typed} from "./utils/Typed.sol";
import {vm} from "./utils/Vm.sol";

/// @dev Pushing money, with receivers and tokens that misbehave. Rule 16: a failed push is a credit, and harms nobody.
contract PayoutsTest is Base {
    Receiver private _receiver;

    function setUp() public override {
        super.setUp();
        _receiver = new Receiver();
        channel = channelOf(address(_receiver), bob, 1);
        id = farthing.channelIdOf(channel);
        deposit(1, ETHER, 10 ether);
        // Another channel's money, which must stay.
        vm.prank(mallory);
        farthing.deposit{value: 100 ether}(channelOf(mallory, bob, 9), 0, ETHER, 100 ether);
    }

    /// @dev Rule 16.
    function test_pay_creditsWhoRefusesEther() public {
        _receiver.setMood(Receiver.Mood.Reverts);
        _closeEther();
        _expectCredit(ETHER, address(_receiver), 4 ether);
    }

    /// @dev Rule 16: the allowance is bounded, so a receiver can't burn all the gas of the others.
    function test_pay_creditsWhoBurnsGas() public {
        _receiver.setMood(Receiver.Mood.BurnsGas);
        uint256 before = gasleft();
        _closeEther();
        vm.assertLt(before - gasleft(), 500_000, "taxed");
        _expectCredit(ETHER, address(_receiver), 4 ether);
    }

    /// @dev Rule 16: nothing that comes back is copied.
    function test_pay_ignoresReturnBombs() public {
        _receiver.setMood(Receiver.Mood.RevertsWithABomb);
        uint256 before = gasleft();
        _closeEther();
        vm.assertLt(before - gasleft(), 500_000, "taxed");
        _expectCredit(ETHER, address(_receiver), 4 ether);
    }

    /// @dev Rule 16: who sends the transaction can't starve the push into a credit.
    function testFuzz_pay_cannotBeStarved(uint24 gasLimit) public {
        _receiver.setMood(Receiver.Mood.Demands);
        Closing memory c = closingOf(ETHER, 4 ether, 6 ether, 0, 10 ether);
        bytes memory sigA = signed(ALICE_SESSION, Typed.closingOf(c));
        bytes memory sigB = signed(BOB_SESSION, Typed.closingOf(c));
        uint256 limit = bound(gasLimit, 30_000, 400_000);
        try farthing.close{gas: limit}(channel, c, sigA, sigB) {} catch {}
        vm.assertEq(farthing.credit(ETHER, address(_receiver)), 0);
    }

    /// @dev Rule 16, at every limit around the interesting ones.
    function test_pay_cannotBeStarvedAtAnyLimit() public {
        _receiver.setMood(Receiver.Mood.Demands);
        for (uint64 i = 0; i < 300; ++i) {
            channel.salt = 100 + i;
            id = farthing.channelIdOf(channel);
            deposit(1, ETHER, 1 ether);
            Closing memory c = closingOf(ETHER, 1 ether, 0, 0, 1 ether);
            bytes memory sigA = signed(ALICE_SESSION, Typed.closingOf(c));
            bytes memory sigB = signed(BOB_SESSION, Typed.closingOf(c));
            try farthing.close{gas: 60_000 + i * 500}(channel, c, sigA, sigB) {} catch {}
        }
        vm.assertEq(farthing.credit(ETHER, address(_receiver)), 0);
        vm.assertTrue(address(_receiver).balance > 0);
    }

    function test_pay_reentrantReceiverGetsItsMoneyOnce() public {
        Closing memory c = closingOf(ETHER, 4 ether, 6 ether, 0, 10 ether);
        bytes memory sigA = signed(ALICE_SESSION, Typed.closingOf(c));
        bytes memory sigB = signed(BOB_SESSION, Typed.closingOf(c));
        bytes[4] memory calls = [
            abi.encodeCall(farthing.close, (channel, c, sigA, sigB)),
            abi.encodeCall(farthing.payCredit, (ETHER, address(_receiver), 4 ether)),
            abi.encodeCall(farthing.startExit, (channel, new SignedProof[](0), 0, "", 0)),
            abi.encodeCall(farthing.deposit, (channel, 0, ETHER, 1))
        ];
        for (uint64 i = 0; i < 4; ++i) {
            channel.salt = 100 + i;
            id = farthing.channelIdOf(channel);
            deposit(1, ETHER, 10 ether);
            _receiver.setCall(address(farthing), calls[i]);
            uint256 before = address(_receiver).balance;
            _closeEther();
            vm.assertTrue(_receiver.called());
            vm.assertEq(
                bytes32(_receiver.refusal()), bytes32(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
            );
            vm.assertEq(address(_receiver).balance, before + 4 ether);
        }
    }

    function test_payCredit_paysLater() public {
        _receiver.setMood(Receiver.Mood.Reverts);
        _closeEther();
        vm.expectRevert(
            abi.encodeWithSelector(IFarthing.PushFailed.selector, ETHER, address(_receiver), uint256(4 ether))
        );
        farthing.payCredit(ETHER, address(_receiver), 4 ether);
        _receiver.setMood(Receiver.Mood.Works);
        vm.expectEmit(true, true, true, true, address(farthing));
        emit IFarthing.CreditPaid(ETHER, address(_receiver), 4 ether);
        vm.prank(mallory);
        farthing.payCredit(ETHER, address(_receiver), 4 ether);
        vm.assertEq(address(_receiver).balance, 4 ether);
        vm.expectRevert(
            abi.encodeWithSelector(IFarthing.InsufficientCredit.selector, ETHER, address(_receiver), 4 ether, 0)
        );
        farthing.payCredit(ETHER, address(_receiver), 4 ether);
    }

    function test_payCredit_reentrantReceiverGetsItOnce() public {
        _receiver.setMood(Receiver.Mood.Reverts);
        _closeEther();
        _receiver.setMood(Receiver.Mood.Works);
        _receiver.setCall(address(farthing), abi.encodeCall(farthing.payCredit, (ETHER, address(_receiver), 4 ether)));
        farthing.payCredit(ETHER, address(_receiver), 4 ether);
        vm.assertTrue(_receiver.called());
        vm.assertEq(
            bytes32(_receiver.refusal()), bytes32(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
        );
        vm.assertEq(address(_receiver).balance, 4 ether);
        vm.assertEq(address(farthing).balance, 100 ether);
    }

    function test_push_onlyByItself() public {
        vm.expectRevert(IFarthing.OnlySelf.selector);
        farthing.pushFromSelf(ETHER, mallory, 1);
    }

    function test_receive_refusesBareEther() public {
        (bool sent,) = address(farthing).call{value: 1}("");
        vm.assertFalse(sent);
    }

    function test_pay_tokenThatReturnsNothing() public {
        SilentToken token = new SilentToken();
        token.mint(bob, 10 ether);
        deposit(1, address(token), 10 ether);
        close(closingOf(address(token), 4 ether, 6 ether, 0, 10 ether));
        vm.assertEq(token.balanceOf(address(_receiver)), 4 ether);
        vm.assertEq(token.balanceOf(bob), 6 ether);
    }

    /// @dev Rule 16: of a token that fails in any way, every payment is a credit, which can be paid later, once.
    function test_pay_creditsWhenTheTokenFails() public {
        for (uint8 mood = 1; mood <= uint8(type(MoodyToken.Mood).max); ++mood) {
            MoodyToken token = new MoodyToken();
            _fund(token);
            token.setMood(MoodyToken.Mood(mood));
            uint256 before = gasleft();
            close(closingOf(address(token), 4 ether, 6 ether, 0, 10 ether));
            vm.assertLt(before - gasleft(), 1_000_000, "taxed");
            vm.assertEq(farthing.credit(address(token), address(_receiver)), 4 ether);
            vm.assertEq(farthing.credit(address(token), bob), 6 ether);
            vm.assertEq(token.balanceOf(address(farthing)), 30 ether);
            token.setMood(MoodyToken.Mood.Kind);
            farthing.payCredit(address(token), address(_receiver), 4 ether);
            farthing.payCredit(address(token), bob, 6 ether);
            vm.assertEq(token.balanceOf(address(farthing)), 20 ether);
        }
    }

    /// @dev Rule 16: a token that burns the first allowance gets no second one, and both are credited all the same.
    function test_settle_tokenThatBurnsGasBurnsItOnce() public {
        SpamToken token = new SpamToken();
        vm.startPrank(mallory);
        farthing.deposit(channel, 0, address(token), 1);
        farthing.deposit(channel, 1, address(token), 2);
        vm.stopPrank();
        exitBy(bob, new SignedProof[](0));
        endChallenge();
        uint256 before = gasleft();
        farthing.settle(channel, address(token));
        vm.assertLt(before - gasleft(), 300_000, "burnt twice");
        vm.assertEq(farthing.credit(address(token), address(_receiver)), 1);
        vm.assertEq(farthing.credit(address(token), bob), 2);
    }

    /// @dev Rule 16: with ETH it is the recipient who burns, and the other one is paid.
    function test_settle_recipientThatBurnsGasDoesNotKeepTheOtherFromItsMoney() public {
        _receiver.setMood(Receiver.Mood.BurnsGas);
        exitBy(bob, one(acknowledge(proof(ETHER, 1, 1, 4 ether))));
        endChallenge();
        uint256 b = bob.balance;
        farthing.settle(channel, ETHER);
        vm.assertEq(bob.balance, b + 6 ether);
        _expectCredit(ETHER, address(_receiver), 4 ether);
    }

    /// @dev Rule 16: in a batch, what one token does is its own matter.
    function test_settleBatch_oneFailingAssetDoesNotHoldTheOthers() public {
        SpamToken token = new SpamToken();
        vm.prank(mallory);
        farthing.deposit(channel, 0, address(token), 1);
        exitBy(bob, new SignedProof[](0));
        endChallenge();
        address[] memory assets = new address[](2);
        assets[0] = address(token);
        uint256 b = bob.balance;
        farthing.settleBatch(channel, assets);
        vm.assertEq(bob.balance, b + 10 ether);
        vm.assertEq(farthing.credit(address(token), address(_receiver)), 1);
    }

    /// @dev Rule 16: whom the token blocks does not keep the other from its money.
    function test_pay_creditsWhomTheTokenBlocks() public {
        BlockingToken token = new BlockingToken();
        _fund(token);
        token.setBlocked(address(_receiver), true);
        close(closingOf(address(token), 4 ether, 6 ether, 0, 10 ether));
        vm.assertEq(token.balanceOf(bob), 6 ether);
        _expectCreditOf(address(token), address(_receiver), 4 ether);
    }

    function test_pay_feeIsTheRecipients() public {
        FeeToken token = new FeeToken();
        _fund(token);
        close(closingOf(address(token), 4 ether, 5.9 ether, 0, 9.9 ether));
        vm.assertEq(token.balanceOf(address(_receiver)), 3.96 ether);
        vm.assertEq(token.balanceOf(address(farthing)), 19.8 ether);
    }

    function test_pay_reentrantTokenPaysOnce() public {
        CallingToken token = new CallingToken();
        _fund(token);
        Closing memory c = closingOf(address(token), 4 ether, 6 ether, 0, 10 ether);
        bytes memory sigA = signed(ALICE_SESSION, Typed.closingOf(c));
        bytes memory sigB = signed(BOB_SESSION, Typed.closingOf(c));
        token.setCall(address(farthing), abi.encodeCall(farthing.close, (channel, c, sigA, sigB)));
        farthing.close(channel, c, sigA, sigB);
        vm.assertTrue(token.called());
        vm.assertEq(
            bytes32(bytes4(token.result())), bytes32(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
        );
        vm.assertEq(token.balanceOf(address(_receiver)), 4 ether);
        vm.assertEq(token.balanceOf(address(farthing)), 20 ether);
    }

    /// @dev What arrives within another deposit's transfer is counted once.
    function test_deposit_reentrantTokenCountsOnce() public {
        CallingToken token = new CallingToken();
        _fund(token);
        token.mint(bob, 1 ether);
        token.setCall(address(farthing), abi.encodeCall(farthing.deposit, (channel, 1, address(token), 1)));
        deposit(1, address(token), 1 ether);
        vm.assertTrue(token.called());
        vm.assertEq(
            bytes32(bytes4(token.result())), bytes32(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
        );
        vm.assertEq(uint256(state(address(token)).depositB), 11 ether);
    }

    function test_deposit_refusesTokenThatIsNoContract() public {
        vm.expectRevert();
        deposit(1, address(0xdead), 1);
    }

    function test_close_oneFailingAssetDoesNotHoldTheOthers() public {
        MoodyToken token = new MoodyToken();
        _fund(token);
        token.setMood(MoodyToken.Mood.Reverts);
        Closing memory c = closingOf(ETHER, 4 ether, 6 ether, 0, 10 ether);
        ClosingAsset[] memory both = new ClosingAsset[](2);
        both[1] = c.assets[0];
        both[0] = ClosingAsset(address(token), 4 ether, 6 ether, 0, 10 ether);
        c.assets = both;
        close(c);
        vm.assertEq(address(_receiver).balance, 4 ether);
    }

    function test_settle_creditsWhoRefuses() public {
        _receiver.setMood(Receiver.Mood.Reverts);
        vm.prank(bob);
        farthing.startExit(channel, one(acknowledge(proof(ETHER, 1, 1, 4 ether))), 0, "", 0);
        endChallenge();
        uint256 b = bob.balance;
        farthing.settle(channel, ETHER);
        vm.assertEq(bob.balance, b + 6 ether);
        _expectCredit(ETHER, address(_receiver), 4 ether);
    }

    /// @dev Ten for this channel, and twenty of another's.
    function _fund(OpenToken token) private {
        token.mint(bob, 10 ether);
        token.mint(mallory, 20 ether);
        vm.prank(bob);
        token.approve(address(farthing), type(uint256).max);
        vm.prank(mallory);
        token.approve(address(farthing), type(uint256).max);
        deposit(1, address(token), 10 ether);
        vm.prank(mallory);
        farthing.deposit(channelOf(mallory, bob, 9), 0, address(token), 20 ether);
    }

    function _closeEther() private {
        uint256 b = bob.balance;
        close(closingOf(ETHER, 4 ether, 6 ether, 0, 10 ether));
        vm.assertEq(bob.balance, b + 6 ether);
    }

    function _expectCredit(address asset, address owner, uint256 amount) private view {
        _expectCreditOf(asset, owner, amount);
        vm.assertEq(address(farthing).balance, 100 ether + amount);
    }

    function _expectCreditOf(address asset, address owner, uint256 amount) private view {
        vm.assertEq(farthing.credit(asset, owner), amount);
    }
}
