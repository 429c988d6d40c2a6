import * as farthing from "farthing";
import { probe } from "../shared/probe.mjs";

self.onmessage = async ({ data }) => self.postMessage(await probe(farthing, data));
