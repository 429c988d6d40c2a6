import * as farthing from "farthing";
import { probe } from "../shared/probe.mjs";

self.addEventListener("message", (event) => {
  const said = farthing.initAsync(new URL("farthing.wasm", location.href)).then(() => probe(farthing, `${location.origin}/nothing`));
  event.waitUntil(said.then((text) => event.source.postMessage(text)));
});
