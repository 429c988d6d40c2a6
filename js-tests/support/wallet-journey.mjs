// The way of a wallet's user in a page: each kind of wallet, refusals at each step, another chain, another account, a reload in
// the middle. Runs in a page; what comes back is judged by the test.

import { createConfig, connect as connectWagmi, injected } from "@wagmi/core";
import { BrowserProvider } from "ethers";
import { createWalletClient, custom, http } from "viem";
import { foundry } from "viem/chains";
import { createWallet, rejection } from "./wallet.mjs";

/** What is given to `connect`, of a wallet that signs for real. */
const KINDS = {
  raw: async (wallet) => wallet,
  async announced(wallet) {
    const detail = Object.freeze({ info: Object.freeze({ uuid: "real", name: "Real", rdns: "org.real", icon: "" }), provider: wallet });
    const announce = () => dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail }));
    addEventListener("eip6963:requestProvider", announce);
    const discovery = globalThis.wallets.discoverWallets();
    discovery.stop();
    removeEventListener("eip6963:requestProvider", announce);
    return discovery.wallets.find(({ uuid }) => uuid === "real").provider;
  },
  viem: async (wallet) => createWalletClient({ account: wallet.address, chain: foundry, transport: custom(wallet) }),
  async wagmi(wallet) {
    const connector = injected({ target: () => ({ id: "real", name: "Real", provider: wallet }) });
    const config = createConfig({ chains: [foundry], connectors: [connector], transports: { [foundry.id]: http() }, multiInjectedProviderDiscovery: false, storage: null });
    await connectWagmi(config, { connector: config.connectors[0] });
    return config.connectors[0];
  },
  ethers: async (wallet) => new BrowserProvider(wallet, undefined, { cacheTimeout: -1 }),
};

export const walletKinds = Object.keys(KINDS);

const eth = (amount) => ({ asset: "ETH", amount });
const codeOf = (promise) => promise.then(() => "done", ({ code, message }) => code ?? message);

/** Refused at this question, and then not: `[code, code]`. */
async function twice(wallet, method, call) {
  wallet.refuse[method] = rejection();
  const first = await codeOf(call());
  delete wallet.refuse[method];
  return [first, await codeOf(call())];
}

const count = (wallet, name) => wallet.asked.filter((method) => method === name).length;

/** Opens, deposits, pays; goes to another chain and another account and back. */
export async function walletBefore({ kind, hub, to, privateKey, rpcUrl, stranger }) {
  const wallet = createWallet({ privateKey, rpcUrl });
  const given = await KINDS[kind](wallet);
  const told = {};
  let client;
  const open = async (more) => (client = await globalThis.farthing.connect({ hub, wallet: given, rpc: rpcUrl, pollInterval: 100, ...more }));
  told.accounts = await twice(wallet, "eth_requestAccounts", open);
  await client.disconnect();
  // A channel that is there needs its key, too.
  told.signature = await twice(wallet, "eth_signTypedData_v4", async () => {
    await open();
    if (client.info.signer === undefined) throw new Error("no signer");
  });
  told.deposit = await twice(wallet, "eth_sendTransaction", () => client.deposit(eth(1_000n)));
  const asked = wallet.asked.length;
  told.status = (await client.pay({ to, ...eth(100n) })).status;
  told.popups = wallet.asked.slice(asked).filter((method) => /sign|sendTransaction|requestAccounts/.test(method)).length;
  wallet.answer.eth_chainId = async () => "0x1";
  told.chain = [await codeOf(client.deposit(eth(1n)))];
  await client.disconnect();
  wallet.answer.wallet_switchEthereumChain = async () => (delete wallet.answer.eth_chainId, null);
  await open({ switchChain: true });
  told.chain.push(await codeOf(client.deposit(eth(1n))));
  const { eth_accounts: own } = wallet.own;
  wallet.own.eth_accounts = async () => [stranger];
  told.account = [await codeOf(client.deposit(eth(1n)))];
  wallet.own.eth_accounts = own;
  told.account.push(await codeOf(client.deposit(eth(1n))));
  told.sent = wallet.sent.length;
  told.channel = client.info.channelId;
  return told;
}

/** After the page was loaded again, with every payment confirmed in the wallet, up to the end. */
export async function walletAfter({ kind, hub, to, privateKey, rpcUrl }) {
  const wallet = createWallet({ privateKey, rpcUrl });
  const client = await globalThis.farthing.connect({ hub, wallet: await KINDS[kind](wallet), rpc: rpcUrl, pollInterval: 100, confirm: "wallet" });
  const told = { channel: client.info.channelId, messages: [] };
  const available = async () => (await client.balances()).find(({ asset }) => asset === "ETH").available;
  told.before = await available();
  const before = count(wallet, "eth_signTypedData_v4");
  told.pay = await twice(wallet, "eth_signTypedData_v4", () => client.pay({ to, ...eth(100n) }));
  told.asked = count(wallet, "eth_signTypedData_v4") - before;
  wallet.answer.eth_signTypedData_v4 = (params) => (told.messages.push(JSON.parse(params[1])), wallet.own.eth_signTypedData_v4(params));
  told.again = await codeOf(client.pay({ to, ...eth(1n) }));
  delete wallet.answer.eth_signTypedData_v4;
  told.withdraw = await twice(wallet, "eth_sendTransaction", () => client.withdraw(eth(500n)));
  told.after = await available();
  told.close = await codeOf(client.close());
  await client.disconnect();
  return told;
}
