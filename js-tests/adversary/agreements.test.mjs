// A hub that signs withdrawals and closings, and then does with the signatures what it likes.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseEther } from "viem";
import { generatePrivateKey } from "viem/accounts";
import { ETH } from "./chain.mjs";
import { play } from "./stage.mjs";

const scenario = (name, body, options) => it(name, () => play(name, body, options));

/** Keeps the hub's messages of a type back; gives the first of them. */
function keepBack(stage, actor, type) {
  const kept = stage.heard("hub", actor, type);
  stage.proxy.rules.down = (messages) => messages.filter((message) => message.type !== type);
  stage.tried(`${type} kept back`);
  return kept;
}

const proposal = (stage, actor, type) => stage.heard("client", actor, type);
const big = (terms) => JSON.parse(JSON.stringify(terms), (name, value) => (["total", "a", "b"].includes(name) ? BigInt(value) : name === "deadline" ? BigInt(value) : value));

describe("agreements with a hostile hub", { concurrency: 8 }, () => {
  scenario("a withdrawal is signed and kept back, and sent in the middle of what comes after it", async (stage) => {
    const [alice, bob] = [await stage.actor(), await stage.actor()];
    await stage.pay(alice, bob, 10n, { wait: true });
    const [signed, asked] = [keepBack(stage, alice, "withdrawSigned"), proposal(stage, alice, "withdrawProposal")];
    alice.client.withdraw({ asset: "ETH", amount: parseEther("0.6") }).catch(() => {});
    const { withdrawal, signature } = await asked;
    const { signature: cosigned } = await signed;
    // It counts from its signing on.
    await assert.rejects(alice.client.pay({ to: bob.account.address, asset: "ETH", amount: parseEther("0.5") }), { code: "insufficient-funds" });
    await stage.pay(alice, bob, 400n, { wait: true });
    const send = () => stage.hub.withdraw(alice.channel, alice.id, big(withdrawal), signature, cosigned);
    await send();
    stage.tried("withdrawal sent twice");
    await assert.rejects(send());
    await stage.pay(bob, alice, 9n, { wait: true });
  });

  scenario("a withdrawal is signed and kept back until an exit has started", async (stage) => {
    const alice = await stage.actor();
    const [signed, asked] = [keepBack(stage, alice, "withdrawSigned"), proposal(stage, alice, "withdrawProposal")];
    alice.client.withdraw({ asset: "ETH", amount: parseEther("0.6") }).catch(() => {});
    const { withdrawal, signature } = await asked;
    const { signature: cosigned } = await signed;
    await stage.judge(async () => {
      stage.tried("withdrawal sent during an exit");
      await assert.rejects(stage.hub.withdraw(alice.channel, alice.id, big(withdrawal), signature, cosigned));
    });
  });

  scenario("a closing is signed and kept back: nothing more is paid, and it is mined before the exit", async (stage) => {
    const [alice, bob] = [await stage.actor(), await stage.actor()];
    await stage.pay(alice, bob, 1_000n, { wait: true });
    await stage.pay(bob, alice, 70n, { wait: true });
    const [signed, asked] = [keepBack(stage, alice, "closeSigned"), proposal(stage, alice, "closeProposal")];
    alice.client.close().catch(() => {});
    const { closing, signature } = await asked;
    const { signature: cosigned } = await signed;
    await assert.rejects(alice.client.pay({ to: bob.account.address, asset: "ETH", amount: 5n }), { code: "channel-closing" });
    // A payment to her on top of it is not taken either: the closing does not name it.
    await stage.alone();
    assert.equal((await stage.forge(alice, [{ transfer: { amount: "5", memo: "" } }], { what: "payment after a closing" })).type, "refused");
    await stage.hub.close(alice.channel, alice.id, big(closing), signature, cosigned);
    stage.tried("closing sent twice");
    await assert.rejects(stage.hub.close(alice.channel, alice.id, big(closing), signature, cosigned));
    await assert.rejects(stage.hub.startExit(alice.channel, []).then(() => stage.hub.settle(alice.channel)));
  });

  scenario("a closing is signed and kept back, and the client leaves: it can't be used in the exit", async (stage) => {
    const [alice, bob] = [await stage.actor(), await stage.actor()];
    await stage.pay(bob, alice, 70n, { wait: true });
    const [signed, asked] = [keepBack(stage, alice, "closeSigned"), proposal(stage, alice, "closeProposal")];
    alice.client.close().catch(() => {});
    const { closing, signature } = await asked;
    const { signature: cosigned } = await signed;
    await stage.judge(async () => {
      stage.tried("closing sent during an exit");
      await assert.rejects(stage.hub.close(alice.channel, alice.id, big(closing), signature, cosigned));
    });
  });

  scenario("a withdrawal and then a closing: what was withdrawn is not paid again", async (stage) => {
    const [alice, bob] = [await stage.actor(), await stage.actor()];
    await stage.pay(alice, bob, 1_000n, { wait: true });
    await alice.client.withdraw({ asset: "ETH", amount: 5_000n });
    const asked = proposal(stage, alice, "closeProposal");
    const signed = keepBack(stage, alice, "closeSigned");
    alice.client.close().catch(() => {});
    const { closing, signature } = await asked;
    const { signature: cosigned } = await signed;
    await stage.alone();
    stage.tried("closing after a withdrawal");
    await stage.hub.close(alice.channel, alice.id, big(closing), signature, cosigned);
    await stage.judge();
    assert.equal(alice.verdict.has, alice.verdict.due);
  });

  scenario("closings and withdrawals of the hub's own making are not signed", async (stage) => {
    const [alice, bob] = [await stage.actor(), await stage.actor()];
    await stage.pay(bob, alice, 5_000n, { wait: true });
    await stage.alone();
    const { signerKey } = stage.world.hub;
    const { timestamp } = await stage.chain.reader.getBlock();
    const deadline = Number(timestamp) + 900;
    const state = await stage.hub.assetState(alice.id);
    const all = state.depositA + state.depositB;
    const closing = (a, changes = {}) => ({
      assets: [{ asset: ETH, totals: { a: String(a), b: String(all - BigInt(a)) }, deposits: { a: String(state.depositA), b: String(state.depositB) } }],
      deadline,
      ...changes,
    });
    const fair = state.depositA + 5_000n;
    const withdrawal = (changes) => ({ asset: ETH, side: "B", total: "1", recipient: stage.world.hub.owner, deadline, ...changes });
    const twice = closing(fair);
    const proposals = [
      ["closeProposal", "closing", closing(fair - 1n)],
      ["closeProposal", "closing", closing(0n)],
      ["closeProposal", "closing", closing(fair, { deadline: deadline + 10 ** 7 })],
      ["closeProposal", "closing", closing(fair, { deadline: 1 })],
      ["closeProposal", "closing", { ...twice, assets: [...twice.assets, ...twice.assets] }],
      ["closeProposal", "closing", closing(fair), generatePrivateKey()],
      ["withdrawProposal", "withdrawal", withdrawal({ total: String(state.depositB) })],
      ["withdrawProposal", "withdrawal", withdrawal({ side: "A", total: "1000" })],
      ["withdrawProposal", "withdrawal", withdrawal({ deadline: deadline + 10 ** 7 })],
      ["withdrawProposal", "withdrawal", withdrawal({ total: "0" })],
      ["withdrawProposal", "withdrawal", withdrawal({}), generatePrivateKey()],
    ];
    for (const [type, name, terms, key = signerKey] of proposals) {
      stage.tried("unfair proposal");
      const answered = stage.proxy.next(({ from, message }) => from === "client" && ["declined", "closeSigned", "withdrawSigned"].includes(message.type));
      const signature = await alice.sign[name](key, big(terms));
      stage.say(alice, { type, [name]: terms, signature, submit: false });
      assert.equal((await answered).type, "declined", JSON.stringify(terms));
    }
    // Of its own money it may take what it can't owe any more, and not twice.
    const own = withdrawal({ total: String(state.depositB - 5_000n) });
    const signed = stage.heard("client", alice, "withdrawSigned");
    stage.say(alice, { type: "withdrawProposal", withdrawal: own, signature: await alice.sign.withdrawal(signerKey, big(own)), submit: false });
    const { signature: a } = await signed;
    const again = stage.heard("client", alice, "declined");
    const more = withdrawal({ total: String(state.depositB - 4_999n) });
    stage.say(alice, { type: "withdrawProposal", withdrawal: more, signature: await alice.sign.withdrawal(signerKey, big(more)), submit: false });
    await again;
    stage.tried("all of the hub's side withdrawn");
    await stage.hub.withdraw(alice.channel, alice.id, big(own), a, await alice.sign.withdrawal(signerKey, big(own)));
    assert.equal((await stage.forge(alice, [{ transfer: { amount: "1", memo: "" } }], { what: "payment of what was withdrawn" })).type, "refused");
  });
});
