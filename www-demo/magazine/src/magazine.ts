// The script of every page of a magazine.

import "./style.css";
import { payer } from "farthing/pay";
import { film } from "./film.ts";
import { openPaid, showArticle, showDay } from "./piece.ts";
import { said, showPurse, type Site } from "./purse.ts";
import { draw, type Frame } from "./sea.ts";

interface Page {
  readonly kind: "front" | "article" | "film" | "almanac" | "missing";
  readonly paid?: string | null;
  readonly day?: number;
  readonly still?: Frame;
}

const page: Page = JSON.parse(document.getElementById("page")?.textContent ?? "{}");

async function readSite(): Promise<Site> {
  const { unitPrice, ...rest } = await (await fetch("/site.json")).json();
  return { ...rest, unitPrice: BigInt(unitPrice) };
}

/** Days turn without leaving the page: each is one request, and paid by it. */
function almanac(open: (path: string, show: (sold: any) => void) => Promise<boolean>, first: number): void {
  const turn = (day: number) => {
    const link = (id: string, to: number) => ((document.getElementById(id) as HTMLAnchorElement).href = `/almanac/${to}`);
    link("before", day === 1 ? 365 : day - 1);
    link("after", day === 365 ? 1 : day + 1);
    return open(`/days/${day}`, showDay);
  };
  for (const id of ["before", "after"]) {
    document.getElementById(id)?.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      const { href } = event.currentTarget as HTMLAnchorElement;
      history.pushState(null, "", href);
      void turn(Number(href.split("/").at(-1)));
    });
  }
  addEventListener("popstate", () => void turn(Number(location.pathname.split("/")[2] ?? first)));
  void turn(first);
}

async function start(): Promise<void> {
  const canvas = document.querySelector<HTMLCanvasElement>(".still canvas");
  if (canvas !== null && page.still !== undefined) draw(canvas.getContext("2d") as CanvasRenderingContext2D, page.still);
  const site = await readSite();
  const { wallet, title } = site;
  const asked = { wallet, title, reason: "Pages and film, by the page and by the second" };
  const pay = payer(asked);
  // Both keep the same purse.
  const payers = { pay, away: payer({ ...asked, mode: "redirect" }) };
  showPurse(pay, site, document.getElementById("purse") as HTMLElement);
  const back = await pay.returned;
  if (page.kind === "article" && page.paid) await openPaid(payers, page.paid, showArticle);
  if (page.kind === "almanac" && page.day !== undefined) almanac((path, show) => openPaid(payers, path, show), page.day);
  if (page.kind === "film" && page.paid && page.still !== undefined) film(pay, site, page.paid, page.still);
  if (back !== undefined && "error" in back) document.querySelector(".said")?.replaceChildren(said(back.error));
  document.documentElement.dataset.ready = "true";
}

start().catch((error) => {
  document.querySelector(".said")?.replaceChildren(said(error));
});
