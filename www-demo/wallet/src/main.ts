// The wallet page: refuses frames, opens the session, and shows what the address asks for.

import "./style.css";
import { h, live } from "./dom.ts";
import { readHost } from "./host.ts";
import { opened, type Opened } from "./logic/request.ts";
import { Records } from "./records.ts";
import { Session } from "./session.ts";
import { ask, misread } from "./views/ask.ts";
import { connectView, opening } from "./views/connect.ts";
import { depositPage } from "./views/deposit.ts";
import { historyView } from "./views/history.ts";
import { homeView, sendView } from "./views/home.ts";
import { screen } from "./views/parts.ts";
import { settingsView } from "./views/settings.ts";
import { sitesView } from "./views/sites.ts";

const PAGES = [
  ["", "Balance"],
  ["sites", "Sites"],
  ["history", "History"],
  ["settings", "Settings"],
] as const;

/** What the page calls itself. */
let name = "Farthing wallet";

const main = document.querySelector("main") as HTMLElement;

function show(view: Node, focus = false): void {
  main.replaceChildren(view);
  const heading = main.querySelector("h1");
  document.title = heading === null ? name : `${heading.textContent} – ${name}`;
  if (!focus || heading === null) return;
  // Whoever can't see that the page is another one hears it.
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

/** Says in the navigation which page it is. */
function mark(page: string, nav: ParentNode = document): void {
  for (const link of nav.querySelectorAll("nav a")) link.setAttribute("aria-current", link.getAttribute("href") === `#${page}` ? "page" : "false");
}

function framed(): boolean {
  return window.top !== window.self;
}

async function start(): Promise<void> {
  if (framed()) return show(screen("bad", "Not in a frame", "This page does not work inside another one, where it could be covered or clicked for you. Open it by itself."));
  let what: Opened;
  try {
    what = opened(location.hash);
  } catch (error) {
    document.body.dataset.outcome = "bad-request";
    return show(screen("bad", "This request is not in order", misread(error as Error)));
  }
  const session = new Session(await readHost(), await Records.open());
  called(session.host.name);
  // For whoever drives this page where money is worth nothing: the demo and the tests.
  if (session.host.browserKey) Object.assign(window, { farthing: { get client() { return session.open.client; } } });
  header(session, what.way === "none");
  const resumed = session.resume();
  if (what.way === "none") return wallet(session);
  document.body.dataset.mode = "asking";
  keep(location.hash);
  await Promise.all([resumed, ask(what, session, (view) => show(view, true))]);
}

/** By whose wallet page this is, where its host says so. */
function called(given: string | undefined): void {
  const brand = document.querySelector("header .brand")?.lastChild;
  if (given === undefined || !(brand instanceof Text)) return;
  name = given;
  brand.data = given;
}

/** One request a window: whoever opened it may change its address, and asks nothing by that. */
function keep(hash: string): void {
  window.addEventListener("hashchange", () => {
    history.replaceState(history.state, "", hash);
    // An address can lead to a button, so that the next key presses it.
    (document.activeElement as HTMLElement | null)?.blur();
    window.scrollTo(0, 0);
  });
}

function header(session: Session, whole: boolean): void {
  const nav = h("nav", { "aria-label": "Wallet" }, PAGES.map(([page, name]) => h("a", { href: `#${page}` }, name)));
  const status = h("p", { id: "status", role: "status" });
  live(status, [session.phase, session.connected], () => {
    const { name } = session.phase.value;
    const state = name === "open" ? (session.connected.value ? "connected" : "waiting") : name === "failed" ? "failed" : name === "opening" ? "waiting" : "none";
    status.dataset.state = state;
    return { connected: "connected", waiting: name === "open" ? "reconnecting" : "opening", failed: "not connected", none: "" }[state];
  });
  document.querySelector("header .brand")?.after(session.host.faucet === undefined ? "" : h("span", { class: "chip" }, "test money"));
  document.querySelector("header")?.append(whole ? live(h("div", { class: "navigation" }), [session.phase], () => {
    const holder = h("div", null, nav);
    mark(location.hash.slice(1), holder);
    return session.phase.value.name === "open" ? holder : null;
  }) : "", status);
  document.querySelector("header")?.after(live(h("div", { class: "notices", role: "status" }), [session.notice], () => session.notice.value === undefined ? null : h("p", { class: "note bad" }, session.notice.value)));
}

function wallet(session: Session): void {
  const go = (page: string) => (location.hash = page);
  const home = () => go("");
  const views: Readonly<Record<string, () => Node>> = {
    "": () => homeView(session, go),
    deposit: () => depositPage(session, home),
    send: () => sendView(session, home),
    sites: () => sitesView(session),
    history: () => historyView(session),
    settings: () => settingsView(session),
  };
  let shown = "";
  const draw = (focus: boolean) => {
    const { name } = session.phase.value;
    const page = location.hash.slice(1);
    // Choosing and failing are told inside the view for connecting.
    const wanted = name === "open" ? `open:${page}` : name === "opening" && shown !== "connect" ? "opening" : "connect";
    mark(page);
    if (wanted === shown) return;
    shown = wanted;
    show(name === "open" ? (views[page] ?? views[""] as () => Node)() : wanted === "opening" ? opening() : connectView(session), focus);
  };
  session.phase.watch(() => draw(false));
  window.addEventListener("hashchange", () => {
    // A site may open its request in a window that shows the wallet already.
    if (location.hash.startsWith("#farthing-popup=")) return location.reload();
    if (location.hash.startsWith("#farthing-")) {
      // The browser vouches for who sent the reader where a page is loaded, and not for this.
      history.replaceState(history.state, "", "#");
      shown = "";
      document.body.dataset.outcome = "bad-request";
      return show(screen("bad", "This request is not in order", "It came into a window that was open. Nothing was allowed. Close this window, and ask again from the site."), true);
    }
    draw(true);
  });
  draw(false);
}

start().catch((error) => show(screen("bad", "The wallet can’t start", (error as Error).message)));
