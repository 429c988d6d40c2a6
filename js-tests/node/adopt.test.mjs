// The device is lost with its backups, or an old store was put back: the wallet takes over what the hub holds. And what
// a client does not spend gas on.

import assert from "node:assert/strict";
import { copyFileSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parseEther } from "viem";
import { gasPaid } from "../demo/audit.mjs";
import { clientsOf } from "../support/clients.mjs";
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

const eth = async (client) => (await client.balances()).find(({ asset }) => asset === "ETH");

/** While `work` runs the hub says that it keeps no backups. */
async function withoutBackups(work) {
  const native = globalThis.fetch;
  globalThis.fetch = async (request, init) => {
    const body = request instanceof Request ? await request.clone().text() : String(init?.body);
    if (!body.includes("farthing_backupGet")) return native(request, init);
    return Response.json({ jsonrpc: "2.0", id: JSON.parse(body).id, result: { backup: null } });
  };
  return work().finally(() => (globalThis.fetch = native));
}

/** Resolves with the next payment event that fits. */
const payment = (client, fits) =>
  new Promise((resolve) => {
    const stop = client.on("payment", ({ payment }) => {
      if (!fits(payment)) return;
      stop();
      resolve(payment);
    });
  });

test("with nothing left but the key, both lanes come back, and what was on its way goes on", async () => {
  const [a, b, c] = [await world.account(), await world.account(), await world.account()];
  const alice = await local(a, { challengePeriod: 7_200 });
  const bob = await local(b);
  let carol = await local(c);
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  await bob.deposit({ asset: "ETH", amount: parseEther("1") });
  await carol.deposit({ asset: "ETH", amount: 1n });
  await carol.disconnect();
  await alice.pay({ to: b.address, asset: "ETH", amount: 7n, wait: true });
  await bob.pay({ to: a.address, asset: "ETH", amount: 3n, wait: true });
  const held = payment(alice, ({ status }) => status === "held");
  alice.pay({ to: c.address, asset: "ETH", amount: 1_000n }).catch(() => {});
  await held;
  await alice.disconnect();

  const again = await withoutBackups(async () => {
    await assert.rejects(local(a), { code: "state-outdated", message: /no backup/ });
    // Its challenge period is not the default one: the hub says which channel it is, and the chain that it is there.
    return local(a, { adopt: true });
  });
  const restored = new Promise((resolve) => again.on("restored", resolve));
  assert.deepEqual(again.info.channelId, alice.info.channelId);
  assert.equal((await restored).from, "proofs");
  const { available, sending, deposited } = await eth(again);
  assert.deepEqual([available, sending, deposited], [parseEther("1") - 7n + 3n - 1_000n, 1_000n, parseEther("1")]);
  const [pending] = await again.payments();
  assert.deepEqual([pending.to, pending.amount, pending.direction], [undefined, 1_000n, "sent"]);
  const paid = payment(again, ({ id, status }) => id === pending.id && status === "completed");
  carol = await local(c);
  assert.match((await paid).preimage, /^0x[0-9a-f]{64}$/, "the payee's secret proves it");
  await again.pay({ to: b.address, asset: "ETH", amount: 5n, wait: true });
  const came = payment(again, ({ amount, status }) => amount === 2n && status === "completed");
  await bob.pay({ to: a.address, asset: "ETH", amount: 2n, wait: true });
  await came;
  assert.equal((await eth(again)).available, parseEther("1") - 7n + 3n - 1_000n - 5n + 2n);
  await again.close();
  const gas = (await gasPaid(world, [a.address], 0n)).of(a.address);
  assert.equal(await world.balanceOf(a.address), parseEther("10") - 1_007n - gas);
});

test("an old store is named; adopt brings it up to date, and only once", async () => {
  const [a, b] = [await world.account(), await world.account()];
  const store = join(world.folder, "alice.sqlite");
  const ends = ["", "-wal", "-shm"].map((end) => [store + end, `${store}.old${end}`]);
  const alice = await local(a, { store });
  const bob = await local(b);
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  await bob.deposit({ asset: "ETH", amount: parseEther("1") });
  await alice.pay({ to: b.address, asset: "ETH", amount: 7n, wait: true });
  await alice.disconnect();
  for (const [from, to] of ends) if (existsSync(from)) copyFileSync(from, to);
  const second = await local(a, { store });
  await second.pay({ to: b.address, asset: "ETH", amount: 11n, wait: true });
  const came = payment(second, ({ amount, status }) => amount === 500n && status === "completed");
  await bob.pay({ to: a.address, asset: "ETH", amount: 500n, wait: true });
  await came;
  await second.disconnect();
  for (const [to, from] of ends) {
    rmSync(to, { force: true });
    if (existsSync(from)) copyFileSync(from, to);
  }

  const old = await local(a, { store });
  const error = await new Promise((resolve) => old.on("error", ({ error }) => resolve(error)));
  assert.equal(error.code, "state-outdated");
  await assert.rejects(old.pay({ to: b.address, asset: "ETH", amount: 1n }), { code: "state-outdated" });
  await old.disconnect();

  const events = [];
  const open = async (options) => {
    const client = await local(a, { store, ...options });
    for (const name of ["restored", "error"]) client.on(name, (event) => events.push(event.from ?? event.error.code));
    return client;
  };
  let current = await open({ adopt: true });
  assert.equal((await eth(current)).available, parseEther("1") - 18n + 500n);
  await current.pay({ to: b.address, asset: "ETH", amount: 1n, wait: true });
  await current.disconnect();
  assert.deepEqual(events.splice(0), ["proofs"]);
  for (const adopt of [true, false]) {
    current = await open({ adopt });
    await current.pay({ to: b.address, asset: "ETH", amount: 1n, wait: true });
    assert.equal((await eth(current)).available, parseEther("1") - (adopt ? 20n : 21n) + 500n);
    await current.disconnect();
  }
  assert.deepEqual(events, [], "nothing was missing any more");
});

/** A store in a map, which commits what `decide` of its writes' keys lets pass. */
function mapStore(entries, decide = async () => {}) {
  return {
    load: async (prefix) => [...entries].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1)),
    async commit(writes) {
      await decide(writes.map(([key]) => key));
      for (const [key, value] of writes) value === null ? entries.delete(key) : entries.set(key, value);
    },
    async close() {},
  };
}

test("that a store is old is said when it is stored; where it never is, the store's failure is told instead", async () => {
  const [account, entries] = [await world.account(), new Map()];
  const paying = { to: world.hub.owner, asset: "ETH", amount: 3n };
  const first = await local(account, { store: mapStore(entries) });
  await first.deposit({ asset: "ETH", amount: 1_000n });
  await first.disconnect();
  const newest = new Map(entries);
  const second = await local(account, { store: mapStore(newest) });
  await second.pay(paying);
  await second.disconnect();
  const taken = Object.assign(new Error("Somebody else has it"), { code: "storage-locked" });
  for (const [refusal, code] of [[taken, "storage-locked"], [undefined, "state-outdated"]]) {
    let begun, decided;
    const writing = new Promise((resolve) => (begun = resolve));
    const decision = new Promise((resolve, reject) => (decided = () => (refusal ? reject(refusal) : resolve())));
    const noted = (keys) => keys.some((key) => key.includes("/log/"));
    const store = mapStore(new Map(entries), async (keys) => noted(keys) && (begun(), await decision));
    const old = await local(account, { store });
    await writing;
    let told;
    const pay = old.pay(paying).catch((error) => (told = error.code));
    // Far longer than it takes to refuse a payment.
    for (let round = 0; round < 20; round += 1) await old.payments();
    assert.equal(told, undefined, "nothing says yet that it is true");
    decided();
    assert.equal(await pay, code);
    await old.disconnect();
  }
});

test("a wallet that nothing is known of, and a hub that shows nothing: adopt changes nothing", async () => {
  const account = await world.account();
  const client = await local(account, { adopt: true });
  await client.deposit({ asset: "ETH", amount: 10n });
  await client.pay({ to: world.hub.owner, asset: "ETH", amount: 3n });
  assert.equal((await eth(client)).available, 7n);
  await assert.rejects(local(account, { adopt: 1 }), { code: "invalid-argument" });
});

test("a refusal keeps nobody from a wallet that is stored: an exit that runs goes on", async () => {
  const account = await world.account();
  const store = join(world.folder, "leaving.sqlite");
  const leaving = await local(account, { store });
  await leaving.deposit({ asset: "ETH", amount: 1_000n });
  await leaving.pay({ to: world.hub.owner, asset: "ETH", amount: 3n });
  const challenge = new Promise((resolve) => leaving.on("exit", ({ stage, endsAt }) => stage === "challenge" && resolve(endsAt)));
  leaving.exit().catch(() => {});
  const endsAt = await challenge;
  await leaving.disconnect();
  const again = await local(account, { store, adopt: true });
  const told = new Promise((resolve) => again.on("error", ({ error }) => resolve(error.code)));
  assert.equal(await told, "channel-exiting");
  const done = new Promise((resolve) => again.on("exit", ({ stage }) => stage === "done" && resolve()));
  await world.chain.passTo(endsAt / 1_000 + 1);
  await done;
  const gas = (await gasPaid(world, [account.address], 0n)).of(account.address);
  assert.ok([0n, 3n].includes(parseEther("10") - gas - (await world.balanceOf(account.address))));
});

test("dust: beyond its cap it is refused, and no gas is spent on it", async () => {
  const [a, b] = [await world.account(), await world.account()];
  for (const [dust, code] of [
    [[], "invalid-argument"],
    [{ ETH: 5n }, "invalid-argument"],
    [{ ETH: { threshold: 5, cap: 10n } }, "invalid-amount"],
    [{ ETH: { threshold: 5n } }, "invalid-amount"],
    [{ ETH: { threshold: 5n, cap: 4n } }, "invalid-argument"],
    [{ NOPE: { threshold: 5n, cap: 10n } }, "unknown-asset"],
  ]) {
    await assert.rejects(local(b, { dust }), { code }, JSON.stringify(code));
  }
  const alice = await local(a);
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  // What Bob says of secrets never arrives: all that he is paid stays pending.
  const Native = globalThis.WebSocket;
  globalThis.WebSocket = class extends Native {
    send(data) {
      if (!data.includes('"reveal"')) super.send(data);
    }
  };
  const bob = await local(b, { dust: { ETH: { threshold: 100n, cap: 150n } } }).finally(() => (globalThis.WebSocket = Native));
  await bob.deposit({ asset: "ETH", amount: 1n });
  const pays = async (amount) => {
    const came = payment(bob, (payment) => payment.amount === amount && payment.direction === "received");
    alice.pay({ to: b.address, asset: "ETH", amount }).catch(() => {});
    await came;
  };
  await pays(90n);
  await pays(60n);
  await assert.rejects(alice.pay({ to: b.address, asset: "ETH", amount: 5n }), { code: "payee-declined" });
  await pays(5_000n);
  await world.hub.stop("SIGKILL");
  const sent = () => world.chain.reader.getTransactionCount({ address: b.address });
  const before = await sent();
  await bob.exit({ onProgress: ({ endsAt }) => endsAt && world.chain.passTo(endsAt / 1_000 + 1) });
  assert.equal((await sent()) - before, 4, "the exit, evidence for one payment, settlement, one claim");
  assert.equal(await world.balanceOf(b.address), parseEther("10") + 5_000n - (await gasPaid(world, [b.address], 0n)).of(b.address));
});
