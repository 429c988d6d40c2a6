// What there is, what can be done with it, and what happened last.

import { button, h, live } from "../dom.ts";
import { isOpen } from "../logic/book.ts";
import { parse } from "../logic/money.ts";
import type { Session } from "../session.ts";
import { historyList } from "./history.ts";
import { money } from "./parts.ts";

export type Go = (page: string) => void;

export function homeView(session: Session, go: Go): HTMLElement {
  return h(
    "div",
    { class: "home" },
    h("h1", { class: "hidden" }, "Balance"),
    live(h("section", { class: "balances", "aria-label": "Balances" }), [session.balances, session.grants], () => balances(session)),
    h("div", { class: "actions centre" }, button("Deposit", () => go("deposit")), button("Send", () => go("send"), { class: "second" })),
    h(
      "section",
      { class: "recent" },
      h("header", null, h("h2", null, "Lately"), h("a", { href: "#history" }, "All history")),
      live(h("div"), [session.payments, session.grants], () => historyList(session, 6)),
    ),
  );
}

function balances(session: Session) {
  const now = Date.now();
  if (!session.funded) return h("div", { class: "card empty" }, h("h2", null, "Nothing here yet"), h("p", null, "Put something in, and pay any site with it. A little goes a long way."));
  return session.balances.value
    .filter(({ available, deposited, sending, receiving }) => available + deposited + sending + receiving > 0n)
    .map((balance) => {
      const info = session.assetOf(balance.token) ?? { asset: balance.asset, decimals: 18 };
      const open = session.grants.value.filter((record) => isOpen(record, now) && record.request.asset === balance.token.toLowerCase());
      const reserved = open.reduce((sum, { request, paid }) => sum + request.unitPrice * BigInt(request.units - paid), 0n);
      return h(
        "article",
        { class: "balance card", "data-asset": balance.asset },
        h("h2", null, balance.asset),
        h("p", { class: "amount" }, money(balance.available, info)),
        h(
          "p",
          { class: "soft" },
          balance.status !== "open"
            ? balance.status
            : reserved > 0n
              ? ["and up to ", money(reserved, info), " allowed to sites"]
              : balance.sending + balance.receiving > 0n
                ? [money(balance.sending + balance.receiving, info), " on the way"]
                : "free to spend",
        ),
      );
    });
}

/** A payment to somebody. */
export function sendView(session: Session, home: () => void): HTMLElement {
  const { client } = session.open;
  const outcome = h("p", { class: "outcome", "aria-live": "polite" });
  const submit = h("button", { type: "submit" }, "Send");
  const form = h(
    "form",
    {
      class: "stack card",
      id: "pay",
      novalidate: true,
      async onsubmit(event: SubmitEvent) {
        event.preventDefault();
        const given = new FormData(form);
        const asset = session.assets.find((entry) => entry.asset === given.get("asset"));
        submit.disabled = true;
        outcome.className = "outcome";
        try {
          if (asset === undefined) throw new Error("Choose an asset.");
          const amount = parse(String(given.get("amount")), asset.decimals);
          const started = performance.now();
          const { status } = await client.pay({ to: String(given.get("to")).trim() as `0x${string}`, asset: asset.asset, amount, memo: String(given.get("memo")) });
          const took = Math.max(1, Math.round(performance.now() - started));
          outcome.replaceChildren(status === "completed" ? `Paid, in ${took} ms.` : "They are away; the hub holds it for them. You can take it back as long as they have not taken it.");
          outcome.classList.add("good");
        } catch (error) {
          outcome.replaceChildren((error as Error).message);
          outcome.classList.add("bad");
        } finally {
          submit.disabled = false;
        }
      },
    },
    h("label", null, "To", h("input", { name: "to", required: true, spellcheck: "false", autocomplete: "off", placeholder: "0x…" })),
    h(
      "div",
      { class: "pair" },
      h("label", null, "Amount", h("input", { name: "amount", required: true, inputmode: "decimal", autocomplete: "off", placeholder: "0.25" })),
      h("label", null, "Asset", h("select", { name: "asset" }, session.assets.map(({ asset }) => h("option", { value: asset }, asset)))),
    ),
    h("label", null, "Note, for them alone", h("input", { name: "memo", maxlength: 120, placeholder: "what it is for" })),
    h("div", { class: "actions" }, submit, button("Back", home, { class: "quiet" })),
    outcome,
  );
  return h(
    "section",
    { class: "narrow" },
    h("h1", null, "Send"),
    form,
    h("p", { class: "soft" }, "To be paid yourself, give them your account: ", h("code", { class: "whole" }, client.info.address)),
  );
}
