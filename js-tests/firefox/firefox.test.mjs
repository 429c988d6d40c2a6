// Stores and tabs in Firefox, where there is one: `FIREFOX` or one on the path.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { parseEther } from "viem";
import { farthing } from "../support/env.mjs";
import { firefox, openFirefox } from "../support/firefox.mjs";
import { cases } from "../support/store-conformance.mjs";
import { createWorld } from "../support/world.mjs";

const program = firefox();

describe("Firefox", { skip: program === undefined && "there is no Firefox here" }, () => {
  let world, browser, alice, a;

  before(async () => {
    [world, browser] = await Promise.all([createWorld(), openFirefox(program)]);
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

  test("IndexedDB keeps what every store must keep", async () => {
    const page = await browser.newPage();
    for (const title of Object.keys(cases)) {
      await page.evaluate(async (title) => {
        const { openStore } = await globalThis.farthing._testing();
        const database = `test-${Math.random()}`;
        await storeCases[title]({ open: () => openStore(`indexeddb:${database}`), openShared: () => openStore(`shared:${database}`) });
      }, title);
    }
    await page.close();
  });

  test("4 tabs, 400 payments, leaders closed and blocked: every payment is made exactly once", async () => {
    const COUNT = 400;
    const { privateKey } = await world.account();
    const options = { hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey }, pollInterval: 100 };
    const open = async () => {
      const page = await browser.newPage();
      await page.evaluate(async (options) => {
        const name = `tab/${Math.random()}`;
        await new Promise((held) => navigator.locks.request(name, () => new Promise(() => held())));
        globalThis.leads = async () => {
          const { held } = await navigator.locks.query();
          const { clientId } = held.find((lock) => lock.name === name);
          return held.some((lock) => lock.name.startsWith("farthing/tabs/") && lock.clientId === clientId);
        };
        globalThis.client = await globalThis.farthing.connect(options);
      }, options);
      return page;
    };
    const pages = [];
    for (let index = 0; index < 4; index += 1) pages.push(await open());
    await pages[0].evaluate(async () => void (await client.deposit({ asset: "ETH", amount: 10n ** 17n })));
    const id = (index) => `0x${"f1".repeat(14)}${index.toString(16).padStart(4, "0")}`;
    const left = new Set(Array.from({ length: COUNT }, (_, index) => index));
    /** Pays some; whoever is closed meanwhile has them paid by another, with the same ids. */
    const pay = async (page, batch) => {
      const paid = page.evaluate(async ({ to, batch }) => {
        const receipts = batch.map(([index, id]) => client.pay({ to, asset: "ETH", amount: BigInt(index + 1), memo: `f${index}`, wait: true, id }));
        return (await Promise.all(receipts)).map(({ status }) => status);
      }, { to: a.address, batch: batch.map((index) => [index, id(index)]) });
      const gone = new Promise((_, reject) => (page.gone = () => reject(new Error("gone"))));
      const statuses = await Promise.race([paid, gone]).catch((error) => assert.equal(error.message, "gone"));
      if (statuses === undefined) return;
      assert.ok(statuses.every((status) => status === "completed"));
      for (const index of batch) left.delete(index);
    };
    const stopped = { closed: 0, blocked: 0 };
    for (let turn = 0; left.size > 0; turn += 1) {
      const batch = [...left].slice(0, 80);
      const paying = Promise.all(pages.map((page, place) => pay(page, batch.filter((index) => index % 4 === place))));
      const leading = await Promise.all(pages.map((page) => page.evaluate(() => leads())));
      const place = leading.indexOf(true);
      if (place >= 0 && turn % 2 === 0) {
        const leader = pages[place];
        stopped.closed += 1;
        await leader.close();
        leader.gone();
        pages[place] = await open();
      } else if (place >= 0) {
        stopped.blocked += 1;
        await pages[place].evaluate(() => {
          for (const end = Date.now() + 2_000; Date.now() < end; );
        });
      }
      await paying;
    }
    console.log("leaders", stopped);
    assert.ok(stopped.closed > 1 && stopped.blocked > 0);
    const sent = await pages[0].evaluate(async () => (await client.payments()).map(({ id, status, amount }) => `${id} ${status} ${amount}`));
    assert.deepEqual(sent.sort(), Array.from({ length: COUNT }, (_, index) => `${id(index)} completed ${index + 1}`).sort());
    const received = (await alice.payments({ direction: "received" })).filter(({ memo }) => /^f\d+$/.test(memo));
    assert.deepEqual(received.map(({ memo }) => memo).sort(), Array.from({ length: COUNT }, (_, index) => `f${index}`).sort());
  });
});
