// The first screen: whose wallet it is.

import { injected } from "../accounts.ts";
import { button, h, live } from "../dom.ts";
import type { Session } from "../session.ts";
import { screen } from "./parts.ts";

/** Ways to connect, and what becomes of the try. */
export function connectView(session: Session): HTMLElement {
  const list = h("div", { class: "choices" }, h("p", { class: "soft" }, "Looking for wallets …"));
  const look = async () => {
    const found = await injected();
    const rows: Node[] = found.map(({ rdns, name, icon }) => {
      const choice = button(name, () => session.use({ kind: "injected", rdns }), { class: "choice", "data-rdns": rdns });
      choice.prepend(icon === undefined ? h("span", { class: "face" }) : h("img", { class: "face", src: icon, alt: "", width: 28, height: 28 }));
      choice.append(h("small", null, "in your browser"));
      return choice;
    });
    if (found.length === 0) rows.push(h("p", { class: "soft" }, "No wallet extension was found in this browser."));
    if (session.host.browserKey) rows.push(keyChoice(session));
    list.replaceChildren(...rows);
  };
  void look();
  return h(
    "section",
    { class: "connect" },
    h("h1", null, "Pay any site from one purse"),
    h("p", { class: "lead" }, "Deposit once. Allow a site an amount, and it takes what you use, by the article or by the second. What it does not take comes back."),
    live(h("div", { "aria-live": "polite" }), [session.phase], () => {
      const phase = session.phase.value;
      if (phase.name === "opening") return h("p", { class: "busy" }, h("span", { class: "spinner" }), "Opening your channel. Your wallet may ask you to sign.");
      if (phase.name === "away") return h("p", { class: "note bad" }, "The wallet that you used last time is not there. Unlock it, or choose another.");
      if (phase.name === "failed") return h("p", { class: "note bad", role: "alert" }, phase.message);
      return null;
    }),
    list,
  );
}

function keyChoice(session: Session): HTMLElement {
  const choice = button("A key in this browser", () => session.useBrowserKey(), { class: "choice", id: "browser-key" });
  choice.prepend(h("span", { class: "face key" }));
  choice.append(h("small", null, "for trying it out"));
  return h(
    "div",
    { class: "trying" },
    choice,
    h("p", { class: "soft" }, "The key is made here and kept in this browser alone, without a password. Who clears this site’s data, or gets hold of this browser, has lost or taken what is on it. Good for test money, and for nothing else."),
  );
}

/** While nothing can be shown yet. */
export const opening = () => screen("waiting", "Opening your wallet", "Your channel is being taken up.");
