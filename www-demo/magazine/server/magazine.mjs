// A magazine as its owner would build it: pages for everybody, and behind a paywall the text of a piece, a day of the
// almanac, the seconds of a film. The payee is an engine of the site's own, in this process.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { listen, sendFile, sendJson } from "../../serve.mjs";
import { DAYS, almanacDay } from "./almanac.mjs";
import { FRAMES, LENGTH, frame } from "./film.mjs";
import { almanacPage, articlePage, filmPage, frontPage, missingPage } from "./pages.mjs";
import { MAGAZINES } from "./texts.mjs";

const OUT = fileURLToPath(new URL("../../../target/www/magazine/", import.meta.url));

const HEADERS = {
  "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "same-origin",
};

/** Where the build put script and style. */
async function readAssets(folder) {
  const manifest = JSON.parse(await readFile(join(folder, ".vite/manifest.json"), "utf8"));
  const entry = manifest["src/magazine.ts"];
  return { script: `/${entry.file}`, style: `/${entry.css[0]}` };
}

/**
 * Starts one. `wall` gives the paywall for this site's origin; `terms` is how its prices are shown.
 * @param {{ which: "post" | "water", wallet: string, port?: number, year?: number, folder?: string,
 *   terms: { symbol: string, decimals: number, unitPrice: bigint },
 *   wall: (origin: string, site: { title: string, wallet: string }) => Promise<{ route(options: object): { express(): Function } }> }} options
 * @returns {Promise<{ url: string, counts: Map<string, number>, stop: () => Promise<void> }>} `counts`: requests by what was asked for
 */
export async function startMagazine({ which, wallet, port = 0, year = new Date().getUTCFullYear(), folder = OUT, terms, wall }) {
  const site = MAGAZINES[which];
  const assets = await readAssets(folder);
  const shown = { shown: (units) => `${decimal(BigInt(units) * terms.unitPrice, terms.decimals)} ${terms.symbol}` };
  const counts = new Map();
  let answer = (_, response) => sendJson(response, 503, { error: { code: "starting", message: "The magazine opens in a moment." } });
  const served = await listen((request, response) => answer(request, response), port);
  const { route } = await sold(await wall(served.url, { title: site.name, wallet }), site, terms, year);

  const html = (response, text, status = 200) =>
    response.writeHead(status, { ...HEADERS, "content-type": "text/html; charset=utf-8", "cache-control": "no-store" }).end(text);
  const config = { wallet, title: site.name, symbol: terms.symbol, decimals: terms.decimals, unitPrice: String(terms.unitPrice) };

  answer = async (request, response) => {
    const path = new URL(request.url, served.url).pathname;
    counts.set(path, (counts.get(path) ?? 0) + 1);
    const paid = route(path);
    if (paid !== undefined) {
      for (const name of ["x-content-type-options", "referrer-policy"]) response.setHeader(name, HEADERS[name]);
      return new Promise((resolve, reject) => {
        response.once("close", resolve);
        paid.guard(request, response, (error) => (error === undefined ? Promise.resolve(paid.serve(request, response)).catch(reject) : reject(error)));
      });
    }
    if (request.method !== "GET" && request.method !== "HEAD") return response.writeHead(405, HEADERS).end();
    if (path === "/") return html(response, frontPage(site, assets, shown));
    if (path === "/film") return html(response, filmPage(site, assets, shown));
    if (path === "/site.json") return sendJson(response, 200, config, HEADERS);
    const piece = site.articles.find(({ slug }) => path === `/read/${slug}`);
    if (piece !== undefined) return html(response, articlePage(site, assets, shown, piece));
    const day = path === "/almanac" ? today() : dayOf(path, "/almanac/");
    if (day !== undefined) return html(response, almanacPage(site, assets, shown, day));
    if (await sendFile(folder, path, response, HEADERS)) return undefined;
    return html(response, missingPage(site, assets), 404);
  };
  return { url: served.url, counts, stop: served.stop };
}

/** What is sold, by path: a guard that is the paywall's, and what is served when it lets through. */
async function sold(wall, site, { unitPrice }, year) {
  const once = (units, name, description) => wall.route({ price: BigInt(units) * unitPrice, name, description }).express();
  const pieces = new Map(
    site.articles
      .filter(({ price }) => price > 0)
      .map((piece) => [`/text/${piece.slug}`, { guard: once(piece.price, "articles", piece.title), serve: (_, response) => sendJson(response, 200, { paragraphs: piece.paid }) }]),
  );
  const almanac = once(1, "almanac", site.almanac.title);
  const film = wall.route({ price: { perSecond: unitPrice }, name: "film", description: site.film.title }).express();
  const frames = { guard: film, serve: (request, response) => play(request, response, site.film.seed) };
  return {
    route(path) {
      const day = dayOf(path, "/days/");
      if (day !== undefined) return { guard: almanac, serve: (_, response) => sendJson(response, 200, almanacDay(day, year, site.almanac.latitude)) };
      return path === "/film/frames" ? frames : pieces.get(path);
    },
  };
}

/** Frames as events, from where the reader is. What is written waits where it is not paid, so the clock is the writing's. */
async function play(request, response, seed) {
  const from = Number(new URL(request.url, "http://x").searchParams.get("from") ?? 0);
  let t = Number.isFinite(from) && from >= 0 ? Math.min(from, LENGTH) : 0;
  response.writeHead(200, { "content-type": "text/event-stream" });
  let open = true;
  response.once("close", () => (open = false));
  while (open && t <= LENGTH) {
    const went = response.write(`event: frame\ndata: ${JSON.stringify(frame(t, seed))}\n\n`);
    if (!went) await new Promise((resolve) => ["drain", "close"].forEach((name) => response.once(name, resolve)));
    await new Promise((resolve) => setTimeout(resolve, 1_000 / FRAMES));
    t = Math.round((t + 1 / FRAMES) * FRAMES) / FRAMES;
  }
  if (open) response.end("event: end\ndata: {}\n\n");
}

function dayOf(path, prefix) {
  const match = path.startsWith(prefix) ? /^[1-9]\d{0,2}$/.exec(path.slice(prefix.length)) : null;
  const day = match === null ? 0 : Number(match[0]);
  return day >= 1 && day <= DAYS ? day : undefined;
}

/** The day of the year, from 1 to 365. */
const today = (now = new Date()) => Math.min(DAYS, Math.floor((Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()) - Date.UTC(now.getUTCFullYear(), 0, 1)) / 86_400_000) + 1);

/** Base units as decimals, without trailing zeros. */
function decimal(units, decimals) {
  const digits = units.toString().padStart(decimals + 1, "0");
  const rest = digits.slice(digits.length - decimals).replace(/0+$/, "");
  return `${digits.slice(0, digits.length - decimals)}${rest === "" ? "" : `.${rest}`}`;
}
