// Node 22.12 and later can require an ES module, so both kinds of import share one instance of the module.
module.exports = require("./node.mjs");
