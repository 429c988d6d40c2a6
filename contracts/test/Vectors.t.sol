// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {Farthing} from "../src/Farthing.sol";
import {
    AssetCap,
    Channel,
    Closing,
    ClosingAsset,
    CreditOrder,
    DepositIntent,
    ExitOrder,
    IFarthing,
    Lock,
    LockClaim,
    Participant,
    SignedProof,
    Withdrawal
} from "../src/interfaces/IFarthing.sol";
import {Conditions} from "../src/lib/Conditions.sol";
import {LockTree} from "../src/lib/LockTree.sol";
import {Messages} from "../src/lib/Messages.sol";
import {Signatures} from "../src/lib/Signatures.sol";
import {TestDai} from "./tokens/TestDai.sol";
import {vm} from "./utils/Vm.sol";

/// @dev The cheatcodes that read JSON.
interface VmJson {
    function keyExistsJson(string calldata json, string calldata key) external view returns (bool);
    function parseJsonAddress(string calldata json, string calldata key) external pure returns (address);
    function parseJsonBool(string calldata json, string calldata key) external pure returns (bool);
    function parseJsonBytes(string calldata json, string calldata key) external pure returns (bytes memory);
    function parseJsonBytes32(string calldata json, string calldata key) external pure returns (bytes32);
    function parseJsonBytes32Array(string calldata json, string calldata key) external pure returns (bytes32[] memory);
    function parseJsonInt(string calldata json, string calldata key) external pure returns (int256);
    function parseJsonString(string calldata json, string calldata key) external pure returns (string memory);
    function parseJsonUint(string calldata json, string calldata key) external pure returns (uint256);
    function readFile(string calldata path) external view returns (string memory);
    function revertToState(uint256 id) external returns (bool);
    function snapshotState() external returns (uint256);
    function toString(uint256 value) external pure returns (string memory);
}

VmJson constant vmJson = VmJson(address(uint160(uint256(keccak256("hevm cheat code")))));

/// @dev A file of vectors. It is read anew in a call of its own each time, so that no test drags it through its memory.
contract File {
    string private _path;

    constructor(string memory name) {
        _path = string.concat("../vectors/", name);
    }

    function has(string calldata key) external view returns (bool) {
        return vmJson.keyExistsJson(vmJson.readFile(_path), key);
    }

    function account(string calldata key) external view returns (address) {
        return vmJson.parseJsonAddress(vmJson.readFile(_path), key);
    }

    function flag(string calldata key) external view returns (bool) {
        return vmJson.parseJsonBool(vmJson.readFile(_path), key);
    }

    function data(string calldata key) external view returns (bytes memory) {
        return vmJson.parseJsonBytes(vmJson.readFile(_path), key);
    }

    function word(string calldata key) external view returns (bytes32) {
        return vmJson.parseJsonBytes32(vmJson.readFile(_path), key);
    }

    function words(string calldata key) external view returns (bytes32[] memory) {
        return vmJson.parseJsonBytes32Array(vmJson.readFile(_path), key);
    }

    function signed(string calldata key) external view returns (int256) {
        return vmJson.parseJsonInt(vmJson.readFile(_path), key);
    }

    function text(string calldata key) external view returns (string memory) {
        return vmJson.parseJsonString(vmJson.readFile(_path), key);
    }

    function number(string calldata key) external view returns (uint256) {
        return vmJson.parseJsonUint(vmJson.readFile(_path), key);
    }
}

/// @dev The contract's own hashes and checks, in its domain.
contract Harness is EIP712("Farthing", "1") {
    function digestOf(bytes32 structHash) external view returns (bytes32) {
        return _hashTypedDataV4(structHash);
    }

    function separator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    function hashProof(bytes32 id, SignedProof calldata proof) external pure returns (bytes32) {
        return Messages.hashProof(id, proof);
    }

    function hashAcknowledgement(bytes32 id, SignedProof calldata proof, bytes32 proofHash)
        external
        pure
        returns (bytes32)
    {
        return Messages.hashAcknowledgement(id, proof, proofHash);
    }

    function hashWithdrawal(Withdrawal calldata withdrawal) external pure returns (bytes32) {
        return Messages.hashWithdrawal(withdrawal);
    }

    function hashClosing(Closing calldata closing) external pure returns (bytes32) {
        return Messages.hashClosing(closing);
    }

    function hashExitOrder(ExitOrder calldata order) external pure returns (bytes32) {
        return Messages.hashExitOrder(order);
    }

    function hashCreditOrder(CreditOrder calldata order) external pure returns (bytes32) {
        return Messages.hashCreditOrder(order);
    }

    function hashDepositIntent(DepositIntent calldata intent) external pure returns (bytes32) {
        return Messages.hashDepositIntent(intent);
    }

    function hashVoucher(bytes32 key, uint32 units) external pure returns (bytes32) {
        return Messages.hashVoucher(key, units);
    }

    function isSigner(address signer, bytes32 digest, bytes calldata signature) external pure returns (bool) {
        return Signatures.isSigner(signer, digest, signature);
    }

    function leafOf(Lock calldata lock) external pure returns (bytes32) {
        return LockTree.leafOf(lock);
    }

    function rootOf(bytes32 leaf, uint16 slot, bytes32[16] calldata siblings) external pure returns (bytes32) {
        return LockTree.rootOf(leaf, slot, siblings);
    }
}

/// @dev The golden vectors, against the contract's own code at the vectors' own address and chain.
contract VectorsTest {
    uint64 private constant START = 1_700_000_000;

    Harness private _plain = new Harness();
    Farthing private _farthing = new Farthing(1 hours, 30 days, new AssetCap[](0), type(uint128).max);

    function setUp() public {
        vm.warp(START);
    }

    function test_vectors_ids() public {
        File file = new File("ids.json");
        uint256 i = 0;
        for (; file.has(_at("", "cases", i)); ++i) {
            string memory key = _at("", "cases", i);
            vm.chainId(file.number(string.concat(key, ".chainId")));
            Farthing farthing = _farthingAt(file.account(string.concat(key, ".contract")));
            Channel memory channel = _channel(file, string.concat(key, ".channel"));
            vm.assertEq(farthing.channelIdOf(channel), file.word(string.concat(key, ".id")));
        }
        vm.assertEq(i, 6);
    }

    function test_vectors_typedData() public {
        File file = new File("typed.json");
        uint256 i = 0;
        for (; file.has(_at("", "cases", i)); ++i) {
            string memory key = _at("", "cases", i);
            vm.chainId(file.number(string.concat(key, ".domain.chainId")));
            address verifier = file.account(string.concat(key, ".domain.contract"));
            vm.etch(verifier, address(_plain).code);
            Harness harness = Harness(verifier);
            vm.assertEq(harness.separator(), file.word(string.concat(key, ".domain.separator")));

            bytes32 hash = _structHash(harness, file, key);
            vm.assertEq(hash, file.word(string.concat(key, ".structHash")));
            bytes32 digest = harness.digestOf(hash);
            vm.assertEq(digest, file.word(string.concat(key, ".digest")));
            address signer = file.account(string.concat(key, ".signer"));
            bytes memory signature = file.data(string.concat(key, ".signature"));
            vm.assertTrue(harness.isSigner(signer, digest, signature));
            vm.assertFalse(harness.isSigner(signer, keccak256(abi.encode(digest)), signature));
        }
        vm.assertEq(i, 63);
    }

    function _structHash(Harness harness, File file, string memory key) private view returns (bytes32) {
        string memory kind = file.text(string.concat(key, ".type"));
        string memory m = string.concat(key, ".message");
        if (_same(kind, "Voucher")) {
            uint256 units = file.number(string.concat(m, ".units"));
            return harness.hashVoucher(file.word(string.concat(m, ".key")), uint32(units));
        }
        if (_same(kind, "CreditOrder")) {
            return harness.hashCreditOrder(
                CreditOrder(
                    file.account(string.concat(m, ".asset")),
                    file.account(string.concat(m, ".owner")),
                    file.account(string.concat(m, ".recipient")),
                    file.number(string.concat(m, ".amount")),
                    file.word(string.concat(m, ".salt")),
                    uint64(file.number(string.concat(m, ".deadline")))
                )
            );
        }
        bytes32 id = file.word(string.concat(m, ".channelId"));
        if (_same(kind, "BalanceProof")) return harness.hashProof(id, _unsigned(file, m));
        if (_same(kind, "Acknowledgement")) {
            SignedProof memory p;
            p.asset = file.account(string.concat(m, ".asset"));
            p.payer = uint8(file.number(string.concat(m, ".payer")));
            p.nonce = uint64(file.number(string.concat(m, ".nonce")));
            return harness.hashAcknowledgement(id, p, file.word(string.concat(m, ".proofHash")));
        }
        if (_same(kind, "Withdrawal")) {
            return harness.hashWithdrawal(
                Withdrawal(
                    id,
                    file.account(string.concat(m, ".asset")),
                    uint8(file.number(string.concat(m, ".side"))),
                    uint128(file.number(string.concat(m, ".total"))),
                    file.account(string.concat(m, ".recipient")),
                    uint64(file.number(string.concat(m, ".deadline")))
                )
            );
        }
        if (_same(kind, "Closing")) return harness.hashClosing(_closing(file, m, id));
        if (_same(kind, "ExitOrder")) {
            return harness.hashExitOrder(ExitOrder(id, uint64(file.number(string.concat(m, ".deadline")))));
        }
        if (_same(kind, "DepositIntent")) {
            return harness.hashDepositIntent(
                DepositIntent(
                    id,
                    uint8(file.number(string.concat(m, ".side"))),
                    file.account(string.concat(m, ".asset")),
                    uint128(file.number(string.concat(m, ".amount"))),
                    file.account(string.concat(m, ".from")),
                    file.word(string.concat(m, ".salt")),
                    uint64(file.number(string.concat(m, ".deadline")))
                )
            );
        }
        // Off chain only: hashed by hand.
        bytes32 typeHash = keccak256(bytes(file.text(string.concat(key, ".encodeType"))));
        if (_same(kind, "Binding")) {
            vm.assertEq(typeHash, keccak256("Binding(address owner,address signer,bytes32 channelId)"));
            address owner = file.account(string.concat(m, ".owner"));
            return keccak256(abi.encode(typeHash, owner, file.account(string.concat(m, ".signer")), id));
        }
        vm.assertEq(typeHash, keccak256("Session(bytes32 channelId,bytes32 challenge)"));
        return keccak256(abi.encode(typeHash, id, file.word(string.concat(m, ".challenge"))));
    }

    function test_vectors_locks() public {
        File file = new File("locks.json");
        vm.assertEq(file.word(".emptyRoot"), LockTree.EMPTY_ROOT);
        uint256 i = 0;
        for (; file.has(_at("", "leaves", i)); ++i) {
            string memory key = _at("", "leaves", i);
            vm.assertEq(_plain.leafOf(_lock(file, key)), file.word(string.concat(key, ".leaf")));
        }
        vm.assertEq(i, 4);
        for (i = 0; file.has(_at("", "trees", i)); ++i) {
            string memory tree = _at("", "trees", i);
            bytes32 root = file.word(string.concat(tree, ".root"));
            uint256 j = 0;
            for (; file.has(_at(tree, "branches", j)); ++j) {
                string memory key = _at(tree, "branches", j);
                uint16 slot = uint16(file.number(string.concat(key, ".slot")));
                bytes32[16] memory siblings = _siblings(file, key);
                vm.assertEq(_plain.rootOf(file.word(string.concat(key, ".leaf")), slot, siblings), root);
                vm.assertTrue(_plain.rootOf("other", slot, siblings) != root);
            }
            vm.assertTrue(j > 0);
        }
        vm.assertEq(i, 8);
    }

    function test_vectors_conditions() public {
        File file = new File("conditions.json");
        vm.chainId(file.number(".domain.chainId"));
        Farthing farthing = _farthingAt(file.account(".domain.contract"));
        uint256 i = 0;
        for (; file.has(_at("", "keys", i)); ++i) {
            _conditionKey(file, _at("", "keys", i));
        }
        vm.assertEq(i, 6);
        uint256 fresh = vmJson.snapshotState();
        for (i = 0; file.has(_at("", "cases", i)); ++i) {
            _conditionCase(farthing, file, _at("", "cases", i));
            vmJson.revertToState(fresh);
        }
        vm.assertEq(i, 35);
    }

    function _conditionCase(Farthing farthing, File file, string memory key) private {
        bytes32 conditionKey = _conditionKey(file, key);
        address condition = file.account(string.concat(key, ".condition"));
        bytes memory params = file.data(string.concat(key, ".params"));
        uint64 expiry = uint64(file.number(string.concat(key, ".expiry")));
        bytes memory evidence = file.data(string.concat(key, ".evidence"));
        if (file.has(string.concat(key, ".units"))) {
            uint256 units = file.number(string.concat(key, ".units"));
            farthing.recordEvidence(condition, params, expiry, evidence);
            vm.assertEq(uint256(farthing.unitsOf(conditionKey)), units);
        } else {
            string memory failure = file.text(string.concat(key, ".contract"));
            bytes4 selector = bytes4(keccak256(bytes(string.concat(failure, "(address)"))));
            vm.expectRevert(abi.encodeWithSelector(selector, condition));
            farthing.recordEvidence(condition, params, expiry, evidence);
        }
    }

    function _conditionKey(File file, string memory key) private view returns (bytes32 conditionKey) {
        conditionKey = Conditions.keyOf(
            file.account(string.concat(key, ".condition")),
            keccak256(file.data(string.concat(key, ".params"))),
            uint64(file.number(string.concat(key, ".expiry")))
        );
        vm.assertEq(conditionKey, file.word(string.concat(key, ".key")));
    }

    function test_vectors_invalid() public {
        File file = new File("invalid.json");
        uint256 i = 0;
        for (; file.has(_at("", "signatures", i)); ++i) {
            string memory key = _at("", "signatures", i);
            address signer = file.account(string.concat(key, ".signer"));
            bytes32 digest = file.word(string.concat(key, ".digest"));
            bytes memory signature = file.data(string.concat(key, ".signature"));
            vm.assertTrue(!_plain.isSigner(signer, digest, signature), file.text(string.concat(key, ".name")));
        }
        vm.assertEq(i, 29);
        for (i = 0; file.has(_at("", "channels", i)); ++i) {
            Channel memory channel = _channel(file, string.concat(_at("", "channels", i), ".channel"));
            vm.expectRevert(IFarthing.InvalidChannel.selector);
            _farthing.open(channel, address(0), 0);
        }
        vm.assertEq(i, 5);
        for (i = 0; file.has(_at("", "conditions", i)); ++i) {
            string memory key = _at("", "conditions", i);
            address condition = file.account(string.concat(key, ".condition"));
            bytes memory params = file.data(string.concat(key, ".params"));
            vm.expectRevert();
            _farthing.recordEvidence(condition, params, START, "");
        }
        vm.assertEq(i, 11);
    }

    struct Run {
        File file;
        Farthing farthing;
        Channel channel;
        bytes32 id;
        address asset;
    }

    function test_vectors_settlements() public {
        File file = new File("settlements.json");
        vm.chainId(file.number(".domain.chainId"));
        Farthing farthing = _farthingAt(file.account(".domain.contract"));
        TestDai dai = new TestDai();
        uint256 fresh = vmJson.snapshotState();
        uint256 i = 0;
        for (; file.has(_at("", "cases", i)); ++i) {
            string memory key = _at("", "cases", i);
            Run memory run;
            (run.file, run.farthing) = (file, farthing);
            run.channel = _channel(file, string.concat(key, ".channel"));
            run.id = farthing.channelIdOf(run.channel);
            run.asset = file.account(string.concat(key, ".asset"));
            vm.assertEq(run.id, file.word(string.concat(key, ".id")));
            if (run.asset != address(0)) {
                vm.etch(run.asset, address(dai).code);
                TestDai(run.asset).mint(address(this), type(uint128).max);
                TestDai(run.asset).approve(address(farthing), type(uint256).max);
            }
            vm.deal(address(this), type(uint128).max);

            uint256 j = 0;
            for (; file.has(_at(key, "steps", j)); ++j) {
                _checkedStep(run, _at(key, "steps", j));
            }
            vm.assertTrue(j > 3);
            vmJson.revertToState(fresh);
        }
        vm.assertEq(i, 14);
    }

    /// @dev Takes a step, and compares what it paid and what is owed after it.
    function _checkedStep(Run memory run, string memory key) private {
        uint256 a = _balance(run.asset, run.channel.a.owner);
        uint256 b = _balance(run.asset, run.channel.b.owner);
        vm.warp(run.file.number(string.concat(key, ".at")));
        _step(run, key);
        a = _balance(run.asset, run.channel.a.owner) - a;
        b = _balance(run.asset, run.channel.b.owner) - b;
        vm.assertEq(a, run.file.number(string.concat(key, ".paid[0]")), key);
        vm.assertEq(b, run.file.number(string.concat(key, ".paid[1]")), key);

        (int256 netA, int256 netB, uint256 left) = run.farthing.netOf(run.id, run.asset);
        vm.assertEq(netA, run.file.signed(string.concat(key, ".net[0]")));
        vm.assertEq(netB, run.file.signed(string.concat(key, ".net[1]")));
        vm.assertEq(left, run.file.number(string.concat(key, ".left")), key);
    }

    function _step(Run memory run, string memory key) private {
        string memory what = run.file.text(string.concat(key, ".do"));
        if (_same(what, "deposit")) {
            uint8 side = uint8(run.file.number(string.concat(key, ".side")));
            uint128 amount = uint128(run.file.number(string.concat(key, ".amount")));
            uint256 value = run.asset == address(0) ? amount : 0;
            run.farthing.deposit{value: value}(run.channel, side, run.asset, amount);
        } else if (_same(what, "withdraw")) {
            _withdraw(run, key);
        } else if (_same(what, "exit")) {
            vm.prank(run.channel.a.owner);
            run.farthing.startExit(run.channel, new SignedProof[](0), 0, "", 0);
        } else if (_same(what, "prove")) {
            SignedProof[] memory proofs = new SignedProof[](1);
            proofs[0] = _unsigned(run.file, string.concat(key, ".proof"));
            proofs[0].signature = run.file.data(string.concat(key, ".proof.signature"));
            proofs[0].acknowledgement = run.file.data(string.concat(key, ".proof.acknowledgement"));
            uint256 by = run.file.number(string.concat(key, ".by"));
            vm.prank(by == 0 ? run.channel.a.owner : run.channel.b.owner);
            run.farthing.submitProofs(run.channel, proofs);
        } else if (_same(what, "evidence")) {
            _evidence(run, key);
        } else if (_same(what, "settle")) {
            run.farthing.settle(run.channel, run.asset);
        } else {
            vm.assertTrue(_same(what, "claim"));
            _claim(run, key);
        }
    }

    function _withdraw(Run memory run, string memory key) private {
        Withdrawal memory withdrawal = Withdrawal(
            run.id,
            run.asset,
            uint8(run.file.number(string.concat(key, ".side"))),
            uint128(run.file.number(string.concat(key, ".total"))),
            run.file.account(string.concat(key, ".recipient")),
            uint64(run.file.number(string.concat(key, ".deadline")))
        );
        bytes memory sigA = run.file.data(string.concat(key, ".signatureA"));
        bytes memory sigB = run.file.data(string.concat(key, ".signatureB"));
        run.farthing.withdraw(run.channel, withdrawal, sigA, sigB, "");
    }

    function _evidence(Run memory run, string memory key) private {
        bytes32 conditionKey = _conditionKey(run.file, key);
        address condition = run.file.account(string.concat(key, ".condition"));
        bytes memory params = run.file.data(string.concat(key, ".params"));
        uint64 expiry = uint64(run.file.number(string.concat(key, ".expiry")));
        bytes memory evidence = run.file.data(string.concat(key, ".evidence"));
        run.farthing.recordEvidence(condition, params, expiry, evidence);
        vm.assertEq(uint256(run.farthing.unitsOf(conditionKey)), run.file.number(string.concat(key, ".units")));
    }

    function _claim(Run memory run, string memory key) private {
        uint8 payer = uint8(run.file.number(string.concat(key, ".payer")));
        uint16 slot = uint16(run.file.number(string.concat(key, ".slot")));
        Lock memory lock = _lock(run.file, string.concat(key, ".lock"));
        address condition = run.file.account(string.concat(key, ".condition"));
        bytes32 paramsHash = run.file.word(string.concat(key, ".paramsHash"));
        uint64 expiry = uint64(run.file.number(string.concat(key, ".expiry")));
        bytes32[16] memory siblings = _siblings(run.file, key);
        if (run.file.flag(string.concat(key, ".nothing"))) {
            vm.expectRevert(IFarthing.NothingToClaim.selector);
        }
        run.farthing
            .claimLock(run.channel, run.asset, payer, LockClaim(slot, lock, condition, paramsHash, expiry, siblings));
        (uint32 units, bool returned) = run.farthing.claimed(run.id, run.asset, payer, slot);
        vm.assertEq(uint256(units), run.file.number(string.concat(key, ".units")));
        vm.assertEq(returned, run.file.flag(string.concat(key, ".returned")));
    }

    // Values.

    function _farthingAt(address verifier) private returns (Farthing) {
        // Where it does not find its own address, the contract computes its domain anew.
        vm.etch(verifier, address(_farthing).code);
        return Farthing(verifier);
    }

    function _channel(File file, string memory key) private view returns (Channel memory) {
        return Channel(
            Participant(file.account(string.concat(key, ".a.owner")), file.account(string.concat(key, ".a.signer"))),
            Participant(file.account(string.concat(key, ".b.owner")), file.account(string.concat(key, ".b.signer"))),
            uint32(file.number(string.concat(key, ".challengePeriod"))),
            uint64(file.number(string.concat(key, ".salt")))
        );
    }

    function _unsigned(File file, string memory key) private view returns (SignedProof memory p) {
        p.asset = file.account(string.concat(key, ".asset"));
        p.payer = uint8(file.number(string.concat(key, ".payer")));
        p.nonce = uint64(file.number(string.concat(key, ".nonce")));
        p.transferred = uint128(file.number(string.concat(key, ".transferred")));
        p.locked = uint128(file.number(string.concat(key, ".locked")));
        p.locksRoot = file.word(string.concat(key, ".locksRoot"));
        p.seen = uint64(file.number(string.concat(key, ".seen")));
    }

    function _closing(File file, string memory key, bytes32 id) private view returns (Closing memory c) {
        uint256 count = 0;
        while (file.has(_at(key, "assets", count))) ++count;
        c.channelId = id;
        c.deadline = uint64(file.number(string.concat(key, ".deadline")));
        c.assets = new ClosingAsset[](count);
        for (uint256 i = 0; i < count; ++i) {
            string memory entry = _at(key, "assets", i);
            c.assets[i] = ClosingAsset(
                file.account(string.concat(entry, ".asset")),
                uint128(file.number(string.concat(entry, ".totalA"))),
                uint128(file.number(string.concat(entry, ".totalB"))),
                uint128(file.number(string.concat(entry, ".depositA"))),
                uint128(file.number(string.concat(entry, ".depositB")))
            );
        }
    }

    function _lock(File file, string memory key) private view returns (Lock memory) {
        return Lock(
            file.word(string.concat(key, ".key")),
            uint32(file.number(string.concat(key, ".n"))),
            uint128(file.number(string.concat(key, ".unitPrice"))),
            uint32(file.number(string.concat(key, ".redeemed")))
        );
    }

    function _siblings(File file, string memory key) private view returns (bytes32[16] memory siblings) {
        bytes32[] memory list = file.words(string.concat(key, ".siblings"));
        vm.assertEq(list.length, 16);
        for (uint256 i = 0; i < 16; ++i) {
            siblings[i] = list[i];
        }
    }

    function _balance(address asset, address account) private view returns (uint256) {
        return asset == address(0) ? account.balance : TestDai(asset).balanceOf(account);
    }

    function _at(string memory key, string memory list, uint256 index) private pure returns (string memory) {
        return string.concat(key, ".", list, "[", vmJson.toString(index), "]");
    }

    function _same(string memory left, string memory right) private pure returns (bool) {
        return keccak256(bytes(left)) == keccak256(bytes(right));
    }
}
