// The wallet page as files, and what its host sends with them: for `farthing dev`, which serves it, and `farthing wallet`,
// which writes it into a folder.
// @ts-check

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DevError } from "./problem.mjs";

/** This package, and the page in it. */
const PACKAGE = fileURLToPath(new URL("../", import.meta.url));
const PAGE = join(PACKAGE, "wallet");

/**
 * A file as it is sent. `kept`: its name follows from its content, so that caches may keep it for ever.
 * @typedef {{ path: string, content: Buffer, kept: boolean }} Served
 */

/** Origins of a URL, for requests and for sockets. @param {string} url */
const reach = (url) => [new URL(url).origin, new URL(url).origin.replace(/^http/, "ws")];

/** What the wallet page may do: run what it brings, and speak to its hub and its node. @param {{ hub: string, rpc?: string }} host */
export function walletPolicy({ hub, rpc }) {
  const connect = ["'self'", ...reach(hub), ...(rpc === undefined ? [] : reach(rpc))];
  return [
    "default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "style-src 'self'", "img-src 'self' data:", `connect-src ${[...new Set(connect)].join(" ")}`,
    "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'",
  ];
}

/** That policy, and that nobody may frame it, nor guess types. @param {{ hub: string, rpc?: string }} host @returns {Record<string, string>} */
export function walletHeaders(host) {
  return {
    "content-security-policy": [...walletPolicy(host), "frame-ancestors 'none'"].join("; "),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
    // A site's window must reach the one that it opened; nobody else has a reason to.
    "cross-origin-opener-policy": "unsafe-none",
    "cross-origin-resource-policy": "same-origin",
  };
}

/**
 * The page and what it loads of the package, which it expects in a folder beside it.
 * @param {{ folder?: string, engine?: string }} [from] the page's folder, and the package's
 * @returns {{ engine: string, files: Served[] }}
 */
export function walletFiles({ folder = PAGE, engine = PACKAGE } = {}) {
  let wanted;
  try {
    wanted = JSON.parse(readFileSync(join(folder, "engine.json"), "utf8"));
  } catch {
    throw new DevError("no-page", `There is no wallet page in ${folder}; install the package again.`);
  }
  const names = /** @type {string[]} */ (wanted.files);
  const served = (/** @type {string} */ name) => name.replace(/\.mjs$/, ".js");
  /** Many hosts don't know .mjs, and browsers run no script without its type. @param {string} name */
  function content(name) {
    const bytes = readFileSync(join(engine, name));
    if (!/\.m?js$/.test(name)) return bytes;
    const text = bytes.toString("utf8").replace(/(["'])(\.{1,2}\/[\w./-]+\.mjs)\1/g, (whole, quote, path) => {
      const meant = join(name, "..", path).replaceAll("\\", "/");
      return names.includes(meant) ? `${quote}${served(path)}${quote}` : whole;
    });
    return Buffer.from(text);
  }
  const page = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== "engine.json")
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length).replaceAll("\\", "/").replace(/^\//, ""));
  return {
    engine: wanted.folder,
    files: [
      ...page.map((path) => ({ path, content: readFileSync(join(folder, path)), kept: path.startsWith("assets/") })),
      ...names.map((name) => ({ path: `${wanted.folder}/${served(name)}`, content: content(name), kept: true })),
    ],
  };
}
