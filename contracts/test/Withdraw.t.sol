// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IFarthing, SignedProof, Withdrawal} from "../src/interfaces/IFarthing.sol";
import {Base} from "./utils/Base.sol";
import {Receiver} from "./utils/Receiver.sol";
import {Typed} from "./utils/Typed.sol";
import {vm} from "./utils/Vm.sol";
import {Wallet} from "./utils/Wallet.sol";

contract WithdrawTest is Base {
    function setUp() public override {
        super.setUp();
        deposit(0, ETHER, 10 ether);
        deposit(1, ETHER, 5 ether);
    }

    function test_withdraw_paysTheDifference() public {
        uint256 before = alice.balance;
        withdraw(0, ETHER, 3 ether);
        vm.assertEq(alice.balance, before + 3 ether);
        vm.expectEmit(true, true, true, true, address(farthing));
        emit IFarthing.Withdrawn(id, ETHER, 0, 4 ether, alice);
        withdraw(0, ETHER, 4 ether);
        vm.assertEq(alice.balance, before + 4 ether);
        vm.assertEq(uint256(state(ETHER).withdrawnA), 4 ether);
    }

    function test_withdraw_sideMayTakeWhatItWasPaid() public {
        uint256 before = bob.balance;
        withdraw(1, ETHER, 15 ether);
        vm.assertEq(bob.balance, before + 15 ether);
        vm.assertEq(uint256(state(ETHER).withdrawnB), 15 ether);
    }

    function test_withdraw_refusesMoreThanIsHeld() public {
        withdraw(1, ETHER, 12 ether);
        Withdrawal memory w = _withdrawal(0, 4 ether, alice);
        _expect(w, abi.encodeWithSelector(IFarthing.ExceedsHolding.selector, 4 ether, 3 ether));
    }

    function test_withdraw_refusesTotalThatDoesNotRise() public {
        withdraw(0, ETHER, 3 ether);
        bytes memory refusal = abi.encodeWithSelector(IFarthing.WithdrawalNotRising.selector, 3 ether, 3 ether);
        _expect(_withdrawal(0, 3 ether, alice), refusal);
        refusal = abi.encodeWithSelector(IFarthing.WithdrawalNotRising.selector, 0, 0);
        _expect(_withdrawal(1, 0, bob), refusal);
    }

    function test_withdraw_refusesSecondUse() public {
        Withdrawal memory w = _withdrawal(0, 3 ether, alice);
        bytes32 hash = Typed.withdrawalOf(w);
        bytes memory sigA = signed(ALICE_SESSION, hash);
        bytes memory sigB = signed(BOB_SESSION, hash);
        farthing.withdraw(channel, w, sigA, sigB, "");
        vm.expectPartialRevert(IFarthing.WithdrawalNotRising.selector);
        farthing.withdraw(channel, w, sigA, sigB, "");
    }

    function test_withdraw_refusesWhatOneSideDidNotSign() public {
        Withdrawal memory w = _withdrawal(0, 3 ether, alice);
        bytes32 hash = Typed.withdrawalOf(w);
        bytes memory sigA = signed(ALICE_SESSION, hash);
        bytes memory sigB = signed(BOB_SESSION, hash);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, channel.b.signer));
        farthing.withdraw(channel, w, sigA, sigA, "");
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, channel.a.signer));
        farthing.withdraw(channel, w, sigB, sigB, "");
        w.total = 4 ether;
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, channel.a.signer));
        farthing.withdraw(channel, w, sigA, sigB, "");
    }

    function test_withdraw_refusesMalleableSignature() public {
        Withdrawal memory w = _withdrawal(0, 3 ether, alice);
        bytes32 digest = digestOf(Typed.withdrawalOf(w));
        bytes memory sigB = signed(BOB_SESSION, Typed.withdrawalOf(w));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ALICE_SESSION, digest);
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        bytes[4] memory bad = [
            abi.encodePacked(r, bytes32(order - uint256(s)), v == 27 ? uint8(28) : uint8(27)),
            abi.encodePacked(r, s, v - 27),
            abi.encodePacked(r, s, v, uint8(0)),
            abi.encodePacked(r, bytes32(uint256(s) | (uint256(v - 27) << 255)))
        ];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, channel.a.signer));
            farthing.withdraw(channel, w, bad[i], sigB, "");
        }
    }

    function test_withdraw_refusesOtherChannel() public {
        Withdrawal memory w = _withdrawal(0, 3 ether, alice);
        w.channelId = bytes32(uint256(1));
        _expect(w, abi.encodeWithSelector(IFarthing.WrongChannel.selector, w.channelId, id));
    }

    function test_withdraw_refusesAfterDeadline() public {
        Withdrawal memory w = _withdrawal(0, 3 ether, alice);
        vm.warp(START + 1 hours + 1);
        _expect(w, abi.encodeWithSelector(IFarthing.DeadlinePassed.selector, START + 1 hours));
    }

    function test_withdraw_worksInTheSecondOfTheDeadline() public {
        Withdrawal memory w = _withdrawal(0, 3 ether, alice);
        bytes32 hash = Typed.withdrawalOf(w);
        vm.warp(START + 1 hours);
        farthing.withdraw(channel, w, signed(ALICE_SESSION, hash), signed(BOB_SESSION, hash), "");
        vm.assertEq(uint256(state(ETHER).withdrawnA), 3 ether);
    }

    function test_withdraw_refusedOnceAnExitStarted() public {
        exitBy(alice, new SignedProof[](0));
        _expect(_withdrawal(0, 3 ether, alice), abi.encodeWithSelector(IFarthing.ExitRunning.selector, START + PERIOD));
    }

    /// @dev Rule 14.
    function test_withdraw_refusedOnceClosed() public {
        close(closingOf(ETHER, 10 ether, 5 ether, 10 ether, 5 ether));
        _expect(_withdrawal(0, 3 ether, alice), abi.encodeWithSelector(IFarthing.AssetNotOpen.selector, ETHER, 1));
    }

    function test_withdraw_refusesNobody() public {
        _expect(_withdrawal(0, 1, address(0)), abi.encodeWithSelector(IFarthing.InvalidRecipient.selector));
        Withdrawal memory w = _withdrawal(2, 1, alice);
        _expect(w, abi.encodeWithSelector(IFarthing.InvalidSide.selector, 2));
    }

    /// @dev What the recipient does not take stays in the channel, and can be sent elsewhere.
    function test_withdraw_revertsIfTheRecipientRefuses() public {
        Receiver refuser = new Receiver();
        refuser.setMood(Receiver.Mood.Reverts);
        Withdrawal memory w = _withdrawal(0, 3 ether, address(refuser));
        bytes32 hash = Typed.withdrawalOf(w);
        bytes memory sigA = signed(ALICE_SESSION, hash);
        bytes memory sigB = signed(BOB_SESSION, hash);
        bytes memory ownerSig = signed(ALICE_KEY, hash);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.PushFailed.selector, ETHER, address(refuser), 3 ether));
        farthing.withdraw(channel, w, sigA, sigB, ownerSig);
        vm.assertEq(uint256(state(ETHER).withdrawnA), 0);
        vm.assertEq(farthing.credit(ETHER, address(refuser)), 0);
        vm.assertEq(address(farthing).balance, 15 ether);
        withdraw(0, ETHER, 3 ether);
        // And is not lost once it accepts.
        refuser.setMood(Receiver.Mood.Works);
        vm.expectPartialRevert(IFarthing.WithdrawalNotRising.selector);
        farthing.withdraw(channel, w, sigA, sigB, ownerSig);
    }

    /// @dev Tokens that the contract sends itself would be nobody's.
    function test_withdraw_refusesTheContractItself() public {
        Withdrawal memory w = _withdrawal(0, 3 ether, address(farthing));
        bytes32 hash = Typed.withdrawalOf(w);
        bytes memory sigA = signed(ALICE_SESSION, hash);
        bytes memory sigB = signed(BOB_SESSION, hash);
        bytes memory ownerSig = signed(ALICE_KEY, hash);
        vm.expectRevert(IFarthing.InvalidRecipient.selector);
        farthing.withdraw(channel, w, sigA, sigB, ownerSig);
        w.asset = address(dai);
        hash = Typed.withdrawalOf(w);
        (sigA, sigB, ownerSig) = (signed(ALICE_SESSION, hash), signed(BOB_SESSION, hash), signed(ALICE_KEY, hash));
        vm.expectRevert(IFarthing.InvalidRecipient.selector);
        farthing.withdraw(channel, w, sigA, sigB, ownerSig);
    }

    function test_withdraw_refusesOtherRecipientWithoutTheOwner() public {
        Withdrawal memory w = _withdrawal(0, 3 ether, mallory);
        _expect(w, abi.encodeWithSelector(IFarthing.WrongSignature.selector, alice));
        // The other side's owner is the wrong one.
        bytes32 hash = Typed.withdrawalOf(w);
        bytes memory sigA = signed(ALICE_SESSION, hash);
        bytes memory sigB = signed(BOB_SESSION, hash);
        bytes memory ownerSig = signed(BOB_KEY, hash);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, alice));
        farthing.withdraw(channel, w, sigA, sigB, ownerSig);
    }

    function test_withdraw_paysOtherRecipientWithTheOwner() public {
        Withdrawal memory w = _withdrawal(0, 3 ether, mallory);
        bytes32 hash = Typed.withdrawalOf(w);
        uint256 before = mallory.balance;
        farthing.withdraw(channel, w, signed(ALICE_SESSION, hash), signed(BOB_SESSION, hash), signed(ALICE_KEY, hash));
        vm.assertEq(mallory.balance, before + 3 ether);
    }

    function test_withdraw_paysOtherRecipientOfContractWallet() public {
        channel = channelOf(address(new Wallet(alice)), bob, 1);
        id = farthing.channelIdOf(channel);
        deposit(0, ETHER, 5 ether);
        Withdrawal memory w = _withdrawal(0, 3 ether, mallory);
        bytes32 hash = Typed.withdrawalOf(w);
        uint256 before = mallory.balance;
        farthing.withdraw(channel, w, signed(ALICE_SESSION, hash), signed(BOB_SESSION, hash), signed(ALICE_KEY, hash));
        vm.assertEq(mallory.balance, before + 3 ether);
    }

    /// @dev Signed for another chain or contract, it is worth nothing here.
    function test_withdraw_isBoundToChainAndContract() public {
        Withdrawal memory w = _withdrawal(0, 3 ether, alice);
        domain = domainOf(address(1));
        _expect(w, abi.encodeWithSelector(IFarthing.WrongSignature.selector, channel.a.signer));
    }

    function _withdrawal(uint8 side, uint128 total, address recipient) private view returns (Withdrawal memory) {
        return Withdrawal(id, ETHER, side, total, recipient, START + 1 hours);
    }

    function _expect(Withdrawal memory w, bytes memory refusal) private {
        bytes32 hash = Typed.withdrawalOf(w);
        bytes memory sigA = signed(ALICE_SESSION, hash);
        bytes memory sigB = signed(BOB_SESSION, hash);
        vm.expectRevert(refusal);
        farthing.withdraw(channel, w, sigA, sigB, "");
    }
}
