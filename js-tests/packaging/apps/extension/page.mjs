import * as farthing from "farthing";
import { probe } from "../shared/probe.mjs";

const hub = new URLSearchParams(location.search).get("hub");
if (new URLSearchParams(location.search).has("worker")) {
  document.title = await chrome.runtime.sendMessage({ hub });
} else {
  await farthing.initAsync(chrome.runtime.getURL("farthing.wasm"));
  document.title = await probe(farthing, hub);
}
