// All that was said in a channel, and both sides' lanes as it makes them: what a peer that forgets nothing could show.

import { Lane } from "./lane.mjs";

export class Record {
  /** Every message in its order: `{ from, message }`. */
  said = [];
  #sides = { client: new Map(), hub: new Map() };

  /** One side's lane of an asset: `{ updates, states: nonce to lane, highest, accepted, acknowledged: signature of a proof to its acknowledgement }`. */
  lane(payer, asset) {
    const lanes = this.#sides[payer];
    if (!lanes.has(asset)) {
      lanes.set(asset, { updates: [], states: new Map([[0, new Lane()]]), highest: 0, accepted: 0, acknowledged: new Map() });
    }
    return lanes.get(asset);
  }

  see(from, message) {
    this.said.push({ from, message });
    const { type, asset } = message;
    if (type === "update") {
      const { base, ops, proof } = message.update;
      const lane = this.lane(from, asset);
      lane.updates.push(message.update);
      lane.highest = Math.max(lane.highest, proof.nonce);
      const before = lane.states.get(base);
      // What was accepted under a nonce stays what it was, whatever else is signed with it later.
      const settled = proof.nonce <= lane.accepted && lane.states.has(proof.nonce);
      if (before && !settled) lane.states.set(proof.nonce, before.clone().apply(ops));
    }
    if (type === "accepted") {
      const lane = this.lane(from === "hub" ? "client" : "hub", asset);
      lane.accepted = Math.max(lane.accepted, message.nonce);
      // After a restore there may be two proofs with one nonce; the newest is meant.
      const meant = lane.updates.findLast(({ proof }) => proof.nonce === message.nonce);
      if (message.acknowledgement && meant) lane.acknowledged.set(meant.signature, message.acknowledgement);
    }
  }

  /** What was revealed by a side, newest last. */
  reveals(from) {
    return this.said.filter(({ from: who, message }) => who === from && message.type === "reveal").map(({ message }) => message);
  }

  /** A side's proofs with their signatures, and the other side's acknowledgements where it gave them. */
  proofs(payer, asset) {
    const { updates, acknowledged } = this.lane(payer, asset);
    return updates.map(({ proof, signature }) => ({
      asset,
      payer: payer === "client" ? 0 : 1,
      ...proof,
      signature,
      acknowledgement: acknowledged.get(signature) ?? "0x",
    }));
  }
}
