// A small world: an EVM node, the contract, a DAI-like token, a hub. Tests and the demo start it with `createWorld()`.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPublicClient, createTestClient, createWalletClient, http, parseEther, zeroAddress } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { NODE, startNode } from "./chain-node.mjs";
import { artifact, hubProgram } from "./env.mjs";
import { start } from "./process.mjs";

const DEPLOYER = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const NO_CAP = 2n ** 127n;

/** Where Permit2 is on every chain. */
const PERMIT2 = "0x000000000022D473030F116dDEE9F6B43aC78BA3";

/**
 * `relay` has the hub send deposits of owners without ETH, through `world.relay`: `true` for those of its assets that have
 * a `deposit_fee`; `{ dai, usdc, ...options }` are its fees in a token with permits and in one by ERC-3009, which is there
 * too then, and options of `[relay]`; a double of Permit2 is at its address.
 * `hub` is laid over the hub's options, `eth` and `dai` over its assets. `tokens` has more of them: by symbol
 * `{ contract, args, ...asset }`, whose addresses are in `world.tokens`. What it gives:
 * `{ rpcUrl, chainId, contract, dai, relay, usdc, tokens, hubUrl, hub: { owner, signer, privateKey, signerKey, stop, start }, chain, fund, balanceOf, account, stop }`.
 */
export async function createWorld({ hub: hubOptions = {}, eth = {}, dai: daiOptions = {}, tokens = {}, relay = false } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "farthing-world-"));
  const node = await startNode();
  const { rpcUrl } = node;
  const chain = createChain(rpcUrl);
  const world = { rpcUrl, chainId: 31337, chain, folder };
  try {
    world.contract = await chain.deploy("Farthing", [60, 30 * 24 * 3600, [], NO_CAP]);
    world.dai = await chain.deploy("TestDai", []);
    world.tokens = {};
    for (const [symbol, { contract, args = [] }] of Object.entries(tokens)) world.tokens[symbol] = await chain.deploy(contract, args);
    const { dai: daiFee, usdc: usdcFee, ...relaying } = relay === true || relay === false ? {} : relay;
    if (relay !== false) {
      world.relay = await chain.deploy("DepositRelay", []);
      hubOptions = { ...hubOptions, relay: { contract: world.relay, ...relaying, ...hubOptions.relay } };
    }
    if (typeof relay === "object") {
      world.usdc = await chain.deploy("ListedToken", []);
      const bytecode = await chain.reader.getCode({ address: await chain.deploy("WitnessPermits", []) });
      await chain.admin.setCode({ address: PERMIT2, bytecode });
      daiOptions = { deposit_fee: daiFee ?? parseEther("0.01"), ...daiOptions };
    }
    world.hub = await createHub(world, hubOptions, eth, daiOptions, tokens, usdcFee ?? 10_000n);
    await world.hub.start();
  } catch (error) {
    await node.stop("SIGKILL");
    throw error;
  }
  Object.defineProperty(world, "hubUrl", { get: () => world.hub.url, enumerable: true });
  world.fund = (address, amounts = {}) => chain.fund(world.dai, address, amounts);
  world.balanceOf = (address, asset = "ETH") => chain.balanceOf(asset === "DAI" ? world.dai : world.tokens[asset], address);
  world.account = async (amounts) => {
    const privateKey = generatePrivateKey();
    const { address } = privateKeyToAccount(privateKey);
    await world.fund(address, amounts);
    return { privateKey, address };
  };
  world.stop = async () => {
    await world.hub.stop();
    await node.stop("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  return world;
}

function createChain(rpcUrl) {
  const transport = http(rpcUrl);
  const account = privateKeyToAccount(DEPLOYER);
  const wallet = createWalletClient({ account, chain: foundry, transport });
  const reader = createPublicClient({ chain: foundry, transport, pollingInterval: 50 });
  const admin = createTestClient({ mode: NODE, chain: foundry, transport });
  const mined = (hash) => reader.waitForTransactionReceipt({ hash });
  return {
    reader,
    admin,
    mined,
    async deploy(name, args) {
      const { contractAddress } = await mined(await wallet.deployContract({ ...artifact(name), args }));
      return contractAddress;
    },
    async fund(dai, address, { eth = parseEther("10"), dai: units = parseEther("10000") }) {
      await admin.setBalance({ address, value: eth });
      if (units > 0n) await this.mint(dai, address, units);
    },
    /** Money for nothing, of any token of ours. */
    async mint(token, to, units) {
      await mined(await wallet.writeContract({ address: token, abi: artifact("TestDai").abi, functionName: "mint", args: [to, units] }));
    },
    /** Any call of a contract of ours, by the deployer. */
    async write(name, address, functionName, args) {
      await mined(await wallet.writeContract({ address, abi: artifact(name).abi, functionName, args }));
    },
    /** Mines a block of this time, or later. */
    async passTo(timestamp) {
      const block = await reader.getBlock();
      const seconds = Number(timestamp) - Number(block.timestamp);
      if (seconds > 0) await admin.increaseTime({ seconds });
      await admin.mine({ blocks: 1 });
    },
    /** Takes so many blocks back and makes others, without what was in them. Anvil's only. */
    reorg: (depth) => reader.request({ method: "anvil_reorg", params: [depth, []] }),
    balanceOf(token, address) {
      if (token === undefined) return reader.getBalance({ address });
      return reader.readContract({ address: token, abi: artifact("TestDai").abi, functionName: "balanceOf", args: [address] });
    },
  };
}

async function createHub(world, options, eth, dai, tokens, usdcFee) {
  const privateKey = generatePrivateKey();
  const owner = privateKeyToAccount(privateKey).address;
  await world.chain.fund(world.dai, owner, { eth: parseEther("100000"), dai: parseEther("10000000") });
  const asset = (address, symbol, changes) => ({
    address,
    symbol,
    decimals: 18,
    channel_capacity: parseEther("1000"),
    min_payment: 1n,
    max_payment: parseEther("100"),
    collateral: parseEther("5"),
    // Tests put little in and want to be paid more at once.
    collateral_per_stake: 4_294_967_295,
    max_collateral: parseEther("1000"),
    ...changes,
  });
  const others = [];
  if (world.usdc !== undefined) {
    await world.chain.fund(world.usdc, owner, { eth: parseEther("100000"), dai: 10n ** 13n });
    const limits = { decimals: 6, channel_capacity: 10n ** 9n, max_payment: 10n ** 8n, collateral: 5_000_000n, max_collateral: 10n ** 9n };
    others.push(asset(world.usdc, "USDC", { ...limits, deposit_fee: usdcFee }));
  }
  for (const [symbol, { contract, args, ...changes }] of Object.entries(tokens)) {
    others.push(asset(world.tokens[symbol], symbol, changes));
    await world.chain.mint(world.tokens[symbol], owner, parseEther("10000000"));
  }
  const config = join(world.folder, "hub.toml");
  const hub = { owner, privateKey, signerKey: generatePrivateKey(), url: undefined };
  let running;
  let listen = "127.0.0.1:0";
  const write = () => {
    const { limits, ...rest } = options;
    const settings = {
      listen,
      rpc_url: world.rpcUrl,
      chain_id: world.chainId,
      contract: world.contract,
      confirmations: 1,
      database: join(world.folder, "hub.sqlite"),
      // What a test changed holds from the next start on.
      assets: [asset(zeroAddress, "ETH", eth), asset(world.dai, "DAI", dai), ...others],
      challenge_period: { min: 60, max: 30 * 24 * 3600, default: 3600 },
      // All of a test are behind one address, hostile clients among them.
      limits: {
        requests_per_second: 100_000, burst: 100_000, connections_per_ip: 10_000, unfunded_per_ip: 10_000,
        memory_per_ip: 50_331_648, faults: 1_000_000, ...limits,
      },
      ...rest,
    };
    writeFileSync(config, toml(settings));
  };
  hub.start = async () => {
    write();
    running = await start(hubProgram(), ["run", "--config", config], {
      name: "the hub",
      env: { FARTHING_HUB_PRIVATE_KEY: hub.privateKey, FARTHING_HUB_SIGNER_KEY: hub.signerKey },
      ready: (line) => (line.startsWith("{\"listening\"") ? JSON.parse(line) : undefined),
    });
    hub.url = running.answer.listening;
    hub.signer = running.answer.signer;
    hub.pid = running.pid;
    // Whoever comes back finds it where it was.
    listen = new URL(hub.url).host;
  };
  /** From its next start on. */
  hub.over = (changes) => Object.assign(options, changes);
  hub.stop = async (signal) => running?.stop(signal);
  /** For good: the process is gone, and so is its database. */
  hub.destroy = async () => {
    await hub.stop("SIGKILL");
    for (const end of ["", "-wal", "-shm"]) rmSync(`${world.folder}/hub.sqlite${end}`, { force: true });
  };
  hub.log = () => running?.said.join("") ?? "";
  return hub;
}

/** As much of TOML as the hub's options need; amounts are strings. */
function toml(settings) {
  const value = (item) => {
    if (typeof item === "bigint") return JSON.stringify(String(item));
    if (Array.isArray(item)) return `[${item.map(value).join(", ")}]`;
    if (typeof item === "object") return `{ ${Object.entries(item).map(([name, inner]) => `${name} = ${value(inner)}`).join(", ")} }`;
    return JSON.stringify(item);
  };
  return Object.entries(settings)
    .map(([name, item]) => `${name} = ${value(item)}\n`)
    .join("");
}
