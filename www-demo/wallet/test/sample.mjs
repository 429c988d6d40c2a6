// A request as a site would send it; `changes` are laid over it.

export const sample = (changes = {}) => ({
  v: 1,
  type: "farthing-grant-request",
  id: `0x${"01".repeat(16)}`,
  payee: `0x${"70".repeat(20)}`,
  hub: "https://hub.example",
  network: "eip155:1",
  contract: `0x${"c0".repeat(20)}`,
  asset: `0x${"da".repeat(20)}`,
  unitPrice: "1000000000000000",
  units: 500,
  tip: `0x${"71".repeat(32)}`,
  expiresIn: 604_800,
  title: "The Farthing Post",
  ...changes,
});
