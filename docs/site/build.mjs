// Builds the site: `node build.mjs FOLDER`. Ends with 1 where a link leads nowhere.

import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { argv, exit } from "node:process";
import { fileURLToPath } from "node:url";
import { render } from "./markdown.mjs";
import { allPages, root, way } from "./pages.mjs";
import { reference } from "./reference.mjs";
import { file } from "./template.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const out = argv[2];
if (out === undefined) {
  console.error("usage: node build.mjs FOLDER");
  exit(2);
}

const pages = allPages(await reference());
const bySource = new Map(pages.map((page) => [page.source, page]));
const dead = [];
const sources = new Set();

/** Where a link of a page leads on the site. Files that are no pages come along as text. */
function leads(page, href) {
  if (/^(https?:|mailto:|#)/.test(href)) return href;
  const [path, fragment] = href.split("#");
  const source = posix.normalize(posix.join(posix.dirname(page.source), path));
  const hash = fragment === undefined ? "" : `#${fragment}`;
  const target = bySource.get(source);
  if (target !== undefined) return way(page.html, target.html) + hash;
  const found = join(root, source);
  if (source.startsWith("..") || !existsSync(found) || !statSync(found).isFile()) {
    dead.push(`${page.source}: ${href} is not there`);
    return href;
  }
  sources.add(source);
  return way(page.html, `source/${source}.txt`) + hash;
}

/** What the page of a link is called. */
function titleOf(page, href) {
  const target = bySource.get(posix.normalize(posix.join(posix.dirname(page.source), href.split("#")[0])));
  return target?.called;
}

/** The way to a page that a text names by its file, from the repository's root. */
function named(page, name) {
  if (!name.endsWith(".md") || !bySource.has(name) || name === page.source) return undefined;
  return posix.relative(posix.dirname(page.source), name);
}

for (const page of pages) {
  page.made = render(page.text, { link: (href) => leads(page, href), titleOf: (href) => titleOf(page, href), named: (name) => named(page, name), trusted: page.trusted });
}

const byHtml = new Map(pages.map((page) => [page.html, page]));
const anchors = new Map(pages.map(({ html, made }) => [html, new Set([...made.html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id))]));
for (const page of pages) {
  for (const href of page.made.links) {
    if (/^(https?:|mailto:)/.test(href)) continue;
    const [path, fragment] = href.split("#");
    const html = path === "" ? page.html : posix.normalize(posix.join(posix.dirname(page.html), path));
    if (fragment !== undefined && byHtml.has(html) && !anchors.get(html).has(decodeURIComponent(fragment))) dead.push(`${page.source}: ${href} has no such place`);
  }
}
if (byHtml.size !== pages.length) dead.push("two pages have one name");

rmSync(out, { recursive: true, force: true });
const write = (name, content) => {
  const path = join(out, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
};
for (const page of pages) write(page.html, file(pages, page, page.made));
for (const source of sources) write(`source/${source}.txt`, readFileSync(join(root, source)));
for (const name of ["site.css", "find.js", "mark.svg"]) cpSync(join(here, name), join(out, name));
const words = pages.map(({ html, called, group, made }) => [html, called, group, made.headings.filter(({ level }) => level > 1 && level < 5).map(({ id, text }) => [id, text])]);
write("words.js", `globalThis.words = ${JSON.stringify(words)};\n`);

console.log(`${pages.length} pages in ${out}`);
if (dead.length > 0) {
  console.error(dead.join("\n"));
  exit(1);
}
