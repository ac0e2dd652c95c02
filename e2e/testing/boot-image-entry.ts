/**
 * The agent of a boot image without a job. It prints the image's id and what it sees of the machine, and then
 * keeps running.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { urlOfCommandLine } from "#agent/boot-environment/control-plane-url.ts";
import { OVERLAY_FOLDER } from "#agent/boot-image/overlay.ts";

declare const CAUSEWAY_VERSION: string;

/** Longer than any test waits. The machine's deadline ends it sooner. */
const STAY_MS = 2 ** 31 - 1;

function addresses(): string[] {
  return Object.entries(networkInterfaces()).flatMap(([name, list]) =>
    (list ?? []).filter(({ internal }) => !internal).map(({ cidr }) => `${name} ${cidr}`),
  );
}

/** As `ip` prints them, of both versions. */
function defaultRoutes(): string[] {
  return ["-4", "-6"].flatMap((version) =>
    linesOf(execFileSync("ip", [version, "route", "show", "default"], { encoding: "utf8" })),
  );
}

function nameServers(): string[] {
  const file = "/etc/resolv.conf";
  const lines = existsSync(file) ? linesOf(readFileSync(file, "utf8")) : [];
  return lines.flatMap((line) => /^nameserver (.+)$/.exec(line)?.[1] ?? []);
}

function linesOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

function disks(): string[] {
  return readdirSync("/sys/class/block").map((name) => {
    const isReadOnly = readFileSync(`/sys/class/block/${name}/ro`, "utf8").trim() === "1";
    return `${name} ${isReadOnly ? "read-only" : "writable"}`;
  });
}

const job = existsSync(OVERLAY_FOLDER) ? readdirSync(OVERLAY_FOLDER) : [];
console.log(`causeway boot environment ${CAUSEWAY_VERSION}`);
const seen = {
  network: addresses(),
  "default routes": defaultRoutes(),
  "name servers": nameServers(),
  disks: disks(),
  job,
};
for (const [what, found] of Object.entries(seen)) {
  for (const one of found.length === 0 ? ["none"] : found) console.log(`${what}: ${one}`);
}
console.log(`control plane: ${urlOfCommandLine(readFileSync("/proc/cmdline", "utf8")) ?? "none"}`);
setTimeout(() => undefined, STAY_MS);
