// What holds of the tabs of one wallet in every browser, whatever becomes of the one that leads. A scene is
// `{ browser, options, stop, alice, to }`: the tabs' browser and options for `connect()`, the ways to stop a tab, and the
// payee, with its address. Where a frozen page may keep its successor waiting, `delayed` says for how long one lets it.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { closeAll, leaderOf, openAll, openTab, until } from "./tabs.mjs";

const TAKEOVER = 1_000;
const COUNT = 400;

/** Milliseconds without a payment after which nothing will come. */
const STUCK = 30_000;

/** What each tab says of itself; a frozen one says nothing. */
const states = async (tabs) => {
  const state = async () => `leads ${await leads()}, connected ${globalThis.client?.info.connected}`;
  const asked = tabs.map(({ page }) =>
    Promise.race([page.evaluate(state).catch(String), new Promise((resolve) => setTimeout(resolve, 1_000, "no answer"))]));
  return (await Promise.all(asked)).join("; ");
};

/** What comes of a promise; nobody waits for it for ever. */
async function inTime(promise, tabs, what) {
  let timer;
  const stuck = new Promise((_, reject) => {
    timer = setTimeout(async () => reject(new Error(`stuck ${what}: ${await states(tabs)}`)), STUCK);
  });
  return Promise.race([promise, stuck]).finally(() => clearTimeout(timer));
}

/** The leader is stopped in one way; another tab takes over within a second, with calls that were waiting. */
export async function takeover(scene, way) {
  const times = [];
  // A machine that does much else may need another try.
  while (!times.some((time) => time <= TAKEOVER) && times.length < 3) times.push(await takeOnce(scene, way, times.length));
  assert.ok(Math.min(...times) <= TAKEOVER, `it took ${times.join(", ")} ms`);
}

/** Milliseconds until another tab has taken over. */
async function takeOnce({ browser, options, stop, to, delayed }, way, before) {
  let connected;
  const hear = (tab, type, time) => type === "connected" && connected?.(tab, time);
  const tabs = await openAll(browser, options, 3, hear);
  if (before === 0) await tabs[1].page.evaluate(() => client.deposit({ asset: "ETH", amount: 10n ** 17n }));
  const earlier = await tabs[1].page.evaluate(async () => (await client.payments()).length);
  assert.equal(await leaderOf(tabs, tabs[2]), tabs[0]);
  const back = new Promise((resolve) => (connected = (tab, time) => tab !== tabs[0] && resolve(time)));
  const began = Date.now();
  await inTime(stop[way](tabs[0]), tabs, "on the way to stop it");
  const thaw = tabs[0].thaw && delayed !== undefined ? setTimeout(tabs[0].thaw, TAKEOVER + delayed) : undefined;
  const pay = async (to) => (await client.pay({ to, asset: "ETH", amount: 3n, wait: true })).status;
  // Called while nobody leads: it waits for who comes.
  const [status, time] = await inTime(Promise.all([tabs[2].page.evaluate(pay, to), back]), tabs, "with nobody who leads");
  clearTimeout(thaw);
  assert.equal(status, "completed");
  if (tabs[0].thaw !== undefined) {
    await tabs[0].thaw();
    assert.equal(await inTime(tabs[0].page.evaluate(pay, to), tabs, "after it thawed"), "completed");
    assert.equal(await tabs[0].page.evaluate(() => leads()), false);
  }
  const left = tabs[0].thaw === undefined ? tabs.slice(1) : tabs;
  const sent = await Promise.all(left.map(({ page }) => page.evaluate(async () => (await client.payments()).length)));
  assert.deepEqual(new Set(sent), new Set([earlier + left.length - 1]));
  await closeAll(left);
  return time - began;
}

const eth = async (client) => (await client.balances()).find(({ asset }) => asset === "ETH");

/** 4 tabs make 400 payments while leaders are stopped in all ways: each is made exactly once, and accounted for. */
export async function crowd({ browser, options, stop, alice, to, delayed }) {
  const seed = Number(process.env.FARTHING_SEED ?? Date.now() % 1_000_000);
  let state = seed;
  const random = (below) => ((state = (state * 48_271 + 11) % 2_147_483_647), state % below);
  console.log(`seed ${seed}`);

  const before = await eth(alice);
  const ids = Array.from({ length: COUNT }, () => `0x${randomBytes(16).toString("hex")}`);
  const done = new Map();
  const turns = [];
  let tabs, asleep;
  const hear = (tab, type, index, id, status) => {
    if (type !== "paid") return;
    tab.left.delete(index);
    assert.equal(status, "completed", `payment ${index}`);
    done.set(index, id);
    // When only the frozen one has something left, it is its turn.
    if (done.size % 20 === 0 || tabs.every((other) => other === asleep || other.left.size === 0)) turns.splice(0).forEach((turn) => turn());
  };
  /** Pays what is left for this tab, a few at a time; what it says is heard here. */
  const work = (tab) =>
    tab.page.evaluate(
      async ({ to, ids, left }) => {
        const next = left[Symbol.iterator]();
        const payer = async () => {
          for (const index of next) {
            const { id, status } = await client.pay({ to, asset: "ETH", amount: BigInt(index + 1), memo: `p${index}`, wait: true, id: ids[index] });
            await say("paid", index, id, status);
          }
        };
        globalThis.working = Promise.all(Array.from({ length: 5 }, payer)).catch((error) => say("paid", -1, error.message, error.code));
      },
      { to, ids, left: [...tab.left] },
    );

  const failed = new Promise((_, reject) => process.once("uncaughtException", reject));
  /** Until some more are paid; false if nothing happens while a frozen page is in the way. */
  const turn = async () => {
    let timer;
    const stuck = new Promise((resolve, reject) => {
      const tell = async () => {
        reject(new Error(`stuck at ${done.size}: ${await states(tabs)}; left ${tabs.map((tab) => tab.left.size)}`));
      };
      timer = asleep !== undefined && delayed !== undefined ? setTimeout(resolve, delayed, false) : setTimeout(tell, STUCK);
    });
    const paid = new Promise((resolve) => turns.push(() => resolve(true)));
    return Promise.race([paid, failed, stuck]).finally(() => clearTimeout(timer));
  };

  tabs = await openAll(browser, options, 4, hear);
  await tabs[0].page.evaluate(() => client.deposit({ asset: "ETH", amount: 10n ** 17n }));
  tabs.forEach((tab, place) => (tab.left = new Set(Array.from({ length: COUNT / 4 }, (_, index) => index * 4 + place))));
  await Promise.all(tabs.map(work));
  const ways = Object.keys(stop);
  const stopped = Object.fromEntries(ways.map((way) => [way, 0]));
  let count = 0;
  let inTheWay = 0;
  while (done.size < COUNT) {
    if (!(await turn())) inTheWay += 1;
    if (done.size === COUNT) break;
    if (asleep !== undefined) {
      await asleep.thaw();
      asleep = undefined;
    }
    const leader = await leaderOf(tabs, tabs[0]);
    if (leader === undefined) continue;
    // Each way comes first once.
    const way = count < ways.length ? ways[count] : ways[random(ways.length)];
    count += 1;
    stopped[way] += 1;
    await stop[way](leader);
    if (way === "frozen") {
      asleep = leader;
      continue;
    }
    // A new tab goes on where the dead one was; what that one did not hear of, it asks for again, with the same id.
    const heir = await openTab(browser, options, hear);
    heir.left = leader.left;
    tabs[tabs.indexOf(leader)] = heir;
    await heir.page.evaluate(() => join());
    await work(heir);
  }
  if (asleep !== undefined) await asleep.thaw();
  console.log("leaders", stopped, "frozen and in the way", inTheWay);

  const total = (BigInt(COUNT) * BigInt(COUNT + 1)) / 2n;
  for (const tab of tabs) {
    await until(() => tab.page.evaluate(async () => (await client.balances()).find(({ asset }) => asset === "ETH").sending === 0n), "all settles");
    const [sent, found] = await tab.page.evaluate(async () => [await client.payments(), (await client.balances()).find(({ asset }) => asset === "ETH")]);
    assert.equal(sent.length, COUNT);
    assert.deepEqual(new Set(sent.map(({ id }) => id)), new Set(ids));
    for (const { id, status, amount, memo } of sent) {
      const index = ids.indexOf(id);
      assert.deepEqual([status, amount, memo, done.get(index)], ["completed", BigInt(index + 1), `p${index}`, id]);
    }
    assert.equal(found.available, 10n ** 17n - total);
  }
  await until(async () => (await eth(alice)).receiving === 0n, "all arrives");
  const received = (await alice.payments({ direction: "received" })).filter(({ memo }) => /^p\d+$/.test(memo));
  assert.deepEqual(received.map(({ memo }) => memo).sort(), ids.map((_, index) => `p${index}`).sort());
  assert.equal((await eth(alice)).available, before.available + total);
  assert.equal((await alice.payments({ direction: "received" })).reduce((sum, { amount }) => sum + amount, 0n), (await eth(alice)).available - 10n ** 18n);
  assert.ok(Object.values(stopped).every((times) => times > 0), "each way was tried");
  await closeAll(tabs);
}
