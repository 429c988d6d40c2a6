// The wallet page and the magazines in Chromium, on a real chain and hub: the scenes of the pictures without their camera,
// and what an adversary would try.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chromium as playwright } from "playwright-core";
import { build } from "../../www-demo/build.mjs";
import { listen, sendFile, walletHeaders } from "../../www-demo/serve.mjs";
import { chromium } from "../support/env.mjs";
import { createWallet } from "../support/wallet.mjs";
import { createWorld } from "../support/world.mjs";
import { scenes } from "./scenes.mjs";
import { startMagazines, startWallet } from "./sites.mjs";
import { answers, outcome, ownWallet, popup, random, request, site } from "./visit.mjs";

const cleanups = [];
const problems = [];
let stage;

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
  const context = async (options = {}) => {
    const made = await browser.newContext({ reducedMotion: "reduce", ...options });
    made.on("weberror", (error) => problems.push(error.error().message));
    return made;
  };
  stage = { world, wallet, sites, browser, context, cleanups, shoot: async () => {} };
});
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

for (const [name, scene] of Object.entries(scenes)) {
  test(`scene: ${name}`, async () => {
    await scene(stage);
    assert.deepEqual(problems, []);
  });
}

test("the same at a phone's size, by touch", async () => {
  const context = (options) => stage.context({ viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true, ...options });
  await scenes.first({ ...stage, context });
  await scenes.redirect({ ...stage, context });
});

/** A site's page, with a wallet that has 5 DAI. */
async function visitor() {
  const { url } = await site(stage);
  const { context, page: own } = await ownWallet(stage, [["DAI", "5"]]);
  const page = await context.newPage();
  await page.goto(url);
  return { context, own, page, url };
}

const payee = () => stage.sites.post.client.info.address.toLowerCase();

test("a frame shows nothing of the wallet, also where a host forgets the header", async () => {
  const folder = new URL("../../target/www/wallet/", import.meta.url).pathname;
  const careless = await listen(async (asked, response) => {
    const path = new URL(asked.url, "http://x").pathname;
    if (path === "/frame") return response.writeHead(200, { "content-type": "text/html" }).end(`<iframe src="/#farthing-popup=${random(16)}"></iframe>`);
    if (!(await sendFile(folder, path, response))) response.writeHead(404).end();
    return undefined;
  });
  cleanups.push(careless.stop);
  const context = await stage.context();
  const page = await context.newPage();
  await page.goto(`${careless.url}/frame`);
  const frame = page.frameLocator("iframe");
  await frame.locator("text=Not in a frame").waitFor();
  assert.equal(await frame.locator("button").count(), 0);
  await context.close();
  assert.match(walletHeaders({ hub: "https://hub.example" })["content-security-policy"], /frame-ancestors 'none'/);
});

test("only the window that opened it is heard, and only its first request", async () => {
  const { context, page } = await visitor();
  const asked = request(stage, { payee: payee() });
  const opened = await popup(stage, page, asked, { silent: true });
  await opened.waitForSelector('.screen[data-kind="waiting"]');
  // The wallet's own window, and a frame of the site, say what they want.
  await opened.evaluate((question) => window.postMessage(question, "*"), { ...asked, title: "From itself" });
  await page.evaluate(async (question) => {
    const frame = document.body.appendChild(document.createElement("iframe"));
    frame.srcdoc = `<script>top.popup.postMessage(${JSON.stringify(question)}, "*")<\/script>`;
    window.popup = window.open("", `farthing-${question.id}`);
    await new Promise((done) => (frame.onload = done));
  }, { ...asked, title: "From a frame" });
  await page.evaluate(([question, target]) => window.open("", `farthing-${question.id}`).postMessage(question, target), [asked, stage.wallet.url]);
  await page.evaluate(([question, target]) => window.open("", `farthing-${question.id}`).postMessage({ ...question, title: "The second" }, target), [asked, stage.wallet.url]);
  await opened.waitForSelector("#allow:not(:disabled)");
  const said = await opened.textContent(".approve");
  assert.match(said, /The Farthing Post/);
  assert.doesNotMatch(said, /From itself|From a frame|The second/);
  await opened.click("#deny");
  await page.waitForFunction(() => window.answers.length === 1);
  await context.close();
});

test("a page without an origin is told nothing and allowed nothing", async () => {
  const { context, page } = await visitor();
  const asked = request(stage, { payee: payee() });
  await page.evaluate(
    ([url, question]) => {
      const frame = document.createElement("iframe");
      frame.sandbox = "allow-scripts allow-popups allow-popups-to-escape-sandbox allow-modals";
      frame.srcdoc = `<script>
        const opened = window.open(${JSON.stringify(`${url}/#farthing-popup=${question.id}`)}, "w");
        onmessage = ({ data, source }) => data?.type === "farthing-wallet-ready" ? source.postMessage(${JSON.stringify(question)}, "*") : parent.postMessage(data, "*");
      <\/script>`;
      window.answers = [];
      window.onmessage = ({ data }) => window.answers.push(data);
      document.body.append(frame);
    },
    [stage.wallet.url, asked],
  );
  const opened = context.pages().at(-1) === page ? await context.waitForEvent("page") : context.pages().at(-1);
  await outcome(opened, "bad-request");
  assert.match(await opened.textContent(".screen"), /Nothing was allowed/);
  assert.deepEqual(await answers(page), []);
  await context.close();
});

test("nobody decides for ten minutes: the request is over", async () => {
  const { context, page } = await visitor();
  await context.clock.install();
  const opened = await popup(stage, page, request(stage, { payee: payee() }));
  await opened.clock.runFor(2_000);
  await opened.waitForSelector("#allow:not(:disabled)");
  await opened.clock.fastForward(10 * 60_000);
  await outcome(opened, "expired");
  await page.waitForFunction(() => window.answers.at(-1)?.error?.code === "expired");
  await context.close();
});

test("a window that dies while the grant is placed says nothing, and the same request goes on with it", async () => {
  const { context, own, page } = await visitor();
  const asked = request(stage, { payee: payee(), units: 100 });
  let opened = await popup(stage, page, asked);
  await opened.waitForSelector("#allow:not(:disabled)");
  // The hub is silent, so that the stream is signed and not there yet.
  process.kill(stage.world.hub.pid, "SIGSTOP");
  try {
    await opened.click("#allow");
    await opened.waitForSelector("text=Setting it up");
    await own.waitForFunction(async () => (await window.farthing.client.payments()).some(({ stream }) => stream?.granted));
    await opened.close();
    await page.waitForFunction(() => window.opened.closed);
  } finally {
    process.kill(stage.world.hub.pid, "SIGCONT");
  }
  opened = await popup(stage, page, asked);
  await outcome(opened, "granted");
  await page.waitForFunction(() => window.answers.length > 0);
  const [answer, ...more] = await answers(page);
  assert.equal(answer.grant.tip, asked.tip);
  assert.deepEqual(more, []);
  const streams = await own.evaluate(async () => (await window.farthing.client.payments()).filter(({ stream }) => stream?.granted).length);
  assert.equal(streams, 1);
  await context.close();
});

test("wallets that announce themselves are listed, and the chosen one signs", async () => {
  const context = await stage.context();
  const page = await context.newPage();
  const account = await stage.world.account();
  const signer = createWallet({ privateKey: account.privateKey, rpcUrl: stage.world.rpcUrl });
  await page.exposeFunction("askWallet", (call) => signer.request(call));
  await page.addInitScript(() => {
    const provider = { request: (call) => window.askWallet(call) };
    const announce = (name, rdns, icon) => window.dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail: { info: { uuid: rdns, name, rdns, icon }, provider } }));
    window.addEventListener("eip6963:requestProvider", () => {
      announce("Wren <b>Wallet</b>", "example.wren", "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>");
      announce("Other", "example.other", "https://evil.example/track.png");
    });
  });
  await page.goto(`${stage.wallet.url}/`);
  await page.waitForSelector('[data-rdns="example.wren"]');
  assert.equal(await page.locator(".choice b").count(), 0);
  assert.equal(await page.locator('[data-rdns="example.other"] img').count(), 0);
  await page.click('[data-rdns="example.wren"]');
  await page.waitForSelector('#status[data-state="connected"]');
  const { address } = await page.evaluate(() => window.farthing.client.info);
  assert.equal(address, account.address);
  // It is taken up again without being chosen, and with another account it is not.
  await page.reload();
  await page.waitForSelector('#status[data-state="connected"]');
  await context.close();
});

test("the faucet gives to accounts, to its own page, and not without end", async () => {
  const { address } = await stage.world.account({ eth: 0n, dai: 0n });
  const ask = (body, type = "application/json") => fetch(`${stage.wallet.url}/faucet`, { method: "POST", headers: { "content-type": type }, body });
  assert.equal((await ask(JSON.stringify({ address }), "text/plain")).status, 415);
  for (const body of ["", "{", "null", "{}", JSON.stringify({ address: "0x12" }), JSON.stringify({ address: [address] }), `{"address":"${"0".repeat(2_000)}"}`]) {
    assert.equal((await ask(body)).status, 400, body.slice(0, 40));
  }
  assert.equal((await ask(JSON.stringify({ address }))).status, 200);
  assert.equal((await ask(JSON.stringify({ address: address.toLowerCase() }))).status, 429);
  assert.ok((await stage.world.balanceOf(address, "DAI")) > 0n);
});

test("files of the host are served, and nothing beside them", async () => {
  for (const path of ["/../package.json", "/..%2fpackage.json", "/%2e%2e/%2e%2e/README.md", "/assets/", "/%00", "/%"]) {
    const response = await fetch(`${stage.wallet.url}${path}`);
    assert.ok([400, 404, 500].includes(response.status), `${path}: ${response.status}`);
  }
  const home = await fetch(`${stage.wallet.url}/`);
  assert.equal(home.headers.get("cache-control"), "no-store");
  assert.equal(home.headers.get("x-frame-options"), "DENY");
  const magazine = await fetch(`${stage.sites.post.url}/`);
  assert.equal(magazine.headers.get("cache-control"), "no-store");
  assert.match(magazine.headers.get("content-security-policy"), /default-src 'none'/);
});

