// What whoever hosts this page says of it, in `config.json` beside it. Nothing of it comes from the address, which anybody
// can write.

export interface Host {
  /** The hub's URL. */
  readonly hub: string;
  /** A node's URL; without it the injected wallet is the node. */
  readonly rpc?: string;
  /** Where test money comes from, on a chain where it is worth nothing. */
  readonly faucet?: string;
  /** Whether a key may be made and kept in this browser. */
  readonly browserKey?: boolean;
}

export async function readHost(): Promise<Host> {
  const response = await fetch("config.json", { cache: "no-store" });
  const wrong = new Error("This page is not set up: its host has to put a config.json with a hub beside it.");
  if (!response.ok) throw wrong;
  const given = await response.json().catch(() => undefined);
  if (typeof given !== "object" || given === null || typeof given.hub !== "string" || !URL.canParse(given.hub)) throw wrong;
  return given;
}
