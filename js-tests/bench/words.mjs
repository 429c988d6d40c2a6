// A unit paid and a unit verified, beside what others sign and recover for the same: a voucher of x402's batch settlement and one
// of MPP's session. Each must be valid, or nothing is measured.

import { parseEther } from "viem";
import { clientsOf } from "../support/clients.mjs";
import { packageFile } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";
import { alternate, rateOf } from "./alternate.mjs";
import { vouchers } from "./peers/vouchers.mjs";

const UNITS = 16_384;
/** Of each round: as many as take some tenths of a second. */
const WORDS = 4_000;
const PAGE_WORDS = 1_000;
const VOUCHERS = 100;

/** `{ pay, page, verify, x402: { sign, verify }, mpp: { … } }`, each a rate. */
export async function words({ rounds = 3 } = {}) {
  const world = await createWorld();
  const { local, disconnectAll } = clientsOf(() => world);
  try {
    const [payer, payee] = [await local(await world.account()), await local(await world.account())];
    await payer.deposit({ asset: "ETH", amount: parseEther("1") });
    /** Streams of the payer's, each with what the payee has of it. */
    const place = async () => {
      const told = new Promise((resolve) => {
        const off = payee.on("stream", ({ stream }) => (off(), resolve(stream)));
      });
      const stream = await payer.stream({ to: payee.info.address, asset: "ETH", unitPrice: 1_000n, units: UNITS });
      return { stream, incoming: await told, words: [] };
    };
    const lanes = [await place()];
    let lane = lanes[0];
    const refill = async () => {
      if (lane.stream.remaining < WORDS) lanes.push((lane = await place()));
    };
    const { chainOf, wordAt } = await packageFile("pay/chain.mjs");
    const { marks, tip } = chainOf(crypto.getRandomValues(new Uint8Array(32)), UNITS);
    if (wordAt(marks, 0) !== tip) throw new Error("a page's chain does not end in its tip");
    let place_ = 0;

    const peers = await vouchers(VOUCHERS);
    const times = await alternate(
      {
        async pay() {
          await refill();
          return rateOf(() => lane.words.push(lane.stream.pay(1)), WORDS);
        },
        page: () => rateOf(() => wordAt(marks, (place_ = (place_ + 1) % UNITS)), PAGE_WORDS),
        async verify() {
          const { incoming, words } = lane;
          const before = incoming.proved;
          const rate = await rateOf(() => incoming.take(words.shift()), WORDS);
          if (incoming.proved - before !== WORDS) throw new Error("a word was not taken");
          return rate;
        },
        x402Sign: () => rateOf((index) => peers.x402.sign(index), VOUCHERS),
        x402Verify: () => rateOf((index) => peers.x402.verify(index), VOUCHERS),
        mppSign: () => rateOf((index) => peers.mpp.sign(index), VOUCHERS),
        mppVerify: () => rateOf((index) => peers.mpp.verify(index), VOUCHERS),
      },
      { rounds },
    );
    return Object.fromEntries(Object.entries(times).map(([name, { rate }]) => [name, rate]));
  } finally {
    await disconnectAll();
    await world.stop();
  }
}
