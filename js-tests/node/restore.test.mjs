// The laptop is lost: the wallet comes back on an empty device, from the hub or from a second place.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { parseEther } from "viem";
import { clientsOf } from "../support/clients.mjs";
import { settled } from "../support/settled.mjs";
import { createWorld } from "../support/world.mjs";

let world;
const { local, disconnectAll } = clientsOf(() => world);

before(async () => {
  world = await createWorld();
});
after(async () => {
  await disconnectAll();
  await world?.stop();
});

const available = async (client) => (await settled(client)).available;

/** A second place that remembers everything it was given. */
function place() {
  const kept = [];
  return { kept, put: async (bytes) => void kept.push(bytes), get: async () => kept.at(-1) };
}

test("an empty device gets the wallet back from the hub, and goes on paying", async () => {
  const [a, b] = [await world.account(), await world.account()];
  const alice = await local(a);
  const bob = await local(b);
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  await bob.deposit({ asset: "ETH", amount: parseEther("1") });
  await alice.pay({ to: b.address, asset: "ETH", amount: 7n });
  await bob.pay({ to: a.address, asset: "ETH", amount: 3n });
  const had = await available(alice);
  await alice.disconnect();

  const again = await local(a);
  const { from, older } = await new Promise((resolve) => again.on("restored", resolve));
  assert.deepEqual([from, older], ["hub", undefined]);
  assert.equal(again.info.channelId, alice.info.channelId);
  assert.equal(await available(again), had);
  const receipt = await again.pay({ to: b.address, asset: "ETH", amount: 5n });
  assert.equal(receipt.status, "completed");
  await bob.pay({ to: a.address, asset: "ETH", amount: 1n });
});

test("the newer of two backups is taken, and an old one is named", async () => {
  const [a, b] = [await world.account(), await world.account()];
  const own = place();
  const alice = await local(a, { backup: own });
  const bob = await local(b);
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  await bob.deposit({ asset: "ETH", amount: parseEther("1") });
  await alice.pay({ to: b.address, asset: "ETH", amount: 7n });
  await alice.disconnect();
  const early = own.kept.at(-1);
  assert.ok(early instanceof Uint8Array && !Buffer.from(early).includes(Buffer.from(a.privateKey.slice(2), "hex")));

  // This device keeps its store, so the hub's backup grows and the second place's does not.
  const events = [];
  const second = await local(a, { backup: { put() {}, get: () => early } });
  await second.pay({ to: b.address, asset: "ETH", amount: 11n });
  const had = await available(second);
  await second.disconnect();

  const third = await local(a, { backup: { put() {}, get: () => early } });
  third.on("error", ({ error }) => events.push(error.code));
  const { from, older } = (await third.events().next()).value;
  assert.deepEqual([from, older], ["hub", "backup"]);
  assert.equal(await available(third), had);
  assert.equal((await third.pay({ to: b.address, asset: "ETH", amount: 1n })).status, "completed");
  assert.deepEqual(events, []);
});

test("a backup of another key or a damaged one is refused, and so is a place without methods", async () => {
  const [a, b] = [await world.account(), await world.account()];
  await assert.rejects(local(a, { backup: { put() {} } }), { code: "invalid-argument" });
  const own = place();
  const alice = await local(a, { backup: own });
  await alice.deposit({ asset: "ETH", amount: 1_000n });
  await alice.disconnect();
  const bytes = Uint8Array.from(own.kept.at(-1));
  bytes[40] ^= 1;
  // The hub's is sound, so the damaged one does no harm.
  const again = await local(a, { backup: { put() {}, get: () => bytes } });
  assert.equal(await available(again), 1_000n);
  const bob = await local(b, { backup: { put() {}, get: () => own.kept.at(-1) } });
  assert.equal(await available(bob), 0n);
});

test("a store of a newer build is refused, whether it or one of its records says so, and left as it is", async () => {
  const a = await world.account();
  const entries = new Map();
  const store = {
    load: async (prefix) => [...entries].filter(([key]) => key.startsWith(prefix)).sort(([left], [right]) => (left < right ? -1 : 1)),
    commit: async (writes) => {
      for (const [key, value] of writes) value instanceof Uint8Array ? entries.set(key, value) : entries.delete(key);
    },
    close: async () => {},
  };
  const open = () => local(a, { store });
  const alice = await open();
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  await alice.pay({ to: world.hub.owner, asset: "ETH", amount: 7n });
  const had = await available(alice);
  await alice.disconnect();
  const whole = new Map(entries);
  const [record] = [...entries.keys()].filter((key) => /^w\/.*\/(log|snapshot)/.test(key)).slice(-1);
  const format = whole.get("format")[0];

  // The store says so itself, or one of its records does.
  for (const [key, value] of [
    ["format", Uint8Array.of(format + 1)],
    [record, Uint8Array.from([whole.get(record)[0] + 1, ...whole.get(record).slice(1)])],
  ]) {
    entries.set(key, value);
    const before = new Map(entries);
    await assert.rejects(open(), { code: "storage-version" });
    assert.deepEqual(entries, before);
    entries.set(key, whole.get(key));
  }

  // The build that wrote it goes on.
  const again = await open();
  assert.equal(await available(again), had);
  await again.pay({ to: world.hub.owner, asset: "ETH", amount: 1n });
});

test("a backup of a newer build is not overlooked: nothing else is taken up in its place", async (t) => {
  const a = await world.account();
  const first = await local(a);
  await first.deposit({ asset: "ETH", amount: parseEther("1") });
  await first.pay({ to: world.hub.owner, asset: "ETH", amount: 7n });
  await first.disconnect();
  const real = globalThis.fetch;
  let newer = 0;
  t.mock.method(globalThis, "fetch", async (request, options) => {
    const body = request instanceof Request ? await request.clone().text() : String(options?.body);
    const response = await real(request, options);
    if (!body.includes("farthing_backupGet")) return response;
    newer += 1;
    return new Response((await response.text()).replace(/"backup":"0x01/, '"backup":"0xff'), response);
  });
  for (const adopt of [true, false]) await assert.rejects(local(a, { adopt }), { code: "storage-version" });
  assert.equal(newer, 2);
  t.mock.restoreAll();
  assert.equal(await available(await local(a)), parseEther("1") - 7n);
});
