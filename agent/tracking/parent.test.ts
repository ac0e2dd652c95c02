/** The helper of an agent that is killed: the next agent must find the tracker as that one left it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { tool } from "../filesystems/testing/test-image.ts";
import { FAULTY_PROGRAM, PROGRAM, TrackedDisk, whyUntestable } from "./testing/tracked-disk.ts";

const reason = whyUntestable();
/** A limit for what ends at once, not a measure of speed. */
const SOON_MS = 20_000;

const HELPER = JSON.stringify(new URL("./helper.ts", import.meta.url).href);
/** An agent that calls its helper once. */
const AGENT = `
import { TrackerHelper } from ${HELPER};
const [program, pinFolder, method, ...args] = process.argv.slice(-1).flatMap(JSON.parse);
await new TrackerHelper(program, { pinFolder })[method](...args);`;

function startAgent(program: string, { pinFolder }: TrackedDisk, method: string, ...args: unknown[]) {
  const call = JSON.stringify([program, pinFolder, method, ...args]);
  const options = ["--input-type=module", "--eval", AGENT, "--", call];
  return spawn(process.execPath, options, { stdio: ["ignore", "inherit", "inherit"] });
}

async function kill(agent: ChildProcess): Promise<void> {
  const exited = once(agent, "exit");
  agent.kill("SIGKILL");
  expect(await exited).toEqual([null, "SIGKILL"]);
}

/** The processes that use this disk's tracker. */
function helpersOf({ pinFolder }: TrackedDisk): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    const [, , option, folder] = commandOf(pid).split("\0");
    return option === "--pins" && folder === pinFolder;
  });
}

/** Empty if the process has ended. */
function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return "";
    throw error;
  }
}

async function within(ms: number, what: string, isSo: () => boolean): Promise<void> {
  for (const deadline = performance.now() + ms; !isSo(); await wait(20))
    if (performance.now() > deadline) throw new Error(`after ${ms} ms not yet: ${what}`);
}

describe.skipIf(reason !== undefined)(`the helper of an agent ${reason ? `(${reason})` : ""}`, () => {
  test("that is killed while the helper waits for its turn never has its turn", async () => {
    await using disk = await TrackedDisk.create();
    const before = await disk.tracker.begin(disk.device);
    await disk.tracker.clear(disk.device);
    const holder = spawn("flock", [disk.pinFolder, "sh", "-c", "echo locked; cat"], { stdio: "pipe" });
    await once(holder.stdout, "data");
    const agent = startAgent(PROGRAM, disk, "commit", disk.device, before.status.sequence);
    await within(SOON_MS, "the helper waits", () => helpersOf(disk).length === 1);
    await kill(agent);
    const released = once(holder, "exit");
    holder.stdin.end();
    await released;
    await within(SOON_MS, "the helper has ended", () => helpersOf(disk).length === 0);
    const [after] = await disk.tracker.status();
    expect(after?.sequence).toBe(before.status.sequence);
  });

  test("that was gone before the helper looked does nothing", async () => {
    await using disk = await TrackedDisk.create();
    const { status } = await disk.tracker.begin(disk.device);
    await disk.tracker.clear(disk.device);
    const options = ["--pins", disk.pinFolder, "--disk", disk.device, "--sequence", String(status.sequence)];
    // Another process than the one that starts it.
    const command = `CAUSEWAY_TRACKER_PARENT=1 ${PROGRAM} commit ${options.join(" ")} || true`;
    expect(tool("sh", "-c", command)).toContain('"code":"orphan"');
    const [after] = await disk.tracker.status();
    expect(after?.sequence).toBe(status.sequence);
  });

  test("that is killed while the helper has frozen a file system leaves it thawed at once", async () => {
    await using disk = await TrackedDisk.create();
    tool("sh", "-c", `date > ${disk.mountPoint}/changed`);
    const [program, frozen] = ["slow-tracker", "frozen"].map((name) => join(disk.image, "..", name));
    const text = `#!/bin/sh\nexec ${FAULTY_PROGRAM} "$@" --during 'touch ${frozen}; exec sleep 60 >&- 2>&-'\n`;
    await writeFile(String(program), text, { mode: 0o755 });
    const agent = startAgent(String(program), disk, "freezeRead", {
      ...{ disks: [disk.device], mounts: [disk.mountPoint], ignored: [] },
      ...{ limitMs: 10 * SOON_MS, limitBytes: 2 ** 24 },
    });
    await within(SOON_MS, "it is frozen", () => existsSync(String(frozen)));
    await kill(agent);
    tool("timeout", String(SOON_MS / 1000), "touch", `${disk.mountPoint}/written`);
    await within(SOON_MS, "the helper and its watchdog have ended", () => helpersOf(disk).length === 0);
    await disk.takeDelta();
    tool("sync", "--file-system", disk.mountPoint);
    await disk.takeDelta();
    expect(await disk.differing()).toEqual([]);
  });
});
