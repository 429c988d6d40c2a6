// What a user pastes into a bug report, and what the log's hook hears: all that helps, and no secret, whatever fails.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { parseEther } from "viem";
import { english, generateMnemonic, mnemonicToAccount } from "viem/accounts";
import { createProxy } from "../adversary/proxy.mjs";
import { clientsOf } from "../support/clients.mjs";
import { farthing, packageFolder } from "../support/env.mjs";
import { faultyRpc } from "../support/rpc-faults.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const SECRETS = ["s3cretPathOfRpc", "s3cretQueryOfRpc", "s3cretPathOfHub", "s3cretTokenOfHub", "s3cret memo", "s3cretUser", "s3cretPassword", "s3cretTower"];

let world, proxy, rpc;
const { local, disconnectAll } = clientsOf(() => world);

before(async () => {
  world = await createWorld();
  [proxy, rpc] = await Promise.all([createProxy(() => world.hubUrl), faultyRpc(world.rpcUrl, [])]);
});
afterEach(async () => {
  proxy.silent = false;
  proxy.rules = {};
  rpc.rules.names = [];
  await disconnectAll();
});
after(async () => {
  await Promise.all([proxy?.stop(), rpc?.close()]);
  await world?.stop();
});

/** Everything that is told to the console from now on. */
function console_() {
  const [said, own] = [[], {}];
  for (const [name, method] of Object.entries(console)) {
    if (typeof method !== "function") continue;
    own[name] = method;
    console[name] = (...words) => void said.push([name, ...words]);
  }
  return { said, restore: () => Object.assign(console, own) };
}

const secretsOf = (key) => [...SECRETS, ...(key.privateKey ? [key.privateKey.slice(2)] : key.mnemonic.split(" ").slice(0, 3).map((_, at, words) => words.join(" ")))];

/** None of the secrets is in the text, in any way of writing. */
function assertClean(text, secrets) {
  for (const secret of secrets) {
    for (const written of [secret, encodeURIComponent(secret), secret.toLowerCase(), Buffer.from(secret).toString("base64"), Buffer.from(secret).toString("hex")]) {
      assert.ok(!text.toLowerCase().includes(written.toLowerCase()), `${written} is in ${text}`);
    }
  }
}

const planted = () => ({
  hub: `${proxy.url}/s3cretPathOfHub?token=s3cretTokenOfHub`,
  rpc: `${rpc.url}/v3/s3cretPathOfRpc?key=s3cretQueryOfRpc`,
  watchtowers: ["http://s3cretUser:s3cretPassword@127.0.0.1:1/s3cretTower"],
});

/** What has happened is told a moment later. */
const until = async (condition) => {
  while (!condition()) await new Promise(setImmediate);
};

const json = (entry) => JSON.stringify(entry, (_, value) => (typeof value === "bigint" ? String(value) : value));

for (const kind of ["privateKey", "mnemonic"]) {
  test(`a report and a log of a whole session have no secret in them, with a ${kind}, and nothing goes to the console`, async () => {
    const entries = [];
    const key = kind === "privateKey" ? await world.account() : { mnemonic: generateMnemonic(english) };
    if (kind === "mnemonic") await world.fund(mnemonicToAccount(key.mnemonic).address, {});
    const heard = console_();
    const reports = [];
    const preimages = [];
    try {
      const alice = await connect({ ...planted(), wallet: key, store: "memory", pollInterval: 50, budget: { perDay: { ETH: 5n }, ask: () => false }, log: (entry) => entries.push(entry) });
      const bob = await local(await world.account());
      const report = async () => reports.push(json(await alice.inspect()));
      await report();
      await alice.deposit({ asset: "ETH", amount: parseEther("1"), onProgress: () => { throw new Error("see https://user:s3cretPassword@app.example/s3cretPathOfRpc?key=s3cretQueryOfRpc"); } });
      preimages.push((await alice.pay({ to: bob.info.address, asset: "ETH", amount: 7n, memo: "s3cret memo", wait: true })).preimage.slice(2));
      bob.on("stream", () => {});
      const stream = await alice.stream({ to: bob.info.address, asset: "ETH", unitPrice: 1n, units: 9, memo: "s3cret memo" });
      preimages.push(stream.pay(1).word.slice(2));
      await assert.rejects(alice.pay({ to: bob.info.address, asset: "ETH", amount: parseEther("90"), memo: "s3cret memo" }));
      await assert.rejects(alice.pay({ to: "s3cret memo", asset: "ETH", amount: 1n, memo: "s3cret memo" }));
      await report();
      // A node that tells its URL, and then the hub gone.
      rpc.rules.names = ["tells-its-url"];
      await assert.rejects(alice.deposit({ asset: "ETH", amount: 1n, timeout: 3_000 }));
      rpc.rules.names = [];
      const gone = new Promise((resolve) => alice.on("disconnected", resolve));
      proxy.silent = true;
      proxy.rules.call = () => { throw new Error("away"); };
      proxy.cut(alice.info.channelId);
      await gone;
      await report();
      await alice.disconnect();
      await report();
      await until(() => entries.some(({ what }) => what === "disconnect"));
    } finally {
      heard.restore();
    }
    assert.deepEqual(heard.said, []);
    const secrets = [...secretsOf(key), ...preimages];
    assertClean(reports.join("\n"), secrets);
    assertClean(entries.map(json).join("\n"), secrets);
    const last = JSON.parse(reports.at(-1));
    assert.equal(last.connection.state, "disconnected");
    assert.deepEqual(last.options.watchtowers, ["http://127.0.0.1:1"]);
    assert.deepEqual(last.options.rpc, [rpc.url]);
    assert.equal(last.hub.url, proxy.url);
    assert.deepEqual([last.options.wallet, last.options.store, last.options.budget], [kind === "mnemonic" ? "phrase" : "key", "memory", { perDay: { ETH: "5" } }]);
    const { farthing: version, engine, channel, balances, failures } = JSON.parse(reports[1]);
    assert.match(version, /^\d+\.\d+\.\d+/);
    assert.equal(engine.protocol, 1);
    assert.equal(channel.chainId, world.chainId);
    assert.equal(channel.contract.toLowerCase(), world.contract.toLowerCase());
    assert.ok(engine.chain.head > 0 && engine.lanes.find(({ asset }) => asset === "ETH").signed >= 2);
    assert.equal(BigInt(balances.find(({ asset }) => asset === "ETH").deposited), parseEther("1"));
    assert.deepEqual(failures.slice(-2).map(({ code }) => code), ["insufficient-funds", "invalid-argument"]);
    for (const { level, at, what } of entries) {
      assert.ok(["debug", "info", "warn", "error"].includes(level) && Number.isSafeInteger(at) && typeof what === "string");
    }
    const whats = new Set(entries.map(({ level, what, method }) => `${level} ${what}${method === undefined ? "" : ` ${method}`}`));
    for (const wanted of ["debug call connect", "info open", "debug call deposit", "debug done deposit", "error defect", "info payment", "info balance", "warn failed pay", "info disconnected", "info disconnect"]) {
      assert.ok(whats.has(wanted), `${wanted}: ${[...whats].join(", ")}`);
    }
  });
}

test("a hook that throws, rejects, is no end of work or calls the client harms nothing", async () => {
  let client;
  const told = [];
  const hooks = [
    () => { throw new Error("mine"); },
    () => Promise.reject(new Error("mine")),
    () => new Promise(() => {}),
    (entry) => { told.push(entry); client?.balances().catch(() => {}); client?.snapshot(); },
  ];
  const rejections = [];
  const hear = (reason) => rejections.push(reason);
  process.on("unhandledRejection", hear);
  try {
    for (const log of hooks) {
      client = undefined;
      client = await local(await world.account(), { log });
      await client.deposit({ asset: "ETH", amount: 1_000n });
      assert.equal((await client.pay({ to: world.hub.owner, asset: "ETH", amount: 1n, wait: true })).status, "completed");
    }
  } finally {
    process.off("unhandledRejection", hear);
  }
  assert.deepEqual(rejections, []);
  assert.ok(told.length > 0 && told.length < 4_000);
  for (const log of [7, "console", {}, null]) await assert.rejects(local(await world.account(), { log }), { code: "invalid-argument", message: /log must be a function/ });
});

test("nothing that an application loads can write to the console, the module's glue and so its panics neither", () => {
  const files = readdirSync(packageFolder()).filter((name) => /^(?!core_bg\.wasm\.).*\.(mjs|js)$/.test(name)).concat("pay/index.mjs", "wallets/accepted.mjs", "wallets/index.mjs", "store/sqlite.mjs");
  assert.ok(files.includes("core_bg.js") && files.includes("face.mjs"));
  for (const file of files) assert.doesNotMatch(readFileSync(join(packageFolder(), file), "utf8"), /\bconsole\s*[.[?]/, file);
});

test("a failed connect is logged, and entries come in order", async () => {
  const entries = [];
  await assert.rejects(connect({ hub: "http://127.0.0.1:1/s3cretPathOfHub", rpc: world.rpcUrl, wallet: await world.account(), store: "memory", log: (entry) => entries.push(entry) }), { code: "not-connected" });
  await until(() => entries.some(({ what }) => what === "failed"));
  assert.deepEqual([entries[0].what, entries.at(-1).what, entries.at(-1).level, entries.at(-1).code], ["call", "failed", "error", "not-connected"]);
  assert.deepEqual(entries.map(({ at }) => at), entries.map(({ at }) => at).sort((a, b) => a - b));
  assertClean(entries.map(json).join("\n"), SECRETS);
});

test("a report is given while a client closes, and with a store that is broken", async () => {
  const entries = new Map();
  let broken = false;
  const store = {
    load: async (prefix) => {
      if (broken) throw new Error("s3cretPassword");
      return [...entries].filter(([name]) => name.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
    },
    commit: async (writes) => {
      if (broken) throw new Error("https://disk.example/s3cretPathOfRpc is full");
      for (const [name, value] of writes) value === null ? entries.delete(name) : entries.set(name, value);
    },
    close: () => (broken ? Promise.reject(new Error("no")) : Promise.resolve()),
  };
  const alice = await local(await world.account(), { store });
  await alice.deposit({ asset: "ETH", amount: 1_000n });
  broken = true;
  const stopped = new Promise((resolve) => alice.on("storage", resolve));
  await assert.rejects(alice.pay({ to: world.hub.owner, asset: "ETH", amount: 1n }));
  await stopped;
  const report = await alice.inspect();
  assert.equal(report.engine.failed, "storage-failed");
  assert.equal(report.options.store, "own");
  assert.ok(report.failures.some(({ code }) => code === "storage-failed"));
  assertClean(json(report), SECRETS);
  const closing = alice.disconnect();
  assert.equal((await alice.inspect()).channel.channelId, report.channel.channelId);
  await closing;
  const after = await alice.inspect();
  assert.deepEqual([after.connection.state, after.engine.closed, after.engine.failed], ["disconnected", true, "storage-failed"]);
});
