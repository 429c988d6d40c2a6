// What an application shows of a client, told as it happens: balances, the connection, offers, trouble; and as one object
// that stays the same until something of it changes.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { parseEther } from "viem";
import { createProxy } from "../adversary/proxy.mjs";
import { clientsOf } from "../support/clients.mjs";
import { farthing } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();

let world, proxy;
const { local, disconnectAll } = clientsOf(() => world);

before(async () => {
  world = await createWorld();
  proxy = await createProxy(() => world.hubUrl);
});
afterEach(async () => {
  proxy.rules = {};
  await disconnectAll();
});
after(async () => {
  await proxy?.stop();
  await world?.stop();
});

const ether = (balances) => balances.find(({ asset }) => asset === "ETH");
/** The next event of a name that passes. */
const next = (client, name, test = () => true) => new Promise((resolve) => {
  const off = client.on(name, (event) => test(event) && (off(), resolve(event)));
});
const opened = async (options) => {
  const client = await local(await world.account(), options);
  await client.deposit({ asset: "ETH", amount: parseEther("1") });
  return client;
};

function mapStore() {
  const entries = new Map();
  return {
    broken: false,
    load: async (prefix) => [...entries].filter(([name]) => name.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1)),
    async commit(writes) {
      if (this.broken) throw new Error("no space left");
      for (const [name, value] of writes) value === null ? entries.delete(name) : entries.set(name, value);
    },
    close: async () => {},
  };
}

test("balances are told when they change, with all that balances() gives, and are not told when they don't", async () => {
  const [alice, bob] = [await opened(), await opened()];
  const told = [];
  const before = ether(await alice.balances());
  alice.on("balance", (event) => told.push(event));
  const settled = next(alice, "balance", ({ balances }) => ether(balances).available === before.available - 7n && ether(balances).sending === 0n);
  await alice.pay({ to: bob.info.address, asset: "ETH", amount: 7n });
  const { balances } = await settled;
  assert.deepEqual(balances, await alice.balances());
  assert.ok(Object.isFrozen(balances) && balances.every(Object.isFrozen));
  for (let index = 1; index < told.length; index += 1) assert.notDeepEqual(told[index].balances, told[index - 1].balances);
  // Of what changes nothing that is there, nothing is told: a refusal, questions, blocks of the chain.
  const count = told.length;
  await assert.rejects(alice.pay({ to: bob.info.address, asset: "ETH", amount: parseEther("50") }), { code: "insufficient-funds" });
  await alice.payments();
  await alice.balances();
  const head = (await alice.inspect()).engine.chain.head;
  await world.chain.admin.mine({ blocks: 2 });
  while ((await alice.inspect()).engine.chain.head <= head) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(told.length, count);
});

test("a payee, a depositor and who withdraws hear of it without asking", async () => {
  const [alice, bob] = [await opened(), await local(await world.account())];
  const paid = next(bob, "balance", ({ balances }) => ether(balances).available === 9n);
  await alice.pay({ to: bob.info.address, asset: "ETH", amount: 9n, wait: true });
  await paid;
  const deposited = next(bob, "balance", ({ balances }) => ether(balances).deposited === 1_000n);
  await bob.deposit({ asset: "ETH", amount: 1_000n });
  await deposited;
  const withdrawn = next(alice, "balance", ({ balances }) => ether(balances).withdrawn === 100n);
  await alice.withdraw({ asset: "ETH", amount: 100n });
  assert.equal(ether((await withdrawn).balances).withdrawn, 100n);
});

test("a snapshot is the same object until something of it changes, and subscribers hear exactly then", async () => {
  const [alice, bob] = [await opened(), await opened()];
  const { subscribe, snapshot } = alice;
  const first = snapshot();
  assert.equal(first.status, "connected");
  assert.deepEqual(first.info, alice.info);
  assert.deepEqual(ether(first.balances).available, parseEther("1"));
  let heard = 0;
  const seen = [first];
  const end = subscribe(() => {
    heard += 1;
    assert.notEqual(snapshot(), seen.at(-1));
    seen.push(snapshot());
  });
  assert.equal(snapshot(), first);
  await alice.balances();
  assert.equal(snapshot(), first);
  const settled = next(alice, "balance", ({ balances }) => ether(balances).available === parseEther("1") - 3n && ether(balances).sending === 0n);
  await alice.pay({ to: bob.info.address, asset: "ETH", amount: 3n });
  await settled;
  assert.ok(heard > 0);
  assert.equal(ether(snapshot().balances).available, parseEther("1") - 3n);
  assert.equal(snapshot(), snapshot());
  assert.equal(snapshot().info, first.info);
  end();
  const quiet = heard;
  const last = [];
  subscribe(() => last.push(snapshot().status));
  await alice.disconnect();
  assert.equal(heard, quiet);
  assert.equal(last.at(-1), "closed");
  assert.equal(snapshot().status, "closed");
});

test("the connection is told, and a snapshot shows it", async () => {
  const alice = await local(await world.account(), { hub: proxy.url });
  const gone = next(alice, "disconnected");
  proxy.cut(alice.info.channelId);
  await gone;
  assert.equal(alice.snapshot().status, "connecting");
  assert.equal(alice.snapshot().info.connected, false);
  await next(alice, "connected");
  assert.equal(alice.snapshot().status, "connected");
});

test("streams that wait for somebody who takes them are told as offers", async () => {
  const [alice, bob] = [await opened(), await opened()];
  const offered = next(bob, "offers");
  const placing = alice.stream({ to: bob.info.address, asset: "ETH", unitPrice: 2n, units: 10 });
  placing.catch(() => {});
  assert.equal((await offered).waiting, 1);
  assert.equal(bob.snapshot().offers, 1);
  const taken = next(bob, "offers", ({ waiting }) => waiting === 0);
  bob.on("stream", () => {});
  await Promise.all([placing, taken]);
  assert.equal(bob.snapshot().offers, 0);
});

test("an exit is told, and a snapshot shows where it stands", async () => {
  const alice = await opened();
  const stages = [];
  alice.on("exit", ({ stage }) => stages.push(stage));
  const challenge = next(alice, "exit", ({ stage }) => stage === "challenge");
  const leaving = alice.exit();
  leaving.catch(() => {});
  const { endsAt } = await challenge;
  assert.equal(alice.snapshot().exit.endsAt, endsAt);
  assert.deepEqual(stages.slice(0, 2), ["starting", "challenge"]);
});

test("a store that fails is told as storage trouble, once, with what to do", async () => {
  const store = mapStore();
  const alice = await local(await world.account(), { store });
  await alice.deposit({ asset: "ETH", amount: 1_000n });
  const told = [];
  alice.on("storage", (event) => told.push(event));
  const failed = next(alice, "error");
  const trouble = next(alice, "storage");
  store.broken = true;
  const paying = alice.pay({ to: world.hub.owner, asset: "ETH", amount: 1n });
  await assert.rejects(paying);
  assert.equal((await trouble).error.code, "storage-failed");
  assert.equal((await failed).error, told[0].error);
  assert.match(told[0].error.message, /Nothing was signed/);
  assert.equal(told.length, 1);
  assert.equal(alice.snapshot().storage, told[0].error);
});

test("a hub that speaks a newer protocol says that the package is to be updated", async () => {
  const key = await world.account();
  const newer = (version) => async (method, params, ask) => (method === "farthing_config" ? { ...(await ask()), protocolVersion: version } : ask());
  proxy.rules.call = newer(2);
  await assert.rejects(local(key, { hub: proxy.url }), { code: "bad-terms", message: /newer version of the protocol: update the package/ });
  // A channel that is stored opens all the same, and tells whoever listens, however late.
  const store = mapStore();
  proxy.rules.call = undefined;
  const first = await local(key, { hub: proxy.url, store });
  await first.deposit({ asset: "ETH", amount: 1_000n });
  await first.disconnect();
  proxy.rules.call = newer(2);
  const later = await local(key, { hub: proxy.url, store });
  const told = await next(later, "update");
  assert.deepEqual([told.newer, told.error.code], ["hub", "bad-terms"]);
  assert.equal(later.snapshot().update, told);
  assert.equal(later.snapshot().status, "connecting");
  proxy.rules.call = newer(0);
  await assert.rejects(local(key, { hub: proxy.url }), { code: "bad-terms", message: /older version of the protocol/ });
});
