// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Channel, DepositIntent, IFarthing, Permit} from "../src/interfaces/IFarthing.sol";
import {AuthorizationToken} from "./tokens/AuthorizationToken.sol";
import {PhantomToken} from "./tokens/Hostile.sol";
import {Base} from "./utils/Base.sol";
import {Typed} from "./utils/Typed.sol";
import {vm} from "./utils/Vm.sol";
import {Wallet} from "./utils/Wallet.sol";

/// @dev Deposits that the token's owner signs and anybody may send. Rule 12: they can't be redirected.
contract DepositSignedTest is Base {
    bytes32 private constant SALT = "salt";
    uint128 private constant AMOUNT = 5 ether;

    AuthorizationToken private _auth;

    function setUp() public override {
        super.setUp();
        _auth = new AuthorizationToken();
        _auth.mint(alice, 100 ether);
        vm.prank(alice);
        dai.approve(address(farthing), 0);
    }

    function test_depositWithAuthorization_byAnybody() public {
        bytes memory signature = _authorization(0);
        vm.prank(mallory);
        farthing.depositWithAuthorization(channel, 0, address(_auth), AMOUNT, alice, 0, START + 1 days, SALT, signature);
        vm.assertEq(uint256(state(address(_auth)).depositA), AMOUNT);
    }

    /// @dev Rule 12.
    function test_depositWithAuthorization_refusesOtherChannel() public {
        bytes memory signature = _authorization(0);
        vm.expectRevert();
        farthing.depositWithAuthorization(
            channelOf(mallory, bob, 1), 0, address(_auth), AMOUNT, alice, 0, START + 1 days, SALT, signature
        );
    }

    /// @dev Rule 12.
    function test_depositWithAuthorization_refusesOtherSide() public {
        bytes memory signature = _authorization(0);
        vm.expectRevert();
        farthing.depositWithAuthorization(channel, 1, address(_auth), AMOUNT, alice, 0, START + 1 days, SALT, signature);
    }

    function test_depositWithAuthorization_onlyOnce() public {
        bytes memory signature = _authorization(0);
        farthing.depositWithAuthorization(channel, 0, address(_auth), AMOUNT, alice, 0, START + 1 days, SALT, signature);
        vm.expectRevert();
        farthing.depositWithAuthorization(channel, 0, address(_auth), AMOUNT, alice, 0, START + 1 days, SALT, signature);
    }

    function test_depositWithAuthorization_refusesShortSignature() public {
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, alice));
        farthing.depositWithAuthorization(channel, 0, address(_auth), AMOUNT, alice, 0, START + 1 days, SALT, "short");
    }

    function test_depositWithAuthorization_refusesTokenThatOnlyPretends() public {
        PhantomToken phantom = new PhantomToken();
        bytes memory signature = _authorization(0);
        vm.expectRevert(IFarthing.NothingDeposited.selector);
        farthing.depositWithAuthorization(
            channel, 0, address(phantom), AMOUNT, alice, 0, START + 1 days, SALT, signature
        );
    }

    function test_depositWithPermit_byTheOwnerNeedsNoIntent() public {
        _deposit(alice, channel, 0, AMOUNT, _permit(), "");
        vm.assertEq(uint256(state(address(dai)).depositA), AMOUNT);
    }

    function test_depositWithPermit_byAnybodyWithIntent() public {
        bytes memory intent = _intent(ALICE_KEY, alice);
        _deposit(mallory, channel, 0, AMOUNT, _permit(), intent);
        vm.assertEq(uint256(state(address(dai)).depositA), AMOUNT);
    }

    /// @dev Rule 12.
    function test_depositWithPermit_refusesStrangerWithoutIntent() public {
        Permit memory permit = _permit();
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, alice));
        _deposit(mallory, channelOf(mallory, bob, 1), 0, AMOUNT, permit, "");
    }

    /// @dev Rule 12.
    function test_depositWithPermit_refusesToSpendOldAllowance() public {
        vm.prank(alice);
        dai.approve(address(farthing), type(uint256).max);
        Permit memory none;
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, alice));
        _deposit(mallory, channelOf(mallory, bob, 1), 0, AMOUNT, none, "");
    }

    /// @dev Rule 12.
    function test_depositWithPermit_refusesIntentForSomethingElse() public {
        bytes memory intent = _intent(ALICE_KEY, alice);
        Permit memory permit = _permit();
        bytes memory refusal = abi.encodeWithSelector(IFarthing.WrongSignature.selector, alice);
        vm.expectRevert(refusal);
        _deposit(mallory, channelOf(mallory, bob, 1), 0, AMOUNT, permit, intent);
        vm.expectRevert(refusal);
        _deposit(mallory, channel, 1, AMOUNT, permit, intent);
        vm.expectRevert(refusal);
        _deposit(mallory, channel, 0, AMOUNT - 1, permit, intent);
    }

    function test_depositWithPermit_refusesUsedIntent() public {
        bytes memory intent = _intent(ALICE_KEY, alice);
        _deposit(mallory, channel, 0, AMOUNT, _permit(), intent);
        vm.prank(alice);
        dai.approve(address(farthing), type(uint256).max);
        Permit memory none;
        vm.expectPartialRevert(IFarthing.IntentUsed.selector);
        _deposit(mallory, channel, 0, AMOUNT, none, intent);
    }

    function test_depositWithPermit_refusesLateIntent() public {
        bytes memory intent = _intent(ALICE_KEY, alice);
        Permit memory permit = _permit();
        vm.warp(START + 1 hours + 1);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.DeadlinePassed.selector, START + 1 hours));
        _deposit(mallory, channel, 0, AMOUNT, permit, intent);
    }

    /// @dev Whoever sees the permit can use it first; that must not stop the deposit.
    function test_depositWithPermit_toleratesUsedPermit() public {
        Permit memory p = _permit();
        vm.prank(mallory);
        dai.permit(alice, address(farthing), AMOUNT, START + 1 days, p.v, p.r, p.s);
        _deposit(alice, channel, 0, AMOUNT, p, "");
        vm.assertEq(uint256(state(address(dai)).depositA), AMOUNT);
    }

    function test_depositWithPermit_refusesBadPermitWithoutAllowance() public {
        Permit memory none;
        vm.expectRevert(abi.encodeWithSelector(IFarthing.InsufficientAllowance.selector, 0, AMOUNT));
        _deposit(alice, channel, 0, AMOUNT, none, "");
    }

    /// @dev Rule 12: the intent's own channel, also where its owner sends it.
    function test_depositWithPermit_refusesIntentThatNamesAnotherChannel() public {
        Permit memory permit = _permit();
        Channel memory other = channelOf(mallory, bob, 1);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongChannel.selector, id, _idOf(other)));
        farthing.depositWithPermit(
            other, DepositIntent(id, 0, address(dai), AMOUNT, alice, SALT, START + 1 hours), permit, ""
        );
    }

    function test_depositWithPermit_takesIntentOfContractWallet() public {
        Wallet wallet = new Wallet(alice);
        dai.mint(address(wallet), AMOUNT);
        wallet.execute(address(dai), abi.encodeCall(dai.approve, (address(farthing), AMOUNT)));
        bytes memory intent = _intent(ALICE_KEY, address(wallet));
        Permit memory none;
        vm.prank(mallory);
        farthing.depositWithPermit(
            channel, DepositIntent(id, 0, address(dai), AMOUNT, address(wallet), SALT, START + 1 hours), none, intent
        );
        vm.assertEq(uint256(state(address(dai)).depositA), AMOUNT);
    }

    function _deposit(
        address sender,
        Channel memory to,
        uint8 side,
        uint128 amount,
        Permit memory p,
        bytes memory intent
    ) private {
        vm.prank(sender);
        farthing.depositWithPermit(
            to, DepositIntent(_idOf(to), side, address(dai), amount, alice, SALT, START + 1 hours), p, intent
        );
    }

    function _idOf(Channel memory to) private view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(farthing), to));
    }

    function _permit() private view returns (Permit memory p) {
        bytes32 hash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                alice,
                address(farthing),
                uint256(AMOUNT),
                dai.nonces(alice),
                uint256(START + 1 days)
            )
        );
        p.deadline = START + 1 days;
        (p.v, p.r, p.s) = vm.sign(ALICE_KEY, keccak256(abi.encodePacked(hex"1901", dai.DOMAIN_SEPARATOR(), hash)));
    }

    function _intent(uint256 key, address from) private view returns (bytes memory) {
        DepositIntent memory intent = DepositIntent(id, 0, address(dai), AMOUNT, from, SALT, START + 1 hours);
        return signed(key, Typed.depositIntentOf(intent));
    }

    function _authorization(uint8 side) private view returns (bytes memory) {
        bytes32 hash = keccak256(
            abi.encode(
                keccak256(
                    "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
                ),
                alice,
                address(farthing),
                uint256(AMOUNT),
                uint256(0),
                uint256(START + 1 days),
                keccak256(abi.encode(id, side, SALT))
            )
        );
        bytes32 separator = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Authorization Token"),
                keccak256("1"),
                block.chainid,
                address(_auth)
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ALICE_KEY, keccak256(abi.encodePacked(hex"1901", separator, hash)));
        return abi.encodePacked(r, s, v);
    }
}
