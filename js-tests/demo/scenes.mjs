// What the pictures are of: each scene brings a page into its states by the ways of a reader, and has them taken.

import { farthing } from "../support/env.mjs";
import { answers, must, outcome, ownWallet, popup, random, ready, request, site } from "./visit.mjs";

/** What the magazines take for one unit. */
const UNIT = 5n * 10n ** 14n;

/** Presses what may close the window while it is being pressed. */
export async function press(page, selector) {
  try {
    await page.click(selector);
  } catch (error) {
    if (!page.isClosed()) throw error;
  }
}

export const scenes = {
  /** First visit, deposit, balances, sending, settings. */
  async wallet(stage) {
    const { shoot } = stage;
    const context = await stage.context();
    const page = await context.newPage();
    await page.goto(`${stage.wallet.url}/`);
    await page.waitForSelector("#browser-key");
    await shoot(page, "wallet-1-connect");
    await page.click("#browser-key");
    await ready(page);
    await shoot(page, "wallet-2-empty");
    await page.click("text=Deposit");
    await page.waitForSelector("#faucet");
    await page.selectOption("#deposit-asset", "DAI");
    await shoot(page, "wallet-3-deposit");
    await page.click("#faucet");
    await page.waitForSelector(".faucet .note.good");
    await page.fill("#deposit-amount", "9000");
    await page.click('.deposit button[type="submit"]');
    await page.waitForSelector(".deposit .note.bad, form > .note.bad");
    await shoot(page, "wallet-4-deposit-refused");
    await page.fill("#deposit-amount", "5");
    await page.click('.deposit button[type="submit"]');
    await page.waitForSelector('.steps [data-state="done"]');
    await shoot(page, "wallet-5-depositing");
    await page.waitForSelector(".balances");
    await page.evaluate(() => (location.hash = "deposit"));
    await page.waitForSelector("#deposit-amount");
    await page.selectOption("#deposit-asset", "ETH");
    await page.fill("#deposit-amount", "0.0123456789");
    await page.click('.deposit button[type="submit"]');
    await page.waitForSelector(".balances");
    await page.evaluate(() => (location.hash = "send"));
    await page.waitForSelector("#pay");
    await page.fill('[name="to"]', stage.world.hub.owner);
    await page.selectOption('#pay [name="asset"]', "DAI");
    await page.fill('[name="amount"]', "0.25");
    await page.fill('[name="memo"]', "a coffee");
    await page.click('#pay button[type="submit"]');
    await page.waitForSelector(".outcome.good");
    await shoot(page, "wallet-6-send");
    await page.evaluate(() => (location.hash = ""));
    await page.waitForSelector(".rows li");
    await shoot(page, "wallet-7-home");
    for (const name of ["sites", "history", "settings"]) {
      await page.evaluate((hash) => (location.hash = hash), name);
      await page.waitForSelector(".narrow h1");
      await page.waitForFunction(() => [...document.querySelectorAll(".limits input")].every(({ value }) => value !== ""));
      await shoot(page, `wallet-8-${name}`);
    }
    await context.close();
  },

  /** Approval, with money and without, in limits and over them. */
  async approve(stage) {
    const { shoot } = stage;
    const { url } = await site(stage);
    const { context } = await ownWallet(stage, [["DAI", "5"]]);
    const page = await context.newPage();
    await page.goto(url);
    let opened = await popup(stage, page, request(stage));
    await opened.waitForSelector("#allow:not(:disabled)");
    must((await opened.textContent(".origin")).includes(new URL(url).host), "the origin is the site's");
    await shoot(opened, "ask-1-approve");
    await opened.click("#deny");
    await outcome(opened, "denied");
    await shoot(opened, "ask-2-denied");
    must((await answers(page)).at(-1).error.code === "denied", "the page hears of the no");
    await press(opened, "text=Close this window");

    opened = await popup(stage, page, request(stage, { units: 1500 }));
    await opened.waitForSelector("#raise");
    await shoot(opened, "ask-3-over-limit");
    await opened.click("#deny");
    await outcome(opened, "over-limit");
    await opened.close();

    const other = await popup(stage, page, request(stage));
    await other.waitForSelector("#allow:not(:disabled)");
    opened = await popup(stage, page, request(stage));
    await outcome(opened, "busy");
    await shoot(opened, "ask-4-busy");
    await opened.close();
    await other.close();
    await page.waitForFunction(() => window.answers.at(-1).error.code === "closed");

    opened = await popup(stage, page, request(stage, { hub: "https://hub.example" }));
    await outcome(opened, "other-hub");
    await shoot(opened, "ask-5-other-hub");
    await opened.close();

    opened = await popup(stage, page, request(stage, { more: 1 }));
    await outcome(opened, "bad-request");
    await shoot(opened, "ask-6-bad-request");
    await opened.close();

    opened = await context.newPage();
    await opened.goto(`${stage.wallet.url}/#farthing-popup=${random(16)}`);
    await opened.waitForSelector('.screen[data-kind="bad"]');
    await shoot(opened, "ask-7-site-gone");
    await opened.close();

    opened = await popup(stage, page, request(stage), { silent: true });
    await opened.waitForSelector('.screen[data-kind="waiting"]');
    await shoot(opened, "ask-8-waiting");
    await opened.close();
    await context.close();
  },

  /** A reader without a wallet, and one without money: to the deposit, and on with the request. */
  async first(stage) {
    const { shoot } = stage;
    const { url } = await site(stage);
    const context = await stage.context();
    const page = await context.newPage();
    await page.goto(url);
    let opened = await popup(stage, page, request(stage));
    await opened.waitForSelector("#browser-key");
    await shoot(opened, "first-1-connect");
    await opened.click("text=Not now");
    await outcome(opened, "no-channel");
    await shoot(opened, "first-2-no-channel");
    must((await answers(page)).at(-1).error.code === "no-channel", "the page hears that there is no wallet");
    await opened.close();
    opened = await popup(stage, page, request(stage));
    await opened.waitForSelector("#browser-key");
    await opened.click("#browser-key");
    await opened.waitForSelector('[data-step="deposit"]');
    await opened.waitForSelector('form[data-empty="true"]');
    await shoot(opened, "first-3-deposit");
    await opened.click("#faucet");
    await opened.waitForSelector(".faucet .note.good");
    await opened.click('.deposit button[type="submit"]');
    await opened.waitForSelector("#allow:not(:disabled)");
    await shoot(opened, "first-4-approve");
    await context.close();
  },

  /** What was granted before, in whatever way it comes again; who can't be paid; a hub without money for it. */
  async ends(stage) {
    const { shoot, sites, world } = stage;
    const [{ url }, { url: elsewhere }] = [await site(stage), await site(stage)];
    const { context, page: own } = await ownWallet(stage, [["DAI", "20"]]);
    const page = await context.newPage();
    await page.goto(url);
    const payee = sites.post.client.info.address.toLowerCase();
    const allow = async (asked, from = page) => {
      const opened = await popup(stage, from, asked);
      await opened.waitForSelector("#allow:not(:disabled)");
      await press(opened, "#allow");
      return opened;
    };
    const code = async (from = page) => (await answers(from)).at(-1).error?.code;

    const asked = request(stage, { payee, units: 100 });
    let opened = await allow(asked);
    await outcome(opened, "granted");
    await shoot(opened, "ends-1-granted");
    await page.waitForFunction(() => window.answers.at(-1).grant !== undefined);
    const { grant } = (await answers(page)).at(-1);
    must(grant.tip === asked.tip && grant.payee === payee && grant.hub === asked.hub && grant.unitPrice === asked.unitPrice, "the grant is the request's");
    await opened.waitForEvent("close");

    // The very same again moves nothing, and has the same answer.
    opened = await popup(stage, page, asked);
    await outcome(opened, "granted");
    must(JSON.stringify((await answers(page)).at(-1).grant) === JSON.stringify(grant), "the same request has the same answer");
    await opened.waitForEvent("close");

    opened = await popup(stage, page, { ...asked, id: random(16) });
    await outcome(opened, "tip-used");
    await shoot(opened, "ends-2-tip-used");
    must((await code()) === "tip-used", "a tip is granted once");
    await opened.close();

    const evil = await context.newPage();
    await evil.goto(elsewhere);
    opened = await popup(stage, evil, asked);
    await outcome(opened, "bad-request");
    await shoot(opened, "ends-3-replayed");
    must((await code(evil)) === "bad-request", "a request replayed by another origin gets nothing");
    await opened.close();
    await evil.close();

    opened = await allow(request(stage, { payee: `0x${"70".repeat(20)}`, units: 10 }));
    await outcome(opened, "unavailable");
    await shoot(opened, "ends-4-unknown-payee");
    await opened.close();

    // Somebody who brought nothing into a channel: the hub puts no money there.
    const { connect } = await farthing();
    const poor = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet: await world.account(), store: "memory" });
    stage.cleanups.push(() => poor.disconnect());
    poor.on("stream", () => {});
    opened = await popup(stage, page, request(stage, { payee: poor.info.address.toLowerCase(), unitPrice: String(10n ** 16n), units: 1_500 }));
    // Over all three limits, which are raised one by one.
    for (let limit = 0; limit < 3; limit += 1) await opened.click("#raise");
    await opened.waitForSelector("#allow:not(:disabled)");
    await press(opened, "#allow");
    await outcome(opened, "no-capacity");
    await shoot(opened, "ends-5-no-capacity");
    must((await code()) === "no-capacity", "a hub without money for the payee is told");
    await opened.close();

    opened = await popup(stage, page, request(stage, { payee }));
    await opened.waitForSelector("#allow:not(:disabled)");
    await opened.close();
    await page.waitForFunction(() => window.answers.at(-1).error?.code === "closed");

    const balance = await own.evaluate(async () => String((await window.farthing.client.balances()).find(({ asset }) => asset === "DAI").available));
    must(balance === String(20n * 10n ** 18n - 100n * 10n ** 15n), `one grant of 0.1 DAI was placed, and nothing else (${balance} is left)`);
    await context.close();
  },

  /** By redirect, there and back. */
  async redirect(stage) {
    const { url } = await site(stage);
    const { context } = await ownWallet(stage, [["DAI", "5"]]);
    const page = await context.newPage();
    const asked = request(stage, { returnTo: `${url}/article?a=b#part` });
    await page.goto(`${stage.wallet.url}/#farthing-request=${Buffer.from(JSON.stringify(asked)).toString("base64url")}`, { referer: `${url}/` });
    await page.waitForSelector("#allow:not(:disabled)");
    must((await page.textContent(".origin")).includes(new URL(url).host), "the origin is that of the way back");
    await page.click("#deny");
    await outcome(page, "denied");
    await stage.shoot(page, "redirect-1-denied");
    await page.click("text=Back to");
    await page.waitForURL((there) => there.origin === url);
    const back = new URL(page.url());
    const parts = new URLSearchParams(back.hash.slice(1));
    const answer = JSON.parse(Buffer.from(parts.get("farthing-grant"), "base64url"));
    must(back.pathname === "/article" && parts.get("farthing-was") === "part", "the way back is kept");
    must(answer.id === asked.id && answer.error.code === "denied", "the answer is of the request");
    await page.goto(`${stage.wallet.url}/#farthing-request=e30`);
    await page.reload();
    await outcome(page, "bad-request");
    await stage.shoot(page, "redirect-2-unreadable");
    await context.close();
  },

  /** A browser that opens no windows: by this tab, and back to the text. */
  async blocked(stage) {
    const { shoot, sites: { post } } = stage;
    const { context, page: own } = await ownWallet(stage, [["DAI", "5"]]);
    const page = await context.newPage();
    await page.addInitScript(() => (window.open = () => null));
    await page.goto(`${post.url}/read/price-of-a-page?from=friends#text`);
    await page.click("#open");
    await page.waitForSelector("#here:visible");
    await shoot(page, "post-8-blocked");
    await page.click("#here");
    await page.waitForSelector("#allow:not(:disabled)");
    must((await page.textContent(".origin")) === post.url, "the origin is the magazine's");
    await page.click("#allow");
    await page.waitForSelector(".sold");
    must(page.url() === `${post.url}/read/price-of-a-page?from=friends#text`, `the reader is where they were: ${page.url()}`);
    // What was paid is settled by this, and comes to nobody later.
    await own.goto(`${stage.wallet.url}/#sites`);
    await own.click("text=End this");
    await own.waitForSelector("text=It may take nothing now");
    await context.close();
  },

  /** Nobody frames the wallet. */
  async framed(stage) {
    const context = await stage.browser.newContext();
    const page = await context.newPage();
    const { url } = await site(stage);
    await page.goto(url);
    const tried = page.waitForEvent("framenavigated", (one) => one !== page.mainFrame() && one.url() !== "about:blank");
    await page.evaluate((there) => document.body.append(Object.assign(document.createElement("iframe"), { src: there })), stage.wallet.url);
    await tried;
    const frame = page.frames().find((one) => one !== page.mainFrame());
    must((await frame.$("main")) === null, "the header keeps the page out of a frame");
    await context.close();
  },

  /** The reader's whole way: from a first visit to two magazines and a film, and the end of it. */
  async reader(stage) {
    const { shoot, told = () => {}, film = 8, sites: { post, water, wallet } } = stage;
    const context = await stage.context();
    const windows = [];
    const page = await context.newPage();
    context.on("page", (opened) => windows.push(opened));
    const open = async (magazine, path) => {
      await page.goto(`${magazine.url}${path}`);
      await page.waitForFunction(() => document.documentElement.dataset.ready === "true");
    };
    const popped = async (selector) => {
      const [opened] = await Promise.all([context.waitForEvent("page"), page.click(selector)]);
      await opened.setViewportSize({ width: 440, height: 720 });
      return opened;
    };
    await open(post, "/");
    await shoot(page, "post-1-front");
    await open(post, "/read/the-wren");
    await shoot(page, "post-2-free");
    await open(post, "/read/price-of-a-page");
    await page.waitForSelector("#open:visible");
    await shoot(page, "post-3-gate");
    let opened = await popped("#open");
    await opened.click("#browser-key");
    await opened.waitForSelector('[data-step="deposit"]');
    await opened.click("#faucet");
    await opened.waitForSelector(".faucet .note.good");
    await opened.click('.deposit button[type="submit"]');
    await opened.waitForSelector("#allow:not(:disabled)");
    await press(opened, "#allow");
    await page.waitForSelector(".sold");
    await page.waitForSelector("#purse:visible");
    await shoot(page, "post-4-paid");
    told("a first visit: a key in the browser, a deposit of 5 DAI, one approval of 0.25 DAI, and the article is there");

    const before = post.counts.get("/days/1") ?? 0;
    await open(post, "/almanac/1");
    await page.waitForSelector(".sky dl");
    await shoot(page, "post-5-almanac");
    const begun = performance.now();
    for (let day = 2; day <= 101; day += 1) {
      await page.click("#after");
      await page.waitForFunction((path) => location.pathname === path && document.querySelector(".sky")?.dataset.day === path.split("/").at(-1), `/almanac/${day}`);
    }
    const asked = [...post.counts].filter(([path]) => path.startsWith("/days/"));
    must(before === 0 && asked.length === 101 && asked.every(([path, count]) => count === (path === "/days/1" ? 2 : 1)), "each page took one request, but for the first of its kind, which asked for the price");
    must(windows.length === 1, "one window was opened for the first magazine");
    told(`a hundred pages more, one request each (${Math.round((performance.now() - begun) / 100)} ms from the click to the drawn page)`);

    await open(post, "/film");
    await shoot(page, "post-6-film");
    await page.click("#play");
    const watched = `${Math.floor(film / 60)}:${String(film % 60).padStart(2, "0")}`;
    await page.waitForFunction((wanted) => document.getElementById("watched").textContent >= wanted, watched, { timeout: (film + 30) * 1_000 });
    await shoot(page, "post-7-playing");
    await page.click("#play");
    await page.waitForFunction(() => document.getElementById("play").textContent === "Play");
    must((await page.textContent("#said")) === "", "the film was not interrupted");
    const extra = post.counts.get("/film/frames") - 1;
    must(film < 12 || extra >= Math.floor(film / 12), `the film was paid for as it went on: ${extra} times`);

    told(`a film by the second: ${await page.textContent("#watched")} watched, ${await page.textContent("#paid")}`);

    await open(water, "/");
    await shoot(page, "water-1-front");
    await open(water, "/read/slack");
    opened = await popped("#open");
    await opened.waitForSelector("#allow:not(:disabled)");
    await shoot(opened, "ask-9-second-site");
    await press(opened, "#allow");
    await page.waitForSelector(".sold");
    await shoot(page, "water-2-paid");
    must(windows.length === 2, "one window was opened for the second magazine");
    told("the second magazine: one approval, from the same deposit");
    await open(water, "/almanac/172");
    await page.waitForSelector(".sky dl");
    await shoot(page, "water-3-almanac");

    const own = await context.newPage();
    await own.goto(`${wallet.url}/#sites`);
    await own.waitForSelector(".site meter");
    await own.waitForFunction(() => [...document.querySelectorAll(".site meter")].some(({ value }) => value > 0));
    await shoot(own, "wallet-9-sites");
    await own.goto(`${wallet.url}/#history`);
    await own.waitForSelector(".rows li");
    await shoot(own, "wallet-9-history");
    await own.goto(`${wallet.url}/#`);
    await own.waitForSelector(".balance");
    await shoot(own, "wallet-9-home");
    await own.goto(`${wallet.url}/#sites`);
    const site = own.locator(`.site[data-origin="${post.url}"]`);
    await site.locator("text=End this").click();
    await site.locator("text=It may take nothing now").waitFor();
    await shoot(own, "wallet-9-ended");
    told(`what was left came back: ${(await site.textContent()).match(/Paid so far [\d.]+\sDAI/)[0]}`);
    // The other one is ended where it was read: the magazine gives it back, and the wallet page, which asked for nothing, shows it.
    const given = own.locator(`.site[data-origin="${water.url}"]`);
    const back = () => own.evaluate(async () => (await window.farthing.client.balances()).find(({ asset }) => asset === "DAI").available);
    const beforehand = await back();
    await page.click("#purse >> text=End it");
    await given.locator("text=It may take nothing now").waitFor();
    must((await back()) > beforehand, "the rest is in the wallet again");
    await page.waitForSelector("#purse", { state: "hidden" });
    await shoot(page, "water-4-ended");
    told("the second magazine, ended on its own page: the rest is in the wallet at once");

    // Home: what was not paid is in the account again, to the wei, and what was paid is with the magazines.
    const { address } = await own.evaluate(() => window.farthing.client.info);
    const keys = await own.evaluate(async () => (await window.farthing.client.payments()).flatMap(({ stream }) => (stream ? [stream.key] : [])));
    await own.goto(`${wallet.url}/#settings`);
    await own.click("#close");
    await shoot(own, "wallet-9-closing");
    await own.click("dialog >> text=Yes");
    await own.waitForSelector("#browser-key");
    // What other readers paid may come in at any time.
    const from = (payments) => payments.filter(({ stream }) => keys.includes(stream?.key));
    const sum = (payments) => payments.reduce((total, { stream }) => total + stream.unitPrice * BigInt(stream.paid), 0n);
    const earned = await Promise.all([post, water].map(async ({ client }) => sum(from(await client.payments({ direction: "received" })))));
    const left = await stage.world.balanceOf(address, "DAI");
    must(left === 100n * 10n ** 18n - earned[0] - earned[1], `what the reader paid is what the magazines have: ${left}, ${earned}`);
    must(earned[0] >= (101n + 4n + BigInt(film)) * UNIT && earned[1] === 5n * UNIT, `each page and each second was paid: ${earned}`);
    told(`leaving: the reader has all of 100 DAI but ${Number(earned[0] + earned[1]) / 1e18}, which the magazines have`);
    await context.close();
  },
};
