// The EVM node of a world: Anvil, or Hardhat's where FARTHING_NODE says "hardhat". They differ where nodes out there do,
// in the words of refusals, in what they say of a block or a receipt, in when a block is made, so the tests of the package
// run on both. What Anvil calls `anvil_…` is `hardhat_…` there: viem's test client asks for what the node has.

import { fileURLToPath } from "node:url";
import { anvilProgram } from "./env.mjs";
import { start } from "./process.mjs";

/** `anvil` or `hardhat`. */
export const NODE = process.env.FARTHING_NODE ?? "anvil";

const file = (path) => fileURLToPath(new URL(path, import.meta.url));

const NODES = {
  anvil: () => ({
    program: anvilProgram(),
    args: ["--port", "0", "--hardfork", "osaka", "--block-time", "1", "--mixed-mining", "--chain-id", "31337"],
    ready: (line) => line.match(/Listening on 127\.0\.0\.1:(\d+)/)?.[1],
  }),
  hardhat: () => ({
    program: process.execPath,
    args: [
      file("../node_modules/hardhat/internal/cli/bootstrap.js"),
      ...["--config", file("hardhat.config.cjs"), "node", "--hostname", "127.0.0.1", "--port", "0"],
    ],
    env: { HARDHAT_DISABLE_TELEMETRY_PROMPT: "true" },
    ready: (line) => line.match(/JSON-RPC server at http:\/\/127\.0\.0\.1:(\d+)/)?.[1],
  }),
};

/** Starts it. Gives `{ rpcUrl, stop }`. */
export async function startNode() {
  if (!Object.hasOwn(NODES, NODE)) throw new Error(`FARTHING_NODE is anvil or hardhat, not ${NODE}`);
  const { program, args, env, ready } = NODES[NODE]();
  const { answer, stop } = await start(program, args, { name: NODE, env, ready });
  return { rpcUrl: `http://127.0.0.1:${answer}`, stop };
}
