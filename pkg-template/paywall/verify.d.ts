export { verifyReceipt } from "./index.js";
export type { Receipt, SoldReceipt, VerifyOptions } from "./index.js";
