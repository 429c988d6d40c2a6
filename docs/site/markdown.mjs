// Markdown to HTML: headings that can be linked to, as GitHub names them; code in colours, without a script; links that lead on the
// site where their files are, also where a page is only named as code; tables that scroll by themselves, and on a phone, where they
// have many columns, are lists.

import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import ini from "highlight.js/lib/languages/ini";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import rust from "highlight.js/lib/languages/rust";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import MarkdownIt from "markdown-it";

for (const [name, language] of Object.entries({ bash, ini, javascript, json, rust, typescript, xml })) hljs.registerLanguage(name, language);
hljs.registerAliases(["sh"], { languageName: "bash" });
hljs.registerAliases(["toml"], { languageName: "ini" });
hljs.registerAliases(["jsx"], { languageName: "javascript" });

const escape = (text) => text.replace(/[&<>"]/g, (one) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[one]);

/** As GitHub makes a fragment of a heading. */
const slugOf = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}\p{M}_ -]/gu, "").replaceAll(" ", "-");

/** Comments are for tests and writers. */
const withoutComments = (text) => {
  let inCode = false;
  return text
    .split("\n")
    .filter((line) => {
      if (/^(```|~~~)/.test(line)) inCode = !inCode;
      return inCode || !/^<!--.*-->$/.test(line.trim());
    })
    .join("\n");
};

/** From so many columns on a table does not fit a phone, and from so many a desktop only if its letters are small. */
const LIST = 3;
const DENSE = 6;

const wordsOf = (inline) => inline.children.filter(({ type }) => type === "text" || type === "code_inline").map(({ content }) => content).join("");

/** Each cell says what its column is called, and each table how many columns there are. */
function labelCells({ tokens }) {
  let [table, labels, column] = [undefined, [], 0];
  tokens.forEach((token, at) => {
    if (token.type === "table_open") [table, labels] = [token, []];
    else if (token.type === "tr_open") column = 0;
    else if (token.type === "th_open") labels.push(wordsOf(tokens[at + 1]));
    else if (token.type === "thead_close") table.attrSet("class", `table${labels.length >= LIST ? " list" : ""}${labels.length >= DENSE ? " dense" : ""}`);
    else if (token.type === "td_open") token.attrSet("data-label", labels[column++] ?? "");
  });
}

/** A page that is named as code and not linked to becomes a link; `named(text)` gives its way, if there is such a page. */
const linkNames = (named) => ({ tokens, Token }) => {
  for (const block of tokens.filter(({ type }) => type === "inline")) {
    let depth = 0;
    block.children = block.children.flatMap((token) => {
      depth += token.type === "link_open" ? 1 : token.type === "link_close" ? -1 : 0;
      const href = token.type === "code_inline" && depth === 0 ? named(token.content) : undefined;
      if (href === undefined) return [token];
      const [open, text, close] = [new Token("link_open", "a", 1), new Token("text", "", 0), new Token("link_close", "a", -1)];
      open.attrSet("href", href);
      text.content = href;
      return [open, text, close];
    });
  }
};

/** `{ html, headings: [{ level, id, text }], links: [href] }`; `link(href)` says where a link leads, `titleOf(href)` what that is called. `trusted`: its HTML is ours. */
export function render(text, { link, titleOf = () => undefined, named = () => undefined, trusted = false }) {
  const md = new MarkdownIt({ html: trusted, linkify: false });
  md.core.ruler.push("labels", labelCells);
  md.core.ruler.push("names", linkNames(named));
  const headings = [];
  const taken = new Map();
  md.renderer.rules.heading_open = (tokens, at) => {
    const words = wordsOf(tokens[at + 1]);
    const slug = slugOf(words);
    const count = taken.get(slug) ?? 0;
    taken.set(slug, count + 1);
    const id = count === 0 ? slug : `${slug}-${count}`;
    const level = Number(tokens[at].tag[1]);
    headings.push({ level, id, text: words });
    return `<${tokens[at].tag} id="${escape(id)}">`;
  };
  md.renderer.rules.heading_close = (tokens, at) => {
    const { level, id, text: words } = headings.at(-1);
    return level === 1 ? "</h1>\n" : `<a class="anchor" href="#${escape(id)}" aria-label="Link to ${escape(words)}">#</a></${tokens[at].tag}>\n`;
  };
  md.renderer.rules.fence = (tokens, at) => {
    const [language = "", name = ""] = tokens[at].info.trim().split(/\s+/);
    const { content } = tokens[at];
    const code = hljs.getLanguage(language) ? hljs.highlight(content, { language }).value : escape(content);
    const caption = name !== "" ? `<figcaption>${escape(name)}</figcaption>` : language === "text" ? "<figcaption>what it says</figcaption>" : "";
    return `<figure class="code ${escape(language)}">${caption}<pre tabindex="0"><code>${code}</code></pre></figure>\n`;
  };
  md.renderer.rules.table_open = (tokens, at) => `<div class="${tokens[at].attrGet("class")}" tabindex="0"><table>\n`;
  md.renderer.rules.table_close = () => "</table></div>\n";
  // The policy lets no style in that stands with an element.
  for (const cell of ["th_open", "td_open"]) {
    md.renderer.rules[cell] = (tokens, at) => {
      const label = tokens[at].attrGet("data-label");
      return `<${tokens[at].tag}${/right/.test(tokens[at].attrGet("style") ?? "") ? ' class="number"' : ""}${label ? ` data-label="${escape(label)}"` : ""}>`;
    };
  }
  const links = [];
  const plain = md.renderer.rules.link_open ?? ((tokens, at, options, _, self) => self.renderToken(tokens, at, options));
  md.renderer.rules.link_open = (tokens, at, ...rest) => {
    const before = tokens[at].attrGet("href");
    const href = link(before);
    // Where a link's text is a file's name, a reader of the site wants to know the page's.
    const [inner] = tokens.slice(at + 1, at + 2);
    if (inner?.type === "text" && inner.content === before.split("#")[0]) inner.content = titleOf(before) ?? inner.content;
    links.push(href);
    tokens[at].attrSet("href", href);
    if (/^https?:/.test(href)) tokens[at].attrSet("rel", "noreferrer");
    return plain(tokens, at, ...rest);
  };
  const html = md.render(withoutComments(text));
  return { html, headings, links };
}

export { escape };
