// Clients of a test in a small world. What a test connects is let go when it ends.

import { farthing } from "./env.mjs";

const { connect } = await farthing();

/**
 * `local(account, options)` connects a client with the account's key, whose state lives in memory unless `options` say
 * otherwise; `disconnectAll()` ends all of them. `world` gives the world, which may not be there yet.
 */
export function clientsOf(world) {
  const clients = [];
  return {
    async local({ privateKey }, options = {}) {
      const { hubUrl: hub, rpcUrl: rpc } = world();
      const client = await connect({ hub, rpc, wallet: { privateKey }, store: "memory", pollInterval: 100, ...options });
      clients.push(client);
      return client;
    },
    disconnectAll: () => Promise.all(clients.splice(0).map((client) => client.disconnect())),
  };
}
