// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {DepositRelay} from "../../src/DepositRelay.sol";
import {DaiPermit, RelayedDeposit} from "../../src/interfaces/IDepositRelay.sol";
import {Permit} from "../../src/interfaces/IFarthing.sol";
import {ListedToken, OldDai} from "../tokens/SignedTokens.sol";
import {WitnessPermits} from "../tokens/WitnessPermits.sol";
import {Base} from "./Base.sol";
import {Typed} from "./Typed.sol";
import {vm} from "./Vm.sol";

interface IDomain {
    function DOMAIN_SEPARATOR() external view returns (bytes32);
}

/// @dev Alice has tokens and no ETH; the relayer is paid in tokens.
abstract contract RelayBase is Base {
    uint128 internal constant AMOUNT = 100;
    uint128 internal constant FEE = 3;
    address internal constant PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;
    address internal constant RELAYER = address(0x9e1a);

    DepositRelay internal relay;
    OldDai internal old;
    ListedToken internal listed;

    function setUp() public virtual override {
        super.setUp();
        relay = new DepositRelay();
        old = new OldDai();
        listed = new ListedToken();
        old.mint(alice, 1000);
        listed.mint(alice, 1000);
        vm.etch(PERMIT2, address(new WitnessPermits()).code);
        vm.deal(alice, 0);
    }

    function wishOf(address asset) internal view returns (RelayedDeposit memory) {
        return
            RelayedDeposit(
                address(farthing), id, 0, alice, asset, AMOUNT, FEE, RELAYER, START + 1 hours, bytes32("salt")
            );
    }

    function relayDigestOf(RelayedDeposit memory wish) internal view returns (bytes32) {
        bytes32 separator = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Farthing DepositRelay"),
                keccak256("1"),
                block.chainid,
                address(relay)
            )
        );
        bytes32 hash = vm.eip712HashStruct(Typed.RELAYED_DEPOSIT, abi.encode(wish));
        return keccak256(abi.encodePacked(hex"1901", separator, hash));
    }

    function signedBy(uint256 key, RelayedDeposit memory wish) internal view returns (bytes memory) {
        return signedDigest(key, relayDigestOf(wish));
    }

    function signedDigest(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function permitOf(address token, uint128 amount, uint256 nonce) internal view returns (Permit memory permit) {
        bytes32 hash = vm.eip712HashStruct(
            "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)",
            abi.encode(alice, address(relay), amount, nonce, START)
        );
        permit.deadline = START;
        (permit.v, permit.r, permit.s) = vm.sign(ALICE_KEY, _digest(token, hash));
    }

    function daiPermit(uint256 nonce) internal view returns (DaiPermit memory permit) {
        bytes32 hash = vm.eip712HashStruct(
            "Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)",
            abi.encode(alice, address(relay), nonce, START, true)
        );
        (permit.nonce, permit.expiry) = (nonce, START);
        (permit.v, permit.r, permit.s) = vm.sign(ALICE_KEY, _digest(address(old), hash));
    }

    function authorization(address token, RelayedDeposit memory wish, uint256 key)
        internal
        view
        returns (bytes memory)
    {
        bytes32 hash = vm.eip712HashStruct(
            "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)",
            abi.encode(wish.from, address(relay), wish.amount, 0, START + 1 days, relayDigestOf(wish))
        );
        return signedDigest(key, _digest(token, hash));
    }

    /// @dev From the whole type's text, as a wallet is shown it.
    function witnessPermit(RelayedDeposit memory wish, uint256 nonce) internal view returns (bytes memory) {
        bytes32 witness = vm.eip712HashStruct(Typed.RELAYED_DEPOSIT, abi.encode(wish));
        bytes32 permitted = vm.eip712HashStruct(
            "TokenPermissions(address token,uint256 amount)", abi.encode(wish.asset, uint256(wish.amount))
        );
        bytes32 hash = keccak256(
            abi.encode(
                keccak256(
                    abi.encodePacked(
                        "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,RelayedDeposit witness)",
                        Typed.RELAYED_DEPOSIT,
                        "TokenPermissions(address token,uint256 amount)"
                    )
                ),
                permitted,
                address(relay),
                nonce,
                uint256(START),
                witness
            )
        );
        return signedDigest(ALICE_KEY, _digest(PERMIT2, hash));
    }

    function assertDeposited(address asset, uint256 amount) internal view {
        vm.assertEq(uint256(state(asset).depositA), amount);
        vm.assertEq(balanceIn(asset, address(relay)), 0, "left in the relay");
    }

    function balanceIn(address asset, address account) internal view returns (uint256 balance) {
        (, bytes memory answer) = asset.staticcall(abi.encodeWithSignature("balanceOf(address)", account));
        balance = abi.decode(answer, (uint256));
    }

    function _digest(address verifier, bytes32 hash) private view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", IDomain(verifier).DOMAIN_SEPARATOR(), hash));
    }
}
