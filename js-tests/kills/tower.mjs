// A watchtower that can be killed and comes back where it was.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { hubProgram } from "../support/env.mjs";
import { start } from "../support/process.mjs";

export async function createTower(world) {
  const privateKey = generatePrivateKey();
  await world.fund(privateKeyToAccount(privateKey).address, { dai: 0n });
  const config = join(world.folder, "watch.toml");
  const tower = { url: undefined };
  let listen = "127.0.0.1:0";
  let running;
  tower.start = async () => {
    const settings = {
      listen,
      rpc_url: world.rpcUrl,
      chain_id: world.chainId,
      contract: world.contract,
      confirmations: 1,
      database: join(world.folder, "watch.sqlite"),
    };
    writeFileSync(config, Object.entries(settings).map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`).join(""));
    running = await start(hubProgram(), ["watch", "--config", config], {
      name: "the watchtower",
      env: { FARTHING_WATCH_PRIVATE_KEY: privateKey },
      ready: (line) => (line.startsWith("{") && line.includes('"listening":') ? JSON.parse(line).listening : undefined),
    });
    tower.url = running.answer;
    listen = new URL(tower.url).host;
  };
  tower.kill = () => running?.stop("SIGKILL");
  /** What it promised to show of a channel, by the side that pays: the highest nonce. */
  tower.promised = async (channelId) => {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "watch_status", params: { channelId } });
    const answer = await fetch(tower.url, { method: "POST", headers: { "content-type": "application/json" }, body });
    const { result } = await answer.json();
    const nonces = { A: 0, B: 0 };
    for (const { receipt } of result?.receipts ?? []) nonces[receipt.payer] = Math.max(nonces[receipt.payer], receipt.nonce);
    return nonces;
  };
  await tower.start();
  return tower;
}
