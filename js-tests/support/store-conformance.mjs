// What every store must do, as a list of cases that run anywhere: `cases[title](place)` where `place` is a fresh
// `{ open(): Promise<store>, openShared?(): Promise<store>, refuse?(store): void, forgets?: boolean }`, for each title of
// `casesFor(place)`. No test framework, so that a page can run it.

const bytes = (...values) => Uint8Array.from(values);

function equal(found, wanted, what) {
  const show = (value) => JSON.stringify(value, (_, inner) => (ArrayBuffer.isView(inner) ? `bytes ${[...inner]}` : inner));
  if (show(found) !== show(wanted)) throw new Error(`${what}: found ${show(found)}, wanted ${show(wanted)}`);
}

async function code(promise) {
  try {
    await promise;
  } catch (error) {
    return error.code;
  }
  return "no error";
}

export const cases = {
  async "a fresh store is empty"(place) {
    const store = await place.open();
    equal(await store.load(""), [], "entries");
    await store.close();
  },

  async "what was committed is loaded, in the order of keys"(place) {
    const store = await place.open();
    await store.commit([["b/2", bytes(2)], ["a", bytes()], ["b/10", bytes(1, 0, 255)], ["c", bytes(3)]]);
    equal(await store.load(""), [["a", bytes()], ["b/10", bytes(1, 0, 255)], ["b/2", bytes(2)], ["c", bytes(3)]], "all");
    await store.close();
  },

  async "a prefix selects its keys and no others"(place) {
    const store = await place.open();
    await store.commit(["a", "a/", "a/1", "a/~", "a0", "b"].map((key) => [key, bytes(1)]));
    equal((await store.load("a/")).map(([key]) => key), ["a/", "a/1", "a/~"], "keys");
    equal((await store.load("x")).map(([key]) => key), [], "no keys");
    await store.close();
  },

  async "writes of a commit apply in their order"(place) {
    const store = await place.open();
    await store.commit([["k", bytes(1)], ["k", null], ["k", bytes(2)], ["gone", bytes(1)], ["gone", null], ["never", null]]);
    equal(await store.load(""), [["k", bytes(2)]], "entries");
    await store.close();
  },

  async "commits that are not waited for apply in the order of the calls"(place) {
    const store = await place.open();
    await Promise.all(Array.from({ length: 50 }, (_, index) => store.commit([["last", bytes(index)], [`k${index}`, bytes(index)]])));
    equal((await store.load("last"))[0][1], bytes(49), "last");
    equal((await store.load("k")).length, 50, "number of keys");
    await store.close();
  },

  async "a value is a copy"(place) {
    const store = await place.open();
    const value = bytes(1, 2, 3);
    await store.commit([["k", value]]);
    value[0] = 9;
    const loaded = await store.load("k");
    equal(loaded[0][1], bytes(1, 2, 3), "value");
    loaded[0][1][1] = 9;
    equal((await store.load("k"))[0][1], bytes(1, 2, 3), "value again");
    await store.close();
  },

  async "large values and many keys survive"(place) {
    const store = await place.open();
    const large = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 7) & 255);
    await store.commit([["large", large], ...Array.from({ length: 1000 }, (_, index) => [`n/${String(index).padStart(4, "0")}`, bytes(index & 255)])]);
    equal((await store.load("large"))[0][1], large, "large value");
    equal((await store.load("n/")).length, 1000, "number of keys");
    await store.close();
  },

  async "what was committed is there when it is opened again"(place) {
    const first = await place.open();
    await first.commit([["a", bytes(1)], ["b", bytes(2)]]);
    await first.commit([["a", null], ["c", bytes(3)]]);
    await first.close();
    const second = await place.open();
    equal(await second.load(""), [["b", bytes(2)], ["c", bytes(3)]], "entries");
    await second.close();
  },

  async "nobody opens it twice"(place) {
    const first = await place.open();
    equal(await code(place.open()), "storage-locked", "second open");
    await first.commit([["k", bytes(1)]]);
    await first.close();
    const second = await place.open();
    equal(await second.load("k"), [["k", bytes(1)]], "after close");
    await second.close();
  },

  async "who opens it later ends who had it, and what that one still commits is refused"(place) {
    const first = await place.openShared();
    await first.commit([["k", bytes(1)]]);
    const second = await place.openShared();
    equal(await second.load("k"), [["k", bytes(1)]], "what the second finds");
    equal(await code(first.commit([["k", bytes(2)], ["stale", bytes(1)]])), "storage-locked", "the first one's commit");
    equal(await code(first.commit([["stale", bytes(1)]])), "storage-locked", "and its next one");
    await second.commit([["k", bytes(3)]]);
    await second.commit([["k", null], ["l", bytes(4)]]);
    equal(await second.load(""), [["l", bytes(4)]], "entries");
    // Many at once: each has a generation of its own, and one of them is left.
    const many = await Promise.all(Array.from({ length: 5 }, () => place.openShared()));
    const outcomes = await Promise.all(many.map((store, index) => code(store.commit([["m", bytes(index)]]))));
    equal(outcomes.toSorted(), ["no error", ...Array(4).fill("storage-locked")], "outcomes");
    equal(await second.load("m"), [["m", bytes(outcomes.indexOf("no error"))]], "the last one's");
    equal(await code(place.open()), "storage-locked", "open alone");
    await Promise.all([first, second, ...many].map((store) => store.close()));
    const alone = await place.open();
    equal(await code(place.openShared()), "storage-locked", "shared beside one alone");
    await alone.commit([["m", null]]);
    await alone.close();
  },

  async "a commit that is refused leaves nothing behind, and says storage-failed"(place) {
    const store = await place.open();
    await store.commit([["kept", bytes(1)]]);
    const allow = await place.refuse(store);
    equal(await code(store.commit([["kept", bytes(2)], ["half", bytes(1)], ["x".repeat(10), bytes(1)]])), "storage-failed", "code");
    await allow();
    equal(await store.load(""), [["kept", bytes(1)]], "entries");
    await store.commit([["kept", bytes(3)]]);
    equal(await store.load("kept"), [["kept", bytes(3)]], "after it is allowed again");
    await store.close();
  },

  async "a closed store refuses"(place) {
    const store = await place.open();
    await store.close();
    const answer = await code(store.commit([["k", bytes(1)]]));
    equal(answer, "storage-failed", "code");
  },
};

const remembers = (place) => !place.forgets;
const asks = {
  "what was committed is there when it is opened again": remembers,
  "nobody opens it twice": remembers,
  "a closed store refuses": remembers,
  "who opens it later ends who had it, and what that one still commits is refused": (place) => Boolean(place.openShared),
  "a commit that is refused leaves nothing behind, and says storage-failed": (place) => Boolean(place.refuse),
};
const unknown = Object.keys(asks).filter((title) => !(title in cases));
if (unknown.length > 0) throw new Error(`no such cases: ${unknown.join(", ")}`);

/** The titles of the cases that a place has to pass: what it has no means for is asked of none. */
export const casesFor = (place) => Object.keys(cases).filter((title) => asks[title]?.(place) ?? true);
