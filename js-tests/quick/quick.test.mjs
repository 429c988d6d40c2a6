// What README and quick start say, done in empty folders with packed packages alone: `npx farthing dev`, a payment, a paid
// article, an end by Ctrl-C, a restart that goes on, a reset; and what keeps it from starting.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { anvilProgram } from "../support/env.mjs";
import { blocksOf, follow, run } from "../support/markdown.mjs";
import { openHosted, readArticle } from "./browser.mjs";

const folder = mkdtempSync(join(tmpdir(), "farthing-quick-"));
const { FARTHING_PKG_HUB_TGZ, FARTHING_PKG_HUB_NATIVE_TGZ, FARTHING_PKG_TGZ } = process.env;
const running = [];

/** The tests' Node, and npm as it is installed. Nothing is asked of a registry. */
const env = {
  ...process.env,
  // As somebody has it who runs a hub as well: nothing to this one.
  FARTHING_HUB_RPC_URL: "http://127.0.0.1:1", FARTHING_HUB_CHAIN_ID: "1",
  // What a client keeps by default stays out of anybody's home.
  HOME: folder,
  PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
  npm_config_offline: "true", npm_config_audit: "false", npm_config_fund: "false", npm_config_update_notifier: "false",
};

after(async () => {
  for (const one of running) one.signal("SIGINT");
  await Promise.all(running.map((one) => one.ends()));
  rmSync(folder, { recursive: true, force: true });
});

/** What npm would fetch by name. Anvil's packages as they were installed: nobody compresses them for this. */
const packed = {};
before(() => {
  const native = dirname(dirname(anvilProgram()));
  const tar = (from) => {
    const file = join(folder, `${basename(from)}.tar`);
    const { status, stderr } = spawnSync("tar", ["-cf", file, "-C", dirname(from), basename(from)]);
    assert.equal(status, 0, String(stderr));
    return file;
  };
  packed.farthing = [FARTHING_PKG_TGZ];
  packed["farthing-hub"] = [FARTHING_PKG_HUB_TGZ, FARTHING_PKG_HUB_NATIVE_TGZ];
  packed["@foundry-rs/anvil"] = [tar(join(native, "../anvil")), tar(native)];
});

/** The packages that are not published yet stand in for their names. */
const command = (line) =>
  /^npm install /.test(line) ? line.split(" ").flatMap((word) => packed[word] ?? [word]).join(" ") : line;

function project(name) {
  const cwd = join(folder, name);
  mkdirSync(cwd);
  return cwd;
}

const page = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const readmes = { cwd: undefined, dev: undefined };

/** As Ctrl-C does; ends when the last that has its output ends. npx itself may end by the signal. */
async function ended(one, codes) {
  one.signal("SIGINT");
  const { code, all } = await one.ends();
  running.splice(running.indexOf(one), 1);
  assert.ok(codes.includes(code), `${code}: ${all}`);
  assert.match(all, /\nEnding …\n$/);
}

async function dev(cwd, args = "") {
  const one = run(`exec node_modules/.bin/farthing dev ${args}`, { cwd, env });
  running.push(one);
  return { one, out: await one.says("Ready. Ctrl-C ends it") };
}

/** The README's program, for another folder. */
const program = () => join(readmes.cwd, "node_modules/.bin/farthing");

const contractOf = (out) => out.match(/contract +(0x[0-9a-f]{40})/)[1];

test("without the programs it says what to install", async () => {
  const cwd = project("bare");
  const { code, all } = await run(`npm init --yes && ${command("npm install farthing")}`, { cwd, env }).ends();
  assert.equal(code, 0, all);
  assert.deepEqual(readdirSync(join(cwd, "node_modules")).filter((name) => !name.startsWith(".")), ["farthing"]);
  const tried = await run("npx farthing dev", { cwd, env }).ends();
  assert.equal(tried.code, 1);
  assert.match(tried.all, /^farthing: no-program: .+ npm install --save-dev farthing-hub @foundry-rs\/anvil\n$/);
  assert.ok(!existsSync(join(cwd, ".farthing-dev")));
});

test("the README leads from an empty folder to a payment", async (t) => {
  readmes.cwd = project("readme");
  const { count } = await follow(blocksOf(page("pkg-template/README.md"), "From an empty folder to a payment"), { cwd: readmes.cwd, env, command, running });
  readmes.dev = running.at(-1);
  t.diagnostic(`${count.commands} commands, ${count.lines} lines`);
});

test("a second one in the same folder, or on the same port, is refused and disturbs nothing", async () => {
  const second = await run("npx farthing dev", { cwd: readmes.cwd, env }).ends();
  assert.equal(second.code, 1);
  assert.match(second.all, /^farthing: already-running: [^\n]+process \d+; end it[^\n]+\n$/);
  const again = await run(`${program()} dev`, { cwd: project("other"), env }).ends();
  assert.equal(again.code, 1);
  assert.match(again.all, /^farthing: port-taken: Port 8545 is taken [^\n]+ with --rpc-port N\.\n$/);
  assert.equal((await fetch("http://127.0.0.1:7190/ready")).status, 200);
});

test("the wallet page's host: its headers, its settings, a faucet that takes JSON alone", async () => {
  const url = "http://127.0.0.1:7191";
  const home = await fetch(`${url}/`);
  assert.equal(home.status, 200);
  assert.match(home.headers.get("content-security-policy"), /frame-ancestors 'none'/);
  assert.deepEqual(await (await fetch(`${url}/config.json`)).json(), { hub: "http://127.0.0.1:7190", rpc: "http://127.0.0.1:8545", faucet: "faucet", browserKey: true });
  for (const path of ["/../package.json", "/..%2fpackage.json", "/%2e%2e/package.json", "/%", "/%00"]) {
    assert.equal((await fetch(`${url}${path}`)).status, 404, path);
  }
  const address = "0x00000000000000000000000000000000000000Aa";
  const ask = (body, type = "application/json") => fetch(`${url}/faucet`, { method: "POST", headers: { "content-type": type }, body });
  const balance = async () => {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_getBalance", params: [address, "latest"] });
    return BigInt((await (await fetch("http://127.0.0.1:8545", { method: "POST", headers: { "content-type": "application/json" }, body })).json()).result);
  };
  assert.equal((await ask(JSON.stringify({ address }), "text/plain")).status, 415);
  for (const bad of ["{", "{}", JSON.stringify({ address: "0x12" }), "x".repeat(5_000)]) assert.equal((await ask(bad)).status, 400);
  // A name that a stranger's name server leads here: its page is of that origin, and would be told all of this.
  for (const [host, status] of [["wallet.example:7191", 421], ["127.0.0.1.example", 421], ["localhost:7191", 200], ["127.0.0.1:7191", 200]]) {
    assert.equal(await statusFor("/config.json", host), status, host);
    if (status === 421) assert.equal(await statusFor("/faucet", host, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ address }) }), 421);
  }
  assert.equal(await balance(), 0n);
  assert.equal((await ask(JSON.stringify({ address }))).status, 200);
  assert.equal(await balance(), 10n ** 18n);
  assert.equal((await ask(JSON.stringify({ address: address.toLowerCase() }))).status, 429);
});

/** The status of an answer to a request that names another host than it asks. */
function statusFor(path, host, { method = "GET", headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port: 7191, path, method, headers: { ...headers, host } }, (response) => response.resume().on("end", () => resolve(response.statusCode)));
    asked.on("error", reject).end(body);
  });
}

test("the wallet page runs the package's own engine, under names that caches may keep", async () => {
  const url = "http://127.0.0.1:7191";
  const installed = join(readmes.cwd, "node_modules/farthing");
  const modules = readdirSync(installed, { recursive: true }).filter((name) => name.endsWith(".wasm"));
  assert.deepEqual(modules, ["core_bg.wasm"], "one copy of the module");
  const { folder: engine, files } = JSON.parse(readFileSync(join(installed, "wallet/engine.json"), "utf8"));
  for (const name of files) {
    const answer = await fetch(`${url}/${engine}/${name.replace(/\.mjs$/, ".js")}`);
    assert.equal(answer.status, 200, name);
    assert.equal(answer.headers.get("cache-control"), "public, max-age=31536000, immutable");
    assert.match(answer.headers.get("content-type"), name.endsWith(".wasm") ? /^application\/wasm$/ : /^text\/javascript/);
    const text = name.endsWith(".wasm") ? "" : await answer.text();
    for (const [, path] of text.matchAll(/(?:from ?|import\()"(\.[^"]+)"/g)) assert.doesNotMatch(path, /\.mjs$/, name);
  }
  for (const name of ["package.json", "bin/dev.mjs", "node.mjs", "paywall/index.mjs"]) assert.equal((await fetch(`${url}/${engine}/${name}`)).status, 404);
  for (const path of ["/", "/config.json"]) assert.equal((await fetch(`${url}${path}`)).headers.get("cache-control"), "no-store");
  assert.equal((await fetch(`${url}/engine.json`)).status, 404);
});

/** What a client that comes back finds. */
const LOOK = `
import { connect } from "farthing";
const client = await connect({ hub: "http://127.0.0.1:7190", rpc: "http://127.0.0.1:8545", wallet: { mnemonic: "test test test test test test test test test test test junk" }, store: ".farthing-dev/look.sqlite" });
if (process.argv[2] === "pay") {
  await client.deposit({ asset: "DAI", amount: 1000n });
  await client.pay({ to: client.info.hub.owner, asset: "DAI", amount: 10n });
}
const [dai] = (await client.balances()).filter(({ asset }) => asset === "DAI");
console.log(client.info.contract ?? "", "deposited", String(dai.deposited), "payments", (await client.payments()).length);
await client.disconnect();
`;

test("Ctrl-C ends all of it, a restart goes on from there, a reset starts anew", async () => {
  const { cwd } = readmes;
  writeFileSync(join(cwd, "look.mjs"), LOOK);
  const look = async (args = "") => {
    const { code, all } = await run(`node look.mjs ${args}`, { cwd, env }).ends();
    assert.equal(code, 0, all);
    return all;
  };
  const first = contractOf(await readmes.dev.says("contract"));
  assert.match(await look("pay"), /deposited 1000 payments 1\n/);
  await ended(readmes.dev, [0, "SIGINT"]);
  for (const port of [8545, 7190, 7191]) {
    const probe = createServer();
    await new Promise((resolve, reject) => probe.once("error", reject).listen(port, "127.0.0.1", resolve));
    await new Promise((resolve) => probe.close(resolve));
  }
  const next = await dev(cwd);
  assert.equal(contractOf(next.out), first);
  assert.match(await look(), /deposited 1000 payments 1\n/);
  await ended(next.one, [0]);

  const anew = await dev(cwd, "--reset");
  assert.notEqual(contractOf(anew.out), first);
  assert.match(await look(), /deposited 0 payments 0\n/);
  await ended(anew.one, [0]);
  assert.ok(!existsSync(join(cwd, ".farthing-dev/running.json")));
});

test("a folder that it did not make is not touched", async () => {
  const { cwd } = readmes;
  renameSync(join(cwd, ".farthing-dev"), join(cwd, "kept"));
  mkdirSync(join(cwd, ".farthing-dev"));
  writeFileSync(join(cwd, ".farthing-dev/mine"), "1");
  const { code, all } = await run("npx farthing dev --reset", { cwd, env }).ends();
  assert.equal(code, 1);
  assert.match(all, /^farthing: not-ours: /);
  assert.deepEqual(readdirSync(join(cwd, ".farthing-dev")), ["mine"]);
});

test("a program that ends by itself ends all, in one sentence with its reason", async () => {
  const cwd = join(folder, "other");
  writeFileSync(join(cwd, "hub.sh"), "#!/bin/sh\necho 'no luck today' >&2\nexit 3\n", { mode: 0o755 });
  const { code, all } = await run(`${program()} dev --hub-program ./hub.sh`, { cwd, env }).ends();
  assert.equal(code, 1);
  assert.match(all, /^farthing: program-ended: The hub ended [^\n]+no luck today[^\n]+\n$/);
  const free = await run(`${program()} dev --rpc-port 0`, { cwd, env }).ends();
  assert.equal(free.code, 2, free.all);
});

test("a platform without a program, a package that npm left out, and one of another version: one sentence each", async () => {
  const { cwd } = readmes;
  const platform = `${process.platform}-${process.arch}`;
  const [wrapper, native] = [join(cwd, "node_modules/farthing-hub"), join(cwd, "node_modules/@farthing", `hub-${platform}`)];
  const file = join(wrapper, "package.json");
  const whole = readFileSync(file, "utf8");
  const { version, optionalDependencies } = JSON.parse(whole);
  assert.deepEqual(optionalDependencies, Object.fromEntries(["darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64", "win32-x64"].map((name) => [`@farthing/hub-${name}`, version])), "all of one version");
  const own = JSON.parse(readFileSync(join(native, "package.json"), "utf8"));
  assert.deepEqual([own.version, own.os, own.cpu], [version, [process.platform], [process.arch]]);
  const refusals = async (says) => {
    for (const line of ["npx farthing dev", `node ${join(wrapper, "bin/farthing-hub.mjs")} --help`].slice(0, says.length)) {
      const { code, all } = await run(line, { cwd, env }).ends();
      assert.equal(code, 1, all);
      assert.match(all, says.shift());
      assert.equal(all.trimEnd().split("\n").length, 1);
    }
  };
  renameSync(native, `${native}.away`);
  try {
    await refusals([/^farthing: no-program: The program of the hub for \S+ is not there, as npm left out the optional package @farthing\/hub-/, /^farthing-hub: the program for \S+ is not there, as npm left out/]);
    delete optionalDependencies[`@farthing/hub-${platform}`];
    writeFileSync(file, JSON.stringify({ ...JSON.parse(whole), optionalDependencies }));
    const others = Object.keys(optionalDependencies).map((name) => name.slice("@farthing/hub-".length)).join(", ");
    const none = `there is no program (of the hub )?for ${platform}: there are packages for ${others}`;
    await refusals([new RegExp(`^farthing: no-program: ${none}; build it from the repository`, "i"), new RegExp(`^farthing-hub: ${none}\\. Build it from the repository\\.`)]);
  } finally {
    renameSync(`${native}.away`, native);
    writeFileSync(file, whole);
  }
  writeFileSync(file, whole.replace(`"version": "${version}"`, '"version": "0.0.9"'));
  await refusals([/^farthing: other-version: .+ is version 0\.0\.9, and farthing is \S+: npm install --save-dev farthing-hub@/]);
  writeFileSync(file, whole);
});

test("many at once in one folder: one of them runs, whoever died there before", { timeout: 120_000 }, async () => {
  const cwd = project("many");
  mkdirSync(join(cwd, ".farthing-dev"));
  // A process that was killed, and one that died while it wrote.
  for (const left of [JSON.stringify({ pid: 2 ** 30, nonce: "x" }), "{"]) {
    writeFileSync(join(cwd, ".farthing-dev/running.json"), left);
    writeFileSync(join(cwd, "holds.mjs"), `
      import { existsSync } from "node:fs";
      import { lock } from ${JSON.stringify(join(readmes.cwd, "node_modules/farthing/dev/lock.mjs"))};
      while (!existsSync("go")) await new Promise(setImmediate);
      try { lock(".farthing-dev/running.json"); console.log("done: has it"); setInterval(() => {}, 1000); }
      catch (error) { console.log("done:", error.code); }`);
    const many = Array.from({ length: 8 }, () => run("exec node holds.mjs", { cwd, env }));
    running.push(...many);
    writeFileSync(join(cwd, "go"), "");
    const said = await Promise.all(many.map((one) => one.says("done:")));
    assert.deepEqual(said.sort(), [...Array(7).fill("done: already-running\n"), "done: has it\n"]);
    for (const one of many) one.signal("SIGKILL");
    await Promise.all(many.map((one) => one.ends()));
    rmSync(join(cwd, "go"));
    assert.deepEqual(readdirSync(join(cwd, ".farthing-dev")).filter((name) => /running/.test(name)), ["running.json"]);
  }
});

test("the quick start leads from an empty folder to a paid article", async (t) => {
  const cwd = project("quick");
  const { count } = await follow(blocksOf(page("docs/quick-start.md")), { cwd, env, command, running });
  t.diagnostic(`${count.commands} commands, ${count.lines} lines`);
  assert.ok(readFileSync(page("docs/quick-start.md"), "utf8").includes(`${count.commands} commands and ${count.lines} lines`), "what the page says of itself");
  const [, commands, lines] = readFileSync(page("docs/compare.md"), "utf8").match(/\| commands \| (\d+).*\n\| lines of code \| (\d+)/);
  assert.deepEqual([Number(commands), Number(lines)], [count.commands, count.lines], "what the comparison says of it");
});

test("a reader opens the quick start's article in a browser, and pays through the wallet page", async () => {
  const { first, second, windows, problems, asked } = await readArticle("http://127.0.0.1:3000/");
  assert.equal(first, "The whole article.\n");
  assert.equal(second, first);
  assert.equal(windows, 1, "the second one asked nobody");
  assert.deepEqual(problems, []);
  const elsewhere = asked.filter((url) => !["http://127.0.0.1:3000", "http://127.0.0.1:7191", "http://127.0.0.1:7190", "http://127.0.0.1:8545"].includes(new URL(url).origin));
  assert.deepEqual(elsewhere, []);
  assert.equal(asked.filter((url) => url.endsWith(".wasm")).every((url) => /^http:\/\/127\.0\.0\.1:7191\/engine-[0-9a-f]{12}\/core_bg\.wasm$/.test(url)), true);
  const { code, all } = await run("npx farthing paywall report --store .farthing-dev/paywall.sqlite --json", { cwd: join(folder, "quick"), env }).ends();
  assert.equal(code, 0, all);
  // The program's one, and the browser's two.
  assert.match(all, /"6000000000000000"/);
});

test("the guide for hosts gives a page that runs from its folder, and refuses what would not", async () => {
  const cwd = project("host");
  const { running: started } = await follow(blocksOf(page("docs/host-a-wallet.md")), { cwd, env, command });
  running.push(...started);
  const { limits } = JSON.parse(readFileSync(join(cwd, "site/config.json"), "utf8"));
  const config = join(cwd, "trial/config.json");
  writeFileSync(config, JSON.stringify({ ...JSON.parse(readFileSync(config, "utf8")), limits, name: "The Example Wallet" }));
  const found = await openHosted("http://127.0.0.1:7200/", { privateKey: "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6", rpcUrl: "http://127.0.0.1:8545" });
  assert.deepEqual(found.problems, []);
  assert.equal(found.brand, "The Example Wallet");
  assert.match(found.title, / – The Example Wallet$/);
  assert.deepEqual(found.limits, ["0.5", "3", "6"]);
  assert.equal(found.shown, 0, "nothing in a frame");
  assert.match(found.headers["content-security-policy"], /connect-src 'self' http:\/\/127\.0\.0\.1:7190 ws:\/\/127\.0\.0\.1:7190 http:\/\/127\.0\.0\.1:8545 ws:\/\/127\.0\.0\.1:8545;.+frame-ancestors 'none'/);
  assert.equal(found.headers["cache-control"], "no-cache");
  assert.match(readFileSync(join(cwd, "site/index.html"), "utf8"), /http-equiv="Content-Security-Policy" content="[^"]+https:\/\/hub\.example wss:\/\/hub\.example https:\/\/node\.example/);

  const before = readdirSync(cwd);
  for (const [args, code, says] of [
    ["site --hub https://hub.example", 1, /^farthing: not-empty: .+\/site has something in it, and nothing was written/],
    ["serve.mjs --hub https://hub.example", 1, /^farthing: not-empty: .+ is a file/],
    ["serve.mjs/x --hub https://hub.example", 1, /^farthing: not-written: /],
    ["new", 2, /^farthing: bad-usage: Which hub\?/],
    ["--hub https://hub.example", 2, /^farthing: bad-usage: Which folder\?/],
    ["new old --hub https://hub.example", 2, /^farthing: bad-usage: One folder, not 2/],
    ["new --hub hub.example", 2, /^farthing: bad-usage: --hub takes a URL/],
    ["new --hub wss://hub.example", 2, /^farthing: bad-usage: --hub takes a URL that begins with https/],
    ["new --hub http://hub.example", 2, /^farthing: bad-usage: --hub http:\/\/hub\.example is not encrypted/],
    ["new --hub http://127.0.0.1.example", 2, /is not encrypted/],
    ["new --hub https://me:secret@hub.example", 2, /^farthing: bad-usage: --hub has a name or password in it/],
    ["new --hub https://hub.example/?a=1", 2, /no query/],
    ["new --hub https://hub.example --rpc http://node.example", 2, /^farthing: bad-usage: --rpc http:\/\/node\.example is not encrypted/],
    ["new --hub https://hub.example --name '<b>'", 2, /^farthing: bad-usage: --name takes/],
    ["new --hub https://hub.example --browser-key", 2, /^farthing: bad-usage: /],
  ]) {
    const tried = await run(`node_modules/.bin/farthing wallet ${args}`, { cwd, env }).ends();
    assert.equal(tried.code, code, `${args}: ${tried.all}`);
    assert.match(tried.all, says);
    assert.doesNotMatch(tried.all, /me:secret/);
  }
  assert.deepEqual(readdirSync(cwd), before);
});
