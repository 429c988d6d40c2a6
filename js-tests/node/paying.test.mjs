// `fetch` by the dice: answers are lost at every point, servers are busy, charge less, change prices, the process dies and comes
// back. Each article is charged once at most, each unit is sold once, and the book says what the server says.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { packageFile } from "../support/env.mjs";
import { TERMS, engine, paidSite, soldOnce } from "../support/paid-site.mjs";

const { fetching } = await packageFile("fetch.mjs");
const UNIT = TERMS.unitPrice;
const SEEDS = process.env.FARTHING_SEED ? [Number(process.env.FARTHING_SEED)] : Array.from({ length: Number(process.env.FARTHING_SEEDS ?? 24) }, (_, seed) => seed + 1);
const open = [];
after(() => Promise.all(open.map((site) => site.close())));

/** Numbers from a seed; the same choices each time. */
function dice(seed) {
  let state = seed * 2_654_435_761;
  return (sides) => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 0x9e3779b9) | 0;
    return ((state ^ (state >>> 13)) >>> 0) % sides;
  };
}

/** Keeps the state as a disk does; who died writes no more, and sends no more. */
function disk() {
  let kept = { v: 1, rev: 0, held: [], spends: [], routes: [] };
  const process = () => {
    let alive = true;
    const life = new AbortController();
    return {
      signal: life.signal,
      die() {
        alive = false;
        life.abort();
      },
      async place(work) {
        const copy = structuredClone(kept);
        work(copy);
        await Promise.resolve();
        if (!alive) return new Promise(() => {});
        kept = copy;
        return undefined;
      },
    };
  };
  return Object.assign(process, { state: () => kept });
}

const FAULTS = [
  { after: (request, response) => response.destroy() },
  { before: (request, response) => response.destroy() },
  { before: (request, response, { refuse }) => refuse("in-progress") },
  { before: (request, response, { refuse }) => refuse("paywall-unavailable") },
  { before: (request, response) => response.writeHead(502).end("bad gateway") },
  { after: (request, response, { header }) => (response.writeHead(200, { "payment-response": header, "content-length": 900_000 }), response.write("x".repeat(500_000), () => response.destroy())) },
  { after: (request, response) => response.writeHead(504).end("timeout") },
];

for (const seed of SEEDS) {
  test(`whatever happens on the way, nothing is paid twice (${seed})`, async () => {
    const roll = dice(seed);
    const routes = { "/articles/*": { units: 1 + roll(4), minUnits: 20 + roll(30), serve: (request, response) => response.end(`served ${request.url}`) } };
    const site = await paidSite({ routes });
    open.push(site);
    const process = disk();
    const client = engine(() => [site]);
    const budget = { perRequest: { DAI: 1_000n * UNIT }, perSite: { DAI: 100_000n * UNIT }, perDay: { DAI: 100_000n * UNIT } };
    let running, paying;
    const start = () => {
      running?.die();
      running = process();
      paying = fetching(client, { place: running.place, budget });
    };
    start();
    const wanted = Array.from({ length: 24 }, (_, number) => `/articles/${number}`);
    const done = new Set();
    for (let round = 0; done.size < wanted.length; round += 1) {
      assert.ok(round < 40, "it comes to an end");
      const calm = round > 8;
      const some = wanted.filter((path) => !done.has(path)).slice(0, 1 + roll(6));
      if (!calm) {
        for (let faults = roll(4); faults > 0; faults -= 1) site.faults.push(FAULTS[roll(FAULTS.length)]);
        if (roll(3) === 0) routes["/articles/*"].units = 1 + roll(4);
        routes["/articles/*"].charge = roll(3) === 0 ? 1 : undefined;
      }
      const asked = Promise.allSettled(
        some.map(async (path) => {
          const controller = new AbortController();
          const call = paying.fetch(`${site.url}${path}`, { signal: AbortSignal.any([controller.signal, running.signal]) });
          if (!calm && roll(6) === 0) setImmediate(() => controller.abort(new Error("left")));
          const response = await call;
          if (response.status !== 200) throw new Error(String(response.status));
          assert.equal(await response.text(), `served ${path}`);
          done.add(path);
        }),
      );
      if (!calm && roll(4) === 0) {
        for (let ticks = roll(30); ticks > 0; ticks -= 1) await new Promise((next) => setImmediate(next));
        start();
      } else {
        for (const { reason } of await asked) assert.ok(!reason || ["unanswered", undefined, 20].includes(reason.code) || reason.name === "TypeError", `${reason?.code} ${reason?.stack}`);
      }
      site.faults.length = 0;
    }
    assert.ok(soldOnce(site));
    for (const path of wanted) {
      const ids = new Set(site.log.filter((one) => one.path === path && one.paid).map(({ payload }) => payload.id));
      const charged = site.sold().filter(({ id, charged }) => ids.has(id) && charged > 0);
      assert.ok(charged.length === 1, `${path} was charged ${charged.length} times`);
    }
    const [{ amount }] = await paying.spending();
    // Who died may have had an answer and not have written it down: then the whole interval counts.
    const unsure = process.state().spends.reduce((sum, { id, from, to }) => sum + to - from - (site.sold().find((one) => one.id === id)?.charged ?? 0), 0);
    // What was shown, put back, and left with its stream may have been taken.
    const shown = new Map();
    for (const { payload } of site.log) if (payload) shown.set(payload.key, Math.max(shown.get(payload.key) ?? 0, payload.to));
    const most = [...shown.values()].reduce((all, to) => all + to, 0);
    assert.ok(amount >= BigInt(site.charged() + unsure) * UNIT, "the book says what the server says");
    assert.ok(amount <= BigInt(most) * UNIT, "and no more than the server can have");
    const [held] = process.state().held.map(({ free, grant }) => free.reduce((sum, [from, to]) => sum - to + from, grant.units));
    assert.ok(held >= 0);
  });
}
