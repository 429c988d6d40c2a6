// What stands between the engine and a wallet that may be asked for another chain, without a chain.

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
