// What is around a page: the menu, what is on the page, what comes before and after it. No script is needed to read it.

import { escape } from "./markdown.mjs";
import { way } from "./pages.mjs";

const POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'";

const groupsOf = (pages) => [...Map.groupBy(pages, ({ group }) => group)];

function menu(pages, page) {
  const to = ({ html, called }) =>
    `<li><a href="${escape(way(page.html, html))}"${html === page.html ? ' aria-current="page"' : ""}>${escape(called)}</a></li>`;
  return groupsOf(pages)
    .map(([group, ones]) => `<section><h2>${escape(group)}</h2><ul>${ones.map(to).join("")}</ul></section>`)
    .join("\n");
}

/** The headings of a page that are worth a list. */
function contents(headings) {
  const shown = headings.filter(({ level }) => level === 2 || level === 3);
  if (shown.length < 3) return "";
  const line = ({ level, id, text }) => `<li class="h${level}"><a href="#${escape(id)}">${escape(text)}</a></li>`;
  return `<nav class="here" aria-label="On this page"><h2>On this page</h2><ul>${shown.map(line).join("")}</ul></nav>`;
}

const bar = (pages, page) =>
  groupsOf(pages)
    .map(([group, [first]]) => `<a href="${escape(way(page.html, first.html))}"${group === page.group ? ' aria-current="true"' : ""}>${escape(group)}</a>`)
    .join("");

/** The whole file. */
export function file(pages, page, { html, headings }) {
  const at = pages.indexOf(page);
  const step = (other, name) => (other === undefined ? "<span></span>" : `<a class="${name}" href="${escape(way(page.html, other.html))}"><small>${name === "next" ? "Next" : "Before"}</small>${escape(other.called)}</a>`);
  const side = menu(pages, page);
  const here = contents(headings);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${escape(page.html === "index.html" ? "Farthing: payments over state channels" : `${page.title} – Farthing`)}</title>
<link rel="icon" href="${way(page.html, "mark.svg")}" type="image/svg+xml">
<link rel="stylesheet" href="${way(page.html, "site.css")}">
<script src="${way(page.html, "words.js")}" defer></script>
<script src="${way(page.html, "find.js")}" data-root="${way(page.html, "index.html").replace(/index\.html$/, "")}" defer></script>
</head>
<body>
<a class="skip" href="#content">To the content</a>
<header>
<a class="name" href="${way(page.html, "index.html")}"><img src="${way(page.html, "mark.svg")}" alt="" width="22" height="22">Farthing</a>
<nav class="bar" aria-label="Parts">${bar(pages, page)}</nav>
<div class="find" hidden><input type="search" placeholder="Find" aria-label="Find in the documentation" autocomplete="off" spellcheck="false"><ol hidden></ol></div>
</header>
<details class="menu"><summary>${escape(page.group)}: ${escape(page.called)}</summary><nav aria-label="All pages">${side}</nav></details>
<div class="frame">
<nav class="side" aria-label="Pages">${side}</nav>
<main id="content">
<article>
${html}</article>
<nav class="steps" aria-label="Before and after">${step(pages[at - 1], "before")}${step(pages[at + 1], "next")}</nav>
<footer>${page.source.startsWith("api/") ? "Made of the type declarations that the package ships." : `From <code>${escape(page.source)}</code>.`} MIT or Apache-2.0.</footer>
</main>
${here}
</div>
</body>
</html>
`;
}
