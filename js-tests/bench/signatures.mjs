// One balance proof signed and recovered by the package, viem and @noble/curves: rounds of the three interleaved, so
// that a noisy machine is noisy for all. All must give the same signature, or nothing is measured.

import { secp256k1 } from "@noble/curves/secp256k1.js";
import { hashTypedData, recoverTypedDataAddress, toHex, zeroAddress } from "viem";
import { privateKeyToAccount } from "viem/accounts";

const SECRET = new Uint8Array(32).fill(7);
const TYPES = {
  BalanceProof: [
    ["bytes32", "channelId"], ["address", "asset"], ["uint8", "payer"], ["uint64", "nonce"], ["uint128", "transferred"],
    ["uint128", "locked"], ["bytes32", "locksRoot"], ["uint64", "seen"],
  ].map(([type, name]) => ({ name, type })),
};

function typedData(nonce) {
  return {
    domain: { name: "Farthing", version: "1", chainId: 31337, verifyingContract: `0x${"11".repeat(20)}` },
    types: TYPES,
    primaryType: "BalanceProof",
    message: {
      channelId: `0x${"22".repeat(32)}`, asset: zeroAddress, payer: 0, nonce: BigInt(nonce), transferred: BigInt(nonce) * 1_000_000_000n,
      locked: 0n, locksRoot: `0x${"00".repeat(32)}`, seen: BigInt(nonce),
    },
  };
}

/** Medians in µs: `{ farthing: { sign, recover }, viem: …, "@noble/curves": … }`. */
export async function measure(BenchKey, { rounds = 9, batch = 60 } = {}) {
  const account = privateKeyToAccount(toHex(SECRET));
  const ours = new BenchKey(SECRET);
  const signature = await account.signTypedData(typedData(1));
  if (toHex(ours.sign(1)) !== signature) throw new Error("the package signs something else than viem");
  if (toHex(ours.recover(1, ours.sign(1))) !== account.address.toLowerCase()) throw new Error("recovers somebody else");

  // noble is given the digest, since it has no typed data; viem hashes with noble's keccak.
  const digests = Array.from({ length: batch }, (_, nonce) => hashTypedData(typedData(nonce + 1)));
  const raw = digests.map((digest) => Uint8Array.from(digest.slice(2).match(/../g), (pair) => parseInt(pair, 16)));
  const nobles = raw.map((digest) => secp256k1.sign(digest, SECRET, { prehash: false, format: "recovered" }));
  const signatures = await Promise.all(digests.map((_, index) => account.signTypedData(typedData(index + 1))));
  const bytes = digests.map((_, index) => ours.sign(index + 1));

  const candidates = {
    farthing: { sign: (i) => ours.sign(i + 1), recover: (i) => ours.recover(i + 1, bytes[i]) },
    viem: {
      sign: (i) => account.signTypedData(typedData(i + 1)),
      recover: (i) => recoverTypedDataAddress({ ...typedData(i + 1), signature: signatures[i] }),
    },
    "@noble/curves": {
      sign: (i) => secp256k1.sign(raw[i], SECRET, { prehash: false, format: "recovered" }),
      recover: (i) => secp256k1.recoverPublicKey(nobles[i], raw[i], { prehash: false }),
    },
  };
  const times = {};
  for (let round = -2; round < rounds; round += 1) {
    for (const [name, calls] of Object.entries(candidates)) {
      for (const [what, call] of Object.entries(calls)) {
        const started = performance.now();
        for (let index = 0; index < batch; index += 1) await call(index);
        const each = ((performance.now() - started) * 1_000) / batch;
        if (round >= 0) ((times[name] ??= {})[what] ??= []).push(each);
      }
    }
  }
  const median = (values) => values.sort((x, y) => x - y)[values.length >> 1];
  return Object.fromEntries(
    Object.entries(times).map(([name, calls]) => [name, { sign: median(calls.sign), recover: median(calls.recover) }]),
  );
}
