#!/usr/bin/env node
// The program's first step, which every Node can take: one sentence where the Node is too old for the rest.
// @ts-check

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 13)) {
  console.error(`farthing needs Node 22.13 or newer, and this is Node ${process.versions.node}: nothing was done.`);
  process.exitCode = 2;
} else {
  import("./farthing.mjs");
}
