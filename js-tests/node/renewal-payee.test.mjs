// Streams that go on, without an engine: what a payee can make a payer do by giving streams back, and what is asked for back.

import assert from "node:assert/strict";
import { test } from "node:test";
import { packageFile } from "../support/env.mjs";

const { Renewing, randomId } = await packageFile("renewal.mjs");
const UNITS = 8;

/** Streams that a payee may give back, and timers that are run by hand. */
function bench() {
  const placed = [];
  const told = [];
  const timers = new Set();
  return {
    placed,
    told,
    timers,
    async place({ id, units }) {
      const stream = {
        id, key: `${id}00`, units, paid: 0, handedOver: 0, ended: false, revealBy: Date.now() + 86_400_000,
        get remaining() {
          return this.units - this.paid;
        },
        pay(count) {
          if (this.ended || count > this.remaining) throw Object.assign(new Error("no"), { code: "insufficient-funds" });
          this.paid += count;
          return { key: this.key, to: this.paid };
        },
        async saved() {},
        async end() {},
      };
      placed.push(stream);
      return stream;
    },
    cancelled: [],
    async cancel(id) {
      this.cancelled.push(id);
      throw Object.assign(new Error("There is none."), { code: "unknown-payment" });
    },
    sent: async () => [],
    tell: (event) => told.push(event),
    after(work, milliseconds) {
      const timer = { work, milliseconds };
      timers.add(timer);
      return timer;
    },
    over() {},
  };
}

const soon = () => new Promise((resolve) => setTimeout(resolve));

test("a payee that gives back the stream that waits is asked with growing pauses, not at once", async () => {
  const engine = bench();
  const stream = await new Renewing(engine, { id: randomId(), to: "0x", asset: "ETH", unitPrice: 1n, units: UNITS }, 1 / 4).begin();
  stream.pay(7);
  await soon();
  assert.equal(engine.placed.length, 2);
  const giveBack = async () => {
    engine.placed.at(-1).ended = true;
    stream.changed();
    await soon();
  };
  const pauses = [];
  for (let times = 0; times < 5; times += 1) {
    await giveBack();
    assert.equal(engine.placed.length, 2 + times, "nothing is placed at once");
    assert.equal(engine.told.at(-1).error?.code, "payee-declined");
    const pause = [...engine.timers].at(-1);
    pauses.push(pause.milliseconds);
    pause.work();
    await soon();
    assert.equal(engine.placed.length, 3 + times);
  }
  assert.deepEqual(pauses, [1_000, 2_000, 4_000, 8_000, 16_000]);
  // The present one is paid by meanwhile; what was used of the next one is followed at once.
  stream.pay();
  stream.pay(2);
  const { length } = engine.placed;
  await giveBack();
  assert.equal(engine.placed.length, length + 1);
});

test("a next stream that nobody answered for is asked for back with the others", async () => {
  const engine = bench();
  const { place } = engine;
  const stream = await new Renewing(engine, { id: randomId(), to: "0x", asset: "ETH", unitPrice: 1n, units: UNITS }, 1 / 4).begin();
  const asked = [];
  engine.place = async ({ id }) => {
    asked.push(id);
    throw Object.assign(new Error("It may stand."), { code: "unanswered" });
  };
  stream.pay(7);
  await soon();
  assert.equal(engine.told.at(-1).error.code, "unanswered");
  engine.place = place;
  await stream.end();
  assert.deepEqual([engine.cancelled, asked.length], [asked, 1]);
});

test("what is no number of units passes over to no other stream", async () => {
  const engine = bench();
  const stream = await new Renewing(engine, { id: randomId(), to: "0x", asset: "ETH", unitPrice: 1n, units: UNITS }, 1 / 4).begin();
  const { key } = stream;
  stream.pay(7);
  await soon();
  assert.ok(stream.next);
  assert.throws(() => stream.pay(2.5));
  assert.equal(stream.key, key);
});
