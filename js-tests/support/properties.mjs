// Property tests: `FARTHING_SEED` repeats a run, `FARTHING_RUNS` says how many examples each property is tried with.

import fc from "fast-check";

const RUNS = Number(process.env.FARTHING_RUNS ?? 0);
const SEED = process.env.FARTHING_SEED === undefined ? 1 : Number(process.env.FARTHING_SEED);

/** `runs` is what there is time for in every test run. */
export const settings = (runs) => ({ seed: SEED, numRuns: RUNS || runs });

export const hex = (size) => fc.uint8Array({ minLength: size, maxLength: size }).map((bytes) => `0x${Buffer.from(bytes).toString("hex")}`);

/** Arbitrary JSON, with what JavaScript treats in its own way. */
export const json = fc.oneof(
  fc.jsonValue({ maxDepth: 4 }),
  fc.constantFrom(null, 0, -0, "", [], {}, true, 1e400, 2 ** 53, JSON.parse('{"__proto__":{"x402Version":2}}'), { toString: 1 }, { constructor: {} }, { length: 1 }, "\ud800"),
);

/** All places in a value: paths of names. */
function places(value, path = []) {
  const inner = typeof value === "object" && value !== null ? Object.keys(value).flatMap((name) => places(value[name], [...path, name])) : [];
  return [path, ...inner];
}

function changed(value, [name, ...rest], work) {
  if (name === undefined) return work(value);
  const copy = Array.isArray(value) ? [...value] : { ...value };
  const one = rest.length === 0 ? work(copy[name]) : changed(copy[name], rest, work);
  if (one === undefined) delete copy[name];
  else copy[name] = one;
  return copy;
}

/** A value with one place of it replaced, left out, doubled or joined by another. */
export const mutated = (value) =>
  fc.tuple(fc.nat(), fc.constantFrom("replace", "remove", "add", "near", "wrap"), json, fc.string({ maxLength: 8 })).map(([at, how, other, name]) => {
    const all = places(value);
    return changed(value, all[at % all.length], (one) => {
      if (how === "remove") return undefined;
      if (how === "replace") return other;
      if (how === "wrap") return [one];
      if (how === "add") return typeof one === "object" && one !== null && !Array.isArray(one) ? { ...one, [name]: other } : one;
      if (typeof one === "number") return one + (at % 2 ? 1 : -1);
      if (typeof one === "string") return at % 2 ? `${one}0` : one.slice(1);
      return !one;
    });
  });

/** A text with some of its letters changed. */
export const spoiled = (text) =>
  fc.array(fc.tuple(fc.nat(), fc.constantFrom(..."Aa0+/=_- \n\u0000\u00e9\ud800")), { minLength: 1, maxLength: 4 }).map((changes) => changes.reduce((all, [at, letter]) => {
    const place = all.length === 0 ? 0 : at % all.length;
    return all.slice(0, place) + letter + all.slice(place + 1);
  }, text));
