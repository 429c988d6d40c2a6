// A reader's browser: Chromium on what the quick start and the guide leave running. Every request it makes is noted, so that
// nothing is loaded from elsewhere, nor missing.

import { chromium as playwright } from "playwright-core";
import { chromium } from "../support/env.mjs";
import { inject } from "../support/browser.mjs";
import { createWallet } from "../support/wallet.mjs";

const launch = () => playwright.launch({ executablePath: chromium(), args: ["--no-sandbox"] });

/** Fails what pages complain of; `asked` are the URLs that were requested. */
async function newContext(browser, options = {}) {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  const [problems, asked] = [[], []];
  context.on("weberror", (error) => problems.push(error.error().message));
  // A price is first told by a 402, and browsers ask for an icon of their own accord.
  context.on("console", (message) => message.type() === "error" && !/status of 402|favicon\.ico/.test(`${message.text()} ${message.location().url}`) && problems.push(message.text()));
  context.on("request", (request) => asked.push(request.url()));
  return { context, problems, asked };
}

/** What the quick start asks of a reader: opens the site, and pays by the wallet page with a key of this browser. `look(page, name)` is shown each state. */
export async function readArticle(site, look = async () => {}) {
  const browser = await launch();
  try {
    const { context, problems, asked } = await newContext(browser);
    const page = await context.newPage();
    await page.goto(site);
    await look(page, "site");
    const [wallet] = await Promise.all([context.waitForEvent("page"), page.click("button")]);
    await wallet.waitForSelector("#browser-key");
    await look(wallet, "connect");
    await wallet.click("#browser-key");
    await wallet.waitForSelector('[data-step="deposit"]');
    await wallet.waitForSelector('form[data-empty="true"]');
    await look(wallet, "deposit");
    await wallet.click("#faucet");
    await wallet.waitForSelector(".faucet .note.good");
    await wallet.click('.deposit button[type="submit"]');
    await wallet.waitForSelector("#allow:not(:disabled)");
    await look(wallet, "allow");
    const closed = wallet.waitForEvent("close");
    // It may close while it is being pressed.
    await wallet.click("#allow").catch((error) => {
      if (!wallet.isClosed()) throw error;
    });
    const text = () => page.textContent("p");
    await page.waitForFunction(() => document.querySelector("p").textContent !== "");
    const first = await text();
    await closed;
    await look(page, "paid");
    // The next one asks nobody.
    await page.evaluate(() => (document.querySelector("p").textContent = ""));
    await page.click("button");
    await page.waitForFunction(() => document.querySelector("p").textContent !== "");
    const second = await text();
    const windows = context.pages().length;
    const home = await context.newPage();
    await home.goto(new URL(wallet.url()).origin);
    await home.waitForSelector("#status[data-state=connected]", { state: "attached" });
    await home.waitForSelector(".balances");
    await look(home, "home");
    return { first, second, windows, problems, asked };
  } finally {
    await browser.close();
  }
}

/** Opens a wallet page with an extension that has a funded account, and goes to its settings. */
export async function openHosted(url, { privateKey, rpcUrl }) {
  const browser = await launch();
  try {
    const { context, problems, asked } = await newContext(browser);
    const page = await context.newPage();
    await inject(page, createWallet({ privateKey, rpcUrl }));
    const answer = await page.goto(url);
    await page.click("[data-rdns]");
    await page.waitForSelector("#status[data-state=connected]", { state: "attached" });
    const [title, brand] = [await page.title(), await page.textContent("header .brand")];
    await page.goto(`${url}#settings`);
    const limits = await page.waitForFunction(() => {
      const form = [...document.querySelectorAll("form")].find((one) => one.querySelector("h3")?.textContent === "DAI");
      const values = [...(form?.querySelectorAll("input") ?? [])].map(({ value }) => value);
      return values.length === 3 && values.every((value) => value !== "") && values;
    });
    const framed = await context.newPage();
    await framed.setContent(`<iframe src="${url}"></iframe>`);
    const shown = await framed.frameLocator("iframe").locator("button").count();
    return { title, brand, limits: await limits.jsonValue(), shown, headers: answer.headers(), problems: problems.filter((text) => !/frame/i.test(text)), asked };
  } finally {
    await browser.close();
  }
}
