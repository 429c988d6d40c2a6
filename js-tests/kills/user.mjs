// A user as a process of its own, which may be killed at any moment: the packed package, a store on disk, and nothing
// else that it remembers. It is told what to do by lines of JSON on its input, and tells what happens on its output.

import { createInterface } from "node:readline";
import { farthing, packageFile } from "../support/env.mjs";

const { connect } = await farthing();
const { hub, rpc, privateKey, path, kind, tower } = JSON.parse(process.env.FARTHING_USER);
const tell = (said) => process.stdout.write(`${JSON.stringify(said, (_, value) => (typeof value === "bigint" ? String(value) : value))}\n`);

const open = kind === "file" ? (await packageFile("store/file.mjs")).fileStore : (await packageFile("store/sqlite.mjs")).sqliteStore;
const inner = await open(path);
// Whoever kills it hears of every commit before and after it.
const store = {
  load: (prefix) => inner.load(prefix),
  async commit(writes) {
    tell({ event: "committing" });
    await inner.commit(writes);
    tell({ event: "committed" });
  },
  close: () => inner.close(),
};

const client = await connect({ hub, rpc, wallet: { privateKey }, store, pollInterval: 100, watchtowers: [tower] });
client.on("payment", ({ payment: { direction, status, id } }) => tell({ event: "payment", direction, status, id }));
const incoming = new Map();
client.on("stream", ({ stream }) => {
  incoming.set(stream.key, stream);
  tell({ event: "stream", key: stream.key });
});
client.on("error", ({ error }) => tell({ event: "error", code: error.code, message: error.message }));
client.on("connected", () => tell({ event: "connected" }));

const commands = {
  async deposit({ amount }) {
    await client.deposit({ asset: "ETH", amount: BigInt(amount) });
    return {};
  },

  /** Pays with an id, or finds out what became of the payment that has it. */
  async pay({ to, amount, id }) {
    try {
      const { status, preimage } = await client.pay({ to, asset: "ETH", amount: BigInt(amount), id, wait: true });
      return { status, preimage };
    } catch (error) {
      const found = (await client.payments({ limit: 100_000 })).find((payment) => payment.id === id);
      // What was never signed has no record, and can be asked for again under the same id.
      return { status: found?.status ?? "unknown", code: error.code, preimage: found?.preimage };
    }
  },

  /** Places a stream, or takes up the one that has the id, and pays so many units of it; what is told is stored. */
  async word({ to, id, units, unitPrice, more }) {
    try {
      const stream = await client.stream({ to, asset: "ETH", unitPrice: BigInt(unitPrice), units, id });
      if (stream.ended) return { ended: true };
      const paid = stream.remaining >= more ? stream.pay(more) : undefined;
      await stream.saved();
      return { key: stream.key, paid };
    } catch (error) {
      return { code: error.code };
    }
  },

  /** Takes a word, and stores what it proves; without one gives the rest up. */
  async take({ key, paid }) {
    const stream = incoming.get(key);
    if (stream === undefined) return { known: false };
    try {
      if (paid === undefined) await stream.giveUp();
      else {
        stream.take(paid);
        await stream.reveal();
      }
      return { known: true };
    } catch (error) {
      return { known: true, code: error.code };
    }
  },

  payments: async () => ({ payments: await client.payments({ limit: 100_000 }) }),
  kit: async () => ({ kit: JSON.parse(await client.exportExitKit()) }),
  info: async () => ({ info: client.info }),

  async close() {
    await client.close();
    return {};
  },

  async exit() {
    await client.exit({ onProgress: ({ stage, endsAt, locks }) => tell({ event: "exit", stage, endsAt, locks }) });
    return {};
  },
};

tell({ event: "ready" });
for await (const line of createInterface({ input: process.stdin })) {
  const { call, ...options } = JSON.parse(line);
  commands[options.command](options).then(
    (answer) => tell({ call, ...answer }),
    (error) => tell({ call, error: { code: error.code, message: error.message } }),
  );
}
