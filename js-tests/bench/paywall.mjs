// What a paywall costs its site: a paid route beside the same route unpaid, in Express and Hono over SQLite in one process, and in
// four processes over one PostgreSQL. Sales are on the disk before the handler runs. Who asks has its payments made beforehand,
// so that both routes are asked by the same work, and is a process of its own that does as little as it can (`asking.mjs`): what
// both sides wait for is the site.

import { randomBytes } from "node:crypto";
import { parseEther } from "viem";
import { clientsOf } from "../support/clients.mjs";
import { packageFile } from "../support/env.mjs";
import { startPostgres } from "../support/postgres.mjs";
import { createWorld } from "../support/world.mjs";
import { alternate, load } from "./alternate.mjs";
import { Askers, asked } from "./asking.mjs";
import { PRICE, engineOf, stall } from "./stalls.mjs";

const { RESPONSE, SIGNATURE, bindOf, decodeRequired, encodePayment } = await packageFile("pay/scheme.mjs");
/** As many as a stream may have. */
const UNITS = 16_384;

const askers = new Askers();

/** Payments by streams of a reader's own, made before they are needed. */
class Purse {
  constructor(client, origin) {
    this.client = client;
    this.origin = origin;
    this.stock = [];
  }

  async fill(url, count) {
    if (!this.terms) {
      const { headers } = await fetch(`${url}/articles/0`);
      [this.terms] = decodeRequired(headers.get("payment-required")).terms;
    }
    const { network, asset, payTo, symbol, unitPrice } = this.terms;
    while (this.stock.length < count) {
      if (!this.stream?.remaining) this.stream = await this.client.stream({ to: payTo, asset: symbol, unitPrice, units: UNITS });
      const id = `0x${randomBytes(16).toString("hex")}`;
      const path = `/articles/${this.stock.length}`;
      const bind = await bindOf(id, "GET", new URL(path, this.origin));
      this.stock.push(asked(path, { [SIGNATURE]: encodePayment({ network, asset, payTo, key: this.stream.key, ...this.stream.pay(1), id, bind }) }));
    }
    await this.stream.saved();
  }
}

/** Letters that an article has at least. */
const LEAST = 4_000;
const PAID = new RegExp(`\\r\\n${RESPONSE}: `, "i");
const served = (head) => head.startsWith("HTTP/1.1 200 ");

/** A paid and an unpaid side of these processes, which are asked in turn. */
function sides(urls, purse, { requests, atOnce }) {
  const at = (number) => urls[number % urls.length];
  return {
    async paid() {
      await purse.fill(urls[0], requests);
      const stock = purse.stock.splice(0, requests);
      return load(async (number) => {
        const { head, length } = await askers.ask(at(number), stock[number]);
        return served(head) && length > LEAST && PAID.test(head);
      }, { requests, atOnce });
    },
    unpaid() {
      const stock = Array.from({ length: requests }, (_, number) => asked(`/free/${number}`));
      return load(async (number) => {
        const { head, length } = await askers.ask(at(number), stock[number]);
        return served(head) && length > LEAST;
      }, { requests, atOnce });
    },
  };
}

async function measured(work) {
  const world = await createWorld();
  const { local, disconnectAll } = clientsOf(() => world);
  const running = [];
  try {
    const reader = await local(await world.account());
    await reader.deposit({ asset: "ETH", amount: parseEther("1") });
    return await work({ world, reader, open: async (env) => (running.push(await stall("shop.mjs", env)), running.at(-1)) });
  } finally {
    await disconnectAll();
    for (const { stop } of running.reverse()) await stop();
    askers.close();
    await world.stop();
  }
}

const SIZES = { 1: 300, 64: 1_500 };

/** By framework and by how many at once: `{ paid, unpaid }` of `alternate`. */
export const overhead = ({ rounds = 3, sizes = SIZES } = {}) =>
  measured(async ({ world, reader, open }) => {
    const results = {};
    for (const framework of ["express", "hono"]) {
      const { url } = await open({ ...(await engineOf(world, framework)), STORE: `${world.folder}/${framework}.db`, FRAMEWORK: framework });
      const purse = new Purse(reader, url);
      results[framework] = {};
      for (const [atOnce, requests] of Object.entries(sizes)) results[framework][atOnce] = await alternate(sides([url], purse, { requests, atOnce: Number(atOnce) }), { rounds });
    }
    return results;
  });

/** The same with four processes of Express over PostgreSQL, and the till in a fifth. */
export const processes = ({ rounds = 3, sizes = SIZES } = {}) =>
  measured(async ({ world, reader, open }) => {
    const database = await startPostgres({ durable: true });
    try {
      const ORIGIN = "http://news.example";
      const STORE = database.url;
      await open({ ...(await engineOf(world, "till")), STORE, TILL: "1" });
      const urls = [];
      for (let count = 0; count < 4; count += 1) urls.push((await open({ STORE, ORIGIN, PRICE: String(PRICE) })).url);
      const purse = new Purse(reader, ORIGIN);
      const results = {};
      for (const [atOnce, requests] of Object.entries(sizes)) results[atOnce] = await alternate(sides(urls, purse, { requests, atOnce: Number(atOnce) }), { rounds });
      return results;
    } finally {
      await database.stop();
    }
  });
