// The rest of a grant on a real engine, hub and node: asked back from the site by who has the chain and no channel, and in the
// wallet that granted it within seconds. Strangers get nothing of it, and what races with it is sold once.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { clientsOf } from "../support/clients.mjs";
import { packageFile } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";

const { paywall, sqlite } = await packageFile("paywall/index.mjs");
const { chainOf, wordAt } = await packageFile("pay/chain.mjs");
const { SIGNATURE, bindOf, encodePayment } = await packageFile("pay/scheme.mjs");

const ORIGIN = "https://news.example";
const UNIT = 1_000n;
const UNITS = 500;
const DEPOSIT = 1_000_000n;

let world;
const folder = mkdtempSync(join(tmpdir(), "farthing-giveback-"));
const { local, disconnectAll } = clientsOf(() => world);

before(async () => {
  world = await createWorld();
});
after(async () => {
  await disconnectAll();
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const hex = (bytes) => `0x${Buffer.from(bytes).toString("hex")}`;
const eth = async (client) => (await client.balances()).find(({ asset }) => asset === "ETH").available;

async function until(client, read) {
  for (;;) {
    const changed = new Promise((resolve) => {
      const off = client.on("payment", () => (off(), resolve()));
    });
    const found = await read();
    if (found) return found;
    await changed;
  }
}

/** What a page holds of a grant, and says. */
class Page {
  seal = randomBytes(32);
  tail = hex(keccak_256(this.seal)).slice(-20);
  place = 0;
  static async granted(wallet, payee) {
    const page = new Page();
    const { tip, marks } = chainOf(new Uint8Array(randomBytes(32)), UNITS);
    page.marks = marks;
    page.stream = await wallet.stream({ to: payee.info.address, asset: "ETH", unitPrice: UNIT, units: UNITS, tip });
    page.terms = { network: `eip155:${payee.info.chainId}`, asset: `0x${"0".repeat(40)}`, payTo: payee.info.address.toLowerCase(), key: page.stream.key.toLowerCase() };
    return page;
  }
  async says(changed) {
    const id = `${hex(randomBytes(6))}${this.tail}`;
    const payment = { ...this.terms, id, ...changed };
    return { ...payment, bind: changed.bind ?? (await bindOf(payment.id, "GET", `${ORIGIN}/a`)) };
  }
  pays(units = 1) {
    const from = this.place;
    this.place += units;
    return this.says({ from, to: this.place, word: wordAt(this.marks, this.place) });
  }
  ends(changed) {
    return this.says({ from: 0, to: 0, word: hex(this.seal), ...changed });
  }
}

async function site(payee, name) {
  const errors = [];
  let served = 0;
  const wall = await paywall({ client: payee, store: sqlite(join(folder, `${name}.db`)), origin: ORIGIN, asset: "ETH", unitPrice: UNIT, onError: (error) => errors.push(error) });
  const route = wall.route({ price: UNIT });
  const ask = async (payment) => {
    const headers = { [SIGNATURE]: encodePayment(await payment) };
    const response = await route.handle(new Request("http://10.1.1.1/a", { headers }), () => ((served += 1), new Response("text")));
    const text = await response.text();
    return response.ok ? response.status : JSON.parse(text).error.code;
  };
  return { wall, ask, errors, served: () => served };
}

test("the rest is in the wallet again at once, and what was paid is the site's", async () => {
  const [wallet, payee] = [await local(await world.account()), await local(await world.account())];
  await wallet.deposit({ asset: "ETH", amount: DEPOSIT });
  const { wall, ask, errors, served } = await site(payee, "one");
  const [page, later] = [await Page.granted(wallet, payee), await Page.granted(wallet, payee)];
  assert.equal(await eth(wallet), DEPOSIT - 2n * UNIT * BigInt(UNITS));
  const seen = await page.pays();
  assert.equal(await ask(seen), 200);
  for (let time = 0; time < 6; time += 1) assert.equal(await ask(page.pays()), 200);
  assert.equal(await ask(later.pays()), 200);

  for (const stranger of [page.ends({ word: seen.word, id: seen.id }), page.ends({ word: hex(randomBytes(32)) }), later.ends({ key: page.terms.key })]) assert.equal(await ask(stranger), "bad-word");
  assert.equal(await ask(page.pays()), 200);

  const end = await page.ends();
  assert.equal(await ask(end), 204);
  const payment = await until(wallet, async () => (await wallet.payments()).find(({ id, status }) => id === page.stream.id && status === "completed"));
  assert.equal(payment.amount, 8n * UNIT);
  await until(wallet, async () => (await eth(wallet)) === DEPOSIT - 8n * UNIT - UNIT * BigInt(UNITS));
  assert.equal(await ask(page.pays()), "stream-ended");
  // The same words again end nothing of what was granted later.
  assert.equal(await ask(end), 204);
  assert.equal(await ask({ ...end, key: later.terms.key }), "bad-word");
  assert.equal(await ask(later.pays()), 200);
  assert.equal(await ask(later.ends()), 204);
  await until(wallet, async () => (await eth(wallet)) === DEPOSIT - 10n * UNIT);
  await until(payee, async () => (await eth(payee)) === 10n * UNIT);
  assert.equal(served(), 10);
  assert.deepEqual(errors, []);
  await wall.close();
});

test("an end that races with requests: to the wei what was served, and no unit twice", async () => {
  const [wallet, payee] = [await local(await world.account()), await local(await world.account())];
  await wallet.deposit({ asset: "ETH", amount: DEPOSIT });
  const { wall, ask, errors, served } = await site(payee, "race");
  const pages = [];
  for (let round = 0; round < 4; round += 1) {
    const page = await Page.granted(wallet, payee);
    pages.push(page);
    assert.equal(await ask(page.pays()), 200);
    const asked = Array.from({ length: 20 }, (_, index) => (index === 4 + 3 * round ? ask(page.ends()) : ask(page.pays())));
    const answers = await Promise.all(asked);
    assert.equal(answers.filter((answer) => answer === 204).length, 1);
    assert.ok(answers.every((answer) => [200, 204, "stream-ended"].includes(answer)), String(answers));
    await until(wallet, async () => (await wallet.payments()).find(({ id, status }) => id === page.stream.id && status === "completed"));
    const bought = await wall.ledger.rows.spent(page.terms.key);
    const sold = bought.reduce((sum, [from, to]) => sum + to - from, 0);
    assert.equal(sold, 1 + answers.filter((answer) => answer === 200).length);
    // A chain proves all below its highest place: what was sold there is what the wallet paid.
    const { amount } = (await wallet.payments()).find(({ id }) => id === page.stream.id);
    assert.equal(amount, UNIT * BigInt(bought.at(-1)[1]));
  }
  const spent = DEPOSIT - (await eth(wallet));
  await until(payee, async () => (await eth(payee)) === spent);
  assert.ok(BigInt(served()) * UNIT <= spent && served() >= 4);
  assert.deepEqual(errors, []);
  await wall.close();
});
