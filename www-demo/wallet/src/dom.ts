// Elements without a framework. Text is always a text node: nothing that a stranger sent can become markup.

export type Child = Node | string | number | null | undefined | false | Child[];

interface Props {
  [name: string]: string | number | boolean | undefined | null | ((event: any) => unknown);
}

/** An element: `on…` are listeners, all else attributes; `true` is an empty one, `false` none. */
export function h<Tag extends keyof HTMLElementTagNameMap>(tag: Tag, props: Props | null = null, ...children: Child[]): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value === true ? "" : String(value));
  }
  add(made, children);
  return made;
}

function add(to: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (Array.isArray(child)) add(to, child);
    else if (child !== null && child !== undefined && child !== false) to.append(child instanceof Node ? child : String(child));
  }
}

/** A drawing of 24 by 24 units, made of lines. */
export function icon(path: string): SVGElement {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of Object.entries({ viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" })) made.setAttribute(name, value);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  made.append(line);
  return made;
}

export const ICONS = {
  check: "M5 12.5l4.5 4.5L19 7.5",
  cross: "M7 7l10 10M17 7L7 17",
  clock: "M12 7v5l3 2M12 3.5a8.5 8.5 0 100 17 8.5 8.5 0 000-17z",
  down: "M12 5v13M6.5 12.5L12 18l5.5-5.5",
  up: "M12 19V6M6.5 11.5L12 6l5.5 5.5",
  shield: "M12 3.5l7 2.5v5.5c0 4.5-3 7.5-7 9-4-1.5-7-4.5-7-9V6z",
  pause: "M9 7v10M15 7v10",
} as const;

/** A value that others look at. */
export class Cell<Value> {
  #value: Value;
  readonly #watchers = new Set<() => void>();
  constructor(value: Value) {
    this.#value = value;
  }
  get value(): Value {
    return this.#value;
  }
  set value(value: Value) {
    this.#value = value;
    for (const watcher of [...this.#watchers]) watcher();
  }
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }
}

/** Keeps an element's children as `draw` gives them, redrawn at most once a frame, until the element is gone. */
export function live<Of extends HTMLElement>(element: Of, cells: ReadonlyArray<Cell<any>>, draw: () => Child): Of {
  let waiting = false;
  let shown = false;
  const redraw = () => {
    waiting = false;
    if (shown && !element.isConnected) return stops.forEach((stop) => stop());
    shown ||= element.isConnected;
    element.replaceChildren();
    add(element, [draw()]);
  };
  const soon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(redraw);
  };
  const stops = cells.map((cell) => cell.watch(soon));
  redraw();
  return element;
}

/** Does the work of a button once at a time; what goes wrong is said beside it. */
export function button(text: string, work: () => unknown, props: Props = {}): HTMLButtonElement {
  const made = h("button", { type: "button", ...props }, text);
  made.addEventListener("click", async () => {
    if (made.getAttribute("aria-busy") === "true") return;
    made.setAttribute("aria-busy", "true");
    try {
      await work();
    } catch (error) {
      note(made, error instanceof Error ? error.message : String(error));
    } finally {
      made.removeAttribute("aria-busy");
    }
  });
  return made;
}

/** Says something next to an element, in place of what was said there before. */
export function note(beside: Element, text: string, kind: "bad" | "good" = "bad"): void {
  const place = beside.closest("form, .actions, .card") ?? beside.parentElement;
  place?.querySelector(":scope > .note")?.remove();
  if (text !== "") place?.append(h("p", { class: `note ${kind}`, role: kind === "bad" ? "alert" : "status" }, text));
}
