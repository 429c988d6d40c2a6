// Stands in front of a hub and speaks for it: sees every call and message, and passes on what its rules leave of them.

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { WebSocket, WebSocketServer } from "ws";
import { Record } from "./record.mjs";

/**
 * `{ url, rules, silent, alone, backups, record(channelId), next(test), toClient(…), toHub(…), cut(…), stop() }`.
 * `rules.call(method, params, ask)` answers a call (`ask()` gives the hub's own answer); `rules.up` and `rules.down` get
 * the messages of a frame and its channel, and give those that are passed on. While it is `silent` it takes what comes
 * and answers nothing. While it is `alone` it is the hub itself: it lets clients in, and says only what the test says.
 */
export async function createProxy(hubUrl) {
  const records = new Map();
  const waiting = new Set();
  const proxy = { rules: {}, silent: false, alone: false, tampered: 0, links: new Set(), backups: new Map() };
  proxy.record = (channelId) => {
    if (!records.has(channelId)) records.set(channelId, new Record());
    return records.get(channelId);
  };

  /** The next message, of either side, that passes the test: `test({ from, channelId, message })`. */
  proxy.next = (test) => new Promise((resolve) => waiting.add({ test, resolve }));
  const see = (from, channelId, message) => {
    proxy.record(channelId).see(from, message);
    for (const entry of [...waiting]) {
      if (!entry.test({ from, channelId, message })) continue;
      waiting.delete(entry);
      entry.resolve(message);
    }
  };

  const pass = (direction, channelId, messages) => {
    const kept = proxy.rules[direction]?.(messages, channelId) ?? messages;
    if (kept !== messages) proxy.tampered += 1;
    return kept;
  };
  const frame = (channelId, messages) => JSON.stringify({ jsonrpc: "2.0", method: "farthing_messages", params: { channelId, messages } });
  const linkOf = (channelId) => [...proxy.links].findLast((link) => link.channelId === channelId);
  proxy.toClient = (channelId, messages) => linkOf(channelId)?.client.send(frame(channelId, messages));
  proxy.toHub = (channelId, messages) => linkOf(channelId)?.hub?.send(frame(channelId, messages));
  /** Anything at all, as a frame. */
  proxy.rawToClient = (channelId, data) => linkOf(channelId)?.client.send(data);
  proxy.cut = (channelId) => linkOf(channelId)?.client.close();

  // What the hub has said before, for the time when it is gone.
  const remembered = new Map();
  const name = (method, params) => `${method} ${JSON.stringify(params)}`;
  const own = {
    farthing_challenge: () => ({ challenge: `0x${randomBytes(32).toString("hex")}` }),
    farthing_attach: () => ({ attached: true }),
    farthing_backupPut: () => ({ kept: true }),
    farthing_backupGet: ({ channelId }) => ({ backup: proxy.backups.get(channelId)?.at(-1) ?? null }),
  };
  const impersonate = async (method, params) => own[method]?.(params) ?? remembered.get(name(method, params)) ?? {};

  /** Answers a call by the rules; `ask` gives what the hub says, a whole JSON-RPC answer. */
  const answer = async ({ id, method, params = {} }, ask) => {
    let refusal;
    if (method === "farthing_backupPut") {
      const { channelId, backup } = params;
      proxy.backups.set(channelId, [...(proxy.backups.get(channelId) ?? []), backup]);
    }
    const asked = async () => {
      if (proxy.alone) return impersonate(method, params);
      const said = await ask();
      if (said.error !== undefined) {
        refusal = said.error;
        throw new Error(said.error.message);
      }
      remembered.set(name(method, params), said.result);
      return said.result;
    };
    try {
      const result = proxy.rules.call ? await proxy.rules.call(method, params, asked) : await asked();
      return { jsonrpc: "2.0", id, result };
    } catch (error) {
      return { jsonrpc: "2.0", id, error: refusal ?? error.rpc ?? { code: -32000, message: error.message } };
    }
  };

  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    if (proxy.silent) return;
    const body = Buffer.concat(chunks).toString();
    const ask = async () => {
      const answered = await fetch(proxy.hubUrl(), { method: "POST", headers: { "content-type": "application/json" }, body });
      return answered.json();
    };
    const said = await answer(JSON.parse(body), ask);
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(said));
  });
  proxy.hubUrl = typeof hubUrl === "function" ? hubUrl : () => hubUrl;

  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (client) => {
    const hub = proxy.alone ? undefined : new WebSocket(proxy.hubUrl().replace(/^http/, "ws"));
    const link = { client, hub, channelId: undefined };
    proxy.links.add(link);
    const opened = hub === undefined ? Promise.resolve() : once(hub, "open");
    opened.catch(() => client.close());
    const answers = new Map();
    let last = 0;
    const ask = (method, params) =>
      new Promise((resolve, reject) => {
        last += 1;
        answers.set(last, resolve);
        opened.then(() => hub.send(JSON.stringify({ jsonrpc: "2.0", id: last, method, params })), reject);
      });
    client.on("message", async (data) => {
      if (proxy.silent) return;
      const said = JSON.parse(data.toString());
      if (said.method === "farthing_messages") {
        const { channelId, messages } = said.params;
        for (const message of messages) see("client", channelId, message);
        const kept = pass("up", channelId, messages);
        if (kept.length > 0 && hub?.readyState === WebSocket.OPEN) hub.send(frame(channelId, kept));
        return;
      }
      if (said.method === "farthing_attach") link.channelId = said.params.channelId;
      const answered = await answer(said, () => ask(said.method, said.params));
      if (!proxy.silent) client.send(JSON.stringify(answered));
    });
    hub?.on("message", (data) => {
      const said = JSON.parse(data.toString());
      if (said.id !== undefined && said.id !== null && answers.has(said.id)) {
        answers.get(said.id)(said);
        answers.delete(said.id);
        return;
      }
      if (proxy.silent) return;
      if (said.method !== "farthing_messages") return client.send(data.toString());
      const { channelId, messages } = said.params;
      for (const message of messages) see("hub", channelId, message);
      const kept = pass("down", channelId, messages);
      if (kept.length > 0) client.send(frame(channelId, kept));
    });
    const end = () => {
      proxy.links.delete(link);
      client.close();
      hub?.close();
    };
    client.on("close", end);
    client.on("error", end);
    hub?.on("close", () => proxy.silent || proxy.alone || end());
    hub?.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  proxy.url = `http://127.0.0.1:${server.address().port}`;
  proxy.stop = async () => {
    for (const { client, hub } of proxy.links) {
      client.terminate();
      hub?.terminate();
    }
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return proxy;
}
