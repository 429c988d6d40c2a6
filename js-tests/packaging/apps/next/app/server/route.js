import * as farthing from "farthing";
import { probe } from "../../../shared/probe.mjs";

export const dynamic = "force-dynamic";
export const GET = async (request) => new Response(await probe(farthing, new URL("/nothing", request.url).href));
