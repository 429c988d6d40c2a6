// What several views show alike.

import { h, icon, ICONS, type Child } from "../dom.ts";
import { exact, people, type Rounding } from "../logic/money.ts";
import { short } from "../logic/readable.ts";

/** An amount in people's numbers; the exact one is a touch away. */
export function money(units: bigint, asset: { asset: string; decimals: number }, rounding: Rounding = "down"): HTMLElement {
  return h(
    "data",
    { class: "money", value: exact(units, asset.decimals), title: `${exact(units, asset.decimals)} ${asset.asset}` },
    people(units, asset.decimals, rounding),
    "\u00a0",
    h("span", { class: "unit" }, asset.asset),
  );
}

/** An address, short, and the whole of it for those who look. */
export const account = (address: string) => h("code", { class: "account", title: address }, short(address));

/** A stranger's words in quotes: what they do to the direction of writing, and what they pile up, ends with them. */
export const said = (words: string) => h("span", { class: "quoted" }, "“", h("bdi", { class: "said" }, words), "”");

/** Terms with what they are. */
export function facts(rows: ReadonlyArray<readonly [string, Child, Child?]>): HTMLElement {
  return h(
    "dl",
    { class: "facts" },
    rows.map(([name, value, more]) => h("div", null, h("dt", null, name), h("dd", null, value, more ? h("small", null, more) : null))),
  );
}

/** A screen with one thing to say. */
export function screen(kind: "good" | "bad" | "waiting", heading: string, text: Child, actions: Child[] = []): HTMLElement {
  const mark = kind === "waiting" ? h("span", { class: "spinner", role: "presentation" }) : h("span", { class: `mark ${kind}` }, icon(kind === "good" ? ICONS.check : ICONS.cross));
  return h(
    "section",
    { class: "screen card", "data-kind": kind, role: kind === "bad" ? "alert" : "status" },
    mark,
    h("h1", null, heading),
    h("div", { class: "words" }, text),
    actions.length > 0 ? h("div", { class: "actions" }, actions) : null,
  );
}

export type Step = "todo" | "now" | "done";

/** Steps in a row, of which one is going on. */
export function steps(rows: ReadonlyArray<readonly [string, Step, Child?]>): HTMLElement {
  return h(
    "ol",
    { class: "steps" },
    rows.map(([text, state, more]) =>
      h("li", { "data-state": state, "aria-current": state === "now" ? "step" : null }, h("span", { class: "dot" }, state === "done" ? icon(ICONS.check) : null), h("span", null, text, more ? h("small", null, more) : null)),
    ),
  );
}

/** Text into the clipboard, said beside the button. */
export function copier(text: string, what = "Copy"): HTMLButtonElement {
  const made = h("button", { type: "button", class: "quiet", "aria-label": `${what} ${text}` }, what);
  made.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    made.textContent = "Copied";
    setTimeout(() => (made.textContent = what), 1_500);
  });
  return made;
}
