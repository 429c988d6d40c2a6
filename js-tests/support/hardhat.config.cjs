// As chain-node.mjs starts Anvil: a block a second, and one for each transaction.

module.exports = {
  networks: {
    hardhat: { chainId: 31337, hardfork: "osaka", mining: { auto: true, interval: 1000 }, loggingEnabled: false },
  },
};
