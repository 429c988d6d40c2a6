// The pages: error codes as the types and the engine have them, the table of costs as the contract's snapshots have it, and the site
// as a reader sees it, on a desktop and a phone, by day and by night.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { chromium as playwright } from "playwright-core";
import { chromium, farthing } from "../support/env.mjs";
import { repository } from "./blocks.mjs";

const read = (path) => readFileSync(join(repository, path), "utf8");

test("the page of errors has each code once, and the types and the engine have the same", async () => {
  const rows = [...read("docs/errors.md").matchAll(/^\| `([a-z-]+)` \| (.+) \| (.+) \| (.+) \|$/gm)];
  const page = rows.map(([, code]) => code);
  assert.equal(new Set(page).size, page.length, "a code is there twice");
  for (const [, code, ...cells] of rows) for (const cell of cells) assert.ok(cell.trim().length > 1, `${code} has an empty cell`);
  const declared = read("pkg-template/index.d.ts").match(/export type ErrorCode =([^;]+);/)[1];
  assert.deepEqual([...page].sort(), [...declared.matchAll(/"([a-z-]+)"/g)].map(([, code]) => code).sort());
  const { errorCodes } = await farthing();
  assert.deepEqual([...page].sort(), [...(await errorCodes())].sort());
  const rust = JSON.parse(read("vectors/codes.json")).codes.map(({ code }) => code);
  assert.deepEqual(rust.filter((code) => !page.includes(code)), []);
});

test("the table of costs is what its command prints", async () => {
  const page = read("docs/costs.md");
  const [, command] = page.match(/^node docs\/site\/costs\.mjs (.+)$/m);
  const { status, stdout } = spawnSync(process.execPath, [join(repository, "docs/site/costs.mjs"), ...command.split(" ")], { encoding: "utf8" });
  assert.equal(status, 0);
  assert.ok(page.includes(stdout.trim()), `docs/costs.md is not what its command prints:\n${stdout}`);
});

const TYPES = { ".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8" };

describe("the site", () => {
  const folder = join(repository, "target/docs");
  const pictures = join(repository, "target/screenshots");
  let [browser, server, url, htmls] = [];
  before(async () => {
    const built = spawnSync(process.execPath, [join(repository, "docs/site/build.mjs"), folder], { encoding: "utf8" });
    assert.equal(built.status, 0, built.stderr);
    htmls = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".html"));
    mkdirSync(pictures, { recursive: true });
    server = createServer((request, response) => {
      const path = new URL(request.url, "http://x").pathname;
      try {
        const body = readFileSync(join(folder, path === "/" ? "index.html" : path));
        response.writeHead(200, { "content-type": TYPES[extname(path) || ".html"] }).end(body);
      } catch {
        response.writeHead(404).end();
      }
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${server.address().port}/`;
    browser = await playwright.launch({ executablePath: chromium(), args: ["--no-sandbox"] });
  });
  after(async () => {
    await browser?.close();
    server?.closeAllConnections();
    server?.close();
  });

  const opened = async (options, use) => {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const wrong = [];
    page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
    page.on("pageerror", (error) => wrong.push(error.message));
    // One that a next page cuts off has not failed.
    page.on("requestfailed", (request) => request.failure()?.errorText !== "net::ERR_ABORTED" && wrong.push(`${request.url()} failed`));
    page.on("request", (request) => /^(http:\/\/127\.0\.0\.1:|file:)/.test(request.url()) || wrong.push(`${request.url()} is elsewhere`));
    try {
      await use(page);
      assert.deepEqual(wrong, []);
    } finally {
      await context.close();
    }
  };

  test("each page fits a phone, under its policy, and asks nobody else", () =>
    opened({ viewport: { width: 375, height: 760 } }, async (page) => {
      for (const html of htmls) {
        await page.goto(url + html);
        const { wide, titles, cut, named } = await page.evaluate(() => ({
          wide: document.documentElement.scrollWidth - innerWidth,
          titles: document.querySelectorAll("h1").length,
          cut: [...document.querySelectorAll(".list")].filter((table) => table.scrollWidth > table.clientWidth + 1).map((table) => table.textContent.slice(0, 60)),
          named: [...document.querySelectorAll("p code, li code, td code")].map((code) => code.textContent).filter((text) => /^docs\/[\w-]+\.md$/.test(text)),
        }));
        assert.ok(wide <= 0, `${html} is ${wide} px wider than a phone`);
        assert.equal(titles, 1, html);
        assert.deepEqual(cut, [], `${html}: what a table of many columns says is cut off`);
        assert.deepEqual(named, [], `${html} names pages without leading to them`);
      }
    }));

  test("finding a code by its name leads to it, also without a server", () =>
    opened({}, async (page) => {
      await page.goto(pathToFileURL(join(folder, "index.html")).href);
      await page.getByRole("searchbox").fill("wallet rejected");
      await page.getByRole("searchbox").fill("what is charged");
      await page.keyboard.press("Enter");
      await page.waitForURL(/paywall\.html#what-is-charged$/);
      assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector("header")).position), "sticky", "the style is there");
    }));

  const SHOWN = ["index", "quick-start", "errors", "costs", "api/farthing"];
  for (const [device, viewport] of Object.entries({ desktop: { width: 1360, height: 900 }, phone: { width: 390, height: 844 } })) {
    for (const colorScheme of ["light", "dark"]) {
      test(`${device}, ${colorScheme}: letters can be told from what is behind them`, () =>
        opened({ viewport, colorScheme }, async (page) => {
          for (const name of SHOWN) {
            await page.goto(`${url}${name}.html`);
            await page.screenshot({ path: join(pictures, `docs-${name.replace("/", "-")}-${device}-${colorScheme}.png`) });
          }
          const worst = await page.evaluate(() => {
            const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
            const light = (color) => {
              const [r, g, b] = color.match(/[\d.]+/g).map((part) => channel(Number(part) / 255));
              return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const behind = (element) => {
              for (let at = element; at; at = at.parentElement) {
                const color = getComputedStyle(at).backgroundColor;
                if (!/, 0\)$/.test(color)) return color;
              }
              return "rgb(255, 255, 255)";
            };
            let least = [99, ""];
            for (const element of document.querySelectorAll("main *, header *, .side *")) {
              if (element.matches(".anchor") || ![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "")) continue;
              const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
              const ratio = (a + 0.05) / (b + 0.05);
              if (ratio < least[0]) least = [ratio, `${element.tagName} ${element.className}: ${element.textContent.slice(0, 30)}`];
            }
            return least;
          });
          assert.ok(worst[0] >= 4.5, `${worst}`);
        }));
    }
  }
});
