// Seals a session key in a browser: by an AES-GCM key that no script can read, and that stays in this origin's IndexedDB.
// @ts-check

/** One database for all wallets of an origin. */
const DATABASE = "farthing-seal";

/** Longest time that a database may take to open, in milliseconds: other tabs may hold it up. */
const PATIENCE = 20_000;

const NONCE = 12;

/** @template Value @param {IDBRequest<Value>} request @returns {Promise<Value>} */
const answer = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** @returns {Promise<IDBDatabase>} */
function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    const late = setTimeout(() => reject(new Error("the database does not open")), PATIENCE);
    request.onupgradeneeded = () => request.result.createObjectStore("keys");
    request.onerror = () => (clearTimeout(late), reject(request.error));
    request.onsuccess = () => (clearTimeout(late), resolve(request.result));
  });
}

/**
 * The key of this origin; made if there is none. Of two that make one at once the first counts: what it is for is asked and
 * written in one transaction.
 * @param {boolean} make @returns {Promise<CryptoKey | undefined>}
 */
async function sealing(make) {
  const database = await opened();
  try {
    const made = make ? await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]) : undefined;
    const transaction = database.transaction("keys", "readwrite", { durability: "strict" });
    const done = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
    const keys = transaction.objectStore("keys");
    const known = await answer(keys.get("session"));
    if (known === undefined && made !== undefined) keys.put(made, "session");
    await done;
    return known ?? made;
  } finally {
    database.close();
  }
}

/** @param {Uint8Array} iv @param {string} context */
const parameters = (iv, context) => ({ name: "AES-GCM", iv: /** @type {BufferSource} */ (iv), additionalData: new TextEncoder().encode(context) });

/** @param {Uint8Array} bytes @param {string} context */
export async function seal(bytes, context) {
  const key = /** @type {CryptoKey} */ (await sealing(true));
  const iv = crypto.getRandomValues(new Uint8Array(NONCE));
  const sealed = new Uint8Array(await crypto.subtle.encrypt(parameters(iv, context), key, /** @type {BufferSource} */ (bytes)));
  const all = new Uint8Array(NONCE + sealed.length);
  all.set(iv);
  all.set(sealed, NONCE);
  return all;
}

/** Nothing where the key is gone, or it was sealed by another, or for something else. @param {Uint8Array} bytes @param {string} context */
export async function unseal(bytes, context) {
  const key = await sealing(false);
  if (key === undefined) return undefined;
  try {
    return new Uint8Array(await crypto.subtle.decrypt(parameters(bytes.slice(0, NONCE), context), key, /** @type {BufferSource} */ (bytes.slice(NONCE))));
  } catch {
    return undefined;
  }
}
