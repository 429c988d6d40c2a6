// Who may take what, and the end of it.

import { button, h, live } from "../dom.ts";
import { isOpen, paidBy, sites, type GrantRecord, type Site } from "../logic/book.ts";
import { asker } from "../logic/origin.ts";
import { until } from "../logic/readable.ts";
import type { Session } from "../session.ts";
import { account, money, said } from "./parts.ts";

export function sitesView(session: Session): HTMLElement {
  const list = live(h("div", { class: "sites" }), [session.grants], () => {
    const known = sites(session.grants.value);
    if (known.length === 0) return h("div", { class: "card empty" }, h("h2", null, "No site yet"), h("p", null, "When a site asks for payments, it is listed here with what it may take and what it took. You can end it here at any time."));
    return known.map((site) => siteCard(session, site));
  });
  void session.refresh().catch(() => {});
  return h("section", { class: "narrow" }, h("h1", null, "Sites"), list);
}

function siteCard(session: Session, { origin, title, records }: Site): HTMLElement {
  const now = Date.now();
  const open = records.filter((record) => isOpen(record, now));
  const over = records.length - open.length;
  return h(
    "article",
    { class: "site card", "data-origin": origin },
    h("header", null, h("h2", null, asker(origin).shown), h("p", { class: "soft" }, "calls itself ", said(title))),
    h("p", { class: "sofar" }, "Paid so far ", paidBy(records).map((sum, index) => [index > 0 ? ", " : "", money(sum.units, { asset: sum.symbol, decimals: sum.decimals })])),
    open.map((record) => grantRow(session, record)),
    open.length === 0 ? h("p", { class: "soft" }, "It may take nothing now.") : null,
    over > 0 ? h("p", { class: "soft" }, over === 1 ? "One earlier approval is over." : `${over} earlier approvals are over.`) : null,
  );
}

function grantRow(session: Session, record: GrantRecord): HTMLElement {
  const { request, symbol, decimals, paid, grant } = record;
  const info = { asset: symbol, decimals };
  const expiry = grant === undefined ? record.at + request.expiresIn * 1_000 : grant.expiry * 1_000;
  const label = `${paid} of ${request.units} units used`;
  return h(
    "div",
    { class: "grant" },
    h("meter", { min: 0, max: request.units, value: paid, "aria-label": label, title: label }),
    h("p", null, money(request.unitPrice * BigInt(paid), info), " of ", money(request.unitPrice * BigInt(request.units), info, "up"), h("small", null, "until ", until(expiry), " · to ", account(request.payee))),
    h("div", { class: "actions" }, button("End this", () => session.endGrant(record), { class: "second small" })),
  );
}
