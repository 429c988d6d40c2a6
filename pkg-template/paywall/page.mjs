// The 402 that a person sees: what it costs, and where to go. It needs no script and loads nothing.
// @ts-check

/** @import { ProblemCode } from "./index.js" */
/** @import { Rate } from "./internal.js" */

import { shown } from "./money.mjs";

/** @param {string} text */
const safe = (text) => text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);

/** What a person can do about it; the rest is between programs. @type {Partial<Record<ProblemCode, string>>} */
const HAPPENED = {
  "unknown-stream": "Your allowance for this site is not known here any more. Nothing was charged; reload the page to allow it anew.",
  "stream-ended": "Your allowance for this site has ended. Nothing was charged; reload the page to allow it anew.",
  "price-changed": "The price has changed. Nothing was charged; reload the page to see the new one.",
};

/**
 * @param {{ code: ProblemCode, title: string, description: string | undefined, wallet: string | undefined, amount: bigint,
 *   rate: Rate | undefined, symbol: string, decimals: number }} about
 */
export function page({ code, title, description, wallet, amount, rate, symbol, decimals }) {
  const price = (/** @type {bigint} */ value) => safe(shown(value, decimals, symbol));
  const cost = rate === undefined || rate.per === "use" ? price(amount) : price(rate.per === "byte" ? rate.price * 1_000_000n : rate.price * 60n);
  const per = rate === undefined ? "once" : { byte: "per megabyte", second: "per minute", use: "to begin with; only what you use is charged" }[rate.per];
  const said = code === "payment-required" ? undefined : HAPPENED[code] ?? "The payment was not taken. Nothing was charged; reload the page to try again.";
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark">
<title>${safe(title)}: ${cost} ${safe(per)}</title>
<style>
:root { --ground: #f6f4ef; --sheet: #fff; --ink: #1d1b18; --soft: #67625a; --line: #e4dfd5; --mark: #0b6b50; --on: #fff }
@media (prefers-color-scheme: dark) { :root { --ground: #141412; --sheet: #1e1d1b; --ink: #f2efe9; --soft: #a8a297; --line: #34322e; --mark: #5fd3ab; --on: #0c1f18 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; min-height: 100dvh; display: grid; place-items: center; padding: 20px; background: var(--ground); color: var(--ink);
  font: 17px/1.5 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; -webkit-text-size-adjust: 100% }
main { width: 100%; max-width: 28rem; padding: clamp(24px, 6vw, 40px); background: var(--sheet); border: 1px solid var(--line); border-radius: 18px }
h1 { margin: 0 0 4px; font: 600 1.55rem/1.25 ui-serif, Georgia, "Times New Roman", serif; overflow-wrap: anywhere }
p { margin: 0; color: var(--soft); overflow-wrap: anywhere }
.price { margin: 28px 0 4px; color: var(--ink); font-size: 2.1rem; font-weight: 650; line-height: 1.15; letter-spacing: -.02em; font-variant-numeric: tabular-nums }
.said { margin: 20px 0 0; padding: 12px 14px; border: 1px solid var(--line); border-radius: 12px; color: var(--ink) }
a { display: block; margin: 28px 0 16px; padding: 14px 18px; border-radius: 12px; background: var(--mark); color: var(--on); text-align: center; text-decoration: none; font-weight: 600 }
a:focus-visible { outline: 3px solid var(--ink); outline-offset: 3px }
.how { margin-top: 24px; padding-top: 18px; border-top: 1px solid var(--line); font-size: .9rem }
</style>
<main>
<h1>${safe(title)}</h1>
<p>${description ? safe(description) : "This page is paid for by the people who read it."}</p>
<p class="price">${cost}</p>
<p>${safe(per)}</p>${said ? `\n<p class="said" role="status">${said}</p>` : ""}
${wallet ? `<a href="${safe(wallet)}" rel="noreferrer">Open your wallet</a>\n<p>Put some money into it once. Then come back to this site: it asks you how much it may spend, and never takes more.</p>` : `<p class="how">Come back with a wallet that pays by Farthing: it asks you once how much this site may spend, and never pays more.</p>`}
<p class="how">No account and no card. Nothing has been charged.</p>
</main>
</html>
`;
}
