// An unpacked extension (Manifest V3) in Chromium, under its own policy: the package in its page and in its service worker.

import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { build as esbuild } from "esbuild";
import { chromium } from "playwright-core";
import { serve } from "./support/site.mjs";
import { workFolder } from "./support/work.mjs";

const work = workFolder("extension");
const at = (path) => join(work, path);
const profile = mkdtempSync(join(tmpdir(), "farthing-extension-"));
let context, site;

after(async () => {
  await context?.close();
  await site?.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
});

test("an extension's page and its service worker load the package and refuse what is no hub", async () => {
  const outdir = at("out/extension");
  await esbuild({ entryPoints: [at("extension/page.mjs"), at("extension/worker.mjs")], bundle: true, format: "esm", outdir, logLevel: "error" });
  for (const file of ["manifest.json", "page.html"]) copyFileSync(at(`extension/${file}`), join(outdir, file));
  copyFileSync(at("node_modules/farthing/core_bg.wasm"), join(outdir, "farthing.wasm"));
  site = await serve(at("page"));
  const args = ["--no-sandbox", "--headless=new", `--disable-extensions-except=${outdir}`, `--load-extension=${outdir}`];
  context = await chromium.launchPersistentContext(profile, { executablePath: process.env.CHROMIUM, headless: false, args });
  const worker = context.serviceWorkers()[0] ?? (await context.waitForEvent("serviceworker"));
  const home = new URL(worker.url()).origin === "null" ? worker.url().replace(/\/[^/]*$/, "") : new URL(worker.url()).origin;
  for (const more of ["", "&worker"]) {
    const page = await context.newPage();
    await page.goto(`${home}/page.html?hub=${encodeURIComponent(`${site.url}nothing`)}${more}`);
    await page.waitForFunction(() => document.title !== "waiting");
    assert.equal(await page.title(), "loaded, refused", more);
    await page.close();
  }
});
