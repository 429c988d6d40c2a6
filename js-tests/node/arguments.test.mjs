// Bad arguments: each with its code, and no state changes.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { inspect } from "node:util";
import { parseEther } from "viem";
import { farthing } from "../support/env.mjs";
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

test("connect refuses what it can't use", async () => {
  const attempts = [
    [{ hub: undefined }, "invalid-argument"],
    [{ hub: "ftp://x" }, "invalid-argument"],
    [{ hub: "http://127.0.0.1:1" }, "not-connected"],
    [{ hub: world.rpcUrl }, "hub-fault"],
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

test("every code has its own name", async () => {
  const codes = await errorCodes();
  assert.equal(new Set(codes).size, codes.length);
  assert.ok(codes.includes("wallet-rejected"));
});
