// A wallet page: one channel with one hub, signed for by the browser's injected wallet.
// Open it as wallet/?hub=http://127.0.0.1:PORT

import { connect } from "farthing";

const SHOWN = 12;
const byId = (id) => document.getElementById(id);
const status = (state, text) => {
  byId("status").dataset.state = state;
  byId("status").textContent = text;
};

/** Base units as decimals, without trailing zeros. Money is never a float here. */
function formatUnits(units, decimals) {
  const digits = units.toString().padStart(decimals + 1, "0");
  const whole = digits.slice(0, -decimals) || "0";
  const rest = decimals === 0 ? "" : digits.slice(-decimals).replace(/0+$/, "");
  return rest === "" ? whole : `${whole}.${rest}`;
}

/** Decimals as base units; refuses what the asset can't express. */
function parseUnits(text, decimals) {
  const match = /^(\d+)(?:\.(\d+))?$/.exec(text.trim());
  if (match === null || (match[2] ?? "").length > decimals) throw new Error(`An amount has digits and at most ${decimals} decimals.`);
  return BigInt(match[1] + (match[2] ?? "").padEnd(decimals, "0"));
}

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

let client;
const seen = new Map();
const decimalsOf = (asset) => client.info.hub.assets.find((entry) => entry.asset === asset)?.decimals ?? 18;

async function showBalances() {
  const cards = (await client.balances()).map((balance) => {
    const card = element("article", "", "balance");
    const decimals = decimalsOf(balance.asset);
    const money = (units) => `${formatUnits(units, decimals)} ${balance.asset}`;
    card.dataset.asset = balance.asset;
    card.append(
      element("h2", balance.asset),
      element("p", formatUnits(balance.available, decimals), "amount"),
      element("p", balance.status === "open" ? `can receive ${money(balance.receivable)}` : balance.status),
    );
    return card;
  });
  byId("balances").replaceChildren(...cards);
}

function showPayments() {
  // The newest first; those of one second in the order in which they came.
  const list = [...seen.values()].reverse().sort((a, b) => b.createdAt - a.createdAt);
  const received = list.filter((payment) => payment.direction === "received" && payment.status === "completed").length;
  const sent = list.filter((payment) => payment.direction === "sent" && payment.status === "completed").length;
  byId("count").textContent = list.length === 0 ? "none yet" : `${received} received, ${sent} sent`;
  byId("payments").replaceChildren(
    ...list.slice(0, SHOWN).map((payment) => {
      const line = element("li", "");
      const incoming = payment.direction === "received";
      const amount = `${formatUnits(payment.amount, decimalsOf(payment.asset))} ${payment.asset}`;
      line.append(
        element("span", incoming ? "↓" : "↑", "way"),
        element("span", payment.memo || (payment.status === "completed" ? "" : payment.status), "memo"),
        element("span", amount, incoming ? "received" : ""),
      );
      return line;
    }),
  );
}

/** Redraws at most once a frame, however many payments arrive. */
let drawing = false;
function changed() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(async () => {
    drawing = false;
    showPayments();
    await showBalances();
  });
}

byId("pay").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const outcome = event.target.querySelector(".outcome");
  const asset = form.get("asset");
  try {
    const amount = parseUnits(form.get("amount"), decimalsOf(asset));
    const started = performance.now();
    const payment = await client.pay({ to: form.get("to").trim(), asset, amount, memo: form.get("memo") });
    const took = Math.max(1, Math.round(performance.now() - started));
    outcome.textContent =
      payment.status === "completed" ? `Paid in ${took} ms. Proof: ${payment.preimage}` : "The payee is away; the hub holds the offer.";
  } catch (error) {
    outcome.textContent = error.message;
  }
});

async function start() {
  const hub = new URLSearchParams(location.search).get("hub");
  if (!hub) return status("failed", "name a hub: ?hub=https://…");
  if (!window.ethereum) return status("failed", "no wallet found in this browser");
  status("waiting", "asking your wallet …");
  client = await connect({ hub, wallet: window.ethereum });
  for (const payment of [...(await client.payments({ limit: 1_000 }))].reverse()) seen.set(payment.id, payment);
  client.on("payment", ({ payment }) => {
    seen.set(payment.id, payment);
    changed();
  });
  client.on("deposit", changed);
  client.on("closing", changed);
  client.on("connected", () => status("connected", "connected"));
  client.on("disconnected", () => status("waiting", "reconnecting …"));
  const { info } = client;
  byId("pay").querySelector("select").append(...info.hub.assets.map((entry) => element("option", entry.asset)));
  byId("pay").querySelector("button").disabled = false;
  const code = (text) => element("code", text);
  byId("info").append("account ", code(info.address), " · channel ", code(info.channelId), " · hub ", code(info.hub.url));
  status(info.connected ? "connected" : "waiting", info.connected ? "connected" : "connecting …");
  changed();
  // For whoever drives this page: the demo and the tests.
  window.farthing = { client };
}

start().catch((error) => status("failed", error.message));
