// A relay as WalletConnect's, on this machine: it hands each topic's messages, which it can't read, to whoever has subscribed,
// or keeps them until somebody has.

import { WebSocketServer } from "ws";

export async function startRelay() {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await new Promise((resolve) => server.on("listening", resolve));
  const topics = new Map();
  let count = 0;
  const next = () => (count += 1);
  const topic = (name) => topics.get(name) ?? topics.set(name, { kept: [], readers: new Map() }).get(name);
  const hand = (id, socket, data) => socket.send(JSON.stringify({ jsonrpc: "2.0", id: next(), method: "irn_subscription", params: { id, data } }));

  function publish(name, message, from, tag = 0) {
    const data = { topic: name, message, publishedAt: Date.now(), tag };
    const { kept, readers } = topic(name);
    const others = [...readers].filter(([, socket]) => socket !== from);
    for (const [id, socket] of others) hand(id, socket, data);
    if (others.length === 0) kept.push({ data, from });
    return true;
  }

  function subscribe(name, socket) {
    const id = next().toString(16).padStart(64, "0");
    const { kept, readers } = topic(name);
    readers.set(id, socket);
    // Whoever comes later gets what was said meanwhile.
    for (const one of kept.filter(({ from }) => from !== socket)) {
      kept.splice(kept.indexOf(one), 1);
      setImmediate(() => hand(id, socket, one.data));
    }
    return id;
  }

  const CALLS = {
    irn_subscribe: ({ topic }, socket) => subscribe(topic, socket),
    irn_batchSubscribe: ({ topics }, socket) => topics.map((topic) => subscribe(topic, socket)),
    irn_unsubscribe: ({ topic: name, id }) => topic(name).readers.delete(id),
    irn_publish: ({ topic, message, tag }, socket) => publish(topic, message, socket, tag),
    irn_batchFetchMessages: () => ({ messages: [], hasMore: false }),
    wc_proposeSession({ pairingTopic, sessionProposal }, socket) {
      subscribe(pairingTopic, socket);
      return publish(pairingTopic, sessionProposal, socket, 1_100);
    },
    wc_approveSession({ pairingTopic, sessionTopic, sessionProposalResponse, sessionSettlementRequest }, socket) {
      subscribe(sessionTopic, socket);
      publish(pairingTopic, sessionProposalResponse, socket, 1_101);
      return publish(sessionTopic, sessionSettlementRequest, socket, 1_102);
    },
  };

  server.on("connection", (socket) => {
    socket.on("message", (text) => {
      const { id, method, params } = JSON.parse(text);
      if (method === undefined) return;
      const result = CALLS[method]?.(params, socket);
      socket.send(JSON.stringify(result === undefined ? { jsonrpc: "2.0", id, error: { code: -32_601, message: method } } : { jsonrpc: "2.0", id, result }));
    });
    socket.on("close", () => topics.forEach(({ readers }) => readers.forEach((reader, id) => reader === socket && readers.delete(id))));
  });
  const cut = () => server.clients.forEach((socket) => socket.terminate());
  return { url: `ws://127.0.0.1:${server.address().port}`, cut, close: () => (cut(), new Promise((resolve) => server.close(resolve))) };
}
