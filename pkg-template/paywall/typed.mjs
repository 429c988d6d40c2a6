// The two messages in the contract's EIP-712 domain that a server meets: a voucher, and the certificate of its receipts.
// @ts-check

/** @import { Address, Hex } from "./index.js" */

import { bytesOf, joined } from "../pay/wire.mjs";
import { keccak as hash } from "./keccak.mjs";

/** @param {(string | Uint8Array)[]} parts */
const keccak = (...parts) => hash(joined(...parts));

/** @param {string} text */
const named = (text) => keccak(text);

/** A word of 32 bytes. @param {string | number | bigint} value hex with 0x, or a number */
const word = (value) => bytesOf(`0x${(typeof value === "string" ? value.slice(2) : value.toString(16)).padStart(64, "0")}`);

/** @param {{ chainId: number, contract: Address }} domain @param {Uint8Array} struct */
function digest({ chainId, contract }, struct) {
  const type = named("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
  const separator = keccak(type, named("Farthing"), named("1"), word(chainId), word(contract));
  return keccak(Uint8Array.of(0x19, 0x01), separator, struct);
}

/** @param {{ chainId: number, contract: Address }} domain @param {Hex} key @param {number} units */
export const voucherDigest = (domain, key, units) =>
  digest(domain, keccak(named("Voucher(bytes32 key,uint32 units)"), word(key), word(units)));

/** An owner's word for its signer. @param {{ chainId: number, contract: Address }} domain @param {Address} owner @param {Address} signer @param {Hex} channelId */
export const bindingDigest = (domain, owner, signer, channelId) =>
  digest(domain, keccak(named("Binding(address owner,address signer,bytes32 channelId)"), word(owner), word(signer), word(channelId)));

/** @param {{ chainId: number, contract: Address }} domain @param {{ payee: Address, publicKey: Hex, expires: number }} signer */
export const certificateDigest = (domain, { payee, publicKey, expires }) =>
  digest(domain, keccak(named("ReceiptKey(address payee,bytes32 publicKey,uint64 expires)"), word(payee), word(publicKey), word(expires)));
