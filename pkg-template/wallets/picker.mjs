// A dialog to choose a wallet in. It makes no markup of a text and brings its style as an object, so that a strict
// Content-Security-Policy lets it be: only the icons need `img-src data:`, and without that they are not shown.
// @ts-check

/** @import { DiscoveredWallet, PickerOptions, PickerTexts } from "./index.js" */

import { fault } from "../faults.mjs";
import { discoverWallets } from "./discover.mjs";

/** @type {PickerTexts} */
const TEXTS = {
  title: "Choose a wallet",
  cancel: "Cancel",
  none: "No wallet was found in this browser. Install one, or unlock it and let it show itself to this site.",
  found: (count) => (count === 1 ? "1 wallet was found." : `${count} wallets were found.`),
  legacyName: "Browser wallet",
};

const STYLE = `
:host { all: initial; }
dialog {
  --back: #ffffff; --text: #1b1f24; --soft: #57606a; --line: #d0d7de; --over: #f3f5f7; --mark: #0b57d0;
  box-sizing: border-box; width: min(24rem, calc(100vw - 2rem)); max-height: calc(100vh - 2rem); padding: 1.25rem;
  overflow: auto; border: 1px solid var(--line); border-radius: .75rem; background: var(--back); color: var(--text);
  font: 1rem/1.4 system-ui, sans-serif; color-scheme: light;
}
dialog::backdrop { background: rgb(0 0 0 / 55%); }
h2 { margin: 0 0 .75rem; font-size: 1.15rem; line-height: 1.3; }
p { margin: 0 0 .75rem; color: var(--soft); font-size: .9rem; }
ul { margin: 0; padding: 0; list-style: none; }
li { margin: 0 0 .5rem; }
button {
  box-sizing: border-box; width: 100%; min-height: 2.75rem; padding: .5rem .75rem; border: 1px solid var(--line);
  border-radius: .5rem; background: transparent; color: inherit; font: inherit; cursor: pointer;
}
li button { display: flex; gap: .75rem; align-items: center; text-align: start; }
button:hover { background: var(--over); }
button:focus-visible { outline: 3px solid var(--mark); outline-offset: 2px; }
img, .blank { flex: none; width: 2rem; height: 2rem; border-radius: .4rem; }
.blank { background: var(--over); }
.words { min-width: 0; }
.words * { display: block; overflow-wrap: anywhere; }
small { color: var(--soft); font-size: .8rem; }
.dark { --back: #1c2128; --text: #e6edf3; --soft: #a3adb8; --line: #444c56; --over: #2d333b; --mark: #8ab4f8; color-scheme: dark; }
@media (prefers-color-scheme: dark) {
  .auto { --back: #1c2128; --text: #e6edf3; --soft: #a3adb8; --line: #444c56; --over: #2d333b; --mark: #8ab4f8; color-scheme: dark; }
}
`;

/** How focus moves in the list. @type {Record<string, (at: number, count: number) => number>} */
const KEYS = {
  ArrowDown: (at, count) => (at + 1) % count,
  ArrowUp: (at, count) => (at <= 0 ? count - 1 : at - 1),
  Home: () => 0,
  End: (_, count) => count - 1,
};

/** @template {keyof HTMLElementTagNameMap} Tag @param {Tag} tag @param {Partial<HTMLElementTagNameMap[Tag]>} [properties] @param {(Node | string)[]} children */
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** @param {DiscoveredWallet} wallet @param {() => void} chosen */
function row(wallet, chosen) {
  const picture = element(wallet.icon === undefined ? "span" : "img", { className: "blank" });
  if (wallet.icon !== undefined) {
    // Its name stands beside it.
    Object.assign(picture, { className: "", alt: "", src: wallet.icon, decoding: "async", draggable: false });
    picture.addEventListener("error", () => picture.replaceWith(element("span", { className: "blank" })));
  }
  const words = element("span", { className: "words" }, element("bdi", {}, wallet.name));
  if (wallet.rdns !== undefined) words.append(element("small", {}, wallet.rdns));
  const button = element("button", { type: "button" }, picture, words);
  button.addEventListener("click", chosen);
  return element("li", {}, button);
}

/** The list as it is now; what stays keeps its place and its focus. @param {HTMLElement} list @param {Map<string, HTMLElement>} rows @param {readonly DiscoveredWallet[]} wallets @param {(wallet: DiscoveredWallet) => void} choose */
function fill(list, rows, wallets, choose) {
  for (const [uuid, old] of rows) {
    if (wallets.some((wallet) => wallet.uuid === uuid)) continue;
    old.remove();
    rows.delete(uuid);
  }
  wallets.forEach((wallet, at) => {
    const made = rows.get(wallet.uuid) ?? row(wallet, () => choose(wallet));
    rows.set(wallet.uuid, made);
    if (list.children[at] !== made) list.insertBefore(made, list.children[at] ?? null);
  });
}

/** @param {PickerOptions} options */
function checked({ signal, texts, theme = "auto", discovery }) {
  const invalid = (/** @type {string} */ what) => fault("invalid-argument", `pickWallet(): ${what}`);
  if (typeof document === "undefined" || typeof HTMLDialogElement === "undefined") {
    throw fault("unsupported", "pickWallet() needs a page with the dialog element. Use discoverWallets() and show its list.");
  }
  if (!["auto", "light", "dark"].includes(theme)) throw invalid('theme must be "auto", "light" or "dark".');
  if (discovery !== undefined && typeof discovery.onChange !== "function") throw invalid("discovery must be what discoverWallets() gave.");
  const said = { ...TEXTS, ...texts };
  for (const [name, text] of Object.entries(said)) {
    const wanted = name === "found" ? "function" : "string";
    if (!(name in TEXTS) || typeof text !== wanted) throw invalid(`texts.${name} must be a ${wanted} of ${Object.keys(TEXTS).join(", ")}.`);
  }
  if (signal?.aborted) throw fault("aborted", "pickWallet() was stopped. No wallet was asked.", signal.reason);
  return { said, theme };
}

/**
 * Shows the wallets that there are, and gives the one that is chosen. Nothing is asked of any of them.
 * @param {PickerOptions} [options] @returns {Promise<DiscoveredWallet>}
 */
export async function pickWallet(options = {}) {
  const { said, theme } = checked(options);
  const { signal } = options;
  const discovery = options.discovery ?? discoverWallets({ legacyName: said.legacyName });
  const host = element("div");
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];
  const title = element("h2", { id: "title" }, said.title);
  const status = element("p", { id: "status" });
  status.setAttribute("role", "status");
  const list = element("ul");
  const cancel = element("button", { type: "button" }, said.cancel);
  const dialog = element("dialog", { className: theme }, title, status, list, cancel);
  dialog.setAttribute("aria-labelledby", "title");
  dialog.setAttribute("aria-describedby", "status");
  root.append(dialog);

  return new Promise((resolve, reject) => {
    /** @type {(() => void)[]} */
    const undo = [];
    const end = (/** @type {() => void} */ settle) => {
      for (const step of undo.splice(0)) step();
      // Closing gives the focus back to where it was.
      dialog.close();
      host.remove();
      if (options.discovery === undefined) discovery.stop();
      settle();
    };
    const refuse = () => end(() => reject(fault("wallet-rejected", "No wallet was chosen. No wallet was asked.")));
    const stop = () => end(() => reject(fault("aborted", "pickWallet() was stopped. No wallet was asked.", signal?.reason)));
    const choose = (/** @type {DiscoveredWallet} */ wallet) => end(() => resolve(wallet));
    /** @type {Map<string, HTMLElement>} */
    const rows = new Map();
    const show = (/** @type {readonly DiscoveredWallet[]} */ wallets) => {
      fill(list, rows, wallets, choose);
      status.textContent = wallets.length === 0 ? said.none : said.found(wallets.length);
    };
    cancel.addEventListener("click", refuse);
    dialog.addEventListener("cancel", (event) => (event.preventDefault(), refuse()));
    dialog.addEventListener("click", (event) => event.target === dialog && isOutside(dialog, event) && refuse());
    dialog.addEventListener("keydown", (event) => move(event, root, list));
    signal?.addEventListener("abort", stop);
    undo.push(() => signal?.removeEventListener("abort", stop), discovery.onChange(show));
    document.body.append(host);
    // A page that draws its body anew takes the dialog with it: nobody can choose any more.
    const gone = new MutationObserver(() => host.isConnected || refuse());
    gone.observe(document, { childList: true, subtree: true });
    undo.push(() => gone.disconnect());
    show(discovery.wallets);
    dialog.showModal();
    list.querySelector("button")?.focus();
  });
}

/** The backdrop is the dialog's own, beyond its box. @param {HTMLElement} dialog @param {MouseEvent} event */
function isOutside(dialog, { clientX, clientY }) {
  const { left, right, top, bottom } = dialog.getBoundingClientRect();
  return clientX < left || clientX > right || clientY < top || clientY > bottom;
}

/** @param {KeyboardEvent} event @param {ShadowRoot} root @param {HTMLElement} list */
function move(event, root, list) {
  const buttons = [...list.querySelectorAll("button")];
  const next = KEYS[event.key];
  if (next === undefined || buttons.length === 0) return;
  event.preventDefault();
  buttons[next(buttons.indexOf(/** @type {HTMLButtonElement} */ (root.activeElement)), buttons.length)]?.focus();
}
