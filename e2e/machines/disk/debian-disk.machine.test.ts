import { mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { qemu } from "#agent/hypervisor/qemu/qemu.ts";
import { buildDebianDisk } from "./debian-disk.ts";

const cacheDir = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "causeway");

test.each([
  ["bookworm", "bios"],
  ["bookworm", "uefi"],
  ["trixie", "bios"],
  ["trixie", "uefi"],
] as const)("the disk of Debian %s for %s boots to a login prompt", async (suite, firmware) => {
  const workDir = await mkdtemp(join(tmpdir(), "debian-disk-"));
  try {
    const disk = await buildDebianDisk({ suite, firmware, sizeBytes: 2 ** 31, cacheDir, log: console.log });
    const result = await qemu.bootCheck({
      ownerId: "cnv_1",
      disks: [{ path: disk.path, format: "raw" }],
      firmware,
      memoryMiB: 1024,
      timeoutSeconds: 300,
      expect: `${disk.hostname} login:`,
      workDir,
      now: () => performance.now(),
      signal: new AbortController().signal,
    });
    expect(result).toMatchObject({ verdict: "booted" });
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
});
