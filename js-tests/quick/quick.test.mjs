// What README and quick start say, done in empty folders with packed packages alone: `npx farthing dev`, a payment, a paid
// article, an end by Ctrl-C, a restart that goes on, a reset; and what keeps it from starting.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { anvilProgram } from "../support/env.mjs";
import { blocksOf, follow, run } from "../support/markdown.mjs";

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
  assert.equal(await balance(), 0n);
  assert.equal((await ask(JSON.stringify({ address }))).status, 200);
  assert.equal(await balance(), 10n ** 18n);
  assert.equal((await ask(JSON.stringify({ address: address.toLowerCase() }))).status, 429);
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

test("the quick start leads from an empty folder to a paid article", async (t) => {
  const cwd = project("quick");
  const { count } = await follow(blocksOf(page("docs/quick-start.md")), { cwd, env, command, running });
  t.diagnostic(`${count.commands} commands, ${count.lines} lines`);
  const said = readFileSync(page("docs/quick-start.md"), "utf8");
  assert.match(said, new RegExp(`${count.commands} commands and ${count.lines} lines`));
});
