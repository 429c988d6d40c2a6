// The wallet page in Firefox, at a phone's size: a grant by pop-up and by redirect, from another origin, and an article paid by it.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { build } from "../../www-demo/build.mjs";
import { random, request, site } from "../demo/visit.mjs";
import { startMagazines, startWallet } from "../demo/sites.mjs";
import { openFirefox } from "../support/firefox.mjs";
import { createWorld } from "../support/world.mjs";

const PHONE = [360, 640];

describe("the wallet page in Firefox", () => {
  const cleanups = [];
  let world, wallet, sites, browser;

  before(async () => {
    await build();
    [world, browser] = await Promise.all([createWorld(), openFirefox()]);
    cleanups.push(() => world.stop(), () => browser.close());
    wallet = await startWallet(world);
    cleanups.push(wallet.stop);
    sites = await startMagazines(world, wallet);
    cleanups.push(sites.stop);
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  /** Sets a wallet up, where it asks for that. */
  async function fund(page) {
    await page.press("#browser-key");
    await page.press("#faucet");
    await page.until(() => document.querySelector(".faucet .note.good") !== null);
    await page.press('.deposit button[type="submit"]');
  }

  test("a first article: wallet, deposit and approval in one window, then the text, and others without a window", async () => {
    const page = await browser.visit(`${sites.post.url}/read/price-of-a-page`);
    await page.size(...PHONE);
    await page.until(() => document.documentElement.dataset.ready === "true");
    await page.press("#open");
    const window = await browser.opened("#farthing-popup=");
    await fund(window);
    await window.until(() => document.querySelector("#allow:not(:disabled)") !== null);
    // A script's click is none.
    await window.evaluate(() => document.querySelector("#allow").click());
    assert.equal(await window.evaluate(() => document.querySelector(".origin").textContent), sites.post.url);
    assert.ok(await window.evaluate(() => document.querySelector("#allow") !== null));
    await window.press("#allow");
    await page.until(() => document.querySelector(".sold") !== null);
    await browser.opened("#farthing-popup=", { gone: true });
    for (const day of [7, 8, 9]) {
      await page.evaluate((url) => (location.href = url), `${sites.post.url}/almanac/${day}`).catch(() => {});
      await page.until((wanted) => document.querySelector(".sky")?.dataset.day === wanted, String(day));
    }
    const days = [...sites.post.counts].filter(([path]) => path.startsWith("/days/")).map(([, count]) => count);
    assert.deepEqual(days, [2, 1, 1]);
  });

  test("by redirect, there and back", async () => {
    const { url } = await site({ cleanups });
    const payee = sites.water.client.info.address.toLowerCase();
    const asked = request({ world }, { payee, units: 10, returnTo: `${url}/back?a=b` });
    const asking = await browser.visit(url);
    await asking.size(...PHONE);
    await asking.evaluate((there) => void location.assign(there), `${wallet.url}/#farthing-request=${Buffer.from(JSON.stringify(asked)).toString("base64url")}`).catch(() => {});
    const page = await browser.opened("#farthing-request=");
    await page.until(() => document.querySelector("#allow:not(:disabled)") !== null);
    assert.equal(await page.evaluate(() => document.querySelector(".origin").textContent), url);
    await page.press("#allow");
    const home = await browser.opened("/back?a=b#farthing-grant=");
    const answer = JSON.parse(Buffer.from((await home.evaluate(() => location.hash)).split("=")[1], "base64url"));
    assert.equal(answer.id, asked.id);
    assert.equal(answer.grant.tip, asked.tip);
  });

  test("a site's refused request is answered with its code", async () => {
    const { url } = await site({ cleanups });
    const asked = { ...request({ world }, { tip: random(32) }), hub: "https://hub.example" };
    const page = await browser.visit(url);
    await page.evaluate(
      ([there, question]) => {
        window.onmessage = ({ data, origin, source }) => {
          if (data?.type === "farthing-wallet-ready") source.postMessage(question, origin);
          if (data?.type === "farthing-grant") window.answer = data;
        };
        window.open(`${there}/#farthing-popup=${question.id}`, `farthing-${question.id}`);
      },
      [wallet.url, asked],
    );
    const { error } = await page.until(() => window.answer);
    assert.equal(error.code, "other-hub");
  });
});
