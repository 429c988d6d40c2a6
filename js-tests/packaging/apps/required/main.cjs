const farthing = require("farthing");
const { payer } = require("farthing/pay");
const { probe } = require("../shared/probe.cjs");

probe(farthing, `${location.origin}/nothing`).then((said) => (document.title = `${said}, ${typeof payer().fetch}`));
