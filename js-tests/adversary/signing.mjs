// What the protocol signs and hashes, made by viem alone: neither the package nor the hub is asked how it is done.

import { encodeAbiParameters, hashStruct, keccak256, zeroHash } from "viem";
import { privateKeyToAccount } from "viem/accounts";

const fields = (text) => text.split(",").map((field) => ({ type: field.trim().split(" ")[0], name: field.trim().split(" ")[1] }));

/** The EIP-712 types of `docs/protocol.md`. */
export const TYPES = {
  BalanceProof: fields(
    "bytes32 channelId,address asset,uint8 payer,uint64 nonce,uint128 transferred,uint128 locked,bytes32 locksRoot,uint64 seen",
  ),
  Acknowledgement: fields("bytes32 channelId,address asset,uint8 payer,uint64 nonce,bytes32 proofHash"),
  Withdrawal: fields("bytes32 channelId,address asset,uint8 side,uint128 total,address recipient,uint64 deadline"),
  ClosingAsset: fields("address asset,uint128 totalA,uint128 totalB,uint128 depositA,uint128 depositB"),
  Closing: fields("bytes32 channelId,ClosingAsset[] assets,uint64 deadline"),
  Session: fields("bytes32 channelId,bytes32 challenge"),
  Binding: fields("address owner,address signer,bytes32 channelId"),
};

const SIDES = { A: 0, B: 1 };

/** Signs for one channel: `{ proof, acknowledgement, withdrawal, closing, session, binding }`, each given a key. */
export function signing({ chainId, contract }, channelId) {
  const domain = { name: "Farthing", version: "1", chainId, verifyingContract: contract };
  const sign = (privateKey, primaryType, message) =>
    privateKeyToAccount(privateKey).signTypedData({ domain, types: TYPES, primaryType, message: { channelId, ...message } });
  const statement = ({ asset, payer, proof }) => ({ channelId, asset, payer: SIDES[payer], ...proof });
  return {
    proof: (key, lane) => sign(key, "BalanceProof", statement(lane)),
    acknowledgement(key, lane) {
      const proofHash = hashStruct({ types: TYPES, primaryType: "BalanceProof", data: statement(lane) });
      return sign(key, "Acknowledgement", { asset: lane.asset, payer: SIDES[lane.payer], nonce: lane.proof.nonce, proofHash });
    },
    withdrawal: (key, withdrawal) => sign(key, "Withdrawal", { ...withdrawal, side: SIDES[withdrawal.side] }),
    closing: (key, closing) => sign(key, "Closing", closingStruct(closing)),
    session: (key, challenge) => sign(key, "Session", { challenge }),
    binding: (key, owner, signer) => sign(key, "Binding", { owner, signer }),
  };
}

/** A closing of the wire as the contract names its fields. */
export const closingStruct = ({ assets, deadline }) => ({
  assets: assets.map(({ asset, totals, deposits }) => ({ asset, totalA: totals.a, totalB: totals.b, depositA: deposits.a, depositB: deposits.b })),
  deadline,
});

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

/** The other signature of the same key over the same thing, which both sides of the chain have to refuse. */
export function highS(signature) {
  const [r, s, v] = [signature.slice(2, 66), BigInt(`0x${signature.slice(66, 130)}`), parseInt(signature.slice(130), 16)];
  return `0x${r}${(ORDER - s).toString(16).padStart(64, "0")}${(55 - v).toString(16)}`;
}

export const HASH_LOCK = "0x000000000000000000000000000000000000fa01";

/** `keccak256(abi.encode(condition, keccak256(params), expiry))`. */
export const conditionKey = ({ address, params }, expiry) =>
  keccak256(encodeAbiParameters([{ type: "address" }, { type: "bytes32" }, { type: "uint64" }], [address, keccak256(params), BigInt(expiry)]));

const DEPTH = 16;
const pair = (left, right) => keccak256(`0x${left.slice(2)}${right.slice(2)}`);
const EMPTY = [zeroHash];
for (let height = 0; height < DEPTH; height += 1) EMPTY.push(pair(EMPTY[height], EMPTY[height]));

const leaf = ({ key, n, unitPrice, redeemed }) =>
  keccak256(
    encodeAbiParameters([{ type: "bytes32" }, { type: "uint32" }, { type: "uint128" }, { type: "uint32" }], [key, n, unitPrice, redeemed]),
  );

/** Root of the tree of locks, and the nodes beside the way from `slot` to it. */
export function tree(locks, slot) {
  let nodes = new Map([...locks].map(([place, lock]) => [place, leaf(lock)]));
  const siblings = [];
  let place = slot ?? 0;
  for (let height = 0; height < DEPTH; height += 1) {
    const at = (index) => nodes.get(index) ?? EMPTY[height];
    siblings.push(at(place ^ 1));
    place >>= 1;
    nodes = new Map([...new Set([...nodes.keys()].map((index) => index >> 1))].map((up) => [up, pair(at(2 * up), at(2 * up + 1))]));
  }
  return { root: nodes.get(0) ?? EMPTY[DEPTH], siblings };
}
