// A wallet on another chain than the hub's: its user is asked to switch, and to add the chain, where the application lets that be;
// whatever they and their wallet say, the same call can be made again.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { foundry, mainnet } from "viem/chains";
import { anvilProgram, farthing, packageFile } from "../support/env.mjs";
import { start } from "../support/process.mjs";
import { createWallet, rejection } from "../support/wallet.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const { switchChain } = await packageFile("wallets/index.mjs");
const clients = [];
let world, other, elsewhere;

before(async () => {
  world = await createWorld();
  const said = { name: "the other anvil", ready: (line) => line.match(/Listening on 127\.0\.0\.1:(\d+)/)?.[1] };
  other = await start(anvilProgram(), ["--port", "0", "--chain-id", "1"], said);
  elsewhere = `http://127.0.0.1:${other.answer}`;
});
after(async () => {
  await Promise.all(clients.map((client) => client.disconnect()));
  await other?.stop("SIGKILL");
  await world?.stop();
});

const coin = { name: "Ether", symbol: "ETH", decimals: 18 };
const details = () => ({ chainName: "Local", rpcUrls: [world.rpcUrl], nativeCurrency: coin });
const wrong = (code, message = "no") => Object.assign(new Error(message), { code });

async function open(wallet, options = {}) {
  const client = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet, store: "memory", pollInterval: 100, ...options });
  clients.push(client);
  return client;
}

/** A wallet on chain 1 that switches when it is asked; `knows` are the chains that it knows. */
async function newWallet({ knows = ["0x1", "0x7a69"] } = {}) {
  const { privateKey } = await world.account();
  const wallet = createWallet({ privateKey, rpcUrl: world.rpcUrl });
  wallet.node = elsewhere;
  wallet.switched = [];
  wallet.own.wallet_switchEthereumChain = async ([{ chainId }]) => {
    if (!knows.includes(chainId)) throw wrong(4902, "Unrecognized chain ID");
    wallet.switched.push(chainId);
    wallet.node = chainId === "0x1" ? elsewhere : world.rpcUrl;
    wallet.emit("chainChanged", chainId);
    return null;
  };
  wallet.own.wallet_addEthereumChain = async ([{ chainId }]) => void knows.push(chainId);
  return wallet;
}

const count = (wallet, name) => wallet.asked.filter((method) => method === name).length;
const deposit = (client) => client.deposit({ asset: "ETH", amount: 5n });

async function refused(promise, code, ...words) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.code, code, error.stack);
    for (const word of words) assert.ok(error.message.includes(word), `${error.message} / ${word}`);
    return true;
  });
}

test("nobody is asked for another chain where the application did not say so, nor where the wallet is there", async () => {
  const wallet = await newWallet();
  for (const options of [{}, { switchChain: false }]) await refused(open(wallet, options), "chain-mismatch", "31337");
  wallet.node = world.rpcUrl;
  await deposit(await open(wallet, { switchChain: true }));
  assert.equal(count(wallet, "wallet_switchEthereumChain"), 0);
});

test("connect() brings the wallet to the hub's chain, with rpc and without, and so does a deposit", async () => {
  for (const rpc of [world.rpcUrl, undefined]) {
    const wallet = await newWallet();
    const client = await open(wallet, { rpc, switchChain: true });
    await deposit(client);
    assert.deepEqual(wallet.switched, ["0x7a69"]);
    wallet.node = elsewhere;
    wallet.emit("chainChanged", "0x1");
    await deposit(client);
    assert.deepEqual(wallet.switched, ["0x7a69", "0x7a69"]);
    assert.ok(wallet.sent.every(({ chainId }) => chainId === "0x7a69"));
  }
});

test("a chain that the wallet does not know is added by its details, in each form of saying so", async () => {
  const forms = [
    wrong(4902),
    wrong("4902"),
    Object.assign(wrong(-32603, "Internal error"), { data: { originalError: wrong(4902) } }),
    Object.assign(new Error("x"), { cause: wrong(4902) }),
  ];
  for (const [at, form] of forms.entries()) {
    const wallet = await newWallet({ knows: [] });
    const change = wallet.own.wallet_switchEthereumChain;
    wallet.own.wallet_switchEthereumChain = (params) => change(params).catch((error) => Promise.reject(error.code === 4902 ? form : error));
    const add = wallet.own.wallet_addEthereumChain;
    wallet.own.wallet_addEthereumChain = async (params) => {
      wallet.added = params;
      await add(params);
      // Some switch when they add.
      if (at === 1) await change(params);
    };
    const viems = { ...foundry, rpcUrls: { default: { http: [world.rpcUrl] } } };
    const client = await open(wallet, { switchChain: at % 2 ? viems : details() });
    assert.deepEqual(wallet.switched, ["0x7a69"]);
    const [{ chainId, rpcUrls, nativeCurrency }] = wallet.added;
    assert.deepEqual({ chainId, rpcUrls, nativeCurrency }, { chainId: "0x7a69", rpcUrls: [world.rpcUrl], nativeCurrency: coin });
    await client.disconnect();
  }
  // Those of another chain are not the hub's.
  const wallet = await newWallet({ knows: [] });
  await refused(open(wallet, { switchChain: mainnet }), "chain-mismatch");
  assert.equal(count(wallet, "wallet_addEthereumChain"), 0);
});

describe("whatever the wallet says, the same call can be made again", () => {
  const hang = () => new Promise(() => {});
  /** What it does, the code, and a word of what is told. */
  const answers = [
    [() => Promise.reject(rejection()), "wallet-rejected", "Nothing was signed or sent"],
    [() => { throw rejection(); }, "wallet-rejected", "Nothing was signed or sent"],
    [() => Promise.reject(wrong("ACTION_REJECTED")), "wallet-rejected", ""],
    [() => Promise.reject(wrong(4100)), "wallet-unavailable", "Nothing was signed or sent"],
    [() => Promise.reject(wrong(4200)), "chain-mismatch", "Switch the wallet to chain 31337"],
    [() => Promise.reject(wrong(-32601)), "chain-mismatch", "Switch the wallet to chain 31337"],
    [() => Promise.reject(wrong(4900)), "chain-unavailable", "Nothing was signed or sent"],
    [() => Promise.reject(wrong(4901)), "chain-unavailable", "Nothing was signed or sent"],
    [() => Promise.reject(wrong(4902)), "chain-mismatch", "Nothing was signed or sent"],
    [() => Promise.reject(wrong(-32002, "already pending")), "wallet-unavailable", "open the wallet"],
    [() => Promise.reject(undefined), "chain-mismatch", ""],
    // It says yes and stays where it is.
    [async () => null, "chain-mismatch", "nothing was signed or sent"],
    [() => ({ then: (resolve, reject) => (resolve(null), resolve(null), reject(wrong(1))) }), "chain-mismatch", "nothing was signed or sent"],
    [hang, "wallet-unavailable", ""],
  ];

  test("of connect()", async () => {
    const wallet = await newWallet();
    for (const [answer, code, word] of answers) {
      wallet.answer.wallet_switchEthereumChain = answer;
      await refused(open(wallet, { switchChain: true, ...(answer === hang && { timeout: 300 }) }), code, word);
    }
    assert.equal(count(wallet, "eth_signTypedData_v4"), 0);
    wallet.answer = {};
    await deposit(await open(wallet, { switchChain: true }));
  });

  test("of deposit()", async () => {
    const wallet = await newWallet();
    const client = await open(wallet, { switchChain: true });
    const signed = count(wallet, "eth_signTypedData_v4");
    for (const [answer, code, word] of answers) {
      wallet.node = elsewhere;
      wallet.answer.wallet_switchEthereumChain = answer;
      await refused(client.deposit({ asset: "ETH", amount: 5n, ...(answer === hang && { timeout: 300 }) }), code, word);
    }
    assert.deepEqual([wallet.sent.length, count(wallet, "eth_signTypedData_v4")], [0, signed]);
    assert.equal((await client.balances()).find(({ asset }) => asset === "ETH").available, 0n);
  });

  test("of switchChain()", async () => {
    const wallet = await newWallet();
    for (const [answer, code] of [
      [() => Promise.reject(rejection()), "wallet-rejected"],
      [() => { throw rejection(); }, "wallet-rejected"],
      [() => Promise.reject(wrong(4902)), "chain-mismatch"],
      [() => Promise.reject(wrong(-32002)), "wallet-unavailable"],
      [async () => null, "chain-mismatch"],
    ]) {
      wallet.answer.wallet_switchEthereumChain = answer;
      await refused(switchChain(wallet, 31337), code, "No money moved");
    }
    wallet.answer = {};
    await switchChain(wallet, 31337);
    await switchChain(wallet, 31337n);
    await switchChain(wallet, { id: 31337, ...details() });
    assert.deepEqual(wallet.switched, ["0x7a69"]);
    const stranger = await newWallet({ knows: [] });
    await switchChain(stranger, { id: 31337, ...details() });
    assert.deepEqual(stranger.switched, ["0x7a69"]);
  });
});

test("a switch that hung is asked for again, and payments went on meanwhile", async () => {
  const wallet = await newWallet();
  const client = await open(wallet, { switchChain: true });
  await deposit(client);
  wallet.node = elsewhere;
  wallet.answer.wallet_switchEthereumChain = () => Promise.reject(wrong(-32002));
  await refused(deposit(client), "wallet-unavailable");
  assert.equal((await client.pay({ to: world.hub.owner, asset: "ETH", amount: 1n })).status, "completed");
  wallet.answer = {};
  await deposit(client);
  assert.equal(wallet.sent.length, 2);
});

test("what is no chain is refused before anything is asked", async () => {
  const wallet = await newWallet();
  const wishes = [null, 5, "yes", {}, { id: 31337 }, { ...details(), rpcUrls: [] }, { ...details(), rpcUrls: ["javascript:1"] }, { ...details(), nativeCurrency: { name: "x" } }, { ...details(), blockExplorerUrls: "x" }];
  for (const wish of wishes) await refused(open(wallet, { switchChain: wish }), "invalid-argument", "switchChain");
  for (const chain of [0, -1, 1.5, "0x1", null, undefined, {}, { id: "1" }]) await refused(switchChain(wallet, chain), "invalid-argument", "switchChain()");
  await refused(switchChain({}, 1), "invalid-argument", "EIP-1193");
  assert.deepEqual(wallet.asked, []);
});
