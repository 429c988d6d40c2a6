// The engine's face for streams, as far as this page uses it.

import type { Address, Client } from "farthing";
import type { Hex } from "./logic/shapes.ts";

export interface StreamTerms {
  readonly to: Address;
  readonly asset: string;
  readonly unitPrice: bigint;
  readonly units: number;
  readonly condition: "hash-chain";
  readonly tip: Hex;
  readonly id: Hex;
  /** Seconds. */
  readonly expiresIn: number;
  readonly timeout?: number;
}

export interface StreamState {
  readonly id: Hex;
  readonly key: Hex;
  readonly direction: "sent" | "received";
  readonly status: "pending" | "held" | "completed" | "returning" | "failed";
  readonly unitPrice: bigint;
  readonly units: number;
  /** Units shown or proved. */
  readonly paid: number;
  /** Units settled. */
  readonly handedOver: number;
}

export interface PlacedStream {
  readonly id: Hex;
  readonly key: Hex;
  /** Milliseconds. */
  readonly expiresAt: number;
  end(): Promise<void>;
}

export interface Streams {
  stream(terms: StreamTerms): Promise<PlacedStream>;
  streams(filter?: { direction?: "sent" | "received" }): Promise<readonly StreamState[]>;
}

/** The engine's streams; an error says so where it has none. */
export function streamsOf(client: Client): Streams {
  const engine = client as unknown as Partial<Streams>;
  if (typeof engine.stream !== "function" || typeof engine.streams !== "function") {
    throw new Error("This wallet’s engine is too old for payments by the unit: its host has to update it.");
  }
  return engine as Streams;
}
