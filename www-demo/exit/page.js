// The exit page: a kit from a file, an injected wallet (EIP-1193, found by EIP-6963), and the engine beside this file.
// A classic script, so that it works from disk. It asks nobody but the wallet.

(() => {
  "use strict";

  const { readKit, signaturesOf, look, next, credits, creditCall, hexOf } = globalThis.farthingExit;
  const ECRECOVER = "0x0000000000000000000000000000000000000001";
  const ETH = `0x${"0".repeat(40)}`;
  const LOOK = 4_000;
  const byId = (id) => document.getElementById(id);
  const same = (one, other) => one.toLowerCase() === other.toLowerCase();
  const short = (hex) => `${hex.slice(0, 8)}…${hex.slice(-4)}`;

  const wallets = new Map();
  const tokens = new Map([[ETH, { symbol: "ETH", decimals: 18 }]]);
  let kit;
  let provider;
  let account;
  let plan;
  let busy = false;

  function element(name, text, properties = {}) {
    const made = Object.assign(document.createElement(name), properties);
    made.textContent = text;
    return made;
  }

  function status(state, text) {
    byId("status").dataset.state = state;
    byId("status").textContent = text;
  }

  function fail(error) {
    status("failed", error.code === 4001 ? "you said no in your wallet" : "that did not work");
    byId("told").textContent = error.message;
  }

  /** Base units as decimals. Money is never a float here. */
  function money(units, asset) {
    const { symbol, decimals } = tokens.get(asset.toLowerCase()) ?? { symbol: `base units of ${short(asset)}`, decimals: 0 };
    const digits = units.toString().padStart(decimals + 1, "0");
    const rest = decimals === 0 ? "" : digits.slice(-decimals).replace(/0+$/, "");
    const whole = decimals === 0 ? digits : digits.slice(0, -decimals);
    return `${whole}${rest && `.${rest}`} ${symbol}`;
  }

  const name = (asset) => tokens.get(asset.toLowerCase())?.symbol ?? short(asset);
  const when = (seconds) => new Date(seconds * 1_000).toLocaleString();
  const ask = (method, params) => provider.request({ method, params });

  // --- the kit ------------------------------------------------------------------------------------------------------

  async function open(file) {
    [kit, plan] = [undefined, undefined];
    byId("about").hidden = true;
    byId("told").textContent = "";
    draw();
    try {
      kit = readKit(await file.text());
    } catch (error) {
      fail(error);
      return;
    }
    const rows = [
      ["file", file.name],
      ["channel", kit.channelId],
      ["contract", `${kit.contract}, chain ${kit.chainId}`],
      ["owner", kit.owner],
      ["assets", kit.assets.map(({ asset }) => (asset === ETH ? "ETH" : asset)).join(", ") || "none"],
    ];
    byId("about").replaceChildren(...rows.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
    byId("about").hidden = false;
    status("waiting", "kit read; connect your wallet");
    if (account) await begin();
  }

  byId("file").addEventListener("change", ({ target }) => target.files[0] && open(target.files[0]));
  const drop = byId("drop");
  for (const type of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(type, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", type === "dragover");
      if (type === "drop" && event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
    });
  }

  // --- the wallet ---------------------------------------------------------------------------------------------------

  function showWallets() {
    const found = wallets.size > 0 ? [...wallets.values()] : window.ethereum ? [{ info: { name: "your wallet" }, provider: window.ethereum }] : [];
    byId("wallets").replaceChildren(
      ...found.map((wallet) => {
        const button = element("button", account && provider === wallet.provider ? `Connected: ${short(account)}` : `Connect ${wallet.info.name}`);
        button.classList.toggle("quiet", Boolean(account) && provider === wallet.provider);
        button.addEventListener("click", () => connect(wallet.provider));
        return button;
      }),
    );
    if (found.length === 0) {
      byId("account").textContent =
        "No wallet found in this browser. A wallet extension may have to be allowed on files: look for “Allow access to file URLs” in its settings. Without a wallet here, the kit's own paragraph of help says how to send its calldata.";
    }
  }

  window.addEventListener("eip6963:announceProvider", ({ detail }) => {
    wallets.set(detail.info.uuid, detail);
    showWallets();
  });

  async function connect(chosen) {
    try {
      provider = chosen;
      [account] = await ask("eth_requestAccounts", []);
      provider.on?.("accountsChanged", () => location.reload());
      provider.on?.("chainChanged", () => kit && begin());
      showWallets();
      if (kit) await begin();
      else status("waiting", "wallet connected; drop your kit");
    } catch (error) {
      fail(error);
    }
  }

  /** Wallet and kit are there: do they belong together? */
  async function begin() {
    try {
      status("waiting", "looking at the chain …");
      if (Number(await ask("eth_chainId", [])) !== kit.chainId) {
        await ask("wallet_switchEthereumChain", [{ chainId: `0x${kit.chainId.toString(16)}` }]);
      }
      for (const [what, digest, signature, signer] of signaturesOf(kit)) {
        const [r, s, v] = [signature.slice(2, 66), signature.slice(66, 130), signature.slice(130)];
        const found = await ask("eth_call", [{ to: ECRECOVER, data: `${digest}${v.padStart(64, "0")}${r}${s}` }, "latest"]);
        if (!found || !same(`0x${found.slice(-40)}`, signer)) throw new Error(`This is no sound exit kit: the ${what} is not signed by ${signer}.`);
      }
      for (const { asset } of kit.assets) if (!tokens.has(asset.toLowerCase())) await learn(asset);
      await refresh();
    } catch (error) {
      fail(error);
    }
  }

  /** What a token calls itself; one that does not say is shown in base units. */
  async function learn(asset) {
    try {
      const decimals = Number(await ask("eth_call", [{ to: asset, data: "0x313ce567" }, "latest"]));
      const answer = await ask("eth_call", [{ to: asset, data: "0x95d89b41" }, "latest"]);
      const bytes = globalThis.farthingExit.bytesOf(`0x${answer.slice(130)}`).slice(0, Number(`0x${answer.slice(66, 130)}`));
      const symbol = new TextDecoder().decode(bytes).replace(/[^\w.$-]/g, "").slice(0, 12);
      if (decimals >= 0 && decimals <= 36 && symbol) tokens.set(asset.toLowerCase(), { symbol, decimals });
    } catch {
      // Shown in base units.
    }
  }

  // --- the exit -----------------------------------------------------------------------------------------------------

  async function refresh() {
    const chain = await look(ask, kit);
    plan = { ...next(kit, chain), chain };
    // What was refused when it was paid out is fetched when all else is done.
    plan.credits = plan.actions.length === 0 && !plan.wait ? await credits(ask, kit) : [];
    if (!busy) draw();
  }

  function steps() {
    const { stage, actions, chain, locks } = plan;
    const pending = (...names) => actions.filter(({ call }) => names.includes(call)).reduce((sum, { count }) => sum + count, 0);
    const started = chain.endsAt > 0;
    const over = started && chain.time > chain.endsAt;
    const settled = stage === "claim" || stage === "done";
    const list = [{ title: "Start the exit", state: started ? "done" : "now", about: started ? "on chain" : "" }];
    if (kit.evidence.length > 0) {
      const open = pending("recordEvidence", "recordEvidenceBatch");
      list.push({ title: "Record the evidence of payments to you", state: open ? (started ? "now" : "later") : "done", about: open ? `${open} to go` : "" });
    }
    if (pending("submitProofs")) list.push({ title: "Show newer proofs than the chain has", state: "now", about: "" });
    const waiting = started && !over && !actions.length;
    list.push({ title: "Wait for the challenge period", state: over ? "done" : waiting ? "now" : "later", about: started && !over ? `until ${when(chain.endsAt)}` : "" });
    for (const { asset, status: state, net } of chain.assets) {
      const due = started && net > 0n ? money(net, asset) : "";
      const about = state === 2 ? "paid out" : due && `as it stands ${due}`;
      list.push({ title: `Pay out ${name(asset)}`, state: state !== 0 ? "done" : over ? "now" : "later", about });
    }
    if (settled) list.push({ title: "Claim what is still locked", state: locks ? "now" : "done", about: locks ? `${locks} left` : "" });
    return list;
  }

  function draw() {
    byId("send").hidden = true;
    byId("copy").hidden = true;
    byId("credit").hidden = !plan?.credits.length;
    if (!plan) return byId("steps").replaceChildren();
    byId("steps").replaceChildren(
      ...steps().map(({ title, state, about }) => {
        const line = element("li", "");
        line.dataset.state = state;
        line.append(element("div", title), element("span", about));
        return line;
      }),
    );
    byId("warnings").replaceChildren(...plan.warnings.map((warning) => element("li", warning)));
    const [action] = plan.actions;
    const mine = [kit.owner, kit.signer].some((one) => same(one, account));
    if (action) {
      status("ready", `${plan.actions.length} to send`);
      const worth = action.worth === undefined ? "" : ` (${money(action.worth, action.asset)})`;
      const settled = action.asset === undefined ? `${action.count} assets` : name(action.asset);
      const about = ["settle", "settleBatch"].includes(action.call) ? ` ${settled}` : worth;
      byId("send").textContent = `${action.title[0].toUpperCase()}${action.title.slice(1)}${about}`;
      byId("send").hidden = false;
      byId("send").disabled = !mine && ["start", "challenge"].includes(plan.stage);
      byId("told").textContent = byId("send").disabled ? `Your wallet shows ${account}. An exit is started by the owner, ${kit.owner}: choose that account in your wallet.` : "";
      byId("copy").hidden = false;
    } else if (plan.wait) {
      status("waiting", "waiting");
      byId("told").textContent = `Waiting until ${when(plan.wait.until)} for ${plan.wait.why}. You may close this page and come back.`;
    } else if (plan.stage === "nothing") {
      status("done", "nothing to do");
      byId("told").textContent = "The channel holds nothing: there is nothing to leave with.";
    } else {
      status("done", "done");
      const [credit] = plan.credits;
      if (credit) byId("collect").textContent = `Fetch ${money(credit.amount, credit.asset)} that could not be paid out`;
      byId("told").textContent = credit ? "Your account or the token refused a payment; the contract keeps it for you." : plan.incomplete ? "All that this kit knows of is taken out." : "Done: nothing of yours is left to take out.";
    }
  }

  async function send() {
    await sendOne(plan.actions[0]);
  }

  /** To the owner, or to the account that was typed in. */
  async function collect() {
    const recipient = byId("recipient").value.trim() || undefined;
    if (recipient !== undefined && !/^0x[0-9a-fA-F]{40}$/.test(recipient)) {
      byId("told").textContent = "The other account must be 0x and 40 hex digits.";
    } else if (recipient !== undefined && !same(account, kit.owner)) {
      byId("told").textContent = `Only the owner, ${kit.owner}, can send it to another account: choose it in your wallet.`;
    } else {
      await sendOne(creditCall(kit, plan.credits[0], recipient, hexOf(crypto.getRandomValues(new Uint8Array(32)))));
    }
  }

  async function sendOne({ to, data, title, call }) {
    busy = true;
    byId("send").disabled = true;
    status("waiting", "your wallet asks …");
    try {
      const hash = await ask("eth_sendTransaction", [{ from: account, to, data }]);
      const line = byId("log").appendChild(element("li", `${call}: ${hash}`));
      status("waiting", `${title} …`);
      let receipt;
      while ((receipt = await ask("eth_getTransactionReceipt", [hash]))?.blockNumber == null) await new Promise((done) => setTimeout(done, 1_000));
      if (Number(receipt.status) !== 1) throw new Error(`Transaction ${hash} reverted.`);
      line.textContent += `, in block ${Number(receipt.blockNumber)}, ${Number(receipt.gasUsed)} gas`;
      busy = false;
      await refresh();
    } catch (error) {
      busy = false;
      draw();
      fail(error);
    }
  }

  byId("send").addEventListener("click", send);
  byId("collect").addEventListener("click", collect);
  byId("copy").addEventListener("click", async () => {
    const [{ to, data }] = plan.actions;
    await navigator.clipboard.writeText(data);
    byId("told").textContent = `Copied. Send it to ${to} on chain ${kit.chainId}, with no value.`;
  });

  // While there is something to wait for, the chain is looked at again and again.
  setInterval(() => {
    if (plan?.wait && !plan.actions.length && !busy) refresh().catch(() => {});
  }, LOOK);

  window.dispatchEvent(new Event("eip6963:requestProvider"));
  showWallets();
})();
