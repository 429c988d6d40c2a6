// Wallets as viem, wagmi and ethers have them, given to connect() as they are, with the libraries themselves: from the first
// deposit to the withdrawal. And those that can't work, which are refused before anything is asked.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect as connectWagmi, createConfig, getConnectorClient, injected } from "@wagmi/core";
import { AbstractSigner, BrowserProvider, HDNodeWallet, JsonRpcProvider, NonceManager, VoidSigner, Wallet } from "ethers";
import { createWalletClient, custom, http } from "viem";
import { privateKeyToAccount, toAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { farthing, packageFile } from "../support/env.mjs";
import { createWallet, rejection } from "../support/wallet.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const clients = [];
const providers = [];
let world;

before(async () => (world = await createWorld()));
after(async () => {
  await Promise.all(clients.map((client) => client.disconnect()));
  providers.forEach((provider) => provider.destroy());
  await world?.stop();
});

async function open(wallet, options = {}) {
  const client = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet, store: "memory", pollInterval: 100, ...options });
  clients.push(client);
  return client;
}

/** One after the other: they are funded from one account. */
let funding = Promise.resolve();
const newAccount = () => (funding = funding.then(() => world.account()));

async function newWallet() {
  const { privateKey } = await newAccount();
  return Object.assign(createWallet({ privateKey, rpcUrl: world.rpcUrl }), { privateKey });
}

/** It is ended with the test: those of ethers go on asking. */
function ended(provider) {
  providers.push(provider);
  return provider;
}

const node = () => ended(new JsonRpcProvider(world.rpcUrl, undefined, { cacheTimeout: -1 }));
const eth = (amount) => ({ asset: "ETH", amount });

/** A wallet of a kind deposits, pays, withdraws and closes, and opens the same channel again. */
async function whole(make, address, options) {
  const store = join(world.folder, `${address}.sqlite`);
  const client = await open(await make(), { store, ...options });
  assert.equal(client.info.address, address);
  const { channelId, signer } = client.info;
  await client.deposit(eth(1_000n));
  await client.deposit({ asset: "DAI", amount: 70n });
  assert.equal((await client.pay({ to: world.hub.owner, ...eth(300n) })).status, "completed");
  await client.withdraw(eth(200n));
  await client.disconnect();
  const again = await open(await make(), { store, ...options });
  assert.deepEqual([again.info.channelId, again.info.signer], [channelId, signer]);
  const [balance] = (await again.balances()).filter(({ asset }) => asset === "ETH");
  assert.equal(balance.available, 500n);
  await again.close();
  await again.disconnect();
  return { signer };
}

async function refused(promise, code, ...words) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.code, code, error.stack);
    assert.equal(error.name, "FarthingError");
    for (const word of words) assert.ok(error.message.includes(word), `${error.message} / ${word}`);
    return true;
  });
}

// Each has an account of its own, and waits for blocks most of the time.
describe("wallets of libraries", { concurrency: true }, () => {
  test("a client of viem over an injected wallet, which pays without asking", async () => {
    const wallet = await newWallet();
    const make = () => createWalletClient({ account: wallet.address, chain: foundry, transport: custom(wallet) });
    await whole(make, wallet.address);
    // One signature for each opening, and once more for the new channel; none for the payment.
    assert.ok(wallet.asked.filter((method) => method === "eth_signTypedData_v4").length <= 4);
  });

  test("a client of viem with an account of its own, with rpc and without", async () => {
    for (const rpc of [world.rpcUrl, undefined]) {
      const { privateKey } = await newAccount();
      const account = privateKeyToAccount(privateKey);
      await whole(() => createWalletClient({ account, chain: foundry, transport: http(world.rpcUrl) }), account.address, { rpc });
    }
  });

  test("an account of viem, with the node at rpc", async () => {
    const { privateKey } = await newAccount();
    const account = privateKeyToAccount(privateKey);
    await whole(() => account, account.address);
    // A node that is away is passed over.
    const client = await open(account, { rpc: [world.rpcUrl, "http://127.0.0.1:1"] });
    await client.deposit(eth(1n));
  });

  test("a connector of wagmi, and the client that it gives", async () => {
    const wallet = await newWallet();
    // It looks for a page before it looks for its target.
    globalThis.window = new EventTarget();
    after(() => delete globalThis.window);
    const target = { id: "double", name: "Double", provider: wallet };
    const connector = injected({ target: () => target, shimDisconnect: false });
    const config = createConfig({ chains: [foundry], connectors: [connector], transports: { [foundry.id]: http(world.rpcUrl) }, storage: null });
    const [made] = config.connectors;
    await connectWagmi(config, { connector: made });
    await whole(() => made, wallet.address);
    await whole(() => getConnectorClient(config), wallet.address);
  });

  test("a provider and a signer of ethers over an injected wallet", async () => {
    const wallet = await newWallet();
    await whole(() => ended(new BrowserProvider(wallet)), wallet.address);
    await whole(() => ended(new BrowserProvider(wallet)).getSigner(), wallet.address);
    await whole(() => ended(new BrowserProvider(wallet)).getSigner(), wallet.address, { rpc: undefined });
  });

  test("a signer of ethers names its account, of all that the wallet shows", async () => {
    const [wallet, stranger] = [await newWallet(), (await newWallet()).address];
    wallet.own.eth_requestAccounts = wallet.own.eth_accounts = async () => [stranger, wallet.address];
    const client = await open(await ended(new BrowserProvider(wallet)).getSigner(wallet.address));
    assert.equal(client.info.address, wallet.address);
  });

  test("wallets of ethers with a key: the key, and where rpc is not given the node that they are connected to", async () => {
    const { privateKey, address } = await newAccount();
    await whole(() => new Wallet(privateKey, node()), address, { rpc: undefined });
    await whole(() => new Wallet(privateKey), address);
    const phrase = HDNodeWallet.createRandom();
    await (funding = funding.then(() => world.fund(phrase.address)));
    // What is a key signs payments, too.
    assert.equal((await whole(() => phrase.connect(node()), phrase.address)).signer, phrase.address);
    await refused(open(new Wallet(privateKey), { rpc: undefined }), "invalid-argument", "rpc");
  });

  /** One that shows no key, as those of hardware and of key servers. */
  class Remote extends AbstractSigner {
    constructor(key, provider) {
      super(provider);
      this.hidden = () => key;
    }
    getAddress = async () => this.hidden().address;
    connect = (provider) => new Remote(this.hidden(), provider);
    signTransaction = (transaction) => this.hidden().signTransaction(transaction);
    signMessage = (message) => this.hidden().signMessage(message);
    signTypedData = (...data) => this.hidden().signTypedData(...data);
  }

  test("a signer of ethers that shows no key, by itself and in a nonce manager", async () => {
    const { privateKey, address } = await newAccount();
    const key = new Wallet(privateKey);
    await whole(() => new Remote(key, node()), address, { rpc: undefined });
    await whole(() => new NonceManager(new Remote(key, node())), address);
  });

  test("what can't work is refused with a stable code, and nothing is asked", async () => {
    const { privateKey } = await newAccount();
    const account = privateKeyToAccount(privateKey);
    const { signTypedData: _, ...unable } = account;
    const cases = [
      [unable, {}, "unsupported", "typed data"],
      [{ ...account, signTransaction: undefined, type: "smart" }, {}, "unsupported", "contract"],
      [{ ...createWalletClient({ account, transport: http(world.rpcUrl) }), account: { ...account, type: "smart" } }, {}, "unsupported", "contract"],
      [toAccount(account.address), {}, "invalid-argument", "provider"],
      [account, { rpc: undefined }, "invalid-argument", "rpc"],
      [new Remote(new Wallet(privateKey)), {}, "invalid-argument", "without a provider"],
      [Object.assign(new Remote(new Wallet(privateKey), node()), { signTypedData: undefined }), {}, "unsupported", "signTypedData"],
      [{ getProvider: async () => undefined }, {}, "wallet-unavailable", "no provider"],
      [{ getProvider: async () => { throw new Error("not installed"); } }, {}, "wallet-unavailable", "gave no provider"],
      [{ getProvider: () => { throw new Error("not installed"); } }, {}, "wallet-unavailable", "gave no provider"],
    ];
    for (const [wallet, options, code, word] of cases) await refused(open(wallet, options), code, word, "no money moved");
    await refused(open(new VoidSigner(account.address, node())), "unsupported", "EIP-712");
  });

  test("numbers of the wallet's errors come through ethers, and the same call can be made again", async () => {
    const wallet = await newWallet();
    const client = await open(ended(new BrowserProvider(wallet)));
    const refusals = [
      [rejection(), "wallet-rejected"],
      [Object.assign(new Error("unauthorised"), { code: 4100 }), "wallet-unavailable"],
      [Object.assign(new Error("not served"), { code: 4200 }), "wallet-unavailable"],
      [Object.assign(new Error("insufficient funds for gas * price + value"), { code: -32000 }), "transaction-failed"],
    ];
    for (const [error, code] of refusals) {
      wallet.refuse.eth_sendTransaction = error;
      await assert.rejects(client.deposit(eth(5n)), (told) => {
        assert.equal(told.code, code, told.message);
        assert.equal(told.cause.code, error.code);
        return true;
      });
    }
    wallet.refuse = Object.assign(wallet.refuse, { eth_sendTransaction: undefined });
    await client.deposit(eth(5n));
    assert.equal(wallet.sent.length, 1);
  });

  test("an account that does not sign, or whose node is away, sent nothing, and says so", async () => {
    const { privateKey } = await newAccount();
    const account = privateKeyToAccount(privateKey);
    let no;
    const shy = { ...account, signTransaction: (...given) => (no ? Promise.reject(no) : account.signTransaction(...given)) };
    const client = await open(shy);
    no = rejection();
    await refused(client.deposit(eth(5n)), "wallet-rejected");
    no = new Error("the device is unplugged");
    await refused(client.deposit(eth(5n)), "wallet-unavailable", "never sent");
    no = undefined;
    await client.deposit(eth(5n));
    assert.equal((await client.balances()).find(({ asset }) => asset === "ETH").available, 5n);
  });

  test("two transactions at once of an account take one number each", async () => {
    const { privateKey, address } = await newAccount();
    const { accepted } = await packageFile("wallets/accepted.mjs");
    const { wallet } = await accepted(privateKeyToAccount(privateKey), world.rpcUrl);
    const params = [{ chainId: "0x7a69", from: address, to: world.hub.owner, value: "0x1", data: "0x" }];
    const hashes = await Promise.all([1, 2, 3].map(() => wallet.request({ method: "eth_sendTransaction", params })));
    const mined = await Promise.all(hashes.map((hash) => world.chain.mined(hash)));
    assert.deepEqual(mined.map(({ status }) => status), ["success", "success", "success"]);
    const sent = await Promise.all(hashes.map((hash) => world.chain.reader.getTransaction({ hash })));
    assert.deepEqual(sent.map(({ nonce }) => nonce), [0, 1, 2]);
  });
});
