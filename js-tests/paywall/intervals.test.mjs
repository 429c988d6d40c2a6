// Intervals by a model: requests in any order, overlapping, with gaps, again, and processes that die between any two steps of the
// store. Every unit is sold once, and what is charged is what was served.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import pg from "pg";
import { packageFile } from "../support/env.mjs";
import { Payer, folder, furnish } from "../support/paying.mjs";
import { startPostgres } from "../support/postgres.mjs";
import { settings } from "../support/properties.mjs";

const { sqlite, postgres } = await packageFile("paywall/index.mjs");

const UNITS = 24;
const IDS = 8;
const PROCESSES = 3;
const idOf = (index) => `0x${String(index).padStart(32, "0")}`;
const BIND = `0x${"0".repeat(64)}`;

/** Where a process may die in one transaction with the store. */
const DEATHS = ["before", "after", undefined];

class Lost extends Error {}

/** What the paywall should know: requests by id, each with what it bought. */
const model = () => ({ requests: new Map(), dead: 0 });

/** The processes of a site. One that dies says nothing more, and another one takes its place. */
class Site {
  constructor(open, payer) {
    this.open = open;
    this.payer = payer;
    this.processes = [];
  }
  async start() {
    for (let index = 0; index < PROCESSES; index += 1) this.processes.push(this.fresh());
    await furnish(this.processes[0].store, this.payer);
    return this;
  }
  fresh = () => ({ store: this.open(), serving: new Map() });

  async die(index) {
    const { store } = this.processes[index];
    store.rows.beat = () => Promise.reject(new Error("dead"));
    // As if its lease were over.
    await store.rows.leave(store.holder);
    await store.rows.close();
    this.processes[index] = this.fresh();
  }
  /** One step with the store, in which the process may die. */
  async step(index, death, work) {
    const { store } = this.processes[index];
    const { run } = store.rows;
    if (death === "before") store.rows.run = () => Promise.reject(new Lost());
    if (death === "after") store.rows.run = async (...given) => (await run.apply(store.rows, given), Promise.reject(new Lost()));
    const outcome = await work(store).catch((error) => {
      if (error instanceof Lost) return undefined;
      throw error;
    });
    if (death) {
      await this.die(index);
      return undefined;
    }
    return outcome;
  }
  async close() {
    for (const { store } of this.processes) await store.end();
  }
}

/** Whoever served for a process that died serves no more: any of them may go on with it. */
const orphan = (known, index) => {
  for (const request of known.requests.values()) if (request.process === index) request.process = undefined;
};

/** What the units must be, by the model. */
async function judge(known, site) {
  const owner = new Map();
  for (const [id, { state, from, to, charged }] of known.requests) {
    if (state === "failed") continue;
    for (let unit = from; unit < (state === "serving" ? to : from + charged); unit += 1) {
      assert.ok(!owner.has(unit), `unit ${unit} is sold to ${owner.get(unit)} and ${id}`);
      owner.set(unit, id);
    }
  }
  const rows = site.processes[0].store.rows;
  const spent = (await rows.spent(site.payer.key)).flatMap(([from, to]) => Array.from({ length: to - from }, (_, step) => from + step));
  assert.deepEqual(spent, [...owner.keys()].sort((a, b) => a - b));
  const { best, word, earned } = await rows.stream(site.payer.key);
  if (word) assert.equal(word, site.payer.word(best));
  // What the till takes is behind what was served, and no further.
  const served = [...known.requests.values()].filter(({ state }) => state === "served").map(({ from, charged }) => from + charged);
  assert.equal(earned, Math.max(0, ...served));
}

class Ask {
  constructor(process, id, from, size, death) {
    Object.assign(this, { process, id, from, to: Math.min(UNITS, from + size), death });
  }
  check = () => true;
  async run(known, site) {
    const { process, from, to, death } = this;
    const id = idOf(this.id);
    const before = known.requests.get(id);
    const free = (mine) => ![...known.requests].some(([other, one]) => other !== mine && one.state !== "failed" && one.from < to && from < (one.state === "serving" ? one.to : one.from + one.charged));
    const expected = () => {
      if (before === undefined) return free(id) ? "serve" : "interval-spent";
      if (before.from !== from || before.to !== to) return "id-reused";
      if (before.state === "served") return "again";
      if (before.state === "serving") return before.process === undefined ? "serve" : "in-progress";
      return free(id) ? "serve" : "interval-spent";
    };
    const wanted = expected();
    const { payer } = site;
    const claim = { key: payer.key, id, from, to, bind: BIND, session: null, route: "r", method: "GET", url: "https://a/", amount: 1n };
    const outcome = await site.step(process, death, (store) => store.spend({ claim, word: payer.word(to), margin: 1_000, again: { times: 1_000, milliseconds: 1e9 } }));
    if (outcome !== undefined) assert.equal(outcome.code ?? outcome.step, wanted);
    if (death) orphan(known, process);
    if (wanted === "serve" && death !== "before") {
      known.requests.set(id, { state: "serving", from, to, charged: 0, process: death ? undefined : process });
      if (outcome) site.processes[process].serving.set(id, outcome.record);
    }
    await judge(known, site);
  }
  toString = () => `ask(process ${this.process}, id ${this.id}, ${this.from} to ${this.to}${this.death ? `, dies ${this.death}` : ""})`;
}

class Settle {
  constructor(process, at, part, death) {
    Object.assign(this, { process, at, part, death });
  }
  check = (known) => [...known.requests.values()].some(({ process }) => process === this.process);
  async run(known, site) {
    const { process, at, part, death } = this;
    const served = [...site.processes[process].serving];
    const [id, record] = served[at % served.length];
    const request = known.requests.get(id);
    const charged = part % (request.to - request.from + 1);
    const outcome = await site.step(process, death, (store) => store.settle(record, charged));
    if (outcome) assert.equal(outcome.step, "settled");
    if (death) orphan(known, process);
    if (death !== "before") Object.assign(request, { state: charged === 0 ? "failed" : "served", charged, process: undefined });
    site.processes[process].serving.delete(id);
    await judge(known, site);
  }
  toString = () => `settle(process ${this.process}, ${this.at}, ${this.part}${this.death ? `, dies ${this.death}` : ""})`;
}

class Die {
  constructor(process) {
    this.process = process;
  }
  check = () => true;
  async run(known, site) {
    await site.die(this.process);
    orphan(known, this.process);
    await judge(known, site);
  }
  toString = () => `die(process ${this.process})`;
}

let server, pool;
before(async () => {
  server = await startPostgres();
  pool = new pg.Pool({ connectionString: server.url, max: 12 });
});
after(async () => {
  await pool.end();
  await server.stop();
});

/** How a process opens the store of the site with this number. In one database each site has a stream of its own. */
const KINDS = {
  sqlite(t) {
    const path = folder(t);
    return (count) => () => sqlite(join(path, `${count}.db`));
  },
  postgres: () => () => () => postgres(pool),
};

for (const [kind, make] of Object.entries(KINDS)) test(`${kind}: every unit is sold once, and what is charged is what was served, whoever asks and whatever dies`, async (t) => {
  const siteOf = make(t);
  let count = 0;
  const process = fc.nat(PROCESSES - 1);
  const death = fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constantFrom(...DEATHS) });
  const commands = fc.commands(
    [
      fc.tuple(process, fc.nat(IDS - 1), fc.nat(UNITS - 1), fc.integer({ min: 1, max: 6 }), death).map((given) => new Ask(...given)),
      // Few places, so that the same comes again.
      fc.tuple(process, fc.nat(2), fc.nat(2), fc.constant(2), death).map(([on, id, place, size, dies]) => new Ask(on, id, place * 3, size, dies)),
      fc.tuple(process, fc.nat(), fc.nat(), death).map((given) => new Settle(...given)),
      process.map((given) => new Die(given)),
    ],
    { maxCommands: 40, size: "max" },
  );
  await fc.assert(
    fc.asyncProperty(commands, async (all) => {
      const site = new Site(siteOf((count += 1)), new Payer({ units: UNITS, root: Buffer.alloc(32, count) }));
      await site.start();
      try {
        await fc.asyncModelRun(() => ({ model: model(), real: site }), all);
      } finally {
        await site.close();
      }
    }),
    settings(8),
  );
});
