// A grant from the reader's yes to its end. Written down before the engine is asked, so that whatever dies in between,
// nothing is placed twice and nothing that was placed is forgotten.

import type { Stream, StreamOptions } from "farthing";
import { next, type GrantRecord } from "./logic/book.ts";
import { isUnknown } from "./logic/faults.ts";
import type { Grant, GrantRequest } from "./logic/request.ts";
import { Refused, type Hex } from "./logic/shapes.ts";

/** As much of the engine as this needs. */
export interface Engine {
  stream(options: StreamOptions): Promise<Pick<Stream, "key" | "expiresAt" | "end">>;
  payments(filter: { direction: "sent" }): Promise<ReadonlyArray<{ readonly id: string }>>;
}

/** As much of the records as this needs. */
export interface Ledger {
  find(request: GrantRequest): Promise<{ byId?: GrantRecord; byTip?: GrantRecord }>;
  allow(record: GrantRecord): Promise<boolean>;
  update(id: Hex, changes: Partial<GrantRecord>): Promise<GrantRecord>;
}

export interface Asked {
  readonly request: GrantRequest;
  readonly origin: string;
  readonly symbol: string;
  readonly decimals: number;
}

/** Milliseconds for which a yes goes on by itself where its outcome is not known; later the reader is asked once more. */
export const STANDING = 3_600_000;

/** Milliseconds for the payee's side to stand. */
const PATIENCE = 60_000;

export const newId = (): Hex =>
  `0x${[...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;

/** The hub measures its longest time by a clock of its own: a little less than was asked for fits where both are the same. */
export const lasting = (expiresIn: number) => expiresIn - Math.min(120, Math.floor(expiresIn / 10));

export const terms = ({ request, streamId }: Pick<GrantRecord, "request" | "streamId">): StreamOptions => ({
  to: request.payee,
  asset: request.asset,
  unitPrice: request.unitPrice,
  units: request.units,
  tip: request.tip,
  id: streamId,
  expiresIn: lasting(request.expiresIn),
});

/** Places the stream. Throws {@link Refused}, or what the engine throws; after that the record says whether it may stand. */
export async function place(ledger: Ledger, engine: Pick<Engine, "stream">, asked: Asked, now: number): Promise<Grant> {
  const { request, origin, symbol, decimals } = asked;
  const { byId, byTip } = await ledger.find(request);
  const step = next(request, origin, byId, byTip);
  if (step.next === "again") return step.grant;
  const fresh: GrantRecord = { request, origin, symbol, decimals, streamId: newId(), state: "allowed", at: now, paid: 0, answered: false };
  const record = step.next === "resume" ? step.record : fresh;
  if (step.next === "ask" && !(await ledger.allow(record))) throw new Refused("tip-used", "A grant for this chain was allowed in another window.");
  let stream: Awaited<ReturnType<Engine["stream"]>>;
  try {
    stream = await engine.stream({ ...terms(record), timeout: PATIENCE });
  } catch (error) {
    if (!isUnknown((error as { code?: string }).code)) await ledger.update(request.id, { state: "failed" });
    throw error;
  }
  const grant = grantOf(record, stream);
  await ledger.update(request.id, { state: "granted", grant });
  return grant;
}

const grantOf = ({ request, symbol, decimals }: GrantRecord, stream: Pick<Stream, "key" | "expiresAt">): Grant => ({
  key: stream.key,
  tip: request.tip,
  payee: request.payee,
  network: request.network,
  contract: request.contract,
  hub: request.hub,
  asset: request.asset,
  unitPrice: request.unitPrice.toString(),
  units: request.units,
  expiry: Math.floor(stream.expiresAt / 1_000),
  symbol,
  decimals,
});

/** Asks the payee for the rest, and writes down that the grant is over. One that was never placed is not placed for that. */
export async function end(ledger: Ledger, engine: Engine, record: GrantRecord): Promise<void> {
  if (record.state === "allowed" && !(await engine.payments({ direction: "sent" })).some(({ id }) => id === record.streamId)) {
    await ledger.update(record.request.id, { state: "failed" });
    return;
  }
  const stream = await engine.stream({ ...terms(record), timeout: PATIENCE });
  await stream.end();
  await ledger.update(record.request.id, { state: "ended" });
}
