// x402's stock fetch on a page that is left and loaded again: its key and its channel are in the page's storage, which the package
// leaves to the application.

import { generatePrivateKey } from "viem/accounts";
import { reader } from "./x402-reader.mjs";

localStorage.key_ ??= generatePrivateKey();

const storage = {
  get: async (name) => (localStorage[name] === undefined ? undefined : JSON.parse(localStorage[name])),
  set: async (name, value) => void (localStorage[name] = JSON.stringify(value)),
  delete: async (name) => void delete localStorage[name],
};

export const get = reader({ storage, key: localStorage.key_ });
