#!/usr/bin/env node
// Lets forge use the compiler that npm pins, on every platform: it speaks the two flags of solc that forge needs.
"use strict";

const solc = require("solc");
const flags = process.argv.slice(2);

if (flags.includes("--version")) {
  console.log("solc, the solidity compiler commandline interface\nVersion: " + solc.version());
} else if (flags.includes("--standard-json")) {
  process.stdout.write(solc.compile(require("node:fs").readFileSync(0, "utf8")));
} else {
  console.error("solcw: unsupported arguments: " + flags.join(" "));
  process.exitCode = 1;
}
