// An RPC between a client and the world's node that has the faults of real ones: chosen by name, when by a seed.

import { createServer } from "node:http";

/** Numbers from 0 to 1, the same for the same seed. */
export function chance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const failing = (code, message) => ({ body: ({ id }) => JSON.stringify({ jsonrpc: "2.0", id, error: { code, message } }) });
const every = (share, outcome) => ({ random }) => (random() < share ? outcome : undefined);
const span = ({ params: [{ fromBlock, toBlock }] }) => Number(BigInt(toBlock) - BigInt(fromBlock)) + 1;

/**
 * By name: `(context) => outcome`, or `undefined` for none. Before the node is asked: `{ status, headers, body, drop,
 * hang, wait }`; `lost` asks the node and drops its answer; `change` makes another answer of the node's.
 */
export const FAULTS = {
  "http-429": every(0.3, { status: 429, body: () => "slow down" }),
  "http-429-retry-after": every(0.1, { status: 429, headers: { "retry-after": "1" }, body: () => "slow down" }),
  "http-503": every(0.3, { status: 503, body: () => "" }),
  "rate-limit-32005": every(0.25, failing(-32005, "limit exceeded")),
  "internal-error": every(0.25, failing(-32603, "Internal error")),
  "header-not-found": ({ call, random }) => (call.method === "eth_call" && random() < 0.3 ? failing(-32000, "header not found") : undefined),
  html: every(0.25, { body: () => "<html><body>One moment please</body></html>" }),
  truncated: every(0.25, { change: (text) => text.slice(0, -9) }),
  "wrong-id": every(0.2, { change: (_, { id }) => JSON.stringify({ jsonrpc: "2.0", id: id + 1000, result: "0x1" }) }),
  null: ({ call, random }) => (call.method !== "eth_sendRawTransaction" && random() < 0.25 ? { body: ({ id }) => JSON.stringify({ jsonrpc: "2.0", id, result: null }) } : undefined),
  drop: every(0.25, { drop: true }),
  hang: ({ random, once }) => (random() < 0.1 && once("hang") ? { hang: true } : undefined),
  latency: () => ({ wait: 150 }),
  "latency-2s": () => ({ wait: 2_000 }),
  "heads-go-back": ({ call, random }) =>
    call.method === "eth_getBlockByNumber" && call.params[0] === "latest" && random() < 0.4 ? { back: 3 } : undefined,
  "late-receipts": ({ call, times }) => (call.method === "eth_getTransactionReceipt" && times(call.params[0]) < 4 ? { body: ({ id }) => JSON.stringify({ jsonrpc: "2.0", id, result: null }) } : undefined),
  "no-receipts": ({ call }) => (call.method === "eth_getTransactionReceipt" ? { body: ({ id }) => JSON.stringify({ jsonrpc: "2.0", id, result: null }) } : undefined),
  "logs-limit": ({ call }) => (call.method === "eth_getLogs" && span(call) > 3 ? failing(-32602, "query exceeds max block range 3") : undefined),
  "lost-answers": ({ call, times }) => (call.method === "eth_sendRawTransaction" && times(call.params[0]) === 0 ? { lost: true } : undefined),
  "error-after-taking": ({ call, times }) => (call.method === "eth_sendRawTransaction" && times(call.params[0]) === 0 ? { change: (text, { id }) => failing(-32603, "Internal error").body({ id }) } : undefined),
  "tells-its-url": () => failing(-32601, "no such method at https://rpc.example/v3/c0ffee5ec2e7?key=c0ffee, ask there"),
  "denied-for-a-moment": every(0.2, { status: 403, body: () => "" }),
  "conflict-for-a-moment": every(0.2, { status: 409, body: () => "" }),
  "logs-limit-32005": ({ call }) => (call.method === "eth_getLogs" && span(call) > 3 ? failing(-32005, "limit exceeded") : undefined),
  "refused-after-taking": ({ call }) => (call.method === "eth_sendRawTransaction" ? { change: (text, { id }) => failing(-32000, "not accepted").body({ id }) } : undefined),
};

/**
 * With these faults. Gives `{ url, calls, hits, rules, lie, close }`: what was asked, how often each fault struck, and
 * `lie(call => result)`, for an answer of its own. `rules` may get `answer(call) => outcome`, asked before the faults,
 * `change(text, call)` of what the node answers, and `after(call) => { drop }`, which loses what it answers.
 */
export async function faultyRpc(rpcUrl, names, seed = 1) {
  const random = chance(seed);
  const [calls, hits, counts] = [[], {}, new Map()];
  const times = (key) => (counts.set(key, (counts.get(key) ?? -1) + 1), counts.get(key));
  const once = (key) => times(key) === 0;
  const rules = { names };
  const ask = async (call) => (await fetch(rpcUrl, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(call) })).text();
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", async () => {
      const call = JSON.parse(body);
      calls.push(call);
      let outcome;
      const own = rules.lie?.(call);
      if (own !== undefined) outcome = { body: ({ id }) => JSON.stringify({ jsonrpc: "2.0", id, result: own }) };
      outcome ??= rules.answer?.(call);
      for (const name of outcome === undefined ? rules.names : []) {
        outcome = FAULTS[name]({ call, random, times, once });
        if (outcome !== undefined) {
          hits[name] = (hits[name] ?? 0) + 1;
          break;
        }
      }
      if (outcome?.hang) return;
      if (outcome?.drop) return request.socket.destroy();
      if (outcome?.wait) await new Promise((resolve) => setTimeout(resolve, outcome.wait));
      response.writeHead(outcome?.status ?? 200, { "content-type": "application/json", ...outcome?.headers });
      if (outcome?.body) return response.end(outcome.body(call));
      try {
        if (outcome?.back) {
          const { result } = JSON.parse(await ask({ ...call, method: "eth_blockNumber", params: [] }));
          return response.end(await ask({ ...call, params: [`0x${(BigInt(result) - BigInt(outcome.back)).toString(16)}`, false] }));
        }
        const answer = await ask(call);
        if (outcome?.lost || rules.after?.(call)?.drop) return request.socket.destroy();
        const change = outcome?.change ?? rules.change;
        response.end(change ? change(answer, call) : answer);
      } catch {
        request.socket.destroy();
      }
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => new Promise((resolve) => (server.close(resolve), server.closeAllConnections()));
  const lie = (answer) => (rules.lie = answer);
  return { url: `http://127.0.0.1:${server.address().port}`, calls, hits, rules, lie, close };
}
