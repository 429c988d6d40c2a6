// Wallets as people have them: on another chain, with another account, unplugged, of a library, and with users who say no.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createTestClient, createWalletClient, custom, http, parseEther } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { provoked } from "../support/codes.mjs";
import { anvilProgram, farthing } from "../support/env.mjs";
import { start } from "../support/process.mjs";
import { createWallet, rejection } from "../support/wallet.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const clients = [];
let world, other, otherUrl;

before(async () => {
  world = await createWorld();
  const said = { name: "the other anvil", ready: (line) => line.match(/Listening on 127\.0\.0\.1:(\d+)/)?.[1] };
  other = await start(anvilProgram(), ["--port", "0", "--chain-id", "1"], said);
  otherUrl = `http://127.0.0.1:${other.answer}`;
});
after(async () => {
  await Promise.all(clients.map((client) => client.disconnect()));
  await other?.stop("SIGKILL");
  await world?.stop();
});

async function open(wallet, options = {}) {
  const client = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet, store: "memory", pollInterval: 100, ...options });
  clients.push(client);
  return client;
}

async function newWallet(wishes = {}) {
  const { privateKey } = await world.account();
  return Object.assign(createWallet({ privateKey, rpcUrl: world.rpcUrl, ...wishes }), { privateKey });
}

const next = (client, name) => new Promise((resolve) => client.on(name, resolve));
const count = (wallet, name) => wallet.asked.filter((method) => method === name).length;
const deposit = (client, amount = 1000n) => client.deposit({ asset: "ETH", amount });
const available = async (client) => (await client.balances()).find(({ asset }) => asset === "ETH").available;

/** Refused with this code and these words; the wallet was asked to send nothing. */
async function refused(promise, code, ...words) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.code, code, error.message);
    for (const word of words) assert.ok(error.message.includes(word), `${error.message} / ${word}`);
    return true;
  });
}

test("a wallet that changes its chain sends and signs nothing, payments go on, and the application is told", async () => {
  const wallet = await newWallet();
  const client = await open(wallet);
  await deposit(client);
  assert.equal(BigInt(wallet.sent[0].chainId), 31337n);
  const told = next(client, "wallet");
  wallet.node = otherUrl;
  wallet.emit("chainChanged", "0x01");
  const { changed, account, chainId, usable } = await told;
  assert.deepEqual({ changed, account, chainId, usable }, { changed: "chain", account: wallet.address, chainId: 1, usable: false });
  const signed = count(wallet, "eth_signTypedData_v4");
  await refused(deposit(client), "chain-mismatch", "chain 1", "31337");
  await refused(client.withdraw({ asset: "ETH", amount: 1n, to: world.hub.owner }), "chain-mismatch", "chain 1", "31337");
  assert.equal(count(wallet, "eth_signTypedData_v4"), signed);
  assert.equal(wallet.sent.length, 1);
  assert.equal((await client.pay({ to: world.hub.owner, asset: "ETH", amount: 1n })).status, "completed");
  assert.equal(JSON.parse(await client.exportExitKit()).chainId, 31337);
  const back = next(client, "wallet");
  wallet.node = world.rpcUrl;
  wallet.emit("chainChanged", 31337n);
  assert.equal((await back).usable, true);
  await deposit(client);
  assert.equal(wallet.sent.length, 2);
});

test("the wallet's chain is asked before each transaction, whatever its events say", async () => {
  const wallet = await newWallet();
  delete wallet.on;
  const client = await open(wallet);
  wallet.node = otherUrl;
  await refused(deposit(client), "chain-mismatch", "chain 1", "31337");
  assert.equal(wallet.sent.length, 0);
  wallet.node = world.rpcUrl;
  // It changes while its node looks for the code.
  wallet.answer.eth_getCode = async () => {
    wallet.node = otherUrl;
    return "0x6080";
  };
  await refused(deposit(client), "chain-mismatch", "chain 1", "31337");
  assert.equal(wallet.sent.length, 0);
  wallet.node = world.rpcUrl;
  for (const answer of [null, "mainnet", {}, 0, -1]) {
    wallet.answer.eth_chainId = async () => answer;
    await refused(deposit(client), "wallet-unavailable", "chain id");
  }
  assert.equal(wallet.sent.length, 0);
  wallet.answer = {};
  for (const answer of ["0x7a69", "0X7A69", "0x00007a69", 31337, 31337n, "31337"]) {
    wallet.answer.eth_chainId = async () => answer;
    await deposit(client);
  }
});

test("a wallet of another chain opens nothing and is asked to sign nothing, with rpc given and without", async () => {
  for (const rpc of [world.rpcUrl, undefined]) {
    const wallet = await newWallet();
    wallet.node = otherUrl;
    await refused(open(wallet, { rpc }), "chain-mismatch", "chain 1", "31337");
    assert.equal(count(wallet, "eth_signTypedData_v4"), 0);
  }
});

test("what a wallet says of another chain is no fact of ours", async () => {
  const wallet = await newWallet();
  const client = await open(wallet, { rpc: undefined });
  await deposit(client);
  wallet.node = otherUrl;
  await refused(deposit(client), "chain-mismatch", "chain 1", "31337");
  // A chain that is longer than ours.
  await createTestClient({ mode: "anvil", chain: foundry, transport: http(otherUrl) }).mine({ blocks: 1024 });
  const looks = () => count(wallet, "eth_getBlockByNumber");
  for (const id of ["0x1", "0x2"]) {
    const before = looks();
    wallet.emit("chainChanged", id);
    while (looks() === before) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(await available(client), 1000n);
  wallet.node = world.rpcUrl;
  wallet.emit("chainChanged", "0x7a69");
  await deposit(client);
  assert.equal(await available(client), 2000n);
});

test("no transaction goes to an address that the wallet's node knows no code at, and a failed question is no answer", async () => {
  const wallet = await newWallet();
  const client = await open(wallet);
  for (const [answer, code] of [["0x", "chain-mismatch"], ["0x00", "chain-mismatch"], [null, "chain-unavailable"]]) {
    wallet.answer.eth_getCode = async () => answer;
    await refused(deposit(client), code, "othing was sent");
  }
  wallet.answer.eth_getCode = () => Promise.reject(Object.assign(new Error("rate limited"), { code: -32005 }));
  await refused(deposit(client), "chain-unavailable", "Nothing was sent");
  assert.equal(wallet.sent.length, 0);
  // A bridge that passes no such questions on; the node at `rpc` knows the contract.
  const unserved = (code) => () => Promise.reject(Object.assign(new Error("not served"), { code }));
  for (const code of [4200, -32601]) {
    Object.assign(wallet.answer, { eth_getCode: unserved(code), eth_accounts: unserved(code) });
    await deposit(client);
  }
});

test("another account is refused, and the one that opened is taken in whatever case", async () => {
  const wallet = await newWallet();
  const client = await open(wallet);
  await deposit(client);
  const stranger = (await newWallet()).address;
  const told = next(client, "wallet");
  wallet.answer.eth_accounts = async () => [stranger, wallet.address];
  wallet.emit("accountsChanged", [stranger]);
  const event = await told;
  assert.deepEqual([event.changed, event.account, event.usable], ["account", stranger, false]);
  await refused(deposit(client), "wallet-unavailable", stranger, wallet.address);
  await refused(client.withdraw({ asset: "ETH", amount: 1n, to: stranger }), "wallet-unavailable", stranger);
  assert.equal(wallet.sent.length, 1);
  assert.equal((await client.pay({ to: world.hub.owner, asset: "ETH", amount: 1n })).status, "completed");
  for (const shown of [wallet.address.toLowerCase(), wallet.address.toUpperCase().replace("0X", "0x"), `0X${wallet.address.slice(2).toUpperCase()}`]) {
    wallet.answer.eth_accounts = async () => [shown];
    await deposit(client);
  }
  const sent = wallet.sent.length;
  const prompts = count(wallet, "eth_requestAccounts");
  for (const shown of [null, {}, "0x", [null, wallet.address].toString()]) {
    wallet.answer.eth_accounts = async () => shown;
    await refused(deposit(client), "wallet-unavailable", "othing was signed or sent");
  }
  wallet.answer.eth_accounts = () => Promise.reject(new Error("broken"));
  await refused(deposit(client), "wallet-unavailable", "othing was signed or sent");
  assert.equal(count(wallet, "eth_requestAccounts"), prompts);
  assert.equal(wallet.sent.length, sent);
  // Locked: its user is asked, once.
  wallet.answer.eth_accounts = async () => [];
  await deposit(client);
  assert.equal(count(wallet, "eth_requestAccounts"), prompts + 1);
});

test("events of every kind are told once, and listeners go with the client", async () => {
  const wallet = await newWallet();
  const client = await open(wallet);
  const events = client.events();
  const told = async () => {
    for (;;) {
      const { value } = await events.next();
      if (value.type === "wallet") return value;
    }
  };
  assert.deepEqual(wallet.listeners.map(([name]) => name).sort(), ["accountsChanged", "chainChanged", "connect", "disconnect"]);
  // Nothing has changed: nothing is told.
  wallet.emit("chainChanged", "0x7a69");
  wallet.emit("accountsChanged", [wallet.address.toLowerCase()]);
  wallet.emit("disconnect", { code: 1013 });
  assert.deepEqual({ ...(await told()) }, { type: "wallet", changed: "disconnected", usable: false });
  wallet.emit("connect", { chainId: "0x7a69" });
  assert.deepEqual({ ...(await told()) }, { type: "wallet", changed: "connected", account: wallet.address, chainId: 31337, usable: true });
  wallet.answer.eth_accounts = async () => [];
  wallet.emit("accountsChanged", []);
  assert.deepEqual({ ...(await told()) }, { type: "wallet", changed: "account", chainId: 31337, usable: false });
  // What an event says is not trusted: the wallet is asked.
  wallet.emit("accountsChanged", [wallet.address]);
  assert.equal((await told()).usable, false);
  wallet.answer = {};
  wallet.emit("accountsChanged", null);
  assert.equal((await told()).usable, true);
  await client.disconnect();
  assert.deepEqual(wallet.listeners, []);
});

test("a provider without listeners, or whose on() throws, is used all the same", async () => {
  for (const on of [undefined, "no function", () => { throw new Error("no"); }]) {
    const wallet = Object.assign(await newWallet(), { on, removeListener: undefined });
    await deposit(await open(wallet));
  }
});

test("refusals of every shape are heard, and the same call can be made again", async () => {
  const wallet = await newWallet();
  const client = await open(wallet);
  const shapes = [
    rejection(),
    { code: 4001 },
    { code: "4001", message: "x" },
    { code: 5000, message: "x" },
    { code: -32603, message: "Internal JSON-RPC error.", data: { originalError: { code: 4001 } } },
    Object.assign(new Error("could not send"), { code: "ACTION_REJECTED" }),
    new Error("could not send", { cause: rejection("x") }),
    Object.assign(new Error("x"), { info: { error: { code: 4001 } } }),
    Object.assign(new Error("x"), { statusCode: 0x6985 }),
    Object.assign(new Error("x"), { name: "UserRejectedRequestError" }),
    new Error("MetaMask Tx Signature: User denied transaction signature."),
    "Cancelled",
    "The transaction was rejected by the user.",
  ];
  for (const shape of shapes) {
    wallet.answer.eth_sendTransaction = () => Promise.reject(shape);
    await refused(deposit(client), "wallet-rejected");
  }
  wallet.answer.eth_sendTransaction = () => { throw rejection(); };
  await refused(deposit(client), "wallet-rejected");
  wallet.answer.eth_sendTransaction = async () => ({ error: { code: 4001 } });
  await refused(deposit(client), "wallet-rejected");
  const loop = new Error("x");
  loop.cause = loop;
  for (const shape of [loop, "request aborted", { message: "transaction was cancelled by timeout" }, { code: -32000, message: "nonce too low" }, undefined, null]) {
    wallet.answer.eth_sendTransaction = () => Promise.reject(shape);
    await refused(deposit(client), "wallet-unavailable", "Whether it was sent is not known");
  }
  for (const answer of [null, undefined, "ok", "0x", 7]) {
    wallet.answer.eth_sendTransaction = async () => answer;
    await refused(deposit(client), "wallet-unavailable", "Whether it was sent is not known");
  }
  wallet.answer.eth_sendTransaction = () => Promise.reject({ code: -32000, message: "insufficient funds for gas * price + value" });
  await assert.rejects(deposit(client), ({ code, message }) => code === "transaction-failed" && message.includes("never sent") && !message.includes("reverted"));
  wallet.answer = {};
  await deposit(client);
  assert.equal(await available(client), 1000n);
});

test("exit() ends when its user says no, and asks again when it is called again", async () => {
  const wallet = await newWallet();
  const client = await open(wallet);
  await deposit(client);
  wallet.refuse.eth_sendTransaction = rejection();
  for (let time = 0; time < 2; time += 1) await refused(client.exit(), "wallet-rejected");
  assert.equal(wallet.sent.length, 1);
  wallet.refuse = Object.assign(wallet.refuse, { eth_sendTransaction: undefined });
  const started = new Promise((resolve) => client.on("exit", ({ stage }) => stage === "challenge" && resolve()));
  const left = client.exit();
  left.catch(() => {});
  await started;
  assert.equal(wallet.sent.length, 2);
});

test("a wallet that signs differently each time is refused before any money moves", async () => {
  const wallet = await newWallet();
  const account = privateKeyToAccount(wallet.privateKey);
  const { secp256k1 } = await import("@noble/curves/secp256k1.js").catch(() => import("@noble/curves/secp256k1"));
  const { hashTypedData } = await import("viem");
  wallet.answer.eth_signTypedData_v4 = async ([, json]) => {
    const { domain, types: { EIP712Domain: _, ...types }, primaryType, message } = JSON.parse(json);
    const digest = hashTypedData({ domain, types, primaryType, message });
    const extra = crypto.getRandomValues(new Uint8Array(32));
    const key = Buffer.from(wallet.privateKey.slice(2), "hex");
    const made = secp256k1.sign(Buffer.from(digest.slice(2), "hex"), key, { extraEntropy: extra, prehash: false, format: "recovered" });
    if (made instanceof Uint8Array) return `0x${Buffer.from(made.slice(1)).toString("hex")}${made[0] ? "1c" : "1b"}`;
    return `0x${made.toCompactHex()}${made.recovery ? "1c" : "1b"}`;
  };
  assert.equal(account.address, wallet.address);
  await refused(open(wallet), "unsupported", "differently each time", "privateKey", "no money moved");
  assert.deepEqual(wallet.sent, []);
  // It never had a channel, so with a wallet that signs alike there is one.
  wallet.answer = {};
  await deposit(await open(wallet));
});

/** Lets the wallet sign with other nonces than RFC 6979's: with these 32 bytes each time, or with new ones. */
async function signDifferently(wallet, entropy) {
  const { secp256k1 } = await import("@noble/curves/secp256k1.js").catch(() => import("@noble/curves/secp256k1"));
  const { hashTypedData } = await import("viem");
  wallet.answer.eth_signTypedData_v4 = async ([, json]) => {
    const { domain, types: { EIP712Domain: _, ...types }, primaryType, message } = JSON.parse(json);
    const digest = hashTypedData({ domain, types, primaryType, message });
    const extraEntropy = entropy ?? crypto.getRandomValues(new Uint8Array(32));
    const key = Buffer.from(wallet.privateKey.slice(2), "hex");
    const made = secp256k1.sign(Buffer.from(digest.slice(2), "hex"), key, { extraEntropy, prehash: false, format: "recovered" });
    if (made instanceof Uint8Array) return `0x${Buffer.from(made.slice(1)).toString("hex")}${made[0] ? "1c" : "1b"}`;
    return `0x${made.toCompactHex()}${made.recovery ? "1c" : "1b"}`;
  };
}

test("a channel opens for reading and leaving whatever its wallet signs, and goes on when it signs as before", async () => {
  const wallet = await newWallet();
  const store = join(world.folder, "other-signature.sqlite");
  const first = await open(wallet, { store });
  await deposit(first, 1000n);
  await first.pay({ to: world.hub.owner, asset: "ETH", amount: 300n });
  const { signer, channelId } = first.info;
  await first.disconnect();
  const unable = Object.assign(new Error("the method eth_signTypedData_v4 does not exist"), { code: -32601 });
  const forms = [
    () => signDifferently(wallet),
    () => signDifferently(wallet, new Uint8Array(32).fill(7)),
    async () => (wallet.answer.eth_signTypedData_v4 = () => Promise.reject(unable)),
  ];
  for (const change of forms) {
    await change();
    const sent = wallet.sent.length;
    const client = await open(wallet, { store });
    const told = await next(client, "error");
    assert.equal(told.error.code, "unsupported");
    assert.ok(told.error.message.includes("exit()"), told.error.message);
    assert.deepEqual([client.info.signer, client.info.channelId], [signer, channelId]);
    assert.equal(await available(client), 700n);
    assert.equal((await client.payments()).length, 1);
    assert.ok(JSON.parse((await client.exportExitKit())).transactions.length > 0);
    const eth = { asset: "ETH", amount: 1n };
    for (const call of [
      () => client.pay({ to: world.hub.owner, ...eth }),
      () => client.withdraw(eth),
      () => client.deposit(eth),
      () => client.close(),
    ]) {
      await refused(call(), "unsupported", "exit()");
    }
    assert.equal(wallet.sent.length, sent);
    await client.disconnect();
  }
  wallet.answer = {};
  const again = await open(wallet, { store });
  await again.pay({ to: world.hub.owner, asset: "ETH", amount: 200n });
  assert.equal(await available(again), 500n);
  await again.disconnect();

  await signDifferently(wallet);
  const leaver = await open(wallet, { store });
  const { reader } = world.chain;
  const [before, start] = [await world.balanceOf(wallet.address), await reader.getBlockNumber()];
  await leaver.exit({ onProgress: ({ endsAt }) => endsAt && world.chain.passTo(endsAt / 1_000 + 1) });
  assert.equal(await available(leaver), 0n);
  let gas = 0n;
  for (let blockNumber = start + 1n; blockNumber <= (await reader.getBlockNumber()); blockNumber += 1n) {
    const { transactions } = await reader.getBlock({ blockNumber, includeTransactions: true });
    for (const { hash } of transactions.filter(({ from }) => from === wallet.address.toLowerCase())) {
      const { gasUsed, effectiveGasPrice } = await reader.getTransactionReceipt({ hash });
      gas += gasUsed * effectiveGasPrice;
    }
  }
  assert.equal((await world.balanceOf(wallet.address)) - before + gas, 500n);
  await leaver.disconnect();
  // It is over, and a new one could never be signed for.
  await refused(open(wallet, { store }), "unsupported", "differently each time", "No channel was opened");
});

test("an account with money in another channel of the hub is told so, and no more when that is over", async () => {
  const wallet = await newWallet();
  const store = join(world.folder, "elsewhere.sqlite");
  const first = await open(wallet);
  await deposit(first, 1000n);
  await signDifferently(wallet, new Uint8Array(32).fill(9));
  for (let time = 0; time < 2; time += 1) {
    const second = await open(wallet, { store });
    const { error } = await next(second, "error");
    provoked("other-channel", error);
    assert.ok(error.message.includes(first.info.channelId), error.message);
    assert.notEqual(second.info.channelId, first.info.channelId);
    await second.disconnect();
  }
  await first.close();
  const last = await open(wallet, { store });
  const errors = [];
  last.on("error", ({ error }) => errors.push(error));
  await deposit(last, 5n);
  assert.deepEqual(errors, []);
});

test("signatures of every form make the same key", async () => {
  const wallet = await newWallet();
  const store = join(world.folder, "forms.sqlite");
  const first = await open(wallet, { store });
  await deposit(first);
  const { signer } = first.info;
  await first.disconnect();
  const forms = [
    (hex) => hex.slice(2),
    (hex) => hex.toUpperCase().replace("0X", "0x"),
    (hex) => hex.slice(0, -2) + (hex.endsWith("1b") ? "00" : "01"),
    (hex) => {
      const s = BigInt(`0x${hex.slice(66, 130)}`) | (hex.endsWith("1c") ? 1n << 255n : 0n);
      return hex.slice(0, 66) + s.toString(16).padStart(64, "0");
    },
  ];
  for (const form of forms) {
    wallet.answer.eth_signTypedData_v4 = async (params) => form(await wallet.own.eth_signTypedData_v4(params));
    const again = await open(wallet, { store });
    assert.equal(again.info.signer, signer);
    await again.disconnect();
  }
});

test("clients of viem: the account that they name, or a clear refusal", async () => {
  const wallet = await newWallet();
  const transport = http(world.rpcUrl);
  await refused(open({ ...createWalletClient({ chain: foundry, transport }), account: { type: "json-rpc", address: "0x12" } }), "invalid-argument", "wallet.account");
  const stranger = (await newWallet()).address;
  wallet.own.eth_requestAccounts = wallet.own.eth_accounts = async () => [stranger, wallet.address];
  const client = await open(createWalletClient({ account: wallet.address, chain: foundry, transport: custom(wallet) }));
  assert.equal(client.info.address, wallet.address);
  await deposit(client);
  wallet.own.eth_accounts = async () => [stranger];
  await refused(deposit(client), "wallet-unavailable", wallet.address);
  assert.equal(wallet.sent.length, 1);
});
