// Wallets that fail at each question in each way: whatever they said, nothing is left behind, and the same call made again does
// what it should.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { farthing } from "../support/env.mjs";
import { createWallet, rejection } from "../support/wallet.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const clients = [];
let world;

before(async () => (world = await createWorld()));
after(async () => {
  await Promise.all(clients.map((client) => client.disconnect()));
  await world?.stop();
});

async function open(wallet, options = {}) {
  const client = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet, store: "memory", pollInterval: 100, ...options });
  clients.push(client);
  return client;
}

async function newWallet() {
  const { privateKey } = await world.account();
  return createWallet({ privateKey, rpcUrl: world.rpcUrl });
}

const wrong = (code) => Object.assign(new Error(`refused with ${code}`), { code });
const NUMBERS = [4001, 4100, 4200, 4900, 4901, 4902, -32002, -32603, -32000];
const MANNERS = {
  rejects: (error) => () => Promise.reject(error),
  throws: (error) => () => { throw error; },
  // A thenable that answers more than once: the first answer counts.
  twice: (error) => () => ({ then: (resolve, reject) => (reject(error), resolve("0x1"), reject(new Error("once more"))) }),
};

/** Fails as it should: with an error of ours that keeps the wallet's number. */
async function failed(promise, number, codes) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.name, "FarthingError", error.stack);
    assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
    assert.equal(error.cause?.code, number, error.message);
    return true;
  });
}

const CODES = { 4001: ["wallet-rejected"], 4900: ["chain-unavailable"], 4901: ["chain-unavailable"] };

for (const method of ["eth_requestAccounts", "eth_signTypedData_v4"]) {
  test(`connect() whose ${method} failed opens when it is called again`, async () => {
    const wallet = await newWallet();
    for (const number of NUMBERS) {
      for (const [name, manner] of Object.entries(MANNERS)) {
        wallet.answer[method] = manner(wrong(number));
        const served = method === "eth_signTypedData_v4" && number === 4200;
        await failed(open(wallet), number, served ? ["unsupported"] : (CODES[number] ?? ["wallet-unavailable"])).catch((error) => assert.fail(`${name} ${number}: ${error.message}`));
      }
    }
    wallet.answer[method] = () => Promise.reject(wrong(-32002));
    await assert.rejects(open(wallet), /open the wallet, answer it, and try again/);
    // It never answers, and its user comes back.
    wallet.answer[method] = () => new Promise(() => {});
    await assert.rejects(open(wallet, { timeout: 300 }), { code: "wallet-unavailable" });
    wallet.answer = {};
    const client = await open(wallet);
    await client.deposit({ asset: "ETH", amount: 7n });
    assert.equal(wallet.sent.length, 1);
  });
}

test("deposit() whose questions failed is sent once when it is called again", async () => {
  const wallet = await newWallet();
  const client = await open(wallet);
  const deposit = (options) => client.deposit({ asset: "ETH", amount: 7n, ...options });
  for (const method of ["eth_accounts", "eth_chainId", "eth_getCode", "eth_sendTransaction"]) {
    for (const number of NUMBERS) {
      // Served by no wallet: what it does without is tested with chains and accounts.
      if (number === 4200 && method !== "eth_sendTransaction") continue;
      for (const manner of Object.values(MANNERS)) {
        wallet.answer[method] = manner(wrong(number));
        const own = method === "eth_sendTransaction" && number !== 4001 ? ["wallet-unavailable"] : CODES[number];
        await failed(deposit(), number, own ?? ["wallet-unavailable", "chain-unavailable"]);
      }
    }
    wallet.answer[method] = () => new Promise(() => {});
    await assert.rejects(deposit({ timeout: 300 }), ({ code }) => ["wallet-unavailable", "chain-unavailable", "unanswered"].includes(code));
    wallet.answer = {};
  }
  assert.equal(wallet.sent.length, 0);
  await deposit();
  assert.equal(wallet.sent.length, 1);
  assert.equal((await client.balances()).find(({ asset }) => asset === "ETH").available, 7n);
});

test("an answer that comes twice counts once", async () => {
  const wallet = await newWallet();
  const twice = (method) => (params) => ({
    then(resolve, reject) {
      wallet.own[method](params).then((answer) => (resolve(answer), resolve("0x"), reject(new Error("too late"))), reject);
    },
  });
  for (const method of ["eth_requestAccounts", "eth_accounts", "eth_signTypedData_v4", "eth_sendTransaction"]) wallet.answer[method] = twice(method);
  const client = await open(wallet);
  await client.deposit({ asset: "ETH", amount: 7n });
  assert.equal(wallet.sent.length, 1);
  assert.equal((await client.balances()).find(({ asset }) => asset === "ETH").available, 7n);
});

test("a wallet that changes its account in the middle, or goes, sends nothing for another one", async () => {
  const [wallet, stranger] = [await newWallet(), await newWallet()];
  const client = await open(wallet);
  const deposit = () => client.deposit({ asset: "ETH", amount: 7n });
  // Between the two looks that are taken before a transaction.
  let looks = 0;
  wallet.answer.eth_getCode = async () => ((looks += 1), (wallet.answer.eth_accounts = async () => [stranger.address]), wallet.emit("accountsChanged", [stranger.address]), "0x6080");
  await assert.rejects(deposit(), ({ code, message }) => code === "wallet-unavailable" && message.includes(stranger.address));
  assert.deepEqual([looks, wallet.sent.length], [1, 0]);
  wallet.answer = {};
  // It goes while it is asked, as a phone whose socket dies.
  wallet.answer.eth_sendTransaction = () => (wallet.emit("disconnect", wrong(4900)), Promise.reject(wrong(4900)));
  await assert.rejects(deposit(), ({ code, message }) => code === "wallet-unavailable" && message.includes("Whether it was sent is not known"));
  wallet.answer = {};
  wallet.emit("connect", { chainId: "0x7a69" });
  await deposit();
  assert.equal(wallet.sent.length, 1);
});

test("a signature of another account than the one that was shown opens nothing", async () => {
  const [wallet, stranger] = [await newWallet(), await newWallet()];
  wallet.answer.eth_signTypedData_v4 = ([, json]) => stranger.own.eth_signTypedData_v4([stranger.address, json]);
  await assert.rejects(open(wallet), { code: "unsupported" });
  wallet.answer = {};
  wallet.answer.eth_signTypedData_v4 = () => Promise.reject(rejection());
  await assert.rejects(open(wallet), { code: "wallet-rejected" });
  wallet.answer = {};
  await (await open(wallet)).deposit({ asset: "ETH", amount: 7n });
});
