// The magazines' pages. What is sold is not in them; the page fetches it and pays.

import { frame } from "./film.mjs";

/** The second of the film that stands for it. */
const STILL = 130;

const safe = (text) => String(text).replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);

/** @param {{ site: any, title: string, assets: { script: string, style: string }, main: string, kind: string, data?: object }} page */
function layout({ site, title, assets, main, kind, data }) {
  return `<!doctype html>
<html lang="en" data-theme="${safe(site.theme)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${safe(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${safe(assets.style)}">
<script type="module" src="${safe(assets.script)}"></script>
<script type="application/json" id="page">${JSON.stringify({ kind, ...data }).replaceAll("<", "\\u003c")}</script>
</head>
<body data-kind="${safe(kind)}">
<a class="skip" href="#main">To the text</a>
<header class="masthead">
<a href="/" class="name">${safe(site.name)}</a>
<p>${safe(site.line)}</p>
<nav aria-label="Sections"><a href="/">Front page</a><a href="/film">Film</a><a href="/almanac">Almanac</a></nav>
</header>
<main id="main">${main}</main>
<footer><p>${safe(site.name)} is a demonstration of paying by the page and by the second. Its money is worth nothing.</p></footer>
<aside id="purse" aria-label="What you allowed" hidden></aside>
</body>
</html>
`;
}

const price = (units, terms) => (units === 0 ? "free" : terms.shown(units));

export function frontPage(site, assets, terms) {
  const [lead, second] = site.articles;
  const card = (piece, level, className) => `<article class="${className}">
<p class="by">${safe(piece.by)} <span class="price">${safe(price(piece.price, terms))}</span></p>
<${level}><a href="/read/${safe(piece.slug)}">${safe(piece.title)}</a></${level}>
<p class="standfirst">${safe(piece.standfirst)}</p>
<p class="opening">${safe(piece.free[0])}</p>
</article>`;
  const main = `<h1 class="hidden">${safe(site.name)}: front page</h1>
<div class="front">
${card(second, "h2", "lead")}
${card(lead, "h2", "second")}
<article class="film"><a class="still" href="/film" tabindex="-1" aria-hidden="true"><canvas width="640" height="360"></canvas></a>
<p class="by">Film <span class="price">${safe(price(60, terms))} a minute</span></p>
<h2><a href="/film">${safe(site.film.title)}</a></h2><p class="standfirst">${safe(site.film.standfirst)}</p></article>
<article class="almanac"><p class="by">Almanac <span class="price">${safe(price(1, terms))} a day</span></p>
<h2><a href="/almanac">${safe(site.almanac.title)}</a></h2><p class="standfirst">${safe(site.almanac.standfirst)}</p></article>
</div>`;
  return layout({ site, assets, title: site.name, kind: "front", main, data: { still: frame(STILL, site.film.seed) } });
}

const gate = (what, cost, label) => `<section class="gate" id="gate" aria-live="polite" hidden>
<p>${safe(what)}</p><p class="cost">${safe(cost)}</p>
<div class="actions"><button type="button" id="open">${safe(label)}</button><button type="button" id="here" class="second" hidden>Use this tab instead</button></div>
<p class="said" role="status"></p>
<p class="how">You allow this magazine an amount once, in your wallet. After that its pages open by themselves, and what you do not read comes back to you.</p></section>
<p class="receipt" id="receipt" hidden></p>
<noscript><p class="said">This part is paid for by the page itself, with JavaScript.</p></noscript>`;

export function articlePage(site, assets, terms, piece) {
  const paragraphs = piece.free.map((text, index) => `<p${index === 0 ? ' class="first"' : ""}>${safe(text)}</p>`).join("\n");
  const main = `<article class="piece">
<header><p class="by">${safe(piece.by)} <span class="price">${safe(price(piece.price, terms))}</span></p>
<h1>${safe(piece.title)}</h1><p class="standfirst">${safe(piece.standfirst)}</p></header>
<div class="text" id="text">${paragraphs}</div>
${piece.price === 0 ? "" : gate("The rest of this piece", price(piece.price, terms), "Read on")}
</article>`;
  return layout({ site, assets, title: `${piece.title} – ${site.name}`, kind: "article", main, data: { paid: piece.price === 0 ? null : `/text/${piece.slug}`, units: piece.price } });
}

export function filmPage(site, assets, terms) {
  const main = `<article class="cinema">
<div class="screen"><canvas id="film" width="1280" height="720" role="img" aria-label="${safe(site.film.title)}: a drawn shore, water and sky"></canvas><p class="caption" id="caption" aria-live="off"></p></div>
<div class="controls"><button type="button" id="play">Play</button><div class="meter" role="group" aria-label="What it costs"><span id="watched">0:00</span><span id="paid">${safe(terms.shown(0))}</span><span class="rate">${safe(terms.shown(1))} a second</span></div></div>
<p class="said" role="status" id="said"></p>
<header><p class="by">Film <span class="price">${safe(price(60, terms))} a minute</span></p><h1>${safe(site.film.title)}</h1><p class="standfirst">${safe(site.film.standfirst)}</p></header>
</article>`;
  return layout({ site, assets, title: `${site.film.title} – ${site.name}`, kind: "film", main, data: { paid: "/film/frames", still: frame(STILL, site.film.seed) } });
}

export function almanacPage(site, assets, terms, day) {
  const main = `<article class="piece day">
<header><p class="by">${safe(site.almanac.title)} <span class="price">${safe(price(1, terms))} a day</span></p><h1 id="date">Day ${day}</h1></header>
<div id="text" class="sky"></div>
${gate("This day’s page", price(1, terms), "Open the almanac")}
<nav class="days" aria-label="Days"><a id="before" href="/almanac/${day === 1 ? 365 : day - 1}">The day before</a><a id="after" href="/almanac/${day === 365 ? 1 : day + 1}">The day after</a></nav>
</article>`;
  return layout({ site, assets, title: `${site.almanac.title} – ${site.name}`, kind: "almanac", main, data: { day } });
}

export function missingPage(site, assets) {
  return layout({ site, assets, title: `Not here – ${site.name}`, kind: "missing", main: `<article class="piece"><header><h1>Not here</h1><p class="standfirst">There is no page with this address. <a href="/">To the front page</a></p></header></article>` });
}
