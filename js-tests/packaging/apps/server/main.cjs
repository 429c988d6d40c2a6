const farthing = require("farthing");
const { probe } = require("../shared/probe.cjs");

probe(farthing, "http://127.0.0.1:1").then((said) => console.log(said));
