// Whatever comes in is read as what it says, or refused with the decoder's one code: each decoder of `docs/content.md`, of the
// page and of the wallet page, by examples that nobody chose.

import assert from "node:assert/strict";
import { test } from "node:test";
import { build } from "esbuild";
import fc from "fast-check";
import { packageFile } from "../support/env.mjs";
import { hex, json, mutated, settings, spoiled } from "../support/properties.mjs";
import { engine, paidSite } from "../support/paid-site.mjs";

const scheme = await packageFile("pay/scheme.mjs");
const { verifyReceipt } = await packageFile("paywall/verify.mjs");
const { fetching, stored } = await packageFile("fetch.mjs");
const { MOST, MOST_UNITS } = scheme;

const pages = await build({ entryPoints: [new URL("../../www-demo/wallet/src/logic/request.ts", import.meta.url).pathname], bundle: true, format: "esm", write: false, logLevel: "silent" });
const wallet = await import(`data:text/javascript;base64,${Buffer.from(pages.outputFiles[0].contents).toString("base64")}`);

const exactly = (record, free = {}) => fc.record({ ...record, ...free }, { requiredKeys: Object.keys(record), noNullPrototype: true });
const network = fc.integer({ min: 1, max: 10 ** 15 }).map((id) => `eip155:${id}`);
const place = fc.integer({ min: 0, max: MOST_UNITS });
const units = fc.integer({ min: 1, max: MOST_UNITS });
const price = fc.bigInt({ min: 1n, max: 2n ** 100n });
const host = fc.constantFrom("https://hub.example", "https://hub.example:8443/path", "http://127.0.0.1:8080", "https://xn--hb-1ka.example/?a=b");
const line = (most) => fc.string({ unit: fc.constantFrom(..."abc ,.“”äßש本😀'<>&"), minLength: 1, maxLength: most }).filter((text) => text.length <= most && text.trim() === text && text !== "");
const interval = fc.tuple(place, place).filter(([from, to]) => from < to);
const parties = { network, asset: hex(20) };

const terms = exactly({ ...parties, payTo: hex(20), maxTimeoutSeconds: fc.integer({ min: 1, max: 86_400 }), hub: host, contract: hex(20), unitPrice: price, units, minUnits: units, symbol: line(8), decimals: fc.integer({ min: 0, max: 36 }) }, { wallet: fc.constantFrom("https://wallet.example/", "http://localhost:5000/") }).map((one) => ({ ...one, amount: one.unitPrice * BigInt(one.units) }));
const payment = fc.tuple(exactly({ ...parties, payTo: hex(20), key: hex(32), id: hex(16), bind: hex(32) }), interval, fc.oneof(hex(32), hex(65))).map(([one, [from, to], word]) => ({ ...one, from, to, word }));
const ending = exactly({ ...parties, payTo: hex(20), key: hex(32), id: hex(16), bind: hex(32), word: hex(32) }).map((one) => ({ ...one, from: 0, to: 0 }));
const answer = fc.tuple(exactly({ network, amount: fc.bigInt({ min: 0n, max: 2n ** 127n }), key: hex(32), id: hex(16) }), interval, fc.nat(), fc.boolean()).map(([one, [from, to], part, metered]) => ({ ...one, from, to, ...(metered ? { metered: true } : { charged: part % (to - from + 1) }) }));
const event = fc.tuple(hex(32), hex(16), fc.array(place, { minLength: 3, maxLength: 3 }), fc.boolean()).map(([key, id, all, end]) => {
  const [from, used, paid] = all.sort((a, b) => a - b);
  return { key, id, from, paid, used, ...(end && { end }) };
});
const receipt = fc.tuple(exactly({ payee: hex(20), ...parties, key: hex(32), id: hex(16), unitPrice: price, method: fc.constantFrom("GET", "POST", "PATCH"), url: host, at: fc.integer({ min: 0, max: 2 ** 48 }) }), interval, fc.nat()).map(([one, [from, to], part]) => ({ ...one, from, to, charged: part % (to - from + 1) }));
const asked = exactly({ id: hex(16), payee: hex(20), hub: host, ...parties, contract: hex(20), unitPrice: price, units, tip: hex(32), expiresIn: fc.integer({ min: 300, max: 31_622_400 }), title: line(40) }, { reason: line(60) });
const grant = exactly({ key: hex(32), tip: hex(32), payee: hex(20), ...parties, contract: hex(20), hub: host, unitPrice: price, units, expiry: fc.integer({ min: 0, max: 2 ** 48 }), symbol: line(8), decimals: fc.integer({ min: 0, max: 36 }) });
const said = fc.oneof(exactly({ id: hex(16), grant }), exactly({ id: hex(16), error: exactly({ code: fc.constantFrom(...scheme.DENIALS), message: line(60) }) }));

const open = (text) => JSON.parse(Buffer.from(text, "base64").toString());
const shut = (value) => Buffer.from(JSON.stringify(value) ?? "").toString("base64");
const openUrl = (text) => JSON.parse(Buffer.from(text, "base64url").toString());
const shutUrl = (value) => Buffer.from(JSON.stringify(value) ?? "").toString("base64url");
const same = (value) => value;
const plain = (one) => ({ ...one, ...(one.error && { error: { code: one.error.code, message: one.error.message } }) });

/** What a decoder reads, by its code: how it is opened and shut as JSON, and the same value again of what was read. */
const DECODERS = {
  "PAYMENT-REQUIRED": { code: "bad-answer", make: fc.array(terms, { minLength: 1, maxLength: 3 }).map((all) => ({ terms: all })), encode: scheme.encodeRequired, decode: scheme.decodeRequired, plain: ({ terms: all }) => ({ terms: all }), open, shut, most: MOST.required },
  "PAYMENT-SIGNATURE": { code: "bad-payment", make: payment, encode: scheme.encodePayment, decode: scheme.decodePayment, open, shut, most: MOST.signature, exact: true },
  "PAYMENT-SIGNATURE that ends a grant": { code: "bad-payment", make: ending, encode: scheme.encodePayment, decode: scheme.decodeEnd, open, shut, most: MOST.signature, exact: true },
  "PAYMENT-RESPONSE": { code: "bad-answer", make: answer, encode: scheme.encodeAnswer, decode: scheme.decodeAnswer, open, shut, most: MOST.response },
  "an event": { code: "bad-answer", make: event, encode: scheme.encodeEvent, decode: scheme.decodeEvent, open: JSON.parse, shut: JSON.stringify, most: MOST.event },
  "a receipt": { code: "bad-answer", make: receipt, encode: scheme.encodeReceipt, decode: scheme.decodeReceipt, open: openUrl, shut: shutUrl, most: 6_000, exact: true, strict: true },
  "a request for a grant, by message": { code: "bad-request", make: asked, encode: scheme.encodeGrantRequest, decode: scheme.decodeGrantRequest, open: same, shut: same, exact: true },
  "a request for a grant, by address": { code: "bad-request", make: asked, encode: (one) => scheme.toFragment(scheme.encodeGrantRequest(one)), decode: scheme.decodeGrantRequest, open: openUrl, shut: shutUrl, most: MOST.grant, exact: true },
  "a wallet's answer, by message": { code: "bad-answer", make: said, encode: scheme.encodeGrantAnswer, decode: scheme.decodeGrantAnswer, plain, open: same, shut: same },
  "a wallet's answer, by address": { code: "bad-answer", make: said, encode: (one) => scheme.toFragment(scheme.encodeGrantAnswer(one)), decode: scheme.decodeGrantAnswer, plain, open: openUrl, shut: shutUrl, most: MOST.grant },
  "a request at the wallet page": { code: "bad-request", make: asked, encode: scheme.encodeGrantRequest, decode: (value) => wallet.readRequest(value, "popup"), open: same, shut: same, exact: true },
  "an address at the wallet page": { code: "bad-request", make: asked, encode: (one) => wallet.encode({ ...scheme.encodeGrantRequest(one), returnTo: "https://news.example/a" }), decode: (text) => wallet.readRequest(wallet.decode(typeof text === "string" ? text : ""), "redirect"), plain: ({ returnTo, ...one }) => one, open: openUrl, shut: shutUrl, most: 8_192, exact: true },
};

for (const [name, { code, make, encode, decode, plain: made = same, open: opened, shut: closed, most, exact, strict }] of Object.entries(DECODERS)) {
  /** What it is read as; nothing if it is refused as it has to be. */
  const read = (input) => {
    let value;
    try {
      value = decode(input);
    } catch (error) {
      assert.equal(error.code, code, `${error.stack}`);
      assert.ok(error.message.length < 400, "what is wrong is said, and not repeated");
      return undefined;
    }
    // What is read once is read the same again, and has one way to be written.
    const text = encode(made(value));
    assert.deepEqual(made(decode(text)), made(value));
    assert.deepEqual(encode(made(decode(text))), text);
    if (strict) assert.equal(text, input, "a signature is over these letters");
    return value;
  };

  test(`${name}: what is written is read again`, () => {
    fc.assert(fc.property(make, (value) => assert.deepEqual(made(decode(encode(value))), value)), settings(150));
  });

  test(`${name}: one that was changed is read as what it says, or refused`, () => {
    const inputs = make.chain((value) => {
      const text = encode(value);
      return fc.oneof(mutated(opened(text)).map(closed), ...(typeof text === "string" ? [spoiled(text)] : []));
    });
    fc.assert(fc.property(inputs, (input) => void read(input)), settings(400));
  });

  test(`${name}: anything else is refused`, () => {
    const anything = fc.oneof(json, json.map(closed), fc.string({ unit: "binary", maxLength: 200 }), fc.base64String({ maxLength: 200 }), fc.anything({ withBigInt: true, withDate: true, withMap: true, withTypedArray: true, withNullPrototype: true }));
    fc.assert(fc.property(anything, (input) => assert.equal(read(input), undefined)), settings(300));
  });

  if (exact) {
    test(`${name}: a field that nobody knows is refused`, () => {
      fc.assert(fc.property(make, fc.string({ maxLength: 12 }), json, (value, field, more) => {
        const whole = opened(encode(value));
        fc.pre(!(field in whole));
        assert.equal(read(closed({ ...whole, [field]: more })), undefined);
      }), settings(100));
    });
  }

  if (most) {
    test(`${name}: beyond its length nothing of it is read`, () => {
      fc.assert(fc.property(make, fc.integer({ min: 1, max: 10 * most }), (value, beyond) => {
        const text = encode(value);
        assert.equal(read(`${text}${" ".repeat(most)}`.slice(0, most + beyond)), undefined);
        assert.equal(read(closed({ ...opened(text), more: "x".repeat(most) })), undefined);
      }), settings(50));
    });
  }
}

test("a page and a wallet page read the same requests", () => {
  const inputs = asked.chain((value) => mutated(scheme.encodeGrantRequest(value)));
  const by = (work) => {
    try {
      return work();
    } catch {
      return undefined;
    }
  };
  fc.assert(fc.property(inputs, (input) => {
    const theirs = by(() => wallet.readRequest(input, "popup"));
    // What the wallet page takes the page takes as well; the wallet page is the stricter one.
    if (theirs) assert.deepEqual(theirs, by(() => scheme.decodeGrantRequest(input)));
  }), settings(400));
});

test("a receipt that was changed proves nothing, whatever it is", async () => {
  const known = { recover: async () => hexOf(20), chainId: 1, contract: `0x${"11".repeat(20)}` };
  const hexOf = (size) => `0x${"22".repeat(size)}`;
  const whole = receipt.map((sold) => ({ payload: scheme.encodeReceipt({ ...sold, network: "eip155:1", payee: hexOf(20), at: 1 }), signature: hexOf(64), signer: { publicKey: hexOf(32), payee: hexOf(20), expires: 2_000_000_000, signature: hexOf(65) } }));
  await fc.assert(fc.asyncProperty(fc.oneof(whole, whole.chain(mutated), json), async (input) => {
    await assert.rejects(() => verifyReceipt(input, known), ({ code }) => code === "bad-receipt");
  }), settings(300));
});

test("a record that can't be read pays nothing, and says so", async () => {
  const site = await paidSite({ routes: { "/a": { units: 2, serve: (_, response) => response.end("a") } } });
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 60 }), json.map((value) => new TextEncoder().encode(JSON.stringify(value) ?? "")), mutated({ v: 1, rev: 0, held: [], spends: [], routes: [] }).map((value) => new TextEncoder().encode(JSON.stringify(value) ?? "")));
  try {
    await fc.assert(fc.asyncProperty(bytes, async (kept) => {
      const { fetch, spending } = fetching(engine(() => [site]), { place: stored({ load: async () => [["fetch/state", kept]], commit: async () => {} }), budget: {} });
      const before = site.charged();
      const ended = await fetch(`${site.url}/a`).then(() => undefined, (error) => error);
      if (ended) assert.match(ended.code, /^storage-failed$/, ended.stack);
      await spending().catch(({ code }) => assert.equal(code, "storage-failed"));
      // What is nearly the record is one in some cases.
      assert.equal(site.charged() - before, ended ? 0 : 2);
    }), settings(100));
  } finally {
    await site.close();
  }
});
