// The package in Chromium: its stores, a wallet page that pays and is paid by a client in Node, reloads, two tabs.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { parseEther } from "viem";
import { openBrowser } from "../support/browser.mjs";
import { farthing } from "../support/env.mjs";
import { casesFor } from "../support/store-conformance.mjs";
import { createWorld } from "../support/world.mjs";

let world, browser, page, alice, a, b;

before(async () => {
  [world, browser] = await Promise.all([createWorld(), openBrowser()]);
  page = await browser.newPage();
  [a, b] = [await world.account(), await world.account()];
  const { connect } = await farthing();
  alice = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey: a.privateKey }, store: "memory", pollInterval: 100 });
  await alice.deposit({ asset: "ETH", amount: parseEther("1") });
  await alice.deposit({ asset: "DAI", amount: parseEther("100") });
});
after(async () => {
  await alice?.disconnect();
  await browser?.close();
  await world?.stop();
});

const parameters = () => ({ hub: world.hubUrl, rpcUrl: world.rpcUrl, privateKey: b.privateKey });

/** Connects as Bob in a page; the client stays there as `client`. */
function connectBob(target) {
  return target.evaluate(async ({ hub, rpcUrl, privateKey }) => {
    globalThis.wallet = createWallet({ privateKey, rpcUrl });
    globalThis.client = await farthing.connect({ hub, wallet, pollInterval: 100 });
    return client.info.channelId;
  }, parameters());
}

const available = (target, asset) =>
  target.evaluate(async (name) => String((await client.balances()).find((found) => found.asset === name).available), asset).then(BigInt);

async function until(condition, what) {
  for (const end = Date.now() + 10_000; !(await condition()); ) {
    assert.ok(Date.now() < end, what);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe("stores in Chromium", () => {
  for (const kind of ["memory", "indexeddb"]) {
    const remembers = kind === "indexeddb";
    for (const title of casesFor({ forgets: !remembers, openShared: remembers, refuse: remembers })) {
      test(`${kind}: ${title}`, () =>
        page.evaluate(
          async ([name, kind]) => {
            const { openStore } = await farthing._testing();
            const database = `test-${Math.random()}`;
            const place = { open: () => openStore(kind === "memory" ? "memory" : `indexeddb:${database}`), forgets: kind === "memory" };
            if (kind === "indexeddb") {
              place.openShared = () => openStore(`shared:${database}`);
              place.refuse = () => {
                const real = IDBObjectStore.prototype.put;
                IDBObjectStore.prototype.put = function (value, key) {
                  if (key === "half") throw new DOMException("full", "QuotaExceededError");
                  return real.call(this, value, key);
                };
                return () => (IDBObjectStore.prototype.put = real);
              };
            }
            await storeCases[name](place);
          },
          [title, kind],
        ));
    }
  }

  test("indexeddb: a lost connection is opened again, a deleted database is not", () =>
    page.evaluate(async () => {
      const { openStore } = await farthing._testing();
      const store = await openStore("indexeddb:lost");
      await store.commit([["k", Uint8Array.of(1)]]);
      // Deleting makes the browser ask all connections to close.
      await new Promise((resolve) => Object.assign(indexedDB.deleteDatabase("lost"), { onsuccess: resolve, onblocked: resolve }));
      let code;
      await store.commit([["k", Uint8Array.of(2)]]).catch((error) => (code = error.code));
      if (code !== "storage-failed") throw new Error(`an emptied database was taken for ours: ${code}`);
      await store.close();
    }));

  test("indexeddb: commits ask for strict durability", () =>
    page.evaluate(async () => {
      const asked = [];
      const real = IDBDatabase.prototype.transaction;
      IDBDatabase.prototype.transaction = function (...parameters) {
        const transaction = real.apply(this, parameters);
        asked.push(transaction.durability);
        return transaction;
      };
      const { openStore } = await farthing._testing();
      const store = await openStore("indexeddb:strict");
      await store.commit([["k", Uint8Array.of(1)]]);
      IDBDatabase.prototype.transaction = real;
      await store.close();
      if (asked.at(-1) !== "strict") throw new Error(String(asked));
    }));
});

test("Node and Chromium pay each other; only money moves ask the wallet", async () => {
  await connectBob(page);
  await page.evaluate(async () => client.deposit({ asset: "ETH", amount: 10n ** 18n }));
  await page.evaluate(async () => client.deposit({ asset: "DAI", amount: 50n * 10n ** 18n }));
  const asked = await page.evaluate(() => wallet.asked.length);

  const receipt = await alice.pay({ to: b.address, asset: "ETH", amount: 1n, memo: "ümlaut 🙂", wait: true });
  assert.equal(receipt.status, "completed");
  await alice.pay({ to: b.address, asset: "DAI", amount: parseEther("1"), wait: true });
  const status = await page.evaluate(async (to) => (await client.pay({ to, asset: "DAI", amount: 5n, wait: true })).status, a.address);
  assert.equal(status, "completed");
  await until(async () => (await available(page, "DAI")) === parseEther("51") - 5n, "DAI arrives");
  await until(async () => (await available(page, "ETH")) === parseEther("1") + 1n, "ETH arrives");
  const memo = await page.evaluate(async () => (await client.payments({ direction: "received", asset: "ETH" }))[0].memo);
  assert.equal(memo, "ümlaut 🙂");
  const signed = await page.evaluate((before) => wallet.asked.slice(before).filter((method) => /sign|send/i.test(method)), asked);
  assert.deepEqual(signed, []);
});

test("a second tab that does not share is told that the wallet is in use", async () => {
  const second = await browser.newPage();
  const code = await second.evaluate(async ({ hub, rpcUrl, privateKey }) => {
    const wallet = createWallet({ privateKey, rpcUrl });
    return farthing.connect({ hub, wallet, shared: false }).then(() => "connected", (error) => error.code);
  }, parameters());
  assert.equal(code, "storage-locked");
  await second.close();
});

test("a reload in the middle of payments keeps state", async () => {
  const before = await available(page, "ETH");
  const channelId = await page.evaluate(() => client.info.channelId);
  const paid = Promise.all(Array.from({ length: 20 }, () => alice.pay({ to: b.address, asset: "ETH", amount: 1n, wait: true })));
  await browser.reload(page);
  assert.equal(await connectBob(page), channelId);
  const receipts = await paid;
  assert.ok(receipts.every(({ status }) => status === "completed"));
  await until(async () => (await available(page, "ETH")) === before + 20n, "all twenty arrive");
});

test("withdraw and close from the page", async () => {
  const held = await world.balanceOf(b.address, "DAI");
  const stages = await page.evaluate(async () => {
    const stages = [];
    await client.withdraw({ asset: "DAI", amount: 10n ** 18n, onProgress: ({ stage }) => stages.push(stage) });
    return stages;
  });
  assert.deepEqual(stages, ["submitted", "mined", "confirmed"]);
  assert.equal(await world.balanceOf(b.address, "DAI"), held + parseEther("1"));
  const left = await available(page, "DAI");
  await page.evaluate(() => client.close());
  assert.equal(await world.balanceOf(b.address, "DAI"), held + parseEther("1") + left);
  await page.evaluate(() => client.disconnect());
});

test("the inline entry needs no file beside it", async () => {
  const codes = await page.evaluate(async () => (await (await import("/farthing/inline.mjs")).errorCodes()).length);
  assert.ok(codes > 40);
});
