// A client that keeps no rule: it signs what it is told to, by viem, and speaks to the hub over a bare WebSocket.

import { once } from "node:events";
import { privateKeyToAccount } from "viem/accounts";
import { contractOf, ETH } from "./chain.mjs";
import { Record } from "./record.mjs";
import { signing } from "./signing.mjs";

/** The compressed public key of a private one, which viem gives whole. */
export function publicKeyOf(privateKey) {
  const whole = privateKeyToAccount(privateKey).publicKey;
  return `0x${parseInt(whole.slice(-1), 16) % 2 ? "03" : "02"}${whole.slice(4, 68)}`;
}

/** One call over HTTP: the result, or an error with the hub's code in `data`. */
export async function call(world, method, params) {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const answer = await (await fetch(world.hubUrl, { method: "POST", headers: { "content-type": "application/json" }, body })).json();
  if (answer.error) throw Object.assign(new Error(answer.error.message), answer.error);
  return answer.result;
}

export class RawClient {
  record = new Record();
  /** Updates of the hub that are accepted as they come; set it to `undefined` to answer none. */
  onUpdate = (message) => this.accept(message);
  #waiting = new Set();

  constructor(world, { privateKey, address }) {
    Object.assign(this, { world, privateKey, address });
    const { owner, signer } = world.hub;
    const participant = { owner: address, signer: address };
    this.channel = { a: participant, b: { owner, signer }, challengePeriod: 90, salt: 0 };
    this.onChain = { ...this.channel, salt: 0n };
    this.contract = contractOf(world, privateKey);
  }

  async register() {
    const registered = await call(this.world, "farthing_register", { channel: this.channel, publicKey: publicKeyOf(this.privateKey) });
    this.id = registered.channelId;
    this.sign = signing(this.world, this.id);
    return this;
  }

  async connect() {
    this.socket = new WebSocket(this.world.hubUrl.replace(/^http/, "ws"));
    await once(this.socket, "open");
    let asked;
    this.socket.onmessage = ({ data }) => {
      const said = JSON.parse(data);
      if (said.method === "farthing_messages") for (const message of said.params.messages) this.#hear(message);
      // A frame that was not taken at all is refused as well.
      else if (said.error && (said.id ?? null) === null) this.#hear({ type: "refused", asset: ETH, code: said.error.data?.code ?? said.error.message });
      else asked?.(said);
    };
    this.ended = new Promise((resolve) => (this.socket.onclose = resolve));
    const ask = (method, params) =>
      new Promise((resolve) => {
        asked = resolve;
        this.socket.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }));
      });
    const { challenge } = (await ask("farthing_challenge", { channelId: this.id })).result;
    const synced = this.next("sync");
    const attached = await ask("farthing_attach", { channelId: this.id, signature: await this.sign.session(this.privateKey, challenge) });
    if (attached.error) throw new Error(attached.error.message);
    await synced;
    this.say(this.sync());
    return this;
  }

  /** What an honest client would say on a connect. */
  sync() {
    const [out, inc] = [this.record.lane("client", ETH), this.record.lane("hub", ETH)];
    const signed = (lane) => lane.updates.filter(({ proof }) => proof.nonce === lane.accepted).map(({ proof, signature }) => ({ proof, signature }))[0];
    return { type: "sync", lanes: out.accepted || inc.accepted ? [{ asset: ETH, signed: signed(out), accepted: signed(inc) }] : [] };
  }

  /** Puts money in, and waits until the hub has seen it and put in its own. */
  async deposit(amount) {
    const funded = this.next("funds", ({ deposits }) => BigInt(deposits.b) > 0n);
    await this.contract.open(this.onChain, amount);
    const { deposits } = await funded;
    this.say({ type: "funds", asset: ETH, deposits });
    return this;
  }

  #hear(message) {
    this.record.see("hub", message);
    for (const entry of [...this.#waiting]) {
      if (entry.type !== message.type || !entry.test(message)) continue;
      this.#waiting.delete(entry);
      entry.resolve(message);
    }
    if (message.type === "update") this.onUpdate?.(message);
    if (message.type === "funds") this.say(message);
  }

  /** The next message of the hub of a type that passes the test. */
  next(type, test = () => true) {
    return new Promise((resolve) => this.#waiting.add({ type, test, resolve }));
  }

  say(...messages) {
    for (const message of messages) this.record.see("client", message);
    this.frame(messages);
  }

  /** Anything at all, as the messages of a frame. */
  frame(messages) {
    this.socket.send(JSON.stringify({ jsonrpc: "2.0", method: "farthing_messages", params: { channelId: this.id, messages } }));
  }

  /** Our lane as the hub accepted it. */
  get lane() {
    const lane = this.record.lane("client", ETH);
    return lane.states.get(lane.accepted);
  }

  /** Signs an update that holds these ops, or what the changes make of it; gives the hub's answer to it. */
  async update(ops, { nonce, base, change = (proof) => proof, key = this.privateKey, alter = (signature) => signature, send = true } = {}) {
    const lane = this.record.lane("client", ETH);
    const from = base ?? lane.accepted;
    const seen = this.record.lane("hub", ETH).accepted;
    const content = (lane.states.get(from) ?? this.lane).clone().apply(ops);
    const proof = change(content.proof(nonce ?? lane.highest + 1, seen));
    const signature = alter(await this.sign.proof(key, { asset: ETH, payer: "A", proof }));
    const message = { type: "update", asset: ETH, update: { base: from, ops, proof, signature } };
    if (!send) return message;
    const answer = Promise.race([this.next("accepted"), this.next("refused")]);
    this.say(message);
    return answer;
  }

  async accept({ update: { base, ops, proof } }) {
    const due = proof.nonce !== base + 1 || ops.some((op) => op.release);
    const acknowledgement = due ? await this.sign.acknowledgement(this.privateKey, { asset: ETH, payer: "B", proof }) : undefined;
    this.say({ type: "accepted", asset: ETH, nonce: proof.nonce, acknowledgement });
  }

  /** All that it may show on chain: what the hub signed, and of its own what was acknowledged. */
  showable() {
    return [...this.record.proofs("hub", ETH), ...this.record.proofs("client", ETH).filter(({ acknowledgement }) => acknowledgement !== "0x")];
  }

  disconnect() {
    this.socket?.close();
  }
}
