// WalletConnect's own classes at both ends of a session: the provider that a page gets, and a wallet on a phone, whose user is
// `phone.request`. They meet at a relay on this machine, and nobody else is asked.

import { EthereumProvider } from "@walletconnect/ethereum-provider";
import { SignClient } from "@walletconnect/sign-client";
import { startRelay } from "./relay.mjs";

const METHODS = ["eth_sendTransaction", "eth_signTypedData_v4"];
const EVENTS = ["chainChanged", "accountsChanged"];

/** Gives `{ provider, relay, wallet, close }`. @param {{ chainId: number, rpcUrl: string, phone: any }} world */
export async function session({ chainId, rpcUrl, phone }) {
  const { fetch } = globalThis;
  // Their statistics and lists, which are on no machine of ours.
  globalThis.fetch = async (to, ...rest) => {
    if (!new URL(typeof to === "string" ? to : (to.url ?? String(to))).hostname.startsWith("127.")) throw new Error("There is no network.");
    return fetch(to, ...rest);
  };
  const relay = await startRelay();
  const common = { projectId: "0".repeat(32), relayUrl: relay.url, telemetryEnabled: false, logger: "silent", storageOptions: { database: ":memory:" }, metadata: { name: "a test", description: "", url: "http://127.0.0.1", icons: [] } };
  const wallet = await SignClient.init({ ...common, customStoragePrefix: "wallet" });
  wallet.on("session_proposal", async ({ id }) => {
    const eip155 = { chains: [`eip155:${chainId}`], accounts: [`eip155:${chainId}:${phone.address}`], methods: METHODS, events: EVENTS };
    await (await wallet.approve({ id, namespaces: { eip155 } })).acknowledged();
  });
  wallet.on("session_request", async ({ topic, id, params: { request } }) => {
    const response = await Promise.resolve(phone.request(request)).then((result) => ({ id, jsonrpc: "2.0", result }), ({ code = -32_000, message }) => ({ id, jsonrpc: "2.0", error: { code, message } }));
    await wallet.respond({ topic, response }).catch(() => {});
  });
  const provider = await EthereumProvider.init({ ...common, optionalChains: [chainId], optionalMethods: METHODS, optionalEvents: EVENTS, showQrModal: false, rpcMap: { [chainId]: rpcUrl }, customStoragePrefix: "page" });
  provider.on("display_uri", (uri) => void wallet.pair({ uri }));
  await provider.connect();
  return {
    provider,
    relay,
    wallet,
    async close() {
      globalThis.fetch = fetch;
      for (const { core } of [wallet, provider.signer.client]) {
        core.heartbeat.stop();
        await core.relayer.transportClose();
      }
      await relay.close();
    },
  };
}
