/** The example of a check script, with a real bridge, and a network namespace in place of the machine. */
import { execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { attachHttpNeighbour } from "./testing/http-neighbour.ts";

const BRIDGE = `cwt${process.pid % 100_000}`;
const run = (...words: string[]) => execFileSync(words[0] ?? "", words.slice(1), { encoding: "utf8" });
const canMakeNetworks =
  process.getuid?.() === 0 &&
  spawnSync("unshare", ["--net", "ip", "link", "add", "bridge0", "type", "bridge"]).status === 0 &&
  spawnSync("curl", ["--version"]).status === 0;

let dir: string;
let script: string;
let machine: Disposable;

const ourEnds = () => run("ip", "-o", "link", "show", "master", BRIDGE).match(/cw\d+/g) ?? [];

function ask(path: string) {
  writeFileSync(`${script}.settings`, `url=http://198.51.100.7${path}\naddress=198.51.100.1/24\n`);
  const env = { PATH: `${dir}:/usr/sbin:/usr/bin:/sbin:/bin`, CAUSEWAY_MACHINE: "web1" };
  return { env, cwd: "/" };
}
const check = (path: string) =>
  promisify(execFile)(script, [], ask(path)).then(
    () => "succeeded",
    (error: { code: number; stderr: string }) => `${error.code}: ${error.stderr.trim()}`,
  );

describe.runIf(canMakeNetworks)("an isolated machine", () => {
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "causeway-isolated-"));
    script = join(dir, "web");
    copyFileSync(join(import.meta.dirname, "examples/isolated-http"), script);
    writeFileSync(join(dir, "virsh"), `#!/bin/sh\necho "$@" >> '${dir}/asked'\necho 'Bridge: ${BRIDGE}'\n`, {
      mode: 0o755,
    });
    run("ip", "link", "add", BRIDGE, "type", "bridge");
    run("ip", "link", "set", BRIDGE, "up");
    machine = await attachHttpNeighbour(BRIDGE);
  });
  afterAll(() => {
    machine[Symbol.dispose]();
    spawnSync("ip", ["link", "delete", BRIDGE]);
    rmSync(dir, { recursive: true, force: true });
  });

  test.each([
    ["/200", "succeeded"],
    ["/503", "1: http://198.51.100.7/503: status 503"],
    ["/302", "1: http://198.51.100.7/302: status 302"],
  ])(
    "that answers %s is judged by its status, and nothing is left of the way to it",
    async (path, result) => {
      expect(await check(path)).toBe(result);
      await expect.poll(ourEnds).toEqual([]);
    },
  );

  test("has no way to it left after a script that was killed", async () => {
    const asking = spawn(script, [], { ...ask("/"), detached: true, stdio: "ignore" });
    await expect.poll(ourEnds).toHaveLength(1);
    process.kill(-Number(asking.pid), "SIGKILL");
    await expect.poll(ourEnds).toEqual([]);
  });
});
