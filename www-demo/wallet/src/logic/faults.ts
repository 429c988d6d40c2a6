// What an engine's refusal means to the page that asked, and to the reader.

import type { AnswerCode } from "./shapes.ts";

export interface Ending {
  readonly code: AnswerCode;
  readonly heading: string;
  readonly advice: string;
  /** What the engine said, for whoever wants to know. */
  readonly said?: string;
}

const NO_CAPACITY: Ending = {
  code: "no-capacity",
  heading: "The hub can’t carry this now",
  advice: "It has not set enough money aside for this site. Nothing was paid. Try again later, or with a smaller amount.",
};
const UNKNOWN_PAYEE: Ending = {
  code: "unavailable",
  heading: "The site can’t be paid here",
  advice: "This hub does not know the site’s account. Nothing was paid. The site’s owner has to open it first.",
};
const AWAY: Ending = {
  code: "unavailable",
  heading: "The hub does not answer",
  advice: "Your money is where it was. Go back, and try again in a while.",
};
const OVER: Ending = {
  code: "expired",
  heading: "This took too long",
  advice: "The request is no longer valid. Nothing was paid. Go back to the site and ask again.",
};
const POOR: Ending = {
  code: "no-money",
  heading: "There is not enough in the wallet",
  advice: "Nothing was paid. Deposit more, and ask again from the site.",
};
const TIP: Ending = {
  code: "tip-used",
  heading: "This was asked before",
  advice: "The site sent a request that was used before. Nothing was paid now. Go back and ask again: it has to make a new one.",
};

const ENDINGS: Readonly<Record<string, Ending>> = {
  "no-capacity": NO_CAPACITY,
  "hub-unfunded": NO_CAPACITY,
  "payee-unfunded": NO_CAPACITY,
  "limit-exceeded": NO_CAPACITY,
  "too-many-locks": NO_CAPACITY,
  "insufficient-funds": POOR,
  "unknown-payee": UNKNOWN_PAYEE,
  "payee-declined": { ...UNKNOWN_PAYEE, heading: "The site does not take payments now", advice: "Its server did not accept. Nothing was paid. Try again later." },
  "unknown-asset": UNKNOWN_PAYEE,
  "bad-expiry": OVER,
  "payment-expired": OVER,
  "duplicate-secret": TIP,
  "not-connected": AWAY,
  "chain-unavailable": AWAY,
  "channel-closing": { code: "no-channel", heading: "Your wallet is closing", advice: "The channel is on its way out and can’t pay any more. Nothing was paid." },
  "channel-exiting": { code: "no-channel", heading: "Your wallet is leaving", advice: "An exit is running, and the channel can’t pay any more. Nothing was paid." },
  "channel-closed": { code: "no-channel", heading: "Your wallet is closed", advice: "The channel is over. Open a new one with a deposit. Nothing was paid." },
};

/** Codes after which it is not known whether the stream stands: it is asked for again, with the same id. */
const OPEN_ENDED = new Set(["unanswered", "aborted", "client-closed", "internal", "storage-failed", "storage-locked", "hub-fault"]);

export const isUnknown = (code: string | undefined) => code === undefined || OPEN_ENDED.has(code);

export function ending(code: string | undefined, message: string): Ending {
  const known = code === undefined ? undefined : ENDINGS[code];
  return known !== undefined ? { ...known, said: message } : { code: "unavailable", heading: "The wallet could not do this", advice: message };
}
