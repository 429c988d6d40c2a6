// A site's request, from its arrival to its answer. Each way that it can end is a screen for the reader and an answer for
// the page.

import { button, h } from "../dom.ts";
import { STANDING, lasting, place } from "../grants.ts";
import { next } from "../logic/book.ts";
import { ending, isUnknown, type Ending } from "../logic/faults.ts";
import { judge, raised, type Limits, type Verdict } from "../logic/limits.ts";
import { people } from "../logic/money.ts";
import { span, until } from "../logic/readable.ts";
import { costOf, granted, refused, samePlace, type Grant, type Opened } from "../logic/request.ts";
import { Refused, type AnswerCode } from "../logic/shapes.ts";
import type { AssetInfo, Session } from "../session.ts";
import { Turned, Unanswerable, receive, type Asking } from "../window.ts";
import { connectView, opening } from "./connect.ts";
import { depositView } from "./deposit.ts";
import { deliberate } from "./deliberate.ts";
import { account, facts, money, said, screen } from "./parts.ts";

/** Milliseconds for the reader to decide. */
const PATIENCE = 10 * 60_000;
const LOCK = "farthing-wallet-request";
/** The success is seen before the window goes. */
const LINGER = 1_400;

class Ended extends Error {
  readonly ending: Ending;
  constructor(ending: Ending) {
    super(ending.advice);
    this.ending = ending;
  }
}

/** The stream may stand. The page is told nothing, so that it keeps the root and asks the same again. */
class Unknown extends Error {}

const end = (code: AnswerCode, heading: string, advice: string) => new Ended({ code, heading, advice });

/** Shows a view, and waits for what it resolves with. */
type Stage = (view: Node) => void;

export async function ask(opened: Exclude<Opened, { way: "none" }>, session: Session, stage: Stage): Promise<void> {
  stage(screen("waiting", "A site asks for something", "Waiting for what it wants."));
  let asking: Asking;
  try {
    asking = await receive(opened);
  } catch (error) {
    return stage(unreadable(error));
  }
  await navigator.locks.request(LOCK, { ifAvailable: true }, async (lock) => {
    if (lock === null) return finish(asking, stage, end("busy", "Another window is open", "This wallet answers one site at a time. Finish or close the other window, and ask again from the site.").ending);
    await serve(asking, session, stage);
  });
}

async function serve(asking: Asking, session: Session, stage: Stage): Promise<void> {
  let expire = () => {};
  const late = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(end("expired", "This took too long", "Nothing was allowed. Go back to the site and ask again.")), PATIENCE);
    expire = () => clearTimeout(timer);
  });
  late.catch(() => {});
  try {
    const grant = await decide(asking, session, stage, late);
    asking.answer(granted(asking.request.id, grant));
    await session.records.update(asking.request.id, { answered: true });
    stage(allowed(asking, session, grant));
    setTimeout(() => asking.leave(), LINGER);
  } catch (error) {
    if (error instanceof Unknown) return open(asking, stage, error.message);
    finish(asking, stage, endingOf(error));
  } finally {
    expire();
  }
}

function endingOf(error: unknown): Ending {
  if (error instanceof Ended) return error.ending;
  const { code, message } = error as { code?: string; message: string };
  if (error instanceof Refused) return refusal(error.code, message);
  return ending(code, message);
}

function refusal(code: AnswerCode, message: string): Ending {
  const headings: Partial<Record<AnswerCode, string>> = { "tip-used": "This was asked before", "bad-request": "This request is not in order", expired: "This is over", "other-hub": "Another hub is needed" };
  return { code, heading: headings[code] ?? "That can’t be done", advice: `${message} Nothing was paid.` };
}

/** Answers with a refusal, and says so. */
function finish(asking: Asking, stage: Stage, { code, heading, advice, said: words }: Ending): void {
  asking.answer(refused(asking.request.id, code, advice));
  const details = words === undefined ? null : h("details", null, h("summary", null, "What the wallet said"), h("p", null, words));
  stage(screen(code === "denied" ? "good" : "bad", heading, [advice, details], [leaveButton(asking)]));
  document.body.dataset.outcome = code;
}

function open(asking: Asking, stage: Stage, message: string): void {
  const advice = `${message} What you allowed may stand or not. Go back and open it again: it goes on where it stopped, and nothing is allowed twice.`;
  stage(screen("bad", "It is not known what came of it", advice, [leaveButton(asking)]));
  document.body.dataset.outcome = "unknown";
}

const leaveButton = (asking: Asking) => button(asking.way === "popup" ? "Close this window" : `Back to ${asking.asker.shown}`, () => asking.leave());

function unreadable(error: unknown): Node {
  const home = h("a", { href: "./", class: "button second" }, "To the wallet");
  if (error instanceof Unanswerable) {
    return screen("bad", "The site is gone", `${error.message} Nothing was allowed. Close this window and ask again from the site; if it happens again, the site has to use the way by redirect.`, [home]);
  }
  const leave = error instanceof Turned ? error.leave : undefined;
  document.body.dataset.outcome = error instanceof Turned ? error.code : "unavailable";
  return screen("bad", "This request is not in order", misread(error as Error), [leave === undefined ? home : button("Close this window", leave)]);
}

/** What is wrong with a site's request, and who can mend it. */
export const misread = ({ message }: Error) => `${message} Nothing was allowed. If this comes again, tell the site’s owner: the request is the site’s to mend.`;

/** From the records to the reader to the engine. */
async function decide(asking: Asking, session: Session, stage: Stage, late: Promise<never>): Promise<Grant> {
  const { request, asker } = asking;
  const { byId, byTip } = await session.records.find(request);
  const step = next(request, asker.origin, byId, byTip);
  if (step.next === "again") return step.grant;
  if (!samePlace(session.host.hub, request.hub)) throw otherHub(request.hub, session.host.hub);

  await ready(asking, session, stage, late);
  const { info } = session.open.client;
  if (request.network !== `eip155:${info.chainId}` || request.contract !== info.contract.toLowerCase()) throw otherHub(request.network, `eip155:${info.chainId}`);
  const asset = session.assetOf(request.asset);
  if (asset === undefined) throw end("other-hub", "The hub has no such money", "This site wants to be paid in an asset that your hub does not carry. Nothing was allowed.");
  if (request.payee === info.address.toLowerCase()) throw end("bad-request", "That is yourself", "The site’s account is your own. Nothing was allowed.");
  // A stream that may stand has its money already.
  if (step.next === "ask") await afford(asking, session, stage, late, asset);
  if (step.next === "ask" || Date.now() - step.record.at > STANDING) await approve(asking, session, stage, late, asset);
  return placing(asking, session, stage, asset);
}

const otherHub = (wanted: string, ours: string) =>
  end("other-hub", "Another hub is needed", `This site is paid through ${wanted}, and your wallet is with ${ours}. Nothing was allowed.`);

/** Until the wallet is open. */
async function ready(asking: Asking, session: Session, stage: Stage, late: Promise<never>): Promise<void> {
  if (session.phase.value.name === "open") return;
  await Promise.race([
    late,
    new Promise<void>((resolve, reject) => {
      const no = () => reject(end("no-channel", "No wallet yet", "Nothing was allowed. When you have set up the wallet, ask again from the site."));
      let choosing = false;
      const look = () => {
        const { name } = session.phase.value;
        if (name === "open") {
          stop();
          resolve();
        } else if (name === "opening" && !choosing) {
          stage(h("div", null, banner(asking), opening()));
        } else if (!choosing) {
          choosing = true;
          stage(h("div", { class: "narrow" }, banner(asking), connectView(session), h("div", { class: "actions" }, button("Not now", no, { class: "quiet" }))));
        }
      };
      const stop = session.phase.watch(look);
      look();
    }),
  ]);
}

/** Until there is enough in the channel. */
async function afford(asking: Asking, session: Session, stage: Stage, late: Promise<never>, asset: AssetInfo): Promise<void> {
  const cost = costOf(asking.request);
  const available = session.available(asset.token);
  if (available >= cost) return;
  const missing = cost - available;
  await Promise.race([
    late,
    new Promise<void>((resolve, reject) => {
      const cancel = () => reject(end("no-money", "Nothing was allowed", "There is not enough in the wallet for what the site asks. Deposit when you like, and ask again from the site."));
      stage(
        h(
          "div",
          { class: "narrow", "data-step": "deposit" },
          banner(asking),
          h("h1", null, session.funded ? "A deposit first" : "Your first deposit"),
          h("p", { class: "lead" }, asking.asker.shown, " asks for up to ", money(cost, asset, "up"), ", and there ", available === 0n ? "is nothing" : ["is ", money(available, asset)], " in your wallet. What you deposit stays yours, and pays any other site too. Then we go on."),
          h("div", { class: "card" }, depositView(session, { asset, least: missing, done: resolve, cancel, cancelText: "Not now" })),
        ),
      );
    }),
  ]);
}

/** Until the reader says yes. */
async function approve(asking: Asking, session: Session, stage: Stage, late: Promise<never>, asset: AssetInfo): Promise<void> {
  await session.refreshGrants();
  for (;;) {
    const limits = await session.limits(asset);
    const cost = costOf(asking.request);
    const verdict = judge({ origin: asking.asker.origin, asset: asking.request.asset, cost, now: Date.now(), limits, grants: session.allowed(Date.now()) });
    const choice = await Promise.race([late, new Promise<"yes" | "no" | Limits>((resolve) => stage(approveView(asking, session, asset, verdict, limits, resolve)))]);
    if (choice === "yes") return;
    if (choice === "no" && verdict.fits) throw end("denied", "Nothing was allowed", `You said no to ${asking.asker.shown}.`);
    if (choice === "no") throw end("over-limit", "Nothing was allowed", `What ${asking.asker.shown} asks for is over your limit.`);
    await session.setLimits(asset, choice);
  }
}

const LIMIT_WORDS = { perGrant: "for one approval", perSite: "for one site in 30 days", perDay: "for all sites in a day" } as const;

function approveView(asking: Asking, session: Session, asset: AssetInfo, verdict: Verdict, limits: Limits, resolve: (said: "yes" | "no" | Limits) => void): Node {
  const { request, asker } = asking;
  const cost = costOf(request);
  const paid = session.grants.value
    .filter((record) => record.origin === asker.origin && record.request.asset === request.asset)
    .reduce((sum, record) => sum + record.request.unitPrice * BigInt(record.paid), 0n);
  const allow = h("button", { type: "button", id: "allow", disabled: true }, "Allow");
  const origin = h("p", { class: "origin" }, h("span", { class: "seal" }), asker.shown);
  const asks = h("h1", { id: "asks" }, "May it take up to ", money(cost, asset, "up"), "?");
  const more = verdict.fits ? undefined : raised(limits, verdict, cost);
  const raise = more && h("button", { type: "button", id: "raise", class: "second small", disabled: true }, `Raise it to ${people(more[(verdict as Verdict & { fits: false }).limit], asset.decimals, "up")} ${asset.asset}`);
  const seen = [origin, asks];
  if (raise === undefined) deliberate(allow, seen, () => resolve("yes"));
  else deliberate(raise, seen, () => resolve(more as Limits));
  return h(
    "section",
    { class: "approve card", "data-step": "approve", "aria-labelledby": "asks" },
    origin,
    asker.lookalike ? h("p", { class: "note bad" }, "This name has letters that can look like others. Make sure that it is the site you mean.") : null,
    asks,
    h("p", { class: "soft" }, "It calls itself ", said(request.title), request.reason === undefined ? "." : [" and says: ", said(request.reason)]),
    facts([
      ["At most", money(cost, asset, "up"), [request.units === 1 ? "one unit of " : `${request.units} units of `, money(request.unitPrice, asset, "up")]],
      ["Until", until(Date.now() + lasting(request.expiresIn) * 1_000), `in ${span(request.expiresIn)}`],
      ["Paid to", account(request.payee)],
      ["Paid to this site so far", money(paid, asset)],
      ["In your wallet", money(session.available(asset.token), asset)],
    ]),
    verdict.fits
      ? h("p", { class: "soft promise" }, "It takes what you use, without asking again. What it does not take comes back to you, and you can end it at any time.")
      : h(
          "div",
          { class: "note bad limit", role: "alert" },
          h("p", null, "This is over your limit of ", money(verdict.most, asset), ` ${LIMIT_WORDS[verdict.limit]}`, verdict.used > 0n ? [", of which ", money(verdict.used, asset, "up"), " is used"] : null, "."),
          raise as Node,
        ),
    h("div", { class: "actions" }, allow, button("No", () => resolve("no"), { class: "quiet", id: "deny" })),
  );
}

async function placing(asking: Asking, session: Session, stage: Stage, asset: AssetInfo): Promise<Grant> {
  stage(screen("waiting", "Setting it up", `Your wallet, the hub and ${asking.asker.shown} agree on it. Please leave this window open.`));
  const stay = (event: BeforeUnloadEvent) => event.preventDefault();
  window.addEventListener("beforeunload", stay);
  try {
    const { request, asker } = asking;
    asking.hold();
    return await place(session.records, session.open.client, { request, origin: asker.origin, symbol: asset.asset, decimals: asset.decimals }, Date.now());
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    throw error instanceof Refused || !isUnknown(code) ? error : new Unknown(message);
  } finally {
    window.removeEventListener("beforeunload", stay);
    await session.refresh().catch(() => {});
  }
}

function allowed(asking: Asking, session: Session, { symbol, decimals, unitPrice, units, expiry }: Grant): Node {
  document.body.dataset.outcome = "granted";
  void session;
  return screen(
    "good",
    "Allowed",
    [asking.asker.shown, " may take up to ", money(BigInt(unitPrice) * BigInt(units), { asset: symbol, decimals }, "up"), ` until ${until(expiry * 1_000)}.`],
    [leaveButton(asking)],
  );
}

/** Who waits, while something else has to be done first. */
const banner = (asking: Asking) => h("p", { class: "banner" }, h("span", { class: "seal" }), h("strong", null, asking.asker.shown), " waits for your answer");
