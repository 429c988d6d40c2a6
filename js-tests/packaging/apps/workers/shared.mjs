import * as farthing from "farthing";
import { probe } from "../shared/probe.mjs";

self.onconnect = ({ ports: [port] }) => (port.onmessage = async ({ data }) => port.postMessage(await probe(farthing, data)));
