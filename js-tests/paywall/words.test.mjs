// What a word costs who checks it: false words of a known stream, and old ones, soon cost nothing, and who pays on is not held up.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Payer, UNIT, answerOf, opened } from "../support/paying.mjs";

const UNITS = 16_384;
const FALSE = `0x${"07".repeat(32)}`;

const codeOf = async (response) => (await response.json()).error?.code;
const ask = (route, headers) => route.handle(new Request("http://10.0.0.7/", { headers }), () => Response.json({}));

/** A site, and what asking with a payment comes to: a code, or nothing. */
async function site(t, ...payers) {
  const { wall } = await opened(t, { payers });
  const route = wall.route({ price: UNIT });
  return async (payer, how) => codeOf(await ask(route, (await payer.pays(how)).headers));
}

test("false words of a stream are hashed up to a bound, then refused unread for a minute; near ones are read at all times", async (t) => {
  const [payer, other] = [new Payer({ units: UNITS }), new Payer({ units: UNITS })];
  const asks = await site(t, payer, other);
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() });
  const far = { from: UNITS - 1, to: UNITS, word: FALSE };
  assert.equal(await asks(payer, far), "bad-word");
  assert.equal(await asks(payer, far), "paywall-unavailable");
  assert.equal(await asks(payer, { from: 299, to: 300, word: FALSE }), "paywall-unavailable");
  // It may be a true one: nobody has looked, so nobody says that it is false.
  assert.equal(await asks(payer, { from: 299, to: 300 }), "paywall-unavailable");
  // Who goes on where it was pays, and a false word there costs little.
  assert.equal(await asks(payer, { from: 0, to: 256 }), undefined);
  assert.equal(await asks(payer, { from: 256, to: 257, word: FALSE }), "bad-word");
  assert.equal(await asks(payer, { from: 256, to: 300 }), undefined);
  // Other streams have nothing to do with it.
  assert.equal(await asks(other, far), "bad-word");
  t.mock.timers.tick(59_999);
  assert.equal(await asks(payer, far), "paywall-unavailable");
  t.mock.timers.tick(1);
  assert.equal(await asks(payer, far), "bad-word");
});

test("words that prove nothing new are hashed up to the same bound, and new ones without", async (t) => {
  const payer = new Payer({ units: UNITS });
  const asks = await site(t, payer);
  // Far ahead, and each proves more than was proved.
  for (const to of [6_000, 12_000, UNITS]) assert.equal(await asks(payer, { from: to - 1, to }), undefined);
  assert.equal(await asks(payer, { from: 7_999, to: 8_000 }), undefined);
  assert.equal(await asks(payer, { from: 8_000, to: 8_001 }), undefined);
  assert.equal(await asks(payer, { from: 8_001, to: 8_002 }), "paywall-unavailable");
  assert.equal(await asks(payer, { from: 99, to: 100 }), undefined);
});

test("a payment counts however its fields are ordered, and only as base64 is written", async (t) => {
  const payer = new Payer();
  const { wall } = await opened(t, { payers: [payer] });
  const route = wall.route({ price: UNIT });
  const { headers } = await payer.pays();
  const [[name, written]] = Object.entries(headers);
  const { accepted, payload, x402Version } = JSON.parse(Buffer.from(written, "base64"));
  const as = (text) => ask(route, { [name]: Buffer.from(text).toString("base64") });
  assert.equal(answerOf(await as(JSON.stringify({ payload, x402Version, accepted }))).charged, 1);
  for (const bad of [{ to: 16_385 }, { from: 1, to: 0 }, { from: 2, to: 2 }, { from: 100_000 }, { key: payload.key.toUpperCase() }, { more: 1 }]) {
    assert.equal(await codeOf(await as(JSON.stringify({ x402Version, accepted, payload: { ...payload, ...bad } }))), "bad-payment", JSON.stringify(bad));
  }
  assert.equal(await codeOf(await as(JSON.stringify({ x402Version, accepted, payload }).replace('"to":1', '"to":01'))), "bad-payment");
  for (const bad of [written.slice(0, -1), `${written}====`, written.replace(/.$/, "*")]) {
    const response = await ask(route, { [name]: bad });
    assert.equal(response.status, 400, bad.slice(-6));
  }
});
