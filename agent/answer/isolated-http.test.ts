/** The example of a check script, with a real bridge, and a network namespace in place of the machine. */
import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const BRIDGE = `cwt${process.pid % 100_000}`;
const run = (...words: string[]) => execFileSync(words[0] ?? "", words.slice(1), { encoding: "utf8" });
const canMakeNetworks =
  process.getuid?.() === 0 &&
  spawnSync("unshare", ["--net", "ip", "link", "add", "bridge0", "type", "bridge"]).status === 0 &&
  spawnSync("curl", ["--version"]).status === 0;

/** Answers `/200` with that status, and so on, and nothing else ever. */
const SERVER = `require("node:http").createServer((request, response) => {
  const status = Number(request.url.slice(1));
  if (status) response.writeHead(status, { location: "/200" }).end();
}).listen(80, "198.51.100.7", () => console.log("listening"));`;

let dir: string;
let script: string;
let machine: ChildProcess;

const networkOf = (pid: number | string) => readlinkSync(`/proc/${pid}/ns/net`);
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
    machine = spawn("unshare", ["--net", "sh", "-c", 'read _; exec "$0" -e "$1"', process.execPath, SERVER], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const pid = String(machine.pid);
    while (networkOf(pid) === networkOf("self")) await wait(20);
    run("ip", "link", "add", BRIDGE, "type", "bridge");
    run("ip", "link", "set", BRIDGE, "up");
    run("ip", "link", "add", `${BRIDGE}m`, "type", "veth", "peer", "name", "eth0", "netns", pid);
    run("ip", "link", "set", `${BRIDGE}m`, "master", BRIDGE, "up");
    const within = (...words: string[]) => run("nsenter", `--net=/proc/${pid}/ns/net`, "ip", ...words);
    within("address", "add", "198.51.100.7/24", "dev", "eth0");
    within("link", "set", "eth0", "up");
    machine.stdin?.end("\n");
    await once(machine.stdout ?? machine, "data");
  });
  afterAll(() => {
    machine.kill("SIGKILL");
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
