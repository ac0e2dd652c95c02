import { spawnSync } from "node:child_process";
import { chmod, chown, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import type { BootCheckOptions } from "../boot-check.ts";
import { useCheckFolder } from "../testing/check-folder.ts";
import { qemusOf } from "../testing/processes.ts";
import { chatteringDisk, printingDisk, writingDisk } from "../testing/tiny-guest.ts";
import { qemu } from "./qemu.ts";

const { bootCheck } = qemu;
const MIB = 2 ** 20;
const isRoot = process.getuid?.() === 0;
const place = useCheckFolder();

/** Files of /proc about QEMU, while the guest of this check runs. */
async function lookInside(options: BootCheckOptions, files: string[]): Promise<string[]> {
  const controller = new AbortController();
  const check = bootCheck({ ...options, signal: controller.signal }).catch((error: Error) => error.message);
  const pid = await vi.waitFor(
    async () => {
      const [found] = await qemusOf(process.pid);
      // The sandbox closes once QEMU has set itself up.
      expect(await readFile(`/proc/${found}/status`, "utf8")).toMatch(/^Seccomp:\t2$/m);
      return found;
    },
    { timeout: 30_000 },
  );
  const seen = await Promise.all(files.map((name) => readFile(`/proc/${pid}/${name}`, "utf8")));
  controller.abort(new Error("seen"));
  expect(await check).toBe("seen");
  return seen;
}

test.runIf(isRoot)(
  "QEMU runs without root, capabilities, new privileges, network and the agent's environment",
  async () => {
    const options = await place.optionsFor(printingDisk("GRUB loading.\r\n"), { overlayBytes: 100 * MIB });
    const files = ["status", "net/dev", "limits", "environ"];
    const [status = "", net = "", limits, environ = ""] = await lookInside(options, files);
    const [real, effective, saved, file] = (/^Uid:\t(.*)$/m.exec(status)?.[1] ?? "").split("\t").map(Number);
    expect(real).toBeGreaterThanOrEqual(60_578);
    expect([effective, saved, file]).toEqual([real, real, real]);
    expect(/^Groups:\t(.*)$/m.exec(status)?.[1]?.trim()).toBe("");
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
      expect(status).toMatch(new RegExp(`^${set}:\t0+$`, "m"));
    }
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    expect(
      net
        .trim()
        .split("\n")
        .slice(2)
        .map((line) => line.split(":")[0]?.trim()),
    ).toEqual(["lo"]);
    expect(limits).toMatch(new RegExp(`^Max file size +${100 * MIB} `, "m"));
    expect(limits).toMatch(new RegExp(`^Max address space +${(64 + 2048) * MIB} `, "m"));
    expect(limits).toMatch(/^Max core file size +0 /m);
    expect(
      environ
        .split("\0")
        .filter(Boolean)
        .map((line) => line.split("=")[0]),
    ).toEqual(["PATH", "LC_ALL"]);
  },
);

test("a guest that writes without end stops at its limit, with a verdict that says so, and its disk is unchanged", async () => {
  const disk = writingDisk();
  const options = await place.optionsFor(disk, { sizeBytes: 64 * MIB, overlayBytes: 4 * MIB });
  const result = await bootCheck(options);
  expect(result).toMatchObject({
    verdict: "unknown",
    reason: expect.stringContaining("wrote more to its disks"),
  });
  expect((await stat(join(place.folder, "disk.raw"))).blocks * 512).toBeLessThan(2 * MIB);
  expect((await readFile(join(place.folder, "disk.raw"))).subarray(0, disk.length).equals(disk)).toBe(true);
  expect((await readdir(options.workDir)).sort()).toEqual(["console.log", "screenshot.png"]);
});

test("UEFI firmware starts in the same confinement, with variables that it can write", async () => {
  const options = await place.optionsFor(Buffer.alloc(MIB), {
    firmware: "uefi",
    expect: "BdsDxe",
    memoryMiB: 128,
  });
  expect(await bootCheck(options)).toMatchObject({ verdict: "booted" });
});

test("a guest that prints without end is unknown when the time is up, and its log keeps both ends", async () => {
  const options = await place.optionsFor(chatteringDisk(), { timeoutSeconds: 5 });
  const result = await bootCheck(options);
  expect(result).toMatchObject({ verdict: "unknown", reason: expect.stringContaining("within 5 s") });
  const log = await readFile(result.consoleLogPath, "latin1");
  expect(log.length).toBeLessThan(1.1 * MIB);
  expect(log).toContain("SeaBIOS");
  expect(log.endsWith("xxx")).toBe(true);
});

test("a guest that needs more memory than the host has is not started, and the verdict says what is lacking", async () => {
  const options = await place.optionsFor(printingDisk("login: "), { memoryMiB: 2 ** 30 });
  const result = await bootCheck(options);
  expect(result).toMatchObject({ verdict: "unknown", stage: "power-on" });
  expect(result.reason).toMatch(/needs 1073741824 MiB of memory.* this host has \d+ MiB free/);
  expect(await readFile(result.consoleLogPath, "latin1")).toBe("");
});

test.runIf(isRoot)(
  "an agent that is not root can run a boot check, too, with the rights that it has",
  async () => {
    const { workDir } = await place.optionsFor(printingDisk("\r\nclone login: "));
    const disk = join(place.folder, "disk.raw");
    const program = join(place.folder, "agent.ts");
    await writeFile(
      program,
      `import { qemu } from ${JSON.stringify(join(import.meta.dirname, "qemu.ts"))};
     const result = await qemu.bootCheck({ ownerId: "cnv_1", disks: [{ path: ${JSON.stringify(disk)}, format: "raw" }], firmware: "bios",
       memoryMiB: 64, timeoutSeconds: 60, workDir: ${JSON.stringify(workDir)}, now: () => performance.now(),
       signal: new AbortController().signal });
     console.log(JSON.stringify(result));`,
    );
    for (const path of [place.folder, disk]) await chown(path, 65_534, 65_534);
    await chmod(program, 0o644);
    const user = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    const { stdout, stderr } = spawnSync("setpriv", [...user, process.execPath, program], {
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toMatchObject({ verdict: "booted" });
  },
);
