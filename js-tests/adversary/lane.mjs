// One lane's content, as the ops of its updates make it. Whoever holds the payer's key can sign the next step with it,
// a sound one or any other.

import { conditionKey, tree } from "./signing.mjs";

export class Lane {
  transferred = 0n;
  /** Slot to lock. */
  locks = new Map();

  clone() {
    const copy = new Lane();
    copy.transferred = this.transferred;
    copy.locks = new Map([...this.locks].map(([slot, lock]) => [slot, { ...lock }]));
    return copy;
  }

  get locked() {
    return [...this.locks.values()].reduce((sum, { n, redeemed, unitPrice }) => sum + BigInt(n - redeemed) * unitPrice, 0n);
  }

  /** The slot after the highest that is taken. */
  get freeSlot() {
    return Math.max(-1, ...this.locks.keys()) + 1;
  }

  /** Applies the ops of the wire; gives itself. */
  apply(ops) {
    for (const op of ops) {
      const [[kind, what]] = Object.entries(op);
      if (kind === "transfer") this.transferred += BigInt(what.amount);
      if (kind === "release") this.locks.delete(what.slot);
      if (kind === "lock") {
        const { slot, condition, expiry, n, unitPrice } = what;
        this.locks.set(slot, { key: conditionKey(condition, expiry), n, unitPrice: BigInt(unitPrice), redeemed: 0, condition, expiry });
      }
      if (kind === "redeem") {
        const lock = this.locks.get(what.slot);
        if (lock === undefined) continue;
        this.transferred += BigInt(what.units - lock.redeemed) * lock.unitPrice;
        lock.redeemed = what.units;
        if (lock.redeemed === lock.n) this.locks.delete(what.slot);
      }
    }
    return this;
  }

  /** What a proof says of it, as the wire writes it. */
  proof(nonce, seen = 0) {
    return { nonce, transferred: String(this.transferred), locked: String(this.locked), locksRoot: tree(this.locks).root, seen };
  }
}
