// What a node says that is not so, where another one is asked as well. Each takes what the node answered and gives what it
// says instead, or `undefined` for the truth.

const hex = (number) => `0x${number.toString(16)}`;
const isPinned = ({ params }) => /^0x/.test(params[1]);
const doubled = (data) => data.replace(/^0x(.{64})/, (_, word) => hex(BigInt(`0x${word}`) * 2n + 1n).replace("0x", "").padStart(64, "0")).replace(/^(?!0x)/, "0x");

export const LIES = {
  "other-state": ({ method, ...call }, result) => (method === "eth_call" && isPinned(call) && result ? doubled(result) : undefined),
  "no-balance": ({ method }) => (method === "eth_getBalance" ? "0x0" : undefined),
  "no-contract": ({ method }) => (method === "eth_getCode" ? "0x" : undefined),
  "withheld-logs": ({ method }) => (method === "eth_getLogs" ? [] : undefined),
  "head-ahead": ({ method, params }, block) =>
    method === "eth_getBlockByNumber" && params[0] === "latest" && block
      ? { ...block, number: hex(BigInt(block.number) + 50n), timestamp: hex(BigInt(block.timestamp) + 600n), hash: block.hash.replace(/.{8}$/, "c0ffee00") }
      : undefined,
  "other-blocks": ({ method, params }, block) =>
    method === "eth_getBlockByNumber" && params[0] !== "latest" && block ? { ...block, timestamp: hex(BigInt(block.timestamp) + 3_600n) } : undefined,
  "reverted-receipts": ({ method }, receipt) => (method === "eth_getTransactionReceipt" && receipt ? { ...receipt, status: "0x0" } : undefined),
  "no-receipts": ({ method }) => (method === "eth_getTransactionReceipt" ? null : undefined),
};

/** Makes an RPC of `faultyRpc` lie in these ways, until `lift()`. */
export function liar(rpc, names) {
  const change = (text, call) => {
    const answer = JSON.parse(text);
    for (const name of names) {
      const said = LIES[name](call, answer.result);
      if (said === undefined) continue;
      rpc.hits[name] = (rpc.hits[name] ?? 0) + 1;
      return JSON.stringify({ jsonrpc: "2.0", id: answer.id, result: said });
    }
    return text;
  };
  const impose = () => (rpc.rules.change = change);
  impose();
  return { ...rpc, impose, lift: () => (rpc.rules.change = undefined) };
}
