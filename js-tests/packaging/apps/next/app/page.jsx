"use client";
import { useEffect } from "react";
import * as farthing from "farthing";
import { payer } from "farthing/pay";
import { probe } from "../../shared/probe.mjs";

export default function Page() {
  useEffect(() => {
    probe(farthing, `${location.origin}/nothing`).then((said) => (document.title = `${said}, ${typeof payer().fetch}`));
  }, []);
  return <p>A page that pays.</p>;
}
