// Checks a receipt: anybody's, in a page or on a server. Nothing is asked of anyone.
// @ts-check

/** @import { Receipt, SoldReceipt, VerifyOptions } from "./index.js" */

import { decodeReceipt } from "../pay/scheme.mjs";
import { bytesOf, joined } from "../pay/wire.mjs";
import { bindingDigest, certificateDigest } from "./typed.mjs";

/** A receipt that proves nothing. */
class BadReceipt extends Error {
  code = /** @type {const} */ ("bad-receipt");
  name = "FarthingError";
}

/** @param {string} why @returns {never} */
function bad(why) {
  throw new BadReceipt(`The receipt proves nothing: ${why}.`);
}

/**
 * What was sold, if the receipt is sound: its key signed it, and the payee's signer certified the key for the time of the sale.
 * @param {Receipt} receipt @param {VerifyOptions} options @returns {Promise<SoldReceipt>}
 */
export async function verifyReceipt(receipt, { recover, chainId, contract, payee, signers }) {
  const { payload, signature, signer } = shaped(receipt);
  const sold = read(payload);
  const lower = (/** @type {string} */ text) => text.toLowerCase();
  if (sold.payee !== lower(signer.payee)) bad("its key is another payee's");
  if (payee !== undefined && lower(payee) !== sold.payee) bad(`it is of ${sold.payee}`);
  if (sold.network !== `eip155:${chainId}`) bad(`it is of ${sold.network}`);
  if (sold.at >= signer.expires) bad("its key had expired");
  const domain = { chainId, contract };
  /** @param {Uint8Array} digest @param {string} signed */
  const signerOf = async (digest, signed) => {
    try {
      return lower(await recover(digest, bytesOf(signed)));
    } catch {
      return undefined;
    }
  };
  const certifier = (await signerOf(certificateDigest(domain, signer), signer.signature)) ?? bad("its key's certificate is no signature");
  const bound = async () =>
    signer.binding !== undefined && signer.channelId !== undefined &&
    (await signerOf(bindingDigest(domain, signer.payee, /** @type {any} */ (certifier), signer.channelId), signer.binding)) === sold.payee;
  if (certifier !== sold.payee && !(signers ?? []).some((each) => lower(each) === certifier) && !(await bound())) bad("its key was not certified by the payee");
  const key = await crypto.subtle.importKey("raw", bytesOf(signer.publicKey), { name: "Ed25519" }, false, ["verify"]).catch(() => bad("its key is none"));
  if (!(await crypto.subtle.verify("Ed25519", key, bytesOf(signature), joined(payload)))) bad("it was changed, or not signed by its key");
  return sold;
}

/** @param {any} receipt @returns {Receipt} */
function shaped(receipt) {
  const hex = (/** @type {unknown} */ value, /** @type {number} */ size) => typeof value === "string" && new RegExp(`^0x[0-9a-f]{${2 * size}}$`, "i").test(value);
  const { payload, signature, signer } = receipt ?? {};
  const sound = typeof payload === "string" && hex(signature, 64) && hex(signer?.publicKey, 32) && hex(signer?.payee, 20) && hex(signer?.signature, 65) && Number.isSafeInteger(signer?.expires) && signer.expires > 0;
  if (sound && [[signer.channelId, 32], [signer.binding, 65]].some(([value, size]) => value !== undefined && !hex(value, size))) bad("its binding is none");
  return sound ? receipt : bad("a field is missing or not as it must be");
}

/** @param {string} payload */
const read = (payload) => attempt(() => decodeReceipt(payload)) ?? bad("what it says can't be read");

/** @template Value @param {() => Value} work @returns {Value | undefined} */
function attempt(work) {
  try {
    return work();
  } catch {
    return undefined;
  }
}
