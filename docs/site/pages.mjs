// Which pages the site has, in which order, and what each is called there.

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { basename, dirname, join, posix, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** What the package's entries are called in the reference, in this order; the keys are their declarations. */
export const ENTRIES = {
  "index.d.ts": "farthing",
  "pay/index.d.ts": "farthing/pay",
  "pay/scheme.d.ts": "farthing/pay/scheme",
  "paywall/index.d.ts": "farthing/paywall",
  "paywall/verify.d.ts": "farthing/paywall/verify",
  "wallets/index.d.ts": "farthing/wallets",
  "store/file.d.ts": "farthing/store/file",
  "store/sqlite.d.ts": "farthing/store/sqlite",
};

const MENU = {
  Start: ["README.md", "docs/quick-start.md", "docs/limits.md", "docs/costs.md", "docs/compare.md"],
  Guides: [
    "docs/charge.md", "docs/pay-from-node.md", "docs/pay.md", "docs/wallets.md", "docs/host-a-wallet.md", "docs/wallet.md", "docs/streams.md",
    "docs/react.md", "docs/exit.md", "docs/restore.md", "docs/upgrade.md",
  ],
  Reference: ["api", "docs/errors.md", "docs/waiting.md", "docs/paywall.md", "docs/loading.md", "docs/tabs.md", "pkg-template/README.md"],
  Protocol: ["docs/protocol.md", "docs/content.md", "contracts/README.md", "ARCHITECTURE.md", "GLOSSARY.md", "docs/threat-model.md", "docs/crash-matrix.md", "SECURITY.md"],
  Operators: ["docs/run-a-hub.md", "hub/README.md", "docs/hub-limits.md", "docs/watchtower.md"],
  Decisions: ["docs/adr", "CONTRIBUTING.md", "docs/building.md"],
};

/** Where the title in the file is not what a menu should say. */
const CALLED = {
  "README.md": "Overview", "pkg-template/README.md": "The package's README", "docs/pay.md": "Pay from a page", "docs/wallet.md": "The wallet page",
  "docs/paywall.md": "The paywall", "docs/exit.md": "Leave", "docs/streams.md": "Streams", "ARCHITECTURE.md": "Architecture", "docs/quick-start.md": "Quick start",
  "docs/content.md": "Paying for content", "docs/deposits.md": "Deposits", "docs/events.md": "Events", "hub/README.md": "The hub's options", "docs/building.md": "Building",
};

const NAMED = { "README.md": "index.html", "pkg-template/README.md": "package.html", "contracts/README.md": "contract.html", "hub/README.md": "hub.html" };

/** A file's name on the site. */
export function htmlOf(source) {
  if (NAMED[source] !== undefined) return NAMED[source];
  return `${source.replace(/^docs\//, "").replace(/\.md$/, "").toLowerCase()}.html`;
}

const list = (folder) => readdirSync(join(root, folder)).filter((name) => name.endsWith(".md")).map((name) => posix.join(folder, name));

const titleOf = (text, source) => {
  const title = text.match(/^# (.+)$/m)?.[1];
  if (title === undefined) throw new Error(`${source} has no title`);
  return title.replaceAll("`", "");
};

/**
 * All pages: `{ source, html, group, title, text }`. What lies in `docs/` and is not in the menu is a guide; what the menu names and is
 * not there yet is left out. `reference` are those that were made of the declarations.
 */
export function allPages(reference) {
  const listed = new Set(Object.values(MENU).flat());
  const others = list("docs").filter((source) => !listed.has(source));
  const pages = [];
  for (const [group, sources] of Object.entries(MENU)) {
    for (const source of group === "Guides" ? [...sources, ...others] : sources) {
      if (source === "api") {
        pages.push(...reference.map((page) => ({ ...page, group })));
      } else if (source === "docs/adr") {
        for (const adr of list(source)) pages.push(read(adr, group));
      } else if (existsSync(join(root, source))) {
        pages.push(read(source, group));
      }
    }
  }
  return pages;
}

function read(source, group) {
  const text = readFileSync(join(root, source), "utf8");
  const title = titleOf(text, source);
  const number = source.startsWith("docs/adr/") ? `${Number(basename(source).slice(0, 4))}. ` : "";
  return { source, html: htmlOf(source), group, title, called: CALLED[source] ?? number + title.replace(/^\d+\. /, ""), text };
}

/** From one page of the site to another. */
export const way = (from, to) => relative(dirname(join("/", from)), join("/", to)).split("\\").join("/");
