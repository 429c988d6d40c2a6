// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {CreditOrder, IFarthing} from "../src/interfaces/IFarthing.sol";
import {BlockingToken, OpenToken, RoundingToken} from "./tokens/Hostile.sol";
import {Base} from "./utils/Base.sol";
import {Receiver} from "./utils/Receiver.sol";
import {Typed} from "./utils/Typed.sol";
import {vm} from "./utils/Vm.sol";
import {Wallet} from "./utils/Wallet.sol";

/// @dev payCredit and redirectCredit: what could not be paid is paid in any part, to its owner or to whom it names.
contract CreditsTest is Base {
    BlockingToken private _token;

    /// @dev Alice has a credit of 4 in a token that blocks her; another channel has 20 of it.
    function setUp() public override {
        super.setUp();
        _token = new BlockingToken();
        _fund(_token, bob, 10 ether);
        deposit(1, address(_token), 10 ether);
        _fund(_token, mallory, 20 ether);
        vm.prank(mallory);
        farthing.deposit(channelOf(mallory, bob, 9), 0, address(_token), 20 ether);
        _token.setBlocked(alice, true);
        close(closingOf(address(_token), 4 ether, 6 ether, 0, 10 ether));
        _expect(4 ether, 0);
    }

    function test_payCredit_inParts() public {
        _token.setBlocked(alice, false);
        vm.prank(mallory);
        farthing.payCredit(address(_token), alice, 1 ether);
        vm.assertEq(_token.balanceOf(alice), 1 ether);
        vm.expectEmit(true, true, true, true, address(farthing));
        emit IFarthing.CreditPaid(address(_token), alice, 3 ether);
        farthing.payCredit(address(_token), alice, 3 ether);
        vm.assertEq(_token.balanceOf(alice), 4 ether);
        vm.assertEq(_token.balanceOf(address(farthing)), 20 ether);
    }

    function test_payCredit_refusesMoreThanThereIs() public {
        _token.setBlocked(alice, false);
        _refuse(4 ether + 1, 4 ether);
        _refuse(type(uint256).max, 4 ether);
        _refuse(0, 4 ether);
        farthing.payCredit(address(_token), alice, 3 ether);
        _refuse(1 ether + 1, 1 ether);
    }

    function test_payCredit_changesNothingWhenItFails() public {
        vm.expectRevert(abi.encodeWithSelector(IFarthing.PushFailed.selector, address(_token), alice, 1 ether));
        farthing.payCredit(address(_token), alice, 1 ether);
        _expect(4 ether, 0);
    }

    /// @dev A token that has lost a unit somewhere keeps nobody from the rest.
    function test_payCredit_paysWhatTheTokenStillHas() public {
        RoundingToken token = new RoundingToken();
        channel = channelOf(alice, bob, 2);
        id = farthing.channelIdOf(channel);
        _fund(token, bob, 10 ether);
        deposit(1, address(token), 10 ether);
        token.lose(address(farthing));
        close(closingOf(address(token), 4 ether, 6 ether, 0, 10 ether));
        vm.assertEq(farthing.credit(address(token), bob), 6 ether);
        farthing.payCredit(address(token), bob, 6 ether - 1);
        vm.assertEq(token.balanceOf(bob), 6 ether - 1);
        vm.assertEq(farthing.credit(address(token), bob), 1);
    }

    function test_redirectCredit_byTheOwnersSignature() public {
        CreditOrder memory order = _order(3 ether, "salt");
        bytes memory signature = _signed(ALICE_KEY, order);
        vm.expectEmit(true, true, true, true, address(farthing));
        emit IFarthing.CreditPaid(address(_token), alice, 3 ether);
        vm.prank(mallory);
        farthing.redirectCredit(order, signature);
        _expect(1 ether, 3 ether);
        vm.assertEq(_token.balanceOf(address(farthing)), 21 ether);
    }

    function test_redirectCredit_byTheOwnerItself() public {
        CreditOrder memory order = _order(4 ether, "salt");
        order.deadline = 0;
        vm.prank(alice);
        farthing.redirectCredit(order, "");
        _expect(0, 4 ether);
    }

    function test_redirectCredit_ofAContractWallet() public {
        Wallet wallet = new Wallet(alice);
        channel = channelOf(address(wallet), bob, 2);
        id = farthing.channelIdOf(channel);
        _fund(_token, bob, 10 ether);
        deposit(1, address(_token), 10 ether);
        _token.setBlocked(address(wallet), true);
        close(closingOf(address(_token), 4 ether, 6 ether, 0, 10 ether));
        CreditOrder memory order = _order(4 ether, "salt");
        order.owner = address(wallet);
        farthing.redirectCredit(order, _signed(ALICE_KEY, order));
        vm.assertEq(_token.balanceOf(order.recipient), 4 ether);
    }

    function test_redirectCredit_refusesWhatTheOwnerDidNotSign() public {
        CreditOrder memory order = _order(3 ether, "salt");
        bytes memory signature = _signed(ALICE_KEY, order);
        bytes memory refusal = abi.encodeWithSelector(IFarthing.WrongSignature.selector, alice);
        for (uint256 i = 0; i < 7; ++i) {
            CreditOrder memory other = _order(3 ether, "salt");
            bytes memory given = signature;
            if (i == 0) other.amount = 4 ether;
            if (i == 1) other.recipient = mallory;
            if (i == 2) other.salt = "other";
            if (i == 3) other.deadline += 1;
            if (i == 4) other.asset = ETHER;
            if (i == 5) given = _signed(BOB_KEY, order);
            if (i == 6) given = _signed(ALICE_SESSION, order);
            vm.expectRevert(refusal);
            vm.prank(mallory);
            farthing.redirectCredit(other, given);
        }
        _expect(4 ether, 0);
    }

    /// @dev An order is good once, though there is credit for a second time.
    function test_redirectCredit_refusesUsedOrder() public {
        CreditOrder memory order = _order(1 ether, "salt");
        bytes memory signature = _signed(ALICE_KEY, order);
        farthing.redirectCredit(order, signature);
        vm.expectPartialRevert(IFarthing.OrderUsed.selector);
        farthing.redirectCredit(order, signature);
        _expect(3 ether, 1 ether);
        // Another salt makes it another order.
        CreditOrder memory next = _order(1 ether, "next");
        farthing.redirectCredit(next, _signed(ALICE_KEY, next));
        _expect(2 ether, 2 ether);
    }

    /// @dev What the owner signed and then sent itself is used up too.
    function test_redirectCredit_ownersOwnCallUsesTheOrderUp() public {
        CreditOrder memory order = _order(1 ether, "salt");
        bytes memory signature = _signed(ALICE_KEY, order);
        vm.prank(alice);
        farthing.redirectCredit(order, "");
        vm.expectPartialRevert(IFarthing.OrderUsed.selector);
        vm.prank(mallory);
        farthing.redirectCredit(order, signature);
        _expect(3 ether, 1 ether);
    }

    /// @dev An order whose recipient refused is not used up.
    function test_redirectCredit_failureLeavesTheOrder() public {
        CreditOrder memory order = _order(1 ether, "salt");
        bytes memory signature = _signed(ALICE_KEY, order);
        _token.setBlocked(order.recipient, true);
        vm.expectPartialRevert(IFarthing.PushFailed.selector);
        farthing.redirectCredit(order, signature);
        _expect(4 ether, 0);
        _token.setBlocked(order.recipient, false);
        farthing.redirectCredit(order, signature);
        _expect(3 ether, 1 ether);
    }

    function test_redirectCredit_refusesLateOrder() public {
        CreditOrder memory order = _order(1 ether, "salt");
        bytes memory signature = _signed(ALICE_KEY, order);
        vm.warp(order.deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.DeadlinePassed.selector, order.deadline));
        farthing.redirectCredit(order, signature);
        vm.warp(order.deadline);
        farthing.redirectCredit(order, signature);
    }

    function test_redirectCredit_refusesNobodyAndTheContractItself() public {
        address[2] memory bad = [address(0), address(farthing)];
        for (uint256 i = 0; i < 2; ++i) {
            CreditOrder memory order = _order(1 ether, "salt");
            order.recipient = bad[i];
            vm.expectRevert(IFarthing.InvalidRecipient.selector);
            vm.prank(alice);
            farthing.redirectCredit(order, "");
        }
    }

    function test_redirectCredit_refusesMoreThanThereIs() public {
        CreditOrder memory order = _order(5 ether, "salt");
        vm.expectPartialRevert(IFarthing.InsufficientCredit.selector);
        vm.prank(alice);
        farthing.redirectCredit(order, "");
    }

    /// @dev A recipient that calls back gets what was ordered, once.
    function test_redirectCredit_reentrantRecipientGetsItOnce() public {
        Receiver refuser = new Receiver();
        Receiver thief = new Receiver();
        refuser.setMood(Receiver.Mood.Reverts);
        channel = channelOf(address(refuser), bob, 2);
        id = farthing.channelIdOf(channel);
        deposit(1, ETHER, 10 ether);
        close(closingOf(ETHER, 4 ether, 6 ether, 0, 10 ether));
        CreditOrder memory order = CreditOrder(ETHER, address(refuser), address(thief), 1 ether, "s", START + 1 hours);
        thief.setCall(address(farthing), abi.encodeCall(farthing.redirectCredit, (order, "")));
        vm.prank(address(refuser));
        farthing.redirectCredit(order, "");
        vm.assertTrue(thief.called());
        vm.assertFalse(thief.succeeded());
        vm.assertEq(address(thief).balance, 1 ether);
        vm.assertEq(farthing.credit(ETHER, address(refuser)), 3 ether);
    }

    function _order(uint256 amount, bytes32 salt) private view returns (CreditOrder memory) {
        return CreditOrder(address(_token), alice, address(0xcafe), amount, salt, START + 1 hours);
    }

    function _signed(uint256 key, CreditOrder memory order) private view returns (bytes memory) {
        return signed(key, Typed.creditOrderOf(order));
    }

    function _refuse(uint256 amount, uint256 has) private {
        vm.expectRevert(
            abi.encodeWithSelector(IFarthing.InsufficientCredit.selector, address(_token), alice, amount, has)
        );
        farthing.payCredit(address(_token), alice, amount);
    }

    function _fund(OpenToken token, address account, uint256 amount) private {
        token.mint(account, amount);
        vm.prank(account);
        token.approve(address(farthing), type(uint256).max);
    }

    function _expect(uint256 credit, uint256 redirected) private view {
        vm.assertEq(farthing.credit(address(_token), alice), credit);
        vm.assertEq(_token.balanceOf(address(0xcafe)), redirected);
    }
}
