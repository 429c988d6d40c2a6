// A process that connects twice, with nothing loaded and with all of it, and says how long each took.

import { farthing } from "../support/env.mjs";
import { once } from "./ready.mjs";

const [first, second] = JSON.parse(process.env.OPTIONS);
const loaded = await farthing();
const cold = await once(loaded, first, process.env.PRELOADED === "1");
console.log(`took ${cold} ${await once(loaded, second, false)}`);
