// Every promise ends, and says who was silent and whether money moved.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { parseEther } from "viem";
import { farthing } from "../support/env.mjs";
import { tcpProxy } from "../support/tcp-proxy.mjs";
import { createWallet } from "../support/wallet.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
let ends, world;

beforeEach(async () => {
  world = await createWorld();
  ends = [];
});
afterEach(async () => {
  try {
    process.kill(world.hub.pid, "SIGCONT");
  } catch {
    // It has ended.
  }
  for (const end of ends.reverse()) await end();
  await world.stop();
});

const UNMOVED = /No money moved/;
const store = ({ address }) => join(world.folder, `${address}.sqlite`);
const options = (account, more) => ({ hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey: account.privateKey }, store: store(account), pollInterval: 100, ...more });

async function local(account, more) {
  const client = await connect(options(account, more));
  ends.push(() => client.disconnect());
  return client;
}

/** With one ether in its channel. */
async function funded(more) {
  const client = await local(await world.account(), more);
  await client.deposit({ asset: "ETH", amount: parseEther("1") });
  return client;
}

const silent = async () => {
  const server = createServer(() => {});
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  ends.push(() => new Promise((closed) => (server.close(closed), server.closeAllConnections())));
  return `http://127.0.0.1:${server.address().port}`;
};

const eth = async (client) => (await client.balances()).find(({ asset }) => asset === "ETH");
const event = (client, name, wanted = () => true) =>
  new Promise((resolve) => {
    const stop = client.on(name, (happened) => wanted(happened) && (stop(), resolve(happened)));
  });
const rejected = (promise) => promise.then(() => assert.fail("it did not fail"), (error) => error);

test("a hub that is silent: what was signed is unanswered and made once, what was only queued never is", async () => {
  const alice = await funded();
  const pay = (more) => alice.pay({ to: world.hub.owner, asset: "ETH", amount: 10n, ...more });
  process.kill(world.hub.pid, "SIGSTOP");
  const controller = new AbortController();
  const calls = [];
  for (let index = 0; index < 30; index += 1) {
    calls.push(rejected(pay(index % 2 === 0 ? { timeout: 2_000 } : { signal: controller.signal })));
    // Each in a commit of its own, until too many are unanswered.
    await new Promise(setImmediate);
  }
  setTimeout(() => controller.abort("enough"), 1_000);
  const errors = await Promise.all(calls);
  const unmoved = errors.filter(({ message }) => UNMOVED.test(message));
  const open = errors.filter((error) => !unmoved.includes(error));
  assert.ok(unmoved.length > 0 && open.length > 0, `${unmoved.length} and ${open.length}`);
  for (const error of unmoved) assert.ok(["not-connected", "aborted"].includes(error.code), error.code);
  for (const { code, message, paymentId } of open) {
    assert.ok(["unanswered", "aborted"].includes(code), code);
    assert.match(message, /signed and sent, and is unanswered/);
    assert.ok(message.includes(paymentId));
  }
  process.kill(world.hub.pid, "SIGCONT");
  // With its id it is waited for.
  for (const { paymentId: id } of open) assert.equal((await pay({ id })).status, "completed");
  assert.equal((await pay()).status, "completed");
  assert.equal((await alice.payments({ status: "completed" })).length, open.length + 1);
  assert.equal((await eth(alice)).available, parseEther("1") - 10n * BigInt(open.length + 1));
});

test("a hub that is gone: nothing is signed, nothing is made later, and other calls end as well", async () => {
  const alice = await funded();
  const gone = event(alice, "disconnected");
  await world.hub.stop("SIGKILL");
  await gone;
  const to = world.hub.owner;
  const late = await rejected(alice.pay({ to, asset: "ETH", amount: 10n, timeout: 500 }));
  assert.equal(late.code, "not-connected");
  assert.match(late.message, UNMOVED);
  const controller = new AbortController();
  const aborted = rejected(alice.pay({ to, asset: "ETH", amount: 10n, wait: true, signal: controller.signal }));
  controller.abort("enough");
  const { code, message, cause } = await aborted;
  assert.deepEqual([code, cause], ["aborted", "enough"]);
  assert.match(message, UNMOVED);
  for (const call of [alice.withdraw({ asset: "ETH", amount: 10n, timeout: 500 }), alice.close({ timeout: 500 })]) {
    const refused = await rejected(call);
    assert.equal(refused.code, "not-connected");
    assert.match(refused.message, UNMOVED);
  }
  const back = event(alice, "connected");
  await world.hub.start();
  await back;
  assert.equal((await alice.pay({ to, asset: "ETH", amount: 1n })).status, "completed");
  assert.equal((await alice.payments()).length, 1);
});

test("a payment that nobody takes: waiting for it ends, and so does a cancelling that the hub does not answer", async () => {
  const [alice, b] = [await funded(), await world.account()];
  const bob = await local(b);
  await bob.deposit({ asset: "ETH", amount: 1n });
  await bob.disconnect();
  const held = await rejected(alice.pay({ to: b.address, asset: "ETH", amount: 10n, wait: true, timeout: 3_000 }));
  assert.equal(held.code, "unanswered");
  assert.match(held.message, /holds payment 0x[0-9a-f]{32} for a payee that is away: it may complete until \d{4}-/);
  process.kill(world.hub.pid, "SIGSTOP");
  const kept = await rejected(alice.cancel(held.paymentId, { timeout: 500 }));
  assert.equal(kept.code, "unanswered");
  const withdrawal = await rejected(alice.withdraw({ asset: "ETH", amount: 10n, timeout: 1_000 }));
  assert.equal(withdrawal.code, "unanswered");
  assert.match(withdrawal.message, /may be paid out until \d{4}-/);
  process.kill(world.hub.pid, "SIGCONT");
  assert.equal((await alice.cancel(held.paymentId)).status, "failed");
});

test("calls that wait while the client ends say what had been done", async () => {
  const alice = await funded();
  process.kill(world.hub.pid, "SIGSTOP");
  const signed = event(alice, "payment");
  const [paid, withdrawn] = [rejected(alice.pay({ to: world.hub.owner, asset: "ETH", amount: 10n })), rejected(alice.withdraw({ asset: "ETH", amount: 10n }))];
  await signed;
  await alice.disconnect();
  for (const [call, wanted] of [[paid, /^Payment 0x[0-9a-f]{32} was signed and sent, and is unanswered/], [withdrawn, /^A withdrawal is signed/]]) {
    const { code, message } = await call;
    assert.equal(code, "client-closed");
    assert.match(message, wanted);
  }
});

test("a socket that is open on our side only is noticed, and the payment goes on over another one", async () => {
  const proxy = await tcpProxy(world.hubUrl);
  ends.push(() => proxy.close());
  const alice = await funded({ hub: proxy.url });
  proxy.freeze();
  // Sooner than the usual heartbeat would tell.
  const paid = await alice.pay({ to: world.hub.owner, asset: "ETH", amount: 10n, timeout: 38_000 });
  assert.equal(paid.status, "completed");
  assert.equal((await eth(alice)).available, parseEther("1") - 10n);
});

test("connect ends, names who was silent, and leaves nothing behind", async () => {
  const [account, nobody] = [await world.account(), await silent()];
  const never = () => new Promise(() => {});
  const make = () => createWallet({ privateKey: account.privateKey, rpcUrl: world.rpcUrl });
  const without = (silence) => {
    const wallet = make();
    return { request: (call) => (silence.includes(call.method) ? never() : wallet.request(call)) };
  };
  const injected = { rpc: undefined };
  const attempts = [
    ["the RPC", { rpc: nobody }, "chain-unavailable"],
    ["the hub", { hub: nobody }, "not-connected"],
    ["the wallet's accounts", { ...injected, wallet: without(["eth_requestAccounts"]) }, "wallet-unavailable"],
    ["the signature", { ...injected, wallet: without(["eth_signTypedData_v4"]) }, "wallet-unavailable"],
    ["the wallet's node", { ...injected, wallet: without(["eth_call"]) }, "chain-unavailable"],
  ];
  for (const [who, more, code] of attempts) {
    const error = await rejected(connect(options(account, { timeout: 1_500, ...more })));
    assert.equal(error.code, code, who);
    assert.match(error.message, UNMOVED, who);
    const controller = new AbortController();
    const asked = rejected(connect(options(account, { signal: controller.signal, ...more })));
    setTimeout(() => controller.abort(), 300);
    assert.equal((await asked).code, "aborted", who);
  }
  // The store is free.
  const alice = await local(account);
  assert.ok(alice.info.connected);
});
