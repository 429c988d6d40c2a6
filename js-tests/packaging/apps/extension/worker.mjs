import * as farthing from "farthing";
import { probe } from "../shared/probe.mjs";

chrome.runtime.onMessage.addListener(({ hub }, _, answer) => {
  farthing.initAsync(chrome.runtime.getURL("farthing.wasm")).then(() => probe(farthing, hub)).then(answer, (error) => answer(`${error.code}: ${error.message}`));
  return true;
});
