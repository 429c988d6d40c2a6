// What happened to the money: payments, and what was allowed to sites.

import type { Payment } from "farthing";
import { h, icon, ICONS, live, type Child } from "../dom.ts";
import { isOpen, type GrantRecord } from "../logic/book.ts";
import { when, short } from "../logic/readable.ts";
import type { Session } from "../session.ts";
import { money } from "./parts.ts";

const STATUS: Readonly<Record<Payment["status"], string>> = {
  pending: "on its way",
  held: "waits for them",
  completed: "",
  returning: "coming back",
  failed: "not paid",
};

interface Row {
  readonly at: number;
  readonly view: HTMLElement;
}

function row(at: number, now: number, kind: "up" | "down" | "shield" | "cross", text: Child, more: Child, amount: Child, className = ""): Row {
  return {
    at,
    view: h("li", { class: className }, h("span", { class: "way" }, icon(ICONS[kind])), h("span", { class: "what" }, text, h("small", null, when(at, now), more ? [" · ", more] : null)), h("span", { class: "sum" }, amount)),
  };
}

function ofPayment(session: Session, payment: Payment, now: number): Row {
  const { direction, status, amount, asset, to, memo, createdAt } = payment;
  const incoming = direction === "received";
  const info = session.assetOf(payment.token) ?? { asset, decimals: 18 };
  const failed = status === "failed";
  const text = memo !== "" ? memo : incoming ? "Received" : `To ${short(to ?? "")}`;
  const sign = failed ? "" : incoming ? "+" : "−";
  return row(createdAt, now, failed ? "cross" : incoming ? "down" : "up", text, STATUS[status], [sign, money(amount, info)], failed ? "failed" : incoming ? "in" : "out");
}

function ofGrant(record: GrantRecord, now: number): Row {
  const { request, origin, symbol, decimals, paid, state, at } = record;
  const info = { asset: symbol, decimals };
  const status = state === "failed" ? "it failed, nothing was paid" : state === "allowed" ? "not answered yet" : isOpen(record, now) ? "open" : "over";
  const text = ["Allowed to ", h("strong", null, new URL(origin).host)];
  return row(at, now, "shield", text, [status, paid > 0 && [", ", money(request.unitPrice * BigInt(paid), info), " paid"]], ["up to ", money(request.unitPrice * BigInt(request.units), info, "up")], state === "failed" ? "failed" : "grant");
}

export function historyList(session: Session, most: number): HTMLElement {
  const now = Date.now();
  const streams = new Set(session.grants.value.map(({ streamId }) => streamId.toLowerCase()));
  const rows = [
    ...session.payments.value.filter(({ id }) => !streams.has(id.toLowerCase())).map((payment) => ofPayment(session, payment, now)),
    ...session.grants.value.map((record) => ofGrant(record, now)),
  ].sort((one, other) => other.at - one.at);
  if (rows.length === 0) return h("p", { class: "soft none" }, "Nothing has happened yet.");
  return h("ol", { class: "rows" }, rows.slice(0, most).map(({ view }) => view));
}

export function historyView(session: Session): HTMLElement {
  const count = live(h("p", { class: "soft", id: "count" }), [session.payments], () => {
    const done = session.payments.value.filter(({ status }) => status === "completed");
    if (done.length === 0) return "";
    return `${done.filter(({ direction }) => direction === "received").length} received, ${done.filter(({ direction }) => direction === "sent").length} sent`;
  });
  return h("section", { class: "narrow" }, h("h1", null, "History"), count, live(h("div", { class: "card flush" }), [session.payments, session.grants], () => historyList(session, 200)));
}
