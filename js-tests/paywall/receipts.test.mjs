// A receipt says what was charged, whatever was expected before the handler ran, and is signed as it is told.

import assert from "node:assert/strict";
import { generateKeyPairSync, verify } from "node:crypto";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { packageFile } from "../support/env.mjs";
import { ORIGIN, PAYEE, Payer, SITE, TOKEN, UNIT, answerOf, folder, opened } from "../support/paying.mjs";
import { settings } from "../support/properties.mjs";

const { sqlite } = await packageFile("paywall/index.mjs");
const { decodeReceipt, resourceOf } = await packageFile("pay/scheme.mjs");

/** A store with a key of receipts. */
async function keyed(t) {
  const store = sqlite(join(folder(t), "paywall.db"));
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = Buffer.from(publicKey.export({ format: "jwk" }).x, "base64url").toString("hex");
  const signer = { publicKey: `0x${raw}`, payee: PAYEE, expires: 4_000_000_000, signature: `0x${"11".repeat(65)}` };
  await store.rows.putFact("signer", JSON.stringify({ ...signer, secret: privateKey.export({ format: "der", type: "pkcs8" }).toString("base64") }));
  return { store, publicKey, signer };
}

test("the receipt is of what was charged: all, less, and again", async (t) => {
  const { store, publicKey, signer } = await keyed(t);
  const payer = new Payer();
  const { wall } = await opened(t, { store, payers: [payer] });
  const route = wall.route({ price: 2n * UNIT });
  /** What the answer says was charged, of two units, by its receipt as by itself. */
  const charged = async ({ headers, payment }, handler, path = "/ä?q=\"") => {
    const response = await route.handle(new Request(new URL(path, ORIGIN), { headers }), handler);
    await response.text();
    const { charged: told, receipt } = answerOf(response);
    assert.deepEqual(receipt.signer, signer);
    assert.ok(verify(null, Buffer.from(receipt.payload), publicKey, Buffer.from(receipt.signature.slice(2), "hex")));
    const { at, ...sold } = decodeReceipt(receipt.payload);
    const { key, id, from, to } = payment;
    assert.ok(Math.abs(at * 1_000 - Date.now()) < 60_000);
    assert.deepEqual(sold, { payee: PAYEE, asset: TOKEN, network: SITE.network, key, id, from, to, charged: told, unitPrice: UNIT, method: "GET", url: new URL(path, ORIGIN).href });
    return told;
  };
  const pays = () => payer.pays({ units: 2, url: "/ä?q=\"" });
  assert.equal(await charged(await pays(), () => new Response("all")), 2);
  const less = await pays();
  const one = (_, payment) => (payment.charge(1), new Response("half"));
  assert.equal(await charged(less, one), 1);
  assert.equal(await charged(less, one), 1);
  assert.equal(await charged(await pays(), () => new Response("sorry", { status: 500 })), 0);
});

for (const when of ["at once", "while it signs"]) {
  test(`receipts go on where the thread that signs them is gone ${when}`, async (t) => {
    const { store, publicKey } = await keyed(t);
    const payer = new Payer();
    const { wall, errors } = await opened(t, { store, payers: [payer] });
    const signs = new Promise((resolve) => process.once("worker", resolve));
    const route = wall.route({ price: UNIT });
    const buys = async (path) => {
      const { headers } = await payer.pays({ url: path });
      const response = await route.handle(new Request(new URL(path, ORIGIN), { headers }), () => new Response("x"));
      await response.text();
      const { receipt } = answerOf(response);
      assert.ok(verify(null, Buffer.from(receipt.payload), publicKey, Buffer.from(receipt.signature.slice(2), "hex")));
      return decodeReceipt(receipt.payload).url;
    };
    if (when === "at once") signs.then((worker) => worker.terminate());
    const paths = Array.from({ length: 20 }, (_, number) => `/${number}`);
    const first = paths.map(buys);
    const worker = await signs;
    // It never comes to what it was sent.
    const { postMessage } = worker;
    worker.postMessage = (...given) => (worker.terminate(), postMessage.apply(worker, given));
    assert.deepEqual(await Promise.all(first), paths.map((path) => ORIGIN + path));
    assert.equal(await buys("/later"), `${ORIGIN}/later`);
    assert.deepEqual(errors, []);
  });
}

test("a URL is to the paywall what it is to who pays", async (t) => {
  const { wall } = await opened(t);
  const route = wall.route({ price: UNIT });
  const letters = fc.string({ unit: fc.constantFrom(..."ab/.?=&-~_%2 e#ä\"\\:@"), maxLength: 14 });
  fc.assert(fc.property(letters, (rest) => assert.equal(route.urlOf(`/${rest}`), resourceOf(`${ORIGIN}/${rest}`))), settings(3_000));
});
