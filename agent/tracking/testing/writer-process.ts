/**
 * For disk-in-use.ts: writes to the file in the first argument until its parent disconnects. Each message
 * to it is answered with the longest time that one write has waited since the last one, in ms.
 */
import { openSync, writeSync } from "node:fs";

const PAUSE_MS = 10;
const file = openSync(process.argv[2] ?? "", "w");
let longestMs = 0;

function write(): void {
  const began = performance.now();
  writeSync(file, String(began), 0);
  longestMs = Math.max(longestMs, performance.now() - began);
}

const timer = setInterval(write, PAUSE_MS);
process.on("message", () => {
  write();
  process.send?.(longestMs);
  longestMs = 0;
});
process.on("disconnect", () => clearInterval(timer));
process.send?.("ready");
