// Money into the channel, step by step.

import type { Progress } from "farthing";
import { onChain } from "../chain.ts";
import { button, h, note } from "../dom.ts";
import { exact, parse, people } from "../logic/money.ts";
import type { AssetInfo, Session } from "../session.ts";
import { facts, money, steps, type Step } from "./parts.ts";

export interface DepositWish {
  /** Only this asset, and at least so much. */
  readonly asset?: AssetInfo;
  readonly least?: bigint;
  readonly done: () => void;
  readonly cancel?: () => void;
  readonly cancelText?: string;
}

const STEPS = ["Signed by your account", "Sent to the chain", "In a block", "Yours to spend"];
/** How many steps are done at a stage. */
const DONE: Readonly<Record<Progress["stage"], number>> = { "relay-refused": 0, submitted: 2, mined: 3, "waiting-for-blocks": 3, confirmed: 4 };

export function depositView(session: Session, wish: DepositWish): HTMLElement {
  const { client, wallet } = session.open;
  const { address } = client.info;
  const assets = wish.asset === undefined ? session.assets : [wish.asset];
  const select = h("select", { name: "asset", id: "deposit-asset" }, assets.map(({ asset }) => h("option", { value: asset }, asset)));
  const amount = h("input", { name: "amount", id: "deposit-amount", required: true, inputmode: "decimal", autocomplete: "off" });
  const holds = h("p", { class: "soft", "aria-live": "polite" }, "…");
  const submit = h("button", { type: "submit" }, "Deposit");
  const chosen = () => assets.find(({ asset }) => asset === select.value) as AssetInfo;

  const look = async () => {
    const asset = chosen();
    try {
      const [units, gas] = await Promise.all([
        onChain({ rpc: session.host.rpc, wallet }, address, asset.token),
        onChain({ rpc: session.host.rpc, wallet }, address, "0x0000000000000000000000000000000000000000"),
      ]);
      holds.replaceChildren("Your account holds ", money(units, asset), ".", gas === 0n ? " It has no ETH for the fee of a transaction." : "");
      form.dataset.empty = String(units === 0n || gas === 0n);
    } catch {
      holds.replaceChildren("What your account holds can’t be read now.");
    }
  };
  const suggest = () => {
    const asset = chosen();
    const usual = /ETH$/.test(asset.asset) ? 10n ** BigInt(asset.decimals) / 100n : 5n * 10n ** BigInt(asset.decimals);
    const least = wish.least ?? 0n;
    amount.value = exact(usual > least ? usual : least, asset.decimals);
  };
  select.addEventListener("change", () => {
    suggest();
    void look();
  });

  const run = async () => {
    const asset = chosen();
    const units = parse(amount.value, asset.decimals);
    if (units === 0n) throw new RangeError("Deposit more than nothing.");
    if (wish.least !== undefined && units < wish.least) throw new RangeError(`This needs at least ${people(wish.least, asset.decimals, "up")} ${asset.asset}.`);
    let at = 0;
    let hash: string | undefined;
    const draw = () =>
      progress.replaceChildren(
        h("h2", null, "Depositing ", money(units, asset)),
        steps(STEPS.map((text, index): [string, Step] => [text, index < at ? "done" : index === at ? "now" : "todo"])),
        hash === undefined ? "" : h("p", { class: "soft hash" }, "Transaction ", h("code", { title: hash }, `${hash.slice(0, 10)}…${hash.slice(-6)}`)),
      );
    form.hidden = true;
    progress.hidden = false;
    draw();
    try {
      await client.deposit({
        asset: asset.asset,
        amount: units,
        onProgress({ stage, hash: sent }) {
          at = Math.max(at, DONE[stage]);
          hash = sent ?? hash;
          draw();
        },
      });
      await session.refresh();
      wish.done();
    } catch (error) {
      progress.hidden = true;
      form.hidden = false;
      throw error;
    }
  };

  const form = h(
    "form",
    {
      class: "stack",
      novalidate: true,
      async onsubmit(event: SubmitEvent) {
        event.preventDefault();
        note(form, "");
        submit.disabled = true;
        try {
          await run();
        } catch (error) {
          note(form, (error as Error).message);
          void look();
        } finally {
          submit.disabled = false;
        }
      },
    },
    h("div", { class: "pair" }, h("label", { for: "deposit-amount" }, "Amount", amount), h("label", { for: "deposit-asset" }, "Asset", select)),
    holds,
    session.host.faucet === undefined ? null : faucet(session, look),
    h("div", { class: "actions" }, submit, wish.cancel === undefined ? null : button(wish.cancelText ?? "Back", wish.cancel, { class: "quiet" })),
  );
  const progress = h("div", { class: "progress", hidden: true, "aria-live": "polite" });
  suggest();
  void look();
  return h("div", { class: "deposit" }, form, progress);
}

/** Money that is worth nothing, from whoever hosts the demo. */
function faucet(session: Session, look: () => Promise<void>): HTMLElement {
  const { address } = session.open.client.info;
  const give = async () => {
    const response = await fetch(session.host.faucet as string, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ address }),
    });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(answer.message ?? "The faucet gives nothing now.");
    await look();
    note(box, "There it is.", "good");
  };
  const box = h("div", { class: "faucet card" }, h("p", null, "This chain’s money is for trying out and worth nothing. The host gives some away."), button("Get test money", give, { class: "second", id: "faucet" }));
  return box;
}

/** The same as a page of its own. */
export function depositPage(session: Session, home: () => void): HTMLElement {
  const { info } = session.open.client;
  return h(
    "section",
    { class: "narrow" },
    h("h1", null, "Deposit"),
    h("p", { class: "lead" }, "One deposit pays any site. It stays yours: take it out whenever you like."),
    h("div", { class: "card" }, depositView(session, { done: home, cancel: home })),
    facts([
      ["From", h("code", { class: "whole" }, info.address)],
      ["At the hub", info.hub.url],
      ["Counts after", info.confirmations === 1 ? "1 block" : `${info.confirmations} blocks`],
    ]),
  );
}
