// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IFarthing, LaneState, SignedProof} from "../src/interfaces/IFarthing.sol";
import {Base} from "./utils/Base.sol";
import {Typed} from "./utils/Typed.sol";
import {vm} from "./utils/Vm.sol";
import {BurningWallet, Wallet} from "./utils/Wallet.sol";

/// @dev startExit and submitProofs.
contract ExitTest is Base {
    function setUp() public override {
        super.setUp();
        deposit(0, ETHER, 10 ether);
        deposit(1, ETHER, 5 ether);
    }

    function test_startExit_byEveryParticipant() public {
        address[4] memory people = [alice, bob, channel.a.signer, channel.b.signer];
        for (uint64 i = 0; i < 4; ++i) {
            channel.salt = 100 + i;
            id = farthing.channelIdOf(channel);
            vm.expectEmit(true, true, true, true, address(farthing));
            emit IFarthing.ExitStarted(id, START + PERIOD);
            exitBy(people[i], new SignedProof[](0));
            vm.assertEq(uint256(farthing.exitEndsAt(id)), START + PERIOD);
        }
    }

    function test_startExit_refusesStranger() public {
        vm.expectRevert(abi.encodeWithSelector(IFarthing.NotParticipant.selector, mallory));
        exitBy(mallory, new SignedProof[](0));
    }

    function test_startExit_byStrangerWithOrder() public {
        uint256[4] memory keys = [ALICE_KEY, BOB_KEY, ALICE_SESSION, BOB_SESSION];
        for (uint64 i = 0; i < 4; ++i) {
            channel.salt = 100 + i;
            id = farthing.channelIdOf(channel);
            bytes memory order = signedOrder(keys[i], START);
            vm.prank(mallory);
            farthing.startExit(channel, new SignedProof[](0), uint8(i % 2), order, START);
            vm.assertEq(uint256(farthing.exitEndsAt(id)), START + PERIOD);
        }
    }

    /// @dev An order is its own side's: nobody of the other one is asked.
    function test_startExit_refusesOrderOfTheOtherSide() public {
        uint256[4] memory keys = [ALICE_KEY, BOB_KEY, ALICE_SESSION, BOB_SESSION];
        for (uint256 i = 0; i < 4; ++i) {
            bytes memory order = signedOrder(keys[i], START);
            vm.expectRevert(abi.encodeWithSelector(IFarthing.NotParticipant.selector, mallory));
            vm.prank(mallory);
            farthing.startExit(channel, new SignedProof[](0), uint8(1 - i % 2), order, START);
        }
        bytes memory alices = signedOrder(ALICE_KEY, START);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.InvalidSide.selector, 2));
        farthing.startExit(channel, new SignedProof[](0), 2, alices, START);
    }

    /// @dev An owner that burns all gas when it is asked for its signature does not reach the other side's order.
    function test_startExit_orderIsSafeFromTheOtherSidesWallet() public {
        channel = channelOf(address(new BurningWallet()), bob, 1);
        uint256[2] memory keys = [BOB_KEY, BOB_SESSION];
        for (uint64 i = 0; i < 2; ++i) {
            channel.salt = 100 + i;
            id = farthing.channelIdOf(channel);
            SignedProof[] memory proofs = new SignedProof[](6);
            for (uint160 j = 0; j < 6; ++j) {
                proofs[j] = acknowledge(lockedProof(address(j + 1), 0, 1, 1, 1, bytes32("root")));
            }
            bytes memory order = signedOrder(keys[i], START);
            vm.prank(mallory);
            farthing.startExit{gas: 1_000_000}(channel, proofs, 1, order, START);
        }
    }

    function test_startExit_takesOrderOfContractWallet() public {
        channel = channelOf(address(new Wallet(alice)), bob, 1);
        id = farthing.channelIdOf(channel);
        bytes memory order = signedOrder(ALICE_KEY, START);
        vm.prank(mallory);
        farthing.startExit(channel, new SignedProof[](0), 0, order, START);
    }

    function test_startExit_refusesOrderOfStranger() public {
        bytes memory order = signedOrder(MALLORY_KEY, START);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.NotParticipant.selector, mallory));
        vm.prank(mallory);
        farthing.startExit(channel, new SignedProof[](0), 0, order, START);
    }

    function test_startExit_refusesOrderForSomethingElse() public {
        bytes memory order = signedOrder(ALICE_KEY, START);
        vm.expectPartialRevert(IFarthing.NotParticipant.selector);
        farthing.startExit(channel, new SignedProof[](0), 0, order, START + 1);
        channel.salt = 2;
        vm.expectPartialRevert(IFarthing.NotParticipant.selector);
        farthing.startExit(channel, new SignedProof[](0), 0, order, START);
    }

    function test_startExit_refusesLateOrder() public {
        bytes memory order = signedOrder(ALICE_KEY, START);
        vm.warp(START + 1);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.DeadlinePassed.selector, START));
        farthing.startExit(channel, new SignedProof[](0), 0, order, START);
    }

    function test_startExit_onlyOnce() public {
        exitBy(alice, new SignedProof[](0));
        vm.warp(START + 5);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.ExitRunning.selector, START + PERIOD));
        exitBy(bob, new SignedProof[](0));
    }

    function test_startExit_filesProofs() public {
        SignedProof[] memory proofs = two(proof(ETHER, 1, 7, 2 ether), acknowledge(proof(ETHER, 0, 9, 3 ether)));
        vm.expectEmit(true, true, true, true, address(farthing));
        emit IFarthing.ProofSubmitted(id, ETHER, 1, 7, false);
        vm.expectEmit(true, true, true, true, address(farthing));
        emit IFarthing.ProofSubmitted(id, ETHER, 0, 9, true);
        exitBy(alice, proofs);
        _expectLane(1, 7, 2 ether, false);
        _expectLane(0, 9, 3 ether, true);
    }

    function test_startExit_byStrangerTakesOnlyAcknowledgedProofs() public {
        bytes memory order = signedOrder(ALICE_KEY, START);
        SignedProof memory p = proof(ETHER, 1, 7, 2 ether);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.NotAcknowledged.selector, ETHER, 1, 7));
        vm.prank(mallory);
        farthing.startExit(channel, one(p), 0, order, START);
        vm.prank(mallory);
        farthing.startExit(channel, one(acknowledge(p)), 0, order, START);
        _expectLane(1, 7, 2 ether, true);
    }

    function test_submitProofs_refusedWithoutExit() public {
        vm.expectRevert(IFarthing.NoExit.selector);
        farthing.submitProofs(channel, new SignedProof[](0));
    }

    function test_submitProofs_takesTheLastSecond() public {
        exitBy(alice, new SignedProof[](0));
        vm.warp(START + PERIOD);
        submitBy(alice, one(proof(ETHER, 1, 7, 2 ether)));
        vm.warp(START + PERIOD + 1);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.ChallengePeriodOver.selector, START + PERIOD));
        submitBy(alice, one(proof(ETHER, 1, 8, 2 ether)));
    }

    function test_submitProofs_takesSignerForItsOwner() public {
        exitBy(alice, new SignedProof[](0));
        submitBy(channel.a.signer, one(proof(ETHER, 1, 7, 2 ether)));
        _expectLane(1, 7, 2 ether, false);
    }

    /// @dev Rule 13: the payer can't show what the payee never agreed to.
    function test_submitProofs_refusesUnacknowledgedProofOfThePayer() public {
        exitBy(alice, new SignedProof[](0));
        SignedProof[] memory proofs = one(proof(ETHER, 0, 7, 2 ether));
        vm.expectRevert(abi.encodeWithSelector(IFarthing.NotAcknowledged.selector, ETHER, 0, 7));
        submitBy(alice, proofs);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.NotAcknowledged.selector, ETHER, 0, 7));
        submitBy(mallory, proofs);
    }

    /// @dev Rule 13: the payer answers an old proof with an acknowledged newer one.
    function test_submitProofs_takesAcknowledgedProofOfThePayer() public {
        exitBy(bob, one(proof(ETHER, 0, 7, 9 ether)));
        submitBy(alice, one(acknowledge(proof(ETHER, 0, 8, 2 ether))));
        _expectLane(0, 8, 2 ether, true);
    }

    /// @dev Rule 13: the highest nonce wins, in whatever order they come.
    function test_submitProofs_skipsLowerNonce() public {
        exitBy(alice, one(proof(ETHER, 1, 7, 2 ether)));
        submitBy(alice, two(proof(ETHER, 1, 6, 9 ether), acknowledge(proof(ETHER, 1, 5, 8 ether))));
        _expectLane(1, 7, 2 ether, false);
    }

    /// @dev Rule 13: at equal nonces the acknowledged proof wins.
    function test_submitProofs_acknowledgedReplacesEqualNonce() public {
        exitBy(bob, one(proof(ETHER, 0, 7, 9 ether)));
        submitBy(alice, one(acknowledge(proof(ETHER, 0, 7, 2 ether))));
        _expectLane(0, 7, 2 ether, true);
    }

    /// @dev Rule 13: and stays.
    function test_submitProofs_nothingReplacesAcknowledgedAtEqualNonce() public {
        exitBy(alice, one(acknowledge(proof(ETHER, 0, 7, 2 ether))));
        submitBy(bob, one(proof(ETHER, 0, 7, 9 ether)));
        submitBy(bob, one(acknowledge(proof(ETHER, 0, 7, 9 ether))));
        _expectLane(0, 7, 2 ether, true);
    }

    function test_submitProofs_unacknowledgedDoesNotReplaceItsEqual() public {
        exitBy(bob, one(proof(ETHER, 0, 7, 2 ether)));
        submitBy(bob, one(proof(ETHER, 0, 7, 9 ether)));
        _expectLane(0, 7, 2 ether, false);
    }

    function test_submitProofs_skipsNonceZero() public {
        exitBy(alice, one(acknowledge(proof(ETHER, 1, 0, 2 ether))));
        _expectLane(1, 0, 0, false);
    }

    /// @dev A batch survives that somebody has filed a part of it.
    function test_submitProofs_skipsWhatIsThere() public {
        SignedProof memory p = acknowledge(proof(ETHER, 0, 7, 2 ether));
        exitBy(bob, new SignedProof[](0));
        submitBy(mallory, one(p));
        submitBy(alice, two(p, proof(ETHER, 1, 3, 1 ether)));
        _expectLane(0, 7, 2 ether, true);
        _expectLane(1, 3, 1 ether, false);
    }

    /// @dev Rule 13: it is the payer's signature that makes a proof.
    function test_submitProofs_refusesWhatThePayerDidNotSign() public {
        exitBy(alice, new SignedProof[](0));
        SignedProof memory p = proof(ETHER, 1, 7, 2 ether);
        p.signature = signed(ALICE_SESSION, Typed.proofOf(id, p));
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, channel.b.signer));
        submitBy(alice, one(p));
    }

    function test_submitProofs_refusesChangedProof() public {
        exitBy(alice, new SignedProof[](0));
        for (uint256 i = 0; i < 7; ++i) {
            SignedProof memory p = proof(ETHER, 1, 7, 2 ether);
            if (i == 0) p.asset = address(dai);
            if (i == 1) p.nonce = 8;
            if (i == 2) p.transferred = 3 ether;
            if (i == 3) p.seen = 1;
            if (i == 4) p.signature = "";
            if (i == 5) p.signature = abi.encodePacked(p.signature, uint8(0));
            if (i == 6) (p.locked, p.locksRoot) = (1, bytes32(0));
            vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, channel.b.signer));
            submitBy(alice, one(p));
        }
    }

    /// @dev Rule 13: an acknowledgement is of exactly one proof, and of the payee's making.
    function test_submitProofs_refusesAcknowledgementOfAnotherProof() public {
        exitBy(bob, new SignedProof[](0));
        SignedProof memory p = proof(ETHER, 0, 7, 2 ether);
        p.acknowledgement = acknowledge(proof(ETHER, 0, 7, 3 ether)).acknowledgement;
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, channel.b.signer));
        submitBy(alice, one(p));
        p.acknowledgement = signed(ALICE_SESSION, Typed.acknowledgementOf(id, p));
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, channel.b.signer));
        submitBy(alice, one(p));
    }

    function test_submitProofs_refusesProofOfOtherChannel() public {
        SignedProof memory p = acknowledge(proof(ETHER, 1, 7, 2 ether));
        channel.salt = 2;
        id = farthing.channelIdOf(channel);
        vm.expectRevert(abi.encodeWithSelector(IFarthing.WrongSignature.selector, channel.b.signer));
        exitBy(alice, one(p));
    }

    function test_submitProofs_refusesThirdSide() public {
        SignedProof memory p = proof(ETHER, 1, 7, 2 ether);
        p.payer = 2;
        vm.expectRevert(abi.encodeWithSelector(IFarthing.InvalidSide.selector, 2));
        exitBy(alice, one(p));
    }

    /// @dev Rule 14, and no closing of one asset voids the proofs of another: whoever holds one could mine it first.
    function test_startExit_skipsClosedAsset() public {
        deposit(0, address(dai), 10 ether);
        SignedProof[] memory kit = two(proof(address(dai), 1, 7, 1), proof(ETHER, 1, 7, 2 ether));
        close(closingOf(address(dai), 10 ether, 0, 10 ether, 0));
        exitBy(alice, kit);
        vm.assertEq(uint256(farthing.laneState(id, address(dai), 1).nonce), 0);
        _expectLane(1, 7, 2 ether, false);
    }

    /// @dev Rule 14, as above: the ready answer to an old proof counts for what is open.
    function test_submitProofs_skipsClosedAsset() public {
        deposit(0, address(dai), 10 ether);
        SignedProof memory old = acknowledge(proof(ETHER, 1, 1, 1 ether));
        SignedProof[] memory kit = two(proof(address(dai), 1, 1, 1), proof(ETHER, 1, 2, 4 ether));
        close(closingOf(address(dai), 10 ether, 0, 10 ether, 0));
        exitBy(bob, one(old));
        submitBy(alice, kit);
        vm.assertEq(uint256(farthing.laneState(id, address(dai), 1).nonce), 0);
        _expectLane(1, 2, 4 ether, false);
        endChallenge();
        uint256 a = alice.balance;
        farthing.settle(channel, ETHER);
        vm.assertEq(alice.balance, a + 14 ether);
    }

    function test_submitProofs_refusesLocksWithoutTreeAndTreeWithoutLocks() public {
        bytes memory refusal = abi.encodeWithSelector(IFarthing.InconsistentLocks.selector, ETHER, 1, 7);
        vm.expectRevert(refusal);
        exitBy(alice, one(lockedProof(ETHER, 1, 7, 1 ether, 1 ether, EMPTY_ROOT)));
        vm.expectRevert(refusal);
        exitBy(alice, one(lockedProof(ETHER, 1, 7, 1 ether, 0, bytes32(uint256(1)))));
        vm.expectRevert(refusal);
        exitBy(alice, one(lockedProof(ETHER, 1, 7, 1 ether, 0, bytes32(0))));
    }

    function test_submitProofs_newerProofClearsLocks() public {
        bytes32 root = bytes32(uint256(1));
        exitBy(alice, one(lockedProof(ETHER, 1, 7, 1 ether, 2 ether, root)));
        LaneState memory lane = farthing.laneState(id, ETHER, 1);
        vm.assertEq(uint256(lane.locked), 2 ether);
        vm.assertEq(lane.locksRoot, root);
        submitBy(alice, one(proof(ETHER, 1, 8, 3 ether)));
        lane = farthing.laneState(id, ETHER, 1);
        vm.assertEq(uint256(lane.locked), 0);
        vm.assertEq(lane.locksRoot, EMPTY_ROOT);
        (int256 netA,,) = farthing.netOf(id, ETHER);
        vm.assertEq(netA, 13 ether);
    }

    /// @dev Amounts of every size, though most are kept in one word; and a small one after a large one.
    function testFuzz_submitProofs_keepsAmountsOfEverySize(uint128 transferred, uint128 locked, uint8 shift) public {
        exitBy(alice, new SignedProof[](0));
        for (uint64 nonce = 1; nonce < 4; ++nonce) {
            bytes32 root = locked == 0 ? EMPTY_ROOT : bytes32(uint256(nonce));
            submitBy(alice, one(lockedProof(ETHER, 1, type(uint64).max - 4 + nonce, transferred, locked, root)));
            LaneState memory lane = farthing.laneState(id, ETHER, 1);
            vm.assertEq(uint256(lane.nonce), type(uint64).max - 4 + nonce);
            vm.assertEq(uint256(lane.transferred), transferred);
            vm.assertEq(uint256(lane.locked), locked);
            vm.assertEq(lane.locksRoot, root);
            vm.assertFalse(lane.acknowledged);
            (int256 netA, int256 netB,) = farthing.netOf(id, ETHER);
            vm.assertEq(netA, 10 ether + int256(uint256(transferred)));
            vm.assertEq(netB, 5 ether - int256(uint256(transferred)) - int256(uint256(locked)));
            (transferred, locked) = (transferred >> (shift % 100), locked >> (shift % 70));
        }
    }

    /// @dev The largest that the first word has room for, and one more.
    function test_submitProofs_keepsAmountsAtTheWordsEdge() public {
        exitBy(alice, new SignedProof[](0));
        uint128[4] memory transfers = [uint128(2 ** 96 - 1), 2 ** 96, 1, type(uint128).max];
        uint128[4] memory locks = [uint128(2 ** 80 - 1), 1, 2 ** 80, type(uint128).max];
        for (uint64 i = 0; i < 4; ++i) {
            submitBy(alice, one(acknowledge(lockedProof(ETHER, 1, i + 1, transfers[i], locks[i], "root"))));
            LaneState memory lane = farthing.laneState(id, ETHER, 1);
            vm.assertEq(uint256(lane.transferred), transfers[i]);
            vm.assertEq(uint256(lane.locked), locks[i]);
            vm.assertTrue(lane.acknowledged);
        }
    }

    /// @dev Rule 13, for any proofs in any order.
    function testFuzz_submitProofs_keepsTheBest(uint256[8] memory x) public {
        exitBy(alice, new SignedProof[](0));
        uint64 best;
        uint128 amount;
        bool bestAcknowledged;
        for (uint256 i = 0; i < x.length; ++i) {
            uint64 nonce = uint64(bound(x[i] >> 128, 1, 4));
            SignedProof memory p = proof(ETHER, 1, nonce, uint64(x[i]));
            bool acknowledged = x[i] >> 255 == 1;
            if (acknowledged) p = acknowledge(p);
            submitBy(alice, one(p));
            if (nonce > best || (nonce == best && acknowledged && !bestAcknowledged)) {
                (best, amount, bestAcknowledged) = (nonce, uint64(x[i]), acknowledged);
            }
            _expectLane(1, best, amount, bestAcknowledged);
        }
    }

    function _expectLane(uint8 payer, uint64 nonce, uint128 transferred, bool acknowledged) private view {
        LaneState memory lane = farthing.laneState(id, ETHER, payer);
        vm.assertEq(uint256(lane.nonce), nonce);
        vm.assertEq(uint256(lane.transferred), transferred);
        vm.assertEq(lane.acknowledged, acknowledged);
        vm.assertEq(uint256(lane.locked), 0);
        vm.assertEq(lane.locksRoot, EMPTY_ROOT);
    }
}
