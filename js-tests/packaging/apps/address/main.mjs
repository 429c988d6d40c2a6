import * as farthing from "farthing";
import { payer } from "farthing/pay";
import { probe } from "../shared/probe.mjs";

await farthing.initAsync(new URL("farthing.wasm", location.href)).catch(() => {});
const said = await probe({ ...farthing, errorCodes: async () => (await farthing.initAsync(new URL("farthing.wasm", location.href)), farthing.errorCodes()) }, `${location.origin}/nothing`);
document.title = `${said}, ${typeof payer().fetch}`;
