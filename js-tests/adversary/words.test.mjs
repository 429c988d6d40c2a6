// A hub that lies about its terms and about others: what `connect` and `pay` are told before anything is signed.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { privateKeyToAccount, generatePrivateKey } from "viem/accounts";
import { farthing } from "../support/env.mjs";
import { ETH } from "./chain.mjs";
import { play } from "./stage.mjs";
import { signing } from "./signing.mjs";

const { connect } = await farthing();
const scenario = (name, body, options) => it(name, () => play(name, body, options));

/** The compressed public key of a private one, which viem gives whole. */
const publicKey = (privateKey) => {
  const whole = privateKeyToAccount(privateKey).publicKey;
  return `0x${parseInt(whole.slice(-1), 16) % 2 ? "03" : "02"}${whole.slice(4, 68)}`;
};

describe("words of a hostile hub", { concurrency: 8 }, () => {
  scenario("a look up that names another key, channel, owner or hub", async (stage) => {
    const [alice, bob, eve] = [await stage.actor(), await stage.actor(), await stage.actor()];
    const theft = generatePrivateKey();
    const thief = privateKeyToAccount(theft).address;
    let lie;
    stage.proxy.rules.call = async (method, params, ask) => {
      const answer = await ask();
      return method === "farthing_lookup" ? await lie(structuredClone(answer)) : answer;
    };
    const { owner } = { owner: bob.account.address };
    const other = await fetchLookup(stage, eve.account.address);
    const stolen = (answer) => ({ ...answer.channel, a: { owner, signer: thief } });
    const id = (channel) => stage.hub.read("channelIdOf", [{ ...channel, salt: BigInt(channel.salt) }]);
    const again = async () => {
      const back = stage.back(alice);
      stage.proxy.cut(alice.id);
      await back;
    };
    const lies = {
      "another public key": (answer) => ({ ...answer, publicKey: publicKey(theft) }),
      "another signer, not bound": (answer) => ({ ...answer, channel: stolen(answer), publicKey: publicKey(theft), binding: null }),
      "bound by the thief": async (answer) => {
        const channel = stolen(answer);
        const binding = await signing(stage.world, await id(channel)).binding(theft, owner, thief);
        return { ...answer, channel, publicKey: publicKey(theft), binding };
      },
      "bound by the hub": async (answer) => {
        const channel = stolen(answer);
        const binding = await signing(stage.world, await id(channel)).binding(stage.world.hub.signerKey, owner, thief);
        return { ...answer, channel, publicKey: publicKey(theft), binding };
      },
      "the channel of somebody else": () => other,
      "another hub": (answer) => ({ ...answer, channel: { ...answer.channel, b: { owner: thief, signer: thief } } }),
      "the payer's own channel": async () => fetchLookup(stage, alice.account.address),
      "no sense": () => ({ channel: 7 }),
    };
    for (const [what, one] of Object.entries(lies)) {
      lie = one;
      stage.tried("lie about a payee");
      // An answer is kept until the next connect.
      await again();
      const before = alice.record.lane("client", ETH).updates.length;
      await assert.rejects(stage.pay(alice, bob, 1_000n), (error) => ["hub-fault", "bad-signature", "invalid-argument", "unknown-payee"].includes(error.code), what);
      assert.equal(alice.record.lane("client", ETH).updates.length, before, `${what}: something was signed`);
    }
    lie = (answer) => answer;
    await again();
    assert.equal((await stage.pay(alice, bob, 1_000n, { wait: true })).status, "completed");
  });

  scenario("terms that do not fit the chain, the hub's key or themselves", async (stage) => {
    const alice = await stage.actor();
    const theft = generatePrivateKey();
    let lie;
    stage.proxy.rules.call = async (method, params, ask) => {
      const answer = await ask();
      return method === "farthing_config" ? lie(structuredClone(answer)) : answer;
    };
    const lies = {
      "another chain": (terms) => ({ ...terms, chainId: 1 }),
      "a contract that is none": (terms) => ({ ...terms, contract: privateKeyToAccount(theft).address }),
      "a token for the contract": (terms) => ({ ...terms, contract: stage.world.dai }),
      "another public key": (terms) => ({ ...terms, hub: { ...terms.hub, publicKey: publicKey(theft) } }),
      "another protocol": (terms) => ({ ...terms, protocolVersion: 2 }),
      "periods that make no sense": (terms) => ({ ...terms, challengePeriod: { min: 100, max: 50, default: 70 } }),
      "a period that the contract refuses": (terms) => ({ ...terms, challengePeriod: { min: 1, max: 50, default: 10 } }),
      "no terms": () => ({}),
    };
    for (const [what, one] of Object.entries(lies)) {
      lie = one;
      stage.tried("lie about the terms");
      const account = await stage.world.account({ dai: 0n });
      await assert.rejects(
        connect({ hub: stage.proxy.url, rpc: stage.world.rpcUrl, wallet: { privateKey: account.privateKey }, store: "memory", contract: stage.world.contract, chainId: 31337 }),
        what,
      );
    }
    // Longest times, and confirmations without end, are no reason to accept less than the client's own bounds.
    lie = (terms) => ({ ...terms, safetyMargin: 0, minLockTime: 0, maxLocks: 1_000_000 });
    await stage.pay(alice, stage.world.hub.owner, 40n);
  });

  scenario("answers that are errors, of another shape, or to another question", async (stage) => {
    const [alice, bob] = [await stage.actor(), await stage.actor()];
    const answers = [null, [], "x", 5, { attached: false }, { channelId: `0x${"00".repeat(32)}` }];
    let lie = true;
    let count = 0;
    stage.proxy.rules.call = async (method, params, ask) => {
      const answer = await ask();
      if (!lie || method !== "farthing_attach" || count >= answers.length) return answer;
      stage.tried("answer of another shape");
      return answers[count++];
    };
    const back = stage.back(alice);
    stage.proxy.cut(alice.id);
    await back;
    lie = false;
    await stage.pay(alice, bob, 12n, { wait: true });
  });
});

async function fetchLookup(stage, address) {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "farthing_lookup", params: { address } });
  const answer = await fetch(stage.world.hubUrl, { method: "POST", headers: { "content-type": "application/json" }, body });
  return (await answer.json()).result;
}
