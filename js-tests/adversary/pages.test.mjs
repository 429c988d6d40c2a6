// A hostile script on a site's page before a reader's wallet page, in Chromium, on a real chain and hub. It may open, move,
// frame and flood the wallet, and ask for whatever it likes. Without the reader's own press on the wallet page nothing may be
// allowed, and what was allowed is the most that it gets.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chromium as playwright } from "playwright-core";
import { build } from "../../www-demo/build.mjs";
import { listen } from "../../www-demo/serve.mjs";
import { startMagazines, startWallet } from "../demo/sites.mjs";
import { outcome, ownWallet, random, request } from "../demo/visit.mjs";
import { chromium } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";
import { malformed, noise } from "./asking.mjs";
import { chance } from "./chance.mjs";
import { entry } from "./report.mjs";

const SEED = Number(process.env.FARTHING_SEED ?? 11);
/** Windows at once. */
const AT_ONCE = 4;
const UNIT = 10n ** 15n;

/** What the hostile page has in it: opens the wallet, sends what it is given, and waits for the answer. */
const SCRIPT = `
window.answers = [];
window.trick = ({ wallet, id, send, keep, features = "popup" }) => new Promise((done) => {
  const opened = open(wallet + "/#farthing-popup=" + id, "w-" + id + Math.random(), features);
  if (keep) window.opened = opened;
  addEventListener("message", function hear({ source, data, origin }) {
    if (source !== opened) return;
    if (data?.type === "farthing-wallet-ready") for (const one of send.splice(0)) opened.postMessage(one, origin);
    if (data?.type !== "farthing-grant") return;
    answers.push(data);
    removeEventListener("message", hear);
    if (!keep) opened.close();
    done(data);
  });
  if (keep) done();
});
window.pool = async (tricks, wallet, width) => {
  const told = [];
  const worker = async () => { for (let next; (next = tricks.shift()); ) told.push({ ...next, send: undefined, answer: await trick({ ...next, wallet }) }); };
  await Promise.all(Array.from({ length: width }, worker));
  return told;
};
`;
const PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><title>hostile</title><h1>Win a prize</h1><script>${SCRIPT}</script>`;

const cleanups = [];
let stage, evil, other;

before(async () => {
  await build();
  const world = await createWorld();
  cleanups.push(() => world.stop());
  const wallet = await startWallet(world);
  cleanups.push(wallet.stop);
  const sites = await startMagazines(world, wallet);
  cleanups.push(sites.stop);
  const browser = await playwright.launch({ executablePath: chromium(), args: ["--no-sandbox"] });
  cleanups.push(() => browser.close());
  const context = (options = {}) => browser.newContext({ reducedMotion: "reduce", ...options });
  stage = { world, wallet, sites, browser, context, cleanups };
  const page = (_, response) => response.writeHead(200, { "content-type": "text/html" }).end(PAGE);
  [evil, other] = [await listen(page), await listen(page)];
  cleanups.push(evil.stop, other.stop);
});
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

test("a page that asks, forges, floods, frames, and waits for a careless press", { timeout: 300_000 }, async () => {
  const book = entry("reader", "a hostile page before the wallet page", SEED);
  const count = (trick, times = 1) => (book.tried[trick] = (book.tried[trick] ?? 0) + times);
  const { draw, shuffled } = chance(SEED);
  const { wallet, sites } = stage;
  const payee = sites.post.client.info.address.toLowerCase();
  const honest = (changes) => request(stage, { payee, units: 100, ...changes });
  const { context, page: own } = await ownWallet(stage, [["DAI", "5"]]);
  const available = () => own.evaluate(async () => String((await window.farthing.client.balances()).find(({ asset }) => asset === "DAI").available));
  const streams = () => own.evaluate(async () => (await window.farthing.client.payments()).filter(({ stream }) => stream?.granted).length);
  const before = BigInt(await available());
  const page = await context.newPage();
  await page.goto(evil.url);

  /** Opens the wallet with a request, and leaves it open. */
  const open = async (asked, { from = page, features } = {}) => {
    const [opened] = await Promise.all([context.waitForEvent("page"), from.evaluate((given) => void window.trick(given), { wallet: wallet.url, id: asked.id, send: [asked], keep: true, features })]);
    return opened;
  };
  const isClosed = (opened) => (opened.isClosed() ? undefined : opened.waitForEvent("close"));
  const shut = async (opened, from = page) => {
    const closed = isClosed(opened);
    await from.evaluate(() => window.opened.close());
    await closed;
  };
  const nothing = async (what, allowed) => assert.equal(await streams(), allowed, `${what}: a grant that nobody meant`);

  // What is not in order, in any order, each behind some noise.
  const tricks = shuffled(malformed(honest)).map(({ trick, id, request: asked, code }) => ({ trick, id, code, send: [...noise(draw).slice(draw(60)), asked] }));
  for (const { trick, send } of tricks) {
    count(trick);
    count("a message that is none", send.length - 1);
  }
  const told = await page.evaluate(([given, url, width]) => window.pool(given, url, width), [tricks, wallet.url, AT_ONCE]);
  assert.equal(told.length, tricks.length);
  for (const { trick, id, code, answer } of told) assert.deepEqual([answer.id, answer.error?.code], [id, code], `${trick}: ${JSON.stringify(answer).slice(0, 300)}`);
  await nothing("requests that are not in order", 0);

  // One request that the reader means. Its budget is the most that this page may get.
  const asked = honest({ title: "A prize” costs nothing. “" });
  const meant = await open(asked);
  await meant.waitForSelector("#allow:not(:disabled)");
  assert.equal(await meant.textContent(".origin"), evil.url);
  assert.equal(await meant.locator("bdi.said").first().textContent(), asked.title);
  await meant.click("#allow");
  await page.waitForFunction(() => window.answers.at(-1)?.grant);
  await isClosed(meant);
  const budget = UNIT * 100n;

  // What was allowed is allowed once.
  const again = await page.evaluate((given) => window.trick(given), { wallet: wallet.url, id: asked.id, send: [asked] });
  assert.equal(again.grant.tip, asked.tip, "the same request again has the same answer");
  for (const [trick, changed, code] of [
    ["a tip that was allowed before", { ...asked, id: random(16) }, "tip-used"],
    ["an id that was allowed before, for another chain", { ...asked, tip: random(32) }, "bad-request"],
    ["a request that is changed after it was allowed", { ...asked, unitPrice: String(2n * UNIT) }, "bad-request"],
    ["more units than were allowed", { ...asked, units: 500 }, "bad-request"],
    ["another payee than was allowed", { ...asked, payee: sites.water.client.info.address.toLowerCase() }, "bad-request"],
    ["another name than was allowed", { ...asked, title: "The Farthing Post" }, "bad-request"],
    ["another hub", honest({ hub: "https://hub.example" }), "other-hub"],
    ["another chain", honest({ network: "eip155:1" }), "other-hub"],
    ["another contract", honest({ contract: random(20) }), "other-hub"],
    ["an asset that the hub does not have", honest({ asset: random(20) }), "other-hub"],
  ]) {
    count(trick);
    const answer = await page.evaluate((given) => window.trick(given), { wallet: wallet.url, id: changed.id, send: [changed] });
    assert.equal(answer.error?.code, code, trick);
  }
  const elsewhere = await context.newPage();
  await elsewhere.goto(other.url);
  count("another site's request, replayed");
  const stolen = await elsewhere.evaluate((given) => window.trick(given), { wallet: wallet.url, id: asked.id, send: [asked] });
  assert.equal(stolen.error?.code, "bad-request");

  // In another's name, by redirect.
  const fragment = (one) => `${wallet.url}/#farthing-request=${Buffer.from(JSON.stringify(one)).toString("base64url")}`;
  const forged = () => honest({ returnTo: `${other.url}/article` });
  for (const [trick, policy, one] of [
    ["in another site's name, by redirect", "origin", forged],
    ["in another site's name, by a link that hides its page", "no-referrer", forged],
    ["in its own name, by a link that hides its page", "no-referrer", () => honest({ returnTo: evil.url })],
  ]) {
    count(trick);
    const tab = await context.newPage();
    await tab.goto(evil.url);
    await tab.evaluate(([href, referrerPolicy]) => Object.assign(document.createElement("a"), { href, referrerPolicy }).click(), [fragment(one()), policy]);
    await outcome(tab, "bad-request");
    assert.match(await tab.textContent(".screen"), /does not say that this page sent you here.*Nothing was allowed/s);
    await tab.close();
  }
  // A window in which the wallet stands by another's word, led to a request in that one's name.
  count("in another site's name, in a window that it used");
  const [led] = await Promise.all([context.waitForEvent("page"), page.evaluate((url) => void (window.led = window.open(url)), other.url)]);
  await led.waitForSelector("h1");
  await led.evaluate((url) => location.assign(url), `${wallet.url}/`);
  await led.waitForSelector(".balances");
  await page.evaluate((url) => (window.led.location = url), fragment(forged()));
  await outcome(led, "bad-request");
  assert.equal(await led.evaluate(() => location.hash), "");
  await led.close();

  // Over the limits, however it is cut.
  for (const [trick, changes] of [
    ["more than one approval may cost", { unitPrice: String(20n * UNIT) }],
    ["nearly all that there is", { unitPrice: String(2n ** 126n), units: 1 }],
    ["a price of many zeros", { unitPrice: `1${"0".repeat(30)}`, units: 1 }],
  ]) {
    count(trick);
    const opened = await open(honest(changes));
    await opened.waitForSelector("#raise, [data-step=deposit]");
    assert.equal(await opened.locator("#allow:not(:disabled)").count(), 0, trick);
    await shut(opened);
  }
  count("a number that is long");
  const long = await open(honest({ unitPrice: "9".repeat(38), units: 1 }));
  await long.waitForSelector("[data-step]");
  assert.match(await long.textContent(".lead, .approve"), /up to 100000 quadrillion/);
  await shut(long);

  // Many windows: one is served.
  count("many windows", 6);
  const first = await open(honest());
  await first.waitForSelector("#allow:not(:disabled)");
  const busy = await page.evaluate(([given, url, width]) => window.pool(given, url, width), [Array.from({ length: 5 }, honest).map((one) => ({ id: one.id, send: [one] })), wallet.url, 5]);
  assert.deepEqual(busy.map(({ answer }) => answer.error?.code), Array(5).fill("busy"));

  await shut(first);

  // The open one is asked, flooded and led about, and shows what it showed.
  const alone = await open(honest());
  await alone.waitForSelector("#allow:not(:disabled)");
  const shown = await alone.textContent(".approve");
  count("a flood of messages", 400);
  await alone.evaluate(() => (window.heard = 0, window.addEventListener("message", () => (window.heard += 1))));
  await page.evaluate((one) => {
    for (let sent = 0; sent < 400; sent += 1) window.opened.postMessage(one, "*");
  }, honest({ title: "Another", unitPrice: "1" }));
  await alone.waitForFunction(() => window.heard === 400);
  assert.equal(await alone.textContent(".approve"), shown);
  for (const hash of ["#allow", "#raise", "#deny", "#settings", `#farthing-popup=${random(16)}`, fragment(honest()).split("/").at(-1), "#:~:text=Allow"]) {
    count("an address that leads elsewhere in the wallet's window");
    await page.evaluate((to) => (window.opened.location = to), `${wallet.url}/${hash}`);
    await alone.waitForFunction(() => location.hash.startsWith("#farthing-popup="));
    assert.ok(await alone.evaluate(() => document.querySelector(".approve") !== null && document.activeElement === document.body));
  }
  // A key that the reader holds for something else.
  count("a held key, and an address that leads to the button");
  await alone.waitForSelector("#allow:not(:disabled)");
  await alone.keyboard.down("Enter");
  await alone.evaluate(() => document.querySelector("#allow").focus());
  for (let repeat = 0; repeat < 5; repeat += 1) await alone.keyboard.down("Enter");
  await alone.keyboard.up("Enter");
  // A window that comes to the front under a press.
  count("a press where the button was, as the window comes to the front");
  await alone.evaluate(() => {
    const allow = document.querySelector("#allow");
    window.dispatchEvent(new Event("focus"));
    window.early = [allow.disabled];
    allow.click();
    window.dispatchEvent(new HashChangeEvent("hashchange"));
    window.early.push(allow.disabled);
  });
  assert.deepEqual(await alone.evaluate(() => window.early), [true, true]);
  count("a script's press", 3);
  await alone.waitForSelector("#allow:not(:disabled)");
  await alone.evaluate(() => {
    const allow = document.querySelector("#allow");
    allow.click();
    allow.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    allow.dispatchEvent(new PointerEvent("click", { bubbles: true, pointerId: 1 }));
  });
  assert.ok(await alone.isVisible(".approve"));
  await shut(alone);
  await page.waitForFunction(() => window.answers.at(-1)?.error?.code === "closed");
  await nothing("windows that were led about", 1);

  // A window too small to read.
  count("a window too small to read");
  const small = await open(honest(), { features: "popup,width=100,height=100" });
  await small.setViewportSize({ width: 120, height: 60 });
  await small.waitForSelector(".approve");
  await page.evaluate((to) => (window.opened.location = to), `${wallet.url}/#allow`);
  await small.waitForFunction(() => location.hash.startsWith("#farthing-popup="));
  await small.evaluate(() => new Promise((done) => setTimeout(done, 900)));
  assert.equal(await small.locator("#allow:not(:disabled)").count(), 0, "what the reader can't see is not allowed");
  await shut(small);

  // Frames, and what is reachable from another origin.
  count("a frame of the wallet", 4);
  const frames = await page.evaluate(async (url) => {
    const made = ["iframe", "iframe", "object", "embed"].map((tag, index) => Object.assign(document.createElement(tag), { [tag === "object" ? "data" : "src"]: `${url}/#farthing-popup=0x${"0".repeat(31)}${index}` }));
    made[1].sandbox = "allow-scripts allow-same-origin allow-popups";
    document.body.append(...made);
    await Promise.all(made.slice(0, 2).map((one) => new Promise((done) => (one.onload = done))));
    return made.length;
  }, wallet.url);
  assert.equal(frames, 4);
  for (const frame of page.frames().slice(1)) assert.doesNotMatch(frame.url(), /^http:/, "the wallet is in no frame");
  count("another origin's window, storage, and channels", 5);
  const reached = await page.evaluate(async (url) => {
    const opened = window.open(`${url}/`, "peek");
    await new Promise((done) => setTimeout(done, 300));
    const attempt = (work) => { try { return String(work()); } catch (error) { return error.name; } };
    const told = [attempt(() => opened.document.title), attempt(() => opened.farthing.client), attempt(() => opened.localStorage.length), attempt(() => opened.indexedDB)];
    opened.close();
    return [...told, (await indexedDB.databases()).length];
  }, wallet.url);
  assert.deepEqual(reached, ["SecurityError", "SecurityError", "SecurityError", "SecurityError", 0]);

  // Forged answers to an honest site's page, by a window that it was opened from and by its address.
  count("a forged answer to an honest site", 51);
  const grant = { ...again.grant, payee: sites.water.client.info.address.toLowerCase() };
  const [victim] = await Promise.all([context.waitForEvent("page"), page.evaluate(([url, answer]) => void (window.victim = window.open(`${url}/read/price-of-a-page#farthing-grant=${btoa(JSON.stringify(answer)).replace(/=/g, "")}`)), [sites.water.url, { v: 1, type: "farthing-grant", id: again.id, grant }])]);
  await victim.waitForFunction(() => document.documentElement.dataset.ready === "true" || document.querySelector("h1") !== null);
  await page.evaluate((answer) => { for (let sent = 0; sent < 50; sent += 1) window.victim.postMessage(answer, "*"); }, { v: 1, type: "farthing-grant", id: again.id, grant });
  assert.doesNotMatch(victim.url(), /farthing-grant/, "what came back is taken out of the address");
  const held = await victim.evaluate(() => new Promise((done, fail) => {
    const opening = indexedDB.open("farthing-pay", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("state");
    opening.onerror = fail;
    opening.onsuccess = () => { const read = opening.result.transaction("state").objectStore("state").get("state"); read.onsuccess = () => { opening.result.close(); done(read.result?.held?.length ?? 0); }; };
  }));
  assert.equal(held, 0);
  await victim.close();

  // The reader's own yes and no still count.
  const no = await open(honest());
  await no.waitForSelector("#allow:not(:disabled)");
  await no.click("#deny");
  await outcome(no, "denied");
  await nothing("the end", 1);
  const lost = before - BigInt(await available()) - budget;
  if (lost > 0n) book.lost += lost;
  assert.equal(book.lost, 0n, "more than was allowed is gone");
  const records = await own.evaluate(() => new Promise((done) => {
    const opening = indexedDB.open("farthing-wallet-page");
    opening.onsuccess = () => { const read = opening.result.transaction("grants").objectStore("grants").getAll(); read.onsuccess = () => { opening.result.close(); done(read.result.map(({ request, origin, state }) => [request.tip, origin, state])); }; };
  }));
  assert.deepEqual(records, [[asked.tip, evil.url, "granted"]]);
  book.judged = true;
  await context.close();
});
