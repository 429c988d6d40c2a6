// How the demo speaks.

const colour = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (code, text) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
export const bold = (text) => paint(1, text);
export const dim = (text) => paint(2, text);
export const green = (text) => paint(32, text);
export const red = (text) => paint(31, text);

export const say = (text = "") => console.log(text);
export const chapter = (title) => say(`\n${bold(title)}`);
export const fact = (text) => say(`  ${text}`);

/** Base units as decimals, without trailing zeros. */
export function formatUnits(units, decimals = 18) {
  const sign = units < 0n ? "-" : "";
  const digits = (units < 0n ? -units : units).toString().padStart(decimals + 1, "0");
  const rest = digits.slice(-decimals).replace(/0+$/, "");
  return `${sign}${digits.slice(0, -decimals)}${rest === "" ? "" : `.${rest}`}`;
}

/** A bar that is redrawn in place on a terminal, and otherwise printed at each tenth. */
export function progress(total, label) {
  let shown = -1;
  return (done) => {
    const part = Math.floor((done / total) * 40);
    const step = colour ? part : Math.floor((done / total) * 10);
    if (step === shown && done !== total) return;
    shown = step;
    const bar = `  ${"█".repeat(part)}${"░".repeat(40 - part)} ${String(done).padStart(String(total).length)}/${total} ${label}`;
    if (colour) process.stdout.write(`\r${bar}${done === total ? "\n" : ""}`);
    else say(bar);
  };
}

/** Columns of text, the first to the left and the others to the right. */
export function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const [index, row] of rows.entries()) {
    const line = row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join("   ");
    fact(index === 0 ? dim(line) : line);
  }
}
