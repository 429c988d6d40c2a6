// `farthing wallet`: the wallet page as a folder that any host of static files can serve, with its settings and headers.
// @ts-check

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { walletFiles, walletHeaders, walletPolicy } from "../dev/page.mjs";
import { DevError } from "../dev/problem.mjs";

export { DevError };

/** What was asked for can't be. */
export class Misuse extends Error {}

/** Names of this machine, where nobody is in between. */
const LOCAL = /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/i;

/** As the page takes it (`www-demo/wallet/src/logic/host.ts`). */
const NAME = /^[\p{L}\p{N}][\p{L}\p{M}\p{N} .,&’'()–-]{0,39}$/u;

/** @param {unknown} text @param {string} option */
function demandUrl(text, option) {
  if (typeof text !== "string" || !URL.canParse(text)) throw new Misuse(`${option} takes a URL, such as https://hub.example.`);
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") throw new Misuse(`${option} takes a URL that begins with https://, not ${url.protocol}.`);
  if (url.protocol === "http:" && !LOCAL.test(url.hostname)) throw new Misuse(`${option} ${url.origin} is not encrypted, so anybody on the way could answer for it; give its https:// address.`);
  if (url.username || url.password) throw new Misuse(`${option} has a name or password in it, and the page's settings can be read by everybody.`);
  if (url.search || url.hash) throw new Misuse(`${option} takes no query and no fragment.`);
  return url.href.replace(/\/$/, "");
}

/** What a browser is sent of each path, as hosts of static files read it. @param {{ hub: string, rpc?: string }} host @param {string} engine */
function headersFile(host, engine) {
  const block = (/** @type {string} */ path, /** @type {Record<string, string>} */ headers) =>
    `${path}\n${Object.entries(headers).map(([name, value]) => `  ${name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase())}: ${value}\n`).join("")}`;
  // Each path has one rule for caches: some hosts join what several say.
  const fresh = { "cache-control": "no-cache" };
  const kept = { "cache-control": "public, max-age=31536000, immutable" };
  return [
    block("/*", walletHeaders(host)),
    ...["/", "/index.html", "/config.json"].map((path) => block(path, fresh)),
    ...["/assets/*", `/${engine}/*`].map((path) => block(path, kept)),
  ].join("\n");
}

/** A folder that is not there, or has nothing in it. @param {string} out */
function demandEmpty(out) {
  const there = statSync(out, { throwIfNoEntry: false });
  if (there === undefined) return;
  if (!there.isDirectory()) throw new DevError("not-empty", `${out} is a file; name a folder that is not there yet.`);
  if (readdirSync(out).length > 0) throw new DevError("not-empty", `${out} has something in it, and nothing was written; name a folder that is empty or not there yet.`);
}

/**
 * Writes all of it, or nothing. @param {string | undefined} folder
 * @param {{ hub?: string, rpc?: string, name?: string }} options
 */
export function writeWallet(folder, { hub, rpc, name }) {
  if (folder === undefined || folder === "") throw new Misuse("Which folder? For example: farthing wallet site --hub https://hub.example");
  if (hub === undefined) throw new Misuse("Which hub? Give --hub and its URL.");
  const host = { hub: demandUrl(hub, "--hub"), ...(rpc === undefined ? {} : { rpc: demandUrl(rpc, "--rpc") }) };
  if (name !== undefined && !NAME.test(name)) throw new Misuse("--name takes up to 40 letters, digits and spaces.");
  const out = resolve(folder);
  demandEmpty(out);
  const { engine, files } = walletFiles();
  const index = files.find(({ path }) => path === "index.html")?.content.toString("utf8") ?? "";
  // For hosts that send no headers. What must not frame it can't be said so: there the page refuses by itself.
  const page = index.replace(/<meta charset="utf-8" ?\/?>/, (first) => `${first}\n    <meta http-equiv="Content-Security-Policy" content="${walletPolicy(host).join("; ")}" />`);
  if (page === index) throw new DevError("no-page", "The wallet page of this package is not as it should be; install the package again.");

  const parts = `${out}.${process.pid}.new`;
  try {
    const write = (/** @type {string} */ path, /** @type {string | Buffer} */ content) => {
      mkdirSync(dirname(join(parts, path)), { recursive: true });
      writeFileSync(join(parts, path), content);
    };
    for (const { path, content } of files) write(path, path === "index.html" ? page : content);
    write("config.json", `${JSON.stringify({ ...host, ...(name === undefined ? {} : { name }) }, null, 2)}\n`);
    write("_headers", headersFile(host, engine));
    if (existsSync(out)) rmdirSync(out);
    renameSync(parts, out);
  } catch (/** @type {any} */ error) {
    rmSync(parts, { recursive: true, force: true });
    if (error.code === undefined) throw error;
    throw new DevError("not-written", `${out} can't be written: ${error.message}`);
  }
  return { out, bytes: files.reduce((sum, { content }) => sum + content.length, 0), host };
}

/** @param {string[]} folders @param {Record<string, any>} options */
export function printWallet(folders, options) {
  if (folders.length > 1) throw new Misuse(`One folder, not ${folders.length}.`);
  const { out, bytes, host } = writeWallet(folders[0], options);
  console.log(`The wallet page is in ${out} (${Math.ceil(bytes / 1_000)} kB).`);
  console.log(`  hub      ${host.hub}\n  node     ${host.rpc ?? "each reader's own wallet"}\n  headers  _headers, which your host has to send`);
  console.log("Serve it over https on an origin of its own, with nothing else beside it.");
}
