// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Lock, LockClaim, SignedProof} from "../../src/interfaces/IFarthing.sol";
import {Base} from "../utils/Base.sol";
import {Tree} from "../utils/Tree.sol";
import {vm} from "../utils/Vm.sol";

/// @dev Alice keeps to the rules; Bob does as he likes with all that he ever got. Alice signs only what she can pay,
/// takes only what Bob can pay by what he acknowledged, and acknowledges what she takes. A lock is redeemed only when
/// its secret is known to its payer.
contract Honest is Base {
    uint64 private constant EXPIRY = START + 40 days;
    uint16 private constant MAX_LOCKS = 3;

    /// @dev A pending lock. Of Alice's locks, Bob may have told her the secret or kept it.
    struct Pending {
        bool live;
        bytes32 secret;
        uint128 worth;
    }

    /// @dev A lane as both would have it by its newest proof.
    struct Model {
        uint64 nonce;
        uint128 transferred;
        uint128 locked;
        Pending[MAX_LOCKS] locks;
    }

    Model[2] private _lanes;
    SignedProof[][2] private _proofs;
    mapping(uint8 payer => mapping(uint64 nonce => Pending[MAX_LOCKS])) private _locksOf;
    /// @dev Of Alice's proofs, the newest that Bob acknowledged, and what it says she paid.
    uint256 private _acknowledged;
    uint128 private _spendable;
    uint128[2] private _deposited;
    uint128[2] private _withdrawn;
    uint256 private _secrets;
    uint256 private _entropy;

    uint256 public steps;
    uint256 public finished;
    address private constant OWNER = address(0xa11ce0001);

    constructor() {
        setUp();
        channel = channelOf(OWNER, bob, 77);
        id = farthing.channelIdOf(channel);
    }

    function deposit(uint256 seed) external {
        _mix(seed);
        uint8 side = uint8(seed % 2);
        uint128 amount = uint128(bound(seed >> 8, 1, 5 ether));
        if (_deposited[side] > 100 ether) return;
        vm.prank(ownerOf(side));
        farthing.deposit{value: amount}(channel, side, ETHER, amount);
        _deposited[side] += amount;
    }

    function transfer(uint256 seed) external {
        _mix(seed);
        uint8 payer = uint8(seed % 2);
        uint128 free = _free(payer);
        if (free == 0) return;
        _lanes[payer].transferred += uint128(bound(seed >> 8, 1, free));
        _sign(payer, seed);
    }

    function lock(uint256 seed) external {
        _mix(seed);
        uint8 payer = uint8(seed % 2);
        uint128 free = _free(payer);
        Pending storage pending = _lanes[payer].locks[(seed >> 4) % MAX_LOCKS];
        if (free == 0 || pending.live) return;
        uint128 worth = uint128(bound(seed >> 8, 1, free));
        (pending.live, pending.secret, pending.worth) = (true, bytes32(++_secrets), worth);
        _lanes[payer].locked += worth;
        _sign(payer, seed);
    }

    /// @dev The payee tells the secret, and the payer moves the lock's worth over.
    function redeem(uint256 seed) external {
        _mix(seed);
        uint8 payer = uint8(seed % 2);
        Pending storage pending = _lanes[payer].locks[(seed >> 4) % MAX_LOCKS];
        if (!pending.live) return;
        pending.live = false;
        _lanes[payer].locked -= pending.worth;
        _lanes[payer].transferred += pending.worth;
        _sign(payer, seed);
    }

    function withdraw(uint256 seed) external {
        _mix(seed);
        uint8 side = uint8(seed % 2);
        uint128 free = _free(side);
        // Alice has only what Bob can't take back by showing less of his own lane: she shows it herself.
        if (free == 0 || free > _deposited[0] + _deposited[1] - _withdrawn[0] - _withdrawn[1]) return;
        _withdrawn[side] += uint128(bound(seed >> 8, 1, free));
        withdrawTo(side, ETHER, _withdrawn[side], side == 0 ? OWNER : bob);
    }

    /// @dev Bob does his worst, Alice what the rules ask of her; then she has at least her due.
    function finish() external {
        if (farthing.exitEndsAt(id) != 0) return;
        ++finished;
        vm.prank(_coin(1) ? OWNER : bob);
        farthing.startExit(channel, new SignedProof[](0), 0, "", 0);
        _hostile(2);
        for (uint8 payer = 0; payer < 2; ++payer) {
            uint256 newest = payer == 0 ? _acknowledged : _proofs[1].length;
            if (newest == 0) continue;
            SignedProof memory p = _proofs[payer][newest - 1];
            submitBy(OWNER, one(p.acknowledgement.length == 0 ? acknowledge(p) : p));
        }
        _hostile(3);

        // Alice knows the secrets of what Bob locked; Bob shows some of what she locked.
        int256 due = int256(uint256(_deposited[0])) - int256(uint256(_lanes[0].transferred))
            + int256(uint256(_lanes[1].transferred));
        for (uint256 i = 0; i < MAX_LOCKS; ++i) {
            Pending memory incoming = _lanes[1].locks[i];
            if (incoming.live) {
                _reveal(incoming.secret);
                due += int256(uint256(incoming.worth));
            }
            Pending memory outgoing = _lanes[0].locks[i];
            if (outgoing.live && _coin(10 + i)) {
                _reveal(outgoing.secret);
                due -= int256(uint256(outgoing.worth));
            }
        }

        endChallenge();
        farthing.settle(channel, ETHER);
        _claimAll(_coin(20) ? 0 : 1);
        vm.warp(EXPIRY + 1);
        _claimAll(_coin(21) ? 0 : 1);
        vm.assertGe(int256(OWNER.balance), due, "the honest side lost money");
        vm.assertEq(address(farthing).balance, 0, "money is stuck");
    }

    /// @dev Bob shows old proofs: of Alice's lane as their payee, of his own as far as she acknowledged them.
    function _hostile(uint256 salt) private {
        for (uint256 i = 0; i < 2; ++i) {
            uint8 payer = _coin(salt * 100 + i) ? 0 : 1;
            uint256 count = _proofs[payer].length;
            if (count == 0) continue;
            SignedProof memory p = _proofs[payer][uint256(keccak256(abi.encode(_entropy, salt, i))) % count];
            submitBy(bob, one(payer == 1 ? acknowledge(p) : p));
        }
    }

    function _claimAll(uint8 first) private {
        for (uint8 i = 0; i < 2; ++i) {
            uint8 payer = i == 0 ? first : 1 - first;
            uint64 nonce = farthing.laneState(id, ETHER, payer).nonce;
            LockClaim[] memory claims = _claimsOf(payer, nonce);
            if (_coin(30 + payer)) {
                // With no lock in the proof there is no tree, and nothing to claim.
                if (claims.length != 0) farthing.claimLockBatch(channel, ETHER, payer, claims);
                continue;
            }
            for (uint256 j = 0; j < claims.length; ++j) {
                try farthing.claimLock(channel, ETHER, payer, claims[j]) {} catch {}
            }
        }
    }

    function _claimsOf(uint8 payer, uint64 nonce) private view returns (LockClaim[] memory claims) {
        Tree.Leaf[] memory leaves = _leaves(payer, nonce);
        claims = new LockClaim[](leaves.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            uint16 slot = leaves[i].slot;
            Pending memory pending = _locksOf[payer][nonce][slot];
            bytes32 paramsHash = keccak256(hashOf(pending.secret));
            bytes32[16] memory siblings = Tree.siblingsOf(leaves, slot);
            claims[i] = LockClaim(slot, _lock(pending), HASH_LOCK, paramsHash, EXPIRY, siblings);
        }
    }

    /// @dev What a side can spend, as Alice sees it: of her payments, Bob's side counts those that he acknowledged.
    function _free(uint8 side) private view returns (uint128) {
        uint128 received = side == 0 ? _lanes[1].transferred : _spendable;
        uint256 has = uint256(_deposited[side]) + received;
        uint256 spent = uint256(_withdrawn[side]) + _lanes[side].transferred + _lanes[side].locked;
        return has > spent ? uint128(has - spent) : 0;
    }

    function _sign(uint8 payer, uint256 seed) private {
        Model storage lane = _lanes[payer];
        ++lane.nonce;
        for (uint256 i = 0; i < MAX_LOCKS; ++i) {
            _locksOf[payer][lane.nonce][i] = lane.locks[i];
        }
        bytes32 root = Tree.rootOf(_leaves(payer, lane.nonce));
        SignedProof memory p = lockedProof(ETHER, payer, lane.nonce, lane.transferred, lane.locked, root);
        // Bob acknowledges when he likes.
        bool acknowledges = payer == 0 && (seed >> 200) % 2 == 0;
        if (acknowledges) {
            p = acknowledge(p);
            (_acknowledged, _spendable) = (_proofs[0].length + 1, lane.transferred);
        }
        _proofs[payer].push(p);
        ++steps;
    }

    function _leaves(uint8 payer, uint64 nonce) private view returns (Tree.Leaf[] memory leaves) {
        uint256 count;
        leaves = new Tree.Leaf[](MAX_LOCKS);
        for (uint16 slot = 0; slot < MAX_LOCKS; ++slot) {
            Pending memory pending = _locksOf[payer][nonce][slot];
            if (pending.live) leaves[count++] = Tree.Leaf(slot, leafOf(_lock(pending)));
        }
        assembly {
            mstore(leaves, count)
        }
    }

    function _lock(Pending memory pending) private pure returns (Lock memory) {
        return Lock(hashLockOf(pending.secret, EXPIRY), 1, pending.worth, 0);
    }

    function _reveal(bytes32 secret) private {
        farthing.recordEvidence(HASH_LOCK, hashOf(secret), EXPIRY, abi.encode(secret));
    }

    function _mix(uint256 seed) private {
        _entropy = uint256(keccak256(abi.encode(_entropy, seed)));
    }

    function _coin(uint256 salt) private view returns (bool) {
        return uint256(keccak256(abi.encode(_entropy, "coin", salt))) % 2 == 0;
    }
}
