// The chain of a local set: Anvil, and on it our contract and a token for tests. What is sent needs no key: Anvil takes
// transactions of every account that it is told to.
// @ts-check

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DevError } from "./problem.mjs";
import { start } from "./process.mjs";

export const CHAIN_ID = 31_337;

/** Seconds from block to block where nothing is sent, and between two copies of the chain on disk. */
const BLOCK_TIME = 2;
const SAVED = 5;

const ETHER = 10n ** 18n;
/** @param {bigint} value */
const word = (value) => value.toString(16).padStart(64, "0");
/** @param {bigint} value */
const quantity = (value) => `0x${value.toString(16)}`;

/** `Farthing(uint32 minPeriod, uint32 maxPeriod, AssetCap[] caps, uint128 defaultCap)`: from a minute to thirty days, no caps. */
const FARTHING = [60n, 2_592_000n, 128n, 2n ** 127n, 0n].map(word).join("");
const MINT = "0x40c10f19";

/** @returns {Record<"Farthing" | "TestDai" | "DepositRelay", string>} bytecode, 0x and hex */
const contracts = () => JSON.parse(readFileSync(new URL("./contracts.json", import.meta.url), "utf8"));

/**
 * @param {import("./process.mjs").Keeper} keeper @param {{ program: string, folder: string, port: number }} options
 */
export async function startChain(keeper, { program, folder, port }) {
  const url = `http://127.0.0.1:${port}`;
  const args = [
    // Named, since a setting of the environment could open it to the network.
    ...["--host", "127.0.0.1", "--port", String(port), "--chain-id", String(CHAIN_ID), "--hardfork", "osaka", "--block-time", String(BLOCK_TIME), "--mixed-mining"],
    ...["--state", join(folder, "chain.json"), "--state-interval", String(SAVED), "--cache-path", join(folder, "cache"), "--quiet"],
  ];
  const { until } = start(keeper, { name: "Anvil", program, args, log: join(folder, "chain.log") });

  /** @param {string} method @param {unknown[]} params @returns {Promise<any>} */
  async function ask(method, params) {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
    const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body, signal: AbortSignal.timeout(30_000) });
    const { result, error } = await response.json();
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  }

  /** @param {Record<string, string>} transaction */
  async function send(transaction) {
    await ask("anvil_impersonateAccount", [transaction.from]);
    const hash = await ask("eth_sendTransaction", [transaction]);
    const receipt = await until(async () => (await ask("eth_getTransactionReceipt", [hash])) ?? undefined);
    if (receipt.status !== "0x1") throw new Error(`Transaction ${hash} reverted.`);
    return receipt;
  }

  const id = await until(() => ask("eth_chainId", []));
  if (id !== quantity(BigInt(CHAIN_ID))) throw new DevError("port-taken", `Another node answers at ${url}, of chain ${Number(id)}.`);
  return {
    url,
    /** Puts both contracts on the chain. @param {string} from */
    async deploy(from) {
      const { Farthing, TestDai } = contracts();
      await ask("anvil_setBalance", [from, quantity(100n * ETHER)]);
      const contract = (await send({ from, data: `${Farthing}${FARTHING}` })).contractAddress;
      const token = (await send({ from, data: TestDai })).contractAddress;
      return { contract, token };
    },
    /** Puts the relay on the chain, which takes deposits of those without ETH. @param {string} from @returns {Promise<string>} */
    async deployRelay(from) {
      return (await send({ from, data: contracts().DepositRelay })).contractAddress;
    },
    /** Whether this is the relay of this version: its code is what ends the bytecode. @param {string | undefined} address */
    async hasRelay(address) {
      if (address === undefined) return false;
      const code = (await ask("eth_getCode", [address, "latest"])).slice(2);
      return code !== "" && contracts().DepositRelay.endsWith(code);
    },
    /** Whether there is a contract. @param {string} address */
    has: async (address) => (await ask("eth_getCode", [address, "latest"])) !== "0x",
    /** Gives an account so much more of both, in whole units. @param {{ from: string, token: string }} set @param {string} to @param {bigint} ether @param {bigint} dai */
    async give({ from, token }, to, ether, dai) {
      const balance = BigInt(await ask("eth_getBalance", [to, "latest"]));
      await ask("anvil_setBalance", [to, quantity(balance + ether * ETHER)]);
      await send({ from, to: token, data: `${MINT}${word(BigInt(to))}${word(dai * ETHER)}` });
    },
  };
}
