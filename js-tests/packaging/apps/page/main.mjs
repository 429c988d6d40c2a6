import * as farthing from "farthing";
import { payer } from "farthing/pay";
import { probe } from "../shared/probe.mjs";

const said = await probe(farthing, `${location.origin}/nothing`);
document.title = `${said}, ${typeof payer().fetch}`;
