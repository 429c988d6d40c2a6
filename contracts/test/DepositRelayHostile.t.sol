// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IDepositRelay, RelayedDeposit} from "../src/interfaces/IDepositRelay.sol";
import {Channel, Permit} from "../src/interfaces/IFarthing.sol";
import {CallingToken, PhantomToken} from "./tokens/Hostile.sol";
import {RelayBase} from "./utils/RelayBase.sol";
import {vm} from "./utils/Vm.sol";

/// @dev Takes a part of what it is given, and calls whom it likes.
contract FalseFarthing {
    uint256 private _part;
    address private _target;
    bytes private _data;
    bool public succeeded;
    bytes public result;

    function set(uint256 part, address target, bytes calldata data) external {
        (_part, _target, _data) = (part, target, data);
    }

    function deposit(Channel calldata, uint8, address asset, uint128 amount) external payable {
        if (_target != address(0)) (succeeded, result) = _target.call(_data);
        if (_part != 0) IERC20(asset).transferFrom(msg.sender, address(this), amount / _part);
    }
}

/// @dev Tokens and contracts that cheat. They cost nobody but those who signed for them.
contract DepositRelayHostileTest is RelayBase {
    Permit private _none;
    FalseFarthing private _false;

    function setUp() public override {
        super.setUp();
        _false = new FalseFarthing();
        vm.prank(alice);
        dai.approve(address(relay), type(uint256).max);
        vm.prank(mallory);
        dai.approve(address(relay), type(uint256).max);
    }

    /// @dev Tokens that somebody sent here stay here: no deposit is made of them, and none fails for them.
    function test_hostile_leavesWhatWasHere() public {
        dai.mint(address(relay), 40);
        RelayedDeposit memory wish = wishOf(address(dai));
        _send(wish, signedBy(ALICE_KEY, wish), "");
        vm.assertEq(uint256(state(address(dai)).depositA), AMOUNT - FEE);
        vm.assertEq(dai.balanceOf(address(relay)), 40);
    }

    /// @dev Nothing may be left here, with an allowance on it.
    function test_hostile_farthingThatTakesTooLittle() public {
        for (uint256 part = 0; part < 3; part += 2) {
            _false.set(part, address(0), "");
            RelayedDeposit memory wish = _falseWish();
            uint256 left = part == 0 ? AMOUNT - FEE : AMOUNT - FEE - (AMOUNT - FEE) / part;
            _send(
                wish, signedBy(MALLORY_KEY, wish), abi.encodeWithSelector(IDepositRelay.TokensStray.selector, left, 0)
            );
        }
    }

    /// @dev It gets what its signer signed, and no more: not what was here, and nothing of who has an allowance here.
    function test_hostile_farthingCostsItsSignerAlone() public {
        dai.mint(address(relay), 40);
        _false.set(1, address(dai), abi.encodeCall(dai.transferFrom, (address(relay), address(_false), 137)));
        RelayedDeposit memory wish = _falseWish();
        uint256 alices = dai.balanceOf(alice);
        uint256 mallorys = dai.balanceOf(mallory);
        _send(wish, signedBy(MALLORY_KEY, wish), "");
        vm.assertFalse(_false.succeeded());
        vm.assertEq(dai.balanceOf(alice), alices);
        vm.assertEq(dai.balanceOf(mallory), mallorys - AMOUNT);
        vm.assertEq(dai.balanceOf(address(_false)), AMOUNT - FEE);
        vm.assertEq(dai.balanceOf(address(relay)), 40);
        vm.assertEq(dai.allowance(address(relay), address(_false)), 0);
    }

    function test_hostile_farthingCallsBack() public {
        RelayedDeposit memory victim = wishOf(address(dai));
        victim.relayer = address(0);
        bytes memory again =
            abi.encodeCall(relay.depositWithPermit, (channel, victim, _none, signedBy(ALICE_KEY, victim)));
        _false.set(1, address(relay), again);
        RelayedDeposit memory wish = _falseWish();
        _send(wish, signedBy(MALLORY_KEY, wish), "");
        vm.assertFalse(_false.succeeded());
        vm.assertEq(
            keccak256(_false.result()),
            keccak256(abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector))
        );
        vm.assertFalse(relay.used(relayDigestOf(victim)));
    }

    function test_hostile_tokenCallsBack() public {
        CallingToken token = new CallingToken();
        token.mint(alice, AMOUNT);
        vm.prank(alice);
        token.approve(address(relay), AMOUNT);
        RelayedDeposit memory inner = wishOf(address(dai));
        inner.relayer = address(0);
        bytes memory signature = signedBy(ALICE_KEY, inner);
        token.setCall(address(relay), abi.encodeCall(relay.depositWithPermit, (channel, inner, _none, signature)));
        RelayedDeposit memory wish = wishOf(address(token));
        _send(wish, signedBy(ALICE_KEY, wish), "");
        vm.assertTrue(token.called());
        vm.assertFalse(token.succeeded());
        vm.assertEq(uint256(state(address(token)).depositA), AMOUNT - FEE);
    }

    /// @dev It takes every call for done: nothing arrived, so nothing is paid or deposited, of what was here before least.
    function test_hostile_tokenThatOnlyPretends() public {
        PhantomToken token = new PhantomToken();
        token.mint(address(relay), 1000);
        RelayedDeposit memory wish = wishOf(address(token));
        vm.prank(RELAYER);
        vm.expectRevert(abi.encodeWithSelector(IDepositRelay.FeeTooHigh.selector, FEE, 0));
        relay.depositWithAuthorization(channel, wish, 0, START, new bytes(65));
    }

    /// @dev The fee is not announced alone: without it nothing is deposited either.
    function test_hostile_relayerThatIsBlocked() public {
        RelayedDeposit memory wish = wishOf(address(listed));
        bytes memory signature = authorization(address(listed), wish, ALICE_KEY);
        listed.setBlocked(RELAYER, true);
        vm.prank(RELAYER);
        vm.expectRevert(bytes("blocked"));
        relay.depositWithAuthorization(channel, wish, 0, START + 1 days, signature);
        vm.assertEq(listed.balanceOf(alice), 1000);
    }

    function _falseWish() private view returns (RelayedDeposit memory wish) {
        wish = wishOf(address(dai));
        wish.farthing = address(_false);
        wish.channelId = keccak256(abi.encode(block.chainid, address(_false), channel));
        wish.from = mallory;
    }

    function _send(RelayedDeposit memory wish, bytes memory signature, bytes memory refusal) private {
        if (refusal.length != 0) vm.expectRevert(refusal);
        vm.prank(RELAYER);
        relay.depositWithPermit(channel, wish, _none, signature);
    }
}
