// An RPC between a client and the world's node that refuses what it is told to refuse.

import { createServer } from "node:http";

/** `refuse(method, params)` gives a message, or nothing. Gives `{ url, refused, close }`; `refused` has the calls, in order. */
export async function rpcProxy(rpcUrl, refuse) {
  const refused = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", async () => {
      const { id, method, params } = JSON.parse(body);
      response.setHeader("content-type", "application/json");
      const message = refuse(method, params);
      if (message !== undefined) {
        refused.push({ method, params });
        response.end(JSON.stringify({ jsonrpc: "2.0", id, error: { code: -32602, message } }));
        return;
      }
      const answer = await fetch(rpcUrl, { method: "POST", headers: { "content-type": "application/json" }, body });
      response.end(await answer.text());
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => new Promise((resolve) => (server.close(resolve), server.closeAllConnections()));
  return { url: `http://127.0.0.1:${server.address().port}`, refused, close };
}
