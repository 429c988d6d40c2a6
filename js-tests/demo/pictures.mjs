// Every state of the wallet page and the magazines as a picture, in both themes, on desktop and phone:
// `target/screenshots/NAME-{light,dark}-{desktop,phone}.png`. All of it on a real chain and hub.
// Run by `node demo/pictures.mjs [NAME…]` in `js-tests/`, with the environment of `cargo xtask test`.

import { chromium as playwright } from "playwright-core";
import { chromium } from "../support/env.mjs";
import { FOLDER, SIZES, shoot } from "../support/shoot.mjs";
import { createWorld } from "../support/world.mjs";
import { scenes } from "./scenes.mjs";
import { startMagazines, startWallet } from "./sites.mjs";

const wanted = process.argv.slice(2);
const cleanups = [];

try {
  const world = await createWorld();
  cleanups.push(() => world.stop());
  const wallet = await startWallet(world);
  cleanups.push(wallet.stop);
  const sites = await startMagazines(world, wallet);
  cleanups.push(sites.stop);
  const browser = await playwright.launch({ executablePath: chromium(), args: ["--no-sandbox"] });
  cleanups.push(() => browser.close());
  const problems = [];
  const stage = {
    // Of a film a whole minute is watched.
    film: 60, world, sites, wallet, browser, shoot, cleanups,
    async context() {
      const context = await browser.newContext({ viewport: SIZES.desktop, reducedMotion: "reduce" });
      context.on("weberror", (error) => problems.push(error.error().message));
      // A price is first told by a 402.
      context.on("console", (message) => message.type() === "error" && !/status of 402/.test(message.text()) && problems.push(message.text()));
      return context;
    },
  };
  for (const [name, scene] of Object.entries(scenes)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    console.log(name);
    await scene(stage).catch(async (error) => {
      // What the pages looked like says more than where it stopped.
      const pages = browser.contexts().flatMap((context) => context.pages());
      for (const [index, page] of pages.entries()) await page.screenshot({ path: `${FOLDER}failed-${name}-${index}.png`, fullPage: true });
      throw error;
    });
  }
  if (problems.length > 0) throw new Error(`pages complained: ${[...new Set(problems)].join("; ")}`);
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup().catch(() => {});
}
