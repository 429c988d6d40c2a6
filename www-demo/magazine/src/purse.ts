// What this site may still take, at the foot of the page, and what went wrong in words for a reader.

import type { Payer } from "farthing/pay";

export interface Site {
  readonly wallet: string;
  readonly title: string;
  readonly symbol: string;
  readonly decimals: number;
  readonly unitPrice: bigint;
}

/** At most six digits, rounded up: nobody pays more than is shown. */
export function shown(units: bigint, decimals: number): string {
  const step = 10n ** BigInt(Math.max(0, decimals - 6));
  const cut = ((units + step - 1n) / step) * step;
  const digits = cut.toString().padStart(decimals + 1, "0");
  const rest = digits.slice(digits.length - decimals).replace(/0+$/, "");
  return `${digits.slice(0, digits.length - decimals)}${rest === "" ? "" : `.${rest}`}`;
}

export const price = (site: Site, units: number) => `${shown(site.unitPrice * BigInt(units), site.decimals)} ${site.symbol}`;

const SAID: Readonly<Record<string, string>> = {
  denied: "You said no. Nothing was paid.",
  closed: "The wallet’s window was closed. Nothing was paid.",
  blocked: "Your browser did not open the wallet’s window. Allow it and try again, or go there and back in this tab.",
  busy: "Your wallet is answering another site. Finish there, then try again.",
  "no-capacity": "The hub can’t carry this now. Nothing was paid; try again later.",
  "no-money": "There is not enough in your wallet. Nothing was paid.",
  "no-channel": "You have no wallet yet. Nothing was paid; set one up in the window that opens.",
  "over-limit": "This is over the limit that you set in your wallet. Nothing was paid.",
  "other-hub": "Your wallet is with another hub than this site. Nothing was paid.",
  expired: "That took too long. Nothing was paid; try again.",
  "tip-used": "That was asked before. Nothing was paid; try again.",
  "payment-required": "",
  "paywall-unavailable": "The magazine can’t take payments now. Nothing more is paid; try again in a moment.",
  unanswered: "There was no answer. If it was charged, trying again costs nothing more.",
  "storage-failed": "This browser keeps nothing here, as in a private window, so it can’t pay.",
};

/** What a reader is told of an error. */
export function said(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  return SAID[code ?? ""] ?? message ?? "That did not work.";
}

const until = (ms: number) => new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" }).format(ms);

/** Keeps the bar as it is: what was used, of what, until when, and the end of it. */
export function showPurse(pay: Payer, site: Site, bar: HTMLElement): void {
  const draw = async () => {
    const grants = (await pay.state()).filter(({ expiresAt }) => expiresAt > Date.now());
    bar.hidden = grants.length === 0;
    if (grants.length === 0) return;
    const spent = grants.reduce((sum, grant) => sum + grant.spent, 0n);
    const whole = grants.reduce((sum, grant) => sum + grant.unitPrice * BigInt(grant.units), 0n);
    const meter = document.createElement("meter");
    Object.assign(meter, { min: 0, max: 1_000, value: Number((spent * 1_000n) / whole), title: "What was used of what you allowed" });
    meter.setAttribute("aria-label", "What was used of what you allowed");
    const text = document.createElement("p");
    const strong = document.createElement("strong");
    strong.textContent = `${shown(spent, site.decimals)}`;
    text.append(strong, ` of ${shown(whole, site.decimals)} ${site.symbol} used, until ${until(Math.max(...grants.map(({ expiresAt }) => expiresAt)))}`);
    const end = document.createElement("button");
    Object.assign(end, { type: "button", textContent: "End it" });
    end.addEventListener("click", async () => {
      await pay.end();
      await draw();
    });
    bar.replaceChildren(meter, text, end);
  };
  let waiting = false;
  pay.on("spent", () => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => ((waiting = false), void draw()), 100);
  });
  // Other tabs and the wallet's window change it, too.
  addEventListener("focus", () => void draw());
  void draw();
}
