import * as farthing from "farthing";
import { probe } from "../shared/probe.mjs";

export default { fetch: async () => new Response(await probe(farthing, "http://127.0.0.1:1")) };
