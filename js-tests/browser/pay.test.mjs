// `farthing/pay` in Chromium: a site, an API and a wallet on three origins, under a strict policy. Counted at the servers.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { chromium as playwright } from "playwright-core";
import { chromium } from "../support/env.mjs";
import { paidSite, soldOnce } from "../support/paid-site.mjs";
import { pages, walletSite } from "../support/pay-pages.mjs";
import { until } from "../support/tabs.mjs";

const text = (body, type = "text/plain") => (request, response) => response.writeHead(200, { "content-type": type }).end(body);
const article = { units: 2, serve: text("the article") };
/** The smallest picture. */
const PICTURE = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");

let browser, site, api, wallet, context;

before(async () => {
  browser = await playwright.launch({ executablePath: chromium(), args: ["--no-sandbox"] });
});
after(() => browser?.close());

async function siteWith({ coop, routes = {} } = {}) {
  const made = await paidSite({ routes: { "/articles/*": article, ...routes }, wallet: () => wallet.url, files: pages({ coop, connect: () => [api.url] }) });
  wallet.sites.push(made);
  return made;
}

beforeEach(async () => {
  wallet = await walletSite();
  api = await paidSite({ routes: { "/v1/*": { units: 1, serve: text("the answer") } }, wallet: () => wallet.url });
  wallet.sites.push(api);
  site = await siteWith();
  context = await browser.newContext();
});
afterEach(async () => {
  await context.close();
  for (const one of wallet.sites) {
    assert.ok(soldOnce(one), "a unit was sold twice");
    await one.close();
  }
  await wallet.close();
});

async function openPage({ options, auto, told, at = site, hash = "" } = {}) {
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => /Content Security Policy/.test(message.text()) && problems.push(message.text()));
  const query = new URLSearchParams({ ...(options && { options: JSON.stringify(options) }), ...(auto && { auto }) });
  await page.goto(`${at.url}/?${query}${hash}`);
  await told;
  await page.waitForFunction(() => document.title === "ready");
  return Object.assign(page, { problems, get: (path, init) => page.evaluate(([path, init]) => get(path, init), [path, init]) });
}

const served = { status: 200, text: "the article", units: 2 };
const without = ({ url, ...rest }) => rest;

test("one approval, then forty articles at one round trip each, under a strict policy", async () => {
  const page = await openPage();
  assert.deepEqual(without(await page.get("/articles/0")), served);
  for (let number = 1; number <= 40; number += 1) assert.equal((await page.get(`/articles/${number}`)).text, "the article");
  assert.equal(wallet.opened, 1);
  assert.equal(wallet.asked.length, 1);
  const [{ from, title, units, payee }] = wallet.asked;
  assert.deepEqual([from, title, units], [site.url, "ready", 100]);
  assert.equal(payee, "0x70997970c51812dc3a010c7d01b50e0d17dc79c8");
  assert.equal(site.asked("/articles/0"), 2);
  for (let number = 1; number <= 40; number += 1) assert.equal(site.asked(`/articles/${number}`), 1);
  assert.deepEqual(page.problems, []);
  const [state] = await page.evaluate(() => pay.state());
  assert.deepEqual([state.left, state.open, state.symbol], [100 - 82, 0, "DAI"]);
  assert.equal(await page.evaluate(() => heard.length), 41);
  assert.equal(context.pages().length, 1, "the wallet's window is closed");
});

test("tabs share one grant, ask once, and never spend one unit twice", async () => {
  const [a, b, c] = [await openPage(), await openPage(), await openPage()];
  const first = await Promise.all([a, b, c].map((page, index) => page.get(`/articles/first-${index}`)));
  assert.ok(first.every(({ text }) => text === "the article"), JSON.stringify(first));
  assert.equal(wallet.asked.length, 1);
  const all = await Promise.all([a, b, c].map((page) => page.evaluate((name) => Promise.all(Array.from({ length: 12 }, (_, number) => get(`/articles/${name}-${number}`))), String(Math.random()))));
  assert.ok(all.flat().every(({ status }) => status === 200));
  assert.equal(site.charged(), 78);
  assert.equal(wallet.opened, 1);
  assert.equal(await a.evaluate(() => heard.length), 39, "each tab hears of all");
});

test("an API on another origin: one preflight, no header but ours, and the payment is for it alone", async () => {
  const page = await openPage();
  assert.equal((await page.get(`${api.url}/v1/a`)).text, "the answer");
  assert.equal((await page.get(`${api.url}/v1/b`)).text, "the answer");
  const asked = api.log.filter(({ path }) => path === "/v1/b");
  assert.deepEqual(asked.map(({ method, paid }) => [method, paid]), [["OPTIONS", false], ["GET", true]]);
  assert.equal(asked[0].headers["access-control-request-headers"], "payment-signature");
  assert.equal(api.charged(), 2);
});

test("a site that refuses and asks for more is shown no more than one request may cost, and another origin none of it", async () => {
  const page = await openPage();
  await page.get("/articles/0");
  const shown = () => Math.max(...site.log.map(({ payload }) => payload?.to ?? 0));
  // Each time it holds what it can for sold.
  const before = (request, response, { refuse }) => {
    const { key, from, to } = site.log.at(-1).payload;
    refuse("interval-spent", { key, sold: [{ from: 0, charged: to + to - from }] });
  };
  site.faults = { shift: () => ({ before }) };
  const set = async (perRequest) => page.evaluate((most) => void (globalThis.pay = payer(most && { perRequest: BigInt(most) })), perRequest);
  await set("2000000000000000");
  const refused = await page.get("/articles/1");
  assert.equal(refused.code, "too-expensive", JSON.stringify(refused));
  assert.equal(shown(), 4, "a price of two units, and two were shown");
  await set();
  assert.equal((await page.get("/articles/2")).code, "too-expensive");
  // From 6 on, since it says that it sold as many: what that skips is shown as well, at most twice the price in all.
  assert.ok(shown() <= 8, String(shown()));
  site.faults = [];
  const asked = wallet.asked.length;
  api.routes["/v1/*"].units = 2;
  assert.equal((await page.get(`${api.url}/v1/a`)).text, "the answer");
  assert.equal(wallet.asked.length, asked + 1, "the grant of one origin pays no other one's terms");
});

test("no redirect carries a payment to another origin", async () => {
  const page = await openPage();
  await page.get("/articles/1");
  site.routes["/articles/away"] = { units: undefined, serve: (_, response) => response.writeHead(302, { location: `${api.url}/v1/a` }).end() };
  assert.equal((await page.get("/articles/away")).status, 402);
  assert.ok(api.log.length > 0 && api.log.every(({ paid }) => !paid));
  site.routes["/articles/within"] = { units: undefined, serve: (_, response) => response.writeHead(302, { location: "/articles/2" }).end() };
  const within = await page.get("/articles/within");
  assert.deepEqual([within.text, within.url], ["the article", `${site.url}/articles/2`]);
  site.routes["/articles/paid-away"] = { units: 1, serve: (_, response) => response.writeHead(302, { location: `${api.url}/v1/a` }).end() };
  assert.equal((await page.get("/articles/paid-away")).code, "unsupported");
  assert.ok(api.log.every(({ paid }) => !paid));
});

test("a page that is gone after its payment left: the next one asks with the same id, and pays once", async () => {
  const page = await openPage();
  await page.get("/articles/1");
  const arrived = new Promise((resolve) => (site.routes["/articles/slow"] = { units: 3, serve: resolve }));
  void page.get("/articles/slow").catch(() => {});
  await page.evaluate(() => get("/articles/price-of-slow"));
  await arrived;
  await page.close();
  site.routes["/articles/slow"].serve = text("the slow one");
  const again = await openPage();
  assert.equal((await again.get("/articles/slow")).text, "the slow one");
  const paid = site.log.filter(({ path, paid }) => path === "/articles/slow" && paid).map(({ payload }) => payload);
  assert.ok(paid.length >= 2);
  assert.deepEqual([paid.at(-1).id, paid.at(-1).from, paid.at(-1).to], [paid.at(-2).id, paid.at(-2).from, paid.at(-2).to]);
  assert.equal(site.charged(), 2 + 2 + 3);
});

test("a crash while the reader decides: the next page asks for the same grant, and gets it", async () => {
  const asked = new Promise((resolve) => (wallet.decide = resolve));
  const page = await openPage();
  void page.get("/articles/1").catch(() => {});
  const request = await asked;
  // The wallet has placed the stream, and nobody hears of it.
  const answer = wallet.grant(request);
  for (const one of context.pages()) await one.close();
  wallet.decide = (again) => [again.id === request.id && again.tip === request.tip ? answer : wallet.grant(again)];
  const again = await openPage();
  assert.equal((await again.get("/articles/1")).text, "the article");
  assert.equal(site.streams.size, 1, "no second stream");
});

test("what the reader or the wallet refuses ends in its code, and nothing is paid", async () => {
  const page = await openPage();
  for (const code of ["denied", "no-money", "no-capacity", "over-limit", "busy", "tip-used"]) {
    wallet.decide = ({ id }) => [{ v: 1, type: "farthing-grant", id, error: { code, message: `It is ${code}.` } }];
    const refused = await page.get("/articles/1");
    assert.deepEqual([refused.name, refused.code, refused.message], ["FarthingError", code, `It is ${code}.`]);
  }
  assert.equal(new Set(wallet.asked.map(({ tip }) => tip)).size, 6, "a tip that was refused is not used again");
  assert.equal(site.charged(), 0);
  assert.deepEqual(await page.evaluate(() => pay.state()), []);
});

test("a window that is closed ends the wait, before and after the wallet spoke", async () => {
  const page = await openPage();
  let asked = new Promise((resolve) => (wallet.decide = resolve));
  const closed = page.get("/articles/1");
  await asked;
  const popup = () => context.pages().find((one) => one.url().startsWith(wallet.url));
  await until(popup, "there is a window");
  await popup().close();
  assert.equal((await closed).code, "closed");
  // Before it spoke: it never loads.
  await context.route(`${wallet.url}**`, () => {});
  await page.evaluate(() => {
    const { open } = globalThis;
    globalThis.open = (...how) => (globalThis.opened = open(...how));
  });
  const early = page.get("/articles/1");
  await page.waitForFunction(() => globalThis.opened);
  await page.evaluate(() => opened.close());
  assert.equal((await early).code, "closed");
  await context.unroute(`${wallet.url}**`);
  wallet.decide = (request) => [wallet.grant(request)];
  assert.equal((await page.get("/articles/1")).text, "the article");
});

test("a pop-up that the browser blocks is said, and works from a click", async () => {
  // By default it blocks none in a browser that is driven by a program.
  const strict = await playwright.launch({ executablePath: chromium(), args: ["--no-sandbox"], ignoreDefaultArgs: ["--disable-popup-blocking"] });
  await context.close();
  context = await strict.newContext();
  // Nothing is asked of the page before it has told: what a test evaluates counts as the reader's doing.
  const told = new Promise((resolve) => (site.routes["/told"] = { serve: (_, response, { body }) => (response.end(), resolve(JSON.parse(body))) }));
  const page = await openPage({ auto: "/articles/1", told });
  const blocked = await told;
  assert.equal(blocked.code, "blocked");
  assert.match(blocked.message, /where the reader clicks. No money moved.$/);
  assert.equal((await page.get("/articles/1")).text, "the article");
  await strict.close();
});

test("answers for another request, from another origin, of another chain, or a second time, change nothing", async () => {
  const page = await openPage();
  wallet.decide = (request) => {
    const sound = wallet.grant(request);
    return [{ ...sound, id: `0x${"00".repeat(16)}` }, sound, { ...sound, grant: { ...sound.grant, units: 1 } }];
  };
  assert.equal((await page.get("/articles/1")).text, "the article");
  const [state] = await page.evaluate(() => pay.state());
  assert.equal(state.units, 100);
  await page.evaluate(() => pay.end());
  for (const change of [{ key: `0x${"ab".repeat(32)}` }, { tip: `0x${"ab".repeat(32)}` }, { payee: `0x${"ab".repeat(20)}` }, { unitPrice: "2" }, { units: 101 }, { hub: "https://other.example" }]) {
    wallet.decide = (request) => {
      const { grant, ...rest } = wallet.grant(request);
      return [{ ...rest, grant: { ...grant, ...change } }];
    };
    assert.equal((await page.get("/articles/2")).code, "bad-answer", JSON.stringify(change));
  }
  // With the key that follows, and words that the page does not have.
  wallet.decide = (request) => [wallet.grant(request, request.units + 1)];
  assert.equal((await page.get("/articles/2")).code, "bad-answer");
});

test("what the window says from another origin than the wallet's is nothing", async () => {
  const forge = 'opener.postMessage({ v: 1, type: "farthing-grant", id: location.hash.split("=")[1], error: { code: "denied", message: "forged" } }, "*"); document.title = "posted";';
  api.routes["/elsewhere"] = { serve: text(`<!doctype html><title>x</title><script>${forge}</script>`, "text/html") };
  wallet.moved = `${api.url}/elsewhere`;
  const page = await openPage();
  const asked = page.get("/articles/1");
  const popup = () => context.pages().find((one) => one.url().startsWith(wallet.moved));
  await until(popup, "the window is elsewhere");
  await popup().waitForFunction(() => document.title === "posted");
  await popup().close();
  assert.equal((await asked).code, "closed");
});

test("a wallet may grant fewer units than were asked for", async () => {
  wallet.decide = (request) => [wallet.grant(request, 6)];
  const page = await openPage();
  for (let number = 0; number < 3; number += 1) assert.equal((await page.get(`/articles/${number}`)).text, "the article");
  assert.equal(wallet.asked.length, 1);
  assert.equal((await page.get("/articles/4")).text, "the article");
  assert.equal(wallet.asked.length, 2);
});

for (const [name, made] of [["asked to", { options: { mode: "redirect" } }], ["its policy cuts pop-ups off", { coop: "same-origin" }]]) {
  test(`by redirect, where ${name}: leaves, comes back, and goes on; its own fragment is kept`, async () => {
    const own = made.coop ? await siteWith(made) : site;
    const page = await openPage({ at: own, options: made.options, hash: "#chapter-2" });
    void page.get("/articles/1").catch(() => {});
    await page.waitForURL(/#chapter-2$/, { waitUntil: "commit" }).catch(() => {});
    await until(() => wallet.asked.length === 1, "the wallet is asked");
    await page.waitForFunction(() => document.title === "ready" && globalThis.pay !== undefined);
    const returned = await page.evaluate(() => pay.returned);
    assert.equal(returned.grant.units, 100);
    assert.equal(await page.evaluate(() => location.hash), "#chapter-2");
    assert.deepEqual(without(await page.get("/articles/1")), served);
    assert.equal(wallet.asked[0].from, own.url);
    assert.equal(own.asked("/articles/1", true), 1);
  });
}

test("a refusal by redirect is told, and a forged or replayed answer is nothing", async () => {
  wallet.decide = ({ id }) => [{ v: 1, type: "farthing-grant", id, error: { code: "denied", message: "No." } }];
  const page = await openPage({ options: { mode: "redirect" } });
  void page.get("/articles/1").catch(() => {});
  await until(() => wallet.asked.length === 1, "the wallet is asked");
  await page.waitForFunction(() => document.title === "ready" && globalThis.pay !== undefined);
  const { error } = await page.evaluate(() => pay.returned.then(({ error: { code, message } }) => ({ error: { code, message } })));
  assert.deepEqual(error, { code: "denied", message: "No." });
  const forged = Buffer.from(JSON.stringify(wallet.grant({ ...wallet.asked[0] }))).toString("base64url");
  const other = await openPage({ hash: `#farthing-grant=${forged}&farthing-was=here` });
  assert.equal(await other.evaluate(() => pay.returned), undefined);
  assert.equal(await other.evaluate(() => location.hash), "#here");
  assert.deepEqual(await other.evaluate(() => pay.state()), []);
  const broken = await openPage({ hash: "#farthing-grant=abc" });
  assert.equal(await broken.evaluate(() => pay.returned.then(({ error }) => error.code)), "bad-answer");
});

test("in a service worker: pictures, parts of a film and pages are paid; without a grant the server's 402 is the answer", async () => {
  Object.assign(site.routes, {
    "/paid/picture.png": { units: 1, serve: text(PICTURE, "image/png") },
    "/paid/part.mp4": { units: 1, serve: (request, response) => response.writeHead(request.headers.range ? 206 : 200, { "content-type": "video/mp4", ...(request.headers.range && { "content-range": "bytes 0-3/4" }) }).end("film") },
    "/paid/page": { units: 1, serve: text("<!doctype html><title>paid page</title>", "text/html") },
  });
  const page = await openPage();
  await page.evaluate(async () => {
    // Trusted types want a policy by name where a script's address is a text.
    const policy = trustedTypes.createPolicy("worker", { createScriptURL: (url) => url });
    await navigator.serviceWorker.register(policy.createScriptURL("/worker.js"), { type: "module" });
    if (!navigator.serviceWorker.controller) await new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true }));
  });
  const image = () => page.evaluate(() => new Promise((resolve) => {
    const image = new Image();
    image.onload = () => resolve("loaded");
    image.onerror = () => resolve("refused");
    image.src = `/paid/picture.png?${Math.random()}`;
  }));
  assert.equal(await image(), "refused");
  assert.equal(wallet.opened, 0);
  assert.equal((await page.get("/articles/1")).text, "the article");
  assert.equal(await image(), "loaded");
  assert.equal(await image(), "loaded");
  const range = await page.evaluate(async () => {
    const response = await fetch("/paid/part.mp4", { headers: { range: "bytes=0-" } });
    return [response.status, await response.text()];
  });
  assert.deepEqual(range, [206, "film"]);
  const tab = await context.newPage();
  await tab.goto(`${site.url}/paid/page`);
  assert.equal(await tab.title(), "paid page");
  assert.equal(wallet.opened, 1);
  assert.equal(site.charged(), 2 + 2 + 1 + 1);
  assert.ok((await page.evaluate(() => heard)).length >= 4, "the page hears what its worker pays");
  // What the page pays by itself its worker does not pay as well, and what it asks back is no payment.
  assert.equal((await page.get("/paid/part.mp4")).units, 1);
  assert.equal(site.charged(), 7);
  assert.equal(await page.evaluate(() => pay.end()), true);
  assert.equal(site.charged(), 7);
});

test("without storage nothing is paid, and it is said why", async () => {
  await context.addInitScript(() => Object.defineProperty(globalThis, "indexedDB", { value: { open: () => { throw new Error("no storage in this window"); } } }));
  const page = await openPage();
  const refused = await page.get("/articles/1");
  assert.equal(refused.code, "storage-failed");
  assert.match(refused.message, /^Nothing is paid.*private window.*no storage in this window/);
  assert.equal(wallet.opened, 0);
});

test("what is ended is not spent any more", async () => {
  const page = await openPage();
  await page.get("/articles/1");
  const [{ key }] = await page.evaluate(() => pay.state());
  await page.evaluate((key) => pay.end(key), key);
  assert.deepEqual(await page.evaluate(() => pay.state()), []);
  wallet.decide = ({ id }) => [{ v: 1, type: "farthing-grant", id, error: { code: "denied", message: "No." } }];
  assert.equal((await page.get("/articles/2")).code, "denied");
  assert.equal(site.charged(), 2);
});

test("what is ended comes back: the site is asked where it was paid, under a strict policy and on another origin, and it costs nothing", async () => {
  const page = await openPage();
  for (const path of ["/articles/1", "/articles/2", `${api.url}/v1/a`]) await page.get(path);
  const [own, others] = [site, api].map(({ streams }) => [...streams.values()].find(({ sold }) => sold.length > 0));
  assert.equal(await page.evaluate(() => pay.end()), true);
  assert.deepEqual([own.ended, others.ended], [true, true]);
  const [end] = site.log.filter(({ payload }) => payload?.to === 0);
  assert.deepEqual([end.path, end.method], ["/articles/2", "GET"]);
  assert.equal(api.log.at(-1).headers["access-control-request-headers"] ?? "payment-signature", "payment-signature");
  assert.equal(site.charged() + api.charged(), 5);
  assert.deepEqual(page.problems, []);
  // One that is over is told to nobody again.
  const before = site.log.length;
  assert.equal(await page.evaluate(() => pay.end()), true);
  assert.equal(site.log.length, before);
  assert.equal((await page.get("/articles/3")).text, "the article");
  assert.equal(site.streams.size, 3, "a new grant");
});

test("a site that does not give back, or says nothing, is not waited for, and costs time alone", async () => {
  const page = await openPage();
  const ends = async () => {
    await page.get("/articles/1");
    return page.evaluate(() => pay.end());
  };
  const none = [
    // One that knows nothing of it, a proxy, a page that is sent elsewhere, and nobody.
    false,
    (_, response) => response.writeHead(200).end("a page"),
    ({ url }, response) => (url === "/articles/1" ? response.writeHead(302, { location: "/articles/2" }) : response.writeHead(204)).end(),
    (request) => request.socket.destroy(),
  ];
  for (const gives of none) {
    site.gives = gives;
    assert.equal(await ends(), false);
    assert.deepEqual(await page.evaluate(() => pay.state()), []);
  }
  // Its time is up after ten seconds; a test does not wait for so long.
  await page.evaluate(() => {
    const { timeout } = AbortSignal;
    AbortSignal.timeout = (ms) => timeout.call(AbortSignal, ms === 10_000 ? 50 : ms);
  });
  site.gives = () => {};
  assert.equal(await ends(), false);
  assert.equal(wallet.asked.length, 5);
  assert.equal(site.charged(), 10);
});

test("a page that is left at once has asked for what is left", async () => {
  const page = await openPage();
  await page.get("/articles/1");
  const told = new Promise((resolve) => (site.gives = (request, response) => (response.writeHead(204).end(), resolve(request.url))));
  await page.evaluate(() => {
    const { fetch } = globalThis;
    globalThis.fetch = (...asked) => {
      // What is not kept alive may be cancelled at any moment from now on.
      const answer = asked[1].keepalive ? fetch(...asked) : new Promise(() => {});
      location.href = "about:blank";
      return answer;
    };
    void pay.end();
  });
  await page.waitForURL("about:blank");
  assert.equal(await told, "/articles/1");
});

test("a page that is told that little is left asks ahead, in a click's time, and goes on without a pause", async () => {
  const [page, other] = [await openPage(), await openPage()];
  for (const one of [page, other]) await one.evaluate(() => pay.on("low", (low) => (globalThis.low ??= []).push(low)));
  wallet.decide = (request) => [wallet.grant(request, 30)];
  for (let number = 0; number < 13; number += 1) await page.get(`/articles/${number}`);
  assert.equal(await page.evaluate(() => globalThis.low), undefined);
  await page.get("/articles/13");
  await other.waitForFunction(() => globalThis.low?.length === 1);
  await page.waitForFunction(() => globalThis.low?.length === 1);
  const [state] = await page.evaluate(() => pay.state());
  assert.deepEqual([state.left, await page.evaluate(() => [low[0].left, low[0].key, low[0].symbol])], [2, [2, state.key, "DAI"]]);
  wallet.decide = (request) => [wallet.grant(request)];
  // Both tabs ask, and one grant is enough.
  await Promise.all([page, other].map((one) => one.evaluate(() => pay.allow(low[0]))));
  assert.equal(wallet.asked.length, 2);
  for (let number = 14; number < 18; number += 1) assert.equal((await page.get(`/articles/${number}`)).text, "the article");
  assert.equal(wallet.opened, 2);
  assert.equal(await page.evaluate(() => low.length), 1, "it is told once");
  assert.equal(await page.evaluate(() => heard.length), 18, "and is no payment");
  assert.equal(await page.evaluate(() => { try { pay.on("high", () => {}); } catch ({ code }) { return code; } }), "invalid-argument");
  wallet.decide = ({ id }) => [{ v: 1, type: "farthing-grant", id, error: { code: "denied", message: "No." } }];
  const { key } = (await page.evaluate(() => pay.state())).at(-1);
  assert.equal(await page.evaluate((key) => pay.allow({ key, terms: low[0].terms }).catch(({ code }) => code), key), "denied");
});

test("options are checked when the payer is made", async () => {
  const page = await openPage();
  const codes = await page.evaluate(() =>
    [{ wallet: "javascript:alert(1)" }, { wallet: "http://wallet.example" }, { title: "a\nb" }, { units: 0.5 }, { units: 20_000 }, { expiresIn: 1 }, { perRequest: 5 }, { mode: "frame" }].map((options) => {
      try {
        payer(options);
        return "none";
      } catch ({ code }) {
        return code;
      }
    }));
  assert.ok(codes.every((code) => code === "invalid-argument"), String(codes));
});
