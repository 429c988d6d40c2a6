"use client";
import { useEffect } from "react";
import { connect } from "farthing";

async function read() {
  const options = JSON.parse(decodeURIComponent(location.hash.slice(1)));
  const asked = await fetch("/paid");
  const client = await connect({ ...options, store: "memory", budget: { perRequest: { ETH: 100n }, perSite: { ETH: 10_000n } } });
  await client.deposit({ asset: "ETH", amount: 10_000n });
  const paid = await client.fetch("/paid");
  const text = await paid.text();
  await client.disconnect();
  return `${asked.status}, ${paid.status}, ${text}`;
}

export default function Page() {
  useEffect(() => {
    read().then((said) => (document.title = said), (error) => (document.title = `${error.code}: ${error.message}`));
  }, []);
  return <p>A page that reads what costs something.</p>;
}
