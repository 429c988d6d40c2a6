// Codes of a hub that refuses: the real one what was changed on its way there, so that it breaks one of its rules; and a hostile
// one whatever it says. The payer learns which it was, that nothing was paid, and what to do.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { parseEther } from "viem";
import { createProxy } from "../adversary/proxy.mjs";
import { clientsOf } from "../support/clients.mjs";
import { provokes } from "../support/codes.mjs";
import { createWorld } from "../support/world.mjs";

let world, proxy, bob;
const { local, disconnectAll } = clientsOf(() => world);

before(async () => {
  world = await createWorld();
  proxy = await createProxy(() => world.hubUrl);
  bob = await local(await world.account());
});
afterEach(() => (proxy.rules = {}));
after(async () => {
  await disconnectAll();
  await proxy?.stop();
  await world?.stop();
});

async function opened() {
  const client = await local(await world.account(), { hub: proxy.url });
  await client.deposit({ asset: "ETH", amount: parseEther("1") });
  return client;
}

/** Pays, with the first update changed before the hub gets it. */
async function changed(change) {
  const client = await opened();
  let done = false;
  proxy.rules.up = (messages) => messages.map((message) => {
    if (message.type !== "update" || done) return message;
    done = true;
    return { ...message, update: change(message.update) };
  });
  try {
    await client.pay({ to: bob.info.address, asset: "ETH", amount: 5n });
  } finally {
    const { available, sending } = (await client.balances()).find(({ asset }) => asset === "ETH");
    assert.equal(available + sending, parseEther("1"), "nothing was paid");
    await client.disconnect();
  }
}

const NOTHING = /nothing was paid/;
const RULES = /do not keep to the same rules: update the package/;
const proof = (update, change) => ({ ...update, proof: { ...update.proof, ...change } });
const locks = (update, change) => ({ ...update, ops: update.ops.map(({ lock }) => ({ lock: { ...lock, ...change } })) });

test("an update that the hub can't take", async () => {
  await provokes("bad-signature", () => changed((update) => proof(update, { transferred: "3" })), NOTHING);
  await provokes("unknown-base", () => changed((update) => ({ ...update, base: 77 })), RULES);
  await provokes("bad-op", () => changed((update) => ({ ...update, ops: [{ redeem: { slot: 3, units: 1 } }] })), RULES);
  await provokes("unknown-condition", () => changed((update) => locks(update, { condition: { address: `0x${"ab".repeat(20)}`, params: "0x" } })), NOTHING);
  await provokes("slot-taken", () => changed((update) => ({ ...update, ops: [...update.ops, ...update.ops] })), NOTHING);
  await provokes("bad-expiry", () => changed((update) => locks(update, { expiry: 1_000 })), NOTHING);
});

test("why a payment comes back is told with it, while it is still on its way", async () => {
  const client = await opened();
  // What the hub says of a payment that it can't forward.
  const failing = (code) => {
    proxy.rules.up = (messages, id) => {
      const [update] = messages.filter(({ type }) => type === "update");
      if (update === undefined) return messages;
      const { asset, update: { proof: { nonce } } } = update;
      setImmediate(() => proxy.toClient(id, [{ type: "refused", asset, nonce, code, message: "no" }]));
      return messages.filter((message) => message !== update);
    };
    return client.pay({ to: bob.info.address, asset: "ETH", amount: 5n, timeout: 5_000 });
  };
  const heard = new Promise((resolve) => client.on("payment", ({ payment }) => payment.status === "returning" && resolve(payment.code)));
  const paying = failing("hub-unfunded");
  paying.catch(() => {});
  assert.equal(await heard, "hub-unfunded");
});

test("whatever a hub says when it is asked for a signature, the caller learns it, and that a signature is out", async () => {
  const client = await opened();
  const declined = (code) => {
    proxy.rules.up = (messages, id) => {
      const kept = messages.filter(({ type }) => type !== "withdrawProposal");
      if (kept.length < messages.length) proxy.toClient(id, [{ type: "declined", what: "withdraw", code, message: "so it is" }]);
      return kept;
    };
    return client.withdraw({ asset: "ETH", amount: 1n });
  };
  const SAID = /The hub declined to withdraw: so it is\. A withdrawal is signed, and may be paid out until/;
  await provokes("hub-unfunded", () => declined("hub-unfunded"), SAID);
  await provokes("unknown-channel", () => declined("unknown-channel"), SAID);
  await provokes("too-many-locks", () => declined("too-many-locks"), SAID);
  await provokes("locks-pending", () => declined("locks-pending"), SAID);
  await provokes("unacknowledged", () => declined("unacknowledged"), SAID);
  await provokes("payment-expired", () => declined("payment-expired"), SAID);
  await provokes("bad-nonce", () => declined("bad-nonce"), RULES);
  await provokes("transferred-fell", () => declined("transferred-fell"), RULES);
  await provokes("proof-mismatch", () => declined("proof-mismatch"), RULES);
  await provokes("redeem-too-low", () => declined("redeem-too-low"), RULES);
  await provokes("release-refused", () => declined("release-refused"), RULES);
  await provokes("bad-encoding", () => declined("bad-encoding"), RULES);
  await provokes("message-too-large", () => declined("message-too-large"), SAID);
  await provokes("not-authenticated", () => declined("not-authenticated"), RULES);
  await provokes("wrong-channel", () => declined("wrong-channel"), RULES);
  // What no hub may say, and what nobody knows, is the hub's fault.
  await provokes("hub-fault", () => declined("internal"), SAID);
  await provokes("hub-fault", () => declined("no-such-code"), SAID);
});
