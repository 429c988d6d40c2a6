// The scheme of content: the package writes and reads what the vectors say, and somebody with node:crypto, viem and the page
// on the scheme finds the same in them.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { encodeAbiParameters, encodePacked, keccak256 } from "viem";
import { packageFile } from "../support/env.mjs";
import { read, vectors } from "./content.mjs";

const scheme = await packageFile("pay/scheme.mjs");
const chain = await packageFile("pay/chain.mjs");
const golden = read();
const plain = (value) => JSON.parse(JSON.stringify(value, (_, one) => (typeof one === "bigint" ? String(one) : one)));

test("the file is what the package gives", async () => {
  assert.deepEqual(golden, JSON.parse(JSON.stringify(await vectors(scheme, chain))));
});

test("each header is read as the file says", () => {
  const decoders = { required: "decodeRequired", payment: "decodePayment", end: "decodeEnd", answer: "decodeAnswer", event: "decodeEvent", receipt: "decodeReceipt" };
  for (const [name, decoder] of Object.entries(decoders)) {
    assert.ok(golden[name].length > 0);
    for (const one of golden[name]) assert.deepEqual(plain(scheme[decoder](one.text)), one.value, `${name}: ${one.name}`);
  }
});

test("a header is base64 of JSON with decimal strings, as anybody reads it", () => {
  const [{ text, value }] = golden.payment;
  const { network, asset, payTo, ...payload } = value;
  assert.deepEqual(JSON.parse(Buffer.from(text, "base64")), { x402Version: 2, accepted: { scheme: "farthing", network, asset, payTo }, payload });
  const whole = JSON.parse(Buffer.from(golden.required[0].text, "base64"));
  const { terms: [terms], resource } = golden.required[0].value;
  const { hub, contract, unitPrice, units, minUnits, symbol, decimals, wallet, ...top } = terms;
  assert.deepEqual(whole, { x402Version: 2, error: "payment required", resource, accepts: [{ scheme: "farthing", ...top, extra: { hub, contract, unitPrice, units, minUnits, symbol, decimals, wallet } }] });
  assert.equal(top.amount, String(BigInt(unitPrice) * BigInt(units)));
});

test("binds", () => {
  for (const { id, method, url, resource, bind } of golden.bind) {
    const whole = new URL(url);
    whole.hash = "";
    assert.equal(resource, whole.href);
    const hash = createHash("sha256").update(Buffer.from(id.slice(2), "hex")).update(`${method.toUpperCase()} ${whole.href}`);
    assert.equal(bind, `0x${hash.digest("hex")}`, url);
  }
});

test("the id of what ends a grant has the tail of its seal's hash", () => {
  const [{ value }] = golden.end;
  assert.deepEqual([value.from, value.to], [0, 0]);
  assert.equal(value.id.slice(-20), keccak256(value.word).slice(-20));
});

test("chains and keys", () => {
  for (const { root, units, tip, expiry, key, words } of golden.chains) {
    const all = [root];
    for (let done = 0; done < units; done += 1) all.unshift(keccak256(all[0]));
    assert.equal(all[0], tip);
    for (const { place, word } of words) assert.equal(word, all[place], `${units}: ${place}`);
    const params = keccak256(encodePacked(["bytes32", "uint32"], [tip, units]));
    const encoded = encodeAbiParameters([{ type: "address" }, { type: "bytes32" }, { type: "uint256" }], [`0x${"fa02".padStart(40, "0")}`, params, BigInt(expiry)]);
    assert.equal(keccak256(encoded), key);
  }
});

test("every word of a chain is the hash of the next", () => {
  const whole = chain.chainOf(Buffer.alloc(32, 7), 300);
  for (let place = 0; place < 300; place += 1) assert.equal(keccak256(chain.wordAt(whole.marks, place + 1)), chain.wordAt(whole.marks, place));
  assert.equal(chain.wordAt(whole.marks, 0), whole.tip);
  assert.equal(whole.marks.length, 4);
});

test("grants, as messages and as fragments", () => {
  for (const [name, decoder] of [["request", "decodeGrantRequest"], ["answer", "decodeGrantAnswer"]]) {
    for (const { message, fragment } of golden.grants[name]) {
      assert.deepEqual(JSON.parse(Buffer.from(fragment, "base64url")), message);
      assert.deepEqual(plain(scheme[decoder](fragment)), plain(scheme[decoder](message)));
    }
  }
  const [granted, denied] = golden.grants.answer.map(({ message }) => scheme.decodeGrantAnswer(message));
  assert.equal(granted.grant.unitPrice, 1_000_000_000_000_000n);
  assert.deepEqual([denied.grant, denied.error.code, denied.error.message], [undefined, "denied", "The reader said no."]);
});

test("what is not right is refused with its code, and no value is repeated", () => {
  assert.ok(golden.refused.length > 120);
  for (const { decoder, code, name, text, message } of golden.refused) {
    assert.throws(
      () => scheme[decoder](text ?? message),
      (error) => {
        assert.equal(error.code, code, `${decoder}, ${name}: ${error.message}`);
        assert.equal(error.name, "FarthingError");
        assert.match(error.message, /is not as it must be. Nothing was paid.$/);
        return true;
      },
      `${decoder}: ${name}`,
    );
  }
});

test("a header of any length is refused before it is read", () => {
  const long = Buffer.from(JSON.stringify({ x402Version: 2, accepts: [], a: "x".repeat(40_000) })).toString("base64");
  assert.throws(() => scheme.decodeRequired(long), { code: "bad-answer" });
  assert.throws(() => scheme.decodePayment(long), { code: "bad-payment" });
  assert.throws(() => scheme.decodeAnswer(long), { code: "bad-answer" });
  assert.throws(() => scheme.decodeGrantRequest(long), { code: "bad-request" });
});

test("a word or an id never stands in an error", () => {
  const bad = Buffer.from(JSON.stringify({ x402Version: 2, accepted: {}, payload: { key: "sesame" }, sesame: 1 })).toString("base64");
  assert.throws(() => scheme.decodePayment(bad), (error) => !error.message.includes("sesame"));
});

test("what a server says may have fields that nobody knows", () => {
  const value = JSON.parse(Buffer.from(golden.required[0].text, "base64"));
  value.extensions = { a: 1 };
  value.accepts[0].extra.tomorrow = true;
  const read = scheme.decodeRequired(Buffer.from(JSON.stringify(value)).toString("base64"));
  assert.deepEqual(plain(read), golden.required[0].value);
});

test("a writer refuses what a reader would", () => {
  const { terms: [terms] } = scheme.decodeRequired(golden.required[0].text);
  assert.throws(() => scheme.encodeRequired({ terms: [{ ...terms, units: 3 }] }), { code: "bad-answer" });
  assert.throws(() => scheme.encodeAnswer({ ...scheme.decodeAnswer(golden.answer[0].text), charged: 5 }), { code: "bad-answer" });
});
