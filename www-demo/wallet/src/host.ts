// What whoever hosts this page says of it, in `config.json` beside it. Nothing of it comes from the address, which anybody
// can write.

import { NotSetUp, hostOf, type Host } from "./logic/host.ts";

export type { Host };

export async function readHost(): Promise<Host> {
  const response = await fetch("config.json", { cache: "no-store" });
  if (!response.ok) throw new NotSetUp(`The server answers ${response.status} for it.`);
  return hostOf(await response.json().catch(() => undefined));
}
