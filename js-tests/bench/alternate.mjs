// Two sides in one run, in turn, so that a noisy machine is noisy for both; the best round of each counts, and every failure.

/**
 * Runs each side once for warmth, then all in turn. A side gives `{ rate, … }` or a rate alone, and how many `failed`; what comes
 * back has for each the round with the highest rate, and `failed` and `asked` of all rounds.
 */
export async function alternate(sides, { rounds = 5 } = {}) {
  const best = {};
  for (let round = -1; round < rounds; round += 1) {
    for (const [name, side] of Object.entries(sides)) {
      const got = await side();
      if (round < 0) continue;
      const { failed = 0, asked = 0, ...one } = typeof got === "number" ? { rate: got } : got;
      const known = best[name];
      best[name] = { ...(known && known.rate > one.rate ? known : one), failed: failed + (known?.failed ?? 0), asked: asked + (known?.asked ?? 0) };
    }
  }
  return best;
}

/** Calls a second, of one after the other; what is no promise is not waited for. */
export async function rateOf(call, calls) {
  const started = performance.now();
  for (let index = 0; index < calls; index += 1) {
    const made = call(index);
    if (made instanceof Promise) await made;
  }
  return (calls * 1_000) / (performance.now() - started);
}

/** Asks `requests` times, `atOnce` at once. What `ask` does not answer with `true` has failed, and counts for no rate. */
export async function load(ask, { requests, atOnce }) {
  const times = [];
  let next = 0;
  const work = async () => {
    while (next < requests) {
      const number = next;
      next += 1;
      const started = performance.now();
      if (await ask(number).catch(() => false)) times.push(performance.now() - started);
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: atOnce }, work));
  const seconds = (performance.now() - started) / 1_000;
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? null;
  return { rate: times.length / seconds, p50: at(0.5), p99: at(0.99), asked: requests, failed: requests - times.length };
}
