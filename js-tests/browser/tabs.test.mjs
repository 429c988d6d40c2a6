// One wallet in several tabs of Chromium: one of them works for all, and whatever becomes of it, every payment is made
// exactly once.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, afterEach, before, test } from "node:test";
import { parseEther } from "viem";
import { openBrowser } from "../support/browser.mjs";
import { crowd, takeover } from "../support/crowd.mjs";
import { farthing } from "../support/env.mjs";
import { closeAll, leaderOf, openAll, openTab, stop, until } from "../support/tabs.mjs";
import { createWorld } from "../support/world.mjs";

/** A debugger may halt a page between two calls of one commit, where a browser never freezes it; then it thaws so late. */
const DELAYED = 2_000;

let world, browser, alice, a;

before(async () => {
  [world, browser] = await Promise.all([createWorld(), openBrowser()]);
  a = await world.account();
  const { connect } = await farthing();
  alice = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey: a.privateKey }, store: "memory", pollInterval: 100 });
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
});
after(async () => {
  await alice?.disconnect();
  await browser?.close();
  await world?.stop();
});

// What a failed test left.
afterEach(() => Promise.all(browser.context.pages().map((page) => page.close())));

const newWallet = async () => {
  const { privateKey, address } = await world.account();
  return { address, hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey } };
};

/** Tabs of one new wallet, all connected, the first one leading. */
async function openTabs(count, hear) {
  const { address, ...options } = await newWallet();
  return { address, options, tabs: await openAll(browser, options, count, hear) };
}

test("calls, results, errors, progress, signals and events cross between tabs", async () => {
  const { tabs } = await openTabs(2);
  const [first, second] = tabs.map(({ page }) => page);
  assert.equal(await first.evaluate(() => leads()), true);
  assert.equal(await second.evaluate(() => leads()), false);
  const [ours, theirs] = await Promise.all(tabs.map(({ page }) => page.evaluate(() => client.info)));
  assert.deepEqual(ours, theirs);
  for (const page of [first, second]) {
    await page.evaluate(() => {
      globalThis.heard = [];
      client.on("payment", ({ payment }) => heard.push(`${payment.memo} ${payment.status}`));
      client.on("deposit", ({ total }) => heard.push(`deposit ${total}`));
    });
  }
  const found = await second.evaluate(async (to) => {
    const stages = [];
    const code = (promise) => promise.then(() => "none", (error) => `${error.name} ${error.code}`);
    await client.deposit({ asset: "ETH", amount: 10n ** 17n, onProgress: (step) => stages.push(step.stage, Object.isFrozen(step)) });
    const receipt = await client.pay({ to, asset: "ETH", amount: 5n, memo: "crosses", wait: true });
    const listed = await client.payments({ direction: "sent" });
    const stopped = new AbortController();
    stopped.abort();
    const waiting = new AbortController();
    const exit = code(client.withdraw({ asset: "ETH", amount: 1n, signal: waiting.signal, onProgress: () => waiting.abort() }));
    return {
      stages, kit: JSON.parse(await client.exportExitKit()).format, receipt: [receipt.status, receipt.amount, receipt.memo, Object.isFrozen(receipt)],
      listed: listed.map(({ id }) => id === receipt.id), frozen: Object.isFrozen(listed) && Object.isFrozen(client.info.hub.assets),
      codes: await Promise.all([
        code(client.pay({ to, asset: "ETH", amount: 5 })), code(client.pay({ to, asset: "NO", amount: 5n })),
        code(client.pay({ to, asset: "ETH", amount: 5n, mistake: 1 })), code(client.pay({ to, asset: "ETH", amount: 5n, memo: () => 1 })),
        code(client.pay()), code(client.pay(7)), code(client.cancel("0x12")), code(client.cancel(`0x${"1".repeat(32)}`)),
        code(client.deposit({ asset: "ETH", amount: 5n, onProgress: 7 })), code(client.deposit({ asset: "ETH", amount: 5n, signal: 7 })),
        code(client.pay({ to, asset: "ETH", amount: 5n, signal: stopped.signal })), exit,
      ]),
    };
  }, a.address);
  assert.equal(found.kit, "farthing-exit-kit");
  assert.deepEqual(found.stages, ["submitted", true, "mined", true, "confirmed", true]);
  assert.deepEqual(found.receipt, ["completed", 5n, "crosses", true]);
  assert.deepEqual(found.listed, [true]);
  assert.ok(found.frozen);
  assert.deepEqual(found.codes, [
    "invalid-amount", "unknown-asset", "invalid-argument", "invalid-argument", "invalid-amount", "invalid-argument",
    "invalid-argument", "unknown-payment", "invalid-argument", "invalid-argument", "aborted", "aborted",
  ].map((code) => `FarthingError ${code}`).map((code, index) => (index === 4 ? found.codes[4] : code)));
  for (const page of [first, second]) {
    await page.waitForFunction((wanted) => wanted.every((what) => heard.includes(what)), [`deposit ${10n ** 17n}`, "crosses completed"]);
  }
  const balances = await Promise.all([first, second].map((page) => page.evaluate(() => client.balances())));
  assert.deepEqual(balances[0], balances[1]);
  await closeAll(tabs);
});

test("one stream paid from two tabs: no unit is taken for two, and what one has noted the other goes on behind", async () => {
  const { tabs } = await openTabs(2);
  const [first, second] = tabs.map(({ page }) => page);
  const streams = new Map();
  const stop = alice.on("stream", ({ stream }) => streams.set(stream.key, stream));
  await first.evaluate(() => client.deposit({ asset: "ETH", amount: 10n ** 17n }));
  const id = `0x${randomBytes(16).toString("hex")}`;
  const place = ([to, id]) => client.stream({ id, to, asset: "ETH", unitPrice: 1_000n, units: 100 }).then((stream) => void (globalThis.stream = stream));
  for (const page of [first, second]) await page.evaluate(place, [a.address, id]);
  const pay = (page, units) => page.evaluate((units) => stream.pay(units), units);
  // Neither has heard of the other: the same units, and their words are worth what one of them is.
  const [three, two] = [await pay(first, 3), await pay(second, 2)];
  assert.deepEqual([three.from, three.to, two.from, two.to], [0, 3, 0, 2]);
  await until(() => streams.has(three.key), "the payee hears of the stream");
  const taken = streams.get(three.key);
  assert.deepEqual([taken.take(three), taken.take(two), taken.proved], [3, 0, 3]);
  await first.evaluate(() => stream.saved());
  await second.waitForFunction(() => stream.paid === 3);
  const next = await pay(second, 2);
  assert.deepEqual([next.from, next.to, taken.take(next), taken.proved], [3, 5, 2, 5]);
  await second.evaluate(() => stream.saved());
  await first.waitForFunction(() => stream.paid === 5);
  assert.equal((await first.evaluate(() => client.streams())).length, 1);
  stop();
  await taken.reveal();
  await taken.giveUp();
  await until(async () => (await alice.balances()).find(({ asset }) => asset === "ETH").receiving === 0n, "the rest is given up");
  await closeAll(tabs);
});

test("tabs that can't be one wallet are refused, as is one that does not share", async () => {
  const { tabs, options } = await openTabs(1);
  const code = async (changes) => {
    const page = await browser.newPage();
    const found = await page.evaluate((given) => farthing.connect(given).then(() => "connected", (error) => error.code), { ...options, ...changes });
    await page.close();
    return found;
  };
  assert.equal(await code({ shared: false }), "storage-locked");
  assert.equal(await code({ chainId: 1 }), "chain-mismatch");
  assert.equal(await code({ contract: a.address }), "chain-mismatch");
  assert.equal(await code({ shared: 1 }), "invalid-argument");
  assert.equal(await code({ mistake: 1 }), "invalid-argument");
  assert.equal(await code({ pollInterval: 100 }), "connected");
  await closeAll(tabs);
});

test("a lock's name and what crosses the channel hold no key", async () => {
  const { options, tabs } = await openTabs(1);
  const page = await browser.newPage();
  const name = await page.evaluate(async () => (await navigator.locks.query()).held.find(({ name }) => name.startsWith("farthing/tabs/")).name);
  assert.match(name, /^farthing\/tabs\/[0-9a-f]{32}$/);
  await page.evaluate((name) => {
    globalThis.crossed = "";
    const show = (_, value) => (typeof value === "bigint" ? String(value) : value);
    new BroadcastChannel(name).onmessage = ({ data }) => (crossed += JSON.stringify(data, show));
  }, name);
  tabs.push(await openTab(browser, options));
  await tabs[1].page.evaluate(() => join());
  await tabs[1].page.evaluate(() => client.balances());
  await tabs[0].page.close();
  await tabs[1].page.evaluate(() => client.balances());
  await page.waitForFunction(() => crossed.split('"ready":true').length > 2);
  const crossed = await page.evaluate(() => crossed);
  assert.ok(!crossed.toLowerCase().includes(options.wallet.privateKey.slice(2, 20).toLowerCase()));
  assert.ok(!/private|mnemonic/i.test(crossed));
  await closeAll([{ page }, tabs[1]]);
});

for (const way of Object.keys(stop)) {
  test(`the leader is ${way}: another tab takes over within a second`, async () => {
    const { address: _, ...options } = await newWallet();
    await takeover({ browser, options, stop, to: a.address, delayed: DELAYED }, way);
  });
}

test("a leader that does not learn that it was replaced commits nothing", async () => {
  const { address: _, ...options } = await newWallet();
  const ends = [];
  let ended;
  const committed = new Promise((resolve) => (ended = resolve));
  const first = await openTab(browser, options, (_, type, how) => type === "commit" && ended(ends.push(how)));
  await first.page.evaluate(() => {
    const { transaction } = IDBDatabase.prototype;
    IDBDatabase.prototype.transaction = function (store, mode, options) {
      const begun = transaction.call(this, store, mode, options);
      // The fence may stop it before this test has seen that it was replaced; then nothing more is begun.
      const counted = globalThis.replaced ? ["complete", "abort"] : globalThis.deaf ? ["abort"] : [];
      if (mode === "readwrite") for (const how of counted) begun.addEventListener(how, () => say("commit", how));
      return begun;
    };
    // Its engine runs on; what would tell it comes late, and nobody hears of it.
    const { request } = LockManager.prototype;
    LockManager.prototype.request = function (...given) {
      const never = new Promise(() => {});
      return globalThis.deaf ? never : request.apply(this, given).catch((error) => (globalThis.deaf ? never : Promise.reject(error)));
    };
    const { postMessage } = BroadcastChannel.prototype;
    BroadcastChannel.prototype.postMessage = function (message) {
      if (!globalThis.deaf) postMessage.call(this, message);
    };
    const { set } = Object.getOwnPropertyDescriptor(BroadcastChannel.prototype, "onmessage");
    Object.defineProperty(BroadcastChannel.prototype, "onmessage", {
      set(listener) {
        set.call(this, (event) => globalThis.deaf || listener(event));
      },
    });
  });
  await first.page.evaluate(() => join());
  await first.page.evaluate(() => client.deposit({ asset: "ETH", amount: 10n ** 17n }));
  let replaced;
  const taken = new Promise((resolve) => (replaced = resolve));
  const second = await openTab(browser, options, (_, type) => type === "connected" && replaced());
  await second.page.evaluate(() => join());
  await first.page.evaluate(() => (globalThis.deaf = true));
  await taken;
  await first.page.evaluate(() => (globalThis.replaced = true));
  const count = (what) => second.page.evaluate(async (what) => (await client.payments()).filter(({ memo }) => memo.startsWith(what)).length, what);
  const pay = (tab, what) => tab.page.evaluate(async ({ to, what }) => {
    const pays = Array.from({ length: 10 }, (_, index) => client.pay({ to, asset: "ETH", amount: 1n, memo: `${what}${index}`, wait: true }));
    return (await Promise.all(pays)).every(({ status }) => status === "completed");
  }, { to: a.address, what });
  assert.ok(await pay(second, "new"));
  const late = pay(first, "late");
  await committed;
  assert.equal(await count("late"), 0);
  await first.page.evaluate(() => (globalThis.deaf = false));
  assert.ok(await late);
  assert.deepEqual(new Set(ends), new Set(["abort"]));
  await second.page.evaluate(() => client.disconnect());
  await first.page.evaluate(() => client.disconnect());
  // What counts is what the store holds.
  await second.page.evaluate(() => join());
  assert.deepEqual([await count("late"), await count("new")], [10, 10]);
  const received = (await alice.payments({ direction: "received" })).filter(({ memo }) => /^(late|new)\d$/.test(memo));
  assert.equal(new Set(received.map(({ memo }) => memo)).size, 20);
  assert.equal(received.length, 20);
  await closeAll([first, second]);
});

test("what can't be repeated is done at most once, whoever leads and whoever thaws", async () => {
  const { address, tabs } = await openTabs(3);
  const deposit = (tab, amount) => tab.page.evaluate(async (amount) => (await client.deposit({ asset: "ETH", amount })).hash, amount);
  await stop.frozen(tabs[0]);
  // It waits in the frozen leader's queue, and is done by the next one.
  await deposit(tabs[1], 10n ** 16n);
  await tabs[0].thaw();
  await deposit(tabs[0], 10n ** 15n);
  // The leader goes when the transaction is out: its caller can't know what becomes of it, and is told so.
  const leader = await leaderOf(tabs, tabs[0]);
  const others = tabs.filter((tab) => tab !== leader);
  const begun = new Promise((resolve) => others[0].page.exposeFunction("begun", resolve));
  await others[0].page.waitForFunction(() => globalThis.begun !== undefined);
  const outcome = others[0].page.evaluate(() =>
    client.deposit({ asset: "ETH", amount: 10n ** 14n, onProgress: () => begun() }).then(() => "done", (error) => error.code));
  await begun;
  await stop.crashed(leader);
  assert.equal(await outcome, "client-closed");
  const total = 10n ** 16n + 10n ** 15n + 10n ** 14n;
  await until(async () => (await others[1].page.evaluate(async () => (await client.balances()).find(({ asset }) => asset === "ETH").deposited)) === total, "the deposits count");
  assert.equal(await world.chain.reader.getTransactionCount({ address }), 3);
  await closeAll(others);
});

test("pay() with an id that it knows pays nothing again, in no session", async () => {
  const { tabs } = await openTabs(1);
  const [{ page }] = tabs;
  await page.evaluate(() => client.deposit({ asset: "ETH", amount: 10n ** 17n }));
  const id = `0x${randomBytes(16).toString("hex")}`;
  const pay = (amount = 9n) => page.evaluate(
    ({ to, id, amount }) => client.pay({ to, asset: "ETH", amount, memo: "once", wait: true, id }).then(({ id, status }) => `${id} ${status}`, ({ code }) => code),
    { to: a.address, id, amount },
  );
  const [one, two] = await Promise.all([pay(), pay()]);
  assert.deepEqual([one, two, await pay()], Array(3).fill(`${id} completed`));
  assert.equal(await pay(8n), "invalid-argument");
  // Enough of others that it moves to the history.
  await page.evaluate(async (to) => {
    for (let round = 0; round < 8; round += 1) await Promise.all(Array.from({ length: 100 }, () => client.pay({ to, asset: "ETH", amount: 1n, wait: true })));
  }, a.address);
  assert.equal(await pay(), `${id} completed`);
  await page.evaluate(() => client.disconnect());
  await page.evaluate(() => join());
  assert.equal(await pay(), `${id} completed`);
  assert.equal(await page.evaluate(async () => (await client.payments()).filter(({ memo }) => memo === "once").length), 1);
  assert.equal((await alice.payments({ direction: "received" })).filter(({ memo }) => memo === "once").length, 1);
  await closeAll(tabs);
});

test("a payment whose answer was lost is not made again, however long ago it was", async () => {
  const { address: _, ...options } = await newWallet();
  const first = await openTab(browser, options);
  await first.page.evaluate(() => join());
  await first.page.evaluate(() => client.deposit({ asset: "ETH", amount: 10n ** 17n }));
  const second = await openTab(browser, options);
  await second.page.evaluate(() => {
    const { set } = Object.getOwnPropertyDescriptor(BroadcastChannel.prototype, "onmessage");
    Object.defineProperty(BroadcastChannel.prototype, "onmessage", {
      set(listener) {
        set.call(this, (event) => event.data.kind === "done" || listener(event));
      },
    });
    return join();
  });
  const paid = second.page.evaluate((to) => client.pay({ to, asset: "ETH", amount: 7n, memo: "lost", wait: true }), a.address);
  const found = () => first.page.evaluate(async () => (await client.payments()).filter(({ memo, status }) => memo === "lost" && status === "completed").length);
  await until(async () => (await found()) === 1, "it is paid");
  await first.page.evaluate(async (to) => {
    for (let round = 0; round < 8; round += 1) await Promise.all(Array.from({ length: 100 }, () => client.pay({ to, asset: "ETH", amount: 1n, wait: true })));
  }, a.address);
  await first.page.close();
  assert.equal((await paid).status, "completed");
  assert.equal((await alice.payments({ direction: "received" })).filter(({ memo }) => memo === "lost").length, 1);
  await second.page.close();
});

test("an injected wallet is asked for its signature by the tab that leads, and may refuse", async () => {
  const { hub, wallet: { privateKey } } = await newWallet();
  const tabs = [];
  for (let index = 0; index < 2; index += 1) {
    const tab = await openTab(browser, {});
    tabs.push(tab);
    await tab.page.evaluate(async ({ hub, rpcUrl, privateKey }) => {
      globalThis.wallet = createWallet({ privateKey, rpcUrl });
      globalThis.client = await farthing.connect({ hub, wallet, pollInterval: 100 });
      globalThis.errors = [];
      client.on("error", ({ error }) => errors.push(error.code));
      globalThis.signed = () => wallet.asked.filter((method) => method === "eth_signTypedData_v4").length;
    }, { hub, rpcUrl: world.rpcUrl, privateKey });
  }
  const [first, second] = tabs.map(({ page }) => page);
  assert.deepEqual([await first.evaluate(() => signed()), await second.evaluate(() => signed())], [3, 0]);
  await second.evaluate(() => {
    wallet.refuse.eth_signTypedData_v4 = Object.assign(new Error("User rejected the request."), { code: 4001 });
  });
  await first.close();
  await second.waitForFunction(() => errors.includes("wallet-rejected"));
  const asked = await second.evaluate(() => signed());
  // The next call asks again.
  assert.equal(await second.evaluate(() => client.balances().then(() => "none", (error) => error.code)), "wallet-rejected");
  assert.equal(await second.evaluate(() => signed()), asked + 1);
  const count = await second.evaluate(async () => {
    wallet.refuse.eth_signTypedData_v4 = undefined;
    return (await client.balances()).length;
  });
  assert.equal(count, 2);
  assert.equal(await second.evaluate(() => signed()), asked + 2);
  await second.close();
});

test("disconnect() in one tab leaves the others at work, and the last one ends it", async () => {
  const { tabs, options } = await openTabs(2);
  await tabs[1].page.evaluate(() => client.disconnect());
  assert.equal(await tabs[0].page.evaluate(async () => (await client.balances()).length), 2);
  const code = (page) => page.evaluate(() => client.balances().then(() => "none", (error) => error.code));
  assert.equal(await code(tabs[1].page), "client-closed");
  await tabs[1].page.evaluate(() => join());
  await tabs[0].page.evaluate(() => client.disconnect());
  assert.equal(await tabs[1].page.evaluate(async () => (await client.balances()).length), 2);
  assert.equal(await tabs[1].page.evaluate(() => leads()), true);
  await tabs[1].page.evaluate(() => client.disconnect());
  const held = () => tabs[0].page.evaluate(async () => (await navigator.locks.query()).held.filter(({ name }) => name.startsWith("farthing")).length);
  await until(async () => (await held()) === 0, "no lock is held");
  // And nobody holds the store.
  await tabs[0].page.evaluate(async (options) => (await farthing.connect({ ...options, shared: false })).disconnect(), options);
  await closeAll(tabs);
});

test("4 tabs, 400 payments, leaders stopped at random: every payment is made exactly once", async () => {
  const { address: _, ...options } = await newWallet();
  await crowd({ browser, options, stop, alice, to: a.address, delayed: DELAYED });
});
