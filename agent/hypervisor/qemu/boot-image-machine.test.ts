import { chmod, mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  BootImageMachine,
  type BootImageMachineOptions,
  type MachineDisk,
  startFailure,
} from "./boot-image-machine.ts";

const GIB = 2 ** 30;
let folder: string;
let options: BootImageMachineOptions;
const path = process.env.PATH;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "boot-image-machine-"));
  options = {
    kernel: join(folder, "kernel"),
    ramDisk: join(folder, "ram-disk"),
    verify: async () => undefined,
    commandLine: "console=ttyS0",
    memoryMiB: 64,
    cpuCount: 1,
    disks: [],
    workDir: folder,
    portName: "port",
  };
  await writeFile(options.kernel, "not a kernel");
  await writeFile(options.ramDisk, "not a RAM disk");
});
afterEach(async () => {
  process.env.PATH = path;
  await rm(folder, { recursive: true });
});

test("what is not a kernel does not start, and the reason is QEMU's own", async () => {
  const machine = await BootImageMachine.start(options);
  const end = await machine.ended;
  await machine.stop();
  expect(startFailure(end)).toMatchObject({
    name: "HypervisorFailedError",
    message: expect.stringMatching(/kernel/),
  });
});

/** Everything but QEMU, also for the user that QEMU would run as. */
async function findOnlyTools(): Promise<void> {
  await chmod(folder, 0o755);
  const tools = ["unshare", "nice", "ionice", "choom", "prlimit", "setpriv", "env"];
  for (const tool of tools) await symlink(join("/usr/bin", tool), join(folder, tool));
  process.env.PATH = folder;
}

/** The longest file that QEMU may write with a disk of 100 GiB. */
async function fileLimit(changes: "kept" | "discarded"): Promise<number> {
  await findOnlyTools();
  await writeFile(join(folder, "qemu-system-x86_64"), "#!/bin/sh\nulimit -f >&2\n", { mode: 0o755 });
  const disk: MachineDisk = { kind: "image", path: join(folder, "disk.raw"), format: "raw", changes };
  await writeFile(disk.path, "");
  await truncate(disk.path, 100 * GIB);
  const machine = await BootImageMachine.start({ ...options, disks: [disk] });
  const { cause } = await machine.ended;
  await machine.stop();
  return Number(cause) * 512;
}

test("QEMU may write all of an image that keeps what the guest changes", async () => {
  expect(await fileLimit("kept")).toBeGreaterThan(100 * GIB);
});

test("however long an image is that stays as it is, QEMU may write no longer file than an overlay", async () => {
  expect(await fileLimit("discarded")).toBeLessThanOrEqual(4 * GIB);
});

test("without QEMU the error names the package that has it", async () => {
  await findOnlyTools();
  const machine = await BootImageMachine.start(options);
  const end = await machine.ended;
  await machine.stop();
  expect(startFailure(end)).toMatchObject({
    name: "ToolMissingError",
    hint: expect.stringContaining("qemu-system-x86"),
  });
});

test("a file that the caller refuses is not started", async () => {
  const verify = async () => {
    throw new Error("refused");
  };
  await expect(BootImageMachine.start({ ...options, verify })).rejects.toThrow("refused");
});
