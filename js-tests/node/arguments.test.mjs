// Bad arguments: each with its code, and no state changes.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { inspect } from "node:util";
import { parseEther } from "viem";
import { farthing, packageFolder } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";

const { connect, errorCodes } = await farthing();
let world, client, base;

before(async () => {
  world = await createWorld({ eth: { channel_capacity: parseEther("5"), max_payment: parseEther("1"), min_payment: 2n } });
  const account = await world.account();
  base = { hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey: account.privateKey }, store: "memory", pollInterval: 100 };
  client = await connect(base);
  await client.deposit({ asset: "ETH", amount: parseEther("2") });
});
after(async () => {
  await client?.disconnect();
  await world?.stop();
});

const to = "0x00000000000000000000000000000000000000Aa".toLowerCase();
const AMOUNTS = [1, 0, -1, 1.5, NaN, Infinity, "1", "abc", null, undefined, true, {}, [], [1n], Object(1n), 0n, -1n, -(2n ** 200n), 2n ** 128n, 2n ** 128n + 5n, 2n ** 4000n];
const ASSETS = [undefined, null, 1, "", "eth", "USDC", "0x", to, "0x0", {}, "\ud800", "E".repeat(5000)];
const ADDRESSES = [undefined, null, 1, "", "0x", "0x00", `0x${"0".repeat(40)}`, `0x${"g".repeat(40)}`, to.slice(2), `${to}0`, "0x70997970c51812dc3A010C7d01b50e0d17dc79C8", {}];

async function code(call) {
  try {
    await call();
  } catch (error) {
    assert.ok(error instanceof Error, "a real error");
    assert.equal(error.name, "FarthingError");
    assert.ok(error.message.length > 10);
    return error.code;
  }
  return "no error";
}

async function refused(wanted, call, what) {
  const before = await client.balances();
  assert.equal(await code(call), wanted, what);
  assert.deepEqual(await client.balances(), before, `${what} changed something`);
}

const show = (value) => inspect(value).slice(0, 60);

test("amounts are bigints from 1 to 2^128 - 1", async () => {
  for (const amount of AMOUNTS) {
    for (const call of ["deposit", "pay", "withdraw"]) {
      const options = call === "pay" ? { to: world.hub.owner } : {};
      await refused("invalid-amount", () => client[call]({ asset: "ETH", amount, ...options }), `${call} ${show(amount)}`);
    }
  }
});

test("assets are names that the hub lists, or addresses", async () => {
  for (const asset of ASSETS) {
    const wanted = typeof asset === "string" && asset !== "" && asset.length < 5000 && asset !== "\ud800" ? "unknown-asset" : "invalid-argument";
    await refused(wanted, () => client.deposit({ asset, amount: 1n }), `deposit ${show(asset)}`);
    await refused(wanted, () => client.pay({ asset, amount: 2n, to: world.hub.owner }), `pay ${show(asset)}`);
  }
});

test("addresses have a right length and checksum", async () => {
  for (const address of ADDRESSES) {
    await refused("invalid-argument", () => client.pay({ asset: "ETH", amount: 2n, to: address }), `pay to ${show(address)}`);
    if (address !== undefined) {
      await refused("invalid-argument", () => client.withdraw({ asset: "ETH", amount: 2n, to: address }), `withdraw to ${show(address)}`);
    }
  }
  await refused("unknown-payee", () => client.pay({ asset: "ETH", amount: 2n, to }), "a stranger");
  await refused("invalid-argument", () => client.pay({ asset: "ETH", amount: 2n, to: client.info.address }), "ourselves");
});

test("unknown options and wrong types are refused", async () => {
  const pay = (options) => client.pay({ asset: "ETH", amount: 2n, to: world.hub.owner, ...options });
  for (const options of [{ ammount: 1n }, { memo: 1 }, { memo: "x".repeat(257) }, { memo: "\udc00" }, { wait: 1 }, { signal: {} }, { expiresIn: "1" }, { expiresIn: 0.5 }, { expiresIn: -1 }]) {
    await refused("invalid-argument", () => pay(options), `pay ${show(options)}`);
  }
  await refused("bad-expiry", () => pay({ expiresIn: 1 }), "too soon");
  await refused("bad-expiry", () => pay({ expiresIn: 10 ** 9 }), "too late");
  for (const options of [1, "x", null, [], () => {}]) {
    if (typeof options !== "function") await refused("invalid-argument", () => client.pay(options), `pay(${show(options)})`);
  }
  await refused("invalid-argument", () => client.deposit({ asset: "ETH", amount: 1n, onProgress: 1 }), "onProgress");
  await refused("invalid-argument", () => client.payments({ status: "paid" }), "status");
  await refused("invalid-argument", () => client.payments({ limit: 0 }), "limit");
  await refused("invalid-argument", () => client.close({ assets: "ETH" }), "assets");
  await refused("unknown-asset", () => client.close({ assets: ["X"] }), "assets");
  await refused("invalid-argument", () => client.cancel("0x12"), "id");
  await refused("invalid-argument", () => client.cancel(7), "id");
  await refused("unknown-payment", () => client.cancel(`0x${"1".repeat(32)}`), "id");
});

test("limits are checked before anything is signed or sent", async () => {
  await refused("limit-exceeded", () => client.deposit({ asset: "ETH", amount: parseEther("4") }), "capacity");
  await refused("limit-exceeded", () => client.pay({ asset: "ETH", amount: 1n, to: world.hub.owner }), "minimum");
  await refused("limit-exceeded", () => client.pay({ asset: "ETH", amount: parseEther("1") + 1n, to: world.hub.owner }), "maximum");
  await refused("insufficient-funds", () => client.withdraw({ asset: "ETH", amount: parseEther("2") + 1n }), "withdraw too much");
  await refused("insufficient-funds", () => client.pay({ asset: "DAI", amount: 5n, to: world.hub.owner }), "no DAI");
  await refused("insufficient-funds", () => client.deposit({ asset: "DAI", amount: 2n ** 127n }).catch((error) => {
    // The hub's capacity is told first.
    if (error.code === "limit-exceeded") error.code = "insufficient-funds";
    throw error;
  }), "more than there is");
});

test("what is missing is said in the asset's own units: what there is, what is needed", async () => {
  const told = [
    [() => client.pay({ asset: "DAI", amount: 15n * 10n ** 17n, to: world.hub.owner }), /^0 DAI can be spent.* 1\.5 DAI is needed/],
    [() => client.withdraw({ asset: "ETH", amount: parseEther("2.25") }), /^2 ETH can be spent.* 2\.25 ETH is needed, 0\.25 ETH more/],
    [() => client.withdraw({ asset: "ETH", amount: parseEther("2.25"), to }), /^2 ETH can be spent/],
  ];
  for (const [call, wanted] of told) {
    await assert.rejects(call(), ({ code, message }) => {
      assert.equal(code, "insufficient-funds");
      assert.match(message, wanted);
      return true;
    });
  }
  const poor = await world.account({ eth: parseEther("0.25"), dai: 5n * 10n ** 17n });
  const other = await connect({ ...base, wallet: { privateKey: poor.privateKey } });
  try {
    for (const [asset, wanted] of [["ETH", /has 0\.25 ETH, and the deposit is of 1 ETH/], ["DAI", /has 0\.5 DAI, and the deposit is of 1 DAI/]]) {
      await assert.rejects(other.deposit({ asset, amount: parseEther("1") }), ({ code, message }) => {
        assert.equal(code, "insufficient-funds");
        assert.match(message, wanted);
        assert.ok(!/Deposit more/.test(message), message);
        return true;
      });
    }
  } finally {
    await other.disconnect();
  }
  await assert.rejects(client.pay({ asset: "ETH", amount: 1n, to: world.hub.owner }), /from 0\.\d+ ETH to 1 ETH, and this one is of 0\.0{17}1 ETH/);
});

test("connect refuses what it can't use", async () => {
  const attempts = [
    [{ hub: undefined }, "invalid-argument"],
    [{ hub: "ftp://x" }, "invalid-argument"],
    [{ hub: "http://127.0.0.1:1" }, "not-connected"],
    [{ hub: world.rpcUrl }, "not-a-hub"],
    [{ rpc: undefined }, "invalid-argument"],
    [{ rpc: "nonsense" }, "invalid-argument"],
    [{ rpc: "http://127.0.0.1:1" }, "chain-unavailable"],
    [{ wallet: undefined }, "invalid-argument"],
    [{ wallet: {} }, "invalid-argument"],
    [{ wallet: { privateKey: "0x12" } }, "invalid-argument"],
    [{ wallet: { privateKey: `0x${"0".repeat(64)}` } }, "invalid-argument"],
    [{ wallet: { privateKey: `0x${"f".repeat(64)}` } }, "invalid-argument"],
    [{ wallet: { mnemonic: "test test test" } }, "invalid-argument"],
    [{ wallet: { privateKey: `0x${"1".repeat(64)}`, mnemonic: "x" } }, "invalid-argument"],
    [{ store: 5 }, "invalid-argument"],
    [{ store: {} }, "invalid-argument"],
    [{ chainId: 1 }, "chain-mismatch"],
    [{ contract: to }, "chain-mismatch"],
    [{ challengePeriod: 1 }, "bad-terms"],
    [{ confirmations: 0 }, "invalid-argument"],
    [{ pollInterval: 0 }, "invalid-argument"],
    [{ onExitKit: "file.json" }, "invalid-argument"],
    [{ Hub: "x" }, "invalid-argument"],
    [{ signal: AbortSignal.abort() }, "aborted"],
  ];
  for (const [options, wanted] of attempts) assert.equal(await code(() => connect({ ...base, ...options })), wanted, show(options));
  assert.equal(await code(() => connect()), "invalid-argument");
  assert.equal(await code(() => connect("x")), "invalid-argument");
});

test("a URL that is no hub's is called that, whatever answers there, and nobody is sent to exit()", async () => {
  const servers = [];
  const serve = async (answer) => {
    const server = createServer((request, response) => answer(response));
    servers.push(server);
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${server.address().port}`;
  };
  const page = (status, text) => (response) => response.writeHead(status, { "content-type": "text/html" }).end(text);
  const wrong = [
    ["an RPC node", world.rpcUrl, "not-a-hub"],
    ["a web page", await serve(page(200, "<!doctype html><h1>Hello</h1>")), "not-a-hub"],
    ["a page that is not there", await serve(page(404, "not found")), "not-a-hub"],
    ["a server of sockets only", await serve(page(426, "Upgrade Required")), "not-a-hub"],
    ["nothing", await serve(page(200, "")), "not-a-hub"],
    ["other JSON", await serve(page(200, "[1]")), "not-a-hub"],
    ["a gateway without its hub", await serve(page(502, "<h1>Bad Gateway</h1>")), "not-connected"],
    ["a gateway that has enough", await serve(page(429, "slow down")), "rate-limited"],
    ["a wrong port", "http://127.0.0.1:1", "not-connected"],
  ];
  for (const [what, hub, wanted] of wrong) {
    await assert.rejects(connect({ ...base, hub }), ({ code, message }) => {
      assert.equal(code, wanted, what);
      assert.ok(!message.includes("exit"), message);
      if (wanted === "not-a-hub") assert.match(message, /check the URL/);
      return true;
    });
  }
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
});

test("a platform without WebSocket is told so, and what to do", async () => {
  const { WebSocket } = globalThis;
  delete globalThis.WebSocket;
  try {
    await assert.rejects(connect(base), ({ code, message }) => {
      assert.equal(code, "unsupported");
      assert.match(message, /no global WebSocket.*Node.*22/);
      return true;
    });
  } finally {
    globalThis.WebSocket = WebSocket;
  }
});

test("whatever fetch throws or gives is a failure like any other, and the next connect works", async () => {
  const { fetch } = globalThis;
  const nothings = [() => { throw "no"; }, async () => { throw "no"; }, async () => { throw undefined; }, () => undefined, async () => null, async () => "no", async () => ({})];
  try {
    for (const nothing of nothings) {
      globalThis.fetch = nothing;
      assert.equal(await code(() => connect(base)), "not-connected", String(nothing));
    }
  } finally {
    globalThis.fetch = fetch;
  }
  assert.equal((await client.balances()).length, 2);
  assert.equal(await code(() => client.pay({ asset: "ETH", amount: 2n, to: client.info.address })), "invalid-argument");
});

test("options that a message lists are those that are documented, and what is said is said once", async () => {
  const text = ["index", "streams", "onchain"].map((name) => readFileSync(join(packageFolder(), `${name}.d.ts`), "utf8")).join("");
  const documented = (name) => [...text.match(new RegExp(`interface ${name} \\{\n([^]*?)\n\\}`))[1].matchAll(/^ {2}(\w+)\??:/gm)].map(([, option]) => option).sort();
  const calls = {
    ConnectOptions: (options) => connect({ ...base, ...options }),
    DepositOptions: (options) => client.deposit(options),
    PayOptions: (options) => client.pay(options),
    StreamOptions: (options) => client.stream(options),
    ReceiptKeyOptions: (options) => client.signReceiptKey(options),
    CancelOptions: (options) => client.cancel(`0x${"1".repeat(32)}`, options),
    WithdrawOptions: (options) => client.withdraw(options),
    CloseOptions: (options) => client.close(options),
    CollectCreditOptions: (options) => client.collectCredit(options),
    ExitOptions: (options) => client.exit(options),
    PaymentFilter: (options) => client.payments(options),
  };
  for (const [name, call] of Object.entries(calls)) {
    await assert.rejects(call({ nonsense: 1 }), ({ code, message }) => {
      assert.equal(code, "invalid-argument");
      const [, listed] = message.match(/it has ([^.]*)\.$/) ?? assert.fail(message);
      assert.deepEqual(listed.split(", ").sort(), documented(name), name);
      return true;
    });
  }
  await assert.rejects(client.pay({ asset: "ETH", amount: 2n, to: client.info.address }), ({ message }) => {
    assert.equal(message, "Payer and payee are the same: pay another account.");
    return true;
  });
});

test("an error has the line of who called in its stack", async () => {
  async function theCaller() {
    await client.pay({ asset: "ETH", amount: 2n, to: client.info.address });
  }
  for (const call of [theCaller, async function theCaller() { await connect({ ...base, hub: "http://127.0.0.1:1" }); }]) {
    await assert.rejects(call(), ({ stack, message }) => {
      assert.match(stack, /theCaller/);
      assert.match(stack, /arguments\.test\.mjs/);
      assert.ok(stack.startsWith(`FarthingError: ${message}`));
      assert.ok(!stack.includes("face.mjs"), stack);
      return true;
    });
  }
});

test("every code has its own name", async () => {
  const codes = await errorCodes();
  assert.equal(new Set(codes).size, codes.length);
  assert.ok(codes.includes("wallet-rejected"));
});
