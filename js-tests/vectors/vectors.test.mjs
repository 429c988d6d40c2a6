// The golden vectors, read by somebody who has viem, @noble and the page on the protocol, and none of our code.
// The types below are written down from that page; nothing is imported from the package.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { secp256k1 } from "@noble/curves/secp256k1.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { encodeAbiParameters, encodePacked, hashTypedData, keccak256, recoverAddress } from "viem";
import { privateKeyToAccount } from "viem/accounts";

const read = (name) => JSON.parse(readFileSync(new URL(`../../vectors/${name}`, import.meta.url), "utf8"));

const TYPES = {
  BalanceProof:
    "bytes32 channelId,address asset,uint8 payer,uint64 nonce,uint128 transferred,uint128 locked,bytes32 locksRoot,uint64 seen",
  Acknowledgement: "bytes32 channelId,address asset,uint8 payer,uint64 nonce,bytes32 proofHash",
  Withdrawal: "bytes32 channelId,address asset,uint8 side,uint128 total,address recipient,uint64 deadline",
  ClosingAsset: "address asset,uint128 totalA,uint128 totalB,uint128 depositA,uint128 depositB",
  Closing: "bytes32 channelId,ClosingAsset[] assets,uint64 deadline",
  ExitOrder: "bytes32 channelId,uint64 deadline",
  DepositIntent:
    "bytes32 channelId,uint8 side,address asset,uint128 amount,address from,bytes32 salt,uint64 deadline",
  CreditOrder: "address asset,address owner,address recipient,uint256 amount,bytes32 salt,uint64 deadline",
  Voucher: "bytes32 key,uint32 units",
  Binding: "address owner,address signer,bytes32 channelId",
  Session: "bytes32 channelId,bytes32 challenge",
};

const types = Object.fromEntries(
  Object.entries(TYPES).map(([name, text]) => [
    name,
    text.split(",").map((field) => {
      const [type, name] = field.split(" ");
      return { name, type };
    }),
  ]),
);

const domainOf = ({ chainId, contract }) => ({
  name: "Farthing",
  version: "1",
  chainId: BigInt(chainId),
  verifyingContract: contract,
});

const digestOf = (domain, primaryType, message) =>
  hashTypedData({ domain: domainOf(domain), types, primaryType, message });

const bytesOf = (hex) => Uint8Array.from(Buffer.from(hex.slice(2), "hex"));
const hexOf = (bytes) => `0x${Buffer.from(bytes).toString("hex")}`;

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

/** Whose strict signature it is: 65 bytes, v 27 or 28, r and s in range, low s; null if it is nobody's. */
function signerOf(digest, signature) {
  const bytes = bytesOf(signature);
  if (bytes.length !== 65 || ![27, 28].includes(bytes[64])) return null;
  const r = BigInt(hexOf(bytes.slice(0, 32)));
  const s = BigInt(hexOf(bytes.slice(32, 64)));
  if (r === 0n || r >= ORDER || s === 0n || s > ORDER / 2n) return null;
  try {
    const point = new secp256k1.Signature(r, s, bytes[64] - 27).recoverPublicKey(bytesOf(digest));
    return hexOf(keccak_256(point.toBytes(false).slice(1)).slice(12));
  } catch {
    return null;
  }
}

const channelType = {
  type: "tuple",
  components: [
    ...["a", "b"].map((name) => ({
      name,
      type: "tuple",
      components: [
        { name: "owner", type: "address" },
        { name: "signer", type: "address" },
      ],
    })),
    { name: "challengePeriod", type: "uint32" },
    { name: "salt", type: "uint64" },
  ],
};

const channelIdOf = (chainId, contract, channel) =>
  keccak256(
    encodeAbiParameters(
      [{ type: "uint256" }, { type: "address" }, channelType],
      [BigInt(chainId), contract, { ...channel, salt: BigInt(channel.salt) }],
    ),
  );

test("channel ids", () => {
  const { cases } = read("ids.json");
  assert.ok(cases.length > 5);
  for (const { name, chainId, contract, channel, id } of cases) {
    assert.equal(channelIdOf(chainId, contract, channel), id, name);
  }
});

test("typed data: digests, signatures made and recovered", async () => {
  const { cases } = read("typed.json");
  const seen = new Set();
  for (const { type, name, domain, message, digest, key, signer, signature } of cases) {
    seen.add(type);
    assert.equal(digestOf(domain, type, message), digest, `${type} ${name}`);
    assert.equal(signerOf(digest, signature), signer, `${type} ${name}`);
    assert.equal((await recoverAddress({ hash: digest, signature })).toLowerCase(), signer, `${type} ${name}`);
    const account = privateKeyToAccount(key);
    assert.equal(account.address.toLowerCase(), signer);
    assert.equal(await account.sign({ hash: digest }), signature, `${type} ${name}: signatures are deterministic`);
  }
  assert.deepEqual([...seen, "ClosingAsset"].sort(), Object.keys(TYPES).sort());
});

const leafOf = ({ key, n, unitPrice, redeemed }) =>
  keccak256(
    encodeAbiParameters(
      [{ type: "bytes32" }, { type: "uint32" }, { type: "uint128" }, { type: "uint32" }],
      [key, n, BigInt(unitPrice), redeemed],
    ),
  );

const EMPTY = `0x${"00".repeat(32)}`;
const nodeOf = (left, right) => keccak256(encodePacked(["bytes32", "bytes32"], [left, right]));

/** The whole tree, level by level; levels hold only what is not empty. */
function rootOf(leaves) {
  let empty = EMPTY;
  let level = new Map([...leaves].filter(([, leaf]) => leaf !== EMPTY));
  for (let height = 0; height < 16; height++) {
    const above = new Map();
    for (const slot of level.keys()) {
      const up = slot >> 1;
      above.set(up, nodeOf(level.get(2 * up) ?? empty, level.get(2 * up + 1) ?? empty));
    }
    empty = nodeOf(empty, empty);
    level = above;
  }
  return level.get(0) ?? empty;
}

const rootOfBranch = (slot, leaf, siblings) =>
  siblings.reduce((node, sibling, height) => ((slot >> height) & 1 ? nodeOf(sibling, node) : nodeOf(node, sibling)), leaf);

test("leaves, roots and branches", () => {
  const { emptyRoot, leaves, trees } = read("locks.json");
  assert.equal(rootOf(new Map()), emptyRoot);
  for (const lock of leaves) assert.equal(leafOf(lock), lock.leaf, lock.name);
  for (const { name, steps, root, branches } of trees) {
    const slots = new Map();
    for (const { slot, leaf } of steps) slots.set(slot, leaf);
    assert.equal(rootOf(slots), root, name);
    for (const { slot, leaf, siblings } of branches) {
      assert.equal(siblings.length, 16);
      assert.equal(rootOfBranch(slot, leaf, siblings), root, `${name}, slot ${slot}`);
    }
  }
});

const keyOf = (condition, params, expiry) => keyOfHash(condition, keccak256(params), expiry);
const keyOfHash = (condition, paramsHash, expiry) =>
  keccak256(
    encodeAbiParameters(
      [{ type: "address" }, { type: "bytes32" }, { type: "uint64" }],
      [condition, paramsHash, BigInt(expiry)],
    ),
  );

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const numberAt = (bytes, at) => Buffer.from(bytes).readUInt32BE(at);

/** Units, or the name of the contract's error. */
function evaluate(domain, { condition, params, expiry, evidence }) {
  const [given, shown] = [bytesOf(params), bytesOf(evidence)];
  switch (condition) {
    case "0x000000000000000000000000000000000000fa01":
      if (given.length !== 32) return "MalformedParams";
      if (shown.length !== 32) return "MalformedEvidence";
      return sha256(shown) === params.slice(2) ? 2 ** 32 - 1 : "NothingProven";
    case "0x000000000000000000000000000000000000fa02": {
      if (given.length !== 36) return "MalformedParams";
      const n = numberAt(given, 32);
      if (n < 1 || n > 2 ** 14) return "MalformedParams";
      if (shown.length !== 36) return "MalformedEvidence";
      const k = numberAt(shown, 0);
      if (k < 1 || k > n) return "MalformedEvidence";
      let word = shown.slice(4);
      for (let i = 0; i < k; i++) word = keccak_256(word);
      return hexOf(word) === hexOf(given.slice(0, 32)) ? k : "NothingProven";
    }
    case "0x000000000000000000000000000000000000fa03": {
      if (given.length !== 52) return "MalformedParams";
      if (shown.length !== 69) return "MalformedEvidence";
      const units = numberAt(shown, 0);
      const digest = digestOf(domain, "Voucher", { key: keyOf(condition, params, expiry), units });
      const signer = signerOf(digest, hexOf(shown.slice(4)));
      return units > 0 && signer === hexOf(given.slice(0, 20)) ? units : "NothingProven";
    }
    default:
      throw new Error(`unknown condition ${condition}`);
  }
}

test("condition keys, and what evidence proves", () => {
  const { domain, keys, cases } = read("conditions.json");
  for (const { name, condition, params, expiry, key } of [...keys, ...cases]) {
    assert.equal(keyOf(condition, params, expiry), key, name);
  }
  for (const each of cases) {
    assert.equal(evaluate(domain, each), each.units ?? each.contract, each.name);
  }
});

test("settlements: nets, payouts and claims", () => {
  const { domain, cases } = read("settlements.json");
  for (const { name, channel, id, asset, steps } of cases) {
    assert.equal(channelIdOf(domain.chainId, domain.contract, channel), id, name);
    settlement(domain, name, channel, id, asset, steps);
  }
});

function settlement(domain, name, channel, id, asset, steps) {
  const parties = [channel.a, channel.b];
  const deposits = [0n, 0n];
  const withdrawn = [0n, 0n];
  const lanes = [0, 1].map(() => ({ nonce: 0n, acknowledged: false, transferred: 0n, locked: 0n, root: null }));
  const proven = new Map();
  const claims = new Map();
  let nets = null;
  let left = 0n;

  const netOf = (side) =>
    deposits[side] - withdrawn[side] - lanes[side].transferred + lanes[1 - side].transferred - lanes[side].locked;
  const pay = (first) => {
    const paid = [0n, 0n];
    for (const side of [first, 1 - first]) {
      const due = nets[side] > 0n ? nets[side] : 0n;
      paid[side] = due < left ? due : left;
      nets[side] -= paid[side];
      left -= paid[side];
    }
    return paid;
  };
  const signedBy = (side, type, message, signature) =>
    assert.equal(signerOf(digestOf(domain, type, message), signature), parties[side].signer, name);

  const actions = {
    deposit({ side, amount }) {
      deposits[side] += BigInt(amount);
    },
    withdraw({ side, total, recipient, deadline, signatureA, signatureB }) {
      const message = { channelId: id, asset, side, total, recipient, deadline };
      signedBy(0, "Withdrawal", message, signatureA);
      signedBy(1, "Withdrawal", message, signatureB);
      const paid = [0n, 0n];
      paid[side] = BigInt(total) - withdrawn[side];
      withdrawn[side] = BigInt(total);
      return paid;
    },
    exit() {},
    prove({ by, proof }) {
      const { signature, acknowledgement, ...fields } = proof;
      const message = { channelId: id, ...fields };
      signedBy(proof.payer, "BalanceProof", message, signature);
      const acknowledged = acknowledgement !== "0x";
      if (acknowledged) {
        const proofHash = structHashOfProof(message);
        const { channelId, asset, payer, nonce } = message;
        signedBy(1 - payer, "Acknowledgement", { channelId, asset, payer, nonce, proofHash }, acknowledgement);
      } else {
        assert.equal(by, 1 - proof.payer, "an unacknowledged proof is its payee's to show");
      }
      const lane = lanes[proof.payer];
      const nonce = BigInt(proof.nonce);
      if (nonce > lane.nonce || (nonce === lane.nonce && acknowledged && !lane.acknowledged)) {
        lanes[proof.payer] = {
          nonce,
          acknowledged,
          transferred: BigInt(proof.transferred),
          locked: BigInt(proof.locked),
          root: proof.locksRoot,
        };
      }
    },
    evidence(step) {
      const key = keyOf(step.condition, step.params, step.expiry);
      assert.equal(key, step.key);
      proven.set(key, Math.max(proven.get(key) ?? 0, evaluate(domain, step)));
      assert.equal(proven.get(key), step.units, name);
    },
    settle() {
      nets = [netOf(0), netOf(1)];
      left = deposits[0] + deposits[1] - withdrawn[0] - withdrawn[1];
      return pay(0);
    },
    claim({ at, payer, slot, lock, condition, paramsHash, expiry, siblings, nothing, units, returned }) {
      assert.equal(keyOfHash(condition, paramsHash, expiry), lock.key, name);
      assert.equal(rootOfBranch(slot, leafOf(lock), siblings), lanes[payer].root, name);
      const claim = claims.get(`${payer}/${slot}`) ?? { units: 0, returned: false };
      const redeemable = Math.max(0, Math.min(proven.get(lock.key) ?? 0, lock.n) - lock.redeemed);
      const expired = BigInt(at) > BigInt(expiry);
      const fresh = redeemable - claim.units;
      const rest = expired && !claim.returned ? Math.max(0, lock.n - lock.redeemed - redeemable) : 0;
      assert.equal(fresh === 0 && rest === 0, nothing, name);
      if (!nothing) {
        claims.set(`${payer}/${slot}`, { units: redeemable, returned: claim.returned || rest > 0 });
        nets[1 - payer] += BigInt(fresh) * BigInt(lock.unitPrice);
        nets[payer] += BigInt(rest) * BigInt(lock.unitPrice);
      }
      assert.deepEqual(claims.get(`${payer}/${slot}`) ?? claim, { units, returned }, name);
      return nothing ? [0n, 0n] : pay(1 - payer);
    },
  };

  for (const [index, step] of steps.entries()) {
    const paid = actions[step.do](step) ?? [0n, 0n];
    const held = nets ? left : deposits[0] + deposits[1] - withdrawn[0] - withdrawn[1];
    const found = {
      net: (nets ?? [netOf(0), netOf(1)]).map(String),
      left: String(held),
      paid: paid.map(String),
    };
    assert.deepEqual(found, { net: step.net, left: step.left, paid: step.paid }, `${name}, step ${index}`);
  }
}

const PROOF_TYPEHASH = keccak256(Buffer.from(`BalanceProof(${TYPES.BalanceProof})`));

function structHashOfProof(message) {
  const fields = types.BalanceProof;
  const wide = new Set(["uint64", "uint128"]);
  return keccak256(
    encodeAbiParameters(
      [{ type: "bytes32" }, ...fields],
      [PROOF_TYPEHASH, ...fields.map(({ name, type }) => (wide.has(type) ? BigInt(message[name]) : message[name]))],
    ),
  );
}

test("messages: what is signed in them", () => {
  const { domain, channel, id, messages } = read("messages.json");
  assert.equal(channelIdOf(domain.chainId, domain.contract, channel), id);
  let checked = 0;
  for (const { name, text } of messages) {
    // Numbers of more than 53 bits stand bare in messages: whoever reads them with JSON.parse must keep their digits.
    const exact = text.replace(/:(\d{16,})([,}])/g, ':"$1"$2');
    const message = JSON.parse(exact);
    if (message.type === "update") {
      const { proof, signature } = message.update;
      const payer = message.asset === "0x0000000000000000000000000000000000000000" ? 0 : 1;
      const signed = { channelId: id, asset: message.asset, payer, ...proof };
      const signer = [channel.a, channel.b][payer].signer;
      assert.equal(signerOf(digestOf(domain, "BalanceProof", signed), signature), signer, name);
      checked += 1;
    }
    if (message.type === "withdrawProposal" || message.type === "withdrawSigned") {
      const { side, ...terms } = message.withdrawal;
      const signed = { channelId: id, side: side === "A" ? 0 : 1, ...terms };
      const by = message.type === "withdrawSigned" ? channel.b : channel.a;
      const digest = digestOf(domain, "Withdrawal", signed);
      assert.equal(signerOf(digest, message.signature), by.signer, name);
      if (message.ownerSignature) assert.equal(signerOf(digest, message.ownerSignature), channel.a.owner, name);
      checked += 1;
    }
    if (message.type === "closeProposal" || message.type === "closeSigned") {
      const assets = message.closing.assets.map(({ asset, totals, deposits }) => ({
        asset,
        totalA: totals.a,
        totalB: totals.b,
        depositA: deposits.a,
        depositB: deposits.b,
      }));
      const by = message.type === "closeSigned" ? channel.b : channel.a;
      const digest = digestOf(domain, "Closing", { channelId: id, assets, deadline: message.closing.deadline });
      assert.equal(signerOf(digest, message.signature), by.signer, name);
      checked += 1;
    }
  }
  assert.equal(checked, 8);
});

test("what is invalid is invalid here, too", () => {
  const { amounts, signatures, publicKeys } = read("invalid.json");
  for (const { name, text } of amounts) {
    const plain = /^(0|[1-9][0-9]{0,38})$/.test(text);
    assert.ok(!plain || BigInt(text) >= 2n ** 128n, name);
  }
  for (const { name, digest, signer, signature } of signatures) {
    assert.notEqual(signerOf(digest, signature), signer, name);
  }
  for (const { name, hex } of publicKeys) {
    const bytes = bytesOf(hex);
    if (bytes.length === 33) assert.throws(() => secp256k1.Point.fromBytes(bytes), name);
  }
});

test("error codes are distinct and well formed", () => {
  const { codes } = read("codes.json");
  const blames = ["refused", "peer-fault", "storage", "chain", "wallet", "bug"];
  assert.equal(new Set(codes.map(({ code }) => code)).size, codes.length);
  for (const { code, blame, advice } of codes) {
    assert.match(code, /^[a-z]+(-[a-z]+)*$/);
    assert.ok(blames.includes(blame));
    assert.ok(advice.endsWith("."), code);
  }
});
