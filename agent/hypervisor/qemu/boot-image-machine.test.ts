import { chmod, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BootImageMachine, type BootImageMachineOptions, startFailure } from "./boot-image-machine.ts";

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

test("without QEMU the error names the package that has it", async () => {
  // Everything but QEMU, also for the user that QEMU would run as.
  await chmod(folder, 0o755);
  const tools = ["unshare", "nice", "ionice", "choom", "prlimit", "setpriv", "env"];
  for (const tool of tools) await symlink(join("/usr/bin", tool), join(folder, tool));
  process.env.PATH = folder;
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
