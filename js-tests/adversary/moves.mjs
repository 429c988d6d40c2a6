// What a hostile hub may do at any moment: say something false to a client, or something old, or go to the chain.

import { ETH } from "./chain.mjs";
import { highS } from "./signing.mjs";

export function moves(stage, { draw, pick }) {
  const { signerKey } = stage.world.hub;
  const kept = [];
  const zero = (value) => BigInt(value ?? 0);
  const big = (terms) => JSON.parse(JSON.stringify(terms), (name, value) => (["total", "a", "b", "deadline"].includes(name) ? BigInt(value) : value));
  const past = (actor, from, type) => actor.record.said.filter((one) => one.from === from && (!type || one.message.type === type)).map(({ message }) => message);

  const tricks = {
    "replayed message to the client": (actor) => stage.say(actor, ...repeat(past(actor, "hub"))),
    "replayed message to the hub": (actor) => stage.proxy.toHub(actor.id, repeat(past(actor, "client"))),
    "connection cut": (actor) => stage.proxy.cut(actor.id),
    async "forged acceptance"(actor) {
      const update = pick(past(actor, "client", "update"))?.update;
      if (update) await stage.accept(actor, update, draw(2) === 0);
    },
    "refusal of what was signed"(actor) {
      const update = pick(past(actor, "client", "update"))?.update;
      if (update) stage.say(actor, { type: "refused", asset: ETH, nonce: update.proof.nonce, code: pick(["unknown-base", "chain-stale", "bad-op", "insufficient-funds"]), message: "" });
    },
    "failure of a lock"(actor) {
      const [update, op] = lockOf(actor);
      if (op) stage.say(actor, { type: "fail", asset: ETH, slot: op.slot, placed: update.proof.nonce, code: "payee-declined" });
    },
    "reveal of a secret, right or wrong"(actor) {
      const [update, op] = lockOf(actor);
      const known = stage.actors.flatMap(({ record }) => record.reveals("client"));
      const evidence = pick(known)?.evidence ?? `0x${"31".repeat(32)}`;
      if (op) stage.say(actor, { type: "reveal", asset: ETH, slot: op.slot, placed: update.proof.nonce, evidence });
    },
    "forged funds": (actor) => stage.say(actor, { type: "funds", asset: ETH, deposits: { a: String(draw(2) * 10 ** 6), b: "900000000000000000000" } }),
    "forged sync"(actor) {
      const signed = past(actor, "client", "update").map(({ update: { proof, signature } }) => ({ proof, signature }));
      const own = past(actor, "hub", "update").map(({ update: { proof, signature } }) => ({ proof, signature }));
      stage.say(actor, { type: "sync", lanes: [{ asset: ETH, accepted: pick(signed), signed: draw(2) ? pick(own) : undefined }] });
    },
    async "forged update"(actor) {
      const amount = String(1 + draw(10 ** 6));
      const change = pick([
        (proof) => proof,
        (proof) => ({ ...proof, transferred: String(zero(proof.transferred) * 2n + 5n) }),
        (proof) => ({ ...proof, transferred: "0" }),
        (proof) => ({ ...proof, locksRoot: `0x${"77".repeat(32)}` }),
      ]);
      const lane = actor.record.lane("hub", ETH);
      const nonce = pick([lane.highest + 1, lane.highest + 1, lane.highest, Math.max(1, lane.accepted)]);
      const content = (lane.states.get(lane.accepted) ?? lane.states.get(0)).clone().apply([{ transfer: { amount, memo: "" } }]);
      const proof = change(content.proof(nonce));
      const signature = await actor.sign.proof(signerKey, { asset: ETH, payer: "B", proof });
      const update = { base: lane.accepted, ops: [{ transfer: { amount, memo: "" } }], proof, signature: draw(5) === 0 ? highS(signature) : signature };
      actor.record.see("hub", { type: "update", asset: ETH, update });
      stage.say(actor, { type: "update", asset: ETH, update });
    },
    async "unfair proposal"(actor) {
      const state = await stage.hub.assetState(actor.id);
      const all = state.depositA + state.depositB;
      const { timestamp } = await stage.chain.reader.getBlock();
      const a = pick([0n, state.depositA, all / 2n]);
      const closing = { assets: [{ asset: ETH, totals: { a: String(a), b: String(all - a) }, deposits: { a: String(state.depositA), b: String(state.depositB) } }], deadline: Number(timestamp) + 600 };
      stage.say(actor, { type: "closeProposal", closing, signature: await actor.sign.closing(signerKey, big(closing)), submit: draw(2) === 0 });
    },
    async "hub killed and started again"() {
      if (stage.proxy.alone) return;
      await stage.world.hub.stop("SIGKILL");
      await stage.world.hub.start();
    },
  };

  const repeat = (messages) => (messages.length === 0 ? [] : Array.from({ length: 1 + draw(3) }, () => pick(messages)));

  const lockOf = (actor) => {
    const update = pick(past(actor, "client", "update").filter(({ update: { ops } }) => ops.some((op) => op.lock)))?.update;
    return update ? [update, pick(update.ops.filter((op) => op.lock)).lock] : [];
  };

  /** What the contract refuses is no loss. */
  async function attempt(what, sending) {
    stage.tried(what);
    await sending.catch(() => stage.tried("refused on chain"));
  }

  /** All that the hub may show. */
  const showable = (actor) => [...actor.record.proofs("client", ETH), ...actor.record.proofs("hub", ETH).filter(({ acknowledgement }) => acknowledgement !== "0x")];

  return {
    async trick(actor) {
      const [what, move] = pick(Object.entries(tricks));
      stage.tried(what);
      await move(actor);
    },

    async alone() {
      stage.tried("hub gone");
      await stage.alone();
    },

    /** Starts an exit with any of the proofs, and agreements that were signed before. */
    async exit(actor) {
      for (const { withdrawal, signature } of past(actor, "client", "withdrawProposal")) kept.push([actor, withdrawal, signature]);
      const proofs = showable(actor);
      await attempt("exit with any proof", stage.hub.startExit(actor.channel, proofs.length > 0 && draw(4) > 0 ? [pick(proofs)] : []));
    },

    /** In the challenge period: more proofs, all evidence, and what can't be sent any more. */
    async during(actor) {
      for (const proof of showable(actor)) if (draw(2) === 0) await attempt("old proof on chain", stage.hub.submitProofs(actor.channel, [proof]));
      for (const { evidence } of stage.actors.flatMap(({ record }) => record.reveals("client"))) {
        const locks = [...actor.record.lane("client", ETH).states.values()].flatMap((lane) => [...lane.locks.values()]);
        for (const lock of new Map(locks.map((one) => [one.key, one])).values()) {
          if (lock.condition.params === (await sha(evidence))) await attempt("evidence on chain", stage.hub.recordEvidence(lock, evidence));
        }
      }
      for (const [whose, withdrawal, signature] of kept) {
        if (whose !== actor) continue;
        const cosigned = await actor.sign.withdrawal(signerKey, big(withdrawal));
        await attempt("withdrawal sent late", stage.hub.withdraw(actor.channel, actor.id, big(withdrawal), signature, cosigned));
      }
    },
  };
}

async function sha(hex) {
  const digest = await crypto.subtle.digest("SHA-256", Buffer.from(hex.slice(2), "hex"));
  return `0x${Buffer.from(digest).toString("hex")}`;
}
