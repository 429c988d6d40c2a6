import assert from "node:assert/strict";
import { test } from "node:test";
import { end, lasting, place, terms } from "../src/grants.ts";
import { readRequest } from "../src/logic/request.ts";
import { sample } from "./sample.mjs";

const asked = (changes) => ({ request: readRequest(sample(changes), "popup"), origin: "https://news.example", symbol: "DAI", decimals: 18 });
const failing = (code) => Object.assign(new Error(`it is ${code}`), { code });

/** Records in memory, with the rules of the database: ids and tips are unique, and what happened is in `steps`. */
function world() {
  const grants = new Map();
  const tips = new Map();
  const streams = new Map();
  const steps = [];
  let refusal;
  return {
    steps,
    streams,
    refuse: (error) => (refusal = error),
    only: () => [...grants.values()][0],
    ledger: {
      find: async ({ id, tip }) => ({ byId: grants.get(id), byTip: grants.get(tips.get(tip)) }),
      async allow(record) {
        steps.push("allow");
        if (grants.has(record.request.id) || tips.has(record.request.tip)) return false;
        grants.set(record.request.id, record);
        tips.set(record.request.tip, record.request.id);
        return true;
      },
      async update(id, changes) {
        steps.push(changes.state);
        grants.set(id, { ...grants.get(id), ...changes });
        return grants.get(id);
      },
    },
    engine: {
      payments: async () => [...streams.values()],
      async stream(terms) {
        steps.push("stream");
        if (refusal) throw refusal;
        const known = streams.get(terms.id) ?? { id: terms.id, key: "0xkey", expiresAt: 2_000_000, placed: 0, end: async () => void steps.push("end") };
        streams.set(terms.id, known);
        return known;
      },
    },
  };
}

test("a yes is written down before the engine is asked, and the grant before the page hears of it", async () => {
  const { ledger, engine, steps, only } = world();
  const grant = await place(ledger, engine, asked(), 1_000);
  assert.deepEqual(steps, ["allow", "stream", "granted"]);
  assert.deepEqual(grant, only().grant);
  assert.equal(grant.expiry, 2_000);
  assert.equal(grant.unitPrice, "1000000000000000");
});

test("an outcome that nobody knows is asked for again with the same stream, never with a second one", async () => {
  const { ledger, engine, streams, refuse, only } = world();
  refuse(failing("unanswered"));
  await assert.rejects(place(ledger, engine, asked(), 1_000), { code: "unanswered" });
  assert.equal(only().state, "allowed");
  const { streamId } = only();
  refuse(undefined);
  await place(ledger, engine, asked(), 2_000);
  assert.deepEqual([...streams.keys()], [streamId]);
  assert.equal(only().state, "granted");
});

test("a failure that moved no money is final for that request, and its tip stays used", async () => {
  const { ledger, engine, steps, refuse } = world();
  refuse(failing("no-capacity"));
  await assert.rejects(place(ledger, engine, asked(), 1_000), { code: "no-capacity" });
  refuse(undefined);
  await assert.rejects(place(ledger, engine, asked(), 2_000), { code: "tip-used" });
  await assert.rejects(place(ledger, engine, asked({ id: `0x${"02".repeat(16)}` }), 2_000), { code: "tip-used" });
  assert.deepEqual(steps, ["allow", "stream", "failed"]);
});

test("two windows that say yes at once place one stream", async () => {
  const { ledger, engine, streams } = world();
  const outcomes = await Promise.allSettled([place(ledger, engine, asked(), 1), place(ledger, engine, asked(), 1)]);
  assert.deepEqual(outcomes.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  assert.equal(outcomes.find(({ status }) => status === "rejected").reason.code, "tip-used");
  assert.equal(streams.size, 1);
});

test("the same request again gets the same grant and asks nobody", async () => {
  const { ledger, engine, steps } = world();
  const first = await place(ledger, engine, asked(), 1);
  steps.length = 0;
  assert.deepEqual(await place(ledger, engine, asked(), 2), first);
  assert.deepEqual(steps, []);
});

test("the reader ends a grant: its payee is asked for the rest, and then it is over", async () => {
  const { ledger, engine, steps, only } = world();
  await place(ledger, engine, asked(), 1);
  steps.length = 0;
  await end(ledger, engine, only());
  assert.deepEqual(steps, ["stream", "end", "ended"]);
  await assert.rejects(place(ledger, engine, asked(), 2), { code: "expired" });
});

test("a yes that never reached the engine is ended without placing anything", async () => {
  const { ledger, engine, steps, streams, refuse, only } = world();
  refuse(failing("unanswered"));
  await assert.rejects(place(ledger, engine, asked(), 1), { code: "unanswered" });
  refuse(undefined);
  steps.length = 0;
  await end(ledger, engine, only());
  assert.deepEqual(steps, ["failed"]);
  assert.equal(streams.size, 0);
});

test("a grant ends no later than was asked for, and a little before the longest time of a hub whose clock differs", () => {
  assert.deepEqual([300, 3_600, 604_800].map(lasting), [270, 3_480, 604_680]);
  assert.equal(terms({ request: readRequest(sample(), "popup"), streamId: "0x01" }).expiresIn, 604_680);
});
