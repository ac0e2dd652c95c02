import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { readMachineMarker } from "../machine/machine-marker.ts";
import { RecordedMachine } from "../machine/testing/recorded-machine.ts";
import { qemu } from "./qemu/qemu.ts";
import { useCheckFolder } from "./testing/check-folder.ts";
import { qemusOf } from "./testing/processes.ts";
import { printingDisk, restartingDisk, smbiosPrintingDisk } from "./testing/tiny-guest.ts";

const { bootCheck } = qemu;
const place = useCheckFolder();
const { optionsFor } = place;

test("a disk that reaches a login prompt has booted; console log and screenshot are kept, nothing else", async () => {
  const disk = printingDisk("\r\nclone login: ");
  const options = await optionsFor(disk);
  const result = await bootCheck(options);
  expect(result).toMatchObject({ verdict: "booted", stage: "up" });
  expect(result.seconds).toBeGreaterThan(0);
  // The check ends with the colon, so the space behind it may not have arrived.
  expect(await readFile(result.consoleLogPath, "latin1")).toContain("clone login:");
  expect((await readFile(result.screenshotPath ?? "")).subarray(1, 4).toString()).toBe("PNG");
  expect((await readdir(options.workDir)).sort()).toEqual(["console.log", "screenshot.png"]);
  expect((await readFile(join(place.folder, "disk.raw"))).equals(disk)).toBe(true);
});

test("the guest's firmware shows for whom it was made, as its system reads it", async () => {
  const end = "the end of the table";
  const result = await bootCheck(
    await optionsFor(smbiosPrintingDisk(end), { ownerId: "drl_7", expect: end }),
  );
  expect(result.verdict).toBe("booted");
  const log = await readFile(result.consoleLogPath);
  const table = log.subarray(log.indexOf(1) + 1, log.indexOf(end));
  const binaryFiles = { "/sys/firmware/dmi/tables/DMI": table.toString("hex") };
  expect(await readMachineMarker(new RecordedMachine({ binaryFiles }))).toBe("drl_7");
});

test("a disk without boot code has not booted, and the reason has the firmware's words", async () => {
  const result = await bootCheck(await optionsFor(Buffer.alloc(1024 * 1024)));
  expect(result.verdict).toBe("not-booted");
  expect(result.reason).toContain("No bootable device");
});

test("the disk with boot code is booted, whichever name the source's kernel gave it", async () => {
  const options = await optionsFor(printingDisk("\r\nclone login: "));
  const data = Buffer.alloc(1024 * 1024, "data");
  const table = Buffer.alloc(1024 * 1024);
  table.writeUInt16LE(0xaa55, 510);
  const others = await Promise.all(
    Object.entries({ data, table }).map(async ([name, bytes]) => {
      const path = join(place.folder, `${name}.raw`);
      await writeFile(path, bytes);
      return { path, format: "raw" as const };
    }),
  );
  const result = await bootCheck({ ...options, disks: [...others, ...options.disks] });
  expect(result).toMatchObject({ verdict: "booted" });
});

test("a kernel panic ends the check at once with the panic's text", async () => {
  const disk = printingDisk("\r\nKernel panic - not syncing: Attempted to kill init!\r\n");
  const result = await bootCheck(await optionsFor(disk));
  expect(result).toMatchObject({ verdict: "not-booted", reason: expect.stringContaining("kill init") });
});

test("a machine that restarts again and again has not booted", async () => {
  const result = await bootCheck(await optionsFor(restartingDisk()));
  expect(result).toMatchObject({ verdict: "not-booted", reason: expect.stringContaining("restarted") });
});

test("a silent system is unknown after the time-out, never declared booted, and has a screenshot", async () => {
  const options = await optionsFor(printingDisk("GRUB loading.\r\n"), { timeoutSeconds: 3 });
  const result = await bootCheck(options);
  expect(result).toMatchObject({ verdict: "unknown", reason: expect.stringContaining("within 3 s") });
  expect(result.screenshotPath).toBeDefined();
});

test("a disk that QEMU cannot open is an error with QEMU's words", async () => {
  const options = await optionsFor(Buffer.alloc(512));
  const check = bootCheck({ ...options, disks: [{ path: join(place.folder, "absent.raw"), format: "raw" }] });
  await expect(check).rejects.toMatchObject({
    name: "HypervisorFailedError",
    message: expect.stringContaining("absent.raw"),
  });
});

test("an abort ends QEMU and rejects with the signal's reason", async () => {
  const controller = new AbortController();
  const options = await optionsFor(printingDisk("GRUB"), { signal: controller.signal });
  const check = bootCheck(options);
  setImmediate(() => controller.abort(new Error("cancelled by the operator")));
  await expect(check).rejects.toThrow("cancelled by the operator");
  expect(await qemusOf(process.pid)).toEqual([]);
});

test("QEMU does not outlive an agent that was killed", async () => {
  const { workDir } = await optionsFor(printingDisk("GRUB loading.\r\n"));
  const program = join(place.folder, "agent.ts");
  await writeFile(
    program,
    `import { qemu } from ${JSON.stringify(join(import.meta.dirname, "qemu/qemu.ts"))};
     qemu.bootCheck({ ownerId: "cnv_1", disks: [{ path: ${JSON.stringify(join(place.folder, "disk.raw"))}, format: "raw" }], firmware: "bios",
       memoryMiB: 64, timeoutSeconds: 60, workDir: ${JSON.stringify(workDir)}, now: () => 0,
       signal: new AbortController().signal });`,
  );
  const agent = spawn(process.execPath, [program], { stdio: "ignore" });
  const qemu = await vi.waitFor(async () => required(await qemusOf(required([agent.pid]))), {
    timeout: 30_000,
  });
  agent.kill("SIGKILL");
  await expect.poll(() => existsSync(`/proc/${qemu}`), { timeout: 30_000 }).toBe(false);
});

function required<T>([value]: (T | undefined)[]): T {
  if (value === undefined) throw new Error("it is not there");
  return value;
}
