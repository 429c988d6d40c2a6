// The paid part of a page: fetched and paid in one step where the reader allowed it before, else behind a button.

import type { Payer } from "farthing/pay";
import { said, shown } from "./purse.ts";

const byId = (id: string) => document.getElementById(id) as HTMLElement;

export interface Payers {
  /** Asks the reader in a window beside this one. */
  readonly pay: Payer;
  /** Asks in this tab, which comes back. */
  readonly away: Payer;
}

/** Asks for what `path` sells, and shows it. Gives whether it is there. */
export async function openPaid({ pay, away }: Payers, path: string, show: (sold: any) => void): Promise<boolean> {
  const gate = byId("gate");
  const button = byId("open") as HTMLButtonElement;
  const note = gate.querySelector(".said") as HTMLElement;
  const here = byId("here") as HTMLButtonElement;
  const load = async (ask: boolean, by = pay): Promise<boolean> => {
    note.textContent = "";
    button.disabled = true;
    try {
      const response = await by.fetch(path, { payment: { ask } });
      if (!response.ok) throw new Error("The magazine could not give it. Nothing was charged.");
      show(await response.json());
      gate.hidden = true;
      const { payment } = response;
      const receipt = byId("receipt");
      receipt.hidden = payment === undefined;
      if (payment !== undefined) receipt.textContent = `Paid: ${shown(payment.amount, payment.decimals)} ${payment.symbol}`;
      return true;
    } catch (error) {
      gate.hidden = false;
      note.textContent = said(error);
      here.hidden = (error as { code?: string }).code !== "blocked";
      return false;
    } finally {
      button.disabled = false;
    }
  };
  button.onclick = () => void load(true);
  here.onclick = () => void load(true, away);
  const allowed = (await pay.state()).some(({ expiresAt }) => expiresAt > Date.now());
  if (allowed) return load(false);
  gate.hidden = false;
  return false;
}

export function showArticle({ paragraphs }: { paragraphs: string[] }): void {
  const text = byId("text");
  for (const paragraph of paragraphs) {
    const made = document.createElement("p");
    made.textContent = paragraph;
    made.className = "sold";
    text.append(made);
  }
}

interface Day {
  readonly day: number;
  readonly date: string;
  readonly sunrise: string;
  readonly noon: string;
  readonly sunset: string;
  readonly minutes: number;
  readonly height: number;
  readonly moon: { readonly age: number; readonly lit: number; readonly phase: string };
}

const SVG = "http://www.w3.org/2000/svg";

function shape(name: string, attributes: Record<string, string | number>, text?: string): SVGElement {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  if (text !== undefined) made.textContent = text;
  return made;
}

const hours = (clock: string) => Number(clock.slice(0, 2)) + Number(clock.slice(3)) / 60;

export function showDay(day: Day): void {
  const title = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long", timeZone: "UTC" }).format(new Date(day.date));
  byId("date").textContent = title;
  const rows: Array<[string, string]> = [
    ["Sunrise", day.sunrise],
    ["Sunset", day.sunset],
    ["Light", `${Math.floor(day.minutes / 60)} h ${day.minutes % 60} min`],
    ["Sun at noon", `${day.height}° above the horizon, at ${day.noon}`],
    ["Moon", `${day.moon.phase}, ${day.moon.lit} % lit, ${day.moon.age} days old`],
  ];
  const list = document.createElement("dl");
  for (const [name, value] of rows) {
    const [term, said] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    said.textContent = value;
    list.append(term, said);
  }
  byId("text").replaceChildren(picture(day), list);
  byId("text").dataset.day = String(day.day);
}

/** The sun's way over the day, and the moon as it is lit. */
function picture({ sunrise, sunset, height, minutes, moon }: Day): SVGElement {
  const svg = shape("svg", { viewBox: "0 0 640 240", role: "img", "aria-label": `The sun is up from ${sunrise} to ${sunset}` });
  const [rise, set, peak] = [(hours(sunrise) / 24) * 640, (hours(sunset) / 24) * 640, 170 - Math.max(4, height * 2)];
  svg.append(shape("line", { x1: 0, y1: 170, x2: 640, y2: 170, class: "horizon" }));
  if (minutes > 0) svg.append(shape("path", { d: `M${rise} 170 Q${(rise + set) / 2} ${2 * peak - 170} ${set} 170 Z`, class: "light" }), shape("circle", { cx: (rise + set) / 2, cy: peak, r: 9, class: "sun" }));
  for (const hour of [6, 12, 18]) svg.append(shape("text", { x: (hour / 24) * 640, y: 194, "text-anchor": "middle" }, `${hour}:00`));
  const lit = moon.lit / 100;
  const [x, y, r] = [590, 44, 22];
  const waxing = moon.age < 14.77;
  const bulge = r * Math.abs(1 - 2 * lit);
  // Half a circle on the lit side, and half an ellipse on the other: bulging in for a crescent, out for more than half.
  const side = waxing ? 1 : 0;
  const inner = (lit < 0.5) === waxing ? 0 : 1;
  svg.append(shape("circle", { cx: x, cy: y, r, class: "moon" }), shape("path", { d: `M${x} ${y - r} A${r} ${r} 0 0 ${side} ${x} ${y + r} A${bulge} ${r} 0 0 ${inner} ${x} ${y - r} Z`, class: "lit" }));
  return svg;
}
