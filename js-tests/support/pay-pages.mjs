// A site's pages that pay by `farthing/pay`, under the strictest policy that lets them, and a wallet page for tests: it speaks
// the window's protocol by the document, and asks the test what the reader does.

import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageFolder } from "./env.mjs";
import { TERMS, keyOf } from "./paid-site.mjs";

const html = (title, script) => `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><script type="module" src="${script}"></script>`;

const PAGE = `
import { payer } from "/farthing-pay.mjs";
const options = JSON.parse(new URLSearchParams(location.search).get("options") ?? "{}");
globalThis.payer = payer;
globalThis.heard = [];
globalThis.pay = payer(options);
pay.on("spent", (spent) => heard.push(spent.units));
globalThis.get = (path, init) => pay.fetch(path, init).then(
  async (response) => ({ status: response.status, text: await response.text(), units: response.payment?.units, url: response.url }),
  ({ name, code, message }) => ({ name, code, message }));
const auto = new URLSearchParams(location.search).get("auto");
if (auto) get(auto).then((result) => fetch("/told", { method: "POST", body: JSON.stringify(result) }));
document.title = "ready";
`;

const WORKER = `
import { payer } from "/farthing-pay.mjs";
const pay = payer();
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => { if (new URL(event.request.url).pathname.startsWith("/paid/")) pay.handle(event); });
`;

/** Files of a site under the strictest policy; `connect` are origins that it may ask beside its own. */
export function pages({ connect = () => [], coop } = {}) {
  const policy = () => `default-src 'none'; script-src 'self'; connect-src 'self' ${connect().join(" ")}; img-src 'self'; media-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'`;
  const script = (body) => ({ type: "text/javascript", body });
  const bundle = () => readFileSync(join(packageFolder(), "pay/index.mjs"));
  return {
    get "/"() {
      return { type: "text/html", body: html("loading", "/page.js"), headers: { "content-security-policy": policy(), ...(coop && { "cross-origin-opener-policy": coop }) } };
    },
    "/page.js": script(PAGE),
    "/worker.js": script(WORKER),
    "/farthing-pay.mjs": script(bundle),
  };
}

const WALLET = `
const send = async (request, from) => (await fetch("/decide", { method: "POST", body: JSON.stringify({ request, from }) })).json();
const [, how, what] = location.hash.match(/^#farthing-(popup|request)=(.*)$/) ?? [];
const decode = (text) => JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0))));
const encode = (value) => btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(value)))).replace(/\\+/g, "-").replace(/\\//g, "_").replace(/=/g, "");
if (how === "popup") {
  let taken = false;
  addEventListener("message", async ({ source, origin, data }) => {
    if (source !== opener || taken || data?.type !== "farthing-grant-request") return;
    taken = true;
    const { answers } = await send(data, origin);
    for (const answer of answers) source.postMessage(answer, origin);
  });
  opener?.postMessage({ v: 1, type: "farthing-wallet-ready", id: what }, "*");
  document.title = opener ? "asked" : "cut off";
}
if (how === "request") {
  const request = decode(what);
  const { answers: [answer] } = await send(request, new URL(request.returnTo).origin);
  const [back, was] = request.returnTo.split("#");
  if (answer) location.replace(back + "#farthing-grant=" + encode(answer) + (was ? "&farthing-was=" + was : ""));
}
`;

/**
 * A wallet's origin. `decide(request, from)` gives the answers that its page posts, none if it is to wait; `grant(request, site)`
 * is that of a reader who allows.
 */
export async function walletSite() {
  const wallet = { asked: [], opened: 0, decide: (request) => [wallet.grant(request)] };
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://x");
    if (pathname === "/wallet.js") return response.writeHead(200, { "content-type": "text/javascript" }).end(WALLET);
    if (pathname !== "/decide") {
      if (pathname === "/") wallet.opened += 1;
      if (wallet.moved) return response.writeHead(302, { location: wallet.moved }).end();
      return response.writeHead(pathname === "/" ? 200 : 404, { "content-type": "text/html", "content-security-policy": "frame-ancestors 'none'" }).end(html("wallet", "/wallet.js"));
    }
    let text = "";
    for await (const chunk of request) text += chunk;
    const { request: asked, from } = JSON.parse(text);
    wallet.asked.push({ ...asked, from });
    const answers = await wallet.decide(asked, from);
    return answers && response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ answers }));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(wallet, {
    origin: `http://127.0.0.1:${server.address().port}`,
    url: `http://127.0.0.1:${server.address().port}/`,
    sites: [],
    /** What the reader allows: the stream stands at the payee before the page hears of it. */
    grant({ id, tip, payee, hub, network, contract, asset, unitPrice, units, expiresIn }, less = units) {
      const expiry = Math.floor(Date.now() / 1000) + expiresIn;
      for (const site of wallet.sites) site.learn({ tip, units: less, unitPrice: BigInt(unitPrice), expiry });
      return { v: 1, type: "farthing-grant", id, grant: { key: keyOf(tip, less, expiry), tip, payee, network, contract, hub, asset, unitPrice, units: less, expiry, symbol: "DAI", decimals: 18 } };
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

export { TERMS };
