// Finding and choosing a wallet in Chromium, on a page whose policy allows no inline style, no inline script and no markup from
// text; and a first deposit with what was chosen.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openBrowser } from "../support/browser.mjs";
import { createWorld } from "../support/world.mjs";

let world, browser;

before(async () => {
  world = await createWorld();
  const policy = `default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; img-src data:; require-trusted-types-for 'script'; connect-src 'self' ${world.hubUrl} ${world.hubUrl.replace("http", "ws")} ${world.rpcUrl}`;
  browser = await openBrowser({ policy });
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

const PICTURE = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'%3E%3Ccircle cx='4.5' cy='4.5' r='4' fill='%23e8710a'/%3E%3C/svg%3E";

/** A page with what the policy refused on it, and wallets that announce themselves when they are asked. */
async function newPage(wallets = []) {
  const page = await browser.newPage();
  await page.evaluate((infos) => {
    globalThis.refused = [];
    addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => refused.push(`${violatedDirective} ${blockedURI}`));
    globalThis.announce = (info, provider = { request: async () => [] }) => {
      dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail: Object.freeze({ info: Object.freeze(info), provider }) }));
      return provider;
    };
    globalThis.providers = new Map(infos.map((info) => [info.uuid, { request: async () => [] }]));
    addEventListener("eip6963:requestProvider", () => infos.forEach((info) => announce(info, providers.get(info.uuid))));
  }, wallets);
  return page;
}

/** Opens the picker; what came of it is in `outcome`. */
const pick = (page, options = {}) =>
  page.evaluate((options) => {
    globalThis.outcome = undefined;
    globalThis.stopped = new AbortController();
    wallets.pickWallet({ ...options, signal: stopped.signal }).then(
      ({ uuid, provider }) => (globalThis.chosen = provider, globalThis.outcome = uuid),
      ({ code }) => (globalThis.outcome = code),
    );
  }, options);

const outcome = async (page) => (await page.waitForFunction(() => globalThis.outcome)).jsonValue();
const names = (page) => page.getByRole("listitem").getByRole("button").evaluateAll((buttons) => buttons.map(({ textContent }) => textContent));
const wallet = (uuid, name, rest = {}) => ({ uuid, name, icon: PICTURE, rdns: `org.${uuid}`, ...rest });

test("wallets that announce before and after, again, falsely and without end, and the injected one at the end", async () => {
  const page = await newPage([wallet("one", "One")]);
  const found = await page.evaluate(() => {
    announce({ uuid: "early", name: "Nobody listens" });
    const ethereum = (globalThis.ethereum = { request: async () => [] });
    const told = [];
    const discovery = wallets.discoverWallets();
    discovery.onChange((all) => told.push(all.map(({ uuid }) => uuid).join()));
    const plain = (all) => all.map(({ provider, ...rest }) => rest);
    const first = plain(discovery.wallets);
    announce({ uuid: "one", name: "An impostor", rdns: "org.impostor", icon: "" });
    announce({ uuid: "other", name: "The same once more" }, providers.get("one"));
    for (const [uuid, icon] of Object.entries({ js: "javascript:alert(1)", http: "https://tracker.example/i.png", html: "data:text/html,<script>", list: ["data:image/png,"], long: `data:image/png,${"a".repeat(300_000)}` })) {
      announce({ uuid, name: uuid, rdns: "no domain", icon });
    }
    announce({ uuid: "turned", name: "\u202eksaMateM\u202c\u0000\n\u200b <b>x</b>", rdns: "a.b" });
    announce({ uuid: "endless", name: "W".repeat(5_000) });
    announce({ uuid: "stacked", name: `Z${"\u0301".repeat(200)}` });
    announce({ uuid: "nameless", name: { toString: () => "x" }, rdns: "io.nameless" });
    for (const detail of [null, undefined, {}, { info: { uuid: "x" } }, { info: { uuid: 5 }, provider: { request() {} } }, { info: { uuid: "x" }, provider: {} }, { get info() { throw new Error("no"); } }]) {
      dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail }));
    }
    dispatchEvent(new Event("eip6963:announceProvider"));
    const all = plain(discovery.wallets);
    const frozen = Object.isFrozen(discovery.wallets) && discovery.wallets.every(Object.isFrozen);
    // The injected one announces itself, and is one wallet.
    announce({ uuid: "late", name: "Late" }, ethereum);
    const last = discovery.wallets.at(-1).uuid;
    for (let at = 0; at < 1_000; at += 1) announce({ uuid: `flood${at}`, name: "x" });
    const { length } = discovery.wallets;
    discovery.stop();
    announce({ uuid: "too late", name: "x" });
    return { first, all, frozen, last, length, stopped: discovery.wallets.length, told: told.slice(0, 2) };
  });
  assert.deepEqual(found.first, [
    { uuid: "one", name: "One", rdns: "org.one", icon: PICTURE, legacy: false },
    { uuid: "legacy", name: "Browser wallet", legacy: true },
  ]);
  const [one, ...others] = found.all;
  assert.equal(one.name, "One");
  assert.deepEqual(others.map(({ uuid }) => uuid), ["js", "http", "html", "list", "long", "turned", "endless", "stacked", "nameless", "legacy"]);
  assert.deepEqual(others.filter((other) => "icon" in other), []);
  assert.deepEqual(others.filter((other) => "rdns" in other).map(({ rdns }) => rdns), ["a.b", "io.nameless"]);
  const shown = Object.fromEntries(others.map(({ uuid, name }) => [uuid, name]));
  assert.equal(shown.turned, "ksaMateM <b>x</b>");
  assert.deepEqual([shown.endless.length, shown.nameless], [40, "io.nameless"]);
  assert.ok(shown.stacked.length < 5, shown.stacked);
  assert.ok(found.frozen);
  assert.deepEqual([found.last, found.length, found.stopped], ["late", 64, 64]);
  assert.deepEqual(found.told, ["one,js,legacy", "one,js,http,legacy"]);
  await page.close();
});

test("a listener that throws stops neither the others nor the wallets", async () => {
  const page = await browser.newPage();
  page.removeAllListeners("pageerror");
  const heard = await page.evaluate(() => {
    const discovery = wallets.discoverWallets();
    const heard = [];
    discovery.onChange(() => { throw new Error("the application's"); });
    discovery.onChange((all) => heard.push(all.length));
    for (const uuid of ["a", "b"]) dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail: { info: { uuid, name: uuid }, provider: { request() {} } } }));
    return heard;
  });
  assert.deepEqual(heard, [1, 2]);
  await page.close();
});

test("the picker is a named dialog that keys and a screen reader can use", async () => {
  const page = await newPage([wallet("one", "One"), wallet("two", "Two <b>bold</b>"), wallet("three", "Three", { icon: "https://x.example/" })]);
  await page.evaluate(() => document.body.append(Object.assign(document.createElement("button"), { id: "before", textContent: "Connect" })));
  await page.focus("#before");
  await pick(page);
  const dialog = page.getByRole("dialog", { name: "Choose a wallet" });
  await dialog.waitFor();
  assert.equal(await dialog.getByRole("status").textContent(), "3 wallets were found.");
  assert.deepEqual(await names(page), ["Oneorg.one", "Two <b>bold</b>org.two", "Threeorg.three"]);
  const focused = () => page.evaluate(() => document.activeElement.shadowRoot?.activeElement?.textContent ?? document.activeElement.id);
  assert.equal(await focused(), "Oneorg.one");
  for (const [key, expected] of [["ArrowDown", "Two <b>bold</b>org.two"], ["End", "Threeorg.three"], ["ArrowDown", "Oneorg.one"], ["ArrowUp", "Threeorg.three"], ["Home", "Oneorg.one"], ["Tab", "Two <b>bold</b>org.two"]]) {
    await page.keyboard.press(key);
    assert.equal(await focused(), expected, key);
  }
  // One that comes late takes nobody's focus.
  await page.evaluate(() => announce({ uuid: "four", name: "Four" }));
  assert.equal(await dialog.getByRole("status").textContent(), "4 wallets were found.");
  assert.equal(await focused(), "Two <b>bold</b>org.two");
  await page.keyboard.press("Enter");
  assert.equal(await outcome(page), "two");
  assert.ok(await page.evaluate(() => chosen === providers.get("two")));
  assert.equal(await focused(), "before");
  assert.equal(await page.getByRole("dialog").count(), 0);
  assert.deepEqual(await page.evaluate(() => refused), []);
  await page.close();
});

test("who chooses none is told so, by each way out, and can choose again", async () => {
  const page = await newPage([wallet("one", "One")]);
  const ways = [
    [() => page.keyboard.press("Escape"), "wallet-rejected"],
    [() => page.getByRole("button", { name: "Cancel" }).click(), "wallet-rejected"],
    [() => page.mouse.click(3, 3), "wallet-rejected"],
    [() => page.evaluate(() => stopped.abort()), "aborted"],
    // Beside the list, inside of the dialog: nothing happens.
    [async () => (await page.getByRole("heading").click(), await page.getByRole("button", { name: "One" }).click()), "one"],
    // A page that draws itself anew, as frameworks do.
    [() => page.evaluate(() => document.body.replaceChildren("another page")), "wallet-rejected"],
  ];
  for (const [leave, code] of ways) {
    await pick(page);
    await page.getByRole("dialog").waitFor();
    await leave();
    assert.equal(await outcome(page), code);
    assert.equal(await page.getByRole("dialog").count(), 0);
  }
  const wrong = await page.evaluate(async () => {
    const of = (options) => wallets.pickWallet(options).catch(({ code, message }) => `${code} ${message}`);
    return Promise.all([of({ theme: "blue" }), of({ texts: { titel: "x" } }), of({ texts: { found: "x" } }), of({ discovery: {} }), of({ signal: AbortSignal.abort() })]);
  });
  for (const [at, start] of ["invalid-argument pickWallet(): theme", "invalid-argument pickWallet(): texts.titel", "invalid-argument pickWallet(): texts.found", "invalid-argument pickWallet(): discovery", "aborted"].entries()) {
    assert.ok(wrong[at].startsWith(start), wrong[at]);
  }
  await page.close();
});

test("without a wallet it says what to do, in the page's words, and shows one that comes", async () => {
  const page = await newPage();
  await pick(page, { texts: { title: "Wähle", none: "Keine da." } });
  await page.getByRole("dialog", { name: "Wähle" }).waitFor();
  assert.equal(await page.getByRole("status").textContent(), "Keine da.");
  await page.evaluate(() => {
    globalThis.ethereum = { request: async () => [] };
    dispatchEvent(new Event("ethereum#initialized"));
  });
  await page.getByRole("button", { name: "Browser wallet" }).click();
  assert.equal(await outcome(page), "legacy");
  await page.close();
});

/** Of two colours, how well one is read on the other, by WCAG 2. */
function contrast(one, other) {
  const light = (colour) => {
    const [r, g, b] = colour.match(/\d+/g).slice(0, 3).map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

test("it can be read in light and dark, and on a narrow page", async () => {
  const page = await newPage([wallet("one", "One"), wallet("two", `A name that goes on and on ${"w".repeat(40)}`)]);
  await page.setViewportSize({ width: 320, height: 480 });
  const seen = new Set();
  for (const [scheme, theme] of [["light", "auto"], ["dark", "auto"], ["light", "dark"], ["dark", "light"]]) {
    await page.emulateMedia({ colorScheme: scheme });
    await pick(page, { theme });
    await page.getByRole("dialog").waitFor();
    const { colours, wide } = await page.getByRole("dialog").evaluate((dialog) => {
      const of = (element) => getComputedStyle(element).color;
      const back = getComputedStyle(dialog).backgroundColor;
      const [text, soft] = [of(dialog), of(dialog.querySelector("small"))];
      return { colours: { back, text, soft }, wide: dialog.scrollWidth > dialog.clientWidth || dialog.getBoundingClientRect().width > innerWidth };
    });
    assert.ok(contrast(colours.back, colours.text) >= 7 && contrast(colours.back, colours.soft) >= 4.5, JSON.stringify(colours));
    assert.ok(!wide);
    seen.add(`${theme === "auto" ? scheme : theme} ${colours.back}`);
    const folder = process.env.FARTHING_PICTURES;
    if (folder) writeFileSync(join(folder, `picker-${scheme}-${theme}.png`), await page.screenshot());
    await page.evaluate(() => stopped.abort());
    await outcome(page);
  }
  assert.equal(seen.size, 2);
  assert.deepEqual(await page.evaluate(() => refused), []);
  await page.close();
});

test("what was chosen opens a channel and deposits, by an announced wallet that signs for real", async () => {
  const { privateKey, address } = await world.account();
  const page = await newPage();
  await page.evaluate(({ privateKey, rpcUrl }) => {
    const wallet = createWallet({ privateKey, rpcUrl });
    addEventListener("eip6963:requestProvider", () => announce({ uuid: "real", name: "Real" }, wallet));
  }, { privateKey, rpcUrl: world.rpcUrl });
  await pick(page);
  await page.getByRole("button", { name: "Real" }).click();
  assert.equal(await outcome(page), "real");
  const done = await page.evaluate(async ({ hub, to }) => {
    const client = await farthing.connect({ hub, wallet: chosen, pollInterval: 100, switchChain: true });
    await client.deposit({ asset: "ETH", amount: 500n });
    const { status } = await client.pay({ to, asset: "ETH", amount: 5n });
    const found = [client.info.address, status, chosen.asked.filter((method) => method.startsWith("wallet_")).length];
    await client.disconnect();
    return found;
  }, { hub: world.hubUrl, to: world.hub.owner });
  assert.deepEqual(done, [address, "completed", 0]);
  assert.deepEqual(await page.evaluate(() => refused), []);
  await page.close();
});
