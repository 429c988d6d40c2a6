// Streams where two tabs, a restart or the engine itself know more than the object that an application holds. In place of
// the engine there is what it says.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesToHex } from "viem";
import { farthing, packageFile } from "../support/env.mjs";

const UNITS = 20;
const ID = `0x${"11".repeat(16)}`;
const root = new Uint8Array(32).fill(9);
const words = [root];
for (let index = 0; index < UNITS; index++) words.push(keccak_256(words[index]));

/** Shows so many units. */
const paid = (to) => ({ to, word: bytesToHex(words[UNITS - to]) });

let Streams;

before(async () => {
  await (await farthing()).errorCodes();
  ({ Streams } = await packageFile("streams.mjs"));
});

const payment = (direction, part = {}, more = {}) => ({
  id: ID, direction, asset: "ETH", token: `0x${"00".repeat(20)}`, amount: 20n, memo: "", status: "pending",
  expiresAt: Date.now() + 86_400_000, ...more,
  stream: {
    key: `0x${"22".repeat(32)}`, condition: "hash-chain", params: `${bytesToHex(words[UNITS])}000000${UNITS.toString(16)}`,
    unitPrice: 1n, units: UNITS, shown: 0, paid: 0, granted: direction === "received", ending: false,
    revealBy: Date.now() + 80_000_000, ...part,
  },
});

/** A tab's streams, over an engine that answers so; `calls` are what it was asked. */
async function tab(known, answers = {}, before = (_) => {}) {
  const calls = [];
  const answer = (name) => async (argument) => {
    calls.push(name);
    return answers[name]?.(argument);
  };
  const core = Object.fromEntries(["reveal", "endStream", "noteShown", "cancel"].map((name) => [name, answer(name)]));
  core.info = () => ({ chainId: 1, contract: `0x${"fa".repeat(20)}` });
  core.takeStreams = async () => [known];
  core.stream = async () => ({ payment: known, words: bytesToHex(root) });
  const { promise: told, resolve } = Promise.withResolvers();
  const streams = new Streams(({ stream }) => resolve(stream));
  streams.use(core);
  if (known.direction === "sent") return { streams, calls, stream: await streams.place({}) };
  before(streams);
  streams.listen();
  return { streams, calls, stream: await told };
}

const hears = (streams, known) => streams.hears({ type: "payment", payment: known });
const failing = (code) => async () => {
  throw Object.assign(new Error("it says so."), { code });
};

test("of what was given up before a restart, or in another tab, no word is taken", async () => {
  const after = await tab(payment("received", { shown: 5, ending: true }));
  assert.throws(() => after.stream.take(paid(6)), { code: "payee-declined" });
  assert.equal(after.stream.proved, 5);

  const other = await tab(payment("received"));
  assert.equal(other.stream.take(paid(2)), 2);
  hears(other.streams, payment("received", { shown: 2, ending: true }));
  assert.throws(() => other.stream.take(paid(3)), { code: "payee-declined" });
});

test("a giving up that the engine may have noted is one", async () => {
  const { stream, calls } = await tab(payment("received"), { endStream: failing("not-connected") });
  await assert.rejects(stream.giveUp(), { code: "not-connected" });
  assert.throws(() => stream.take(paid(1)), { code: "payee-declined" });
  await assert.rejects(stream.giveUp(), { code: "not-connected" });
  assert.deepEqual(calls, ["endStream", "endStream"], "it can be tried again");
});

test("where what was taken can't be stored, nothing is given up and words are taken on", async () => {
  let broken = true;
  const { stream } = await tab(payment("received"), { reveal: () => broken && failing("storage-failed")() });
  stream.take(paid(1));
  await assert.rejects(stream.giveUp(), { code: "storage-failed" });
  broken = false;
  assert.equal(stream.take(paid(2)), 1);
});

test("when the engine says that no word counts any more, none is taken, whatever the device's clock says", async () => {
  for (const code of ["payment-expired", "payee-declined", "unknown-payment"]) {
    const { stream } = await tab(payment("received"), { reveal: failing(code) });
    assert.equal(stream.take(paid(1)), 1);
    await assert.rejects(stream.reveal(), { code });
    assert.throws(() => stream.take(paid(2)), { code, message: /it says so\. Nothing was taken\./ });
    assert.equal(stream.proved, 1);
  }
  const { stream } = await tab(payment("received"), { reveal: failing("not-connected") });
  stream.take(paid(1));
  await assert.rejects(stream.reveal(), { code: "not-connected" });
  assert.equal(stream.take(paid(2)), 1, "a hub that is gone comes back");
});

test("a word that another tab has shown proves nothing new", async () => {
  const { streams, stream, calls } = await tab(payment("received"));
  hears(streams, payment("received", { shown: 8, paid: 8 }));
  assert.equal(stream.proved, 8);
  assert.equal(stream.take(paid(8)), 0);
  await stream.reveal();
  assert.deepEqual(calls, [], "and it is not shown again");
  assert.equal(stream.take(paid(9)), 1);
});

test("a payer goes on behind what the hub was shown, though its store had forgotten it", async () => {
  const { streams, stream, calls } = await tab(payment("sent"));
  assert.deepEqual(stream.pay(2), { key: stream.key, from: 0, ...paid(2) });
  hears(streams, payment("sent", { shown: 7, paid: 7 }));
  assert.deepEqual([stream.paid, stream.remaining], [7, 13]);
  await stream.saved();
  assert.deepEqual(calls, [], "that is stored already");
  assert.deepEqual(stream.pay(1), { key: stream.key, from: 7, ...paid(8) });
  // What an older tab still says.
  hears(streams, payment("sent", { shown: 7, paid: 7 }));
  assert.equal(stream.paid, 8);
});

test("a stream that has ended has nothing left to be noted", async () => {
  const { streams, stream, calls } = await tab(payment("sent"), { noteShown: failing("unknown-payment") });
  stream.pay(UNITS);
  hears(streams, payment("sent", { shown: UNITS - 1, paid: UNITS - 1 }, { status: "completed" }));
  await stream.saved();
  assert.deepEqual(calls, []);
});

test("a rest that was asked for before anybody listened is given up by whoever listens then", async () => {
  const gone = Promise.withResolvers();
  const asks = (streams) => streams.hears({ type: "_endAsked", id: ID });
  const { stream } = await tab(payment("received"), { endStream: gone.resolve }, asks);
  assert.deepEqual(await gone.promise, { id: ID });
  assert.throws(() => stream.take(paid(1)), { code: "payee-declined" });
});

test("once it is over, what was asked before is forgotten", async () => {
  const { calls } = await tab(payment("received"), {}, (streams) => {
    streams.hears({ type: "_endAsked", id: ID });
    hears(streams, payment("received", {}, { status: "failed" }));
  });
  await new Promise(setImmediate);
  assert.deepEqual(calls, []);
});

test("one stream that can't be read keeps nobody from taking the others", async () => {
  const id = (index) => `0x${`${index}`.repeat(32)}`;
  const open = [1, 2, 3].map((index) => ({ ...payment("received"), id: id(index) }));
  open[1].stream.units = UNITS + 1;
  const told = [];
  const streams = new Streams(({ stream }) => told.push(stream.id));
  streams.use({ info: () => ({ chainId: 1, contract: `0x${"fa".repeat(20)}` }), takeStreams: async () => open });
  streams.listen();
  await new Promise(setImmediate);
  assert.deepEqual(told, [id(1), id(3)]);
  assert.equal(hears(streams, { ...open[1], id: id(4) }), true, "nor does the engine stumble over it");
});
