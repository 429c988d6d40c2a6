// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {DaiPermit, IDepositRelay, RelayedDeposit} from "../src/interfaces/IDepositRelay.sol";
import {IFarthing, Permit} from "../src/interfaces/IFarthing.sol";
import {FeeToken} from "./tokens/Hostile.sol";
import {WaryToken} from "./tokens/WaryToken.sol";
import {RelayBase} from "./utils/RelayBase.sol";
import {vm} from "./utils/Vm.sol";
import {Wallet} from "./utils/Wallet.sol";

/// @dev The four ways in, as each token has it. Rule 12: they can't be redirected, and are good once.
contract DepositRelayTest is RelayBase {
    Permit private _none;

    function test_relay_digestIsAsAgreed() public view {
        RelayedDeposit memory wish = wishOf(address(dai));
        vm.assertEq(relay.digestOf(wish), relayDigestOf(wish));
        (bytes1 fields, string memory name, string memory version, uint256 chain, address self,,) = relay.eip712Domain();
        vm.assertEq(bytes32(fields), bytes32(hex"0f"));
        vm.assertEq(keccak256(bytes(name)), keccak256("Farthing DepositRelay"));
        vm.assertEq(keccak256(bytes(version)), keccak256("1"));
        vm.assertEq(chain, block.chainid);
        vm.assertEq(self, address(relay));
    }

    function test_relay_permit() public {
        RelayedDeposit memory wish = wishOf(address(dai));
        Permit memory permit = permitOf(address(dai), AMOUNT, 0);
        bytes memory signature = signedBy(ALICE_KEY, wish);
        uint256 before = dai.balanceOf(alice);
        vm.expectEmit(true, true, true, true, address(relay));
        emit IDepositRelay.DepositRelayed(relayDigestOf(wish), id, alice, address(dai), AMOUNT - FEE, FEE, RELAYER);
        vm.prank(RELAYER);
        relay.depositWithPermit(channel, wish, permit, signature);
        assertDeposited(address(dai), AMOUNT - FEE);
        vm.assertEq(dai.balanceOf(RELAYER), FEE);
        vm.assertEq(dai.balanceOf(alice), before - AMOUNT);
        vm.assertEq(dai.allowance(address(relay), address(farthing)), 0);
        vm.assertTrue(relay.used(relayDigestOf(wish)));
    }

    /// @dev Somebody else sent the permit to the token.
    function test_relay_permitUsedBefore() public {
        RelayedDeposit memory wish = wishOf(address(dai));
        Permit memory permit = permitOf(address(dai), AMOUNT, 0);
        bytes memory signature = signedBy(ALICE_KEY, wish);
        vm.prank(mallory);
        dai.permit(alice, address(relay), AMOUNT, permit.deadline, permit.v, permit.r, permit.s);
        vm.prank(RELAYER);
        relay.depositWithPermit(channel, wish, permit, signature);
        assertDeposited(address(dai), AMOUNT - FEE);
    }

    function test_relay_permitMissing() public {
        RelayedDeposit memory wish = wishOf(address(dai));
        bytes memory signature = signedBy(ALICE_KEY, wish);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.InsufficientAllowance.selector, 0, AMOUNT));
        vm.prank(RELAYER);
        relay.depositWithPermit(channel, wish, _none, signature);
    }

    function test_relay_daiPermitAndLaterItsAllowance() public {
        RelayedDeposit memory wish = wishOf(address(old));
        bytes memory signature = signedBy(ALICE_KEY, wish);
        DaiPermit memory permit = daiPermit(0);
        vm.prank(RELAYER);
        relay.depositWithDaiPermit(channel, wish, permit, signature);
        assertDeposited(address(old), AMOUNT - FEE);

        wish.salt = "another";
        signature = signedBy(ALICE_KEY, wish);
        vm.prank(RELAYER);
        relay.depositWithPermit(channel, wish, _none, signature);
        assertDeposited(address(old), 2 * (AMOUNT - FEE));
        vm.assertEq(old.balanceOf(RELAYER), 2 * FEE);
    }

    function test_relay_daiPermitUsedBefore() public {
        RelayedDeposit memory wish = wishOf(address(old));
        bytes memory signature = signedBy(ALICE_KEY, wish);
        DaiPermit memory permit = daiPermit(1);
        vm.prank(RELAYER);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.InsufficientAllowance.selector, 0, AMOUNT));
        relay.depositWithDaiPermit(channel, wish, permit, signature);
        permit = daiPermit(0);
        old.permit(alice, address(relay), 0, permit.expiry, true, permit.v, permit.r, permit.s);
        vm.prank(RELAYER);
        relay.depositWithDaiPermit(channel, wish, permit, signature);
        assertDeposited(address(old), AMOUNT - FEE);
    }

    function test_relay_authorization() public {
        RelayedDeposit memory wish = wishOf(address(listed));
        bytes memory signature = authorization(address(listed), wish, ALICE_KEY);
        vm.prank(RELAYER);
        relay.depositWithAuthorization(channel, wish, 0, START + 1 days, signature);
        assertDeposited(address(listed), AMOUNT - FEE);
        vm.assertEq(listed.balanceOf(RELAYER), FEE);
    }

    /// @dev What a contract wallet says may be longer than a key's signature.
    function test_relay_authorizationOfAContract() public {
        Wallet wallet = new LongWallet(alice);
        listed.mint(address(wallet), AMOUNT);
        RelayedDeposit memory wish = wishOf(address(listed));
        wish.from = address(wallet);
        bytes memory signature = abi.encodePacked(authorization(address(listed), wish, ALICE_KEY), "more");
        vm.prank(RELAYER);
        relay.depositWithAuthorization(channel, wish, 0, START + 1 days, signature);
        assertDeposited(address(listed), AMOUNT - FEE);
    }

    function test_relay_permit2() public {
        vm.prank(alice);
        dai.approve(PERMIT2, type(uint256).max);
        RelayedDeposit memory wish = wishOf(address(dai));
        bytes memory signature = witnessPermit(wish, 7);
        vm.prank(RELAYER);
        relay.depositWithPermit2(channel, wish, 7, START, signature);
        assertDeposited(address(dai), AMOUNT - FEE);
        vm.assertEq(dai.balanceOf(RELAYER), FEE);
    }

    function test_relay_permitOfAContract() public {
        Wallet wallet = new Wallet(alice);
        dai.mint(address(wallet), AMOUNT);
        wallet.execute(address(dai), abi.encodeCall(dai.approve, (address(relay), AMOUNT)));
        RelayedDeposit memory wish = wishOf(address(dai));
        wish.from = address(wallet);
        bytes memory signature = signedBy(ALICE_KEY, wish);
        vm.prank(RELAYER);
        relay.depositWithPermit(channel, wish, _none, signature);
        assertDeposited(address(dai), AMOUNT - FEE);
    }

    function test_relay_tokenThatReturnsNothing() public {
        WaryToken wary = new WaryToken();
        wary.mint(alice, AMOUNT);
        vm.prank(alice);
        wary.approve(PERMIT2, AMOUNT);
        RelayedDeposit memory wish = wishOf(address(wary));
        bytes memory signature = witnessPermit(wish, 0);
        vm.prank(RELAYER);
        relay.depositWithPermit2(channel, wish, 0, START, signature);
        assertDeposited(address(wary), AMOUNT - FEE);
    }

    /// @dev It takes a hundredth each time; 10,000 becomes 9,900 here, of which the fee leaves whole.
    function test_relay_tokenWithFees() public {
        FeeToken token = new FeeToken();
        token.mint(alice, 10_000);
        vm.prank(alice);
        token.approve(PERMIT2, 10_000);
        RelayedDeposit memory wish = wishOf(address(token));
        wish.amount = 10_000;
        wish.fee = 100;
        bytes memory signature = witnessPermit(wish, 0);
        vm.prank(RELAYER);
        relay.depositWithPermit2(channel, wish, 0, START, signature);
        assertDeposited(address(token), 9800 - 98);
        vm.assertEq(token.balanceOf(RELAYER), 99);
    }

    /// @dev What arrived must exceed the fee, whatever was announced.
    function test_relay_tokenWithFeesEatsTheDeposit() public {
        FeeToken token = new FeeToken();
        token.mint(alice, 10_000);
        vm.prank(alice);
        token.approve(PERMIT2, 10_000);
        RelayedDeposit memory wish = wishOf(address(token));
        wish.amount = 10_000;
        wish.fee = 9900;
        bytes memory signature = witnessPermit(wish, 0);
        vm.prank(RELAYER);
        vm.expectRevert(abi.encodeWithSelector(IDepositRelay.FeeTooHigh.selector, 9900, 9900));
        relay.depositWithPermit2(channel, wish, 0, START, signature);
    }

    function test_relay_withoutFee() public {
        RelayedDeposit memory wish = wishOf(address(dai));
        wish.fee = 0;
        _relay(wish, RELAYER, "");
        assertDeposited(address(dai), AMOUNT);
        vm.assertEq(dai.balanceOf(RELAYER), 0);
    }

    /// @dev Who names nobody pays whoever sends it.
    function test_relay_anyRelayer() public {
        RelayedDeposit memory wish = wishOf(address(dai));
        wish.relayer = address(0);
        uint256 before = dai.balanceOf(mallory);
        _relay(wish, mallory, "");
        assertDeposited(address(dai), AMOUNT - FEE);
        vm.assertEq(dai.balanceOf(mallory), before + FEE);
    }

    /// @dev Rule 12.
    function test_relay_refusesAnotherRelayer() public {
        RelayedDeposit memory wish = wishOf(address(dai));
        _relay(wish, mallory, abi.encodeWithSelector(IDepositRelay.WrongRelayer.selector, mallory, RELAYER));
    }

    function test_relay_refusesFeeOfAll() public {
        RelayedDeposit memory wish = wishOf(address(dai));
        wish.fee = AMOUNT;
        _relay(wish, RELAYER, abi.encodeWithSelector(IDepositRelay.FeeTooHigh.selector, AMOUNT, AMOUNT));
    }

    function test_relay_refusesPastDeadline() public {
        RelayedDeposit memory wish = wishOf(address(dai));
        vm.warp(wish.deadline + 1);
        _relay(wish, RELAYER, abi.encodeWithSelector(IFarthing.DeadlinePassed.selector, wish.deadline));
        vm.warp(wish.deadline);
        _relay(wish, RELAYER, "");
    }

    /// @dev Rule 12: whoever sends it chooses no channel.
    function test_relay_refusesAnotherChannel() public {
        RelayedDeposit memory wish = wishOf(address(listed));
        bytes memory signature = authorization(address(listed), wish, ALICE_KEY);
        channel = channelOf(mallory, bob, 1);
        bytes32 other = farthing.channelIdOf(channel);
        vm.prank(RELAYER);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongChannel.selector, id, other));
        relay.depositWithAuthorization(channel, wish, 0, START + 1 days, signature);
    }

    /// @dev Rule 12: every word of it is signed.
    function test_relay_refusesWhatWasNotSigned() public {
        for (uint256 i = 0; i < 8; ++i) {
            RelayedDeposit memory wish = wishOf(address(dai));
            bytes memory signature = signedBy(ALICE_KEY, wish);
            bytes memory witness = witnessPermit(wish, 0);
            _change(wish, i);
            Permit memory permit = permitOf(address(dai), wish.amount, 0);
            DaiPermit memory older = daiPermit(0);
            vm.prank(RELAYER);
            vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, alice));
            relay.depositWithPermit(channel, wish, permit, signature);
            vm.prank(RELAYER);
            vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, alice));
            relay.depositWithDaiPermit(channel, wish, older, signature);
            vm.prank(RELAYER);
            vm.expectRevert();
            relay.depositWithPermit2(channel, wish, 0, START, witness);

            wish = wishOf(address(listed));
            signature = authorization(address(listed), wish, ALICE_KEY);
            _change(wish, i);
            vm.prank(RELAYER);
            vm.expectRevert();
            relay.depositWithAuthorization(channel, wish, 0, START + 1 days, signature);
        }
        vm.assertEq(uint256(state(address(dai)).depositA), 0);
    }

    /// @dev Rule 12: an allowance to the relay is spent by its owner's word alone.
    function test_relay_refusesSignatureOfAnother() public {
        RelayedDeposit memory wish = wishOf(address(dai));
        vm.prank(alice);
        dai.approve(address(relay), type(uint256).max);
        bytes memory signature = signedBy(MALLORY_KEY, wish);
        vm.prank(RELAYER);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, alice));
        relay.depositWithPermit(channel, wish, _none, signature);
        wish.asset = address(old);
        signature = signedBy(MALLORY_KEY, wish);
        DaiPermit memory permit = daiPermit(0);
        vm.prank(RELAYER);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, alice));
        relay.depositWithDaiPermit(channel, wish, permit, signature);
    }

    /// @dev Rule 12: once, whichever way it goes, however large the allowance.
    function test_relay_onlyOnce() public {
        RelayedDeposit memory wish = wishOf(address(dai));
        vm.prank(alice);
        dai.approve(address(relay), type(uint256).max);
        vm.prank(alice);
        dai.approve(PERMIT2, type(uint256).max);
        bytes memory signature = signedBy(ALICE_KEY, wish);
        bytes memory used = abi.encodeWithSelector(IDepositRelay.DepositUsed.selector, relayDigestOf(wish));
        vm.prank(RELAYER);
        relay.depositWithPermit(channel, wish, _none, signature);
        vm.prank(RELAYER);
        vm.expectRevert(used);
        relay.depositWithPermit(channel, wish, _none, signature);
        bytes memory witness = witnessPermit(wish, 0);
        vm.prank(RELAYER);
        vm.expectRevert(used);
        relay.depositWithPermit2(channel, wish, 0, START, witness);
    }

    /// @dev A copy of the authorization at the token itself: only its receiver may send it.
    function test_relay_authorizationIsOfNoUseElsewhere() public {
        RelayedDeposit memory wish = wishOf(address(listed));
        bytes memory signature = authorization(address(listed), wish, ALICE_KEY);
        vm.prank(mallory);
        vm.expectRevert(bytes("not the receiver"));
        listed.receiveWithAuthorization(
            alice, address(relay), AMOUNT, 0, START + 1 days, relayDigestOf(wish), signature
        );
    }

    function test_relay_blockedOwnerChangesNothing() public {
        RelayedDeposit memory wish = wishOf(address(listed));
        bytes memory signature = authorization(address(listed), wish, ALICE_KEY);
        listed.setBlocked(alice, true);
        vm.prank(RELAYER);
        vm.expectRevert(bytes("blocked"));
        relay.depositWithAuthorization(channel, wish, 0, START + 1 days, signature);
        vm.assertFalse(relay.used(relayDigestOf(wish)));
    }

    /// @dev Each field but the asset, which is the token's own affair.
    function _change(RelayedDeposit memory wish, uint256 field) private view {
        if (field == 0) wish.side = 1;
        if (field == 1) wish.amount += 1;
        if (field == 2) wish.fee += 1;
        if (field == 3) wish.fee = 0;
        if (field == 4) wish.deadline += 1;
        if (field == 5) wish.salt = "another";
        if (field == 6) wish.relayer = address(0);
        if (field == 7) {
            wish.farthing = address(0xbad);
            wish.channelId = keccak256(abi.encode(block.chainid, address(0xbad), channel));
        }
    }

    /// @dev By an allowance that is there. Without a refusal it has to go through.
    function _relay(RelayedDeposit memory wish, address caller, bytes memory refusal) private {
        vm.prank(alice);
        dai.approve(address(relay), AMOUNT);
        bytes memory signature = signedBy(ALICE_KEY, wish);
        if (refusal.length != 0) vm.expectRevert(refusal);
        vm.prank(caller);
        relay.depositWithPermit(channel, wish, _none, signature);
    }
}

/// @dev Signs by 65 bytes and some more.
contract LongWallet is Wallet {
    constructor(address key) Wallet(key) {}

    function isValidSignature(bytes32 hash, bytes calldata signature) public view override returns (bytes4) {
        return super.isValidSignature(hash, signature[:65]);
    }
}
