// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {DaiPermit, RelayedDeposit} from "../src/interfaces/IDepositRelay.sol";
import {Permit} from "../src/interfaces/IFarthing.sol";
import {RelayBase} from "./utils/RelayBase.sol";
import {vm} from "./utils/Vm.sol";

/// @dev What deposits cost that somebody else sends: an owner's first, from cold storage, to a relayer who has some of
/// the token. The call alone, as in Gas.t.sol.
contract GasRelayTest is RelayBase {
    function setUp() public override {
        super.setUp();
        dai.mint(RELAYER, 1);
        old.mint(RELAYER, 1);
        listed.mint(RELAYER, 1);
        // Others are in the contract by now.
        vm.prank(mallory);
        farthing.deposit(channelOf(mallory, bob, 9), 0, address(dai), 1 ether);
        old.mint(address(farthing), 1);
        listed.mint(address(farthing), 1);
        vm.prank(alice);
        dai.approve(PERMIT2, type(uint256).max);
    }

    function test_gas_relayPermit() public {
        RelayedDeposit memory wish = wishOf(address(dai));
        Permit memory permit = permitOf(address(dai), AMOUNT, 0);
        bytes memory signature = signedBy(ALICE_KEY, wish);
        vm.prank(RELAYER);
        relay.depositWithPermit(channel, wish, permit, signature);
        vm.assertLt(_snapshot("depositWithPermit"), 250_000, "target");
    }

    function test_gas_relayDaiPermit() public {
        RelayedDeposit memory wish = wishOf(address(old));
        DaiPermit memory permit = daiPermit(0);
        bytes memory signature = signedBy(ALICE_KEY, wish);
        vm.prank(RELAYER);
        relay.depositWithDaiPermit(channel, wish, permit, signature);
        vm.assertLt(_snapshot("depositWithDaiPermit"), 250_000, "target");
    }

    function test_gas_relayAuthorization() public {
        RelayedDeposit memory wish = wishOf(address(listed));
        bytes memory signature = authorization(address(listed), wish, ALICE_KEY);
        vm.prank(RELAYER);
        relay.depositWithAuthorization(channel, wish, 0, START + 1 days, signature);
        vm.assertLt(_snapshot("depositWithAuthorization"), 250_000, "target");
    }

    /// @dev By the double of Permit2.
    function test_gas_relayPermit2() public {
        RelayedDeposit memory wish = wishOf(address(dai));
        bytes memory signature = witnessPermit(wish, 0);
        vm.prank(RELAYER);
        relay.depositWithPermit2(channel, wish, 0, START, signature);
        vm.assertLt(_snapshot("depositWithPermit2"), 250_000, "target");
    }

    function test_size_relay() public {
        vm.snapshotValue("DepositRelay", "size of the code, bytes", address(relay).code.length);
    }

    function _snapshot(string memory name) private returns (uint256) {
        return vm.snapshotGasLastCall("DepositRelay", name);
    }
}
