// Chains, payments and sites for the tests of the paywall. The streams are put into the store by the call that the till uses.

import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageFile } from "./env.mjs";

const scheme = await packageFile("pay/scheme.mjs");
const { chainOf, streamKey, wordAt } = await packageFile("pay/chain.mjs");

export const PAYEE = `0x${"a1".repeat(20)}`;
export const TOKEN = `0x${"d1".repeat(20)}`;
export const CONTRACT = `0x${"c0".repeat(20)}`;
export const UNIT = 10n ** 15n;
export const ORIGIN = "https://news.example";
export const SITE = {
  payTo: PAYEE, hub: "https://hub.example", chainId: 31337, network: "eip155:31337", contract: CONTRACT,
  assets: [{ symbol: "DAI", token: TOKEN, decimals: 18 }, { symbol: "ETH", token: `0x${"0".repeat(40)}`, decimals: 18 }],
};

const random = (size) => `0x${randomBytes(size).toString("hex")}`;

/** A stream with its whole chain, as its payer holds it. */
export class Payer {
  constructor({ units = 100, unitPrice = UNIT, token = TOKEN, expiresIn = 86_400, root = randomBytes(32) } = {}) {
    this.units = units;
    this.unitPrice = unitPrice;
    this.token = token;
    const expiry = Math.floor(Date.now() / 1000) + expiresIn;
    this.chain = chainOf(new Uint8Array(root), units);
    this.key = streamKey(this.chain.tip, units, expiry);
    this.expiresAt = expiry * 1000;
    this.place = 0;
  }

  /** What the till writes. */
  stream() {
    const { key, units, token, expiresAt } = this;
    const params = `${this.chain.tip}${units.toString(16).padStart(8, "0")}`;
    return { key, condition: "hash-chain", params, token, symbol: "DAI", unitPrice: String(this.unitPrice), units, expiresAt, endedAt: null, best: 0, word: null, earned: 0, shown: 0, usedAt: Date.now() };
  }

  word(to) {
    return wordAt(this.chain.marks, to);
  }

  /** The payment of an interval, to be changed by a test. */
  async payment({ from = this.place, units = 1, to = from + units, method = "GET", url = `${ORIGIN}/`, id = random(16), ...changed } = {}) {
    this.place = Math.max(this.place, to);
    const bind = await scheme.bindOf(id, method, new URL(url, ORIGIN));
    return { network: SITE.network, asset: this.token, payTo: PAYEE, key: this.key, from, to, word: changed.word ?? this.word(to), id, bind, ...changed };
  }

  /** The same as headers, beside it. */
  async pays(how) {
    const payment = await this.payment(how);
    return { payment, headers: { [scheme.SIGNATURE]: scheme.encodePayment(payment) } };
  }
}

export const encode = scheme.encodePayment;
export const answerOf = (response) => scheme.decodeAnswer(response.headers.get(scheme.RESPONSE));
export const requiredOf = (response) => scheme.decodeRequired(response.headers.get(scheme.REQUIRED));
export const eventOf = scheme.decodeEvent;

/** A folder that is gone with the test. */
export function folder(t) {
  const path = mkdtempSync(join(tmpdir(), "farthing-paywall-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Lays down what the till would. */
export async function furnish(store, ...payers) {
  await store.rows.putFact("site", JSON.stringify(SITE));
  for (const payer of payers) await store.rows.putStream(payer.stream());
}

/** A paywall over a store of its own, or over the one that is given. */
export async function opened(t, { payers = [], store, ...options } = {}) {
  const { paywall, sqlite } = await packageFile("paywall/index.mjs");
  const own = store ?? sqlite(join(folder(t), "paywall.db"));
  await furnish(own, ...payers);
  const errors = [];
  const wall = await paywall({ store: own, origin: ORIGIN, asset: "DAI", unitPrice: UNIT, onError: (error) => errors.push(error), ...options });
  t.after(() => wall.close());
  return { wall, store: own, errors };
}

/** Every sale of a stream. */
export async function records(store, key) {
  const ids = await store.rows.spent(key);
  return ids;
}
