import * as farthing from "farthing";
import { probe } from "../shared/probe.mjs";

probe(farthing, "http://127.0.0.1:1").then((said) => console.log(said));
