// Limits, account, and the way out.

import { button, h, live, note } from "../dom.ts";
import { consistent, type LimitName, type Limits } from "../logic/limits.ts";
import { exact, parse } from "../logic/money.ts";
import type { AssetInfo, Session } from "../session.ts";
import { copier, facts, money } from "./parts.ts";

const NAMES: ReadonlyArray<readonly [LimitName, string]> = [
  ["perGrant", "One approval"],
  ["perSite", "One site, in 30 days"],
  ["perDay", "All sites, in a day"],
];

export function settingsView(session: Session): HTMLElement {
  const { client, account } = session.open;
  const { info } = client;
  return h(
    "section",
    { class: "narrow settings" },
    h("h1", null, "Settings"),
    h("h2", { id: "limits" }, "Limits"),
    h("p", { class: "soft" }, "What sites may be allowed at most. Nothing above is allowed by a click; you raise the limit first."),
    session.assets.map((asset) => limitsForm(session, asset)),
    h("h2", null, "Take money out"),
    outForm(session),
    h("h2", null, "Account"),
    h(
      "div",
      { class: "card" },
      facts([
        ["Account", h("code", { class: "whole" }, info.address), copier(info.address)],
        ["Signed by", account.kind === "key" ? "a key that is kept in this browser, without a password" : "your browser’s wallet"],
        ["Channel", h("code", { class: "whole" }, info.channelId)],
        ["Hub", info.hub.url],
        ["Contract", h("code", { class: "whole" }, info.contract), `chain ${info.chainId}`],
      ]),
      account.kind === "key" ? revealKey(account.privateKey) : null,
    ),
    h("h2", null, "If the hub is gone"),
    h(
      "div",
      { class: "card stack" },
      h("p", null, "The exit kit takes your money home without the hub and without this page. Keep the newest one somewhere else; it holds no key."),
      h("div", { class: "actions" }, button("Save the exit kit", async () => save(await client.exportExitKit()), { class: "second" })),
    ),
  );
}

function limitsForm(session: Session, asset: AssetInfo): HTMLElement {
  const inputs = new Map(NAMES.map(([name]) => [name, h("input", { name, inputmode: "decimal", autocomplete: "off", required: true })]));
  void session.limits(asset).then((limits) => NAMES.forEach(([name]) => ((inputs.get(name) as HTMLInputElement).value = exact(limits[name], asset.decimals))));
  const form = h(
    "form",
    {
      class: "card limits",
      "data-asset": asset.asset,
      novalidate: true,
      async onsubmit(event: SubmitEvent) {
        event.preventDefault();
        try {
          const read = (name: LimitName) => parse((inputs.get(name) as HTMLInputElement).value, asset.decimals);
          const limits: Limits = { perGrant: read("perGrant"), perSite: read("perSite"), perDay: read("perDay") };
          const wrong = consistent(limits);
          if (wrong !== undefined) throw new RangeError(wrong);
          await session.setLimits(asset, limits);
          note(form, "Kept.", "good");
        } catch (error) {
          note(form, (error as Error).message);
        }
      },
    },
    h("h3", null, asset.asset),
    h("div", { class: "trio" }, NAMES.map(([name, text]) => h("label", null, text, inputs.get(name) as HTMLInputElement))),
    h("div", { class: "actions" }, h("button", { type: "submit", class: "second small" }, "Keep")),
  );
  return form;
}

function outForm(session: Session): HTMLElement {
  const { client } = session.open;
  const select = h("select", { name: "asset" }, session.assets.map(({ asset }) => h("option", { value: asset }, asset)));
  const amount = h("input", { name: "amount", inputmode: "decimal", autocomplete: "off", required: true, placeholder: "0.25" });
  const chosen = () => session.assets.find(({ asset }) => asset === select.value) as AssetInfo;
  const there = live(h("p", { class: "soft" }), [session.balances], () => ["There is ", money(session.available(chosen().token), chosen()), " to take."]);
  select.addEventListener("change", () => there.replaceChildren("There is ", money(session.available(chosen().token), chosen()), " to take."));
  const work = async (text: string, doing: () => Promise<unknown>, then = () => session.refresh()) => {
    note(form, `${text} …`, "good");
    try {
      await doing();
      note(form, "It is in your account.", "good");
      await then();
    } catch (error) {
      note(form, (error as Error).message);
    }
  };
  const form = h(
    "form",
    {
      class: "card stack",
      id: "withdraw",
      novalidate: true,
      onsubmit(event: SubmitEvent) {
        event.preventDefault();
        return work("On its way to your account", async () => client.withdraw({ asset: chosen().asset, amount: parse(amount.value, chosen().decimals) }));
      },
    },
    h("div", { class: "pair" }, h("label", null, "Amount", amount), h("label", null, "Asset", select)),
    there,
    h(
      "div",
      { class: "actions" },
      h("button", { type: "submit", class: "second" }, "Withdraw"),
      button("Close and take everything", () => confirmed("Everything is paid out to your account, and this wallet is closed for good. Sites that you allowed something lose what is left of it.", () => work("Closing", () => client.close(), () => session.leave())), { class: "quiet danger", id: "close" }),
    ),
  );
  return form;
}

/** Asks once more, in a dialog of the page. */
function confirmed(text: string, work: () => unknown): Promise<void> {
  return new Promise((resolve) => {
    const end = (yes: boolean) => {
      dialog.close();
      dialog.remove();
      resolve();
      if (yes) void work();
    };
    const dialog = h(
      "dialog",
      { "aria-label": "Are you sure?", oncancel: () => end(false) },
      h("p", null, text),
      h("div", { class: "actions" }, h("button", { type: "button", onclick: () => end(true) }, "Yes"), h("button", { type: "button", class: "quiet", onclick: () => end(false) }, "No")),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

function revealKey(privateKey: string): HTMLElement {
  const place = h("div", { class: "actions" });
  const show = button("Show the key", () => place.replaceChildren(h("code", { class: "whole secret" }, privateKey), copier(privateKey)), { class: "quiet" });
  place.append(show);
  return h("div", null, h("p", { class: "soft" }, "Whoever sees the key can take the money. Keep a copy if anything on it matters."), place);
}

function save(kit: string): void {
  const url = URL.createObjectURL(new Blob([kit], { type: "application/json" }));
  h("a", { href: url, download: "farthing-exit-kit.json" }).click();
  URL.revokeObjectURL(url);
}
