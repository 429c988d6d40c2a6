// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {
    AssetState,
    Closing,
    CreditOrder,
    EvidenceItem,
    Lock,
    LockClaim,
    SignedProof,
    Status
} from "../../src/interfaces/IFarthing.sol";
import {Base} from "../utils/Base.sol";
import {Receiver} from "../utils/Receiver.sol";
import {Tree} from "../utils/Tree.sol";
import {Typed} from "../utils/Typed.sol";
import {vm} from "../utils/Vm.sol";

/// @dev Three channels whose participants sign and do anything, together or against each other, in any order. Mallory
/// pays all deposits; the owners start with nothing, and no two channels share one.
contract Chaos is Base {
    uint256 public constant CHANNELS = 3;
    uint16 private constant SLOT = 5;

    Receiver private immutable _receiver;

    /// @dev How often a call went through, by name, to see that the run did something.
    mapping(string => uint256) public done;

    constructor() {
        setUp();
        _receiver = new Receiver();
        vm.deal(mallory, 1_000_000 ether);
        dai.mint(mallory, 1_000_000 ether);
    }

    function deposit(uint256 seed, uint256 amount) external {
        address asset = _use(seed);
        uint128 value = uint128(bound(amount, 1, 10 ether));
        vm.prank(mallory);
        try farthing.deposit{value: asset == ETHER ? value : 0}(channel, uint8(seed >> 16) % 2, asset, value) {
            ++done["deposit"];
        } catch {}
    }

    function withdraw(uint256 seed, uint256 total) external {
        address asset = _use(seed);
        uint8 side = uint8(seed >> 16) % 2;
        AssetState memory s = state(asset);
        uint256 held = uint256(s.depositA) + s.depositB - s.withdrawnA - s.withdrawnB;
        uint128 before = side == 0 ? s.withdrawnA : s.withdrawnB;
        try this.doWithdraw(side, asset, uint128(before + bound(total, 0, held + 1))) {
            ++done["withdraw"];
        } catch {}
    }

    function close(uint256 seed, uint256 share, uint256 late) external {
        // Rarely, or little else would happen.
        if ((seed >> 32) % 4 != 0) return;
        address asset = _use(seed);
        AssetState memory s = state(asset);
        uint128 depositA = uint128(bound(late, s.depositA / 2, s.depositA));
        uint128 all = depositA + s.depositB;
        uint128 totalA = uint128(bound(share, 0, all));
        try this.doClose(closingOf(asset, totalA, all - totalA, depositA, s.depositB)) {
            ++done["close"];
        } catch {}
    }

    function startExit(uint256 seed) external {
        _use(seed);
        vm.prank(channel.b.signer);
        try farthing.startExit(channel, new SignedProof[](0), 0, "", 0) {
            ++done["startExit"];
        } catch {}
    }

    /// @dev A proof with or without a lock, and with an honest or a false sum of what is locked.
    function submit(uint256 seed, uint256 transferred, uint256 locked) external {
        address asset = _use(seed);
        uint8 payer = uint8(seed >> 16) % 2;
        SignedProof memory p = SignedProof(
            asset, payer, uint64(seed >> 24) % 5, uint128(bound(transferred, 0, 30 ether)), 0, EMPTY_ROOT, 0, "", ""
        );
        if (seed >> 255 == 1) {
            Lock memory lock = _lock(seed);
            p.locked = (seed >> 254) % 2 == 1 ? lock.n * lock.unitPrice : uint128(bound(locked, 1, 10 ether));
            p.locksRoot = Tree.rootOf(treeOf(SLOT, lock));
        }
        p.signature = signed(sessionOf(payer), Typed.proofOf(id, p));
        if ((seed >> 253) % 2 == 1) p = acknowledge(p);
        vm.prank(payer == 0 ? channel.b.signer : channel.a.signer);
        try farthing.submitProofs(channel, one(p)) {
            ++done["submit"];
        } catch {}
    }

    function settle(uint256 seed) external {
        address asset = _use(seed);
        if (seed >> 255 == 0) {
            try farthing.settle(channel, asset) {
                ++done["settle"];
            } catch {}
            return;
        }
        // Twice, as a careless caller would.
        address[] memory assets = new address[](2);
        (assets[0], assets[1]) = (asset, asset);
        bool isOpen = state(asset).status == Status.Open;
        try farthing.settleBatch(channel, assets) {
            if (isOpen) ++done["settle"];
        } catch {}
    }

    function reveal(uint256 seed) external {
        bytes32 secret = _secret(seed);
        if (seed >> 255 == 1) {
            EvidenceItem[] memory items = new EvidenceItem[](2);
            items[0] = EvidenceItem(HASH_LOCK, hashOf(secret), _expiry(seed), abi.encode("wrong"));
            items[1] = EvidenceItem(HASH_LOCK, hashOf(secret), _expiry(seed), abi.encode(secret));
            farthing.recordEvidenceBatch(items);
            return;
        }
        try farthing.recordEvidence(HASH_LOCK, hashOf(secret), _expiry(seed), abi.encode(secret)) {
            ++done["reveal"];
        } catch {}
    }

    /// @dev Whatever of the possible locks is in the tree, of either lane.
    function claim(uint256 seed) external {
        address asset = _use(seed);
        for (uint256 i = 0; i < 8; ++i) {
            Lock memory lock = _lock(i << 64);
            bytes32[16] memory siblings = Tree.siblingsOf(treeOf(SLOT, lock), SLOT);
            bytes32 paramsHash = keccak256(hashOf(_secret(i << 64)));
            uint8 payer = uint8(seed >> 16) % 2;
            LockClaim memory one_ = LockClaim(SLOT, lock, HASH_LOCK, paramsHash, _expiry(i << 64), siblings);
            if ((seed >> 254) % 2 == 0) {
                try farthing.claimLock(channel, asset, payer, one_) {
                    ++done["claim"];
                } catch {}
                continue;
            }
            LockClaim[] memory twice = new LockClaim[](2);
            (twice[0], twice[1]) = (one_, one_);
            try farthing.claimLockBatch(channel, asset, payer, twice) {
                ++done["claim"];
            } catch {}
        }
    }

    /// @dev Any part of it, and sometimes to the other owner of the channel.
    function payCredit(uint256 seed) external {
        address asset = _use(seed);
        address owner = channel.a.owner;
        uint256 amount = bound(seed >> 16, 0, farthing.credit(asset, owner) + 1);
        if (seed >> 255 == 1) {
            CreditOrder memory order = CreditOrder(asset, owner, channel.b.owner, amount, bytes32(seed), 0);
            vm.prank(owner);
            try farthing.redirectCredit(order, "") {
                ++done["redirectCredit"];
            } catch {}
            return;
        }
        try farthing.payCredit(asset, owner, amount) {
            ++done["payCredit"];
        } catch {}
    }

    function pass(uint256 time) external {
        vm.warp(block.timestamp + bound(time, 1 minutes, 12 hours));
    }

    function setMood(uint256 mood) external {
        _receiver.setMood(Receiver.Mood(mood % 3));
    }

    // Reached by the calls above alone.

    function doWithdraw(uint8 side, address asset, uint128 total) external {
        require(msg.sender == address(this));
        withdrawTo(side, asset, total, side == 0 ? channel.a.owner : channel.b.owner);
    }

    function doClose(Closing memory c) external {
        require(msg.sender == address(this));
        close(c);
    }

    /// @dev What a channel's people have of an asset, with credits; and what the contract keeps for them.
    function accountOf(uint64 number, address asset) external returns (uint256 deposits, uint256 out, uint256 kept) {
        _select(number);
        AssetState memory s = state(asset);
        deposits = uint256(s.depositA) + s.depositB;
        uint256 credits = farthing.credit(asset, channel.a.owner) + farthing.credit(asset, channel.b.owner);
        out = balanceOf(asset, channel.a.owner) + balanceOf(asset, channel.b.owner);
        (,, uint256 left) = farthing.netOf(id, asset);
        kept = credits + left;
    }

    function holding(address asset) external view returns (uint256) {
        return balanceOf(asset, address(farthing));
    }

    function tokens() external view returns (address[2] memory) {
        return [ETHER, address(dai)];
    }

    function _use(uint256 seed) private returns (address asset) {
        _select(uint8(seed) % uint8(CHANNELS));
        return (seed >> 8) % 2 == 0 ? ETHER : address(dai);
    }

    function _select(uint64 number) private {
        address ownerA = number == 2 ? address(_receiver) : address(uint160(0xaaa000 + number));
        channel = channelOf(ownerA, address(uint160(0xbbb000 + number)), number);
        id = farthing.channelIdOf(channel);
    }

    function _lock(uint256 seed) private pure returns (Lock memory) {
        uint256 kind = (seed >> 64) % 8;
        bytes32 key = hashLockOf(_secret(seed), _expiry(seed));
        return Lock(key, uint32(kind % 3 + 1), uint128(kind + 1) * 0.5 ether, 0);
    }

    function _secret(uint256 seed) private pure returns (bytes32) {
        return bytes32((seed >> 64) % 8);
    }

    function _expiry(uint256 seed) private pure returns (uint64) {
        return START + 1 days + uint64((seed >> 64) % 8) * 6 hours;
    }
}
