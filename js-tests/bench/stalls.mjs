// Sites as processes of their own, so that who asks takes none of their time.

import { parseEther } from "viem";
import { fileURLToPath } from "node:url";
import { start } from "../support/process.mjs";

export const PRICE = 1_000n;

const file = (path) => fileURLToPath(new URL(path, import.meta.url));
const listening = (line) => line.match(/^listening (\d+)$/)?.[1];

/** Starts a program of this folder; `{ url, pid, stop }`. */
export async function stall(name, env) {
  const { answer, pid, stop } = await start(process.execPath, ["--disable-warning=ExperimentalWarning", file(name)], { name, env, ready: listening });
  return { url: `http://127.0.0.1:${answer}`, pid, stop };
}

/** What a process of a site needs to have its engine: an account of its own that is paid. */
export async function engineOf(world, name) {
  const { privateKey } = await world.account({ eth: parseEther("1"), dai: 0n });
  return { HUB: world.hubUrl, RPC: world.rpcUrl, KEY: privateKey, ENGINE: `${world.folder}/${name}.engine.sqlite`, PRICE: String(PRICE) };
}
