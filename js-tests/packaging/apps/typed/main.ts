import { connect, errorCodes, preload, type Client, type ErrorCode } from "farthing";
import { paywall } from "farthing/paywall";
import { payer } from "farthing/pay";

preload();
const codes: ErrorCode[] = await errorCodes();
let said: string = codes.length > 40 ? "loaded" : `only ${codes.length} codes`;
try {
  const client: Client = await connect({ hub: "http://127.0.0.1:1", rpc: "http://127.0.0.1:1", wallet: { privateKey: `0x${"11".repeat(32)}` }, store: "memory", timeout: 20_000 });
  await client.disconnect();
} catch (error) {
  said += `, ${(error as { code?: string }).code === "not-connected" ? "refused" : error}`;
}
console.log(`${said}, ${typeof paywall}, ${typeof payer}`);
