/**
 * A service that writes all the time, and answers by HTTP with the number of its last write that is on the
 * disk. On SIGTERM it stops answering at once, and ends some seconds later.
 */
import { randomBytes, randomInt } from "node:crypto";
import { closeSync, fdatasyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

const BLOCK_BYTES = 65_536;
const PAUSE_MS = 100;
const NUMBER_BYTES = 16;

const [folder = "", address = "", ...numbers] = process.argv.slice(2);
const [port = 0, bytesPerSecond = 0, areaBytes = 0, stopSeconds = 0] = numbers.map(Number);

const [data, shown] = [writable("area"), writable("counter")];
let count = Number(readFileSync(join(folder, "counter"), "utf8"));
let due = 0;

function writable(name: string): number {
  closeSync(openSync(join(folder, name), "a"));
  return openSync(join(folder, name), "r+");
}

function write(): void {
  due += (bytesPerSecond * PAUSE_MS) / 1000;
  for (; due >= BLOCK_BYTES; due -= BLOCK_BYTES) {
    const at = randomInt(Math.floor(areaBytes / BLOCK_BYTES)) * BLOCK_BYTES;
    writeSync(data, randomBytes(BLOCK_BYTES), 0, BLOCK_BYTES, at);
  }
  fdatasyncSync(data);
  writeSync(shown, String(count + 1).padStart(NUMBER_BYTES), 0);
  fdatasyncSync(shown);
  count += 1;
}

const timer = setInterval(write, PAUSE_MS);
const server = createServer((_, response) => {
  response.writeHead(200, { connection: "close" });
  response.end(`source ${count}\n`);
});
server.listen(port, address);
process.once("SIGTERM", () => {
  clearInterval(timer);
  server.close();
  server.closeAllConnections();
  setTimeout(() => process.exit(0), stopSeconds * 1000);
});
