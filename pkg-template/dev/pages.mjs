// Serves the wallet page as its host would, with the headers that keep others out, and a faucet. `docs/wallet.md` of the
// repository is for other hosts.
// @ts-check

/** @import { IncomingMessage, ServerResponse } from "node:http" */

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize, sep } from "node:path";
import { walletFiles, walletHeaders } from "./page.mjs";

export { walletHeaders };

/** @type {Record<string, string>} */
const TYPES = {
  ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
  ".json": "application/json", ".svg": "image/svg+xml", ".wasm": "application/wasm",
};
const LONGEST_BODY = 1_024;
/** A year. */
const KEPT = "public, max-age=31536000, immutable";
/** Milliseconds until an account gets more. */
const FAUCET_PAUSE = 10_000;

/**
 * Sends a file of a folder; `false` if there is none. Only what is named by its content is kept by caches.
 * @param {string} folder @param {string} path @param {ServerResponse} response @param {Record<string, string>} [headers]
 */
export async function sendFile(folder, path, response, headers = {}) {
  const file = join(folder, path.endsWith("/") ? `${path}index.html` : path);
  if (!file.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`) || path.includes("\0")) return false;
  const found = await stat(file).catch(() => undefined);
  if (!found?.isFile()) return false;
  const kept = path.startsWith("/assets/") ? KEPT : "no-store";
  response.writeHead(200, { ...headers, "content-type": TYPES[extname(file)] ?? "application/octet-stream", "content-length": found.size, "cache-control": kept });
  // One that is gone meanwhile ends this answer, not the server.
  createReadStream(file).on("error", () => response.destroy()).pipe(response);
  return true;
}

/** @param {ServerResponse} response @param {number} status @param {unknown} value @param {Record<string, string>} [headers] */
export const sendJson = (response, status, value, headers = {}) =>
  response.writeHead(status, { ...headers, "content-type": "application/json", "cache-control": "no-store" }).end(`${JSON.stringify(value)}\n`);

/** The body as text, or `undefined` if it is longer than a request of ours. @param {IncomingMessage} request */
async function body(request) {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) {
    text += chunk;
    if (text.length > LONGEST_BODY) return undefined;
  }
  return text;
}

/** Starts a server on this machine. @param {(request: IncomingMessage, response: ServerResponse) => unknown} handler */
export async function listen(handler, port = 0) {
  const server = createServer((request, response) => {
    Promise.resolve(handler(request, response)).catch(() => {
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", () => resolve(undefined)));
  return {
    url: `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Names that lead here whatever a name server says: one that a stranger owns may lead here too, and its pages must read nothing. */
const HERE = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/i;

/**
 * The wallet page, of this package or of `folder` with the package in `engine`. `give(address)` is the faucet, where there is
 * one; with it a key may be made in the browser, too.
 * @param {{ folder?: string, engine?: string, hub: string, rpc?: string, give?: (address: string) => Promise<void>, port?: number }} options
 */
export async function servePages({ folder, engine, hub, rpc, give, port }) {
  const headers = walletHeaders({ hub, rpc });
  const files = new Map(walletFiles({ folder, engine }).files.map((file) => [`/${file.path}`, file]));
  const host = { hub, rpc, ...(give === undefined ? {} : { faucet: "faucet", browserKey: true }) };
  /** @type {Map<string, number>} */
  const served = new Map();
  /** @param {(address: string) => Promise<void>} give @param {IncomingMessage} request @param {ServerResponse} response */
  const faucet = async (give, request, response) => {
    // Another site's page can't send this type without asking, and is not answered when it asks.
    if (request.headers["content-type"] !== "application/json") return sendJson(response, 415, { message: "Send JSON." });
    const text = await body(request);
    let address;
    try {
      ({ address } = JSON.parse(text ?? ""));
    } catch {
      return sendJson(response, 400, { message: "Send an account's address as JSON." });
    }
    if (typeof address !== "string" || !/^0x[0-9a-fA-F]{40}$/.test(address)) return sendJson(response, 400, { message: "That is no account's address." });
    const key = address.toLowerCase();
    if (Date.now() - (served.get(key) ?? 0) < FAUCET_PAUSE) return sendJson(response, 429, { message: "This account just got some. Wait ten seconds." });
    served.set(key, Date.now());
    try {
      await give(address);
    } catch (error) {
      // It got nothing.
      served.delete(key);
      throw error;
    }
    return sendJson(response, 200, { message: `Test money is in ${address} now.` });
  };
  return listen((request, response) => {
    if (!HERE.test(request.headers.host ?? "")) return sendJson(response, 421, { message: "This server is this machine's alone, under 127.0.0.1 and localhost." }, headers);
    const path = pathOf(request.url ?? "/");
    if (path === "/config.json" && request.method === "GET") return sendJson(response, 200, host, headers);
    if (path === "/faucet" && request.method === "POST" && give !== undefined) return faucet(give, request, response);
    if (request.method !== "GET" && request.method !== "HEAD") return response.writeHead(405, headers).end();
    const file = path === undefined ? undefined : files.get(path === "/" ? "/index.html" : path);
    if (file === undefined) return response.writeHead(404, headers).end("not found");
    const { content, kept } = file;
    response.writeHead(200, { ...headers, "content-type": TYPES[extname(file.path)] ?? "application/octet-stream", "content-length": content.length, "cache-control": kept ? KEPT : "no-store" });
    return response.end(content);
  }, port);
}

/** @param {string} url */
function pathOf(url) {
  try {
    return normalize(decodeURI(new URL(url, "http://x").pathname)).replaceAll("\\", "/");
  } catch {
    return undefined;
  }
}
