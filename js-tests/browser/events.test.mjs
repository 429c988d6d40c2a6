// What tabs of one wallet show is the same in each: events, snapshots and reports cross, and a newer page is heard of.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { parseEther } from "viem";
import { openBrowser } from "../support/browser.mjs";
import { farthing } from "../support/env.mjs";
import { openAll } from "../support/tabs.mjs";
import { createWorld } from "../support/world.mjs";

let world, browser, alice;

before(async () => {
  [world, browser] = await Promise.all([createWorld(), openBrowser()]);
  const [{ connect }, { privateKey }] = [await farthing(), await world.account()];
  alice = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey }, store: "memory", pollInterval: 100 });
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
});
after(async () => {
  await alice?.disconnect();
  await browser?.close();
  await world?.stop();
});
afterEach(() => Promise.all(browser.context.pages().map((page) => page.close())));

async function openTwo() {
  const { privateKey, address } = await world.account();
  const tabs = await openAll(browser, { hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey } }, 2);
  return { address, pages: tabs.map(({ page }) => page) };
}

const listen = (page) => page.evaluate(() => {
  globalThis.balances = [];
  client.on("balance", ({ balances }) => globalThis.balances.push(balances.find(({ asset }) => asset === "ETH").available));
});
const paid = (page, amount) => page.waitForFunction((amount) => client.snapshot().balances.find(({ asset }) => asset === "ETH").available === BigInt(amount), amount);

test("balances are told in each tab, snapshots are theirs, and a tab that follows reports as well", async () => {
  const { address, pages } = await openTwo();
  await Promise.all(pages.map(listen));
  await alice.pay({ to: address, asset: "ETH", amount: 7n, wait: true });
  for (const page of pages) {
    await paid(page, "7");
    const found = await page.evaluate(async () => {
      const { snapshot } = client;
      return { same: snapshot() === snapshot(), told: globalThis.balances, status: snapshot().status, now: JSON.stringify(await client.balances()) === JSON.stringify(snapshot().balances) };
    });
    assert.deepEqual([found.same, found.status, found.now], [true, "connected", true]);
    assert.equal(found.told.at(-1), 7n);
  }
  const reports = await Promise.all(pages.map((page) => page.evaluate(() => client.inspect())));
  assert.deepEqual(reports.map(({ tab }) => tab), ["leads", "follows"]);
  assert.deepEqual(reports[1].engine.lanes, reports[0].engine.lanes);
  assert.equal(reports[1].options.store, "default");
});

test("a tab whose leader is gone hears of the balance only if it changed", async () => {
  const { address, pages: [first, second] } = await openTwo();
  await alice.pay({ to: address, asset: "ETH", amount: 5n, wait: true });
  await Promise.all([paid(first, "5"), paid(second, "5")]);
  await second.evaluate(() => {
    globalThis.away = new Promise((resolve) => client.on("disconnected", resolve));
    globalThis.back = new Promise((resolve) => client.on("connected", resolve));
  });
  await listen(second);
  await first.close();
  await second.evaluate(() => globalThis.back);
  assert.equal((await second.evaluate(() => client.inspect())).tab, "leads");
  assert.deepEqual(await second.evaluate(() => globalThis.balances.filter((amount) => amount !== 5n)), []);
  await alice.pay({ to: address, asset: "ETH", amount: 1n, wait: true });
  await paid(second, "6");
});

test("a tab of a newer version makes the others ask to be loaded again, once", async () => {
  const { pages: [first, second] } = await openTwo();
  for (const page of [first, second]) {
    await page.evaluate(() => {
      globalThis.updates = [];
      client.on("update", ({ newer, version }) => globalThis.updates.push([newer, version]));
    });
  }
  const name = await first.evaluate(async () => (await navigator.locks.query()).held.find((lock) => lock.name.startsWith("farthing/tabs/")).name);
  const third = await browser.newPage();
  await third.evaluate((name) => {
    const channel = new BroadcastChannel(name);
    for (const version of ["0.0.9", "nonsense", "9.1.0", "9.1.0", "9.0.9"]) channel.postMessage({ kind: "hello", version });
  }, name);
  for (const page of [first, second]) {
    await page.waitForFunction(() => client.snapshot().update?.version === "9.1.0");
    assert.deepEqual(await page.evaluate(() => globalThis.updates), [["tab", "9.1.0"]]);
  }
});
