// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {
    CreditOrder,
    DepositIntent,
    ExitOrder,
    IFarthing,
    Permit,
    SignedProof,
    Withdrawal
} from "../src/interfaces/IFarthing.sol";
import {Base} from "./utils/Base.sol";
import {Typed} from "./utils/Typed.sol";
import {vm} from "./utils/Vm.sol";
import {BurningWallet, RehashingWallet} from "./utils/Wallet.sol";

/// @dev Owners that are delegated accounts (EIP-7702): a key with code at its address. The key's own signature counts
/// first, wherever an owner signs; what the code says to it is asked second.
contract OwnersTest is Base {
    function setUp() public override {
        super.setUp();
        deposit(0, ETHER, 10 ether);
    }

    function test_delegatedOwner_withdrawsToOthers() public {
        _delegate(address(new RehashingWallet()));
        Withdrawal memory w = Withdrawal(id, ETHER, 0, 1 ether, mallory, START + 1 hours);
        bytes32 hash = Typed.withdrawalOf(w);
        uint256 before = mallory.balance;
        farthing.withdraw(channel, w, signed(ALICE_SESSION, hash), signed(BOB_SESSION, hash), signed(ALICE_KEY, hash));
        vm.assertEq(mallory.balance, before + 1 ether);
    }

    function test_delegatedOwner_ordersAnExit() public {
        _delegate(address(new RehashingWallet()));
        bytes memory order = signedOrder(ALICE_KEY, START);
        vm.prank(mallory);
        farthing.startExit(channel, new SignedProof[](0), 0, order, START);
    }

    function test_delegatedOwner_signsDepositIntents() public {
        _delegate(address(new RehashingWallet()));
        DepositIntent memory intent = DepositIntent(id, 0, address(dai), 5, alice, "salt", START);
        bytes memory signature = signed(ALICE_KEY, Typed.depositIntentOf(intent));
        Permit memory none;
        vm.prank(mallory);
        farthing.depositWithPermit(channel, intent, none, signature);
        vm.assertEq(uint256(state(address(dai)).depositA), 5);
    }

    /// @dev Its code takes no ETH: the payout becomes a credit, which goes where its key says.
    function test_delegatedOwner_redirectsItsCredit() public {
        _delegate(address(new RehashingWallet()));
        close(closingOf(ETHER, 10 ether, 0, 10 ether, 0));
        CreditOrder memory order = CreditOrder(ETHER, alice, address(0xcafe), 10 ether, "salt", START);
        bytes memory signature = signed(ALICE_KEY, Typed.creditOrderOf(order));
        vm.prank(mallory);
        farthing.redirectCredit(order, signature);
        vm.assertEq(address(0xcafe).balance, 10 ether);
    }

    /// @dev What the code accepts counts too.
    function test_delegatedOwner_mayAnswerForItself() public {
        _delegate(address(new RehashingWallet()));
        bytes32 own = keccak256(abi.encode(digestOf(Typed.exitOrderOf(_exitOrder())), alice));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ALICE_KEY, own);
        vm.prank(mallory);
        farthing.startExit(channel, new SignedProof[](0), 0, abi.encodePacked(r, s, v), START);
    }

    function test_delegatedOwner_codeThatBurnsGasIsNotAsked() public {
        _delegate(address(new BurningWallet()));
        bytes memory order = signedOrder(ALICE_KEY, START);
        vm.prank(mallory);
        farthing.startExit{gas: 200_000}(channel, new SignedProof[](0), 0, order, START);
    }

    function test_delegatedOwner_refusesOthersSignatures() public {
        _delegate(address(new RehashingWallet()));
        Withdrawal memory w = Withdrawal(id, ETHER, 0, 1 ether, mallory, START + 1 hours);
        bytes32 hash = Typed.withdrawalOf(w);
        bytes memory sigA = signed(ALICE_SESSION, hash);
        bytes memory sigB = signed(BOB_SESSION, hash);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, alice));
        farthing.withdraw(channel, w, sigA, sigB, sigA);
        bytes memory stranger = signed(MALLORY_KEY, hash);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, alice));
        farthing.withdraw(channel, w, sigA, sigB, stranger);
    }

    function _delegate(address code) private {
        vm.etch(alice, code.code);
    }

    function _exitOrder() private view returns (ExitOrder memory) {
        return ExitOrder(id, START);
    }
}
