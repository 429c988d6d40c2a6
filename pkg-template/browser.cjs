// Bundlers can require an ES module, so both kinds of import share one instance of the module.
module.exports = require("./browser.mjs");
