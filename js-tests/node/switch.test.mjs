// What stands between the engine and a wallet: another chain that it may be asked for, and fees of an account that signs here. Without a chain.

import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { packageFile } from "../support/env.mjs";

const { accepted } = await packageFile("wallets/accepted.mjs");
const details = { chainName: "Base", rpcUrls: ["https://base.example"], nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 } };
const unknown = () => Promise.reject(Object.assign(new Error("Unknown chain."), { code: 4902 }));

afterEach(() => mock.timers.reset());

/** A wallet, and what it was asked. */
function wallet(answers) {
  const asked = [];
  return { asked, request: async ({ method, params }) => (asked.push([method, params[0]?.chainId]), answers[method]?.()) };
}

test("details of another chain are never those of the hub's, whichever way they name it", async () => {
  for (const [id, added] of [[{ chainId: "0x2105" }, false], [{ id: 8453 }, false], [{ chainId: "eight" }, false], [{ chainId: "0x7a69" }, true], [{ id: 31337 }, true], [{}, true]]) {
    const own = wallet({ wallet_switchEthereumChain: unknown, eth_chainId: () => "0x7a69" });
    const taken = await accepted(own, undefined, { ...details, ...id });
    await taken.wallet._switchTo("0x7a69").catch(() => {});
    assert.equal(own.asked.some(([method]) => method === "wallet_addEthereumChain"), added, JSON.stringify(id));
  }
});

test("a question that a wallet lost is asked again when its user has had their time, and not before", async () => {
  mock.timers.enable({ apis: ["Date"] });
  const own = wallet({ wallet_switchEthereumChain: () => new Promise(() => {}) });
  const taken = await accepted(own, undefined, true);
  for (const [pause, questions] of [[0, 1], [599_999, 1], [1, 2], [1, 2]]) {
    mock.timers.tick(pause);
    void taken.wallet._switchTo("0x1");
    assert.equal(own.asked.length, questions);
  }
});

test("a node that lies about fees turns no balance into them, and one that names no tip has the usual one", async () => {
  const call = { chainId: "0x1", from: `0x${"11".repeat(20)}`, to: `0x${"22".repeat(20)}`, value: "0x0", data: "0x" };
  const most = 10n ** 12n;
  for (const [said, block, wanted] of [
    [`0x${(10n ** 20n).toString(16)}`, { baseFeePerGas: "0x7" }, { maxPriorityFeePerGas: most, maxFeePerGas: most + 14n }],
    ["0x5", { baseFeePerGas: "0x7" }, { maxPriorityFeePerGas: 5n, maxFeePerGas: 19n }],
    [undefined, { baseFeePerGas: "0x7" }, { maxPriorityFeePerGas: 10n ** 9n, maxFeePerGas: 10n ** 9n + 14n }],
    [`0x${(10n ** 20n).toString(16)}`, {}, { gasPrice: most }],
  ]) {
    let signed;
    const account = { type: "local", address: call.from, signTypedData: async () => "0x", signTransaction: async (transaction) => ((signed = transaction), "0x01") };
    const answers = { eth_estimateGas: "0x5208", eth_getTransactionCount: "0x0", eth_getBlockByNumber: block, eth_gasPrice: said, eth_maxPriorityFeePerGas: said, eth_sendRawTransaction: "0x02" };
    const request = async ({ method }) => answers[method] ?? Promise.reject(Object.assign(new Error(method), { code: -32601 }));
    const { wallet } = await accepted({ account, request }, undefined, undefined);
    assert.equal(await wallet.request({ method: "eth_sendTransaction", params: [call] }), "0x02");
    for (const [name, fee] of Object.entries(wanted)) assert.equal(signed[name], fee, name);
  }
});
