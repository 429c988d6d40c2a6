// Who is told what happens: listeners by name, and iterators of everything.
// @ts-check

/** @import { ClientEvent } from "./index.js" */
/** @import { Tell } from "./internal.js" */
/** @typedef {ClientEvent["type"]} Name */

import { fault } from "./faults.mjs";

/** Events that an iterator keeps for a slow reader, before it drops the oldest. */
const BACKLOG = 4096;

/** Told once, and often before `connect` has given the client: they wait for the first who listens.
 * @type {Name[]} */
const KEPT = ["restored", "credit", "storage", "update", "offers", "error"];

/** @type {Name[]} */
const EVENTS = ["payment", "stream", "offers", "renewal", "balance", "deposit", "withdrawal", "closing", "credit", "exit", "restored", "watched", "wallet",
  "connected", "disconnected", "storage", "update", "error"];

/** Codes with which a store that fails for good ends a client. @type {string[]} */
const STORAGE = ["storage-failed", "storage-corrupt", "storage-version", "storage-locked"];

/** What follows of an event, itself first: of an error that is the store's, or that only a newer package heals.
 * @param {ClientEvent} event @returns {ClientEvent[]} */
export function following(event) {
  if (event.type !== "error") return [event];
  const { error } = event;
  /** @type {ClientEvent[]} */
  const told = [event];
  if (STORAGE.includes(error.code)) told.push(Object.freeze({ type: "storage", error }));
  const what = error.code === "storage-version" ? "store" : error.code === "bad-terms" && /newer version of the protocol/.test(error.message) ? "hub" : undefined;
  if (what !== undefined) told.push(Object.freeze({ type: "update", newer: what, error }));
  return told;
}

export class Events {
  /** @type {Map<Name, Set<Tell>>} */
  #listeners = new Map(EVENTS.map((name) => [name, new Set()]));
  /** @type {Set<{ push: Tell, end(): void }>} */
  #iterators = new Set();
  /** @type {ClientEvent[]} */
  #early = [];
  #ended = false;

  /** @type {Tell} */
  emit(event) {
    const listeners = [...(this.#listeners.get(event.type) ?? [])];
    if (KEPT.includes(event.type) && listeners.length + this.#iterators.size === 0) this.#keep(event);
    for (const listener of listeners) call(listener, event);
    for (const iterator of this.#iterators) iterator.push(event);
  }

  /** @type {Tell} */
  #keep(event) {
    if (this.#early.push(event) > BACKLOG) this.#early.shift();
  }

  /** @param {Name} name @param {Tell} listener */
  #of(name, listener) {
    const listeners = this.#listeners.get(name);
    if (listeners === undefined) throw invalid(`There is no event ${JSON.stringify(name)}; there are ${EVENTS.join(", ")}.`);
    if (typeof listener !== "function") throw invalid("A listener must be a function.");
    return listeners;
  }

  /** @param {Name} name @param {Tell} listener */
  add(name, listener) {
    this.#of(name, listener).add(listener);
    for (const event of this.#early.filter(({ type }) => type === name)) queueMicrotask(() => call(listener, event));
    this.#early = this.#early.filter(({ type }) => type !== name);
    return () => this.remove(name, listener);
  }

  /** @param {Name} name @param {Tell} listener */
  remove(name, listener) {
    this.#of(name, listener).delete(listener);
  }

  end() {
    this.#ended = true;
    for (const iterator of this.#iterators) iterator.end();
    this.#iterators.clear();
  }

  iterate() {
    /** @type {((result: IteratorResult<ClientEvent, undefined>) => void)[]} */
    const waiting = [];
    /** @type {ClientEvent[]} */
    const backlog = [];
    let done = this.#ended;
    const iterator = {
      /** @type {Tell} */
      push(event) {
        const reader = waiting.shift();
        if (reader !== undefined) reader({ value: event, done: false });
        else if (backlog.push(event) > BACKLOG) backlog.shift();
      },
      end() {
        done = true;
        for (const reader of waiting.splice(0)) reader({ value: undefined, done: true });
      },
    };
    if (!done) this.#iterators.add(iterator);
    for (const event of this.#early.splice(0)) iterator.push(event);
    return {
      next: () => {
        if (backlog.length > 0) return Promise.resolve({ value: backlog.shift(), done: false });
        if (done) return Promise.resolve({ value: undefined, done: true });
        return new Promise((reader) => waiting.push(reader));
      },
      return: async () => {
        this.#iterators.delete(iterator);
        iterator.end();
        return { value: undefined, done: true };
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}

/** @param {Tell} listener @param {ClientEvent} event */
export function call(listener, event) {
  try {
    listener(event);
  } catch (error) {
    // The application's mistake; it must not stop the client's work.
    queueMicrotask(() => {
      throw error;
    });
  }
}

/** @param {string} message */
const invalid = (message) => fault("invalid-argument", message);
